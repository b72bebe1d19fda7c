//! Assets: list, look at, remove, try again.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{Removal, fresh, looking, no_such_asset, nothing};
use crate::access::Access;
use crate::asset_view::{AssetView, asset_json};
use crate::catalog::Catalog;
use crate::ingest::create::create_asset;
use crate::ingest::{Ingest, Reopened};
use crate::media::AssetId;
use crate::problem::{Problem, only};

const LIMIT_DEFAULT: u32 = 20;
const LIMIT_MAX: u32 = 100;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let all = web::resource("/assets")
        .route(looking().to(list_assets))
        .route(web::post().to(create_asset));
    let one = web::resource("/assets/{id}")
        .route(looking().to(get_asset))
        .route(web::delete().to(delete_asset));
    let retry = web::resource("/assets/{id}/retry").route(web::post().to(retry_asset));
    config
        .service(only(all, "GET, HEAD, POST"))
        .service(only(one, "DELETE, GET, HEAD"))
        .service(only(retry, "POST"));
}

/// Which page of a listing.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// `next` of the page before; nothing for the first page.
    cursor: Option<String>,
    /// Most assets on the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// A page of assets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct AssetPage {
    /// The newest first.
    assets: Vec<AssetView>,
    /// The cursor of the next page; null on the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// List assets
#[utoipa::path(
    get,
    path = "/assets",
    operation_id = "listAssets",
    tag = "assets",
    params(PageQuery),
    responses((status = 200, description = "A page, the newest first", body = AssetPage)),
)]
pub(super) async fn list_assets(
    request: HttpRequest,
    query: web::Query<PageQuery>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("{limit} is no limit; it must be 1 to {LIMIT_MAX}");
        return Err(Problem::bad_parameter("limit", detail));
    }
    let cursor = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let page = catalog.assets(cursor, limit).await;
    let page = page.map_err(Problem::from_semantics)?;
    let base = Access::base_url(&request);
    let assets = page.assets.iter().map(|asset| asset_json(asset, &base));
    Ok(fresh(HttpResponse::Ok()).json(AssetPage {
        assets: assets.collect(),
        next: page.next,
    }))
}

/// Look at an asset
#[utoipa::path(
    get,
    path = "/assets/{id}",
    operation_id = "getAsset",
    tag = "assets",
    params(("id" = String, Path, description = "The asset's id")),
    responses((status = 200, description = "The asset", body = AssetView)),
)]
pub(super) async fn get_asset(
    request: HttpRequest,
    id: web::Path<AssetId>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    let asset = catalog.asset(&id).await?.ok_or_else(no_such_asset)?;
    let view = asset_json(&asset, &Access::base_url(&request));
    Ok(fresh(HttpResponse::Ok()).json(view))
}

/// Remove an asset
///
/// Its work is stopped, and everything that was made of it is removed.
#[utoipa::path(
    delete,
    path = "/assets/{id}",
    operation_id = "deleteAsset",
    tag = "assets",
    params(("id" = String, Path, description = "The asset's id")),
    responses((status = 204, description = "Gone")),
)]
pub(super) async fn delete_asset(
    id: web::Path<AssetId>,
    removal: web::Data<dyn Removal>,
) -> Result<HttpResponse, Problem> {
    // A task of its own, so that a removal goes on when its client goes away.
    let removing = actix_web::rt::spawn(async move { removal.remove(&id).await });
    let ended = removing
        .await
        .map_err(|e| crate::error::Error::internal("a removal ended early").with_source(e))?;
    match ended? {
        true => Ok(nothing()),
        false => Err(no_such_asset()),
    }
}

/// Try a failed asset again
///
/// Indexes it again from the source that was kept.
#[utoipa::path(
    post,
    path = "/assets/{id}/retry",
    operation_id = "retryAsset",
    tag = "assets",
    params(("id" = String, Path, description = "The asset's id")),
    responses((status = 200, description = "The asset, on its way again", body = AssetView)),
)]
pub(super) async fn retry_asset(
    request: HttpRequest,
    id: web::Path<AssetId>,
    ingest: web::Data<Ingest>,
) -> Result<HttpResponse, Problem> {
    match ingest.reopen(&id).await? {
        Reopened::Asset(asset) => {
            let view = asset_json(&asset, &Access::base_url(&request));
            Ok(fresh(HttpResponse::Ok()).json(view))
        }
        Reopened::Gone => Err(no_such_asset()),
        Reopened::NotFailed => Err(Problem::conflict("the asset has not failed")),
        Reopened::NoSource => {
            let detail = "its source isn't here; upload it again, as a new asset";
            Err(Problem::conflict(detail))
        }
    }
}
