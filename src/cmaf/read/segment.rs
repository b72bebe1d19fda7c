//! Media segments: `moof` boxes with every sample's times, flags and place.

use std::ops::Range;

use super::{Brands, SegmentIndex, TrackDefaults};
use crate::cmaf::boxes::{BoxRef, children};
use crate::cmaf::fields::Fields;
use crate::cmaf::tree::{BoxTree, TopBox, box_tree, top_boxes};
use crate::error::{Error, Result};

/// What a media segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Every box, for rules about structure; also tells of `emsg`, `prft` and the like.
    pub tree: BoxTree,
    /// `styp` boxes (section 8.16.2).
    pub styp: Vec<Brands>,
    /// `sidx` boxes, each with the offset of its first byte and of the byte after it (section
    /// 8.16.3).
    pub indexes: Vec<(Range<u64>, SegmentIndex)>,
    /// `moof` boxes in order, each with its `mdat`.
    pub fragments: Vec<FragmentInfo>,
    /// Whether every box of the segment was in the bytes given, save the end of the last one.
    pub complete: bool,
}

impl SegmentInfo {
    /// The samples of all fragments, in file order.
    pub fn samples(&self) -> impl Iterator<Item = &SampleInfo> {
        let trafs = self.fragments.iter().flat_map(|fragment| &fragment.tracks);
        trafs.flat_map(TrackFragment::samples)
    }

    /// The decode time of the first `tfdt`, in ticks of its track.
    pub fn decode_time(&self) -> Option<u64> {
        let first = self.fragments.first()?.tracks.first()?;
        first.decode_time.map(|time| time.value)
    }

    /// Sum of the durations of all samples, in ticks.
    pub fn duration(&self) -> u64 {
        self.samples()
            .map(|sample| u64::from(sample.duration))
            .sum()
    }
}

/// A `moof` (section 8.8.4) with the `mdat` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentInfo {
    /// Bytes of the `moof`, from the start of the segment.
    pub moof: Range<u64>,
    /// `sequence_number` of `mfhd` (section 8.8.5).
    pub sequence_number: Option<u32>,
    /// `traf` boxes in order (section 8.8.6).
    pub tracks: Vec<TrackFragment>,
    /// Bytes of the payload of the first `mdat` before the next `moof` (section 8.1.1).
    pub mdat: Option<Range<u64>>,
    /// Number of `mdat` boxes before the next `moof`.
    pub mdat_count: usize,
}

/// `tfdt` (section 8.8.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeTime {
    /// Version of the box: 0 for 32 bits, 1 for 64.
    pub version: u8,
    /// `baseMediaDecodeTime` in ticks of the track.
    pub value: u64,
}

/// `tfhd` (section 8.8.7). The defaults are `None` where the flags leave them to `trex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FragmentHeader {
    /// Flags of the box.
    pub flags: u32,
    /// `track_ID`.
    pub track_id: u32,
    /// `base_data_offset`.
    pub base_data_offset: Option<u64>,
    /// `sample_description_index`.
    pub description_index: Option<u32>,
    /// `default_sample_duration` in ticks.
    pub duration: Option<u32>,
    /// `default_sample_size` in bytes.
    pub size: Option<u32>,
    /// `default_sample_flags`.
    pub sample_flags: Option<u32>,
}

impl FragmentHeader {
    /// Reads the payload; `None` when it is cut off.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (_, flags, mut fields) = Fields::full(payload)?;
        let track_id = fields.u32()?;
        let base_data_offset = match flags & 0x01 {
            0 => None,
            _ => Some(fields.u64()?),
        };
        let mut optional = |flag: u32| match flags & flag {
            0 => Some(None),
            _ => fields.u32().map(Some),
        };
        Some(Self {
            flags,
            track_id,
            base_data_offset,
            description_index: optional(0x02)?,
            duration: optional(0x08)?,
            size: optional(0x10)?,
            sample_flags: optional(0x20)?,
        })
    }

    /// `default-base-is-moof`.
    pub fn base_is_moof(&self) -> bool {
        self.flags & 0x02_0000 != 0
    }
}

