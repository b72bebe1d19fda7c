//! Playlists of stills: I-frames as byte ranges of their segments (R 4.4.3.6), JPEGs as I-frames,
//! and JPEGs as Roku devices list them (`EXT-X-IMAGES-ONLY`).

use std::fmt::Write as _;

use super::attributes::AttributeList;
use super::media_playlist::{VERSION, extinf_micros, rounded_seconds};
use super::{check, tag};
use crate::error::{Error, Result};
use crate::layout::{INIT_NAME, segment_name, thumbnail_name};
use crate::media::{SegmentInfo, Thumbnails, TrackCommon};
use crate::time::{Rounding, Ticks, Timescale};

/// The target duration of a playlist of stills, which in VOD may be another than that of the video
/// (rule H10): the longest `EXTINF` in whole seconds, at least 1.
pub fn still_target_duration(pictures: &[SegmentInfo], timescale: Timescale) -> u32 {
    rounded_seconds(extinf_micros(pictures, timescale).max())
}

/// The I-frame playlist of `track`, whose segments hold these `fragments`: each is a segment of its
/// own here, its `moof` included (rule H45). URIs are relative to the track's folder.
///
/// # Errors
/// When segments and fragments don't go together.
pub fn i_frame_playlist(track: &TrackCommon, fragments: &[Vec<SegmentInfo>]) -> Result<String> {
    let same = |(segment, fragments): (&SegmentInfo, &Vec<SegmentInfo>)| {
        let sum = |of: fn(&SegmentInfo) -> u64| fragments.iter().map(of).sum::<u64>();
        (sum(|f| f.duration), sum(|f| f.bytes)) == (segment.duration, segment.bytes)
    };
    let mut pairs = track.segments.iter().zip(fragments);
    if track.segments.len() != fragments.len() || !pairs.all(same) {
        let message = format!("track {}: its fragments don't fill its segments", track.id);
        return Err(Error::internal(message));
    }
    let pictures: Vec<SegmentInfo> = fragments.iter().flatten().copied().collect();
    let map = AttributeList::new().quoted("URI", INIT_NAME);
    let header = format!(
        "#{}\n#{}\n#{}:{map}\n",
        tag::I_FRAMES_ONLY,
        tag::INDEPENDENT_SEGMENTS,
        tag::MAP
    );
    let mut lengths = extinf_micros(&pictures, track.timescale);
    let mut body = String::new();
    for (number, fragments) in (1..).zip(fragments) {
        let mut offset = 0_u64;
        for SegmentInfo { bytes, .. } in fragments {
            extinf(&mut body, lengths.next().unwrap_or(0));
            let uri = segment_name(number);
            let _ = writeln!(body, "#{}:{bytes}@{offset}\n{uri}", tag::BYTERANGE);
            offset = offset.saturating_add(*bytes);
        }
    }
    let target = still_target_duration(&pictures, track.timescale);
    playlist(target, &header, &body)
}

/// The thumbnails of a title that lasts `duration` as an I-frame playlist. URIs are relative to
/// their folder.
///
/// # Errors
/// When there are none.
pub fn thumbnail_playlist(thumbnails: &Thumbnails, duration: Ticks) -> Result<String> {
    let header = format!("#{}\n", tag::I_FRAMES_ONLY);
    let pictures = pictures(thumbnails, duration);
    let mut body = String::new();
    for (number, micros) in (1..).zip(extinf_micros(&pictures, thumbnails.timescale)) {
        extinf(&mut body, micros);
        let _ = writeln!(body, "{}", thumbnail_name(number));
    }
    let target = still_target_duration(&pictures, thumbnails.timescale);
    playlist(target, &header, &body)
}

