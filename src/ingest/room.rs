//! Room on the disk. What an upload announces is promised to it, so that two can't both count on
//! the same free bytes; what it has written is no longer promised but used.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::refusal::Refusal;
use crate::error::{Error, Result};

/// What an upload of unknown length is promised at a time, in bytes.
const STEP_BYTES: u64 = 16 << 20;

/// The disk that sources are on.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    /// Bytes that stay free whatever is uploaded.
    watermark: u64,
    /// Bytes promised and not yet written, of all uploads; shared because they run side by side.
    promised: Mutex<u64>,
}

impl Room {
    pub(super) fn new(folder: PathBuf, watermark: u64) -> Arc<Self> {
        Arc::new(Self {
            folder,
            watermark,
            promised: Mutex::new(0),
        })
    }

    /// Promises `bytes`, if they fit.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, Refusal> {
        self.promise(bytes)?;
        Ok(self.holding(bytes))
    }

    /// Promises `bytes` whether they fit or not: what was promised before a restart.
    pub(super) fn renew(self: &Arc<Self>, bytes: u64) -> Reservation {
        *self.promised() += bytes;
        self.holding(bytes)
    }

    fn holding(self: &Arc<Self>, left: u64) -> Reservation {
        Reservation {
            room: Arc::clone(self),
            left,
        }
    }

    fn promise(&self, bytes: u64) -> Result<(), Refusal> {
        let free = free_bytes(&self.folder)?;
        let mut promised = self.promised();
        let free = free
            .saturating_sub(self.watermark)
            .saturating_sub(*promised);
        if bytes > free {
            return Err(Refusal::NoRoom {
                wanted: bytes,
                free,
            });
        }
        *promised += bytes;
        Ok(())
    }

    fn promised(&self) -> std::sync::MutexGuard<'_, u64> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes promised to one upload. Those that weren't written are free again when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    room: Arc<Room>,
    left: u64,
}

impl Reservation {
    /// Before writing `bytes`: promises more where the upload didn't say how long it is.
    pub(super) fn need(&mut self, bytes: u64) -> Result<(), Refusal> {
        if bytes <= self.left {
            return Ok(());
        }
        let more = (bytes - self.left).max(STEP_BYTES);
        self.room.promise(more)?;
        self.left += more;
        Ok(())
    }

    /// After writing `bytes`: they are used now.
    pub(super) fn used(&mut self, bytes: u64) {
        let used = bytes.min(self.left);
        self.left -= used;
        *self.room.promised() -= used;
    }

    /// Bytes that were written are thrown away and will come again.
    pub(super) fn unused(&mut self, bytes: u64) {
        self.left += bytes;
        *self.room.promised() += bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        *self.room.promised() -= self.left;
    }
}

fn free_bytes(folder: &std::path::Path) -> Result<u64> {
    let answer = rustix::fs::statvfs(folder);
    let disk = answer.map_err(|e| Error::io("asking how much disk is free", e.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A room that has `bytes` beyond the watermark, as far as the disk holds still.
    fn room(folder: &tempfile::TempDir, bytes: u64) -> Arc<Room> {
        let free = free_bytes(folder.path()).expect("asked");
        Room::new(folder.path().to_owned(), free.saturating_sub(bytes))
    }

    #[test]
    fn two_uploads_cannot_count_on_the_same_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        // Other programs use the disk meanwhile: the sizes leave room for that.
        let room = room(&folder, 1 << 30);
        let first = room.reserve(700 << 20).expect("fits");
        let second = room.reserve(700 << 20);
        assert!(matches!(second, Err(Refusal::NoRoom { .. })));
        drop(first);
        room.reserve(700 << 20).expect("free again");
    }

    #[test]
    fn what_is_written_is_promised_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder, 1 << 30);
        let mut upload = room.reserve(100).expect("fits");
        upload.used(60);
        assert_eq!(*room.promised(), 40);
        upload.unused(10);
        assert_eq!(*room.promised(), 50);
        drop(upload);
        assert_eq!(*room.promised(), 0);
    }

    #[test]
    fn an_upload_of_unknown_length_is_promised_in_steps() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder, 1 << 30);
        let mut upload = room.reserve(0).expect("fits");
        upload.need(10).expect("a step fits");
        assert_eq!(*room.promised(), STEP_BYTES);
        assert!(upload.need(2 << 30).is_err());
    }
}
