//! Video sample descriptions (ISO/IEC 14496-12 section 12.1.3, ISO/IEC 14496-15, QuickTime).

use super::object_type::elementary;
use super::{Context, Description, Entry, child, other};
use crate::cmaf::boxes::FourCc;
use crate::cmaf::fields::Fields;
use crate::cmaf::read::{ColourBox, parse_pasp};
use crate::codec::av1::Av1Config;
use crate::codec::dolby_vision::{DOLBY_VISION_BOXES, DolbyVision};
use crate::codec::hevc::HevcConfig;
use crate::codec::light::{read_content, read_mastering};
use crate::media::{Codec, Colour, Light, PixelAspect, TrackKind, VideoInfo};
use crate::time::gcd;

/// Length of the fields of a `VisualSampleEntry` before its boxes.
const FIXED_LEN: usize = 78;

pub(super) fn read(entry: Entry<'_>, context: Context<'_>) -> Option<Description> {
    let mut fields = Fields::new(entry.payload);
    fields.skip(24)?;
    let (width, height) = (fields.u16()?, fields.u16()?);
    let boxes = entry.payload.get(FIXED_LEN..).unwrap_or_default();
    let (tkhd_width, tkhd_height) = context.header.size;
    let or_shown = |coded: u16, shown: u32| match coded {
        0 => shown >> 16,
        n => u32::from(n),
    };
    let size = (or_shown(width, tkhd_width), or_shown(height, tkhd_height));
    let (codec, config) = codec(entry.format, boxes);
    Some(Description {
        kind: TrackKind::Video(VideoInfo {
            width: size.0,
            height: size.1,
            pixel_aspect: pixel_aspect(boxes)
                .unwrap_or_else(|| aspect_from_shown_size(size, context.header.size)),
            orientation: context.orientation,
            colour: child(boxes, b"colr")
                .and_then(ColourBox::parse)
                .map_or_else(|| stream_colour(&codec, &config), |found| found.colour),
            light: light(boxes, &codec, &config),
            dolby_vision: dolby_vision(boxes),
        }),
        codec,
        config,
        packing: None,
        others: Vec::new(),
    })
}

/// The codec of a description and its decoder configuration.
fn codec(format: FourCc, boxes: &[u8]) -> (Codec, Vec<u8>) {
    let with = |name, config: &[u8; 4]| {
        let config = child(boxes, config).unwrap_or_default();
        (Codec::from_name(name), config.to_vec())
    };
    match &format.0 {
        b"avc1" | b"avc3" | b"dva1" | b"dvav" => with("h264", b"avcC"),
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => with("hevc", b"hvcC"),
        b"av01" | b"dav1" => with("av1", b"av1C"),
        b"FFV1" => with("ffv1", b"glbl"),
        b"vc-1" => {
            // The sequence header follows seven bytes of profile and level (SMPTE RP 2025).
            let config = child(boxes, b"dvc1").and_then(|c| c.get(7..));
            (Codec::from_name("vc1"), config.unwrap_or_default().to_vec())
        }
        b"mp4v" | b"XVID" | b"xvid" | b"DIVX" | b"DX50" | b"FMP4" | b"3IV2" => {
            elementary("mpeg4", child(boxes, b"esds"))
        }
        format_bytes => match name_without_config(format_bytes) {
            Some("mpeg2video") => elementary("mpeg2video", child(boxes, b"esds")),
            Some(name) => (Codec::from_name(name), Vec::new()),
            None => (other(format), Vec::new()),
        },
    }
}

/// What the decoder configuration says of the colour, for codecs that HDR comes in.
fn stream_colour(codec: &Codec, config: &[u8]) -> Colour {
    let said = if *codec == Codec::HEVC {
        HevcConfig::parse(config).and_then(|hevc| Ok(hevc.sps()?.colour()))
    } else if *codec == Codec::AV1 {
        Av1Config::parse(config).and_then(|av1| Ok(av1.sequence_header()?.colour))
    } else {
        return Colour::UNSPECIFIED;
    };
    said.unwrap_or_default()
}

/// What is said of the light in HDR pictures: by boxes, or else by messages in the decoder
/// configuration.
fn light(boxes: &[u8], codec: &Codec, config: &[u8]) -> Light {
    let said = Light {
        mastering: child(boxes, b"mdcv").and_then(read_mastering),
        content: child(boxes, b"clli").and_then(read_content),
    };
    match HevcConfig::parse(config) {
        Ok(hevc) if *codec == Codec::HEVC => said.or(hevc.light()),
        _ => said,
    }
}

/// The profile of Dolby Vision that a record beside the codec's own tells.
fn dolby_vision(boxes: &[u8]) -> Option<u8> {
    let mut found = DOLBY_VISION_BOXES
        .iter()
        .filter_map(|kind| child(boxes, kind));
    found.find_map(DolbyVision::parse).map(|it| it.profile)
}