/// The same as an image playlist: every picture is a tile by itself (rule H49).
///
/// # Errors
/// When there are none.
pub fn image_playlist(thumbnails: &Thumbnails, duration: Ticks) -> Result<String> {
    let header = format!("#{}\n", tag::IMAGES_ONLY);
    let pictures = pictures(thumbnails, duration);
    let (width, height) = (thumbnails.width, thumbnails.height);
    let mut body = String::new();
    for (number, micros) in (1..).zip(extinf_micros(&pictures, thumbnails.timescale)) {
        extinf(&mut body, micros);
        let tiles = AttributeList::new()
            .plain("RESOLUTION", format_args!("{width}x{height}"))
            .plain("LAYOUT", "1x1")
            .plain("DURATION", seconds(micros));
        let _ = writeln!(body, "#{}:{tiles}\n{}", tag::TILES, thumbnail_name(number));
    }
    let target = still_target_duration(&pictures, thumbnails.timescale);
    playlist(target, &header, &body)
}

/// Each thumbnail as a segment: the last one is as long as what is left. Their sizes aren't looked
/// at here.
fn pictures(thumbnails: &Thumbnails, duration: Ticks) -> Vec<SegmentInfo> {
    let end = duration.to(thumbnails.timescale, Rounding::Nearest).count;
    let mut left = u64::try_from(end).unwrap_or(0);
    let picture = |_| {
        let duration = thumbnails.duration.min(left);
        left -= duration;
        SegmentInfo { duration, bytes: 0 }
    };
    (0..thumbnails.count).map(picture).collect()
}

fn playlist(target_seconds: u32, header: &str, body: &str) -> Result<String> {
    if body.is_empty() {
        return Err(Error::internal("a playlist of no stills"));
    }
    let text = format!(
        "#{}\n#{}:{VERSION}\n#{}:{target_seconds}\n#{}:1\n#{}:VOD\n{header}{body}#{}\n",
        tag::M3U,
        tag::VERSION,
        tag::TARGET_DURATION,
        tag::MEDIA_SEQUENCE,
        tag::PLAYLIST_TYPE,
        tag::ENDLIST,
    );
    check(&text)?;
    Ok(text)
}

fn extinf(text: &mut String, micros: u64) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "#{}:{},", tag::EXTINF, seconds(micros));
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::super::{MediaPlaylist, Playlist, read};
    use super::*;
    use crate::media::example;

    fn read_media(text: &str) -> MediaPlaylist {
        match read(text).expect("reads") {
            Playlist::Media(playlist) => playlist,
            Playlist::Multivariant(_) => panic!("a media playlist"),
        }
    }

    #[test]
    fn i_frame_playlist_is_as_expected() {
        let (track, fragments) = example::trick();
        let text = i_frame_playlist(&track.common, &fragments).expect("writes");
        insta::assert_snapshot!(text);
        let playlist = read_media(&text);
        assert!(playlist.i_frames_only);
        let ends: Vec<u64> = playlist
            .segments
            .iter()
            .filter_map(|s| Some(s.byte_range?.offset? + s.byte_range?.length))
            .collect();
        assert_eq!(ends.last(), track.common.segments.last().map(|s| &s.bytes));
    }

    #[test]
    fn fragments_that_leave_a_hole_are_refused() {
        let (track, mut fragments) = example::trick();
        fragments[0][0].bytes -= 1;
        assert!(i_frame_playlist(&track.common, &fragments).is_err());
        fragments.pop();
        assert!(i_frame_playlist(&track.common, &fragments).is_err());
    }

    #[test]
    fn thumbnails_are_listed_in_both_ways() {
        let presentation = example::with_stills();
        let stills = presentation.stills.expect("has");
        let duration = presentation.duration;
        let i_frames = thumbnail_playlist(&stills.thumbnails, duration).expect("writes");
        insta::assert_snapshot!(i_frames);
        let images = image_playlist(&stills.thumbnails, duration).expect("writes");
        insta::assert_snapshot!(images);
        let (i_frames, images) = (read_media(&i_frames), read_media(&images));
        assert!(i_frames.i_frames_only && images.images_only);
        assert_eq!(i_frames.duration_nanos(), 10_010_000_000);
        let uris = |p: &MediaPlaylist| p.segments.iter().map(|s| s.uri.clone()).collect::<Vec<_>>();
        assert_eq!(uris(&i_frames), uris(&images));
    }
}
