//! A source: a file, or an object in a bucket, that was opened once; ranged reads of it, and what is
//! learned from its bytes beyond the index.
//!
//! A local file is read where it lies. Of an object in a bucket only those bytes are fetched that
//! are asked for: a header, a sample table, the samples of one task.

mod ahead;
mod captions;
mod dolby;
mod file;
mod gather;
mod inspect;
mod location;
mod object;
mod sources;
mod stretches;
mod text;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use ahead::Ahead;
pub use captions::{Captions, may_hold_captions, read_captions, taste, tastes_of_captions};
pub use dolby::inspect_dolby;
use file::LocalFile;
pub use gather::gather;
pub use inspect::{VideoInspection, heads, inspect_h264};
pub use location::{Location, ObjectLocation};
use object::Object;
pub use sources::Sources;
use stretches::{GAP, NARROW_GAP, stretches};
pub use text::{Files, read_text};

use crate::error::Result;
use crate::media::Place;
use crate::read_at::ReadAt;

/// Requests that take a while, one after the other.
const MANY_REQUESTS: u64 = 64;

/// An opened source. Whatever is read of it, by whomever, belongs to the same version of it.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    File(LocalFile),
    Object(Object),
}

/// A file in which some of a source's bytes are, each at its own offset.
#[derive(Debug)]
pub enum Lent<'s> {
    /// The source itself, or a copy of all of it.
    Whole(&'s File),
    /// A file without a name that has what was asked for, and holes elsewhere.
    Parts(File),
}

impl Lent<'_> {
    /// The file.
    pub fn file(&self) -> &File {
        match self {
            Self::Whole(file) => file,
            Self::Parts(file) => file,
        }
    }
}

/// Reads of a source that end when a flag is raised.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'s> {
    source: &'s Source,
    stop: &'s AtomicBool,
}

impl Source {
    /// Opens what a user names: a path, `file:///path`, or `s3://bucket/key`.
    ///
    /// # Errors
    /// [`NotFound`](crate::error::ErrorKind::NotFound) when there is none,
    /// [`Invalid`](crate::error::ErrorKind::Invalid) when it is empty, no regular file, or not
    /// readable for this user, [`Unavailable`](crate::error::ErrorKind::Unavailable) when the store
    /// is away or refuses, [`Unsupported`](crate::error::ErrorKind::Unsupported) for a URL that
    /// this build has no backend for.
    pub fn open(named: impl AsRef<Path>) -> Result<Self> {
        Self::at(&Location::parse(named.as_ref())?)
    }

    fn at(location: &Location) -> Result<Self> {
        let bytes = match location {
            Location::File(path) => Bytes::File(LocalFile::open(path)?),
            Location::Object(object) => Bytes::Object(Object::open(object)?),
        };
        Ok(Self { bytes })
    }

    /// Where it lies, for people: the path it was opened by, or its URL.
    pub fn shown(&self) -> String {
        match &self.bytes {
            Bytes::File(file) => file.path().display().to_string(),
            Bytes::Object(object) => object.url().to_owned(),
        }
    }

    /// Length in bytes when it was opened.
    pub fn size_bytes(&self) -> u64 {
        match &self.bytes {
            Bytes::File(file) => file.size_bytes(),
            Bytes::Object(object) => object.size_bytes(),
        }
    }

    /// Whether reading all of it takes a network.
    pub fn is_far(&self) -> bool {
        matches!(&self.bytes, Bytes::Object(object) if object.copy().is_none())
    }

    /// Whether what was read of it so far took all of it, or many requests, over a network.
    pub fn was_dear(&self) -> bool {
        let object = match &self.bytes {
            Bytes::File(_) => return false,
            Bytes::Object(object) => object,
        };
        object.copy().is_some() || object.requests() > MANY_REQUESTS
    }

    /// Reads that end with an error once `stop` is raised.
    pub fn reader<'s>(&'s self, stop: &'s AtomicBool) -> Reader<'s> {
        Reader { source: self, stop }
    }

    /// Fills `buffer` from byte `offset` on, whatever happens meanwhile.
    fn read_now(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let stop = AtomicBool::new(false);
        self.reader(&stop).read_exact_at(offset, buffer)
    }

