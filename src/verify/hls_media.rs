//! Media playlists (RFC 8216bis 4.4.3 and 4.4.4; Apple HLS Authoring Specification section 7 and
//! 8): each by itself, and against the segments it names.

use std::collections::BTreeSet;

use super::report::Sheet;
use super::stream::{Container, Medium, Stream, nanos, seconds};
use crate::hls::{Document, MediaPlaylist, Playlist, PlaylistType, Tag};
use crate::time::{Ticks, Timescale};

/// One second in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// Segments in a run whose rate is looked at: a hostile playlist of segments that last nothing must
/// not take quadratic time.
const RUN_SEGMENTS_MAX: usize = 1000;

/// Judges what holds for playlists of either kind.
pub(super) fn judge_document(sheet: &mut Sheet, place: &str, playlist: &Playlist, utf8: bool) {
    let document = playlist.document();
    sheet.judge("H01", place, text_form(document, utf8));
    sheet.judge("H02", place, version_covers(playlist));
    sheet.judge("H03", place, attribute_lists(document));
    for problem in &document.problems {
        sheet.judge(
            "H03",
            format!("{place}:{}", problem.line),
            Some(problem.message.clone()),
        );
    }
}

/// Judges one media playlist; `video_frame` is the length of a video frame of the presentation.
pub(super) fn judge(
    sheet: &mut Sheet,
    place: &str,
    playlist: &MediaPlaylist,
    stream: &Stream,
    video_frame: Option<i64>,
) {
    sheet.judge("H04", place, target_duration(playlist));
    sheet.judge("H05", place, overlong_segments(playlist, stream));
    if stream.medium() != Medium::Text && !stream.stills {
        sheet.judge("H06", place, nominal_duration(playlist));
    }
    let frame = video_frame.or_else(|| stream.frame_nanos());
    if let (Some(frame), Some(_)) = (frame, stream.media_nanos()) {
        sheet.judge("H07", place, declared_drift(stream, frame));
    }
    sheet.judge("H08", place, playlist_ends(playlist));
    if stream
        .segments
        .iter()
        .any(|s| s.container == Container::Fmp4)
    {
        sheet.judge("H11", place, map_missing(playlist, stream));
    }
    if playlist
        .segments
        .iter()
        .any(|segment| segment.byte_range.is_some())
    {
        sheet.judge("H17", place, byte_ranges(playlist));
    }
    if !playlist.date_ranges.is_empty() {
        sheet.judge("H20", place, date_ranges(playlist));
    }
}

/// H01: a playlist is UTF-8 without a byte order mark, and its first line is exactly `#EXTM3U`
/// (RFC 8216bis 4.1, 4.4.1.1).
fn text_form(document: &Document, utf8: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if !utf8 {
        faults.push("not UTF-8".into());
    }
    if document.byte_order_mark {
        faults.push("starts with a byte order mark".into());
    }
    if document.first_line != "#EXTM3U" {
        faults.push(format!(
            "the first line is {:?}, not #EXTM3U",
            document.first_line
        ));
    }
    faults
}

/// H02: `EXT-X-VERSION` at most once, and at least what the playlist uses (RFC 8216bis 8).
fn version_covers(playlist: &Playlist) -> Vec<String> {
    let mut faults = Vec::new();
    let document = playlist.document();
    let times = document.tags_named("EXT-X-VERSION").count();
    if times > 1 {
        faults.push(format!("EXT-X-VERSION stands {times} times"));
    }
    let (declared, needs) = match playlist {
        Playlist::Media(media) => (media.version, media_needs(media)),
        Playlist::Multivariant(multivariant) => (multivariant.version, document_needs(document)),
    };
    let declared = declared.unwrap_or(1);
    if let Some((needed, what)) = needs.into_iter().max().filter(|(n, _)| *n > declared) {
        faults.push(format!("version {declared}, but {what} needs {needed}"));
    }
    faults
}

fn media_needs(media: &MediaPlaylist) -> BTreeSet<(u64, &'static str)> {
    let mut needs = document_needs(&media.document);
    if media
        .segments
        .iter()
        .any(|segment| segment.duration_is_float())
    {
        needs.insert((3, "a fractional EXTINF"));
    }
    if media.document.has("EXT-X-BYTERANGE") {
        needs.insert((4, "EXT-X-BYTERANGE"));
    }
    if media.i_frames_only {
        needs.insert((4, "EXT-X-I-FRAMES-ONLY"));
    }
    if !media.maps.is_empty() {
        let (version, what) = match media.i_frames_only {
            true => (5, "EXT-X-MAP in an I-frame playlist"),
            false => (6, "EXT-X-MAP"),
        };
        needs.insert((version, what));
    }
    needs
}

