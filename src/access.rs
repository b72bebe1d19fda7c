//! Who may use the API. A request shows its key as `Authorization: Bearer ...` or `X-Api-Key: ...`;
//! the key's scopes say what it is good for. On a listener that only this machine reaches, and
//! without any key, the API is open; then pages of other sites, which a browser on this machine
//! may show, are kept out by what they can't forge: `Origin` (cross-site requests) and `Host` (names
//! rebound to this machine).
//!
//! Keys are kept and compared as hashes (see `catalog`), so a lookup tells nothing by its time.
//! Not here: who may watch. Delivery is public.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use crate::asset_view::BaseUrl;
use crate::catalog::{Catalog, NewKey, Scope};
use crate::error::{Error, Result};
use crate::problem::Problem;

/// Where the API is.
pub const API_PREFIX: &str = "/api/v1";

const ALLOWED_METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST";
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, \
    Tus-Resumable, Upload-Checksum, Upload-Length, Upload-Metadata, Upload-Offset, X-Api-Key";
const EXPOSED_HEADERS: &str = "Headwater-Asset, Idempotent-Replayed, Location, Retry-After, \
    Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, \
    Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset";

/// Who gets in.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Everything is allowed without a key: for a loopback listener where no key was made.
    pub open: bool,
    /// Names of this server besides `localhost`, without ports: only these get in while it is open.
    pub hosts: Vec<String>,
    /// Origins whose pages may use the API from a browser, like `https://app.example.org`.
    pub allowed_origins: Vec<String>,
    /// Where the outside finds this server; by default where the request did.
    pub public_url: Option<BaseUrl>,
    /// Whether this server speaks TLS.
    pub is_secure: bool,
}

/// Decides who gets in. Clones share everything.
#[derive(Debug, Clone)]
pub struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    options: Options,
}

/// Whose request it is; kept with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's id; `None` where none is needed.
    pub key: Option<String>,
}

impl Access {
    /// Access by the keys in `catalog`.
    pub fn new(catalog: Catalog, options: Options) -> Self {
        Self(Arc::new(Shared { catalog, options }))
    }

    /// Where this server is for whoever sent `request`.
    pub fn base_url(request: &HttpRequest) -> BaseUrl {
        let options = of(request).map(|access| &access.0.options);
        let configured = options.and_then(|options| options.public_url.clone());
        let is_secure = options.is_some_and(|options| options.is_secure);
        let asked = || BaseUrl::from_host(host(request.head()).unwrap_or_default(), is_secure);
        configured.unwrap_or_else(asked)
    }

    /// A `Location`: relative to where the request went, unless it is configured where that is.
    pub fn location(request: &HttpRequest, path: &str) -> String {
        let configured = of(request).and_then(|access| access.0.options.public_url.as_ref());
        configured.map_or_else(|| path.to_owned(), |base| base.join(path))
    }

    /// Whether a request needs no key here.
    pub fn is_open(request: &HttpRequest) -> bool {
        of(request).is_some_and(|access| access.0.options.open)
    }

    async fn admit(&self, request: &ServiceRequest) -> Result<Caller, Problem> {
        let nobody = Caller { key: None };
        let path = request.path().strip_prefix(API_PREFIX);
        let Some(needed) = needed(request.method(), path.unwrap_or_default()) else {
            return Ok(nobody);
        };
        let headers = request.headers();
        if self.0.options.open {
            refuse_strangers(request.head(), &self.0.options)?;
            return Ok(nobody);
        }
        let Some(secret) = secret(headers) else {
            let detail = "send a key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`";
            return Err(Problem::unauthorized(detail));
        };
        let Some(key) = self.0.catalog.key_by_secret(secret).await? else {
            return Err(Problem::unauthorized("the key isn't known, or has expired"));
        };
        if !grants(&key.scopes, needed) {
            let word = scope_name(needed);
            let detail = format!("the key `{}` lacks the scope `{word}`", key.name);
            return Err(Problem::forbidden(detail));
        }
        Ok(Caller { key: Some(key.id) })
    }
}

