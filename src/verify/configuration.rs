//! The decoder configuration of HEVC and AV1 to facts: what the record says against what the
//! parameter sets in it say.

use crate::cmaf::read::SampleEntry;
use crate::codec::av1::Av1Config;
use crate::codec::hevc::{HevcConfig, PPS, SPS, VPS, nal_type};
use crate::media::{Colour, PixelAspect};

/// What a configuration record holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ConfigurationFacts {
    /// Where the record and its own parameter sets differ, or lack something (rule C14).
    pub(super) faults: Vec<String>,
    /// Profile, whether of High tier, and level (times thirty), of HEVC's record.
    pub(super) hevc: Option<(u8, bool, u8)>,
    /// Bytes of NAL unit lengths; `None` for AV1.
    pub(super) nal_length: Option<usize>,
    /// Size by the parameter sets.
    pub(super) size: Option<(u32, u32)>,
    /// Shape of a pixel by the parameter sets.
    pub(super) pixel_aspect: Option<(u32, u32)>,
    /// Primaries, transfer, matrix by the parameter sets.
    pub(super) colour: Option<[u8; 3]>,
    /// Whether pictures are whole frames.
    pub(super) progressive: Option<bool>,
    /// Whether it tells mastering display and content light level.
    pub(super) light: bool,
}

/// The facts of a sample entry of HEVC or AV1; `None` for others and where there is no record.
pub(super) fn configuration(entry: &SampleEntry) -> Option<ConfigurationFacts> {
    if let Some(record) = entry.find(b"hvcC") {
        return Some(hevc(record));
    }
    entry.find(b"av1C").map(av1)
}

fn broken(record: &str) -> ConfigurationFacts {
    ConfigurationFacts {
        faults: vec![format!("the {record} record can't be read")],
        ..ConfigurationFacts::default()
    }
}

/// C14: `hvcC` holds a VPS, SPS and PPS, and repeats profile, tier and level of the SPS (ISO/IEC
/// 14496-15 8.3.3.1).
fn hevc(record: &[u8]) -> ConfigurationFacts {
    let Ok(config) = HevcConfig::parse(record) else {
        return broken("hvcC");
    };
    let mut faults = Vec::new();
    for (kind, name) in [(VPS, "VPS"), (SPS, "SPS"), (PPS, "PPS")] {
        if !config.nal_units.iter().any(|nal| nal_type(nal) == kind) {
            faults.push(format!("hvcC holds no {name}"));
        }
    }
    if config.length_size != 4 {
        faults.push(format!("NAL length fields of {} bytes", config.length_size));
    }
    let sps = config.sps().ok();
    if let Some(sps) = &sps {
        if record.get(1..13) != Some(&sps.general[..]) {
            faults.push("hvcC and its SPS differ in profile, tier or level".into());
        }
        let format = (sps.chroma_format, sps.bit_depth_luma, sps.bit_depth_chroma);
        let said = (
            config.chroma_format,
            config.bit_depth_luma,
            config.bit_depth_chroma,
        );
        if format != said {
            faults.push("hvcC and its SPS differ in chroma format or bit depth".into());
        }
    }
    let light = config.light();
    ConfigurationFacts {
        faults,
        hevc: Some((config.profile, config.high_tier, config.level)),
        nal_length: Some(config.length_size),
        size: sps.as_ref().map(|sps| (sps.width, sps.height)),
        pixel_aspect: sps.as_ref().map(|sps| pair(sps.pixel_aspect())),
        colour: sps.as_ref().and_then(|sps| points(sps.colour())),
        progressive: sps.as_ref().map(|sps| sps.progressive),
        light: light.mastering.is_some() && light.content.is_some(),
    }
}

/// C14: `av1C` repeats what its sequence header says (AV1 Codec ISO Media File Format Binding,
/// section 2.3.4).
fn av1(record: &[u8]) -> ConfigurationFacts {
    let Ok(config) = Av1Config::parse(record) else {
        return broken("av1C");
    };
    let mut faults = Vec::new();
    let header = config.sequence_header().ok();
    match &header {
        None => faults.push("av1C holds no sequence header".into()),
        Some(header) => {
            let same = (config.profile, config.level, config.high_tier)
                == (header.profile, header.level, header.high_tier)
                && (config.bit_depth, config.monochrome) == (header.bit_depth, header.monochrome)
                && config.subsampling == header.subsampling;
            if !same {
                faults.push("av1C and its sequence header differ".into());
            }
        }
    }
    ConfigurationFacts {
        faults,
        hevc: None,
        nal_length: None,
        size: header.map(|header| (header.max_width, header.max_height)),
        pixel_aspect: None,
        colour: header.and_then(|header| points(header.colour)),
        progressive: None,
        light: false,
    }
}

fn pair(aspect: PixelAspect) -> (u32, u32) {
    (aspect.horizontal, aspect.vertical)
}

/// Code points, where anything is said.
fn points(colour: Colour) -> Option<[u8; 3]> {
    let points = [colour.primaries, colour.transfer, colour.matrix];
    points.iter().any(|point| *point != 2).then_some(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::test_support::hex;

    /// What x265 3.5 gave for 640x360 in Main.
    const ANNEX_B: &str = "\
        0000000140010c01ffff01600000030090000003000003003f959409\
        0000000142010101600000030090000003000003003fa005020169659596e4c2f016a020202080000003008000000c04\
        000000014401c173c089";

    #[test]
    fn a_record_is_held_against_its_parameter_sets() {
        let config = HevcConfig::from_annex_b(&hex(ANNEX_B)).expect("whole");
        let facts = hevc(&config.to_bytes());
        assert_eq!(facts.faults, [""; 0]);
        assert_eq!(
            (facts.size, facts.progressive),
            (Some((640, 360)), Some(true))
        );
        assert_eq!(facts.colour, Some([1, 1, 1]));
        let higher = HevcConfig {
            level: config.level + 3,
            ..config.clone()
        };
        assert_eq!(hevc(&higher.to_bytes()).faults.len(), 1);
        let lacking = HevcConfig {
            nal_units: config.nal_units[1..].to_vec(),
            ..config
        };
        assert_eq!(hevc(&lacking.to_bytes()).faults, ["hvcC holds no VPS"]);
    }
}
