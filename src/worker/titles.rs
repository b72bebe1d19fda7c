//! The titles being worked on, opened once each: source, index and plan of the last few, so that a
//! segment asked for costs no more than itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::media::{Asset, AssetId, Plan};
use crate::package::{self, Maker, Prepared};
use crate::source::Location;
use crate::store::BlockingStore;

/// Titles kept open, at most, beside those in use.
const KEPT: usize = 16;

/// One open title.
#[derive(Debug)]
pub(super) struct Title {
    pub(super) asset: AssetId,
    pub(super) maker: Maker,
    /// Segments stored.
    pub(super) done: AtomicU64,
    /// When the catalog was last told of progress, in milliseconds since 1970.
    pub(super) reported_at: AtomicU64,
}

/// A place for a title. Whoever opens it holds the lock, so that it is opened once.
#[derive(Debug, Default)]
struct Slot {
    title: Mutex<Option<Arc<Title>>>,
    used: AtomicU64,
}

/// All open titles.
#[derive(Debug)]
pub(super) struct Titles {
    store: BlockingStore,
    options: Options,
    slots: Mutex<HashMap<AssetId, Arc<Slot>>>,
    uses: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole whenever the lock is free: a panic leaves an empty slot at worst.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Titles {
    pub(super) fn new(store: BlockingStore, options: Options) -> Self {
        Self {
            store,
            options,
            slots: Mutex::default(),
            uses: AtomicU64::new(0),
        }
    }

    /// The title of `asset`: planned if it never was, else by its stored plan.
    ///
    /// # Errors
    /// When the source can't be read or holds nothing usable.
    pub(super) fn open(&self, asset: &Asset) -> Result<Arc<Title>> {
        let slot = self.slot(&asset.id);
        let mut place = lock(&slot.title);
        if let Some(title) = &*place {
            return Ok(Arc::clone(title));
        }
        let title = Arc::new(self.read(asset)?);
        *place = Some(Arc::clone(&title));
        Ok(title)
    }

    /// Closes the title of an asset, once nobody uses it any more.
    pub(super) fn forget(&self, asset: &AssetId) {
        lock(&self.slots).remove(asset);
    }

    fn slot(&self, asset: &AssetId) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        if slots.len() >= KEPT && !slots.contains_key(asset) {
            evict(&mut slots);
        }
        let slot = slots.entry(asset.clone()).or_default();
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        slot.used.store(now, Ordering::Relaxed);
        Arc::clone(slot)
    }

    fn read(&self, asset: &Asset) -> Result<Title> {
        let store = self.store.asset(&asset.id);
        let prepared = match &asset.revision {
            Some(revision) => match self.reopen(asset, &store, revision) {
                // A lost plan is made anew: equal source and policy give an equal plan.
                Err(e) if e.kind() == ErrorKind::DataLoss => self.prepare(asset)?,
                opened => opened?,
            },
            None => self.prepare(asset)?,
        };
        let maker = Maker::new(Arc::new(prepared), store, self.options.sandbox.clone())?;
        let done = maker.stored()?.count_planned(&maker.prepared().plan);
        Ok(Title {
            asset: asset.id.clone(),
            maker,
            done: AtomicU64::new(done),
            reported_at: AtomicU64::new(0),
        })
    }

    fn prepare(&self, asset: &Asset) -> Result<Prepared> {
        let digest = asset
            .source_digest
            .as_deref()
            .ok_or_else(|| Error::internal("an asset without its source's digest"))?;
        let source = self.options.sources.locate(&asset.id);
        let scratch = Some(self.options.scratch.as_path());
        let (keys, sandbox) = (self.options.keys.as_ref(), &self.options.sandbox);
        let (policy, stop) = (&asset.policy, AtomicBool::new(false));
        let prepared = source
            .open()
            .and_then(|opened| {
                package::prepare_digested(opened, digest, policy, keys, sandbox, scratch, &stop)
            })
            .map_err(|e| without_path(e, &source))?;
        self.check_limits(&prepared.plan)?;
        Ok(prepared)
    }

    /// Refuses what is longer or larger than the server takes.
    fn check_limits(&self, plan: &Plan) -> Result<()> {
        let limits = &self.options;
        let seconds = plan.duration.seconds();
        if seconds > f64::from(limits.max_duration_seconds) {
            return Err(Error::invalid(format!(
                "the title is {seconds:.0} s long; max_duration_seconds is {}: cut it, or raise \
                 the limit",
                limits.max_duration_seconds
            )));
        }
        let Some(video) = &plan.video else {
            return Ok(());
        };
        let (width, height) = (video.picture.width, video.picture.height);
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            return Err(Error::invalid(format!(
                "the picture has {width}x{height} pixels; max_pixels is {}: scale it down, or \
                 raise the limit",
                limits.max_pixels
            )));
        }
        Ok(())
    }

    fn reopen(&self, asset: &Asset, store: &BlockingStore, revision: &str) -> Result<Prepared> {
        let key = Key::Private {
            revision: revision.to_owned(),
            name: "plan.json".to_owned(),
        };
        let lost = || Error::new(ErrorKind::DataLoss, format!("{key} is not in the store"));
        let json = store.read(&key)?.ok_or_else(lost)?;
        let plan: Plan = serde_json::from_slice(&json).map_err(|e| {
            Error::new(ErrorKind::DataLoss, format!("{key} can't be read")).with_source(e)
        })?;
        let source = self.options.sources.locate(&asset.id);
        let scratch = Some(self.options.scratch.as_path());
        let stop = AtomicBool::new(false);
        let (keys, sandbox) = (self.options.keys.as_ref(), &self.options.sandbox);
        source
            .open()
            .and_then(|opened| package::reopen(opened, plan, store, keys, sandbox, scratch, &stop))
            .map_err(|e| without_path(e, &source))
    }
}

/// Takes away the slot that was used longest ago and that nobody uses now.
fn evict(slots: &mut HashMap<AssetId, Arc<Slot>>) {
    let unused = |slot: &Arc<Slot>| {
        let in_use = |title: &Arc<Title>| Arc::strong_count(title) > 1;
        let held = slot.title.try_lock();
        Arc::strong_count(slot) == 1 && held.is_ok_and(|title| !title.as_ref().is_some_and(in_use))
    };
    let oldest = slots
        .iter()
        .filter(|(_, slot)| unused(slot))
        .min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed))
        .map(|(asset, _)| asset.clone());
    if let Some(asset) = oldest {
        slots.remove(&asset);
    }
}

/// The error in the user's words: a path of the server's means nothing to who uploaded.
fn without_path(error: Error, source: &Location) -> Error {
    let path = source.to_string();
    let words = error.to_string();
    if !words.contains(&path) {
        return error;
    }
    Error::new(error.kind(), words.replace(&path, "the source"))
}
