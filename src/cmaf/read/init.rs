//! Init segments: `ftyp` and `moov`.

use super::{Brands, EditList, Handler, MediaHeader, MovieHeader, TrackDefaults, TrackHeader};
use crate::cmaf::boxes::{BoxRef, FourCc, children};
use crate::cmaf::fields::Fields;
use crate::cmaf::tree::{self, BoxTree, EntryMedia, box_tree, entry_media};
use crate::codec;
use crate::error::{Error, Result};
use crate::media::{Colour, PixelAspect};

/// What an init segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitInfo {
    /// Every box, for rules about structure.
    pub tree: BoxTree,
    /// The first `ftyp` (section 4.3).
    pub brands: Option<Brands>,
    /// `mvhd` (section 8.2.2).
    pub movie: Option<MovieHeader>,
    /// `trak` boxes in order (section 8.3.1).
    pub tracks: Vec<InitTrack>,
    /// `trex` boxes in order (section 8.8.3).
    pub defaults: Vec<TrackDefaults>,
    /// `fragment_duration` of `mehd` in ticks of the movie (section 8.8.2).
    pub fragment_duration: Option<u64>,
    /// The DRM systems that there is a `pssh` for, in order.
    pub systems: Vec<[u8; 16]>,
}

/// A `trak` box (section 8.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitTrack {
    /// `tkhd` (section 8.3.2).
    pub header: Option<TrackHeader>,
    /// `elst` (section 8.6.6).
    pub edit_list: Option<EditList>,
    /// `mdhd` (section 8.4.2).
    pub media: Option<MediaHeader>,
    /// `hdlr` (section 8.4.3).
    pub handler: Option<Handler>,
    /// `elng`: a BCP 47 tag (section 8.4.6).
    pub extended_language: Option<String>,
    /// The media header box there is: `vmhd`, `smhd`, `sthd`, `nmhd` (section 8.4.5).
    pub media_header: Option<FourCc>,
    /// The entries of `stsd` (section 8.5.2).
    pub sample_entries: Vec<SampleEntry>,
    /// The tables of `stbl` that list samples or chunks, with their number of entries: `stts`,
    /// `ctts`, `stsc`, `stsz`, `stz2`, `stco`, `co64`, `stss` (section 8.6 and 8.7).
    pub tables: Vec<(FourCc, u32)>,
}

impl InitTrack {
    /// `track_ID`, 0 when there is no header.
    pub fn track_id(&self) -> u32 {
        self.header.as_ref().map_or(0, |header| header.track_id)
    }

    /// `handler_type`, spaces when there is none.
    pub fn handler_type(&self) -> FourCc {
        self.handler
            .as_ref()
            .map_or(FourCc(*b"    "), |handler| handler.handler_type)
    }

    /// Ticks a second, 0 when there is no media header.
    pub fn timescale(&self) -> u32 {
        self.media.as_ref().map_or(0, |media| media.timescale)
    }
}

/// A sample entry of `stsd` (section 8.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleEntry {
    /// Its type as it stands there: `avc1`, `mp4a`, `encv`, ...
    pub kind: FourCc,
    /// The type before encryption, by `frma` (section 8.12.2); the same as `kind` when clear.
    pub original: FourCc,
    /// The RFC 6381 name by its configuration, where known.
    pub codecs: Option<String>,
    /// The boxes within it, type and payload, in order.
    pub boxes: Vec<(FourCc, Vec<u8>)>,
    /// What only kinds of media have.
    pub media: SampleEntryMedia,
    /// `colr` (section 12.1.5), where it gives code points.
    pub colour: Option<ColourBox>,
    /// `pasp` (section 12.1.4).
    pub pixel_aspect: Option<PixelAspect>,
    /// `sinf` (section 8.12.1), when encrypted.
    pub protection: Option<Protection>,
}

impl SampleEntry {
    /// The payload of the first box of a type.
    pub fn find(&self, kind: &[u8; 4]) -> Option<&[u8]> {
        let found = self.boxes.iter().find(|(known, _)| known.0 == *kind);
        found.map(|(_, payload)| &payload[..])
    }
}

/// The fields of a sample entry that depend on the kind of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleEntryMedia {
    /// `VisualSampleEntry` (section 12.1.3).
    Video {
        /// Pixels of the cropped picture.
        width: u16,
        /// Pixels of the cropped picture.
        height: u16,
    },
    /// `AudioSampleEntry` (section 12.2.3).
    Audio {
        /// `channelcount`.
        channels: u16,
        /// `samplesize` in bits.
        sample_size: u16,
        /// `samplerate`, the whole part.
        sample_rate: u32,
    },
    /// Anything else, and entries that are cut off.
    Other,
}

/// `colr` with code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColourBox {
    /// `colour_type`: `nclx`, or `nclc` of QuickTime (which has no range flag).
    pub kind: FourCc,
    /// The code points.
    pub colour: Colour,
}

