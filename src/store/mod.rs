//! The one door to object storage: a local directory, or S3 with feature `aws`.
//!
//! Every object is written with its media type and cache rule, and with an ETag of ours, the
//! digest of its bytes. Where the backend keeps attributes they travel with the object; the local
//! directory has none, so each object there has a sidecar, `.meta/{key}.json`, written after it.
//! A name appears only with its whole content behind it.

mod blocking;
mod change;
#[doc(hidden)]
pub mod faults;
mod fetch;
mod listing;
mod ranges;
mod sidecar;
mod upload;

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::{Path, PathPart};
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload,
};

pub use blocking::BlockingStore;
use change::Changes;
pub use change::{Change, Watcher};
pub use fetch::{Ask, Fetched, Opened, is_strong_tag};
pub use listing::Sighted;
pub use ranges::Version;
pub use sidecar::{Digest, Sidecar};

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, Key, RECORD_NAME};
use crate::media::AssetId;

/// What came of a conditional create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is new.
    New,
    /// An object of that name was there before, and stays as it was.
    Existed,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key, relative to the store's root.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Where objects are kept: those of one title, whose keys are relative to its root, or a whole
/// server's, of which [`Store::asset`] gives one asset's part.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The directory, where the backend is one.
    directory: Option<PathBuf>,
    /// The asset whose keys are meant, in a server's store.
    asset: Option<AssetId>,
    /// Whether the backend's own ETags are what every other reader of it sees.
    backend_tags: bool,
    changes: Changes,
}

/// Where one object lies, relative to the store's root.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: String,
    /// Where a directory keeps its headers; `None` for what a server never delivers.
    sidecar: Option<String>,
}

/// The folder of an asset's public objects in a server's store.
pub fn asset_folder(asset: &AssetId) -> String {
    format!("v/{asset}")
}

impl Store {
    /// Opens the store at `place`: `s3://bucket/prefix` and the like, `memory://` for one that is
    /// new and ends with the process, `file:///dir`, or a directory, which is made if it isn't
    /// there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where no directory can be, [`ErrorKind::Unavailable`] when one can't
    /// be written to;
    /// [`ErrorKind::Unsupported`] for a URL this build has no backend for.
    pub fn open(place: &str) -> Result<Self> {
        match place.split_once("://") {
            None => Self::open_directory(FsPath::new(place)),
            Some(("file", path)) => Self::open_directory(FsPath::new(path)),
            Some(("memory", _)) => Ok(Self::in_memory()),
            Some(_) => Self::open_url(place),
        }
    }

    fn open_directory(directory: &FsPath) -> Result<Self> {
        // Whatever is in the way, it is neither the input nor a rule that failed.
        let unavailable = |e: std::io::Error| {
            let shown = directory.display();
            let message =
                format!("{shown} can't be used as a folder; name one that can be written");
            Error::new(ErrorKind::Unavailable, message).with_source(e)
        };
        std::fs::create_dir_all(directory).map_err(unavailable)?;
        let directory = directory.canonicalize().map_err(unavailable)?;
        tempfile::tempfile_in(&directory).map_err(unavailable)?;
        let backend =
            LocalFileSystem::new_with_prefix(&directory).map_err(|e| from_store(e, ""))?;
        Ok(Self {
            backend: Arc::new(backend),
            prefix: Path::default(),
            directory: Some(directory),
            asset: None,
            backend_tags: false,
            changes: Changes::default(),
        })
    }

    fn open_url(place: &str) -> Result<Self> {
        let url = url::Url::parse(place)
            .map_err(|e| Error::invalid(format!("{place} is not a URL: {e}")))?;
        let environment = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
        let (backend, prefix) =
            object_store::parse_url_opts(&url, environment).map_err(|e| match e {
                object_store::Error::Generic { .. } => Error::unsupported(format!(
                    "{place}: no storage of that kind in this build ({e}); use a directory or s3://"
                )),
                other => from_store(other, place),
            })?;
        Ok(Self {
            backend: Arc::from(backend),
            prefix,
            directory: None,
            asset: None,
            backend_tags: true,
            changes: Changes::default(),
        })
    }

