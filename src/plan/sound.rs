//! The sound's part of the plan.
//!
//! Every rendition covers the presentation to the PCM sample: what lies outside is cut, what is
//! missing is silence. Encoder delay is counted in `priming` and skipped by the edit list
//! (conformance A08); segments are cut on the encoded frames nearest to the video's cuts.

use std::collections::BTreeMap;

use super::cuts::{self, AudioFrames, CutPoint, SegmentRule};
use super::ladder::LOWEST_MAXRATE;
use super::passthrough::{self, AAC_FRAME, CopiedSound, Refusal, SoundFrame};
use super::tracks::{self, Label};
use super::video::PlannedVideo;
use super::{Inspection, Notes, limits, loudness};
use crate::codec::aac::{AAC_LC, AudioSpecificConfig};
use crate::error::{Error, Result};
use crate::media::{
    AudioForm, AudioInfo, AudioMethod, AudioRendition, Codec, Level, Passthrough, Policy,
    SourceIndex, SourceTrack, TrackKind, VideoMethod,
};
use crate::time::{Rounding, Ticks, Timescale};

/// Encoder delay of our AAC-LC in PCM samples.
const PRIMING: u32 = 1024;
/// Channels of every encoded rendition.
const CHANNELS: u16 = 2;
/// How many chunk lengths of sound one task makes: encoding sound is cheap, starting a task
/// isn't.
const CHUNKS_A_TASK: u32 = 5;

/// Where the sound of a track lies on the movie's time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SoundSpan {
    /// Index of the track.
    pub(crate) track: usize,
    /// Movie time of the first sound, in the track's ticks.
    pub(crate) start: Ticks,
    /// Movie time of its end.
    pub(crate) end: Ticks,
}

/// The spans of the audio tracks that have any sound. A track whose timestamps leave more than
/// half of its span empty is not believed and left out.
pub(crate) fn spans(index: &SourceIndex, audio: &[usize], notes: &mut Notes) -> Vec<SoundSpan> {
    let mut spans = Vec::new();
    for at in audio {
        let track = &index.tracks[*at];
        match span(*at, track) {
            Ok(span) => spans.push(span),
            Err(reason) => notes.warn(format!("{} is left out: {reason}", tracks::title(track))),
        }
    }
    spans
}

fn span(at: usize, track: &SourceTrack) -> Result<SoundSpan, &'static str> {
    let samples = &track.samples;
    let first = samples.iter().next().ok_or("it has no samples")?;
    let offset = i64::from(first.composition_offset);
    let first = track.movie_time(first.presentation_time());
    let last = track.movie_time(samples.end_decode_time().saturating_add(offset));
    let start = first.max(track.edit.delay);
    let end = match track.edit.length {
        Some(length) => last.min(track.edit.delay.saturating_add(length)),
        None => last,
    };
    if end <= start {
        return Err("its edit list leaves nothing of it");
    }
    if !is_dense(track) {
        return Err("its timestamps jump");
    }
    let timescale = track.timescale;
    Ok(SoundSpan {
        track: at,
        start: Ticks::new(start, timescale),
        end: Ticks::new(end, timescale),
    })
}

/// Whether usual sample durations fill at least half of the track's length.
fn is_dense(track: &SourceTrack) -> bool {
    let samples = &track.samples;
    if samples.constant_duration().is_some() && samples.len() > 2 {
        return true;
    }
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for sample in samples.iter() {
        *counts.entry(sample.duration).or_default() += 1;
    }
    let mut left = (samples.len() / 2) as u64;
    let median = counts
        .iter()
        .find_map(|(duration, count)| match left.checked_sub(*count) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(*duration),
        });
    let most = u128::from(median.unwrap_or(0)) * 2;
    let filled: u128 = counts
        .iter()
        .map(|(duration, count)| u128::from(*duration).min(most) * u128::from(*count))
        .sum();
    let length = counts
        .iter()
        .map(|(duration, count)| u128::from(*duration) * u128::from(*count))
        .sum::<u128>();
    let second = u128::from(track.timescale.get());
    filled * 2 >= length || length < 10 * second
}

