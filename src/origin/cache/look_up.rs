//! Finding an object: what is held and may be served, what is known not to be there, and who
//! fetches the rest.

use std::path::Path;
use std::sync::Arc;

use moka::sync::Cache as Memory;

use super::block::Blocks;
use super::counters::add;
use super::disk::Disk;
use super::flight::{Failure, Flights, Joined, Landing, Outcome};
use super::local::{self, Standing};
use super::object::{Object, is_entry, is_held};
use super::remote;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;

/// How long an entry point of a store that is no directory is trusted, in milliseconds.
const ENTRY_TRUST: i64 = 1000;
/// How long an object that never changes is trusted to be there, in milliseconds.
const DIRECTORY_TRUST: i64 = 60_000;
/// The same where each check costs a call over the network.
pub(super) const REMOTE_TRUST: i64 = 600_000;
/// How long an object that the store can't confirm is served, in milliseconds: the
/// `stale-if-error` that caches are promised.
pub(super) const STALE: i64 = 86_400_000;
/// How long absence and failure are remembered, in milliseconds; failure for a quarter more or
/// less.
const SETBACK: i64 = 1000;

pub(super) struct Inner {
    pub(super) clock: Clock,
    /// Objects held whole.
    pub(super) texts: Memory<Arc<str>, Arc<Object>>,
    /// All others: open files, or metadata of what is in blocks.
    pub(super) objects: Memory<Arc<str>, Arc<Object>>,
    /// What was not there, or could not be had, when it was last asked for.
    pub(super) setbacks: Memory<Arc<str>, Setback>,
    pub(super) flights: Arc<Flights<Arc<str>, Option<Arc<Object>>>>,
    pub(super) blocks: Arc<Blocks>,
    pub(super) disk: Option<Arc<Disk>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner")
    }
}

#[derive(Debug, Clone)]
pub(super) struct Setback {
    until: i64,
    /// Why; `None` where there is no such object.
    failure: Option<Failure>,
}

/// An object being fetched for all who wait for it.
pub(super) struct Fill {
    pub(super) path: Arc<str>,
    pub(super) key: Key,
    pub(super) landing: Landing<Arc<str>, Option<Arc<Object>>>,
}

/// An answer without a fill.
enum Known {
    Object(Arc<Object>),
    Setback(Option<Failure>),
}

/// Where the object that a path names may lie: an asset under `v/` may be at the top of the store.
pub(super) fn places(path: &str) -> impl Iterator<Item = &str> {
    [Some(path), path.strip_prefix("v/")].into_iter().flatten()
}

impl Inner {
    fn directory(&self) -> Option<&Path> {
        self.blocks.store.directory()
    }

    pub(super) fn held(&self, path: &str, key: &Key) -> Option<Arc<Object>> {
        // Of the shortest length: what is ever held whole.
        let held = match is_held(key, 0) {
            true => self.texts.get(path),
            false => None,
        };
        held.or_else(|| self.objects.get(path))
    }

    /// The object if it may be served without waiting for the store.
    pub(super) fn usable(self: &Arc<Self>, path: &str, object: Arc<Object>) -> Option<Arc<Object>> {
        let now = self.clock.now_millis();
        if object.is_trusted(now) {
            return Some(object);
        }
        let Some(directory) = self.directory() else {
            if is_entry(&object.key) || !is_servable_stale(&object, now) {
                return None;
            }
            remote::recheck(self, path, &object, now);
            return Some(object);
        };
        match local::standing(directory, &object) {
            Standing::Same => self.confirm(&object),
            Standing::Unknown if is_servable_stale(&object, now) => {
                add(&self.blocks.counters.stale, 1);
            }
            Standing::Unknown => return None,
            Standing::Changed => {
                self.drop_object(path, &object);
                return None;
            }
        }
        Some(object)
    }

    pub(super) fn confirm(&self, object: &Object) {
        let trust = match (self.directory().is_some(), is_entry(&object.key)) {
            (true, true) => 0,
            (true, false) => DIRECTORY_TRUST,
            (false, true) => ENTRY_TRUST,
            (false, false) => REMOTE_TRUST,
        };
        object.confirm(self.clock.now_millis(), trust);
    }

    /// Forgets `object`, unless another has taken its place.
    pub(super) fn drop_object(&self, path: &str, object: &Arc<Object>) {
        for memory in [&self.texts, &self.objects] {
            if memory
                .get(path)
                .is_some_and(|held| Arc::ptr_eq(&held, object))
            {
                memory.invalidate(path);
            }
        }
    }

