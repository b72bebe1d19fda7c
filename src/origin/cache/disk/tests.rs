//! What the disk tier promises.

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
