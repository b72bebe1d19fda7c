//! Whether the source's own video can be a rung, sample by sample.
//!
//! Automatic repackaging asks for all that an encoded rung would be (conformance A01, A03, A05,
//! H15); each refusal has its reason. Repackaging by order (`only`) asks for H.264 and a place
//! to start.

use super::frames::FrameGrid;
use super::pictures::{Pictures, Shown};
use super::{Inspection, ladder, level, limits, tracks};
use crate::codec::avc::AvcConfig;
use crate::media::{Codec, Colour, Orientation, PixelAspect, SourceTrack};
use crate::media::{Passthrough, Policy, VideoCodec};
use crate::time::{Rounding, Ticks, Timescale, rescale};

/// Why the source's video isn't repackaged.
pub(crate) type Refusal = String;

/// What can be told without looking at samples.
pub(crate) fn check_track(track: &SourceTrack, policy: &Policy) -> Result<(), Refusal> {
    if track.codec != Codec::H264 {
        return Err(format!("its codec is {}, not h264", track.codec));
    }
    if !track.samples.reconfigurations().is_empty() {
        return Err("its configuration changes on the way".to_owned());
    }
    let config = AvcConfig::parse(&track.config).map_err(|error| error.to_string())?;
    if policy.passthrough == Passthrough::Only {
        return Ok(());
    }
    if !policy.codecs.contains(&VideoCodec::H264) {
        return Err("the policy asks for no H.264".to_owned());
    }
    let info = tracks::video_info(track).ok_or("it is not video")?;
    limits::check_picture(info).map_err(|error| error.to_string())?;
    let odd = !info.width.is_multiple_of(2) || !info.height.is_multiple_of(2);
    let named = &policy.rungs;
    let short = info.width.min(info.height);
    let top = named.iter().filter(|side| **side <= short).max();
    let checks = [
        (
            info.orientation != Orientation::default(),
            "its picture is turned",
        ),
        (
            info.pixel_aspect != PixelAspect::SQUARE,
            "its pixels are not square",
        ),
        (odd, "its size is odd"),
        (
            !is_plain_colour(info.colour),
            "its colours are not BT.709 or BT.601",
        ),
        (
            !named.is_empty() && top != Some(&short),
            "the policy names other sizes",
        ),
    ];
    first_failed(&checks)?;
    check_stream(&config)
}

/// 8-bit 4:2:0 progressive, High profile or below, level 5.2 or below.
fn check_stream(config: &AvcConfig) -> Result<(), Refusal> {
    let sps = config.sps().map_err(|error| error.to_string())?;
    let format = sps.format;
    let deep = format.bit_depth_luma != 8 || format.bit_depth_chroma != 8;
    first_failed(&[
        (
            !matches!(sps.profile, 66 | 77 | 100),
            "its profile is above High",
        ),
        (
            u32::from(sps.level) > level::MAX_LEVEL,
            "its level is above 5.2",
        ),
        (deep || format.chroma_format != 1, "it is not 8-bit 4:2:0"),
        (!sps.frame_mbs_only, "it may be interlaced"),
        (
            !is_plain_colour(sps.colour()),
            "its colours are not BT.709 or BT.601",
        ),
        (
            config.sets.sps.len() != 1,
            "it has several sequence parameter sets",
        ),
    ])
}

fn first_failed(checks: &[(bool, &str)]) -> Result<(), Refusal> {
    match checks.iter().find(|(failed, _)| *failed) {
        Some((_, reason)) => Err((*reason).to_owned()),
        None => Ok(()),
    }
}

/// Unspecified, BT.709, or BT.601 in either line count (ISO/IEC 23091-2: 1, 2, 5, 6), limited.
fn is_plain_colour(colour: Colour) -> bool {
    let plain = |code: u8| matches!(code, 1 | 2 | 5 | 6);
    plain(colour.primaries) && plain(colour.transfer) && plain(colour.matrix) && !colour.full_range
}

