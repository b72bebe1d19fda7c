//! ISO base media files as text: one line a box, indented, with the fields that matter. The same
//! bytes give the same text, so that dumps can be compared.

use std::fmt::Write;

use super::boxes::FourCc;
use super::fields::Fields;
use super::read::{
    Brands, ColourBox, EditList, FragmentHeader, Handler, IDENTITY_MATRIX, Matrix, MediaHeader,
    MovieHeader, SegmentIndex, TrackDefaults, TrackHeader,
};
use super::tree::{BoxNode, EntryMedia, box_tree, entry_media};
use crate::codec::aac::{AudioSpecificConfig, EsDescriptor};
use crate::codec::avc::AvcConfig;

/// Rows of a table that are printed one by one.
const ROWS: usize = 4;
/// The same as a count in a box.
const FEW: u32 = 4;

/// The boxes in `bytes` as a text tree. Broken bytes give the boxes up to the fault and a last
/// line that names it.
pub fn dump(bytes: &[u8]) -> String {
    let tree = box_tree(bytes, bytes.len() as u64);
    let mut out = String::new();
    for node in &tree.nodes {
        let indent = 2 * node.depth;
        let (kind, len) = (node.kind, node.len);
        let described = describe(node, payload_of(bytes, node)).unwrap_or_default();
        let mut lines = described.lines();
        let first = lines.next().unwrap_or_default();
        let gap = if first.is_empty() { "" } else { " " };
        line(&mut out, indent, format_args!("{kind} {len}{gap}{first}"));
        for more in lines {
            line(&mut out, indent + 4, format_args!("{more}"));
        }
    }
    if let Some(fault) = tree.fault {
        line(&mut out, 0, format_args!("! {fault}"));
    }
    out
}

fn line(out: &mut String, indent: usize, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{:indent$}{text}", "").expect("a string takes all text");
}

fn payload_of<'a>(bytes: &'a [u8], node: &BoxNode) -> &'a [u8] {
    let range = usize::try_from(node.payload_offset())
        .ok()
        .zip(usize::try_from(node.end()).ok());
    range
        .and_then(|(from, to)| bytes.get(from..to))
        .unwrap_or_default()
}

/// The fields of a box, on one line or more. `None` when it is cut off, empty when it has none
/// worth printing.
fn describe(node: &BoxNode, payload: &[u8]) -> Option<String> {
    match &node.kind.0 {
        b"ftyp" | b"styp" => Brands::parse(payload).map(|brands| brands_text(&brands)),
        b"mvhd" => MovieHeader::parse(payload).map(|header| movie_text(&header)),
        b"tkhd" => TrackHeader::parse(payload).map(|header| track_text(&header)),
        b"mdhd" => MediaHeader::parse(payload).map(|header| media_text(&header)),
        b"hdlr" => Handler::parse(payload)
            .map(|handler| format!("{} {:?}", handler.handler_type, handler.name)),
        b"elst" => EditList::parse(payload).map(|list| edits_text(&list)),
        b"elng" => Fields::full(payload).map(|(_, _, mut fields)| fields.text()),
        b"stsd" | b"dref" | b"stts" | b"ctts" | b"stsc" | b"stco" | b"co64" | b"stss" => {
            count_text(payload, 0)
        }
        b"stsz" => count_text(payload, 4),
        b"avcC" => AvcConfig::parse(payload).ok().map(|avc| avc_text(&avc)),
        b"esds" => EsDescriptor::parse(payload)
            .ok()
            .map(|esds| esds_text(&esds)),
        b"colr" => ColourBox::parse(payload).map(|colr| colour_text(&colr)),
        b"pasp" => pasp_text(payload),
        b"trex" => TrackDefaults::parse(payload).map(|trex| trex_text(&trex)),
        b"mfhd" => sequence_text(payload),
        b"tfhd" => FragmentHeader::parse(payload).map(|tfhd| tfhd_text(&tfhd)),
        b"tfdt" => tfdt_text(payload),
        b"trun" => trun_text(payload),
        b"sidx" => SegmentIndex::parse(payload).map(|sidx| sidx_text(&sidx)),
        b"frma" | b"schm" => scheme_text(node.kind, payload),
        b"tenc" => tenc_text(payload),
        b"pssh" => pssh_text(payload),
        b"saiz" => saiz_text(payload),
        b"saio" => saio_text(payload),
        b"senc" => senc_text(payload),
        _ => entry_text(node.kind, payload),
    }
}

