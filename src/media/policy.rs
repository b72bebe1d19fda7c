//! What the user asks for: a TOML file, or flags. Everything has a default.

use serde::{Deserialize, Serialize};

use super::{Encryption, LoudnessTarget, Scheme, VideoCodec};
use crate::error::{Error, Result};

/// When a source's own encoded samples are repackaged instead of encoded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
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

/// What becomes of pictures of high dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Hdr {
    /// Standard dynamic range is made of them.
    #[default]
    Convert,
    /// Beside that they are kept, in HEVC.
    Keep,
}

/// Encoder effort, in x264's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "origin", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Short sides of the rungs to make, e.g. `[1080, 720]`; empty for the standard ladder.
    pub rungs: Vec<u32>,
    /// Nominal segment length in seconds (1 to 10).
    #[cfg_attr(feature = "origin", schema(minimum = 1, maximum = 10))]
    pub segment_seconds: u32,
    /// Distance between IDR pictures in seconds (1 to 10, at most the segment length).
    #[cfg_attr(feature = "origin", schema(minimum = 1, maximum = 10))]
    pub gop_seconds: u32,
    /// About how much of the title one encoding task covers, in seconds.
    #[cfg_attr(feature = "origin", schema(minimum = 1, maximum = 3600))]
    pub chunk_seconds: u32,
    /// Begin with segments of about 2, 2 and 4 seconds, so that playing can begin after little has
    /// been made.
    pub quick_start: bool,
    /// Whether to repackage instead of encode.
    pub passthrough: Passthrough,
    /// x264 effort.
    pub preset: Preset,
    /// x264 constant rate factor (0 to 51), capped by each rung's peak.
    #[cfg_attr(feature = "origin", schema(minimum = 0, maximum = 51))]
    pub crf: u32,
    /// Bitrate of the main stereo audio, bits a second.
    #[cfg_attr(feature = "origin", schema(minimum = 32_000, maximum = 512_000))]
    pub audio_bitrate: u32,
    /// Bitrate of the audio that goes with the lowest rung, bits a second.
    #[cfg_attr(feature = "origin", schema(minimum = 32_000, maximum = 512_000))]
    pub audio_bitrate_low: u32,
    /// Bitrate of 5.1 AAC beside the stereo, where the source has as many channels, bits a second; 0
    /// for stereo alone.
    #[cfg_attr(feature = "origin", schema(minimum = 0, maximum = 768_000))]
    pub audio_bitrate_surround: u32,
    /// Make I-frame tracks for trick play, and thumbnails, wherever pictures are decoded.
    pub trick_play: bool,
    /// Encrypt everything; clear without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Codecs of the video, each with a ladder of its own.
    pub codecs: Vec<VideoCodec>,
    /// What becomes of pictures of high dynamic range.
    pub hdr: Hdr,
    /// Bring every sound track to this loudness; levels stay as they are without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loudness: Option<LoudnessTarget>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rungs: Vec::new(),
            segment_seconds: 6,
            gop_seconds: 2,
            chunk_seconds: 36,
            quick_start: false,
            passthrough: Passthrough::Auto,
            preset: Preset::Veryfast,
            crf: 23,
            audio_bitrate: 128_000,
            audio_bitrate_low: 64_000,
            audio_bitrate_surround: 384_000,
            trick_play: true,
            encryption: None,
            codecs: vec![VideoCodec::H264],
            hdr: Hdr::Convert,
            loudness: None,
        }
    }
}