    /// An empty store in this process's memory, which ends with it: for tests and demonstrations.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            backend: Arc::new(InMemory::new()),
            prefix: Path::default(),
            directory: None,
            asset: None,
            backend_tags: false,
            changes: Changes::default(),
        }
    }

    /// Tells `watcher` of every change made through this store, its clones and its parts, for as
    /// long as the watcher lives.
    pub fn watch(&self, watcher: &Arc<impl Watcher + 'static>) {
        let watcher: std::sync::Weak<dyn Watcher> = Arc::downgrade(watcher) as _;
        self.changes.watch(watcher);
    }

    /// The part of a server's store that is one asset's: public objects under `v/{asset}`, plans,
    /// records and reports under `r/{revision}`, which is never delivered.
    #[must_use]
    pub fn asset(&self, asset: &AssetId) -> Self {
        Self {
            asset: Some(asset.clone()),
            ..self.clone()
        }
    }

    /// Where the record of `revision` is kept: beside the entry points in a title's own folder,
    /// with the plan in a server's store.
    pub fn record_key(&self, revision: &str) -> Key {
        match self.asset {
            None => Key::Record,
            Some(_) => Key::Private {
                revision: revision.to_owned(),
                name: RECORD_NAME.to_owned(),
            },
        }
    }

    fn place(&self, key: &Key) -> Place {
        let plain = key.to_string();
        let Some(asset) = &self.asset else {
            return Place {
                sidecar: Some(Sidecar::key(&plain)),
                path: plain,
            };
        };
        if matches!(key, Key::Private { .. } | Key::Record) {
            return Place {
                path: plain,
                sidecar: None,
            };
        }
        let folder = asset_folder(asset);
        Place {
            path: format!("{folder}/{plain}"),
            sidecar: Some(format!("{folder}/{}", Sidecar::key(&plain))),
        }
    }

    /// The part of it under `folder`: a title's own store, as [`open`](Self::open) gives. A directory
    /// is made if it isn't there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn within(&self, folder: &str) -> Result<Self> {
        if let Some(directory) = &self.directory {
            return Self::open_directory(&directory.join(folder));
        }
        Ok(Self {
            prefix: self.path(folder),
            asset: None,
            ..self.clone()
        })
    }

    /// The directory behind it, if it is one.
    pub fn directory(&self) -> Option<&FsPath> {
        self.directory.as_deref()
    }

    /// Creates `key` unless an object of that name is there. The object becomes visible whole or
    /// not at all.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`] when the disk is full, [`ErrorKind::Unavailable`] when the store
    /// is away.
    pub async fn create(&self, key: &Key, parts: Vec<Bytes>) -> Result<Created> {
        let put = self.put(key, parts, PutMode::Create).await;
        if matches!(put, Err(object_store::Error::AlreadyExists { .. })) {
            return Ok(Created::Existed);
        }
        self.changes.tell(Change::Created(&self.place(key).path));
        match put {
            Ok(()) => Ok(Created::New),
            Err(e) => Err(not_written(e, key)),
        }
    }

    /// Writes `key`, in place of what was there.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn replace(&self, key: &Key, bytes: Bytes) -> Result<()> {
        let put = self.put(key, vec![bytes], PutMode::Overwrite).await;
        self.changes.tell(Change::Replaced(&self.place(key).path));
        put.map_err(|e| not_written(e, key))
    }

    /// The object, then the headers that belong to it: who loses a race to create it must not
    /// leave its own. An object without them is served all the same.
    async fn put(&self, key: &Key, parts: Vec<Bytes>, mode: PutMode) -> object_store::Result<()> {
        let headers = Sidecar::of(key, &parts);
        let place = self.place(key);
        let mut options = PutOptions::from(mode);
        if self.directory.is_none() {
            let tags = layout::cache_tags(self.asset.as_ref().map(AssetId::as_str), key);
            options.attributes = attributes(&headers, &tags);
        }
        let payload: PutPayload = parts.into_iter().collect();
        self.backend
            .put_opts(&self.path(&place.path), payload, options)
            .await?;
        if self.directory.is_some()
            && let Some(sidecar) = &place.sidecar
        {
            let meta = PutPayload::from(headers.to_json());
            self.backend.put(&self.path(sidecar), meta).await?;
        }
        Ok(())
    }

    /// Whether `from`, a part of the same server's store, has `key`; then this part has it too
    /// afterwards. What is here already stays as it is. No bytes are read: a directory links the
    /// file, a bucket copies on its side.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn take_over(&self, from: &Self, key: &Key) -> Result<bool> {
        if self.length(key).await?.is_some() {
            return Ok(true);
        }
        let (there, here) = (from.place(key), self.place(key));
        if self.directory.is_some()
            && let (Some(from), Some(to)) = (&there.sidecar, &here.sidecar)
            && !self.copy(from, to, key).await?
        {
            return Ok(false);
        }
        let copied = self.copy(&there.path, &here.path, key).await;
        self.changes.tell(Change::Created(&here.path));
        copied
    }

    async fn copy(&self, from: &str, to: &str, key: &Key) -> Result<bool> {
        match self.backend.copy(&self.path(from), &self.path(to)).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(not_written(e, key)),
        }
    }

    /// Writes a document that describes what is stored, in place of what was there. No CDN asks for
    /// it, so it has no headers. It becomes visible whole or not at all.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn write_document(&self, name: &str, bytes: Bytes) -> Result<()> {
        let put = self.backend.put(&self.path(name), bytes.into()).await;
        put.map(drop).map_err(|e| from_store(e, name))
    }

    /// Removes a document; one that is not there is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn remove_document(&self, name: &str) -> Result<()> {
        match self.backend.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(from_store(e, name)),
        }
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn remove(&self, key: &Key) -> Result<()> {
        let place = self.place(key);
        let object = place.path.clone();
        let removed = self.remove_both(place).await;
        self.changes.tell(Change::Removed(&object));
        removed
    }

    async fn remove_both(&self, place: Place) -> Result<()> {
        for path in [Some(place.path), place.sidecar].into_iter().flatten() {
            self.remove_document(&path).await?;
        }
        Ok(())
    }

    /// Removes everything under the folder `folder` of the store's root.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away; what was removed until then is gone.
    pub async fn remove_folder(&self, folder: &str) -> Result<()> {
        let removed = self.remove_all(folder).await;
        let folder = folder.trim_end_matches('/');
        self.changes.tell(Change::FolderRemoved(folder));
        removed
    }

    async fn remove_all(&self, folder: &str) -> Result<()> {
        if let Some(directory) = &self.directory {
            let path = directory.join(folder);
            return match tokio::fs::remove_dir_all(&path).await {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::io(format!("removing {}", path.display()), e))
                }
                _ => Ok(()),
            };
        }
        for object in self.list(folder).await? {
            self.remove_document(&object.key).await?;
        }
        Ok(())
    }

    /// The objects of `revision`, sizes by key relative to the title's root.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn list_revision(&self, revision: &str) -> Result<Vec<Listed>> {
        let Some(asset) = &self.asset else {
            return self.list(revision).await;
        };
        let folder = format!("{}/", asset_folder(asset));
        let mut listed = self.list(&format!("{folder}{revision}")).await?;
        for object in &mut listed {
            if let Some(key) = object.key.strip_prefix(&folder) {
                object.key = key.to_owned();
            }
        }
        Ok(listed)
    }

    /// The object `key`, or `None` when there is none.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        self.get(&self.place(key).path).await
    }

    /// Bytes `start .. end` of the object `key`; fewer where it ends before.
    ///
    /// # Errors
    /// As [`Self::get_range`].
    pub async fn read_range(&self, key: &Key, start: u64, end: u64) -> Result<Bytes> {
        self.get_range(&self.place(key).path, start, end).await
    }

    /// The length of the object `key`, or `None` when there is none.
    ///
    /// # Errors
    /// As [`Self::size`].
    pub async fn length(&self, key: &Key) -> Result<Option<u64>> {
        self.size(&self.place(key).path).await
    }

    /// The whole object, or `None` when there is none of that name.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let got = match self.backend.get(&self.path(key)).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(from_store(e, key)),
        };
        got.bytes().await.map(Some).map_err(|e| from_store(e, key))
    }

    /// Bytes `start .. end` of an object; fewer where it ends before.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such object.
    pub async fn get_range(&self, key: &str, start: u64, end: u64) -> Result<Bytes> {
        if start >= end {
            return Ok(Bytes::new());
        }
        let options = GetOptions {
            range: Some((start..end).into()),
            ..GetOptions::default()
        };
        let got = self.backend.get_opts(&self.path(key), options).await;
        got.map_err(|e| from_store(e, key))?
            .bytes()
            .await
            .map_err(|e| from_store(e, key))
    }

    /// The length of an object, or `None` when there is none of that name.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn size(&self, key: &str) -> Result<Option<u64>> {
        match self.backend.head(&self.path(key)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(from_store(e, key)),
        }
    }

    /// All objects whose keys start with the folder `folder`, in order of their keys.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the store is away.
    pub async fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let found: Vec<_> = self
            .backend
            .list(Some(&self.path(folder)))
            .try_collect()
            .await
            .map_err(|e| from_store(e, folder))?;
        let relative = |location: &Path| -> Option<String> {
            let parts: Vec<_> = location
                .prefix_match(&self.prefix)?
                .map(|p| p.as_ref().to_owned())
                .collect();
            Some(parts.join("/"))
        };
        let mut listed: Vec<Listed> = found
            .iter()
            .filter_map(|meta| {
                Some(Listed {
                    key: relative(&meta.location)?,
                    size: meta.size,
                })
            })
            .collect();
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    fn path(&self, key: &str) -> Path {
        let parts = key.split('/').filter(|part| !part.is_empty());
        // As it is: a folder is found under its own name, whatever signs are in it. What can't be
        // a name as it is (`..`, control characters) is escaped, and names nothing.
        let part = |part| PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part));
        parts.fold(self.prefix.clone(), |path, name| path.join(part(name)))
    }
}

