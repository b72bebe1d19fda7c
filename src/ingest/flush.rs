//! Has what was written of an upload put on the disk while more comes, so that its end need not wait
//! for gigabytes.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How much is written between two flushes, in bytes.
const STEP: u64 = 32 << 20;

/// Flushes of one file, one at a time.
#[derive(Debug, Default)]
pub(super) struct Flush {
    /// Bytes written since the last one began.
    since: u64,
    /// What the thread that flushes shares.
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    busy: AtomicBool,
    /// The system tells of a failed write once: it is kept for who asks at the end.
    failure: Mutex<Option<io::Error>>,
}

impl Flush {
    /// Notes that `bytes` more were written to `file`, and has them flushed when it is time. To be
    /// called on a thread of the runtime's.
    pub(super) fn wrote(&mut self, file: &File, bytes: u64) {
        self.since += bytes;
        if self.since < STEP || self.shared.busy.swap(true, Ordering::Acquire) {
            return;
        }
        let Ok(file) = file.try_clone() else {
            // The end flushes everything anyway.
            self.shared.busy.store(false, Ordering::Release);
            return;
        };
        self.since = 0;
        let shared = Arc::clone(&self.shared);
        drop(tokio::task::spawn_blocking(move || {
            if let Err(e) = file.sync_data() {
                *shared
                    .failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(e);
            }
            shared.busy.store(false, Ordering::Release);
        }));
    }

    /// Whether every flush so far went well.
    ///
    /// # Errors
    /// What one failed with.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut failure = self
            .shared
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }
}
