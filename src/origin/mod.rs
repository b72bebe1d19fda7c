//! Delivery over HTTP of what the store holds: GET and HEAD of our own objects, with ranges,
//! validators, cache rules and CORS (conformance O02 to O07). Nothing else is visible.
//!
//! Whoever speaks HTTP hands in a [`Request`] and sends the [`Reply`]: the listener of `wire`, and
//! [`over_actix`] for connections that an application has. What is decided is decided here, once.
//!
//! A segment of a planned title that isn't stored yet is demanded from the queue, and its request
//! waits for it.

pub mod cache;
pub mod carry;
pub mod clients;
mod coding;
mod conditions;
pub(crate) mod file;
pub mod gate;
pub mod over_actix;
mod path;
pub mod profile;
mod range;
mod reply;
pub mod request;
mod signed;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::layout::{self, Key};
use crate::media::{AssetId, AssetState, RenditionSummary};
use crate::queue::Queue;
use crate::queue::demand::Wanted;
use crate::telemetry::{Class, DemandOutcome, Metrics, Refused};
use cache::{Body, Cache, Coding, Object};
use carry::{Carried, carry};
use clients::Clients;
use conditions::{Outcome, Validators, evaluate};
use gate::{Admission, Gate};
use path::{Deliverable, decoded, deliverable, encoded};
use profile::Profile;
use range::Selection;
use reply::Lines;
pub use reply::Reply;
use request::{Method, Refusal, Request};

/// How long a request waits for a segment that is being made. CDNs give up after 30 s.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long caches may keep that an asset isn't there.
const UNKNOWN_ASSET: &str = "public, max-age=10";
/// How long caches may keep that an object of an asset isn't there: it may be made meanwhile.
const MISSING: &str = "public, max-age=1";

/// How delivery meets those who ask.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who is let in.
    pub gate: gate::Options,
    /// How often one client may ask.
    pub clients: clients::Options,
    /// Proxies in front that are trusted to say whom they ask for.
    pub trusted_hops: u8,
    /// Whether `CloudFront-Viewer-Address` says who asks: only where nobody else reaches us.
    pub believes_viewer_address: bool,
    /// The CDN whose headers are spoken.
    pub profile: Profile,
    /// Origins of web pages that may have signed answers with cookies, for example
    /// `https://app.example.com`.
    pub allowed_origins: Vec<String>,
}

/// What is delivered, and who makes what isn't there yet. Clones share everything.
#[derive(Debug, Clone)]
pub struct Origin(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cache: Cache,
    gate: Gate,
    clients: Clients,
    trusted_hops: u8,
    believes_viewer_address: bool,
    profile: Profile,
    allowed_origins: Vec<String>,
    clock: Clock,
    metrics: Metrics,
    /// The catalog of what is planned and the queue that makes it; without them only what is
    /// stored is delivered.
    making: Option<Making>,
}

/// Makes what is planned and not there yet.
#[derive(Debug)]
pub struct Making {
    /// What is planned.
    pub catalog: Catalog,
    /// Who makes it.
    pub queue: Queue,
    /// How long a request waits for it.
    pub patience: Duration,
}

impl Origin {
    /// Delivers what the store behind `cache` holds, and has made what `making` knows to be
    /// planned.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for access rules that contradict themselves.
    pub fn new(
        cache: Cache,
        options: &Options,
        making: Option<Making>,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            cache,
            gate: Gate::new(&options.gate)?,
            clients: Clients::new(options.clients),
            trusted_hops: options.trusted_hops,
            believes_viewer_address: options.believes_viewer_address,
            profile: options.profile,
            allowed_origins: options.allowed_origins.clone(),
            clock,
            metrics,
            making,
        })))
    }

    /// The cache in front of the store.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// Where its requests are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Whether a request for `path`, as received, is one for an object, there or not.
    pub fn delivers(&self, path: &str) -> bool {
        path.starts_with("/v/") || decoded(path).is_some_and(|path| deliverable(&path).is_some())
    }

    /// The answer to a request.
    pub async fn answer(&self, request: &Request<'_>) -> Reply {
        let path = decoded(request.path);
        let admission = match self.0.admit(request, path.as_deref().unwrap_or_default()) {
            Ok(admission) => admission,
            Err(refusal) => return Reply::refused(&refusal),
        };
        let look = self.0.look(request, path.as_deref(), &admission);
        match request.method {
            Method::Get => look.await,
            Method::Head => look.await.without_body(),
            Method::Options => Reply::preflight(),
            Method::Other => Reply::method_not_allowed(),
        }
    }
}

impl Shared {
    fn admit(&self, request: &Request<'_>, path: &str) -> Result<Admission, Refusal> {
        let client = self.client(request);
        if let Err(refusal) = self.clients.admit(client) {
            self.metrics.refused(Refused::Rate);
            return Err(refusal);
        }
        let now = u64::try_from(self.clock.now_millis() / 1000).unwrap_or(0);
        let admission = self.gate.admit(request, path, client, now);
        if let Err(refusal) = &admission {
            self.metrics.refused(match refusal.status {
                421 => Refused::Host,
                _ => Refused::Lock,
            });
        }
        admission
    }

