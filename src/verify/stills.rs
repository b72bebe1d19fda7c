//! Trick play and thumbnails: I-frame playlists (RFC 8216bis 4.4.3.6, 4.4.6.3; Apple HLS Authoring
//! Specification section 6), Roku's image playlists, trick sets and thumbnail tiles in DASH (DASH-IF
//! IOP 4.3 3.2.9, 6.2.6).

use super::dash::RepresentationView;
use super::facts::{FragmentFacts, SegmentFacts};
use super::fragments::starts_with_idr;
use super::hls_media::{average_bps, peak_bps};
use super::hls_multivariant::{
    MediaView, MultivariantView, off_by_a_tenth, peak_not_covered, shows_video, too_short,
};
use super::report::Sheet;
use super::stream::{Container, Stream, StreamSegment, nanos, seconds};
use crate::dash::{AdaptationSet, Period, Representation};
use crate::hls::{MediaPlaylist, Tag, Variant};
use crate::time::parse_decimal;

/// `@schemeIdUri` of the property that makes a set one for trick play.
const TRICK_MODE: &str = "http://dashif.org/guidelines/trickmode";
/// `@schemeIdUri` of the property that says how thumbnails lie in their tiles.
const THUMBNAIL_TILE: &str = "http://dashif.org/guidelines/thumbnail_tile";
/// One second in nanoseconds.
const SECOND: i64 = 1_000_000_000;
/// Width of thumbnails in pixels, and height of the smallest I-frames (H48).
const THUMBNAIL_SIDE: u32 = 400;
const SMALL_HEIGHT: u32 = 160;

type Row<'a> = (&'a Variant, Option<&'a MediaView>);

/// Judges the I-frame and image playlists of a multivariant playlist.
pub(super) fn judge_hls(sheet: &mut Sheet, view: &MultivariantView<'_>) {
    let place = view.place;
    let videos: Vec<Row<'_>> = view
        .variants
        .iter()
        .copied()
        .filter(|(variant, media)| shows_video(variant, *media))
        .collect();
    if !videos.is_empty() {
        let none = view.i_frame_variants.is_empty();
        let fault = none.then(|| "no EXT-X-I-FRAME-STREAM-INF".to_owned());
        sheet.judge("H43", place, fault);
    }
    let lengths = videos.iter().filter_map(|(_, media)| *media);
    let longest = lengths.map(|media| media.stream.declared_nanos()).max();
    for (variant, media) in &view.i_frame_variants {
        judge_i_frames(sheet, &view.at(variant.line), variant, *media, longest);
    }
    if !view.i_frame_variants.is_empty() {
        sheet.judge("H44", place, one_rate(view));
        sheet.judge("H44", place, dense_or_sparse(view));
        sheet.advise("H44", place, unusual_rates(view));
        sheet.judge("H47", place, no_sdr(view));
        sheet.advise("H47", place, no_h264(view));
        sheet.advise("H47", place, hdr_sizes(view, &videos));
        sheet.judge("H48", place, thumbnail_variant(view));
        sheet.judge("H48", place, no_small_variant(view));
    }
    for (variant, media) in &view.image_variants {
        let at = view.at(variant.line);
        sheet.judge("H49", &at, image_attributes(variant));
        if let Some(media) = media {
            sheet.judge("H49", &media.place, image_playlist(variant, media));
            sheet.judge("E09", &media.place, encrypted(&media.playlist));
        }
    }
}

fn is_jpeg(variant: &Variant) -> bool {
    variant
        .codec_list()
        .any(|codec| matches!(codec, "mjpg" | "jpeg"))
}

fn judge_i_frames(
    sheet: &mut Sheet,
    place: &str,
    variant: &Variant,
    media: Option<&MediaView>,
    longest: Option<i64>,
) {
    let zero = variant.bandwidth_bps().is_none_or(|rate| rate == 0);
    sheet.judge("H46", place, zero.then(|| "no BANDWIDTH above 0".into()));
    let Some(media) = media else { return };
    sheet.judge("H43", &media.place, i_frame_form(media));
    let length = media.stream.declared_nanos();
    let short = longest.and_then(|longest| too_short(length, longest));
    sheet.judge("H09", &media.place, short);
    sheet.judge("H46", place, rates(variant, media));
    for segment in &media.stream.segments {
        if let Some(facts) = &segment.facts {
            sheet.judge("H45", &segment.place, moof_and_bytes(facts));
        }
    }
    if is_jpeg(variant) {
        sheet.judge("E09", &media.place, encrypted(&media.playlist));
        sheet.judge("H43", &media.place, no_jpegs(&media.stream));
    }
}

