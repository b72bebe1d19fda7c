//! From a path to a plan: open, digest, index, inspect, plan. Nothing is written to the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::kept_index;
use super::order::Order;
use super::progress::{Event, Progress};
use super::protect::encryption_plan;
use super::text;
use crate::cmaf;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::KeySource;
use crate::media::{Plan, Policy, ScanCount, SourceIndex};
use crate::plan;
use crate::read_at::ReadAt;
use crate::sandbox::{self, Launcher};
use crate::source::{self, Files, Source};
use crate::store::BlockingStore;

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
    /// Where what is fetched or unpacked for a while is kept; `None` for the system's folder for
    /// temporary files.
    pub scratch: Option<PathBuf>,
    /// Whether getting the index took a read of everything, or many, over a network.
    pub(super) index_was_dear: bool,
    /// Where the content keys of the plan come from.
    pub keys: Option<KeySource>,
}

/// Indexes `source` and plans it. What is fetched or unpacked for a while is kept in unnamed files
/// in `scratch` (or the system's folder for temporary files).
///
/// # Errors
/// When the source can't be read or holds nothing usable; the message names it.
pub fn prepare(
    source: Source,
    policy: &Policy,
    keys: Option<&KeySource>,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let (shown, total) = (source.shown(), source.size_bytes());
    let named = |e: Error| name(e, &shown);
    let mut on_read = |done| {
        progress.event(Event::Reading { done, total });
        super::check_stop(stop)
    };
    let indexed = Indexed::read(source, sandbox, scratch, stop, &mut on_read).map_err(named)?;
    let inspection = indexed.inspect(policy, sandbox, stop).map_err(named)?;
    let identity = indexed.source.identity(&mut on_read).map_err(named)?;
    indexed
        .plan(&identity, policy, keys, &inspection)
        .map_err(named)
}

/// The error with the source in front, unless it is named already.
fn name(error: Error, shown: &str) -> Error {
    match error.to_string().contains(shown) {
        true => error,
        false => error.context(shown),
    }
}

/// As [`prepare`], for a source whose digest was computed while it arrived: nothing but its
/// sample tables is read.
///
/// # Errors
/// When the source can't be read or holds nothing usable.
pub fn prepare_digested(
    source: Source,
    digest: &str,
    policy: &Policy,
    keys: Option<&KeySource>,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let indexed = Indexed::read(source, sandbox, scratch, stop, &mut unwatched(stop))?;
    let inspection = indexed.inspect(policy, sandbox, stop)?;
    indexed.plan(digest, policy, keys, &inspection)
}

/// Opens the title again of which `plan` was made before, and stored in `store`.
///
/// # Errors
/// When the source can't be read any more.
pub fn reopen(
    source: Source,
    plan: Plan,
    store: &BlockingStore,
    keys: Option<&KeySource>,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    stop: &AtomicBool,
) -> Result<Prepared> {
    let indexed = match cheap_index(&source, &plan, store, sandbox, scratch, stop)? {
        Some(index) => Indexed {
            source,
            index: Arc::new(index),
            spool: None,
            scratch: scratch.map(Path::to_path_buf),
            was_dear: false,
        },
        None => Indexed::read(source, sandbox, scratch, stop, &mut unwatched(stop))?,
    };
    Ok(indexed.with_plan(plan, keys))
}

/// The index of a source in a bucket without a read of all its bytes: as it was kept, or by our own
/// reader.
fn cheap_index(
    source: &Source,
    plan: &Plan,
    store: &BlockingStore,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    stop: &AtomicBool,
) -> Result<Option<SourceIndex>> {
    if !source.is_far() {
        return Ok(None);
    }
    match kept_index::read(store, &plan::revision(plan), source.size_bytes())? {
        Some(index) => Ok(Some(index)),
        None => movie_index(source, sandbox, scratch, stop),
    }
}

/// Tells nobody of what is read.
fn unwatched(stop: &AtomicBool) -> impl FnMut(u64) -> Result<()> {
    |_| super::check_stop(stop)
}

/// A source and its index.
pub(super) struct Indexed {
    pub(super) source: Source,
    pub(super) index: Arc<SourceIndex>,
    pub(super) spool: Option<File>,
    pub(super) scratch: Option<PathBuf>,
    was_dear: bool,
}

