//! Init segment to facts (ISO/IEC 14496-12 section 8), as leniently as can be: the rules need to
//! see what is wrong, not that something is.

use super::cursor::Cursor;
use super::facts::{
    AvcFacts, EditEntry, EntryFacts, InitFacts, MovieHeader, PictureFacts, SoundFacts,
    TrackExtends, TrackFacts,
};
use crate::cmaf::boxes::{BoxRef, FourCc, children};
use crate::codec::aac::{AudioSpecificConfig, EsDescriptor};
use crate::codec::avc::AvcConfig;
use crate::time::Timescale;

/// At most so many tracks, sample entries and edits are looked at.
const ROWS_MAX: usize = 64;

/// Reads an init segment.
pub(super) fn read_init(bytes: &[u8]) -> InitFacts {
    let mut facts = InitFacts::default();
    for child in walk(bytes, 0, &mut facts.trouble) {
        facts.top_level.push(child.kind);
        match &child.kind.0 {
            b"ftyp" => facts.brands = brands(child.payload),
            b"moov" => read_movie(&child, &mut facts),
            _ => {}
        }
    }
    facts
}

/// The boxes in `bytes`; where one does not fit, that is written down and the walk ends.
pub(super) fn walk<'a>(bytes: &'a [u8], base: usize, trouble: &mut Vec<String>) -> Vec<BoxRef<'a>> {
    let mut found = Vec::new();
    for child in children(bytes, base) {
        match child {
            Ok(child) => found.push(child),
            Err(overrun) => trouble.push(overrun.to_string()),
        }
    }
    found
}

fn inner<'a>(parent: &BoxRef<'a>, trouble: &mut Vec<String>) -> Vec<BoxRef<'a>> {
    walk(
        parent.payload,
        parent.offset.saturating_add(parent.header_len),
        trouble,
    )
}

/// Major brand and compatible brands of `ftyp` or `styp`.
fn brands(payload: &[u8]) -> Vec<FourCc> {
    let quads: Vec<[u8; 4]> = payload
        .chunks_exact(4)
        .filter_map(|c| c.try_into().ok())
        .collect();
    let minor_version = 1;
    let named = quads
        .into_iter()
        .enumerate()
        .filter(|(i, _)| *i != minor_version);
    named.map(|(_, quad)| FourCc(quad)).take(ROWS_MAX).collect()
}

fn read_movie(moov: &BoxRef<'_>, facts: &mut InitFacts) {
    for child in inner(moov, &mut facts.trouble) {
        facts.moov.push(child.kind);
        match &child.kind.0 {
            b"mvhd" => facts.movie = movie_header(child.payload),
            b"trak" if facts.tracks.len() < ROWS_MAX => {
                let track = read_track(&child, &mut facts.trouble);
                facts.tracks.push(track);
            }
            b"mvex" => {
                for trex in inner(&child, &mut facts.trouble) {
                    if trex.kind.0 == *b"trex" && facts.trex.len() < ROWS_MAX {
                        facts.trex.extend(track_extends(trex.payload));
                    }
                }
            }
            _ => {}
        }
    }
}

fn movie_header(payload: &[u8]) -> Option<MovieHeader> {
    let mut at = Cursor::new(payload);
    let (version, _) = at.full()?;
    let times = [at.wide(version)?, at.wide(version)?];
    let timescale = at.u32()?;
    let duration = unknown_is_zero(at.wide(version)?, version);
    let (rate, volume) = (at.u32()?, at.u16()?);
    at.take(10)?;
    Some(MovieHeader {
        times,
        timescale,
        duration,
        rate,
        volume,
        matrix: matrix(&mut at)?,
    })
}

