//! The store for threads: each call waits for its end.
//!
//! A directory needs no runtime: its calls run on the caller's own thread, which spares the hop to
//! another one for each of a title's hundreds of small files.

use std::sync::Arc;

use bytes::Bytes;

use super::{Created, Listed, Store};
use crate::error::{Error, Result};
use crate::layout::Key;

/// A [`Store`] whose calls block.
#[derive(Debug, Clone)]
pub struct BlockingStore {
    store: Store,
    runtime: Option<Arc<tokio::runtime::Runtime>>,
}

impl BlockingStore {
    /// As [`Store::open`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(place: &str) -> Result<Self> {
        let store = Store::open(place)?;
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

    /// The store itself.
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
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

    /// As [`Store::get`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.wait(self.store.get(key))
    }

    /// As [`Store::get_range`].
    ///
    /// # Errors
    /// As [`Store::get_range`].
    pub fn get_range(&self, key: &str, start: u64, end: u64) -> Result<Bytes> {
        self.wait(self.store.get_range(key, start, end))
    }

    /// As [`Store::size`].
    ///
    /// # Errors
    /// As [`Store::size`].
    pub fn size(&self, key: &str) -> Result<Option<u64>> {
        self.wait(self.store.size(key))
    }

    /// As [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        self.wait(self.store.list(folder))
    }
}
