//! Reading parts of one version of an object, several at once: how a source in a bucket is read.

use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};

use super::{Ask, BlockingStore, Fetched, Opened, Store};
use crate::error::{Error, ErrorKind, Result};

/// Requests under way at once for one read: enough to hide their latency, few enough to leave
/// others their share.
const PARALLEL: usize = 8;
/// How often who waits for the network looks whether to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The backend's ETag, as it was received: equal for equal bytes only.
    pub tag: String,
    /// Length in bytes.
    pub size: u64,
}

impl Store {
    /// The whole key of `path` in its bucket, however the store's root was written.
    pub fn whole_key(&self, path: &str) -> String {
        self.path(path).to_string()
    }

    /// The version of `path` that is there now, and its first bytes, at most `count`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such object, [`ErrorKind::Unsupported`] when the
    /// store names no versions, [`ErrorKind::Unavailable`] when it is away or refuses.
    pub async fn open_version(&self, path: &str, count: u64) -> Result<(Version, Bytes)> {
        let ask = Ask {
            range: Some(0..count.max(1)),
            ..Ask::default()
        };
        let Opened::Found(mut fetched) = self.open_object(path, ask).await? else {
            let message = "there is no such object in that bucket, or no such bucket";
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let tag = fetched.version.clone().filter(|tag| !tag.starts_with("W/"));
        let tag = tag.ok_or_else(|| {
            Error::unsupported(
                "the store gives it no strong ETag, so a change would go unnoticed; copy it to a \
                 store that does, or to a file",
            )
        })?;
        let mut head = Vec::new();
        while let Some(bytes) = fetched.next().await? {
            head.extend_from_slice(&bytes);
        }
        let size = fetched.length;
        Ok((Version { tag, size }, head.into()))
    }

    /// The bytes of `ranges` of one version of `path`, each portion with its offset in the object;
    /// those of a range in order, those of several in any.
    fn portions<'a>(
        &'a self,
        path: &'a str,
        version: &'a Version,
        ranges: &'a [Range<u64>],
    ) -> BoxStream<'a, Result<(u64, Bytes)>> {
        let of_range = move |range: &'a Range<u64>| {
            stream::once(self.open_range(path, version, range.clone()))
                .map_ok(|fetched| stream::try_unfold(fetched, next_portion))
                .try_flatten()
                .boxed()
        };
        stream::iter(ranges)
            .map(of_range)
            .flatten_unordered(PARALLEL)
            .boxed()
    }

    async fn open_range(
        &self,
        path: &str,
        version: &Version,
        range: Range<u64>,
    ) -> Result<(u64, Fetched)> {
        let ask = Ask {
            range: Some(range.clone()),
            if_match: Some(&version.tag),
            ..Ask::default()
        };
        match self.open_object(path, ask).await {
            // Not every store that speaks S3 looks at conditions.
            Ok(Opened::Found(fetched)) if fetched.version.as_ref() != Some(&version.tag) => {
                Err(changed())
            }
            Ok(Opened::Found(fetched)) if fetched.range == range => Ok((range.start, fetched)),
            Ok(Opened::Found(_)) => Err(Error::new(
                ErrorKind::Unavailable,
                "the store answers with other bytes than those asked for",
            )),
            Ok(_) => Err(gone()),
            Err(e) if e.kind() == ErrorKind::Conflict => Err(changed()),
            Err(e) => Err(e),
        }
    }
}

async fn next_portion(
    (at, mut fetched): (u64, Fetched),
) -> Result<Option<((u64, Bytes), (u64, Fetched))>> {
    let next = fetched.next().await?;
    Ok(next.map(|bytes| {
        let end = at + bytes.len() as u64;
        ((at, bytes), (end, fetched))
    }))
}

fn changed() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "it was replaced while it was read; run the same command again",
    )
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "it was removed while it was read; put it back and run the same command again",
    )
}

impl BlockingStore {
    /// As [`Store::open_version`].
    ///
    /// # Errors
    /// As [`Store::open_version`].
    pub fn open_version(&self, path: &str, count: u64) -> Result<(Version, Bytes)> {
        self.wait(self.store.open_version(path, count))
    }

