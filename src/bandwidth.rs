//! Bits a second as manifests promise them, from what segments measure: exact integers, rounded up.
//!
//! HLS wants the mean and the peak (draft-pantos-hls-rfc8216bis 4.1, 4.4.6.2), DASH the rate at
//! which a client with a given start buffer never stalls (ISO/IEC 23009-1 5.3.5.2).

use std::collections::VecDeque;

use crate::media::{SegmentInfo, TrackCommon};
use crate::time::{Rounding, Ticks, Timescale, rescale};

/// Mean bits a second: all bytes over all time. 0 without segments, `u64::MAX` without time.
pub fn average_bps(segments: &[SegmentInfo], timescale: Timescale) -> u64 {
    let (time, bits) = totals(segments, timescale);
    rate(bits, time)
}

/// The largest mean over any contiguous run of segments that lasts between half and one and a
/// half of `target_seconds` (RFC 8216bis 4.1, "peak segment bit rate"); if no run does, the mean.
pub fn peak_bps(segments: &[SegmentInfo], timescale: Timescale, target_seconds: u32) -> u64 {
    let target = u128::from(target_seconds) * u128::from(timescale.get());
    let points = points(segments, timescale);
    let mut peak = None;
    // The rate of the run that exceeds `peak` by most becomes the next `peak` (Dinkelbach 1967):
    // it only grows, and is the answer when no run exceeds it. Few rounds, each linear.
    while let Some((time, bits)) = greediest_run(&points, target, peak.unwrap_or(0)) {
        let next = rate(bits, time);
        if peak.is_some_and(|peak| next <= peak) {
            break;
        }
        peak = Some(next);
    }
    peak.unwrap_or_else(|| average_bps(segments, timescale))
}

/// The smallest rate at which a client never waits that starts at any segment, once it has got
/// `min_buffer * rate` bits, and needs each segment whole when its time comes (5.3.5.2, on the safe
/// side: a player may use the first samples of a segment before it has the last). At least the
/// mean.
pub fn dash_bandwidth(segments: &[SegmentInfo], timescale: Timescale, min_buffer: Ticks) -> u64 {
    // Rounded down: less buffer needs more rate.
    let lead = rescale(
        min_buffer.count,
        min_buffer.timescale,
        timescale,
        Rounding::Floor,
    );
    let lead = u64::try_from(lead).unwrap_or(0).max(1);
    let points = points(segments, timescale);
    let mut bandwidth = average_bps(segments, timescale);
    while let Some((time, bits)) = hungriest_run(&points, lead, bandwidth) {
        let next = rate(bits, time);
        if next <= bandwidth {
            break;
        }
        bandwidth = next;
    }
    bandwidth
}

/// [`average_bps`] of a track, or what is expected of it as long as it isn't measured.
pub fn track_average_bps(track: &TrackCommon) -> u64 {
    match track.expected {
        Some(expected) => expected.average_bps,
        None => average_bps(&track.segments, track.timescale),
    }
}

/// [`peak_bps`] of a track, or what is expected of it as long as it isn't measured.
pub fn track_peak_bps(track: &TrackCommon, target_seconds: u32) -> u64 {
    match track.expected {
        Some(expected) => expected.peak_bps,
        None => peak_bps(&track.segments, track.timescale, target_seconds),
    }
}

/// [`dash_bandwidth`] of a track; its peak, as long as it isn't measured.
pub fn track_dash_bandwidth(track: &TrackCommon, min_buffer: Ticks) -> u64 {
    match track.expected {
        Some(expected) => expected.peak_bps,
        None => dash_bandwidth(&track.segments, track.timescale, min_buffer),
    }
}

/// A segment border: ticks before it, and bits before it times the timescale.
#[derive(Debug, Clone, Copy)]
struct Point {
    time: u128,
    bits: u128,
}

impl Point {
    /// How far the bits are ahead of a steady `rate_bps`. Saturates for times and rates that no
    /// medium has.
    fn excess(self, rate_bps: u64) -> i128 {
        let steady = self.time.saturating_mul(u128::from(rate_bps));
        let signed = |value: u128| i128::try_from(value).unwrap_or(i128::MAX);
        signed(self.bits).saturating_sub(signed(steady))
    }
}

