//! What the API asks of the workshop.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::api::{AddedText, Captions, NewText, Removal};
use crate::error::{Error, Result};
use crate::media::AssetId;
use crate::worker::{CaptionUpload, Workshop};

/// The workshop as the API knows it.
#[derive(Debug, Clone)]
pub(super) struct ForApi(pub(super) Workshop);

impl ForApi {
    pub(super) fn removal(&self) -> Arc<dyn Removal> {
        Arc::new(self.clone())
    }

    pub(super) fn captions(&self) -> Arc<dyn Captions> {
        Arc::new(self.clone())
    }
}

impl Removal for ForApi {
    fn remove<'a>(&'a self, asset: &'a AssetId) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.0.remove(asset))
    }
}

impl Captions for ForApi {
    fn add<'a>(&'a self, asset: &'a AssetId, text: NewText) -> BoxFuture<'a, Result<AddedText>> {
        let (workshop, asset) = (self.0.clone(), asset.clone());
        let upload = CaptionUpload {
            language: text.language.as_str().to_owned(),
            name: text.name.unwrap_or_default(),
            kind: text.kind,
            body: text.body.to_vec(),
        };
        Box::pin(async move {
            let (caption, warnings) =
                on_a_thread(move || workshop.add_caption(&asset, &upload)).await?;
            Ok(AddedText { caption, warnings })
        })
    }

    fn remove<'a>(&'a self, asset: &'a AssetId, caption: &'a str) -> BoxFuture<'a, Result<bool>> {
        let (workshop, asset, caption) = (self.0.clone(), asset.clone(), caption.to_owned());
        Box::pin(on_a_thread(move || {
            workshop.remove_caption(&asset, &caption)
        }))
    }
}

/// Does what blocks where blocking harms nobody.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::internal("work for the API panicked")))
}
