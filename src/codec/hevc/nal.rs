//! NAL units of HEVC (Rec. ITU-T H.265, section 7.3.1 and table 7-1).

use crate::codec::avc::{annex_b_units, nal_units};

/// `nal_unit_type` of an IDR picture that may have decodable leading pictures.
pub const IDR_W_RADL: u8 = 19;
/// `nal_unit_type` of an IDR picture without leading pictures.
pub const IDR_N_LP: u8 = 20;
/// `nal_unit_type` of a video parameter set.
pub const VPS: u8 = 32;
/// `nal_unit_type` of a sequence parameter set.
pub const SPS: u8 = 33;
/// `nal_unit_type` of a picture parameter set.
pub const PPS: u8 = 34;
/// `nal_unit_type` of an access unit delimiter.
pub const DELIMITER: u8 = 35;
/// `nal_unit_type` of an end of sequence.
pub const END_OF_SEQUENCE: u8 = 36;
/// `nal_unit_type` of an end of bitstream.
pub const END_OF_BITSTREAM: u8 = 37;
/// `nal_unit_type` of filler data.
pub const FILLER: u8 = 38;
/// `nal_unit_type` of supplemental information before the picture.
pub const PREFIX_SEI: u8 = 39;
/// `nal_unit_type` of supplemental information after the picture.
pub const SUFFIX_SEI: u8 = 40;

/// `nal_unit_type`; 63 (unspecified) for nothing.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |byte| byte >> 1 & 0x3f)
}

/// Whether it holds a part of a picture.
pub fn is_slice(nal: &[u8]) -> bool {
    nal_type(nal) < VPS
}

/// Whether it is a parameter set.
pub fn is_parameter_set(nal: &[u8]) -> bool {
    matches!(nal_type(nal), VPS | SPS | PPS)
}

/// Whether a sample entry `hvc1` has no use for it in samples: parameter sets are in the record,
/// and boundaries are the container's.
pub fn is_redundant(nal: &[u8]) -> bool {
    matches!(nal_type(nal), VPS..=FILLER)
}

/// `nal_unit_type` of the first slice of a sample with length-prefixed NAL units.
pub fn first_slice_type(sample: &[u8], length_size: usize) -> Option<u8> {
    let mut nals = nal_units(sample, length_size);
    nals.find(|nal| is_slice(nal)).map(nal_type)
}

/// Whether a sample with length-prefixed NAL units is an IDR picture.
pub fn is_idr(sample: &[u8], length_size: usize) -> bool {
    matches!(
        first_slice_type(sample, length_size),
        Some(IDR_W_RADL | IDR_N_LP)
    )
}

/// Parameter sets and SEI of an Annex B byte stream, each once, in the order in which a record
/// lists them.
pub(super) fn configuration_units(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for nal in annex_b_units(stream) {
        let wanted = is_parameter_set(nal) || nal_type(nal) == PREFIX_SEI;
        if wanted && !found.iter().any(|known| known == nal) {
            found.push(nal.to_vec());
        }
    }
    found.sort_by_key(|nal| nal_type(nal));
    found
}
