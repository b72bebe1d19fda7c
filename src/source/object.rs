//! An object in a bucket, opened: one version of it, read in ranges.
//!
//! Every request names the version that was there when it was opened, so whatever is read belongs
//! together; where another one has taken its place, reading fails with a conflict.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::location::ObjectLocation;
use super::stretches::requests;
use crate::error::{Error, Result};
use crate::read_at::ReadAt;
use crate::store::Version;

/// Bytes fetched where fewer are asked for: whoever looks at a header wants the next one soon.
const AHEAD: u64 = 64 << 10;
/// What the identity of an object is derived under; see [`Object::identity`].
const IDENTITY: &str = "headwater 2026-11-25 identity of a source that was not read whole";

/// One version of an object.
#[derive(Debug)]
pub(super) struct Object {
    at: ObjectLocation,
    version: Version,
    /// The last bytes that were fetched ahead, and their offset. Shared by whoever reads headers.
    ahead: Mutex<(u64, Bytes)>,
    /// All bytes, once they were fetched.
    copy: OnceLock<File>,
    /// Requests made after the first.
    requests: AtomicU64,
}

impl Object {
    pub(super) fn open(at: &ObjectLocation) -> Result<Self> {
        let (version, head) = at
            .store
            .open_version(&at.key, AHEAD)
            .map_err(|e| explain(e, at))?;
        if version.size == 0 {
            return Err(Error::invalid(format!(
                "{} is empty; copy or upload it again",
                at.url
            )));
        }
        Ok(Self {
            at: at.clone(),
            version,
            ahead: Mutex::new((0, head)),
            copy: OnceLock::new(),
            requests: AtomicU64::new(0),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.at.url
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.version.size
    }

    /// Stands for the bytes where they were not read: a digest of what the store calls this
    /// version, of its key and its length. 64 hexadecimal digits, like a digest of bytes, and never
    /// equal to one.
    pub(super) fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key(IDENTITY);
        let key = self.at.store.store().whole_key(&self.at.key);
        let size = self.version.size.to_string();
        for part in [&key, &self.version.tag, &size] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Requests made since it was opened.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// All of its bytes, if they were fetched.
    pub(super) fn copy(&self) -> Option<&File> {
        self.copy.get()
    }

    /// A file of this length with the bytes of `ranges` at their places, and holes elsewhere. It has
    /// no name, and is gone once nobody has it open.
    pub(super) fn fetch(
        &self,
        ranges: &[Range<u64>],
        scratch: Option<&Path>,
        stop: &AtomicBool,
        on_read: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<File> {
        let file = match scratch {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let named = |e| Error::io(format!("keeping parts of {} for a while", self.at.url), e);
        let file = file.map_err(named)?;
        file.set_len(self.version.size).map_err(named)?;
        let mut done = 0;
        self.read_ranges(ranges, stop, &mut |at, bytes| {
            file.write_all_at(bytes, at).map_err(named)?;
            done += bytes.len() as u64;
            on_read(done)
        })?;
        Ok(file)
    }

    /// Fetches all of it, once, into a file as [`Self::fetch`] makes.
    pub(super) fn fetch_whole(
        &self,
        scratch: Option<&Path>,
        stop: &AtomicBool,
        on_read: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<&File> {
        if let Some(file) = self.copy.get() {
            return Ok(file);
        }
        let ranges: Vec<Range<u64>> = requests(0..self.version.size).collect();
        let file = self.fetch(&ranges, scratch, stop, on_read)?;
        Ok(self.copy.get_or_init(|| file))
    }

    /// As [`ReadAt::read_at`].
    pub(super) fn read_at(
        &self,
        offset: u64,
        buffer: &mut [u8],
        stop: &AtomicBool,
    ) -> Result<usize> {
        if let Some(file) = self.copy.get() {
            return ReadAt::read_at(file, offset, buffer);
        }
        let left = self.version.size.saturating_sub(offset);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = buffer.get_mut(..count).unwrap_or_default();
        if count == 0 || self.read_from_ahead(offset, buffer) {
            return Ok(count);
        }
        if count as u64 >= AHEAD {
            self.read_into(offset, buffer, stop)?;
            return Ok(count);
        }
        let mut bytes = vec![0; usize::try_from(left.min(AHEAD)).unwrap_or(count)];
        self.read_into(offset, &mut bytes, stop)?;
        buffer.copy_from_slice(bytes.get(..count).unwrap_or_default());
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = (offset, bytes.into());
        Ok(count)
    }

    /// Fills `buffer` from what was fetched ahead; whether all of it was there.
    fn read_from_ahead(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, bytes) = &*ahead;
        let from = offset.checked_sub(*start);
        let from = from.and_then(|from| usize::try_from(from).ok());
        let there = from.and_then(|from| bytes.get(from..)?.get(..buffer.len()));
        there.map(|there| buffer.copy_from_slice(there)).is_some()
    }

    fn read_into(&self, offset: u64, buffer: &mut [u8], stop: &AtomicBool) -> Result<()> {
        let end = offset + buffer.len() as u64;
        let ranges: Vec<Range<u64>> = requests(offset..end).collect();
        self.read_ranges(&ranges, stop, &mut |at, bytes| {
            let from = at
                .checked_sub(offset)
                .and_then(|at| usize::try_from(at).ok());
            let place = from.and_then(|from| buffer.get_mut(from..)?.get_mut(..bytes.len()));
            let place = place.ok_or_else(|| Error::internal("bytes nobody asked for"))?;
            place.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn read_ranges(
        &self,
        ranges: &[Range<u64>],
        stop: &AtomicBool,
        take: &mut dyn FnMut(u64, &Bytes) -> Result<()>,
    ) -> Result<()> {
        let ObjectLocation { store, key, .. } = &self.at;
        self.requests
            .fetch_add(ranges.len() as u64, Ordering::Relaxed);
        let read = store.read_ranges(key, &self.version, ranges, stop, take);
        read.map_err(|e| explain(e, &self.at))
    }
}

/// The error with the object's URL in front, which the store doesn't know.
fn explain(error: Error, at: &ObjectLocation) -> Error {
    error.context(&at.url)
}
