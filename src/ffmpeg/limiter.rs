//! A limiter of true peaks (ITU-R BS.1770-5, annex 2) that forgets.
//!
//! Four times oversampled peaks say which gain each sample needs. The gain falls before a peak, over
//! the [`LOOK_AHEAD`], and rises again after it by a constant step. All of that is in whole numbers
//! and looks back a bounded way, so that what comes out depends on no more than the last
//! [`Level::RUN_IN_FRAMES`] and the next [`LOOK_AHEAD`] of sound, to the bit: pieces of a title that
//! were limited apart fit together.

use std::collections::VecDeque;

use super::aac::FRAME;
use crate::media::Level;

/// Samples within which the gain falls.
const LOOK_AHEAD: usize = 2 * BOX - 1;
/// Samples of each of two moving averages that round the corners of the gain.
const BOX: usize = 128;
/// Samples within which the gain rises from nothing to one: 0.38 s at 48 kHz.
const RELEASE: u32 = 18 * 1024;
/// A gain of one.
const ONE: u32 = 1 << 24;
/// Rise of the gain from one sample to the next.
const STEP: u32 = ONE.div_ceil(RELEASE);
/// Samples that a value between two samples is worked out from.
const TAPS: usize = 12;
/// Samples from the newest of them back to the one after the value.
const CENTRE: usize = 5;
/// A value between two samples is at most so many times the largest of its [`TAPS`].
const OVERSHOOT: f32 = 2.1;
/// Samples that are looked at together for whether any could be too loud.
const GLANCE: usize = 64;

/// The interpolating filter of BS.1770-5, annex 2: two of its four phases; the others are these
/// backwards.
const PHASES: [[f32; TAPS]; 2] = [
    [
        0.001_708_984_4,
        0.010_986_328,
        -0.019_653_32,
        0.033_203_125,
        -0.059_448_242,
        0.137_329_1,
        0.972_167_97,
        -0.102_294_92,
        0.047_607_422,
        -0.026_611_328,
        0.014_892_578,
        -0.008_300_781,
    ],
    [
        -0.029_174_805,
        0.029_296_875,
        -0.051_757_813,
        0.089_111_33,
        -0.166_503_9,
        0.465_087_9,
        0.779_785_16,
        -0.200_317_38,
        0.101_562_5,
        -0.058_227_54,
        0.033_081_055,
        -0.018_920_898,
    ],
];

const _: () = assert!(
    LOOK_AHEAD + TAPS < FRAME
        && RELEASE as usize + 2 * LOOK_AHEAD + TAPS < Level::RUN_IN_FRAMES as usize * FRAME
);

/// One limiter for all channels of a sound.
pub(super) struct Limiter {
    ceiling: f32,
    /// Sound not given back yet, a row a channel, behind [`TAPS`] samples before it.
    held: Vec<Vec<f32>>,
    /// The gains of held sound, as far as they are known.
    gains: VecDeque<u32>,
    /// Largest value between the last two samples looked at.
    between: f32,
    least: SlidingMin,
    /// The last gain before the averages.
    released: u32,
    averages: [Average; 2],
    /// Gains that come out before that of the first sample.
    early: usize,
}

impl Limiter {
    /// For so many channels; no true peak will be over `ceiling` (1 is full scale).
    pub(super) fn new(channels: usize, ceiling: f32) -> Self {
        Self {
            ceiling,
            held: vec![vec![0.0; TAPS]; channels],
            gains: VecDeque::new(),
            between: 0.0,
            least: SlidingMin::default(),
            released: ONE,
            averages: [Average::new(), Average::new()],
            early: TAPS - CENTRE - 1 + LOOK_AHEAD - 1,
        }
    }

