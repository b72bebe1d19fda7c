//! The nominal frame rate of a source, and the output rate that follows from it.
//!
//! Containers round times (Matroska to milliseconds), phones jitter and drop. The rate is read
//! from the pictures' times alone, snapped to the rates that cameras use, and checked against
//! every picture: a source that stays within half a frame of a constant grid is mapped one to
//! one. Conformance A03 caps output at 60 frames a second, at the natural rate.

use std::cmp::Ordering;

use crate::time::{FrameRate, Rounding, Ticks, Timescale};

/// Fastest output in frames a second (conformance A03).
pub(crate) const MAX_RATE: u32 = 60;
/// Slowest output in frames a second: segments of a few seconds need some frames to cut at.
const MIN_RATE: u32 = 5;

/// What can be a source's rate, in millionths of a frame a second; beyond that timestamps are
/// taken as irregular.
const MICRO_RATES: std::ops::RangeInclusive<u64> = 10_000..=1_000_000_000;

/// Rates that sources are made at, as fractions, ascending.
const KNOWN: &[(u32, u32)] = &[
    (1, 1),
    (2, 1),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (15_000, 2002),
    (15, 2),
    (8, 1),
    (10, 1),
    (12_000, 1001),
    (12, 1),
    (25, 2),
    (15_000, 1001),
    (15, 1),
    (20, 1),
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48_000, 1001),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (72, 1),
    (90, 1),
    (100, 1),
    (120_000, 1001),
    (120, 1),
    (144, 1),
    (240_000, 1001),
    (240, 1),
];

/// The beat of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// Its nominal rate.
    pub(crate) source: FrameRate,
    /// The rate of the output grid.
    pub(crate) output: FrameRate,
    /// Every picture lies within half a frame of the source rate's grid, none left out.
    pub(crate) constant: bool,
}

impl Cadence {
    /// Reads it from ascending picture times in ticks of `timescale`. A single picture has the
    /// rate that its own `duration` in ticks implies, or 25.
    pub(crate) fn of(times: &[i64], timescale: Timescale, duration: i64) -> Self {
        let (source, constant) = source_rate(times, timescale, duration);
        Self {
            source,
            output: output_rate(source),
            constant,
        }
    }

    /// Whether output frame k is source picture k.
    pub(crate) fn one_to_one(self) -> bool {
        self.constant && self.source == self.output
    }
}

/// At most 60: halved until it is; at least 5: repeated until it is.
fn output_rate(source: FrameRate) -> FrameRate {
    let (numerator, mut denominator) = (source.numerator(), source.denominator());
    while u64::from(numerator) > u64::from(MAX_RATE) * u64::from(denominator) {
        denominator = denominator.saturating_mul(2);
    }
    let floor = u64::from(MIN_RATE) * u64::from(denominator);
    let times = floor.div_ceil(u64::from(numerator)).max(1);
    let repeated = u64::from(numerator) * times;
    let rate = u32::try_from(repeated).ok();
    rate.and_then(|numerator| FrameRate::new(numerator, denominator))
        .unwrap_or(source)
}

fn source_rate(times: &[i64], timescale: Timescale, duration: i64) -> (FrameRate, bool) {
    let Some(beat) = Beat::of(times).or_else(|| Beat::of(&[0, duration])) else {
        return (rate(25, 1), times.len() < 2);
    };
    let known = beat.known_rates(timescale);
    let close = |candidate: &FrameRate| {
        MICRO_RATES.contains(&micro(*candidate))
            && beat.differs_by_permille(*candidate, timescale) <= 10
    };
    let candidates = known.iter().copied().chain([beat.exact(timescale)]);
    for candidate in candidates.filter(close) {
        if keeps_grid(times, timescale, candidate) {
            return (candidate, true);
        }
    }
    let nearest = known.first().copied().unwrap_or(rate(25, 1));
    let nominal = if beat.differs_by_permille(nearest, timescale) <= 50 {
        nearest
    } else {
        beat.whole(timescale)
    };
    (nominal, false)
}

fn rate(numerator: u32, denominator: u32) -> FrameRate {
    FrameRate::new(numerator, denominator).expect("both numbers are above zero")
}