/// All ones mean that the duration is not known (ISO/IEC 14496-12 8.2.2.3).
fn unknown_is_zero(duration: u64, version: u8) -> u64 {
    let unknown = if version == 0 {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    if duration == unknown { 0 } else { duration }
}

fn matrix(at: &mut Cursor<'_>) -> Option<[i32; 9]> {
    let mut matrix = [0; 9];
    for cell in &mut matrix {
        *cell = at.i32()?;
    }
    Some(matrix)
}

fn track_extends(payload: &[u8]) -> Option<TrackExtends> {
    let mut at = Cursor::new(payload);
    at.full()?;
    let track_id = at.u32()?;
    at.u32()?;
    Some(TrackExtends {
        track_id,
        duration: at.u32()?,
        size: at.u32()?,
        flags: at.u32()?,
    })
}

fn read_track(trak: &BoxRef<'_>, trouble: &mut Vec<String>) -> TrackFacts {
    let mut track = TrackFacts::default();
    for child in inner(trak, trouble) {
        match &child.kind.0 {
            b"tkhd" => missing(track_header(child.payload, &mut track), &child, trouble),
            b"edts" => {
                for elst in inner(&child, trouble) {
                    if elst.kind.0 == *b"elst" {
                        track.edits = edits(elst.payload);
                    }
                }
            }
            b"mdia" => read_media(&child, &mut track, trouble),
            _ => {}
        }
    }
    track
}

/// Writes down that a box ends before its last field.
fn missing(read: Option<()>, child: &BoxRef<'_>, trouble: &mut Vec<String>) {
    if read.is_none() {
        trouble.push(format!(
            "{} at byte {} is cut off",
            child.kind, child.offset
        ));
    }
}

fn track_header(payload: &[u8], track: &mut TrackFacts) -> Option<()> {
    let mut at = Cursor::new(payload);
    let (version, _) = at.full()?;
    track.times.extend([at.wide(version)?, at.wide(version)?]);
    track.id = at.u32()?;
    at.u32()?;
    let duration = unknown_is_zero(at.wide(version)?, version);
    track.media_duration = track.media_duration.max(duration);
    at.take(12)?;
    track.volume = at.u16()?;
    at.u16()?;
    track.matrix = matrix(&mut at)?;
    track.display = (at.u32()?, at.u32()?);
    Some(())
}

fn edits(payload: &[u8]) -> Option<Vec<EditEntry>> {
    let mut at = Cursor::new(payload);
    let (version, _) = at.full()?;
    let count = at.u32()?;
    let mut edits = Vec::new();
    for _ in 0..count {
        if edits.len() == ROWS_MAX {
            break;
        }
        let segment_duration = at.wide(version)?;
        let media_time = match version {
            0 => i64::from(at.i32()?),
            _ => at.u64()?.cast_signed(),
        };
        let rate = at.u32()?;
        edits.push(EditEntry {
            segment_duration,
            media_time,
            rate,
        });
    }
    Some(edits)
}

fn read_media(mdia: &BoxRef<'_>, track: &mut TrackFacts, trouble: &mut Vec<String>) {
    for child in inner(mdia, trouble) {
        match &child.kind.0 {
            b"mdhd" => missing(media_header(child.payload, track), &child, trouble),
            b"hdlr" => track.handler = handler(child.payload),
            b"minf" => {
                for stbl in inner(&child, trouble) {
                    if stbl.kind.0 == *b"stbl" {
                        read_sample_tables(&stbl, track, trouble);
                    }
                }
            }
            _ => {}
        }
    }
}

fn media_header(payload: &[u8], track: &mut TrackFacts) -> Option<()> {
    let mut at = Cursor::new(payload);
    let (version, _) = at.full()?;
    track.times.extend([at.wide(version)?, at.wide(version)?]);
    track.timescale = Timescale::new(at.u32()?);
    let duration = unknown_is_zero(at.wide(version)?, version);
    track.media_duration = track.media_duration.max(duration);
    Some(())
}

fn handler(payload: &[u8]) -> Option<FourCc> {
    let mut at = Cursor::new(payload);
    at.full()?;
    at.u32()?;
    Some(FourCc(at.take(4)?.try_into().ok()?))
}

fn read_sample_tables(stbl: &BoxRef<'_>, track: &mut TrackFacts, trouble: &mut Vec<String>) {
    let mut seen = Vec::new();
    for child in inner(stbl, trouble) {
        seen.push(child.kind);
        match &child.kind.0 {
            b"stsd" => track.entries = sample_entries(&child, trouble),
            b"stts" | b"stsc" | b"stco" | b"co64" => {
                track.table_entries = track
                    .table_entries
                    .saturating_add(count_at(child.payload, 4));
            }
            b"stsz" => {
                track.table_entries = track
                    .table_entries
                    .saturating_add(count_at(child.payload, 8));
            }
            _ => {}
        }
    }
    for wanted in [b"stsd", b"stts", b"stsc", b"stsz", b"stco"] {
        if !seen.contains(&FourCc(*wanted)) {
            track.missing_tables.push(FourCc(*wanted));
        }
    }
}

/// The entry count that stands `skip` bytes into a table.
fn count_at(payload: &[u8], skip: usize) -> u64 {
    let mut at = Cursor::new(payload);
    let count = at.take(skip).and_then(|_| at.u32());
    u64::from(count.unwrap_or(0))
}

fn sample_entries(stsd: &BoxRef<'_>, trouble: &mut Vec<String>) -> Vec<EntryFacts> {
    let Some(body) = stsd.payload.get(8..) else {
        trouble.push("stsd is cut off".into());
        return Vec::new();
    };
    let base = stsd
        .offset
        .saturating_add(stsd.header_len)
        .saturating_add(8);
    let entries = walk(body, base, trouble);
    entries
        .iter()
        .take(ROWS_MAX)
        .map(|entry| sample_entry(entry, trouble))
        .collect()
}

fn sample_entry(entry: &BoxRef<'_>, trouble: &mut Vec<String>) -> EntryFacts {
    let kind = entry.kind;
    let unknown = || Err(format!("no codec string is known for sample entry {kind}"));
    let facts = match &kind.0 {
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"av01" | b"vp08" | b"vp09" | b"encv" | b"dvh1"
        | b"dvhe" | b"mp4v" => visual_entry(entry, trouble),
        b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" | b"alac" | b"enca" => {
            audio_entry(entry, trouble)
        }
        _ => None,
    };
    facts.unwrap_or_else(|| EntryFacts {
        kind,
        codecs: match &kind.0 {
            b"wvtt" => Ok("wvtt".into()),
            b"stpp" => Ok("stpp".into()),
            _ => unknown(),
        },
        picture: None,
        sound: None,
    })
}