/// How samples are encrypted: `schm` and `tenc` (section 8.12.5, ISO/IEC 23001-7 section 8.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// `scheme_type`: `cenc`, `cbcs`, ...
    pub scheme: Option<FourCc>,
    /// `default_isProtected`.
    pub default_is_protected: Option<u8>,
    /// `default_Per_Sample_IV_Size` in bytes.
    pub default_iv_size: Option<u8>,
    /// `default_KID`.
    pub default_key_id: Option<[u8; 16]>,
    /// `default_crypt_byte_block` and `default_skip_byte_block`, in version 1.
    pub pattern: Option<(u8, u8)>,
    /// `default_constant_IV`, where samples have none of their own.
    pub constant_iv: Option<Vec<u8>>,
}

/// Reads an init segment, or the whole of a file for its `moov`.
///
/// # Errors
/// Invalid, when there is no `moov` or it is cut off. All else that is wrong or missing is left
/// out of the result, and boxes that don't fit are in [`BoxTree::fault`].
pub fn read_init(bytes: &[u8]) -> Result<InitInfo> {
    let tree = box_tree(bytes, bytes.len() as u64);
    let top: Vec<_> = whole_boxes(bytes).collect();
    let find = |kind: &[u8; 4]| top.iter().find(|found| found.kind.0 == *kind);
    let Some(moov) = find(b"moov") else {
        return Err(match &tree.fault {
            Some(fault) => Error::invalid(format!("no init segment: {fault}")),
            None => Error::invalid("no init segment: there is no moov box"),
        });
    };
    let mut info = InitInfo {
        tree,
        brands: find(b"ftyp").and_then(|ftyp| Brands::parse(ftyp.payload)),
        movie: None,
        tracks: Vec::new(),
        defaults: Vec::new(),
        fragment_duration: None,
        systems: Vec::new(),
    };
    for found in whole_boxes(moov.payload) {
        match &found.kind.0 {
            b"mvhd" => info.movie = info.movie.or_else(|| MovieHeader::parse(found.payload)),
            b"trak" => info.tracks.push(read_track(found.payload)),
            b"mvex" => read_mvex(found.payload, &mut info),
            b"pssh" => info.systems.extend(read_system(found.payload)),
            _ => {}
        }
    }
    Ok(info)
}

/// Sibling boxes up to the first that does not fit.
fn whole_boxes(bytes: &[u8]) -> impl Iterator<Item = BoxRef<'_>> {
    children(bytes, 0).map_while(std::result::Result::ok)
}

fn read_mvex(payload: &[u8], info: &mut InitInfo) {
    for found in whole_boxes(payload) {
        match &found.kind.0 {
            b"trex" => info.defaults.extend(TrackDefaults::parse(found.payload)),
            b"mehd" => info.fragment_duration = parse_mehd(found.payload),
            _ => {}
        }
    }
}

fn parse_mehd(payload: &[u8]) -> Option<u64> {
    let (version, _, mut fields) = Fields::full(payload)?;
    fields.by_version(version)
}

fn read_track(payload: &[u8]) -> InitTrack {
    let mut track = InitTrack::default();
    for found in whole_boxes(payload) {
        match &found.kind.0 {
            b"tkhd" => track.header = TrackHeader::parse(found.payload),
            b"edts" => {
                let elst = whole_boxes(found.payload).find(|child| child.kind.0 == *b"elst");
                track.edit_list = elst.and_then(|elst| EditList::parse(elst.payload));
            }
            b"mdia" => read_mdia(found.payload, &mut track),
            _ => {}
        }
    }
    track
}

fn read_mdia(payload: &[u8], track: &mut InitTrack) {
    for found in whole_boxes(payload) {
        match &found.kind.0 {
            b"mdhd" => track.media = MediaHeader::parse(found.payload),
            b"hdlr" => track.handler = Handler::parse(found.payload),
            b"elng" => {
                let tag = Fields::full(found.payload).map(|(_, _, mut fields)| fields.text());
                track.extended_language = tag;
            }
            b"minf" => read_minf(found.payload, track),
            _ => {}
        }
    }
}

fn read_minf(payload: &[u8], track: &mut InitTrack) {
    for found in whole_boxes(payload) {
        match &found.kind.0 {
            b"vmhd" | b"smhd" | b"sthd" | b"nmhd" | b"gmhd" => {
                track.media_header = Some(found.kind);
            }
            b"stbl" => read_stbl(found.payload, track),
            _ => {}
        }
    }
}

fn read_stbl(payload: &[u8], track: &mut InitTrack) {
    for found in whole_boxes(payload) {
        match &found.kind.0 {
            b"stsd" => {
                let entries = found.payload.get(8..).unwrap_or_default();
                track.sample_entries = whole_boxes(entries).map(|e| read_entry(&e)).collect();
            }
            b"stts" | b"ctts" | b"stsc" | b"stco" | b"co64" | b"stss" => {
                track.tables.extend(entry_count(&found, 4));
            }
            // sample_size, or reserved and field_size, stands before the count.
            b"stsz" | b"stz2" => track.tables.extend(entry_count(&found, 8)),
            _ => {}
        }
    }
}

fn entry_count(table: &BoxRef<'_>, at: usize) -> Option<(FourCc, u32)> {
    let mut fields = Fields::new(table.payload.get(at..)?);
    Some((table.kind, fields.u32()?))
}

