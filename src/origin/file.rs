//! Reading a file piece by piece on a thread that must not wait for a disk.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

/// The length of a buffer in bytes.
const BUFFER_BYTES: usize = 64 << 10;
/// The most buffers that wait for their next use.
const SPARE_MAX: usize = 8;

/// A thread's buffers, so that not every answer needs a new one.
#[derive(Debug, Default)]
pub(crate) struct Buffers(RefCell<Vec<Box<[u8]>>>);

impl Buffers {
    /// One that nobody uses.
    pub(crate) fn take(&self) -> Box<[u8]> {
        let spare = self.0.borrow_mut().pop();
        spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into())
    }

    /// For the next one.
    pub(crate) fn give_back(&self, buffer: Box<[u8]>) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    }
}

/// Reads what fits into `buffer` of bytes `at .. end`: at once if the system has them in memory,
/// else on a thread that may wait. The buffer, and how much of it was read; never nothing.
///
/// # Errors
/// When the file can't be read, or ends before `end`.
pub(crate) async fn read(
    file: &Arc<File>,
    at: u64,
    end: u64,
    mut buffer: Box<[u8]>,
) -> io::Result<(Box<[u8]>, usize)> {
    let left = usize::try_from(end - at).unwrap_or(usize::MAX);
    let count = buffer.len().min(left);
    let read = {
        let mut parts = [IoSliceMut::new(&mut buffer[..count])];
        rustix::io::preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT)
    };
    match read {
        Ok(read) if read > 0 => Ok((buffer, read)),
        Ok(_) => Err(ended_early()),
        // Not in memory, or a file system that can't tell.
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => {
            let file = Arc::clone(file);
            let slow = move || {
                let read = rustix::io::pread(&file, &mut buffer[..count], at)?;
                if read == 0 {
                    Err(ended_early())
                } else {
                    Ok((buffer, read))
                }
            };
            tokio::task::spawn_blocking(slow)
                .await
                .map_err(io::Error::other)?
        }
        Err(e) => Err(e.into()),
    }
}

/// A file that lost bytes since it was opened.
pub(crate) fn ended_early() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file is shorter than it was",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_to_its_end_and_not_beyond() {
        let mut text = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut text, &vec![7; 100_000]).unwrap();
        let file = Arc::new(text);
        let buffers = Buffers::default();
        let (mut at, mut buffer) = (10, buffers.take());
        while at < 100_000 {
            let read;
            (buffer, read) = read_some(&file, at, buffer).await;
            assert!(buffer[..read].iter().all(|byte| *byte == 7));
            at += read as u64;
        }
        assert_eq!(at, 100_000);
        let beyond = read(&file, at, at + 1, buffer).await.unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }

    async fn read_some(file: &Arc<File>, at: u64, buffer: Box<[u8]>) -> (Box<[u8]>, usize) {
        read(file, at, 100_000, buffer).await.unwrap()
    }
}
