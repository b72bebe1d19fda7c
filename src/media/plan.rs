//! The plan: what will be made of a source, to the frame, the tick and the audio sample.
//!
//! A plan is computed once, purely, from the index and the policy. Every worker that holds it
//! makes the same bytes.

use serde::{Deserialize, Serialize};

use super::{
    Chapter, Codec, Colour, Disposition, EncryptionPlan, Level, Light, Orientation, PixelAspect,
    Preset, Scan, StillsPlan, TextRendition, VideoCodec, VideoRange,
};
use crate::time::{FrameRate, Ticks, Timescale};

/// Changes whenever the same plan would give other bytes; part of every revision.
pub const FORMAT_VERSION: u32 = 2;

/// Frames by which an encoder of ours may decode a picture before it is shown: B pictures, some of
/// them references.
pub const REORDER_FRAMES: u32 = 2;

/// The whole plan of one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT_VERSION`] of the planner.
    pub format_version: u32,
    /// Digest of the source's bytes (BLAKE3, hex).
    pub source_digest: String,
    /// Length of the presentation.
    pub duration: Ticks,
    /// The video, if the source has any that can be used.
    pub video: Option<VideoPlan>,
    /// The audio renditions, in the order manifests list them. Each language's best first.
    pub audio: Vec<AudioRendition>,
    /// What the user should know: things left out, repaired or unusual.
    pub warnings: Vec<String>,
    /// Rules of the standard that this plan knowingly doesn't meet, because the source or the
    /// policy rules it out.
    pub waivers: Vec<Waiver>,
    /// The text tracks that are made of what the source holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<TextRendition>,
    /// The chapters, in order of their starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<Chapter>,
    /// How everything is encrypted; clear without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionPlan>,
}

/// A conformance rule that can't apply to this presentation, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The rule's id, e.g. `H30`.
    pub rule: String,
    /// Why, in words.
    pub reason: String,
}

/// What every video rendition shares: the frame grid, the cut grid, the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// Index into [`super::SourceIndex::tracks`].
    pub source_track: usize,
    /// Ticks a second in all renditions.
    pub timescale: Timescale,
    /// Output frame rate (nominal, where the source's own times are kept).
    pub frame_rate: FrameRate,
    /// Length of one frame in ticks; `None` where a repackaged source keeps its own times.
    pub frame_duration: Option<u32>,
    /// Number of output frames.
    pub frames: u32,
    /// Which source picture each output frame shows.
    pub frame_map: FrameMap,
    /// Distance between IDR pictures in frames, counted from each cut.
    pub gop_frames: u32,
    /// The cut grid: the segments of every rendition, in order, without gaps.
    pub segments: Vec<VideoSpan>,
    /// Runs of segments that are encoded together, in order, without gaps.
    pub chunks: Vec<ChunkSpan>,
    /// How the decoded picture becomes upright, square-pixelled BT.709.
    pub picture: PicturePlan,
    /// The rungs, largest picture first.
    pub renditions: Vec<VideoRendition>,
    /// I-frame tracks and thumbnails, where they are wanted and pictures are decoded at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stills: Option<StillsPlan>,
}

impl VideoPlan {
    /// Whether output frame `frame` must be an IDR picture: at each cut, and each GOP from it.
    pub fn is_idr(&self, frame: u32) -> bool {
        let at = self
            .segments
            .partition_point(|span| span.first_frame <= frame);
        let Some(span) = at.checked_sub(1).map(|i| self.segments[i]) else {
            return false;
        };
        (frame - span.first_frame).is_multiple_of(self.gop_frames.max(1))
    }
}

/// Source picture of each output frame, as runs.
///
/// Pictures are numbered from 0 in presentation order over all samples of the source track.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FrameMap {
    /// Runs, in output order.
    pub runs: Vec<FrameRun>,
}

/// `count` output frames that show pictures `picture`, `picture + step`, `picture + 2*step`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRun {
    /// Number of output frames.
    pub count: u32,
    /// Source picture of the first.
    pub picture: u32,
    /// How far the source moves on each frame: 0 repeats, 1 follows, 2 takes every other.
    pub step: u32,
}

