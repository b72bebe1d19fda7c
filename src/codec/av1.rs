//! AV1: the configuration record `av1C` and its RFC 6381 name (AV1 Codec ISO Media File Format
//! Binding, sections 2.3 and 5).

use crate::error::{Error, Result};

/// `AV1CodecConfigurationRecord`, without its OBUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Config {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx_0`.
    pub level: u8,
    /// `seq_tier_0`: High tier.
    pub high_tier: bool,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// No chroma at all.
    pub monochrome: bool,
}

impl Av1Config {
    /// Reads the payload of an `av1C` box.
    ///
    /// # Errors
    /// When the record is cut off or of another version.
    pub fn parse(record: &[u8]) -> Result<Self> {
        let Some(&[0x81, profile_level, format]) = record.first_chunk::<3>() else {
            return Err(Error::invalid(
                "the av1C record is cut off or of an unknown version",
            ));
        };
        let bit_depth = match (format & 0x40 != 0, format & 0x20 != 0) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        Ok(Self {
            profile: profile_level >> 5,
            level: profile_level & 0x1f,
            high_tier: format & 0x80 != 0,
            bit_depth,
            monochrome: format & 0x10 != 0,
        })
    }

    /// The RFC 6381 name without its optional part, for example `av01.0.08M.10`.
    pub fn codecs(&self) -> String {
        let tier = if self.high_tier { 'H' } else { 'M' };
        format!(
            "av01.{}.{:02}{tier}.{:02}",
            self.profile, self.level, self.bit_depth
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bit_level_four_is_named_as_the_binding_does() {
        let config = Av1Config::parse(&[0x81, 0x08, 0x4c, 0]).expect("a whole record");
        assert_eq!(config.codecs(), "av01.0.08M.10");
        assert!(Av1Config::parse(&[0x82, 0, 0, 0]).is_err());
        assert!(Av1Config::parse(&[0x81]).is_err());
    }
}