/// A `traf` (section 8.8.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackFragment {
    /// `tfhd`; `None` when missing or cut off.
    pub header: Option<FragmentHeader>,
    /// `tfdt`.
    pub decode_time: Option<DecodeTime>,
    /// `trun` boxes in order.
    pub runs: Vec<TrackRun>,
    /// `sample_count` of `senc` (ISO/IEC 23001-7 section 7.2).
    pub encrypted_samples: Option<u32>,
    /// There is a `saiz` (section 8.7.8).
    pub has_saiz: bool,
    /// There is a `saio` (section 8.7.9).
    pub has_saio: bool,
}

impl TrackFragment {
    /// The samples of all runs.
    pub fn samples(&self) -> impl Iterator<Item = &SampleInfo> {
        self.runs.iter().flat_map(|run| &run.samples)
    }

    /// Sum of the durations of all samples, in ticks.
    pub fn duration(&self) -> u64 {
        self.samples()
            .map(|sample| u64::from(sample.duration))
            .sum()
    }
}

/// A `trun` (section 8.8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackRun {
    /// Version of the box: with 0 composition offsets are unsigned.
    pub version: u8,
    /// Flags of the box.
    pub flags: u32,
    /// `sample_count` as it stands there; more than there are samples when the box is broken.
    pub sample_count: u32,
    /// `data_offset`.
    pub data_offset: Option<i32>,
    /// `first_sample_flags`.
    pub first_sample_flags: Option<u32>,
    /// The samples, with all defaults applied.
    pub samples: Vec<SampleInfo>,
}

/// One sample, with all defaults applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleInfo {
    /// First byte, from the start of the segment. `u64::MAX` when the offsets in the boxes lead
    /// before its start or beyond all bounds.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// In ticks of the track.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition_offset: i64,
    /// `sample_flags` (section 8.8.3.1).
    pub flags: u32,
}

impl SampleInfo {
    /// Whether it is a sync sample.
    pub fn is_sync(&self) -> bool {
        self.flags & 0x0001_0000 == 0
    }

    /// Its bytes, from the start of the segment.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(u64::from(self.size))
    }
}

/// Reads a media segment of `total_len` bytes from its first bytes: all up to the payload of the
/// last `mdat` is needed, of that as much as the caller wants to look into. `defaults` are those
/// of the init segment, for fragments that don't repeat them.
///
/// # Errors
/// Invalid, when a `moof` is cut off or there is none. All else that is wrong or missing is left
/// out of the result, and boxes that don't fit are in [`BoxTree::fault`].
pub fn read_segment(
    head: &[u8],
    total_len: u64,
    defaults: &[TrackDefaults],
) -> Result<SegmentInfo> {
    let (top, fault) = top_boxes(head, total_len);
    let mut segment = SegmentInfo {
        tree: box_tree(head, total_len),
        styp: Vec::new(),
        indexes: Vec::new(),
        fragments: Vec::new(),
        complete: fault.is_none() && top.last().map_or(0, |last| last.node.end()) >= total_len,
    };
    let mut context = Context {
        defaults,
        rowless_left: MOST_SAMPLES_WITHOUT_ROWS,
    };
    for found in &top {
        read_top(found, &mut context, &mut segment)?;
    }
    if segment.fragments.is_empty() {
        return Err(match &segment.tree.fault {
            Some(fault) => Error::invalid(format!("no media segment: {fault}")),
            None => Error::invalid("no media segment: there is no moof box"),
        });
    }
    Ok(segment)
}

