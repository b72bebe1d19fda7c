//! What a server and a worker have in common: catalog, queue, store, sources, and how these come in.

use std::path::Path;

use tokio::runtime::Runtime;

use super::{node, options};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ingest::{Ingest, Shares};
use crate::keys::KeySource;
use crate::outbound;
use crate::queue::{self, Queue};
use crate::source::Sources;
use crate::store::BlockingStore;
use crate::worker::Workshop;

/// All of it, opened.
pub(super) struct Base {
    /// Where everything in the background runs.
    pub(super) runtime: Runtime,
    pub(super) clock: Clock,
    pub(super) catalog: Catalog,
    pub(super) queue: Queue,
    pub(super) store: BlockingStore,
    pub(super) sources: Sources,
    pub(super) ingest: Ingest,
    pub(super) keys: Option<KeySource>,
}

impl Base {
    /// Opens it over the folder `data`, which is there.
    ///
    /// # Errors
    /// When a part can't be opened; `Invalid` for what the configuration gets wrong.
    pub(super) fn open(config: &Config, data: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("background")
            .enable_all()
            .build()
            .map_err(|e| Error::io("starting the background threads", e))?;
        let clock = Clock::system();
        let place = options::catalog_place(config, data)?;
        let catalog = runtime.block_on(Catalog::open(&place, clock.clone()))?;
        let store = BlockingStore::open(&options::store_place(config, data))?;
        let (sources, node) = match catalog.is_shared() {
            true => (
                Sources::shared(data, store.clone()),
                Some(node::name(data)?),
            ),
            false => (Sources::on_one_machine(data), None),
        };
        let queue = queue::Options {
            node: node.clone(),
            ..queue::Options::default()
        };
        let queue = Queue::new(catalog.clone(), clock.clone(), queue);
        let ingest = Ingest::new(
            catalog.clone(),
            queue.clone(),
            clock.clone(),
            outbound::Client::new(options::outbound(config))?,
            Shares::new(sources.clone(), node),
            options::ingest(config),
            options::policies(config)?,
        )?;
        Ok(Self {
            keys: options::keys(config, data, catalog.is_shared())?,
            runtime,
            clock,
            catalog,
            queue,
            store,
            sources,
            ingest,
        })
    }

    /// Where its tasks are done.
    pub(super) fn workshop(&self, config: &Config, data: &Path) -> Workshop {
        Workshop::new(
            self.catalog.clone(),
            self.queue.clone(),
            self.store.clone(),
            super::background::pull(&self.ingest),
            options::workers(config, data, self.sources.clone(), self.keys.clone()),
            self.runtime.handle().clone(),
        )
    }
}
