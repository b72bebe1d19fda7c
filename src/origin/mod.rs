//! Delivery over HTTP of what the store holds: GET and HEAD of our own objects, with ranges,
//! validators, cache rules and CORS (conformance O02 to O07). Nothing else is visible.
//!
//! A segment of a planned title that isn't stored yet is demanded from the queue, and its request
//! waits for it.

pub mod cache;
pub mod carry;
pub mod clients;
pub mod gate;
mod path;
pub mod profile;
mod range;
pub mod request;
mod signed;

use std::path::Path;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::media::{AssetId, AssetState, RenditionSummary};
use crate::queue::Queue;
use crate::queue::demand::Wanted;
use crate::store::{Sidecar, Store};
use path::{Deliverable, decoded, deliverable, encoded};
use range::{Selection, select};

/// Longer than any CDN keeps a connection, so that it is never we who close first.
pub const KEEP_ALIVE: Duration = Duration::from_secs(185);

/// How long a request waits for a segment that is being made. CDNs give up after 30 s.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is delivered, and who makes what isn't there yet.
#[derive(Debug, Clone)]
pub struct Origin {
    store: Store,
    /// The catalog of what is planned and the queue that makes it; without them only what is
    /// stored is delivered.
    making: Option<Making>,
}

#[derive(Debug, Clone)]
struct Making {
    catalog: Catalog,
    queue: Queue,
    patience: Duration,
}

impl Origin {
    /// Delivers what `store` holds, and has made what `catalog` knows to be planned, for which a
    /// request waits up to `patience`.
    pub fn new(store: Store, catalog: Catalog, queue: Queue, patience: Duration) -> Self {
        let making = Some(Making {
            catalog,
            queue,
            patience,
        });
        Self { store, making }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// Routes of delivery; needs [`Origin`] as application data. To be called last: it answers every
/// path that no other route has.
pub fn routes(config: &mut web::ServiceConfig) {
    config.default_service(web::to(deliver));
}

/// URL paths of the HLS entry points in a data folder, at most three folders deep, sorted.
pub fn entry_points(data: &Path) -> Vec<String> {
    let mut found = Vec::new();
    find_entries(data, "", 3, &mut found);
    found.sort();
    found
}

fn find_entries(folder: &Path, prefix: &str, depth: u32, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name == crate::layout::HLS_NAME {
            found.push(encoded(&format!("{prefix}{name}")));
        } else if depth > 0 && !name.starts_with('.') && !crate::layout::is_revision(&name) {
            find_entries(&entry.path(), &format!("{prefix}{name}/"), depth - 1, found);
        }
    }
}

#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn deliver(request: HttpRequest, origin: web::Data<Origin>) -> HttpResponse {
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return preflight(),
        _ => return method_not_allowed(),
    }
    let Some(wanted) = decoded(request.path()).and_then(|path| deliverable(&path)) else {
        return not_found();
    };
    let mut answer = respond(&request, &origin.store, &wanted).await;
    if matches!(answer, Ok(None)) {
        answer = match origin.have_made(&wanted).await {
            Ok(Demand::Made) => respond(&request, &origin.store, &wanted).await,
            Ok(Demand::NotPlanned) => Ok(None),
            Ok(Demand::Late) => return being_made(),
            Err(e) => Err(e),
        };
    }
    match answer {
        Ok(Some(response)) => response,
        Ok(None) => not_found(),
        Err(e) => unavailable(&e),
    }
}

/// What came of having an object made.
enum Demand {
    /// It is stored now.
    Made,
    /// It isn't there within the time.
    Late,
    /// It is no segment of a title that is being made.
    NotPlanned,
}

impl Origin {
    /// Has the segment `wanted` made if it is planned.
    async fn have_made(&self, wanted: &Deliverable) -> Result<Demand> {
        let Some(making) = &self.making else {
            return Ok(Demand::NotPlanned);
        };
        let Some(segment) = making.planned(wanted).await? else {
            return Ok(Demand::NotPlanned);
        };
        let object = format!("{}{}", wanted.folder, wanted.key);
        let is_stored = || async { Ok(self.store.size(&object).await?.is_some()) };
        let made = making
            .queue
            .demand(&segment, making.patience, is_stored)
            .await?;
        Ok(if made { Demand::Made } else { Demand::Late })
    }
}

