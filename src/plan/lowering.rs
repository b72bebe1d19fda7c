//! From a plan to work: tasks for the media child, and the samples of repackaged renditions.
//!
//! Any run of consecutive segments can be asked for, in any order; together they give every
//! frame exactly once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::pictures::Pictures;
use crate::error::{Error, Result};
use crate::media::{
    AudioEncode, AudioMethod, AudioRendition, AudioSetting, AudioTask, ChunkSpan, ConfigureTask,
    Joining, Level, MeasureTask, PicturePlan, Place, Plan, PosterTask, SampleCursor, SampleEntry,
    SourceIndex, SourceTrack, StillsTask, TaskFrame, TaskSample, TrackKind, TrickRendition,
    VideoEncode, VideoInfo, VideoMethod, VideoPlan, VideoRecipe, VideoTask,
};
use crate::time::{FrameRate, Rounding, Ticks, Timescale, rescale};

/// Encoded audio frames made before a task's first one: the encoder's state follows the sound
/// within that.
const AUDIO_HEAD_FRAMES: u32 = 32;
/// Sound decoded before it is needed, in milliseconds: decoders warm up (Opus 80 ms, MP3's bit
/// reservoir 250 ms).
const AUDIO_PREROLL_MILLIS: i64 = 500;
/// Sound decoded beyond what is needed, in milliseconds: resamplers look ahead.
const AUDIO_TAIL_MILLIS: i64 = 250;
/// Frames encoded after the last one of a segment made alone, and thrown away: none. The rate
/// control then can't save for the next segment's first picture, but encoding a lookahead's worth
/// of pictures more would take a tenth of the time.
const ALONE_TAIL_FRAMES: u32 = 0;
/// Longest side of a poster in pixels.
const POSTER_SIDE: u32 = 1280;
/// How much is looked at for a poster where it is dark at first: so many samples, so many seconds.
const POSTER_SAMPLES: usize = 90;
const POSTER_SECONDS: i64 = 3;
/// Samples between remembered places in a table.
const STRIDE: usize = 4096;

/// A repackaged sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedSample {
    /// Where its bytes are.
    pub place: Place,
    /// Ticks it lasts, in the rendition's timescale.
    pub duration: u32,
    /// Presentation minus decode time in ticks; may be negative.
    pub composition_offset: i32,
    /// Whether decoding can start here and nothing after it is shown before it.
    pub sync: bool,
}

/// The samples of one repackaged segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedSegment {
    /// Decode time of the first sample, in ticks from the presentation's start (for audio: from
    /// the first encoded frame, priming included, as `tfdt` counts).
    pub decode_time: i64,
    /// The samples in decode order.
    pub samples: Vec<CopiedSample>,
}

/// Turns one plan into tasks. Costs a walk over the used tracks once; a task then costs what it
/// is long.
#[derive(Debug, Clone)]
pub struct Lowering {
    pub(super) plan: Arc<Plan>,
    pub(super) index: Arc<SourceIndex>,
    /// Presentation order of the video track, where anything is decoded.
    pictures: Option<Pictures>,
    /// First output frame of each run of the frame map.
    run_starts: Vec<u32>,
    /// Remembered places of every used track.
    walks: BTreeMap<usize, Walk>,
    /// Found when it is first asked for: it takes a walk over the whole track.
    copied_video_delay: OnceLock<u32>,
}

impl Lowering {
    /// Checks that the plan speaks of this index and remembers its way through the tables.
    pub fn new(plan: Arc<Plan>, index: Arc<SourceIndex>) -> Result<Self> {
        let audio = plan.audio.iter().map(|rendition| rendition.source_track);
        let video = plan.video.as_ref().map(|video| video.source_track);
        let mut walks = BTreeMap::new();
        for at in audio.chain(video) {
            let track = index.tracks.get(at).ok_or_else(|| foreign("a track"))?;
            walks.entry(at).or_insert_with(|| Walk::of(track));
        }
        let mut lowering = Self {
            plan,
            index,
            pictures: None,
            run_starts: Vec::new(),
            walks,
            copied_video_delay: OnceLock::new(),
        };
        lowering.prepare_video()?;
        Ok(lowering)
    }

