//! H.265 / HEVC: the decoder configuration record `hvcC` (ISO/IEC 14496-15 section 8.3.3.1) and
//! its RFC 6381 name (annex E of the same).

use crate::error::{Error, Result};

/// `HEVCDecoderConfigurationRecord`, the part that says what a decoder must be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HevcConfig {
    /// `general_profile_space`, 0 to 3.
    pub profile_space: u8,
    /// `general_tier_flag`: High tier.
    pub high_tier: bool,
    /// `general_profile_idc`.
    pub profile: u8,
    /// `general_profile_compatibility_flags`, flag 0 in the most significant bit.
    pub compatibility: u32,
    /// `general_constraint_indicator_flags`.
    pub constraints: [u8; 6],
    /// `general_level_idc`: thirty times the level.
    pub level: u8,
    /// `chromaFormat`.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample.
    pub bit_depth_chroma: u8,
    /// Bytes of a NAL unit's length in the samples.
    pub length_size: usize,
    /// NAL units of parameter sets and SEI, in order.
    pub nal_units: Vec<Vec<u8>>,
}

impl HevcConfig {
    /// Reads the payload of an `hvcC` box.
    ///
    /// # Errors
    /// When the record is cut off.
    pub fn parse(record: &[u8]) -> Result<Self> {
        Self::parse_fields(record)
            .ok_or_else(|| Error::invalid("the hvcC record is cut off or broken"))
    }

    fn parse_fields(record: &[u8]) -> Option<Self> {
        let (head, arrays) = record.split_first_chunk::<23>()?;
        let constraints = head.get(6..12)?.try_into().ok()?;
        Some(Self {
            profile_space: head[1] >> 6,
            high_tier: head[1] & 0x20 != 0,
            profile: head[1] & 0x1f,
            compatibility: u32::from_be_bytes(head.get(2..6)?.try_into().ok()?),
            constraints,
            level: head[12],
            chroma_format: head[16] & 3,
            bit_depth_luma: 8 + (head[17] & 7),
            bit_depth_chroma: 8 + (head[18] & 7),
            length_size: usize::from(head[21] & 3) + 1,
            nal_units: parse_arrays(arrays, head[22])?,
        })
    }

    /// The RFC 6381 name under a sample entry type, for example `hvc1.2.4.L123.B0`.
    pub fn codecs_as(&self, sample_entry: &str) -> String {
        let space = ["", "A", "B", "C"]
            .get(usize::from(self.profile_space))
            .unwrap_or(&"");
        let tier = if self.high_tier { 'H' } else { 'L' };
        let mut name = format!(
            "{sample_entry}.{space}{}.{:X}.{tier}{}",
            self.profile,
            self.compatibility.reverse_bits(),
            self.level
        );
        let said = self.constraints.iter().rposition(|byte| *byte != 0);
        let kept = said.map_or(0, |last| last + 1);
        for byte in self.constraints.iter().take(kept) {
            name.push_str(&format!(".{byte:X}"));
        }
        name
    }
}

fn parse_arrays(mut bytes: &[u8], count: u8) -> Option<Vec<Vec<u8>>> {
    let mut nal_units = Vec::new();
    for _ in 0..count {
        let (&[_, hi, lo], mut rest) = bytes.split_first_chunk::<3>()?;
        for _ in 0..u16::from_be_bytes([hi, lo]) {
            let (len, after) = rest.split_first_chunk::<2>()?;
            let (nal, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            nal_units.push(nal.to_vec());
            rest = after;
        }
        bytes = rest;
    }
    Some(nal_units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::hex;

    #[test]
    fn main_10_is_named_as_annex_e_does() {
        let record = hex("01 02 20000000 b00000000000 7b f000fcfdfafa 0000 0f 00");
        let config = HevcConfig::parse(&record).expect("a whole record");
        assert_eq!(config.codecs_as("hvc1"), "hvc1.2.4.L123.B0");
        assert_eq!((config.bit_depth_luma, config.length_size), (10, 4));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = HevcConfig::parse(&bytes).map(|config| config.codecs_as("hev1"));
        }
    }
}
