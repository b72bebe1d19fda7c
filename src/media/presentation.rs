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