/// H43: an I-frame playlist says `EXT-X-I-FRAMES-ONLY` (Apple HLS Authoring 6.8), and each of its
/// segments is one picture that leans on no other (RFC 8216bis 4.4.3.6).
fn i_frame_form(media: &MediaView) -> Vec<String> {
    let mut faults = Vec::new();
    if !media.playlist.i_frames_only {
        faults.push("no EXT-X-I-FRAMES-ONLY".to_owned());
    }
    let is_avc = media
        .stream
        .entries()
        .any(|entry| matches!(&entry.kind.0, b"avc1" | b"avc3"));
    for segment in &media.stream.segments {
        let Some(facts) = &segment.facts else {
            continue;
        };
        let samples = || facts.fragments.iter().flat_map(FragmentFacts::samples);
        let place = &segment.place;
        match samples().count() {
            1 => {}
            n => faults.push(format!("{place} has {n} pictures, not one")),
        }
        if samples().any(|sample| !sample.is_sync()) {
            faults.push(format!("{place} has a picture that is no sync sample"));
        } else if is_avc && let Some(fault) = starts_with_idr(facts, *b"avc1") {
            faults.push(format!("{place}: {fault}"));
        }
    }
    faults
}

/// H45: an I-frame of fMP4 comes with its `moof` (Apple HLS Authoring 6.10), and what that
/// describes is what is there: players read beyond the end of what is not.
fn moof_and_bytes(facts: &SegmentFacts) -> Option<String> {
    let Some(fragment) = facts.fragments.first() else {
        return Some("no moof".into());
    };
    let described: u64 = fragment.samples().map(|s| u64::from(s.size)).sum();
    let (start, end) = fragment.mdat?;
    let there = end.min(facts.bytes).saturating_sub(start);
    (described != there).then(|| format!("the moof describes {described} bytes, {there} are there"))
}

/// H46: BANDWIDTH is the peak of the I-frames themselves (Apple HLS Authoring 6.9): no less, and at
/// most a tenth more.
fn rates(variant: &Variant, media: &MediaView) -> Vec<String> {
    let mut faults = Vec::new();
    let (Some(declared), Some(sizes)) = (variant.bandwidth_bps(), media.stream.sizes()) else {
        return faults;
    };
    let target = media.playlist.target_duration.unwrap_or(1);
    let measured = peak_bps(&sizes, target);
    faults.extend(peak_not_covered(declared, measured));
    faults.extend(off_by_a_tenth("BANDWIDTH", declared, measured));
    if let Some(average) = variant.average_bandwidth_bps() {
        let measured = average_bps(&sizes);
        faults.extend(off_by_a_tenth("AVERAGE-BANDWIDTH", average, measured));
    }
    faults
}

/// I-frame variants that are video rather than JPEGs.
fn video_i_frames<'a>(view: &'a MultivariantView<'_>) -> impl Iterator<Item = Row<'a>> {
    let all = view.i_frame_variants.iter().copied();
    all.filter(|(variant, _)| !is_jpeg(variant))
}

/// H44: I-frames at several bit rates (Apple HLS Authoring 6.6).
fn one_rate(view: &MultivariantView<'_>) -> Option<String> {
    let count = video_i_frames(view).count();
    (count < 2).then(|| format!("{count} bit rates of I-frames"))
}

/// H44: I-frames of their own, one a second (Apple HLS Authoring 6.2).
fn dense_or_sparse(view: &MultivariantView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (_, media) in video_i_frames(view) {
        let Some(apart) = media.and_then(|media| mean_duration(&media.stream)) else {
            continue;
        };
        if !(SECOND / 2..=SECOND * 3 / 2).contains(&apart) {
            let place = &media.map_or("", |media| media.place.as_str());
            faults.push(format!(
                "{place}: I-frames {} s apart, not about 1 s",
                seconds(apart)
            ));
        }
    }
    faults
}