    /// A file that has the bytes of the samples at `places` at their offsets, to be handed to a
    /// child process. Parts of an object in a bucket are fetched for it, into `scratch` or the
    /// system's folder for temporary files; nothing is left there when it is dropped.
    ///
    /// # Errors
    /// [`Conflict`](crate::error::ErrorKind::Conflict) when the object was replaced,
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when the store is away or `stop` is
    /// raised, [`Exhausted`](crate::error::ErrorKind::Exhausted) when the disk is full.
    pub fn lend(
        &self,
        places: impl IntoIterator<Item = Place>,
        scratch: Option<&Path>,
        stop: &AtomicBool,
    ) -> Result<Lent<'_>> {
        let object = match &self.bytes {
            Bytes::File(file) => return Ok(Lent::Whole(file.file())),
            Bytes::Object(object) => object,
        };
        if let Some(copy) = object.copy() {
            return Ok(Lent::Whole(copy));
        }
        let ranges = stretches(places, object.size_bytes(), GAP);
        let parts = object.fetch(&ranges, scratch, stop, &mut |_| Ok(()))?;
        Ok(Lent::Parts(parts))
    }

    /// Reads of the source, of which those at `places`, spread over all of it, are fetched now.
    ///
    /// # Errors
    /// As [`Self::lend`].
    pub fn ahead<'s>(
        &'s self,
        places: impl IntoIterator<Item = Place>,
        scratch: Option<&Path>,
        stop: &'s AtomicBool,
    ) -> Result<Ahead<'s>> {
        let reader = self.reader(stop);
        let (lent, ranges) = match &self.bytes {
            Bytes::Object(object) if object.copy().is_none() => {
                let ranges = stretches(places, object.size_bytes(), NARROW_GAP);
                let parts = object.fetch(&ranges, scratch, stop, &mut |_| Ok(()))?;
                (Lent::Parts(parts), ranges)
            }
            _ => (self.lend(places, scratch, stop)?, Vec::new()),
        };
        Ok(Ahead {
            lent,
            ranges,
            reader,
        })
    }

    /// A file with all bytes. Those of an object in a bucket are fetched, once, and kept as long as
    /// the source is open: reads of it are reads of that file from then on. `on_read` is told how
    /// many bytes have come.
    ///
    /// # Errors
    /// As [`Self::lend`]; what `on_read` fails with.
    pub fn whole(
        &self,
        scratch: Option<&Path>,
        stop: &AtomicBool,
        on_read: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<&File> {
        match &self.bytes {
            Bytes::File(file) => Ok(file.file()),
            Bytes::Object(object) => object.fetch_whole(scratch, stop, on_read),
        }
    }

    /// Whether nobody wrote to a local file since it was opened, by its length and time of change.
    /// What was read before a yes is what was opened; what is stored under its digest depends on
    /// that. Reads of an object in a bucket see to that themselves.
    ///
    /// # Errors
    /// [`Conflict`](crate::error::ErrorKind::Conflict) when it changed;
    /// [`Unavailable`](crate::error::ErrorKind::Unavailable) when it can't be asked.
    pub fn check_unchanged(&self) -> Result<()> {
        match &self.bytes {
            Bytes::File(file) => file.check_unchanged(),
            Bytes::Object(_) => Ok(()),
        }
    }

    /// What the source is known by, 64 hexadecimal digits: the BLAKE3 digest of all bytes. Of an
    /// object that was never read whole, and won't be for this, a digest of its version, its place
    /// and its length. `on_read` is told how many bytes are read so far, and may stop it with an
    /// error.
    ///
    /// # Errors
    /// When reading fails or `on_read` says so;
    /// [`Conflict`](crate::error::ErrorKind::Conflict) when a file's length changed since it was
    /// opened.
    pub fn identity(&self, on_read: &mut dyn FnMut(u64) -> Result<()>) -> Result<String> {
        match &self.bytes {
            Bytes::File(file) => file.digest(on_read),
            Bytes::Object(object) => match object.copy() {
                Some(copy) => file::digest(copy, on_read).map(|(_, digest)| digest),
                None => Ok(object.identity()),
            },
        }
    }
}

impl ReadAt for Reader<'_> {
    /// The length when it was opened: what grows or shrinks meanwhile is not followed.
    fn size(&self) -> Result<u64> {
        Ok(self.source.size_bytes())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        match &self.source.bytes {
            Bytes::File(file) => file.file().read_at(offset, buffer),
            Bytes::Object(object) => object.read_at(offset, buffer, self.stop),
        }
    }
}

#[cfg(test)]
mod tests;