    fn prepare_video(&mut self) -> Result<()> {
        let Some(video) = &self.plan.video else {
            return Ok(());
        };
        let decodes = video
            .renditions
            .iter()
            .any(|r| matches!(r.method, VideoMethod::Encode(_)));
        if decodes {
            let track = self
                .index
                .tracks
                .get(video.source_track)
                .ok_or_else(|| foreign("a track"))?;
            self.pictures = Some(match video.picture.scan.is_fields() {
                true => Pictures::fields_of(track),
                false => Pictures::of(track),
            });
        }
        let mut start = 0_u32;
        for run in &video.frame_map.runs {
            self.run_starts.push(start);
            start = start.saturating_add(run.count);
        }
        Ok(())
    }

    fn video(&self) -> Result<(&VideoPlan, &SourceTrack, &Walk)> {
        let video = self.plan.video.as_ref().ok_or_else(|| foreign("video"))?;
        let track = self
            .index
            .tracks
            .get(video.source_track)
            .ok_or_else(|| foreign("a track"))?;
        let walk = self
            .walks
            .get(&video.source_track)
            .ok_or_else(|| foreign("a track"))?;
        Ok((video, track, walk))
    }

    /// The task that makes the segments of `span` for the encoded renditions numbered
    /// `renditions`, decoding once.
    pub fn video_task(
        &self,
        span: ChunkSpan,
        renditions: &[usize],
        joining: Joining,
    ) -> Result<VideoTask> {
        let (video, ..) = self.video()?;
        self.frames_task(span, video_encodes(video, renditions)?, joining)
    }

    /// The task that decodes the frames of `span` for those encoders.
    fn frames_task(
        &self,
        span: ChunkSpan,
        encodes: Vec<VideoEncode>,
        joining: Joining,
    ) -> Result<VideoTask> {
        let (video, track, walk) = self.video()?;
        let (first, end) = frame_range(video, span)?;
        let most = |count: fn(&VideoRecipe) -> u32| encodes.iter().map(|e| count(&e.recipe)).max();
        let head = match joining {
            Joining::Seamless => most(|recipe| recipe.head_frames).unwrap_or(0).min(first),
            Joining::Alone { .. } => 0,
        };
        let tail = match joining {
            Joining::Seamless => most(|recipe| recipe.tail_frames).unwrap_or(0),
            Joining::Alone { .. } => ALONE_TAIL_FRAMES,
        };
        let tail = tail.min(video.frames.saturating_sub(end));
        let pictures = self
            .pictures
            .as_ref()
            .ok_or_else(|| foreign("decoded video"))?;
        let mut frames = Vec::new();
        let mut needed = Needed::default();
        let mut last = 0;
        for frame in first - head..end + tail {
            let rank = self.picture_of(video, frame)?;
            let moment = pictures.moment(rank).ok_or_else(|| foreign("a picture"))?;
            needed.add(
                rank,
                pictures.number(rank).ok_or_else(|| foreign("a picture"))?,
            );
            let idr = frames.is_empty() || video.is_idr(frame);
            frames.push(TaskFrame {
                source_time: moment.0,
                idr,
                second_field: moment.1,
            });
            last = rank;
        }
        // A field is filled in from the pictures before and after it.
        if let (true, Some(number)) = (video.picture.scan.is_fields(), pictures.number(last + 2)) {
            needed.add(last + 2, number);
        }
        let (start, samples) = needed.samples(track, walk, pictures);
        let reconfigurations = track.samples.reconfigurations();
        let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        Ok(VideoTask {
            codec: track.codec.clone(),
            config: reconfigurations.at(start, &track.config).to_vec(),
            timescale: track.timescale,
            samples,
            first_frame: first - head,
            frames,
            head,
            keep: end - first,
            frame_rate: video.frame_rate,
            picture: video.picture.clone(),
            joining,
            renditions: encodes,
            stills: None,
            reconfigurations: reconfigurations.within(start, count, &track.config),
        })
    }