/// What the sound has to fit.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// Movie time of the presentation's start.
    pub(crate) origin: Ticks,
    /// Length of the presentation.
    pub(crate) duration: Ticks,
    /// Starts of the segments.
    cuts: Vec<Ticks>,
    /// Whether there is a use for the low bit rate.
    low: bool,
}

impl Stage {
    /// Beside video: its cuts; low sound for the lowest rung.
    pub(crate) fn beside(video: &PlannedVideo) -> Self {
        let plan = &video.plan;
        // An only rung goes with the main sound: low sound beside it would be in no variant (D23).
        let lowest = match plan.renditions.as_slice() {
            [_, .., lowest] => Some(&lowest.method),
            _ => None,
        };
        let low =
            matches!(lowest, Some(VideoMethod::Encode(recipe)) if recipe.maxrate <= LOWEST_MAXRATE);
        let cuts = plan
            .segments
            .iter()
            .map(|span| Ticks::new(span.start, plan.timescale));
        Self {
            origin: video.origin,
            duration: video.duration,
            cuts: cuts.collect(),
            low,
        }
    }

    /// Sound alone: from the first sound to the last, cut at whole seconds.
    pub(crate) fn alone(
        index: &SourceIndex,
        sounds: &[SoundSpan],
        policy: &Policy,
    ) -> Result<Self> {
        let Some(main) = sounds.first() else {
            return Err(Error::invalid("the source's sound has no length"));
        };
        let rate = output_rate(&index.tracks[main.track], policy);
        let to_rate = |time: Ticks| time.to(rate, Rounding::Nearest).count;
        let starts = sounds.iter().map(|sound| to_rate(sound.start));
        let ends = sounds.iter().map(|sound| to_rate(sound.end));
        let (start, end) = (starts.min().unwrap_or(0), ends.max().unwrap_or(0));
        let length = end.saturating_sub(start).max(1);
        let second = i64::from(rate.get());
        limits::check_duration(length / second)?;
        Ok(Self {
            origin: Ticks::new(start, rate),
            duration: Ticks::new(length, rate),
            cuts: whole_second_cuts(length, rate, policy),
            low: true,
        })
    }
}

/// Starts of segments of about the asked length at whole seconds.
fn whole_second_cuts(length: i64, rate: Timescale, policy: &Policy) -> Vec<Ticks> {
    let second = i64::from(rate.get());
    let seconds = u32::try_from((length + second - 1) / second).unwrap_or(1);
    let point = |frame: u32| CutPoint {
        frame,
        time: i64::from(frame) * second,
    };
    let points: Vec<CutPoint> = (0..seconds.max(1)).map(point).collect();
    let end = CutPoint {
        frame: seconds.max(1),
        time: length,
    };
    let nominal = i64::from(policy.segment_seconds) * second;
    let rule = SegmentRule::new(nominal, policy, rate);
    let spans = cuts::segments(&points, end, rule);
    let starts = spans.iter().map(|span| Ticks::new(span.start, rate));
    starts.collect()
}

/// The audio renditions, each language's best first.
pub(crate) fn plan(
    index: &SourceIndex,
    sounds: &[SoundSpan],
    stage: &Stage,
    policy: &Policy,
    inspection: &Inspection,
    notes: &mut Notes,
) -> Result<Vec<AudioRendition>> {
    let audio: Vec<usize> = sounds.iter().map(|sound| sound.track).collect();
    let labels = tracks::labels(index, &audio);
    let mut main = Vec::new();
    for (sound, label) in sounds.iter().zip(labels) {
        let maker = Maker {
            sound,
            track: &index.tracks[sound.track],
            label,
            stage,
            policy,
            inspection,
        };
        maker.tell_differences(notes);
        let rendition = maker.main(notes)?;
        main.push((maker, rendition));
    }
    let wants_low = policy.passthrough != Passthrough::Only && stage.low;
    let is_lower = main
        .iter()
        .any(|(maker, rendition)| maker.rate_of(rendition) > lowest(policy) * 5 / 4);
    let mut renditions = Vec::new();
    for (maker, rendition) in main {
        let low = maker.low(&rendition);
        let surround = maker.surround(&rendition, notes);
        let seen = inspection.dolby.iter();
        let seen = seen.filter(|seen| seen.track == maker.sound.track);
        let dolby: Vec<_> = seen
            .filter_map(|seen| maker.dolby(&rendition, seen, notes))
            .collect();
        renditions.push(rendition);
        if wants_low && is_lower {
            renditions.push(low);
        }
        renditions.extend(surround);
        renditions.extend(dolby);
    }
    Ok(renditions)
}

