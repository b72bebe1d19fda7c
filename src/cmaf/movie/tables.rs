//! The sample tables of an unfragmented track (`stbl`, ISO/IEC 14496-12 sections 8.6 and 8.7),
//! walked straight into a [`SampleTable`](crate::media::SampleTable).
//!
//! The tables contradict each other in damaged files; what the shortest of them describes is kept.

use super::collector::{Budget, Collector, Pending, Refusal};
use super::description::Packing;
use super::warnings::Warnings;
use crate::cmaf::boxes::children;
use crate::cmaf::fields::Fields;
use crate::time::{Ticks, Timescale};

/// PCM frames put into one entry of our table: 85 ms at 48 kHz.
const GROUPED_FRAMES: u32 = 4096;

/// Durations above this are negative ones, written by programs that took the field as signed.
const MAX_DURATION: u32 = 0x7fff_ffff;

/// The tables of one track, still as bytes.
#[derive(Debug, Default)]
pub(super) struct Tables<'a> {
    durations: &'a [u8],
    composition_offsets: &'a [u8],
    syncs: Option<&'a [u8]>,
    sizes: Sizes<'a>,
    chunk_runs: &'a [u8],
    chunks: Chunks<'a>,
}

/// `stsz` or `stz2`, section 8.7.3.
#[derive(Debug, Clone, Copy)]
enum Sizes<'a> {
    Constant {
        size: u32,
        count: u32,
    },
    Words(&'a [u8]),
    Compact {
        bits: u8,
        count: u32,
        bytes: &'a [u8],
    },
}

impl Default for Sizes<'_> {
    fn default() -> Self {
        Self::Words(&[])
    }
}

/// `stco` or `co64`, section 8.7.5.
#[derive(Debug, Clone, Copy)]
enum Chunks<'a> {
    Narrow(&'a [u8]),
    Wide(&'a [u8]),
}

impl Default for Chunks<'_> {
    fn default() -> Self {
        Self::Narrow(&[])
    }
}

impl Sizes<'_> {
    fn count(&self) -> u32 {
        match self {
            Self::Constant { count, .. } | Self::Compact { count, .. } => *count,
            Self::Words(words) => u32::try_from(words.len() / 4).unwrap_or(u32::MAX),
        }
    }

    fn get(&self, number: u32) -> Option<u32> {
        if number >= self.count() {
            return None;
        }
        let number = usize::try_from(number).ok()?;
        match self {
            Self::Constant { size, .. } => Some(*size),
            Self::Words(words) => u32_at(words, number),
            Self::Compact { bits: 4, bytes, .. } => {
                let byte = bytes.get(number / 2)?;
                Some(u32::from(if number.is_multiple_of(2) {
                    byte >> 4
                } else {
                    byte & 15
                }))
            }
            Self::Compact { bits: 8, bytes, .. } => bytes.get(number).map(|b| u32::from(*b)),
            Self::Compact { bytes, .. } => {
                let pair = bytes.get(number.checked_mul(2)?..)?.first_chunk()?;
                Some(u32::from(u16::from_be_bytes(*pair)))
            }
        }
    }
}

impl Chunks<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Narrow(bytes) => bytes.len() / 4,
            Self::Wide(bytes) => bytes.len() / 8,
        }
    }

    fn get(&self, index: usize) -> Option<u64> {
        match self {
            Self::Narrow(bytes) => u32_at(bytes, index).map(u64::from),
            Self::Wide(bytes) => u64_at(bytes, index),
        }
    }
}

/// The entries of a table: as many as claimed, or as there is room for.
fn entries<'a>(
    payload: &'a [u8],
    entry_len: usize,
    what: std::fmt::Arguments<'_>,
    warnings: &mut Warnings,
) -> &'a [u8] {
    let Some((_, _, mut fields)) = Fields::full(payload) else {
        return &[];
    };
    let Some(claimed) = fields.u32().and_then(|n| usize::try_from(n).ok()) else {
        return &[];
    };
    let bytes = fields.rest();
    let there = bytes.len() / entry_len;
    if claimed > there {
        warnings.push(format!(
            "{what} claims {claimed} entries and has room for {there}"
        ));
    }
    bytes
        .get(..claimed.min(there) * entry_len)
        .unwrap_or_default()
}

