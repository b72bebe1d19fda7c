//! Init segment to facts: what [`crate::cmaf::read`] found, in the few values that rules look at.

use super::configuration::configuration;
use super::facts::{
    AvcFacts, EditEntry, EntryFacts, InitFacts, MovieHeader, PictureFacts, SoundFacts,
    TrackExtends, TrackFacts,
};
use crate::cmaf::boxes::FourCc;
use crate::cmaf::read::{
    BoxTree, InitInfo, InitTrack, SampleEntry, SampleEntryMedia, TrackDefaults, box_tree,
};
use crate::codec::aac::{AudioSpecificConfig, EsDescriptor};
use crate::codec::ac3::read_record;
use crate::codec::avc::AvcConfig;
use crate::time::Timescale;

/// Reads an init segment, however broken it is.
pub(super) fn read_init(bytes: &[u8]) -> InitFacts {
    match crate::cmaf::read::read_init(bytes) {
        Ok(info) => facts_of(&info),
        Err(error) => {
            let mut facts = structure(&box_tree(bytes, bytes.len() as u64));
            facts.trouble.push(error.to_string());
            facts
        }
    }
}

/// What stands at the top level and in `moov`.
fn structure(tree: &BoxTree) -> InitFacts {
    let moov = tree.top_level().find(|node| node.kind.0 == *b"moov");
    let in_moov = moov.into_iter().flat_map(|moov| tree.children_of(moov));
    InitFacts {
        top_level: tree.top_level().map(|node| node.kind).collect(),
        moov: in_moov.map(|node| node.kind).collect(),
        trouble: tree.fault.iter().map(ToString::to_string).collect(),
        ..InitFacts::default()
    }
}

fn facts_of(info: &InitInfo) -> InitFacts {
    let brands = info.brands.as_ref();
    InitFacts {
        brands: brands.map_or_else(Vec::new, |brands| {
            [&[brands.major], &brands.compatible[..]].concat()
        }),
        movie: info.movie.as_ref().map(movie_facts),
        tracks: info.tracks.iter().map(track_facts).collect(),
        trex: info.defaults.iter().map(track_extends).collect(),
        systems: info.systems.clone(),
        ..structure(&info.tree)
    }
}

fn movie_facts(movie: &crate::cmaf::read::MovieHeader) -> MovieHeader {
    MovieHeader {
        times: [movie.creation_time, movie.modification_time],
        duration: unknown_is_zero(movie.duration),
        rate: movie.rate.cast_unsigned(),
        volume: movie.volume.cast_unsigned(),
        matrix: movie.matrix,
    }
}

/// All ones mean that the duration is not known (ISO/IEC 14496-12 8.2.2.3).
fn unknown_is_zero(duration: u64) -> u64 {
    match duration {
        u64::MAX => 0,
        duration if duration == u64::from(u32::MAX) => 0,
        duration => duration,
    }
}

fn track_extends(defaults: &TrackDefaults) -> TrackExtends {
    TrackExtends {
        track_id: defaults.track_id,
        defaults: Some(*defaults),
    }
}

fn track_facts(track: &InitTrack) -> TrackFacts {
    let (header, media) = (track.header.as_ref(), track.media.as_ref());
    let times = |creation: u64, modification: u64| [creation, modification];
    let header_times = header.map(|h| times(h.creation_time, h.modification_time));
    let media_times = media.map(|m| times(m.creation_time, m.modification_time));
    let durations = [header.map(|h| h.duration), media.map(|m| m.duration)];
    let edits = track.edit_list.as_ref();
    let has_table = |kind: &[u8; 4]| track.tables.iter().any(|(known, _)| known.0 == *kind);
    let wanted = [b"stts", b"stsc", b"stsz", b"stco"].into_iter();
    TrackFacts {
        id: track.track_id(),
        times: [header_times, media_times]
            .into_iter()
            .flatten()
            .flatten()
            .collect(),
        matrix: header.map_or([0; 9], |header| header.matrix),
        volume: header.map_or(0, |header| header.volume.cast_unsigned()),
        timescale: Timescale::new(track.timescale()),
        media_duration: durations
            .into_iter()
            .flatten()
            .map(unknown_is_zero)
            .max()
            .unwrap_or(0),
        handler: track.handler.as_ref().map(|handler| handler.handler_type),
        edits: edits.map(|list| list.edits.iter().map(edit_facts).collect()),
        table_entries: track
            .tables
            .iter()
            .map(|(_, count)| u64::from(*count))
            .sum(),
        missing_tables: wanted
            .filter(|kind| !has_table(kind))
            .map(|kind| FourCc(*kind))
            .collect(),
        entries: track.sample_entries.iter().map(entry_facts).collect(),
    }
}

