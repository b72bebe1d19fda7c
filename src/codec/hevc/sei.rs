//! Supplemental enhancement information of HEVC (Rec. ITU-T H.265, annex D): what it says of light.

use super::nal::{PREFIX_SEI, nal_type};
use crate::codec::avc::without_emulation_prevention;
use crate::codec::light::{read_content, read_mastering};
use crate::media::Light;

/// `payloadType` of a mastering display colour volume (D.2.28).
const MASTERING: usize = 137;
/// `payloadType` of a content light level (D.2.35).
const CONTENT: usize = 144;

/// What SEI among these NAL units says of the light.
pub(super) fn light<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Light {
    let mut light = Light::UNKNOWN;
    for nal in nals {
        if nal_type(nal) == PREFIX_SEI {
            let payload = without_emulation_prevention(nal.get(2..).unwrap_or_default());
            light = light.or(messages(&payload));
        }
    }
    light
}

/// `sei_message()` after `sei_message()` (7.3.5).
fn messages(mut bytes: &[u8]) -> Light {
    let mut light = Light::UNKNOWN;
    while bytes.len() > 2 {
        let Some((kind, size)) = number(&mut bytes).zip(number(&mut bytes)) else {
            break;
        };
        let Some((payload, rest)) = bytes.split_at_checked(size) else {
            break;
        };
        match kind {
            MASTERING => light.mastering = light.mastering.or(read_mastering(payload)),
            CONTENT => light.content = light.content.or(read_content(payload)),
            _ => {}
        }
        bytes = rest;
    }
    light
}

/// A number as a run of bytes, each but the last 255.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut sum = 0_usize;
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        sum = sum.checked_add(usize::from(*first))?;
        if *first != 255 {
            return Some(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::hex;

    #[test]
    fn light_is_found_behind_other_messages() {
        let nal = hex("4e01 05 02 aabb 90 04 03e8 0190 89 18 \
             2134 9baa 1996 08fc 8a48 3908 3d13 4042 00989680 00000032 80");
        let found = light([&nal[..]]);
        assert_eq!(found.peak_nits(), Some(1000));
        assert_eq!(
            found.mastering.map(|display| display.max_luminance),
            Some(10_000_000)
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut nal = vec![PREFIX_SEI << 1, 1];
            nal.extend(bytes);
            let _ = light([&nal[..]]);
        }
    }
}
