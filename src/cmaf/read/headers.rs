//! The boxes with plain fields, one type each.

use crate::cmaf::boxes::FourCc;
use crate::cmaf::fields::Fields;

/// `ftyp` or `styp` (sections 4.3 and 8.16.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brands {
    /// `major_brand`.
    pub major: FourCc,
    /// `minor_version`.
    pub minor_version: u32,
    /// `compatible_brands`, in order.
    pub compatible: Vec<FourCc>,
}

impl Brands {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let (major, minor_version) = (fields.four_cc()?, fields.u32()?);
        let compatible = std::iter::from_fn(|| fields.four_cc()).collect();
        Some(Self {
            major,
            minor_version,
            compatible,
        })
    }

    /// Whether the brand is the major one or among the compatible ones.
    pub fn has(&self, brand: &[u8; 4]) -> bool {
        self.major.0 == *brand || self.compatible.iter().any(|known| known.0 == *brand)
    }
}

/// A transformation matrix `a b u c d v x y w`, fixed point (section 6.2.2).
pub type Matrix = [i32; 9];

/// The matrix that changes nothing.
pub const IDENTITY_MATRIX: Matrix = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

fn matrix(fields: &mut Fields<'_>) -> Option<Matrix> {
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = fields.i32()?;
    }
    Some(matrix)
}

/// `mvhd` (section 8.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovieHeader {
    /// Version of the box: 0, or 1 for 64-bit times.
    pub version: u8,
    /// `creation_time`, seconds since 1904.
    pub creation_time: u64,
    /// `modification_time`, seconds since 1904.
    pub modification_time: u64,
    /// Ticks a second of the movie. May be 0 in broken files.
    pub timescale: u32,
    /// In ticks of the movie; all ones when unknown.
    pub duration: u64,
    /// 16.16 fixed point; 0x10000 by default.
    pub rate: i32,
    /// 8.8 fixed point; 0x100 by default.
    pub volume: i16,
    /// The transformation matrix.
    pub matrix: Matrix,
    /// `next_track_ID`.
    pub next_track_id: u32,
}

impl MovieHeader {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (version, _, mut fields) = Fields::full(payload)?;
        let creation_time = fields.by_version(version)?;
        let modification_time = fields.by_version(version)?;
        let (timescale, duration) = (fields.u32()?, fields.by_version(version)?);
        let (rate, volume) = (fields.i32()?, fields.i16()?);
        fields.skip(10)?;
        let matrix = matrix(&mut fields)?;
        fields.skip(24)?;
        Some(Self {
            version,
            creation_time,
            modification_time,
            timescale,
            duration,
            rate,
            volume,
            matrix,
            next_track_id: fields.u32()?,
        })
    }
}

/// `tkhd` (section 8.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackHeader {
    /// Version of the box: 0, or 1 for 64-bit times.
    pub version: u8,
    /// 1 enabled, 2 in movie, 4 in preview, 8 size is aspect ratio.
    pub flags: u32,
    /// `creation_time`, seconds since 1904.
    pub creation_time: u64,
    /// `modification_time`, seconds since 1904.
    pub modification_time: u64,
    /// `track_ID`.
    pub track_id: u32,
    /// In ticks of the movie; all ones when unknown.
    pub duration: u64,
    /// `layer`.
    pub layer: i16,
    /// `alternate_group`.
    pub alternate_group: i16,
    /// 8.8 fixed point; 0x100 for audio by default, else 0.
    pub volume: i16,
    /// The transformation matrix.
    pub matrix: Matrix,
    /// 16.16 fixed point pixels.
    pub width: u32,
    /// 16.16 fixed point pixels.
    pub height: u32,
}

impl TrackHeader {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (version, flags, mut fields) = Fields::full(payload)?;
        let creation_time = fields.by_version(version)?;
        let modification_time = fields.by_version(version)?;
        let track_id = fields.u32()?;
        fields.skip(4)?;
        let duration = fields.by_version(version)?;
        fields.skip(8)?;
        let (layer, alternate_group, volume) = (fields.i16()?, fields.i16()?, fields.i16()?);
        fields.skip(2)?;
        Some(Self {
            version,
            flags,
            creation_time,
            modification_time,
            track_id,
            duration,
            layer,
            alternate_group,
            volume,
            matrix: matrix(&mut fields)?,
            width: fields.u32()?,
            height: fields.u32()?,
        })
    }
}

/// `mdhd` (section 8.4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaHeader {
    /// Version of the box: 0, or 1 for 64-bit times.
    pub version: u8,
    /// `creation_time`, seconds since 1904.
    pub creation_time: u64,
    /// `modification_time`, seconds since 1904.
    pub modification_time: u64,
    /// Ticks a second of the track. May be 0 in broken files.
    pub timescale: u32,
    /// In ticks of the track; all ones when unknown.
    pub duration: u64,
    /// `language`: three packed letters, or a Macintosh code in QuickTime files.
    pub packed_language: u16,
}

impl MediaHeader {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (version, _, mut fields) = Fields::full(payload)?;
        Some(Self {
            version,
            creation_time: fields.by_version(version)?,
            modification_time: fields.by_version(version)?,
            timescale: fields.u32()?,
            duration: fields.by_version(version)?,
            packed_language: fields.u16()?,
        })
    }

    /// ISO 639-2/T code; `und` for anything that is none.
    pub fn language(&self) -> String {
        unpack_language(self.packed_language)
    }
}

