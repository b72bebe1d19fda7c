//! What the cache promises, over a directory, a store in memory, one that fails, and with a disk.

mod disk;
mod local;
mod remote;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{Body, Cache, Object, Options};
use crate::clock::Clock;
use crate::layout::Key;
use crate::media::AssetId;
use crate::store::Store;

const REVISION: &str = "0123456789abcdef0123456789abcdef";
const NOON: i64 = 1_767_268_800_000;

fn segment(number: u32) -> Key {
    let revision = REVISION.to_owned();
    Key::Segment {
        revision,
        track: "v720".into(),
        number,
    }
}

fn playlist() -> Key {
    let revision = REVISION.to_owned();
    Key::MediaPlaylist {
        revision,
        track: "v720".into(),
    }
}

fn path(key: &Key) -> String {
    format!("v/cats/{key}")
}

fn cats(store: &Store) -> Store {
    store.asset(&AssetId::parse("cats").unwrap())
}

async fn create(store: &Store, key: &Key, bytes: impl Into<Bytes>) {
    cats(store).create(key, vec![bytes.into()]).await.unwrap();
}

async fn replace(store: &Store, key: &Key, bytes: &'static str) {
    cats(store).replace(key, bytes.into()).await.unwrap();
}

/// A cache whose clock only moves when told, and the clock.
fn cache(store: &Store, options: Options) -> (Cache, Clock) {
    let clock = Clock::held_at(NOON);
    let options = Options {
        clock: clock.clone(),
        ..options
    };
    let background = tokio::runtime::Handle::current();
    (
        Cache::new(store.clone(), options, background).unwrap(),
        clock,
    )
}

async fn get(cache: &Cache, key: &Key) -> Option<Arc<Object>> {
    cache.object(&path(key), key).await.unwrap()
}

async fn read(object: &Arc<Object>, range: Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match object.body(range) {
        Body::Empty => {}
        Body::Bytes(whole) => bytes.extend_from_slice(&whole),
        Body::File { file, range } => {
            use std::os::unix::fs::FileExt;
            bytes.resize(usize::try_from(range.end - range.start).unwrap(), 0);
            file.read_exact_at(&mut bytes, range.start).unwrap();
        }
        Body::Pieces(mut pieces) => {
            while let Some(piece) = pieces.next().await.unwrap() {
                assert!(piece.len() <= 128 << 10);
                bytes.extend_from_slice(&piece);
            }
        }
    }
    bytes
}

async fn whole(cache: &Cache, key: &Key) -> Vec<u8> {
    let object = get(cache, key).await.expect("it is stored");
    read(&object, 0..object.length).await
}

fn long(length: usize) -> Bytes {
    (0..=250_u8).cycle().take(length).collect()
}

/// Waits until `is_so`; what goes on in the background takes its time.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