    /// As [`Self::video_task`], with the stills of those segments; `renditions` may then be empty.
    ///
    /// # Errors
    /// As [`Self::video_task`], and when the plan has no stills.
    pub fn video_task_with_stills(
        &self,
        span: ChunkSpan,
        renditions: &[usize],
        joining: Joining,
    ) -> Result<VideoTask> {
        let (video, ..) = self.video()?;
        let mut task = self.frames_task(span, encodes_of(video, renditions)?, joining)?;
        task.stills = Some(stills_task(video, span)?);
        Ok(task)
    }

    /// The source picture of an output frame.
    fn picture_of(&self, video: &VideoPlan, frame: u32) -> Result<u32> {
        let after = self.run_starts.partition_point(|start| *start <= frame);
        let at = after.checked_sub(1).ok_or_else(|| foreign("a frame"))?;
        let run = video
            .frame_map
            .runs
            .get(at)
            .ok_or_else(|| foreign("a frame"))?;
        let into = frame - self.run_starts[at];
        if into >= run.count {
            return Err(foreign("a frame"));
        }
        Ok(run.picture + run.step * into)
    }

    /// The task that makes the segments of `span` for the encoded audio renditions numbered
    /// `renditions`: those of one source track, decoded once.
    pub fn audio_task(&self, renditions: &[usize], span: ChunkSpan) -> Result<AudioTask> {
        let (main, encodes, source_start) = self.audio_encodes(renditions)?;
        let task = self.sound_task(main, source_start, span, main.level)?;
        Ok(AudioTask {
            renditions: encodes,
            ..task
        })
    }

    /// The task that hears the segments of `span` in several ways: renditions of one source track
    /// that the plan encodes, each at a level.
    pub fn measure_task(&self, sounds: &[(usize, Level)], span: ChunkSpan) -> Result<MeasureTask> {
        let mut samples = Vec::new();
        let mut tasks = Vec::new();
        for (at, level) in sounds {
            let (main, _, source_start) = self.audio_encodes(&[*at])?;
            let mut task = self.sound_task(main, source_start, span, Some(*level))?;
            // What is limited begins earlier than what isn't.
            let own = std::mem::take(&mut task.samples);
            if own.len() > samples.len() {
                samples = own;
            }
            tasks.push(task);
        }
        Ok(MeasureTask {
            samples,
            sounds: tasks,
        })
    }

    /// Hears the segments of `span` of a rendition, at a level, and encodes nothing.
    pub(super) fn sound_task(
        &self,
        main: &AudioRendition,
        source_start: i64,
        span: ChunkSpan,
        level: Option<Level>,
    ) -> Result<AudioTask> {
        let track = self
            .index
            .tracks
            .get(main.source_track)
            .ok_or_else(|| foreign("a track"))?;
        let walk = self
            .walks
            .get(&main.source_track)
            .ok_or_else(|| foreign("a track"))?;
        let TrackKind::Audio(info) = &track.kind else {
            return Err(foreign("an audio track"));
        };
        let (first, end) = audio_range(main, span)?;
        let head = AUDIO_HEAD_FRAMES.min(first);
        let run_in = i64::from(Level::run_in(level));
        let pcm = |frame: i64| frame * i64::from(main.frame_length) - i64::from(main.priming);
        let rate = Timescale::new(main.sample_rate).ok_or_else(|| foreign("a sample rate"))?;
        let movie = |frame: i64| {
            let ticks = rescale(pcm(frame), rate, track.timescale, Rounding::Floor);
            source_start.saturating_add(ticks)
        };
        Ok(AudioTask {
            codec: track.codec.clone(),
            config: track.config.clone(),
            timescale: track.timescale,
            samples: sound_between(
                track,
                walk,
                movie(i64::from(first - head) - run_in),
                movie(i64::from(end)),
            ),
            source_channels: info.channels,
            source_sample_rate: info.sample_rate,
            source_start,
            first_frame: first,
            frames: end - first,
            head,
            priming: main.priming,
            total_samples: main.samples,
            renditions: Vec::new(),
            sample_rate: main.sample_rate,
            channels: main.channels,
            source_block_align: info.block_align,
            source_bitrate: info.bitrate,
            level,
        })
    }

