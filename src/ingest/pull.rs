//! A source from a URL: the same file, limits and digest as an upload. A download that breaks off
//! goes on where it stopped, if the server has a strong validator to tell that the bytes are still
//! the same (RFC 9110 section 13.1.5); otherwise it begins again.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, StreamExt};

use super::Ingest;
use super::intake::{MAX_UPLOAD_BYTES, check_announced};
use super::pace::Paced;
use super::refusal::Refusal;
use super::writer::{Ceiling, Place, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Asset, AssetId, AssetState};
use crate::outbound::Response;

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that came.
    pub bytes: u64,
    /// Length of the whole, if the server said it.
    pub total: Option<u64>,
}

/// What a download begins with.
struct Start {
    response: Response,
    /// Bytes that came before and still count.
    from: u64,
    /// Length of the whole.
    total: Option<u64>,
    /// The server's strong validator of these bytes.
    validator: Option<String>,
}

impl Ingest {
    /// Fetches the source of an asset, and makes it `indexing`; whoever calls has it indexed. An
    /// asset that is gone, or has its source, is nothing to do.
    ///
    /// Raising `stop` ends it soon; what came is kept, and another call goes on.
    ///
    /// # Errors
    /// What is retryable may be mended by another call; anything else won't be. The message is for
    /// the asset's owner.
    pub async fn pull(
        &self,
        id: &AssetId,
        stop: &AtomicBool,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<()> {
        let Some(asset) = self.0.catalog.asset(id).await? else {
            return Ok(());
        };
        if asset.state != AssetState::Uploading {
            return Ok(());
        }
        let Some(url) = asset.source_url.as_deref() else {
            return Err(Error::internal(format!("asset {id} has no URL to pull")));
        };
        let place = self.place(id);
        if place.whole_bytes().await?.is_some() {
            // All came before, and the program stopped at that moment.
            return self.count_pulled(&asset, &place).await;
        }
        self.pull_all(url, &asset, stop, progress).await
    }

    async fn pull_all(
        &self,
        url: &str,
        asset: &Asset,
        stop: &AtomicBool,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<()> {
        let mut before = self.place(&asset.id).part_bytes().await?.unwrap_or(0);
        loop {
            let broke = match self.pull_on(url, asset, stop, progress).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // A connection that broke after some way is tried again at once; one that brought
            // nothing is left to whoever waits between tries.
            let there = self.place(&asset.id).part_bytes().await?.unwrap_or(0);
            let came_forward = there > before;
            let stopped = stop.load(Ordering::Relaxed);
            if broke.kind() != ErrorKind::Unavailable || !came_forward || stopped {
                return Err(broke);
            }
            before = there;
        }
    }

    /// One request, and its body as far as it goes.
    async fn pull_on(
        &self,
        url: &str,
        asset: &Asset,
        stop: &AtomicBool,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<()> {
        let place = self.place(&asset.id);
        let start = self.request(url, &place).await?;
        if start.from == 0 {
            place.clear().await?;
        }
        let most = self.0.options.max_upload_bytes;
        check_announced(start.total, most)?;
        let left = start
            .total
            .map_or(0, |total| total.saturating_sub(start.from));
        let reservation = self.0.room.reserve(left)?;
        let ceiling = Ceiling {
            limit: MAX_UPLOAD_BYTES,
            bytes: most,
        };
        let mut writer = Writer::open(place.clone(), ceiling, reservation).await?;
        place.note_validator(start.validator.as_deref()).await?;
        let total = start.total;
        let told = |bytes| progress(Progress { bytes, total });
        let ended = self
            .copy(body(start.response), &mut writer, stop, &told)
            .await;
        if let Err(refusal) = ended {
            if writer.is_sound() {
                writer.sync().await?;
            }
            return Err(Error::from(refusal).context(url));
        }
        if writer.received() == 0 {
            return Err(Error::from(Refusal::Empty).context(url));
        }
        let received = writer.finish().await?;
        // Where the asset was removed meanwhile, nothing is left and nothing is to do.
        match self.count(&asset.id, &place, &received).await? {
            true => Ok(()),
            false => place.clear().await,
        }
    }

    async fn copy(
        &self,
        body: impl Stream<Item = std::result::Result<bytes::Bytes, Refusal>> + Send,
        writer: &mut Writer,
        stop: &AtomicBool,
        told: &(dyn Fn(u64) + Sync),
    ) -> std::result::Result<(), Refusal> {
        let mut body = Paced::new(Box::pin(body), &self.0.options);
        while let Some(bytes) = body.next().await {
            writer.push(bytes?).await?;
            told(writer.received());
            if stop.load(Ordering::Relaxed) {
                let stopped = Error::new(ErrorKind::Conflict, "stopped");
                return Err(stopped.into());
            }
        }
        Ok(())
    }

    /// Asks for what is missing.
    async fn request(&self, url: &str, place: &Place) -> Result<Start> {
        let there = place.part_bytes().await?.unwrap_or(0);
        let validator = place.validator().await?;
        if let Some(validator) = validator.filter(|_| there > 0) {
            let headers = [
                ("range", format!("bytes={there}-")),
                ("if-range", validator.clone()),
            ];
            let response = self.0.outbound.get(url, &headers).await?;
            if response.status() == 206 && continues(&response, there, &validator) {
                return Ok(Start {
                    from: there,
                    total: range_total(response.header("content-range").unwrap_or_default()),
                    validator: Some(validator),
                    response,
                });
            }
            if response.status() == 200 {
                return Ok(from_beginning(response));
            }
            // Neither the rest nor the whole, as when the source is shorter now: begin again.
        }
        let response = self.0.outbound.get(url, &[]).await?;
        check_status(url, response.status())?;
        Ok(from_beginning(response))
    }

    async fn count_pulled(&self, asset: &Asset, place: &Place) -> Result<()> {
        let received = place.digest().await?;
        self.told(&asset.id, &received).await.map(|_| ())
    }

    async fn count(
        &self,
        id: &AssetId,
        place: &Place,
        received: &super::writer::Received,
    ) -> Result<bool> {
        super::writer::publish(place).await?;
        self.told(id, received).await
    }

    /// Tells that all bytes came. Where machines share sources, the store has them before: whoever
    /// fetched them may be gone at any time.
    async fn told(&self, id: &AssetId, received: &super::writer::Received) -> Result<bool> {
        self.share_pulled(id, &received.digest).await?;
        let catalog = &self.0.catalog;
        let uploaded = catalog.uploaded(id, &received.digest, received.bytes, None);
        let uploaded = uploaded.await?;
        self.keep_no_copy(id, uploaded).await?;
        Ok(uploaded)
    }
}

fn from_beginning(response: Response) -> Start {
    let number = |text: &str| text.trim().parse().ok();
    Start {
        from: 0,
        total: response.header("content-length").and_then(number),
        validator: response.header("etag").and_then(strong),
        response,
    }
}

fn body(
    response: Response,
) -> impl Stream<Item = std::result::Result<bytes::Bytes, Refusal>> + Send {
    futures_util::stream::unfold(Some(response), |response| async move {
        let mut response = response?;
        match response.chunk().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(response))),
            Ok(None) => None,
            Err(error) => Some((Err(Refusal::Failed(error)), None)),
        }
    })
}