/// All segment borders, the first at zero.
fn points(segments: &[SegmentInfo], timescale: Timescale) -> Vec<Point> {
    let mut last = Point { time: 0, bits: 0 };
    let mut points = Vec::with_capacity(segments.len().saturating_add(1));
    points.push(last);
    for segment in segments {
        last.time = last.time.saturating_add(u128::from(segment.duration));
        last.bits = last.bits.saturating_add(scaled_bits(segment, timescale));
        points.push(last);
    }
    points
}

fn scaled_bits(segment: &SegmentInfo, timescale: Timescale) -> u128 {
    u128::from(segment.bytes) * 8 * u128::from(timescale.get())
}

fn totals(segments: &[SegmentInfo], timescale: Timescale) -> (u128, u128) {
    let last = points(segments, timescale).pop();
    last.map_or((0, 0), |last| (last.time, last.bits))
}

/// `bits / time`, rounded up.
fn rate(bits: u128, time: u128) -> u64 {
    match bits {
        0 => 0,
        _ if time == 0 => u64::MAX,
        _ => u64::try_from(bits.div_ceil(time)).unwrap_or(u64::MAX),
    }
}

/// Time and bits of the run of 0.5 to 1.5 `target` ticks that exceeds `rate_bps` by most; `None`
/// when no run lasts so long.
fn greediest_run(points: &[Point], target: u128, rate_bps: u64) -> Option<(u128, u128)> {
    let mut best: Option<(i128, u128, u128)> = None;
    // Starts that are not too late, best first: each has less excess than those after it.
    let mut starts: VecDeque<Point> = VecDeque::new();
    let mut next_start = points.iter().copied().peekable();
    for end in points {
        let since = |start: &Point| end.time.saturating_sub(start.time).saturating_mul(2);
        let late_enough = |start: &Point| start.time < end.time && since(start) >= target;
        while let Some(start) = next_start.next_if(late_enough) {
            let excess = start.excess(rate_bps);
            while starts.back().is_some_and(|s| s.excess(rate_bps) >= excess) {
                starts.pop_back();
            }
            starts.push_back(start);
        }
        while starts
            .front()
            .is_some_and(|s| since(s) > target.saturating_mul(3))
        {
            starts.pop_front();
        }
        let Some(start) = starts.front() else {
            continue;
        };
        let excess = end.excess(rate_bps).saturating_sub(start.excess(rate_bps));
        if best.is_none_or(|(most, ..)| excess > most) {
            best = Some((excess, end.time - start.time, end.bits - start.bits));
        }
    }
    best.map(|(_, time, bits)| (time, bits))
}

