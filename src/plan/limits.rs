//! Named limits on what is planned, and the ranges of a policy's values.

use crate::error::{Error, Result};
use crate::media::{Policy, VideoInfo};

/// Longest title in seconds.
pub const MAX_DURATION_SECONDS: u32 = 24 * 3600;
/// Longest side of a picture in pixels.
pub const MAX_PICTURE_SIDE: u32 = 8192;
/// Shortest side of a picture in pixels.
const MIN_PICTURE_SIDE: u32 = 16;
/// Most samples in a video track: a day at 240 pictures a second.
pub const MAX_PICTURES: u32 = MAX_DURATION_SECONDS * 240;
/// Most audio tracks that are taken.
pub(crate) const MAX_AUDIO_TRACKS: usize = 32;

/// Refuses values that make no sense.
pub(crate) fn check_policy(policy: &Policy) -> Result<()> {
    let within = |name: &str, value: u32, least: u32, most: u32| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        let text = format!("policy: {name} is {value}; {least} to {most} is allowed");
        Err(Error::invalid(text))
    };
    within("segment_seconds", policy.segment_seconds, 1, 10)?;
    within("gop_seconds", policy.gop_seconds, 1, policy.segment_seconds)?;
    within("chunk_seconds", policy.chunk_seconds, 1, 3600)?;
    within("crf", policy.crf, 0, 51)?;
    within("audio_bitrate", policy.audio_bitrate, 32_000, 512_000)?;
    within(
        "audio_bitrate_low",
        policy.audio_bitrate_low,
        24_000,
        512_000,
    )?;
    for rung in &policy.rungs {
        within("rungs", *rung, MIN_PICTURE_SIDE, 4320)?;
    }
    Ok(())
}

/// Refuses pictures that are too large or too small to be made into anything.
pub(crate) fn check_picture(info: &VideoInfo) -> Result<()> {
    let (width, height) = info.upright_size();
    let sides = [info.width, info.height, width, height];
    if sides.iter().any(|side| *side > MAX_PICTURE_SIDE) {
        return Err(Error::unsupported(format!(
            "the picture is {width}x{height}; the limit is {MAX_PICTURE_SIDE} pixels a side"
        )));
    }
    if sides.iter().any(|side| *side < MIN_PICTURE_SIDE) {
        return Err(Error::unsupported(format!(
            "the picture is {width}x{height}; at least {MIN_PICTURE_SIDE} pixels a side are needed"
        )));
    }
    Ok(())
}

/// Refuses titles that are too long.
pub(crate) fn check_duration(seconds: i64) -> Result<()> {
    if seconds > i64::from(MAX_DURATION_SECONDS) {
        return Err(Error::unsupported(format!(
            "the title lasts {seconds} s by its timestamps; the limit is {MAX_DURATION_SECONDS} s"
        )));
    }
    Ok(())
}

/// Refuses video tracks with more samples than a day of the fastest video has.
pub(crate) fn check_pictures(count: usize) -> Result<()> {
    if u32::try_from(count).is_ok_and(|count| count <= MAX_PICTURES) {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "the video track has {count} pictures; the limit is {MAX_PICTURES}"
    )))
}
