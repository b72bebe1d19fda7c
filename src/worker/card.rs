//! What the store itself knows of an asset: enough to list it again when the catalog is lost.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::catalog::Caption;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{CARD_NAME, source_folder};
use crate::media::{Asset, AssetId, Policy};
use crate::store::BlockingStore;

/// What can't be read from the streams of an asset. Written before its entry points, whenever these
/// are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Of which asset.
    pub id: AssetId,
    /// What people call it.
    pub title: String,
    /// The policy it is made by.
    pub policy: Policy,
    /// Where the source was pulled from; `None` for an upload.
    pub source_url: Option<String>,
    /// Length of the source in bytes.
    pub source_bytes: Option<u64>,
    /// BLAKE3 digest of the source.
    pub source_digest: Option<String>,
    /// The revision that is served.
    pub revision: String,
    /// When the asset was created, in milliseconds since 1970.
    pub created_at_millis: i64,
    /// The captions that people added.
    pub captions: Vec<Caption>,
}

impl Card {
    pub(super) fn new(asset: Asset, revision: &str, captions: Vec<Caption>) -> Self {
        Self {
            id: asset.id,
            title: asset.title,
            policy: asset.policy,
            source_url: asset.source_url,
            source_bytes: asset.source_bytes,
            source_digest: asset.source_digest,
            revision: revision.to_owned(),
            created_at_millis: asset.created_at_millis,
            captions,
        }
    }

    /// Writes it in place of an older one.
    pub(super) fn write(&self, store: &BlockingStore) -> Result<()> {
        let name = Self::name(&self.id);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::internal("writing what is known of an asset").with_source(e))?;
        store.write_document(&name, Bytes::from(json))
    }

    /// The card of an asset; `None` where the store has none.
    ///
    /// # Errors
    /// `DataLoss` for one that can't be read, `Unavailable` when the store is away.
    pub fn read(store: &BlockingStore, asset: &AssetId) -> Result<Option<Self>> {
        let name = Self::name(asset);
        let Some(json) = store.document(&name)? else {
            return Ok(None);
        };
        let lost = |words: String| Error::new(ErrorKind::DataLoss, format!("{name}: {words}"));
        let card: Self = serde_json::from_slice(&json).map_err(|e| lost(e.to_string()))?;
        if card.id != *asset {
            return Err(lost(format!("it is the card of {}", card.id)));
        }
        Ok(Some(card))
    }

    fn name(asset: &AssetId) -> String {
        format!("{}/{CARD_NAME}", source_folder(asset))
    }
}
