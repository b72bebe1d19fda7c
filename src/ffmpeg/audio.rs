//! An audio task: decode a stretch, put every sample where its time says, mix, resample, encode.
//!
//! Positions are whole samples from the presentation's start, first at the source's rate, then at
//! the output's. The resampler always starts at a position where both rates have a sample, so
//! stretches that were made apart agree to the sample and to its phase.

use ffmpeg_next as ffmpeg;

use super::aac::{AacEncoder, FRAME};
use super::decode::{Decoder, Kind};
use super::heartbeat::Heartbeat;
use super::leveller::Leveller;
use super::loudness::Meter;
use super::sys::{self, Mix, Resampler, SoundShape};
use crate::error::{Error, Result};
use crate::media::{
    AudioTask, Damage, EncodedSample, Level, LoudnessPart, TaskFiles, TaskOutput, TaskSample,
    TaskSummary,
};
use crate::time::{NonZeroU64, Rounding, gcd, scale};

/// Silence is made in pieces of so many samples.
const PIECE: usize = 4096;
/// PCM frames pushed behind the last kept one: the encoder's transform overlaps into the first,
/// its rate control looks at the second.
const LOOKAHEAD: u32 = 2;

/// Does an audio task.
pub(super) fn run(
    task: &AudioTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<TaskSummary> {
    let mut voices = vec![Voice::open(task, output)?];
    let mut report = (Vec::new(), 0);
    if !task.samples.is_empty() {
        report = decode(task, &task.samples, files, output, &mut voices)?;
    }
    let (mut configs, mut loudness) = (Vec::new(), LoudnessPart::default());
    for voice in voices {
        (configs, loudness) = voice.finish()?;
    }
    Ok(TaskSummary {
        configs,
        loudness: Some(loudness),
        damage: report.0,
        decoded: report.1,
    })
}

/// Decodes `samples` of the track that `task` describes, for all of `voices`; gives what was damaged
/// and how many frames there were.
pub(super) fn decode(
    task: &AudioTask,
    samples: &[TaskSample],
    files: &TaskFiles,
    output: &dyn TaskOutput,
    voices: &mut [Voice<'_>],
) -> Result<(Vec<Damage>, u64)> {
    let kind = Kind::Audio {
        sample_rate: task.source_sample_rate,
        channels: task.source_channels,
        block_align: task.source_block_align,
        bitrate: task.source_bitrate,
    };
    let mut decoder = Decoder::open(&task.codec, &task.config, task.timescale, kind, 1)?;
    let heartbeat = Heartbeat::new(output);
    for sample in samples {
        decoder.push(files, sample, &mut |frame| push(voices, &frame))?;
        heartbeat.beat()?;
        if voices.iter().all(|voice| voice.encoders.is_full()) {
            break;
        }
    }
    decoder.finish(&mut |frame| push(voices, &frame))?;
    decoder.report()
}

fn push(voices: &mut [Voice<'_>], frame: &ffmpeg::Frame) -> Result<()> {
    voices.iter_mut().try_for_each(|voice| voice.push(frame))
}

/// One way to hear a track: placed, mixed, levelled, measured and encoded.
pub(super) struct Voice<'a> {
    placer: Placer<'a>,
    encoders: Encoders<'a>,
}

impl<'a> Voice<'a> {
    /// For the channels, level and encoders of `task`.
    pub(super) fn open(task: &'a AudioTask, output: &'a dyn TaskOutput) -> Result<Self> {
        Ok(Self {
            placer: Placer::new(task),
            encoders: Encoders::open(task, output)?,
        })
    }

    fn push(&mut self, frame: &ffmpeg::Frame) -> Result<()> {
        self.placer.push(frame, &mut self.encoders)
    }

    /// Ends it; gives the encoders' configurations, and how loud it was.
    pub(super) fn finish(mut self) -> Result<(Vec<Vec<u8>>, LoudnessPart)> {
        self.placer.finish(&mut self.encoders)?;
        self.encoders.finish()
    }
}

/// Puts decoded sound where its time says, without gaps, mixed to the output's channels.
struct Placer<'a> {
    task: &'a AudioTask,
    mixer: Option<(SoundShape, Resampler)>,
    /// Known from the first frame on.
    track: Option<Track>,
}

/// Sound placed so far, at the source's rate.
struct Track {
    rate: u32,
    /// Position of the next sample.
    next: i64,
    /// `None` where the rates are the same.
    resampler: Option<Resampler>,
}

impl<'a> Placer<'a> {
    fn new(task: &'a AudioTask) -> Self {
        Self {
            task,
            mixer: None,
            track: None,
        }
    }

    fn push(&mut self, frame: &ffmpeg::Frame, encoders: &mut Encoders<'_>) -> Result<()> {
        let shape = sys::sound_shape(frame);
        if shape.rate == 0 || shape.channels == 0 || shape.samples == 0 || encoders.is_full() {
            return Ok(());
        }
        let track = match &mut self.track {
            Some(track) => track,
            None => {
                let first = frame
                    .pts()
                    .map_or(0, |time| position_of(self.task, time, shape.rate));
                let track = Track::open(self.task, shape.rate, first, encoders)?;
                self.track.insert(track)
            }
        };
        let position = frame
            .pts()
            .map(|time| position_of(self.task, time, track.rate));
        let mut planes = mix(&mut self.mixer, frame, shape, self.task, track.rate)?;
        track.place(position, &mut planes, self.task, encoders)
    }

    fn finish(&mut self, encoders: &mut Encoders<'_>) -> Result<()> {
        let Some(track) = &mut self.track else {
            return Ok(());
        };
        if let Some(resampler) = &mut track.resampler {
            let mut output = planes_for(self.task.channels);
            resampler.finish(&mut output)?;
            encoders.push(&output)?;
        }
        Ok(())
    }
}

/// The position, in samples at `rate`, of movie time `time`.
fn position_of(task: &AudioTask, time: i64, rate: u32) -> i64 {
    let ticks = NonZeroU64::from(
        std::num::NonZeroU32::new(task.timescale.get()).unwrap_or(std::num::NonZeroU32::MIN),
    );
    scale(
        time.saturating_sub(task.source_start),
        u64::from(rate),
        ticks,
        Rounding::Nearest,
    )
}

fn planes_for(channels: u16) -> Vec<Vec<f32>> {
    vec![Vec::new(); usize::from(channels)]
}

/// The frame as planar float with the output's channels, still at the source's rate. Mono goes to
/// both of two channels as it is, which is what players do with it; FFmpeg would take 3 dB off.
fn mix(
    mixer: &mut Option<(SoundShape, Resampler)>,
    frame: &ffmpeg::Frame,
    shape: SoundShape,
    task: &AudioTask,
    rate: u32,
) -> Result<Vec<Vec<f32>>> {
    let kind = SoundShape {
        samples: 0,
        ..shape
    };
    let channels = task.channels;
    let doubled = shape.channels == 1 && channels == 2;
    let mix = match task.level {
        Some(_) => Mix::Full,
        None => Mix::Scaled,
    };
    let mut current = match mixer.take() {
        Some((made_for, current)) if made_for == kind => current,
        _ => Resampler::new(kind, if doubled { 1 } else { channels }, rate, mix)?,
    };
    let mut planes = planes_for(if doubled { 1 } else { channels });
    current.push_frame(frame, &mut planes)?;
    if doubled && let Some(mono) = planes.first().cloned() {
        planes.push(mono);
    }
    *mixer = Some((kind, current));
    Ok(planes)
}

/// A sample that no loudspeaker could play, out of damaged floating-point sound, as one that encoders
/// take: they refuse what is no number, and what is beyond every measure.
fn make_audible(sample: &mut f32) {
    const LOUDEST: f32 = 8.0;
    *sample = match sample.is_nan() {
        true => 0.0,
        false => sample.clamp(-LOUDEST, LOUDEST),
    };
}

impl Track {
    /// Starts the track at the last position at or before `first` where both rates have a sample.
    fn open(task: &AudioTask, rate: u32, first: i64, encoders: &mut Encoders<'_>) -> Result<Self> {
        let divisor = gcd(rate, task.sample_rate).max(1);
        let unit = i64::from(rate / divisor);
        let periods = first.div_euclid(unit);
        encoders.start_at(periods.saturating_mul(i64::from(task.sample_rate / divisor)));
        let resampler = if rate == task.sample_rate {
            None
        } else {
            Some(Resampler::planar(task.channels, rate, task.sample_rate)?)
        };
        Ok(Self {
            rate,
            next: periods.saturating_mul(unit),
            resampler,
        })
    }

    fn place(
        &mut self,
        position: Option<i64>,
        planes: &mut [Vec<f32>],
        task: &AudioTask,
        encoders: &mut Encoders<'_>,
    ) -> Result<()> {
        planes.iter_mut().flatten().for_each(make_audible);
        // Up to one output frame the times are taken for rounded ones, and samples for
        // continuous.
        let frame = i64::try_from(FRAME).unwrap_or(0);
        let tolerance = frame * i64::from(self.rate) / i64::from(task.sample_rate.max(1));
        let first = self.next;
        let position = position.unwrap_or(first);
        let is_start = encoders.is_untouched();
        if position > first.saturating_add(if is_start { 0 } else { tolerance }) {
            self.silence(position, task, encoders)?;
        } else if position < first.saturating_sub(tolerance) {
            let overlap = usize::try_from(first.saturating_sub(position)).unwrap_or(usize::MAX);
            for plane in planes.iter_mut() {
                plane.drain(..overlap.min(plane.len()));
            }
        }
        self.push(planes, encoders)
    }

    /// Fills up to `position` with silence.
    fn silence(
        &mut self,
        position: i64,
        task: &AudioTask,
        encoders: &mut Encoders<'_>,
    ) -> Result<()> {
        while self.next < position && !encoders.is_full() {
            let left = usize::try_from(position.saturating_sub(self.next)).unwrap_or(PIECE);
            let piece = vec![vec![0.0; left.min(PIECE)]; usize::from(task.channels)];
            self.push(&piece, encoders)?;
        }
        Ok(())
    }

    fn push(&mut self, planes: &[Vec<f32>], encoders: &mut Encoders<'_>) -> Result<()> {
        let samples = planes.first().map_or(0, Vec::len);
        if samples == 0 {
            return Ok(());
        }
        self.next = self
            .next
            .saturating_add(i64::try_from(samples).unwrap_or(i64::MAX));
        match &mut self.resampler {
            None => encoders.push(planes),
            Some(resampler) => {
                let mut output = vec![Vec::new(); planes.len()];
                resampler.push_planes(planes, &mut output)?;
                encoders.push(&output)
            }
        }
    }
}

/// All renditions' encoders, and the sound that waits for them.
struct Encoders<'a> {
    task: &'a AudioTask,
    output: &'a dyn TaskOutput,
    encoders: Vec<(AacEncoder, u32)>,
    /// Position of the next sample to arrive.
    arriving: i64,
    /// Position of the first sample of `waiting`.
    start: i64,
    waiting: Vec<Vec<f32>>,
    /// PCM frames still to push into the encoders.
    left: u32,
    untouched: bool,
    leveller: Option<Leveller>,
    meter: Meter,
}

