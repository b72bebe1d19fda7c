//! Writes CMAF fragments (ISO/IEC 23000-19 section 7.3.2): one `moof` with one `traf` with one
//! `trun`, and one `mdat`.
//!
//! All values that hold for each sample are in `tfhd`, repeated in each fragment, so that a
//! fragment can be read with nothing but its track header.

use super::boxes::BoxWriter;
use super::encrypt::{SampleEncryptor, SampleProtection};
use super::init_segment::TRACK_ID;
use super::protection::write_sample_encryption;
use crate::error::{Error, Result};
use crate::media::Sample;

/// What kind of track a fragment belongs to.
///
/// Both write `trun` version 0: what lies before the presentation's start (the decoding delay of
/// reordered pictures, the priming of audio) is taken off by an edit list in the track's header,
/// and a CMAF track has that or signed offsets, not both (ISO/IEC 23000-19 section 7.5.13). FFmpeg
/// and what is built on it show a track with signed offsets late by its reordering delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FragmentKind {
    /// Samples may be shown in another order than they are decoded in.
    Video {
        /// Ticks added to each composition offset, so that none is negative: `media_time` of the
        /// header's edit list.
        composition_delay: u32,
    },
    /// Samples are heard in the order they are decoded in.
    Audio,
}

/// What a fragment says about one of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentSample {
    /// Bytes.
    pub size: u32,
    /// Ticks until the next sample is decoded.
    pub duration: u32,
    /// Presentation time minus decode time in ticks, before the composition delay is added. Zero
    /// in audio.
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
    delay: u32,
    default_flags: u32,
    same_size: bool,
    trun: u32,
}

impl Layout {
    fn of(kind: FragmentKind, samples: &[FragmentSample], first: FragmentSample) -> Self {
        let delay = match kind {
            FragmentKind::Video { composition_delay } => composition_delay,
            FragmentKind::Audio => 0,
        };
        let (mut same_duration, mut same_size, mut no_offset) = (true, true, delay == 0);
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
            delay,
            default_flags: sample_flags(&second),
            same_size,
            trun,
        }
    }

    /// The offset to write for a sample; `None` when it would be negative.
    fn offset(&self, sample: &FragmentSample) -> Option<u32> {
        u32::try_from(i64::from(sample.composition_offset) + i64::from(self.delay)).ok()
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
/// When there is no sample, when the samples are 4 GiB or more, when audio has composition offsets
/// or a picture is shown earlier than the composition delay allows.
pub fn fragment_head(
    kind: FragmentKind,
    sequence_number: u32,
    decode_time: u64,
    samples: &[FragmentSample],
) -> Result<Vec<u8>> {
    protected_fragment_head(kind, sequence_number, decode_time, samples, &[])
}

/// The same for encrypted samples, of each of which `protection` says what is protected; for clear
/// ones where it is empty.
///
/// # Errors
/// Those of [`fragment_head`], and when `protection` is for another number of samples.
pub fn protected_fragment_head(
    kind: FragmentKind,
    sequence_number: u32,
    decode_time: u64,
    samples: &[FragmentSample],
    protection: &[SampleProtection],
) -> Result<Vec<u8>> {
    if !protection.is_empty() && protection.len() != samples.len() {
        return Err(Error::internal(
            "not every sample of a fragment is encrypted",
        ));
    }
    let Some(first) = samples.first().copied() else {
        return Err(Error::internal("a fragment without samples"));
    };
    let layout = Layout::of(kind, samples, first);
    let is_early = |sample: &&FragmentSample| layout.offset(sample).is_none();
    if let Some(early) = samples.iter().find(is_early) {
        return Err(Error::unsupported(format!(
            "a picture is shown {} ticks before it is decoded, of which {} are allowed for",
            -i64::from(early.composition_offset),
            layout.delay
        )));
    }
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
            if !protection.is_empty() {
                write_sample_encryption(w, protection, 0);
            }
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
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut data_offset_at = 0;
    w.full(b"trun", 0, layout.trun, |w| {
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
        w.u32(layout.offset(sample).unwrap_or(0));
    }
}

/// A whole fragment of samples that `encryptor` encrypts; `data` are their bytes, one after the
/// other.
///
/// # Errors
/// Those of [`fragment_head`], and where it can't be told what of a sample to protect.
pub fn encrypted_fragment(
    kind: FragmentKind,
    sequence_number: u32,
    decode_time: u64,
    samples: &[FragmentSample],
    mut data: Vec<u8>,
    encryptor: &mut SampleEncryptor,
) -> Result<Vec<u8>> {
    let mut protection = Vec::with_capacity(samples.len());
    let mut rest = data.as_mut_slice();
    for sample in samples {
        let taken = rest.split_at_mut_checked(sample.size as usize);
        let (bytes, after) = taken.ok_or_else(|| Error::internal("a fragment lacks bytes"))?;
        protection.push(encryptor.encrypt(bytes)?);
        rest = after;
    }
    let mut bytes =
        protected_fragment_head(kind, sequence_number, decode_time, samples, &protection)?;
    bytes.reserve_exact(data.len());
    bytes.append(&mut data);
    Ok(bytes)
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

/// What a fragment says about a sample.
///
/// # Errors
/// When it has 4 GiB or more.
pub fn describe(sample: &Sample) -> Result<FragmentSample> {
    Ok(FragmentSample {
        size: u32::try_from(sample.data.len())
            .map_err(|_| Error::unsupported("a sample of 4 GiB or more"))?,
        duration: sample.duration,
        composition_offset: sample.composition_offset,
        sync: sample.sync,
    })
}