fn brands_text(brands: &Brands) -> String {
    let compatible: Vec<_> = brands.compatible.iter().map(FourCc::to_string).collect();
    format!(
        "{} version={} compatible=[{}]",
        brands.major,
        brands.minor_version,
        compatible.join(" ")
    )
}

/// Nothing for the identity, for it is everywhere.
fn matrix_text(matrix: &Matrix) -> String {
    if *matrix == IDENTITY_MATRIX {
        String::new()
    } else {
        format!(" matrix={matrix:x?}")
    }
}

/// Nothing for zero, which is what is wanted.
fn times_text(creation: u64, modification: u64) -> String {
    if (creation, modification) == (0, 0) {
        String::new()
    } else {
        format!(" created={creation} modified={modification}")
    }
}

fn movie_text(header: &MovieHeader) -> String {
    format!(
        "v{} timescale={} duration={} rate={:#x} volume={:#x} next_track={}{}{}",
        header.version,
        header.timescale,
        header.duration,
        header.rate,
        header.volume,
        header.next_track_id,
        matrix_text(&header.matrix),
        times_text(header.creation_time, header.modification_time)
    )
}

/// 16.16 fixed point, whole numbers without a fraction.
fn fixed_text(value: u32) -> String {
    match value & 0xffff {
        0 => (value >> 16).to_string(),
        _ => format!("{:.4}", f64::from(value) / 65_536.0),
    }
}

fn track_text(header: &TrackHeader) -> String {
    format!(
        "v{} flags={:#x} track={} duration={} layer={} group={} volume={:#x} size={}x{}{}{}",
        header.version,
        header.flags,
        header.track_id,
        header.duration,
        header.layer,
        header.alternate_group,
        header.volume,
        fixed_text(header.width),
        fixed_text(header.height),
        matrix_text(&header.matrix),
        times_text(header.creation_time, header.modification_time)
    )
}

fn media_text(header: &MediaHeader) -> String {
    format!(
        "v{} timescale={} duration={} language={}{}",
        header.version,
        header.timescale,
        header.duration,
        header.language(),
        times_text(header.creation_time, header.modification_time)
    )
}

fn edits_text(list: &EditList) -> String {
    let mut out = format!("v{} edits={}", list.version, list.edits.len());
    for edit in list.edits.iter().take(ROWS) {
        let (duration, time, rate) = (edit.segment_duration, edit.media_time, edit.media_rate);
        out += &format!("\nduration={duration} media_time={time} rate={rate:#x}");
    }
    out
}

fn count_text(payload: &[u8], skip: usize) -> Option<String> {
    let (_, _, mut fields) = Fields::full(payload)?;
    fields.skip(skip)?;
    Some(format!("entries={}", fields.u32()?))
}

fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn avc_text(avc: &AvcConfig) -> String {
    let mut out = format!("{} length_size={}", avc.codecs(), avc.length_size);
    if let Some(format) = avc.format {
        out += &format!(
            " chroma={} depth={}/{}",
            format.chroma_format, format.bit_depth_luma, format.bit_depth_chroma
        );
    }
    for (name, list) in [
        ("sps", &avc.sets.sps),
        ("pps", &avc.sets.pps),
        ("sps_extension", &avc.sets.sps_extensions),
    ] {
        for nal in list {
            out += &format!("\n{name} {}", hex_text(nal));
        }
    }
    out
}

fn esds_text(esds: &EsDescriptor) -> String {
    let mut out = format!(
        "{} max_bitrate={} average_bitrate={} specific={}",
        esds.codecs(),
        esds.max_bitrate_bps,
        esds.average_bitrate_bps,
        hex_text(&esds.specific)
    );
    if let Ok(config) = AudioSpecificConfig::parse(&esds.specific) {
        let (rate, channels) = (config.output_sample_rate(), config.output_channels());
        out += &format!(" rate={rate} channels={channels}");
    }
    out
}

