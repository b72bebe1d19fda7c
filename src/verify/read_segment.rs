//! Segment to facts: the boxes' headers, whole `moof`, `sidx` and `styp` boxes, and the first bytes
//! of the samples; never the rest of an `mdat`.

use super::facts::{
    FragmentFacts, IndexFacts, InitFacts, RunFacts, SampleFacts, SegmentFacts, TrafFacts,
};
use super::stream::Container;
use crate::cmaf::boxes::{BoxHeader, children};
use crate::cmaf::read::{SampleInfo, SegmentIndex, TrackDefaults, TrackFragment};
use crate::codec::avc::{nal_type, nal_units};
use crate::codec::captions::{self, Framing, Head};
use crate::codec::{av1, hevc};
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
        [0xff, 0xd8, 0xff, ..] => Container::Jpeg,
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

/// Reads the heads of a segment. `first` are its first bytes, `step` or all of them: more is read in
/// steps of that.
pub(super) fn read_segment(
    source: &dyn SegmentBytes,
    first: &[u8],
    step: u64,
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
        step,
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
            let moof = window.get(at, len)?;
            let mut fragment = read_moof(moof, init, &mut facts.trouble, samples_left);
            fragment.moof_at = at;
            facts.fragments.push(fragment);
            if *samples_left == 0 {
                let message = format!("more than {SAMPLES_MAX} samples in one segment");
                return Err(Error::unsupported(message));
            }
        }
        b"sidx" => {
            let payload = window.get(payload_at, end.saturating_sub(payload_at))?;
            match SegmentIndex::parse(payload) {
                Some(index) => facts.indexes.push(index_facts(index, end)),
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
    /// What is read at a time, at least.
    step: u64,
}

impl Window<'_> {
    /// `len` bytes from `at` on, or fewer at the segment's end.
    fn get(&mut self, at: u64, len: u64) -> Result<&[u8]> {
        let wanted_end = at.saturating_add(len).min(self.source.size());
        let have_end = self.start.saturating_add(self.bytes.len() as u64);
        if at < self.start || wanted_end > have_end {
            let more = wanted_end.saturating_sub(at).max(self.step);
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
    if let Some(coding) = init.and_then(coding) {
        window.get(first, end.saturating_sub(first).min(window.step / 4))?;
        fragment.units = sample_units(window, fragment, coding);
        fragment.has_captions = coding.framing().is_some_and(|framing| {
            samples_held(window, fragment)
                .any(|sample| captions::look(framing, sample) == Head::Captions)
        });
    }
    Ok(())
}

/// How samples of video are built.
#[derive(Debug, Clone, Copy)]
enum Coding {
    /// NAL units of H.264 with lengths of so many bytes.
    Avc(usize),
    /// The same of HEVC.
    Hevc(usize),
    /// OBUs of AV1.
    Av1,
}

impl Coding {
    /// Where captions are looked for.
    fn framing(self) -> Option<Framing> {
        match self {
            Self::Avc(length) => Some(Framing::AvcLengths(length)),
            Self::Hevc(length) => Some(Framing::HevcLengths(length)),
            Self::Av1 => None,
        }
    }
}

fn coding(init: &InitFacts) -> Option<Coding> {
    let entry = init.track()?.entry()?;
    let picture = entry.picture.as_ref()?;
    if let Some(avc) = &picture.avc {
        return Some(Coding::Avc(avc.nal_length));
    }
    let configuration = picture.configuration.as_ref()?;
    match configuration.nal_length {
        Some(length) => Some(Coding::Hevc(length)),
        None => Some(Coding::Av1),
    }
}

/// One sample's row of [`FragmentFacts::units`].
fn units_of(bytes: &[u8], coding: Coding) -> Vec<u8> {
    match coding {
        Coding::Avc(length) => {
            let nals = nal_units(bytes, length).map(nal_type);
            nals.take(UNITS_MAX).collect()
        }
        Coding::Hevc(length) => {
            let nals = nal_units(bytes, length).map(hevc::nal_type);
            nals.take(UNITS_MAX).collect()
        }
        Coding::Av1 => av1::is_key(bytes).map(u8::from).into_iter().collect(),
    }
}

/// What the start of each sample that lies in memory shows.
fn sample_units(window: &Window<'_>, fragment: &FragmentFacts, coding: Coding) -> Vec<Vec<u8>> {
    let rows = samples_held(window, fragment).map(|sample| units_of(sample, coding));
    rows.take_while(|units| !units.is_empty()).collect()
}

/// What lies in memory of each sample of the first run.
fn samples_held<'a>(
    window: &'a Window<'_>,
    fragment: &'a FragmentFacts,
) -> impl Iterator<Item = &'a [u8]> {
    let run = fragment.traf().and_then(|traf| traf.runs.first());
    let offset = run.and_then(|run| run.data_offset);
    let start = offset.and_then(|offset| fragment.moof_at.checked_add_signed(offset));
    let samples = run.map_or(&[][..], |run| &run.samples);
    let mut at = start.unwrap_or(u64::MAX);
    samples
        .iter()
        .map(move |sample| {
            let bytes = window.held(at, u64::from(sample.size));
            at = at.saturating_add(u64::from(sample.size));
            bytes
        })
        .take_while(|bytes| !bytes.is_empty())
}

