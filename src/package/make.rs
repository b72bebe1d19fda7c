//! Makes segments: threads take jobs, media children encode, samples are cut, muxed and stored.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::damage;
use super::prepare::Prepared;
use super::progress::{Event, Progress};
use super::{Options, init_key, segment_key};
use crate::cmaf::fragment::{FragmentKind, FragmentSample, fragment, fragment_head};
use crate::cmaf::init_segment::{AudioInit, TrackInit, TrackInitKind, VideoInit, init_segment};
use crate::codec::avc::AvcConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{
    AudioMethod, AudioRendition, ChunkSpan, Colour, EncodedSample, Job, Joining, PixelAspect,
    REORDER_FRAMES, SourceTrack, TaskSummary, TrackKind, VideoPlan, VideoRendition,
};
use crate::plan::{CopiedSample, CopiedSegment, Lowering};
use crate::sandbox::Launcher;
use crate::segmenter::{CutSegment, Segmenter};
use crate::source;
use crate::store::{BlockingStore, Created};
use crate::time::Timescale;

/// What a run of jobs gives besides what it stored.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Segments stored.
    pub(super) segments: u64,
}

/// An error when the user asked to stop.
pub(super) fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        let message = "stopped; run the same command again to go on from here";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Ok(())
}

/// Does all jobs; returns when all are done, or with the first error once every thread stopped.
pub(super) fn make(
    prepared: &Prepared,
    jobs: Vec<Job>,
    store: &BlockingStore,
    options: &Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Made> {
    let threads = options
        .jobs
        .unwrap_or_else(cores)
        .clamp(1, jobs.len().max(1));
    let maker = Maker {
        prepared,
        store,
        progress,
        stop,
        launcher: Launcher::new(options.sandbox.clone()),
        lowering: Lowering::new(Arc::clone(&prepared.plan), Arc::clone(&prepared.index))?,
        failed: AtomicBool::new(false),
        segments: AtomicU64::new(0),
    };
    let queue = Mutex::new(jobs.into_iter());
    // A child dies with the thread that started it; these threads wait for their children.
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let work = || maker.work(&queue);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::internal("a packaging thread panicked")))
        };
        threads.into_iter().map(join).collect()
    });
    check_stop(stop)?;
    results.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(Made {
        segments: maker.segments.into_inner(),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the threads share.
struct Maker<'a> {
    prepared: &'a Prepared,
    store: &'a BlockingStore,
    progress: &'a dyn Progress,
    stop: &'a AtomicBool,
    launcher: Launcher,
    lowering: Lowering,
    /// Set by the first thread that fails, so that the others end soon.
    failed: AtomicBool,
    segments: AtomicU64,
}

impl Maker<'_> {
    fn work(&self, queue: &Mutex<std::vec::IntoIter<Job>>) -> Result<()> {
        loop {
            let job = queue
                .lock()
                .map_err(|_| Error::internal("the queue is poisoned"))?
                .next();
            let Some(job) = job else { return Ok(()) };
            if self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let done = check_stop(self.stop).and_then(|()| self.attempt(&job));
            if done.is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            done?;
        }
    }

    /// Does a job; once more when a child died under it, as one does that the system ran out of
    /// memory for.
    fn attempt(&self, job: &Job) -> Result<()> {
        let run = job.run();
        let (first, last) = (run.first_segment + 1, run.first_segment + run.segments);
        self.twice(job)
            .map_err(|e| match self.stop.load(Ordering::Relaxed) {
                true => e,
                false => e.context(format!("segments {first} to {last}")),
            })
    }

    fn twice(&self, job: &Job) -> Result<()> {
        match self.job(job) {
            Err(e) if e.kind() == ErrorKind::Unavailable && !self.stop.load(Ordering::Relaxed) => {
                let why = e.to_string();
                self.progress.event(Event::Retried { why: &why });
                self.job(job)
            }
            done => done,
        }
    }

    fn job(&self, job: &Job) -> Result<()> {
        match job {
            Job::EncodeVideo { renditions, run } => self.encode_video(renditions, *run),
            Job::EncodeAudio { renditions, run } => self.encode_audio(renditions, *run),
            Job::CopyVideo { rendition, run } => self.copy_video(*rendition, *run),
            Job::CopyAudio { rendition, run } => self.copy_audio(*rendition, *run),
        }
    }

    fn video(&self) -> Result<&VideoPlan> {
        self.prepared
            .plan
            .video
            .as_ref()
            .ok_or_else(|| Error::internal("the plan has no video"))
    }

    fn track(&self, number: usize) -> &SourceTrack {
        &self.prepared.index.tracks[number]
    }

    fn encode_video(&self, renditions: &[usize], run: ChunkSpan) -> Result<()> {
        let video = self.video()?;
        let task = self
            .lowering
            .video_task(run, renditions, Joining::Seamless)?;
        let specs: Vec<&VideoRendition> = renditions
            .iter()
            .map(|rendition| &video.renditions[*rendition])
            .collect();
        let mut cutters = Vec::new();
        for spec in &specs {
            cutters.push((Segmenter::video(video, run)?, spec.id.as_str()));
        }
        let composition_delay = REORDER_FRAMES * video.frame_duration.unwrap_or(0);
        let kind = FragmentKind::Video { composition_delay };
        let (source, spool) = self.files();
        let summary = self
            .launcher
            .video(&task, source, spool, self.stop, &mut |sample| {
                self.cut(&mut cutters, kind, sample)
            })?;
        self.finish(&cutters, run, &summary, task.timescale)?;
        for (spec, config) in specs.iter().zip(configs(&summary, specs.len())?) {
            self.put_init(
                &spec.id,
                &video_init(video, spec, Colour::BT709, &config, composition_delay)?,
            )?;
        }
        Ok(())
    }

    fn encode_audio(&self, renditions: &[usize], run: ChunkSpan) -> Result<()> {
        let task = self.lowering.audio_task(renditions, run)?;
        let specs: Vec<&AudioRendition> = renditions
            .iter()
            .map(|rendition| &self.prepared.plan.audio[*rendition])
            .collect();
        let mut cutters = Vec::new();
        for spec in &specs {
            cutters.push((Segmenter::audio(spec, run)?, spec.id.as_str()));
        }
        let (source, spool) = self.files();
        let summary = self
            .launcher
            .audio(&task, source, spool, self.stop, &mut |sample| {
                self.cut(&mut cutters, FragmentKind::Audio, sample)
            })?;
        self.finish(&cutters, run, &summary, task.timescale)?;
        for (spec, config) in specs.iter().zip(configs(&summary, specs.len())?) {
            self.put_init(&spec.id, &audio_init(spec, config)?)?;
        }
        Ok(())
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
        let Some((_, track)) = cutters.first() else {
            return Ok(());
        };
        let (store, revision) = (self.store, &self.prepared.revision);
        damage::keep(
            store,
            revision,
            track,
            run.first_segment,
            summary,
            timescale,
        )
    }

    fn files(&self) -> (&File, Option<&File>) {
        (self.prepared.source.file(), self.prepared.spool.as_ref())
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
            .ok_or_else(|| Error::internal("the media child sent a rendition nobody asked for"))?;
        match segmenter.push(sample)? {
            Some(segment) => self.put_segment(track, kind, &segment),
            None => Ok(()),
        }
    }

    fn copy_video(&self, rendition: usize, run: ChunkSpan) -> Result<()> {
        let video = self.video()?;
        let spec = &video.renditions[rendition];
        let track = self.track(video.source_track);
        let composition_delay = self.lowering.copied_video_delay()?;
        let colour = track_colour(track);
        let init = video_init(video, spec, colour, &track.config, composition_delay)?;
        self.put_init(&spec.id, &init)?;
        let kind = FragmentKind::Video { composition_delay };
        for segment in run.first_segment..run.first_segment + run.segments {
            check_stop(self.stop)?;
            let copied = self.lowering.copied_video(segment)?;
            self.put_copied(&spec.id, kind, segment + 1, &copied)?;
        }
        Ok(())
    }

    fn copy_audio(&self, rendition: usize, run: ChunkSpan) -> Result<()> {
        let spec = &self.prepared.plan.audio[rendition];
        let config = self.track(spec.source_track).config.clone();
        self.put_init(&spec.id, &audio_init(spec, config)?)?;
        for segment in run.first_segment..run.first_segment + run.segments {
            check_stop(self.stop)?;
            let copied = self.lowering.copied_audio(rendition, segment)?;
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
        let mut bytes = fragment_head(kind, number, decode_time, &table)?;
        let places = copied.samples.iter().map(|sample| sample.place);
        source::gather(self.prepared.source.file(), places, &mut bytes)?;
        self.store_segment(track, number, bytes)
    }

    fn put_segment(&self, track: &str, kind: FragmentKind, segment: &CutSegment) -> Result<()> {
        let bytes = fragment(kind, segment.number, segment.decode_time, &segment.samples)?;
        self.store_segment(track, segment.number, bytes)
    }

    fn store_segment(&self, track: &str, number: u32, bytes: Vec<u8>) -> Result<()> {
        // Its name says which source it was made of.
        self.prepared.source.check_unchanged()?;
        let key = segment_key(&self.prepared.revision, track, number);
        let size = bytes.len() as u64;
        if self.store.create(&key, vec![Bytes::from(bytes)])? == Created::New {
            self.segments.fetch_add(1, Ordering::Relaxed);
            self.progress.event(Event::Stored {
                track,
                number,
                bytes: size,
            });
        }
        Ok(())
    }

    /// Stores a track's init segment. All tasks of a rendition must give the same.
    fn put_init(&self, track: &str, init: &TrackInit) -> Result<()> {
        let key = init_key(&self.prepared.revision, track);
        let bytes = init_segment(init);
        if self.store.create(&key, vec![Bytes::from(bytes.clone())])? == Created::New {
            return Ok(());
        }
        match self.store.get(&key.to_string())? {
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

fn video_init(
    plan: &VideoPlan,
    spec: &VideoRendition,
    colour: Colour,
    config: &[u8],
    composition_delay: u32,
) -> Result<TrackInit> {
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| Error::unsupported(format!("{}: too large", spec.id)))
    };
    Ok(TrackInit {
        timescale: plan.timescale,
        language: "und".to_owned(),
        kind: TrackInitKind::Video(VideoInit {
            width: side(spec.width)?,
            height: side(spec.height)?,
            pixel_aspect: PixelAspect::SQUARE,
            colour,
            composition_delay,
            frame_rate: Some(plan.frame_rate),
            avc: AvcConfig::parse(config)?,
        }),
    })
}

fn audio_init(spec: &AudioRendition, config: Vec<u8>) -> Result<TrackInit> {
    let timescale = Timescale::new(spec.sample_rate)
        .ok_or_else(|| Error::internal("a sample rate of zero in the plan"))?;
    let bitrate_bps = match spec.method {
        AudioMethod::Encode { bitrate, .. } => bitrate,
        AudioMethod::Copy { .. } => 0,
    };
    Ok(TrackInit {
        timescale,
        language: spec.language.clone(),
        kind: TrackInitKind::Audio(AudioInit {
            config,
            channels: spec.channels,
            sample_rate: spec.sample_rate,
            priming: spec.priming,
            bitrate_bps,
        }),
    })
}

fn track_colour(track: &SourceTrack) -> Colour {
    match &track.kind {
        TrackKind::Video(video) => video.colour,
        _ => Colour::UNSPECIFIED,
    }
}
