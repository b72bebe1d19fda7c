//! The disk tier: objects of a store that is no directory, as plain files, which are sent by the
//! kernel and survive a restart.
//!
//! Each object is two files named by the digest of where it lies: its bytes, and a note of what is
//! known of it, which is written last and without which the bytes count for nothing. The note's
//! time says when the store last confirmed the object. Only objects that never change are kept.
//! What an earlier process left is checked against its digest before it is given out. A disk that
//! fails or is full costs what it would have saved, and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::block::Block;
use crate::store::Digest;

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
pub(super) struct Note {
    pub(super) location: String,
    pub(super) length: u64,
    pub(super) etag: String,
    pub(super) modified: u64,
    pub(super) version: Option<String>,
    /// Of the bytes, in the form of our ETags.
    pub(super) digest: String,
}

/// An object that was found.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) note: Note,
    pub(super) file: File,
    /// When the store last confirmed it, in milliseconds since 1970.
    pub(super) verified: i64,
}

/// The tier.
#[derive(Debug)]
pub(super) struct Disk {
    options: Options,
    shelf: Mutex<Shelf>,
}

/// What is kept, the longest unused first.
#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<String, Kept>,
    by_use: BTreeMap<u64, String>,
    uses: u64,
    bytes: u64,
    /// Removals told so far: what was begun before one may be of what is gone.
    removals: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    used: u64,
    length: u64,
    /// Whether the bytes were written or checked by this process.
    is_sound: bool,
}

impl Shelf {
    /// Notes that `location`, of so many bytes, was used now.
    fn use_now(&mut self, location: &str, length: u64, is_sound: bool) {
        self.forget(location);
        self.uses += 1;
        self.bytes += length;
        self.by_use.insert(self.uses, location.to_owned());
        let kept = Kept {
            used: self.uses,
            length,
            is_sound,
        };
        self.kept.insert(location.to_owned(), kept);
    }

    fn forget(&mut self, location: &str) -> bool {
        let Some(kept) = self.kept.remove(location) else {
            return false;
        };
        self.by_use.remove(&kept.used);
        self.bytes -= kept.length;
        true
    }

    /// What has to go so that no more than `limit` bytes are kept. What `was_used` since it was
    /// asked last gets another turn.
    fn surplus(&mut self, limit: u64, was_used: impl Fn(&str) -> bool) -> Vec<String> {
        let mut gone = Vec::new();
        let mut turns = self.kept.len();
        while self.bytes > limit {
            let Some((_, location)) = self.by_use.first_key_value() else {
                break;
            };
            let location = location.clone();
            match self.kept.get(&location).copied() {
                Some(kept) if turns > 0 && was_used(&location) => {
                    self.use_now(&location, kept.length, kept.is_sound);
                    turns -= 1;
                }
                _ => {
                    self.forget(&location);
                    gone.push(location);
                }
            }
        }
        gone
    }
}