fn mean_duration(stream: &Stream) -> Option<i64> {
    let count = i64::try_from(stream.segments.len()).ok()?;
    stream.declared_nanos().checked_div(count)
}

/// H44, advice: at the same size I-frames need about the rate of the video, times their frames a
/// second, over 8 (Apple HLS Authoring 6.5); a quarter to four times that is about.
fn unusual_rates(view: &MultivariantView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (variant, media) in video_i_frames(view) {
        let same = |other: &&Row<'_>| other.0.resolution() == variant.resolution();
        let normal = view.variants.iter().find(same);
        let normal = normal.and_then(|(_, media)| average(*media));
        let (Some(normal), Some(own)) = (normal, average(media)) else {
            continue;
        };
        let Some(apart) = media.and_then(|media| mean_duration(&media.stream)) else {
            continue;
        };
        let nanos = u64::try_from(apart.max(1)).unwrap_or(1);
        let usual = u128::from(normal) * 1_000_000_000 / u128::from(nanos) / 8;
        let own = u128::from(own);
        if own > usual * 4 || own * 4 < usual {
            let line = variant.line;
            faults.push(format!(
                "line {line}: I-frames need {own} b/s, usual would be {usual}"
            ));
        }
    }
    faults
}

fn average(media: Option<&MediaView>) -> Option<u64> {
    Some(average_bps(&media?.stream.sizes()?))
}

fn is_hdr(variant: &Variant) -> bool {
    variant.video_range().is_some_and(|range| range != "SDR")
}

/// H47: there is trick play in SDR (Apple HLS Authoring 6.16).
fn no_sdr(view: &MultivariantView<'_>) -> Option<String> {
    let none = video_i_frames(view).all(|(variant, _)| is_hdr(variant));
    none.then(|| "no I-frames of video in SDR".into())
}

/// H47, advice: and in H.264 (Apple HLS Authoring 6.14).
fn no_h264(view: &MultivariantView<'_>) -> Option<String> {
    let h264 = |variant: &Variant| variant.codec_list().any(|c| c.starts_with("avc"));
    let none = !video_i_frames(view).any(|(variant, _)| h264(variant));
    none.then(|| "no I-frames in H.264".into())
}

/// H47, advice: where there are I-frames in HDR, there are some at each resolution of HDR (Apple HLS
/// Authoring 6.15).
fn hdr_sizes(view: &MultivariantView<'_>, videos: &[Row<'_>]) -> Vec<String> {
    let hdr = || video_i_frames(view).filter(|(variant, _)| is_hdr(variant));
    if hdr().next().is_none() {
        return Vec::new();
    }
    let missing = |(variant, _): &&Row<'_>| {
        let same = |other: Row<'_>| other.0.resolution() == variant.resolution();
        is_hdr(variant) && !hdr().any(same)
    };
    let lacking = videos.iter().filter(missing);
    lacking
        .map(|(variant, _)| format!("line {}: no I-frames in HDR at its size", variant.line))
        .collect()
}

/// H48: one I-frame variant is JPEGs, 400 pixels wide (high, where that is the longer side) if the
/// video is, one each one to two seconds (Apple HLS Authoring, appendix).
fn thumbnail_variant(view: &MultivariantView<'_>) -> Vec<String> {
    let mut all = view.i_frame_variants.iter();
    let Some((variant, media)) = all.find(|(variant, _)| is_jpeg(variant)) else {
        return vec!["no I-frames in JPEG (mjpg)".into()];
    };
    let mut faults = Vec::new();
    let sizes = view.variants.iter().filter_map(|(v, _)| v.resolution());
    let largest = sizes.map(|(w, h)| w.max(h)).max();
    let expected = largest.unwrap_or(THUMBNAIL_SIDE).min(THUMBNAIL_SIDE);
    if let Some((w, h)) = variant.resolution()
        && w.max(h) != expected
    {
        faults.push(format!("thumbnails of {w}x{h}, not {expected} wide"));
    }
    if let Some(apart) = media.and_then(|media| mean_duration(&media.stream))
        && apart > SECOND * 21 / 10
    {
        faults.push(format!("thumbnails {} s apart", seconds(apart)));
    }
    faults
}

