//! What video is encoded as: the codec, and the range of light its pictures have.

use serde::{Deserialize, Serialize};

use super::{Colour, Light};

/// A codec that renditions are made in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// H.264, by x264: plays everywhere.
    #[default]
    H264,
    /// HEVC, by x265, under the sample entry `hvc1`.
    Hevc,
    /// AV1, by SVT-AV1.
    Av1,
}

impl VideoCodec {
    /// How it is written in policies and in the ids of tracks.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
        }
    }

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
        }
    }

    /// What the RFC 6381 names of our tracks begin with.
    pub fn sample_entry(self) -> &'static str {
        match self {
            Self::H264 => "avc1",
            Self::Hevc => "hvc1",
            Self::Av1 => "av01",
        }
    }

    /// The codec of an RFC 6381 name; `None` for any other.
    pub fn of_codecs(codecs: &str) -> Option<Self> {
        match codecs.split('.').next()? {
            "avc1" | "avc3" => Some(Self::H264),
            "hvc1" | "hev1" => Some(Self::Hevc),
            "av01" => Some(Self::Av1),
            _ => None,
        }
    }

    /// Frames by which an encoder of ours may decode a picture before it is shown. A sample of AV1
    /// holds all that is decoded up to the picture it shows, so samples come in the order they are
    /// shown.
    pub fn reorder_frames(self) -> u32 {
        match self {
            Self::H264 | Self::Hevc => super::REORDER_FRAMES,
            Self::Av1 => 0,
        }
    }

    /// Whether it is the one that is there unless a policy says otherwise.
    pub fn is_h264(&self) -> bool {
        *self == Self::H264
    }
}

/// The range of light that encoded pictures have, in HLS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoRange {
    /// Standard: BT.709, limited range, 8 bits.
    #[default]
    Sdr,
    /// Perceptual quantiser (SMPTE ST 2084) with BT.2020's colours in 10 bits: HDR10, with what is
    /// known of the light.
    Pq(Light),
    /// Hybrid log-gamma (ARIB STD-B67) with BT.2020's colours in 10 bits.
    Hlg,
}

impl VideoRange {
    /// The colour of its pictures.
    pub fn colour(&self) -> Colour {
        let wide = |transfer| Colour {
            primaries: 9,
            transfer,
            matrix: 9,
            full_range: false,
        };
        match self {
            Self::Sdr => Colour::BT709,
            Self::Pq(_) => wide(Colour::PQ),
            Self::Hlg => wide(Colour::HLG),
        }
    }

    /// What is known of its light.
    pub fn light(&self) -> Light {
        match self {
            Self::Pq(light) => *light,
            Self::Sdr | Self::Hlg => Light::UNKNOWN,
        }
    }

    /// HLS's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sdr => "SDR",
            Self::Pq(_) => "PQ",
            Self::Hlg => "HLG",
        }
    }

    /// Whether it is standard.
    pub fn is_sdr(&self) -> bool {
        *self == Self::Sdr
    }
}
