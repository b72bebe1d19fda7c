//! The presentation that a plan becomes: planned times, codecs as the init segments say, and sizes,
//! measured or expected.

use std::collections::{BTreeMap, BTreeSet};

use super::damage;
use super::loudness::Measured;
use super::prepare::Prepared;
use super::protect::track_protection;
use super::stills;
use super::stored::Stored;
use super::{init_key, segment_key};
use crate::cmaf;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::media::{
    AudioForm, AudioMethod, AudioRendition, AudioTrack, ExpectedRates, Plan, Presentation,
    SegmentInfo, Stills, ThumbnailPlan, Thumbnails, TrackCommon, TrickTrack, VideoMethod,
    VideoPlan, VideoRendition, VideoTrack,
};
use crate::segmenter::last_audio_duration;
use crate::store::BlockingStore;
use crate::time::{FrameRate, Timescale};

/// Where the sizes of segments come from.
#[derive(Debug)]
pub(super) enum Sizes<'a> {
    /// All segments are stored.
    Measured(&'a Stored),
    /// None need be: rates by track.
    Expected(BTreeMap<String, ExpectedRates>),
}

impl Sizes<'_> {
    fn segment(&self, track: &str, number: u32) -> Option<u64> {
        match self {
            Self::Measured(stored) => stored.segment_size(track, number),
            Self::Expected(_) => Some(0),
        }
    }

    fn expected(&self, track: &str) -> Option<ExpectedRates> {
        match self {
            Self::Measured(_) => None,
            Self::Expected(rates) => rates.get(track).copied(),
        }
    }
}

/// Bytes of all media objects.
pub(super) fn total_bytes(presentation: &Presentation) -> u64 {
    let track_bytes = |track: &TrackCommon| {
        let segments = track.segments.iter().map(|segment| segment.bytes);
        track.init_bytes + segments.sum::<u64>()
    };
    let stills = presentation.stills.iter();
    let thumbnails: u64 = stills.map(|stills| stills.thumbnails.bytes).sum();
    thumbnails + presentation.tracks().map(track_bytes).sum::<u64>()
}

/// The record of what was made: planned times, measured sizes, codecs as the init segments say.
pub(super) fn presentation(
    store: &BlockingStore,
    prepared: &Prepared,
    sizes: &Sizes<'_>,
) -> Result<Presentation> {
    let plan = prepared.plan.as_ref();
    let revision = &prepared.revision;
    let mut video = Vec::new();
    if let Some(video_plan) = &plan.video {
        for (at, rendition) in video_plan.renditions.iter().enumerate() {
            let is_lowest = is_lowest(video_plan, at);
            let durations = video_plan
                .segments
                .iter()
                .map(|span| span.duration.unsigned_abs());
            let common = common(
                store,
                prepared,
                sizes,
                &rendition.id,
                video_plan.timescale,
                durations,
            )?;
            video.push(video_track(plan, video_plan, rendition, common, is_lowest));
        }
    }
    let measured = Measured::read(store, revision)?;
    let mut audio = Vec::new();
    for (at, rendition) in plan.audio.iter().enumerate() {
        let timescale = Timescale::new(rendition.sample_rate)
            .ok_or_else(|| Error::internal("a sample rate of zero in the plan"))?;
        let durations = audio_durations(rendition);
        let common = common(
            store,
            prepared,
            sizes,
            &rendition.id,
            timescale,
            durations.into_iter(),
        )?;
        audio.push(audio_track(plan, at, common, &measured));
    }
    let mut warnings = plan.warnings.clone();
    warnings.extend(damage::told(store, revision)?);
    Ok(Presentation {
        revision: revision.clone(),
        source_digest: plan.source_digest.clone(),
        duration: plan.duration,
        video,
        audio,
        text: Vec::new(),
        waivers: plan.waivers.clone(),
        chapters: plan.chapters.clone(),
        warnings,
        stills: None,
    })
}

/// The stills as stored, with what only a part of the playlists needs.
pub(super) struct MeasuredStills {
    pub(super) stills: Stills,
    /// The fragments of each I-frame track, by segment.
    pub(super) fragments: Vec<Vec<Vec<SegmentInfo>>>,
}

