//! Static metadata of high dynamic range as bytes. The SEI messages of H.264 and HEVC (Rec. ITU-T
//! H.265, D.3.28 and D.3.35) and the boxes `mdcv` and `clli` (ISO/IEC 14496-12 section 12.1.6)
//! have the same fields in the same order.

use crate::media::{ContentLight, MasteringDisplay};

/// Bytes of a mastering display colour volume.
pub const MASTERING_LEN: usize = 24;

/// A mastering display colour volume; `None` where the bytes end early or say nothing.
pub fn read_mastering(bytes: &[u8]) -> Option<MasteringDisplay> {
    let bytes = bytes.first_chunk::<MASTERING_LEN>()?;
    let short = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let pair = |at: usize| [short(at), short(at + 2)];
    let long = |at: usize| (u32::from(short(at)) << 16) | u32::from(short(at + 2));
    let display = MasteringDisplay {
        primaries: [pair(0), pair(4), pair(8)],
        white: pair(12),
        max_luminance: long(16),
        min_luminance: long(20),
    };
    (display.max_luminance > display.min_luminance).then_some(display)
}

/// The bytes of a mastering display colour volume.
pub fn mastering_bytes(display: &MasteringDisplay) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MASTERING_LEN);
    for [x, y] in display.primaries.iter().chain([&display.white]) {
        bytes.extend(x.to_be_bytes());
        bytes.extend(y.to_be_bytes());
    }
    bytes.extend(display.max_luminance.to_be_bytes());
    bytes.extend(display.min_luminance.to_be_bytes());
    bytes
}

/// A content light level; `None` where the bytes end early or say nothing.
pub fn read_content(bytes: &[u8]) -> Option<ContentLight> {
    let &[a, b, c, d] = bytes.first_chunk::<4>()?;
    let content = ContentLight {
        max_content: u16::from_be_bytes([a, b]),
        max_frame_average: u16::from_be_bytes([c, d]),
    };
    (content.max_content > 0 || content.max_frame_average > 0).then_some(content)
}

/// The bytes of a content light level.
pub fn content_bytes(content: &ContentLight) -> Vec<u8> {
    let pair = [content.max_content, content.max_frame_average];
    pair.iter().flat_map(|value| value.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(display) = read_mastering(&bytes) {
                prop_assert_eq!(mastering_bytes(&display), &bytes[..MASTERING_LEN]);
            }
            if let Some(content) = read_content(&bytes) {
                prop_assert_eq!(content_bytes(&content), &bytes[..4]);
            }
        }
    }
}
