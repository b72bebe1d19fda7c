//! The headers an object is served with, kept beside it where the backend has no attributes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::layout::Key;

/// The headers of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// `Content-Type`.
    pub content_type: String,
    /// `Cache-Control`.
    pub cache_control: String,
    /// `ETag`, with its quotes: 128 bits of XXH3 over the bytes. It tells versions apart; it is
    /// no proof against a forger, who could as well forge the object.
    pub etag: String,
}

impl Sidecar {
    /// The headers of the object `key` whose bytes are `parts`, one after the other.
    pub fn of(key: &Key, parts: &[Bytes]) -> Self {
        let mut digest = Digest::default();
        for part in parts {
            digest.update(part);
        }
        Self {
            content_type: key.kind().content_type().to_owned(),
            cache_control: key.cache_control().to_owned(),
            etag: digest.etag(),
        }
    }

    /// Where the sidecar of `key` is kept.
    pub fn key(key: &str) -> String {
        format!(".meta/{key}.json")
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("three strings are JSON")
    }
}

/// Works out an object's ETag from its bytes, portion by portion.
#[derive(Default)]
pub struct Digest(Xxh3);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

impl Digest {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The ETag, with its quotes.
    pub fn etag(&self) -> String {
        format!("\"{:032x}\"", self.0.digest128())
    }
}
