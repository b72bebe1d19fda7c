//! Gathers the samples of one track, from tables and fragments alike, and keeps out what cannot
//! be: bytes beyond the end of the file, and more samples than the file could hold.

use super::header::TIME_LIMIT;
use crate::media::{Home, Place, SampleTable};

/// Samples in a file; a day of sound and pictures has under thirty million.
const MAX_SAMPLES: u64 = 1 << 25;

/// Changes of the sample description that are minded.
const MAX_DESCRIPTION_CHANGES: usize = 10_000;

/// What all tracks of a file together may still claim, so that a few bytes of tables cannot make
/// us write gigabytes. Tracks may share bytes, within reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    file_size: u64,
    samples: u64,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(file_size: u64) -> Self {
        Self {
            file_size,
            samples: file_size.min(MAX_SAMPLES),
            bytes: file_size.saturating_mul(4),
        }
    }

    /// Takes one sample of `size` bytes; `false` when the file cannot hold it.
    fn take(&mut self, size: u32) -> bool {
        let bytes = self.bytes.checked_sub(u64::from(size));
        let (Some(bytes), Some(samples)) = (bytes, self.samples.checked_sub(1)) else {
            return false;
        };
        (self.bytes, self.samples) = (bytes, samples);
        true
    }

    /// How many bytes the file has from `offset` on.
    pub(super) fn bytes_from(&self, offset: u64) -> u64 {
        self.file_size.saturating_sub(offset)
    }
}

/// Why a sample was refused; the track ends before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its bytes lie (partly) behind the end of the file.
    BeyondEnd {
        /// The first byte after it.
        end: u64,
    },
    /// The file is too small for as many samples as were claimed.
    OutOfBudget,
}

/// A sample that waits for its final duration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) duration: u32,
    pub(super) composition_offset: i32,
    pub(super) sync: bool,
    pub(super) offset: u64,
    pub(super) size: u32,
}

/// The samples of one track so far. The last one is held back: a fragment's decode time may
/// stretch or shorten it.
#[derive(Debug, Default)]
pub(super) struct Collector {
    table: SampleTable,
    pending: Option<Pending>,
    /// Number of a sample, and of the sample description from there on, from 1.
    descriptions: Vec<(u32, u32)>,
    /// The latest end of a sample's presentation, or `None` without samples.
    presentation_end: Option<i64>,
}

/// How far a fragment's decode time was from the sum of the durations before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jump {
    /// It fits, or the last duration was changed so that it does.
    Mended,
    /// It lies so many ticks before or after what can be mended.
    Left(i64),
}

impl Collector {
    pub(super) fn push(&mut self, sample: Pending, budget: &mut Budget) -> Result<(), Refusal> {
        let end = sample.offset.saturating_add(u64::from(sample.size));
        if end > budget.file_size {
            return Err(Refusal::BeyondEnd { end });
        }
        if !budget.take(sample.size) {
            return Err(Refusal::OutOfBudget);
        }
        self.flush();
        self.pending = Some(sample);
        Ok(())
    }

    /// Says that samples from here on have sample description number `description`, from 1. `false`
    /// where it changes so often that this one is not minded.
    pub(super) fn describe(&mut self, description: u32) -> bool {
        let before = self.descriptions.last().map_or(1, |(_, before)| *before);
        if before == description {
            return true;
        }
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let has_room = self.descriptions.len() < MAX_DESCRIPTION_CHANGES;
        if has_room {
            self.descriptions.push((number, description));
        }
        has_room
    }

    /// Where the sample description changes: number of a sample, and of the description from there on.
    pub(super) fn descriptions(&self) -> &[(u32, u32)] {
        &self.descriptions
    }

    fn flush(&mut self) {
        let Some(sample) = self.pending.take() else {
            return;
        };
        let start = self.table.end_decode_time() + i64::from(sample.composition_offset);
        let end = start + i64::from(sample.duration);
        self.presentation_end = self.presentation_end.max(Some(end));
        let place = Place {
            home: Home::Source,
            offset: sample.offset,
            size: sample.size,
        };
        self.table.push(
            sample.duration,
            sample.composition_offset,
            sample.sync,
            place,
        );
    }

    /// Decode time of the next sample.
    pub(super) fn next_decode_time(&self) -> i64 {
        let pending = self.pending.map_or(0, |p| i64::from(p.duration));
        self.table.end_decode_time() + pending
    }

    /// Number of samples so far.
    pub(super) fn len(&self) -> usize {
        self.table.len() + usize::from(self.pending.is_some())
    }

    /// Makes `decode_time` that of the next sample, as a fragment's `tfdt` says.
    pub(super) fn seek(&mut self, decode_time: i64) -> Jump {
        if self.len() == 0 {
            self.table = SampleTable::new(decode_time.clamp(0, TIME_LIMIT));
            return Jump::Mended;
        }
        let Some(pending) = &mut self.pending else {
            return Jump::Left(decode_time.saturating_sub(self.next_decode_time()));
        };
        let wanted = decode_time.saturating_sub(self.table.end_decode_time());
        match u32::try_from(wanted) {
            Ok(duration) => {
                pending.duration = duration;
                Jump::Mended
            }
            Err(_) => Jump::Left(wanted.saturating_sub(i64::from(pending.duration))),
        }
    }

    /// The finished table, and the end of its presentation in ticks.
    pub(super) fn finish(mut self) -> (SampleTable, i64) {
        self.flush();
        let end = self.presentation_end;
        (self.table, end.unwrap_or(0))
    }
}
