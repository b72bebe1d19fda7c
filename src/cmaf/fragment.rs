//! Writes CMAF fragments (ISO/IEC 23000-19 section 7.3.2): one `moof` with one `traf` with one
//! `trun`, and one `mdat`.
//!
//! All values that hold for each sample are in `tfhd`, repeated in each fragment, so that a
//! fragment can be read with nothing but its track header.

use super::boxes::BoxWriter;
use super::init_segment::TRACK_ID;
use crate::error::{Error, Result};
use crate::media::Sample;

/// What kind of track a fragment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FragmentKind {
    /// `trun` version 1 with signed composition offsets, and no edit list.
    Video,
    /// `trun` version 0 without composition offsets, since priming is in an edit list
    /// (ISO/IEC 23000-19 section 9.2.1: one or the other).
    Audio,
}

/// What a fragment says about one of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentSample {
    /// Bytes.
    pub size: u32,
    /// Ticks until the next sample is decoded.
    pub duration: u32,
    /// Presentation time minus decode time in ticks. Zero in audio.
    pub composition_offset: i32,
    /// Whether decoding can start here.
    pub sync: bool,
}

/// `sample_flags` (ISO/IEC 14496-12 section 8.8.3.1) of a sample that depends on no other.
pub const SYNC_FLAGS: u32 = 0x0200_0000;
/// `sample_flags` of a sample that is no sync sample and depends on others.
pub const NON_SYNC_FLAGS: u32 = 0x0101_0000;

fn sample_flags(sample: &FragmentSample) -> u32 {
    if sample.sync {
        SYNC_FLAGS
    } else {
        NON_SYNC_FLAGS
    }
}

/// `tfhd` flags (section 8.8.7.1).
const TFHD_DURATION: u32 = 0x08;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;

/// `trun` flags (section 8.8.8.1).
const TRUN_DATA_OFFSET: u32 = 0x01;
const TRUN_FIRST_FLAGS: u32 = 0x04;
const TRUN_DURATIONS: u32 = 0x100;
const TRUN_SIZES: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_OFFSETS: u32 = 0x800;

/// Samples of one fragment at most, so that its boxes stay far below the 2 GiB of a data offset.
const MOST_SAMPLES: usize = 1 << 24;

/// What is the same in all samples, and what has to be said for each.
struct Layout {
    kind: FragmentKind,
    default_flags: u32,
    same_size: bool,
    trun: u32,
}

impl Layout {
    fn of(kind: FragmentKind, samples: &[FragmentSample], first: FragmentSample) -> Self {
        let (mut same_duration, mut same_size, mut no_offset) = (true, true, true);
        for sample in samples {
            same_duration &= sample.duration == first.duration;
            same_size &= sample.size == first.size;
            no_offset &= sample.composition_offset == 0;
        }
        let rest = samples.get(1..).unwrap_or_default();
        let second = rest.first().copied().unwrap_or(first);
        let rest_alike = rest.iter().all(|sample| sample.sync == second.sync);
        let mut trun = TRUN_DATA_OFFSET;
        for (flag, wanted) in [
            (TRUN_FIRST_FLAGS, rest_alike && first.sync != second.sync),
            (TRUN_DURATIONS, !same_duration),
            (TRUN_SIZES, !same_size),
            (TRUN_FLAGS, !rest_alike),
            (TRUN_OFFSETS, !no_offset),
        ] {
            trun |= if wanted { flag } else { 0 };
        }
        Self {
            kind,
            default_flags: sample_flags(&second),
            same_size,
            trun,
        }
    }

    fn has(&self, flag: u32) -> bool {
        self.trun & flag != 0
    }

    /// Bytes of one sample's row in `trun`.
    fn row_len(&self) -> usize {
        let columns = [TRUN_DURATIONS, TRUN_SIZES, TRUN_FLAGS, TRUN_OFFSETS];
        4 * columns.iter().filter(|flag| self.has(**flag)).count()
    }
}