/// H48: one I-frame variant is 160 pixels high (Apple HLS Authoring 6.19, visionOS), unless the
/// video is no higher.
fn no_small_variant(view: &MultivariantView<'_>) -> Option<String> {
    let height = |(variant, _): &Row<'_>| Some(variant.resolution()?.1);
    let higher = view.variants.iter().filter_map(height).max() > Some(SMALL_HEIGHT);
    let small = video_i_frames(view).any(|row| height(&row) == Some(SMALL_HEIGHT));
    (higher && !small).then(|| format!("no I-frames {SMALL_HEIGHT} pixels high"))
}

/// H43: what is listed as JPEGs are some.
fn no_jpegs(stream: &Stream) -> Vec<String> {
    let other =
        |segment: &&StreamSegment| segment.bytes.is_some() && segment.container != Container::Jpeg;
    let others = stream.segments.iter().filter(other);
    others
        .map(|segment| format!("{} doesn't start as a JPEG", segment.place))
        .collect()
}

/// E09: thumbnails are clear (Apple HLS Authoring, appendix).
fn encrypted(playlist: &MediaPlaylist) -> Option<String> {
    let key = playlist.keys.iter().find(|key| {
        let method = key.attributes.text("METHOD");
        method != Some("NONE")
    })?;
    Some(format!("line {}: thumbnails are encrypted", key.line))
}

/// H49: EXT-X-IMAGE-STREAM-INF has URI, BANDWIDTH, CODECS `jpeg` and the RESOLUTION of one tile
/// (Roku, "Trick mode").
fn image_attributes(variant: &Variant) -> Vec<String> {
    let mut faults = Vec::new();
    if variant.uri.is_empty() {
        faults.push("no URI".to_owned());
    }
    if variant.bandwidth_bps().is_none_or(|rate| rate == 0) {
        faults.push("no BANDWIDTH above 0".to_owned());
    }
    if variant.codecs() != Some("jpeg") {
        faults.push("CODECS is not \"jpeg\"".to_owned());
    }
    if variant.resolution().is_none() {
        faults.push("no RESOLUTION".to_owned());
    }
    faults
}

/// H49: an image playlist says EXT-X-IMAGES-ONLY and, before the first image, EXT-X-TILES with the
/// RESOLUTION, LAYOUT and DURATION of a tile, which are true; its objects are JPEGs.
fn image_playlist(variant: &Variant, media: &MediaView) -> Vec<String> {
    let mut faults = no_jpegs(&media.stream);
    if !media.playlist.images_only {
        faults.push("no EXT-X-IMAGES-ONLY".to_owned());
    }
    let tags: Vec<&Tag> = media.playlist.document.tags_named("EXT-X-TILES").collect();
    let first_line = media.playlist.segments.first().map_or(0, |s| s.line);
    if tags.first().is_none_or(|tag| tag.line > first_line) {
        faults.push("no EXT-X-TILES before the first image".to_owned());
    }
    let mut tags = tags.into_iter().peekable();
    let mut tiles: Option<Tiles> = None;
    let last = media.playlist.segments.last().map_or(0, |s| s.line);
    for (listed, found) in media.playlist.segments.iter().zip(&media.stream.segments) {
        while let Some(tag) = tags.next_if(|tag| tag.line < listed.line) {
            match Tiles::read(tag) {
                Ok(read) => tiles = Some(read),
                Err(fault) => faults.push(fault),
            }
        }
        let Some(tiles) = tiles else { continue };
        if variant.resolution().is_some_and(|size| size != tiles.size) {
            faults.push(format!(
                "line {}: RESOLUTION is not the variant's",
                listed.line
            ));
        }
        faults.extend(tiles.misfit(found, listed.line == last));
    }
    faults
}

/// `EXT-X-TILES`.
#[derive(Debug, Clone, Copy)]
struct Tiles {
    size: (u32, u32),
    columns: u32,
    rows: u32,
    nanos: u64,
}

