//! Open bitstream units (AV1 Bitstream and Decoding Process Specification, section 5.3).

/// `obu_type` of a sequence header.
pub const SEQUENCE_HEADER: u8 = 1;
/// `obu_type` of a temporal delimiter.
pub const TEMPORAL_DELIMITER: u8 = 2;
/// `obu_type` of a frame header.
pub const FRAME_HEADER: u8 = 3;
/// `obu_type` of tiles.
pub const TILE_GROUP: u8 = 4;
/// `obu_type` of metadata.
pub const METADATA: u8 = 5;
/// `obu_type` of a frame header with its tiles.
pub const FRAME: u8 = 6;
/// `obu_type` of a frame header once more.
pub const REDUNDANT_FRAME_HEADER: u8 = 7;
/// `obu_type` of padding.
pub const PADDING: u8 = 15;

/// One OBU of the low overhead format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// `obu_type`.
    pub kind: u8,
    /// All of its bytes.
    pub bytes: &'a [u8],
    /// What follows its header and size.
    pub payload: &'a [u8],
}

/// The OBUs of a sample; ends at the first one that is broken.
pub fn obus(bytes: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (obu, after) = take(rest)?;
        rest = after;
        Some(obu)
    })
}

fn take(bytes: &[u8]) -> Option<(Obu<'_>, &[u8])> {
    let first = *bytes.first()?;
    let has_extension = first & 4 != 0;
    let header = if has_extension { 2 } else { 1 };
    let after_header = bytes.get(header..)?;
    // Without a size it goes to the end of the sample.
    let (length, size_bytes) = match first & 2 != 0 {
        true => leb128(after_header)?,
        false => (after_header.len(), 0),
    };
    let end = (header + size_bytes).checked_add(length)?;
    let (all, rest) = bytes.split_at_checked(end)?;
    let obu = Obu {
        kind: first >> 3 & 15,
        bytes: all,
        payload: all.get(header + size_bytes..)?,
    };
    Some((obu, rest))
}

/// `leb128()` (section 4.10.5), and how many bytes it took.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (at * 7);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, at + 1));
        }
    }
    None
}

/// A sample as a container keeps it: without temporal delimiters and padding (AV1 Codec ISO Media
/// File Format Binding, section 2.4).
pub fn to_sample(temporal_unit: &[u8]) -> Vec<u8> {
    let mut sample = Vec::with_capacity(temporal_unit.len());
    for obu in obus(temporal_unit) {
        if !matches!(obu.kind, TEMPORAL_DELIMITER | PADDING) {
            sample.extend_from_slice(obu.bytes);
        }
    }
    sample
}

/// Whether decoding can start at a sample: a sequence header, and then a key frame that is shown
/// (section 2.4 of the same). `None` where no frame is seen.
pub fn is_key(sample: &[u8]) -> Option<bool> {
    let mut has_sequence = false;
    for obu in obus(sample) {
        match obu.kind {
            SEQUENCE_HEADER => has_sequence = true,
            FRAME | FRAME_HEADER => {
                // show_existing_frame, frame_type (0 is a key frame), show_frame (5.9.2).
                let first = *obu.payload.first()?;
                return Some(has_sequence && first & 0xf0 == 0x10);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::hex;

    #[test]
    fn delimiters_and_padding_are_left_out_and_key_frames_seen() {
        let unit = hex("1200 0a02aabb 32031000ff 7a0100");
        let sample = to_sample(&unit);
        assert_eq!(sample, hex("0a02aabb 32031000ff"));
        assert_eq!(is_key(&sample), Some(true));
        assert_eq!(is_key(&hex("32031000ff")), Some(false));
        assert_eq!(is_key(&hex("0a02aabb 32033000ff")), Some(false));
        assert_eq!(is_key(&hex("0a02aabb")), None);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(to_sample(&bytes).len() <= bytes.len());
            let _ = is_key(&bytes);
        }
    }
}