impl FrameMap {
    /// Appends one output frame.
    pub fn push(&mut self, picture: u32) {
        if let Some(run) = self.runs.last_mut() {
            let last = run.picture + run.step * (run.count - 1);
            match picture.checked_sub(last) {
                Some(step) if run.count == 1 || step == run.step => {
                    run.step = step;
                    run.count += 1;
                    return;
                }
                _ => {}
            }
        }
        self.runs.push(FrameRun {
            count: 1,
            picture,
            step: 0,
        });
    }

    /// The source picture of output frame `frame`.
    pub fn get(&self, frame: u32) -> Option<u32> {
        let mut left = frame;
        for run in &self.runs {
            if left < run.count {
                return Some(run.picture + run.step * left);
            }
            left -= run.count;
        }
        None
    }

    /// Source pictures of all output frames, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs
            .iter()
            .flat_map(|run| (0..run.count).map(|k| run.picture + run.step * k))
    }
}

/// One video segment on the cut grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoSpan {
    /// First output frame.
    pub first_frame: u32,
    /// Number of frames.
    pub frames: u32,
    /// Decode and presentation time of its start, in ticks from the presentation's start.
    pub start: i64,
    /// Its length in ticks.
    pub duration: i64,
}

/// A run of consecutive segments, `first_segment .. first_segment + segments` (from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkSpan {
    /// First segment, from 0.
    pub first_segment: u32,
    /// Number of segments.
    pub segments: u32,
}

/// What is done to the decoded picture before it is scaled to a rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PicturePlan {
    /// Decoded width.
    pub width: u32,
    /// Decoded height.
    pub height: u32,
    /// Shape of a decoded pixel.
    pub pixel_aspect: PixelAspect,
    /// How to turn it upright.
    pub orientation: Orientation,
    /// Colour as the source says it; unspecified values are guessed from the size on decoding.
    pub colour: Colour,
    /// What is known of the light in HDR pictures.
    #[serde(default, skip_serializing_if = "Light::is_unknown")]
    pub light: Light,
    /// How interlaced pictures are made whole.
    #[serde(default, skip_serializing_if = "Scan::is_as_marked")]
    pub scan: Scan,
    /// Width and height, upright, that pictures of high dynamic range are tone mapped at for all SDR
    /// renditions, which are scaled from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toned: Option<(u32, u32)>,
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoRendition {
    /// Its name in URLs: `v1080`.
    pub id: String,
    /// Picture width: even, square pixels, upright.
    pub width: u32,
    /// Picture height: even.
    pub height: u32,
    /// How it is made.
    pub method: VideoMethod,
}

/// How a video rendition is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoMethod {
    /// The source's own samples, repackaged.
    Copy,
    /// Decoded and encoded anew.
    Encode(VideoRecipe),
}

/// Everything that decides a video encoder's bytes, apart from the pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoRecipe {
    /// Effort, in x264's words.
    pub preset: Preset,
    /// Constant rate factor, on the codec's own scale.
    pub crf: u32,
    /// Peak rate in bits a second.
    pub maxrate: u32,
    /// Decoder buffer in bits.
    pub bufsize: u32,
    /// Level as the codec counts it: ten times the level for H.264 (`level_idc`), thirty times for
    /// HEVC (`general_level_idc`), an index for AV1 (`seq_level_idx`).
    pub level: u32,
    /// Encoder threads: part of the recipe, because x264's bytes depend on it.
    pub threads: u32,
    /// Frames encoded before the task's first frame and thrown away, so that rate control and
    /// decoder buffer join the neighbour's. A multiple of the GOP.
    pub head_frames: u32,
    /// Frames encoded after the last one and thrown away, so that lookahead sees them.
    pub tail_frames: u32,
    /// The codec.
    #[serde(default, skip_serializing_if = "VideoCodec::is_h264")]
    pub codec: VideoCodec,
    /// The range of light of its pictures.
    #[serde(default, skip_serializing_if = "VideoRange::is_sdr")]
    pub range: VideoRange,
}

impl VideoRendition {
    /// The codec it is made in; of a repackaged one, the source's.
    pub fn codec(&self, source: &Codec) -> VideoCodec {
        match &self.method {
            VideoMethod::Encode(recipe) => recipe.codec,
            VideoMethod::Copy if *source == Codec::HEVC => VideoCodec::Hevc,
            VideoMethod::Copy if *source == Codec::AV1 => VideoCodec::Av1,
            VideoMethod::Copy => VideoCodec::H264,
        }
    }
}

