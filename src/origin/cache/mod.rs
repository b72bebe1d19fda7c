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
mod forget;
mod local;
mod look_up;
mod object;
mod pieces;
mod remote;
mod shelved;

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
use crate::store::Store;
use block::Blocks;
use counters::add;
use disk::Disk;
use flight::Flights;
use look_up::Inner;

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

    /// Whether it can serve what it doesn't hold, as the store answers, and keep it, as the disk
    /// tier's folder can be written to.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when either takes longer than [`Options::store_timeout`], or the
    /// store is away; what the disk says when it can't be written to.
    pub async fn is_ready(&self) -> Result<()> {
        let blocks = &self.inner.blocks;
        if let Some(disk) = &self.inner.disk {
            can_be_written(disk, blocks.patience).await?;
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

fn open_disk(options: DiskOptions) -> Result<Disk> {
    let shown = options.folder.display().to_string();
    let failed = |e| Error::io(format!("opening the cache's folder {shown}"), e);
    Disk::open(options).map_err(failed)
}

async fn can_be_written(disk: &Arc<Disk>, patience: Duration) -> Result<()> {
    let disk = Arc::clone(disk);
    let check = tokio::task::spawn_blocking(move || disk.check());
    let late = |_| Error::new(ErrorKind::Unavailable, "the cache's disk does not answer");
    let checked = tokio::time::timeout(patience, check).await.map_err(late)?;
    checked
        .map_err(|_| Error::internal("a look at the cache's disk was given up"))?
        .map_err(|e| Error::io("writing to the cache's folder", e))
}

/// `wanted`, or half of the files that this process may have open.
fn open_files(wanted: u64) -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(wanted, |limit| wanted.min(limit / 2))
}

#[cfg(test)]
mod tests;
