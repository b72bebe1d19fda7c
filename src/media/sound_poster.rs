//! The poster of a title that has nothing to see.

use serde::{Deserialize, Serialize};

use super::{AudioTask, Codec, Place};

/// Make a JPEG for a title of sound alone: of its cover art, or else a drawing of how loud its
/// beginning is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoundPosterTask {
    /// The picture that came with the sound.
    pub cover: Option<Cover>,
    /// What to draw where there is none that can be used: without encoders.
    pub sound: AudioTask,
}

/// A picture that a source of sound carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Decoder.
    pub codec: Codec,
    /// Decoder configuration.
    pub config: Vec<u8>,
    /// Where its bytes are.
    pub place: Place,
}
