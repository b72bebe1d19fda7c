//! From a path to a plan: open, digest, index, inspect, plan. Nothing is written to the store.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::progress::{Event, Progress};
use super::text;
use crate::cmaf;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Plan, Policy, SourceIndex};
use crate::plan;
use crate::read_at::ReadAt;
use crate::sandbox::{self, Launcher};
use crate::source::{self, Files, Source};

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
    let indexed = Indexed::read(source, sandbox, scratch).map_err(named)?;
    let inspection = indexed.inspect(policy).map_err(named)?;
    let total = indexed.source.size_bytes();
    let digest = indexed
        .source
        .digest(&mut |done| {
            progress.event(Event::Reading { done, total });
            super::check_stop(stop)
        })
        .map_err(named)?;
    indexed.plan(&digest, policy, &inspection).map_err(named)
}

/// As [`prepare`], for a source whose digest was computed while it arrived: nothing but its
/// sample tables is read.
///
/// # Errors
/// When the source can't be read or holds nothing usable.
pub fn prepare_digested(
    input: &Path,
    digest: &str,
    policy: &Policy,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
) -> Result<Prepared> {
    let indexed = Indexed::read(Source::open(input)?, sandbox, scratch)?;
    let inspection = indexed.inspect(policy)?;
    indexed.plan(digest, policy, &inspection)
}

/// Opens and indexes `input` again, of which `plan` was made before.
///
/// # Errors
/// When the source can't be read any more.
pub fn reopen(
    input: &Path,
    plan: Plan,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
) -> Result<Prepared> {
    let indexed = Indexed::read(Source::open(input)?, sandbox, scratch)?;
    Ok(indexed.with_plan(plan))
}

/// A source and its index.
struct Indexed {
    source: Source,
    index: SourceIndex,
    spool: Option<File>,
}

impl Indexed {
    fn read(source: Source, sandbox: &sandbox::Options, scratch: Option<&Path>) -> Result<Self> {
        let (index, spool) = index(&source, sandbox, scratch)?;
        Ok(Self {
            source,
            index,
            spool,
        })
    }

    /// What planning needs to know of the bytes of samples: the text, and where it matters for
    /// passthrough the starts of the sync samples.
    fn inspect(&self, policy: &Policy) -> Result<plan::Inspection> {
        let files = Files {
            source: self.source.file(),
            spool: self.spool.as_ref().map(|spool| spool as &dyn ReadAt),
        };
        let text = text::find(&self.index, files)?;
        let Some(track) = plan::candidate_for_copy(&self.index, policy) else {
            return Ok(plan::Inspection {
                text,
                ..plan::Inspection::default()
            });
        };
        let seen = source::inspect_h264(self.source.file(), &self.index.tracks[track])?;
        Ok(plan::Inspection {
            idr_samples: Some(seen.idr_samples),
            in_band_parameter_sets: seen.has_in_band_parameter_sets,
            text,
        })
    }

    fn plan(
        self,
        digest: &str,
        policy: &Policy,
        inspection: &plan::Inspection,
    ) -> Result<Prepared> {
        let plan = plan::plan(&self.index, digest, policy, inspection)?;
        Ok(self.with_plan(plan))
    }

    fn with_plan(self, plan: Plan) -> Prepared {
        let revision = plan::revision(&plan);
        Prepared {
            source: self.source,
            spool: self.spool,
            index: Arc::new(self.index),
            plan: Arc::new(plan),
            revision,
        }
    }
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