impl<'a> Encoders<'a> {
    fn open(task: &'a AudioTask, output: &'a dyn TaskOutput) -> Result<Self> {
        if task.head > task.first_frame || task.frames == 0 || task.sample_rate == 0 {
            return Err(Error::internal(
                "the audio task asks for frames that are not there",
            ));
        }
        let mut encoders = Vec::new();
        for rendition in &task.renditions {
            encoders.push((
                AacEncoder::open(rendition.bitrate, task.sample_rate, task.channels)?,
                0,
            ));
        }
        // An encoder's first frame covers the samples before the first one pushed, so for frame
        // f, which covers `f * 1024 - priming ..`, pushing starts a frame later than that.
        let frame = i64::try_from(FRAME).unwrap_or(0);
        let first = (i64::from(task.first_frame - task.head) + 1) * frame - i64::from(task.priming);
        let start = first - i64::from(Level::run_in(task.level)) * frame;
        Ok(Self {
            task,
            output,
            encoders,
            arriving: start,
            start,
            waiting: planes_for(task.channels),
            left: task.head + task.frames + LOOKAHEAD,
            untouched: true,
            leveller: Leveller::open(task),
            meter: Meter::open(task, first)?,
        })
    }

    /// Says at which position the next sample pushed lies.
    fn start_at(&mut self, position: i64) {
        self.arriving = position;
    }

    fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Whether the encoders have all the sound they need.
    fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Takes sound that follows what came before.
    fn push(&mut self, planes: &[Vec<f32>]) -> Result<()> {
        self.untouched = false;
        let samples = planes.first().map_or(0, Vec::len);
        let mut from = 0;
        // Silence before the first sample that there is.
        let end = self.end_of_waiting();
        if self.arriving > end {
            self.pad(self.arriving)?;
        } else if self.arriving < end {
            from = usize::try_from(end.saturating_sub(self.arriving))
                .unwrap_or(usize::MAX)
                .min(samples);
        }
        let at = self
            .arriving
            .saturating_add(i64::try_from(from).unwrap_or(i64::MAX));
        self.arriving = self
            .arriving
            .saturating_add(i64::try_from(samples).unwrap_or(0));
        let heard = self.heard(at, samples - from);
        for (plane, waiting) in planes.iter().zip(&mut self.waiting) {
            let new = plane.get(from..).unwrap_or_default();
            let part = new.get(heard.clone()).unwrap_or_default();
            waiting.resize(waiting.len() + heard.start, 0.0);
            waiting.extend_from_slice(part);
            waiting.resize(waiting.len() + new.len() - heard.end, 0.0);
        }
        self.encode_waiting()
    }

    /// Which of `samples` samples from `position` on lie within the presentation.
    fn heard(&self, position: i64, samples: usize) -> std::ops::Range<usize> {
        let clamp = |limit: i64| {
            usize::try_from(limit.saturating_sub(position))
                .unwrap_or(0)
                .min(samples)
        };
        let end = clamp(i64::try_from(self.task.total_samples).unwrap_or(i64::MAX));
        clamp(0).min(end)..end
    }