fn colour_text(colr: &ColourBox) -> String {
    let colour = colr.colour;
    format!(
        "{} primaries={} transfer={} matrix={} full_range={}",
        colr.kind, colour.primaries, colour.transfer, colour.matrix, colour.full_range
    )
}

fn pasp_text(payload: &[u8]) -> Option<String> {
    let mut fields = Fields::new(payload);
    Some(format!("{}:{}", fields.u32()?, fields.u32()?))
}

fn trex_text(trex: &TrackDefaults) -> String {
    format!(
        "track={} description={} duration={} size={} flags={:#010x}",
        trex.track_id, trex.description_index, trex.duration, trex.size, trex.flags
    )
}

fn sequence_text(payload: &[u8]) -> Option<String> {
    let (_, _, mut fields) = Fields::full(payload)?;
    Some(format!("sequence={}", fields.u32()?))
}

fn tfhd_text(tfhd: &FragmentHeader) -> String {
    let mut out = format!("flags={:#08x} track={}", tfhd.flags, tfhd.track_id);
    if let Some(offset) = tfhd.base_data_offset {
        out += &format!(" base={offset}");
    }
    for (name, value) in [
        ("description", tfhd.description_index),
        ("duration", tfhd.duration),
        ("size", tfhd.size),
    ] {
        if let Some(value) = value {
            out += &format!(" {name}={value}");
        }
    }
    if let Some(flags) = tfhd.sample_flags {
        out += &format!(" sample_flags={flags:#010x}");
    }
    out
}

fn tfdt_text(payload: &[u8]) -> Option<String> {
    let (version, _, mut fields) = Fields::full(payload)?;
    let time = fields.by_version(version)?;
    Some(format!("v{version} time={time}"))
}

/// The columns of `trun` as they stand there, without the defaults of other boxes.
fn trun_text(payload: &[u8]) -> Option<String> {
    let (version, flags, mut fields) = Fields::full(payload)?;
    let count = fields.u32()?;
    let mut out = format!("v{version} flags={flags:#08x} samples={count}");
    if flags & 0x01 != 0 {
        out += &format!(" data_offset={}", fields.i32()?);
    }
    if flags & 0x04 != 0 {
        out += &format!(" first_flags={:#010x}", fields.u32()?);
    }
    let columns: Vec<_> = [
        (0x100, "duration"),
        (0x200, "size"),
        (0x400, "flags"),
        (0x800, "composition"),
    ]
    .into_iter()
    .filter(|(flag, _)| flags & flag != 0)
    .map(|(_, name)| name)
    .collect();
    if columns.is_empty() {
        return Some(out);
    }
    let rows = fields.rest().len() / (4 * columns.len());
    let rows = rows.min(usize::try_from(count).unwrap_or(usize::MAX));
    for _ in 0..rows.min(ROWS) {
        out.push('\n');
        out += &row_text(&mut fields, &columns, version)?;
    }
    if rows > ROWS {
        out += &format!("\n... {} more", rows - ROWS);
    }
    Some(out)
}

fn row_text(fields: &mut Fields<'_>, columns: &[&str], version: u8) -> Option<String> {
    let mut cells = Vec::with_capacity(columns.len());
    for name in columns {
        let value = fields.u32()?;
        cells.push(match *name {
            "flags" => format!("flags={value:#010x}"),
            "composition" if version > 0 => format!("composition={}", value.cast_signed()),
            _ => format!("{name}={value}"),
        });
    }
    Some(cells.join(" "))
}

fn sidx_text(sidx: &SegmentIndex) -> String {
    let mut out = format!(
        "v{} reference={} timescale={} earliest={} first_offset={} references={}",
        sidx.version,
        sidx.reference_id,
        sidx.timescale,
        sidx.earliest_presentation_time,
        sidx.first_offset,
        sidx.references.len()
    );
    for reference in sidx.references.iter().take(ROWS) {
        out += &format!(
            "\nto_index={} size={} duration={} sap={}/{}",
            reference.to_index,
            reference.size,
            reference.duration,
            u8::from(reference.starts_with_sap),
            reference.sap_type
        );
    }
    out
}

