//! What is left over is cleared away: after a stop of the program, and as uploads expire.

use std::path::Path;

use super::Ingest;
use super::writer::{Place, blocking};
use crate::catalog::Upload;
use crate::error::{Error, Result};
use crate::media::{Asset, AssetId, AssetState};

/// After how long another node clears an expired upload away: the one that had it is gone.
const GRACE_MILLIS: i64 = 60 * 60 * 1000;

impl Ingest {
    /// Brings in order what a stop of the program left halfway: for the start, before anything
    /// else is taken in. Uploads that may be resumed are promised their room again, those whose
    /// bytes are all there go on, and those that nobody can resume are removed.
    ///
    /// # Errors
    /// What the catalog or the file system says.
    pub async fn recover(&self) -> Result<()> {
        let catalog = &self.0.catalog;
        if !catalog.is_shared() {
            // Requests to other nodes go on; those to this one count as abandoned in an hour.
            catalog.abandon_all().await?;
        }
        for asset in catalog.assets_in(AssetState::Uploading).await? {
            self.recover_uploading(&asset).await?;
        }
        for asset in catalog.assets_in(AssetState::Indexing).await? {
            self.enqueue_index(&asset.id).await?;
        }
        self.sweep().await
    }

    async fn recover_uploading(&self, asset: &Asset) -> Result<()> {
        if asset.source_url.is_some() {
            return self.enqueue_pull(&asset.id).await;
        }
        let Some(upload) = self.0.catalog.upload(&asset.id).await? else {
            // Its client heard no answer, and can't go on; or it is being sent to another node.
            return match self.0.catalog.is_shared() {
                true => Ok(()),
                false => self.drop_upload(&asset.id).await,
            };
        };
        let place = self.place(&asset.id);
        if !self.is_here(&place).await? {
            return Ok(());
        }
        if place.whole_bytes().await? == Some(upload.length) {
            let received = place.digest().await?;
            return self.announce(&asset.id, &received).await.map(|_| ());
        }
        if place.part_bytes().await? == Some(upload.length) {
            // The last byte came, but not the answer: an empty PATCH would be needed.
            return self.complete_upload(&upload).await;
        }
        self.resume_upload(&upload).await
    }

    /// Removes uploads that have expired, and parts that belong to nothing. For every minute.
    ///
    /// # Errors
    /// What the catalog or the file system says.
    pub async fn sweep(&self) -> Result<()> {
        let now = self.0.clock.now_millis();
        for upload in self.0.catalog.expired_uploads(now).await? {
            self.sweep_upload(&upload).await?;
        }
        for asset in self.sources().await? {
            self.sweep_source(&asset).await?;
        }
        self.forget_sessions().await
    }

    async fn sweep_upload(&self, upload: &Upload) -> Result<()> {
        let asset = self.0.catalog.asset(&upload.asset).await?;
        let unfinished = asset.is_some_and(|asset| asset.state == AssetState::Uploading);
        if !unfinished {
            return self
                .0
                .catalog
                .remove_upload(&upload.asset)
                .await
                .map(|_| ());
        }
        let overdue = self.now_millis() - upload.expires_at_millis;
        if overdue < GRACE_MILLIS && !self.is_here(&self.place(&upload.asset)).await? {
            return Ok(());
        }
        match self.lock(&upload.asset) {
            Ok(_held) => self.drop_upload(&upload.asset).await,
            // Bytes are coming after all.
            Err(_) => Ok(()),
        }
    }

    /// Whether what came of a source is on this node. Another node of a shared catalog has it else,
    /// and looks after it.
    async fn is_here(&self, place: &Place) -> Result<bool> {
        if !self.0.catalog.is_shared() {
            return Ok(true);
        }
        let (part, whole) = (place.part_bytes().await?, place.whole_bytes().await?);
        Ok(part.is_some() || whole.is_some())
    }

    /// Removes what came of a source whose asset is gone or has failed. A whole source stays: if
    /// its asset isn't known, the catalog may be the wrong one.
    async fn sweep_source(&self, id: &AssetId) -> Result<()> {
        if self.unborn().contains(id) || self.is_busy(id) {
            return Ok(());
        }
        let asset = self.0.catalog.asset(id).await?;
        self.sweep_shared(id, asset.as_ref()).await?;
        if asset.is_some_and(|asset| asset.state != AssetState::Failed) {
            return Ok(());
        }
        let place = self.place(id);
        if place.whole_bytes().await?.is_none() {
            place.clear().await?;
        }
        Ok(())
    }

    /// The assets that have a folder among the sources.
    async fn sources(&self) -> Result<Vec<AssetId>> {
        let folder = self.0.sources.clone();
        blocking(move || list(&folder)).await
    }
}

fn list(folder: &Path) -> Result<Vec<AssetId>> {
    let failed = |e| Error::io("listing the sources", e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // What has another name isn't ours.
        found.extend(name.to_str().and_then(|name| AssetId::parse(name).ok()));
    }
    Ok(found)
}