impl Policy {
    /// Whether every value is within its range.
    ///
    /// # Errors
    /// Names the value, its range and what was given.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("segment_seconds", self.segment_seconds, 1, 10),
            (
                "gop_seconds",
                self.gop_seconds,
                1,
                self.segment_seconds.max(1),
            ),
            (
                "chunk_seconds",
                self.chunk_seconds,
                self.segment_seconds,
                3600,
            ),
            ("crf", self.crf, 0, 51),
            ("audio_bitrate", self.audio_bitrate, 32_000, 512_000),
            ("audio_bitrate_low", self.audio_bitrate_low, 32_000, 512_000),
            (
                "audio_bitrate_surround",
                self.audio_bitrate_surround,
                if self.audio_bitrate_surround == 0 {
                    0
                } else {
                    128_000
                },
                768_000,
            ),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                let message = format!("policy: {name} is {value}; it must be {low} to {high}");
                return Err(Error::invalid(message));
            }
        }
        self.check_codecs()?;
        match self.rungs.iter().find(|rung| !(64..=4320).contains(*rung)) {
            Some(rung) => Err(Error::invalid(format!(
                "policy: rung {rung} can't be made; the short side must be 64 to 4320"
            ))),
            None => self.encryption.as_ref().map_or(Ok(()), Encryption::check),
        }?;
        self.check_loudness()
    }

    fn check_loudness(&self) -> Result<()> {
        if self.loudness.is_some() && self.passthrough == Passthrough::Only {
            return Err(Error::invalid(
                "policy: loudness asks for other levels, and passthrough = \"only\" decodes nothing; \
                 leave one out",
            ));
        }
        self.loudness.as_ref().map_or(Ok(()), LoudnessTarget::check)
    }

    fn check_codecs(&self) -> Result<()> {
        let mut known = self.codecs.clone();
        known.sort_unstable();
        known.dedup();
        if self.codecs.is_empty() || known.len() != self.codecs.len() {
            return Err(Error::invalid(
                "policy: codecs must name at least one of h264, hevc and av1, each once",
            ));
        }
        self.check_encrypted_codecs()
    }

    /// Samples of H.264 alone can be encrypted: what may be of HEVC's and AV1's isn't known here.
    fn check_encrypted_codecs(&self) -> Result<()> {
        let by_sample = |encryption: &Encryption| encryption.scheme == Scheme::Cbcs;
        if !self.encryption.as_ref().is_some_and(by_sample) {
            return Ok(());
        }
        let other = self.codecs.iter().find(|codec| !codec.is_h264());
        let asked = match (other, self.hdr) {
            (Some(codec), _) => format!("codecs names {}", codec.name()),
            (None, Hdr::Keep) => "hdr = \"keep\" makes HEVC".to_owned(),
            (None, Hdr::Convert) => return Ok(()),
        };
        Err(Error::invalid(format!(
            "policy: {asked}, and encryption in scheme \"cbcs\" can be of h264 alone; write scheme = \
             \"aes-128\", or leave out one of the two"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_named() {
        assert!(Policy::default().check().is_ok());
        let policy = Policy {
            segment_seconds: 0,
            ..Policy::default()
        };
        let message = policy.check().unwrap_err().to_string();
        assert!(message.contains("segment_seconds is 0") && message.contains("1 to 10"));
    }

    #[test]
    fn samples_of_h264_alone_are_encrypted() {
        let policy = |lines: &str, scheme: &str| -> Policy {
            let text = format!("{lines}\n[encryption]\nscheme = \"{scheme}\"");
            toml::from_str(&text).expect("a policy")
        };
        for lines in ["codecs = [\"h264\", \"av1\"]", "hdr = \"keep\""] {
            let message = policy(lines, "cbcs").check().unwrap_err().to_string();
            assert!(message.contains("h264 alone") && message.contains("aes-128"));
            assert!(policy(lines, "aes-128").check().is_ok());
        }
        assert!(policy("", "cbcs").check().is_ok());
    }

    #[test]
    fn a_loudness_that_is_none_is_refused() {
        let check = |text: &str| {
            let policy: Policy = toml::from_str(text).unwrap();
            policy.check().map_err(|error| error.to_string())
        };
        assert_eq!(check("loudness = {}"), Ok(()));
        assert_eq!(
            check("loudness = { target_lufs = -23.0, peak_dbtp = -2.0 }"),
            Ok(())
        );
        for (text, word) in [
            ("loudness = { target_lufs = 0.0 }", "target_lufs is 0"),
            ("loudness = { target_lufs = nan }", "target_lufs is NaN"),
            ("loudness = { peak_dbtp = 1 }", "peak_dbtp is 1"),
            ("passthrough = \"only\"\nloudness = {}", "decodes nothing"),
        ] {
            let refused = check(text).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
        assert!(toml::from_str::<Policy>("loudness = { lufs = -16.0 }").is_err());
    }
}
