//! Times of sound, made exact: counts of its own samples, held to what the container says.

use super::frame_length::Length;
use super::times::TimedSample;

/// Sound that is off its own count by more than this is anchored anew: a picture at 25 a second.
const DRIFT_MILLIS: i64 = 40;
/// Counts have so many binary digits behind the point: rates may change on the way.
const FRACTION_BITS: u32 = 32;

/// What is known of a packet of sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub length: Length,
    /// The time that the container gives it, if it does: the demuxer makes up what is missing from
    /// the packet before.
    pub said: Option<i64>,
}

/// Rewrites the times of sound, given in `timescale`, as counts of samples at `rate`. Gives how
/// often the count had to be anchored anew, because the container's time was later (a gap) or
/// earlier (sound that runs ahead, and partly falls away).
///
/// Times come out in order, even where the container's go back.
pub(super) fn count_samples(
    samples: &mut [TimedSample],
    spans: &[Span],
    timescale: u32,
    rate: u32,
) -> u32 {
    let to_rate = |time: i64| {
        let (from, to) = (i128::from(timescale.max(1)), i128::from(rate));
        let time = (i128::from(time) * to + from / 2).div_euclid(from);
        time.clamp(i64::MIN.into(), i64::MAX.into())
    };
    let drift = i128::from(rate) * i128::from(DRIFT_MILLIS) / 1000;
    let half = 1_i128 << (FRACTION_BITS - 1);
    let mut anchors = 0;
    let mut next: Option<i128> = None;
    let mut last: Option<i64> = None;
    for (sample, span) in samples.iter_mut().zip(spans) {
        let is_off = |next: i128, said: i128| (said - (next >> FRACTION_BITS)).abs() > drift;
        let exact = match (next, span.said.map(to_rate)) {
            (None, said) => said.unwrap_or_else(|| to_rate(sample.pts)) << FRACTION_BITS,
            (Some(next), Some(said)) if is_off(next, said) => {
                anchors += 1;
                said << FRACTION_BITS
            }
            (Some(next), _) => next,
        };
        let length = ticks(span.length, rate);
        let time = i64::try_from((exact + half) >> FRACTION_BITS).unwrap_or(i64::MAX);
        let time = last.map_or(time, |last| time.max(last.saturating_add(1)));
        sample.pts = time;
        sample.dts = Some(time);
        sample.duration = i64::try_from((length + half) >> FRACTION_BITS).unwrap_or(i64::MAX);
        next = Some(exact + length);
        last = Some(time);
    }
    anchors
}

/// A length in fractions of ticks at `rate`.
fn ticks(length: Length, rate: u32) -> i128 {
    let scaled = (i128::from(length.samples) * i128::from(rate)) << FRACTION_BITS;
    scaled / i128::from(length.rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Home, Place};

    fn spans(said: &[i64], rate: u32) -> Vec<Span> {
        let samples = 1024;
        let length = Length { samples, rate };
        let span = |said: &i64| Span {
            length,
            said: Some(*said),
        };
        said.iter().map(span).collect()
    }

    /// The times that packets of 1024 samples get at 48 kHz, and how often they were anchored.
    fn counted(said: &[i64], timescale: u32) -> (Vec<i64>, u32) {
        let mut samples = at(said);
        let anchors = count_samples(&mut samples, &spans(said, 48_000), timescale, 48_000);
        (times(&samples), anchors)
    }

    fn at(times: &[i64]) -> Vec<TimedSample> {
        let place = Place {
            home: Home::Source,
            offset: 0,
            size: 1,
        };
        let sample = |pts: &i64| TimedSample {
            pts: *pts,
            dts: None,
            duration: 10,
            sync: true,
            place,
        };
        times.iter().map(sample).collect()
    }

    fn times(samples: &[TimedSample]) -> Vec<i64> {
        samples.iter().map(|sample| sample.pts).collect()
    }

    #[test]
    fn rounded_milliseconds_become_exact_counts() {
        let (times, anchors) = counted(&[0, 21, 43, 64, 85], 1000);
        assert_eq!((times, anchors), (vec![0, 1024, 2048, 3072, 4096], 0));
    }

    #[test]
    fn a_hole_in_the_sound_is_kept() {
        let (times, anchors) = counted(&[0, 21, 543], 1000);
        assert_eq!((times[2], anchors), (26_064, 1));
    }

    /// Every packet comes a tenth too early for its length.
    #[test]
    fn sound_that_runs_ahead_is_brought_back() {
        let said: Vec<i64> = (0..200).map(|number| number * 1024 * 9 / 10).collect();
        let (times, anchors) = counted(&said, 48_000);
        assert!((8..20).contains(&anchors), "{anchors}");
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        for (time, said) in times.iter().zip(said) {
            let off = time - said;
            // Forty milliseconds, and a packet's length where times may not go back.
            assert!((0..=1920 + 1024).contains(&off), "{said}: {off}");
        }
    }

    #[test]
    fn sound_that_is_there_twice_is_caught_up_with() {
        let said: Vec<i64> = (0..50).chain(25..75).map(|number| number * 1024).collect();
        let (times, _) = counted(&said, 48_000);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((times[49], times[80]), (49 * 1024, 55 * 1024));
    }

    /// A demuxer knows one rate, and makes up the times between those that it was given.
    #[test]
    fn made_up_times_are_not_believed_where_the_rate_changes() {
        let (mut made_up, mut known) = (Vec::new(), Vec::new());
        for number in 0..280_i64 {
            let (first, member) = (number - number % 14, number % 14);
            let (rate, time) = match first {
                0..140 => (48_000, first * 1024),
                _ => (44_100, 140 * 1024 + (first - 140) * 1024 * 48_000 / 44_100),
            };
            made_up.push(time + member * 1024);
            let said = (member == 0).then_some(time);
            known.push(Span {
                said,
                ..spans(&[0], rate)[0]
            });
        }
        let mut samples = at(&made_up);
        assert_eq!(count_samples(&mut samples, &known, 48_000, 48_000), 0);
        let found = times(&samples);
        assert_eq!(found[139], 139 * 1024);
        assert_eq!(
            found[279],
            140 * 1024 + (139 * 1024 * 48_000 + 22_050) / 44_100
        );
        let steps = found.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.skip(140).all(|step| step == 1114 || step == 1115));
    }
}