    /// Who asks, behind the proxies in front.
    fn client(&self, request: &Request<'_>) -> IpAddr {
        let viewer = match self.believes_viewer_address {
            true => clients::viewer_address(request),
            false => None,
        };
        viewer.unwrap_or_else(|| clients::client_address(request, self.trusted_hops))
    }

    async fn look(
        &self,
        request: &Request<'_>,
        path: Option<&str>,
        admission: &Admission,
    ) -> Reply {
        // What is held was found under its path before, and needs no reading of it.
        if let Some(object) = path.and_then(|path| self.cache.ready(path)) {
            return self.answer_about(request, &object, admission);
        }
        let Some(wanted) = path.and_then(deliverable) else {
            return not_found(UNKNOWN_ASSET);
        };
        match self.find_or_make(&wanted).await {
            Ok(Found::Object(object)) => self.answer_about(request, &object, admission),
            Ok(Found::Nothing) => not_found(self.rule_for_missing(&wanted).await),
            Ok(Found::BeingMade) => being_made(),
            Err(e) if e.kind() == ErrorKind::NotFound => not_found(MISSING),
            Err(_) => unavailable(),
        }
    }

    async fn find_or_make(&self, wanted: &Deliverable) -> Result<Found> {
        if let Some(object) = self.find(wanted).await? {
            return Ok(Found::Object(object));
        }
        let Some(making) = &self.making else {
            return Ok(Found::Nothing);
        };
        let Some(segment) = making.planned(wanted).await? else {
            return Ok(Found::Nothing);
        };
        let object = format!("{}{}", wanted.folder, wanted.key);
        let store = self.cache.store();
        let is_stored = || async { Ok(store.size(&object).await?.is_some()) };
        let since = Instant::now();
        let made = making
            .queue
            .demand(&segment, making.patience, is_stored)
            .await;
        let outcome = match made {
            Ok(true) => DemandOutcome::Made,
            Ok(false) => DemandOutcome::Late,
            Err(_) => DemandOutcome::Failed,
        };
        let waited = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.metrics.demand_waited(outcome, waited);
        if !made? {
            return Ok(Found::BeingMade);
        }
        self.cache.forget_absence(&object);
        Ok(match self.find(wanted).await? {
            Some(object) => Found::Object(object),
            // Removed again meanwhile.
            None => Found::Nothing,
        })
    }

    async fn find(&self, wanted: &Deliverable) -> Result<Option<Arc<Object>>> {
        let path = format!("{}{}", wanted.folder, wanted.key);
        self.cache.object(&path, &wanted.key).await
    }