impl Indexed {
    fn read(
        source: Source,
        sandbox: &sandbox::Options,
        scratch: Option<&Path>,
        stop: &AtomicBool,
        on_read: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Self> {
        let (index, spool) = index(&source, sandbox, scratch, stop, on_read)?;
        Ok(Self {
            was_dear: source.was_dear(),
            source,
            index: Arc::new(index),
            spool,
            scratch: scratch.map(Path::to_path_buf),
        })
    }

    /// What planning needs to know beyond the index, looked at only where it matters.
    fn inspect(
        &self,
        policy: &Policy,
        sandbox: &sandbox::Options,
        stop: &AtomicBool,
    ) -> Result<plan::Inspection> {
        let inspection = plan::Inspection {
            scan: self.scan(policy, sandbox, stop)?,
            ..self.inspect_samples(policy, stop)?
        };
        Ok(plan::Inspection {
            levels: self.levels(policy, &inspection, sandbox, stop)?,
            ..inspection
        })
    }

    /// Whether the pictures look interlaced. Pictures that can't be decoded don't tell, and what is
    /// wrong with them comes out later.
    fn scan(
        &self,
        policy: &Policy,
        sandbox: &sandbox::Options,
        stop: &AtomicBool,
    ) -> Result<Option<ScanCount>> {
        let Some(task) = plan::scan_task(&self.index, policy) else {
            return Ok(None);
        };
        let places = task.stretches.iter().flatten().map(|sample| sample.place);
        let file = self.source.lend(places, self.scratch.as_deref(), stop)?;
        let launcher = Launcher::new(sandbox.clone());
        match launcher.scan(&task, file.file(), self.spool.as_ref()) {
            Ok(count) => Ok(Some(count)),
            Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What planning needs to know of the bytes of samples: the text, and where it matters for
    /// passthrough the starts of the sync samples.
    fn inspect_samples(&self, policy: &Policy, stop: &AtomicBool) -> Result<plan::Inspection> {
        let in_pictures = self.has_captioned_pictures(stop)?;
        let candidate = plan::candidate_for_copy(&self.index, policy);
        let candidate = candidate.map(|track| &self.index.tracks[track]);
        let heads = candidate.into_iter().flat_map(source::heads);
        let places = heads.chain(text::places(&self.index));
        let reader = self.source.ahead(places, self.scratch.as_deref(), stop)?;
        let text = text::find(&self.index, self.files(&reader), in_pictures)?;
        let mut dolby = Vec::new();
        // The heads of all its samples: over a network that would be most of the source.
        let is_near = !self.source.is_far();
        let candidates = plan::dolby_candidates(&self.index, policy);
        for at in candidates.into_iter().filter(|_| is_near) {
            let track = &self.index.tracks[at];
            dolby.extend(source::inspect_dolby(self.files(&reader), at, track)?);
        }
        let Some(track) = candidate else {
            return Ok(plan::Inspection {
                text,
                dolby,
                ..plan::Inspection::default()
            });
        };
        let seen = source::inspect_h264(&reader, track)?;
        Ok(plan::Inspection {
            idr_samples: Some(seen.idr_samples),
            in_band_parameter_sets: seen.has_in_band_parameter_sets,
            text,
            dolby,
            scan: None,
            levels: Vec::new(),
        })
    }

    /// Whether to look for captions in all pictures. Of a source in a bucket a few are looked at, and
    /// all of it is fetched if there are any.
    fn has_captioned_pictures(&self, stop: &AtomicBool) -> Result<bool> {
        let video = plan::video_track(&self.index).map(|track| &self.index.tracks[track]);
        let Some(track) = video.filter(|_| self.source.is_far()) else {
            return Ok(true);
        };
        let scratch = self.scratch.as_deref();
        if !source::may_hold_captions(track) {
            return Ok(false);
        }
        let reader = self.source.ahead(source::taste(track), scratch, stop)?;
        let has_captions = source::tastes_of_captions(self.files(&reader), track)?;
        if has_captions {
            self.source.whole(scratch, stop, &mut unwatched(stop))?;
        }
        Ok(has_captions)
    }

    fn files<'a>(&'a self, source: &'a dyn ReadAt) -> Files<'a> {
        Files {
            source,
            spool: self.spool.as_ref().map(|spool| spool as &dyn ReadAt),
        }
    }

    fn plan(
        self,
        digest: &str,
        policy: &Policy,
        keys: Option<&KeySource>,
        inspection: &plan::Inspection,
    ) -> Result<Prepared> {
        let mut plan = plan::plan(&self.index, digest, policy, inspection)?;
        plan.encryption = encryption_plan(policy.encryption.as_ref(), keys, digest)?;
        Ok(self.with_plan(plan, keys))
    }

    fn with_plan(self, plan: Plan, keys: Option<&KeySource>) -> Prepared {
        let revision = plan::revision(&plan);
        Prepared {
            source: self.source,
            spool: self.spool,
            index: self.index,
            plan: Arc::new(plan),
            revision,
            scratch: self.scratch,
            index_was_dear: self.was_dear,
            keys: keys.cloned(),
        }
    }
}

/// The index of an MP4 or MOV file by our own reader; `None` for any other source.
fn movie_index(
    source: &Source,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    stop: &AtomicBool,
) -> Result<Option<SourceIndex>> {
    let Some(mut index) = cmaf::movie::read_movie(&source.reader(stop))? else {
        return Ok(None);
    };
    let order = Order {
        source,
        sandbox,
        scratch,
        stop,
    };
    order.settle(&mut index)?;
    Ok(Some(index))
}

/// The index of a source: by our own reader for MP4 and MOV, else by a media child, for which a
/// source in a bucket is fetched whole. `on_read` is told how many bytes of that have come.
///
/// # Errors
/// When neither can read it.
pub fn index(
    source: &Source,
    sandbox: &sandbox::Options,
    scratch: Option<&Path>,
    stop: &AtomicBool,
    on_read: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<(SourceIndex, Option<File>)> {
    if let Some(index) = movie_index(source, sandbox, scratch, stop)? {
        return Ok((index, None));
    }
    let whole = source.whole(scratch, stop, on_read)?;
    let spool = match scratch {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    };
    let mut spool = spool.map_err(|e| Error::io("making a temporary file for the index", e))?;
    let index = Launcher::new(sandbox.clone()).index(whole, source.size_bytes(), &mut spool)?;
    if index.tracks.iter().all(|track| track.samples.is_empty()) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "no media in it; give a video or audio file",
        ));
    }
    Ok((index, Some(spool)))
}