/// Makes the first key, good for everything, where there is none yet; its secret, which nobody will
/// see again.
///
/// # Errors
/// What the catalog says.
pub async fn first_key(catalog: &Catalog) -> Result<Option<String>> {
    if catalog.has_keys().await? {
        return Ok(None);
    }
    let new = NewKey {
        name: "first".to_owned(),
        scopes: vec![Scope::Read, Scope::Write, Scope::Admin],
        expires_at_millis: None,
    };
    let created = catalog.create_key(&new).await?;
    Ok(Some(created.secret))
}

/// The middleware around the API: lets a request in with its [`Caller`], or answers 401 or 403.
///
/// # Errors
/// Those of the service inside.
pub async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> std::result::Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let Some(access) = of(request.request()).cloned() else {
        return Err(Problem::from(Error::internal("the API has no access rules")).into());
    };
    let origin = allowed_origin(request.headers(), &access.0.options);
    if origin.is_some() && is_preflight(&request) {
        let mut response = HttpResponse::NoContent().finish();
        allow_preflight(response.headers_mut());
        let response = request.into_response(response).map_into_right_body();
        return Ok(with_cors(response, origin, &access.0.options));
    }
    let response = match access.admit(&request).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.call(request).await?.map_into_left_body()
        }
        Err(problem) => {
            let refusal = HttpResponse::from_error(problem);
            request.into_response(refusal).map_into_right_body()
        }
    };
    Ok(with_cors(response, origin, &access.0.options))
}

fn of(request: &HttpRequest) -> Option<&Access> {
    let data = request.app_data::<web::Data<Access>>()?;
    Some(data)
}

/// The scope that a request needs; `None` for what anybody may know.
fn needed(method: &Method, path: &str) -> Option<Scope> {
    let resource = path.split('/').nth(1).unwrap_or_default();
    let looks = *method == Method::GET || *method == Method::HEAD;
    match resource {
        _ if *method == Method::OPTIONS => None,
        "openapi.json" if looks => None,
        "keys" | "tasks" | "webhooks" => Some(Scope::Admin),
        // Who uploads must be able to ask how far it came, and needn't see anything else.
        "uploads" => Some(Scope::Write),
        _ if looks => Some(Scope::Read),
        _ => Some(Scope::Write),
    }
}

fn grants(scopes: &[Scope], needed: Scope) -> bool {
    scopes.contains(&needed) || scopes.contains(&Scope::Admin)
}

/// A scope's word in the API.
pub fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Write => "write",
        Scope::Admin => "admin",
    }
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok())
}

/// The name that a request was sent to: its `Host`, or what HTTP/2 has in its place.
fn host(head: &RequestHead) -> Option<&str> {
    let field = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    field.or_else(|| head.uri.authority().map(|authority| authority.as_str()))
}

/// While the API is open, a browser must not lend it to the pages of others.
fn refuse_strangers(head: &RequestHead, options: &Options) -> Result<(), Problem> {
    let headers = &head.headers;
    let host = host(head).unwrap_or_default();
    if !is_own_name(host, options) {
        let detail = "this server is open to its own machine only, under names it knows; \
            use http://localhost, configure the name, or make a key";
        return Err(Problem::forbidden(detail));
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let same = origin.to_str().ok().and_then(|origin| {
        let named = origin
            .strip_prefix("http://")
            .or(origin.strip_prefix("https://"))?;
        Some(named.eq_ignore_ascii_case(host))
    });
    if same == Some(true) || allowed_origin(headers, options).is_some() {
        return Ok(());
    }
    let detail = "pages of other origins may not use this server; configure allowed_origins";
    Err(Problem::forbidden(detail))
}

/// Whether `host` (with or without a port) is this machine, or a name it was given.
fn is_own_name(host: &str, options: &Options) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let loopback = name
        .parse::<Ipv4Addr>()
        .is_ok_and(|address| address.is_loopback())
        || name
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback());
    let local = name == "localhost" || name.ends_with(".localhost");
    let public = options.public_url.as_ref().and_then(BaseUrl::host);
    let mut given = options.hosts.iter().chain(&public);
    loopback || local || given.any(|given| given.eq_ignore_ascii_case(&name))
}