fn document_needs(document: &Document) -> BTreeSet<(u64, &'static str)> {
    let mut needs = BTreeSet::new();
    for tag in document.tags() {
        match tag.name.as_str() {
            "EXT-X-KEY" | "EXT-X-SESSION-KEY" => needs.extend(key_needs(tag)),
            "EXT-X-DEFINE" if tag.attributes.get("QUERYPARAM").is_some() => {
                needs.insert((11, "EXT-X-DEFINE with QUERYPARAM"));
            }
            "EXT-X-DEFINE" => {
                needs.insert((8, "EXT-X-DEFINE"));
            }
            _ => {}
        }
        if tag.attributes.iter().any(|a| a.name.starts_with("REQ-")) {
            needs.insert((12, "an attribute that starts with REQ-"));
        }
    }
    needs
}

fn key_needs(tag: &Tag) -> Option<(u64, &'static str)> {
    let named = |name| tag.attributes.get(name).is_some();
    let sample_aes = tag
        .attributes
        .text("METHOD")
        .is_some_and(|method| method.starts_with("SAMPLE-AES"));
    match () {
        () if sample_aes => Some((5, "SAMPLE-AES")),
        () if named("KEYFORMAT") || named("KEYFORMATVERSIONS") => Some((5, "KEYFORMAT")),
        () if named("IV") => Some((2, "an IV")),
        () => None,
    }
}

/// H03: no attribute name twice in one tag (RFC 8216bis 4.2). What the reader found wrong with
/// quoted strings is judged beside it.
fn attribute_lists(document: &Document) -> Vec<String> {
    let mut faults = Vec::new();
    for tag in document.tags() {
        for name in tag.attributes.repeated_names() {
            faults.push(format!(
                "line {}: {name} stands twice in {}",
                tag.line, tag.name
            ));
        }
    }
    faults
}

/// H04: `EXT-X-TARGETDURATION` once, and each `EXTINF` rounded to the nearest whole second at most
/// that (RFC 8216bis 4.4.3.1).
fn target_duration(playlist: &MediaPlaylist) -> Vec<String> {
    let times = playlist.document.tags_named("EXT-X-TARGETDURATION").count();
    let mut faults = Vec::new();
    if times != 1 {
        faults.push(format!("EXT-X-TARGETDURATION stands {times} times"));
    }
    let Some(target) = playlist.target_duration else {
        return faults;
    };
    for segment in &playlist.segments {
        let rounded = (nanos(segment.duration).saturating_add(SECOND / 2)) / SECOND;
        if rounded > i64::try_from(target).unwrap_or(i64::MAX) {
            faults.push(format!(
                "line {}: EXTINF {} rounds above the target duration {target}",
                segment.line, segment.duration_text
            ));
        }
    }
    faults
}

/// H05: no media segment is longer than the target duration by more than 0.5 s (Apple HLS
/// Authoring 7.7), by its samples as by its `EXTINF`.
fn overlong_segments(playlist: &MediaPlaylist, stream: &Stream) -> Vec<String> {
    let Some(target) = playlist.target_duration.and_then(whole_seconds) else {
        return Vec::new();
    };
    let limit = target.saturating_add(SECOND / 2);
    let timescale = stream.timescale();
    let mut faults = Vec::new();
    for segment in &stream.segments {
        let samples = segment
            .facts
            .as_ref()
            .zip(timescale)
            .map(|(facts, timescale)| {
                let ticks = i64::try_from(facts.duration()).unwrap_or(i64::MAX);
                nanos(Ticks::new(ticks, timescale))
            });
        let longest = samples.unwrap_or(0).max(nanos(segment.declared));
        if longest > limit {
            let (lasts, target) = (seconds(longest), seconds(target));
            faults.push(format!(
                "{} lasts {lasts} s, target {target} s",
                segment.place
            ));
        }
    }
    faults
}

fn whole_seconds(count: u64) -> Option<i64> {
    i64::try_from(count).ok()?.checked_mul(SECOND)
}

