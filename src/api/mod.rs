//! The REST API under `/api/v1`: assets, their events and captions, keys, dead tasks,
//! webhooks, and the description of all of it (`openapi.json`). Mounts what `ingest` takes in, too.
//!
//! Handlers only translate: they parse what a request says, call one thing below, and answer in
//! JSON or with a [`Problem`]. What assets are removed and captioned by is told to them as
//! [`Removal`] and [`Captions`].

mod assets;
mod events;
mod keys;
mod openapi;
mod tasks;
#[cfg(test)]
mod tests;
mod text;
pub mod webhooks;

use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, HttpResponseBuilder, Resource, Route, guard, web};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::access::{self, API_PREFIX};
use crate::catalog::Caption;
use crate::error::Result;
use crate::ingest;
use crate::media::{AssetId, LanguageTag, TextKind};
use crate::problem::{self, Problem, only};

pub use events::Streams;
pub use webhooks::Webhooks;

/// Removes assets.
pub trait Removal: Send + Sync {
    /// Removes an asset with everything that was made of it; `false` if there is none.
    fn remove<'a>(&'a self, asset: &'a AssetId) -> BoxFuture<'a, Result<bool>>;
}

/// A text track that somebody sent.
#[derive(Debug, Clone)]
pub struct NewText {
    /// Its language.
    pub language: LanguageTag,
    /// Name shown to people; `None` for the language's own name.
    pub name: Option<String>,
    /// What it is for.
    pub kind: TextKind,
    /// WebVTT or SRT.
    pub body: Bytes,
}

/// A text track that was added.
#[derive(Debug, Clone)]
pub struct AddedText {
    /// The track.
    pub caption: Caption,
    /// What of the text was left out or guessed, in words.
    pub warnings: Vec<String>,
}

/// Adds and removes text tracks of assets.
pub trait Captions: Send + Sync {
    /// Adds a text track in the place of the one of the same language and kind.
    fn add<'a>(&'a self, asset: &'a AssetId, text: NewText) -> BoxFuture<'a, Result<AddedText>>;

    /// Removes a text track; `false` if there is none of that id.
    fn remove<'a>(&'a self, asset: &'a AssetId, caption: &'a str) -> BoxFuture<'a, Result<bool>>;
}

/// Mounts the API. Takes from `web::Data`: `Catalog`, `Queue`, `Access`, `Ingest`, [`Streams`],
/// [`Webhooks`], `dyn Removal`, `dyn Captions`.
pub fn routes(config: &mut web::ServiceConfig) {
    let api = web::scope(API_PREFIX)
        .wrap(from_fn(access::guard))
        .configure(problem::configure)
        .configure(resources)
        .default_service(web::to(problem::no_such_resource));
    config.service(api);
}

fn resources(config: &mut web::ServiceConfig) {
    config
        .configure(assets::routes)
        .configure(events::routes)
        .configure(text::routes)
        .configure(ingest::tus::routes)
        .configure(keys::routes)
        .configure(tasks::routes)
        .configure(webhooks::routes)
        .configure(openapi::routes);
}

/// GET, and HEAD as GET without the body (RFC 9110 section 9.3.2).
fn looking() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A resource with only GET and HEAD.
fn read_only(resource: Resource) -> Resource {
    only(resource, "GET, HEAD")
}

/// An answer that no cache keeps.
fn fresh(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((header::CACHE_CONTROL, crate::layout::PRIVATE));
    response
}

fn nothing() -> HttpResponse {
    fresh(HttpResponse::NoContent()).finish()
}

fn no_such_asset() -> Problem {
    Problem::not_found("asset")
}
