//! H.264 levels: Rec. ITU-T H.264, Annex A, Table A-1, for High profile.
//!
//! Conformance A01: not above 5.2, and not above need.

use crate::time::FrameRate;

/// A row of Table A-1.
struct Level {
    /// `level_idc`.
    idc: u32,
    /// `MaxMBPS`: macroblocks a second.
    macroblock_rate: u64,
    /// `MaxFS`: macroblocks in a frame.
    frame_size: u64,
    /// `MaxDpbMbs`: macroblocks in the decoded picture buffer.
    picture_buffer: u64,
    /// `MaxBR`, in 1250 bits a second for High profile (A.3.1, `cpbBrVclFactor`).
    bit_rate: u64,
    /// `MaxCPB`, in 1250 bits.
    coded_buffer: u64,
}

const fn level(idc: u32, row: [u64; 5]) -> Level {
    let [
        macroblock_rate,
        frame_size,
        picture_buffer,
        bit_rate,
        coded_buffer,
    ] = row;
    Level {
        idc,
        macroblock_rate,
        frame_size,
        picture_buffer,
        bit_rate,
        coded_buffer,
    }
}

const LEVELS: &[Level] = &[
    level(10, [1485, 99, 396, 64, 175]),
    level(11, [3000, 396, 900, 192, 500]),
    level(12, [6000, 396, 2376, 384, 1000]),
    level(13, [11_880, 396, 2376, 768, 2000]),
    level(20, [11_880, 396, 2376, 2000, 2000]),
    level(21, [19_800, 792, 4752, 4000, 4000]),
    level(22, [20_250, 1620, 8100, 4000, 4000]),
    level(30, [40_500, 1620, 8100, 10_000, 10_000]),
    level(31, [108_000, 3600, 18_000, 14_000, 14_000]),
    level(32, [216_000, 5120, 20_480, 20_000, 20_000]),
    level(40, [245_760, 8192, 32_768, 20_000, 25_000]),
    level(41, [245_760, 8192, 32_768, 50_000, 62_500]),
    level(42, [522_240, 8704, 34_816, 50_000, 62_500]),
    level(50, [589_824, 22_080, 110_400, 135_000, 135_000]),
    level(51, [983_040, 36_864, 184_320, 240_000, 240_000]),
    level(52, [2_073_600, 36_864, 184_320, 240_000, 240_000]),
];

/// Highest `level_idc` that we make or repackage (conformance A01).
pub(crate) const MAX_LEVEL: u32 = 52;

/// Frames that x264 keeps with its pyramid of B-frames.
const KEPT_FRAMES: u64 = 4;

/// The lowest level that allows such a stream; `None` above 5.2.
pub(crate) fn smallest(
    width: u32,
    height: u32,
    rate: FrameRate,
    maxrate: u32,
    bufsize: u32,
) -> Option<u32> {
    let (columns, rows) = (
        u64::from(width.div_ceil(16)),
        u64::from(height.div_ceil(16)),
    );
    let size = columns * rows;
    let fits = |level: &&Level| {
        let widest = 8 * level.frame_size;
        size * u64::from(rate.numerator()) <= level.macroblock_rate * u64::from(rate.denominator())
            && size <= level.frame_size
            && columns * columns <= widest
            && rows * rows <= widest
            && size * KEPT_FRAMES <= level.picture_buffer
            && u64::from(maxrate) <= level.bit_rate * 1250
            && u64::from(bufsize) <= level.coded_buffer * 1250
    };
    LEVELS.iter().find(fits).map(|level| level.idc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_pictures_have_their_usual_levels() {
        for (width, height, fps, maxrate, expected) in [
            (3840, 2160, 60, 22_400_000, Some(52)),
            (3840, 2160, 30, 16_000_000, Some(51)),
            (1920, 1080, 60, 8_400_000, Some(42)),
            (1920, 1080, 30, 6_000_000, Some(40)),
            (1280, 720, 30, 3_200_000, Some(31)),
            (1280, 720, 60, 4_480_000, Some(32)),
            (640, 360, 30, 800_000, Some(30)),
            (426, 240, 30, 96_000, Some(21)),
            (8192, 4320, 30, 20_000_000, None),
        ] {
            let rate = FrameRate::new(fps, 1).expect("valid");
            let level = smallest(width, height, rate, maxrate, maxrate / 2 * 3);
            assert_eq!(level, expected, "{width}x{height} at {fps}");
        }
    }
}
