//! From a source index and a policy to the plan. Pure: same inputs, same plan, same revision.
//!
//! Read it in this order: [`plan`] chooses tracks (`tracks`), finds the beat of the video
//! (`pictures`, `rate`), lays out the frames (`frames`), the cuts (`cuts`) and the rungs
//! (`ladder`, `level`), decides what is repackaged (`passthrough`), and fits the sound to all of
//! that (`sound`). [`Lowering`] turns a plan into tasks and copied samples, for any run of
//! segments. Nothing here reads a byte of media: what needs looking at comes in as
//! [`Inspection`].

mod av1_level;
mod candidate;
mod chapters;
mod cuts;
mod describe;
mod expected;
#[cfg(test)]
mod fixture;
mod frames;
mod hevc_level;
mod ladder;
mod level;
mod limits;
mod loudness;
mod lowering;
mod passthrough;
mod pictures;
mod predict;
mod rate;
mod revision;
mod scan;
mod sound;
mod sound_poster;
mod stills;
mod surround;
#[cfg(test)]
mod tests;
mod text;
mod tracks;
mod video;

pub use candidate::{candidate_for_copy, dolby_candidates};
pub use describe::describe;
pub use expected::{Expected, expected};
pub use limits::{MAX_DURATION_SECONDS, MAX_PICTURE_SIDE, MAX_PICTURES};
pub use loudness::{Levelling, measuring_plan};
pub use lowering::{CopiedSample, CopiedSegment, Lowering};
pub use predict::{Prediction, RenditionPrediction, predict};
pub use revision::revision;
pub use scan::scan_task;

use crate::error::{Error, Result};
use crate::media::{
    AudioRendition, DolbyTrack, FORMAT_VERSION, Passthrough, Plan, Policy, ScanCount, SoundLevel,
    SourceIndex, SourceTrack, TextFound, Waiver,
};

/// What was seen by looking at the bytes of the track that [`candidate_for_copy`] names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Numbers (from 0) of the track's samples that really are IDR pictures; `None` when nobody
    /// looked, and then the track is not repackaged.
    pub idr_samples: Option<Vec<u32>>,
    /// Whether samples repeat parameter sets, which `avc1` forbids (conformance C06).
    pub in_band_parameter_sets: bool,
    /// The text that was found in the tracks for which [`is_readable_text`] holds, and in the
    /// pictures.
    pub text: Vec<TextFound>,
    /// What a look at the pictures themselves found, where [`scan_task`] asked for one.
    pub scan: Option<ScanCount>,
    /// How loud the sounds are, where the policy asks for a loudness.
    pub levels: Vec<SoundLevel>,
    /// The AC-3 and E-AC-3 tracks whose own samples can be packaged: see [`dolby_candidates`].
    pub dolby: Vec<DolbyTrack>,
}

/// Text that can be read, by FFmpeg's names of the codecs, and `wvtt` for WebVTT in MP4.
const READABLE_TEXT: &[&str] = &["mov_text", "wvtt", "webvtt", "subrip", "text", "ass", "ssa"];

/// The video track that a plan would take, as an index into the source's tracks.
pub fn video_track(index: &SourceIndex) -> Option<usize> {
    tracks::choose_video(index, tracks::has_audio(index))
}

/// Whether a track's text can be read into a text track.
pub fn is_readable_text(track: &SourceTrack) -> bool {
    READABLE_TEXT.contains(&track.codec.name())
}

/// What comes up while planning.
#[derive(Debug, Clone, Default)]
struct Notes {
    warnings: Vec<String>,
    waivers: Vec<Waiver>,
}

impl Notes {
    fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    fn waive(&mut self, rule: &str, reason: impl Into<String>) {
        self.waivers.push(Waiver {
            rule: rule.to_owned(),
            reason: reason.into(),
        });
    }
}

/// Plans a presentation of the source.
pub fn plan(
    index: &SourceIndex,
    source_digest: &str,
    policy: &Policy,
    inspection: &Inspection,
) -> Result<Plan> {
    policy.check()?;
    let mut notes = Notes {
        warnings: index.warnings.clone(),
        ..Notes::default()
    };
    let chosen = tracks::choose(index, &mut notes)?;
    let sounds = sound::spans(index, &chosen.audio, &mut notes);
    let video = match chosen.video {
        Some(track) => Some(video::plan(
            index, track, policy, inspection, &sounds, &mut notes,
        )?),
        None => None,
    };
    let stage = match &video {
        Some(video) => sound::Stage::beside(video),
        None => sound::Stage::alone(index, &sounds, policy)?,
    };
    let audio = sound::plan(index, &sounds, &stage, policy, inspection, &mut notes)?;
    let main_language = main_language(&audio);
    let text = text::plan(index, inspection, stage.origin, main_language, &mut notes);
    let (origin, duration) = (stage.origin, stage.duration);
    let chapters = chapters::plan(&index.chapters, origin, duration, main_language);
    if video.is_some() && !notes.waivers.iter().any(|waiver| waiver.rule == "H31") {
        notes.waive(
            "H31",
            "the lowest rung is capped, but what it takes is up to the content",
        );
    }
    if video.is_none() && audio.len() < 2 {
        notes.waive(
            "H30",
            "one bit rate of sound is all that the policy or the source gives",
        );
    }
    if policy.quick_start {
        notes.waive(
            "H06",
            "quick start: the first segments are short, so that playing can begin soon",
        );
    }
    if policy.passthrough == Passthrough::Only && video.is_none() && audio.is_empty() {
        return Err(Error::unsupported(
            "nothing in this source can be repackaged",
        ));
    }
    Ok(Plan {
        format_version: FORMAT_VERSION,
        source_digest: source_digest.to_owned(),
        duration: stage.duration,
        video: video.map(|video| video.plan),
        audio,
        warnings: notes.warnings,
        waivers: notes.waivers,
        text,
        chapters,
        encryption: None,
    })
}

/// The language of the sound that plays when nobody chose; `None` when nobody knows.
fn main_language(audio: &[AudioRendition]) -> Option<&str> {
    let main = audio.iter().find(|rendition| rendition.default);
    let language = main.or(audio.first())?.language.as_str();
    Some(language).filter(|language| *language != "und")
}
