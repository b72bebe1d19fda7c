//! Makes segments of one title, whatever runs of them are asked for: media children encode, samples
//! are cut, muxed and stored.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::damage;
use super::init::{audio_init, composition_delay, copied_config, copied_init, encoded_init};
use super::loudness;
use super::prepare::Prepared;
use super::progress::{Event, Progress};
use super::protect::Formats;
use super::stills::{self, Still, StillsCutter};
use super::{check_stop, init_key, segment_key};
use crate::cmaf::fragment::{
    FragmentKind, FragmentSample, describe, encrypted_fragment, fragment, fragment_head,
};
use crate::cmaf::init_segment::{TrackInit, protected_init_segment};
use crate::codec::captions;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::media::{
    AudioRendition, ChunkSpan, EncodedSample, Home, Job, Joining, Place, SourceTrack, TaskSummary,
    VideoMethod, VideoPlan, VideoRendition,
};
use crate::plan::{CopiedSample, CopiedSegment, Lowering};
use crate::sandbox::{self, Launcher};
use crate::segmenter::{CutSegment, Segmenter};
use crate::source::{self, Lent};
use crate::store::{BlockingStore, Created};
use crate::time::Timescale;

/// One prepared title and where its objects go. Any number of threads may make its segments at
/// once.
#[derive(Debug)]
pub struct Maker {
    pub(super) prepared: Arc<Prepared>,
    pub(super) store: BlockingStore,
    pub(super) sandbox: sandbox::Options,
    pub(super) lowering: Lowering,
    /// Guards itself; each entry is the same whoever makes it.
    pub(super) formats: Formats,
}

/// How a job is to be done.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// How encoded segments meet their neighbours.
    pub joining: Joining,
    /// Niceness of the media child, 0 to 19.
    pub nice: i32,
    /// Who is told of what is stored.
    pub progress: &'a dyn Progress,
    /// Ends the job when raised.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("joining", &self.joining)
            .field("nice", &self.nice)
            .finish_non_exhaustive()
    }
}

impl Maker {
    /// For the title `prepared`, whose objects go into `store`.
    ///
    /// # Errors
    /// `Internal` when plan and index don't belong together.
    pub fn new(
        prepared: Arc<Prepared>,
        store: BlockingStore,
        sandbox: sandbox::Options,
    ) -> Result<Self> {
        let lowering = Lowering::new(Arc::clone(&prepared.plan), Arc::clone(&prepared.index))?;
        Ok(Self {
            prepared,
            store,
            sandbox,
            lowering,
            formats: Formats::default(),
        })
    }

    /// The title.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Does a job; once more when a child died under it, as one does that the system ran out of
    /// memory for.
    ///
    /// # Errors
    /// `Invalid`, `Unsupported` or `DataLoss` for the source, `Exhausted` for a full disk,
    /// `Unavailable` when it was stopped or a child died twice.
    pub fn make(&self, job: &Job, attempt: &Attempt<'_>) -> Result<()> {
        let run = job.run();
        let (first, last) = (run.first_segment + 1, run.first_segment + run.segments);
        self.twice(job, attempt)
            .map_err(|e| match attempt.stop.load(Ordering::Relaxed) {
                true => e,
                false => e.context(format!("segments {first} to {last}")),
            })
    }

    fn twice(&self, job: &Job, attempt: &Attempt<'_>) -> Result<()> {
        let work = Work {
            maker: self,
            attempt,
        };
        match work.job(job) {
            Err(e)
                if e.kind() == ErrorKind::Unavailable && !attempt.stop.load(Ordering::Relaxed) =>
            {
                let why = e.to_string();
                attempt.progress.event(Event::Retried { why: &why });
                work.job(job)
            }
            done => done,
        }
    }

    /// Stores a track's init segment. All tasks of a rendition must give the same.
    pub(super) fn put_init(&self, track: &str, init: &TrackInit) -> Result<()> {
        let key = init_key(&self.prepared.revision, track);
        let protection = self.init_protection(track)?;
        let bytes = protected_init_segment(init, protection.as_ref());
        if self.store.create(&key, vec![Bytes::from(bytes.clone())])? == Created::New {
            return Ok(());
        }
        match self.store.read(&key)? {
            Some(stored) if stored == bytes => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "{key}: the encoder now gives another configuration than the one stored; \
                     it was updated since the run began: package into an empty folder"
                ),
            )),
        }
    }

    /// The files that the samples at `places` lie in: the source or as much of it, and the spool.
    pub(super) fn files(
        &self,
        places: impl IntoIterator<Item = Place>,
        stop: &AtomicBool,
    ) -> Result<(Lent<'_>, Option<&File>)> {
        let prepared = &self.prepared;
        let scratch = prepared.scratch.as_deref();
        let source = prepared.source.lend(places, scratch, stop)?;
        Ok((source, prepared.spool.as_ref()))
    }

    pub(super) fn video(&self) -> Result<&VideoPlan> {
        let video = self.prepared.plan.video.as_ref();
        video.ok_or_else(|| Error::internal("the plan has no video"))
    }

    pub(super) fn track(&self, number: usize) -> &SourceTrack {
        &self.prepared.index.tracks[number]
    }
}