/// H06: target duration 6, and segments of nominally 6 s but for the last (Apple HLS Authoring
/// 7.5, 7.6); half a second either way is taken as nominal.
fn nominal_duration(playlist: &MediaPlaylist) -> Vec<String> {
    let mut faults = Vec::new();
    match playlist.target_duration {
        Some(6) | None => {}
        Some(other) => faults.push(format!("target duration {other}, not 6")),
    }
    let Some((_, all_but_last)) = playlist.segments.split_last() else {
        return faults;
    };
    let nominal = 5 * SECOND + SECOND / 2..=6 * SECOND + SECOND / 2;
    let odd = |segment: &&crate::hls::Segment| !nominal.contains(&nanos(segment.duration));
    let count = all_but_last.iter().filter(odd).count();
    if count > 0 {
        faults.push(format!(
            "{count} of {} segments are not about 6 s",
            playlist.segments.len()
        ));
    }
    faults
}

/// H07: the sum of `EXTINF` over any run of segments is within one video frame of the run's real
/// duration (Apple HLS Authoring 8.1).
fn declared_drift(stream: &Stream, frame: i64) -> Option<String> {
    let timescale = stream.timescale()?;
    let mut drift = 0_i64;
    let (mut lowest, mut highest) = (0_i64, 0_i64);
    let mut worst_at = None;
    for segment in &stream.segments {
        let ticks = i64::try_from(segment.facts.as_ref()?.duration()).ok()?;
        let real = nanos(Ticks::new(ticks, timescale));
        drift = drift.saturating_add(nanos(segment.declared).saturating_sub(real));
        (lowest, highest) = (lowest.min(drift), highest.max(drift));
        if highest.saturating_sub(lowest) > frame && worst_at.is_none() {
            worst_at = Some(&segment.place);
        }
    }
    let apart = highest.saturating_sub(lowest);
    worst_at.map(|place| {
        let (apart, frame) = (seconds(apart), seconds(frame));
        format!("EXTINF and samples are up to {apart} s apart, over one frame of {frame} s from {place} on")
    })
}

/// H08: a VOD playlist says `EXT-X-PLAYLIST-TYPE:VOD` (Apple HLS Authoring 8.6) and ends in
/// `EXT-X-ENDLIST` (RFC 8216bis 4.4.3.4); a growing one says EVENT (8.8).
fn playlist_ends(playlist: &MediaPlaylist) -> Vec<String> {
    let mut faults = Vec::new();
    match &playlist.playlist_type {
        Some(PlaylistType::Vod) => {}
        Some(PlaylistType::Event) => return faults,
        Some(PlaylistType::Other(other)) => {
            faults.push(format!("EXT-X-PLAYLIST-TYPE is {other:?}"));
        }
        None => faults.push("no EXT-X-PLAYLIST-TYPE".into()),
    }
    if !playlist.end_list {
        faults.push("no EXT-X-ENDLIST".into());
    }
    faults
}

/// H11: a playlist of fMP4 segments has `EXT-X-MAP` before the first of them (Apple HLS Authoring
/// 8.20; RFC 8216bis 4.4.4.5).
fn map_missing(playlist: &MediaPlaylist, stream: &Stream) -> Option<String> {
    let both = playlist.segments.iter().zip(&stream.segments);
    let without = both
        .filter(|(segment, found)| {
            found.container == Container::Fmp4 && playlist.map_of(segment).is_none()
        })
        .map(|(segment, _)| segment.line)
        .next()?;
    Some(format!(
        "no EXT-X-MAP before the fMP4 segment on line {without}"
    ))
}

/// H17: `EXT-X-BYTERANGE` without an offset only follows a sub-range of the same URI (RFC 8216bis
/// 4.4.4.2). That ranges lie inside their object is judged where they are read.
fn byte_ranges(playlist: &MediaPlaylist) -> Vec<String> {
    let without_start = |segment: &&crate::hls::Segment| {
        segment
            .byte_range
            .is_some_and(|range| range.offset.is_none())
    };
    playlist
        .segments
        .iter()
        .filter(without_start)
        .map(|segment| format!("line {}: a byte range with no start", segment.line))
        .collect()
}

/// H20: every `EXT-X-DATERANGE` has an ID, unique to its range, and a playlist with one has
/// `EXT-X-PROGRAM-DATE-TIME` (RFC 8216bis 4.4.5.1).
fn date_ranges(playlist: &MediaPlaylist) -> Vec<String> {
    let mut faults = Vec::new();
    let mut starts = std::collections::BTreeMap::new();
    for tag in &playlist.date_ranges {
        let start = tag.attributes.text("START-DATE");
        match tag.attributes.text("ID") {
            None => faults.push(format!("line {}: no ID", tag.line)),
            Some(id) => {
                let first = *starts.entry(id).or_insert(start);
                if first.is_some() && start.is_some() && first != start {
                    faults.push(format!("line {}: ID {id:?} starts at two times", tag.line));
                }
            }
        }
    }
    if playlist
        .segments
        .iter()
        .all(|s| s.program_date_time.is_none())
    {
        faults.push("EXT-X-DATERANGE without EXT-X-PROGRAM-DATE-TIME".into());
    }
    faults
}