fn read_top(
    found: &TopBox<'_>,
    context: &mut Context<'_>,
    segment: &mut SegmentInfo,
) -> Result<()> {
    let node = found.node;
    match &node.kind.0 {
        b"styp" => segment.styp.extend(Brands::parse(found.payload)),
        b"sidx" => {
            let index = SegmentIndex::parse(found.payload);
            let placed = index.map(|index| (node.offset..node.end(), index));
            segment.indexes.extend(placed);
        }
        b"moof" if !found.whole => {
            return Err(Error::invalid(format!(
                "the moof box at byte {} ends at byte {}, after the bytes there are",
                node.offset,
                node.end()
            )));
        }
        b"moof" => segment.fragments.push(read_moof(found, context)),
        b"mdat" => {
            if let Some(fragment) = segment.fragments.last_mut() {
                fragment.mdat_count += 1;
                let payload = node.payload_offset()..node.end();
                fragment.mdat.get_or_insert(payload);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Sibling boxes up to the first that does not fit.
fn whole_boxes(bytes: &[u8]) -> impl Iterator<Item = BoxRef<'_>> {
    children(bytes, 0).map_while(std::result::Result::ok)
}

fn read_moof(moof: &TopBox<'_>, context: &mut Context<'_>) -> FragmentInfo {
    let mut fragment = FragmentInfo {
        moof: moof.node.offset..moof.node.end(),
        sequence_number: None,
        tracks: Vec::new(),
        mdat: None,
        mdat_count: 0,
    };
    // Where data without a base of its own starts: after that of the track fragment before
    // (section 8.8.7.1).
    let mut follow_on = moof.node.offset;
    for found in whole_boxes(moof.payload) {
        match &found.kind.0 {
            b"mfhd" => {
                let number = Fields::full(found.payload).and_then(|(_, _, mut f)| f.u32());
                fragment.sequence_number = number;
            }
            b"traf" => {
                let place = Place {
                    moof: moof.node.offset,
                    follow_on,
                };
                let (traf, end) = read_traf(found.payload, place, context);
                follow_on = end;
                fragment.tracks.push(traf);
            }
            _ => {}
        }
    }
    fragment
}

/// What is known beyond the `moof` being read.
struct Context<'a> {
    defaults: &'a [TrackDefaults],
    /// How many samples of runs without rows may still come in this segment.
    rowless_left: usize,
}

/// What data offsets of a track fragment may count from.
#[derive(Debug, Clone, Copy)]
struct Place {
    moof: u64,
    follow_on: u64,
}

/// What the data offset of a run counts from, and where the data starts if it has none.
#[derive(Debug, Clone, Copy)]
struct DataStart {
    base: u64,
    follow_on: u64,
}

/// The values for samples that a run says nothing about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleDefaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl SampleDefaults {
    /// Those of the fragment, else those of the movie, else 0 (section 8.8.7).
    pub(crate) fn of(header: &FragmentHeader, movie: Option<&TrackDefaults>) -> Self {
        let value = |own: Option<u32>, of_movie: fn(&TrackDefaults) -> u32| {
            own.or(movie.map(of_movie)).unwrap_or(0)
        };
        Self {
            duration: value(header.duration, |defaults| defaults.duration),
            size: value(header.size, |defaults| defaults.size),
            flags: value(header.sample_flags, |defaults| defaults.flags),
        }
    }
}

/// A track fragment, and the byte after its data.
fn read_traf(payload: &[u8], place: Place, context: &mut Context<'_>) -> (TrackFragment, u64) {
    let mut traf = TrackFragment::default();
    for found in whole_boxes(payload) {
        match &found.kind.0 {
            b"tfhd" => traf.header = FragmentHeader::parse(found.payload),
            b"tfdt" => traf.decode_time = parse_tfdt(found.payload),
            b"senc" => {
                let count = Fields::full(found.payload).and_then(|(_, _, mut f)| f.u32());
                traf.encrypted_samples = traf.encrypted_samples.or(count);
            }
            b"saiz" => traf.has_saiz = true,
            b"saio" => traf.has_saio = true,
            _ => {}
        }
    }
    let header = traf.header.unwrap_or_default();
    let trex = context
        .defaults
        .iter()
        .find(|d| d.track_id == header.track_id);
    let defaults = SampleDefaults::of(&header, trex);
    let base = match header.base_data_offset {
        Some(offset) => offset,
        None if header.base_is_moof() => place.moof,
        None => place.follow_on,
    };
    let mut end = base;
    for found in whole_boxes(payload).filter(|found| found.kind.0 == *b"trun") {
        let start = DataStart {
            base,
            follow_on: end,
        };
        if let Some(run) = parse_trun(found.payload, start, defaults, context) {
            end = run.samples.last().map_or(end, |last| last.range().end);
            traf.runs.push(run);
        }
    }
    (traf, end)
}

/// Reads the payload of `tfdt`; `None` when it is cut off.
pub(crate) fn parse_tfdt(payload: &[u8]) -> Option<DecodeTime> {
    let (version, _, mut fields) = Fields::full(payload)?;
    let value = fields.by_version(version)?;
    Some(DecodeTime { version, value })
}

/// A run without any column says how many samples there are and nothing else: no number of bytes
/// bounds it. No segment has more samples in such runs than this.
const MOST_SAMPLES_WITHOUT_ROWS: usize = 1 << 20;

/// A run taken row by row, by readers that hold on to no more than one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunReader<'a> {
    version: u8,
    flags: u32,
    pub(crate) sample_count: u32,
    pub(crate) data_offset: Option<i32>,
    first_sample_flags: Option<u32>,
    rows: Fields<'a>,
    first_row_read: bool,
}

