//! What stands between delivery and the store: hot objects cost no call to the store, cold ones
//! one, however many ask at once.
//!
//! A store that is a directory gives open files, which are sent without being read; any other
//! gives blocks in memory. Small texts and entry points are held whole. What this process changes
//! is seen at once; what others change, within the time an object is trusted.

mod block;
mod counters;
mod disk;
mod flight;
mod local;
mod object;
mod pieces;
mod remote;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache as Memory;
use tokio::runtime::Handle;

pub use counters::Counters;
pub use disk::Options as DiskOptions;
pub use object::{Body, Coding, Encoded, Object};
pub use pieces::Pieces;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::store::{Change, Store, Watcher};
use block::Blocks;
use counters::add;
use disk::Disk;
use flight::{Failure, Flights, Joined, Landing, Outcome};
use local::Standing;
use object::{is_entry, is_held};

/// How long an entry point of a store that is no directory is trusted, in milliseconds.
const ENTRY_TRUST: i64 = 1000;
/// How long an object that never changes is trusted to be there, in milliseconds.
const DIRECTORY_TRUST: i64 = 60_000;
/// The same where each check costs a call over the network.
const REMOTE_TRUST: i64 = 600_000;
/// How long an object that the store can't confirm is served, in milliseconds: the
/// `stale-if-error` that caches are promised.
const STALE: i64 = 86_400_000;
/// How long absence and failure are remembered, in milliseconds; failure for a quarter more or
/// less.
const SETBACK: i64 = 1000;
/// Objects of a store that is no directory whose metadata is remembered.
const OBJECTS: u64 = 65_536;
/// Bytes of the names that are remembered as absent.
const SETBACK_BYTES: u64 = 4 << 20;

/// How much the cache may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of objects held in memory: of texts, and of blocks where the store is no directory.
    pub memory_bytes: u64,
    /// Files held open; never more than half of what the system allows this process.
    pub open_files: u64,
    /// How long the store may take for the first answer, and then between two portions of a body.
    pub store_timeout: Duration,
    /// Reads of the store at a time.
    pub store_reads: usize,
    /// The disk tier of a store that is no directory, if there is to be one.
    pub disk: Option<DiskOptions>,
    /// The clock that decides how long objects are trusted.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            open_files: 2048,
            store_timeout: Duration::from_millis(2500),
            store_reads: 64,
            disk: None,
            clock: Clock::system(),
        }
    }
}

/// A cache over a store. Clones share everything.
#[derive(Debug, Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    /// Objects held whole.
    texts: Memory<Arc<str>, Arc<Object>>,
    /// All others: open files, or metadata of what is in blocks.
    objects: Memory<Arc<str>, Arc<Object>>,
    /// What was not there, or could not be had, when it was last asked for.
    setbacks: Memory<Arc<str>, Setback>,
    flights: Arc<Flights<Arc<str>, Option<Arc<Object>>>>,
    blocks: Arc<Blocks>,
    disk: Option<Arc<Disk>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner")
    }
}

#[derive(Debug, Clone)]
struct Setback {
    until: i64,
    /// Why; `None` where there is no such object.
    failure: Option<Failure>,
}

/// An object being fetched for all who wait for it.
struct Fill {
    path: Arc<str>,
    key: Key,
    landing: Landing<Arc<str>, Option<Arc<Object>>>,
}

/// An answer without a fill.
enum Known {
    Object(Arc<Object>),
    Setback(Option<Failure>),
}

/// Where the object that a path names may lie: an asset under `v/` may be at the top of the store.
fn places(path: &str) -> impl Iterator<Item = &str> {
    [Some(path), path.strip_prefix("v/")].into_iter().flatten()
}