/// Whether picture k lies within half a frame of k frames after the first, for every k.
fn keeps_grid(times: &[i64], timescale: Timescale, rate: FrameRate) -> bool {
    let Some(start) = times.first() else {
        return false;
    };
    let frame = i128::from(timescale.get()) * i128::from(rate.denominator());
    (0_i128..).zip(times).all(|(k, time)| {
        let passed = (i128::from(*time) - i128::from(*start)) * i128::from(rate.numerator());
        ((passed - k * frame) * 2).abs() <= frame
    })
}

/// The usual distance of pictures: `ticks` for `intervals` of them.
#[derive(Debug, Clone, Copy)]
struct Beat {
    ticks: u64,
    intervals: u32,
    constant: bool,
}

impl Beat {
    /// The mean of all distances within half of the median: drops and pauses don't count, and
    /// rounding to a coarse timescale averages out.
    fn of(times: &[i64]) -> Option<Self> {
        let distances = times.windows(2).filter_map(|pair| {
            let distance = pair[1].checked_sub(pair[0])?;
            u32::try_from(distance)
                .ok()
                .filter(|distance| *distance > 0)
        });
        let mut distances: Vec<u32> = distances.collect();
        let middle = distances.len() / 2;
        if distances.is_empty() {
            return None;
        }
        let median = u64::from(*distances.select_nth_unstable(middle).1);
        let usual = |d: &&u32| {
            let twice = u64::from(**d) * 2;
            (median..=median * 3).contains(&twice)
        };
        let mut beat = Self {
            ticks: 0,
            intervals: 0,
            constant: true,
        };
        for distance in distances.iter().filter(usual) {
            beat.ticks += u64::from(*distance);
            beat.intervals += 1;
            beat.constant &= u64::from(*distance) == median;
        }
        Some(beat)
    }

    /// Rate in millionths of a frame a second.
    fn micro_rate(self, timescale: Timescale) -> u64 {
        let frames = u128::from(self.intervals) * u128::from(timescale.get()) * 1_000_000;
        u64::try_from(frames / u128::from(self.ticks.max(1))).unwrap_or(u64::MAX)
    }

    fn differs_by_permille(self, from: FrameRate, timescale: Timescale) -> u64 {
        let other = micro(from);
        let mine = self.micro_rate(timescale);
        mine.abs_diff(other).saturating_mul(1000) / other.max(1)
    }

    /// The known rates, nearest first.
    fn known_rates(self, timescale: Timescale) -> Vec<FrameRate> {
        let mine = self.micro_rate(timescale);
        let mut known: Vec<FrameRate> = KNOWN.iter().map(|(n, d)| rate(*n, *d)).collect();
        known.sort_by_key(|known| micro(*known).abs_diff(mine));
        known
    }

    /// The rate as measured: exact where all distances are equal, else to a thousandth.
    fn exact(self, timescale: Timescale) -> FrameRate {
        let distance = self.ticks / u64::from(self.intervals.max(1));
        if let (true, Ok(distance)) = (self.constant, u32::try_from(distance)) {
            return FrameRate::new(timescale.get(), distance).unwrap_or(rate(25, 1));
        }
        self.rounded(timescale, 1000)
    }

    /// To a whole number of frames a second.
    fn whole(self, timescale: Timescale) -> FrameRate {
        self.rounded(timescale, 1)
    }

    fn rounded(self, timescale: Timescale, denominator: u32) -> FrameRate {
        let unit = 1_000_000 / u64::from(denominator.max(1));
        let micro_rate = self.micro_rate(timescale).min(*MICRO_RATES.end());
        let steps = (micro_rate + unit / 2) / unit;
        let steps = u32::try_from(steps).unwrap_or(u32::MAX).max(1);
        FrameRate::new(steps, denominator).unwrap_or(rate(25, 1))
    }
}

fn micro(rate: FrameRate) -> u64 {
    u64::from(rate.numerator()) * 1_000_000 / u64::from(rate.denominator())
}

/// `left` against `right` frames a second.
pub(crate) fn compare(left: FrameRate, right: FrameRate) -> Ordering {
    let a = u64::from(left.numerator()) * u64::from(right.denominator());
    let b = u64::from(right.numerator()) * u64::from(left.denominator());
    a.cmp(&b)
}