/// Fixed fields of a visual sample entry before its boxes (ISO/IEC 14496-12 12.1.3.2).
const VISUAL_FIELDS: usize = 78;
/// Fixed fields of an audio sample entry of version 0 (ISO/IEC 14496-12 12.2.3.2).
const AUDIO_FIELDS: usize = 28;

fn visual_entry(entry: &BoxRef<'_>, trouble: &mut Vec<String>) -> Option<EntryFacts> {
    let mut at = Cursor::new(entry.payload);
    at.take(24)?;
    let (width, height) = (u32::from(at.u16()?), u32::from(at.u16()?));
    let mut picture = PictureFacts {
        width,
        height,
        ..PictureFacts::default()
    };
    let mut codecs = Err(format!("{} without a readable configuration", entry.kind));
    let body = entry.payload.get(VISUAL_FIELDS..)?;
    let base = entry
        .offset
        .saturating_add(entry.header_len)
        .saturating_add(VISUAL_FIELDS);
    for child in walk(body, base, trouble) {
        match &child.kind.0 {
            b"avcC" => match AvcConfig::parse(child.payload) {
                Ok(config) => {
                    codecs = Ok(config.codecs_as(&entry.kind.to_string()));
                    picture.avc = Some(avc_facts(&config));
                }
                Err(error) => codecs = Err(error.to_string()),
            },
            b"hvcC" => {
                codecs = hevc_codecs(entry.kind, child.payload).ok_or("hvcC is cut off".into())
            }
            b"av1C" => codecs = av1_codecs(child.payload).ok_or("av1C is cut off".into()),
            b"pasp" => picture.pixel_aspect = pixel_aspect(child.payload),
            b"colr" => {
                picture.colour = picture.colour.or_else(|| nclx(child.payload));
                picture.full_range |= child.payload.get(10).is_some_and(|byte| byte & 0x80 != 0);
            }
            _ => {}
        }
    }
    Some(EntryFacts {
        kind: entry.kind,
        codecs,
        picture: Some(picture),
        sound: None,
    })
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
        colour: colour.map(|c| [c.primaries, c.transfer, c.matrix].map(u16::from)),
    }
}