/// Codecs whose bitstream carries all that the decoder needs.
fn name_without_config(format: &[u8; 4]) -> Option<&'static str> {
    Some(match format {
        b"vp08" => "vp8",
        b"vp09" => "vp9",
        b"jpeg" | b"mjpa" | b"mjpb" | b"AVDJ" | b"dmb1" => "mjpeg",
        b"apcn" | b"apch" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "prores",
        b"AVdn" | b"AVdh" => "dnxhd",
        // DV, DVCPRO in its variants, and DVCPRO HD.
        b"dvc " | b"dvcp" | b"dvpp" | b"dvp " | b"dv5n" | b"dv5p" | b"dvh5" | b"dvh6" | b"dvhp"
        | b"dvhq" => "dvvideo",
        b"s263" | b"h263" | b"H263" => "h263",
        b"png " | b"MPNG" => "png",
        b"m1v " | b"m1v1" | b"mpeg" | b"mp1v" => "mpeg1video",
        b"mp2v" | b"m2v1" | b"mpg2" | b"AVmp" => "mpeg2video",
        // HDV, XDCAM HD and XDCAM HD422, IMX: the fourth letter is the picture format.
        [b'h', b'd', b'v', _]
        | [b'x', b'd', b'v', _]
        | [b'x', b'd', b'5', _]
        | [b'x', b'd', b'h', _]
        | [b'm', b'x', b'3' | b'4' | b'5', _] => "mpeg2video",
        _ => return None,
    })
}

/// The `pasp` box, section 12.1.4; `None` when it is absent or zero.
fn pixel_aspect(boxes: &[u8]) -> Option<PixelAspect> {
    let PixelAspect {
        horizontal,
        vertical,
    } = parse_pasp(child(boxes, b"pasp")?)?;
    let divisor = gcd(horizontal, vertical);
    (horizontal > 0 && vertical > 0).then(|| PixelAspect {
        horizontal: horizontal / divisor,
        vertical: vertical / divisor,
    })
}

/// Pixel shape from the size in `tkhd` (16.16), by which old writers say it. A hundredth off
/// square is rounding, and beyond ten to one it is damage.
fn aspect_from_shown_size(coded: (u32, u32), shown: (u32, u32)) -> PixelAspect {
    let horizontal = u64::from(shown.0) * u64::from(coded.1);
    let vertical = u64::from(shown.1) * u64::from(coded.0);
    let near_square = horizontal.abs_diff(vertical) <= vertical / 100;
    let sane = vertical > 0 && horizontal / 10 <= vertical && vertical / 10 <= horizontal;
    if near_square || !sane || horizontal == 0 {
        return PixelAspect::SQUARE;
    }
    lowest_terms(horizontal, vertical)
}

fn lowest_terms(horizontal: u64, vertical: u64) -> PixelAspect {
    let (mut a, mut b) = (horizontal, vertical);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (mut horizontal, mut vertical) = (horizontal / a.max(1), vertical / a.max(1));
    while horizontal > u64::from(u16::MAX) || vertical > u64::from(u16::MAX) {
        (horizontal, vertical) = (horizontal / 2, vertical / 2);
    }
    let narrow = |n: u64| u32::try_from(n).unwrap_or(1).max(1);
    PixelAspect {
        horizontal: narrow(horizontal),
        vertical: narrow(vertical),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anamorphic_size_in_the_track_header_gives_the_pixel_shape() {
        let shown = |w: u32, h: u32| (w << 16, h << 16);
        let dv = aspect_from_shown_size((720, 576), shown(1024, 576));
        assert_eq!((dv.horizontal, dv.vertical), (64, 45));
        for (coded, shown) in [
            ((720, 480), shown(720, 480)),
            ((854, 480), shown(853, 480)),
            ((720, 480), shown(0, 0)),
            ((0, 0), shown(720, 480)),
            ((720, 480), shown(65535, 1)),
        ] {
            assert_eq!(aspect_from_shown_size(coded, shown), PixelAspect::SQUARE);
        }
    }

    #[test]
    fn colour_boxes_of_both_kinds_are_read() {
        let colour = |payload: &[u8]| ColourBox::parse(payload).map(|found| found.colour);
        let nclx = colour(b"nclx\0\x09\0\x12\0\x09\x80").expect("sound");
        assert_eq!(
            (nclx.primaries, nclx.transfer, nclx.matrix, nclx.full_range),
            (9, 18, 9, true)
        );
        let nclc = colour(b"nclc\0\x01\0\x01\0\x01").expect("sound");
        assert_eq!(nclc, Colour::BT709);
        assert_eq!(colour(b"prof\0\0\0\0"), None);
    }
}
