//! Movie fragments (`moof`, ISO/IEC 14496-12 section 8.8): samples that come with their own
//! tables, one fragment after the other.

use super::collector::{Budget, Jump, Pending, Refusal};
use super::track::TrackReader;
use super::warnings::Warnings;
use crate::cmaf::boxes::children;
use crate::cmaf::read::{FragmentHeader, RunReader, SampleDefaults, parse_tfdt};
use crate::time::Ticks;

/// `sample_is_non_sync_sample`, or `sample_depends_on` saying "on others" (section 8.8.3.1):
/// some writers set only the latter.
const NOT_SYNC: u32 = 0x0101_0000;

/// Reads the fragments of one file in order.
#[derive(Debug)]
pub(super) struct FragmentReader<'r> {
    pub(super) tracks: &'r mut [TrackReader],
    pub(super) budget: &'r mut Budget,
    pub(super) warnings: &'r mut Warnings,
    /// First byte of the `moof` box.
    pub(super) moof_offset: u64,
}

/// Where the runs of a track fragment count their bytes from.
#[derive(Debug, Clone, Copy)]
struct Base {
    /// What data offsets are added to.
    base: u64,
    /// Where a run without a data offset starts: after the one before.
    next: u64,
}

impl FragmentReader<'_> {
    /// Reads the payload of one `moof` box.
    pub(super) fn read(&mut self, payload: &[u8]) {
        let mut end_of_previous = self.moof_offset;
        for found in children(payload, 0) {
            match found {
                Ok(found) if found.kind.0 == *b"traf" => {
                    let end = self.read_track_fragment(found.payload, end_of_previous);
                    end_of_previous = end.unwrap_or(end_of_previous);
                }
                Ok(_) => {}
                Err(overrun) => {
                    self.warn(format!("{overrun}"));
                    break;
                }
            }
        }
    }

    fn warn(&mut self, line: String) {
        let at = self.moof_offset;
        self.warnings.push(format!("fragment at byte {at}: {line}"));
    }

    /// Returns the end of the fragment's data.
    fn read_track_fragment(&mut self, payload: &[u8], end_of_previous: u64) -> Option<u64> {
        let boxes = || children(payload, 0).map_while(Result::ok);
        let header = boxes().find(|found| found.kind.0 == *b"tfhd");
        let Some(header) = header.and_then(|found| FragmentHeader::parse(found.payload)) else {
            self.warn("a traf without a sound tfhd is left out".to_owned());
            return None;
        };
        let at = self.tracks.iter().position(|t| t.number == header.track_id);
        let Some(at) = at else {
            self.warn(format!(
                "names track {}, which the movie does not have",
                header.track_id
            ));
            return None;
        };
        let track = self.tracks.get_mut(at)?;
        let defaults = track.defaults.as_ref();
        let usual = defaults.map_or(1, |defaults| defaults.description_index);
        let description = header.description_index.unwrap_or(usual);
        track.samples.describe(description.max(1));
        if let Some(found) = boxes().find(|found| found.kind.0 == *b"tfdt") {
            self.seek(at, found.payload);
        }
        let base = match header.base_data_offset {
            Some(base) => base,
            None if header.base_is_moof() => self.moof_offset,
            None => end_of_previous,
        };
        let mut base = Base { base, next: base };
        for run in boxes().filter(|found| found.kind.0 == *b"trun") {
            if self.read_run(at, &header, run.payload, &mut base).is_none() {
                self.warn(format!(
                    "track {} has a trun that is too short",
                    header.track_id
                ));
            }
        }
        Some(base.next)
    }

    /// Moves the track to the decode time of a `tfdt` box (section 8.8.12).
    fn seek(&mut self, at: usize, payload: &[u8]) {
        let (Some(track), Some(time)) = (self.tracks.get_mut(at), parse_tfdt(payload)) else {
            return;
        };
        if track.cut {
            return;
        }
        let time = i64::try_from(time.value).unwrap_or(i64::MAX);
        if let Jump::Left(ticks) = track.samples.seek(time) {
            let (number, off) = (track.number, Ticks::new(ticks, track.timescale));
            let here = Ticks::new(track.samples.next_decode_time(), track.timescale);
            self.warn(format!(
                "track {number} jumps by {off} s in time at {here} s; it is joined there"
            ));
        }
    }

    /// Reads a `trun` box (section 8.8.8); `None` when it ends too early.
    fn read_run(
        &mut self,
        at: usize,
        header: &FragmentHeader,
        payload: &[u8],
        base: &mut Base,
    ) -> Option<()> {
        let mut run = RunReader::new(payload)?;
        let mut offset = match run.data_offset {
            Some(offset) => base.base.saturating_add_signed(i64::from(offset)),
            None => base.next,
        };
        let track = self.tracks.get_mut(at)?;
        let defaults = SampleDefaults::of(header, track.defaults.as_ref());
        for _ in 0..run.sample_count {
            if track.cut {
                break;
            }
            let row = run.next_row(defaults)?;
            let sample = Pending {
                duration: row.duration,
                size: row.size,
                sync: row.flags & NOT_SYNC == 0 || !track.is_video(),
                // Signed whatever the version: writers that set version 0 put negative ones too.
                composition_offset: row.composition_offset.cast_signed(),
                offset,
            };
            offset = offset.saturating_add(u64::from(sample.size));
            base.next = offset;
            if let Err(refusal) = track.samples.push(sample, self.budget) {
                track.cut = true;
                let line = cut_line(track, refusal);
                self.warnings.push(line);
                break;
            }
        }
        Some(())
    }
}

fn cut_line(track: &TrackReader, refusal: Refusal) -> String {
    let place = track.place();
    let time = Ticks::new(track.samples.next_decode_time(), track.timescale);
    match refusal {
        Refusal::BeyondEnd { end } => format!(
            "{place}: the file is cut off: {} samples are there, up to {time} s (the next one \
             ends at byte {end})",
            track.samples.len()
        ),
        Refusal::OutOfBudget => {
            format!("{place}: claims more samples than the file can hold; it is cut at {time} s")
        }
    }
}