/// An entity tag that is equal only for equal bytes.
fn strong(tag: &str) -> Option<String> {
    let quoted = tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"');
    quoted.then(|| tag.to_owned())
}

/// Whether the answer is the rest of the same bytes, from `there` on.
fn continues(response: &Response, there: u64, validator: &str) -> bool {
    let range = response.header("content-range").unwrap_or_default();
    let tag = response.header("etag");
    range_start(range) == Some(there) && tag.is_none_or(|tag| tag == validator)
}

/// `first` of `bytes first-last/length`.
fn range_start(range: &str) -> Option<u64> {
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// `length` of `bytes first-last/length`.
fn range_total(range: &str) -> Option<u64> {
    range.rsplit('/').next()?.parse().ok()
}

fn check_status(url: &str, status: u16) -> Result<()> {
    let (kind, what) = match status {
        200 => return Ok(()),
        401 | 403 | 407 => (
            ErrorKind::Invalid,
            "it isn't public; use a URL that needs no login, such as a signed one",
        ),
        404 | 410 => (ErrorKind::NotFound, "there is nothing at this URL"),
        408 | 425 | 429 | 500..=599 => (ErrorKind::Unavailable, "its server is in trouble"),
        _ => (ErrorKind::Invalid, "its server doesn't give it out"),
    };
    let message = format!("{url}: {what} (HTTP status {status})");
    Err(Error::new(kind, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(range_start("bytes 5-9/10"), Some(5));
        assert_eq!(range_total("bytes 5-9/10"), Some(10));
        assert_eq!(range_total("bytes 5-9/*"), None);
        assert_eq!(range_start("5-9/10"), None);
        assert_eq!(range_start(""), None);
    }

    #[test]
    fn weak_validators_are_no_validators() {
        assert_eq!(strong("\"x\"").as_deref(), Some("\"x\""));
        assert_eq!(strong("W/\"x\""), None);
        assert_eq!(strong("\""), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let retryable = |status| {
            let error = check_status("http://x/", status).expect_err("no success");
            error.kind().retryable()
        };
        assert!([408, 429, 500, 503].into_iter().all(retryable));
        assert!(
            ![206, 301, 401, 403, 404, 410, 418]
                .into_iter()
                .any(retryable)
        );
    }
}
