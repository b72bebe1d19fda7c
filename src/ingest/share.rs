//! Where machines share a catalog: sources that were received here are stored for all, while this
//! machine is at their first tasks already. What a stop interrupts goes on at the next start.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

use super::Ingest;
use super::writer::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Asset, AssetId, AssetState, Failure};
use crate::source::Sources;
use crate::telemetry::tell_operator;

/// How often it is looked for sources that couldn't be stored before.
const AGAIN: Duration = Duration::from_secs(15);
/// Sources that are stored at a time.
const AT_ONCE: usize = 2;

/// What has to be shared, and by which name others know this machine.
#[derive(Debug)]
pub struct Shares {
    sources: Sources,
    node: String,
    /// There is one more.
    more: Notify,
}

impl Shares {
    /// Those of `sources` that come in here; where machines share them, this one is called `node`.
    pub fn new(sources: Sources, node: Option<String>) -> Self {
        Self {
            sources,
            node: node.unwrap_or_default(),
            more: Notify::new(),
        }
    }

    /// The folder that sources come into.
    pub(super) fn folder(&self) -> PathBuf {
        self.sources.folder()
    }

    /// Whether sources that are received here have to be stored for others.
    pub(super) fn is_needed(&self) -> bool {
        self.sources.are_copied()
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Has what was received stored soon.
    pub(super) fn begin(&self) {
        self.more.notify_one();
    }

    /// A note beside a source that the store has it too.
    fn note(&self, asset: &AssetId) -> PathBuf {
        self.sources.file(asset).with_extension("stored")
    }

    /// Whether the store has the source that is here.
    pub(super) fn is_noted(&self, asset: &AssetId) -> bool {
        self.note(asset).is_file()
    }
}

impl Ingest {
    /// Stores what is received here for all machines, for as long as it is polled. Nothing to do on
    /// one machine.
    pub async fn share(self) {
        if !self.0.shares.is_needed() {
            return;
        }
        let removed = self.clear_removed();
        let sharing = async {
            loop {
                if let Err(error) = self.share_all().await {
                    tell_operator("ingest", &format!("storing sources failed: {error}"));
                }
                // Both outcomes mean: look again.
                let _ = tokio::time::timeout(AGAIN, self.0.shares.more.notified()).await;
            }
        };
        tokio::join!(removed, sharing);
    }

    /// Stores whatever only this machine has.
    async fn share_all(&self) -> Result<()> {
        let waiting = self.0.catalog.sources_at(self.0.shares.node()).await?;
        stream::iter(waiting)
            .for_each_concurrent(AT_ONCE, |asset| async move {
                let id = asset.id.clone();
                if let Err(error) = self.share_one(asset).await {
                    let line = format!("{id}: its source is not stored for others yet: {error}");
                    tell_operator("ingest", &line);
                }
            })
            .await;
        Ok(())
    }

    async fn share_one(&self, asset: Asset) -> Result<()> {
        let id = &asset.id;
        let Some(digest) = &asset.source_digest else {
            return Err(Error::internal("a source without a digest"));
        };
        match self.0.shares.sources.copy(id, digest).await {
            Ok(()) => self.note_stored(id).await,
            // It will never be there: nobody is to wait for it.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DataLoss) => {
                let failure = Failure::from(&e);
                self.0.queue.stop(id).await?;
                self.0.catalog.failed(id, &failure).await?;
                self.0.catalog.source_stored(id).await.map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    async fn note_stored(&self, id: &AssetId) -> Result<()> {
        if !self.0.catalog.source_stored(id).await? {
            // Removed meanwhile.
            return self.0.shares.sources.take_back(id).await;
        }
        let note = self.0.shares.note(id);
        blocking(move || {
            // It is asked for when the source may be cleared away; without it the source stays.
            std::fs::write(&note, b"").map_err(|e| Error::io("noting that a source is stored", e))
        })
        .await
    }

    /// Clears away what is here of assets that are removed on any machine.
    async fn clear_removed(&self) {
        let mut events = self.0.catalog.subscribe();
        loop {
            match events.recv().await {
                Ok(event) if event.name == "removed" => {
                    // What can't be removed now is swept later.
                    let _ = self.place(&event.asset).clear().await;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Stores a source that was fetched here, before anybody hears that it is there.
    pub(super) async fn share_pulled(&self, id: &AssetId, digest: &str) -> Result<()> {
        match self.0.shares.is_needed() {
            true => self.0.shares.sources.copy(id, digest).await,
            false => Ok(()),
        }
    }

    /// Clears away what is here of a source that was fetched for all; in the store too, if nobody
    /// wants it any more.
    pub(super) async fn keep_no_copy(&self, id: &AssetId, is_wanted: bool) -> Result<()> {
        if !self.0.shares.is_needed() {
            return Ok(());
        }
        if !is_wanted && self.0.catalog.asset(id).await?.is_none() {
            return self.0.shares.sources.take_back(id).await;
        }
        self.place(id).clear().await
    }

    /// Clears away what is here of a source that the store has, once nothing is to be made of it.
    pub(super) async fn sweep_shared(&self, id: &AssetId, asset: Option<&Asset>) -> Result<()> {
        let is_needed = asset.is_some_and(|asset| asset.state != AssetState::Complete);
        match is_needed || !self.0.shares.is_noted(id) {
            true => Ok(()),
            false => self.place(id).clear().await,
        }
    }

    /// Whether an asset's source is there to be worked on.
    pub(super) async fn has_source(&self, id: &AssetId) -> Result<bool> {
        if self.place(id).whole_bytes().await?.is_some() {
            return Ok(true);
        }
        self.0.shares.sources.is_stored(id).await
    }
}