    pub(super) async fn look_up(
        self: &Arc<Self>,
        path: &str,
        key: &Key,
    ) -> Result<Option<Arc<Object>>> {
        let path = Arc::<str>::from(path);
        let stale = self.held(&path, key);
        let known = || self.known(&path, key, stale.as_ref());
        let counters = &self.blocks.counters;
        let arrival = match self.flights.join(&path, known) {
            Joined::Found(Known::Object(object)) => {
                add(&counters.hits, 1);
                return Ok(Some(object));
            }
            Joined::Found(Known::Setback(None)) => {
                add(&counters.hits, 1);
                return Ok(None);
            }
            Joined::Found(Known::Setback(Some(failure))) => return self.instead(stale, &failure),
            Joined::Waiting(arrival) => {
                add(&counters.coalesced, 1);
                arrival
            }
            Joined::Leading(landing, arrival) => {
                add(&counters.misses, 1);
                let (path, key) = (Arc::clone(&path), key.clone());
                self.begin(Fill { path, key, landing }, stale.clone());
                arrival
            }
        };
        // The fill has its own limit; this one is for a disk that hangs.
        let limit = self.blocks.patience + self.blocks.patience / 10;
        match tokio::time::timeout(limit, arrival.outcome()).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(failure)) => self.instead(stale, &failure),
            Err(_) => {
                let message = format!("{path}: the store does not answer in time");
                let error = Error::new(ErrorKind::Unavailable, message);
                self.instead(stale, &Failure::of(&error))
            }
        }
    }

    /// What is known without a fill, looked at when no other fill can end meanwhile.
    fn known(&self, path: &str, key: &Key, stale: Option<&Arc<Object>>) -> Option<Known> {
        let now = self.clock.now_millis();
        if let Some(object) = self.held(path, key) {
            let is_newer = stale.is_none_or(|stale| !Arc::ptr_eq(stale, &object));
            if is_newer || object.is_trusted(now) {
                return Some(Known::Object(object));
            }
        }
        let setback = self.setbacks.get(path)?;
        let is_valid = setback.until > now && setback.until <= now + 2 * SETBACK;
        is_valid.then_some(Known::Setback(setback.failure))
    }

    /// The stale object where the store fails, for as long as that is allowed.
    fn instead(
        &self,
        stale: Option<Arc<Object>>,
        failure: &Failure,
    ) -> Result<Option<Arc<Object>>> {
        let now = self.clock.now_millis();
        match stale.filter(|stale| is_servable_stale(stale, now)) {
            Some(stale) => {
                add(&self.blocks.counters.stale, 1);
                Ok(Some(stale))
            }
            None => Err(failure.error()),
        }
    }

    fn begin(self: &Arc<Self>, fill: Fill, stale: Option<Arc<Object>>) {
        let inner = Arc::clone(self);
        let background = &self.blocks.background;
        if self.directory().is_some() {
            background.spawn_blocking(move || inner.open_file(fill));
        } else {
            background.spawn(remote::fill(inner, fill, stale));
        }
    }

    fn open_file(&self, fill: Fill) {
        let Some(directory) = self.directory() else {
            return;
        };
        let counters = &self.blocks.counters;
        let began = std::time::Instant::now();
        let opened = local::open(directory, &fill.path, &fill.key);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        add(&counters.store_reads, 1);
        counters.store_time.observe(micros);
        add(&counters.store_errors, u64::from(opened.is_err()));
        self.settle(fill, opened.map_err(|e| Failure::of(&e)));
    }

    /// Ends a fill with the store's answer.
    pub(super) fn settle(&self, fill: Fill, outcome: Outcome<Option<Arc<Object>>>) {
        if let Ok(Some(object)) = &outcome {
            self.confirm(object);
        }
        self.land(fill, outcome);
    }

    /// Ends a fill: what came of it is kept, then told to those who wait.
    pub(super) fn land(&self, fill: Fill, outcome: Outcome<Option<Arc<Object>>>) {
        let path = fill.path;
        fill.landing.complete(outcome, |outcome| match outcome {
            Ok(Some(object)) => self.keep(path, object),
            Ok(None) => {
                self.texts.invalidate(&path);
                self.objects.invalidate(&path);
                self.set_back(path, None);
            }
            Err(failure) => self.set_back(path, Some(failure.clone())),
        });
    }

    fn keep(&self, path: Arc<str>, object: &Arc<Object>) {
        self.setbacks.invalidate(&path);
        let (home, other) = match is_held(&object.key, object.length) {
            true => (&self.texts, &self.objects),
            false => (&self.objects, &self.texts),
        };
        other.invalidate(&path);
        home.insert(path, Arc::clone(object));
    }

    fn set_back(&self, path: Arc<str>, failure: Option<Failure>) {
        let now = self.clock.now_millis();
        let pause = match failure {
            None => SETBACK,
            Some(_) => SETBACK * 3 / 4 + jitter(&path, now, SETBACK / 2),
        };
        let until = now + pause;
        self.setbacks.insert(path, Setback { until, failure });
    }

    pub(super) fn held_anywhere(&self, path: &str) -> Option<Arc<Object>> {
        self.texts.get(path).or_else(|| self.objects.get(path))
    }
}

fn is_servable_stale(object: &Object, now: i64) -> bool {
    now < object.verified().saturating_add(STALE)
}

/// Up to `most` milliseconds that differ from name to name and from time to time, so that what
/// failed together isn't asked for again together.
fn jitter(path: &str, now: i64, most: i64) -> i64 {
    let seed = now.unsigned_abs();
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(path.as_bytes(), seed);
    i64::try_from(hash % most.unsigned_abs().max(1)).unwrap_or(0)
}