    /// The encoders of renditions that share one decode.
    fn audio_encodes(
        &self,
        renditions: &[usize],
    ) -> Result<(&AudioRendition, Vec<AudioEncode>, i64)> {
        let mut main: Option<(&AudioRendition, i64)> = None;
        let mut encodes = Vec::new();
        for at in renditions {
            let rendition = self
                .plan
                .audio
                .get(*at)
                .ok_or_else(|| foreign("an audio rendition"))?;
            let AudioMethod::Encode {
                bitrate,
                source_start,
            } = rendition.method
            else {
                return Err(foreign("an encoded audio rendition"));
            };
            let (main, _) = *main.get_or_insert((rendition, source_start));
            let shared = main.source_track == rendition.source_track
                && main.sample_rate == rendition.sample_rate
                && main.channels == rendition.channels
                && main.level == rendition.level
                && main.segments == rendition.segments;
            if !shared {
                return Err(Error::internal(
                    "audio renditions of one task must share their decode",
                ));
            }
            encodes.push(AudioEncode { bitrate });
        }
        let (main, source_start) = main.ok_or_else(|| foreign("an audio rendition"))?;
        Ok((main, encodes, source_start))
    }

    /// The task that opens the encoders of all encoded renditions, in the plan's order, and makes a
    /// poster of what is shown a tenth into the title, but at most ten seconds.
    pub fn configure_task(&self) -> Result<ConfigureTask> {
        let video = self.plan.video.as_ref();
        let encoded = |video: &VideoPlan| -> Vec<usize> {
            let encodes = |at: &usize| video.renditions[*at].method != VideoMethod::Copy;
            (0..video.renditions.len()).filter(encodes).collect()
        };
        let encoded = video.map(encoded).unwrap_or_default();
        let audio = self.plan.audio.iter().filter_map(|rendition| {
            let AudioMethod::Encode { bitrate, .. } = rendition.method else {
                return None;
            };
            Some(AudioSetting {
                bitrate,
                sample_rate: rendition.sample_rate,
                channels: rendition.channels,
            })
        });
        let rate = FrameRate::new(25, 1).expect("25 is a rate");
        Ok(ConfigureTask {
            frame_rate: video.map_or(rate, |video| video.frame_rate),
            video: match video {
                Some(video) if !encoded.is_empty() => video_encodes(video, &encoded)?,
                _ => Vec::new(),
            },
            audio: audio.collect(),
            poster: match video {
                Some(_) => Some(self.poster()?),
                None => None,
            },
            sound_poster: self.sound_poster()?,
        })
    }

    fn poster(&self) -> Result<PosterTask> {
        let (video, track, walk) = self.video()?;
        let rate = video.frame_rate;
        let ten_seconds = rate.frames_in(Ticks::new(10_000, Timescale::MILLIS), Rounding::Floor);
        let frame = (video.frames / 10).min(u32::try_from(ten_seconds).unwrap_or(u32::MAX));
        let number_of = |frame: u32| -> Result<u32> {
            let rank = self.picture_of(video, frame)?;
            let number = self.pictures.as_ref().map(|pictures| pictures.number(rank));
            // What is repackaged goes by its place in decode order.
            Ok(number.flatten().unwrap_or(rank))
        };
        let entry = |number: u32| {
            let entry = walk.from(track, number).next();
            entry.ok_or_else(|| foreign("a sample"))
        };
        let shown = |entry: &SampleEntry| track.movie_time(entry.presentation_time());
        // The picture that decoding starts at is had at once; others would have to wait for it.
        let sync = track
            .samples
            .sync_at_or_before(number_of(frame)?)
            .unwrap_or(0);
        let from = shown(&entry(sync)?).max(shown(&entry(number_of(0)?)?));
        let seconds = i64::from(track.timescale.get()) * POSTER_SECONDS;
        let samples = walk.from(track, sync).take(POSTER_SAMPLES);
        let samples = samples.map(|entry| task_sample(track, &entry));
        let near = |sample: &TaskSample| sample.time < from.saturating_add(seconds);
        let (width, height) = poster_size(&video.picture);
        Ok(PosterTask {
            codec: track.codec.clone(),
            config: track.config.clone(),
            timescale: track.timescale,
            samples: samples.take_while(near).collect(),
            from,
            picture: video.picture.clone(),
            width,
            height,
        })
    }