/// Time and bits of the run that needs most beyond `rate_bps`: the time is that from `lead` ticks
/// before its first segment's start to its last segment's start.
fn hungriest_run(points: &[Point], lead: u64, rate_bps: u64) -> Option<(u128, u128)> {
    let mut best: Option<(i128, u128, u128)> = None;
    let mut first: Option<Point> = None;
    for pair in points.windows(2) {
        let &[start, end] = pair else { continue };
        let behind = |first: &Point| first.excess(rate_bps) <= start.excess(rate_bps);
        let from = first.filter(behind).unwrap_or(start);
        first = Some(from);
        let due = Point {
            time: start.time,
            bits: end.bits,
        };
        let need = due.excess(rate_bps).saturating_sub(from.excess(rate_bps));
        if best.is_none_or(|(most, ..)| need > most) {
            let time = start.time - from.time + u128::from(lead);
            best = Some((need, time, end.bits - from.bits));
        }
    }
    best.map(|(_, time, bits)| (time, bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(ticks_per_second: u32) -> Timescale {
        Timescale::new(ticks_per_second).expect("non-zero")
    }

    fn segments(list: &[(u64, u64)]) -> Vec<SegmentInfo> {
        let segment = |&(duration, bytes): &(u64, u64)| SegmentInfo { duration, bytes };
        list.iter().map(segment).collect()
    }

    /// Every run, by the words of the specification.
    fn naive_peak(segments: &[SegmentInfo], timescale: Timescale, target: u32) -> u64 {
        let target = u128::from(target) * u128::from(timescale.get());
        let mut peak = None;
        for from in 0..segments.len() {
            for to in from + 1..=segments.len() {
                let (time, bits) = totals(&segments[from..to], timescale);
                if time > 0 && 2 * time >= target && 2 * time <= 3 * target {
                    peak = peak.max(Some(rate(bits, time)));
                }
            }
        }
        peak.unwrap_or_else(|| average_bps(segments, timescale))
    }

    /// Whether playback from every start runs without a wait, by filling and emptying a buffer.
    fn plays(segments: &[SegmentInfo], timescale: Timescale, lead: u64, rate_bps: u64) -> bool {
        let rate = u128::from(rate_bps);
        (0..segments.len()).all(|from| {
            let (mut arrived, mut needed) = (u128::from(lead) * rate, 0);
            segments[from..].iter().all(|segment| {
                needed += scaled_bits(segment, timescale);
                let in_time = arrived >= needed;
                arrived += u128::from(segment.duration) * rate;
                in_time
            })
        })
    }

    #[test]
    fn equal_segments_have_one_rate() {
        let all = segments(&[(4004, 500_500); 5]);
        assert_eq!(average_bps(&all, scale(1000)), 1_000_000);
        assert_eq!(peak_bps(&all, scale(1000), 4), 1_000_000);
        let lead = Ticks::new(4004, scale(1000));
        assert_eq!(dash_bandwidth(&all, scale(1000), lead), 1_000_000);
    }

    #[test]
    fn short_last_segment_is_no_peak_of_its_own() {
        let all = segments(&[(4000, 500_000), (4000, 500_000), (100, 100_000)]);
        assert_eq!(peak_bps(&all, scale(1000), 4), 1_170_732);
    }

    #[test]
    fn presentation_shorter_than_half_a_target_has_its_mean_as_peak() {
        let all = segments(&[(1000, 1000)]);
        assert_eq!(peak_bps(&all, scale(1000), 6), 8000);
    }

    #[test]
    fn degenerate_input_gives_a_number() {
        let lead = Ticks::new(0, scale(1));
        for list in [
            vec![],
            vec![(0, 5)],
            vec![(u64::MAX, u64::MAX); 3],
            vec![(1, 0); 3],
        ] {
            let all = segments(&list);
            average_bps(&all, scale(u32::MAX));
            peak_bps(&all, scale(u32::MAX), u32::MAX);
            peak_bps(&all, scale(1), 0);
            dash_bandwidth(&all, scale(u32::MAX), lead);
        }
        assert_eq!(average_bps(&[], scale(1)), 0);
    }

    #[test]
    fn many_tiny_segments_stay_cheap() {
        let all = segments(&vec![(0, 3); 200_000]);
        assert_eq!(peak_bps(&all, scale(1000), 4), u64::MAX);
        let all = segments(&vec![(1, 3); 200_000]);
        assert_eq!(peak_bps(&all, scale(1000), 60), 24_000);
    }

    proptest! {
        #[test]
        fn peak_is_that_of_the_naive_search(
            list in prop::collection::vec((0_u64..3000, 0_u64..100_000), 0..25),
            target in 1_u32..8,
        ) {
            let all = segments(&list);
            let peak = peak_bps(&all, scale(1000), target);
            prop_assert_eq!(peak, naive_peak(&all, scale(1000), target));
        }

        #[test]
        fn dash_bandwidth_is_the_least_that_plays(
            list in prop::collection::vec((0_u64..3000, 0_u64..100_000), 1..25),
            lead in 1_u64..6000,
        ) {
            let all = segments(&list);
            let min_buffer = Ticks::new(i64::try_from(lead).expect("small"), scale(1000));
            let bandwidth = dash_bandwidth(&all, scale(1000), min_buffer);
            let average = average_bps(&all, scale(1000));
            prop_assert!(bandwidth >= average);
            prop_assert!(plays(&all, scale(1000), lead, bandwidth));
            if bandwidth > average {
                prop_assert!(!plays(&all, scale(1000), lead, bandwidth - 1));
            }
        }
    }
}
