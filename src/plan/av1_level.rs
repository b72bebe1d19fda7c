//! AV1 levels: AV1 Bitstream and Decoding Process Specification, section A.3, Main tier.
//!
//! Conformance A01: not above 6.2, and not above need.

use crate::time::FrameRate;

/// `seq_level_idx`, `MaxPicSize`, `MaxHSize`, `MaxVSize`, `MaxDisplayRate`, and `MainMbps` in 1000
/// bits a second.
const LEVELS: &[(u32, u64, u64, u64, u64, u64)] = &[
    (0, 147_456, 2048, 1152, 4_423_680, 1500),
    (1, 278_784, 2816, 1584, 8_363_520, 3000),
    (4, 665_856, 4352, 2448, 19_975_680, 6000),
    (5, 1_065_024, 5504, 3096, 31_950_720, 10_000),
    (8, 2_359_296, 6144, 3456, 70_778_880, 12_000),
    (9, 2_359_296, 6144, 3456, 141_557_760, 20_000),
    (12, 8_912_896, 8192, 4352, 267_386_880, 30_000),
    (13, 8_912_896, 8192, 4352, 534_773_760, 40_000),
    (14, 8_912_896, 8192, 4352, 1_069_547_520, 60_000),
    (16, 35_651_584, 16_384, 8704, 1_069_547_520, 60_000),
    (17, 35_651_584, 16_384, 8704, 2_139_095_040, 100_000),
    (18, 35_651_584, 16_384, 8704, 4_278_190_080, 160_000),
];

/// Least side of a picture in pixels that SVT-AV1 takes.
const LEAST_SIDE: u32 = 64;

/// The lowest level that allows such a stream; `None` above 6.2, and for pictures that the encoder
/// is too coarse for.
pub(crate) fn smallest(width: u32, height: u32, rate: FrameRate, maxrate: u32) -> Option<u32> {
    if width.min(height) < LEAST_SIDE {
        return None;
    }
    let (width, height) = (u64::from(width), u64::from(height));
    let area = width * height;
    let fits = |(_, size, widest, highest, speed, kilobits): &&(u32, u64, u64, u64, u64, u64)| {
        area <= *size
            && width <= *widest
            && height <= *highest
            && area * u64::from(rate.numerator()) <= speed * u64::from(rate.denominator())
            && u64::from(maxrate) <= kilobits * 1000
    };
    LEVELS.iter().find(fits).map(|(index, ..)| *index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_pictures_have_their_usual_levels() {
        for (width, height, fps, expected) in [
            (3840, 2160, 60, Some(13)),
            (3840, 2160, 30, Some(12)),
            (1920, 1080, 60, Some(9)),
            (1920, 1080, 30, Some(8)),
            (1080, 1920, 30, Some(8)),
            (1280, 720, 30, Some(5)),
            (640, 360, 30, Some(1)),
            (426, 240, 30, Some(0)),
            (7680, 4320, 60, Some(17)),
            (86, 62, 30, None),
            (16_384, 16_384, 30, None),
        ] {
            let rate = FrameRate::new(fps, 1).expect("valid");
            assert_eq!(
                smallest(width, height, rate, 1_000_000),
                expected,
                "{width}x{height}"
            );
        }
    }
}