    /// The samples of segment number `segment` (from 0) of the repackaged video rendition.
    pub fn copied_video(&self, segment: u32) -> Result<CopiedSegment> {
        let (video, track, walk) = self.video()?;
        let span = video
            .segments
            .get(segment as usize)
            .ok_or_else(|| foreign("a segment"))?;
        // A repackaged segment holds whole closed groups: its pictures are its samples.
        let first = self.picture_of(video, span.first_frame)?;
        let entries: Vec<SampleEntry> =
            walk.from(track, first).take(span.frames as usize).collect();
        let origin = self.first_entry(video, track, walk)?;
        let samples = match video.frame_duration {
            Some(frame) => on_the_grid(&entries, frame),
            None => as_they_are(&entries, &origin),
        };
        if samples.len() != span.frames as usize {
            return Err(foreign("a sample"));
        }
        Ok(CopiedSegment {
            decode_time: span.start,
            samples,
        })
    }

    /// Ticks by which the repackaged video rendition's pictures are decoded before they are shown,
    /// at most. The first call walks the track; the others are told.
    pub fn copied_video_delay(&self) -> Result<u32> {
        if let Some(delay) = self.copied_video_delay.get() {
            return Ok(*delay);
        }
        let delay = self.find_copied_video_delay()?;
        Ok(*self.copied_video_delay.get_or_init(|| delay))
    }

    fn find_copied_video_delay(&self) -> Result<u32> {
        let (video, track, walk) = self.video()?;
        let first = self.picture_of(video, 0)?;
        let Some(frame) = video.frame_duration else {
            let origin = self.first_entry(video, track, walk)?;
            let shown = walk.from(track, first).take(video.frames as usize);
            let offsets = shown.map(|entry| entry.composition_offset);
            let early = i64::from(origin.composition_offset)
                - i64::from(offsets.min().unwrap_or(origin.composition_offset));
            return Ok(u32::try_from(early.max(0)).unwrap_or(0));
        };
        // No picture crosses a segment's border, so a rank within a segment is the rank within the
        // track less the segment's start, and so is a place in decode order.
        let sorted;
        let pictures = match &self.pictures {
            Some(pictures) => pictures,
            None => {
                sorted = Pictures::of(track);
                &sorted
            }
        };
        let ranks = first..first.saturating_add(video.frames);
        let late = ranks.filter_map(|rank| pictures.number(rank)?.checked_sub(rank));
        Ok(late.max().unwrap_or(0).saturating_mul(frame))
    }

    fn first_entry(
        &self,
        video: &VideoPlan,
        track: &SourceTrack,
        walk: &Walk,
    ) -> Result<SampleEntry> {
        let first = self.picture_of(video, 0)?;
        walk.from(track, first)
            .next()
            .ok_or_else(|| foreign("a sample"))
    }

    /// The samples of segment number `segment` (from 0) of the repackaged audio rendition
    /// numbered `rendition`. The last one is cut short so that the track ends with the
    /// presentation.
    pub fn copied_audio(&self, rendition: usize, segment: u32) -> Result<CopiedSegment> {
        let plan = self
            .plan
            .audio
            .get(rendition)
            .ok_or_else(|| foreign("an audio rendition"))?;
        let AudioMethod::Copy { first_sample } = plan.method else {
            return Err(foreign("a repackaged audio rendition"));
        };
        let track = self
            .index
            .tracks
            .get(plan.source_track)
            .ok_or_else(|| foreign("a track"))?;
        let walk = self
            .walks
            .get(&plan.source_track)
            .ok_or_else(|| foreign("a track"))?;
        let span = plan
            .segments
            .get(segment as usize)
            .ok_or_else(|| foreign("a segment"))?;
        let entries = walk.from(track, first_sample.saturating_add(span.first_frame));
        let samples: Vec<CopiedSample> = (span.first_frame..)
            .zip(entries.take(span.frames as usize))
            .map(|(frame, entry)| CopiedSample {
                place: entry.place,
                duration: audio_frame_duration(plan, frame),
                composition_offset: 0,
                sync: true,
            })
            .collect();
        if samples.len() != span.frames as usize {
            return Err(foreign("a sample"));
        }
        let decode_time = i64::from(span.first_frame) * i64::from(plan.frame_length);
        Ok(CopiedSegment {
            decode_time,
            samples,
        })
    }
}