/// What was made of stills; `None` where none are planned.
///
/// # Errors
/// `DataLoss` when a part of them is not in the store.
pub(super) fn measure_stills(
    store: &BlockingStore,
    prepared: &Prepared,
    stored: &Stored,
) -> Result<Option<MeasuredStills>> {
    let Some(video) = &prepared.plan.video else {
        return Ok(None);
    };
    let Some(plan) = &video.stills else {
        return Ok(None);
    };
    let revision = &prepared.revision;
    let mut tracks = Vec::new();
    let mut all = Vec::new();
    for spec in &plan.tracks {
        let durations = video
            .segments
            .iter()
            .map(|span| span.duration.unsigned_abs());
        let sizes = Sizes::Measured(stored);
        let common = common(
            store,
            prepared,
            &sizes,
            &spec.id,
            video.timescale,
            durations,
        )?;
        let fragments = stills::fragments(store, revision, &common)?;
        let pictures: Vec<SegmentInfo> = fragments.iter().flatten().copied().collect();
        tracks.push(TrickTrack {
            common,
            width: spec.width,
            height: spec.height,
            frame_rate: still_rate(video, plan.step_frames)?,
            max_speed: plan.step_frames.max(1),
            rates: stills::rates(&pictures, video.timescale),
        });
        all.push(fragments);
    }
    let stills = Stills {
        tracks,
        thumbnails: measure_thumbnails(prepared, video, &plan.thumbnails, stored)?,
    };
    Ok(Some(MeasuredStills {
        stills,
        fragments: all,
    }))
}

/// One picture in `step` frames.
fn still_rate(video: &VideoPlan, step: u32) -> Result<FrameRate> {
    let rate = video.frame_rate;
    let denominator = rate.denominator().checked_mul(step);
    denominator
        .and_then(|denominator| FrameRate::new(rate.numerator(), denominator))
        .ok_or_else(|| Error::internal("I-frames at no rate that can be written"))
}

fn measure_thumbnails(
    prepared: &Prepared,
    video: &VideoPlan,
    plan: &ThumbnailPlan,
    stored: &Stored,
) -> Result<Thumbnails> {
    let frame = u64::from(video.frame_duration.unwrap_or(0));
    let duration = u64::from(plan.step_frames) * frame;
    let mut left = u64::from(video.frames) * frame;
    let count = plan.count(video.frames);
    let mut pictures = Vec::new();
    for number in 1..=count {
        let bytes = stored.thumbnail_size(number).ok_or_else(|| {
            let key = Key::Thumbnail {
                revision: prepared.revision.clone(),
                number,
            };
            Error::new(ErrorKind::DataLoss, format!("{key} is not in the store"))
        })?;
        let duration = duration.min(left);
        left -= duration;
        pictures.push(SegmentInfo { duration, bytes });
    }
    Ok(Thumbnails {
        width: plan.width,
        height: plan.height,
        timescale: video.timescale,
        duration,
        count,
        bytes: pictures.iter().map(|picture| picture.bytes).sum(),
        rates: stills::rates(&pictures, video.timescale),
    })
}

fn common(
    store: &BlockingStore,
    prepared: &Prepared,
    sizes: &Sizes<'_>,
    track: &str,
    timescale: Timescale,
    durations: impl Iterator<Item = u64>,
) -> Result<TrackCommon> {
    let lost = |key: &Key| Error::new(ErrorKind::DataLoss, format!("{key} is not in the store"));
    let revision = &prepared.revision;
    let key = init_key(revision, track);
    let init = store.read(&key)?.ok_or_else(|| lost(&key))?;
    let mut segments = Vec::new();
    for (number, duration) in (1..).zip(durations) {
        let bytes = sizes
            .segment(track, number)
            .ok_or_else(|| lost(&segment_key(revision, track, number)))?;
        segments.push(SegmentInfo { duration, bytes });
    }
    let info = cmaf::read::read_init(&init)?;
    let mut entries = info
        .tracks
        .into_iter()
        .flat_map(|track| track.sample_entries);
    let codecs = entries
        .next()
        .and_then(|entry| entry.codecs)
        .ok_or_else(|| Error::internal(format!("{key} names no codec")))?;
    Ok(TrackCommon {
        id: track.to_owned(),
        codecs,
        timescale,
        init_bytes: init.len() as u64,
        segments,
        expected: sizes.expected(track),
        protection: track_protection(&prepared.plan, track)?,
    })
}

