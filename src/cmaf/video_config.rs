//! The decoder configuration of a video track: which sample entry it needs, and what is in it.

use super::boxes::BoxWriter;
use crate::codec::av1::Av1Config;
use crate::codec::avc::AvcConfig;
use crate::codec::hevc::HevcConfig;
use crate::codec::light::{content_bytes, mastering_bytes};
use crate::error::Result;
use crate::media::{Light, VideoCodec};

/// A decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoConfig {
    /// Of H.264.
    Avc(AvcConfig),
    /// Of HEVC.
    Hevc(HevcConfig),
    /// Of AV1.
    Av1(Av1Config),
}

impl VideoConfig {
    /// Reads the payload of the codec's configuration box.
    ///
    /// # Errors
    /// When the record is cut off or broken.
    pub fn parse(codec: VideoCodec, record: &[u8]) -> Result<Self> {
        Ok(match codec {
            VideoCodec::H264 => Self::Avc(AvcConfig::parse(record)?),
            VideoCodec::Hevc => Self::Hevc(HevcConfig::parse(record)?),
            VideoCodec::Av1 => Self::Av1(Av1Config::parse(record)?),
        })
    }

    /// The type of the sample entry, which promises that parameter sets are in it.
    pub fn sample_entry(&self) -> &'static [u8; 4] {
        match self {
            Self::Avc(_) => b"avc1",
            Self::Hevc(_) => b"hvc1",
            Self::Av1(_) => b"av01",
        }
    }

    /// The RFC 6381 name.
    pub fn codecs(&self) -> String {
        match self {
            Self::Avc(avc) => avc.codecs(),
            Self::Hevc(hevc) => hevc.codecs_as("hvc1"),
            Self::Av1(av1) => av1.codecs(),
        }
    }

    /// Writes the configuration box.
    pub(super) fn write(&self, w: &mut BoxWriter) {
        let (kind, bytes) = match self {
            Self::Avc(avc) => (b"avcC", avc.to_bytes()),
            Self::Hevc(hevc) => (b"hvcC", hevc.to_bytes()),
            Self::Av1(av1) => (b"av1C", av1.to_bytes()),
        };
        w.nest(kind, |w| {
            w.raw(&bytes);
        });
    }
}

/// Writes what is known of the light (ISO/IEC 14496-12 section 12.1.6): `mdcv` and `clli`.
pub(super) fn write_light(w: &mut BoxWriter, light: &Light) {
    if let Some(mastering) = &light.mastering {
        w.nest(b"mdcv", |w| {
            w.raw(&mastering_bytes(mastering));
        });
    }
    if let Some(content) = &light.content {
        w.nest(b"clli", |w| {
            w.raw(&content_bytes(content));
        });
    }
}
