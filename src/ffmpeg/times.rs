//! Packet times as containers give them, made whole: continuous, complete, in order.

use crate::media::{Place, SampleTable};

/// Times further apart than this are a break in the clock, not a pause: 10 s.
const BREAK_MICROS: i64 = 10_000_000;
/// A decode time this far before the one of the packet before is a break, too: 1 s.
const BACK_MICROS: i64 = 1_000_000;
/// Sound that is off its own count by more than this is anchored anew: 50 ms.
const DRIFT_MILLIS: i64 = 50;

/// Undoes breaks in the clock of a transport stream: after one, all tracks are shifted so that
/// the track that met it first goes on where it was.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    offset_micros: i64,
    last: Vec<Option<i64>>,
    /// Distance of the last two packets of each track.
    steps: Vec<i64>,
    breaks: u32,
}

impl Continuity {
    /// What to add to the times of a packet of `track` whose time is `micros`.
    pub(super) fn offset(&mut self, track: usize, micros: i64) -> i64 {
        if self.last.len() <= track {
            self.last.resize(track + 1, None);
            self.steps.resize(track + 1, 0);
        }
        let shifted = micros.saturating_add(self.offset_micros);
        let last = self.last.get(track).copied().flatten();
        let continued = match last {
            Some(last) if is_break(last, shifted) => {
                let step = self.steps.get(track).copied().unwrap_or(0);
                let next = last.saturating_add(step);
                self.offset_micros = next.saturating_sub(micros);
                self.breaks += 1;
                next
            }
            _ => shifted,
        };
        if let (Some(step), Some(last)) = (self.steps.get_mut(track), last) {
            *step = continued.saturating_sub(last).clamp(0, BACK_MICROS);
        }
        if let Some(slot) = self.last.get_mut(track) {
            *slot = Some(continued);
        }
        self.offset_micros
    }

    /// How often the clock broke.
    pub(super) fn breaks(&self) -> u32 {
        self.breaks
    }
}

/// Whether a packet at `time` can't follow one at `last`.
fn is_break(last: i64, time: i64) -> bool {
    let ahead = time.saturating_sub(last);
    !(-BACK_MICROS..=BREAK_MICROS).contains(&ahead)
}

/// A sample with all that its table entry needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimedSample {
    pub pts: i64,
    pub dts: Option<i64>,
    pub duration: i64,
    pub sync: bool,
    pub place: Place,
}

/// The table of samples in decode order.
///
/// Decode times are the container's where it gives all of them in order and none behind its
/// presentation time; else the presentation times, sorted and moved ahead as far as is needed.
pub(super) fn table(samples: &[TimedSample]) -> Option<SampleTable> {
    let decode_times = decode_times(samples);
    let first = *decode_times.first()?;
    let mut table = SampleTable::new(first);
    let mut now = first;
    for (number, sample) in samples.iter().enumerate() {
        let ahead = match decode_times.get(number + 1) {
            Some(next) => next.saturating_sub(now),
            None => sample.duration.max(1),
        };
        let duration = u32::try_from(ahead).unwrap_or(if ahead < 0 { 0 } else { u32::MAX });
        let offset = i32::try_from(sample.pts.saturating_sub(now)).ok()?;
        table.push(duration, offset, sample.sync, sample.place);
        now = now.checked_add(i64::from(duration))?;
    }
    Some(table)
}

fn decode_times(samples: &[TimedSample]) -> Vec<i64> {
    let given: Vec<i64> = samples
        .iter()
        .filter_map(|s| s.dts.filter(|dts| *dts <= s.pts))
        .collect();
    if given.len() == samples.len() && given.windows(2).all(|pair| pair[0] < pair[1]) {
        return given;
    }
    let mut sorted: Vec<i64> = samples.iter().map(|sample| sample.pts).collect();
    sorted.sort_unstable();
    let late = sorted
        .iter()
        .zip(samples)
        .map(|(dts, sample)| dts.saturating_sub(sample.pts))
        .max();
    let late = late.unwrap_or(0).max(0);
    sorted.iter().map(|dts| dts.saturating_sub(late)).collect()
}

/// Rewrites the times of sound, given in `timescale`, as counts of its own samples at `rate`:
/// `lengths` says how many each packet holds. Gives how often the count had to be anchored anew.
pub(super) fn count_samples(
    samples: &mut [TimedSample],
    lengths: &[u32],
    timescale: u32,
    rate: u32,
) -> u32 {
    let to_rate = |time: i64| {
        let (from, to) = (i128::from(timescale.max(1)), i128::from(rate));
        i64::try_from((i128::from(time) * to + from / 2).div_euclid(from)).unwrap_or(i64::MAX)
    };
    let drift = i64::from(rate) * DRIFT_MILLIS / 1000;
    let mut anchors = 0;
    let mut next: Option<i64> = None;
    for (sample, length) in samples.iter_mut().zip(lengths) {
        let said = to_rate(sample.pts);
        let time = match next {
            Some(next) if said.abs_diff(next) <= drift.unsigned_abs() => next,
            Some(next) => {
                anchors += 1;
                said.max(next)
            }
            None => said,
        };
        sample.pts = time;
        sample.dts = Some(time);
        sample.duration = i64::from(*length);
        next = Some(time.saturating_add(i64::from(*length)));
    }
    anchors
}