/// What a bucket keeps with an object and answers with it. The tags are in `x-amz-meta-cache-tag`,
/// where CloudFront looks for them; a copy keeps those of what it was made from.
fn attributes(sidecar: &Sidecar, tags: &[String]) -> Attributes {
    let value = |text: &str| AttributeValue::from(text.to_owned());
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, value(&sidecar.content_type));
    attributes.insert(Attribute::CacheControl, value(&sidecar.cache_control));
    attributes.insert(Attribute::Metadata("etag".into()), value(&sidecar.etag));
    if !tags.is_empty() {
        let tags = value(&tags.join(","));
        attributes.insert(Attribute::Metadata("cache-tag".into()), tags);
    }
    attributes
}

/// What came of a write. Only a bucket that isn't there is not found when it is written to.
fn not_written(error: object_store::Error, key: &Key) -> Error {
    let missing = matches!(error, object_store::Error::NotFound { .. });
    let error = from_store(error, &key.to_string());
    if missing {
        error.context("the bucket is not there; make it first, or name another")
    } else {
        error
    }
}

/// One of the store's errors as ours.
fn from_store(error: object_store::Error, key: &str) -> Error {
    use object_store::Error as Store;
    let kind = match &error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::AlreadyExists { .. } | Store::Precondition { .. } => ErrorKind::Conflict,
        Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::Unsupported,
        Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
        other if is_out_of_space(other) => ErrorKind::Exhausted,
        _ => ErrorKind::Unavailable,
    };
    let hint = if kind == ErrorKind::Exhausted {
        "the disk is full: "
    } else {
        ""
    };
    let what = match key {
        // The store's root is the object; its URL is for the caller to say.
        "" => "asking the store".to_owned(),
        key => format!("storing or reading {key}"),
    };
    Error::new(kind, format!("{hint}{what}")).with_source(error)
}

