//! The verb: from a source file to a published presentation.
//!
//! ```text
//! prepare   open, digest, index, inspect -> plan        prepare.rs
//! announce  manifests of what will be made              announce.rs
//! jobs      what the store lacks                        stored.rs, jobs.rs
//! make      media children -> segments                  maker.rs; with threads make.rs
//! publish   manifests -> verify -> entry points, record publish.rs, record.rs
//! ```
//!
//! A run may be ended at any instant; the same call goes on where it stopped, because objects
//! appear whole, under names that the plan fixes. [`package`] does all of it for one file; a
//! server takes the steps one by one.

mod announce;
pub mod captions;
mod damage;
mod init;
mod jobs;
mod kept_index;
mod level;
mod loudness;
mod make;
mod maker;
mod order;
mod prepare;
mod progress;
mod protect;
mod publish;
mod record;
mod slots;
mod stills;
mod stored;
mod stored_fetch;
mod summary;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

pub use announce::{Announced, published};
pub use maker::{Attempt, Maker};
pub use prepare::{Prepared, index, prepare, prepare_digested, reopen};
pub use progress::{Event, Progress, Silent};
pub use publish::{lock, write_entries, write_record};
pub use slots::{Slots, Turn};
pub use stored::Stored;
pub use summary::summaries;

use crate::error::{Error, ErrorKind, Result};
use crate::keys::KeySource;
use crate::layout::Key;
use crate::media::{Job, Joining, Policy, Presentation};
use crate::sandbox;
use crate::source::Source;
use crate::store::BlockingStore;
use crate::verify::Report;

/// How to package.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to make.
    pub policy: Policy,
    /// Tasks at a time; `None` for one a core.
    pub jobs: Option<usize>,
    /// The media children's limits.
    pub sandbox: sandbox::Options,
    /// Places for tasks that are shared with other runs; `None` for a run by itself.
    pub turn: Option<Turn>,
    /// Where content keys come from, where the policy encrypts.
    pub keys: Option<KeySource>,
}

impl Options {
    /// A place for a piece of work, where they are shared.
    fn enter(&self, stop: &AtomicBool) -> Result<Option<slots::Slot<'_>>> {
        self.turn.as_ref().map(|turn| turn.enter(stop)).transpose()
    }
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The record, as published.
    pub presentation: Presentation,
    /// Segments stored by this run.
    pub segments_made: u64,
    /// Segments found stored.
    pub segments_reused: u64,
    /// Bytes of all segments and init segments.
    pub bytes: u64,
    /// What the rules said.
    #[serde(skip)]
    pub report: Report,
}

/// Packages `source` into `store`.
///
/// # Errors
/// By kind: `Invalid`, `Unsupported`, `NotFound`, `DataLoss` for the input, `Exhausted` for a full
/// disk, `Unavailable` for a store that is away or a run that was stopped. What was stored stays,
/// and the next run goes on from there.
pub fn package(
    source: Source,
    store: &BlockingStore,
    options: &Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let directory = store.store().directory();
    let slot = options.enter(stop)?;
    let shown = source.shown();
    let prepared = prepare(
        source,
        &options.policy,
        options.keys.as_ref(),
        &options.sandbox,
        directory,
        progress,
        stop,
    )?;
    let _lock = lock(store)?;
    publish::store_plan(store, &prepared)?;
    let maker = Maker::new(Arc::new(prepared), store.clone(), options.sandbox.clone())?;
    let stored = maker.stored()?;
    drop(slot);
    let plan = &maker.prepared().plan;
    let reused = stored.count_planned(plan);
    progress.event(Event::Planned {
        segments: stored::planned_segments(plan),
        stored: reused,
        seconds: plan.duration.seconds(),
        renditions: stored::rendition_count(plan),
    });
    let attempt = Attempt {
        joining: Joining::Seamless,
        nice: 0,
        progress,
        stop,
    };
    let threads = options.jobs.unwrap_or_else(cores);
    let jobs = jobs::jobs(plan, &stored);
    let segments_made =
        make::make(&maker, jobs, threads, options, &attempt).map_err(|e| match e.kind() {
            // What a decoder says about the input names no file.
            ErrorKind::Invalid | ErrorKind::Unsupported => e.context(&shown),
            _ => e,
        })?;
    let _slot = options.enter(stop)?;
    progress.event(Event::Verifying);
    let (presentation, report) = maker.publish(stop)?;
    let bytes = record::total_bytes(&presentation);
    Ok(Outcome {
        presentation,
        segments_made,
        segments_reused: reused,
        bytes,
        report,
    })
}