/// One audio rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioRendition {
    /// Its name in URLs: `a-en`, `a-en-64`.
    pub id: String,
    /// Index into [`super::SourceIndex::tracks`].
    pub source_track: usize,
    /// BCP 47 language.
    pub language: String,
    /// Name shown to people.
    pub name: String,
    /// Played when the user chose nothing.
    pub default: bool,
    /// Samples a second; also the timescale.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
    /// Samples of encoder delay before the presentation's first sample: the edit list's
    /// `media_time`.
    pub priming: u32,
    /// Samples presented, after the priming.
    pub samples: u64,
    /// PCM samples in one encoded frame (1024 for AAC-LC).
    pub frame_length: u32,
    /// The segments, in encoded frames, in order, without gaps. The last frame is cut short so
    /// that the track ends with the presentation.
    pub segments: Vec<AudioSpan>,
    /// Runs of segments that are made together.
    pub chunks: Vec<ChunkSpan>,
    /// How it is made.
    pub method: AudioMethod,
    /// Which of the forms of its track it is.
    #[serde(default, skip_serializing_if = "AudioForm::is_stereo")]
    pub form: AudioForm,
    /// What its track is marked as.
    #[serde(default, skip_serializing_if = "Disposition::is_plain")]
    pub disposition: Disposition,
    /// The payload of `dac3` or `dec3`, for the forms that have one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dolby: Vec<u8>,
    /// Complexity index of the Atmos objects within (joint object coding).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u8>,
    /// What is done to its level, where it is encoded; nothing without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

/// What was seen in the samples of an AC-3 or E-AC-3 track that all are alike, one frame each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DolbyTrack {
    /// Index into [`super::SourceIndex::tracks`].
    pub track: usize,
    /// Enhanced AC-3.
    pub enhanced: bool,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels, the LFE included.
    pub channels: u16,
    /// PCM samples in a frame.
    pub frame_length: u32,
    /// The payload of `dac3` or `dec3`.
    pub record: Vec<u8>,
    /// Complexity index of the Atmos objects within.
    pub objects: Option<u8>,
}

/// The forms that one track's sound is offered in. Each is a group of its own in HLS and an
/// Adaptation Set of its own in DASH.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AudioForm {
    /// AAC that everything plays: stereo, at one bitrate or several.
    #[default]
    Stereo,
    /// AAC in 5.1.
    Surround,
    /// The source's own AC-3.
    Ac3,
    /// The source's own E-AC-3, with Atmos objects or without.
    Eac3,
}

impl AudioForm {
    /// Whether it is AAC of ours or of the source.
    pub fn is_aac(self) -> bool {
        matches!(self, Self::Stereo | Self::Surround)
    }

    /// Whether it is the form that every track has.
    pub fn is_stereo(&self) -> bool {
        *self == Self::Stereo
    }
}

/// One audio segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioSpan {
    /// First encoded frame of the rendition, from 0.
    pub first_frame: u32,
    /// Number of encoded frames.
    pub frames: u32,
}

/// How an audio rendition is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioMethod {
    /// The source's own samples, the first of them being number `first_sample`.
    Copy {
        /// Number (from 0) of the source sample that is frame 0.
        first_sample: u32,
    },
    /// Decoded, resampled, mixed and encoded as AAC-LC.
    Encode {
        /// Bits a second.
        bitrate: u32,
        /// Time on the source track's movie time line, in its ticks, of the presentation's start.
        source_start: i64,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frame_map_keeps_every_frame(steps in prop::collection::vec(0_u32..4, 0..80)) {
            let mut map = FrameMap::default();
            let mut pictures = Vec::new();
            let mut picture = 3;
            for step in steps {
                picture += step;
                pictures.push(picture);
                map.push(picture);
            }
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), pictures.clone());
            for (frame, picture) in pictures.iter().enumerate() {
                prop_assert_eq!(map.get(u32::try_from(frame).expect("small")), Some(*picture));
            }
        }
    }
}