/// H16: `EXT-X-INDEPENDENT-SEGMENTS` stands in the multivariant playlist (should, Apple HLS
/// Authoring 9.11), or else in every video media playlist (must, 9.12).
pub(super) fn independent_segments(
    sheet: &mut Sheet,
    multivariant: Option<(&str, bool)>,
    playlists: &[(&str, &MediaPlaylist, Medium)],
) {
    if let Some((place, there)) = multivariant {
        let fault = (!there).then(|| "no EXT-X-INDEPENDENT-SEGMENTS in the multivariant".into());
        sheet.advise("H16", place, fault);
        if there {
            return;
        }
    }
    for (place, playlist, medium) in playlists {
        if *medium == Medium::Video && !playlist.i_frames_only {
            let missing = !playlist.independent_segments;
            let fault = missing.then(|| "no EXT-X-INDEPENDENT-SEGMENTS here or above".into());
            sheet.judge("H16", place, fault);
        }
    }
}

/// The largest bit rate of any run of segments lasting between 0.5 and 1.5 target durations, in
/// bits a second, rounded up (RFC 8216bis 4.1, "peak segment bit rate"); of the whole when no run
/// does. `segments` are size in bytes and duration in nanoseconds.
///
/// Apart from [`crate::bandwidth`], which the playlists are written from, on purpose: a judge that
/// shared the writer's arithmetic could not find its faults.
pub(super) fn peak_bps(segments: &[(u64, i64)], target_seconds: u64) -> u64 {
    let target = whole_seconds(target_seconds).unwrap_or(i64::MAX / 2);
    let (shortest, longest) = (target / 2, target.saturating_add(target / 2));
    let mut peak = None;
    for start in 0..segments.len() {
        let (mut bytes, mut lasting) = (0_u64, 0_i64);
        for (size, duration) in segments.iter().skip(start).take(RUN_SEGMENTS_MAX) {
            bytes = bytes.saturating_add(*size);
            lasting = lasting.saturating_add((*duration).max(0));
            if lasting > longest {
                break;
            }
            if lasting >= shortest {
                peak = peak.max(Some(rate_bps(bytes, lasting)));
            }
        }
    }
    peak.unwrap_or_else(|| average_bps(segments))
}

/// Sizes over durations of all segments, in bits a second, rounded up.
pub(super) fn average_bps(segments: &[(u64, i64)]) -> u64 {
    let bytes = segments
        .iter()
        .fold(0_u64, |sum, (b, _)| sum.saturating_add(*b));
    let lasting = segments
        .iter()
        .fold(0_i64, |sum, (_, d)| sum.saturating_add((*d).max(0)));
    rate_bps(bytes, lasting)
}

fn rate_bps(bytes: u64, lasting_nanos: i64) -> u64 {
    let bits = u128::from(bytes) * 8 * u128::from(Timescale::NANOS.get());
    let nanos = u128::try_from(lasting_nanos.max(1)).unwrap_or(1);
    u64::try_from(bits.div_ceil(nanos)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_of_runs_near_the_target_duration() {
        // 6 s segments of 1 MB, and a last one of 1 s with as much: alone it is too short to
        // count, with its neighbour it is 2 MB in 7 s.
        let mut segments = vec![(1_000_000, 6 * SECOND); 3];
        assert_eq!(peak_bps(&segments, 6), 1_333_334);
        segments.push((1_000_000, SECOND));
        assert_eq!(peak_bps(&segments, 6), 2_285_715);
        assert_eq!(peak_bps(&[(1000, SECOND)], 6), 8000);
        assert_eq!(peak_bps(&[], 6), 0);
    }

    #[test]
    fn versions_follow_the_features() {
        let text = "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:6.0,\n1.m4s\n";
        let playlist = crate::hls::read(text).expect("reads");
        assert_eq!(
            version_covers(&playlist),
            ["version 5, but EXT-X-MAP needs 6"]
        );
        let playlist = crate::hls::read(&text.replace("N:5", "N:6")).expect("reads");
        assert_eq!(version_covers(&playlist), Vec::<String>::new());
    }
}
