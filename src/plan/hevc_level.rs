//! HEVC levels: Rec. ITU-T H.265, Annex A, tables A.8 and A.9, Main tier.
//!
//! Conformance A01: not above 5.1, and not above need.

use crate::time::FrameRate;

/// `general_level_idc`, `MaxLumaPs`, `MaxLumaSr`, and `MaxBR` in 1000 bits a second, which is
/// `MaxCPB` in 1000 bits too (for Main and Main 10 the factors of A.4.2 are 1000 and 1100).
const LEVELS: &[(u32, u64, u64, u64)] = &[
    (30, 36_864, 552_960, 128),
    (60, 122_880, 3_686_400, 1500),
    (63, 245_760, 7_372_800, 3000),
    (90, 552_960, 16_588_800, 6000),
    (93, 983_040, 33_177_600, 10_000),
    (120, 2_228_224, 66_846_720, 12_000),
    (123, 2_228_224, 133_693_440, 20_000),
    (150, 8_912_896, 267_386_880, 25_000),
    (153, 8_912_896, 534_773_760, 40_000),
];

/// The lowest level that allows such a stream; `None` above 5.1.
pub(crate) fn smallest(
    width: u32,
    height: u32,
    rate: FrameRate,
    maxrate: u32,
    bufsize: u32,
) -> Option<u32> {
    // Pictures are coded in whole blocks of 8.
    let whole = |length: u32| u64::from(length.next_multiple_of(8));
    let (width, height) = (whole(width), whole(height));
    let area = width * height;
    let longest = width.max(height);
    let fits = |(_, size, speed, kilobits): &&(u32, u64, u64, u64)| {
        area <= *size
            && longest * longest <= 8 * size
            && area * u64::from(rate.numerator()) <= speed * u64::from(rate.denominator())
            && u64::from(maxrate) <= kilobits * 1000
            && u64::from(bufsize) <= kilobits * 1000
    };
    LEVELS.iter().find(fits).map(|(idc, ..)| *idc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_pictures_have_their_usual_levels() {
        for (width, height, fps, maxrate, expected) in [
            (3840, 2160, 60, 14_500_000, Some(153)),
            (3840, 2160, 30, 10_400_000, Some(150)),
            (1920, 1080, 60, 5_460_000, Some(123)),
            (1920, 1080, 30, 3_900_000, Some(120)),
            (1280, 720, 30, 2_080_000, Some(93)),
            (640, 360, 30, 520_000, Some(63)),
            (426, 240, 30, 88_000, Some(60)),
            (8192, 4320, 30, 20_000_000, None),
        ] {
            let rate = FrameRate::new(fps, 1).expect("valid");
            let level = smallest(width, height, rate, maxrate, maxrate / 2 * 3);
            assert_eq!(level, expected, "{width}x{height} at {fps}");
        }
    }
}
