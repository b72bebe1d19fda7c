//! CMAF headers: the init segment alone (ISO/IEC 23000-19 section 7.3.1 and 7.5), and the part of
//! the encoding rules that it shows.

use super::configuration::ConfigurationFacts;
use super::facts::{AvcFacts, EntryFacts, InitFacts, PictureFacts, TrackFacts};
use super::report::Sheet;
use crate::cmaf::boxes::FourCc;
use crate::media::Colour;

/// 1 as 16.16, the normal rate.
const RATE_ONE: u32 = 0x0001_0000;
/// The identity matrix (ISO/IEC 14496-12 section 6.2.2).
const IDENTITY: [i32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

/// Judges an init segment by every rule that it alone can break.
pub(super) fn judge(sheet: &mut Sheet, place: &str, init: &InitFacts) {
    sheet.judge("C01", place, header_structure(init));
    sheet.judge("C01", place, brands(init));
    sheet.judge("C02", place, header_defaults(init));
    sheet.judge("C16", place, clock_times(init));
    for track in &init.tracks {
        sheet.judge("C02", place, track_defaults(track));
        sheet.judge("C06", place, decodable_alone(track));
        if track.edits.is_some() {
            sheet.judge("C07", place, media_skip_only(track));
        }
        for entry in &track.entries {
            judge_entry(sheet, place, track, entry);
        }
    }
}

fn judge_entry(sheet: &mut Sheet, place: &str, track: &TrackFacts, entry: &EntryFacts) {
    sheet.judge("A01", place, known_codec(entry));
    sheet.judge("C14", place, entry.codecs.as_ref().err().cloned());
    let Some(picture) = &entry.picture else {
        return;
    };
    sheet.judge("A05", place, upright(track, picture));
    if matches!(&entry.kind.0, b"hvc1" | b"hev1") {
        sheet.judge("C08", place, colour_missing(picture));
    } else {
        sheet.advise("C08", place, colour_missing(picture));
    }
    sheet.advise("C08", place, shape_missing(picture));
    if let Some(record) = &picture.configuration {
        let interlaced = record.progressive == Some(false);
        let interlaced = interlaced.then(|| "the SPS says that pictures are interlaced".into());
        sheet.judge("A03", place, interlaced);
        sheet.judge("C14", place, record.faults.clone());
        sheet.judge("C14", place, says_otherwise(picture, record));
    }
    if let Some([_, transfer @ (Colour::PQ | Colour::HLG), _]) = picture.colour {
        sheet.judge("A04", place, no_hdr_codec(entry));
        if transfer == Colour::PQ {
            sheet.advise("A04", place, light_missing(picture));
        }
    }
    if let Some(avc) = &picture.avc {
        sheet.judge("A03", place, interlaced(avc));
        sheet.judge("C14", place, avc_record(avc));
        sheet.judge("C14", place, sizes_differ(picture, avc));
    }
}

/// C01: `ftyp` first, then one `moov` with `mvhd` first, one `trak`, `mvex` with a `trex` for it,
/// and empty sample tables (ISO/IEC 23000-19 7.3.1, 7.5).
fn header_structure(init: &InitFacts) -> Vec<String> {
    let mut faults = init.trouble.clone();
    let kinds = &init.top_level;
    if kinds.first() != Some(&FourCc(*b"ftyp")) {
        faults.push("ftyp is not the first box".into());
    }
    match count(kinds, b"moov") {
        1 => {}
        n => faults.push(format!("{n} moov boxes")),
    }
    for stray in [b"mdat", b"moof", b"mfra"] {
        if count(kinds, stray) > 0 {
            faults.push(format!("holds {}", FourCc(*stray)));
        }
    }
    if init.moov.first() != Some(&FourCc(*b"mvhd")) {
        faults.push("mvhd is not the first box of moov".into());
    }
    if init.tracks.len() != 1 {
        faults.push(format!("{} tracks instead of one", init.tracks.len()));
    }
    if count(&init.moov, b"mvex") != 1 {
        faults.push("no mvex, or several".into());
    }
    for track in &init.tracks {
        faults.extend(track_structure(init, track));
    }
    faults
}

fn track_structure(init: &InitFacts, track: &TrackFacts) -> Vec<String> {
    let mut faults = Vec::new();
    let id = track.id;
    let defaults = init.trex.iter().filter(|trex| trex.track_id == id).count();
    if defaults != 1 {
        faults.push(format!("{defaults} trex boxes for track {id}"));
    }
    if track.table_entries > 0 {
        faults.push(format!(
            "the sample tables (stts, stsc, stsz, stco) have {} entries instead of none",
            track.table_entries
        ));
    }
    for missing in &track.missing_tables {
        faults.push(format!("no {missing} box"));
    }
    if track.entries.len() != 1 {
        faults.push(format!(
            "{} sample entries instead of one",
            track.entries.len()
        ));
    }
    faults
}

/// C01: `ftyp` names `cmfc` or `cmf2`, and the media profile's brand where there is one for what
/// the track is (ISO/IEC 23000-19 7.2, A.1, 9.4, 10).
fn brands(init: &InitFacts) -> Vec<String> {
    let has = |brand: &[u8; 4]| init.brands.contains(&FourCc(*brand));
    let mut faults = Vec::new();
    if !has(b"cmfc") && !has(b"cmf2") {
        faults.push("ftyp names neither cmfc nor cmf2".into());
    }
    let entry = init.track().and_then(TrackFacts::entry);
    let expected: &[&[u8; 4]] = entry.map_or(&[], media_profile_brands);
    if !expected.is_empty() && !expected.iter().any(|brand| has(brand)) {
        let names: Vec<_> = expected.iter().map(|b| FourCc(**b).to_string()).collect();
        faults.push(format!(
            "ftyp names no media profile brand ({})",
            names.join(", ")
        ));
    }
    faults
}

/// The media profile brands that fit a track; none where no profile covers it.
fn media_profile_brands(entry: &EntryFacts) -> &'static [&'static [u8; 4]] {
    match (&entry.kind.0, &entry.picture, &entry.sound) {
        (b"avc1", Some(picture), _) => avc_profile_brands(picture),
        (b"hvc1", Some(picture), _) => hevc_profile_brands(picture),
        (b"av01", ..) => &[b"av01"],
        (b"mp4a", _, Some(sound)) if aac_lc(entry) && sound.sample_rate <= 48_000 => {
            match sound.channels {
                1 | 2 => &[b"caac", b"caaa"],
                _ => &[b"camc", b"caac"],
            }
        }
        _ => &[],
    }
}

