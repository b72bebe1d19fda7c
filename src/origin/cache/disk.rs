//! The disk tier: objects of a store that is no directory, as plain files, which are sent by the
//! kernel and survive a restart.
//!
//! Each object is two files named by the digest of where it lies: its bytes, and a note of what is
//! known of it, which is written last and without which the bytes count for nothing. Only objects
//! that never change are kept. A disk that fails or is full costs what it would have saved, and
//! nothing else.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::block::Block;

/// How the name of a note ends.
const NOTE: &str = ".json";

/// Where the disk tier is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its folder, which nothing else uses: what doesn't belong there is removed.
    pub folder: PathBuf,
    /// Bytes that objects may take there.
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
    kept: HashMap<String, (u64, u64)>,
    by_use: BTreeMap<u64, String>,
    uses: u64,
    bytes: u64,
}

impl Shelf {
    /// Notes that `location`, of so many bytes, was used now.
    fn use_now(&mut self, location: &str, length: u64) {
        self.forget(location);
        self.uses += 1;
        self.bytes += length;
        self.by_use.insert(self.uses, location.to_owned());
        self.kept.insert(location.to_owned(), (self.uses, length));
    }

    fn forget(&mut self, location: &str) -> bool {
        let Some((used, length)) = self.kept.remove(location) else {
            return false;
        };
        self.by_use.remove(&used);
        self.bytes -= length;
        true
    }

    /// What has to go so that no more than `limit` bytes are kept.
    fn surplus(&mut self, limit: u64) -> Vec<String> {
        let mut gone = Vec::new();
        while self.bytes > limit {
            let Some((_, location)) = self.by_use.first_key_value() else {
                break;
            };
            let location = location.clone();
            self.forget(&location);
            gone.push(location);
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
        for note in disk.sound_notes()? {
            disk.shelf().use_now(&note.location, note.length);
        }
        disk.make_room();
        Ok(disk)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes_path(&self, location: &str) -> PathBuf {
        let name = blake3::hash(location.as_bytes()).to_hex();
        self.options.folder.join(name.as_str())
    }

    /// The notes whose bytes are there, the longest unused first. What else is in the folder goes.
    fn sound_notes(&self) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.options.folder)? {
            names.push(entry?.path());
        }
        for path in names.iter().filter(|path| is_note(path)) {
            let Some(note) = read_note(path) else {
                continue;
            };
            let bytes = self.bytes_path(&note.location);
            let sound = std::fs::metadata(&bytes).is_ok_and(|file| file.len() == note.length);
            if sound && note_path(&bytes) == *path {
                let used = std::fs::metadata(path).and_then(|file| file.modified())?;
                notes.push((used, note));
            }
        }
        notes.sort_by_key(|(used, _)| *used);
        let notes: Vec<Note> = notes.into_iter().map(|(_, note)| note).collect();
        let mut sound = std::collections::HashSet::new();
        for note in &notes {
            let bytes = self.bytes_path(&note.location);
            sound.insert(note_path(&bytes));
            sound.insert(bytes);
        }
        for path in names.iter().filter(|path| !sound.contains(*path)) {
            std::fs::remove_file(path)?;
        }
        Ok(notes)
    }

    /// What is kept of `location`: its note, and its bytes.
    pub(super) fn find(&self, location: &str) -> Option<(Note, File)> {
        if !self.shelf().kept.contains_key(location) {
            return None;
        }
        let path = self.bytes_path(location);
        let found = read_note(&note_path(&path)).zip(File::open(&path).ok());
        let sound = found.filter(|(note, file)| {
            let length = file.metadata().map(|file| file.len());
            note.location == location && length.is_ok_and(|length| length == note.length)
        });
        match &sound {
            Some((note, _)) => self.shelf().use_now(location, note.length),
            None => self.forget(location),
        }
        sound
    }

    /// A file for the bytes of an object, in which they count for nothing yet.
    pub(super) fn begin(&self) -> Result<NamedTempFile> {
        NamedTempFile::new_in(&self.options.folder)
    }

    /// Keeps an object whose bytes are all in `bytes`; the file to send it from.
    pub(super) fn keep(&self, note: &Note, bytes: NamedTempFile) -> Result<File> {
        let path = self.bytes_path(&note.location);
        let file = bytes.persist(&path).map_err(|e| e.error)?;
        let mut text = self.begin()?;
        text.write_all(&serde_json::to_vec(note)?)?;
        text.persist(note_path(&path)).map_err(|e| e.error)?;
        self.shelf().use_now(&note.location, note.length);
        self.make_room();
        Ok(file)
    }

    /// Forgets `location`, if it is kept.
    pub(super) fn forget(&self, location: &str) {
        if self.shelf().forget(location) {
            self.remove(location);
        }
    }

    /// Forgets every location that `is_gone` names.
    pub(super) fn forget_all(&self, is_gone: impl Fn(&str) -> bool) {
        let kept: Vec<String> = self.shelf().kept.keys().cloned().collect();
        for location in kept.iter().filter(|location| is_gone(location)) {
            self.forget(location);
        }
    }

    /// Whether it can be written to.
    pub(super) fn check(&self) -> Result<()> {
        self.begin().map(drop)
    }

    fn make_room(&self) {
        let surplus = self.shelf().surplus(self.options.bytes);
        for location in surplus {
            self.remove(&location);
        }
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

fn read_note(path: &Path) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// An object on its way to the disk, block by block.
#[derive(Debug)]
pub(super) struct Writing {
    disk: Arc<Disk>,
    file: NamedTempFile,
}

impl Writing {
    /// Begins; with the first failure it is over.
    pub(super) async fn begin(disk: &Arc<Disk>) -> Option<Self> {
        let disk = Arc::clone(disk);
        let begun = tokio::task::spawn_blocking(move || {
            let file = disk.begin().ok()?;
            Some(Self { disk, file })
        });
        begun.await.ok().flatten()
    }

    /// Adds a block.
    pub(super) async fn add(mut self, block: Arc<Block>) -> Option<Self> {
        let added = tokio::task::spawn_blocking(move || {
            for piece in &block.pieces {
                self.file.write_all(piece).ok()?;
            }
            Some(self)
        });
        added.await.ok().flatten()
    }

    /// Ends; the file to send the object from.
    pub(super) async fn end(self, note: Note) -> Option<File> {
        let kept = tokio::task::spawn_blocking(move || self.disk.keep(&note, self.file).ok());
        kept.await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

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
        };
        let mut file = disk.begin().unwrap();
        file.write_all(bytes).unwrap();
        disk.keep(&note, file).unwrap();
    }

    fn text(disk: &Disk, location: &str) -> Option<String> {
        let (note, mut file) = disk.find(location)?;
        assert_eq!((note.etag.as_str(), note.modified), ("\"x\"", 7));
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path(), 100);
        keep(&disk, "v/a", b"one");
        keep(&disk, "v/b", b"two");
        keep(&disk, "v/c", b"three");
        drop(disk);
        std::fs::write(folder.path().join("stray"), "x").unwrap();
        let cut = open(folder.path(), 100).bytes_path("v/b");
        std::fs::write(cut, "tw").unwrap();
        let disk = open(folder.path(), 100);
        assert_eq!(text(&disk, "v/a").as_deref(), Some("one"));
        assert_eq!(text(&disk, "v/b"), None);
        disk.forget("v/c");
        assert_eq!(text(&disk, "v/c"), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
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
