//! H.265 / HEVC: the decoder configuration record `hvcC` (ISO/IEC 14496-15 section 8.3.3.1) and
//! its RFC 6381 name (annex E of the same).

mod nal;
mod sei;
mod sps;

use nal::configuration_units;
pub use nal::*;
pub use sps::{Sps, Vui};

use crate::error::{Error, Result};
use crate::media::Light;

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
    /// `numTemporalLayers`: 0 when not known.
    pub temporal_layers: u8,
    /// `temporalIdNested`.
    pub temporal_nested: bool,
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
            temporal_layers: head[21] >> 3 & 7,
            temporal_nested: head[21] & 4 != 0,
            length_size: usize::from(head[21] & 3) + 1,
            nal_units: parse_arrays(arrays, head[22])?,
        })
    }

    /// The record for the parameter sets and SEI of an Annex B byte stream, with 4-byte lengths.
    ///
    /// # Errors
    /// When a kind of parameter set is missing, or one doesn't fit a record or is broken.
    pub fn from_annex_b(stream: &[u8]) -> Result<Self> {
        let nal_units = configuration_units(stream);
        for (kind, name) in [(VPS, "video"), (SPS, "sequence"), (PPS, "picture")] {
            if !nal_units.iter().any(|nal| nal_type(nal) == kind) {
                return Err(Error::invalid(format!(
                    "an HEVC stream needs a {name} parameter set, it has none"
                )));
            }
        }
        if nal_units.len() > 255
            || nal_units
                .iter()
                .any(|nal| u16::try_from(nal.len()).is_err())
        {
            return Err(Error::invalid(
                "the parameter sets do not fit an hvcC record",
            ));
        }
        let sps = sps_among(&nal_units)?;
        let general = sps.general;
        Ok(Self {
            profile_space: general[0] >> 6,
            high_tier: general[0] & 0x20 != 0,
            profile: general[0] & 0x1f,
            compatibility: u32::from_be_bytes([general[1], general[2], general[3], general[4]]),
            constraints: [
                general[5],
                general[6],
                general[7],
                general[8],
                general[9],
                general[10],
            ],
            level: general[11],
            chroma_format: sps.chroma_format,
            bit_depth_luma: sps.bit_depth_luma,
            bit_depth_chroma: sps.bit_depth_chroma,
            temporal_layers: sps.temporal_layers,
            temporal_nested: sps.temporal_nested,
            length_size: 4,
            nal_units,
        })
    }

    /// The payload of the `hvcC` box. Arrays of parameter sets are said to be complete, as `hvc1`
    /// wants; there may be more SEI in samples.
    pub fn to_bytes(&self) -> Vec<u8> {
        let tier = if self.high_tier { 0x20 } else { 0 };
        let mut out = vec![1, self.profile_space << 6 | tier | self.profile & 0x1f];
        out.extend(self.compatibility.to_be_bytes());
        out.extend(self.constraints);
        out.push(self.level);
        // Nothing is said about spatial segments and parallelism.
        out.extend([0xf0, 0, 0xfc, 0xfc | self.chroma_format & 3]);
        out.push(0xf8 | self.bit_depth_luma.saturating_sub(8) & 7);
        out.push(0xf8 | self.bit_depth_chroma.saturating_sub(8) & 7);
        let lengths = u8::try_from(self.length_size.clamp(1, 4) - 1).expect("at most 3");
        let nested = if self.temporal_nested { 4 } else { 0 };
        out.extend([0, 0, (self.temporal_layers & 7) << 3 | nested | lengths]);
        let arrays = || self.nal_units.chunk_by(|a, b| nal_type(a) == nal_type(b));
        out.push(u8::try_from(arrays().count()).unwrap_or(u8::MAX));
        for array in arrays() {
            put_array(&mut out, array);
        }
        out
    }

    /// The first sequence parameter set, parsed.
    ///
    /// # Errors
    /// When there is none or it is broken.
    pub fn sps(&self) -> Result<Sps> {
        sps_among(&self.nal_units)
    }

    /// What its SEI says of the light in HDR pictures.
    pub fn light(&self) -> Light {
        sei::light(self.nal_units.iter().map(Vec::as_slice))
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

fn sps_among(nal_units: &[Vec<u8>]) -> Result<Sps> {
    let found = nal_units.iter().find(|nal| nal_type(nal) == SPS);
    Sps::parse(found.ok_or_else(|| Error::invalid("the hvcC record has no SPS"))?)
}

/// `array_completeness`, `NAL_unit_type`, and the NAL units with 16-bit lengths.
fn put_array(out: &mut Vec<u8>, array: &[Vec<u8>]) {
    let Some(first) = array.first() else { return };
    let complete = if is_parameter_set(first) { 0x80 } else { 0 };
    out.push(complete | nal_type(first));
    out.extend(u16::try_from(array.len()).unwrap_or(u16::MAX).to_be_bytes());
    for nal in array {
        let length = u16::try_from(nal.len()).expect("checked when the record was made");
        out.extend(length.to_be_bytes());
        out.extend_from_slice(nal);
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