    /// Takes a frame of sound, a plane a channel; gives the frame before it, but for the first.
    pub(super) fn push(&mut self, planes: &[Vec<f32>]) -> Option<Vec<Vec<f32>>> {
        for (held, plane) in self.held.iter_mut().zip(planes) {
            held.extend_from_slice(plane);
        }
        let end = self.held.first().map_or(0, Vec::len);
        let new = planes.first().map_or(0, Vec::len);
        let mut from = end - new;
        while from < end {
            let to = (from + GLANCE).min(end);
            self.look(from, to);
            from = to;
        }
        (end >= 2 * FRAME + TAPS).then(|| self.give())
    }

    /// Works out the gains that samples `from..to` of what is held let know.
    fn look(&mut self, from: usize, to: usize) {
        let loud = |row: &Vec<f32>| {
            row[from - TAPS..to]
                .iter()
                .fold(0.0, |m: f32, x| m.max(x.abs()))
        };
        let loudest = self.held.iter().map(loud).fold(0.0, f32::max);
        if loudest * OVERSHOOT < self.ceiling {
            self.between = 0.0;
            for _ in from..to {
                self.need(ONE);
            }
            return;
        }
        for at in from..to {
            // The value after sample `at - 6`, and with it all that there is about that sample.
            let after = self.value_between(at);
            let sample = |row: &Vec<f32>| row[at - TAPS + CENTRE + 1].abs();
            let sample = self.held.iter().map(sample).fold(0.0, f32::max);
            let peak = sample.max(self.between).max(after);
            self.between = after;
            self.need(needed_gain(self.ceiling, peak));
        }
    }

    /// The largest of the values that lie between two samples, the newest that counts being `at`.
    fn value_between(&self, at: usize) -> f32 {
        let mut largest: f32 = 0.0;
        for row in &self.held {
            let window = &row[at + 1 - TAPS..=at];
            for phase in &PHASES {
                let (mut forth, mut back) = (0.0, 0.0);
                for (tap, sample) in phase.iter().zip(window.iter().rev()) {
                    forth += tap * sample;
                }
                for (tap, sample) in phase.iter().zip(window) {
                    back += tap * sample;
                }
                largest = largest.max(f32::abs(forth)).max(f32::abs(back));
            }
        }
        largest
    }

    /// Takes the gain that the next sample needs at most.
    fn need(&mut self, gain: u32) {
        let least = self.least.push(gain);
        self.released = least.min(self.released.saturating_add(STEP)).min(ONE);
        let mut gain = self.released;
        for average in &mut self.averages {
            gain = average.push(gain);
        }
        match self.early.checked_sub(1) {
            Some(left) => self.early = left,
            None => self.gains.push_back(gain),
        }
    }

    /// The oldest frame that is held, at its gains.
    fn give(&mut self) -> Vec<Vec<f32>> {
        let gains: Vec<f32> = self.gains.drain(..FRAME).map(as_factor).collect();
        let give = |held: &mut Vec<f32>| {
            let levelled = held[TAPS..].iter().zip(&gains).map(|(x, gain)| x * gain);
            let levelled = levelled.collect();
            held.drain(..FRAME);
            levelled
        };
        self.held.iter_mut().map(give).collect()
    }
}

/// The largest gain that brings `peak` to the ceiling.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between nothing and one"
)]
fn needed_gain(ceiling: f32, peak: f32) -> u32 {
    if peak <= ceiling {
        return ONE;
    }
    (f64::from(ceiling) / f64::from(peak) * f64::from(ONE)) as u32
}

#[expect(
    clippy::cast_precision_loss,
    reason = "25 bits at most, and of those the last is 0"
)]
fn as_factor(gain: u32) -> f32 {
    gain as f32 / ONE as f32
}

/// The least of the last [`LOOK_AHEAD`] values.
#[derive(Default)]
struct SlidingMin {
    /// Values that may become the least, with their numbers, smallest first.
    rising: VecDeque<(u64, u32)>,
    count: u64,
}

impl SlidingMin {
    fn push(&mut self, value: u32) -> u32 {
        while self.rising.back().is_some_and(|(_, last)| *last >= value) {
            self.rising.pop_back();
        }
        self.rising.push_back((self.count, value));
        self.count += 1;
        let oldest = self.count.saturating_sub(LOOK_AHEAD as u64);
        while self
            .rising
            .front()
            .is_some_and(|(number, _)| *number < oldest)
        {
            self.rising.pop_front();
        }
        self.rising.front().map_or(value, |(_, least)| *least)
    }
}