/// Frames in `seconds`, to the nearest, at least one.
pub(crate) fn frames_in_seconds(rate: FrameRate, seconds: u32) -> u32 {
    let second = Timescale::new(1).expect("1 is not zero");
    let frames = rate.frames_in(Ticks::new(i64::from(seconds), second), Rounding::Nearest);
    u32::try_from(frames.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(n: u32) -> Timescale {
        Timescale::new(n).expect("non-zero")
    }

    fn grid(rate: FrameRate, timescale: Timescale, frames: i64) -> Vec<i64> {
        (0..frames)
            .map(|k| rate.frame_start(k, timescale, Rounding::Nearest))
            .collect()
    }

    #[test]
    fn known_rates_are_found_through_millisecond_rounding() {
        for (n, d) in [
            (24_000, 1001),
            (24, 1),
            (25, 1),
            (30_000, 1001),
            (30, 1),
            (50, 1),
            (60_000, 1001),
            (60, 1),
            (25, 2),
        ] {
            let expected = rate(n, d);
            let times = grid(expected, Timescale::MILLIS, 600);
            let cadence = Cadence::of(&times, Timescale::MILLIS, 40);
            assert_eq!(cadence.source, expected);
            assert!(cadence.one_to_one(), "{expected}");
        }
    }

    #[test]
    fn fast_rates_are_halved_and_slow_ones_repeated() {
        for (source, output) in [
            ((120, 1), (60, 1)),
            ((240, 1), (60, 1)),
            ((100, 1), (50, 1)),
            ((120_000, 1001), (60_000, 1001)),
            ((144, 1), (36, 1)),
            ((1, 1), (5, 1)),
            ((2, 1), (6, 1)),
            ((60, 1), (60, 1)),
        ] {
            assert_eq!(
                output_rate(rate(source.0, source.1)),
                rate(output.0, output.1)
            );
        }
    }

    #[test]
    fn a_steady_odd_rate_stays_itself_when_a_known_one_would_drift() {
        let odd = rate(90_000, 3013);
        let short = Cadence::of(&grid(odd, scale(90_000), 36), scale(90_000), 3013);
        assert_eq!(short.source, rate(30_000, 1001));
        assert!(short.one_to_one());
        let long = Cadence::of(&grid(odd, scale(90_000), 9000), scale(90_000), 3013);
        assert_eq!(long.source, odd);
        assert!(long.one_to_one());
    }

    #[test]
    fn dropped_pictures_leave_the_nominal_rate() {
        let mut times = grid(rate(30_000, 1001), scale(30_000), 300);
        times.retain(|time| time % 5 != 3);
        let cadence = Cadence::of(&times, scale(30_000), 1001);
        assert_eq!(cadence.source, rate(30_000, 1001));
        assert!(!cadence.constant);
    }

    #[test]
    fn one_picture_has_the_rate_of_its_duration() {
        assert_eq!(Cadence::of(&[7], scale(90_000), 3000).source, rate(30, 1));
        assert_eq!(Cadence::of(&[7], scale(90_000), 0).source, rate(25, 1));
    }

    proptest! {
        #[test]
        fn any_times_give_a_rate_in_range(mut times in prop::collection::vec(any::<i64>(), 0..50), ts in 1_u32..10_000_000) {
            times.sort_unstable();
            let cadence = Cadence::of(&times, scale(ts), 1);
            prop_assert!(compare(cadence.output, rate(MAX_RATE, 1)) != Ordering::Greater);
        }

        #[test]
        fn jitter_below_half_a_frame_keeps_the_grid(jitter in prop::collection::vec(-240_i64..240, 100..300)) {
            let mut times = grid(rate(30, 1), scale(30_000), i64::try_from(jitter.len()).expect("small"));
            for (time, jitter) in times.iter_mut().zip(&jitter).skip(1) {
                *time += jitter;
            }
            let cadence = Cadence::of(&times, scale(30_000), 1000);
            prop_assert!(micro(cadence.source).abs_diff(30_000_000) < 100_000);
            prop_assert!(cadence.one_to_one());
        }
    }
}
