//! Who must hear of changes made through this process's store: whoever keeps copies of objects.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// A change to the store, told after it was made. Paths are relative to the store's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// An object is there that wasn't.
    Created(&'a str),
    /// An object has other bytes.
    Replaced(&'a str),
    /// An object is gone.
    Removed(&'a str),
    /// All objects under a folder are gone. The folder ends without a slash.
    FolderRemoved(&'a str),
}

/// Hears of changes.
pub trait Watcher: Send + Sync {
    /// Called on the thread that made the change, before the change's call returns: must be
    /// quick. A change whose call failed may be told as well.
    fn changed(&self, change: Change<'_>);
}

/// The watchers of a store, shared by all its clones and parts.
#[derive(Clone, Default)]
pub(super) struct Changes {
    watchers: Arc<RwLock<Vec<Weak<dyn Watcher>>>>,
}

impl Changes {
    pub(super) fn watch(&self, watcher: Weak<dyn Watcher>) {
        let mut watchers = self
            .watchers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(watcher);
    }

    pub(super) fn tell(&self, change: Change<'_>) {
        let watchers = self.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.iter().filter_map(Weak::upgrade) {
            watcher.changed(change);
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}
