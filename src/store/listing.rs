//! What lies in a bucket and in which state: for whoever looks for changes by listing.

use futures_util::TryStreamExt;

use super::{BlockingStore, Store, from_store};
use crate::error::Result;

/// An object as a listing shows it, and what tells its versions apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighted {
    /// Its key, relative to the store's root.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
    /// The backend's ETag, or, where a listing has none, the time of the last write: nanoseconds
    /// since 1970, in digits.
    pub state: String,
}

impl Store {
    /// All objects of the store, with their states, in order of their keys.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unavailable`] when the store is away or refuses.
    pub async fn sight(&self) -> Result<Vec<Sighted>> {
        let found: Vec<_> = self
            .backend
            .list(Some(&self.prefix))
            .try_collect()
            .await
            .map_err(|e| from_store(e, self.prefix.as_ref()))?;
        let sighted = found.into_iter().filter_map(|meta| {
            let parts = meta.location.prefix_match(&self.prefix)?;
            let parts: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
            let written = meta.last_modified.timestamp_nanos_opt().unwrap_or(0);
            // A folder's marker is the prefix itself.
            (!parts.is_empty()).then(|| Sighted {
                key: parts.join("/"),
                size: meta.size,
                state: meta.e_tag.unwrap_or_else(|| written.to_string()),
            })
        });
        let mut sighted: Vec<_> = sighted.collect();
        sighted.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(sighted)
    }
}

impl BlockingStore {
    /// As [`Store::sight`].
    ///
    /// # Errors
    /// As [`Store::sight`].
    pub fn sight(&self) -> Result<Vec<Sighted>> {
        self.wait(self.store.sight())
    }
}
