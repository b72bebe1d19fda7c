//! What the user asks for: a TOML file, or flags. Everything has a default.

use serde::{Deserialize, Serialize};

/// When a source's own encoded samples are repackaged instead of encoded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passthrough {
    /// Where the source already is what the top rung (or the audio) would be.
    #[default]
    Auto,
    /// Encode everything.
    Never,
    /// Repackage everything; nothing is decoded, and a source that can't be is refused.
    Only,
}

/// Encoder effort, in x264's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are x264's own")]
pub enum Preset {
    Ultrafast,
    Superfast,
    #[default]
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
    Veryslow,
}

impl Preset {
    /// All of them, fastest first.
    pub const ALL: [Self; 9] = [
        Self::Ultrafast,
        Self::Superfast,
        Self::Veryfast,
        Self::Faster,
        Self::Fast,
        Self::Medium,
        Self::Slow,
        Self::Slower,
        Self::Veryslow,
    ];

    /// x264's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }
}

/// What to make of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Short sides of the rungs to make, e.g. `[1080, 720]`; empty for the standard ladder.
    pub rungs: Vec<u32>,
    /// Nominal segment length in seconds (1 to 10).
    pub segment_seconds: u32,
    /// Distance between IDR pictures in seconds (1 to 10, at most the segment length).
    pub gop_seconds: u32,
    /// About how much of the title one encoding task covers, in seconds.
    pub chunk_seconds: u32,
    /// Whether to repackage instead of encode.
    pub passthrough: Passthrough,
    /// x264 effort.
    pub preset: Preset,
    /// x264 constant rate factor (0 to 51), capped by each rung's peak.
    pub crf: u32,
    /// Bitrate of the main stereo audio, bits a second.
    pub audio_bitrate: u32,
    /// Bitrate of the audio that goes with the lowest rung, bits a second.
    pub audio_bitrate_low: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rungs: Vec::new(),
            segment_seconds: 6,
            gop_seconds: 2,
            chunk_seconds: 36,
            passthrough: Passthrough::Auto,
            preset: Preset::Veryfast,
            crf: 23,
            audio_bitrate: 128_000,
            audio_bitrate_low: 64_000,
        }
    }
}