/// Fills in missing times of sound and text from what comes before, and keeps them from going
/// back.
pub(super) fn settle(samples: &mut [(Option<i64>, Option<i64>, i64)]) -> Vec<i64> {
    let mut next = 0;
    let mut last = i64::MIN;
    let mut times = Vec::with_capacity(samples.len());
    for (pts, dts, duration) in samples.iter() {
        let time = pts.or(*dts).unwrap_or(next).max(last);
        next = time.saturating_add(*duration);
        last = time;
        times.push(time);
    }
    times
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Home;

    fn sample(pts: i64, dts: Option<i64>) -> TimedSample {
        let place = Place {
            home: Home::Source,
            offset: 0,
            size: 1,
        };
        TimedSample {
            pts,
            dts,
            duration: 10,
            sync: true,
            place,
        }
    }

    #[test]
    fn missing_decode_times_come_from_presentation_order() {
        let samples: Vec<_> = [0, 30, 10, 20, 60, 40, 50]
            .map(|pts| sample(pts, None))
            .into();
        let table = table(&samples).unwrap();
        let times: Vec<_> = table
            .iter()
            .map(|s| (s.decode_time, s.presentation_time()))
            .collect();
        assert_eq!(
            times,
            [
                (-10, 0),
                (0, 30),
                (10, 10),
                (20, 20),
                (30, 60),
                (40, 40),
                (50, 50)
            ]
        );
    }

    #[test]
    fn good_decode_times_are_kept() {
        let samples = [
            sample(10, Some(0)),
            sample(40, Some(11)),
            sample(22, Some(22)),
        ];
        let table = table(&samples).unwrap();
        let times: Vec<_> = table.iter().map(|s| s.decode_time).collect();
        assert_eq!(times, [0, 11, 22]);
    }

    #[test]
    fn rounded_milliseconds_become_exact_counts() {
        let mut samples: Vec<_> = [0, 21, 43, 64, 85].map(|ms| sample(ms, None)).into();
        assert_eq!(count_samples(&mut samples, &[1024; 5], 1000, 48_000), 0);
        let times: Vec<_> = samples.iter().map(|s| s.pts).collect();
        assert_eq!(times, [0, 1024, 2048, 3072, 4096]);
    }

    #[test]
    fn a_hole_in_the_sound_is_kept() {
        let mut samples: Vec<_> = [0, 21, 543].map(|ms| sample(ms, None)).into();
        assert_eq!(count_samples(&mut samples, &[1024; 3], 1000, 48_000), 1);
        assert_eq!(samples[2].pts, 26_064);
    }

    #[test]
    fn clock_break_is_bridged_for_all_tracks() {
        let mut clock = Continuity::default();
        assert_eq!(clock.offset(0, 1_000_000), 0);
        assert_eq!(clock.offset(1, 1_010_000), 0);
        assert_eq!(clock.offset(0, 90_000_000), -89_000_000);
        assert_eq!(clock.offset(1, 90_010_000), -89_000_000);
        assert_eq!(clock.breaks(), 1);
    }

    #[test]
    fn a_clock_that_starts_anew_goes_on_a_packet_later() {
        let mut clock = Continuity::default();
        for time in [1_000_000, 1_040_000, 3_000_000, 3_040_000] {
            assert_eq!(clock.offset(0, time), 0);
        }
        assert_eq!(clock.offset(0, 1_000_000), 2_080_000);
        assert_eq!(clock.offset(0, 1_040_000), 2_080_000);
        assert_eq!(clock.breaks(), 1);
    }

    proptest! {
        /// Whatever a container says, presentation times come out as they went in.
        #[test]
        fn table_keeps_presentation_times(times in prop::collection::vec((-100_i64..100, prop::option::of(-100_i64..100)), 1..40)) {
            let samples: Vec<_> = times.iter().map(|(pts, dts)| sample(*pts, *dts)).collect();
            let table = table(&samples).unwrap();
            let got: Vec<_> = table.iter().map(|s| s.presentation_time()).collect();
            let wanted: Vec<_> = samples.iter().map(|s| s.pts).collect();
            prop_assert_eq!(got, wanted);
            prop_assert!(table.iter().all(|s| s.composition_offset >= 0));
        }
    }
}
