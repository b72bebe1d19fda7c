//! The output frame grid: which source picture each output frame shows.
//!
//! Frame k is presented at k / rate. It shows the last picture that has begun by then, give or
//! take half a frame, so that jitter neither repeats nor drops anything. Times are compared as
//! whole numbers: nothing drifts, however long the title.

use super::pictures::Shown;
use super::rate::{self, Cadence};
use crate::media::FrameMap;
use crate::time::{FrameRate, Rounding, Ticks, Timescale};

/// What the video track gives, on the output grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameGrid {
    /// Pictures shown.
    pub(crate) shown: Shown,
    /// The beat.
    pub(crate) cadence: Cadence,
    /// Frames for which the first picture is held before its time, because sound comes first.
    pub(crate) lead_frames: u32,
    /// Frames from the first picture's time to the last picture's end.
    pub(crate) body_frames: u32,
    /// Frames for which the last picture is held after that, because sound goes on.
    pub(crate) tail_frames: u32,
}

impl FrameGrid {
    /// All frames of the presentation.
    pub(crate) fn frames(&self) -> u32 {
        self.lead_frames
            .saturating_add(self.body_frames)
            .saturating_add(self.tail_frames)
    }

    /// Whether a picture is shown for longer than its time.
    pub(crate) fn holds(&self) -> bool {
        self.lead_frames > 0 || self.tail_frames > 0
    }

    /// The source picture of every frame. `times` are those of the shown pictures.
    pub(crate) fn map(&self, times: &[i64], timescale: Timescale) -> FrameMap {
        let mut map = FrameMap::default();
        let mut body = Body::new(times, timescale, self.cadence);
        for frame in 0..self.frames() {
            let k = frame.saturating_sub(self.lead_frames);
            let picture = match self.cadence.one_to_one() {
                true => k.min(self.shown.len().saturating_sub(1)),
                false => body.picture(k.min(self.body_frames.saturating_sub(1))),
            };
            map.push(self.shown.first + picture);
        }
        map
    }
}

/// Frames that `ticks` last, rounded to the nearest.
pub(crate) fn frames_of(ticks: i64, timescale: Timescale, rate: FrameRate) -> i64 {
    rate.frames_in(Ticks::new(ticks, timescale), Rounding::Nearest)
}

/// Walks the pictures once as the frames advance.
struct Body<'a> {
    times: &'a [i64],
    at: usize,
    ticks_per_second: i128,
    rate: FrameRate,
    tolerance: FrameRate,
}

impl<'a> Body<'a> {
    fn new(times: &'a [i64], timescale: Timescale, cadence: Cadence) -> Self {
        let faster = match rate::compare(cadence.source, cadence.output) {
            std::cmp::Ordering::Greater => cadence.source,
            _ => cadence.output,
        };
        Self {
            times,
            at: 0,
            ticks_per_second: i128::from(timescale.get()),
            rate: cadence.output,
            tolerance: faster,
        }
    }

    /// Index of the picture that frame `k` shows; `k` must not decrease.
    fn picture(&mut self, k: u32) -> u32 {
        while let Some(next) = self.times.get(self.at + 1)
            && self.has_begun(*next, k)
        {
            self.at += 1;
        }
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// time / ticks_per_second <= k / rate + 1 / (2 * tolerance), without a division.
    fn has_begun(&self, time: i64, k: u32) -> bool {
        let start = i128::from(self.times.first().copied().unwrap_or(time));
        let (n, d) = fraction(self.rate);
        let (tn, td) = fraction(self.tolerance);
        let passed = (i128::from(time) - start) * 2 * n * tn;
        passed <= self.ticks_per_second * (2 * i128::from(k) * d * tn + td * n)
    }
}

fn fraction(rate: FrameRate) -> (i128, i128) {
    (i128::from(rate.numerator()), i128::from(rate.denominator()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(n: u32, d: u32) -> FrameRate {
        FrameRate::new(n, d).expect("valid")
    }

    fn grid(
        source: FrameRate,
        output: FrameRate,
        constant: bool,
        pictures: u32,
        frames: u32,
    ) -> FrameGrid {
        FrameGrid {
            shown: Shown {
                first: 0,
                end: pictures,
            },
            cadence: Cadence {
                source,
                output,
                constant,
            },
            lead_frames: 0,
            body_frames: frames,
            tail_frames: 0,
        }
    }

    #[test]
    fn ten_hours_of_ntsc_in_milliseconds_do_not_drift() {
        let ntsc = rate(30_000, 1001);
        let frames = 1_078_921;
        let times: Vec<i64> = (0..i64::from(frames))
            .map(|k| ntsc.frame_start(k, Timescale::MILLIS, Rounding::Nearest))
            .collect();
        let map = grid(ntsc, ntsc, false, frames, frames).map(&times, Timescale::MILLIS);
        assert_eq!(map.runs.len(), 1);
        assert_eq!(map.get(frames - 1), Some(frames - 1));
    }

    #[test]
    fn half_the_rate_takes_every_other_picture() {
        let times: Vec<i64> = (0..240).map(|k| k * 100).collect();
        let timescale = Timescale::new(12_000).expect("valid");
        let map = grid(rate(120, 1), rate(60, 1), true, 240, 120).map(&times, timescale);
        assert_eq!(map.runs.len(), 1);
        assert_eq!(
            (map.get(0), map.get(1), map.get(119)),
            (Some(0), Some(2), Some(238))
        );
    }

    #[test]
    fn held_pictures_surround_the_body() {
        let mut held = grid(rate(25, 1), rate(25, 1), true, 10, 10);
        held.shown = Shown { first: 3, end: 13 };
        (held.lead_frames, held.tail_frames) = (2, 4);
        let times: Vec<i64> = (3..13).map(|k| k * 40).collect();
        let pictures: Vec<u32> = held.map(&times, Timescale::MILLIS).iter().collect();
        assert_eq!(
            pictures,
            [3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 12]
        );
    }

    proptest! {
        #[test]
        fn each_frame_shows_the_nearest_earlier_picture(gaps in prop::collection::vec(1_i64..200, 1..100), n in 10_u32..61) {
            let mut times = vec![50_i64];
            for gap in &gaps {
                times.push(times[times.len() - 1] + gap);
            }
            let out = rate(n, 1);
            let span = times[times.len() - 1] - times[0] + 40;
            let frames = u32::try_from(frames_of(span, Timescale::MILLIS, out)).expect("small");
            let count = u32::try_from(times.len()).expect("small");
            let map = grid(out, out, false, count, frames).map(&times, Timescale::MILLIS);
            let mut before = 0;
            for (k, picture) in (0_i64..).zip(map.iter()) {
                prop_assert!(picture >= before);
                before = picture;
                let due = |time: i64| (time - times[0]) * 2 * i64::from(n) <= (2 * k + 1) * 1000;
                prop_assert!(picture == 0 || due(times[picture as usize]));
                if let Some(next) = times.get(picture as usize + 1) {
                    prop_assert!(!due(*next));
                }
            }
        }
    }
}
