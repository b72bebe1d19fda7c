//! How the lines of a picture were taken: all at once, or every other one a moment later.

use serde::{Deserialize, Serialize};

use super::{Codec, TaskSample};
use crate::time::Timescale;

/// How a title's pictures are made whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// Nobody looked: each picture that the decoder marks as interlaced becomes one progressive
    /// picture, the others stay as they are.
    #[default]
    AsMarked,
    /// The pictures are whole, whatever the bitstream marks them as.
    Progressive,
    /// Every picture is two fields, one after the other, and each becomes a picture.
    Fields {
        /// The one with the topmost line is the earlier.
        top_first: bool,
    },
}

impl Scan {
    /// Whether it is [`Self::AsMarked`], which plans and tasks don't write.
    pub fn is_as_marked(&self) -> bool {
        *self == Self::AsMarked
    }

    /// Whether every picture of the source gives two.
    pub fn is_fields(self) -> bool {
        matches!(self, Self::Fields { .. })
    }
}

/// Decode stretches of a video track and say whether their pictures look combed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanTask {
    /// Decoder.
    pub codec: Codec,
    /// Decoder configuration.
    pub config: Vec<u8>,
    /// Timescale of the sample times.
    pub timescale: Timescale,
    /// Decoded width.
    pub width: u32,
    /// Decoded height.
    pub height: u32,
    /// Samples in decode order, each stretch starting with a sync sample.
    pub stretches: Vec<Vec<TaskSample>>,
}

/// What a [`ScanTask`] counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScanCount {
    /// Pictures looked at.
    pub pictures: u32,
    /// Of these the bitstream marks as interlaced.
    pub marked: u32,
    /// Of those marked, with the top field first.
    pub marked_top_first: u32,
    /// Look like two fields, the top one earlier.
    pub top_first: u32,
    /// Look like two fields, the bottom one earlier.
    pub bottom_first: u32,
    /// Look whole.
    pub whole: u32,
    /// Pixels looked at for combs, where most pictures aren't marked.
    pub pixels: u64,
    /// Of these, such as differ from the lines above and below but not from those two lines away.
    pub combs: u64,
    /// Share a field with the picture before: film stretched to a faster rate.
    pub repeats: u32,
}
