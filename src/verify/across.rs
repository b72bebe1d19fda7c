//! Rules about several streams at once: alignment over a switching set, sound against picture.

use std::collections::BTreeMap;

use super::report::Sheet;
use super::stream::{Medium, Stream, seconds};
use crate::media::{Colour, Presentation};

/// Judges streams that a player may switch between (ISO/IEC 23000-19 7.3.4).
pub(super) fn judge_switching_set(sheet: &mut Sheet, place: &str, streams: &[&Stream], hls: bool) {
    let Some((first, rest)) = streams.split_first() else {
        return;
    };
    for other in rest {
        sheet.judge("C09", place, headers_differ(first, other));
        sheet.judge("C10", place, boundaries_differ(first, other));
        if hls && first.medium() == Medium::Video {
            sheet.judge("H18", place, timestamps_differ(first, other));
        }
    }
}

/// Streams of pictures by what parts switching sets in one playlist: sample entry and, for high
/// dynamic range, transfer characteristics.
pub(super) fn by_codec_and_range<'a>(streams: &[&'a Stream]) -> Vec<Vec<&'a Stream>> {
    let kind = |stream: &Stream| {
        let entry = stream.track().and_then(|track| track.entry());
        let colour = entry.and_then(|entry| entry.picture.as_ref()?.colour);
        let transfer = colour.map(|[_, transfer, _]| transfer);
        (
            entry.map(|entry| entry.kind.0),
            transfer.filter(|transfer| matches!(*transfer, Colour::PQ | Colour::HLG)),
        )
    };
    let mut sets = BTreeMap::new();
    for stream in streams {
        sets.entry(kind(stream))
            .or_insert_with(Vec::new)
            .push(*stream);
    }
    sets.into_values().collect()
}

/// C09: the tracks of a switching set have the same media type, codec family, timescale and track
/// id (ISO/IEC 23000-19 7.3.4).
fn headers_differ(first: &Stream, other: &Stream) -> Vec<String> {
    let (Some(a), Some(b)) = (first.track(), other.track()) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut compare = |what: &str, x: String, y: String| {
        if x != y {
            let (one, two) = (&first.place, &other.place);
            faults.push(format!("{what} {x} in {one}, {y} in {two}"));
        }
    };
    let kind = |four: Option<crate::cmaf::boxes::FourCc>| {
        four.map_or_else(|| "none".to_owned(), |four| four.to_string())
    };
    compare("handler", kind(a.handler), kind(b.handler));
    let family = |track: &super::facts::TrackFacts| kind(track.entry().map(|entry| entry.kind));
    compare("sample entry", family(a), family(b));
    let ticks =
        |track: &super::facts::TrackFacts| track.timescale.map_or(0, |t| t.get()).to_string();
    compare("timescale", ticks(a), ticks(b));
    compare("track id", a.id.to_string(), b.id.to_string());
    faults
}

/// C10: segments of a switching set start at the same decode times (ISO/IEC 23000-19 7.3.4).
fn boundaries_differ(first: &Stream, other: &Stream) -> Option<String> {
    let (one, two) = (&first.place, &other.place);
    let (a, b) = (first.decode_times(), other.decode_times());
    if a.len() != b.len() {
        return Some(format!(
            "{} segments in {one}, {} in {two}",
            a.len(),
            b.len()
        ));
    }
    let rows = a.iter().zip(&b).zip(&other.segments);
    for ((a, b), segment) in rows {
        if let (Some(a), Some(b)) = (a, b)
            && a.abs_diff(*b) > ROUNDING
        {
            let (a, b) = (seconds(*a), seconds(*b));
            return Some(format!(
                "{} starts at {b} s, its like in {one} at {a} s",
                segment.place
            ));
        }
    }
    None
}

/// What rounding to nanoseconds, in unlike timescales, may differ by.
const ROUNDING: u64 = 2;

/// H18: matching content has matching timestamps in all variants (RFC 8216bis 6.2.4): segments
/// with the same place in their playlists are presented from the same time on.
fn timestamps_differ(first: &Stream, other: &Stream) -> Option<String> {
    let (a, b) = (first.presentation_times(), other.presentation_times());
    let rows = a.iter().zip(&b).zip(&other.segments);
    for ((a, b), segment) in rows {
        if let (Some(a), Some(b)) = (a, b)
            && a.abs_diff(*b) > 1_000_000
        {
            let (a, b) = (seconds(*a), seconds(*b));
            let one = &first.place;
            return Some(format!(
                "{} is shown from {b} s on, its like in {one} from {a} s",
                segment.place
            ));
        }
    }
    None
}

