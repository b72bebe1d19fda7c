//! How sources come in: raw bodies, multipart forms, tus uploads, pulls from a URL. All go the same
//! way: within the limits ([`Options`]), written and digested as they come ([`writer`]), an asset
//! that is to be indexed at the end. What breaks off or is refused leaves nothing behind.
//!
//! Not here: what becomes of the bytes (`worker`), and every other resource of the API (`api`,
//! which also mounts what is here).

pub mod create;
mod flush;
mod form;
mod idempotency;
mod intake;
mod pace;
mod pull;
mod refusal;
mod request;
mod room;
mod share;
mod sweep;
pub mod tus;
mod tus_headers;
mod writer;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::media::{Asset, AssetId, AssetState, Priority, Work};
use crate::outbound;
use crate::queue::{NewTask, Queue};

pub use create::read_all;
pub use pull::Progress;
pub use request::{Policies, on_one_line};
pub use share::Shares;

use refusal::Refusal;
use room::Room;
use tus::Sessions;
use writer::Place;

/// Limits of what comes in. Each is named in the answer that it causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Longest source, in bytes.
    pub max_upload_bytes: u64,
    /// Bodies received at the same time.
    pub max_concurrent_uploads: usize,
    /// Bytes of disk that stay free.
    pub min_free_disk_bytes: u64,
    /// Slowest body, over each [`Options::rate_window`] of waiting for it.
    pub min_rate_bytes_per_second: u64,
    /// Over how long a body's rate is measured.
    pub rate_window: Duration,
    /// Longest silence within a body.
    pub idle_timeout: Duration,
    /// How long a tus upload is kept after its last byte.
    pub upload_expiry: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_upload_bytes: 64 << 30,
            max_concurrent_uploads: 32,
            min_free_disk_bytes: 1 << 30,
            min_rate_bytes_per_second: 1 << 10,
            rate_window: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            upload_expiry: Duration::from_secs(24 * 3600),
        }
    }
}

/// Takes sources in. Clones share everything.
#[derive(Debug, Clone)]
pub struct Ingest(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    queue: Queue,
    clock: Clock,
    outbound: outbound::Client,
    options: Options,
    policies: Policies,
    /// The folder with one folder for each asset's source.
    sources: PathBuf,
    shares: Shares,
    room: Arc<Room>,
    /// One permit for each body that may be received now.
    bodies: Arc<Semaphore>,
    /// Sources that are being written and have no asset yet; guarded because requests run side by
    /// side, and each use is one call.
    unborn: Mutex<HashSet<AssetId>>,
    sessions: Sessions,
}

impl Ingest {
    /// Takes sources into the folder of `shares`, which is made if it isn't there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(
        catalog: Catalog,
        queue: Queue,
        clock: Clock,
        outbound: outbound::Client,
        shares: Shares,
        options: Options,
        policies: Policies,
    ) -> Result<Self> {
        let sources = shares.folder();
        std::fs::create_dir_all(&sources)
            .map_err(|e| Error::io(format!("making {}", sources.display()), e))?;
        Ok(Self(Arc::new(Shared {
            shares,
            room: Room::new(sources.clone(), options.min_free_disk_bytes),
            bodies: Arc::new(Semaphore::new(options.max_concurrent_uploads)),
            unborn: Mutex::default(),
            sessions: Sessions::default(),
            catalog,
            queue,
            clock,
            outbound,
            options,
            policies,
            sources,
        })))
    }

    /// The time by the clock of all that is taken in, in milliseconds since 1970.
    pub fn now_millis(&self) -> i64 {
        self.0.clock.now_millis()
    }

    /// The limits.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Has a failed asset indexed again, if its source is still there.
    ///
    /// # Errors
    /// What the catalog or the file system says.
    pub async fn reopen(&self, id: &AssetId) -> Result<Reopened> {
        let catalog = &self.0.catalog;
        let Some(asset) = catalog.asset(id).await? else {
            return Ok(Reopened::Gone);
        };
        if asset.state != AssetState::Failed {
            return Ok(Reopened::NotFailed);
        }
        if !self.has_source(id).await? {
            return Ok(Reopened::NoSource);
        }
        if !catalog.reopened(id).await? {
            return Ok(Reopened::NotFailed);
        }
        self.enqueue_index(id).await?;
        let asset = catalog.asset(id).await?;
        Ok(asset.map_or(Reopened::Gone, |asset| Reopened::Asset(Box::new(asset))))
    }

    fn place(&self, asset: &AssetId) -> Place {
        Place::new(&self.0.sources, asset)
    }

    /// The right to receive one body, until it is dropped.
    fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.0.bodies).try_acquire_owned();
        permit.map_err(|_| Refusal::TooMany {
            value: self.0.options.max_concurrent_uploads as u64,
        })
    }

    fn unborn(&self) -> MutexGuard<'_, HashSet<AssetId>> {
        self.0.unborn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has an asset indexed, once.
    async fn enqueue_index(&self, asset: &AssetId) -> Result<()> {
        self.enqueue(asset, Work::Index).await
    }

    /// Has an asset's source pulled, once.
    async fn enqueue_pull(&self, asset: &AssetId) -> Result<()> {
        self.enqueue(asset, Work::Pull).await
    }

    async fn enqueue(&self, asset: &AssetId, work: Work) -> Result<()> {
        let task = NewTask::of(work, Priority::First);
        self.0.queue.enqueue(asset, &[task]).await
    }
}

/// What came of trying a failed asset again.
#[derive(Debug, Clone, PartialEq)]
pub enum Reopened {
    /// It is on its way again.
    Asset(Box<Asset>),
    /// There is no such asset.
    Gone,
    /// It hasn't failed.
    NotFailed,
    /// Its source isn't there.
    NoSource,
}

/// A new id.
fn new_id() -> Result<AssetId> {
    let mut bits = [0; 10];
    getrandom::fill(&mut bits)
        .map_err(|e| Error::internal(format!("no random numbers for an id: {e}")))?;
    Ok(AssetId::from_random(bits))
}
