//! Reading an object with its metadata in one call, for delivery from a store that is no directory.

use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::{Attribute, GetOptions, ObjectStoreExt};

use super::{Sidecar, Store, from_store};
use crate::error::{Error, ErrorKind, Result};

/// What to read of an object, and on what condition.
#[derive(Debug, Clone, Default)]
pub struct Ask<'a> {
    /// Bytes wanted; clipped to the object's length. All of them when `None`.
    pub range: Option<Range<u64>>,
    /// Only if the backend's ETag is this one ([`Fetched::version`]).
    pub if_match: Option<&'a str>,
    /// Only if the backend's ETag is another than this one.
    pub if_none_match: Option<&'a str>,
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub enum Opened {
    /// The object; its bytes are still to come.
    Found(Fetched),
    /// The object is there as `if_none_match` knows it.
    NotModified,
    /// There is no object of that name.
    Absent,
}

/// An object whose bytes are being read.
pub struct Fetched {
    /// Length of the whole object in bytes.
    pub length: u64,
    /// The ETag to serve, quoted and strong: the backend's own where other readers of the bucket
    /// see it too, else the digest noted when the object was stored. `None` where neither is.
    pub etag: Option<String>,
    /// The backend's ETag, for conditions, as it was received.
    pub version: Option<String>,
    /// When it was last written, in seconds since 1970.
    pub modified: u64,
    /// The bytes that [`Self::next`] brings.
    pub range: Range<u64>,
    left: u64,
    body: BoxStream<'static, object_store::Result<Bytes>>,
    path: String,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched")
            .field("path", &self.path)
            .field("length", &self.length)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl Fetched {
    /// The next bytes, in whatever portions the backend has them; `None` when all have come.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away; [`ErrorKind::DataLoss`] when the body
    /// has not the length that was announced.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(bytes) = self.body.next().await else {
            return match self.left {
                0 => Ok(None),
                left => Err(self.broken(&format!("ends {left} bytes early"))),
            };
        };
        let bytes = bytes.map_err(|e| from_store(e, &self.path))?;
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(self.broken("is longer than announced"));
        };
        self.left = left;
        Ok(Some(bytes))
    }

    fn broken(&self, how: &str) -> Error {
        let message = format!("{}: the store's answer {how}; ask again", self.path);
        Error::new(ErrorKind::DataLoss, message)
    }
}

impl Store {
    /// Opens the object at `path` in one call to the backend, which brings metadata and bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away; [`ErrorKind::Conflict`] when the object
    /// is not the one that `if_match` means.
    pub async fn open_object(&self, path: &str, ask: Ask<'_>) -> Result<Opened> {
        let options = GetOptions {
            range: ask.range.clone().map(Into::into),
            if_match: ask.if_match.map(str::to_owned),
            if_none_match: ask.if_none_match.map(str::to_owned),
            ..GetOptions::default()
        };
        match self.backend.get_opts(&self.path(path), options).await {
            Ok(got) => Ok(Opened::Found(self.fetched(path, got))),
            Err(object_store::Error::NotFound { .. }) => Ok(Opened::Absent),
            Err(object_store::Error::NotModified { .. }) => Ok(Opened::NotModified),
            Err(e) if ask.range.is_some_and(|r| r.start == 0) && is_beyond_the_end(&e) => {
                self.open_empty(path).await
            }
            Err(e) => Err(from_store(e, path)),
        }
    }

    /// No range can be had of an object without bytes.
    async fn open_empty(&self, path: &str) -> Result<Opened> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.backend.get_opts(&self.path(path), options).await {
            Ok(mut got) if got.meta.size == 0 => {
                got.range = 0..0;
                Ok(Opened::Found(self.fetched(path, got)))
            }
            Ok(_) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("{path}: the store refuses ranges; use one that serves them"),
            )),
            Err(object_store::Error::NotFound { .. }) => Ok(Opened::Absent),
            Err(e) => Err(from_store(e, path)),
        }
    }

    fn fetched(&self, path: &str, got: object_store::GetResult) -> Fetched {
        let noted = got
            .attributes
            .get(&Attribute::Metadata("etag".into()))
            .map(|value| value.as_ref().to_owned());
        let version = got.meta.e_tag.clone();
        let backend = version.clone().filter(|_| self.backend_tags);
        let is_strong = |tag: &String| is_strong_tag(tag);
        Fetched {
            length: got.meta.size,
            etag: backend.filter(is_strong).or(noted.filter(is_strong)),
            version,
            modified: u64::try_from(got.meta.last_modified.timestamp()).unwrap_or(0),
            left: got.range.end.saturating_sub(got.range.start),
            range: got.range.clone(),
            body: got.into_stream(),
            path: path.to_owned(),
        }
    }

    /// Whether the object at `path` is there, and still the one with the backend's ETag `version`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn is_current(&self, path: &str, version: Option<&str>) -> Result<bool> {
        match self.backend.head(&self.path(path)).await {
            Ok(meta) => Ok(version.is_none() || meta.e_tag.as_deref() == version),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(from_store(e, path)),
        }
    }

    /// The ETag of ours for the object at `path`, worked out from its bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is gone, [`ErrorKind::Unavailable`] when the store is away.
    pub async fn digest(&self, path: &str) -> Result<String> {
        let Opened::Found(mut fetched) = self.open_object(path, Ask::default()).await? else {
            let message = format!("{path} is no longer stored");
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let mut digest = super::sidecar::Digest::default();
        while let Some(bytes) = fetched.next().await? {
            digest.update(&bytes);
        }
        Ok(digest.etag())
    }

    /// Whether the store answers: asks for an object that nobody stores.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it doesn't.
    pub async fn is_answering(&self) -> Result<()> {
        if let Some(directory) = &self.directory {
            let listed = tokio::fs::metadata(directory).await;
            let unavailable = |e: std::io::Error| {
                let message = format!("{} can't be read", directory.display());
                Error::new(ErrorKind::Unavailable, message).with_source(e)
            };
            return listed.map(drop).map_err(unavailable);
        }
        let asked = "readiness";
        match self.backend.head(&self.path(asked)).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(from_store(e, asked).context("the store does not answer")),
        }
    }

    /// The sidecar of the object at `path` in a directory: `.meta/{key}.json` in the folder that
    /// the object's key is relative to.
    pub fn sidecar_path(path: &str, key: &crate::layout::Key) -> String {
        let key = key.to_string();
        let folder = path.strip_suffix(&key).unwrap_or_default();
        format!("{folder}{}", Sidecar::key(&key))
    }
}

/// Strong, quoted, and made of the characters that a tag may have (RFC 9110 section 8.8.3).
pub fn is_strong_tag(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    inner.is_some_and(|inner| inner.len() <= 128 && inner.bytes().all(is_tag_byte))
}

fn is_tag_byte(byte: u8) -> bool {
    byte == b'!' || (b'#'..=b'~').contains(&byte)
}

/// Status 416, or the in-memory store's word for it. The library keeps its type to itself.
fn is_beyond_the_end(error: &object_store::Error) -> bool {
    let text = format!("{error:?}");
    text.contains("status: 416") || text.contains("StartTooLarge")
}
