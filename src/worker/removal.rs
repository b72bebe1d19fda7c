//! Removing an asset with everything that was made of it.

use super::Workshop;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::media::AssetId;
use crate::store::asset_folder;

impl Workshop {
    /// Removes an asset: its tasks are stopped, its objects, source and rows removed. `false` when
    /// there is none. What a removal that was cut short left is removed by the next one.
    ///
    /// # Errors
    /// When store or catalog are away; the asset is still listed then and can be removed again.
    pub async fn remove(&self, asset: &AssetId) -> Result<bool> {
        let shared = &self.shared;
        let Some(known) = shared.catalog.asset(asset).await? else {
            return Ok(false);
        };
        shared.queue.cancel(asset).await?;
        shared.titles.forget(asset);
        let store = shared.store.store();
        store.remove_folder(&asset_folder(asset)).await?;
        if let Some(revision) = &known.revision
            && is_last(&shared.catalog, revision, asset).await?
        {
            store.remove_folder(&format!("r/{revision}")).await?;
        }
        self.remove_source(asset).await?;
        shared.catalog.remove_asset(asset).await
    }

    async fn remove_source(&self, asset: &AssetId) -> Result<()> {
        let folder = self.shared.options.data.join(format!("src/{asset}"));
        match tokio::fs::remove_dir_all(&folder).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("removing the source", e))
            }
            _ => Ok(()),
        }
    }
}

/// Whether no other asset has the revision.
async fn is_last(catalog: &Catalog, revision: &str, asset: &AssetId) -> Result<bool> {
    let sharing = catalog.sharing_revision(revision).await?;
    Ok(sharing.iter().all(|other| other == asset))
}
