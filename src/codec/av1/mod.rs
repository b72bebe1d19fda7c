//! AV1: the configuration record `av1C` and its RFC 6381 name (AV1 Codec ISO Media File Format
//! Binding, sections 2.3 and 5).

mod obu;
mod sequence;

pub use obu::*;
pub use sequence::SequenceHeader;

use crate::error::{Error, Result};

/// `AV1CodecConfigurationRecord`.
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
    /// `chroma_subsampling_x` and `chroma_subsampling_y`.
    pub subsampling: [bool; 2],
    /// `chroma_sample_position`.
    pub chroma_position: u8,
    /// `configOBUs`: the sequence header, and metadata for the whole of the stream.
    pub obus: Vec<u8>,
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
            subsampling: [format & 8 != 0, format & 4 != 0],
            chroma_position: format & 3,
            obus: record.get(4..).unwrap_or_default().to_vec(),
        })
    }

    /// The record for a stream that begins with these OBUs.
    ///
    /// # Errors
    /// When there is no sequence header among them, or it is broken.
    pub fn from_obus(stream: &[u8]) -> Result<Self> {
        let found = obus(stream).find(|obu| obu.kind == SEQUENCE_HEADER);
        let found = found.ok_or_else(|| Error::invalid("an AV1 stream without sequence header"))?;
        let header = SequenceHeader::parse(found.payload)?;
        Ok(Self {
            profile: header.profile,
            level: header.level,
            high_tier: header.high_tier,
            bit_depth: header.bit_depth,
            monochrome: header.monochrome,
            subsampling: header.subsampling,
            chroma_position: header.chroma_position,
            obus: found.bytes.to_vec(),
        })
    }

    /// The payload of the `av1C` box.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut out = vec![
            0x81,
            self.profile << 5 | self.level & 0x1f,
            flag(self.high_tier, 0x80)
                | flag(self.bit_depth > 8, 0x40)
                | flag(self.bit_depth == 12, 0x20)
                | flag(self.monochrome, 0x10)
                | flag(self.subsampling[0], 8)
                | flag(self.subsampling[1], 4)
                | self.chroma_position & 3,
            0,
        ];
        out.extend_from_slice(&self.obus);
        out
    }

    /// The sequence header in the record.
    ///
    /// # Errors
    /// When there is none or it is broken.
    pub fn sequence_header(&self) -> Result<SequenceHeader> {
        let found = obus(&self.obus).find(|obu| obu.kind == SEQUENCE_HEADER);
        let found =
            found.ok_or_else(|| Error::invalid("the av1C record has no sequence header"))?;
        SequenceHeader::parse(found.payload)
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
