//! The pictures of a video track in presentation order, on the movie's time line.
//!
//! The sample table is in decode order; B-pictures swap places by a few positions. Times are
//! ticks of the track with the edit list applied (ISO/IEC 14496-12, 8.6.6).

use crate::media::SourceTrack;

/// All pictures of a track, by presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pictures {
    /// Movie times, ascending.
    times: Vec<i64>,
    /// Sample number (in decode order) of each; `None` when both orders are the same.
    numbers: Option<Vec<u32>>,
    /// Every sample is two pictures, its fields: those of ranks `2n` and `2n + 1`.
    fields: bool,
}

/// A range of pictures, `first .. end`, by rank in presentation order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// First picture.
    pub(crate) first: u32,
    /// After the last picture.
    pub(crate) end: u32,
}

impl Shown {
    /// Number of pictures.
    pub(crate) fn len(self) -> u32 {
        self.end.saturating_sub(self.first)
    }
}

impl Pictures {
    /// Puts the samples of `track` into presentation order; equal times stay in decode order.
    pub(crate) fn of(track: &SourceTrack) -> Self {
        let mut times: Vec<i64> = Vec::with_capacity(track.samples.len());
        let mut numbers: Option<Vec<u32>> = None;
        // Reordering reaches back by at most 16 pictures in H.264 and HEVC; a table that needs
        // far more work than that is sorted as a whole.
        let mut budget = 64 * track.samples.len() + 1024;
        for (number, sample) in (0_u32..).zip(track.samples.iter()) {
            let time = track.movie_time(sample.presentation_time());
            times.push(time);
            let before = times.iter().rev().skip(1).take_while(|t| **t > time);
            let back = before.take(budget).count();
            if back > 0 {
                numbers.get_or_insert_with(|| (0..number).collect());
            }
            if let Some(numbers) = &mut numbers {
                numbers.push(number);
                let at = numbers.len() - 1 - back;
                numbers[at..].rotate_right(1);
                times[at..].rotate_right(1);
            }
            budget = budget.saturating_sub(back);
            if budget == 0 {
                return Self::sorted(track);
            }
        }
        Self {
            times,
            numbers,
            fields: false,
        }
    }

    /// The fields of the samples of `track`: the second of each lies half way to the next picture.
    pub(crate) fn fields_of(track: &SourceTrack) -> Self {
        let whole = Self::of(track);
        let all = Shown {
            first: 0,
            end: whole.len(),
        };
        let last = whole.last_duration(track, all);
        let mut times = Vec::with_capacity(whole.times.len() * 2);
        for (rank, time) in whole.times.iter().enumerate() {
            let next = whole.times.get(rank + 1);
            let gap = next.map_or(last, |next| next.saturating_sub(*time));
            // Before a pause the second field is no later than elsewhere.
            let usual = whole.times.get(rank.saturating_sub(1));
            let usual = usual.map_or(0, |before| time.saturating_sub(*before));
            let gap = if usual > 0 { gap.min(usual) } else { gap };
            times.extend([*time, time.saturating_add(gap / 2)]);
        }
        Self {
            times,
            numbers: whole.numbers,
            fields: true,
        }
    }

    fn sorted(track: &SourceTrack) -> Self {
        let samples = (0_u32..).zip(track.samples.iter());
        let mut all: Vec<(i64, u32)> = samples
            .map(|(number, sample)| (track.movie_time(sample.presentation_time()), number))
            .collect();
        all.sort_unstable();
        Self {
            times: all.iter().map(|(time, _)| *time).collect(),
            numbers: Some(all.iter().map(|(_, number)| *number).collect()),
            fields: false,
        }
    }

    /// Movie times in presentation order.
    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    /// Movie times of the pictures in `shown`.
    pub(crate) fn times_of(&self, shown: Shown) -> &[i64] {
        let range = shown.first as usize..shown.end as usize;
        self.times.get(range).unwrap_or_default()
    }

