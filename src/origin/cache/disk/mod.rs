//! The disk tier: objects of a store that is no directory, as plain files, which are sent by the
//! kernel and survive a restart.
//!
//! Each object is two files named by the digest of where it lies: its bytes, and a note of what is
//! known of it, which is written last and without which the bytes count for nothing. The note's
//! time says when the store last confirmed the object. Only objects that never change are kept.
//! What an earlier process left is checked against its digest before it is given out. A disk that
//! fails, is full or hangs costs what it would have saved, and nothing else.

mod shelf;
mod writing;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::Semaphore;

pub(super) use writing::Writing;

use crate::store::Digest;
use shelf::Shelf;

/// How the name of a note ends.
const NOTE: &str = ".json";
/// How the name of a file begins that is not whole yet.
const UNFINISHED: &str = "unfinished-";

/// Where the disk tier is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its folder, which no other process uses.
    pub folder: PathBuf,
    /// Bytes that objects may take there, without those that are being written.
    pub bytes: u64,
}

/// What is known of an object that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::origin::cache) struct Note {
    pub(in crate::origin::cache) location: String,
    pub(in crate::origin::cache) length: u64,
    pub(in crate::origin::cache) etag: String,
    pub(in crate::origin::cache) modified: u64,
    pub(in crate::origin::cache) version: Option<String>,
    /// Of the bytes, in the form of our ETags.
    pub(in crate::origin::cache) digest: String,
}

/// An object that was found.
#[derive(Debug)]
pub(in crate::origin::cache) struct Stored {
    pub(in crate::origin::cache) note: Note,
    pub(in crate::origin::cache) file: File,
    /// When the store last confirmed it, in milliseconds since 1970.
    pub(in crate::origin::cache) verified: i64,
}

/// The tier.
#[derive(Debug)]
pub(in crate::origin::cache) struct Disk {
    options: Options,
    shelf: Mutex<Shelf>,
    /// Removals told so far: what was begun before one may be of what is gone. Changed only with
    /// the shelf locked; read without, as a disk that hangs may hold it.
    removals: AtomicU64,
    /// For what is on its way.
    room: Arc<Semaphore>,
}

impl Disk {
    /// The tier with what an earlier process left in its folder.
    pub(in crate::origin::cache) fn open(options: Options) -> Result<Self> {
        std::fs::create_dir_all(&options.folder)?;
        let disk = Self {
            options,
            shelf: Mutex::default(),
            removals: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(writing::UNITS)),
        };
        for note in disk.left_notes()? {
            disk.shelf().use_now(&note.location, note.length, false);
        }
        disk.make_room(|_| false);
        Ok(disk)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes_path(&self, location: &str) -> PathBuf {
        let name = blake3::hash(location.as_bytes()).to_hex();
        self.options.folder.join(name.as_str())
    }

