//! Writing an object to the disk while it comes from the store.

use std::fs::File;
use std::io::{Result, Write};
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::{Disk, Note};
use crate::origin::cache::block::Block;
use crate::store::Digest;

/// An object on its way to the disk, block by block.
#[derive(Debug)]
pub(in crate::origin::cache) struct Writing {
    disk: Arc<Disk>,
    file: NamedTempFile,
    digest: Digest,
}

impl Writing {
    /// Begins; with the first failure it is over.
    pub(in crate::origin::cache) async fn begin(disk: &Arc<Disk>) -> Option<Self> {
        let disk = Arc::clone(disk);
        let begun = tokio::task::spawn_blocking(move || {
            let file = disk.begin().ok()?;
            Some(Self {
                disk,
                file,
                digest: Digest::default(),
            })
        });
        begun.await.ok().flatten()
    }

    /// Adds a block.
    pub(in crate::origin::cache) async fn add(mut self, block: Arc<Block>) -> Option<Self> {
        let added = tokio::task::spawn_blocking(move || {
            for piece in &block.pieces {
                self.digest.update(piece);
                self.file.write_all(piece).ok()?;
            }
            Some(self)
        });
        added.await.ok().flatten()
    }

    /// Ends; the file to send the object from, and the locations that had to make room. `since` is
    /// the number of removals when the object was asked for, and the time.
    pub(in crate::origin::cache) async fn end(
        self,
        mut note: Note,
        since: (u64, i64),
        was_used: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<(File, Vec<String>)> {
        note.digest = self.digest.etag();
        let keep = move || self.disk.keep(&note, self.file, since, was_used);
        tokio::task::spawn_blocking(keep).await?
    }
}