impl Tiles {
    fn read(tag: &Tag) -> Result<Self, String> {
        let line = tag.line;
        let missing = |what: &str| format!("line {line}: EXT-X-TILES without {what}");
        let attributes = &tag.attributes;
        let size = attributes.resolution("RESOLUTION");
        let layout = attributes.resolution("LAYOUT");
        let duration = attributes.text("DURATION");
        let duration = duration.and_then(|text| parse_decimal(text, 9));
        let (columns, rows) = layout.ok_or_else(|| missing("a LAYOUT of COLUMNSxROWS"))?;
        Ok(Self {
            size: size.ok_or_else(|| missing("RESOLUTION"))?,
            columns,
            rows,
            nanos: duration.ok_or_else(|| missing("DURATION"))?,
        })
    }

    /// What of an image is not as the tag says: its size, and that it lasts as long as its tiles, or
    /// at most so long where it is the last.
    fn misfit(self, found: &StreamSegment, is_last: bool) -> Option<String> {
        let (width, height) = found.jpeg_size?;
        let columns = self.size.0.saturating_mul(self.columns);
        let rows = self.size.1.saturating_mul(self.rows);
        let place = &found.place;
        if (columns, rows) != (width, height) {
            return Some(format!(
                "{place} is {width}x{height}, its tiles make {columns}x{rows}"
            ));
        }
        let tiles = u64::from(self.columns).saturating_mul(u64::from(self.rows));
        let due = self.nanos.saturating_mul(tiles);
        let lasts = nanos(found.declared);
        let (there, rounding) = (u64::try_from(lasts).unwrap_or(0), 1_000_000);
        let how = match () {
            () if there > due.saturating_add(rounding) => "longer",
            () if !is_last && there.saturating_add(rounding) < due => "shorter",
            () => return None,
        };
        Some(format!(
            "{place} lasts {} s, {how} than its tiles",
            seconds(lasts)
        ))
    }
}

/// Whether a Representation is for trick play only.
pub(super) fn is_trick(representation: &Representation) -> bool {
    let mut properties = representation.descriptors("EssentialProperty");
    properties.any(|property| property.scheme == TRICK_MODE)
}

/// Whether a set is one of thumbnails.
pub(super) fn is_thumbnails(representation: &Representation) -> bool {
    representation.mime_type() == Some("image/jpeg")
}

/// Judges the stills of a Period.
pub(super) fn judge_period(sheet: &mut Sheet, place: &str, period: &Period) {
    for set in &period.adaptation_sets {
        let at = format!("{place}:{}", set.common.line);
        if set.representations.iter().any(is_trick) {
            sheet.judge("D19", &at, trick_set(period, set));
        }
        if set.representations.iter().any(is_thumbnails) {
            let protected = set.common.has_child("ContentProtection");
            let fault = protected.then(|| "thumbnails with ContentProtection".into());
            sheet.judge("E09", &at, fault);
        }
    }
}

/// D19: a trick set names a main set of its Period, says how fast it may be played, and that its
/// pictures depend on no others (DASH-IF IOP 4.3 3.2.9).
fn trick_set(period: &Period, set: &AdaptationSet) -> Vec<String> {
    let mut faults = Vec::new();
    let says = |name: &str| {
        let own = |r: &Representation| r.attribute(name).is_some();
        set.common.attribute(name).is_some() || set.representations.iter().all(own)
    };
    if !says("maxPlayoutRate") {
        faults.push("no maxPlayoutRate".to_owned());
    }
    let depends = |r: &Representation| r.attribute("codingDependency") != Some("false");
    if set.representations.iter().any(depends) {
        faults.push("no codingDependency=\"false\"".to_owned());
    }
    let properties = set.common.descriptors("EssentialProperty");
    let value = properties
        .filter(|property| property.scheme == TRICK_MODE)
        .find_map(|property| property.value.as_deref());
    let is_main = |id: &str| {
        let mut sets = period.adaptation_sets.iter();
        sets.any(|other| {
            other.id.as_deref() == Some(id) && !other.representations.iter().any(is_trick)
        })
    };
    let ids = value.unwrap_or_default().split_whitespace();
    if value.is_none_or(|value| value.trim().is_empty()) || !ids.clone().all(is_main) {
        faults.push(format!(
            "its value {:?} is not the id of a main set",
            value.unwrap_or_default()
        ));
    }
    faults
}

