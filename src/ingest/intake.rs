//! One source from its first byte to an asset that waits to be indexed.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use super::refusal::Refusal;
use super::writer::{Ceiling, Place, Received, Writer, publish};
use super::{Ingest, new_id};
use crate::catalog::NewAsset;
use crate::error::{Error, ErrorKind, Result as OurResult};
use crate::media::{Asset, AssetId, AssetState, Policy};
use crate::problem::Problem;

/// The limit that a source without an announced length runs into.
pub(super) const MAX_UPLOAD_BYTES: &str = "max_upload_bytes";

/// What the asset of a source will be.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// What people will call it.
    pub(super) title: String,
    /// What it will be made by.
    pub(super) policy: Policy,
}

/// A source that is being received and has no asset yet.
pub(super) struct Draft {
    ingest: Ingest,
    id: AssetId,
    writer: Writer,
    _permit: OwnedSemaphorePermit,
}

impl Draft {
    /// Room for a source of `announced` bytes, or of unknown length.
    pub(super) async fn begin(ingest: &Ingest, announced: Option<u64>) -> Result<Self, Refusal> {
        let permit = ingest.permit()?;
        let ceiling = Ceiling {
            limit: MAX_UPLOAD_BYTES,
            bytes: ingest.0.options.max_upload_bytes,
        };
        let reservation = ingest.0.room.reserve(announced.unwrap_or(0))?;
        let id = new_id()?;
        ingest.unborn().insert(id.clone());
        let place = ingest.place(&id);
        match Writer::open(place.clone(), ceiling, reservation).await {
            Ok(writer) => Ok(Self {
                ingest: ingest.clone(),
                id,
                writer,
                _permit: permit,
            }),
            Err(error) => {
                forget(ingest, &id, &place).await;
                Err(error.into())
            }
        }
    }

    /// Makes the asset.
    pub(super) async fn settle(mut self, order: Order) -> Result<Asset, Refusal> {
        let settled = self.try_settle(order).await;
        if settled.is_err() {
            // Nothing is to be left; an asset that can't be removed is found again at the start.
            let _ = self.ingest.0.catalog.remove_asset(&self.id).await;
            self.abandon().await;
        } else {
            self.ingest.unborn().remove(&self.id);
        }
        settled
    }

    async fn try_settle(&mut self, order: Order) -> Result<Asset, Refusal> {
        let received = self.writer.finish().await?;
        let new = NewAsset {
            id: self.id.clone(),
            title: order.title,
            policy: order.policy,
            state: AssetState::Uploading,
            source_url: None,
            source_bytes: Some(received.bytes),
        };
        // The row comes before the name, so that a named source always has a row.
        self.ingest.0.catalog.create_asset(&new).await?;
        Ok(self
            .ingest
            .hand_over(&self.id, self.writer.place(), &received)
            .await?)
    }

    /// Where it goes in.
    pub(super) fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// Leaves nothing.
    pub(super) async fn abandon(self) {
        let place = self.writer.place().clone();
        forget(&self.ingest, &self.id, &place).await;
    }
}

/// Where the bytes of a body go.
pub(super) enum Sink {
    /// Into a source.
    Draft(Box<Draft>),
    /// Nowhere: they came before, and are only compared.
    Digest(Box<blake3::Hasher>, u64),
}

impl Sink {
    /// A sink that only digests.
    pub(super) fn digest() -> Self {
        Self::Digest(Box::default(), 0)
    }

    /// Takes a body to its end.
    pub(super) async fn receive<S, E>(&mut self, body: S) -> Result<(), Refusal>
    where
        S: Stream<Item = Result<Bytes, E>>,
        Refusal: From<E>,
    {
        let mut body = std::pin::pin!(body);
        while let Some(bytes) = body.next().await {
            self.push(bytes?).await?;
        }
        if self.received() == 0 {
            return Err(Refusal::Empty);
        }
        Ok(())
    }

    async fn push(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        match self {
            Self::Draft(draft) => draft.writer.push(bytes).await,
            Self::Digest(digest, length) => {
                digest.update(&bytes);
                *length += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// The digest of what came into a sink that only digests.
    pub(super) fn digested(&self) -> Option<String> {
        match self {
            Self::Draft(_) => None,
            Self::Digest(digest, _) => Some(digest.finalize().to_hex().to_string()),
        }
    }

    fn received(&self) -> u64 {
        match self {
            Self::Draft(draft) => draft.writer.received(),
            Self::Digest(_, length) => *length,
        }
    }
}

async fn forget(ingest: &Ingest, id: &AssetId, place: &Place) {
    // What can't be removed now is swept later.
    let _ = place.clear().await;
    ingest.unborn().remove(id);
}

impl Ingest {
    /// All bytes of an asset are there: names them, and has them indexed.
    pub(super) async fn hand_over(
        &self,
        id: &AssetId,
        place: &Place,
        received: &Received,
    ) -> OurResult<Asset> {
        publish(place).await?;
        let announced = self.announce(id, received).await;
        if announced.is_err() && self.0.catalog.asset(id).await?.is_none() {
            place.clear().await?;
        }
        announced
    }

    /// All bytes of an asset are there and have their name.
    pub(super) async fn announce(&self, id: &AssetId, received: &Received) -> OurResult<Asset> {
        let catalog = &self.0.catalog;
        let node = self.0.shares.is_needed().then_some(self.0.shares.node());
        let uploaded = catalog.uploaded(id, &received.digest, received.bytes, node);
        if !uploaded.await? {
            return Err(removed(id));
        }
        self.enqueue_index(id).await?;
        self.0.shares.begin();
        catalog.asset(id).await?.ok_or_else(|| removed(id))
    }
}

fn removed(id: &AssetId) -> Error {
    let message = format!("asset {id} was removed while its last bytes arrived");
    Error::new(ErrorKind::Conflict, message)
}

/// The essence of a media type: lower case, without parameters.
pub(super) fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// How long the body says it is.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_LENGTH)?;
    text.to_str().ok()?.trim().parse().ok()
}

/// Refuses what is announced to be too long.
pub(super) fn check_announced(announced: Option<u64>, most: u64) -> Result<(), Refusal> {
    if announced.is_some_and(|announced| announced > most) {
        return Err(Refusal::TooLarge {
            limit: MAX_UPLOAD_BYTES,
            value: most,
        });
    }
    Ok(())
}

/// A header's text, if it is there.
///
/// # Errors
/// 400 where it is no text.
pub(super) fn header_text<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let wrong = |_| Problem::bad_request(format!("the header {name} isn't ASCII text"));
    headers
        .get(name)
        .map(HeaderValue::to_str)
        .transpose()
        .map_err(wrong)
}
