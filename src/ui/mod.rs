//! The pages of the server, embedded in the program: `/` (uploads and library), `/watch/{id}`
//! (the player), and what they are made of.
//!
//! A page is the same for everyone and holds no data: its scripts ask the API. So nothing here
//! reads the catalog, and a page needs no key. The scripts, styles and the player lie under
//! `/ui/{digest of all of them}/`: that URL changes when one of them does, and may be cached for
//! ever. The pages themselves are revalidated each time, by ETag.

mod files;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use url::Url;

use crate::error::{Error, Result};
use crate::media::AssetId;

/// What the pages must know of the server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    media: Option<Media>,
}

/// Where streams are played from, if not from where the pages are.
#[derive(Debug, Clone)]
struct Media {
    /// Scheme, host and port.
    origin: String,
    /// The URL that `/v/` follows on.
    base: String,
}

impl Options {
    /// Options for a server whose streams are played from `public_url`, for example
    /// `https://media.example.com/`, rather than from where the pages are.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Invalid`] for what is no http(s) URL.
    pub fn with_media_at(public_url: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "the public URL {public_url:?} is no http or https URL"
            ))
        };
        let url = Url::parse(public_url).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        // A serialized origin is a scheme, a host and a port: nothing that could end a CSP
        // directive or an attribute.
        Ok(Self {
            media: Some(Media {
                origin: url.origin().ascii_serialization(),
                base: url.as_str().trim_end_matches('/').to_owned(),
            }),
        })
    }

    /// Scheme, host and port that streams are played from, if not from where the pages are.
    fn media_origin(&self) -> Option<&str> {
        self.media.as_ref().map(|media| media.origin.as_str())
    }

    /// What the URLs of streams begin with; empty where that is the pages' own origin.
    fn media_base(&self) -> &str {
        self.media.as_ref().map_or("", |media| &media.base)
    }
}

/// Adds the pages. Takes [`Options`] from `web::Data`, or their default.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/").to(library_page))
        .service(web::resource("/watch/{id}").to(watch_page))
        .service(web::resource("/ui/{digest}/{file}").to(file));
}

#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn library_page(request: HttpRequest) -> HttpResponse {
    page(&request, StatusCode::OK, files::LIBRARY, Framing::Own)
}

/// Also for an id that no asset has: the page asks, and says so.
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn watch_page(request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    if AssetId::parse(&id).is_err() {
        return page(
            &request,
            StatusCode::NOT_FOUND,
            files::MISSING,
            Framing::Own,
        );
    }
    if is_embedded(request.query_string()) {
        return page(&request, StatusCode::OK, files::EMBED, Framing::Any);
    }
    page(&request, StatusCode::OK, files::WATCH, Framing::Own)
}

/// A file under the digest of this version. Under another digest there is nothing: a page of
/// another version would get scripts that don't belong to it.
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn file(request: HttpRequest, place: web::Path<(String, String)>) -> HttpResponse {
    if let Some(refusal) = refused_method(request.method()) {
        return refusal;
    }
    let (digest, name) = place.into_inner();
    let found = files::named(&name).filter(|_| digest == files::digest());
    let Some(found) = found else {
        return missing_file();
    };
    let etag = format!("\"{digest}\"");
    let cache = "public, max-age=31536000, immutable";
    if matches_etag(&request, &etag) {
        return start(StatusCode::NOT_MODIFIED, cache, &etag).finish();
    }
    start(StatusCode::OK, cache, &etag)
        .content_type(found.media_type)
        .body(found.bytes)
}

/// Who may show a page in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Pages of the same origin.
    Own,
    /// Any page: the embedded player has no buttons that change anything.
    Any,
}

fn page(
    request: &HttpRequest,
    status: StatusCode,
    template: &str,
    framing: Framing,
) -> HttpResponse {
    if let Some(refusal) = refused_method(request.method()) {
        return refusal;
    }
    let options = request.app_data::<web::Data<Options>>();
    let media_origin = options.and_then(|options| options.media_origin());
    let html = files::filled(template, options.map_or("", |options| options.media_base()));
    let etag = format!("\"{}\"", blake3::hash(html.as_bytes()).to_hex());
    let policy = content_security_policy(media_origin, framing);
    let matches = status == StatusCode::OK && matches_etag(request, &etag);
    let status = if matches {
        StatusCode::NOT_MODIFIED
    } else {
        status
    };
    let mut response = start(status, "no-cache", &etag);
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::REFERRER_POLICY, "same-origin"));
    if matches {
        return response.finish();
    }
    response.content_type("text/html; charset=utf-8").body(html)
}

/// Everything from here, streams also from where they are delivered, nothing inline. hls.js hands
/// a video its bytes as `blob:` and its empty caption tracks as `data:` URLs.
fn content_security_policy(media_origin: Option<&str>, framing: Framing) -> String {
    let media = media_origin.map_or_else(String::new, |origin| format!(" {origin}"));
    let ancestors = match framing {
        Framing::Own => "'self'",
        Framing::Any => "*",
    };
    format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; worker-src 'self'; \
         connect-src 'self'{media}; media-src 'self' blob: data:{media}; img-src 'self'{media}; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    )
}

fn is_embedded(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some("embed"))
}

fn start(status: StatusCode, cache: &'static str, etag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::ETAG, etag))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response
}

/// Weak comparison, as `If-None-Match` wants it (RFC 9110, section 13.1.2).
fn matches_etag(request: &HttpRequest, etag: &str) -> bool {
    let tags = request.headers().get_all(header::IF_NONE_MATCH);
    tags.filter_map(|tags: &HeaderValue| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .map(|tag| tag.trim())
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn refused_method(method: &Method) -> Option<HttpResponse> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let refusal = HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, "GET, HEAD"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish();
    Some(refusal)
}

fn missing_file() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .content_type("text/plain; charset=utf-8")
        .body("there is no such file in this version of the pages\n")
}

#[cfg(test)]
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a test on one thread; its types are not Send"
)]
mod tests;
