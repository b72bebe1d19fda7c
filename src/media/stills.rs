//! Still pictures made beside the video: I-frame tracks for trick play, and thumbnails.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{TrackCommon, VideoEncode, VideoRecipe, VideoSpan};
use crate::time::{FrameRate, Timescale};

/// The stills of a plan. They are made with the video, of pictures that are decoded anyway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillsPlan {
    /// I-frame tracks, largest picture first.
    pub tracks: Vec<TrickRendition>,
    /// Output frames between two I-frames, counted from each cut: about a second.
    pub step_frames: u32,
    /// The thumbnails.
    pub thumbnails: ThumbnailPlan,
}

/// An I-frame track: H.264, every picture an IDR picture, on the cut grid of the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrickRendition {
    /// Its name in URLs: `trick`, `trick-160`.
    pub id: String,
    /// Picture width, even.
    pub width: u32,
    /// Picture height, even.
    pub height: u32,
    /// How it is encoded, in I-frames a second rather than frames.
    pub recipe: VideoRecipe,
}

/// Single JPEGs at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThumbnailPlan {
    /// Width, even.
    pub width: u32,
    /// Height, even.
    pub height: u32,
    /// Output frames that one of them stands for: about two seconds.
    pub step_frames: u32,
}

/// An I-frame of a trick track: the first frame it shows, and for how many it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillSpan {
    /// Its frame on the output grid.
    pub first_frame: u32,
    /// Frames until the next one, or until the segment ends.
    pub frames: u32,
}

impl StillsPlan {
    /// The I-frames of a segment: its first frame, and one each `step_frames` from there, as long
    /// as at least half of that is left. Together they last as long as the segment.
    pub fn i_frames(&self, segment: &VideoSpan) -> impl Iterator<Item = StillSpan> + use<> {
        let (first, frames, step) = (segment.first_frame, segment.frames, self.step_frames.max(1));
        let count = (u64::from(frames) + u64::from(step) / 2) / u64::from(step);
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        (0..count).map(move |at| StillSpan {
            first_frame: first + at * step,
            frames: if at + 1 == count {
                frames - at * step
            } else {
                step
            },
        })
    }
}

impl ThumbnailPlan {
    /// The numbers, from 1, of the thumbnails that show frames of a segment. May be empty: a
    /// segment may be shorter than the distance between two.
    pub fn numbers(&self, segment: &VideoSpan) -> Range<u32> {
        let end = segment.first_frame.saturating_add(segment.frames);
        self.before(segment.first_frame) + 1..self.before(end) + 1
    }

    /// The output frame that thumbnail `number` (from 1) shows.
    pub fn frame(&self, number: u32) -> u32 {
        number.saturating_sub(1).saturating_mul(self.step_frames)
    }

    /// How many there are for so many frames.
    pub fn count(&self, frames: u32) -> u32 {
        self.before(frames)
    }

    /// Thumbnails that show frames before `frame`.
    fn before(&self, frame: u32) -> u32 {
        frame.div_ceil(self.step_frames.max(1))
    }
}

/// What a video task makes of stills, beside its renditions. Their samples come as those of
/// renditions after the task's own: the I-frame tracks in order, then, as one more, the thumbnails,
/// each a whole JPEG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillsTask {
    /// The encoders of the I-frame tracks, largest picture first.
    pub tracks: Vec<VideoEncode>,
    /// The frames that they show, on the plan's frame grid, ascending. Within those that are kept.
    pub i_frames: Vec<u32>,
    /// Width of a thumbnail, not above that of the first track.
    pub thumbnail_width: u32,
    /// Height of a thumbnail, likewise.
    pub thumbnail_height: u32,
    /// The frames that thumbnails show, on the plan's frame grid, ascending.
    pub thumbnails: Vec<u32>,
}

/// The stills of a presentation. Manifests that were written before all was made don't have them:
/// the sizes of I-frames aren't known before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stills {
    /// I-frame tracks, largest picture first.
    pub tracks: Vec<TrickTrack>,
    /// The thumbnails.
    pub thumbnails: Thumbnails,
}

/// An I-frame track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrickTrack {
    /// What every track has; its segments hold several fragments of one I-frame each.
    #[serde(flatten)]
    pub common: TrackCommon,
    /// Picture width.
    pub width: u32,
    /// Picture height.
    pub height: u32,
    /// I-frames a second, but for what is left over at the ends of segments.
    pub frame_rate: FrameRate,
    /// How many times as fast as the title a decoder of its level may show it.
    pub max_speed: u32,
    /// What its I-frames need, played at the speed of the title.
    pub rates: StillRates,
}

/// Single JPEGs, one for each `duration` ticks; the last stands for what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnails {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Ticks a second.
    pub timescale: Timescale,
    /// Ticks that one of them stands for.
    pub duration: u64,
    /// How many there are.
    pub count: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// What they need, shown at the speed of the title.
    pub rates: StillRates,
}

/// Measured rates in bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StillRates {
    /// The peak as HLS defines it, with each picture as a segment.
    pub peak_bps: u64,
    /// The mean.
    pub average_bps: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{Preset, VideoCodec, VideoRange};

    fn plan(step_frames: u32) -> StillsPlan {
        let recipe = VideoRecipe {
            preset: Preset::Veryfast,
            crf: 29,
            maxrate: 200_000,
            bufsize: 400_000,
            level: 30,
            threads: 1,
            head_frames: 0,
            tail_frames: 0,
            codec: VideoCodec::H264,
            range: VideoRange::Sdr,
        };
        StillsPlan {
            tracks: vec![TrickRendition {
                id: "trick".into(),
                width: 640,
                height: 360,
                recipe,
            }],
            step_frames,
            thumbnails: ThumbnailPlan {
                width: 400,
                height: 224,
                step_frames: step_frames * 2,
            },
        }
    }

    fn segment(first_frame: u32, frames: u32) -> VideoSpan {
        VideoSpan {
            first_frame,
            frames,
            start: i64::from(first_frame),
            duration: i64::from(frames),
        }
    }

    #[test]
    fn a_short_rest_goes_to_the_i_frame_before() {
        let frames = |count| -> Vec<(u32, u32)> {
            let spans = plan(30).i_frames(&segment(100, count));
            spans.map(|s| (s.first_frame, s.frames)).collect()
        };
        assert_eq!(frames(1), [(100, 1)]);
        assert_eq!(frames(44), [(100, 44)]);
        assert_eq!(frames(45), [(100, 30), (130, 15)]);
        assert_eq!(frames(60), [(100, 30), (130, 30)]);
    }

    proptest! {
        #[test]
        fn i_frames_fill_their_segment(
            step in 1_u32..70,
            first in 0_u32..1_000_000,
            count in 1_u32..1000,
        ) {
            let mut next = first;
            for span in plan(step).i_frames(&segment(first, count)) {
                prop_assert_eq!(span.first_frame, next);
                prop_assert!(span.frames > 0);
                next += span.frames;
            }
            prop_assert_eq!(next, first + count);
        }

        #[test]
        fn every_thumbnail_belongs_to_one_segment(
            step in 1_u32..70,
            lengths in prop::collection::vec(1_u32..300, 1..20),
        ) {
            let thumbnails = plan(step).thumbnails;
            let (mut first, mut next) = (0, 1);
            for length in lengths {
                let segment = segment(first, length);
                for number in thumbnails.numbers(&segment) {
                    prop_assert_eq!(number, next);
                    let frame = thumbnails.frame(number);
                    prop_assert!((first..first + length).contains(&frame));
                    next += 1;
                }
                first += length;
            }
            prop_assert_eq!(thumbnails.count(first), next - 1);
        }
    }
}
