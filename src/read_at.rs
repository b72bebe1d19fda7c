//! Ranged reads: the one way a source's bytes are looked at.
//!
//! Always by `pread`, never by mapping: an upload that shrinks under a map would kill us.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::error::{Error, ErrorKind, Result};

/// Bytes that can be read at any place, by many threads at once.
pub trait ReadAt: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// When the length can't be learned.
    fn size(&self) -> Result<u64>;

    /// Reads into `buffer` from byte `offset` on and returns how many bytes came: fewer than asked
    /// only at the end.
    ///
    /// # Errors
    /// When the device fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Fills `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::DataLoss`] when the bytes end before the buffer is full.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let got = self.read_at(offset, buffer)?;
        if got == buffer.len() {
            return Ok(());
        }
        let (wanted, end) = (buffer.len(), offset.saturating_add(got as u64));
        Err(Error::new(
            ErrorKind::DataLoss,
            format!("{wanted} bytes wanted at byte {offset}, but the data ends at byte {end}"),
        ))
    }
}

impl ReadAt for File {
    fn size(&self) -> Result<u64> {
        Ok(self
            .metadata()
            .map_err(|e| Error::io("reading the file's length", e))?
            .len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(format!("reading at byte {offset}"), e)),
            }
        }
        Ok(filled)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> Result<u64> {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let n = buffer.len().min(self.len() - start);
        buffer[..n].copy_from_slice(&self[start..start + n]);
        Ok(n)
    }
}
