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
mod clear_key;
pub mod clients;
mod coding;
mod conditions;
pub(crate) mod file;
pub mod gate;
mod keys;
mod license_urls;
mod making;
pub mod over_actix;
mod path;
pub mod profile;
mod range;
mod reply;
mod representation;
pub mod request;
mod signed;
mod telling;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::asset_view::BaseUrl;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::keys::KeySource;
use crate::layout::{self, Key};
use crate::telemetry::{AccessLog, Metrics, Refused, Source};
use cache::{Body, Cache, Object};
use clients::Clients;
use gate::{Admission, Gate};
pub use keys::LICENSE_BYTES_MAX;
use making::Found;
pub use making::Making;
use path::{Deliverable, decoded, deliverable, encoded};
use profile::Profile;
pub use reply::Reply;
use request::{Method, Refusal, Request};
pub use telling::Told;

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
    /// Whether objects say in `CMSD-Static` what they are.
    pub says_cmsd: bool,
    /// Where content keys come from; without, nobody gets one here.
    pub keys: Option<KeySource>,
    /// What clients' URLs begin with, for players that have to be told whole ones.
    pub public_url: Option<BaseUrl>,
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
    says_cmsd: bool,
    keys: Option<KeySource>,
    packaged: keys::Packaged,
    public_url: Option<BaseUrl>,
    clock: Clock,
    metrics: Metrics,
    access_log: Option<AccessLog>,
    /// The catalog of what is planned and the queue that makes it; without them only what is
    /// stored is delivered.
    making: Option<Making>,
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
        access_log: Option<AccessLog>,
        clock: Clock,
    ) -> Result<Self> {
        let counted = cache.clone();
        metrics.register(move || counted.counters().samples());
        Ok(Self(Arc::new(Shared {
            cache,
            gate: Gate::new(&options.gate)?,
            clients: Clients::new(options.clients),
            trusted_hops: options.trusted_hops,
            believes_viewer_address: options.believes_viewer_address,
            profile: options.profile,
            allowed_origins: options.allowed_origins.clone(),
            says_cmsd: options.says_cmsd,
            keys: options.keys.clone(),
            packaged: keys::packaged(),
            public_url: options.public_url.clone(),
            clock,
            metrics,
            access_log,
            making,
        })))
    }

    /// Whether it can deliver what it does not hold.
    ///
    /// # Errors
    /// What is not as it should be.
    pub async fn is_ready(&self) -> Result<()> {
        self.0.cache.is_ready().await
    }

    /// Where its requests are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Whether a request for `path`, as received, is one for an object, there or not.
    pub fn delivers(&self, path: &str) -> bool {
        path.starts_with("/v/") || decoded(path).is_some_and(|path| deliverable(&path).is_some())
    }

    /// The answer to a request; without a body to HEAD, whatever it is: what follows the head would
    /// be taken for the next answer. The first piece of a body is there: a store that fails before
    /// it is told by the status.
    pub async fn answer(&self, request: &Request<'_>) -> Reply {
        let mut reply = self.0.answer(request).await;
        if request.method == Method::Head {
            reply = reply.without_body();
        }
        if let Body::Pieces(pieces) = &mut reply.body
            && pieces.begin().await.is_err()
        {
            reply = unavailable();
        }
        reply.for_page(self.0.page(request))
    }
}

impl Shared {
    async fn answer(&self, request: &Request<'_>) -> Reply {
        let path = decoded(request.path);
        let admission = match self.admit(request, path.as_deref().unwrap_or_default()) {
            Ok(admission) => admission,
            Err(refusal) => return Reply::refused(&refusal),
        };
        if let Some((folder, name)) = path.as_deref().and_then(keys::named) {
            return self.key(request.method, folder, name).await;
        }
        match request.method {
            Method::Get | Method::Head => self.look(request, path.as_deref(), &admission).await,
            Method::Options => Reply::preflight(),
            Method::Post | Method::Other => Reply::method_not_allowed(),
        }
    }

    fn admit(&self, request: &Request<'_>, path: &str) -> Result<Admission, Refusal> {
        let client = self.client(request);
        if let Err(refusal) = self.clients.admit(client) {
            self.metrics.refused(Refused::Rate);
            return Err(refusal);
        }
        let now = self.now_seconds();
        let admission = self.gate.admit(request, path, client, now);
        if let Err(refusal) = &admission {
            self.metrics.refused(match refusal.status {
                421 => Refused::Host,
                _ => Refused::Lock,
            });
        }
        admission
    }

    /// Seconds since 1970.
    fn now_seconds(&self) -> u64 {
        u64::try_from(self.clock.now_millis() / 1000).unwrap_or(0)
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
            return self
                .answer_about(request, &object, admission)
                .from(Source::Hit);
        }
        let Some(wanted) = path.and_then(deliverable) else {
            return not_found(UNKNOWN_ASSET);
        };
        match self.find_or_make(&wanted).await {
            Ok(Found::Object(object)) => self
                .answer_about(request, &object, admission)
                .from(Source::Miss),
            Ok(Found::Nothing) => not_found(self.rule_for_missing(&wanted).await),
            Ok(Found::BeingMade) => being_made(),
            Err(e) if e.kind() == ErrorKind::NotFound => not_found(MISSING),
            Err(_) => unavailable(),
        }
    }

    async fn find(&self, wanted: &Deliverable) -> Result<Option<Arc<Object>>> {
        let path = format!("{}{}", wanted.folder, wanted.key);
        self.cache.object(&path, &wanted.key).await
    }

    /// How long caches may keep that `wanted` isn't there.
    async fn rule_for_missing(&self, wanted: &Deliverable) -> &'static str {
        if let Some(Making { catalog, .. }) = &self.making
            && let Some(id) = making::asset_id(&wanted.folder)
            && !matches!(catalog.asset(&id).await, Ok(None))
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