fn scheme_text(kind: FourCc, payload: &[u8]) -> Option<String> {
    let start = if kind.0 == *b"schm" { 4 } else { 0 };
    let mut fields = Fields::new(payload.get(start..)?);
    Some(fields.four_cc()?.to_string())
}

fn tenc_text(payload: &[u8]) -> Option<String> {
    let (version, _, mut fields) = Fields::full(payload)?;
    fields.skip(1)?;
    let blocks = fields.u8()?;
    let (protected, iv_size) = (fields.u8()?, fields.u8()?);
    let key_id: [u8; 16] = fields.array()?;
    let mut out = format!(
        "v{version} pattern={}:{} protected={protected} iv_size={iv_size} key_id={}",
        blocks >> 4,
        blocks & 0x0f,
        hex_text(&key_id)
    );
    if iv_size == 0 && protected == 1 {
        let length = usize::from(fields.u8()?);
        out += &format!(" constant_iv={}", hex_text(fields.rest().get(..length)?));
    }
    Some(out)
}

fn pssh_text(payload: &[u8]) -> Option<String> {
    let (version, _, mut fields) = Fields::full(payload)?;
    let system: [u8; 16] = fields.array()?;
    let mut out = format!("v{version} system={}", hex_text(&system));
    if version > 0 {
        let count = fields.u32()?;
        out += &format!(" key_ids={count}");
        for _ in 0..count.min(FEW) {
            out += &format!("\nkey_id={}", hex_text(&fields.array::<16>()?));
        }
        fields.skip(16 * usize::try_from(count).ok()?.saturating_sub(ROWS))?;
    }
    let length = fields.u32()?;
    Some(out + &format!("\ndata={length} {}", hex_text(fields.rest())))
}

fn saiz_text(payload: &[u8]) -> Option<String> {
    let (_, flags, mut fields) = Fields::full(payload)?;
    if flags & 1 != 0 {
        fields.skip(8)?;
    }
    let (default, count) = (fields.u8()?, fields.u32()?);
    let sizes: Vec<_> = fields.rest().iter().take(ROWS).collect();
    Some(format!(
        "default={default} samples={count} sizes={sizes:?}.."
    ))
}

fn saio_text(payload: &[u8]) -> Option<String> {
    let (version, flags, mut fields) = Fields::full(payload)?;
    if flags & 1 != 0 {
        fields.skip(8)?;
    }
    let count = fields.u32()?;
    let mut out = format!("v{version} entries={count}");
    for _ in 0..count.min(FEW) {
        out += &format!(" offset={}", fields.by_version(version)?);
    }
    Some(out)
}

/// Subsamples, as far as initialization vectors are constant: nothing here says how long others are.
fn senc_text(payload: &[u8]) -> Option<String> {
    let (_, flags, mut fields) = Fields::full(payload)?;
    let count = fields.u32()?;
    let mut out = format!("flags={flags:#x} samples={count}");
    let is_constant = matches!(fields.rest(), [0, count, ..] if *count > 0);
    if flags & 2 == 0 || !is_constant {
        return Some(out);
    }
    for _ in 0..count.min(FEW) {
        out.push('\n');
        for subsample in 0..fields.u16()? {
            let (clear, protected) = (fields.u16()?, fields.u32()?);
            let gap = if subsample == 0 { "" } else { ", " };
            out += &format!("{gap}clear={clear} protected={protected}");
        }
    }
    Some(out)
}

/// The fields of sample entries.
fn entry_text(kind: FourCc, payload: &[u8]) -> Option<String> {
    let mut fields = Fields::new(payload);
    match entry_media(kind) {
        EntryMedia::Video => {
            fields.skip(24)?;
            Some(format!("{}x{}", fields.u16()?, fields.u16()?))
        }
        EntryMedia::Audio => {
            fields.skip(16)?;
            let (channels, bits) = (fields.u16()?, fields.u16()?);
            fields.skip(4)?;
            let rate = fixed_text(fields.u32()?);
            Some(format!("channels={channels} bits={bits} rate={rate}"))
        }
        EntryMedia::Text | EntryMedia::Unknown => None,
    }
}
