//! In which order pictures are shown, where the container doesn't tell.

use serde::{Deserialize, Serialize};

use super::{Codec, Place};

/// Decode a video track and say in which order its pictures come out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTask {
    /// Decoder.
    pub codec: Codec,
    /// Decoder configuration.
    pub config: Vec<u8>,
    /// Decoded width.
    pub width: u32,
    /// Decoded height.
    pub height: u32,
    /// Samples in decode order, and whether decoding can start there.
    pub samples: Vec<(Place, bool)>,
}

/// For each sample of an [`OrderTask`], its rank in presentation order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ranks(pub Vec<u32>);