/// A table of (count, value) pairs, one value for each sample.
#[derive(Debug, Clone)]
struct RunCursor<'a> {
    bytes: &'a [u8],
    left: u32,
    value: u32,
}

impl<'a> RunCursor<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            left: 0,
            value: 0,
        }
    }

    /// The next sample's value; `None` when the table has ended.
    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            let mut fields = Fields::new(self.bytes);
            (self.left, self.value) = (fields.u32()?, fields.u32()?);
            self.bytes = fields.rest();
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Gives each sample its duration (`stts`, section 8.6.1.2).
#[derive(Debug)]
struct Durations<'a> {
    runs: RunCursor<'a>,
    last: u32,
    /// Ticks by which the times run ahead after a negative duration was taken as one tick.
    debt: u64,
}

impl Durations<'_> {
    /// After the end of the table the last duration goes on.
    fn next(&mut self) -> u32 {
        let raw = self.runs.next().unwrap_or(self.last);
        self.last = raw;
        if raw > MAX_DURATION {
            self.debt += 1 + u64::from(raw.wrapping_neg());
            return 1;
        }
        if self.debt == 0 {
            return raw;
        }
        let repaid = self.debt.min(u64::from(raw.saturating_sub(1)));
        self.debt -= repaid;
        raw - u32::try_from(repaid).unwrap_or(0)
    }
}

/// Tells which samples are sync samples (`stss`, section 8.6.2): all, without the table.
#[derive(Debug)]
struct Syncs<'a> {
    table: Option<&'a [u8]>,
    at: usize,
}

impl Syncs<'_> {
    /// Samples must be asked for in order, counted from 0.
    fn contains(&mut self, number: u32) -> bool {
        let Some(table) = self.table else {
            return true;
        };
        let wanted = number.saturating_add(1);
        while let Some(listed) = u32_at(table, self.at) {
            if listed > wanted {
                return false;
            }
            self.at += 1;
            if listed == wanted {
                return true;
            }
        }
        false
    }
}

/// Gives each chunk its number of samples (`stsc`, section 8.7.4).
#[derive(Debug)]
struct ChunkRuns<'a> {
    bytes: &'a [u8],
    at: usize,
    samples: u32,
    description: u32,
}

impl ChunkRuns<'_> {
    /// (first chunk, samples in a chunk, description)
    fn entry(&self, index: usize) -> Option<(u32, u32, u32)> {
        let field = |n| u32_at(self.bytes, index.checked_mul(3)?.checked_add(n)?);
        Some((field(0)?, field(1)?, field(2)?))
    }

    /// Samples of the chunk `index`, counted from 0; chunks must be asked for in order. Entries
    /// without samples are passed over.
    fn samples_in(&mut self, index: usize) -> u32 {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        while let Some((first, samples, description)) = self.entry(self.at) {
            if first > number && self.samples > 0 {
                break;
            }
            self.at += 1;
            if samples > 0 {
                (self.samples, self.description) = (samples, description);
            }
        }
        self.samples
    }
}

/// What the tables are walked with.
#[derive(Debug)]
pub(super) struct Walk<'w> {
    pub(super) place: &'w str,
    pub(super) timescale: Timescale,
    pub(super) packing: Option<Packing>,
    pub(super) budget: &'w mut Budget,
    pub(super) warnings: &'w mut Warnings,
}

impl<'a> Tables<'a> {
    /// Finds the tables in an `stbl` box.
    pub(super) fn find(stbl: &'a [u8], place: &str, warnings: &mut Warnings) -> Self {
        let mut tables = Self::default();
        for found in children(stbl, 0) {
            let Ok(found) = found.map_err(|e| warnings.push(format!("{place}: {e}"))) else {
                break;
            };
            let payload = found.payload;
            let mut rows =
                |len, name| entries(payload, len, format_args!("{place}: {name}"), warnings);
            match &found.kind.0 {
                b"stts" => tables.durations = rows(8, "stts"),
                b"ctts" => tables.composition_offsets = rows(8, "ctts"),
                b"stss" => tables.syncs = Some(rows(4, "stss")),
                b"stsc" => tables.chunk_runs = rows(12, "stsc"),
                b"stco" => tables.chunks = Chunks::Narrow(rows(4, "stco")),
                b"co64" => tables.chunks = Chunks::Wide(rows(8, "co64")),
                b"stsz" => tables.sizes = sizes(payload, place, warnings).unwrap_or_default(),
                b"stz2" => tables.sizes = compact_sizes(payload).unwrap_or_default(),
                _ => {}
            }
        }
        tables
    }

