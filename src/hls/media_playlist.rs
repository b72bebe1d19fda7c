//! Media playlists: one track's segments (R 4.4.3, 4.4.4).

use std::fmt::Write as _;

use super::attributes::AttributeList;
use super::keys::key_attributes;
use super::{check, tag};
use crate::error::{Error, Result};
use crate::layout::{INIT_NAME, segment_name, text_segment_name};
use crate::media::{Presentation, Scheme, SegmentInfo, TextTrack, TrackCommon};
use crate::time::{Rounding, Timescale, rescale};

/// The version that `EXT-X-MAP` in a playlist of whole segments needs (R 8, rule H02).
pub(super) const VERSION: u32 = 6;

/// From a media playlist to its asset's folder.
const TO_ASSET: &str = "../../";

/// One target duration for the playlists of all tracks, in seconds (rules H04, H10): the longest
/// `EXTINF` rounded to the nearest whole, at least 1.
pub fn target_duration(presentation: &Presentation) -> u32 {
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    let longest = video
        .chain(audio)
        .flat_map(|track| extinf_micros(&track.segments, track.timescale))
        .max();
    rounded_seconds(longest)
}

/// That of a text track's playlist, which in VOD may be another than that of sound and pictures
/// (rule H10).
pub(super) fn text_target_duration(track: &TextTrack) -> u32 {
    rounded_seconds(extinf_micros(&track.segments, track.timescale).max())
}

pub(super) fn rounded_seconds(longest_micros: Option<u64>) -> u32 {
    let seconds = longest_micros.unwrap_or(0).saturating_add(500_000) / 1_000_000;
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// The media playlist of `track`, its URIs relative to the track's folder. `target_seconds` is
/// that of the whole presentation: [`target_duration`].
///
/// `EXT-X-INDEPENDENT-SEGMENTS` holds for every track: ours start at a sync sample (rule H16).
pub fn media_playlist(track: &TrackCommon, target_seconds: u32) -> Result<String> {
    let map = AttributeList::new().quoted("URI", INIT_NAME);
    let map = format!("#{}:{map}\n", tag::MAP);
    let protection = track.protection.as_ref();
    let keys = protection.map_or_else(Vec::new, |it| key_attributes(it, TO_ASSET));
    let keys: String = keys
        .iter()
        .map(|key| format!("#{}:{key}\n", tag::KEY))
        .collect();
    // A key goes for an init segment that follows it, and whole-segment encryption leaves ours clear.
    let keys_and_map = match protection.map(|protection| protection.scheme) {
        Some(Scheme::Aes128) => map + &keys,
        _ => keys + &map,
    };
    let header = format!("#{}\n{keys_and_map}", tag::INDEPENDENT_SEGMENTS);
    let listed = Listed {
        id: &track.id,
        segments: &track.segments,
        timescale: track.timescale,
        name: segment_name,
    };
    listed.playlist(target_seconds, &header)
}

/// The media playlist of a text track, its URIs relative to the track's folder: plain WebVTT
/// segments without an init segment (rule H40).
pub fn text_playlist(track: &TextTrack) -> Result<String> {
    let listed = Listed {
        id: &track.id,
        segments: &track.segments,
        timescale: track.timescale,
        name: text_segment_name,
    };
    listed.playlist(text_target_duration(track), "")
}

/// What a media playlist lists.
struct Listed<'a> {
    id: &'a str,
    segments: &'a [SegmentInfo],
    timescale: Timescale,
    /// The URI of a segment by its number.
    name: fn(u32) -> String,
}

impl Listed<'_> {
    /// The whole playlist; `header` stands before the first segment.
    fn playlist(&self, target_seconds: u32, header: &str) -> Result<String> {
        if self.segments.is_empty() {
            let message = format!("track {} has no segments to list", self.id);
            return Err(Error::internal(message));
        }
        let mut text = format!(
            "#{}\n#{}:{VERSION}\n#{}:{target_seconds}\n#{}:1\n#{}:VOD\n{header}",
            tag::M3U,
            tag::VERSION,
            tag::TARGET_DURATION,
            tag::MEDIA_SEQUENCE,
            tag::PLAYLIST_TYPE,
        );
        for (number, micros) in (1..).zip(extinf_micros(self.segments, self.timescale)) {
            let (whole, fraction) = (micros / 1_000_000, micros % 1_000_000);
            let uri = (self.name)(number);
            // Writing to a String can't fail.
            let _ = writeln!(text, "#{}:{whole}.{fraction:06},\n{uri}", tag::EXTINF);
        }
        let _ = writeln!(text, "#{}", tag::ENDLIST);
        check(&text)?;
        Ok(text)
    }
}