/// A row of a run, with all defaults applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunRow {
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
    /// As it stands there: whether it has a sign depends on the version of the box.
    pub(crate) composition_offset: u32,
}

impl<'a> RunReader<'a> {
    /// Reads what stands before the rows; `None` when it is cut off.
    pub(crate) fn new(payload: &'a [u8]) -> Option<Self> {
        let (version, flags, mut fields) = Fields::full(payload)?;
        let sample_count = fields.u32()?;
        let data_offset = match flags & 0x01 {
            0 => None,
            _ => Some(fields.i32()?),
        };
        let first_sample_flags = match flags & 0x04 {
            0 => None,
            _ => Some(fields.u32()?),
        };
        Some(Self {
            version,
            flags,
            sample_count,
            data_offset,
            first_sample_flags,
            rows: fields,
            first_row_read: false,
        })
    }

    /// Takes the next row; `None` when it is cut off. The caller counts them.
    pub(crate) fn next_row(&mut self, defaults: SampleDefaults) -> Option<RunRow> {
        let mut column = |flag: u32, default: u32| match self.flags & flag {
            0 => Some(default),
            _ => self.rows.u32(),
        };
        let duration = column(0x100, defaults.duration)?;
        let size = column(0x200, defaults.size)?;
        let flags = column(0x400, defaults.flags)?;
        let composition_offset = column(0x800, 0)?;
        let first_flags = self.first_sample_flags.filter(|_| !self.first_row_read);
        self.first_row_read = true;
        Some(RunRow {
            duration,
            size,
            flags: first_flags.unwrap_or(flags),
            composition_offset,
        })
    }

    /// How many rows to read: what the box claims, bounded by the bytes there are.
    fn count_rows(&self, context: &mut Context<'_>) -> usize {
        let claimed = usize::try_from(self.sample_count).unwrap_or(usize::MAX);
        match usize::try_from((self.flags & 0xf00).count_ones()) {
            Ok(columns) if columns > 0 => claimed.min(self.rows.rest().len() / (4 * columns)),
            _ => {
                let count = claimed.min(context.rowless_left);
                context.rowless_left -= count;
                count
            }
        }
    }
}

/// Reads a run; `None` when it is cut off before its samples.
fn parse_trun(
    payload: &[u8],
    place: DataStart,
    defaults: SampleDefaults,
    context: &mut Context<'_>,
) -> Option<TrackRun> {
    let mut reader = RunReader::new(payload)?;
    let start = match reader.data_offset {
        Some(offset) => place.base.checked_add_signed(i64::from(offset)),
        None => Some(place.follow_on),
    };
    let mut run = TrackRun {
        version: reader.version,
        flags: reader.flags,
        sample_count: reader.sample_count,
        data_offset: reader.data_offset,
        first_sample_flags: reader.first_sample_flags,
        samples: Vec::new(),
    };
    let mut offset = start.unwrap_or(u64::MAX);
    let count = reader.count_rows(context);
    run.samples.reserve_exact(count);
    for row in (0..count).map_while(|_| reader.next_row(defaults)) {
        let sample = SampleInfo {
            offset,
            size: row.size,
            duration: row.duration,
            composition_offset: match run.version {
                0 => i64::from(row.composition_offset),
                _ => i64::from(row.composition_offset.cast_signed()),
            },
            flags: row.flags,
        };
        offset = sample.range().end;
        run.samples.push(sample);
    }
    Some(run)
}
