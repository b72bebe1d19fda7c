//! VP8 and VP9: the configuration record `vpcC` and its RFC 6381 name (VP Codec ISO Media File
//! Format Binding).

use crate::error::{Error, Result};

/// `VPCodecConfigurationRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpConfig {
    /// `profile`, 0 to 3.
    pub profile: u8,
    /// `level`: ten times the level.
    pub level: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
}

impl VpConfig {
    /// Reads the payload of a `vpcC` box, version and flags included.
    ///
    /// # Errors
    /// When the record is cut off.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let Some(&[_, _, _, _, profile, level, depth]) = payload.first_chunk::<7>() else {
            return Err(Error::invalid("the vpcC record is cut off"));
        };
        Ok(Self {
            profile,
            level,
            bit_depth: depth >> 4,
        })
    }

    /// The RFC 6381 name without its optional part, for example `vp09.00.41.08`.
    pub fn codecs_as(&self, sample_entry: &str) -> String {
        let Self {
            profile,
            level,
            bit_depth,
        } = self;
        format!("{sample_entry}.{profile:02}.{level:02}.{bit_depth:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_level_and_depth_have_two_digits() {
        let record = [1, 0, 0, 0, 0, 41, 0x82];
        let config = VpConfig::parse(&record).expect("a whole record");
        assert_eq!(config.codecs_as("vp09"), "vp09.00.41.08");
        assert!(VpConfig::parse(&record[..6]).is_err());
    }
}
