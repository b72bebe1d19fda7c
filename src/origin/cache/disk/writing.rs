//! Writing an object to the disk once it has come from the store. Until then its bytes are held in
//! memory, so that no reader ever waits for the disk.

use std::fs::File;
use std::io::{Result, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Disk, Note};
use crate::store::Digest;

/// Units of [`UNIT`] bytes that may be on their way to the disk at a time.
pub(super) const UNITS: usize = 32;
const UNIT: u64 = 1 << 20;

/// An object on its way to the disk.
#[derive(Debug)]
pub(in crate::origin::cache) struct Writing {
    disk: Arc<Disk>,
    pieces: Vec<Bytes>,
    /// Bytes that have not come yet.
    left: u64,
    _room: OwnedSemaphorePermit,
}

impl Writing {
    /// Begins with an object of `length` bytes; `None` when that is more than may be kept, or the
    /// disk is so far behind that this one is better left.
    pub(in crate::origin::cache) fn begin(disk: &Arc<Disk>, length: u64) -> Option<Self> {
        if length > disk.options.bytes {
            return None;
        }
        let units = u32::try_from(length.div_ceil(UNIT).max(1)).ok()?;
        let room = Arc::clone(&disk.room).try_acquire_many_owned(units);
        Some(Self {
            disk: Arc::clone(disk),
            pieces: Vec::new(),
            left: length,
            _room: room.ok()?,
        })
    }

    /// Adds what has come.
    pub(in crate::origin::cache) fn add(&mut self, pieces: &[Bytes]) {
        for piece in pieces {
            self.left = self.left.saturating_sub(piece.len() as u64);
            self.pieces.push(piece.clone());
        }
    }

    /// Whether all has come.
    pub(in crate::origin::cache) fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// Ends; the file to send the object from, and the locations that had to make room. `since` is
    /// the number of removals when the object was asked for, and the time.
    pub(in crate::origin::cache) async fn end(
        self,
        mut note: Note,
        since: (u64, i64),
        was_used: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<(File, Vec<String>)> {
        let keep = move || {
            let mut file = self.disk.begin()?;
            let mut digest = Digest::default();
            for piece in &self.pieces {
                digest.update(piece);
                file.write_all(piece)?;
            }
            note.digest = digest.etag();
            self.disk.keep(&note, file, since, was_used)
        };
        tokio::task::spawn_blocking(keep).await?
    }
}