fn video_track(
    plan: &Plan,
    video: &VideoPlan,
    rendition: &VideoRendition,
    common: TrackCommon,
    is_lowest: bool,
) -> VideoTrack {
    let copied = rendition.method == VideoMethod::Copy;
    let audio_group = (0..plan.audio.len())
        .filter(|at| plan.audio[*at].source_track == plan.audio[0].source_track)
        .filter(|at| plan.audio[*at].form.is_stereo())
        .map(|at| audio_group(plan, at))
        .nth(usize::from(is_lowest))
        .or_else(|| (!plan.audio.is_empty()).then(|| audio_group(plan, 0)));
    VideoTrack {
        common,
        width: rendition.width,
        height: rendition.height,
        frame_rate: video.frame_rate,
        colour: match &rendition.method {
            VideoMethod::Copy => video.picture.colour,
            VideoMethod::Encode(recipe) => recipe.range.colour(),
        },
        copied,
        audio_group,
    }
}

/// Whether a rendition is the last and not the only one of its ladder: the next, if there is one,
/// is no smaller.
fn is_lowest(video: &VideoPlan, at: usize) -> bool {
    let area =
        |rendition: &VideoRendition| u64::from(rendition.width) * u64::from(rendition.height);
    let here = video.renditions.get(at).map_or(0, area);
    let before = at.checked_sub(1).and_then(|at| video.renditions.get(at));
    let after = video.renditions.get(at + 1);
    before.is_some_and(|other| area(other) > here) && after.is_none_or(|other| area(other) >= here)
}

fn audio_track(plan: &Plan, at: usize, common: TrackCommon, measured: &Measured) -> AudioTrack {
    let rendition = &plan.audio[at];
    AudioTrack {
        common,
        group: audio_group(plan, at),
        language: rendition.language.clone(),
        name: rendition.name.clone(),
        default: rendition.default,
        channels: rendition.channels,
        sample_rate: rendition.sample_rate,
        priming: rendition.priming,
        copied: matches!(rendition.method, AudioMethod::Copy { .. }),
        disposition: rendition.disposition,
        also_in: stand_ins(plan, at),
        objects: rendition.objects,
        loudness: measured.of(rendition),
    }
}

/// The group of an audio rendition: of the stereo ones `audio` for the best of each track, `audio-2`
/// for the second, and so on; one group for each further form.
fn audio_group(plan: &Plan, at: usize) -> String {
    let rendition = &plan.audio[at];
    let alike = |other: &&AudioRendition| {
        other.source_track == rendition.source_track && other.form == rendition.form
    };
    let before = plan.audio[..at].iter().filter(alike).count();
    let base = form_group(rendition.form);
    match before {
        0 => base.to_owned(),
        n => format!("{base}-{}", n + 1),
    }
}

fn form_group(form: AudioForm) -> &'static str {
    match form {
        AudioForm::Stereo => "audio",
        AudioForm::Surround => "audio-51",
        AudioForm::Ac3 => "audio-ac3",
        AudioForm::Eac3 => "audio-ec3",
    }
}

/// The groups of forms that its track doesn't have, where the best stereo of it stands in: players
/// that switch between groups must find every track in each (H35).
fn stand_ins(plan: &Plan, at: usize) -> Vec<String> {
    let source = plan.audio[at].source_track;
    let first = plan.audio.iter().position(|r| r.source_track == source);
    if first != Some(at) {
        return Vec::new();
    }
    let forms: BTreeSet<AudioForm> = plan.audio.iter().map(|r| r.form).collect();
    let own = |form: &AudioForm| {
        let mut all = plan.audio.iter();
        all.any(|r| r.source_track == source && r.form == *form)
    };
    let missing = forms.into_iter().filter(|form| !own(form));
    missing.map(|form| form_group(form).to_owned()).collect()
}

/// Sums of the sample durations of each segment.
fn audio_durations(rendition: &AudioRendition) -> Vec<u64> {
    let frame = u64::from(rendition.frame_length);
    let mut durations: Vec<u64> = rendition
        .segments
        .iter()
        .map(|span| u64::from(span.frames) * frame)
        .collect();
    if let Some(last) = durations.last_mut() {
        *last = *last + u64::from(last_audio_duration(rendition)) - frame;
    }
    durations
}
