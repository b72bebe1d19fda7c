//! Where a source lies: a file, or an object in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Source;
use crate::error::{Error, Result};
use crate::store::BlockingStore;

/// Where a source lies.
#[derive(Debug, Clone)]
pub enum Location {
    /// A local file.
    File(PathBuf),
    /// An object in a bucket.
    Object(ObjectLocation),
}

/// Where an object lies.
#[derive(Debug, Clone)]
pub struct ObjectLocation {
    pub(super) store: BlockingStore,
    /// Relative to the store's root.
    pub(super) key: String,
    /// The whole of it as a URL, for people.
    pub(super) url: String,
}

impl Location {
    /// What a user names: a path, `file:///path`, or `s3://bucket/key`. Nothing is read.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`] for a URL that this build has no backend for.
    pub fn parse(named: &Path) -> Result<Self> {
        match named.to_str().and_then(|text| text.split_once("://")) {
            None => Ok(Self::File(named.to_path_buf())),
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(("memory", _)) => Err(Error::unsupported(format!(
                "{}: nothing is in a memory that is new; name a file or s3://bucket/key",
                named.display()
            ))),
            Some(_) => {
                let url = named.display().to_string();
                let store = BlockingStore::open(&url)?;
                Ok(Self::object(store, String::new(), url))
            }
        }
    }

    /// The object `key` of `store`, `url` as a whole. In a directory that is a file.
    pub fn object(store: BlockingStore, key: String, url: String) -> Self {
        match store.store().directory() {
            Some(directory) => Self::File(directory.join(key)),
            None => Self::Object(ObjectLocation { store, key, url }),
        }
    }

    /// Opens what lies there.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open(&self) -> Result<Source> {
        Source::at(self)
    }

    /// All of a small file's bytes.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Invalid`] when there are more than `most`; as [`Source::open`].
    pub fn read(&self, most: u64) -> Result<Bytes> {
        let source = self.open()?;
        let length = source.size_bytes();
        if length > most {
            let message = format!("{self} has {length} bytes; the limit is {most}");
            return Err(Error::invalid(message));
        }
        let length = usize::try_from(length).map_err(|_| Error::internal("a small file"))?;
        let mut bytes = vec![0; length];
        source.read_now(0, &mut bytes)?;
        Ok(bytes.into())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object(object) => f.write_str(&object.url),
        }
    }
}
