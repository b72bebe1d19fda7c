//! A store that fails on demand, for tests: counts reads, delays, refuses, hangs, cuts short.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::Store;
use super::change::Changes;

/// What goes wrong, and what was asked. Shared with the store that it governs.
#[derive(Debug, Default)]
pub struct Faults {
    /// Reads of objects begun, failed ones too.
    pub reads: AtomicU64,
    /// Metadata calls begun.
    pub heads: AtomicU64,
    /// Body bytes handed out.
    pub bytes: AtomicU64,
    /// Every answer waits that many milliseconds.
    pub delay_millis: AtomicU64,
    /// Every call fails.
    pub is_down: AtomicBool,
    /// No call ever ends.
    pub hangs: AtomicBool,
    /// Bodies stop without an error after that many bytes; 0 for never.
    pub short_after: AtomicU64,
    /// Bodies hang after their first portion.
    pub body_hangs: AtomicBool,
}

impl Faults {
    /// Reads of objects so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    async fn strike(&self) -> object_store::Result<()> {
        let delay = self.delay_millis.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        match self.is_down.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(object_store::Error::Generic {
                store: "faults",
                source: "the store is down".into(),
            }),
        }
    }
}

impl Store {
    /// `inner` behind faults that the returned handle rules. What is changed through `inner` itself
    /// is not told to who watches the new store, as if another process had changed it.
    #[doc(hidden)]
    pub fn with_faults(inner: &Self) -> (Self, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        let backend = FaultStore {
            inner: Arc::clone(&inner.backend),
            faults: Arc::clone(&faults),
        };
        let store = Self {
            backend: Arc::new(backend),
            directory: None,
            changes: Changes::default(),
            ..inner.clone()
        };
        (store, faults)
    }
}

struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

impl FaultStore {
    async fn get(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let asked = if options.head {
            &self.faults.heads
        } else {
            &self.faults.reads
        };
        asked.fetch_add(1, Ordering::SeqCst);
        self.faults.strike().await?;
        let mut got = self.inner.get_opts(location, options).await?;
        let payload = std::mem::replace(
            &mut got.payload,
            GetResultPayload::Stream(futures_util::stream::empty().boxed()),
        );
        let whole = GetResult {
            payload,
            meta: got.meta.clone(),
            range: got.range.clone(),
            attributes: got.attributes.clone(),
            extensions: got.extensions.clone(),
        };
        got.payload = GetResultPayload::Stream(self.spoiled(whole.into_stream(), &got.range));
        Ok(got)
    }

    fn spoiled(
        &self,
        body: BoxStream<'static, object_store::Result<Bytes>>,
        range: &Range<u64>,
    ) -> BoxStream<'static, object_store::Result<Bytes>> {
        let length = range.end - range.start;
        let kept = match self.faults.short_after.load(Ordering::SeqCst) {
            0 => length,
            short => short.min(length),
        };
        let faults = Arc::clone(&self.faults);
        // In the portions of a network, so that a body can stop in its middle.
        let portions = body.flat_map(|whole| {
            let parts: Vec<_> = match whole {
                Ok(whole) => cut(&whole, 16 * 1024).into_iter().map(Ok).collect(),
                Err(e) => vec![Err(e)],
            };
            futures_util::stream::iter(parts)
        });
        let state = (portions.boxed(), kept, faults);
        futures_util::stream::unfold(state, |(mut body, left, faults)| async move {
            if left == 0 {
                return None;
            }
            let portion = match body.next().await? {
                Ok(portion) => portion,
                Err(e) => return Some((Err(e), (body, 0, faults))),
            };
            let take = usize::try_from(left).map_or(portion.len(), |left| left.min(portion.len()));
            faults.bytes.fetch_add(take as u64, Ordering::SeqCst);
            if faults.body_hangs.load(Ordering::SeqCst) {
                body = futures_util::stream::pending().boxed();
            }
            let left = left - take as u64;
            Some((Ok(portion.slice(..take)), (body, left, faults)))
        })
        .boxed()
    }
}

fn cut(whole: &Bytes, size: usize) -> Vec<Bytes> {
    let starts = (0..whole.len()).step_by(size);
    starts
        .map(|at| whole.slice(at..whole.len().min(at + size)))
        .collect()
}

// What the trait's `async fn`s are after its macro.
impl ObjectStore for FaultStore {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> BoxFuture<'c, object_store::Result<PutResult>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_opts(location, payload, options)
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: PutMultipartOptions,
    ) -> BoxFuture<'c, object_store::Result<Box<dyn MultipartUpload>>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_multipart_opts(location, options)
    }

    fn get_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> BoxFuture<'c, object_store::Result<GetResult>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.get(location, options))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'c>(
        &'a self,
        prefix: Option<&'b Path>,
    ) -> BoxFuture<'c, object_store::Result<ListResult>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'd, 'c>(
        &'a self,
        from: &'b Path,
        to: &'d Path,
        options: CopyOptions,
    ) -> BoxFuture<'c, object_store::Result<()>>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
        Self: 'c,
    {
        self.inner.copy_opts(from, to, options)
    }
}
