//! Trick play and thumbnails: which pictures, how large, at which rates.

use super::ladder::{self, Rung};
use super::{Notes, level, rate};
use crate::media::{
    Policy, StillsPlan, ThumbnailPlan, TrickRendition, VideoCodec, VideoMethod, VideoPlan,
    VideoRange, VideoRecipe,
};
use crate::time::FrameRate;

/// The larger I-frame track has the largest rung with a short side up to this, in pixels.
const TRICK_SIDE: u32 = 480;
/// Short side where the ladder has no such rung.
const TRICK_SIDE_BETWEEN: u32 = 360;
/// Height of the smaller I-frame track in pixels (conformance H48: for visionOS).
const SMALL_HEIGHT: u32 = 160;
/// Longest side of a thumbnail in pixels (conformance H48: 400 wide).
const THUMBNAIL_SIDE: u32 = 400;
/// Seconds that a thumbnail stands for (conformance H48: one to two).
const THUMBNAIL_SECONDS: u32 = 2;
/// Seconds between I-frames (conformance H44).
const I_FRAME_SECONDS: u32 = 1;
/// An I-frame costs about as much as eight frames of a stream that leans on the pictures before
/// (conformance H44): a peak of twice the rate that follows from it.
const PEAK_DIVISOR: u32 = 4;
/// Least peak in bits a second.
const LEAST_PEAK: u32 = 40_000;
/// Seconds at the peak that a decoder's buffer holds: one picture in full, and half the next.
const BUFFER_SECONDS: u32 = 2;
/// What is seen for a blink may be coarser than what is watched.
const COARSER_BY: u32 = 5;

/// The stills of a planned video; none where nothing is decoded or nobody wants them, which is
/// waived.
pub(super) fn plan(video: &VideoPlan, policy: &Policy, notes: &mut Notes) -> Option<StillsPlan> {
    let is_decoded = |method: &VideoMethod| matches!(method, VideoMethod::Encode(_));
    let why = match video.renditions.iter().any(|r| is_decoded(&r.method)) {
        _ if !policy.trick_play => "the policy wants no trick play",
        _ if policy.encryption.is_some() => "encrypted titles have no I-frame tracks yet",
        false => "nothing is decoded, so there are no pictures to make I-frames of",
        true => match tracks(video, policy) {
            tracks if tracks.is_empty() => "no H.264 level allows such pictures",
            tracks => return Some(with_tracks(tracks, video.frame_rate)),
        },
    };
    notes.waive("H43", why);
    None
}

fn with_tracks(tracks: Vec<TrickRendition>, frame_rate: FrameRate) -> StillsPlan {
    let largest = tracks.first().map_or((2, 2), |t| (t.width, t.height));
    let (width, height) = within(largest, THUMBNAIL_SIDE);
    StillsPlan {
        tracks,
        step_frames: rate::frames_in_seconds(frame_rate, I_FRAME_SECONDS),
        thumbnails: ThumbnailPlan {
            width,
            height,
            step_frames: rate::frames_in_seconds(frame_rate, THUMBNAIL_SECONDS),
        },
    }
}

/// The I-frame tracks: one as large as a small rung, and one for previews.
fn tracks(video: &VideoPlan, policy: &Policy) -> Vec<TrickRendition> {
    let Some(largest) = largest(video) else {
        return Vec::new();
    };
    let track = |id: String, rung: Rung| {
        let recipe = recipe(rung, video.frame_rate, policy)?;
        let Rung { width, height } = rung;
        Some(TrickRendition {
            id,
            width,
            height,
            recipe,
        })
    };
    let small = (largest.height > SMALL_HEIGHT).then(|| Rung {
        width: even_share(largest.width, SMALL_HEIGHT, largest.height),
        height: SMALL_HEIGHT,
    });
    let mut tracks = Vec::new();
    tracks.extend(track("trick".to_owned(), largest));
    tracks.extend(small.and_then(|rung| track(format!("trick-{SMALL_HEIGHT}"), rung)));
    tracks
}

fn largest(video: &VideoPlan) -> Option<Rung> {
    let rung = |width, height| Rung { width, height };
    let rungs = video.renditions.iter().map(|r| rung(r.width, r.height));
    let fitting = rungs.clone().find(|rung| rung.short() <= TRICK_SIDE);
    let between = |top: Rung| ladder::scaled(top.width, top.height, TRICK_SIDE_BETWEEN);
    fitting.or_else(|| rungs.clone().next().map(between))
}