impl Cache {
    /// A cache over `store` within `options`, which fetches with tasks on `background`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for options that leave no room, those of the disk tier's folder.
    pub fn new(store: Store, options: Options, background: Handle) -> Result<Self> {
        if options.store_reads == 0 || options.store_timeout.is_zero() {
            return Err(Error::invalid(
                "the cache may not read the store; allow at least 1 read and some time for it",
            ));
        }
        let is_directory = store.directory().is_some();
        // A directory needs none: its files are on a disk already.
        let disk = options.disk.filter(|_| !is_directory).map(open_disk);
        let (texts, blocks) = match is_directory {
            true => (options.memory_bytes, 0),
            false => (options.memory_bytes / 8, options.memory_bytes / 8 * 7),
        };
        let objects = match is_directory || disk.is_some() {
            true => open_files(options.open_files),
            false => OBJECTS,
        };
        let inner = Arc::new(Inner {
            clock: options.clock,
            texts: Memory::builder()
                .max_capacity(texts)
                .weigher(|_, object: &Arc<Object>| object.weight())
                .build(),
            objects: Memory::builder()
                .max_capacity(objects)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            setbacks: Memory::builder()
                .max_capacity(SETBACK_BYTES)
                .weigher(|path: &Arc<str>, _| u32::try_from(path.len() + 128).unwrap_or(u32::MAX))
                .time_to_live(Duration::from_secs(5))
                .build(),
            flights: Flights::new(),
            blocks: Blocks::new(
                store.clone(),
                background,
                blocks,
                options.store_reads,
                options.store_timeout,
            ),
            disk: disk.transpose()?.map(Arc::new),
        });
        store.watch(&inner);
        Ok(Self { inner })
    }

    /// The object at `path`, a whole key of the store such as `v/cats/{revision}/v720/1.m4s`, of
    /// the kind `key`; `None` when there is none. Waits only for what isn't held.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away or does not answer within
    /// [`Options::store_timeout`], and nothing is held to be served instead.
    pub async fn object(&self, path: &str, key: &Key) -> Result<Option<Arc<Object>>> {
        match self.hot(path, key) {
            Some(object) => Ok(Some(object)),
            None => Box::pin(self.inner.look_up(path, key)).await,
        }
    }

    /// As [`Self::object`], for callers that can't wait: what is held and may be served as it is.
    /// For a directory's entry points, this is one system call.
    pub fn hot(&self, path: &str, key: &Key) -> Option<Arc<Object>> {
        let object = self.inner.held(path, key)?;
        let object = self.inner.usable(path, object)?;
        add(&self.inner.blocks.counters.hits, 1);
        Some(object)
    }

    /// What is held at `path` and may be served as it is, whatever its kind.
    pub fn ready(&self, path: &str) -> Option<Arc<Object>> {
        let object = self.inner.held_anywhere(path)?;
        let object = self.inner.usable(path, object)?;
        add(&self.inner.blocks.counters.hits, 1);
        Some(object)
    }

    /// Forgets that there was nothing at `path`: another process has made it.
    pub fn forget_absence(&self, path: &str) {
        self.inner.setbacks.invalidate(path);
        self.inner.flights.void(path);
    }

    /// What it did so far.
    pub fn counters(&self) -> &Counters {
        &self.inner.blocks.counters
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.inner.blocks.store
    }

    /// Whether it can serve what it doesn't hold: the store answers.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it doesn't, within [`Options::store_timeout`]; what the
    /// disk tier's folder says when it can't be written to.
    pub async fn is_ready(&self) -> Result<()> {
        let blocks = &self.inner.blocks;
        if let Some(disk) = &self.inner.disk {
            let failed = |e| Error::io("writing to the cache's folder", e);
            disk.check().map_err(failed)?;
        }
        match tokio::time::timeout(blocks.patience, blocks.store.is_answering()).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                "the store does not answer in time",
            )),
        }
    }
}

impl Inner {
    fn directory(&self) -> Option<&Path> {
        self.blocks.store.directory()
    }

