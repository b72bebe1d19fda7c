//! Named limits on what is planned. The ranges of a policy's values are with the policy.

use crate::error::{Error, Result};
use crate::media::VideoInfo;

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
/// Most text tracks that are taken.
pub(crate) const MAX_TEXT_TRACKS: usize = 64;

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
