//! The cut grid: where segments begin, for all renditions at once.
//!
//! Conformance H13 and C10 want equal boundaries in all renditions, H15 an IDR picture at each,
//! H04 and H05 no segment that rounds to more than the target duration. Audio is cut on the
//! encoded frame nearest to the video's cut, counted from the start each time.

use crate::media::{AudioSpan, ChunkSpan, Policy, VideoSpan};
use crate::time::{NonZeroU64, Rounding, Ticks, Timescale, scale};

/// A frame at which a segment may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutPoint {
    /// Output frame.
    pub(crate) frame: u32,
    /// Its time in ticks.
    pub(crate) time: i64,
}

/// What segments should be like, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentRule {
    /// Length to come near to.
    pub(crate) nominal: i64,
    /// Segments must be shorter than this, where the points allow it.
    pub(crate) limit: i64,
    /// A last segment shorter than this is evened out with the one before.
    pub(crate) shortest: i64,
    /// What the first segments come near to instead.
    pub(crate) openings: [i64; OPENINGS],
}

/// How many segments at the start may have lengths of their own.
pub(crate) const OPENINGS: usize = 3;
/// Lengths of the first segments where playing shall begin soon, in seconds.
const QUICK_SECONDS: [i64; OPENINGS] = [2, 2, 4];

impl SegmentRule {
    /// Segments of `nominal` ticks that round to the policy's `segment_seconds` at most.
    pub(crate) fn new(nominal: i64, policy: &Policy, timescale: Timescale) -> Self {
        let second = i64::from(timescale.get());
        let limit = i64::from(policy.segment_seconds) * second + (second + 1) / 2;
        let opening = |seconds: i64| match policy.quick_start {
            true => nominal.min(seconds * second),
            false => nominal,
        };
        Self {
            nominal,
            limit,
            shortest: second,
            openings: QUICK_SECONDS.map(opening),
        }
    }

    /// What segment `number`, from 0, comes near to.
    fn nominal_of(&self, number: usize) -> i64 {
        self.openings.get(number).copied().unwrap_or(self.nominal)
    }
}

/// Cuts at some of `points` (ascending, the first at 0) up to `end`.
pub(crate) fn segments(points: &[CutPoint], end: CutPoint, rule: SegmentRule) -> Vec<VideoSpan> {
    let mut starts: Vec<usize> = Vec::new();
    let mut next = (!points.is_empty()).then_some(0);
    while let Some(start) = next {
        let nominal = rule.nominal_of(starts.len());
        starts.push(start);
        next = following(points, start, end, SegmentRule { nominal, ..rule });
    }
    even_out_the_end(&mut starts, points, end, rule);
    let ends = starts.iter().skip(1).map(|at| points[*at]).chain([end]);
    let spans = starts.iter().zip(ends).map(|(start, end)| {
        let start = points[*start];
        VideoSpan {
            first_frame: start.frame,
            frames: end.frame - start.frame,
            start: start.time,
            duration: end.time - start.time,
        }
    });
    spans.collect()
}

/// The point whose distance from `start` is nearest to nominal, under the limit if there is one;
/// `None` when that is the end.
fn following(points: &[CutPoint], start: usize, end: CutPoint, rule: SegmentRule) -> Option<usize> {
    let from = points[start].time;
    let miss = |time: i64| (time - from - rule.nominal).abs();
    let after = start + 1;
    let reach = points[after..].partition_point(|point| point.time - from < rule.limit);
    let within = (after..after + reach).min_by_key(|at| miss(points[*at].time));
    let end_is_near = end.time - from < rule.limit;
    match within {
        Some(at) if end_is_near && miss(end.time) <= miss(points[at].time) => None,
        Some(at) if end.time - from > rule.nominal => Some(at),
        Some(_) => None,
        None if end_is_near => None,
        None => (after < points.len()).then_some(after),
    }
}

/// Splits the last two segments in the middle where the last is very short, or joins them.
fn even_out_the_end(
    starts: &mut Vec<usize>,
    points: &[CutPoint],
    end: CutPoint,
    rule: SegmentRule,
) {
    let [.., before, last] = *starts.as_slice() else {
        return;
    };
    if end.time - points[last].time >= rule.shortest {
        return;
    }
    let (from, total) = (points[before].time, end.time - points[before].time);
    let uneven = |at: &usize| (2 * (points[*at].time - from) - total).abs();
    let middle = (before + 1..points.len())
        .min_by_key(uneven)
        .unwrap_or(last);
    starts.pop();
    let still_short = end.time - points[middle].time < rule.shortest;
    if !(still_short && total < rule.limit) {
        starts.push(middle);
    }
}