fn lowest(policy: &Policy) -> u64 {
    u64::from(policy.audio_bitrate_low)
}

pub(super) fn info(track: &SourceTrack) -> AudioInfo {
    match &track.kind {
        TrackKind::Audio(info) => info.clone(),
        _ => AudioInfo::default(),
    }
}

/// 44.1 or 48 kHz as the source has it, else 48 kHz; the source's own when repackaged by order.
fn output_rate(track: &SourceTrack, policy: &Policy) -> Timescale {
    let own = info(track).sample_rate;
    let keep = matches!(own, 44_100 | 48_000) || policy.passthrough == Passthrough::Only;
    let rate = if keep { own } else { 48_000 };
    Timescale::new(rate).unwrap_or(Timescale::new(48_000).expect("48000 is not zero"))
}

/// Makes the renditions of one track.
pub(super) struct Maker<'a> {
    sound: &'a SoundSpan,
    pub(super) track: &'a SourceTrack,
    label: Label,
    stage: &'a Stage,
    pub(super) policy: &'a Policy,
    pub(super) inspection: &'a Inspection,
}

impl Maker<'_> {
    /// Copied where that is asked or as good, else encoded.
    fn main(&self, notes: &mut Notes) -> Result<AudioRendition> {
        let only = self.policy.passthrough == Passthrough::Only;
        let copied = match self.policy.passthrough {
            Passthrough::Never => Err("the policy says so".to_owned()),
            _ => self.copyable(CHANNELS, only),
        };
        match copied {
            Ok(copied) => {
                self.tell_copied(&copied, notes);
                Ok(self.copied(copied))
            }
            Err(reason) if only => {
                let title = tracks::title(self.track);
                Err(Error::unsupported(format!(
                    "{title} can't be repackaged: {reason}"
                )))
            }
            Err(_) => Ok(self.encoded(self.policy.audio_bitrate, CHANNELS)),
        }
    }

    /// Whether the track's own samples can be a rendition of that many channels, and which of them.
    pub(super) fn copyable(&self, channels: u16, only: bool) -> Result<CopiedSound, Refusal> {
        let (track, info) = (self.track, info(self.track));
        if track.codec != Codec::AAC {
            return Err(format!("its codec is {}, not aac", track.codec));
        }
        let config =
            AudioSpecificConfig::parse(&track.config).map_err(|error| error.to_string())?;
        let plain = config.object_type == AAC_LC
            && config.extension.is_none()
            && config.frame_length == AAC_FRAME;
        if !plain {
            return Err(format!("it is {}, not AAC-LC", config.codecs()));
        }
        let rate = Timescale::new(config.sample_rate).ok_or("it has no sample rate")?;
        if info.sample_rate != config.sample_rate {
            return Err(format!(
                "its rate is {} or {}",
                info.sample_rate, config.sample_rate
            ));
        }
        // Configurations 1 to 6 are their number of channels. Browsers refuse 0, which leaves it
        // to a program config element.
        if !only && (u16::from(config.channel_config) != channels || info.channels != channels) {
            return Err(format!("it has not the usual {channels} channels"));
        }
        if !only && !matches!(config.sample_rate, 32_000 | 44_100 | 48_000) {
            return Err(format!("its rate is {}", config.sample_rate));
        }
        if !passthrough::is_gapless(track, rate, AAC_FRAME) {
            return Err("it has gaps".to_owned());
        }
        if !only && self.ends_early() {
            return Err("it ends before the picture".to_owned());
        }
        if let Some(reason) = self.off_target(channels) {
            return Err(reason);
        }
        let samples = self.samples(rate);
        passthrough::lay_sound(
            track,
            SoundFrame {
                rate,
                origin: self.stage.origin,
                samples,
                length: AAC_FRAME,
                short_by: u64::from(rate.get()) / 10,
                only,
            },
        )
    }

    /// Why the track has not the loudness that the policy asks for, heard in so many channels.
    pub(super) fn off_target(&self, channels: u16) -> Option<String> {
        loudness::off_target(self.policy, self.inspection, self.sound.track, channels)
    }

    /// What is done to the track's level where it is encoded in so many channels.
    fn level(&self, channels: u16) -> Option<Level> {
        let own = info(self.track).channels;
        loudness::level(self.inspection, self.sound.track, own, channels)
    }

    /// More than 0.1 s before the presentation, by its edit list.
    fn ends_early(&self) -> bool {
        self.missing_at_end() > 100_000
    }

    /// Microseconds of silence at the start (negative: of sound cut away).
    fn missing_at_start(&self) -> i64 {
        micros(self.sound.start).saturating_sub(micros(self.stage.origin))
    }

    /// Microseconds of silence at the end (negative: of sound cut away).
    fn missing_at_end(&self) -> i64 {
        let end = micros(self.stage.origin).saturating_add(micros(self.stage.duration));
        end.saturating_sub(micros(self.sound.end))
    }

    /// Tells what is cut or padded by more than 0.1 s.
    fn tell_differences(&self, notes: &mut Notes) {
        let title = tracks::title(self.track);
        let places = [
            ("starts", self.missing_at_start()),
            ("ends", self.missing_at_end()),
        ];
        let only = self.policy.passthrough == Passthrough::Only;
        for (verb, missing) in places {
            // Nothing is padded where nothing is encoded: `tell_copied` speaks of that.
            if missing.saturating_abs() <= 100_000 || (only && missing > 0) {
                continue;
            }
            let seconds = Ticks::new(missing.saturating_abs(), Timescale::MICROS);
            let (order, what) = match (verb, missing > 0) {
                ("starts", true) => ("after", "silence is put there"),
                ("starts", false) => ("before", "that is cut away"),
                (_, true) => ("before", "silence is put there"),
                (_, false) => ("after", "that is cut away"),
            };
            notes.warn(format!(
                "{title} {verb} {seconds} s {order} the presentation: {what}"
            ));
        }
    }

    /// Tells what repackaging leaves unlike the rest.
    fn tell_copied(&self, copied: &CopiedSound, notes: &mut Notes) {
        let config = info(self.track);
        let rate = Timescale::new(config.sample_rate).unwrap_or(Timescale::MICROS);
        let missing = self.samples(rate).saturating_sub(copied.samples);
        let missing = Ticks::new(i64::try_from(missing).unwrap_or(i64::MAX), rate);
        if micros(missing) > 100_000 {
            let title = tracks::title(self.track);
            notes.warn(format!(
                "{title} is repackaged and ends {missing} s before the picture"
            ));
            notes.waive(
                "H09",
                "passthrough only: the source's sound is shorter than its picture",
            );
        }
        if config.channels != CHANNELS {
            notes.waive("H37", "passthrough only: the source has no stereo sound");
        }
    }

    /// Movie time of the presentation's start.
    pub(super) fn origin(&self) -> Ticks {
        self.stage.origin
    }

    /// PCM samples of the presentation.
    pub(super) fn samples(&self, rate: Timescale) -> u64 {
        let samples = self.stage.duration.to(rate, Rounding::Nearest).count;
        u64::try_from(samples).unwrap_or(0)
    }

    pub(super) fn copied(&self, copied: CopiedSound) -> AudioRendition {
        self.copied_frames(copied, AAC_FRAME)
    }

    /// The track's own samples as a rendition; each is a frame of `length` PCM samples.
    pub(super) fn copied_frames(&self, copied: CopiedSound, length: u32) -> AudioRendition {
        let info = info(self.track);
        let rate = Timescale::new(info.sample_rate).unwrap_or(Timescale::MICROS);
        let frames = AudioFrames {
            sample_rate: rate,
            priming: copied.priming,
            frame_length: length,
            frames: copied.frames,
        };
        let method = AudioMethod::Copy {
            first_sample: copied.first_sample,
        };
        AudioRendition {
            channels: info.channels,
            ..self.rendition(frames, copied.samples, method)
        }
    }

    /// The rendition that goes with the lowest rung. It lies on the very grid of the main one,
    /// repackaged or not: players switch between the two (C10).
    fn low(&self, main: &AudioRendition) -> AudioRendition {
        let bitrate = self.policy.audio_bitrate_low;
        AudioRendition {
            id: format!("{}-{}", main.id, bitrate / 1000),
            method: self.encoding(bitrate),
            channels: CHANNELS,
            level: match main.method {
                // As loud as what players switch to and from.
                AudioMethod::Copy { .. } if main.channels == CHANNELS => None,
                _ => self.level(CHANNELS),
            },
            ..main.clone()
        }
    }

    fn encoding(&self, bitrate: u32) -> AudioMethod {
        let origin = self.stage.origin;
        let source_start = origin.to(self.track.timescale, Rounding::Nearest).count;
        AudioMethod::Encode {
            bitrate,
            source_start,
        }
    }

    pub(super) fn encoded(&self, bitrate: u32, channels: u16) -> AudioRendition {
        let rate = output_rate(self.track, self.policy);
        let samples = self.samples(rate);
        let frames = (samples + u64::from(PRIMING)).div_ceil(u64::from(AAC_FRAME));
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        let frames = AudioFrames {
            sample_rate: rate,
            priming: PRIMING,
            frame_length: AAC_FRAME,
            frames,
        };
        AudioRendition {
            channels,
            level: self.level(channels),
            ..self.rendition(frames, samples, self.encoding(bitrate))
        }
    }

    fn rendition(&self, frames: AudioFrames, samples: u64, method: AudioMethod) -> AudioRendition {
        let segments = frames.segments(self.stage.cuts.iter().copied());
        let lengths = segments
            .iter()
            .map(|span| i64::from(span.frames) * i64::from(frames.frame_length));
        let target = i64::from(self.policy.chunk_seconds)
            * i64::from(CHUNKS_A_TASK)
            * i64::from(frames.sample_rate.get());
        AudioRendition {
            id: self.label.id.clone(),
            source_track: self.sound.track,
            language: self.label.language.clone(),
            name: self.label.name.clone(),
            default: self.label.default,
            sample_rate: frames.sample_rate.get(),
            channels: CHANNELS,
            priming: frames.priming,
            samples,
            frame_length: frames.frame_length,
            chunks: cuts::chunks(lengths, target, self.policy),
            segments,
            method,
            form: AudioForm::Stereo,
            disposition: self.label.disposition,
            dolby: Vec::new(),
            objects: None,
            level: None,
        }
    }

    /// Bits a second of a rendition of this track.
    fn rate_of(&self, rendition: &AudioRendition) -> u64 {
        match rendition.method {
            AudioMethod::Encode { bitrate, .. } => u64::from(bitrate),
            AudioMethod::Copy { .. } => {
                let frames = (self.track.samples.len() as u64).max(1);
                let seconds_1024 = frames * u64::from(AAC_FRAME);
                self.track.samples.total_bytes() * 8 * u64::from(rendition.sample_rate)
                    / seconds_1024
            }
        }
    }
}

fn micros(time: Ticks) -> i64 {
    time.to(Timescale::MICROS, Rounding::Nearest).count
}