fn edit_facts(edit: &crate::cmaf::read::Edit) -> EditEntry {
    EditEntry {
        segment_duration: edit.segment_duration,
        media_time: edit.media_time,
        rate: edit.media_rate.cast_unsigned(),
    }
}

fn entry_facts(entry: &SampleEntry) -> EntryFacts {
    let unknown = || format!("sample entry {} says no codec that is known", entry.kind);
    let (picture, sound) = match entry.media {
        SampleEntryMedia::Video { width, height } => (
            Some(picture_facts(entry, width.into(), height.into())),
            None,
        ),
        SampleEntryMedia::Audio {
            channels,
            sample_rate,
            ..
        } => (None, Some(sound_facts(entry, channels.into(), sample_rate))),
        SampleEntryMedia::Other => (None, None),
    };
    EntryFacts {
        kind: entry.kind,
        protection: entry.protection.clone(),
        codecs: entry.codecs.clone().ok_or_else(unknown),
        picture,
        sound,
    }
}

fn picture_facts(entry: &SampleEntry, width: u32, height: u32) -> PictureFacts {
    let nclx = entry.colour.filter(|colour| colour.kind.0 == *b"nclx");
    let avc = entry
        .find(b"avcC")
        .and_then(|record| AvcConfig::parse(record).ok());
    PictureFacts {
        width,
        height,
        pixel_aspect: entry
            .pixel_aspect
            .map(|aspect| (aspect.horizontal, aspect.vertical)),
        colour: nclx.map(|c| [c.colour.primaries, c.colour.transfer, c.colour.matrix]),
        full_range: nclx.is_some_and(|c| c.colour.full_range),
        avc: avc.as_ref().map(avc_facts),
        configuration: configuration(entry),
        light: entry.find(b"mdcv").is_some() && entry.find(b"clli").is_some(),
    }
}

fn avc_facts(config: &AvcConfig) -> AvcFacts {
    let sps = config.sps().ok();
    let vui = sps.as_ref().and_then(|sps| sps.vui);
    let aspect = vui.and_then(|vui| vui.pixel_aspect);
    let colour = vui.and_then(|vui| vui.colour);
    AvcFacts {
        record: [config.profile, config.compatibility, config.level],
        sps: sps
            .as_ref()
            .map(|sps| [sps.profile, sps.constraint_flags, sps.level]),
        sps_count: config.sets.sps.len(),
        pps_count: config.sets.pps.len(),
        nal_length: config.length_size,
        progressive: sps.as_ref().map(|sps| sps.frame_mbs_only),
        size: sps.as_ref().map(|sps| (sps.width, sps.height)),
        pixel_aspect: aspect.map(|aspect| (aspect.horizontal, aspect.vertical)),
        colour: colour.map(|c| [c.primaries, c.transfer, c.matrix]),
    }
}

/// The decoder's configuration is what decoders go by; the sample entry's fields are hints.
fn sound_facts(entry: &SampleEntry, channels: u32, sample_rate: u32) -> SoundFacts {
    let esds = entry
        .find(b"esds")
        .and_then(|esds| EsDescriptor::parse(esds).ok());
    let config = esds.and_then(|esds| AudioSpecificConfig::parse(&esds.specific).ok());
    let configured = config
        .as_ref()
        .map(|config| u32::from(config.output_channels()));
    if let Some(facts) = dolby_facts(entry) {
        return facts;
    }
    SoundFacts {
        channels: configured.filter(|count| *count > 0).unwrap_or(channels),
        sample_rate: config.map_or(sample_rate, |config| config.output_sample_rate()),
        objects: false,
    }
}

/// What `dac3` or `dec3` says.
fn dolby_facts(entry: &SampleEntry) -> Option<SoundFacts> {
    let record = match &entry.original.0 {
        b"ac-3" => read_record(entry.find(b"dac3")?, false),
        b"ec-3" => read_record(entry.find(b"dec3")?, true),
        _ => None,
    };
    let (channels, sample_rate, objects) = record?;
    Some(SoundFacts {
        channels: u32::from(channels),
        sample_rate,
        objects,
    })
}
