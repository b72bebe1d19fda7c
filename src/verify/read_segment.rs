//! Segment to facts: the boxes' headers, whole `moof`, `sidx` and `styp` boxes, and the first bytes
//! of the samples; never the rest of an `mdat`.

use super::cursor::Cursor;
use super::facts::{
    FragmentFacts, IndexFacts, IndexReference, InitFacts, RunFacts, SampleFacts, SegmentFacts,
    TrackExtends, TrafFacts,
};
use super::read_init::walk;
use super::stream::Container;
use crate::cmaf::boxes::{BoxHeader, FourCc};
use crate::codec::avc::{nal_type, nal_units};
use crate::error::{Error, Result};

/// How much of a segment is asked for at first; a usual `moof` and the first NAL units fit.
pub(super) const HEAD_BYTES: u64 = 16 << 10;
/// The largest box besides `mdat` that is read.
const BOX_BYTES_MAX: u64 = 8 << 20;
/// At most so many boxes on the top level of one segment are looked at.
const BOXES_MAX: usize = 100_000;
/// At most so many samples of one segment are looked at.
const SAMPLES_MAX: usize = 1_000_000;
/// At most so many NAL units of one sample are looked at.
const UNITS_MAX: usize = 64;

/// Where a segment's bytes come from: `read(start, len)` gives up to `len` bytes from byte `start`
/// of the segment on.
pub(super) trait SegmentBytes {
    /// Size of the segment in bytes.
    fn size(&self) -> u64;
    /// Up to `len` bytes from byte `start` of the segment on.
    fn read(&self, start: u64, len: u64) -> Result<Vec<u8>>;
}

/// Which kind of file starts with these bytes.
pub(super) fn sniff(head: &[u8]) -> Container {
    let is_ts = head.first() == Some(&0x47) && head.get(188).is_none_or(|b| *b == 0x47);
    match head {
        [] => Container::Unknown,
        _ if is_ts => Container::Ts,
        [b'I', b'D', b'3', ..] | [0xff, 0xf0..=0xff, ..] | [0x0b, 0x77, ..] => {
            Container::PackedAudio
        }
        [b'W', b'E', b'B', b'V', b'T', b'T', ..] => Container::WebVtt,
        [0xef, 0xbb, 0xbf, b'W', b'E', b'B', b'V', b'T', b'T', ..] => Container::WebVtt,
        [_, _, _, _, a, b, c, d, ..] if is_top_level([*a, *b, *c, *d]) => Container::Fmp4,
        _ => Container::Unknown,
    }
}

fn is_top_level(kind: [u8; 4]) -> bool {
    matches!(
        &kind,
        b"ftyp"
            | b"styp"
            | b"moof"
            | b"moov"
            | b"sidx"
            | b"emsg"
            | b"prft"
            | b"mdat"
            | b"free"
            | b"skip"
            | b"ssix"
            | b"uuid"
    )
}

/// Reads the heads of a segment. `first` are its first bytes, at most [`HEAD_BYTES`].
pub(super) fn read_segment(
    source: &dyn SegmentBytes,
    first: &[u8],
    init: Option<&InitFacts>,
) -> Result<SegmentFacts> {
    let mut facts = SegmentFacts {
        bytes: source.size(),
        ..SegmentFacts::default()
    };
    let mut window = Window {
        source,
        start: 0,
        bytes: first.to_vec(),
    };
    let mut samples_left = SAMPLES_MAX;
    let mut at = 0_u64;
    while at < facts.bytes {
        let Some(end) = read_box(&mut window, at, init, &mut facts, &mut samples_left)? else {
            break;
        };
        at = end;
        if facts.top_level.len() >= BOXES_MAX {
            facts.trouble.push(format!("more than {BOXES_MAX} boxes"));
            break;
        }
    }
    Ok(facts)
}

/// Reads the box at `at` and returns where it ends; `None` when the walk can't go on.
fn read_box(
    window: &mut Window<'_>,
    at: u64,
    init: Option<&InitFacts>,
    facts: &mut SegmentFacts,
    samples_left: &mut usize,
) -> Result<Option<u64>> {
    let left = facts.bytes.saturating_sub(at);
    let Some(header) = BoxHeader::parse(window.get(at, left.min(32))?) else {
        facts.trouble.push(format!("no box header at byte {at}"));
        return Ok(None);
    };
    facts.top_level.push(header.kind);
    let len = header.len.unwrap_or(left);
    if len > left {
        let kind = header.kind;
        facts.trouble.push(format!(
            "{kind} at byte {at} wants {len} bytes, {left} are left"
        ));
        if header.kind.0 != *b"mdat" {
            return Ok(None);
        }
    }
    let end = at.saturating_add(len.min(left));
    let payload_at = at.saturating_add(header.header_len);
    match &header.kind.0 {
        b"mdat" => close_fragment(window, (payload_at, end), init, facts)?,
        b"moof" | b"sidx" if len > BOX_BYTES_MAX => {
            let message = format!("{} of {len} bytes is too large to read", header.kind);
            return Err(Error::unsupported(message));
        }
        b"moof" => {
            let payload = window.get(payload_at, end.saturating_sub(payload_at))?;
            let mut fragment = read_moof(payload, init, &mut facts.trouble, samples_left);
            fragment.moof_at = at;
            fragment.moof_bytes = len;
            facts.fragments.push(fragment);
        }
        b"sidx" => {
            let payload = window.get(payload_at, end.saturating_sub(payload_at))?;
            match read_index(payload, end) {
                Some(index) => facts.indexes.push(index),
                None => facts.trouble.push("sidx is cut off".into()),
            }
        }
        _ => {}
    }
    Ok((end > at).then_some(end))
}