/// Reads one `moof`, given as a whole box: offsets in it count from its own start.
fn read_moof(
    moof: &[u8],
    init: Option<&InitFacts>,
    trouble: &mut Vec<String>,
    samples_left: &mut usize,
) -> FragmentFacts {
    let defaults: Vec<TrackDefaults> = init
        .iter()
        .flat_map(|init| &init.trex)
        .filter_map(|trex| trex.defaults)
        .collect();
    let read = crate::cmaf::read::read_segment(moof, moof.len() as u64, &defaults);
    let info = match read {
        Ok(info) => info,
        Err(error) => {
            trouble.push(error.to_string());
            return FragmentFacts::default();
        }
    };
    trouble.extend(info.tree.fault.iter().map(ToString::to_string));
    let Some(fragment) = info.fragments.first() else {
        return FragmentFacts::default();
    };
    for run in fragment.tracks.iter().flat_map(|traf| &traf.runs) {
        if usize::try_from(run.sample_count) != Ok(run.samples.len()) {
            let (claimed, found) = (run.sample_count, run.samples.len());
            trouble.push(format!("trun claims {claimed} samples and has {found}"));
        }
        *samples_left = samples_left.saturating_sub(run.samples.len());
    }
    FragmentFacts {
        sequence: fragment.sequence_number,
        trafs: fragment.tracks.iter().map(traf_facts).collect(),
        ..FragmentFacts::default()
    }
}

fn traf_facts(traf: &TrackFragment) -> TrafFacts {
    let header = traf.header.unwrap_or_default();
    let runs = traf.runs.iter().map(|run| RunFacts {
        version: run.version,
        data_offset: run.data_offset.map(i64::from),
        samples: run.samples.iter().map(sample_facts).collect(),
    });
    TrafFacts {
        track_id: header.track_id,
        default_base_is_moof: header.base_is_moof(),
        base_data_offset: header.base_data_offset.is_some(),
        decode_time: traf.decode_time.map(|time| time.value),
        runs: runs.collect(),
        encrypted_samples: traf.encrypted_samples.map(u64::from),
        auxiliary: (traf.has_saiz, traf.has_saio),
    }
}

fn sample_facts(sample: &SampleInfo) -> SampleFacts {
    SampleFacts {
        duration: sample.duration,
        size: sample.size,
        flags: sample.flags,
        composition_offset: sample.composition_offset,
    }
}

/// `sidx` that ends at byte `end` of its object.
fn index_facts(index: SegmentIndex, end: u64) -> IndexFacts {
    IndexFacts {
        timescale: index.timescale,
        earliest_presentation_time: index.earliest_presentation_time,
        anchor: end.saturating_add(index.first_offset),
        references: index.references,
    }
}

/// The first `sidx` among the boxes in `bytes`, which start at byte `base` of their object.
pub(super) fn find_index(bytes: &[u8], base: u64) -> Option<IndexFacts> {
    let boxes = children(bytes, 0).map_while(std::result::Result::ok);
    let sidx = boxes.into_iter().find(|child| child.kind.0 == *b"sidx")?;
    let end = sidx
        .offset
        .checked_add(sidx.header_len)?
        .checked_add(sidx.payload.len())?;
    let end = u64::try_from(end).ok()?.checked_add(base)?;
    Some(index_facts(SegmentIndex::parse(sidx.payload)?, end))
}
