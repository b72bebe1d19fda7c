//! What a container says of the light in HDR pictures, out of FFmpeg's side data.
//!
//! Side data are C structs of 32-bit numbers: `AVMasteringDisplayMetadata` and
//! `AVContentLightMetadata`.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::packet::side_data::Type;

use crate::media::{ContentLight, Light, MasteringDisplay};

/// Chromaticities are told in fifty-thousandths.
const CHROMATICITY_UNITS: i64 = 50_000;
/// Luminances are told in ten-thousandths of a cd/m2.
const LUMINANCE_UNITS: i64 = 10_000;

/// What is known of a stream.
pub(super) fn of_stream(stream: &ffmpeg::Stream<'_>) -> Light {
    let mut light = Light::UNKNOWN;
    for side in stream.side_data() {
        match side.kind() {
            Type::MasteringDisplayMetadata => light.mastering = mastering(side.data()),
            Type::ContentLightLevel => light.content = content(side.data()),
            _ => {}
        }
    }
    light
}

/// The profile of Dolby Vision: byte 2 of `AVDOVIDecoderConfigurationRecord`.
pub(super) fn dolby_vision(stream: &ffmpeg::Stream<'_>) -> Option<u8> {
    let record = stream
        .side_data()
        .find(|side| side.kind() == Type::DOVI_CONF);
    record?.data().get(2).copied()
}

/// `display_primaries[3][2]` (red, green, blue), `white_point[2]`, `min_luminance`,
/// `max_luminance` as fractions, then `has_primaries` and `has_luminance`.
fn mastering(bytes: &[u8]) -> Option<MasteringDisplay> {
    let chromaticity = |at: usize| {
        let whole = fraction(bytes, at, CHROMATICITY_UNITS)?;
        u16::try_from(whole).ok()
    };
    let pair = |at: usize| Some([chromaticity(at)?, chromaticity(at + 1)?]);
    let luminance = |at: usize| u32::try_from(fraction(bytes, at, LUMINANCE_UNITS)?).ok();
    if number(bytes, 20)? == 0 || number(bytes, 21)? == 0 {
        return None;
    }
    let display = MasteringDisplay {
        primaries: [pair(2)?, pair(4)?, pair(0)?],
        white: pair(6)?,
        min_luminance: luminance(8)?,
        max_luminance: luminance(9)?,
    };
    (display.max_luminance > display.min_luminance).then_some(display)
}

/// `MaxCLL` and `MaxFALL`.
fn content(bytes: &[u8]) -> Option<ContentLight> {
    let nits = |at: usize| u16::try_from(number(bytes, at)?).ok();
    let content = ContentLight {
        max_content: nits(0)?,
        max_frame_average: nits(1)?,
    };
    (content.max_content > 0 || content.max_frame_average > 0).then_some(content)
}

/// Fraction number `at`, in units of which there are `units` to the whole, to the nearest.
fn fraction(bytes: &[u8], at: usize, units: i64) -> Option<i64> {
    let over = i64::from(number(bytes, at * 2)?);
    let under = i64::from(number(bytes, at * 2 + 1)?);
    (under > 0 && over >= 0).then(|| (over * units + under / 2) / under)
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    let from = bytes.get(at * 4..)?;
    from.first_chunk().map(|four| i32::from_ne_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_become_the_units_of_the_standard() {
        let fractions = [
            (35_400, 50_000),
            (14_600, 50_000),
            (17, 100),
            (797, 1000),
            (131, 1000),
            (46, 1000),
            (3127, 10_000),
            (329, 1000),
            (5, 1000),
            (1000, 1),
        ];
        let mut bytes: Vec<u8> = fractions
            .iter()
            .flat_map(|(over, under)| [*over, *under])
            .chain([1, 1])
            .flat_map(i32::to_ne_bytes)
            .collect();
        let display = mastering(&bytes).expect("whole");
        assert_eq!(
            display.primaries,
            [[8500, 39_850], [6550, 2300], [35_400, 14_600]]
        );
        assert_eq!(display.white, [15_635, 16_450]);
        assert_eq!(
            (display.min_luminance, display.max_luminance),
            (50, 10_000_000)
        );
        bytes.truncate(87);
        assert_eq!(mastering(&bytes), None);
        bytes[4..8].fill(0);
        assert_eq!(content(&bytes[..8]).map(|c| c.max_content), Some(35_400));
    }
}
