//! The description of the API, by OpenAPI 3.1: one document, made from the handlers and from the
//! table of refusals below.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey as KeyScheme, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement,
    SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{assets, events, fresh, keys, looking, read_only, tasks, text, webhooks};
use crate::access::Access;
use crate::asset_view::AssetView;
use crate::ingest::{create, tus};
use crate::problem::{self, Details};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Headwater",
        description = "Upload a video, get HLS and DASH streams that play in about a second.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    servers((url = "/api/v1")),
    paths(
        assets::list_assets,
        create::create_asset,
        assets::get_asset,
        assets::delete_asset,
        assets::retry_asset,
        events::asset_events,
        text::list_text,
        text::add_text,
        text::remove_text,
        tus::upload_options,
        tus::create_upload,
        tus::upload_offset,
        tus::append_upload,
        tus::terminate_upload,
        keys::list_keys,
        keys::create_key,
        keys::delete_key,
        keys::rotate_key,
        tasks::dead_tasks,
        tasks::retry_task,
        webhooks::list_webhooks,
        webhooks::create_webhook,
        webhooks::get_webhook,
        webhooks::delete_webhook,
        webhooks::rotate_webhook,
        webhooks::list_deliveries,
        webhooks::replay_delivery,
        openapi_json,
    ),
    components(schemas(AssetView, Details)),
    modifiers(&Refusals, &Absence, &Doors),
)]
struct Api;

/// Refusals that every operation behind a key has.
const COMMON: &[u16] = &[401, 403, 500, 503];

/// The refusals of each operation beside the common ones.
const REFUSALS: &[(&str, &[u16])] = &[
    ("listAssets", &[422]),
    (
        "createAsset",
        &[400, 408, 409, 410, 413, 415, 422, 429, 507],
    ),
    ("getAsset", &[404]),
    ("deleteAsset", &[404]),
    ("retryAsset", &[404, 409]),
    ("assetEvents", &[404]),
    ("listText", &[404]),
    ("addText", &[400, 404, 408, 409, 413, 422, 429, 507]),
    ("removeText", &[404, 409, 507]),
    (
        "createUpload",
        &[400, 408, 409, 410, 412, 413, 422, 429, 460, 507],
    ),
    ("uploadOffset", &[404, 410, 412]),
    (
        "appendUpload",
        &[400, 404, 408, 409, 410, 412, 413, 415, 423, 429, 460, 507],
    ),
    ("terminateUpload", &[404, 409, 410, 412, 423]),
    ("listKeys", &[]),
    ("createKey", &[400, 413, 415, 422]),
    ("deleteKey", &[404, 409]),
    ("rotateKey", &[404]),
    ("deadTasks", &[]),
    ("retryTask", &[404]),
    ("listWebhooks", &[]),
    ("createWebhook", &[400, 409, 413, 415, 422]),
    ("getWebhook", &[404]),
    ("deleteWebhook", &[404]),
    ("rotateWebhook", &[404]),
    ("listDeliveries", &[404, 422]),
    ("replayDelivery", &[404, 409]),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let description = web::resource("/openapi.json").route(looking().to(openapi_json));
    config.service(read_only(description));
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "description",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json",
        body = Object)),
)]
async fn openapi_json(request: HttpRequest) -> HttpResponse {
    static BEHIND_KEYS: LazyLock<String> = LazyLock::new(|| json(&Api::openapi()));
    static OPEN: LazyLock<String> = LazyLock::new(|| {
        let mut document = Api::openapi();
        document.security = None;
        json(&document)
    });
    let text = match Access::is_open(&request) {
        true => OPEN.as_str(),
        false => BEHIND_KEYS.as_str(),
    };
    fresh(HttpResponse::Ok())
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .body(text)
}

fn json(document: &Document) -> String {
    serde_json::to_string(document).expect("plain data is JSON")
}

/// Adds the refusals, all with problem details.
struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut Document) {
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                add_refusals(operation);
            }
        }
    }
}

fn add_refusals(operation: &mut Operation) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let Some((_, own)) = REFUSALS.iter().find(|(operation, _)| *operation == id) else {
        return;
    };
    for status in COMMON.iter().chain(*own) {
        let details = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(details)).build();
        let response = ResponseBuilder::new()
            .description(meaning(*status))
            .content(problem::CONTENT_TYPE, content)
            .build();
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), response.into());
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request can't be understood",
        401 => "No key, or one that isn't known",
        403 => "The key lacks the scope, or the request comes from another site",
        404 => "Not there",
        408 => "The body came too slowly",
        409 => "Not possible in the state this is in",
        410 => "It was there, and is gone",
        412 => "Another version of tus",
        413 => "Too many bytes",
        415 => "A body of another type",
        422 => "Understood, but it makes no sense",
        423 => "Another request is at it",
        429 => "Too many at once; see Retry-After",
        460 => "The bytes don't come to the checksum",
        503 => "Not now; see Retry-After",
        507 => "The disk is full",
        _ => "A fault of this server",
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.options,
        &mut item.head,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

/// A parameter that may be left out isn't there then; a query or a header has no null.
struct Absence;

impl Modify for Absence {
    fn modify(&self, document: &mut Document) {
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                for parameter in operation.parameters.iter_mut().flatten() {
                    if let RefOr::T(parameter) = parameter
                        && let Some(schema) = &mut parameter.schema
                    {
                        forbid_null(schema);
                    }
                }
            }
        }
    }
}

fn forbid_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|one| *one != Type::Null);
                if let [only] = &types[..] {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.items.retain(|item| !is_null(item));
            if let [only] = &one_of.items[..] {
                *schema = only.clone();
            }
        }
        _ => {}
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    let null = SchemaType::Type(Type::Null);
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == null)
}

/// Adds the two ways to show a key.
struct Doors;

impl Modify for Doors {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let header = KeyScheme::Header(ApiKeyValue::new("X-Api-Key"));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("key", SecurityScheme::ApiKey(header));
        let none: [&str; 0] = [];
        document.security = Some(vec![
            SecurityRequirement::new("bearer", none),
            SecurityRequirement::new("key", none),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_never_null() {
        let document = json(&Api::openapi());
        let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                let parameters = operation["parameters"].to_string();
                assert!(
                    !parameters.contains("null") || parameters == "null",
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn every_operation_says_how_it_refuses() {
        let mut document = Api::openapi();
        for (path, item) in &mut document.paths.paths {
            for operation in operations(item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                let open = operation.security.is_some();
                let known = operation.responses.responses.contains_key("401");
                assert!(open || known, "{path}: {id} is missing in REFUSALS");
            }
        }
    }
}