    /// Number of pictures.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.times.len()).unwrap_or(u32::MAX)
    }

    /// Movie time of the picture of that rank.
    pub(crate) fn time(&self, rank: u32) -> Option<i64> {
        self.times.get(rank as usize).copied()
    }

    /// Sample number, in decode order, of the picture of that rank.
    pub(crate) fn number(&self, rank: u32) -> Option<u32> {
        let rank = if self.fields { rank / 2 } else { rank };
        match &self.numbers {
            None => ((rank as usize) < self.samples()).then_some(rank),
            Some(numbers) => numbers.get(rank as usize).copied(),
        }
    }

    fn samples(&self) -> usize {
        self.times.len() / if self.fields { 2 } else { 1 }
    }

    /// Movie time of the sample that holds the picture of that rank, and whether the picture is the
    /// second field of it.
    pub(crate) fn moment(&self, rank: u32) -> Option<(i64, bool)> {
        let second = self.fields && rank % 2 == 1;
        Some((self.time(rank - u32::from(second))?, second))
    }

    /// Ranks `r` (and finally the number of pictures) such that the first `r` samples in decode
    /// order are the first `r` pictures in presentation order: nothing crosses that point.
    pub(crate) fn closed_points(&self) -> impl Iterator<Item = u32> + '_ {
        let mut highest: Option<u32> = None;
        (0..=self.len()).filter(move |rank| {
            let closed = match highest {
                None => *rank == 0,
                Some(number) => number + 1 == *rank,
            };
            highest = highest.max(self.number(*rank));
            closed
        })
    }

    /// The pictures that the edit list shows. A picture that would show for under a quarter of
    /// `frame` ticks doesn't count: edit lists are rounded to the movie's coarser timescale.
    pub(crate) fn shown(&self, track: &SourceTrack, frame: i64) -> Shown {
        let start = track.edit.delay.saturating_sub(frame / 2);
        let first = self.times.partition_point(|time| *time < start);
        let end = match track.edit.length {
            None => self.times.len(),
            Some(length) => {
                let last = track
                    .edit
                    .delay
                    .saturating_add(length)
                    .saturating_sub(frame / 4);
                self.times.partition_point(|time| *time < last)
            }
        };
        Shown {
            first: u32::try_from(first).unwrap_or(u32::MAX),
            end: u32::try_from(end.max(first)).unwrap_or(u32::MAX),
        }
    }

    /// Ticks that the last picture of `shown` stays: its own duration, or until the edit ends.
    pub(crate) fn last_duration(&self, track: &SourceTrack, shown: Shown) -> i64 {
        let last = shown.end.saturating_sub(1);
        let (Some(number), Some(time)) = (self.number(last), self.time(last)) else {
            return 0;
        };
        let sample = track.samples.iter_from(number).next();
        let own = sample.map_or(0, |sample| i64::from(sample.duration));
        let own = if self.fields { own / 2 } else { own };
        match track.edit.length {
            Some(length) => {
                let end = track.edit.delay.saturating_add(length);
                own.min(end.saturating_sub(time)).max(0)
            }
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::fixture::{self, Gop};

    #[test]
    fn closed_points_are_where_nothing_crosses() {
        let closed = fixture::video(
            &fixture::Shape {
                gop: Gop::Closed(5),
                ..Default::default()
            },
            12,
        );
        let points: Vec<_> = Pictures::of(&closed).closed_points().collect();
        assert!(points.starts_with(&[0]) && points.contains(&5) && points.contains(&10));
        let open = fixture::video(
            &fixture::Shape {
                gop: Gop::Open(6),
                ..Default::default()
            },
            18,
        );
        let pictures = Pictures::of(&open);
        let syncs: Vec<_> = open.samples.sync_numbers().collect();
        let points: Vec<_> = pictures.closed_points().collect();
        assert!(syncs.len() > 1);
        for sync in &syncs[1..] {
            let crosses = pictures.number(*sync) != Some(*sync) || !points.contains(sync);
            assert!(crosses, "sync {sync} has leading pictures");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_a_stable_sort(offsets in prop::collection::vec(-3_i32..4, 1..80), wild in any::<bool>()) {
            let scale = if wild { 10_000 } else { 10 };
            let track = fixture::from_offsets(&offsets, scale);
            let pictures = Pictures::of(&track);
            prop_assert_eq!(&pictures.times, &Pictures::sorted(&track).times);
            let sorted = Pictures::sorted(&track);
            for rank in 0..pictures.len() {
                prop_assert_eq!(pictures.number(rank), sorted.number(rank));
            }
        }
    }
}