/// D18: a Representation of thumbnails says how its tiles lie (`CxR`), how large they are together,
/// and what they need; they are JPEGs of that size (DASH-IF IOP 4.3 6.2.6).
pub(super) fn judge_thumbnails(sheet: &mut Sheet, place: &str, view: &RepresentationView<'_>) {
    let representation = view.representation;
    let mut faults = no_jpegs(&view.stream);
    let mut properties = representation.descriptors("EssentialProperty");
    let tiles = properties.find(|property| property.scheme == THUMBNAIL_TILE);
    let value = tiles.and_then(|property| property.value.as_deref());
    if value.and_then(columns_by_rows).is_none() {
        faults.push(format!(
            "no thumbnail_tile of COLUMNSxROWS, but {:?}",
            value.unwrap_or_default()
        ));
    }
    if representation.bandwidth_bps().is_none_or(|rate| rate == 0) {
        faults.push("no bandwidth above 0".to_owned());
    }
    match representation.size() {
        None => faults.push("no width and height".to_owned()),
        Some(size) => {
            let other = |segment: &&StreamSegment| segment.jpeg_size.is_some_and(|s| s != size);
            if let Some(segment) = view.stream.segments.iter().find(other) {
                let (w, h) = segment.jpeg_size.unwrap_or_default();
                faults.push(format!(
                    "{} is {w}x{h}, not {}x{}",
                    segment.place, size.0, size.1
                ));
            }
        }
    }
    sheet.judge("D18", place, faults);
}

fn columns_by_rows(value: &str) -> Option<(u32, u32)> {
    let (columns, rows) = value.trim().split_once('x')?;
    let number = |text: &str| text.parse().ok().filter(|n: &u32| *n > 0);
    Some((number(columns)?, number(rows)?))
}

/// Whether the end of a JPEG is among these bytes (EOI, ITU-T T.81 B.1.1.3). Coded pictures can't hold
/// that marker.
pub(super) fn ends_as_jpeg(tail: &[u8]) -> bool {
    tail.windows(2).any(|pair| pair == [0xff, 0xd9])
}

/// Width and height of the JPEG that starts with these bytes (ITU-T T.81 B.2.2), if its frame header
/// is among them.
pub(super) fn jpeg_size(head: &[u8]) -> Option<(u32, u32)> {
    let mut rest = head.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, after @ ..] = rest else {
            return None;
        };
        if *marker == 0xff {
            rest = rest.get(1..)?; // a fill byte
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*after.first()?, *after.get(1)?]));
        // All but DHT, JPG and DAC of the range are frame headers.
        if matches!(*marker, 0xc0..=0xcf) && !matches!(*marker, 0xc4 | 0xc8 | 0xcc) {
            let pair = |at: usize| {
                let bytes = [*after.get(at)?, *after.get(at + 1)?];
                Some(u32::from(u16::from_be_bytes(bytes)))
            };
            return Some((pair(5)?, pair(3)?));
        }
        if *marker == 0xda || length < 2 {
            return None;
        }
        rest = after.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_size_stands_in_the_frame_header() {
        let jpeg = [
            &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2][..],
            &[0xff, 0xff, 0xc4, 0, 3, 9],
            &[0xff, 0xc0, 0, 11, 8, 0, 224, 1, 144, 1, 0, 0, 0],
        ]
        .concat();
        assert_eq!(jpeg_size(&jpeg), Some((400, 224)));
        assert_eq!(jpeg_size(&jpeg[..16]), None);
        assert_eq!(jpeg_size(b"\xff\xd8\xff\xda\0\x08"), None);
    }

    #[test]
    fn tiles_are_columns_by_rows() {
        assert_eq!(columns_by_rows("5x4"), Some((5, 4)));
        for bad in ["", "5", "0x1", "5X4", "5x4x1", "-1x1"] {
            assert_eq!(columns_by_rows(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = jpeg_size(&bytes);
            let _ = jpeg_size(&[&[0xff, 0xd8][..], &bytes].concat());
        }
    }
}