impl Maker {
    /// What of the title is stored.
    ///
    /// # Errors
    /// When the store is away.
    pub fn stored(&self) -> Result<Stored> {
        Stored::list(&self.store, &self.prepared.revision)
    }

    /// Everything that `stored` lacks, in the order it is to be made: the start of the title
    /// first, and of equal starts what is quickly made before what is not.
    pub fn jobs(&self, stored: &Stored) -> Vec<Job> {
        jobs::jobs(&self.prepared.plan, stored)
    }

    /// What of `job` the store lacks.
    ///
    /// # Errors
    /// When the store is away.
    pub fn lacking(&self, job: &Job) -> Result<Vec<Job>> {
        let plan = &self.prepared.plan;
        let revision = &self.prepared.revision;
        let tracks = jobs::tracks(plan, job).into_iter();
        let mut stored = Stored::look_up(&self.store, revision, tracks, job.run())?;
        let thumbnails = jobs::thumbnails(plan, revision, job);
        stored.look_up_thumbnails(&self.store, &thumbnails)?;
        Ok(jobs::lacking(plan, job, &stored))
    }

    /// Has `from`, another asset's part of the store, give what it has of `job`.
    ///
    /// # Errors
    /// When the store is away or full.
    pub fn take_over(&self, from: &BlockingStore, job: &Job) -> Result<()> {
        let run = job.run();
        let (plan, revision) = (&self.prepared.plan, &self.prepared.revision);
        for track in jobs::tracks(plan, job) {
            for number in run.first_segment + 1..=run.first_segment + run.segments {
                let key = segment_key(revision, track, number);
                self.store.take_over(from, &key)?;
            }
        }
        if let Some(stills) = jobs::stills_of(plan, job) {
            // Those of renditions are made before any segment is.
            for track in &stills.tracks {
                self.store.take_over(from, &init_key(revision, &track.id))?;
            }
        }
        for key in jobs::thumbnails(plan, revision, job) {
            self.store.take_over(from, &key)?;
        }
        Ok(())
    }

    /// The ids of the tracks that `job` makes segments of.
    pub fn tracks(&self, job: &Job) -> Vec<&str> {
        jobs::tracks(&self.prepared.plan, job)
    }

    /// The numbers of the thumbnails that `job` makes.
    pub fn thumbnails(&self, job: &Job) -> Vec<u32> {
        jobs::thumbnail_numbers(&self.prepared.plan, job)
    }

    /// The job that makes segment `number` (from 1) of `track`, which may be an I-frame track or the
    /// folder of the thumbnails; `None` when none is planned.
    pub fn single(&self, track: &str, number: u32) -> Option<Job> {
        jobs::single(&self.prepared.plan, track, number)
    }

    /// Segments in all renditions.
    pub fn planned_segments(&self) -> u64 {
        stored::planned_segments(&self.prepared.plan)
    }

    /// Measures what is stored, writes the manifests, checks every rule and makes the
    /// presentation visible, its record last. Ends early once `stop` is raised, if it has much to read.
    ///
    /// # Errors
    /// `DataLoss` when a segment is missing, `Invalid` when a must of the rules fails: nothing
    /// becomes visible then.
    pub fn publish(&self, stop: &AtomicBool) -> Result<(Presentation, Report)> {
        let stored = self.stored()?;
        let sizes = record::Sizes::Measured(&stored);
        let mut presentation = record::presentation(&self.store, &self.prepared, &sizes)?;
        self.put_text(&mut presentation, stop)?;
        let stills = record::measure_stills(&self.store, &self.prepared, &stored)?;
        if let Some(measured) = stills {
            publish::write_still_lists(&self.store, &presentation, &measured)?;
            presentation.stills = Some(measured.stills);
        }
        let report = publish::publish(&self.store, &presentation, &stored)?;
        Ok((presentation, report))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An error when the user asked to stop.
fn check_stop(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        let message = "stopped; run the same command again to go on from here";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Ok(())
}

/// The key of an object of `revision` named by track.
fn init_key(revision: &str, track: &str) -> Key {
    Key::Init {
        revision: revision.to_owned(),
        track: track.to_owned(),
    }
}

fn segment_key(revision: &str, track: &str, number: u32) -> Key {
    Key::Segment {
        revision: revision.to_owned(),
        track: track.to_owned(),
        number,
    }
}
