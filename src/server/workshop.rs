//! What the API asks of the workshop.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::api::{AddedText, Captions, NewText, Removal};
use crate::error::{Error, Result};
use crate::media::AssetId;
use crate::worker::{CaptionUpload, Workshop};

/// The workshop as the API knows it.
#[derive(Debug, Clone)]
pub(super) struct ForApi {
    workshop: Workshop,
    /// One caption call at a time: each holds a blocking thread and waits for others of the pool.
    turn: Arc<Semaphore>,
}

impl ForApi {
    pub(super) fn new(workshop: Workshop) -> Self {
        Self {
            workshop,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Does what blocks where blocking harms nobody, when it is its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let closed = || Error::internal("work for the API was closed");
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| closed())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn removal(&self) -> Arc<dyn Removal> {
        Arc::new(self.clone())
    }

    pub(super) fn captions(&self) -> Arc<dyn Captions> {
        Arc::new(self.clone())
    }
}

impl Removal for ForApi {
    fn remove<'a>(&'a self, asset: &'a AssetId) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.workshop.remove(asset))
    }
}

impl Captions for ForApi {
    fn add<'a>(&'a self, asset: &'a AssetId, text: NewText) -> BoxFuture<'a, Result<AddedText>> {
        let (workshop, asset) = (self.workshop.clone(), asset.clone());
        let upload = CaptionUpload {
            language: text.language.as_str().to_owned(),
            name: text.name.unwrap_or_default(),
            kind: text.kind,
            body: text.body.to_vec(),
        };
        Box::pin(async move {
            let (caption, warnings) = self
                .in_turn(move || workshop.add_caption(&asset, &upload))
                .await?;
            Ok(AddedText { caption, warnings })
        })
    }

    fn remove<'a>(&'a self, asset: &'a AssetId, caption: &'a str) -> BoxFuture<'a, Result<bool>> {
        let (workshop, asset, caption) = (self.workshop.clone(), asset.clone(), caption.to_owned());
        Box::pin(self.in_turn(move || workshop.remove_caption(&asset, &caption)))
    }
}