/// A stretch of the segment held in memory.
struct Window<'a> {
    source: &'a dyn SegmentBytes,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// `len` bytes from `at` on, or fewer at the segment's end.
    fn get(&mut self, at: u64, len: u64) -> Result<&[u8]> {
        let wanted_end = at.saturating_add(len).min(self.source.size());
        let have_end = self.start.saturating_add(self.bytes.len() as u64);
        if at < self.start || wanted_end > have_end {
            let more = wanted_end.saturating_sub(at).max(HEAD_BYTES);
            self.bytes = self.source.read(at, more)?;
            self.start = at;
        }
        Ok(self.held(at, len))
    }

    /// What of `len` bytes from `at` on is in memory already.
    fn held(&self, at: u64, len: u64) -> &[u8] {
        let skip = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let rest = self.bytes.get(skip..).unwrap_or_default();
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
        rest.get(..len).unwrap_or_default()
    }
}

/// Notes where the data of the last `moof` is, and looks at the starts of its first samples.
fn close_fragment(
    window: &mut Window<'_>,
    (first, end): (u64, u64),
    init: Option<&InitFacts>,
    facts: &mut SegmentFacts,
) -> Result<()> {
    let Some(fragment) = facts.fragments.last_mut() else {
        return Ok(());
    };
    if fragment.mdat.is_some() {
        return Ok(());
    }
    fragment.mdat = Some((first, end));
    if let Some(length_size) = init.and_then(nal_length) {
        window.get(first, end.saturating_sub(first).min(HEAD_BYTES / 4))?;
        fragment.units = sample_units(window, fragment, length_size);
    }
    Ok(())
}

/// Bytes of NAL unit lengths, for H.264.
fn nal_length(init: &InitFacts) -> Option<usize> {
    Some(init.track()?.picture()?.avc.as_ref()?.nal_length)
}

/// NAL unit types at the start of each sample that lies in memory.
fn sample_units(window: &Window<'_>, fragment: &FragmentFacts, length_size: usize) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let Some(run) = fragment.traf().and_then(|traf| traf.runs.first()) else {
        return rows;
    };
    let Some(mut at) = run
        .data_offset
        .and_then(|o| fragment.moof_at.checked_add_signed(o))
    else {
        return rows;
    };
    for sample in &run.samples {
        let bytes = window.held(at, u64::from(sample.size));
        let units: Vec<u8> = nal_units(bytes, length_size)
            .map(nal_type)
            .take(UNITS_MAX)
            .collect();
        if units.is_empty() {
            break;
        }
        rows.push(units);
        at = at.saturating_add(u64::from(sample.size));
    }
    rows
}

fn read_moof(
    payload: &[u8],
    init: Option<&InitFacts>,
    trouble: &mut Vec<String>,
    samples_left: &mut usize,
) -> FragmentFacts {
    let mut fragment = FragmentFacts::default();
    for child in walk(payload, 0, trouble) {
        match &child.kind.0 {
            b"mfhd" => {
                let mut at = Cursor::new(child.payload);
                fragment.sequence = at.full().and_then(|_| at.u32());
            }
            b"traf" => {
                let traf = read_traf(child.payload, init, trouble, samples_left);
                fragment.trafs.push(traf);
            }
            _ => {}
        }
    }
    fragment
}

fn read_traf(
    payload: &[u8],
    init: Option<&InitFacts>,
    trouble: &mut Vec<String>,
    samples_left: &mut usize,
) -> TrafFacts {
    let mut traf = TrafFacts::default();
    let mut defaults = TrackExtends::default();
    for child in walk(payload, 0, trouble) {
        let read = match &child.kind.0 {
            b"tfhd" => fragment_header(child.payload, init, &mut traf).map(|read| defaults = read),
            b"tfdt" => decode_time(child.payload).map(|time| traf.decode_time = Some(time)),
            b"trun" => {
                read_run(child.payload, defaults, samples_left).map(|run| traf.runs.push(run))
            }
            b"senc" => encrypted(child.payload).map(|n| traf.encrypted_samples = Some(n)),
            _ => Some(()),
        };
        if read.is_none() {
            trouble.push(format!("{} is cut off or too long", child.kind));
        }
    }
    traf
}