/// The mean of the last [`BOX`] values, rounded down.
struct Average {
    values: VecDeque<u32>,
    sum: u64,
}

impl Average {
    fn new() -> Self {
        Self {
            values: VecDeque::from(vec![ONE; BOX]),
            sum: u64::from(ONE) * BOX as u64,
        }
    }

    fn push(&mut self, value: u32) -> u32 {
        self.values.push_back(value);
        let oldest = self.values.pop_front().unwrap_or(ONE);
        self.sum = self.sum + u64::from(value) - u64::from(oldest);
        u32::try_from(self.sum / BOX as u64).unwrap_or(ONE)
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
mod tests {
    use ebur128::{EbuR128, Mode};

    use super::*;

    /// Noise with bursts, a row a channel, some of it over full scale.
    fn noise(frames: usize) -> Vec<Vec<f32>> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let rows = (0..2).map(|_| (0..frames * FRAME).map(|_| next()).collect::<Vec<f32>>());
        let mut rows: Vec<_> = rows.collect();
        for row in &mut rows {
            for (at, sample) in row.iter_mut().enumerate() {
                *sample *= if at % 30_000 < 2000 { 1.7 } else { 0.3 };
            }
        }
        rows
    }

    fn limited(sound: &[Vec<f32>], from: usize, ceiling: f32) -> Vec<Vec<f32>> {
        let mut limiter = Limiter::new(sound.len(), ceiling);
        let mut out = vec![Vec::new(); sound.len()];
        for at in (from * FRAME..sound[0].len()).step_by(FRAME) {
            let frame: Vec<Vec<f32>> = sound.iter().map(|r| r[at..at + FRAME].to_vec()).collect();
            for (out, row) in out.iter_mut().zip(limiter.push(&frame).unwrap_or_default()) {
                out.extend(row);
            }
        }
        out
    }

    fn true_peak(rows: &[Vec<f32>]) -> f64 {
        let mut meter = EbuR128::new(2, 48_000, Mode::I | Mode::TRUE_PEAK).unwrap();
        let planes: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        meter.add_frames_planar_f32(&planes).unwrap();
        (0..2)
            .map(|c| meter.true_peak(c).unwrap())
            .fold(0.0, f64::max)
    }

    /// By the meter of another library; between its filter and this one are some hundredths of a
    /// decibel.
    #[test]
    fn no_true_peak_is_over_the_ceiling() {
        // At a quarter of the rate between samples: 3 dB over what the samples show.
        let sine = |at: usize| (std::f32::consts::PI * (at as f32 / 2.0 + 0.25)).sin();
        let sine: Vec<f32> = (0..40 * FRAME).map(sine).collect();
        for sound in [noise(60), vec![sine.clone(), sine]] {
            let before = true_peak(&sound);
            let after = true_peak(&limited(&sound, 0, 0.7));
            assert!(
                before > 0.95 && after > 0.6 && after < 0.7 * 1.025,
                "{before} {after}"
            );
        }
    }

    #[test]
    fn what_is_quiet_enough_stays_as_it_is() {
        let sound = noise(20);
        let out = limited(&sound, 0, 10.0);
        assert_eq!(out[0], sound[0][..out[0].len()]);
        assert_eq!(out[1].len(), 19 * FRAME);
    }

    /// To the bit, wherever it is started.
    #[test]
    fn its_past_is_forgotten_after_the_run_in() {
        let sound = noise(80);
        let whole = limited(&sound, 0, 0.5);
        for from in [1, 7, 29, 30, 50] {
            let part = limited(&sound, from, 0.5);
            let run_in = Level::RUN_IN_FRAMES as usize;
            let at = (from + run_in) * FRAME;
            assert_eq!(whole[0][at..], part[0][run_in * FRAME..], "{from}");
        }
    }
}
