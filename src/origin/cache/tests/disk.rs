//! A store that is no directory, with a disk tier.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::*;
use crate::origin::cache::{DiskOptions, Pieces};
use crate::store::{Change, Watcher};

fn with_disk(folder: &Path) -> Options {
    Options {
        disk: Some(DiskOptions {
            folder: folder.to_owned(),
            bytes: 10 << 20,
        }),
        ..Options::default()
    }
}

/// What is in the folder without notes and what is unfinished: the bytes of objects.
fn kept_files(folder: &Path) -> Vec<File> {
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let of_objects = names.filter(|path| path.file_name().is_some_and(|name| name.len() == 64));
    let open = |path| File::options().read(true).write(true).open(path);
    of_objects.map(|path| open(path).unwrap()).collect()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

fn is_file(object: &Arc<Object>) -> bool {
    matches!(object.body(0..1), Body::File { .. })
}

/// Gets an object, and waits until its file is there.
async fn kept(cache: &Cache, key: &Key) -> Arc<Object> {
    let object = get(cache, key).await.unwrap();
    until(|| is_file(&object)).await;
    object
}

#[tokio::test]
async fn the_disk_tier_serves_files_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let bytes = long(3_000_000);
    create(&store, &segment(1), bytes.clone()).await;
    create(&store, &playlist(), "#EXTM3U").await;
    create(&store, &Key::EntryHls, "#EXTM3U").await;
    let (first, _) = cache(&store, with_disk(folder.path()));
    let object = kept(&first, &segment(1)).await;
    assert!(read(&object, 0..object.length).await == bytes);
    get(&first, &playlist()).await.unwrap();
    get(&first, &Key::EntryHls).await.unwrap();
    let notes = || std::fs::read_dir(folder.path()).unwrap().count() == 4;
    until(notes).await;
    drop(first);
    faults.is_down.store(true, SeqCst);
    let (second, _) = cache(&store, with_disk(folder.path()));
    let again = get(&second, &segment(1)).await.unwrap();
    assert_eq!(
        (&again.etag, again.modified),
        (&object.etag, object.modified)
    );
    assert!(is_file(&again));
    assert!(read(&again, 0..again.length).await == bytes);
    assert_eq!(whole(&second, &playlist()).await, b"#EXTM3U");
    assert_eq!(count(&second.counters().disk_hits), 2);
    // What may be replaced isn't kept where nobody can ask whether it was.
    let entry = second.object(&path(&Key::EntryHls), &Key::EntryHls).await;
    assert!(entry.is_err());
    faults.is_down.store(false, SeqCst);
    store.remove_folder("v/cats").await.unwrap();
    assert!(is_empty(folder.path()));
    assert!(get(&second, &segment(1)).await.is_none());
}

#[test]
fn what_is_removed_before_it_is_on_disk_does_not_come_back() {
    // With one thread for the disk, which the test holds while the object is fetched.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::with_faults(&Store::in_memory());
        create(&store, &segment(1), long(3_000_000)).await;
        let options = Options {
            store_timeout: Duration::from_millis(200),
            ..with_disk(folder.path())
        };
        let (cache, _) = cache(&store, options);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let holding = tokio::task::spawn_blocking(move || held.recv());
        // A disk that hangs holds up nobody for long either.
        assert_eq!(whole(&cache, &segment(1)).await.len(), 3_000_000);
        assert_eq!(count(&cache.counters().disk_errors), 1);
        cache.inner.changed(Change::FolderRemoved("v/cats"));
        release.send(()).unwrap();
        holding.await.unwrap().unwrap();
        // After all that was waiting for the thread.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        assert!(is_empty(folder.path()));
    });
}

#[tokio::test]
async fn the_disk_tier_stays_within_its_bytes_and_lets_go_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::with_faults(&Store::in_memory());
    let (cache, _) = cache(&store, with_disk(folder.path()));
    for number in 1..=8 {
        create(&store, &segment(number), long(3_000_000)).await;
        kept(&cache, &segment(number)).await;
        // Sent all the time.
        assert!(is_file(&get(&cache, &segment(1)).await.unwrap()));
    }
    let lengths = kept_files(folder.path()).into_iter();
    let lengths: Vec<u64> = lengths.map(|f| f.metadata().unwrap().len()).collect();
    assert!(lengths.len() == 3 && lengths.iter().sum::<u64>() <= 10 << 20);
    let held = (1..=8).filter(|number| cache.ready(&path(&segment(*number))).is_some());
    assert_eq!(held.count(), 3);
    create(&store, &segment(9), long((8 << 20) + 1)).await;
    assert_eq!(whole(&cache, &segment(9)).await.len(), (8 << 20) + 1);
    assert_eq!(kept_files(folder.path()).len(), 3);
    assert_eq!(count(&cache.counters().disk_errors), 0);
}

#[tokio::test]
async fn a_damaged_file_is_fetched_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let bytes = long(3_000_000);
    create(&store, &segment(1), bytes.clone()).await;
    let (first, _) = cache(&store, with_disk(folder.path()));
    kept(&first, &segment(1)).await;
    drop(first);
    kept_files(folder.path())[0]
        .write_all_at(b"damage", 1_000_000)
        .unwrap();
    let (second, _) = cache(&store, with_disk(folder.path()));
    assert!(whole(&second, &segment(1)).await == bytes);
    assert_eq!(count(&second.counters().disk_hits), 0);
    assert_eq!(faults.reads(), 2);
    kept(&second, &segment(1)).await;
}

#[tokio::test]
async fn a_disk_that_fails_costs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), "segment").await;
    let (cache, _) = cache(&store, with_disk(&folder.path().join("cache")));
    assert!(cache.is_ready().await.is_ok());
    std::fs::remove_dir(folder.path().join("cache")).unwrap();
    assert_eq!(whole(&cache, &segment(1)).await, b"segment");
    until(|| count(&cache.counters().disk_errors) == 1).await;
    assert!(cache.is_ready().await.is_err());
}

#[tokio::test]
async fn what_the_disk_can_not_give_comes_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::with_faults(&Store::in_memory());
    let bytes = long(3_000_000);
    create(&store, &segment(1), bytes.clone()).await;
    let (cache, _) = cache(&store, with_disk(folder.path()));
    let object = kept(&cache, &segment(1)).await;
    // As one that began before the file was there.
    let mut pieces = Pieces::new(Arc::clone(&object), 0..object.length);
    kept_files(folder.path())[0].set_len(0).unwrap();
    let mut read = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == bytes);
    assert!(count(&cache.counters().disk_errors) > 0);
}
