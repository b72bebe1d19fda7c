//! How loud a title shall be, and how each of its sounds gets there.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Hundredths of a decibel in one.
pub const CENTI: f64 = 100.0;

/// The loudness that a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LoudnessTarget {
    /// Integrated loudness of each sound track by EBU R 128, in LUFS (-40 to -5).
    #[cfg_attr(feature = "origin", schema(minimum = -40, maximum = -5))]
    pub target_lufs: f64,
    /// Highest true peak of what players hear, in dBTP (-12 to 0).
    #[cfg_attr(feature = "origin", schema(minimum = -12, maximum = 0))]
    pub peak_dbtp: f64,
}

impl Default for LoudnessTarget {
    fn default() -> Self {
        Self {
            target_lufs: -16.0,
            peak_dbtp: -1.0,
        }
    }
}

impl LoudnessTarget {
    /// Whether both values are within their ranges.
    ///
    /// # Errors
    /// Names the value, its range and what was given.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("target_lufs", self.target_lufs, -40.0, -5.0),
            ("peak_dbtp", self.peak_dbtp, -12.0, 0.0),
        ];
        for (name, value, low, high) in ranges {
            // What is no number is in no range.
            if !(low..=high).contains(&value) {
                return Err(Error::invalid(format!(
                    "policy: loudness.{name} is {value}; it must be {low} to {high}"
                )));
            }
        }
        Ok(())
    }
}

/// What is done to the level of a sound before it is encoded.
///
/// Where there is one, more channels than the output has are mixed at the full level of ITU-R
/// BS.775; without one, they are scaled so that their sum can't clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// Gain in hundredths of a decibel.
    pub gain_centi_db: i32,
    /// The true peak that a limiter keeps it under, in hundredths of dBTP; `None` where no limiter
    /// is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_centi_dbtp: Option<i32>,
}

impl Level {
    /// Encoded frames of sound that a limiter must have seen before its output no longer depends
    /// on where it was started: it looks ahead by 256 samples and lets go within 18 frames.
    pub const RUN_IN_FRAMES: u32 = 20;

    /// Frames before the first one wanted, at which sound has to start.
    pub fn run_in(level: Option<Self>) -> u32 {
        match level.and_then(|level| level.ceiling_centi_dbtp) {
            Some(_) => Self::RUN_IN_FRAMES,
            None => 0,
        }
    }
}

/// How loud one sound of a source is, and what becomes of it: a track in so many channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundLevel {
    /// Index into [`super::SourceIndex::tracks`].
    pub track: usize,
    /// Channels that it was heard in.
    pub channels: u16,
    /// What was heard before anything was changed; `None` for silence.
    pub heard: Option<Heard>,
    /// What is to be done to reach the target.
    pub level: Level,
}

/// Loudness and true peak, whole hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Integrated loudness in hundredths of LUFS.
    pub centi_lufs: i32,
    /// Highest true peak in hundredths of dBTP.
    pub peak_centi_dbtp: i32,
}
