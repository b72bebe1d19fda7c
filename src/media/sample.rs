//! An encoded sample: what encoders give, what fragments are made of.

use bytes::Bytes;

/// One encoded access unit with its times, ready to be muxed.
///
/// For H.264 the data is length-prefixed NAL units (ISO/IEC 14496-15, 4-byte lengths).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// How long it lasts, in ticks of its track's timescale.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks; negative is allowed (`trun` version 1).
    pub composition_offset: i32,
    /// Whether decoding can start here (IDR picture, any AAC frame).
    pub sync: bool,
    /// The encoded bytes.
    pub data: Bytes,
}
