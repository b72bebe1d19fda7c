//! What a plan's renditions will need, in bits a second, before anything is made: for manifests that
//! are published first.
//!
//! What is repackaged is known from the sample tables. Of what is encoded the peak is the most
//! that rate control can reach, and the average is the forecast.

use super::predict::predict;
use crate::bandwidth::{average_bps, peak_bps};
use crate::media::{
    AudioMethod, AudioRendition, ExpectedRates, Plan, SegmentInfo, SourceIndex, SourceTrack,
    VideoMethod, VideoPlan, VideoRecipe,
};
use crate::time::{Rounding, Ticks, Timescale};

/// Bytes of a fragment's boxes without what is said of each sample.
const FRAGMENT_BYTES: u64 = 112;
/// Bytes that a fragment says of each picture: size, composition offset, flags.
const PICTURE_BYTES: u64 = 12;
/// Bytes that a fragment says of each picture's duration, where they differ.
const DURATION_BYTES: u64 = 4;
/// Bytes that a fragment says of each audio frame: its size.
const SOUND_BYTES: u64 = 4;
/// What AAC may need over a few seconds, in percent of its bitrate.
const AAC_PEAK_PERCENT: u64 = 110;

/// The rates of a plan's renditions, in the plan's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// One for each of `plan.video.renditions`.
    pub video: Vec<ExpectedRates>,
    /// One for each of `plan.audio`.
    pub audio: Vec<ExpectedRates>,
}

/// The rates to announce for `plan`, made from `index`.
pub fn expected(plan: &Plan, index: &SourceIndex) -> Expected {
    let target_seconds = target_seconds(plan);
    let mut forecasts = predict(plan, index).renditions.into_iter();
    let mut next_average = || {
        let bytes = forecasts.next().map_or(0, |forecast| forecast.bytes);
        per_second(bytes.saturating_mul(8), plan.duration)
    };
    let mut expected = Expected::default();
    if let Some(video) = &plan.video {
        for rendition in &video.renditions {
            let average = next_average();
            expected.video.push(match &rendition.method {
                VideoMethod::Copy => copied_video(video, index, target_seconds),
                VideoMethod::Encode(recipe) => {
                    capped(encoded_peak(video, recipe, target_seconds), average)
                }
            });
        }
    }
    for rendition in &plan.audio {
        let average = next_average();
        expected.audio.push(match rendition.method {
            AudioMethod::Copy { first_sample } => {
                copied_audio(rendition, first_sample, index, target_seconds)
            }
            AudioMethod::Encode { bitrate, .. } => capped(sound_peak(rendition, bitrate), average),
        });
    }
    expected
}

fn capped(peak_bps: u64, average_bps: u64) -> ExpectedRates {
    ExpectedRates {
        peak_bps,
        average_bps: average_bps.min(peak_bps),
    }
}

/// The longest segment of all in whole seconds, to the nearest (RFC 8216bis 4.4.3.1).
fn target_seconds(plan: &Plan) -> u32 {
    let video = plan.video.iter().flat_map(|video| {
        let spans = video.segments.iter();
        spans.map(|span| Ticks::new(span.duration, video.timescale))
    });
    let audio = plan.audio.iter().flat_map(|rendition| {
        let rate = audio_rate(rendition);
        let frame = i64::from(rendition.frame_length);
        let spans = rendition.segments.iter();
        spans.map(move |span| Ticks::new(i64::from(span.frames) * frame, rate))
    });
    let second = Timescale::new(1).expect("1 is not zero");
    let seconds = video
        .chain(audio)
        .map(|time| time.to(second, Rounding::Nearest).count);
    u32::try_from(seconds.max().unwrap_or(1)).map_or(u32::MAX, |seconds| seconds.max(1))
}

fn audio_rate(rendition: &AudioRendition) -> Timescale {
    Timescale::new(rendition.sample_rate).unwrap_or(Timescale::MICROS)
}

/// `bits` over `time`, rounded up.
fn per_second(bits: u64, time: Ticks) -> u64 {
    let ticks = u128::from(time.count.unsigned_abs().max(1));
    let scaled = u128::from(bits) * u128::from(time.timescale.get());
    u64::try_from(scaled.div_ceil(ticks)).unwrap_or(u64::MAX)
}

/// The decoder's buffer, full at first, is empty after the shortest run of segments that counts
/// for the peak; what arrives meanwhile is used up too.
fn encoded_peak(video: &VideoPlan, recipe: &VideoRecipe, target_seconds: u32) -> u64 {
    let lengths: Vec<i64> = video.segments.iter().map(|span| span.duration).collect();
    let time = Ticks::new(
        shortest_run(&lengths, target_seconds, video.timescale),
        video.timescale,
    );
    let rate = video.frame_rate;
    let frames = u64::from(rate.numerator()).div_ceil(u64::from(rate.denominator()));
    let shortest = lengths.iter().copied().min().unwrap_or(1);
    let boxes = per_second(
        FRAGMENT_BYTES * 8,
        Ticks::new(shortest.max(1), video.timescale),
    );
    u64::from(recipe.maxrate)
        + per_second(u64::from(recipe.bufsize), time)
        + frames * PICTURE_BYTES * 8
        + boxes
}