/// Three letters of five bits, each less 0x60; `und` where one of them is no letter (section
/// 8.4.2.3).
pub(crate) fn unpack_language(packed: u16) -> String {
    let letter = |shift: u32| {
        let five = u8::try_from(packed >> shift & 0x1f).ok()?;
        (1..=26).contains(&five).then(|| char::from(five + 0x60))
    };
    let letters: Option<String> = [10, 5, 0].into_iter().map(letter).collect();
    letters.unwrap_or_else(|| "und".to_owned())
}

/// `hdlr` (section 8.4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// `handler_type`: `vide`, `soun`, `text`, `subt`, ...
    pub handler_type: FourCc,
    /// `name`.
    pub name: String,
}

impl Handler {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let handler_type = Self::type_of(payload)?;
        let mut name = Fields::new(payload.get(24..)?);
        Some(Self {
            handler_type,
            name: name.text(),
        })
    }

    /// The type alone, which files have that leave out what follows it.
    pub fn type_of(payload: &[u8]) -> Option<FourCc> {
        let (_, _, mut fields) = Fields::full(payload)?;
        fields.skip(4)?;
        fields.four_cc()
    }
}

/// One edit of `elst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// In ticks of the movie; 0 for the whole of a fragmented track.
    pub segment_duration: u64,
    /// In ticks of the track; -1 for an empty edit.
    pub media_time: i64,
    /// 16.16 fixed point.
    pub media_rate: i32,
}

/// `elst` (section 8.6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditList {
    /// Version of the box: 0, or 1 for 64-bit times.
    pub version: u8,
    /// `entry_count` as it stands there; more than there are edits when the box is broken.
    pub entry_count: u32,
    /// The edits that are there, in order.
    pub edits: Vec<Edit>,
}

impl EditList {
    /// Reads the payload; `None` when it is cut off before the first edit.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (version, _, mut fields) = Fields::full(payload)?;
        let entry_count = fields.u32()?;
        let mut edits = Vec::new();
        for _ in 0..entry_count {
            let Some(edit) = parse_edit(&mut fields, version) else {
                break;
            };
            edits.push(edit);
        }
        Some(Self {
            version,
            entry_count,
            edits,
        })
    }
}

fn parse_edit(fields: &mut Fields<'_>, version: u8) -> Option<Edit> {
    Some(Edit {
        segment_duration: fields.by_version(version)?,
        media_time: if version == 1 {
            fields.u64()?.cast_signed()
        } else {
            i64::from(fields.i32()?)
        },
        media_rate: fields.i32()?,
    })
}

/// `trex` (section 8.8.3): defaults for the fragments of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackDefaults {
    /// `track_ID`.
    pub track_id: u32,
    /// `default_sample_description_index`, from 1 on.
    pub description_index: u32,
    /// `default_sample_duration` in ticks of the track.
    pub duration: u32,
    /// `default_sample_size` in bytes.
    pub size: u32,
    /// `default_sample_flags`.
    pub flags: u32,
}

impl TrackDefaults {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (_, _, mut fields) = Fields::full(payload)?;
        Some(Self {
            track_id: fields.u32()?,
            description_index: fields.u32()?,
            duration: fields.u32()?,
            size: fields.u32()?,
            flags: fields.u32()?,
        })
    }
}

/// One reference of `sidx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexReference {
    /// `reference_type`: to another `sidx` rather than to media.
    pub to_index: bool,
    /// `referenced_size` in bytes.
    pub size: u32,
    /// `subsegment_duration` in ticks of the index.
    pub duration: u32,
    /// `starts_with_SAP`.
    pub starts_with_sap: bool,
    /// `SAP_type`.
    pub sap_type: u8,
    /// `SAP_delta_time` in ticks of the index.
    pub sap_delta: u32,
}

/// `sidx` (section 8.16.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentIndex {
    /// Version of the box: 0, or 1 for 64-bit values.
    pub version: u8,
    /// `reference_ID`: the track.
    pub reference_id: u32,
    /// Ticks a second of the index.
    pub timescale: u32,
    /// `earliest_presentation_time` in ticks of the index.
    pub earliest_presentation_time: u64,
    /// `first_offset`: bytes from the end of the box to the first referenced byte.
    pub first_offset: u64,
    /// The references that are there, in order.
    pub references: Vec<IndexReference>,
}

impl SegmentIndex {
    /// Reads the payload; `None` when it is cut off before the references.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (version, _, mut fields) = Fields::full(payload)?;
        let (reference_id, timescale) = (fields.u32()?, fields.u32()?);
        let earliest_presentation_time = fields.by_version(version)?;
        let first_offset = fields.by_version(version)?;
        fields.skip(2)?;
        let count = fields.u16()?;
        let references = (0..count).map_while(|_| parse_reference(&mut fields));
        let references = references.collect();
        Some(Self {
            version,
            reference_id,
            timescale,
            earliest_presentation_time,
            first_offset,
            references,
        })
    }
}

fn parse_reference(fields: &mut Fields<'_>) -> Option<IndexReference> {
    let (size, duration, sap) = (fields.u32()?, fields.u32()?, fields.u32()?);
    Some(IndexReference {
        to_index: size >> 31 == 1,
        size: size & 0x7fff_ffff,
        duration,
        starts_with_sap: sap >> 31 == 1,
        sap_type: u8::try_from(sap >> 28 & 7).ok()?,
        sap_delta: sap & 0x0fff_ffff,
    })
}
