//! Sample descriptions (`stsd`, ISO/IEC 14496-12 section 8.5.2): codec, decoder configuration and
//! properties of a track.
//!
//! The configuration is handed on as FFmpeg's decoders want their extradata.

mod audio;
mod object_type;
mod video;

use crate::cmaf::boxes::{FourCc, children};
use crate::cmaf::fields::Fields;
use crate::media::{Codec, TrackKind};

use super::header::TrackHeader;
use super::warnings::Warnings;

pub(super) use audio::Packing;

/// Longest configuration of a text track that is kept, in bytes.
const MAX_TEXT_CONFIG: usize = 256 << 10;

/// What the first sample description of a track says.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) kind: TrackKind,
    pub(super) codec: Codec,
    pub(super) config: Vec<u8>,
    /// For sound that is stored as a row of equal packets: the size of one.
    pub(super) packing: Option<Packing>,
}

impl Description {
    fn without_config(kind: TrackKind, codec: Codec) -> Self {
        Self {
            kind,
            codec,
            config: Vec::new(),
            packing: None,
        }
    }

    /// Whether every sample is text that all viewers need, by the display flags of `tx3g`
    /// (QuickTime File Format, "Subtitle Media").
    pub(super) fn is_forced(&self) -> bool {
        self.codec.name() == "mov_text" && self.config.first().is_some_and(|b| b & 0x80 != 0)
    }
}

/// What reading a description needs to know of its track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) handler: [u8; 4],
    pub(super) header: &'a TrackHeader,
    pub(super) orientation: crate::media::Orientation,
    /// How warnings call the track.
    pub(super) place: &'a str,
}

/// One entry of the table.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    format: FourCc,
    /// What follows the entry's own header.
    payload: &'a [u8],
    /// Version of the table: 0 allows QuickTime's sound descriptions.
    table_version: u8,
}

/// Reads the first description of an `stsd` box.
pub(super) fn read(
    payload: &[u8],
    context: Context<'_>,
    warnings: &mut Warnings,
) -> Option<Description> {
    let (table_version, _, mut fields) = Fields::full(payload)?;
    let count = fields.u32()?;
    let first = children(fields.rest(), 0).next()?.ok()?;
    let place = context.place;
    if count > 1 {
        warnings.push(format!(
            "{place}: has {count} sample descriptions; the first ({}) is taken for all samples",
            first.kind
        ));
    }
    let entry = Entry {
        format: first.kind,
        payload: first.payload,
        table_version,
    };
    if matches!(
        &entry.format.0,
        b"encv" | b"enca" | b"enct" | b"drms" | b"drmi"
    ) {
        warnings.push(format!(
            "{place}: is encrypted ({}); supply a clear copy",
            entry.format
        ));
    }
    match &context.handler {
        b"vide" | b"auxv" | b"pict" => video::read(entry, context),
        b"soun" => audio::read(entry),
        b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp" => Some(text(entry)),
        _ => Some(Description::without_config(
            TrackKind::Other,
            other(entry.format),
        )),
    }
}

/// A codec that is not on the list, by its four-character code.
fn other(format: FourCc) -> Codec {
    Codec::Other(format.to_string())
}

/// Subtitles and captions, by FFmpeg's names.
fn text(entry: Entry<'_>) -> Description {
    // Fields of a `SampleEntry` come first (section 8.5.2.2).
    let fields = entry.payload.get(8..).unwrap_or_default();
    let config = match &entry.format.0 {
        b"tx3g" => fields,
        b"wvtt" => child(fields, b"vttC").unwrap_or_default(),
        _ => &[],
    };
    let codec = match &entry.format.0 {
        b"tx3g" | b"text" => Codec::from_name("mov_text"),
        b"wvtt" => Codec::from_name("wvtt"),
        b"stpp" => Codec::from_name("ttml"),
        b"c608" => Codec::from_name("eia_608"),
        b"mp4s" => Codec::from_name("dvd_subtitle"),
        _ => other(entry.format),
    };
    Description {
        config: config.get(..MAX_TEXT_CONFIG).unwrap_or(config).to_vec(),
        ..Description::without_config(TrackKind::Text, codec)
    }
}

/// The payload of the first child box of type `kind`.
fn child<'a>(boxes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(boxes, 0)
        .map_while(Result::ok)
        .find(|found| found.kind.0 == *kind)
        .map(|found| found.payload)
}