/// The length of the shortest run of segments of half to one and a half target durations (RFC
/// 8216bis 4.1); of all of them, if no run is.
fn shortest_run(lengths: &[i64], target_seconds: u32, timescale: Timescale) -> i64 {
    let target = i64::from(target_seconds) * i64::from(timescale.get());
    let mut shortest: Option<i64> = None;
    let (mut from, mut sum) = (0, 0_i64);
    for length in lengths {
        sum = sum.saturating_add(*length);
        // Without its first segment the run must be too short.
        while let Some(first) = lengths.get(from)
            && (sum - first).saturating_mul(2) >= target
        {
            sum -= first;
            from += 1;
        }
        let doubled = sum.saturating_mul(2);
        if doubled >= target && doubled <= target.saturating_mul(3) {
            shortest = Some(shortest.map_or(sum, |shortest| shortest.min(sum)));
        }
    }
    let all = || {
        lengths
            .iter()
            .fold(0_i64, |all, one| all.saturating_add(*one))
    };
    shortest.unwrap_or_else(all).max(1)
}

fn sound_peak(rendition: &AudioRendition, bitrate: u32) -> u64 {
    let frames =
        u64::from(rendition.sample_rate).div_ceil(u64::from(rendition.frame_length.max(1)));
    u64::from(bitrate) * AAC_PEAK_PERCENT / 100 + (frames * SOUND_BYTES + FRAGMENT_BYTES) * 8
}

fn copied_video(video: &VideoPlan, index: &SourceIndex, target_seconds: u32) -> ExpectedRates {
    let first = video.frame_map.get(0).unwrap_or(0);
    let picture_bytes = match video.frame_duration {
        Some(_) => PICTURE_BYTES,
        None => PICTURE_BYTES + DURATION_BYTES,
    };
    let spans = video.segments.iter().map(|span| CopiedSpan {
        samples: span.frames,
        duration: span.duration.unsigned_abs(),
        sample_bytes: picture_bytes,
    });
    let track = index.tracks.get(video.source_track);
    let segments = copied_segments(track, first, spans);
    measured(&segments, video.timescale, target_seconds)
}

fn copied_audio(
    rendition: &AudioRendition,
    first: u32,
    index: &SourceIndex,
    target_seconds: u32,
) -> ExpectedRates {
    let frame = u64::from(rendition.frame_length);
    let end = rendition.samples + u64::from(rendition.priming);
    let spans = rendition.segments.iter().map(|span| {
        let whole = u64::from(span.frames) * frame;
        let left = end.saturating_sub(u64::from(span.first_frame) * frame);
        // The track's last frame is cut short, and then each frame's duration is written.
        let (duration, durations) = match left < whole {
            true => (left.max(1), DURATION_BYTES),
            false => (whole, 0),
        };
        CopiedSpan {
            samples: span.frames,
            duration,
            sample_bytes: SOUND_BYTES + durations,
        }
    });
    let track = index.tracks.get(rendition.source_track);
    let segments = copied_segments(track, first, spans);
    measured(&segments, audio_rate(rendition), target_seconds)
}

/// One repackaged segment.
struct CopiedSpan {
    samples: u32,
    /// In ticks of the rendition.
    duration: u64,
    /// What its fragment says of each sample.
    sample_bytes: u64,
}

/// The segments that the samples from number `first` on will be.
fn copied_segments(
    track: Option<&SourceTrack>,
    first: u32,
    spans: impl Iterator<Item = CopiedSpan>,
) -> Vec<SegmentInfo> {
    let Some(track) = track else {
        return Vec::new();
    };
    let mut samples = track.samples.iter_from(first);
    let mut segments = Vec::new();
    for span in spans {
        let sizes = samples.by_ref().take(span.samples as usize);
        let bytes: u64 = sizes.map(|sample| u64::from(sample.place.size)).sum();
        segments.push(SegmentInfo {
            duration: span.duration,
            bytes: bytes + u64::from(span.samples) * span.sample_bytes + FRAGMENT_BYTES,
        });
    }
    segments
}

fn measured(segments: &[SegmentInfo], timescale: Timescale, target_seconds: u32) -> ExpectedRates {
    capped(
        peak_bps(segments, timescale, target_seconds),
        average_bps(segments, timescale),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lengths: &[i64]) -> i64 {
        let seconds = Timescale::new(1000).expect("not zero");
        let lengths: Vec<i64> = lengths.iter().map(|length| length * 1000).collect();
        shortest_run(&lengths, 6, seconds) / 1000
    }

    #[test]
    fn the_shortest_run_is_of_half_a_target_at_least() {
        assert_eq!(run(&[6, 6, 6]), 6);
        assert_eq!(run(&[2, 2, 4, 6, 6]), 4);
        assert_eq!(run(&[6, 6, 1]), 6);
        assert_eq!(run(&[6, 3]), 3);
        assert_eq!(run(&[2]), 2);
    }
}
