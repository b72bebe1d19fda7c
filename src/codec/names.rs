//! The RFC 6381 name of a track by its sample entry, for `CODECS` of HLS and `@codecs` of DASH.

use super::aac::EsDescriptor;
use super::av1::Av1Config;
use super::avc::AvcConfig;
use super::dolby_vision::{DOLBY_VISION_BOXES, DolbyVision};
use super::hevc::HevcConfig;
use super::vp9::VpConfig;

/// The RFC 6381 name for a sample entry of type `format` (of the original one, when encrypted)
/// with these configuration boxes (type and payload). `None` for formats not known here, and when
/// the configuration box is missing or broken.
///
/// Names with optional trailing fields (AV1, VP9) are given without them.
pub fn codecs_of_sample_entry(format: [u8; 4], boxes: &[([u8; 4], &[u8])]) -> Option<String> {
    let find = |kinds: &[&[u8; 4]]| {
        let found = boxes.iter().find(|(kind, _)| kinds.contains(&kind));
        found.map(|(_, payload)| *payload)
    };
    let entry = std::str::from_utf8(&format).ok()?;
    match &format {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" => {
            let config = AvcConfig::parse(find(&[b"avcC"])?).ok()?;
            Some(config.codecs_as(entry))
        }
        b"hvc1" | b"hev1" => {
            let config = HevcConfig::parse(find(&[b"hvcC"])?).ok()?;
            Some(config.codecs_as(entry))
        }
        b"dvh1" | b"dvhe" | b"dva1" | b"dvav" | b"dav1" => {
            dolby_vision(entry, find(&DOLBY_VISION_BOXES)?)
        }
        b"av01" => Some(Av1Config::parse(find(&[b"av1C"])?).ok()?.codecs()),
        b"vp08" | b"vp09" => {
            let config = VpConfig::parse(find(&[b"vpcC"])?).ok()?;
            Some(config.codecs_as(entry))
        }
        b"mp4a" => Some(EsDescriptor::parse(find(&[b"esds"])?).ok()?.codecs()),
        b"mha1" | b"mhm1" => {
            let level = find(&[b"mhaC"])?.get(1)?;
            Some(format!("{entry}.0x{level:02X}"))
        }
        b"ac-3" | b"ec-3" | b"Opus" | b"fLaC" | b"alac" | b"wvtt" | b"stpp" | b"tx3g" | b"dtsc"
        | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" => Some(entry.to_owned()),
        _ => None,
    }
}

fn dolby_vision(entry: &str, record: &[u8]) -> Option<String> {
    let DolbyVision { profile, level } = DolbyVision::parse(record)?;
    Some(format!("{entry}.{profile:02}.{level:02}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::hex;

    #[test]
    fn each_known_format_has_its_name() {
        let esds = hex("00000000 0319 000000 0411 40150000000001f4000001f400 05021190 060102");
        let dolby = hex("0100 0a30 00000000");
        for (format, boxes, name) in [
            (b"mp4a", vec![(*b"esds", &esds[..])], Some("mp4a.40.2")),
            (b"dvh1", vec![(*b"dvcC", &dolby[..])], Some("dvh1.05.06")),
            (b"ec-3", vec![], Some("ec-3")),
            (b"Opus", vec![], Some("Opus")),
            (b"mp4a", vec![], None),
            (b"xxxx", vec![], None),
        ] {
            assert_eq!(
                codecs_of_sample_entry(*format, &boxes).as_deref(),
                name,
                "{format:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            for (format, kind) in [
                (b"avc1", b"avcC"), (b"hvc1", b"hvcC"), (b"av01", b"av1C"), (b"vp09", b"vpcC"),
                (b"mp4a", b"esds"), (b"dvh1", b"dvvC"), (b"mhm1", b"mhaC"),
            ] {
                let _ = codecs_of_sample_entry(*format, &[(*kind, &payload)]);
            }
        }
    }
}
