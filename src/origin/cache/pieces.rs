//! A body that is sent piece by piece, by whoever is slower than the store.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::block::{BLOCK, Block, PIECE};
use super::counters::add;
use super::object::{Content, Object};
use crate::error::{Error, Result};

/// Bytes of an object in order. Between two pieces it holds on to none of them: what was evicted
/// meanwhile is read again.
#[derive(Debug)]
pub struct Pieces {
    object: Arc<Object>,
    left: Range<u64>,
    /// The next piece, if it was fetched before anyone asked for it.
    begun: Option<Bytes>,
}

impl Pieces {
    pub(super) fn new(object: Arc<Object>, range: Range<u64>) -> Self {
        Self {
            object,
            left: range,
            begun: None,
        }
    }

    /// Bytes that have not been handed out yet.
    pub fn remaining(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// The next piece: at most 128 KiB, an allocation of its own. `None` after the last.
    ///
    /// # Errors
    /// When the store can't bring it, or the object is no longer the same. The body is cut short
    /// then, and its connection must not end cleanly. To answer with a status instead, [`begin`]
    /// before the head is sent.
    ///
    /// [`begin`]: Self::begin
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let mut piece = match self.begun.take() {
            Some(piece) => piece,
            None => self.piece().await?,
        };
        let left = self.remaining();
        if piece.len() as u64 > left {
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.left.start += piece.len() as u64;
        Ok(Some(piece))
    }

    /// Fetches the first piece, if there is one and it isn't there yet.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn begin(&mut self) -> Result<()> {
        if self.begun.is_none() && !self.left.is_empty() {
            self.begun = Some(self.piece().await?);
        }
        Ok(())
    }

    async fn piece(&self) -> Result<Bytes> {
        let Content::Blocks { id, blocks, file } = &self.object.content else {
            return Err(Error::internal("only blocks come in pieces"));
        };
        let (number, at) = (self.left.start / BLOCK, self.left.start % BLOCK);
        if let Some(file) = file.get() {
            match read_piece(Arc::clone(file), self.left.start, self.object.length).await {
                Ok(piece) => return Ok(piece),
                // The store has it too.
                Err(_) => add(&blocks.counters.disk_errors, 1),
            }
        }
        let block: Arc<Block> = blocks.block(&self.object, (*id, number)).await?;
        // While this one is sent, the next may come.
        if at / PIECE == 0 && (number + 1) * BLOCK < self.left.end {
            blocks.expect(&self.object, (*id, number + 1));
        }
        block
            .from(at)
            .ok_or_else(|| Error::internal("a block is shorter than its object"))
    }
}

/// A piece of the disk tier's file.
async fn read_piece(file: Arc<File>, start: u64, length: u64) -> std::io::Result<Bytes> {
    let size = (length - start).min(PIECE);
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut piece, start)?;
        Ok(Bytes::from(piece))
    });
    read.await?
}