    /// Pushes all samples into `collector`.
    ///
    /// # Errors
    /// The reason why one was refused; those after it are left out, and a warning says so.
    pub(super) fn collect(
        &self,
        collector: &mut Collector,
        walk: &mut Walk<'_>,
    ) -> Result<(), Refusal> {
        let claimed = self.sizes.count();
        if claimed == 0 {
            return Ok(());
        }
        if let Some(missing) = self.missing_table() {
            walk.warnings.push(format!(
                "{}: {claimed} samples cannot be found, {missing} is missing or empty",
                walk.place
            ));
            return Ok(());
        }
        match walk.packing.filter(|_| self.counts_pcm_frames()) {
            Some(packing) => self.collect_packed(packing, collector, walk),
            None => self.collect_samples(collector, walk),
        }
        .inspect_err(|refusal| self.report_cut(*refusal, collector, walk))
    }

    fn missing_table(&self) -> Option<&'static str> {
        let tables = [
            ("stts", self.durations.is_empty()),
            ("stsc", self.chunk_runs.is_empty()),
            ("stco", self.chunks.count() == 0),
        ];
        tables
            .iter()
            .find(|(_, empty)| *empty)
            .map(|(name, _)| *name)
    }

    /// QuickTime counts each PCM frame as a sample of one tick.
    fn counts_pcm_frames(&self) -> bool {
        let constant = matches!(self.sizes, Sizes::Constant { .. });
        constant && self.durations.len() == 8 && u32_at(self.durations, 1) == Some(1)
    }

    fn chunk_runs(&self) -> ChunkRuns<'a> {
        ChunkRuns {
            bytes: self.chunk_runs,
            at: 0,
            samples: 0,
            description: 0,
        }
    }

    fn collect_samples(
        &self,
        collector: &mut Collector,
        walk: &mut Walk<'_>,
    ) -> Result<(), Refusal> {
        let mut durations = Durations {
            runs: RunCursor::new(self.durations),
            last: 0,
            debt: 0,
        };
        let mut composition_offsets = RunCursor::new(self.composition_offsets);
        let mut syncs = Syncs {
            table: self.syncs,
            at: 0,
        };
        let mut runs = self.chunk_runs();
        let mut number = 0;
        'chunks: for chunk in 0..self.chunks.count() {
            let Some(mut offset) = self.chunks.get(chunk) else {
                break;
            };
            let in_chunk = runs.samples_in(chunk);
            collector.describe(runs.description);
            for _ in 0..in_chunk {
                let Some(size) = self.sizes.get(number) else {
                    break 'chunks;
                };
                let sample = Pending {
                    duration: durations.next(),
                    // Version 0 is unsigned by the letter and signed in the wild.
                    composition_offset: composition_offsets.next().unwrap_or(0).cast_signed(),
                    sync: syncs.contains(number),
                    offset,
                    size,
                };
                collector.push(sample, walk.budget)?;
                offset = offset.saturating_add(u64::from(size));
                number += 1;
            }
        }
        self.report_leftovers(number, &durations, walk);
        Ok(())
    }

    /// Puts the packets of each chunk together into entries of about [`GROUPED_FRAMES`].
    fn collect_packed(
        &self,
        packing: Packing,
        collector: &mut Collector,
        walk: &mut Walk<'_>,
    ) -> Result<(), Refusal> {
        let frames_in_group = (GROUPED_FRAMES / packing.frames).max(1) * packing.frames;
        let mut runs = self.chunk_runs();
        let mut frames_left = self.sizes.count();
        for chunk in 0..self.chunks.count() {
            let Some(mut offset) = self.chunks.get(chunk) else {
                break;
            };
            let mut in_chunk = runs.samples_in(chunk).min(frames_left);
            frames_left -= in_chunk;
            while in_chunk > 0 {
                let frames = in_chunk.min(frames_in_group);
                let bytes = push_group(packing, frames, offset, collector, walk.budget)?;
                offset = offset.saturating_add(bytes);
                in_chunk -= frames;
            }
        }
        Ok(())
    }

    fn report_cut(&self, refusal: Refusal, collector: &Collector, walk: &mut Walk<'_>) {
        let (place, total) = (walk.place, self.sizes.count());
        let end_ticks = collector.next_decode_time();
        let time = Ticks::new(end_ticks, walk.timescale);
        let kept = match walk.packing.filter(|_| self.counts_pcm_frames()) {
            Some(_) => u64::try_from(end_ticks).unwrap_or(0),
            None => collector.len() as u64,
        };
        walk.warnings.push(match refusal {
            Refusal::BeyondEnd { end } => format!(
                "{place}: the file is cut off: {kept} of {total} samples are there, up to {time} s \
                 (the next one ends at byte {end})"
            ),
            Refusal::OutOfBudget => format!(
                "{place}: claims {total} samples, more than the file can hold; the first {kept} \
                 are taken, up to {time} s"
            ),
        });
    }

    fn report_leftovers(&self, number: u32, durations: &Durations<'_>, walk: &mut Walk<'_>) {
        let (place, claimed) = (walk.place, self.sizes.count());
        if number < claimed {
            walk.warnings.push(format!(
                "{place}: {number} of {claimed} samples lie in a chunk; the others are left out"
            ));
        }
        if durations.debt > 0 {
            walk.warnings.push(format!(
                "{place}: stts has negative durations; times are off by {} ticks at the end",
                durations.debt
            ));
        }
    }
}