fn is_out_of_space(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), StorageFull | QuotaExceeded | FileTooLarge);
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISION: &str = "0123456789abcdef0123456789abcdef";

    fn segment(number: u32) -> Key {
        let revision = REVISION.to_owned();
        Key::Segment {
            revision,
            track: "v720".into(),
            number,
        }
    }

    #[test]
    fn the_first_writer_wins_and_the_parts_are_joined() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlockingStore::open(directory.path().to_str().unwrap()).unwrap();
        let parts = vec![Bytes::from_static(b"moof"), Bytes::from_static(b"mdat")];
        assert_eq!(store.create(&segment(1), parts).unwrap(), Created::New);
        let again = vec![Bytes::from_static(b"other")];
        assert_eq!(store.create(&segment(1), again).unwrap(), Created::Existed);
        let key = segment(1);
        assert_eq!(store.read(&key).unwrap().unwrap(), &b"moofmdat"[..]);
        assert_eq!(store.read_range(&key, 4, 100).unwrap(), &b"mdat"[..]);
        assert_eq!(store.length(&segment(2)).unwrap(), None);
        let listed = store.list_revision(REVISION).unwrap();
        let key = key.to_string();
        assert_eq!(listed, [Listed { key, size: 8 }]);
    }

    #[test]
    fn a_directory_keeps_the_headers_in_a_sidecar() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlockingStore::open(directory.path().to_str().unwrap()).unwrap();
        store
            .create(&segment(3), vec![Bytes::from_static(b"x")])
            .unwrap();
        let sidecar = Sidecar::key(&segment(3).to_string());
        let sidecar = std::fs::read(directory.path().join(sidecar)).unwrap();
        let sidecar: Sidecar = serde_json::from_slice(&sidecar).unwrap();
        assert_eq!(sidecar.content_type, "video/iso.segment");
        assert_eq!(sidecar.cache_control, layout::IMMUTABLE);
        assert!(sidecar.etag.starts_with('"') && sidecar.etag.len() == 34);
    }

    #[test]
    fn a_place_that_cannot_be_a_directory_is_unavailable() {
        let error = BlockingStore::open("/dev/null/out").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("/dev/null/out"));
    }

    #[test]
    fn an_asset_keeps_its_plan_out_of_what_is_delivered_and_takes_over_from_another() {
        let directory = tempfile::tempdir().unwrap();
        let store = BlockingStore::open(directory.path().to_str().unwrap()).unwrap();
        let asset = |id: &str| store.asset(&AssetId::parse(id).unwrap());
        let (cats, dogs) = (asset("cats"), asset("dogs"));
        let body = || vec![Bytes::from_static(b"x")];
        let plan = Key::Private {
            revision: REVISION.to_owned(),
            name: "plan.json".to_owned(),
        };
        for key in [segment(1), plan.clone()] {
            assert_eq!(cats.create(&key, body()).unwrap(), Created::New);
        }
        assert_eq!(dogs.create(&plan, body()).unwrap(), Created::Existed);
        assert!(dogs.take_over(&cats, &segment(1)).unwrap());
        assert!(!dogs.take_over(&cats, &segment(2)).unwrap());
        let listed = dogs.list_revision(REVISION).unwrap();
        assert_eq!(listed.first().unwrap().key, segment(1).to_string());
        futures_executor::block_on(cats.store().remove(&segment(1))).unwrap();
        assert_eq!(cats.length(&segment(1)).unwrap(), None);
        let keys: Vec<String> = store.list("").unwrap().into_iter().map(|l| l.key).collect();
        let left = [
            format!("r/{REVISION}/plan.json"),
            format!("v/dogs/.meta/{}.json", segment(1)),
            format!("v/dogs/{}", segment(1)),
        ];
        assert_eq!(keys, left);
    }
}
