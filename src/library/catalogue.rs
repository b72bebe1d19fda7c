//! `library.json`: what became of each title of a library. An array, sorted by source.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::sources::Found;
use crate::error::{Error, Result};
use crate::keys::KeySource;
use crate::media::{AssetId, FORMAT_VERSION, Failure, Policy};
use crate::store::BlockingStore;

/// Its name in the store.
pub const CATALOGUE_NAME: &str = "library.json";

/// What became of a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All of it is stored and was verified.
    Complete,
    /// It could not be made.
    Failed,
}

/// Where a title plays: keys in the store, which are paths below its delivery URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playback {
    /// The HLS entry point.
    pub hls: String,
    /// The DASH entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dash: Option<String>,
}

/// One title.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Path below the library's folder.
    pub source: String,
    /// Its asset.
    pub asset: AssetId,
    /// What became of it.
    pub state: State,
    /// Where it plays; `None` when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback: Option<Playback>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The revision that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its length in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Bytes of all its media objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What was odd about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Length of the source in bytes.
    pub source_bytes: u64,
    /// When the source was written last: nanoseconds since 1970, in digits. The ETag of an object in
    /// a bucket.
    pub source_modified: String,
    /// What tells the states of the captions beside it apart.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub captions: String,
    /// Digest of the policy it was made with.
    pub policy: String,
}

impl Entry {
    /// Whether it speaks of `found` as it is now, made with the policy of that digest.
    pub fn is_about(&self, found: &Found, policy: &str) -> bool {
        self.source_bytes == found.size_bytes
            && self.source_modified == found.modified
            && self.captions == found.captions_state()
            && self.policy == policy
    }

    /// Whether it failed for a reason that lies in the source: it will again.
    pub fn is_hopeless(&self) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|error| !error.kind.retryable())
    }
}

/// The digest that stands for a policy, and for what would be made with it.
pub(super) fn policy_digest(policy: &Policy, keys: Option<&KeySource>) -> Result<String> {
    let unwritten = |e| Error::internal("writing a policy as JSON").with_source(e);
    let json = serde_json::to_vec(policy).map_err(unwritten)?;
    let mut digest = blake3::Hasher::new();
    digest.update(&FORMAT_VERSION.to_le_bytes()).update(&json);
    if let (Some(encryption), Some(keys)) = (&policy.encryption, keys) {
        // Other keys give other key ids, which are public.
        let plan = keys.plan(encryption, "")?;
        digest.update(&serde_json::to_vec(&plan.keys).map_err(unwritten)?);
    }
    Ok(digest.finalize().to_hex()[..32].to_owned())
}

/// The entries by source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
}

impl Catalogue {
    /// What `store` has; empty where there is none yet.
    ///
    /// # Errors
    /// `Invalid` for a file of that name that is no catalogue: it is somebody's, and stays.
    pub fn read(store: &BlockingStore) -> Result<Self> {
        let Some(json) = store.document(CATALOGUE_NAME)? else {
            return Ok(Self::default());
        };
        let entries: Vec<Entry> = serde_json::from_slice(&json).map_err(|e| {
            let message = format!(
                "{CATALOGUE_NAME} is no catalogue of a library ({e}); move it away, or give another --out"
            );
            Error::invalid(message)
        })?;
        let by_source = entries.into_iter().map(|e| (e.source.clone(), e));
        Ok(Self {
            entries: by_source.collect(),
        })
    }

    /// Writes it to `store`.
    ///
    /// # Errors
    /// When the store is away or full.
    pub fn write(&self, store: &BlockingStore) -> Result<()> {
        let entries: Vec<&Entry> = self.entries.values().collect();
        let mut json = serde_json::to_vec_pretty(&entries)
            .map_err(|e| Error::internal("writing the catalogue as JSON").with_source(e))?;
        json.push(b'\n');
        store.write_document(CATALOGUE_NAME, Bytes::from(json))
    }

    /// The entry of a source.
    pub fn get(&self, source: &str) -> Option<&Entry> {
        self.entries.get(source)
    }

    /// Puts an entry in the place of the one of its source.
    pub fn put(&mut self, entry: Entry) {
        self.entries.insert(entry.source.clone(), entry);
    }

    /// All entries, sorted by source.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}