/// `tfhd` (ISO/IEC 14496-12 8.8.7): its own defaults, or else those of `trex`.
fn fragment_header(
    payload: &[u8],
    init: Option<&InitFacts>,
    traf: &mut TrafFacts,
) -> Option<TrackExtends> {
    let mut at = Cursor::new(payload);
    let (_, flags) = at.full()?;
    traf.track_id = at.u32()?;
    let known = init.map_or(&[][..], |init| &init.trex);
    let trex = known.iter().find(|trex| trex.track_id == traf.track_id);
    let mut defaults = trex.copied().unwrap_or_default();
    traf.default_base_is_moof = flags & 0x02_0000 != 0;
    if flags & 0x1 != 0 {
        traf.base_data_offset = true;
        at.u64()?;
    }
    if flags & 0x2 != 0 {
        at.u32()?;
    }
    for (bit, field) in [
        (0x8, &mut defaults.duration),
        (0x10, &mut defaults.size),
        (0x20, &mut defaults.flags),
    ] {
        if flags & bit != 0 {
            *field = at.u32()?;
        }
    }
    Some(defaults)
}

fn decode_time(payload: &[u8]) -> Option<u64> {
    let mut at = Cursor::new(payload);
    let (version, _) = at.full()?;
    at.wide(version)
}

fn encrypted(payload: &[u8]) -> Option<u64> {
    let mut at = Cursor::new(payload);
    at.full()?;
    at.u32().map(u64::from)
}

/// `trun` (ISO/IEC 14496-12 8.8.8).
fn read_run(payload: &[u8], defaults: TrackExtends, samples_left: &mut usize) -> Option<RunFacts> {
    let mut at = Cursor::new(payload);
    let (version, flags) = at.full()?;
    let count = usize::try_from(at.u32()?).ok()?;
    *samples_left = samples_left.checked_sub(count)?;
    let has = |bit| flags & bit != 0;
    let data_offset = match has(0x1) {
        true => Some(i64::from(at.i32()?)),
        false => None,
    };
    let mut first_flags = match has(0x4) {
        true => Some(at.u32()?),
        false => None,
    };
    let mut samples = Vec::new();
    for _ in 0..count {
        let mut field = |bit, default| if has(bit) { at.u32() } else { Some(default) };
        let duration = field(0x100, defaults.duration)?;
        let size = field(0x200, defaults.size)?;
        let own_flags = field(0x400, defaults.flags)?;
        let offset = field(0x800, 0)?;
        samples.push(SampleFacts {
            duration,
            size,
            flags: first_flags.take().unwrap_or(own_flags),
            composition_offset: match version {
                0 => i64::from(offset),
                _ => i64::from(offset.cast_signed()),
            },
        });
    }
    Some(RunFacts {
        version,
        data_offset,
        samples,
    })
}

/// `sidx` (ISO/IEC 14496-12 8.16.3) that ends at byte `end` of its object.
pub(super) fn read_index(payload: &[u8], end: u64) -> Option<IndexFacts> {
    let mut at = Cursor::new(payload);
    let (version, _) = at.full()?;
    at.u32()?;
    let timescale = at.u32()?;
    let earliest_presentation_time = at.wide(version)?;
    let first_offset = at.wide(version)?;
    at.u16()?;
    let count = at.u16()?;
    let mut references = Vec::new();
    for _ in 0..count {
        let (size, duration, sap) = (at.u32()?, at.u32()?, at.u32()?);
        references.push(IndexReference {
            to_index: size >> 31 == 1,
            size: size & 0x7fff_ffff,
            duration,
            starts_with_sap: sap >> 31 == 1,
            sap_type: u8::try_from(sap >> 28 & 7).ok()?,
        });
    }
    Some(IndexFacts {
        timescale,
        earliest_presentation_time,
        anchor: end.saturating_add(first_offset),
        references,
    })
}

/// The first `sidx` among the boxes in `bytes`, which start at byte `base` of their object.
pub(super) fn find_index(bytes: &[u8], base: u64) -> Option<IndexFacts> {
    let start = usize::try_from(base).ok()?;
    let boxes = walk(bytes, start, &mut Vec::new());
    let sidx = boxes.iter().find(|child| child.kind == FourCc(*b"sidx"))?;
    let end = sidx
        .offset
        .checked_add(sidx.header_len)?
        .checked_add(sidx.payload.len())?;
    read_index(sidx.payload, u64::try_from(end).ok()?)
}