    /// How long caches may keep that `wanted` isn't there.
    async fn rule_for_missing(&self, wanted: &Deliverable) -> &'static str {
        if let Some(making) = &self.making
            && let Some(id) = asset_id(&wanted.folder)
            && !matches!(making.catalog.asset(&id).await, Ok(None))
        {
            return MISSING;
        }
        let entry = Deliverable {
            folder: wanted.folder.clone(),
            key: Key::EntryHls,
        };
        match self.find(&entry).await {
            Ok(None) => UNKNOWN_ASSET,
            _ => MISSING,
        }
    }

    /// The answer about an object that is there: of its representations the one the asker likes
    /// best.
    fn answer_about(
        &self,
        request: &Request<'_>,
        object: &Arc<Object>,
        admission: &Admission,
    ) -> Reply {
        let carried = admission.carried.as_deref();
        if let Some(reply) = carried.and_then(|query| self.carrying(request, object, query)) {
            return reply;
        }
        let coding = match reply::is_text(object.key.kind()) {
            true => coding::preferred(request.all("accept-encoding")),
            false => None,
        };
        let encoded = coding.and_then(|coding| Some((coding, object.encoded(coding)?)));
        let representation = match encoded {
            None => Representation {
                etag: &object.etag,
                coding: None,
                length: object.length,
                head: object.head(),
            },
            Some((coding, encoded)) => Representation {
                etag: &encoded.etag,
                coding: Some(coding),
                length: encoded.bytes.len() as u64,
                head: &encoded.head,
            },
        };
        let validators = Validators {
            etag: representation.etag,
            modified: object.modified,
        };
        let has_ranges = representation.coding.is_none();
        let outcome = evaluate(request, validators, representation.length, has_ranges);
        let lines = match admission.is_signed {
            true => self.lines(object, &representation, self.page(request), true),
            false => {
                let render = || self.lines(object, &representation, None, false);
                representation.head.get_or_init(render).clone()
            }
        };
        let reply = match outcome {
            Outcome::NotModified => Reply::not_modified(&lines),
            Outcome::PreconditionFailed => {
                Reply::problem(412, "no-store", "the object is not in the state asked for")
            }
            Outcome::Send(selection) => Reply::content(
                lines,
                selection,
                representation.length,
                |range| match encoded {
                    Some((_, encoded)) => Body::Bytes(encoded.bytes.clone()),
                    None => object.body(range),
                },
            ),
        };
        reply.of(class(&object.key))
    }

    /// A manifest whose URLs have the query that this one was asked with; `None` for what is none.
    fn carrying(&self, request: &Request<'_>, object: &Arc<Object>, query: &str) -> Option<Reply> {
        let kind = object.key.kind();
        let Body::Bytes(stored) = object.body(0..object.length) else {
            return None;
        };
        let bytes = Bytes::from(carry(&stored, kind, query)?.bytes);
        let lines = Lines {
            kind,
            coding: None,
            cache: Carried::CACHE_CONTROL,
            validators: None,
            extra: &[],
            page: self.page(request),
        };
        let length = bytes.len() as u64;
        let whole = |_| Body::Bytes(bytes);
        let reply = Reply::content(lines.render(), Selection::Whole, length, whole);
        Some(reply.of(class(&object.key)))
    }

    fn lines(
        &self,
        object: &Object,
        representation: &Representation<'_>,
        page: Option<&str>,
        is_signed: bool,
    ) -> Bytes {
        let rule = object.key.cache_control();
        // Shared caches must not give it to who did not show a signature.
        let cache = match is_signed {
            true => &*rule.replace("public", "private"),
            false => rule,
        };
        let tags = layout::cache_tags(asset_name(object), &object.key);
        let lines = Lines {
            kind: object.key.kind(),
            coding: representation.coding.map(name),
            cache,
            validators: Some(Validators {
                etag: representation.etag,
                modified: object.modified,
            }),
            extra: &self.profile.lines(&tags, cache),
            page,
        };
        lines.render()
    }

    /// The web page that asks, if it may have answers with cookies.
    fn page<'a>(&self, request: &Request<'a>) -> Option<&'a str> {
        let page = request.field("origin")?;
        let mut allowed = self.allowed_origins.iter();
        allowed.any(|origin| origin == page).then_some(page)
    }
}

/// An object in one of its forms.
struct Representation<'o> {
    etag: &'o str,
    coding: Option<Coding>,
    length: u64,
    /// The header lines, once somebody asked for it.
    head: &'o OnceLock<Bytes>,
}

/// The name of a content coding (RFC 9110 section 8.4.1).
fn name(coding: Coding) -> &'static str {
    match coding {
        Coding::Gzip => "gzip",
        Coding::Brotli => "br",
    }
}

/// The name of the asset that an object belongs to: the folder that it lies in.
fn asset_name(object: &Object) -> Option<&str> {
    let folder = object.location().strip_suffix(&object.key.to_string())?;
    let name = folder.trim_end_matches('/').rsplit('/').next()?;
    (!name.is_empty()).then_some(name)
}

/// What an object is, for the metrics.
fn class(key: &Key) -> Class {
    match key {
        Key::EntryHls | Key::EntryDash => Class::Entry,
        Key::EntryPoster => Class::Poster,
        Key::Init { .. } => Class::Init,
        Key::Segment { .. } => Class::Segment,
        Key::TextSegment { .. } | Key::WholeText { .. } => Class::Text,
        Key::Multivariant { .. }
        | Key::Mpd { .. }
        | Key::MediaPlaylist { .. }
        | Key::TextPlaylist { .. } => Class::Manifest,
        Key::Record | Key::Private { .. } => Class::Other,
    }
}

/// What came of looking for an object.
enum Found {
    Object(Arc<Object>),
    Nothing,
    /// It is planned, and isn't there within the time.
    BeingMade,
}

fn asset_id(folder: &str) -> Option<AssetId> {
    let id = folder.strip_prefix("v/")?.strip_suffix('/')?;
    AssetId::parse(id).ok()
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
        let Some(id) = asset_id(&wanted.folder) else {
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

fn not_found(cache: &str) -> Reply {
    Reply::problem(404, cache, "there is no such object")
}

/// A segment that takes longer than a request may: come back soon.
fn being_made() -> Reply {
    let mut reply = Reply::problem(503, "no-store", "the segment is being made; ask again");
    reply.add(format_args!("Retry-After: 1"));
    reply
}

fn unavailable() -> Reply {
    let mut reply = Reply::problem(503, "no-store", "this can't be had now; try again");
    reply.add(format_args!("Retry-After: 2"));
    reply
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
        if name == layout::HLS_NAME {
            found.push(encoded(&format!("{prefix}{name}")));
        } else if depth > 0 && !name.starts_with('.') && !layout::is_revision(&name) {
            find_entries(&entry.path(), &format!("{prefix}{name}/"), depth - 1, found);
        }
    }
}
