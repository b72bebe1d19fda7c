//! `SegmentTimeline` (ISO/IEC 23009-1 5.3.9.6): runs of segments, expanded lazily.

use std::sync::Arc;

/// One `S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineEntry {
    /// `@t`, ticks.
    pub t: Option<u64>,
    /// `@d`, ticks; 0 when missing.
    pub d: u64,
    /// `@r`: repeats after the first; negative means until the next `@t` or the Period's end.
    pub r: i64,
    /// `@n`, the number of the first.
    pub n: Option<u64>,
}

/// All `S` of a `SegmentTimeline`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The runs in order. Shared by the Representations that inherit it.
    pub entries: Arc<[TimelineEntry]>,
}

/// A segment that a timeline names. Ticks are of the template's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineSegment {
    /// Which it is, from 0.
    pub index: u64,
    /// `S@n` counted on, where the run has one.
    pub number: Option<u64>,
    /// Start, on the time line of the media (before `@presentationTimeOffset` is taken off).
    pub time: u64,
    /// Length.
    pub duration: u64,
}

impl Timeline {
    /// The segments in order. `period_end` is where the Period ends on the media's time line; a
    /// negative `@r` needs it when no later `S` has a `@t`.
    ///
    /// The iterator is lazy and may be long: a single `@r` can name billions.
    pub fn segments(&self, period_end: Option<u64>) -> TimelineSegments<'_> {
        TimelineSegments {
            entries: &self.entries,
            period_end,
            left: None,
            index: 0,
            time: 0,
        }
    }
}

/// Iterator over the segments of a [`Timeline`].
#[derive(Debug, Clone)]
pub struct TimelineSegments<'a> {
    entries: &'a [TimelineEntry],
    period_end: Option<u64>,
    /// Segments left in the first of `entries`, and the number of the next; `None` before its
    /// first.
    left: Option<(u64, Option<u64>)>,
    index: u64,
    time: u64,
}

impl TimelineSegments<'_> {
    /// How many segments the run has that starts at `self.time`.
    fn run_length(&self, entry: &TimelineEntry) -> u64 {
        if let Ok(repeats) = u64::try_from(entry.r) {
            return repeats.saturating_add(1);
        }
        let next_time = self.entries.get(1).and_then(|next| next.t);
        let Some(end) = next_time.or(self.period_end) else {
            return 1;
        };
        match end.saturating_sub(self.time) {
            _ if entry.d == 0 => 1,
            0 => 0,
            span => span.div_ceil(entry.d),
        }
    }
}

impl Iterator for TimelineSegments<'_> {
    type Item = TimelineSegment;

    fn next(&mut self) -> Option<TimelineSegment> {
        loop {
            let entry = *self.entries.first()?;
            let (left, number) = match self.left {
                Some(state) => state,
                None => {
                    self.time = entry.t.unwrap_or(self.time);
                    (self.run_length(&entry), entry.n)
                }
            };
            if left == 0 {
                self.left = None;
                self.entries = self.entries.get(1..)?;
                continue;
            }
            let segment = TimelineSegment {
                index: self.index,
                number,
                time: self.time,
                duration: entry.d,
            };
            match self.time.checked_add(entry.d) {
                Some(time) => self.time = time,
                None => self.entries = &[],
            }
            self.index = self.index.saturating_add(1);
            self.left = Some((left - 1, number.and_then(|n| n.checked_add(1))));
            return Some(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(t: Option<u64>, d: u64, r: i64) -> TimelineEntry {
        TimelineEntry { t, d, r, n: None }
    }

    fn expand(entries: &[TimelineEntry], end: Option<u64>) -> Vec<(u64, u64)> {
        let timeline = Timeline {
            entries: entries.into(),
        };
        let pair = |s: TimelineSegment| (s.time, s.duration);
        timeline.segments(end).take(10).map(pair).collect()
    }

    #[test]
    fn runs_follow_each_other() {
        let entries = [entry(None, 5, 1), entry(Some(20), 3, 0), entry(None, 1, 0)];
        assert_eq!(expand(&entries, None), [(0, 5), (5, 5), (20, 3), (23, 1)]);
    }

    #[test]
    fn negative_repeat_fills_up_to_the_next_time_or_the_end() {
        let entries = [entry(Some(1), 4, -1), entry(Some(10), 5, -1)];
        let expected = [(1, 4), (5, 4), (9, 4), (10, 5), (15, 5)];
        assert_eq!(expand(&entries, Some(20)), expected);
        assert_eq!(expand(&[entry(None, 4, -1)], None), [(0, 4)]);
        assert_eq!(expand(&[entry(None, 0, -1)], Some(9)), [(0, 0)]);
        assert_eq!(expand(&[entry(Some(9), 4, -1)], Some(9)), []);
    }

    #[test]
    fn hostile_runs_are_lazy_and_end_at_overflow() {
        assert_eq!(expand(&[entry(None, 1, i64::MAX)], None).len(), 10);
        let at_the_brim = [entry(Some(u64::MAX - 1), 1, 5)];
        assert_eq!(expand(&at_the_brim, None).len(), 2);
    }

    #[test]
    fn written_numbers_count_on() {
        let run = TimelineEntry {
            n: Some(7),
            ..entry(None, 1, 1)
        };
        let timeline = Timeline {
            entries: [run].into(),
        };
        let numbers: Vec<_> = timeline.segments(None).map(|s| s.number).collect();
        assert_eq!(numbers, [Some(7), Some(8)]);
    }
}
