//! The verb: from a source file to a published presentation.
//!
//! ```text
//! prepare   open, digest, index, inspect -> plan        prepare.rs
//! jobs      what the store lacks                        stored.rs, jobs.rs
//! make      threads, media children -> segments         make.rs
//! publish   manifests -> verify -> entry points, record publish.rs
//! ```
//!
//! A run may be ended at any instant; the same call goes on where it stopped, because objects
//! appear whole, under names that the plan fixes.

pub mod captions;
mod damage;
mod jobs;
mod make;
mod prepare;
mod progress;
mod publish;
mod stored;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

pub use prepare::{Prepared, index, prepare};
pub use progress::{Event, Progress, Silent};

use crate::error::{ErrorKind, Result};
use crate::layout::Key;
use crate::media::{Policy, Presentation};
use crate::sandbox;
use crate::store::BlockingStore;
use crate::verify::Report;
use stored::Stored;

/// How to package.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to make.
    pub policy: Policy,
    /// Tasks at a time; `None` for one a core.
    pub jobs: Option<usize>,
    /// The media children's limits.
    pub sandbox: sandbox::Options,
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

/// Packages the file `input` into `store`.
///
/// # Errors
/// By kind: `Invalid`, `Unsupported`, `NotFound`, `DataLoss` for the input, `Exhausted` for a full
/// disk, `Unavailable` for a store that is away or a run that was stopped. What was stored stays,
/// and the next run goes on from there.
pub fn package(
    input: &Path,
    store: &BlockingStore,
    options: &Options,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let directory = store.store().directory();
    let prepared = prepare(
        input,
        &options.policy,
        &options.sandbox,
        directory,
        progress,
        stop,
    )?;
    let _lock = publish::lock(store)?;
    publish::store_plan(store, &prepared)?;
    let stored = Stored::list(store, &prepared.revision)?;
    let reused = publish::count_planned(&prepared.plan, &stored);
    let jobs = jobs::jobs(&prepared.plan, &stored);
    progress.event(Event::Planned {
        segments: publish::planned_segments(&prepared.plan),
        stored: reused,
        seconds: prepared.plan.duration.seconds(),
        renditions: publish::rendition_count(&prepared.plan),
    });
    let made = make::make(&prepared, jobs, store, options, progress, stop).map_err(|e| {
        match e.kind() {
            // What a decoder says about the input names no file.
            ErrorKind::Invalid | ErrorKind::Unsupported => e.context(input.display()),
            _ => e,
        }
    })?;
    let stored = Stored::list(store, &prepared.revision)?;
    let presentation = publish::presentation(store, &prepared, &stored)?;
    progress.event(Event::Verifying);
    let report = publish::publish(store, &presentation)?;
    let bytes = publish::total_bytes(&presentation);
    Ok(Outcome {
        presentation,
        segments_made: made.segments,
        segments_reused: reused,
        bytes,
        report,
    })
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
