//! A presentation as manifests describe it: tracks, segments, measured sizes.
//!
//! Both `hls` and `dash` render from this, and only from this. It is also the record
//! (`presentation.json`) that is written last.

use serde::{Deserialize, Serialize};

use super::{Colour, Waiver};
use crate::time::{FrameRate, Ticks, Timescale};

/// A whole presentation of one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presentation {
    /// Digest of source, plan and format version: the folder of all immutable objects.
    pub revision: String,
    /// Digest of the source's bytes.
    pub source_digest: String,
    /// Length.
    pub duration: Ticks,
    /// Video renditions of one switching set, largest picture first. May be empty (audio only).
    pub video: Vec<VideoTrack>,
    /// Audio renditions.
    pub audio: Vec<AudioTrack>,
    /// Rules knowingly not met.
    pub waivers: Vec<Waiver>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What every track has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackCommon {
    /// Name in URLs: `v1080`, `a-en`.
    pub id: String,
    /// RFC 6381 codec string, read from the init segment.
    pub codecs: String,
    /// Ticks a second of segment times.
    pub timescale: Timescale,
    /// Size of the init segment in bytes.
    pub init_bytes: u64,
    /// The segments in order, without gaps, the first starting at decode time 0.
    pub segments: Vec<SegmentInfo>,
}

/// One segment as manifests need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// Sum of its sample durations, in ticks.
    pub duration: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A video rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoTrack {
    /// What every track has.
    #[serde(flatten)]
    pub common: TrackCommon,
    /// Picture width.
    pub width: u32,
    /// Picture height.
    pub height: u32,
    /// Frames a second.
    pub frame_rate: FrameRate,
    /// Colour of the encoded pictures.
    pub colour: Colour,
    /// Repackaged, not encoded.
    pub copied: bool,
    /// Audio group that variants of this rendition name: the id of an [`AudioTrack::group`].
    pub audio_group: Option<String>,
}

/// An audio rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioTrack {
    /// What every track has.
    #[serde(flatten)]
    pub common: TrackCommon,
    /// HLS group: one per codec, channel count and bitrate, each with every language.
    pub group: String,
    /// BCP 47 language.
    pub language: String,
    /// Name shown to people.
    pub name: String,
    /// Played when the user chose nothing.
    pub default: bool,
    /// Channels.
    pub channels: u16,
    /// Samples a second.
    pub sample_rate: u32,
    /// Samples of encoder delay, signalled by edit list.
    pub priming: u32,
    /// Repackaged, not encoded.
    pub copied: bool,
}

/// A presentation to render in tests: three rungs, two languages, two audio bitrates.
#[cfg(test)]
#[allow(missing_docs, reason = "test data that explains itself")]
pub(crate) mod example {
    use super::*;

    /// 10.01 seconds at 30000/1001 frames a second in segments of 4.004 s; audio of 48 kHz.
    pub(crate) fn presentation() -> Presentation {
        Presentation {
            revision: "0123456789abcdef0123456789abcdef".into(),
            source_digest: "feed".into(),
            duration: Ticks::new(300_300, timescale(30_000)),
            video: vec![
                video("v1080", 1920, 1080, 625, Some("a-high")),
                video("v720", 1280, 720, 230, Some("a-high")),
                video("v360", 640, 360, 40, Some("a-low")),
            ],
            audio: vec![
                audio("a-en", "a-high", "en", "English", true, 16),
                audio("a-en-low", "a-low", "en", "English", true, 8),
                audio(
                    "a-fr",
                    "a-high",
                    "fr",
                    "Français \"doublé\" & <plus>",
                    false,
                    17,
                ),
                audio(
                    "a-fr-low",
                    "a-low",
                    "fr",
                    "Français \"doublé\" & <plus>",
                    false,
                    8,
                ),
            ],
            waivers: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn timescale(ticks_per_second: u32) -> Timescale {
        Timescale::new(ticks_per_second).expect("non-zero")
    }

    pub(crate) fn video(
        id: &str,
        width: u32,
        height: u32,
        kilobytes_per_second: u64,
        audio_group: Option<&str>,
    ) -> VideoTrack {
        let durations = [120_120, 120_120, 60_060];
        VideoTrack {
            common: common(id, "avc1.64001f", 30_000, &durations, kilobytes_per_second),
            width,
            height,
            frame_rate: FrameRate::new(30_000, 1001).expect("valid"),
            colour: Colour::BT709,
            copied: false,
            audio_group: audio_group.map(str::to_owned),
        }
    }

    pub(crate) fn audio(
        id: &str,
        group: &str,
        language: &str,
        name: &str,
        default: bool,
        kilobytes_per_second: u64,
    ) -> AudioTrack {
        let durations = [188 * 1024, 188 * 1024, 95 * 1024];
        AudioTrack {
            common: common(id, "mp4a.40.2", 48_000, &durations, kilobytes_per_second),
            group: group.into(),
            language: language.into(),
            name: name.into(),
            default,
            channels: 2,
            sample_rate: 48_000,
            priming: 1024,
            copied: false,
        }
    }

    pub(crate) fn common(
        id: &str,
        codecs: &str,
        ticks_per_second: u32,
        durations: &[u64],
        kilobytes_per_second: u64,
    ) -> TrackCommon {
        // The second segment is half as large again as the others, for their length.
        let segment = |(i, &duration): (usize, &u64)| SegmentInfo {
            duration,
            bytes: duration * kilobytes_per_second * if i == 1 { 1500 } else { 1000 }
                / u64::from(ticks_per_second),
        };
        TrackCommon {
            id: id.into(),
            codecs: codecs.into(),
            timescale: timescale(ticks_per_second),
            init_bytes: 700,
            segments: durations.iter().enumerate().map(segment).collect(),
        }
    }
}
