//! What a track is, apart from its samples: codec, configuration, picture and sound properties.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Light;

/// A codec, by the name FFmpeg's decoders know it under.
///
/// Anything not on the list is [`Codec::Other`]: kept for the report, never decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Codec {
    /// A codec on the allow-list: its FFmpeg codec name, e.g. `h264`, `aac`, `pcm_s16le`.
    Known(&'static str),
    /// A codec that is not: its FFmpeg name or four-character code.
    Other(String),
}

/// Codecs that may be decoded, in FFmpeg's names (`avcodec_descriptor_get_by_name`).
pub const ALLOWED_CODECS: &[&str] = &[
    "h264",
    "hevc",
    "av1",
    "vp8",
    "vp9",
    "mpeg1video",
    "mpeg2video",
    "mpeg4",
    "h263",
    "msmpeg4v3",
    "theora",
    "prores",
    "mjpeg",
    "dnxhd",
    "dvvideo",
    "ffv1",
    "wmv2",
    "vc1",
    "flv1",
    "rawvideo",
    "png",
    "aac",
    "mp3",
    "mp2",
    "ac3",
    "eac3",
    "opus",
    "vorbis",
    "flac",
    "alac",
    "dts",
    "wmav2",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_s32be",
    "pcm_f32le",
    "pcm_f32be",
    "pcm_f64le",
    "pcm_f64be",
    "pcm_u8",
    "pcm_s8",
    "pcm_alaw",
    "pcm_mulaw",
    "amr_nb",
    "amr_wb",
    "adpcm_ima_qt",
    "adpcm_ms",
    "adpcm_ima_wav",
    "truehd",
];

impl Codec {
    /// H.264 / AVC.
    pub const H264: Self = Self::Known("h264");
    /// H.265 / HEVC.
    pub const HEVC: Self = Self::Known("hevc");
    /// AV1.
    pub const AV1: Self = Self::Known("av1");
    /// Advanced Audio Coding.
    pub const AAC: Self = Self::Known("aac");

    /// The codec of that FFmpeg name.
    pub fn from_name(name: &str) -> Self {
        match ALLOWED_CODECS.iter().find(|known| **known == name) {
            Some(known) => Self::Known(known),
            None => Self::Other(name.to_owned()),
        }
    }

    /// FFmpeg's name, or the four-character code of a codec we don't know.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }

    /// Whether it may be decoded.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Known(_))
    }
}

impl Serialize for Codec {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Codec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::from_name(&name))
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the decoded picture must be turned to stand upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Orientation {
    /// Quarter turns clockwise to apply to the decoded picture: 0, 1, 2 or 3.
    pub quarter_turns: u8,
    /// Mirror left-right first, then turn.
    pub mirrored: bool,
}

impl Orientation {
    /// The quarter turns and the mirroring nearest to a transformation matrix `[a, b, c, d]`
    /// (ISO/IEC 14496-12 section 6.2.2): x' = ax + cy, y' = bx + dy. `x` grows right and `y` down,
    /// so `(a, b)` is where the picture's right-hand direction goes to.
    pub fn from_matrix(matrix: [i64; 4]) -> Self {
        let [a, b, c, d] = matrix.map(i128::from);
        let mirrored = a * d - b * c < 0;
        // Without the mirror, which is applied first, the first row says where right has gone.
        let (right, down) = if mirrored { (-a, -b) } else { (a, b) };
        let quarter_turns = match (right.abs() >= down.abs(), right >= 0, down >= 0) {
            (true, true, _) => 0,
            (false, _, true) => 1,
            (true, false, _) => 2,
            (false, _, false) => 3,
        };
        Self {
            quarter_turns,
            mirrored,
        }
    }
}

/// Colour description, as the code points of ISO/IEC 23091-2 (2 = unspecified).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// `ColourPrimaries`.
    pub primaries: u8,
    /// `TransferCharacteristics`.
    pub transfer: u8,
    /// `MatrixCoefficients`.
    pub matrix: u8,
    /// Full range (0-255) rather than limited (16-235).
    pub full_range: bool,
}

impl Colour {
    /// `TransferCharacteristics` of SMPTE ST 2084, the perceptual quantiser.
    pub const PQ: u8 = 16;
    /// `TransferCharacteristics` of ARIB STD-B67, hybrid log-gamma.
    pub const HLG: u8 = 18;
    /// Nothing is said about the colour.
    pub const UNSPECIFIED: Self = Self {
        primaries: 2,
        transfer: 2,
        matrix: 2,
        full_range: false,
    };
    /// BT.709, limited range: what every SDR rendition of ours is.
    pub const BT709: Self = Self {
        primaries: 1,
        transfer: 1,
        matrix: 1,
        full_range: false,
    };
}

impl Default for Colour {
    fn default() -> Self {
        Self::UNSPECIFIED
    }
}

/// A width-to-height ratio of one pixel, in lowest terms. 1:1 is square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelAspect {
    /// Horizontal spacing.
    pub horizontal: u32,
    /// Vertical spacing.
    pub vertical: u32,
}

impl PixelAspect {
    /// Square pixels.
    pub const SQUARE: Self = Self {
        horizontal: 1,
        vertical: 1,
    };
}

/// The picture of a video track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// Coded (decoded, cropped) width in pixels, before orientation.
    pub width: u32,
    /// Coded height in pixels, before orientation.
    pub height: u32,
    /// Shape of a pixel.
    pub pixel_aspect: PixelAspect,
    /// How to turn it upright.
    pub orientation: Orientation,
    /// Colour description, from the container or else the bitstream.
    pub colour: Colour,
    /// What the container or the decoder configuration says of the light in HDR pictures.
    #[serde(default, skip_serializing_if = "Light::is_unknown")]
    pub light: Light,
    /// The profile of Dolby Vision that its bitstream has, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dolby_vision: Option<u8>,
}

impl VideoInfo {
    /// Width and height upright with square pixels, not yet rounded to even numbers.
    pub fn upright_size(&self) -> (u32, u32) {
        let PixelAspect {
            horizontal: h,
            vertical: v,
        } = self.pixel_aspect;
        let stretched = |length: u32, by: u32, over: u32| {
            let scaled =
                (u64::from(length) * u64::from(by) + u64::from(over) / 2) / u64::from(over.max(1));
            u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
        };
        let (width, height) = if h == 0 || v == 0 || h == v {
            (self.width, self.height)
        } else if h > v {
            (stretched(self.width, h, v), self.height)
        } else {
            (self.width, stretched(self.height, v, h))
        };
        if self.orientation.quarter_turns % 2 == 1 {
            (height, width)
        } else {
            (width, height)
        }
    }
}

/// The sound of an audio track.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AudioInfo {
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
    /// Bytes of a packet, for the codecs that need to be told; 0 where the container doesn't say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub block_align: u32,
    /// Bits a second as the container says, which WMA can't be decoded without; 0 where it doesn't.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bitrate: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// What kind of track it is, with what only that kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// Pictures.
    Video(VideoInfo),
    /// Sound.
    Audio(AudioInfo),
    /// Subtitles or captions.
    Text,
    /// Timecode, metadata, attachments: reported, never used.
    Other,
}

impl TrackKind {
    /// One word for reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Video(_) => "video",
            Self::Audio(_) => "audio",
            Self::Text => "text",
            Self::Other => "other",
        }
    }
}
