use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::error::ErrorKind;
use crate::media::Home;
use crate::store::faults::Faults;
use crate::store::{BlockingStore, Store};

static STILL: AtomicBool = AtomicBool::new(false);
const LENGTH: u32 = 3_000_000;

fn bytes() -> Vec<u8> {
    (0..LENGTH).map(|n| (n ^ n >> 9).to_le_bytes()[0]).collect()
}

/// A bucket with one object, and what is asked of it.
struct Bucket {
    store: BlockingStore,
    inner: Store,
    faults: Arc<Faults>,
}

impl Bucket {
    fn new() -> Self {
        let inner = Store::in_memory();
        let (store, faults) = Store::with_faults(&inner);
        let bucket = Self {
            store: BlockingStore::new(store).unwrap(),
            inner,
            faults,
        };
        bucket.put(&bytes());
        bucket
    }

    fn put(&self, bytes: &[u8]) {
        let body = bytes::Bytes::copy_from_slice(bytes);
        futures_executor::block_on(self.inner.write_document("films/clip.mp4", body)).unwrap();
    }

    fn location(&self) -> Location {
        let url = "s3://bucket/films/clip.mp4".to_owned();
        Location::object(self.store.clone(), "films/clip.mp4".to_owned(), url)
    }

    fn source(&self) -> Source {
        self.location().open().unwrap()
    }

    fn fetched(&self) -> u64 {
        self.faults.bytes.load(Ordering::SeqCst)
    }
}

fn place(offset: u64, size: u32) -> Place {
    Place {
        home: Home::Source,
        offset,
        size,
    }
}

#[test]
fn an_object_reads_like_the_file_it_is() {
    let bucket = Bucket::new();
    let (source, bytes) = (bucket.source(), bytes());
    assert_eq!(source.size_bytes(), u64::from(LENGTH));
    let reader = source.reader(&STILL);
    for (offset, count) in [
        (0, 10),
        (64 << 10, 1),
        (999_999, 5000),
        (2_999_990, 10),
        (5, 2_000_000),
    ] {
        let mut buffer = vec![0; count];
        reader.read_exact_at(offset, &mut buffer).unwrap();
        let at = usize::try_from(offset).unwrap();
        assert!(buffer == bytes[at..at + count], "{count} bytes at {offset}");
    }
    let mut buffer = [0; 100];
    assert_eq!(
        reader.read_at(u64::from(LENGTH) - 7, &mut buffer).unwrap(),
        7
    );
    assert_eq!(
        reader.read_at(u64::from(LENGTH) + 7, &mut buffer).unwrap(),
        0
    );
    assert_eq!(bucket.location().read(10_000_000).unwrap(), bytes);
    let error = bucket.location().read(1000).unwrap_err();
    assert!(error.to_string().contains("limit is 1000"), "{error}");
}

#[test]
fn headers_close_together_cost_one_request() {
    let bucket = Bucket::new();
    let source = bucket.source();
    let reader = source.reader(&STILL);
    let mut header = [0; 32];
    for n in 0..1000 {
        reader.read_exact_at(n * 60, &mut header).unwrap();
    }
    for n in 0..1000 {
        reader
            .read_exact_at(1_000_000 + n * 60, &mut header)
            .unwrap();
    }
    assert_eq!(bucket.faults.reads(), 2);
}

#[test]
fn only_what_is_asked_for_is_fetched_and_lies_where_it_lies_in_the_source() {
    let bucket = Bucket::new();
    let (source, bytes) = (bucket.source(), bytes());
    let before = bucket.fetched();
    let places = [
        place(2_000_000, 1000),
        place(700_000, 3000),
        place(2_001_500, 500),
    ];
    let lent = source.lend(places, None, &STILL).unwrap();
    assert!(matches!(lent, Lent::Parts(_)));
    assert_eq!(lent.file().size().unwrap(), u64::from(LENGTH));
    let mut out = Vec::new();
    gather(lent.file(), places, &mut out).unwrap();
    let expected = [
        &bytes[2_000_000..2_001_000],
        &bytes[700_000..703_000],
        &bytes[2_001_500..2_002_000],
    ];
    assert!(out == expected.concat());
    // The gap of 500 bytes is read through.
    assert_eq!(bucket.fetched() - before, 3000 + 2000);
    let mut hole = [1; 100];
    lent.file().read_exact_at(1_000_000, &mut hole).unwrap();
    assert_eq!(hole, [0; 100]);
}