    /// Reads `ranges` of one version of `path`, several at once. `take` is given every portion with
    /// its offset in the object, as it comes.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the object is another one now, or gone;
    /// [`ErrorKind::Unavailable`] when the store is away or `stop` is raised; what `take` fails with.
    pub fn read_ranges(
        &self,
        path: &str,
        version: &Version,
        ranges: &[Range<u64>],
        stop: &AtomicBool,
        take: &mut dyn FnMut(u64, &Bytes) -> Result<()>,
    ) -> Result<()> {
        let mut portions = pin!(self.store.portions(path, version, ranges));
        loop {
            if stop.load(Ordering::Relaxed) {
                let message = "stopped; run the same command again to go on from here";
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            let next = portions.next();
            let next = match &self.runtime {
                // Given up at a glance, `next` loses nothing: the portions keep their place.
                Some(runtime) => {
                    runtime.block_on(async { tokio::time::timeout(GLANCE, next).await })
                }
                None => Ok(futures_executor::block_on(next)),
            };
            match next {
                Err(_) => {}
                Ok(None) => return Ok(()),
                Ok(Some(portion)) => {
                    let (at, bytes) = portion?;
                    take(at, &bytes)?;
                }
            }
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is what is meant"
)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::faults::Faults;

    static STILL: AtomicBool = AtomicBool::new(false);

    fn store_of(bytes: &[u8]) -> (BlockingStore, Store, Arc<Faults>) {
        let inner = Store::in_memory();
        let body = Bytes::copy_from_slice(bytes);
        futures_executor::block_on(inner.write_document("a/clip", body)).unwrap();
        let (store, faults) = Store::with_faults(&inner);
        (BlockingStore::new(store).unwrap(), inner, faults)
    }

    fn read(store: &BlockingStore, version: &Version, ranges: &[Range<u64>]) -> Result<Vec<u8>> {
        let mut out = vec![0; usize::try_from(version.size).unwrap()];
        store.read_ranges("a/clip", version, ranges, &STILL, &mut |at, bytes| {
            let at = usize::try_from(at).unwrap();
            out[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn every_portion_comes_with_its_place_and_no_other_byte_is_read() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0] | 1).collect();
        let (store, _, faults) = store_of(&bytes);
        let (version, head) = store.open_version("a/clip", 10).unwrap();
        assert_eq!((version.size, &head[..]), (200_000, &bytes[..10]));
        let ranges: Vec<Range<u64>> = (0..20).map(|n| n * 10_000..n * 10_000 + 5000).collect();
        let out = read(&store, &version, &ranges).unwrap();
        for (at, byte) in out.iter().enumerate() {
            let wanted = at % 10_000 < 5000;
            assert_eq!(*byte, if wanted { bytes[at] } else { 0 }, "byte {at}");
        }
        assert_eq!(faults.bytes.load(Ordering::SeqCst), 10 + 100_000);
    }

    #[test]
    fn another_version_is_a_conflict_and_so_is_none() {
        let (store, inner, _) = store_of(b"first");
        let (version, _) = store.open_version("a/clip", 1).unwrap();
        let body = Bytes::from_static(b"other");
        futures_executor::block_on(inner.write_document("a/clip", body)).unwrap();
        let error = read(&store, &version, &[0..2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("replaced"), "{error}");
        futures_executor::block_on(inner.remove_folder("a")).unwrap();
        let error = read(&store, &version, &[0..2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("removed"), "{error}");
        let error = store.open_version("a/clip", 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_store_that_is_away_or_silent_is_unavailable() {
        let (store, _, faults) = store_of(b"bytes");
        let (version, _) = store.open_version("a/clip", 1).unwrap();
        faults.is_down.store(true, Ordering::SeqCst);
        let error = read(&store, &version, &[0..2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        faults.is_down.store(false, Ordering::SeqCst);
        faults.hangs.store(true, Ordering::SeqCst);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                stop.store(true, Ordering::Relaxed);
            });
            let mut nothing = |_, _: &Bytes| Ok(());
            let read = store.read_ranges("a/clip", &version, &[0..2], &stop, &mut nothing);
            assert!(read.unwrap_err().to_string().contains("stopped"));
        });
    }

    #[test]
    fn what_ends_early_is_no_answer() {
        let (store, _, faults) = store_of(&[1; 100]);
        let (version, _) = store.open_version("a/clip", 1).unwrap();
        faults.short_after.store(30, Ordering::SeqCst);
        let error = read(&store, &version, &[0..50]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLoss, "{error}");
    }
}