/// PCM samples of encoded frame `frame` that count: all, but for the last frame of the track.
fn audio_frame_duration(plan: &AudioRendition, frame: u32) -> u32 {
    let total = plan.samples + u64::from(plan.priming);
    let before = u64::from(frame) * u64::from(plan.frame_length);
    let left = total
        .saturating_sub(before)
        .min(u64::from(plan.frame_length));
    u32::try_from(left).unwrap_or(plan.frame_length).max(1)
}

pub(super) fn foreign(what: &str) -> Error {
    Error::internal(format!(
        "the plan has no {what} of that kind in this source"
    ))
}

/// Upright, square pixels, even, no side longer than [`POSTER_SIDE`].
fn poster_size(picture: &PicturePlan) -> (u32, u32) {
    let info = VideoInfo {
        width: picture.width,
        height: picture.height,
        pixel_aspect: picture.pixel_aspect,
        orientation: picture.orientation,
        colour: picture.colour,
        light: picture.light,
        dolby_vision: None,
    };
    let (width, height) = info.upright_size();
    let longest = u64::from(width.max(height).max(1));
    let scaled = |side: u32| {
        let most = longest.min(u64::from(POSTER_SIDE));
        let half = (u64::from(side) * most + longest - 1) / (2 * longest);
        u32::try_from(half * 2).unwrap_or(POSTER_SIDE).max(2)
    };
    (scaled(width), scaled(height))
}

/// The stills of a run of segments.
fn stills_task(video: &VideoPlan, span: ChunkSpan) -> Result<StillsTask> {
    let stills = video.stills.as_ref().ok_or_else(|| foreign("stills"))?;
    let first = span.first_segment as usize;
    let end = last_segment(span)? as usize + 1;
    let segments = video.segments.get(first..end);
    let segments = segments.ok_or_else(|| foreign("a segment"))?;
    let i_frames = segments.iter().flat_map(|segment| stills.i_frames(segment));
    let thumbnails = stills.thumbnails;
    let numbers = segments.iter().flat_map(|s| thumbnails.numbers(s));
    let encode = |track: &TrickRendition| VideoEncode {
        width: track.width,
        height: track.height,
        recipe: track.recipe.clone(),
    };
    Ok(StillsTask {
        tracks: stills.tracks.iter().map(encode).collect(),
        i_frames: i_frames.map(|still| still.first_frame).collect(),
        thumbnail_width: thumbnails.width,
        thumbnail_height: thumbnails.height,
        thumbnails: numbers.map(|number| thumbnails.frame(number)).collect(),
    })
}

/// The recipes of those renditions, of which there must be one at least.
fn video_encodes(video: &VideoPlan, renditions: &[usize]) -> Result<Vec<VideoEncode>> {
    let encodes = encodes_of(video, renditions)?;
    if encodes.is_empty() {
        return Err(foreign("a video rendition"));
    }
    Ok(encodes)
}

/// The recipes of those renditions.
fn encodes_of(video: &VideoPlan, renditions: &[usize]) -> Result<Vec<VideoEncode>> {
    let mut encodes = Vec::new();
    for at in renditions {
        let rendition = video
            .renditions
            .get(*at)
            .ok_or_else(|| foreign("a video rendition"))?;
        let VideoMethod::Encode(recipe) = &rendition.method else {
            return Err(foreign("an encoded video rendition"));
        };
        let (width, height) = (rendition.width, rendition.height);
        encodes.push(VideoEncode {
            width,
            height,
            recipe: recipe.clone(),
        });
    }
    Ok(encodes)
}

/// Output frames `first .. end` of a run of segments.
fn frame_range(video: &VideoPlan, span: ChunkSpan) -> Result<(u32, u32)> {
    let last = last_segment(span)?;
    let first = video
        .segments
        .get(span.first_segment as usize)
        .ok_or_else(|| foreign("a segment"))?;
    let last = video
        .segments
        .get(last as usize)
        .ok_or_else(|| foreign("a segment"))?;
    Ok((first.first_frame, last.first_frame + last.frames))
}