impl Making {
    /// The segment that `wanted` is, if some asset that is not complete yet has it planned.
    async fn planned(&self, wanted: &Deliverable) -> Result<Option<Wanted>> {
        let Key::Segment {
            revision,
            track,
            number,
        } = &wanted.key
        else {
            return Ok(None);
        };
        let id = wanted
            .folder
            .strip_prefix("v/")
            .and_then(|id| id.strip_suffix('/'));
        let Some(id) = id.and_then(|id| AssetId::parse(id).ok()) else {
            return Ok(None);
        };
        let Some(asset) = self.catalog.asset(&id).await? else {
            return Ok(None);
        };
        let has = |rendition: &RenditionSummary| {
            rendition.id == *track && (1..=rendition.segments).contains(number)
        };
        let planned = matches!(asset.state, AssetState::Ready | AssetState::Complete)
            && asset.revision.as_ref() == Some(revision)
            && asset.renditions.iter().any(has);
        Ok(planned.then(|| Wanted {
            asset: id,
            track: track.clone(),
            number: *number,
        }))
    }
}

#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn respond(
    request: &HttpRequest,
    store: &Store,
    wanted: &Deliverable,
) -> Result<Option<HttpResponse>> {
    let Some((object, mut length)) = locate(store, wanted).await? else {
        return Ok(None);
    };
    // What may be replaced is read once and whole, so that its validator is that of these bytes.
    let whole = match wanted.key.cache_control() == crate::layout::ENTRY {
        true => store.get(&object).await?,
        false => None,
    };
    let etag = match &whole {
        Some(bytes) => {
            length = bytes.len() as u64;
            Sidecar::of(&wanted.key, std::slice::from_ref(bytes)).etag
        }
        None => etag(store, &object, wanted).await?,
    };
    let headers = request.headers();
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    if text(header::IF_NONE_MATCH).is_some_and(|tags| any_tag_matches(tags, &etag)) {
        return Ok(Some(
            start(StatusCode::NOT_MODIFIED, wanted, &etag).finish(),
        ));
    }
    let selection = match applicable_range(request.method(), headers, &etag) {
        None => Selection::Whole,
        range => select(range, length),
    };
    let (status, first, end) = match selection {
        Selection::Unsatisfiable => return Ok(Some(unsatisfiable(length))),
        Selection::Whole => (StatusCode::OK, 0, length),
        Selection::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last + 1),
    };
    let mut response = start(status, wanted, &etag);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{length}", end - 1);
        response.insert_header((header::CONTENT_RANGE, range));
    }
    if request.method() == Method::HEAD {
        response.no_chunking(end - first);
        return Ok(Some(response.body(actix_web::body::SizedStream::new(
            end - first,
            futures_util::stream::empty::<std::result::Result<Bytes, std::io::Error>>(),
        ))));
    }
    let part = |bytes: Bytes| {
        let at = |place: u64| usize::try_from(place).map_or(bytes.len(), |at| at.min(bytes.len()));
        bytes.slice(at(first)..at(end))
    };
    let body = match whole {
        Some(bytes) => part(bytes),
        None => store.get_range(&object, first, end).await?,
    };
    Ok(Some(response.body(body)))
}

/// The object's key and length. An asset under `/v/` may lie in `v/` or at the top of the data
/// folder.
async fn locate(store: &Store, wanted: &Deliverable) -> Result<Option<(String, u64)>> {
    let Deliverable { folder, key } = wanted;
    let at_top = folder.strip_prefix("v/");
    for folder in [Some(folder.as_str()), at_top].into_iter().flatten() {
        let object = format!("{folder}{key}");
        if let Some(length) = store.size(&object).await? {
            return Ok(Some((object, length)));
        }
    }
    Ok(None)
}

