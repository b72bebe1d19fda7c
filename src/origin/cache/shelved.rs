//! Objects from the disk tier, and to it.

use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use super::counters::add;
use super::disk::{Note, Stored, Writing};
use super::look_up::{Fill, Inner, REMOTE_TRUST, STALE};
use super::object::{Content, Found, Object, is_held, is_immutable};
use super::remote::{FIRST_READ, number_of, recheck};
use crate::layout::Key;

/// Answers with the object from the disk tier; gives the fill back where it isn't there.
pub(super) async fn answer(inner: &Arc<Inner>, fill: Fill) -> std::result::Result<(), Fill> {
    // What may be replaced isn't kept there.
    let Some(disk) = inner.disk.as_ref().filter(|_| is_immutable(&fill.key)) else {
        return Err(fill);
    };
    let (disk, location) = (Arc::clone(disk), fill.path.to_string());
    let (shelf, key) = (Arc::clone(inner), fill.key.clone());
    let find = tokio::task::spawn_blocking(move || {
        let now = shelf.clock.now_millis();
        let found = disk.find(&location);
        let found = found.filter(|found| now < found.verified.saturating_add(STALE));
        found.map(|found| object(&shelf, key, found)).transpose()
    });
    // A disk that hangs must not keep the store from being asked.
    let found = tokio::time::timeout(inner.blocks.patience / 4, find).await;
    let Ok(Ok(Ok(found))) = found else {
        add(&inner.blocks.counters.disk_errors, 1);
        return Err(fill);
    };
    let Some((object, verified)) = found else {
        return Err(fill);
    };
    add(&inner.blocks.counters.disk_hits, 1);
    let (path, now) = (Arc::clone(&fill.path), inner.clock.now_millis());
    object.confirm(verified, REMOTE_TRUST);
    inner.land(fill, Ok(Some(Arc::clone(&object))));
    if !object.is_trusted(now) {
        recheck(inner, &path, &object, now);
    }
    Ok(())
}

/// The object, and when the store last confirmed it.
fn object(inner: &Inner, key: Key, found: Stored) -> Result<(Arc<Object>, i64)> {
    let (note, file) = (found.note, found.file);
    let content = if is_held(&key, note.length) {
        let mut bytes = vec![0; usize::try_from(note.length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Content::Held(bytes.into(), None)
    } else {
        Content::Blocks {
            id: number_of(&note.location, &note.etag, note.length),
            blocks: Arc::clone(&inner.blocks),
            file: OnceLock::from(Arc::new(file)),
        }
    };
    let object = Object::new(Found {
        key,
        length: note.length,
        etag: note.etag,
        modified: note.modified,
        location: note.location,
        version: note.version,
        content,
    });
    Ok((object, found.verified))
}

/// Begins to write the object to the disk tier, if it is one that is kept there.
pub(super) fn writing(inner: &Inner, path: &str, object: &Object) -> Option<Writing> {
    let disk = inner.disk.as_ref()?;
    let is_kept =
        object.length <= FIRST_READ && object.location == path && is_immutable(&object.key);
    match is_kept {
        true => Writing::begin(disk, object.length),
        false => None,
    }
}

/// Writes it. From then on the object is sent from its file.
pub(super) async fn shelve(inner: &Arc<Inner>, object: &Object, writing: Writing, removals: u64) {
    if !writing.is_whole() {
        return;
    }
    let note = Note {
        location: object.location.clone(),
        length: object.length,
        etag: object.etag.clone(),
        modified: object.modified,
        version: object.version.clone(),
        digest: String::new(),
    };
    let objects = inner.objects.clone();
    let was_used = move |location: &str| {
        let held = objects.get(location);
        held.is_some_and(|object| object.take_use())
    };
    let since = (removals, inner.clock.now_millis());
    match writing.end(note, since, was_used).await {
        Ok((kept, gone)) => {
            if let Content::Blocks { file, .. } = &object.content {
                // Who was first stays.
                drop(file.set(Arc::new(kept)));
            }
            // What is open takes its room until it is closed.
            for location in gone {
                inner.objects.invalidate(location.as_str());
            }
        }
        Err(e) if e.kind() == ErrorKind::Interrupted => {}
        Err(_) => add(&inner.blocks.counters.disk_errors, 1),
    }
}

/// Notes on disk that the store confirmed the object; doesn't wait for the disk.
pub(super) fn confirm(inner: &Inner, object: Arc<Object>) {
    if let Some(disk) = inner.disk.clone() {
        tokio::task::spawn_blocking(move || disk.confirm(&object.location, object.verified()));
    }
}

/// Forgets on disk what the store no longer has; doesn't wait for the disk.
pub(super) fn forget(inner: &Inner, object: Arc<Object>) {
    if let Some(disk) = inner.disk.clone() {
        tokio::task::spawn_blocking(move || disk.forget(&object.location));
    }
}