    /// The notes whose bytes are there, the longest unconfirmed first. What else of ours is in the
    /// folder goes.
    fn left_notes(&self) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        let mut ours = Vec::new();
        for entry in std::fs::read_dir(&self.options.folder)? {
            let entry = entry?;
            if is_our_name(entry.file_name().as_encoded_bytes()) {
                ours.push(entry.path());
            }
        }
        for path in ours.iter().filter(|path| is_note(path)) {
            let Some((note, verified)) = read_note(path) else {
                continue;
            };
            let bytes = self.bytes_path(&note.location);
            let whole = std::fs::metadata(&bytes).is_ok_and(|file| file.len() == note.length);
            if whole && note_path(&bytes) == *path {
                notes.push((verified, note));
            }
        }
        notes.sort_by_key(|(verified, _)| *verified);
        let notes: Vec<Note> = notes.into_iter().map(|(_, note)| note).collect();
        let mut whole = HashSet::new();
        for note in &notes {
            let bytes = self.bytes_path(&note.location);
            whole.insert(note_path(&bytes));
            whole.insert(bytes);
        }
        for path in ours.iter().filter(|path| !whole.contains(*path)) {
            let _ = std::fs::remove_file(path);
        }
        Ok(notes)
    }

    /// What is kept of `location`, if it is as it was written.
    pub(in crate::origin::cache) fn find(&self, location: &str) -> Option<Stored> {
        let kept = self.shelf().kept.get(location).copied()?;
        let found = self.read(location, kept.is_sound);
        let mut shelf = self.shelf();
        // It may have been removed meanwhile.
        if !shelf.forget(location) {
            return None;
        }
        if let Some(found) = found {
            shelf.use_now(location, found.note.length, true);
            return Some(found);
        }
        drop(shelf);
        self.remove(location);
        None
    }

    fn read(&self, location: &str, is_sound: bool) -> Option<Stored> {
        let path = self.bytes_path(location);
        let (note, verified) = read_note(&note_path(&path))?;
        let mut file = File::open(&path).ok()?;
        let is_whole = file.metadata().ok()?.len() == note.length;
        if note.location != location || !is_whole {
            return None;
        }
        if !is_sound && digest(&mut file).ok()? != note.digest {
            return None;
        }
        Some(Stored {
            note,
            file,
            verified,
        })
    }

    /// Removals told so far.
    pub(in crate::origin::cache) fn removals(&self) -> u64 {
        self.removals.load(Ordering::SeqCst)
    }

    /// A file for the bytes of an object, in which they count for nothing yet.
    fn begin(&self) -> Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED).tempfile_in(&self.options.folder)
    }

    /// Keeps an object whose bytes are all in `bytes`, confirmed at `verified`, unless anything was
    /// removed since `removals` was asked for; the file to send it from, and what had to make room.
    fn keep(
        &self,
        note: &Note,
        bytes: NamedTempFile,
        (removals, verified): (u64, i64),
        was_used: impl Fn(&str) -> bool,
    ) -> Result<(File, Vec<String>)> {
        let path = self.bytes_path(&note.location);
        let mut text = self.begin()?;
        text.write_all(&serde_json::to_vec(note)?)?;
        set_time(text.as_file(), verified)?;
        let mut shelf = self.shelf();
        if self.removals() != removals {
            let message = "something was removed meanwhile";
            return Err(Error::new(ErrorKind::Interrupted, message));
        }
        let file = bytes.persist(&path).map_err(|e| e.error)?;
        text.persist(note_path(&path)).map_err(|e| e.error)?;
        shelf.use_now(&note.location, note.length, true);
        drop(shelf);
        Ok((file, self.make_room(was_used)))
    }

    /// Notes that the store confirmed `location` at `now`.
    pub(in crate::origin::cache) fn confirm(&self, location: &str, now: i64) {
        if self.shelf().kept.contains_key(location) {
            let path = note_path(&self.bytes_path(location));
            let note = File::options().append(true).open(path);
            // At worst it is checked once more.
            let _ = note.and_then(|note| set_time(&note, now));
        }
    }

    /// Forgets `location`: it is no longer in the store.
    pub(in crate::origin::cache) fn forget(&self, location: &str) {
        let was_kept = {
            let mut shelf = self.shelf();
            self.removals.fetch_add(1, Ordering::SeqCst);
            shelf.forget(location)
        };
        if was_kept {
            self.remove(location);
        }
    }

    /// Forgets every location that `is_gone` names.
    pub(in crate::origin::cache) fn forget_all(&self, is_gone: impl Fn(&str) -> bool) {
        let gone: Vec<String> = {
            let mut shelf = self.shelf();
            self.removals.fetch_add(1, Ordering::SeqCst);
            let kept = shelf.kept.keys();
            let gone: Vec<String> = kept.filter(|kept| is_gone(kept)).cloned().collect();
            for location in &gone {
                shelf.forget(location);
            }
            gone
        };
        for location in &gone {
            self.remove(location);
        }
    }

    /// Whether it can be written to.
    pub(in crate::origin::cache) fn check(&self) -> Result<()> {
        self.begin().map(drop)
    }

    fn make_room(&self, was_used: impl Fn(&str) -> bool) -> Vec<String> {
        let surplus = self.shelf().surplus(self.options.bytes, was_used);
        for location in &surplus {
            self.remove(location);
        }
        surplus
    }

    fn remove(&self, location: &str) {
        let path = self.bytes_path(location);
        // The note first: bytes without one count for nothing, also after a crash.
        for path in [note_path(&path), path] {
            // What can't be removed now is at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn note_path(bytes: &Path) -> PathBuf {
    let mut name = bytes.as_os_str().to_owned();
    name.push(NOTE);
    name.into()
}

fn is_note(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .ends_with(NOTE.as_bytes())
}

/// A digest, with or without the end of a note's name, or a file that was never finished.
fn is_our_name(name: &[u8]) -> bool {
    let stem = name.strip_suffix(NOTE.as_bytes()).unwrap_or(name);
    let is_digest = stem.len() == 64 && stem.iter().all(u8::is_ascii_hexdigit);
    is_digest || name.starts_with(UNFINISHED.as_bytes())
}

/// A note and its time, in milliseconds since 1970.
fn read_note(path: &Path) -> Option<(Note, i64)> {
    let note = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let time = std::fs::metadata(path).and_then(|file| file.modified());
    let since = time.ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((note, i64::try_from(since.as_millis()).ok()?))
}

fn set_time(file: &File, millis: i64) -> Result<()> {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    file.set_modified(UNIX_EPOCH + since)
}

fn digest(file: &mut File) -> Result<String> {
    let mut digest = Digest::default();
    let mut room = vec![0; 256 * 1024];
    loop {
        match file.read(&mut room)? {
            0 => return Ok(digest.etag()),
            read => digest.update(&room[..read]),
        }
    }
}

#[cfg(test)]
mod tests;
