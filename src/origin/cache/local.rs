//! Objects of a store that is a directory: open files, and small ones read whole.

use std::fs::{File, Metadata};
use std::io::{ErrorKind as Io, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::look_up::places;
use super::object::{Content, Found, Object, is_entry, is_held};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::store::{Digest, Sidecar, Store, is_strong_tag};

/// Tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    length: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            length: metadata.len(),
        }
    }
}

/// What a look at an object's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The file is as it was.
    Same,
    /// It is gone or another.
    Changed,
    /// The directory can't be asked now.
    Unknown,
}

/// Whether the file that `object` was made from is still what its name names. One system call.
pub(super) fn standing(directory: &Path, object: &Object) -> Standing {
    let (Content::Held(_, Some(identity)) | Content::File(_, identity)) = &object.content else {
        return Standing::Changed;
    };
    match std::fs::metadata(directory.join(&object.location)) {
        Ok(metadata) if Identity::of(&metadata) == *identity => Standing::Same,
        Ok(_) => Standing::Changed,
        Err(e) if is_absence(&e) => Standing::Changed,
        Err(_) => Standing::Unknown,
    }
}

/// Opens the object that `path` names; blocks on the disk.
pub(super) fn open(directory: &Path, path: &str, key: &Key) -> Result<Option<Arc<Object>>> {
    for location in places(path) {
        if !is_plain(location) {
            return Ok(None);
        }
        if let Some(object) = open_at(directory, location, key)? {
            return Ok(Some(object));
        }
    }
    Ok(None)
}

fn open_at(directory: &Path, location: &str, key: &Key) -> Result<Option<Arc<Object>>> {
    // A file that changes while it is read is read again; one that is rewritten all the time isn't
    // an object of ours.
    for _ in 0..3 {
        let file = match File::open(directory.join(location)) {
            Ok(file) => file,
            Err(e) if is_absence(&e) => return Ok(None),
            Err(e) => return Err(failed(location, e)),
        };
        let metadata = file.metadata().map_err(|e| failed(location, e))?;
        if !metadata.is_file() {
            return Ok(None);
        }
        if let Some(object) = object(directory, location, key, file, &metadata)? {
            return Ok(Some(object));
        }
    }
    let message = format!("{location} changes while it is read; replace it by a rename");
    Err(Error::new(ErrorKind::Unavailable, message))
}

/// `None` when the file changed meanwhile.
fn object(
    directory: &Path,
    location: &str,
    key: &Key,
    mut file: File,
    metadata: &Metadata,
) -> Result<Option<Arc<Object>>> {
    let identity = Identity::of(metadata);
    let length = metadata.len();
    let (etag, content) = if is_held(key, length) {
        let bytes = read_whole(&mut file, length).map_err(|e| failed(location, e))?;
        let after = file.metadata().map_err(|e| failed(location, e))?;
        if bytes.len() as u64 != length || Identity::of(&after) != identity {
            return Ok(None);
        }
        let mut digest = Digest::default();
        digest.update(&bytes);
        (digest.etag(), Content::Held(bytes, Some(identity)))
    } else {
        // The note beside what may be replaced could be another version's.
        let noted = match is_entry(key) {
            true => None,
            false => noted_etag(directory, location, key),
        };
        let etag = match noted {
            Some(etag) => etag,
            None => hashed(&mut file).map_err(|e| failed(location, e))?,
        };
        (etag, Content::File(Arc::new(file), identity))
    };
    Ok(Some(Object::new(Found {
        key: key.clone(),
        length,
        etag,
        modified: u64::try_from(metadata.mtime()).unwrap_or(0),
        location: location.to_owned(),
        version: None,
        content,
    })))
}

fn read_whole(file: &mut File, length: u64) -> std::io::Result<Bytes> {
    let room = usize::try_from(length).map_err(|_| std::io::Error::from(Io::FileTooLarge))?;
    let mut bytes = Vec::with_capacity(room);
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn noted_etag(directory: &Path, location: &str, key: &Key) -> Option<String> {
    let noted = std::fs::read(directory.join(Store::sidecar_path(location, key))).ok()?;
    let noted: Sidecar = serde_json::from_slice(&noted).ok()?;
    Some(noted.etag).filter(|etag| is_strong_tag(etag))
}

fn hashed(file: &mut File) -> std::io::Result<String> {
    let mut digest = Digest::default();
    let mut room = vec![0; 256 * 1024];
    loop {
        match file.read(&mut room) {
            Ok(0) => return Ok(digest.etag()),
            Ok(read) => digest.update(&room[..read]),
            Err(e) if e.kind() == Io::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A path that can't lead out of the directory.
fn is_plain(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    path.split('/').all(is_name)
}

/// Errors that mean that no object has this name.
fn is_absence(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        Io::NotFound | Io::NotADirectory | Io::IsADirectory | Io::InvalidFilename
    )
}

/// Whatever is wrong, it is the store's fault and may pass.
fn failed(location: &str, error: std::io::Error) -> Error {
    let message = format!("reading {location} of the store");
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}