    fn held(&self, path: &str, key: &Key) -> Option<Arc<Object>> {
        // Of the shortest length: what is ever held whole.
        let held = match is_held(key, 0) {
            true => self.texts.get(path),
            false => None,
        };
        held.or_else(|| self.objects.get(path))
    }

    /// The object if it may be served without waiting for the store.
    fn usable(self: &Arc<Self>, path: &str, object: Arc<Object>) -> Option<Arc<Object>> {
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

    fn confirm(&self, object: &Object) {
        let trust = match (self.directory().is_some(), is_entry(&object.key)) {
            (true, true) => 0,
            (true, false) => DIRECTORY_TRUST,
            (false, true) => ENTRY_TRUST,
            (false, false) => REMOTE_TRUST,
        };
        object.confirm(self.clock.now_millis(), trust);
    }

    /// Forgets `object`, unless another has taken its place.
    fn drop_object(&self, path: &str, object: &Arc<Object>) {
        for memory in [&self.texts, &self.objects] {
            if memory
                .get(path)
                .is_some_and(|held| Arc::ptr_eq(&held, object))
            {
                memory.invalidate(path);
            }
        }
    }

    async fn look_up(self: &Arc<Self>, path: &str, key: &Key) -> Result<Option<Arc<Object>>> {
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
    fn settle(&self, fill: Fill, outcome: Outcome<Option<Arc<Object>>>) {
        if let Ok(Some(object)) = &outcome {
            self.confirm(object);
        }
        self.land(fill, outcome);
    }

    /// Ends a fill: what came of it is kept, then told to those who wait.
    fn land(&self, fill: Fill, outcome: Outcome<Option<Arc<Object>>>) {
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

    /// Forgets whatever is known of `path`, and of the path under `v/` that may mean it.
    fn forget(&self, path: &str) {
        let under = format!("v/{path}");
        for path in [path, &under] {
            self.flights.void(path);
            self.texts.invalidate(path);
            self.objects.invalidate(path);
            self.setbacks.invalidate(path);
        }
        if let Some(disk) = &self.disk {
            disk.forget(path);
        }
    }

    fn forget_folder(&self, folder: &str) {
        let is_inside = |path: &str| {
            places(path).any(|place| {
                let rest = place.strip_prefix(folder);
                rest.is_some_and(|rest| folder.is_empty() || rest.starts_with('/'))
            })
        };
        self.flights.void_all(|path| is_inside(path));
        if let Some(disk) = &self.disk {
            disk.forget_all(is_inside);
        }
        for memory in [&self.texts, &self.objects] {
            for (path, _) in memory {
                if is_inside(&path) {
                    memory.invalidate(&*path);
                }
            }
        }
    }

    fn note_created(&self, path: &str) {
        let under = format!("v/{path}");
        for name in [path, &under] {
            self.flights.void(name);
            self.setbacks.invalidate(name);
        }
        // So far the name may have meant an object at the top.
        let stands_for_another = self
            .held_anywhere(path)
            .filter(|held| held.location != path);
        if let Some(held) = stands_for_another {
            self.drop_object(path, &held);
        }
    }

    fn held_anywhere(&self, path: &str) -> Option<Arc<Object>> {
        self.texts.get(path).or_else(|| self.objects.get(path))
    }
}

impl Watcher for Inner {
    fn changed(&self, change: Change<'_>) {
        match change {
            Change::Created(path) => self.note_created(path),
            Change::Replaced(path) | Change::Removed(path) => self.forget(path),
            Change::FolderRemoved(folder) => self.forget_folder(folder),
        }
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

fn open_disk(options: DiskOptions) -> Result<Disk> {
    let shown = options.folder.display().to_string();
    let failed = |e| Error::io(format!("opening the cache's folder {shown}"), e);
    Disk::open(options).map_err(failed)
}

/// `wanted`, or half of the files that this process may have open.
fn open_files(wanted: u64) -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(wanted, |limit| wanted.min(limit / 2))
}

#[cfg(test)]
mod tests;
