//! A local file as an object: in parts as it is read, and checked before it appears.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::{MultipartUpload, ObjectStoreExt};

use super::{Store, from_store};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of one part, at least; S3 takes no fewer than 5 MiB (Amazon S3, "multipart upload limits").
const PART_BYTES: u64 = 8 << 20;
/// Parts of one object, at most; S3 takes no more than 10,000.
const PARTS: u64 = 9_000;
/// Bytes in memory for one file, as far as its parts allow.
const HELD_BYTES: u64 = 32 << 20;

/// What of a file is read next, and the digest of what was read.
struct Reading {
    file: Arc<File>,
    length: u64,
    part: u64,
    at: u64,
    hasher: blake3::Hasher,
}

impl Store {
    /// Stores a file's bytes as the object `path`, in place of what was there. It appears whole, and
    /// only if the bytes have the BLAKE3 digest `digest`; what was sent before a failure is
    /// discarded. Whoever is killed meanwhile leaves parts that only a lifecycle rule of the bucket
    /// removes. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`ErrorKind::DataLoss`] when the file has another digest; [`ErrorKind::Exhausted`] when the
    /// disk is full, [`ErrorKind::Unavailable`] when the store is away.
    pub async fn put_file(&self, path: &str, file: File, digest: &str) -> Result<()> {
        let mut reading = Reading::of(file)?;
        let begun = self.backend.put_multipart(&self.path(path)).await;
        let mut upload = begun.map_err(|e| from_store(e, path))?;
        let sent = send(&mut *upload, &mut reading, path).await;
        let checked = sent.and_then(|()| reading.check(digest, path));
        if let Err(error) = checked {
            // The error that stopped it says more than one of clearing up.
            let _ = upload.abort().await;
            return Err(error);
        }
        let completed = upload.complete().await;
        completed.map(drop).map_err(|e| from_store(e, path))
    }
}

async fn send(upload: &mut dyn MultipartUpload, reading: &mut Reading, path: &str) -> Result<()> {
    let at_once = usize::try_from(HELD_BYTES / reading.part)
        .unwrap_or(1)
        .max(1);
    let mut sending = FuturesUnordered::new();
    while let Some(bytes) = reading.next().await? {
        if sending.len() >= at_once {
            sending.try_next().await.map_err(|e| from_store(e, path))?;
        }
        sending.push(upload.put_part(bytes.into()));
    }
    while sending
        .try_next()
        .await
        .map_err(|e| from_store(e, path))?
        .is_some()
    {}
    Ok(())
}

impl Reading {
    fn of(file: File) -> Result<Self> {
        let length = file.metadata().map_err(unread)?.len();
        Ok(Self {
            file: Arc::new(file),
            length,
            part: PART_BYTES.max(length.div_ceil(PARTS)),
            at: 0,
            hasher: blake3::Hasher::new(),
        })
    }

    /// The next part; `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let count = self.part.min(self.length - self.at);
        let Ok(count @ 1..) = usize::try_from(count) else {
            return Ok(None);
        };
        let (file, at, mut hasher) = (Arc::clone(&self.file), self.at, self.hasher.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; count];
            file.read_exact_at(&mut bytes, at).map_err(unread)?;
            hasher.update(&bytes);
            Ok::<_, Error>((Bytes::from(bytes), hasher))
        });
        let read = read.await;
        let (bytes, hasher) =
            read.map_err(|e| Error::internal("reading a file").with_source(e))??;
        self.at += bytes.len() as u64;
        self.hasher = hasher;
        Ok(Some(bytes))
    }

    fn check(&self, digest: &str, path: &str) -> Result<()> {
        if self.hasher.finalize().to_hex().as_str() == digest {
            return Ok(());
        }
        let message =
            format!("{path}: the file has changed since it was received; upload it again");
        Err(Error::new(ErrorKind::DataLoss, message))
    }
}

fn unread(error: std::io::Error) -> Error {
    Error::io("reading a file that is to be stored", error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn digest(bytes: &[u8]) -> String {
        blake3::hash(bytes).to_hex().to_string()
    }

    #[tokio::test]
    async fn a_file_of_several_parts_appears_whole_in_any_store() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Store::open(folder.path().to_str().unwrap()).unwrap();
        let bytes: Vec<u8> = (0..PART_BYTES * 2 + 77)
            .map(|n| u8::try_from(n * n % 251).unwrap())
            .collect();
        for store in [Store::in_memory(), directory] {
            let path = "src/cats/source";
            let digest = digest(&bytes);
            let put = store.put_file(path, file(&bytes), &digest);
            put.await.unwrap();
            assert_eq!(store.get(path).await.unwrap().unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_never_appears() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Store::open(folder.path().to_str().unwrap()).unwrap();
        for store in [Store::in_memory(), directory] {
            let digest = digest(b"this");
            let put = store.put_file("src/cats/source", file(b"other"), &digest);
            let error = put.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DataLoss);
            assert_eq!(store.list("").await.unwrap(), []);
        }
    }
}