/// Ranks, ascending, of the IDR pictures that nothing crosses.
pub(crate) fn closed_idrs(
    pictures: &Pictures,
    inspection: &Inspection,
) -> Result<Vec<u32>, Refusal> {
    let Some(idrs) = &inspection.idr_samples else {
        return Err("its samples were not inspected".to_owned());
    };
    let mut idrs = idrs.clone();
    idrs.sort_unstable();
    let closed = pictures
        .closed_points()
        .filter(|rank| pictures.number(*rank) == Some(*rank) && idrs.binary_search(rank).is_ok());
    Ok(closed.collect())
}

/// Whether the shown pictures can be a rung of their own. Gives the frames (from 0) at which
/// segments can begin.
pub(crate) fn check_auto(
    track: &SourceTrack,
    pictures: &Pictures,
    grid: &FrameGrid,
    policy: &Policy,
    inspection: &Inspection,
) -> Result<Vec<u32>, Refusal> {
    if inspection.in_band_parameter_sets {
        return Err("its samples repeat parameter sets".to_owned());
    }
    check_track(track, policy)?;
    let shown = grid.shown;
    first_failed(&[
        (
            grid.holds() || grid.body_frames != shown.len(),
            "a picture must be held",
        ),
        (
            !grid.cadence.one_to_one(),
            "its frame rate is not constant or above 60",
        ),
    ])?;
    let idrs = closed_idrs(pictures, inspection)?;
    let inside = |rank: &u32| (shown.first..shown.end).contains(rank);
    let starts: Vec<u32> = idrs
        .into_iter()
        .filter(inside)
        .map(|rank| rank - shown.first)
        .collect();
    if starts.first() != Some(&0) {
        return Err("it does not start with an IDR picture".to_owned());
    }
    if pictures.closed_points().all(|rank| rank != shown.end) {
        return Err("its end is not where pictures are cut".to_owned());
    }
    let syncs = track.samples.sync_numbers().filter(inside).count();
    if syncs != starts.len() {
        return Err("it has sync samples that are no closed IDR pictures".to_owned());
    }
    check_distance(&starts, grid, policy)?;
    check_rate(track, grid, policy)?;
    Ok(starts)
}

/// IDR pictures at most 2.5 GOPs, or 5 s, apart.
fn check_distance(starts: &[u32], grid: &FrameGrid, policy: &Policy) -> Result<(), Refusal> {
    let rate = grid.cadence.output;
    let millis = (u64::from(policy.gop_seconds) * 2500).max(5000);
    let most = millis * u64::from(rate.numerator()) / (1000 * u64::from(rate.denominator()));
    let ends = starts.iter().skip(1).copied().chain([grid.shown.len()]);
    let widest = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| end - start)
        .max();
    if u64::from(widest.unwrap_or(0)) > most + 1 {
        return Err(format!(
            "its IDR pictures are more than {} s apart",
            millis / 1000
        ));
    }
    Ok(())
}

/// At most twice the peak that an encoded rung of that size would have.
fn check_rate(track: &SourceTrack, grid: &FrameGrid, policy: &Policy) -> Result<(), Refusal> {
    let info = tracks::video_info(track).ok_or("it is not video")?;
    let rung = ladder::Rung {
        width: info.width,
        height: info.height,
    };
    let named = !policy.rungs.is_empty();
    let most = u64::from(ladder::maxrate(rung, grid.cadence.output, false, named)) * 2;
    let average = average_rate(track, grid.shown);
    if average.is_none_or(|average| average > most) {
        let average = average.unwrap_or(0) / 1000;
        return Err(format!(
            "its average of {average} kb/s is above {} kb/s",
            most / 1000
        ));
    }
    Ok(())
}

/// Bits a second over the shown samples.
pub(crate) fn average_rate(track: &SourceTrack, shown: Shown) -> Option<u64> {
    let samples = track.samples.iter_from(shown.first);
    let samples = samples.take(shown.len() as usize);
    let ticks: u64 = samples.map(|sample| u64::from(sample.duration)).sum();
    let bits = u128::from(bytes(track, shown)) * 8 * u128::from(track.timescale.get());
    u64::try_from(bits.checked_div(u128::from(ticks))?).ok()
}