fn read_entry(entry: &BoxRef<'_>) -> SampleEntry {
    let inner = tree::first_child_of_entry(entry.kind, entry.payload)
        .and_then(|start| entry.payload.get(start..))
        .unwrap_or_default();
    let boxes: Vec<_> = whole_boxes(inner).collect();
    let find = |kind: &[u8; 4]| boxes.iter().find(|found| found.kind.0 == *kind);
    let sinf = find(b"sinf").map(|sinf| sinf.payload);
    let original = sinf.and_then(original_format).unwrap_or(entry.kind);
    let mut configs: Vec<_> = boxes.iter().map(|b| (b.kind.0, b.payload)).collect();
    if let Some(wave) = find(b"wave") {
        configs.extend(whole_boxes(wave.payload).map(|b| (b.kind.0, b.payload)));
    }
    SampleEntry {
        kind: entry.kind,
        original,
        codecs: codec::codecs_of_sample_entry(original.0, &configs),
        media: entry_fields(entry).unwrap_or(SampleEntryMedia::Other),
        colour: find(b"colr").and_then(|colr| ColourBox::parse(colr.payload)),
        pixel_aspect: find(b"pasp").and_then(|pasp| parse_pasp(pasp.payload)),
        protection: sinf.map(read_protection),
        boxes: boxes
            .iter()
            .map(|found| (found.kind, found.payload.to_vec()))
            .collect(),
    }
}

fn entry_fields(entry: &BoxRef<'_>) -> Option<SampleEntryMedia> {
    let mut fields = Fields::new(entry.payload);
    match entry_media(entry.kind) {
        EntryMedia::Video => {
            fields.skip(24)?;
            Some(SampleEntryMedia::Video {
                width: fields.u16()?,
                height: fields.u16()?,
            })
        }
        EntryMedia::Audio => {
            fields.skip(16)?;
            let (channels, sample_size) = (fields.u16()?, fields.u16()?);
            fields.skip(4)?;
            Some(SampleEntryMedia::Audio {
                channels,
                sample_size,
                sample_rate: fields.u32()? >> 16,
            })
        }
        EntryMedia::Text | EntryMedia::Unknown => None,
    }
}

impl ColourBox {
    /// Reads the payload of `colr`; `None` for ICC profiles and when it is cut off. Code points
    /// over 255 do not exist and are taken as unspecified.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let kind = fields.four_cc()?;
        let mut point = || Some(u8::try_from(fields.u16()?).unwrap_or(2));
        let (primaries, transfer, matrix) = (point()?, point()?, point()?);
        let full_range = match &kind.0 {
            b"nclx" => fields.u8().is_some_and(|byte| byte & 0x80 != 0),
            b"nclc" => false,
            _ => return None,
        };
        let colour = Colour {
            primaries,
            transfer,
            matrix,
            full_range,
        };
        Some(Self { kind, colour })
    }
}

/// Reads the payload of `pasp` (section 12.1.4); `None` when it is cut off.
pub(crate) fn parse_pasp(payload: &[u8]) -> Option<PixelAspect> {
    let mut fields = Fields::new(payload);
    Some(PixelAspect {
        horizontal: fields.u32()?,
        vertical: fields.u32()?,
    })
}

/// `SystemID` of a `pssh` (ISO/IEC 23001-7 section 8.1).
fn read_system(payload: &[u8]) -> Option<[u8; 16]> {
    let (_, _, mut fields) = Fields::full(payload)?;
    fields.array()
}

fn original_format(sinf: &[u8]) -> Option<FourCc> {
    let frma = whole_boxes(sinf).find(|found| found.kind.0 == *b"frma")?;
    Fields::new(frma.payload).four_cc()
}

fn read_protection(sinf: &[u8]) -> Protection {
    let mut protection = Protection::default();
    for found in whole_boxes(sinf) {
        match &found.kind.0 {
            b"schm" => {
                let scheme = Fields::full(found.payload).and_then(|(_, _, mut f)| f.four_cc());
                protection.scheme = scheme;
            }
            b"schi" => {
                let tenc = whole_boxes(found.payload).find(|child| child.kind.0 == *b"tenc");
                if let Some(tenc) = tenc {
                    read_tenc(tenc.payload, &mut protection);
                }
            }
            _ => {}
        }
    }
    protection
}

fn read_tenc(payload: &[u8], protection: &mut Protection) -> Option<()> {
    let (version, _, mut fields) = Fields::full(payload)?;
    fields.skip(1)?; // reserved
    let blocks = fields.u8()?;
    protection.pattern = (version > 0).then_some((blocks >> 4, blocks & 15));
    protection.default_is_protected = Some(fields.u8()?);
    let iv_size = fields.u8()?;
    protection.default_iv_size = Some(iv_size);
    protection.default_key_id = Some(fields.array()?);
    if iv_size == 0 {
        let length = usize::from(fields.u8()?);
        protection.constant_iv = Some(fields.rest().get(..length)?.to_vec());
    }
    Some(())
}
