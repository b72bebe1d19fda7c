//! From a path to a plan: open, digest, index, inspect, plan. Nothing is written to the store.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::progress::{Event, Progress};
use crate::cmaf;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Plan, Policy, SourceIndex};
use crate::plan;
use crate::sandbox::{self, Launcher};
use crate::source::{self, Source};

/// A source with its index and plan.
#[derive(Debug)]
pub struct Prepared {
    /// The source.
    pub source: Source,
    /// Samples that the source's container stores in pieces, joined; none for most containers.
    pub spool: Option<File>,
    /// What is in the source.
    pub index: Arc<SourceIndex>,
    /// What will be made of it.
    pub plan: Arc<Plan>,
    /// Digest of source, plan and format version.
    pub revision: String,
}

/// Opens and indexes `input` and plans it. A spool, if one is needed, is an unnamed file in
/// `scratch` (or the system's folder for temporary files).
///
/// # Errors
/// When the input can't be read or holds nothing usable; the message names the file.
pub fn prepare(
    input: &Path,
    policy: &Policy,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let source = Source::open(input)?;
    let named = |e: Error| e.context(input.display());
    let (index, spool) = index(&source, sandbox, scratch).map_err(named)?;
    let inspection = inspect(&source, &index, policy).map_err(named)?;
    let total = source.size_bytes();
    let digest = source
        .digest(&mut |done| {
            progress.event(Event::Reading { done, total });
            super::make::check_stop(stop)
        })
        .map_err(named)?;
    let plan = plan::plan(&index, &digest, policy, &inspection).map_err(named)?;
    let revision = plan::revision(&plan);
    Ok(Prepared {
        source,
        spool,
        index: Arc::new(index),
        plan: Arc::new(plan),
        revision,
    })
}

/// The index of a source: by our own reader for MP4 and MOV, else by a media child.
///
/// # Errors
/// When neither can read it.
pub fn index(
    source: &Source,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
) -> Result<(SourceIndex, Option<File>)> {
    if let Some(index) = cmaf::movie::read_movie(source.file())? {
        return Ok((index, None));
    }
    let spool = match scratch {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    };
    let mut spool = spool.map_err(|e| Error::io("making a temporary file for the index", e))?;
    let index =
        Launcher::new(sandbox.clone()).index(source.file(), source.size_bytes(), &mut spool)?;
    if index.tracks.iter().all(|track| track.samples.is_empty()) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "no media in it; give a video or audio file",
        ));
    }
    Ok((index, Some(spool)))
}

/// What passthrough planning needs to know about the sync samples, read only where it matters.
fn inspect(source: &Source, index: &SourceIndex, policy: &Policy) -> Result<plan::Inspection> {
    let idr_samples = match plan::candidate_for_copy(index, policy) {
        None => None,
        Some(track) => {
            let track = &index.tracks[track];
            Some(source::inspect_h264(source.file(), track)?.idr_samples)
        }
    };
    Ok(plan::Inspection { idr_samples })
}