#[test]
fn what_was_not_fetched_ahead_is_read_and_never_a_hole() {
    let bucket = Bucket::new();
    let (source, bytes) = (bucket.source(), bytes());
    let heads = (0..40).map(|n| place(n * 70_000, 4096));
    let ahead = source.ahead(heads, None, &STILL).unwrap();
    let reads = bucket.faults.reads();
    let mut buffer = [0; 4096];
    for n in 0..40_usize {
        ahead.read_exact_at(n as u64 * 70_000, &mut buffer).unwrap();
        assert!(buffer == bytes[n * 70_000..n * 70_000 + 4096], "head {n}");
    }
    assert_eq!(bucket.faults.reads(), reads);
    ahead.read_exact_at(70_000 + 4000, &mut buffer).unwrap();
    assert!(buffer == bytes[74_000..74_000 + 4096]);
    assert!(bucket.faults.reads() > reads);
}

#[test]
fn a_source_fetched_whole_is_fetched_once_and_known_by_its_bytes() {
    let bucket = Bucket::new();
    let source = bucket.source();
    let mut last = 0;
    let mut on_read = |done| {
        last = done;
        Ok(())
    };
    source.whole(None, &STILL, &mut on_read).unwrap();
    assert_eq!(last, u64::from(LENGTH));
    let fetched = bucket.fetched();
    let digest = blake3::hash(&bytes()).to_hex().to_string();
    assert_eq!(source.identity(&mut |_| Ok(())).unwrap(), digest);
    source.whole(None, &STILL, &mut |_| Ok(())).unwrap();
    let lent = source.lend([place(5, 5)], None, &STILL).unwrap();
    assert!(matches!(lent, Lent::Whole(_)));
    assert_eq!(bucket.fetched(), fetched);
}

#[test]
fn identity_without_the_bytes_follows_the_version() {
    let bucket = Bucket::new();
    let identity = |bucket: &Bucket| bucket.source().identity(&mut |_| Ok(())).unwrap();
    let first = identity(&bucket);
    assert_eq!((first.len(), &identity(&bucket)), (64, &first));
    assert_ne!(first, blake3::hash(&bytes()).to_hex().to_string());
    bucket.put(&bytes());
    assert_ne!(identity(&bucket), first);
}

#[test]
fn a_replaced_object_is_a_conflict_that_names_it() {
    let bucket = Bucket::new();
    let source = bucket.source();
    bucket.put(&bytes()[1..]);
    let error = source.lend([place(5, 5)], None, &STILL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let words = error.to_string();
    assert!(
        words.contains("s3://bucket/films/clip.mp4") && words.contains("replaced"),
        "{words}"
    );
}

#[test]
fn what_cannot_be_read_is_told_by_kind() {
    let bucket = Bucket::new();
    let missing = Location::object(
        bucket.store.clone(),
        "none".to_owned(),
        "s3://b/none".to_owned(),
    );
    let error = missing.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("s3://b/none"), "{error}");
    bucket.put(b"");
    let error = bucket.location().open().unwrap_err();
    assert!(
        error.kind() == ErrorKind::Invalid && error.to_string().contains("empty"),
        "{error}"
    );
    bucket.faults.is_down.store(true, Ordering::SeqCst);
    let error = bucket.location().open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = Source::open("memory://x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = Source::open("gs://bucket/x.mp4").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_stopped_read_ends_and_leaves_nothing_behind() {
    let bucket = Bucket::new();
    let source = bucket.source();
    let scratch = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(true);
    let lent = source.lend([place(5, 5)], Some(scratch.path()), &stop);
    assert_eq!(lent.unwrap_err().kind(), ErrorKind::Unavailable);
    source
        .lend([place(5, 5)], Some(scratch.path()), &STILL)
        .unwrap();
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn files_may_be_named_as_urls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a clip.mp4");
    std::fs::write(&path, b"bytes").unwrap();
    let source = Source::open(format!("file://{}", path.display())).unwrap();
    assert_eq!(
        (source.size_bytes(), source.shown()),
        (5, path.display().to_string())
    );
    let lent = source.lend([place(0, 1)], None, &STILL).unwrap();
    assert!(matches!(lent, Lent::Whole(_)));
}