impl Disk {
    /// The tier with what an earlier process left in its folder.
    pub(super) fn open(options: Options) -> Result<Self> {
        std::fs::create_dir_all(&options.folder)?;
        let disk = Self {
            options,
            shelf: Mutex::default(),
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

    /// Whether an object of that length may be kept.
    pub(super) fn has_room_for(&self, length: u64) -> bool {
        length <= self.options.bytes
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
    pub(super) fn find(&self, location: &str) -> Option<Stored> {
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
    pub(super) fn removals(&self) -> u64 {
        self.shelf().removals
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
        if shelf.removals != removals {
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
    pub(super) fn confirm(&self, location: &str, now: i64) {
        if self.shelf().kept.contains_key(location) {
            let path = note_path(&self.bytes_path(location));
            let note = File::options().append(true).open(path);
            // At worst it is checked once more.
            let _ = note.and_then(|note| set_time(&note, now));
        }
    }

    /// Forgets `location`: it is no longer in the store.
    pub(super) fn forget(&self, location: &str) {
        let was_kept = {
            let mut shelf = self.shelf();
            shelf.removals += 1;
            shelf.forget(location)
        };
        if was_kept {
            self.remove(location);
        }
    }

    /// Forgets every location that `is_gone` names.
    pub(super) fn forget_all(&self, is_gone: impl Fn(&str) -> bool) {
        let gone: Vec<String> = {
            let mut shelf = self.shelf();
            shelf.removals += 1;
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
    pub(super) fn check(&self) -> Result<()> {
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

/// An object on its way to the disk, block by block.
#[derive(Debug)]
pub(super) struct Writing {
    disk: Arc<Disk>,
    file: NamedTempFile,
    digest: Digest,
}

impl Writing {
    /// Begins; with the first failure it is over.
    pub(super) async fn begin(disk: &Arc<Disk>) -> Option<Self> {
        let disk = Arc::clone(disk);
        let begun = tokio::task::spawn_blocking(move || {
            let file = disk.begin().ok()?;
            Some(Self {
                disk,
                file,
                digest: Digest::default(),
            })
        });
        begun.await.ok().flatten()
    }

    /// Adds a block.
    pub(super) async fn add(mut self, block: Arc<Block>) -> Option<Self> {
        let added = tokio::task::spawn_blocking(move || {
            for piece in &block.pieces {
                self.digest.update(piece);
                self.file.write_all(piece).ok()?;
            }
            Some(self)
        });
        added.await.ok().flatten()
    }

    /// Ends; the file to send the object from, and the locations that had to make room. `since` is
    /// the number of removals when the object was asked for, and the time.
    pub(super) async fn end(
        self,
        mut note: Note,
        since: (u64, i64),
        was_used: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<(File, Vec<String>)> {
        note.digest = self.digest.etag();
        let keep = move || self.disk.keep(&note, self.file, since, was_used);
        tokio::task::spawn_blocking(keep).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, bytes: u64) -> Disk {
        let folder = folder.to_owned();
        Disk::open(Options { folder, bytes }).unwrap()
    }

    fn keep(disk: &Disk, location: &str, bytes: &[u8]) {
        let note = Note {
            location: location.to_owned(),
            length: bytes.len() as u64,
            etag: "\"x\"".to_owned(),
            modified: 7,
            version: None,
            digest: {
                let mut digest = Digest::default();
                digest.update(bytes);
                digest.etag()
            },
        };
        let mut file = disk.begin().unwrap();
        file.write_all(bytes).unwrap();
        let since = (disk.removals(), 5000);
        disk.keep(&note, file, since, |used| used == "v/used")
            .unwrap();
    }

    fn text(disk: &Disk, location: &str) -> Option<String> {
        let found = disk.find(location)?;
        let note = &found.note;
        assert_eq!((note.etag.as_str(), note.modified), ("\"x\"", 7));
        let mut text = vec![0; usize::try_from(note.length).unwrap()];
        std::os::unix::fs::FileExt::read_exact_at(&found.file, &mut text, 0).unwrap();
        let text = String::from_utf8(text).unwrap();
        Some(text)
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path(), 100);
        for (location, bytes) in [("v/a", "one"), ("v/b", "two"), ("v/c", "three")] {
            keep(&disk, location, bytes.as_bytes());
        }
        keep(&disk, "v/d", b"other");
        disk.confirm("v/a", 9000);
        let (cut, spoiled) = (disk.bytes_path("v/b"), disk.bytes_path("v/d"));
        drop(disk);
        std::fs::write(cut, "tw").unwrap();
        std::fs::write(spoiled, "oth\0r").unwrap();
        std::fs::write(folder.path().join("unfinished-1"), "x").unwrap();
        std::fs::write(folder.path().join("a stranger's"), "x").unwrap();
        let disk = open(folder.path(), 100);
        assert_eq!(text(&disk, "v/a").as_deref(), Some("one"));
        assert_eq!(disk.find("v/a").unwrap().verified, 9000);
        assert_eq!(disk.find("v/c").unwrap().verified, 5000);
        assert_eq!(text(&disk, "v/b"), None);
        assert_eq!(text(&disk, "v/d"), None);
        disk.forget("v/c");
        assert_eq!(text(&disk, "v/c"), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_was_fetched_while_something_was_removed_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path(), 100);
        keep(&disk, "v/a", b"one");
        let note = disk.find("v/a").unwrap().note;
        let since = (disk.removals(), 5000);
        let late = disk.begin().unwrap();
        disk.forget_all(|_| true);
        assert!(disk.keep(&note, late, since, |_| false).is_err());
        assert!(disk.find("v/a").is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_sent_all_the_time_stays() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path(), 10);
        for location in ["v/used", "v/b", "v/c"] {
            keep(&disk, location, b"xxxx");
        }
        assert!(text(&disk, "v/used").is_some() && text(&disk, "v/b").is_none());
    }

    #[test]
    fn the_longest_unused_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path(), 10);
        keep(&disk, "v/a", b"aaaa");
        keep(&disk, "v/b", b"bbbb");
        assert!(text(&disk, "v/a").is_some());
        keep(&disk, "v/c", b"cccc");
        assert_eq!(text(&disk, "v/b"), None);
        assert!(text(&disk, "v/a").is_some() && text(&disk, "v/c").is_some());
        drop(disk);
        let disk = open(folder.path(), 4);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        disk.forget_all(|location| location.starts_with("v/"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn bytes_that_were_damaged_meanwhile_are_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path(), 100);
        keep(&disk, "v/a", b"whole");
        std::fs::write(disk.bytes_path("v/a"), "who").unwrap();
        assert_eq!(text(&disk, "v/a"), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