/// Runs of segments of about `target` ticks, given each segment's length. A last run of under
/// half of that joins the one before. Where the policy asks for a quick start, the first run is
/// the short segments and one more.
pub(crate) fn chunks(
    lengths: impl Iterator<Item = i64>,
    target: i64,
    policy: &Policy,
) -> Vec<ChunkSpan> {
    let first_ends = |segment: u32| policy.quick_start && segment as usize == OPENINGS + 1;
    let mut runs: Vec<(ChunkSpan, i64)> = Vec::new();
    for (segment, length) in (0_u32..).zip(lengths) {
        match runs.last_mut() {
            Some((run, total)) if *total + length / 2 < target && !first_ends(segment) => {
                run.segments += 1;
                *total += length;
            }
            _ => runs.push((
                ChunkSpan {
                    first_segment: segment,
                    segments: 1,
                },
                length,
            )),
        }
    }
    if let [.., (before, _), (last, total)] = runs.as_mut_slice()
        && *total * 2 < target
    {
        before.segments += last.segments;
        runs.pop();
    }
    runs.into_iter().map(|(run, _)| run).collect()
}

/// The encoded frames of an audio rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AudioFrames {
    /// PCM samples a second.
    pub(crate) sample_rate: Timescale,
    /// PCM samples before the presentation's first.
    pub(crate) priming: u32,
    /// PCM samples in a frame.
    pub(crate) frame_length: u32,
    /// Encoded frames in all.
    pub(crate) frames: u32,
}

impl AudioFrames {
    /// The frame whose start is nearest to `time`.
    pub(crate) fn nearest(self, time: Ticks) -> u32 {
        let ticks = i64::from(time.timescale.get());
        let rate = i64::from(self.sample_rate.get());
        let samples = time.count.saturating_mul(rate);
        let from_first = samples.saturating_add(i64::from(self.priming) * ticks);
        let frame = u64::from(self.frame_length.max(1)) * u64::from(time.timescale.get());
        let frame = NonZeroU64::new(frame).expect("both factors are above zero");
        u32::try_from(scale(from_first, 1, frame, Rounding::Nearest).max(0)).unwrap_or(u32::MAX)
    }