/// The digest noted when the object was stored; worked out anew where the note is lost.
async fn etag(store: &Store, object: &str, wanted: &Deliverable) -> Result<String> {
    let folder = object
        .strip_suffix(&wanted.key.to_string())
        .unwrap_or_default();
    let sidecar = format!("{folder}{}", Sidecar::key(&wanted.key.to_string()));
    let noted = store.get(&sidecar).await?;
    if let Some(noted) = noted.and_then(|json| serde_json::from_slice::<Sidecar>(&json).ok()) {
        return Ok(noted.etag);
    }
    let bytes = store.get(object).await?.unwrap_or_default();
    Ok(Sidecar::of(&wanted.key, &[bytes]).etag)
}

/// `If-None-Match` compares weakly (RFC 9110 section 13.1.2).
fn any_tag_matches(tags: &str, etag: &str) -> bool {
    let matches = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    tags.split(',').map(str::trim).any(matches)
}

/// The `Range` header, unless `If-Range` rules it out; only GET has ranges.
fn applicable_range<'a>(method: &Method, headers: &'a HeaderMap, etag: &str) -> Option<&'a str> {
    if method != Method::GET {
        return None;
    }
    let condition = headers.get(header::IF_RANGE);
    if condition.is_some_and(|condition| condition.as_bytes() != etag.as_bytes()) {
        return None;
    }
    headers.get(header::RANGE)?.to_str().ok()
}

/// A response with the headers every answer about an object has.
fn start(status: StatusCode, wanted: &Deliverable, etag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    cors(&mut response)
        .insert_header((header::CACHE_CONTROL, wanted.key.cache_control()))
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if status != StatusCode::NOT_MODIFIED {
        response.insert_header((header::CONTENT_TYPE, wanted.key.kind().content_type()));
    }
    response
}

/// The same for every request, with and without `Origin`, so that caches may keep it.
fn cors(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Content-Length, Content-Range, Date, ETag, CMSD-Static",
        ))
        .insert_header(("Timing-Allow-Origin", "*"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"))
}

fn preflight() -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    cors(&mut response)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match"))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

fn method_not_allowed() -> HttpResponse {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-store",
        "only GET and HEAD are served here",
    )
    .map_headers(|headers| {
        headers.insert(
            header::ALLOW,
            header::HeaderValue::from_static("GET, HEAD, OPTIONS"),
        )
    })
}

fn not_found() -> HttpResponse {
    problem(
        StatusCode::NOT_FOUND,
        "public, max-age=1",
        "there is no such object",
    )
}

fn unsatisfiable(length: u64) -> HttpResponse {
    let value = header::HeaderValue::from_str(&format!("bytes */{length}"))
        .expect("digits are header text");
    problem(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "no-store",
        "the range lies outside the object",
    )
    .map_headers(|headers| headers.insert(header::CONTENT_RANGE, value))
}

/// A segment that takes longer than a request may: come back soon.
fn being_made() -> HttpResponse {
    let mut response = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "no-store",
        "the segment is being made; ask again",
    );
    let soon = header::HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

fn unavailable(error: &Error) -> HttpResponse {
    let status = match error.kind() {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = problem(status, "no-store", "this can't be had now; try again");
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = header::HeaderValue::from_static("2");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
    }
    response
}

/// RFC 9457 problem details.
fn problem(status: StatusCode, cache: &'static str, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or("error");
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail });
    let mut response = HttpResponse::build(status);
    cors(&mut response)
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .insert_header((header::CACHE_CONTROL, cache))
        .body(body.to_string())
}

/// Changes a finished response's headers.
trait MapHeaders {
    fn map_headers<T>(self, change: impl FnOnce(&mut HeaderMap) -> T) -> Self;
}

impl MapHeaders for HttpResponse {
    fn map_headers<T>(mut self, change: impl FnOnce(&mut HeaderMap) -> T) -> Self {
        change(self.headers_mut());
        self
    }
}
