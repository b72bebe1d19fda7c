//! API keys: list, make, replace, remove. A secret is in one answer only, when it is made.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{fresh, looking, nothing};
use crate::access::{Access, scope_name};
use crate::catalog::{ApiKey, Catalog, CreatedKey, NewKey, Scope};
use crate::clock::rfc3339;
use crate::ingest::{Ingest, on_one_line};
use crate::problem::{Problem, only};

const NAME_CHARS_MAX: usize = 100;
/// As many as there are.
const SCOPES_MAX: usize = 3;
/// A century.
const LIFE_SECONDS_MAX: i64 = 100 * 366 * 24 * 3600;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let all = web::resource("/keys")
        .route(looking().to(list_keys))
        .route(web::post().to(create_key));
    let one = web::resource("/keys/{id}").route(web::delete().to(delete_key));
    let rotate = web::resource("/keys/{id}/rotate").route(web::post().to(rotate_key));
    config
        .service(only(all, "GET, HEAD, POST"))
        .service(only(one, "DELETE"))
        .service(only(rotate, "POST"));
}

/// What a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Scope)]
pub(super) enum ScopeWord {
    /// Look at assets.
    Read,
    /// Create, change and remove assets.
    Write,
    /// Everything, also keys, webhooks and the queue.
    Admin,
}

impl From<ScopeWord> for Scope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Read => Self::Read,
            ScopeWord::Write => Self::Write,
            ScopeWord::Admin => Self::Admin,
        }
    }
}

/// A key to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub(super) struct KeyOrder {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = "[^\\s\\x00-\\x1f\\x7f-\\x9f]"
    )]
    name: String,
    /// What it is good for.
    #[schema(min_items = 1, max_items = 3)]
    scopes: Vec<ScopeWord>,
    /// After how many seconds it expires; by default never.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3_162_240_000_u64)]
    expires_in_s: Option<i64>,
}

/// A key, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyView {
    /// Its name in URLs.
    id: String,
    /// What people call it.
    name: String,
    /// What it is good for: `read`, `write`, `admin`.
    scopes: Vec<&'static str>,
    /// When it was made (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it is good; null for ever.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    /// When it was used last, to the minute; null if never.
    #[schema(required = true, format = DateTime)]
    last_used_at: Option<String>,
    /// What a request shows. Only in the answer that makes the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// The keys there are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Keys)]
pub(super) struct KeyList {
    /// The oldest first.
    keys: Vec<KeyView>,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope_name(*scope)).collect(),
            created_at: rfc3339(key.created_at_millis),
            expires_at: key.expires_at_millis.map(rfc3339),
            last_used_at: key.last_used_at_millis.map(rfc3339),
            secret: None,
        }
    }
}

/// List keys
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "listKeys",
    tag = "keys",
    responses((status = 200, description = "All keys, the oldest first", body = KeyList)),
)]
pub(super) async fn list_keys(catalog: web::Data<Catalog>) -> Result<HttpResponse, Problem> {
    let keys = catalog.keys().await?;
    let keys = keys.iter().map(KeyView::from).collect();
    Ok(fresh(HttpResponse::Ok()).json(KeyList { keys }))
}

/// Make a key
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "createKey",
    tag = "keys",
    request_body = KeyOrder,
    responses((status = 201, description = "The key with its secret", body = KeyView)),
)]
pub(super) async fn create_key(
    request: HttpRequest,
    order: web::Json<KeyOrder>,
    catalog: web::Data<Catalog>,
    ingest: web::Data<Ingest>,
) -> Result<HttpResponse, Problem> {
    let new = parsed(order.into_inner(), ingest.now_millis())?;
    let created = catalog.create_key(&new).await?;
    Ok(shown(&request, &created))
}

/// Remove a key
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    operation_id = "deleteKey",
    tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "Gone; it is good for nothing any more")),
)]
pub(super) async fn delete_key(
    request: HttpRequest,
    id: web::Path<String>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    if !Access::is_open(&request) {
        let keys = catalog.keys().await?;
        let is_admin = |key: &&ApiKey| key.scopes.contains(&Scope::Admin);
        let mut admins = keys.iter().filter(is_admin);
        if admins.next().is_some_and(|key| key.id == *id) && admins.next().is_none() {
            let detail = "nobody could make keys without this one; make another admin key first";
            return Err(Problem::conflict(detail));
        }
    }
    match catalog.remove_key(&id).await? {
        true => Ok(nothing()),
        false => Err(no_such_key()),
    }
}

/// Replace a key
///
/// Makes a key like it, and removes it: what shows the old secret is shut out at once.
#[utoipa::path(
    post,
    path = "/keys/{id}/rotate",
    operation_id = "rotateKey",
    tag = "keys",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 201, description = "The new key with its secret", body = KeyView)),
)]
pub(super) async fn rotate_key(
    request: HttpRequest,
    id: web::Path<String>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let keys = catalog.keys().await?;
    let old = keys.into_iter().find(|key| key.id == *id);
    let old = old.ok_or_else(no_such_key)?;
    let new = NewKey {
        name: old.name,
        scopes: old.scopes,
        expires_at_millis: old.expires_at_millis,
    };
    let created = catalog.create_key(&new).await?;
    catalog.remove_key(&id).await?;
    Ok(shown(&request, &created))
}

fn parsed(order: KeyOrder, now_millis: i64) -> Result<NewKey, Problem> {
    let name = on_one_line(&order.name);
    if name.is_empty() || order.name.chars().count() > NAME_CHARS_MAX {
        let detail = format!("1 to {NAME_CHARS_MAX} characters, not all of them spaces");
        return Err(Problem::bad_parameter("name", detail));
    }
    if !(1..=SCOPES_MAX).contains(&order.scopes.len()) {
        let detail = "one to three of read, write, admin";
        return Err(Problem::bad_parameter("scopes", detail));
    }
    let mut scopes: Vec<Scope> = order.scopes.into_iter().map(Scope::from).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let life = order.expires_in_s;
    if life.is_some_and(|seconds| !(1..=LIFE_SECONDS_MAX).contains(&seconds)) {
        let detail = format!("1 to {LIFE_SECONDS_MAX} seconds");
        return Err(Problem::bad_parameter("expires_in_s", detail));
    }
    Ok(NewKey {
        name,
        scopes,
        expires_at_millis: life.map(|seconds| now_millis.saturating_add(seconds * 1000)),
    })
}

fn shown(request: &HttpRequest, created: &CreatedKey) -> HttpResponse {
    let path = format!("/api/v1/keys/{}", created.key.id);
    let mut view = KeyView::from(&created.key);
    view.secret = Some(created.secret.clone());
    fresh(HttpResponse::Created())
        .insert_header((header::LOCATION, Access::location(request, &path)))
        .json(view)
}

fn no_such_key() -> Problem {
    Problem::not_found("key")
}