    /// Segments that begin at the frames nearest to `cuts` (the starts of all segments, the
    /// first of them 0). None is empty; where frames run out there are fewer segments.
    pub(crate) fn segments(self, cuts: impl Iterator<Item = Ticks>) -> Vec<AudioSpan> {
        let mut starts: Vec<u32> = vec![0];
        for cut in cuts.skip(1) {
            let earliest = starts.last().map_or(0, |start| start + 1);
            let start = self.nearest(cut).max(earliest);
            if start < self.frames {
                starts.push(start);
            }
        }
        let ends = starts.iter().skip(1).copied().chain([self.frames]);
        let spans = starts.iter().zip(ends).map(|(start, end)| AudioSpan {
            first_frame: *start,
            frames: end.saturating_sub(*start),
        });
        spans.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every(step: u32, ticks: i64, frames: u32) -> (Vec<CutPoint>, CutPoint) {
        let at = |frame: u32| CutPoint {
            frame,
            time: i64::from(frame) * ticks,
        };
        (
            (0..frames).step_by(step as usize).map(at).collect(),
            at(frames),
        )
    }

    fn lengths(frames: u32) -> Vec<u32> {
        let (points, end) = every(50, 40, frames);
        let rule = SegmentRule::new(6000, &Policy::default(), Timescale::MILLIS);
        segments(&points, end, rule)
            .iter()
            .map(|span| span.frames)
            .collect()
    }

    #[test]
    fn a_very_short_rest_is_evened_out_with_its_neighbour() {
        assert_eq!(lengths(450), [150, 150, 150]);
        assert_eq!(lengths(157), [100, 57]);
        assert_eq!(lengths(180), [150, 30]);
        assert_eq!(lengths(7), [7]);
        assert_eq!(lengths(307), [150, 100, 57]);
    }

    #[test]
    fn a_short_rest_joins_its_neighbour_where_it_cannot_be_split() {
        let (points, end) = every(150, 40, 160);
        let rule = SegmentRule::new(6000, &Policy::default(), Timescale::MILLIS);
        let spans = segments(&points, end, rule);
        assert_eq!(
            spans.iter().map(|span| span.frames).collect::<Vec<_>>(),
            [160]
        );
    }

    #[test]
    fn a_quick_start_begins_with_short_segments_and_a_short_chunk() {
        let policy = Policy {
            quick_start: true,
            ..Policy::default()
        };
        let rule = SegmentRule::new(6000, &policy, Timescale::MILLIS);
        let lengths = |frames: u32| -> Vec<u32> {
            let (points, end) = every(50, 40, frames);
            let spans = segments(&points, end, rule);
            spans.iter().map(|span| span.frames).collect()
        };
        assert_eq!(lengths(700), [50, 50, 100, 150, 150, 150, 50]);
        assert_eq!(lengths(125), [50, 50, 25]);
        assert_eq!(lengths(110), [50, 60]);
        assert_eq!(lengths(20), [20]);
        let chunks = |lengths: &[i64]| -> Vec<u32> {
            let chunks = chunks(lengths.iter().copied(), 36, &policy);
            chunks.iter().map(|chunk| chunk.segments).collect()
        };
        assert_eq!(chunks(&[2, 2, 4, 6, 6, 6, 6, 6, 6, 6]), [4, 6]);
        assert_eq!(chunks(&[2, 2, 4, 6, 6]), [5]);
        assert_eq!(chunks(&[2, 2]), [2]);
    }

    #[test]
    fn a_quick_start_takes_the_points_that_there_are() {
        let policy = Policy {
            quick_start: true,
            ..Policy::default()
        };
        let rule = SegmentRule::new(6000, &policy, Timescale::MILLIS);
        let (points, end) = every(75, 40, 700);
        let spans = segments(&points, end, rule);
        let frames: Vec<u32> = spans.iter().map(|span| span.frames).collect();
        assert_eq!(frames, [75, 75, 75, 150, 150, 150, 25]);
    }

    #[test]
    fn chunks_are_about_the_asked_length() {
        let count = |lengths: &[i64]| {
            chunks(lengths.iter().copied(), 36, &Policy::default())
                .iter()
                .map(|c| c.segments)
                .collect::<Vec<_>>()
        };
        assert_eq!(count(&[6; 12]), [6, 6]);
        assert_eq!(count(&[6; 14]), [6, 8]);
        assert_eq!(count(&[6; 16]), [6, 6, 4]);
        assert_eq!(count(&[6]), [1]);
        assert!(count(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn segments_cover_everything_and_stay_short(gaps in prop::collection::vec(10_u32..60, 0..200), rest in 1_u32..80, quick_start in any::<bool>()) {
            let mut points = vec![CutPoint { frame: 0, time: 0 }];
            let mut frame = 0;
            for gap in &gaps {
                frame += gap;
                points.push(CutPoint { frame, time: i64::from(frame) * 40 });
            }
            frame += rest;
            let end = CutPoint { frame, time: i64::from(frame) * 40 };
            let policy = Policy { quick_start, ..Policy::default() };
            let rule = SegmentRule::new(6000, &policy, Timescale::MILLIS);
            let spans = segments(&points, end, rule);
            let mut next = CutPoint { frame: 0, time: 0 };
            for span in &spans {
                prop_assert_eq!((span.first_frame, span.start), (next.frame, next.time));
                prop_assert!(points.iter().any(|point| point.frame == span.first_frame));
                prop_assert!(span.frames > 0 && span.duration < rule.limit);
                next = CutPoint { frame: span.first_frame + span.frames, time: span.start + span.duration };
            }
            prop_assert_eq!(next, end);
        }

        #[test]
        fn chunks_cover_all_segments(lengths in prop::collection::vec(1_i64..20, 0..100), target in 1_i64..60, quick_start in any::<bool>()) {
            let count = u32::try_from(lengths.len()).expect("small");
            let mut next = 0;
            for chunk in chunks(lengths.into_iter(), target, &Policy { quick_start, ..Policy::default() }) {
                prop_assert_eq!(chunk.first_segment, next);
                prop_assert!(chunk.segments > 0);
                next += chunk.segments;
            }
            prop_assert_eq!(next, count);
        }

        #[test]
        fn audio_cuts_are_within_half_a_frame_of_video_cuts(priming in 0_u32..2048, segments in 1_i64..6000, hertz in prop::sample::select(vec![44_100_u32, 48_000])) {
            let timescale = Timescale::new(30_000).expect("valid");
            let sample_rate = Timescale::new(hertz).expect("valid");
            let cut = |j: i64| Ticks::new(j * 180 * 1001, timescale);
            let samples = cut(segments).to(sample_rate, Rounding::Nearest).count + i64::from(priming);
            let frames = u32::try_from(samples.div_euclid(1024) + 1).expect("small");
            let audio = AudioFrames { sample_rate, priming, frame_length: 1024, frames };
            let spans = audio.segments((0..segments).map(cut));
            prop_assert_eq!(spans.len(), usize::try_from(segments).expect("small"));
            let mut next = 0;
            for (j, span) in (0_i64..).zip(&spans) {
                prop_assert_eq!(span.first_frame, next);
                prop_assert!(span.frames > 0);
                next += span.frames;
                let start = i64::from(span.first_frame) * 1024 - i64::from(priming);
                let wanted = cut(j).count * i64::from(hertz);
                prop_assert!(j == 0 || ((start * 30_000 - wanted) * 2).abs() <= 1024 * 30_000);
            }
            prop_assert_eq!(next, frames);
        }
    }
}