/// Bytes of the shown samples.
pub(crate) fn bytes(track: &SourceTrack, shown: Shown) -> u64 {
    let samples = track.samples.iter_from(shown.first);
    let samples = samples.take(shown.len() as usize);
    samples.map(|sample| u64::from(sample.place.size)).sum()
}

/// What of an audio track is repackaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopiedSound {
    /// Number of the source sample that is frame 0.
    pub(crate) first_sample: u32,
    /// PCM samples from its start to the presentation's.
    pub(crate) priming: u32,
    /// Encoded frames.
    pub(crate) frames: u32,
    /// PCM samples presented.
    pub(crate) samples: u64,
}

/// What the presentation asks of an audio track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoundFrame {
    /// PCM samples a second.
    pub(crate) rate: Timescale,
    /// Movie time of the presentation's start.
    pub(crate) origin: Ticks,
    /// PCM samples in the presentation.
    pub(crate) samples: u64,
    /// PCM samples in an encoded frame.
    pub(crate) length: u32,
    /// PCM samples that may be missing at the end.
    pub(crate) short_by: u64,
    /// Only repackaging is allowed: gaps at the end are taken as they are.
    pub(crate) only: bool,
}

/// PCM samples in an AAC-LC frame.
pub(crate) const AAC_FRAME: u32 = 1024;

/// Lays an AAC, AC-3 or E-AC-3 track under the presentation. The first frame is one before the frame that the
/// presentation starts in, where there is one: a decoder needs it to warm up, and the edit list
/// skips it (conformance A08).
pub(crate) fn lay_sound(track: &SourceTrack, frame: SoundFrame) -> Result<CopiedSound, Refusal> {
    let pcm = |ticks: i64, scale: Timescale| rescale(ticks, scale, frame.rate, Rounding::Nearest);
    let first = track.samples.iter().next().ok_or("it has no samples")?;
    let start = pcm(track.movie_time(first.presentation_time()), track.timescale);
    let shown = start.max(pcm(track.edit.delay, track.timescale));
    let origin = pcm(frame.origin.count, frame.origin.timescale);
    let length = i64::from(frame.length);
    let latest = if frame.only {
        i64::from(frame.rate.get()) / 10
    } else {
        length / 2
    };
    if shown.saturating_sub(origin) > latest {
        return Err("it starts after the picture".to_owned());
    }
    let into = origin.saturating_sub(start).max(0);
    let number = (into / length - 1).max(0);
    let first_sample = u32::try_from(number).map_err(|_| "it starts far too early")?;
    let priming = u32::try_from(into - number * length).map_err(|_| "it starts far too early")?;
    let left = u32::try_from(track.samples.len())
        .unwrap_or(u32::MAX)
        .saturating_sub(first_sample);
    let available = (u64::from(left) * u64::from(frame.length)).saturating_sub(u64::from(priming));
    let missing = frame.samples.saturating_sub(available);
    if available == 0 || (!frame.only && missing > frame.short_by) {
        return Err("it ends before the picture".to_owned());
    }
    let samples = frame.samples.min(available);
    let frames = (samples + u64::from(priming)).div_ceil(u64::from(frame.length));
    let frames = u32::try_from(frames).map_err(|_| "it is too long")?;
    Ok(CopiedSound {
        first_sample,
        priming,
        frames,
        samples,
    })
}

/// Whether every sample starts where counting frames of `length` PCM samples says, to half a frame.
pub(crate) fn is_gapless(track: &SourceTrack, rate: Timescale, length: u32) -> bool {
    let constant = track.samples.constant_duration();
    if track.timescale == rate && constant == Some(length) {
        return true;
    }
    let mut first = None;
    let ticks = i128::from(track.timescale.get());
    (0_i128..)
        .zip(track.samples.iter())
        .all(|(number, sample)| {
            let time = i128::from(sample.presentation_time());
            let passed = time - *first.get_or_insert(time);
            let off = passed * i128::from(rate.get()) - number * i128::from(length) * ticks;
            off.abs() * 2 <= i128::from(length) * ticks
        })
}