fn aac_lc(entry: &EntryFacts) -> bool {
    entry
        .codecs
        .as_ref()
        .is_ok_and(|codecs| codecs == "mp4a.40.2")
}

/// ISO/IEC 23000-19 table A.1: SD to level 3.1 (864x576), HD to 4.0 (1920x1080), HDHF to 4.2; all
/// progressive, in video range, of BT.709 (or unsaid) colour. SD with BT.601 has a brand too, but
/// none is asked for here.
fn avc_profile_brands(picture: &PictureFacts) -> &'static [&'static [u8; 4]] {
    let usual_colour = picture
        .colour
        .is_none_or(|c| c.iter().all(|v| matches!(v, 1 | 2)));
    let usual_profile = picture
        .avc
        .as_ref()
        .is_some_and(|avc| matches!(avc.record[0], 66 | 77 | 100) && avc.progressive == Some(true));
    if picture.full_range || !usual_colour || !usual_profile {
        return &[];
    }
    let level = picture.avc.as_ref().map_or(u8::MAX, |avc| avc.record[2]);
    let fits = |width, height| picture.width <= width && picture.height <= height;
    match level {
        0..=31 if fits(864, 576) => &[b"cfsd", b"cfhd", b"chdf"],
        0..=40 if fits(1920, 1080) => &[b"cfhd", b"chdf"],
        0..=42 if fits(1920, 1080) => &[b"chdf"],
        _ => &[],
    }
}