/// Pushes `frames` PCM frames from `offset` on as one entry, and returns their bytes.
fn push_group(
    packing: Packing,
    frames: u32,
    offset: u64,
    collector: &mut Collector,
    budget: &mut Budget,
) -> Result<u64, Refusal> {
    let packet = u64::from(packing.bytes);
    let wanted = frames.div_ceil(packing.frames);
    let there = budget.bytes_from(offset) / packet;
    let packets = wanted.min(u32::try_from(there).unwrap_or(u32::MAX));
    let bytes = u64::from(wanted) * packet;
    if packets > 0 {
        let sample = Pending {
            duration: frames.min(packets.saturating_mul(packing.frames)),
            composition_offset: 0,
            sync: true,
            offset,
            size: packets
                .checked_mul(packing.bytes)
                .ok_or(Refusal::OutOfBudget)?,
        };
        collector.push(sample, budget)?;
    }
    if packets < wanted {
        let end = offset.saturating_add(bytes);
        return Err(Refusal::BeyondEnd { end });
    }
    Ok(bytes)
}

/// The `index`th big-endian 32-bit number of `bytes`.
fn u32_at(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    let field = bytes.get(start..start.checked_add(4)?)?;
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

/// The `index`th big-endian 64-bit number of `bytes`.
fn u64_at(bytes: &[u8], index: usize) -> Option<u64> {
    let start = index.checked_mul(8)?;
    let field = bytes.get(start..start.checked_add(8)?)?;
    Some(u64::from_be_bytes(field.try_into().ok()?))
}

fn sizes<'a>(payload: &'a [u8], place: &str, warnings: &mut Warnings) -> Option<Sizes<'a>> {
    let (_, _, mut fields) = Fields::full(payload)?;
    let (size, count) = (fields.u32()?, fields.u32()?);
    if size != 0 {
        return Some(Sizes::Constant { size, count });
    }
    let there = fields.rest();
    let claimed = usize::try_from(count).ok()?;
    if claimed > there.len() / 4 {
        warnings.push(format!(
            "{place}: stsz claims {claimed} entries and has room for {}",
            there.len() / 4
        ));
    }
    let len = claimed.min(there.len() / 4) * 4;
    there.get(..len).map(Sizes::Words)
}

fn compact_sizes(payload: &[u8]) -> Option<Sizes<'_>> {
    let (_, _, mut fields) = Fields::full(payload)?;
    fields.skip(3)?;
    let (bits, count) = (fields.u8()?, fields.u32()?);
    matches!(bits, 4 | 8 | 16).then(|| Sizes::Compact {
        bits,
        count,
        bytes: fields.rest(),
    })
}