/// Encoded frames `first .. end` of a run of segments.
fn audio_range(rendition: &AudioRendition, span: ChunkSpan) -> Result<(u32, u32)> {
    let last = last_segment(span)?;
    let first = rendition
        .segments
        .get(span.first_segment as usize)
        .ok_or_else(|| foreign("a segment"))?;
    let last = rendition
        .segments
        .get(last as usize)
        .ok_or_else(|| foreign("a segment"))?;
    Ok((first.first_frame, last.first_frame + last.frames))
}

fn last_segment(span: ChunkSpan) -> Result<u32> {
    let inner = span
        .segments
        .checked_sub(1)
        .ok_or_else(|| foreign("a segment"))?;
    span.first_segment
        .checked_add(inner)
        .ok_or_else(|| foreign("a segment"))
}

/// The pictures that a task's frames show.
#[derive(Debug, Default)]
struct Needed {
    /// Lowest rank in presentation order.
    first_rank: Option<u32>,
    /// First and last of them in decode order.
    numbers: Option<(u32, u32)>,
}

impl Needed {
    fn add(&mut self, rank: u32, number: u32) {
        self.first_rank = Some(self.first_rank.map_or(rank, |first| first.min(rank)));
        self.numbers = Some(match self.numbers {
            None => (number, number),
            Some((first, last)) => (first.min(number), last.max(number)),
        });
    }

    /// All samples from where decoding can start to the last needed one, and the number of the first.
    fn samples(
        &self,
        track: &SourceTrack,
        walk: &Walk,
        pictures: &Pictures,
    ) -> (u32, Vec<TaskSample>) {
        let (Some(rank), Some((first, last))) = (self.first_rank, self.numbers) else {
            return (0, Vec::new());
        };
        let time = pictures.time(rank).unwrap_or(0);
        let start = start_of_decoding(track, walk, first, time);
        let count = (last - start) as usize + 1;
        let entries = walk.from(track, start).take(count);
        let samples = entries.map(|entry| task_sample(track, &entry));
        (start, samples.collect())
    }
}

/// The sync sample to start at so that sample `number` and all pictures from `time` on decode.
/// Pictures shown before a sync sample may lean on the group before it (open GOP): then it is
/// the sync sample before.
fn start_of_decoding(track: &SourceTrack, walk: &Walk, number: u32, time: i64) -> u32 {
    let mut candidate = number;
    while let Some(sync) = track.samples.sync_at_or_before(candidate) {
        let entry = walk.from(track, sync).next();
        let shown = entry.map(|entry| track.movie_time(entry.presentation_time()));
        if shown.is_none_or(|shown| shown <= time) {
            return sync;
        }
        match sync.checked_sub(1) {
            Some(before) => candidate = before,
            None => break,
        }
    }
    // Nothing before decodes either: what the track starts with is all there is.
    let first = track.samples.sync_numbers().next();
    first.filter(|first| *first <= number).unwrap_or(0)
}

pub(crate) fn task_sample(track: &SourceTrack, entry: &SampleEntry) -> TaskSample {
    TaskSample {
        place: entry.place,
        time: track.movie_time(entry.presentation_time()),
        decode_time: track.movie_time(entry.decode_time),
        duration: entry.duration,
        sync: entry.sync,
    }
}

/// The samples of an audio track for sound from `start` to `end` (movie time), with preroll and
/// tail, without what its edit list ends before.
fn sound_between(track: &SourceTrack, walk: &Walk, start: i64, end: i64) -> Vec<TaskSample> {
    let ticks = |millis: i64| rescale(millis, Timescale::MILLIS, track.timescale, Rounding::Ceil);
    let from = start.saturating_sub(ticks(AUDIO_PREROLL_MILLIS));
    let mut until = end.saturating_add(ticks(AUDIO_TAIL_MILLIS));
    if let Some(length) = track.edit.length {
        until = until.min(track.edit.delay.saturating_add(length));
    }
    let ends_before = |entry: &SampleEntry| {
        let end = entry
            .presentation_time()
            .saturating_add(i64::from(entry.duration));
        track.movie_time(end) <= from
    };
    let near = walk.at_movie_time(track, from);
    let skipped = walk.from(track, near).take_while(ends_before).count();
    let first = near.saturating_add(u32::try_from(skipped).unwrap_or(u32::MAX));
    let first = track.samples.sync_at_or_before(first).unwrap_or(first);
    walk.from(track, first)
        .map(|entry| task_sample(track, &entry))
        .take_while(|sample| sample.time < until)
        .collect()
}

