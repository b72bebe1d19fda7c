//! What a plan will cost, roughly: bytes and CPU seconds.
//!
//! Whole numbers throughout, so that the forecast is the same everywhere. The constants were
//! measured on one 2-core machine with 1080p film: x264 veryfast took 0.0445 s a frame, decoding
//! 0.012 s, scaling 4 ns for each pixel made, AAC 0.04 s for a second of sound.

use super::passthrough;
use super::pictures::Shown;
use crate::layout::THUMBNAILS_FOLDER;
use crate::media::{
    AudioMethod, AudioRendition, Plan, Preset, SourceIndex, TrickRendition, VideoCodec,
    VideoMethod, VideoPlan, VideoRecipe,
};

/// Nanoseconds of x264 veryfast for one pixel.
const ENCODE_NANOS: u64 = 21;
/// Nanoseconds to decode one pixel.
const DECODE_NANOS: u64 = 6;
/// Nanoseconds to scale to one pixel.
const SCALE_NANOS: u64 = 4;
/// Nanoseconds to encode a PCM sample of a channel.
const AUDIO_NANOS: u64 = 450;
/// Nanoseconds to repackage one byte.
const COPY_NANOS_PER_1000_BYTES: u64 = 800;
/// Bytes around each sample: its `trun` entry and its share of boxes.
const OVERHEAD_BYTES: u64 = 13;
/// Bits for 1000 pixels at constant rate factor 23 and medium motion.
const BITS_PER_1000_PIXELS: u64 = 60;
/// The same for I-frames.
const STILL_BITS_PER_1000_PIXELS: u64 = 600;
/// Boxes around each I-frame.
const FRAGMENT_BYTES: u64 = 116;
/// Bits for 1000 pixels of a thumbnail.
const JPEG_BITS_PER_1000_PIXELS: u64 = 900;
/// Tables and headers of a thumbnail.
const JPEG_HEAD_BYTES: u64 = 620;
/// Nanoseconds for one pixel of a thumbnail.
const JPEG_NANOS: u64 = 20;

/// The forecast of one rendition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RenditionPrediction {
    /// The rendition's id.
    pub id: String,
    /// Size of all its segments in bytes.
    pub bytes: u64,
    /// CPU time in milliseconds, decoding not included.
    pub cpu_millis: u64,
}

/// The forecast of a plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Prediction {
    /// One for each rendition: video, then audio, in the plan's order.
    pub renditions: Vec<RenditionPrediction>,
    /// CPU time of decoding in milliseconds, once for all renditions.
    pub decode_cpu_millis: u64,
    /// One for each I-frame track, and one for all thumbnails.
    pub stills: Vec<RenditionPrediction>,
}

impl Prediction {
    /// Bytes of everything.
    pub fn total_bytes(&self) -> u64 {
        self.all().map(|made| made.bytes).sum()
    }

    fn all(&self) -> impl Iterator<Item = &RenditionPrediction> {
        self.renditions.iter().chain(&self.stills)
    }

    /// CPU milliseconds of everything.
    pub fn total_cpu_millis(&self) -> u64 {
        let made: u64 = self.all().map(|made| made.cpu_millis).sum();
        made + self.decode_cpu_millis
    }
}

/// Forecasts what making `plan` from `index` costs.
pub fn predict(plan: &Plan, index: &SourceIndex) -> Prediction {
    let mut renditions = Vec::new();
    let mut decode_nanos = 0;
    if let Some(video) = &plan.video {
        let decodes = video
            .renditions
            .iter()
            .any(|r| matches!(r.method, VideoMethod::Encode(_)));
        let pixels = u64::from(video.picture.width) * u64::from(video.picture.height);
        if decodes {
            decode_nanos = pixels * u64::from(video.frames) * DECODE_NANOS;
        }
        renditions.extend(video.renditions.iter().map(|rendition| {
            let area = u64::from(rendition.width) * u64::from(rendition.height);
            let (bytes, nanos) = match &rendition.method {
                VideoMethod::Copy => copied_video(video, index),
                VideoMethod::Encode(recipe) => encoded_video(video, area, recipe),
            };
            forecast(
                &rendition.id,
                bytes + u64::from(video.frames) * OVERHEAD_BYTES,
                nanos,
            )
        }));
    }
    for rendition in &plan.audio {
        let (bytes, nanos) = sound(rendition, index);
        renditions.push(forecast(&rendition.id, bytes, nanos));
    }
    Prediction {
        renditions,
        decode_cpu_millis: decode_nanos / 1_000_000,
        stills: plan.video.as_ref().map(stills).unwrap_or_default(),
    }
}

