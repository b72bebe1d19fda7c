//! Removing an asset with everything that was made of it.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::{PART, Workshop};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::media::{Asset, AssetId};
use crate::store::asset_folder;
use crate::telemetry::tell_operator;

impl Workshop {
    /// Removes an asset: its tasks are stopped, its objects, source and rows removed. `false` when
    /// there is none. What a removal that was cut short left is removed by the next one.
    ///
    /// # Errors
    /// When store or catalog are away; the asset is still listed then and can be removed again.
    pub async fn remove(&self, asset: &AssetId) -> Result<bool> {
        let Some(known) = self.shared.catalog.asset(asset).await? else {
            return Ok(false);
        };
        // From here on nobody writes entry points for it.
        self.removing(|assets| assets.insert(asset.clone()));
        let removed = self.remove_all(&known).await;
        self.removing(|assets| assets.remove(asset));
        removed
    }

    fn removing(&self, change: impl FnOnce(&mut HashSet<AssetId>) -> bool) {
        let entries = self.shared.entries.lock();
        change(&mut entries.unwrap_or_else(PoisonError::into_inner));
    }

    async fn remove_all(&self, known: &Asset) -> Result<bool> {
        let (shared, asset) = (&self.shared, &known.id);
        shared.queue.cancel(asset).await?;
        shared.titles.forget(asset);
        let store = shared.store.store();
        store.remove_folder(&asset_folder(asset)).await?;
        if let Some(revision) = &known.revision
            && is_last(&shared.catalog, revision, asset).await?
        {
            store.remove_folder(&format!("r/{revision}")).await?;
        }
        shared.options.sources.remove(asset, store).await?;
        shared.catalog.remove_asset(asset).await
    }

    /// What a task stored that went on while its asset was being removed is removed too.
    pub(super) fn clear_if_removed(&self, asset: &AssetId) {
        let cleared = self.block_on(async {
            if self.shared.catalog.asset(asset).await?.is_some() {
                return Ok(());
            }
            let store = self.shared.store.store();
            store.remove_folder(&asset_folder(asset)).await?;
            self.shared.options.sources.remove(asset, store).await
        });
        if let Err(e) = cleared {
            tell_operator(
                PART,
                &format!("{asset}: clearing up after its removal failed: {e}"),
            );
        }
    }
}

/// Whether no other asset has the revision.
async fn is_last(catalog: &Catalog, revision: &str, asset: &AssetId) -> Result<bool> {
    let sharing = catalog.sharing_revision(revision).await?;
    Ok(sharing.iter().all(|other| other == asset))
}