/// H13: segments of sound and picture start at the same instants, to one frame of the sound, which
/// can't be cut finer (Apple HLS Authoring 8.22).
pub(super) fn sound_boundaries(video: &Stream, audio: &Stream) -> Option<String> {
    let frame = audio.frame_nanos()?.unsigned_abs();
    let edge = |stream: &Stream| -> Option<Vec<i64>> {
        let times = stream.presentation_times();
        times.into_iter().skip(1).collect()
    };
    let (pictures, sounds) = (edge(video)?, edge(audio)?);
    let (one, two) = (&video.place, &audio.place);
    if pictures.len() != sounds.len() {
        let (a, b) = (video.segments.len(), audio.segments.len());
        return Some(format!("{a} segments in {one}, {b} in {two}"));
    }
    let (index, (picture, sound)) = pictures
        .iter()
        .zip(&sounds)
        .enumerate()
        .find(|(_, (picture, sound))| picture.abs_diff(**sound) > frame)?;
    let (picture, sound) = (seconds(*picture), seconds(*sound));
    let number = index.saturating_add(2);
    Some(format!(
        "segment {number} starts at {picture} s in {one}, at {sound} s in {two}"
    ))
}

/// A03: at most 60 frames a second (Apple HLS Authoring 1.19).
pub(super) fn too_many_frames(stream: &Stream) -> Option<String> {
    let (rate, _) = super::hls_multivariant::frame_rate_thousandths(stream)?;
    (rate > 60_060).then(|| format!("{rate} frames in 1000 s"))
}

/// A08: sound and picture are first presented within one frame of each other (Apple, "Preparing
/// audio for HTTP Live Streaming").
pub(super) fn starts_apart(video: &Stream, audio: &Stream) -> Option<String> {
    let first = |stream: &Stream| -> Option<i64> {
        // What an edit list skips is decoded and not presented.
        let skips = stream.track()?.edit_start() > 0;
        let time = *stream.presentation_times().first()?;
        time.map(|time| if skips { time.max(0) } else { time })
    };
    let frame = video.frame_nanos()?.max(audio.frame_nanos()?);
    let (picture, sound) = (first(video)?, first(audio)?);
    (picture.abs_diff(sound) > frame.unsigned_abs()).then(|| {
        let (picture, sound) = (seconds(picture), seconds(sound));
        format!("the picture starts at {picture} s, the sound at {sound} s")
    })
}

/// A08: the encoder's priming is taken out by an edit list, or by decode times that start as much
/// before 0 as they can't: shifted.
pub(super) fn judge_priming(sheet: &mut Sheet, audio: &Stream, record: Option<&Presentation>) {
    let Some(track) = audio.track() else { return };
    let is_aac = track.entry().is_some_and(|entry| entry.kind.0 == *b"mp4a");
    if !is_aac {
        return;
    }
    let recorded = record.and_then(|record| {
        let named = |id: &str| audio.place.split('/').any(|part| part == id);
        record.audio.iter().find(|track| named(&track.common.id))
    });
    let skipped = track.edit_start();
    let shifted = audio.decode_times().first().copied().flatten() != Some(0);
    match recorded {
        Some(recorded) => {
            let expected = i64::from(recorded.priming);
            let fault = (skipped != expected && !shifted)
                .then(|| format!("{expected} samples of priming, the edit list skips {skipped}"));
            sheet.judge("A08", &audio.place, fault);
        }
        None => {
            let silent = skipped == 0 && !shifted;
            let fault = silent.then(|| {
                "no edit list: if the encoder primed, its priming sounds and all comes late".into()
            });
            sheet.advise("A08", &audio.place, fault);
        }
    }
}

/// Streams by what they show, each distinct one once: HLS and DASH may name the same objects.
pub(super) fn distinct<'a>(streams: impl Iterator<Item = &'a Stream>) -> Vec<&'a Stream> {
    let mut seen = BTreeMap::new();
    for stream in streams {
        let places: Vec<&str> = stream.segments.iter().map(|s| s.place.as_str()).collect();
        let count = seen.len();
        seen.entry((stream.init_place.as_deref(), places))
            .or_insert((count, stream));
    }
    let mut streams: Vec<_> = seen.into_values().collect();
    streams.sort_by_key(|(index, _)| *index);
    streams.into_iter().map(|(_, stream)| stream).collect()
}