/// The stills: I-frames and thumbnails.
fn stills(video: &VideoPlan) -> Vec<RenditionPrediction> {
    let Some(plan) = &video.stills else {
        return Vec::new();
    };
    let i_frames = |segment| plan.i_frames(segment).count() as u64;
    let i_frames: u64 = video.segments.iter().map(i_frames).sum();
    let track = |track: &TrickRendition| {
        let pixels = u64::from(track.width) * u64::from(track.height) * i_frames;
        let bits = halved_each_six(pixels / 1000 * STILL_BITS_PER_1000_PIXELS, track.recipe.crf);
        let most = u64::from(track.recipe.maxrate) * i_frames * 9 / 10;
        let bytes = bits.min(most) / 8 + i_frames * FRAGMENT_BYTES;
        let tenths = preset_tenths(track.recipe.preset);
        forecast(
            &track.id,
            bytes,
            pixels * (ENCODE_NANOS * tenths / 10 + SCALE_NANOS),
        )
    };
    let thumbnails = plan.thumbnails;
    let count = u64::from(thumbnails.count(video.frames));
    let pixels = u64::from(thumbnails.width) * u64::from(thumbnails.height) * count;
    let bytes = pixels / 1000 * JPEG_BITS_PER_1000_PIXELS / 8 + count * JPEG_HEAD_BYTES;
    let jpegs = forecast(THUMBNAILS_FOLDER, bytes, pixels * JPEG_NANOS);
    plan.tracks.iter().map(track).chain([jpegs]).collect()
}

fn forecast(id: &str, bytes: u64, nanos: u64) -> RenditionPrediction {
    RenditionPrediction {
        id: id.to_owned(),
        bytes,
        cpu_millis: nanos / 1_000_000,
    }
}

fn copied_video(video: &VideoPlan, index: &SourceIndex) -> (u64, u64) {
    let first = video.frame_map.get(0).unwrap_or(0);
    let shown = Shown {
        first,
        end: first.saturating_add(video.frames),
    };
    let track = index.tracks.get(video.source_track);
    let bytes = track.map_or(0, |track| passthrough::bytes(track, shown));
    (bytes, bytes / 1000 * COPY_NANOS_PER_1000_BYTES)
}

fn encoded_video(video: &VideoPlan, area: u64, recipe: &VideoRecipe) -> (u64, u64) {
    let pixels = area * u64::from(video.frames);
    let (bits_percent, tenths_more) = codec_factors(recipe.codec);
    // The scales meet where they look alike.
    let crf = match recipe.codec {
        VideoCodec::H264 => recipe.crf,
        VideoCodec::Hevc => recipe.crf.saturating_sub(3),
        VideoCodec::Av1 => recipe.crf * 23 / 35,
    };
    let bits = halved_each_six(pixels / 1000 * BITS_PER_1000_PIXELS, crf) * bits_percent / 100;
    let most = u64::from(recipe.maxrate) * millis_of(video) / 1000 * 9 / 10;
    let tenths = preset_tenths(recipe.preset) * tenths_more / 10;
    let nanos = pixels * (ENCODE_NANOS * tenths / 10 + SCALE_NANOS);
    (bits.min(most) / 8, nanos)
}

/// Bits against H.264's in percent, and CPU against x264's in tenths at the same effort.
fn codec_factors(codec: VideoCodec) -> (u64, u64) {
    match codec {
        VideoCodec::H264 => (100, 10),
        VideoCodec::Hevc => (65, 40),
        VideoCodec::Av1 => (55, 30),
    }
}

/// x264 halves its bits for every six steps of the rate factor.
fn halved_each_six(bits_at_23: u64, crf: u32) -> u64 {
    match crf.checked_sub(23) {
        Some(more) => (bits_at_23 >> (more / 6)) * u64::from(12 - more % 6) / 12,
        None => (bits_at_23 << ((23 - crf) / 6)) * u64::from(6 + (23 - crf) % 6) / 6,
    }
}

/// CPU of a preset against veryfast, in tenths.
fn preset_tenths(preset: Preset) -> u64 {
    match preset {
        Preset::Ultrafast => 4,
        Preset::Superfast => 7,
        Preset::Veryfast => 10,
        Preset::Faster => 16,
        Preset::Fast => 22,
        Preset::Medium => 28,
        Preset::Slow => 48,
        Preset::Slower => 110,
        Preset::Veryslow => 190,
    }
}

fn millis_of(video: &VideoPlan) -> u64 {
    let ticks: i64 = video.segments.iter().map(|span| span.duration).sum();
    u64::try_from(ticks).unwrap_or(0) * 1000 / u64::from(video.timescale.get())
}

fn sound(rendition: &AudioRendition, index: &SourceIndex) -> (u64, u64) {
    let frames: u64 = rendition
        .segments
        .iter()
        .map(|span| u64::from(span.frames))
        .sum();
    let overhead = frames * OVERHEAD_BYTES;
    match rendition.method {
        AudioMethod::Encode { bitrate, .. } => {
            let bytes = u64::from(bitrate) * rendition.samples
                / u64::from(rendition.sample_rate.max(1))
                / 8;
            let nanos = rendition.samples * u64::from(rendition.channels) * AUDIO_NANOS;
            (bytes + overhead, nanos)
        }
        AudioMethod::Copy { .. } => {
            let track = index.tracks.get(rendition.source_track);
            let all = track.map_or(0, |track| track.samples.total_bytes());
            let count = track.map_or(1, |track| track.samples.len() as u64).max(1);
            let bytes = all * frames / count;
            (bytes + overhead, bytes / 1000 * COPY_NANOS_PER_1000_BYTES)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_factor_halves_bits_every_six_steps() {
        assert_eq!(halved_each_six(1200, 23), 1200);
        assert_eq!(halved_each_six(1200, 29), 600);
        assert_eq!(halved_each_six(1200, 17), 2400);
        for crf in 0..51 {
            assert!(
                halved_each_six(1 << 40, crf) > halved_each_six(1 << 40, crf + 1),
                "{crf}"
            );
        }
    }
}