/// Constant rate: frame j of the segment is decoded at j and presented at its rank.
fn on_the_grid(entries: &[SampleEntry], frame: u32) -> Vec<CopiedSample> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| entries[*at].presentation_time());
    let mut offsets = vec![0_i32; entries.len()];
    for (rank, at) in order.iter().enumerate() {
        let ahead = i64::try_from(rank).unwrap_or(0) - i64::try_from(*at).unwrap_or(0);
        offsets[*at] = i32::try_from(ahead * i64::from(frame)).unwrap_or(0);
    }
    let syncs = closed_syncs(entries);
    let samples = entries.iter().zip(offsets).zip(syncs);
    let samples = samples.map(|((entry, composition_offset), sync)| CopiedSample {
        place: entry.place,
        duration: frame,
        composition_offset,
        sync,
    });
    samples.collect()
}

/// Variable rate: the source's own durations, presentation counted from the title's first
/// picture.
fn as_they_are(entries: &[SampleEntry], origin: &SampleEntry) -> Vec<CopiedSample> {
    let shift = i64::from(origin.composition_offset);
    let samples = entries
        .iter()
        .zip(closed_syncs(entries))
        .map(|(entry, sync)| CopiedSample {
            place: entry.place,
            duration: entry.duration,
            composition_offset: i32::try_from(i64::from(entry.composition_offset) - shift)
                .unwrap_or(0),
            sync,
        });
    samples.collect()
}

/// Which samples are sync samples that nothing after them is shown before (SAP type 1): the
/// first is, by the plan.
fn closed_syncs(entries: &[SampleEntry]) -> Vec<bool> {
    let mut earliest_after = i64::MAX;
    let mut syncs: Vec<bool> = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        let time = entry.presentation_time();
        syncs.push(entry.sync && time < earliest_after);
        earliest_after = earliest_after.min(time);
    }
    syncs.reverse();
    if let Some(first) = syncs.first_mut() {
        *first = true;
    }
    syncs
}

/// Remembered places in a sample table, so that no task walks it from the start.
#[derive(Debug, Clone)]
struct Walk(Vec<SampleCursor>);

impl Walk {
    fn of(track: &SourceTrack) -> Self {
        let mut iter = track.samples.iter();
        let mut cursors = Vec::with_capacity(track.samples.len() / STRIDE + 1);
        loop {
            let cursor = iter.cursor();
            if iter.by_ref().take(STRIDE).count() == 0 {
                return Self(cursors);
            }
            cursors.push(cursor);
        }
    }

    /// The samples of `track` from `number` on.
    fn from<'a>(
        &self,
        track: &'a SourceTrack,
        number: u32,
    ) -> impl Iterator<Item = SampleEntry> + 'a {
        let after = self.0.partition_point(|cursor| cursor.number() <= number);
        let cursor = after.checked_sub(1).and_then(|at| self.0.get(at));
        let (iter, skip) = match cursor {
            Some(cursor) => (track.samples.iter_at(*cursor), number - cursor.number()),
            None => (track.samples.iter(), number),
        };
        iter.skip(skip as usize)
    }

    /// Number of a sample a stretch before movie time `time`.
    fn at_movie_time(&self, track: &SourceTrack, time: i64) -> u32 {
        let early = |cursor: &SampleCursor| track.movie_time(cursor.decode_time()) < time;
        let after = self.0.partition_point(early);
        let cursor = after.checked_sub(1).and_then(|at| self.0.get(at));
        cursor.map_or(0, SampleCursor::number)
    }
}