/// ISO/IEC 23000-19 table B.1, Main tier: in Main BT.709 to level 4.1 (1920x1080) or 5.0 (3840x2160);
/// in Main 10 BT.709 to 4.1 or 5.1, and BT.2020 with PQ or HLG to 5.1.
fn hevc_profile_brands(picture: &PictureFacts) -> &'static [&'static [u8; 4]] {
    let configuration = picture.configuration.as_ref();
    let Some((profile, false, level)) = configuration.and_then(|it| it.hevc) else {
        return &[];
    };
    let fits = |width, height| picture.width <= width && picture.height <= height;
    if picture.full_range || level > 153 || !fits(3840, 2160) {
        return &[];
    }
    let hd = level <= 123 && fits(1920, 1080);
    match (profile, picture.colour.unwrap_or([2; 3])) {
        (1, [1 | 2, 1 | 2, 1 | 2]) if hd => &[b"chhd", b"cud8"],
        (1, [1 | 2, 1 | 2, 1 | 2]) if level <= 150 => &[b"cud8"],
        (2, [1 | 2, 1 | 2, 1 | 2]) if hd => &[b"chh1", b"cud1"],
        (2, [1 | 2, 1 | 2, 1 | 2]) => &[b"cud1"],
        (2, [9, 16, 9]) => &[b"chd1"],
        (2, [9, 18, 9]) => &[b"clg1"],
        _ => &[],
    }
}

/// C02: `mvhd` keeps its defaults, and nothing is said about the file as a whole (ISO/IEC
/// 23000-19 7.5.1, 7.5.2).
fn header_defaults(init: &InitFacts) -> Vec<String> {
    let mut faults = Vec::new();
    for kind in [b"meta", b"udta"] {
        if count(&init.top_level, kind) > 0 {
            faults.push(format!("{} at file level", FourCc(*kind)));
        }
    }
    let Some(movie) = init.movie else {
        faults.push("no mvhd".into());
        return faults;
    };
    if movie.rate != RATE_ONE {
        faults.push(format!("mvhd rate is {:#010x}, not 1.0", movie.rate));
    }
    if movie.volume != 0x0100 {
        faults.push(format!("mvhd volume is {:#06x}, not 1.0", movie.volume));
    }
    if movie.matrix != IDENTITY {
        faults.push("mvhd matrix is not the identity".into());
    }
    if movie.duration != 0 {
        faults.push(format!("mvhd duration is {}, not 0", movie.duration));
    }
    faults
}

/// C02: so do `tkhd` and `mdhd` (ISO/IEC 23000-19 7.5.4, 7.5.5).
fn track_defaults(track: &TrackFacts) -> Vec<String> {
    let mut faults = Vec::new();
    if track.matrix != IDENTITY {
        faults.push("tkhd matrix is not the identity".into());
    }
    let volume = if track.handler == Some(FourCc(*b"soun")) {
        0x0100
    } else {
        0
    };
    if track.volume != volume {
        let found = track.volume;
        faults.push(format!("tkhd volume is {found:#06x}, not {volume:#06x}"));
    }
    if track.media_duration != 0 {
        faults.push(format!(
            "tkhd or mdhd duration is {}, not 0",
            track.media_duration
        ));
    }
    faults
}

/// C06: a fragment decodes with only the init segment: a sample entry that promises its parameter
/// sets (`avc1`, `hvc1`) holds them (ISO/IEC 23000-19 7.3.2.4, ISO/IEC 14496-15 5.3.3).
fn decodable_alone(track: &TrackFacts) -> Option<String> {
    let entry = track.entry()?;
    if entry.kind.0 == *b"hvc1" {
        let picture = entry.picture.as_ref();
        let record = picture.and_then(|picture| picture.configuration.as_ref());
        return record.is_none().then(|| "hvc1 without hvcC".into());
    }
    if entry.kind.0 != *b"avc1" {
        return None;
    }
    match entry
        .picture
        .as_ref()
        .and_then(|picture| picture.avc.as_ref())
    {
        None => Some("avc1 without avcC".into()),
        Some(avc) if avc.sps_count == 0 => Some("avc1, but avcC holds no SPS".into()),
        Some(avc) if avc.pps_count == 0 => Some("avc1, but avcC holds no PPS".into()),
        Some(_) => None,
    }
}

/// C07: an edit list only skips the start of the media: one edit, to the end, at rate 1 (ISO/IEC
/// 23000-19 7.5.13, 9.2.1).
fn media_skip_only(track: &TrackFacts) -> Option<String> {
    let edits = track.edits.as_deref()?;
    let [edit] = edits else {
        return Some(format!("{} edits instead of one", edits.len()));
    };
    if edit.media_time < 0 {
        return Some("an empty edit delays the track".into());
    }
    if edit.segment_duration != 0 {
        return Some(format!(
            "the edit ends after {} ticks",
            edit.segment_duration
        ));
    }
    (edit.rate != RATE_ONE).then(|| format!("the edit's rate is {:#010x}", edit.rate))
}