    fn end_of_waiting(&self) -> i64 {
        let waiting = self.waiting.first().map_or(0, Vec::len);
        self.start
            .saturating_add(i64::try_from(waiting).unwrap_or(i64::MAX))
    }

    /// Adds silence up to `position`, or until the encoders are full.
    fn pad(&mut self, position: i64) -> Result<()> {
        while self.end_of_waiting() < position && !self.is_full() {
            let left =
                usize::try_from(position.saturating_sub(self.end_of_waiting())).unwrap_or(PIECE);
            for waiting in &mut self.waiting {
                waiting.resize(waiting.len() + left.min(PIECE), 0.0);
            }
            self.encode_waiting()?;
        }
        Ok(())
    }

    fn encode_waiting(&mut self) -> Result<()> {
        let waiting = self.waiting.first().map_or(0, Vec::len);
        let mut used = 0;
        while waiting - used >= FRAME && self.left > 0 {
            let planes: Vec<&[f32]> = self
                .waiting
                .iter()
                .filter_map(|plane| plane.get(used..used + FRAME))
                .collect();
            used += FRAME;
            let levelled;
            let planes = match &mut self.leveller {
                None => planes,
                Some(leveller) => match leveller.push(&planes) {
                    Some(ready) => {
                        levelled = ready;
                        levelled.iter().map(Vec::as_slice).collect()
                    }
                    None => continue,
                },
            };
            self.left -= 1;
            encode(
                self.task,
                self.output,
                &mut self.meter,
                &mut self.encoders,
                &planes,
            )?;
        }
        if self.left == 0 {
            used = waiting;
        }
        for plane in &mut self.waiting {
            plane.drain(..used.min(plane.len()));
        }
        self.start += i64::try_from(used).unwrap_or(0);
        Ok(())
    }

    /// Adds the silence that is missing and ends the encoders; gives their configurations, and how
    /// loud it was.
    fn finish(mut self) -> Result<(Vec<Vec<u8>>, LoudnessPart)> {
        self.pad(i64::MAX)?;
        let mut configs = Vec::new();
        for (rendition, (encoder, count)) in (0_u32..).zip(&mut self.encoders) {
            let mut outlet = Outlet {
                task: self.task,
                output: self.output,
                rendition,
                count,
            };
            encoder.finish(&mut |data| outlet.take(data))?;
            if *count < self.task.head + self.task.frames {
                return Err(Error::internal(format!(
                    "the AAC encoder gave only {count} frames"
                )));
            }
            configs.push(encoder.config());
        }
        Ok((configs, self.meter.finish()))
    }
}

/// Measures a frame and gives it to every encoder.
fn encode(
    task: &AudioTask,
    output: &dyn TaskOutput,
    meter: &mut Meter,
    encoders: &mut [(AacEncoder, u32)],
    planes: &[&[f32]],
) -> Result<()> {
    meter.push(planes)?;
    for (rendition, (encoder, count)) in (0_u32..).zip(encoders) {
        let mut outlet = Outlet {
            task,
            output,
            rendition,
            count,
        };
        encoder.push(planes, &mut |data| outlet.take(data))?;
    }
    Ok(())
}

/// Sends on the frames to keep.
struct Outlet<'a> {
    task: &'a AudioTask,
    output: &'a dyn TaskOutput,
    rendition: u32,
    /// Frames that came out of this encoder.
    count: &'a mut u32,
}

impl Outlet<'_> {
    fn take(&mut self, data: bytes::Bytes) -> Result<()> {
        let number = *self.count;
        *self.count += 1;
        let task = self.task;
        if !(task.head..task.head + task.frames).contains(&number) {
            return Ok(());
        }
        let frame = task.first_frame - task.head + number;
        self.output.sample(EncodedSample {
            rendition: self.rendition,
            frame,
            sync: true,
            data,
        })
    }
}
