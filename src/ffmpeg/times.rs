//! Packet times as containers give them, made whole: continuous, complete, in order.

use crate::media::{Place, SampleTable};

/// Times further apart than this are a break in the clock, not a pause: 10 s.
const BREAK_MICROS: i64 = 10_000_000;
/// A decode time this far before the one of the packet before is a break, too: half a second.
const BACK_MICROS: i64 = 500_000;
/// Packets of one track are at most this far apart, where a break hides how far: 1 s.
const STEP_MICROS: i64 = 1_000_000;
/// Packets that lie next to each other in a stream are at most this far apart in time: 3 s.
const SKEW_MICROS: i64 = 3_000_000;

/// Undoes breaks in the clock of a transport stream: after one, all tracks are shifted so that
/// the track that met it first goes on where it was.
///
/// Tracks pass a break one after the other, and the last packets before it of one may come behind
/// the first after it of another. So each track stays on the old clock until it has passed, too.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// What the newest clock is shifted by.
    offset_micros: i64,
    /// The last time given out to picture or sound.
    now: Option<i64>,
    tracks: Vec<TrackClock>,
    breaks: u32,
}

/// Where a track is.
#[derive(Debug, Clone, Copy, Default)]
struct TrackClock {
    offset_micros: i64,
    last: Option<i64>,
    /// Distance of the last two packets.
    step: i64,
}

impl Continuity {
    /// What to add to the times of a packet of `track` whose time is `micros`. Only tracks whose
    /// packets come one after the other, which text's don't, are `steady` and tell of breaks.
    pub(super) fn offset(&mut self, track: usize, steady: bool, micros: i64) -> i64 {
        if self.tracks.len() <= track {
            self.tracks.resize(track + 1, TrackClock::default());
        }
        let clock = self.tracks.get(track).copied().unwrap_or_default();
        let next = clock.last.map(|last| last.saturating_add(clock.step));
        let due = if steady { next.or(self.now) } else { self.now };
        let mut offset = self.nearest(clock, micros, due);
        let mut time = micros.saturating_add(offset);
        if steady && self.is_break(clock, time) {
            time = due.unwrap_or(time);
            offset = time.saturating_sub(micros);
            self.offset_micros = offset;
            self.breaks += 1;
        }
        if steady {
            self.now = Some(time);
        }
        if let Some(slot) = self.tracks.get_mut(track) {
            let step = clock.last.map_or(0, |last| time.saturating_sub(last));
            *slot = TrackClock {
                offset_micros: offset,
                last: Some(time),
                step: step.clamp(0, STEP_MICROS),
            };
        }
        offset
    }

    /// Of a track's own offset and the newest, the one that puts a packet nearer to when it is
    /// due.
    fn nearest(&self, clock: TrackClock, micros: i64, due: Option<i64>) -> i64 {
        let away = |offset: i64| due.map_or(0, |due| micros.saturating_add(offset).abs_diff(due));
        if clock.last.is_some() && away(clock.offset_micros) < away(self.offset_micros) {
            clock.offset_micros
        } else {
            self.offset_micros
        }
    }

    /// Whether a packet at `time` can't follow what came before. Where the other tracks are there
    /// already, the track only paused.
    fn is_break(&self, clock: TrackClock, time: i64) -> bool {
        let after = |before: i64| time.saturating_sub(before);
        match (clock.last, self.now) {
            (Some(last), now) => {
                let paused = now.is_some_and(|now| after(now).abs() <= SKEW_MICROS);
                after(last) < -BACK_MICROS || (after(last) > BREAK_MICROS && !paused)
            }
            (None, Some(now)) => after(now).abs() > BREAK_MICROS,
            (None, None) => false,
        }
    }

    /// How often the clock broke.
    pub(super) fn breaks(&self) -> u32 {
        self.breaks
    }
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
    fn clock_break_is_bridged_for_all_tracks() {
        let mut clock = Continuity::default();
        assert_eq!(clock.offset(0, true, 1_000_000), 0);
        assert_eq!(clock.offset(1, true, 1_010_000), 0);
        assert_eq!(clock.offset(0, true, 90_000_000), -89_000_000);
        assert_eq!(clock.offset(1, true, 90_010_000), -89_000_000);
        assert_eq!(clock.breaks(), 1);
    }

    #[test]
    fn a_clock_that_starts_anew_goes_on_a_packet_later() {
        let mut clock = Continuity::default();
        for time in [1_000_000, 1_040_000, 3_000_000, 3_040_000] {
            assert_eq!(clock.offset(0, true, time), 0);
        }
        assert_eq!(clock.offset(0, true, 1_000_000), 2_080_000);
        assert_eq!(clock.offset(0, true, 1_040_000), 2_080_000);
        assert_eq!(clock.breaks(), 1);
    }

    #[test]
    fn late_packets_of_the_clock_before_stay_on_it() {
        let mut clock = Continuity::default();
        for time in (1_400_000..5_400_000).step_by(40_000) {
            assert_eq!(clock.offset(0, true, time), 0);
            if time < 5_200_000 {
                assert_eq!(clock.offset(1, true, time), 0);
            }
        }
        // The picture starts anew; of the sound five packets are still to come.
        assert_eq!(clock.offset(0, true, 1_400_000), 4_000_000);
        for time in (5_200_000..5_400_000).step_by(40_000) {
            assert_eq!(clock.offset(1, true, time), 0);
            assert_eq!(clock.offset(0, true, time - 3_760_000), 4_000_000);
        }
        for time in (1_400_000..3_000_000).step_by(40_000) {
            assert_eq!(clock.offset(1, true, time), 4_000_000);
        }
        assert_eq!(clock.breaks(), 1);
    }

    #[test]
    fn text_and_sound_that_pause_break_no_clock() {
        let mut clock = Continuity::default();
        assert_eq!(clock.offset(1, true, 0), 0);
        assert_eq!(clock.offset(2, false, 0), 0);
        for time in (0..30_000_000).step_by(40_000) {
            assert_eq!(clock.offset(0, true, time), 0);
        }
        assert_eq!(clock.offset(2, false, 30_000_000), 0);
        assert_eq!(clock.offset(1, true, 30_000_000), 0);
        // Text follows a break that it slept through.
        assert_eq!(clock.offset(0, true, 0), 30_000_000);
        assert_eq!(clock.offset(0, true, 500_000), 30_000_000);
        assert_eq!(clock.offset(2, false, 500_000), 30_000_000);
        assert_eq!(clock.breaks(), 1);
    }

    #[test]
    fn sound_ahead_of_the_picture_by_a_second_and_a_half_stays_so() {
        let mut clock = Continuity::default();
        assert_eq!(clock.offset(0, true, 3_000_000), 0);
        assert_eq!(clock.offset(1, true, 1_500_000), 0);
        assert_eq!(clock.offset(0, true, 3_040_000), 0);
        assert_eq!(clock.breaks(), 0);
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