/// A01: the codec is H.264, HEVC, Dolby Vision or AV1 for pictures; H.264 at most High 5.2, HEVC at
/// most Main 10 5.1 High tier, AV1 at most 6.2 (Apple HLS Authoring 1.1-1.6, 1.37).
fn known_codec(entry: &EntryFacts) -> Option<String> {
    let codecs = entry.codecs.as_ref().ok()?;
    codec_limits(codecs)
}

/// The limits of A01 on a codec string; `None` when it keeps them or isn't about pictures.
pub(super) fn codec_limits(codecs: &str) -> Option<String> {
    let mut parts = codecs.split('.');
    match parts.next()? {
        "avc1" | "avc3" => {
            let digits = parts.next().unwrap_or_default();
            let number = u32::from_str_radix(digits, 16)
                .ok()
                .filter(|_| digits.len() == 6);
            let Some([_, profile, _, level]) = number.map(u32::to_be_bytes) else {
                return Some(format!("{codecs} is no H.264 codec string"));
            };
            (!matches!(profile, 66 | 77 | 88 | 100) || level > 52)
                .then(|| format!("{codecs}: profile {profile} level {level} is beyond High 5.2"))
        }
        "hvc1" | "hev1" => {
            let profile = parts.next().unwrap_or_default();
            let level = parts.nth(1).unwrap_or_default();
            let number: u32 = level.get(1..).and_then(|n| n.parse().ok()).unwrap_or(0);
            (!matches!(profile, "1" | "2") || number > 153)
                .then(|| format!("{codecs} is beyond Main 10 level 5.1"))
        }
        "av01" => {
            let level = parts.nth(1).unwrap_or_default();
            let index: u32 = level.get(..2).and_then(|n| n.parse().ok()).unwrap_or(0);
            (index > 18).then(|| format!("{codecs} is beyond level 6.2"))
        }
        "dvh1" | "dvhe" | "dvav" | "dva1" | "dav1" => None,
        kind @ ("vp08" | "vp09" | "mp4v" | "s263" | "mjpg" | "encv") => {
            Some(format!("{kind} is not H.264, HEVC, Dolby Vision or AV1"))
        }
        _ => None,
    }
}

/// A03: no interlaced output (Apple HLS Authoring 1.14).
fn interlaced(avc: &AvcFacts) -> Option<String> {
    (avc.progressive == Some(false)).then(|| "the SPS allows interlaced pictures".into())
}

/// A05: coded pictures are upright, with square pixels and even sizes: players differ in what they
/// do with a rotation matrix, and 4:2:0 needs even sizes.
fn upright(track: &TrackFacts, picture: &PictureFacts) -> Vec<String> {
    let mut faults = Vec::new();
    let [a, b, _, c, d, ..] = track.matrix;
    if b != 0 || c != 0 || a < 0 || d < 0 {
        faults.push("tkhd turns or mirrors the picture".into());
    }
    let record = picture.configuration.as_ref();
    let in_stream = picture.avc.as_ref().and_then(|avc| avc.pixel_aspect);
    let in_stream = in_stream.or(record.and_then(|record| record.pixel_aspect));
    for (place, aspect) in [("pasp", picture.pixel_aspect), ("the SPS", in_stream)] {
        if let Some((h, v)) = aspect.filter(|(h, v)| h != v) {
            faults.push(format!("{place} says pixels are {h}:{v}"));
        }
    }
    let sizes = picture.avc.as_ref().and_then(|avc| avc.size);
    let sizes = sizes.or(record.and_then(|record| record.size));
    let (width, height) = sizes.unwrap_or((picture.width, picture.height));
    if width % 2 == 1 || height % 2 == 1 {
        faults.push(format!("the size {width}x{height} is odd"));
    }
    faults
}

/// C08: colour stands in the sample entry: must for HEVC, should for all video (ISO/IEC 23000-19
/// 7.3.2.4).
fn colour_missing(picture: &PictureFacts) -> Option<String> {
    picture
        .colour
        .is_none()
        .then(|| "no colr box of type nclx".into())
}