fn recipe(rung: Rung, frame_rate: FrameRate, policy: &Policy) -> Option<VideoRecipe> {
    let usual = ladder::maxrate(rung, frame_rate, false, true);
    let maxrate = (usual / PEAK_DIVISOR).max(LEAST_PEAK);
    let bufsize = maxrate * BUFFER_SECONDS;
    Some(VideoRecipe {
        preset: policy.preset,
        crf: (policy.crf + COARSER_BY).min(51),
        maxrate,
        bufsize,
        // Players show I-frames as fast as the title has frames.
        level: level::smallest(rung.width, rung.height, frame_rate, maxrate, bufsize)?,
        threads: 1,
        head_frames: 0,
        tail_frames: 0,
        codec: VideoCodec::H264,
        range: VideoRange::Sdr,
    })
}

/// The size with neither side above `most`, in even numbers.
fn within((width, height): (u32, u32), most: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= most {
        return (width, height);
    }
    (
        even_share(width, most, longest),
        even_share(height, most, longest),
    )
}

/// `length * part / whole`, the nearest even number above 0.
fn even_share(length: u32, part: u32, whole: u32) -> u32 {
    let whole = u64::from(whole.max(1));
    let half = (u64::from(length) * u64::from(part) + whole - 1) / (2 * whole);
    u32::try_from(half * 2).unwrap_or(u32::MAX).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Passthrough, Plan};
    use crate::plan::fixture::{Shape, index, video};
    use crate::plan::{Inspection, plan as plan_all};

    fn planned(size: (u32, u32), policy: &Policy) -> Plan {
        let shape = Shape {
            size,
            ..Shape::default()
        };
        let source = index(vec![video(&shape, 200)]);
        plan_all(&source, "digest", policy, &Inspection::default()).expect("plans")
    }

    fn stills(size: (u32, u32), policy: &Policy) -> StillsPlan {
        let plan = planned(size, policy);
        plan.video.and_then(|video| video.stills).expect("stills")
    }

    fn sizes(stills: &StillsPlan) -> Vec<(u32, u32)> {
        let tracks = stills.tracks.iter().map(|t| (t.width, t.height));
        let thumbnails = stills.thumbnails;
        tracks
            .chain([(thumbnails.width, thumbnails.height)])
            .collect()
    }

    #[test]
    fn pictures_are_small_and_keep_their_shape() {
        for (source, expected) in [
            ((1920, 1080), vec![(640, 360), (284, 160), (400, 224)]),
            ((1080, 1920), vec![(360, 640), (90, 160), (224, 400)]),
            ((854, 480), vec![(854, 480), (284, 160), (400, 224)]),
            ((320, 240), vec![(320, 240), (214, 160), (320, 240)]),
            ((160, 120), vec![(160, 120), (160, 120)]),
        ] {
            assert_eq!(sizes(&stills(source, &Policy::default())), expected);
        }
    }

    #[test]
    fn without_a_small_rung_they_are_smaller_than_any() {
        let policy = Policy {
            rungs: vec![1080, 720],
            ..Policy::default()
        };
        assert_eq!(sizes(&stills((1920, 1080), &policy))[0], (640, 360));
    }

    #[test]
    fn i_frames_come_each_second_and_thumbnails_each_two() {
        let stills = stills((1280, 720), &Policy::default());
        assert_eq!(
            (stills.step_frames, stills.thumbnails.step_frames),
            (30, 60)
        );
        let recipe = &stills.tracks[0].recipe;
        assert_eq!((recipe.maxrate, recipe.level), (200_000, 30));
    }

    #[test]
    fn who_wants_none_or_decodes_nothing_gets_a_waiver() {
        let without = [
            Policy {
                trick_play: false,
                ..Policy::default()
            },
            Policy {
                passthrough: Passthrough::Only,
                ..Policy::default()
            },
        ];
        for policy in without {
            let shape = Shape::default();
            let track = video(&shape, 240);
            let inspection = Inspection {
                idr_samples: Some(track.samples.sync_numbers().collect()),
                ..Inspection::default()
            };
            let source = index(vec![track]);
            let plan = plan_all(&source, "digest", &policy, &inspection).expect("plans");
            assert!(plan.waivers.iter().any(|waiver| waiver.rule == "H43"));
            assert_eq!(plan.video.and_then(|video| video.stills), None);
        }
    }
}
