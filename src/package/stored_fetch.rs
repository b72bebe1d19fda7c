//! The objects of one revision, for the rules to look at, as they lie in the store.
//!
//! In a bucket every question is a request. How large segments and thumbnails are was listed before,
//! and the segments of I-frame tracks, of which each picture is read by itself, are read whole.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use url::Url;

use super::stored::Stored;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{HLS_NAME, Key, MPD_NAME, RECORD_NAME};
use crate::media::Presentation;
use crate::store::BlockingStore;
use crate::verify::Fetch;

/// Segments of I-frame tracks larger than this are read in parts.
const WHOLE_BYTES_MAX: u64 = 4 << 20;

/// A revision's objects by URL.
#[derive(Debug)]
pub(super) struct StoredFetch<'a> {
    store: &'a BlockingStore,
    stored: &'a Stored,
    presentation: &'a Presentation,
    root: Url,
    /// The record that will be stored if the rules allow.
    record: Vec<u8>,
    /// The segment of an I-frame track that was read last.
    held: Mutex<Option<(Key, Bytes)>>,
}

impl<'a> StoredFetch<'a> {
    /// The revision of `presentation`, of which the store has listed `stored`.
    pub(super) fn new(
        store: &'a BlockingStore,
        presentation: &'a Presentation,
        stored: &'a Stored,
        record: Vec<u8>,
    ) -> Result<Self> {
        Ok(Self {
            store,
            stored,
            presentation,
            root: Url::parse("store:///").map_err(|e| Error::internal(e.to_string()))?,
            record,
            held: Mutex::default(),
        })
    }

    fn key(&self, url: &str) -> Option<Key> {
        let path = url.strip_prefix(self.root.as_str()).unwrap_or(url);
        Key::parse(&format!("{}/{path}", self.presentation.revision))
    }

    fn known_key(&self, url: &str) -> Result<Key> {
        self.key(url).ok_or_else(|| missing(url))
    }

    /// The size that was listed.
    fn listed(&self, key: &Key) -> Option<u64> {
        match key {
            Key::Segment { track, number, .. } => self.stored.segment_size(track, *number),
            Key::Thumbnail { number, .. } => self.stored.thumbnail_size(*number),
            _ => None,
        }
    }

    /// Whether `key` is a segment of which several parts are asked for, and not too large to hold.
    fn is_read_whole(&self, key: &Key) -> bool {
        let Key::Segment { track, .. } = key else {
            return false;
        };
        let mut stills = self.presentation.stills.iter().flat_map(|s| &s.tracks);
        let size = self.listed(key);
        stills.any(|still| still.common.id == *track)
            && size.is_some_and(|size| size <= WHOLE_BYTES_MAX)
    }

    fn whole(&self, key: Key) -> Result<Bytes> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, bytes)) = &*held
            && *of == key
        {
            return Ok(bytes.clone());
        }
        let bytes = self.store.read(&key)?;
        let bytes = bytes.ok_or_else(|| missing(&key.to_string()))?;
        *held = Some((key, bytes.clone()));
        Ok(bytes)
    }
}

fn missing(url: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{url} is not in the store"))
}

impl Fetch for StoredFetch<'_> {
    fn root(&self) -> &Url {
        &self.root
    }

    fn names(&self) -> Vec<String> {
        let mpd = self.presentation.has_dash().then_some(MPD_NAME);
        let names = std::iter::once(HLS_NAME).chain(mpd);
        names.map(str::to_owned).collect()
    }

    fn size(&self, url: &str) -> Result<u64> {
        let key = self.known_key(url)?;
        match self.listed(&key) {
            Some(size) => Ok(size),
            None => self.store.length(&key)?.ok_or_else(|| missing(url)),
        }
    }

    fn range(&self, url: &str, start: u64, len: u64) -> Result<Vec<u8>> {
        let key = self.known_key(url)?;
        let end = start.saturating_add(len);
        if !self.is_read_whole(&key) {
            return Ok(self.store.read_range(&key, start, end)?.into());
        }
        let whole = self.whole(key)?;
        let at = |byte: u64| usize::try_from(byte).map_or(whole.len(), |at| at.min(whole.len()));
        Ok(whole.slice(at(start)..at(end)).into())
    }

    fn all(&self, url: &str) -> Result<Vec<u8>> {
        if url == RECORD_NAME {
            return Ok(self.record.clone());
        }
        let bytes = self.store.read(&self.known_key(url)?)?;
        bytes.map(Into::into).ok_or_else(|| missing(url))
    }

    fn content_type(&self, url: &str) -> Option<String> {
        self.key(url)
            .map(|key| key.kind().content_type().to_owned())
    }
}