/// Each segment's `EXTINF` in microseconds. Borders are rounded rather than lengths, so that the
/// sum over any run is within a microsecond of the truth (rule H07).
pub(super) fn extinf_micros(
    segments: &[SegmentInfo],
    timescale: Timescale,
) -> impl Iterator<Item = u64> + '_ {
    let mut ticks: i64 = 0;
    let mut border: i64 = 0;
    segments.iter().map(move |segment| {
        let duration = i64::try_from(segment.duration).unwrap_or(i64::MAX);
        ticks = ticks.saturating_add(duration);
        let before = border;
        border = rescale(ticks, timescale, Timescale::MICROS, Rounding::Nearest);
        border.abs_diff(before)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Playlist, PlaylistType, read};
    use super::*;
    use crate::media::{TextKind, example};

    fn track(timescale: u32, durations: &[u64]) -> TrackCommon {
        let segment = |&duration| SegmentInfo {
            duration,
            bytes: 1000,
        };
        TrackCommon {
            id: "v360".into(),
            codecs: "avc1.64001e".into(),
            timescale: Timescale::new(timescale).expect("non-zero"),
            init_bytes: 700,
            segments: durations.iter().map(segment).collect(),
            expected: None,
            protection: None,
        }
    }

    #[test]
    fn media_playlist_is_as_expected() {
        let track = track(30_000, &[120_120, 120_120, 30_030]);
        let text = media_playlist(&track, 4).expect("writes");
        insta::assert_snapshot!(text, @r##"
        #EXTM3U
        #EXT-X-VERSION:6
        #EXT-X-TARGETDURATION:4
        #EXT-X-MEDIA-SEQUENCE:1
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-MAP:URI="init.mp4"
        #EXTINF:4.004000,
        1.m4s
        #EXTINF:4.004000,
        2.m4s
        #EXTINF:1.001000,
        3.m4s
        #EXT-X-ENDLIST
        "##);
    }

    #[test]
    fn text_playlist_is_as_expected() {
        let mut track = example::text("en", "English", TextKind::Subtitles, true);
        track.segments = [900_900, 900_900, 30_030]
            .map(|duration| SegmentInfo { duration, bytes: 9 })
            .into();
        insta::assert_snapshot!(text_playlist(&track).expect("writes"), @r##"
        #EXTM3U
        #EXT-X-VERSION:6
        #EXT-X-TARGETDURATION:30
        #EXT-X-MEDIA-SEQUENCE:1
        #EXT-X-PLAYLIST-TYPE:VOD
        #EXTINF:30.030000,
        1.vtt
        #EXTINF:30.030000,
        2.vtt
        #EXTINF:1.001000,
        3.vtt
        #EXT-X-ENDLIST
        "##);
        track.segments.clear();
        assert!(text_playlist(&track).is_err());
    }

    #[test]
    fn track_without_segments_is_refused() {
        assert!(media_playlist(&track(1000, &[]), 4).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            timescale in 1_u32..200_000,
            durations in prop::collection::vec(1_u64..2_000_000, 1..40),
        ) {
            let track = track(timescale, &durations);
            let text = media_playlist(&track, 9).expect("writes");
            let Playlist::Media(playlist) = read(&text).expect("reads") else {
                panic!("a media playlist")
            };
            prop_assert_eq!(&playlist.document.problems, &[]);
            prop_assert_eq!(playlist.playlist_type.as_ref(), Some(&PlaylistType::Vod));
            prop_assert!(playlist.end_list && playlist.independent_segments);
            prop_assert_eq!(playlist.segments.len(), durations.len());
            for (number, segment) in (1_u64..).zip(&playlist.segments) {
                prop_assert_eq!(segment.sequence_number, number);
                prop_assert_eq!(&segment.uri, &format!("{number}.m4s"));
                let map = playlist.map_of(segment).expect("a map");
                prop_assert_eq!(map.uri.as_str(), "init.mp4");
            }
        }

        /// H07 with a margin of three orders of magnitude.
        #[test]
        fn any_run_of_extinf_is_within_a_microsecond_of_the_truth(
            timescale in 1_u32..200_000,
            durations in prop::collection::vec(0_u64..2_000_000, 1..40),
            from in 0_usize..40,
        ) {
            let track = track(timescale, &durations);
            let written: Vec<u64> = extinf_micros(&track.segments, track.timescale).collect();
            let (mut sum, mut ticks) = (0_i128, 0_i128);
            let from = from.min(durations.len());
            for (micros, duration) in written[from..].iter().zip(&durations[from..]) {
                sum += i128::from(*micros);
                ticks += i128::from(*duration);
                let off = sum * i128::from(timescale) - ticks * 1_000_000;
                prop_assert!(off.abs() <= i128::from(timescale));
            }
        }
    }
}
