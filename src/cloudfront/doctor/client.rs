//! Sends requests and keeps the answers as they come: nothing is followed, decoded or retried.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::blocking::{Client as Http, ClientBuilder, Response};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::tls::{TlsInfo, Version};
use reqwest::{Method, Url};

use super::answer::{Answer, Outcome};
use super::evidence::Tls;
use crate::error::{Error, Result};
use crate::tls;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes that are read of an answer; a segment is smaller.
const BODY_BYTES: u64 = 128 << 20;
/// Redirects followed from the URL that was given.
const REDIRECTS: usize = 5;

/// Header fields of a request.
pub(super) type Fields = Vec<(String, String)>;

/// Sends requests to one place.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    /// Sent with every request.
    fields: Fields,
}

impl Client {
    /// A client that sends `fields` with every request.
    ///
    /// # Errors
    /// Invalid for what can't be a header field.
    pub(super) fn new(fields: &[(String, String)]) -> Result<Self> {
        header_map(fields)?;
        Ok(Self {
            http: build(builder())?,
            fields: fields.to_vec(),
        })
    }

    /// Asks for an object with `fields` beside those of every request.
    pub(super) fn get(&self, url: &Url, fields: &[(&str, &str)]) -> Outcome {
        self.send(Method::GET, url, fields)
    }

    /// Asks for an object's header only.
    pub(super) fn head(&self, url: &Url) -> Outcome {
        self.send(Method::HEAD, url, &[])
    }

    /// Asks as a browser does before a script may.
    pub(super) fn options(&self, url: &Url, fields: &[(&str, &str)]) -> Outcome {
        self.send(Method::OPTIONS, url, fields)
    }

    fn send(&self, method: Method, url: &Url, fields: &[(&str, &str)]) -> Outcome {
        let more = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let all: Fields = self.fields.iter().cloned().chain(more).collect();
        let headers = header_map(&all).map_err(|e| e.to_string())?;
        let request = self.http.request(method, url.clone()).headers(headers);
        let response = request.send().map_err(|e| innermost(&e))?;
        answer(response)
    }

    /// The URL that a URL leads to, and its answer.
    pub(super) fn follow(&self, url: Url) -> Result<(Url, Answer), String> {
        let mut url = url;
        for _ in 0..REDIRECTS {
            let answer = self.get(&url, &[])?;
            let location = answer
                .field(LOCATION.as_str())
                .filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308));
            match location.map(|location| url.join(location)) {
                Some(Ok(next)) => url = next,
                _ => return Ok((url, answer)),
            }
        }
        Err(format!("{url}: more than {REDIRECTS} redirects"))
    }
}

fn builder() -> ClientBuilder {
    Http::builder()
        .redirect(Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(None)
        .tls_info(true)
        .user_agent(concat!("headwater-doctor/", env!("CARGO_PKG_VERSION")))
}

fn build(builder: ClientBuilder) -> Result<Http> {
    builder
        .build()
        .map_err(|e| Error::internal("no HTTP client").with_source(e))
}

fn header_map(fields: &[(String, String)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let field = HeaderName::try_from(name).ok();
        let (Some(field), Ok(value)) = (field, HeaderValue::try_from(value)) else {
            // The value may be a secret.
            return Err(Error::invalid(format!("{name}: not a header field")));
        };
        map.append(field, value);
    }
    Ok(map)
}

fn answer(response: Response) -> Outcome {
    let status = response.status().as_u16();
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    let fields = response.headers().iter().map(field).collect();
    let mut body = Vec::new();
    let read = response.take(BODY_BYTES).read_to_end(&mut body);
    read.map_err(|e| format!("status {status}, but the body broke off: {}", innermost(&e)))?;
    Ok(Answer {
        status,
        fields,
        body: Bytes::from(body),
    })
}

/// The outer error says only that there is one; the inmost says which.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What TLS a host speaks; `None` without TLS.
pub(super) fn tls(url: &Url) -> Option<Tls> {
    if url.scheme() != "https" {
        return None;
    }
    let asked = |version: Version| {
        let only = builder().tls_version_min(version).tls_version_max(version);
        only.build().ok()?.head(url.clone()).send().ok()
    };
    let (older, newer) = (asked(Version::TLS_1_2), asked(Version::TLS_1_3));
    let not_after = [&newer, &older]
        .into_iter()
        .find_map(|response| certificate_end(response.as_ref()?));
    Some(Tls {
        has_1_2: older.is_some(),
        has_1_3: newer.is_some(),
        not_after,
    })
}

fn certificate_end(response: &Response) -> Option<i64> {
    let info = response.extensions().get::<TlsInfo>()?;
    tls::validity(info.peer_certificate()?).map(|(_, not_after)| not_after)
}

/// Counts how often a host is looked up, which is once for each connection to it.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Resolve for Counting {
    fn resolve(&self, name: Name) -> Resolving {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether a connection serves a second request, with `fields`, after it was idle for that long.
/// `None` where that can't be seen: the host is an address, or a request isn't answered well (a
/// server may close the connection after a refusal).
pub(super) fn keeps_idle(url: &Url, fields: &[(String, String)], idle: Duration) -> Option<bool> {
    url.domain()?;
    let lookups = Arc::new(AtomicUsize::new(0));
    let resolver = Arc::new(Counting(Arc::clone(&lookups)));
    let headers = header_map(fields).ok()?;
    let builder = builder().dns_resolver(resolver).default_headers(headers);
    let http = builder.build().ok()?;
    let ask = || {
        let answer = answer(http.head(url.clone()).send().ok()?).ok()?;
        (answer.status == 200).then_some(())
    };
    ask()?;
    let before = lookups.load(Ordering::Relaxed);
    std::thread::sleep(idle);
    ask()?;
    Some(lookups.load(Ordering::Relaxed) == before)
}
