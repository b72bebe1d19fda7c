//! What happens to an asset, as server-sent events (HTML Living Standard section 9.2): its state at
//! once, then every change of it, with numbers by which a client goes on after a lost connection.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::{fresh, looking, no_such_asset, nothing, read_only};
use crate::access::Access;
use crate::asset_view::{BaseUrl, asset_json};
use crate::catalog::{Catalog, Event};
use crate::error::Result as OurResult;
use crate::media::{Asset, AssetId, AssetState};
use crate::problem::Problem;

/// How long a stream is silent before a comment shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Stored events read at once.
const BATCH: u32 = 500;

/// Ends the streams of events of a server that stops: they would go on for ever. Clones are the
/// same.
#[derive(Debug, Clone)]
pub struct Streams(Arc<watch::Sender<bool>>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Streams {
    /// Ends all streams, and those that begin later.
    pub fn end(&self) {
        self.0.send_replace(true);
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let events = web::resource("/assets/{id}/events").route(looking().to(asset_events));
    config.service(read_only(events));
}

/// One event.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "describes text that is written line by line")]
pub(super) struct EventText {
    /// Its number, for `Last-Event-ID`.
    id: Option<String>,
    /// `state`, `progress`, `captions` or `removed`.
    event: String,
    /// JSON: an asset for `state`, `{segments_done, segments_total}` for `progress`, the text
    /// tracks for `captions`.
    data: String,
}

/// Follow an asset
///
/// Server-sent events: `state` (an asset) at once and whenever its state changes, `progress`,
/// `captions`, `removed`. The stream ends after `complete`, `failed` or `removed`. With
/// `Last-Event-ID`, what happened after that event; 204 if nothing did and nothing more will.
#[utoipa::path(
    get,
    path = "/assets/{id}/events",
    operation_id = "assetEvents",
    tag = "assets",
    params(
        ("id" = String, Path, description = "The asset's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "`id` of the last event seen"),
    ),
    responses(
        (
            status = 200,
            description = "Events",
            body = EventText,
            content_type = "text/event-stream",
        ),
        (status = 204, description = "Nothing happened since, and nothing more will"),
    ),
)]
pub(super) async fn asset_events(
    request: HttpRequest,
    id: web::Path<AssetId>,
    catalog: web::Data<Catalog>,
    streams: web::Data<Streams>,
) -> Result<HttpResponse, Problem> {
    let mut feed = Feed {
        // Listens before it looks, so that nothing falls in between.
        receiver: catalog.subscribe(),
        stop: streams.0.subscribe(),
        catalog: Catalog::clone(&catalog),
        id: id.into_inner(),
        base: Access::base_url(&request),
        last: 0,
        written: VecDeque::new(),
        ended: false,
    };
    match last_event_id(&request) {
        None => feed.greet().await?,
        Some(seen) => {
            feed.last = seen;
            feed.catch_up().await?;
            if feed.ended && feed.written.is_empty() {
                return Ok(nothing());
            }
        }
    }
    let mut response = fresh(HttpResponse::Ok());
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header(("X-Accel-Buffering", "no"));
    Ok(response.streaming(feed.into_stream()))
}

/// What is no number of ours counts as none: the client gets the whole state.
fn last_event_id(request: &HttpRequest) -> Option<i64> {
    let value = request.headers().get("last-event-id")?;
    value.to_str().ok()?.trim().parse().ok()
}

/// The events of one asset for one client.
struct Feed {
    catalog: Catalog,
    receiver: broadcast::Receiver<Event>,
    stop: watch::Receiver<bool>,
    id: AssetId,
    base: BaseUrl,
    /// Number of the last event that was written.
    last: i64,
    /// Events in their text, not yet sent.
    written: VecDeque<Bytes>,
    /// Nothing more will be written.
    ended: bool,
}

impl Feed {
    /// Writes the state as it is.
    async fn greet(&mut self) -> Result<(), Problem> {
        let mut last = None;
        while let Some(event) = self.batch(last.unwrap_or(0)).await?.pop() {
            last = Some(event.sequence);
        }
        let asset = self.asset().await?.ok_or_else(no_such_asset)?;
        let data = serde_json::to_string(&asset_json(&asset, &self.base));
        self.write(last, "state", &data.expect("plain data is JSON"));
        self.last = last.unwrap_or(0);
        self.ended = is_over(&asset);
        Ok(())
    }

    /// Writes what is stored after the last event.
    async fn catch_up(&mut self) -> Result<(), Problem> {
        loop {
            let events = self.batch(self.last).await?;
            if events.is_empty() {
                break;
            }
            for event in &events {
                self.tell(event).await?;
            }
        }
        let asset = self.asset().await?.ok_or_else(no_such_asset)?;
        self.ended = is_over(&asset);
        Ok(())
    }

    /// Writes one event, if it is new.
    async fn tell(&mut self, event: &Event) -> OurResult<()> {
        if event.asset != self.id || event.sequence <= self.last {
            return Ok(());
        }
        self.last = event.sequence;
        let data = match event.name.as_str() {
            "state" => self.state_at(event).await?,
            _ => event.data.to_string(),
        };
        self.write(Some(event.sequence), &event.name, &data);
        Ok(())
    }

    /// The asset as it is, in the state that an event tells of.
    async fn state_at(&self, event: &Event) -> OurResult<String> {
        let Some(mut asset) = self.asset().await? else {
            return Ok(event.data.to_string());
        };
        let told = event.data.get("state").and_then(|state| state.as_str());
        asset.state = told.and_then(AssetState::parse).unwrap_or(asset.state);
        let view = asset_json(&asset, &self.base);
        Ok(serde_json::to_string(&view).expect("plain data is JSON"))
    }

    async fn asset(&self) -> OurResult<Option<Asset>> {
        self.catalog.asset(&self.id).await
    }

    async fn batch(&self, after: i64) -> OurResult<Vec<Event>> {
        self.catalog.events_after(&self.id, after, BATCH).await
    }

    /// JSON has no line breaks of its own, so one `data` line holds it.
    fn write(&mut self, sequence: Option<i64>, name: &str, data: &str) {
        let number = sequence.map_or_else(String::new, |number| format!("id: {number}\n"));
        let text = format!("{number}event: {name}\ndata: {data}\n\n");
        self.written.push_back(Bytes::from(text));
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        futures_util::stream::try_unfold(self, |mut feed| async move {
            let next = feed.next().await?;
            Ok(next.map(|bytes| (bytes, feed)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(text) = self.written.pop_front() {
                return Ok(Some(text));
            }
            if self.ended || *self.stop.borrow() {
                return Ok(None);
            }
            if let Some(comment) = self.wait().await? {
                return Ok(Some(comment));
            }
        }
    }

    /// Waits for something to happen; a comment when nothing did.
    async fn wait(&mut self) -> Result<Option<Bytes>, Problem> {
        let received = tokio::select! {
            _ = self.stop.changed() => return Ok(None),
            received = timeout(HEARTBEAT, self.receiver.recv()) => received,
        };
        match received {
            Err(_) => return Ok(Some(Bytes::from_static(b":\n\n"))),
            Ok(Err(RecvError::Closed)) => self.ended = true,
            // Too far behind: what was missed is stored.
            Ok(Err(RecvError::Lagged(_))) => self.catch_up().await?,
            Ok(Ok(event)) => {
                self.tell(&event).await?;
                self.ended = event.asset == self.id && ends(&event);
            }
        }
        Ok(None)
    }
}

/// Whether nothing more happens to the asset by itself.
fn is_over(asset: &Asset) -> bool {
    matches!(asset.state, AssetState::Complete | AssetState::Failed)
}

fn ends(event: &Event) -> bool {
    let state = event.data.get("state").and_then(|state| state.as_str());
    event.name == "removed" || event.name == "state" && matches!(state, Some("complete" | "failed"))
}