/// `moof` and the header of `mdat`: the samples' bytes are to follow at once, in order.
///
/// `sequence_number` is that of `mfhd`, from 1 on. `decode_time` is the sum of the durations of
/// all samples before, in ticks.
///
/// # Errors
/// When there is no sample, when the samples are 4 GiB or more, or when audio has composition
/// offsets.
pub fn fragment_head(
    kind: FragmentKind,
    sequence_number: u32,
    decode_time: u64,
    samples: &[FragmentSample],
) -> Result<Vec<u8>> {
    let Some(first) = samples.first().copied() else {
        return Err(Error::internal("a fragment without samples"));
    };
    let layout = Layout::of(kind, samples, first);
    if kind == FragmentKind::Audio && layout.has(TRUN_OFFSETS) {
        return Err(Error::unsupported("audio with composition offsets"));
    }
    if samples.len() > MOST_SAMPLES {
        return Err(Error::unsupported(format!(
            "a fragment of {} samples: make segments shorter",
            samples.len()
        )));
    }
    let mdat_len = mdat_len(samples)?;
    let mut w = BoxWriter::with_capacity(128 + samples.len() * layout.row_len());
    let mut data_offset_at = 0;
    w.nest(b"moof", |w| {
        w.full(b"mfhd", 0, 0, |w| {
            w.u32(sequence_number);
        });
        w.nest(b"traf", |w| {
            write_tfhd(w, &layout, first);
            w.full(b"tfdt", 1, 0, |w| {
                w.u64(decode_time);
            });
            data_offset_at = write_trun(w, &layout, samples, first);
        });
    });
    let data_offset = u32::try_from(w.len() + 8).expect("bounded by the number of samples");
    w.patch_u32(data_offset_at, data_offset);
    w.u32(mdat_len).raw(b"mdat");
    Ok(w.into_bytes())
}

/// Length of `mdat` with its header.
fn mdat_len(samples: &[FragmentSample]) -> Result<u32> {
    let bytes: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
    u32::try_from(bytes + 8).map_err(|_| {
        Error::unsupported(format!(
            "a fragment of {bytes} bytes is over the 4 GiB of its box: make segments shorter"
        ))
    })
}

fn write_tfhd(w: &mut BoxWriter, layout: &Layout, first: FragmentSample) {
    let size_flag = if layout.same_size { TFHD_SIZE } else { 0 };
    let flags = TFHD_BASE_IS_MOOF | TFHD_DURATION | TFHD_FLAGS | size_flag;
    w.full(b"tfhd", 0, flags, |w| {
        w.u32(TRACK_ID).u32(first.duration);
        if layout.same_size {
            w.u32(first.size);
        }
        w.u32(layout.default_flags);
    });
}

/// Returns where the data offset is, to be filled in later.
fn write_trun(
    w: &mut BoxWriter,
    layout: &Layout,
    samples: &[FragmentSample],
    first: FragmentSample,
) -> usize {
    let version = match layout.kind {
        FragmentKind::Video => 1,
        FragmentKind::Audio => 0,
    };
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut data_offset_at = 0;
    w.full(b"trun", version, layout.trun, |w| {
        w.u32(count);
        data_offset_at = w.len();
        w.u32(0);
        if layout.has(TRUN_FIRST_FLAGS) {
            w.u32(sample_flags(&first));
        }
        for sample in samples {
            write_row(w, layout, sample);
        }
    });
    data_offset_at
}

fn write_row(w: &mut BoxWriter, layout: &Layout, sample: &FragmentSample) {
    if layout.has(TRUN_DURATIONS) {
        w.u32(sample.duration);
    }
    if layout.has(TRUN_SIZES) {
        w.u32(sample.size);
    }
    if layout.has(TRUN_FLAGS) {
        w.u32(sample_flags(sample));
    }
    if layout.has(TRUN_OFFSETS) {
        w.i32(sample.composition_offset);
    }
}

/// A whole fragment with its samples' bytes; see [`fragment_head`].
///
/// # Errors
/// Those of [`fragment_head`].
pub fn fragment(
    kind: FragmentKind,
    sequence_number: u32,
    decode_time: u64,
    samples: &[Sample],
) -> Result<Vec<u8>> {
    let table: Vec<_> = samples.iter().map(describe).collect::<Result<_>>()?;
    let mut bytes = fragment_head(kind, sequence_number, decode_time, &table)?;
    bytes.reserve_exact(samples.iter().map(|sample| sample.data.len()).sum());
    for sample in samples {
        bytes.extend_from_slice(&sample.data);
    }
    Ok(bytes)
}

fn describe(sample: &Sample) -> Result<FragmentSample> {
    Ok(FragmentSample {
        size: u32::try_from(sample.data.len())
            .map_err(|_| Error::unsupported("a sample of 4 GiB or more"))?,
        duration: sample.duration,
        composition_offset: sample.composition_offset,
        sync: sample.sync,
    })
}