/// `hvc1.2.4.L120.B0` from `hvcC` (ISO/IEC 14496-15 annex E.3).
fn hevc_codecs(kind: FourCc, record: &[u8]) -> Option<String> {
    let mut at = Cursor::new(record);
    at.u8()?;
    let profile_byte = at.u8()?;
    let compatibility = at.u32()?;
    let constraints = at.take(6)?;
    let level = at.u8()?;
    let space = ["", "A", "B", "C"]
        .get(usize::from(profile_byte >> 6))
        .copied()?;
    let tier = if profile_byte & 0x20 == 0 { 'L' } else { 'H' };
    let profile = profile_byte & 0x1f;
    let flags = compatibility.reverse_bits();
    let mut text = format!("{kind}.{space}{profile}.{flags:X}.{tier}{level}");
    let used = constraints
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    for byte in constraints.iter().take(used) {
        text.push_str(&format!(".{byte:X}"));
    }
    Some(text)
}

/// `av01.0.08M.08` from `av1C` (AV1 in ISOBMFF section 5).
fn av1_codecs(record: &[u8]) -> Option<String> {
    let mut at = Cursor::new(record);
    at.u8()?;
    let (profile_level, depth_byte) = (at.u8()?, at.u8()?);
    let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
    let tier = if depth_byte & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (depth_byte & 0x40 != 0, depth_byte & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Some(format!("av01.{profile}.{level:02}{tier}.{depth:02}"))
}

fn pixel_aspect(payload: &[u8]) -> Option<(u32, u32)> {
    let mut at = Cursor::new(payload);
    Some((at.u32()?, at.u32()?))
}

fn nclx(payload: &[u8]) -> Option<[u16; 3]> {
    let mut at = Cursor::new(payload);
    if at.take(4)? != b"nclx" {
        return None;
    }
    Some([at.u16()?, at.u16()?, at.u16()?])
}

fn audio_entry(entry: &BoxRef<'_>, trouble: &mut Vec<String>) -> Option<EntryFacts> {
    let mut at = Cursor::new(entry.payload);
    at.take(16)?;
    let channels = u32::from(at.u16()?);
    at.take(6)?;
    let sample_rate = at.u32()? >> 16;
    let mut sound = SoundFacts {
        channels,
        sample_rate,
        frame_samples: None,
    };
    let kind = entry.kind;
    let mut codecs = match &kind.0 {
        b"mp4a" | b"enca" => Err(format!("{kind} without a readable esds")),
        b"Opus" => Ok("Opus".to_owned()),
        _ => Ok(kind.to_string()),
    };
    let body = entry.payload.get(AUDIO_FIELDS..)?;
    let base = entry
        .offset
        .saturating_add(entry.header_len)
        .saturating_add(AUDIO_FIELDS);
    for child in walk(body, base, trouble) {
        if child.kind.0 == *b"esds" {
            match EsDescriptor::parse(child.payload) {
                Ok(esds) => {
                    codecs = Ok(esds.codecs());
                    sound_of_config(&esds, &mut sound);
                }
                Err(error) => codecs = Err(error.to_string()),
            }
        }
    }
    Some(EntryFacts {
        kind,
        codecs,
        picture: None,
        sound: Some(sound),
    })
}

/// The decoder's configuration is what decoders go by; the sample entry's fields are hints.
fn sound_of_config(esds: &EsDescriptor, sound: &mut SoundFacts) {
    let Ok(config) = AudioSpecificConfig::parse(&esds.specific) else {
        return;
    };
    if config.output_channels() > 0 {
        sound.channels = u32::from(config.output_channels());
    }
    sound.sample_rate = config.output_sample_rate();
    sound.frame_samples = Some(config.frame_length);
}