/// C08: and so does the shape of pixels.
fn shape_missing(picture: &PictureFacts) -> Option<String> {
    picture.pixel_aspect.is_none().then(|| "no pasp box".into())
}

/// A04: HDR is HDR10, HLG or Dolby Vision (Apple HLS Authoring 1.7): ten bits of HEVC or AV1.
fn no_hdr_codec(entry: &EntryFacts) -> Option<String> {
    let codecs = entry.codecs.as_ref().ok()?;
    let deep = match codecs.split('.').next()? {
        "hvc1" | "hev1" => codecs.split('.').nth(1) == Some("2"),
        "av01" => codecs.ends_with(".10"),
        kind => kind.starts_with("dv") || kind == "dav1",
    };
    (!deep).then(|| format!("high dynamic range in {codecs}"))
}

/// A04, advice: HDR10 tells the mastering display and the content light level (Apple HLS Authoring
/// 1.35), in the decoder configuration (1.8) or in boxes.
fn light_missing(picture: &PictureFacts) -> Option<String> {
    let in_record = picture.configuration.as_ref().is_some_and(|c| c.light);
    (!picture.light && !in_record)
        .then(|| "neither mastering display nor content light level is told".into())
}

/// C14: size and colour of the sample entry are those of the parameter sets.
fn says_otherwise(picture: &PictureFacts, record: &ConfigurationFacts) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some((width, height)) = record.size
        && (width, height) != (picture.width, picture.height)
    {
        faults.push(format!(
            "the sample entry says {}x{}, the parameter sets {width}x{height}",
            picture.width, picture.height
        ));
    }
    if let (Some(said), Some(real)) = (picture.colour, record.colour)
        && said != real
    {
        faults.push(format!("colr says {said:?}, the parameter sets {real:?}"));
    }
    faults
}

/// C14: `avcC` holds at least one SPS and PPS, and its profile and level are the SPS's (ISO/IEC
/// 14496-15 5.3.3.1.2).
fn avc_record(avc: &AvcFacts) -> Vec<String> {
    let mut faults = Vec::new();
    if avc.sps_count == 0 || avc.pps_count == 0 {
        faults.push(format!(
            "avcC holds {} SPS and {} PPS",
            avc.sps_count, avc.pps_count
        ));
    }
    match avc.sps {
        Some(sps) if sps != avc.record => faults.push(format!(
            "avcC says profile, flags, level {:02x?}, its SPS {sps:02x?}",
            avc.record
        )),
        None if avc.sps_count > 0 => faults.push("the SPS can't be read".into()),
        _ => {}
    }
    if avc.nal_length != 4 {
        faults.push(format!("NAL length fields of {} bytes", avc.nal_length));
    }
    faults
}

/// C14: the sample entry's size is the SPS's.
fn sizes_differ(picture: &PictureFacts, avc: &AvcFacts) -> Option<String> {
    let (width, height) = avc.size?;
    ((width, height) != (picture.width, picture.height)).then(|| {
        format!(
            "the sample entry says {}x{}, its SPS {width}x{height}",
            picture.width, picture.height
        )
    })
}

/// C16: creation and modification times are 0, so that equal input gives equal bytes.
fn clock_times(init: &InitFacts) -> Option<String> {
    let movie = init.movie.map_or([0; 2], |movie| movie.times);
    let tracks = init.tracks.iter().flat_map(|track| &track.times);
    let set = movie.iter().chain(tracks).find(|time| **time != 0)?;
    Some(format!("a creation or modification time is {set}"))
}

fn count(kinds: &[FourCc], kind: &[u8; 4]) -> usize {
    kinds.iter().filter(|k| k.0 == *kind).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_limits_are_apples() {
        for good in [
            "avc1.640034",
            "avc1.42C01E",
            "hvc1.2.4.H153.B0",
            "av01.0.08M.08",
            "mp4a.40.2",
        ] {
            assert_eq!(codec_limits(good), None, "{good}");
        }
        for bad in [
            "avc1.640035",
            "avc1.6E0028",
            "avc1.6400",
            "hvc1.2.4.H156.B0",
            "vp09.00.10.08",
        ] {
            assert!(codec_limits(bad).is_some(), "{bad}");
        }
    }
}
