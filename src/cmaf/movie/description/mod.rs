//! Sample descriptions (`stsd`, ISO/IEC 14496-12 section 8.5.2): codec, decoder configuration and
//! properties of a track.
//!
//! The configuration is handed on as FFmpeg's decoders want their extradata.

mod audio;
mod object_type;
mod video;

use crate::cmaf::boxes::{FourCc, children};
use crate::cmaf::fields::Fields;
use crate::media::{Codec, Reconfigurations, TrackKind};

use super::header::TrackHeader;
use super::warnings::Warnings;

pub(super) use audio::Packing;

/// Longest configuration of a text track that is kept, in bytes.
const MAX_TEXT_CONFIG: usize = 256 << 10;
/// Descriptions of a track that are read.
const MAX_DESCRIPTIONS: usize = 256;

/// What the first sample description of a track says.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) kind: TrackKind,
    pub(super) codec: Codec,
    pub(super) config: Vec<u8>,
    /// For sound that is stored as a row of equal packets: the size of one.
    pub(super) packing: Option<Packing>,
    /// The configurations of the other descriptions; `None` for those of which none is of use: of
    /// another codec, and those of sound.
    pub(super) others: Vec<Option<Vec<u8>>>,
}

impl Description {
    fn without_config(kind: TrackKind, codec: Codec) -> Self {
        Self {
            kind,
            codec,
            config: Vec::new(),
            packing: None,
            others: Vec::new(),
        }
    }

    /// Which configuration samples have, by the number of their description from 1, and where it
    /// changes.
    pub(super) fn reconfigurations(
        &self,
        changes: &[(u32, u32)],
        place: &str,
        warnings: &mut Warnings,
    ) -> Reconfigurations {
        let others = || self.others.iter();
        let is_of_use = |number: u32| match number.checked_sub(2) {
            None => true,
            Some(at) => others().nth(at as usize).is_some_and(Option::is_some),
        };
        for (sample, number) in changes {
            if !is_of_use(*number) {
                warnings.push(format!(
                    "{place}: sample {sample} changes to sample description {number}, which is of another \
                     codec, of sound, or not there; the one before is used on"
                ));
            }
        }
        let useful = changes.iter().filter(|(_, number)| is_of_use(*number));
        let useful = useful.map(|(sample, number)| (*sample, number.saturating_sub(1)));
        let configs = others().map(|config| config.clone().unwrap_or_default());
        Reconfigurations::new(configs.collect(), useful)
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

/// Reads the descriptions of an `stsd` box: the first, and of the others what decoders need.
pub(super) fn read(
    payload: &[u8],
    context: Context<'_>,
    warnings: &mut Warnings,
) -> Option<Description> {
    let (table_version, _, mut fields) = Fields::full(payload)?;
    let count = fields.u32()?;
    let mut all = children(fields.rest(), 0)
        .map_while(Result::ok)
        .take(MAX_DESCRIPTIONS)
        .map(|found| Entry {
            format: found.kind,
            payload: found.payload,
            table_version,
        });
    let entry = all.next()?;
    let place = context.place;
    if matches!(
        &entry.format.0,
        b"encv" | b"enca" | b"enct" | b"drms" | b"drmi"
    ) {
        warnings.push(format!(
            "{place}: is encrypted ({}); supply a clear copy",
            entry.format
        ));
    }
    let mut first = one(entry, context)?;
    if count > 1 {
        first.others = all.map(|other| stand_in(&first, other, context)).collect();
        let of_use = first.others.iter().filter(|other| other.is_some()).count();
        warnings.push(format!(
            "{place}: has {count} sample descriptions; what is said of the track is of the first ({}), and \
             {of_use} of the others can be decoded as well",
            entry.format
        ));
    }
    Some(first)
}

fn one(entry: Entry<'_>, context: Context<'_>) -> Option<Description> {
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

/// The configuration of a further description, where the decoder of the first can have it.
fn stand_in(first: &Description, entry: Entry<'_>, context: Context<'_>) -> Option<Vec<u8>> {
    let is_video = matches!(first.kind, TrackKind::Video(_));
    let other = is_video.then(|| one(entry, context)).flatten()?;
    (other.codec == first.codec).then_some(other.config)
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