/// One attempt at work for one title.
struct Work<'a> {
    maker: &'a Maker,
    attempt: &'a Attempt<'a>,
}

impl Work<'_> {
    fn job(&self, job: &Job) -> Result<()> {
        match job {
            Job::EncodeVideo {
                renditions,
                run,
                stills,
            } => self.encode_video(renditions, *run, *stills),
            Job::EncodeAudio { renditions, run } => self.encode_audio(renditions, *run),
            Job::CopyVideo { rendition, run } => self.copy_video(*rendition, *run),
            Job::CopyAudio { rendition, run } => self.copy_audio(*rendition, *run),
        }
    }

    fn encode_video(&self, renditions: &[usize], run: ChunkSpan, stills: bool) -> Result<()> {
        let video = self.maker.video()?;
        let (joining, lowering) = (self.attempt.joining, &self.maker.lowering);
        let task = match stills {
            true => lowering.video_task_with_stills(run, renditions, joining)?,
            false => lowering.video_task(run, renditions, joining)?,
        };
        let mut stills = match stills {
            true => Some(StillsCutter::new(video, run)?),
            false => None,
        };
        let specs: Vec<&VideoRendition> = renditions
            .iter()
            .map(|rendition| &video.renditions[*rendition])
            .collect();
        let mut cutters = Vec::new();
        let mut kinds = Vec::new();
        for (spec, encode) in specs.iter().zip(&task.renditions) {
            let recipe = &encode.recipe;
            cutters.push((Segmenter::video(video, run)?, spec.id.as_str()));
            kinds.push(FragmentKind::Video {
                composition_delay: composition_delay(video, recipe),
            });
        }
        let stop = self.attempt.stop;
        let places = task.samples.iter().map(|sample| sample.place);
        let (source, spool) = self.maker.files(places, stop)?;
        let mut take = |sample: EncodedSample| {
            let still = (sample.rendition as usize).checked_sub(cutters.len());
            match (still, &mut stills) {
                (Some(which), Some(stills)) => self.put_still(stills.push(which, sample)?),
                _ => {
                    let kind = kinds.get(sample.rendition as usize).copied();
                    self.cut(&mut cutters, kind.ok_or_else(unasked)?, sample)
                }
            }
        };
        let launcher = self.launcher();
        let summary = launcher.video(&task, source.file(), spool, stop, &mut take)?;
        self.finish(&cutters, run, &summary, task.timescale)?;
        let tracks = video.stills.iter().filter(|_| stills.is_some());
        let tracks: Vec<VideoRendition> = tracks
            .flat_map(|stills| stills.tracks.iter().map(stills::as_rendition))
            .collect();
        if let Some(stills) = stills {
            stills.finish()?;
        }
        let configs = configs(&summary, specs.len() + tracks.len())?;
        let ladder = specs.into_iter().map(|spec| (spec, true));
        // Each picture of an I-frame track is shown when it is decoded.
        let tracks = tracks.iter().map(|track| (track, false));
        for ((spec, reordered), config) in ladder.chain(tracks).zip(configs) {
            let VideoMethod::Encode(recipe) = &spec.method else {
                return Err(unasked());
            };
            let delay = match reordered {
                true => composition_delay(video, recipe),
                false => 0,
            };
            let init = encoded_init(video, spec, recipe, delay, &config)?;
            self.maker.put_init(&spec.id, &init)?;
        }
        Ok(())
    }

    fn put_still(&self, still: Option<Still>) -> Result<()> {
        match still {
            None => Ok(()),
            Some(Still::Segment {
                track,
                number,
                bytes,
            }) => {
                let stills = self.maker.video()?.stills.as_ref();
                let track = stills.and_then(|stills| stills.tracks.get(track));
                let track = track.ok_or_else(|| Error::internal("the plan has no such stills"))?;
                self.store_segment(&track.id, number, bytes)
            }
            Some(Still::Thumbnail { number, jpeg }) => {
                self.maker.prepared.source.check_unchanged()?;
                let key = Key::Thumbnail {
                    revision: self.maker.prepared.revision.clone(),
                    number,
                };
                self.maker.store.create(&key, vec![jpeg]).map(drop)
            }
        }
    }

    fn encode_audio(&self, renditions: &[usize], run: ChunkSpan) -> Result<()> {
        let task = self.maker.lowering.audio_task(renditions, run)?;
        let specs: Vec<&AudioRendition> = renditions
            .iter()
            .map(|rendition| &self.maker.prepared.plan.audio[*rendition])
            .collect();
        let mut cutters = Vec::new();
        for spec in &specs {
            cutters.push((Segmenter::audio(spec, run)?, spec.id.as_str()));
        }
        let stop = self.attempt.stop;
        let places = task.samples.iter().map(|sample| sample.place);
        let (source, spool) = self.maker.files(places, stop)?;
        let mut cut = |sample| self.cut(&mut cutters, FragmentKind::Audio, sample);
        let launcher = self.launcher();
        let summary = launcher.audio(&task, source.file(), spool, stop, &mut cut)?;
        self.finish(&cutters, run, &summary, task.timescale)?;
        if let Some((spec, part)) = specs.first().zip(summary.loudness.as_ref()) {
            let (store, revision) = (&self.maker.store, &self.maker.prepared.revision);
            loudness::keep(store, revision, spec, run, part)?;
        }
        for (spec, config) in specs.iter().zip(configs(&summary, specs.len())?) {
            self.maker.put_init(&spec.id, &audio_init(spec, config)?)?;
        }
        Ok(())
    }

    fn launcher(&self) -> Launcher {
        Launcher::new(sandbox::Options {
            nice: self.attempt.nice,
            ..self.maker.sandbox.clone()
        })
    }

    /// Sees that a task made every segment of its run, and keeps what it found damaged.
    fn finish(
        &self,
        cutters: &[(Segmenter, &str)],
        run: ChunkSpan,
        summary: &TaskSummary,
        timescale: Timescale,
    ) -> Result<()> {
        for (segmenter, track) in cutters {
            segmenter.finish().map_err(|e| e.context(track))?;
        }
        // Stills by themselves have no cutter here.
        let track = cutters.first().map_or("stills", |(_, track)| *track);
        let (store, revision) = (&self.maker.store, &self.maker.prepared.revision);
        damage::keep(
            store,
            revision,
            track,
            run.first_segment,
            summary,
            timescale,
        )
    }

    /// Gives a sample to its rendition's segmenter and stores the segment it completes.
    fn cut(
        &self,
        cutters: &mut [(Segmenter, &str)],
        kind: FragmentKind,
        sample: EncodedSample,
    ) -> Result<()> {
        let (segmenter, track) = cutters
            .get_mut(sample.rendition as usize)
            .ok_or_else(unasked)?;
        match segmenter.push(sample)? {
            Some(segment) => self.put_segment(track, kind, &segment),
            None => Ok(()),
        }
    }

    fn copy_video(&self, rendition: usize, run: ChunkSpan) -> Result<()> {
        let video = self.maker.video()?;
        let spec = &video.renditions[rendition];
        let track = self.maker.track(video.source_track);
        let composition_delay = self.maker.lowering.copied_video_delay()?;
        let init = copied_init(video, spec, track, composition_delay)?;
        self.maker.put_init(&spec.id, &init)?;
        let kind = FragmentKind::Video { composition_delay };
        for segment in run.first_segment..run.first_segment + run.segments {
            check_stop(self.attempt.stop)?;
            let copied = self.maker.lowering.copied_video(segment)?;
            match self.maker.prepared.length_size_of_captioned()? {
                Some(size) => self.put_uncaptioned(&spec.id, kind, segment + 1, &copied, size)?,
                None => self.put_copied(&spec.id, kind, segment + 1, &copied)?,
            }
        }
        Ok(())
    }

    fn copy_audio(&self, rendition: usize, run: ChunkSpan) -> Result<()> {
        let spec = &self.maker.prepared.plan.audio[rendition];
        let config = copied_config(spec, self.maker.track(spec.source_track));
        self.maker.put_init(&spec.id, &audio_init(spec, config)?)?;
        for segment in run.first_segment..run.first_segment + run.segments {
            check_stop(self.attempt.stop)?;
            let copied = self.maker.lowering.copied_audio(rendition, segment)?;
            self.put_copied(&spec.id, FragmentKind::Audio, segment + 1, &copied)?;
        }
        Ok(())
    }

    fn put_copied(
        &self,
        track: &str,
        kind: FragmentKind,
        number: u32,
        copied: &CopiedSegment,
    ) -> Result<()> {
        let decode_time = u64::try_from(copied.decode_time)
            .map_err(|_| Error::internal("a copied segment starts before the presentation"))?;
        let describe = |sample: &CopiedSample| FragmentSample {
            size: sample.place.size,
            duration: sample.duration,
            composition_offset: sample.composition_offset,
            sync: sample.sync,
        };
        let table: Vec<FragmentSample> = copied.samples.iter().map(describe).collect();
        let places: Vec<_> = copied.samples.iter().map(|sample| sample.place).collect();
        let (source, spool) = self
            .maker
            .files(places.iter().copied(), self.attempt.stop)?;
        let mut data = Vec::new();
        let encryptor = self.maker.sample_encryptor(track, self.attempt.stop)?;
        if encryptor.is_none() {
            data = fragment_head(kind, number, decode_time, &table)?;
        }
        for run in places.chunk_by(|a, b| a.home == b.home) {
            let file = match run.first().map(|place| place.home) {
                Some(Home::Spool) => spool.ok_or_else(|| Error::internal("there is no spool"))?,
                _ => source.file(),
            };
            source::gather(file, run.iter().copied(), &mut data)?;
        }
        let bytes = match encryptor {
            Some(mut encryptor) => {
                encrypted_fragment(kind, number, decode_time, &table, data, &mut encryptor)?
            }
            None => data,
        };
        self.store_segment(track, number, bytes)
    }

    /// As [`Self::put_copied`], without the captions in the pictures: they are text tracks of the
    /// presentation, and the other rungs don't have them (rule H41).
    fn put_uncaptioned(
        &self,
        track: &str,
        kind: FragmentKind,
        number: u32,
        copied: &CopiedSegment,
        length_size: usize,
    ) -> Result<()> {
        let decode_time = u64::try_from(copied.decode_time)
            .map_err(|_| Error::internal("a copied segment starts before the presentation"))?;
        let (mut table, mut data) = (Vec::with_capacity(copied.samples.len()), Vec::new());
        let mut bytes = Vec::new();
        let places = copied.samples.iter().map(|sample| sample.place);
        let (source, _) = self.maker.files(places, self.attempt.stop)?;
        for sample in &copied.samples {
            bytes.clear();
            source::gather(source.file(), [sample.place], &mut bytes)?;
            let stripped = captions::without_captions(&bytes, length_size);
            let kept = stripped.as_deref().unwrap_or(&bytes);
            data.extend_from_slice(kept);
            table.push(FragmentSample {
                size: u32::try_from(kept.len()).unwrap_or(u32::MAX),
                duration: sample.duration,
                composition_offset: sample.composition_offset,
                sync: sample.sync,
            });
        }
        let segment = match self.maker.sample_encryptor(track, self.attempt.stop)? {
            Some(mut encryptor) => {
                encrypted_fragment(kind, number, decode_time, &table, data, &mut encryptor)?
            }
            None => {
                let mut segment = fragment_head(kind, number, decode_time, &table)?;
                segment.extend(data);
                segment
            }
        };
        self.store_segment(track, number, segment)
    }

    fn put_segment(&self, track: &str, kind: FragmentKind, segment: &CutSegment) -> Result<()> {
        let (number, decode_time) = (segment.number, segment.decode_time);
        let samples = &segment.samples;
        let bytes = match self.maker.sample_encryptor(track, self.attempt.stop)? {
            Some(mut encryptor) => {
                let table: Vec<_> = samples.iter().map(describe).collect::<Result<_>>()?;
                let data: Vec<_> = samples.iter().map(|sample| &sample.data[..]).collect();
                let data = data.concat();
                encrypted_fragment(kind, number, decode_time, &table, data, &mut encryptor)?
            }
            None => fragment(kind, number, decode_time, samples)?,
        };
        self.store_segment(track, number, bytes)
    }

    fn store_segment(&self, track: &str, number: u32, bytes: Vec<u8>) -> Result<()> {
        // Its name says which source it was made of.
        self.maker.prepared.source.check_unchanged()?;
        let bytes = self.maker.seal(track, number, bytes)?;
        let key = segment_key(&self.maker.prepared.revision, track, number);
        let size = bytes.len() as u64;
        if self.maker.store.create(&key, vec![Bytes::from(bytes)])? == Created::New {
            self.attempt.progress.event(Event::Stored {
                track,
                number,
                bytes: size,
            });
        }
        Ok(())
    }
}

fn unasked() -> Error {
    Error::internal("the media child sent a rendition nobody asked for")
}

/// The decoder configurations a task reported: one a rendition.
fn configs(summary: &TaskSummary, renditions: usize) -> Result<Vec<Vec<u8>>> {
    if summary.configs.len() != renditions {
        return Err(Error::internal(
            "the media child left out a decoder configuration",
        ));
    }
    Ok(summary.configs.clone())
}
