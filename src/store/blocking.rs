//! The store for threads: each call waits for its end.
//!
//! A directory needs no runtime: its calls run on the caller's own thread, which spares the hop to
//! another one for each of a title's hundreds of small files.

use std::sync::Arc;

use bytes::Bytes;

use super::{Created, Listed, Store};
use crate::error::{Error, Result};
use crate::layout::Key;
use crate::media::AssetId;

/// A [`Store`] whose calls block.
#[derive(Debug, Clone)]
pub struct BlockingStore {
    pub(super) store: Store,
    pub(super) runtime: Option<Arc<tokio::runtime::Runtime>>,
}

impl BlockingStore {
    /// As [`Store::open`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(place: &str) -> Result<Self> {
        Self::new(Store::open(place)?)
    }

    /// The store `store`, for threads.
    ///
    /// # Errors
    /// When no network threads can be started.
    pub fn new(store: Store) -> Result<Self> {
        let runtime = match store.directory() {
            Some(_) => None,
            None => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .map_err(|e| Error::io("starting the network threads", e))?;
                Some(Arc::new(runtime))
            }
        };
        Ok(Self { store, runtime })
    }

    /// As [`Store::asset`].
    #[must_use]
    pub fn asset(&self, asset: &AssetId) -> Self {
        Self {
            store: self.store.asset(asset),
            runtime: self.runtime.clone(),
        }
    }

    /// As [`Store::within`].
    ///
    /// # Errors
    /// As [`Store::within`].
    pub fn within(&self, folder: &str) -> Result<Self> {
        Ok(Self {
            store: self.store.within(folder)?,
            runtime: self.runtime.clone(),
        })
    }

    /// The store itself.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => futures_executor::block_on(work),
        }
    }

    /// As [`Store::create`].
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create(&self, key: &Key, parts: Vec<Bytes>) -> Result<Created> {
        self.wait(self.store.create(key, parts))
    }

    /// As [`Store::replace`].
    ///
    /// # Errors
    /// As [`Store::replace`].
    pub fn replace(&self, key: &Key, bytes: Bytes) -> Result<()> {
        self.wait(self.store.replace(key, bytes))
    }

    /// As [`Store::read`].
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        self.wait(self.store.read(key))
    }

    /// As [`Store::read_range`].
    ///
    /// # Errors
    /// As [`Store::read_range`].
    pub fn read_range(&self, key: &Key, start: u64, end: u64) -> Result<Bytes> {
        self.wait(self.store.read_range(key, start, end))
    }

    /// As [`Store::length`].
    ///
    /// # Errors
    /// As [`Store::length`].
    pub fn length(&self, key: &Key) -> Result<Option<u64>> {
        self.wait(self.store.length(key))
    }

    /// As [`Store::get`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn document(&self, name: &str) -> Result<Option<Bytes>> {
        self.wait(self.store.get(name))
    }

    /// As [`Store::size`].
    ///
    /// # Errors
    /// As [`Store::size`].
    pub fn size(&self, key: &str) -> Result<Option<u64>> {
        self.wait(self.store.size(key))
    }

    /// As [`Store::write_document`].
    ///
    /// # Errors
    /// As [`Store::write_document`].
    pub fn write_document(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.wait(self.store.write_document(name, bytes))
    }

    /// As [`Store::remove_document`].
    ///
    /// # Errors
    /// As [`Store::remove_document`].
    pub fn remove_document(&self, name: &str) -> Result<()> {
        self.wait(self.store.remove_document(name))
    }

    /// As [`Store::take_over`].
    ///
    /// # Errors
    /// As [`Store::take_over`].
    pub fn take_over(&self, from: &Self, key: &Key) -> Result<bool> {
        self.wait(self.store.take_over(&from.store, key))
    }

    /// As [`Store::remove`].
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub fn remove(&self, key: &Key) -> Result<()> {
        self.wait(self.store.remove(key))
    }

    /// As [`Store::list_revision`].
    ///
    /// # Errors
    /// As [`Store::list_revision`].
    pub fn list_revision(&self, revision: &str) -> Result<Vec<Listed>> {
        self.wait(self.store.list_revision(revision))
    }

    /// As [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        self.wait(self.store.list(folder))
    }
}