fn allowed_origin(headers: &HeaderMap, options: &Options) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let mut allowed = options.allowed_origins.iter();
    let known = allowed.any(|allowed| {
        let allowed = allowed.trim_end_matches('/').as_bytes();
        origin.as_bytes().eq_ignore_ascii_case(allowed)
    });
    known.then(|| origin.clone())
}

fn is_preflight(request: &ServiceRequest) -> bool {
    let asks = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    *request.method() == Method::OPTIONS && asks
}

fn allow_preflight(headers: &mut HeaderMap) {
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Lets the pages of an allowed origin read the answer. Keys are sent by scripts, never by the
/// browser itself, so credentials need no permission.
fn with_cors<B>(
    mut response: ServiceResponse<B>,
    origin: Option<HeaderValue>,
    options: &Options,
) -> ServiceResponse<B> {
    let headers = response.headers_mut();
    if !options.allowed_origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn stranger(host: &str, origin: Option<&str>, options: &Options) -> bool {
        let mut request = TestRequest::get().insert_header((header::HOST, host));
        if let Some(origin) = origin {
            request = request.insert_header((header::ORIGIN, origin));
        }
        refuse_strangers(request.to_http_request().head(), options).is_err()
    }

    #[test]
    fn open_access_is_for_this_machine_under_its_own_names() {
        let options = Options {
            open: true,
            hosts: vec!["studio.example".to_owned()],
            ..Options::default()
        };
        for host in [
            "localhost",
            "localhost:8080",
            "LOCALHOST.:80",
            "app.localhost:1",
            "127.0.0.1:8080",
            "127.8.9.1",
            "[::1]:8080",
            "studio.example:80",
        ] {
            assert!(!stranger(host, None, &options), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "[::1",
        ] {
            let refused = stranger(host, None, &options);
            assert!(refused || host == "[::1", "{host}");
        }
    }

    #[test]
    fn open_access_is_not_lent_to_pages_of_others() {
        let options = Options {
            open: true,
            allowed_origins: vec!["https://app.example".to_owned()],
            ..Options::default()
        };
        let from = |origin| stranger("localhost:8080", Some(origin), &options);
        assert!(!from("http://localhost:8080"));
        assert!(!from("https://app.example"));
        for origin in [
            "null",
            "http://localhost:9090",
            "http://localhost",
            "https://evil.example",
            "http://localhost:8080.evil.example",
            "localhost:8080",
        ] {
            assert!(from(origin), "{origin}");
        }
    }

    #[test]
    fn each_request_needs_its_scope() {
        let table = [
            (Method::GET, "/assets", Some(Scope::Read)),
            (Method::HEAD, "/assets/x", Some(Scope::Read)),
            (Method::POST, "/assets", Some(Scope::Write)),
            (Method::DELETE, "/assets/x", Some(Scope::Write)),
            (Method::HEAD, "/uploads/x", Some(Scope::Write)),
            (Method::GET, "/keys", Some(Scope::Admin)),
            (Method::POST, "/tasks/1/retry", Some(Scope::Admin)),
            (Method::GET, "/webhooks", Some(Scope::Admin)),
            (Method::GET, "/nothing", Some(Scope::Read)),
            (Method::PUT, "/openapi.json", Some(Scope::Write)),
            (Method::GET, "/openapi.json", None),
            (Method::OPTIONS, "/uploads", None),
        ];
        for (method, path, expected) in table {
            assert_eq!(needed(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_key_is_shown_in_either_header() {
        let shown = |name: &str, value: &str| {
            let request = TestRequest::get().insert_header((name, value));
            secret(request.to_http_request().headers()).map(str::to_owned)
        };
        assert_eq!(
            shown("authorization", "Bearer hw_x").as_deref(),
            Some("hw_x")
        );
        assert_eq!(
            shown("authorization", "bearer  hw_x").as_deref(),
            Some("hw_x")
        );
        assert_eq!(shown("x-api-key", "hw_x").as_deref(), Some("hw_x"));
        assert_eq!(shown("authorization", "Basic hw_x"), None);
    }
}
