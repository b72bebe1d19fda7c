//! Webhooks: who wants to hear of what, the log of what was sent, and the loop that sends it
//! ([`run`]).
//!
//! Messages follow Standard Webhooks 1.0. Each is sent until it is received, or given up after ten
//! attempts over three days; a receiver may get one twice, and knows it by its `webhook-id`.

mod delivery;
mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};

use super::{fresh, looking, nothing};
use crate::access::{API_PREFIX, Access};
use crate::asset_view::BaseUrl;
use crate::catalog::{Catalog, Delivery, NewWebhook, Topic, Webhook};
use crate::clock::{Clock, rfc3339};
use crate::outbound::{self, check_url};
use crate::problem::{Problem, only};

pub use delivery::run;
pub(super) use message::Message;

const LIMIT_DEFAULT: u32 = 20;
const LIMIT_MAX: u32 = 100;

/// What webhooks need. Clones share everything.
#[derive(Debug, Clone)]
pub struct Webhooks {
    catalog: Catalog,
    client: outbound::Client,
    clock: Clock,
    /// What URLs in messages begin with.
    base: BaseUrl,
    /// A message was told to be sent again.
    replayed: Arc<Notify>,
}

impl Webhooks {
    /// Webhooks in `catalog`, called by `client`. No request says how messages should call this
    /// server, so it is `base`.
    pub fn new(catalog: Catalog, client: outbound::Client, clock: Clock, base: BaseUrl) -> Self {
        Self {
            catalog,
            client,
            clock,
            base,
            replayed: Arc::default(),
        }
    }
}

/// Mounts webhooks. Takes [`Webhooks`] from `web::Data`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let all = web::resource("/webhooks")
        .route(looking().to(list_webhooks))
        .route(web::post().to(create_webhook));
    let one = web::resource("/webhooks/{id}")
        .route(looking().to(get_webhook))
        .route(web::delete().to(delete_webhook));
    let rotate = web::resource("/webhooks/{id}/rotate").route(web::post().to(rotate_webhook));
    let log = web::resource("/webhooks/{id}/deliveries").route(looking().to(list_deliveries));
    let replay = web::resource("/webhooks/{id}/deliveries/{delivery}/replay")
        .route(web::post().to(replay_delivery));
    config
        .service(only(all, "GET, HEAD, POST"))
        .service(only(one, "DELETE, GET, HEAD"))
        .service(only(rotate, "POST"))
        .service(only(log, "GET, HEAD"))
        .service(only(replay, "POST"));
}

/// A webhook to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhook)]
pub(super) struct WebhookOrder {
    /// An `http` or `https` URL at a public address. Redirects are not followed.
    #[schema(format = "uri", max_length = 4096)]
    url: String,
    /// What it hears of; by default everything.
    #[serde(default)]
    #[schema(required = false, schema_with = topics_schema)]
    events: Vec<Topic>,
}

/// Who hears of what.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    /// Its name in URLs.
    id: String,
    /// Where messages are posted.
    #[schema(format = "uri")]
    url: String,
    /// What it hears of.
    #[schema(schema_with = topics_schema)]
    events: Vec<&'static str>,
    /// Whether it answered 410 Gone, and hears of nothing since.
    disabled: bool,
    /// When it was added (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// What messages are signed with. Only in the answers that make it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    secret: Option<String>,
}

/// The webhooks there are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Webhooks)]
pub(super) struct WebhookList {
    /// The oldest first.
    webhooks: Vec<WebhookView>,
}

/// A message, and what became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryView {
    /// The message's id: `webhook-id`, the same for every attempt.
    id: String,
    /// What it is about.
    #[serde(rename = "type")]
    #[schema(schema_with = topic_schema)]
    kind: &'static str,
    /// Where it is on its way.
    #[schema(schema_with = state_schema)]
    state: &'static str,
    /// How often it was sent since it was written or replayed.
    #[schema(minimum = 0)]
    attempts: u32,
    /// The HTTP status of the last answer; null if there was none.
    #[schema(required = true)]
    last_status: Option<u16>,
    /// Why the last attempt failed; null if it didn't.
    #[schema(required = true)]
    last_error: Option<String>,
    /// When it was written (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is sent next; null if it isn't.
    #[schema(required = true, format = DateTime)]
    next_attempt_at: Option<String>,
    /// When it was received; null if it wasn't.
    #[schema(required = true, format = DateTime)]
    delivered_at: Option<String>,
    /// What is posted.
    #[schema(value_type = Message)]
    payload: Value,
}

/// A page of the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Deliveries)]
pub(super) struct DeliveryPage {
    /// The latest first.
    deliveries: Vec<DeliveryView>,
    /// The cursor of the next page; null on the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// Which page of the log.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// `next` of the page before; nothing for the first page.
    cursor: Option<String>,
    /// Most messages on the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// List webhooks
#[utoipa::path(
    get,
    path = "/webhooks",
    operation_id = "listWebhooks",
    tag = "webhooks",
    responses((status = 200, description = "All webhooks, the oldest first", body = WebhookList)),
)]
pub(super) async fn list_webhooks(webhooks: web::Data<Webhooks>) -> Result<HttpResponse, Problem> {
    let listed = webhooks.catalog.webhooks().await?;
    let webhooks = listed.iter().map(WebhookView::from).collect();
    Ok(fresh(HttpResponse::Ok()).json(WebhookList { webhooks }))
}

/// Add a webhook
///
/// It hears of what happens from now on. Messages are signed as Standard Webhooks 1.0 says, with
/// the secret that only this answer has.
#[utoipa::path(
    post,
    path = "/webhooks",
    operation_id = "createWebhook",
    tag = "webhooks",
    request_body = WebhookOrder,
    responses((
        status = 201,
        description = "The webhook with its secret",
        body = WebhookView,
        headers(("Location" = String, description = "The webhook's URL")),
    )),
)]
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
pub(super) async fn create_webhook(
    request: HttpRequest,
    order: web::Json<WebhookOrder>,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, Problem> {
    let order = order.into_inner();
    let url = check_url(&order.url, webhooks.client.options())
        .map_err(|e| Problem::bad_parameter("url", e.to_string()))?;
    let topics: BTreeSet<Topic> = order.events.into_iter().collect();
    let new = NewWebhook {
        url: url.to_string(),
        topics: topics.into_iter().collect(),
    };
    let webhook = webhooks.catalog.create_webhook(&new).await?;
    let place = format!("{API_PREFIX}/webhooks/{}", webhook.id);
    Ok(fresh(HttpResponse::Created())
        .insert_header((header::LOCATION, Access::location(&request, &place)))
        .json(with_secret(&webhook)))
}

/// Look at a webhook
#[utoipa::path(
    get,
    path = "/webhooks/{id}",
    operation_id = "getWebhook",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 200, description = "The webhook", body = WebhookView)),
)]
pub(super) async fn get_webhook(
    id: web::Path<String>,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, Problem> {
    let webhook = known(&webhooks, &id).await?;
    Ok(fresh(HttpResponse::Ok()).json(WebhookView::from(&webhook)))
}

/// Remove a webhook
///
/// The log of what was sent to it goes too.
#[utoipa::path(
    delete,
    path = "/webhooks/{id}",
    operation_id = "deleteWebhook",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((status = 204, description = "Gone")),
)]
pub(super) async fn delete_webhook(
    id: web::Path<String>,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, Problem> {
    match webhooks.catalog.remove_webhook(&id).await? {
        true => Ok(nothing()),
        false => Err(no_such_webhook()),
    }
}

/// Replace a webhook's secret
///
/// For a day, messages are signed with both, so that the receiver can change over.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate",
    operation_id = "rotateWebhook",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses((
        status = 200,
        description = "The webhook with its new secret",
        body = WebhookView,
    )),
)]
pub(super) async fn rotate_webhook(
    id: web::Path<String>,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, Problem> {
    let webhook = webhooks.catalog.rotate_webhook(&id).await?;
    let webhook = webhook.ok_or_else(no_such_webhook)?;
    Ok(fresh(HttpResponse::Ok()).json(with_secret(&webhook)))
}

/// List what was sent
///
/// What was received or given up is kept for 30 days.
#[utoipa::path(
    get,
    path = "/webhooks/{id}/deliveries",
    operation_id = "listDeliveries",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id"), LogQuery),
    responses((status = 200, description = "A page, the latest first", body = DeliveryPage)),
)]
pub(super) async fn list_deliveries(
    id: web::Path<String>,
    query: web::Query<LogQuery>,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("{limit} is no limit; it must be 1 to {LIMIT_MAX}");
        return Err(Problem::bad_parameter("limit", detail));
    }
    let before = query.cursor.as_deref().map(parse_cursor).transpose()?;
    let webhook = known(&webhooks, &id).await?;
    // One more than asked for tells whether there are more.
    let listing = webhooks.catalog.deliveries(&webhook.id, before, limit + 1);
    let mut listed = listing.await?;
    let limit = usize::try_from(limit).expect("a limit of at most 100");
    let more = listed.len() > limit;
    listed.truncate(limit);
    let next = listed.last().filter(|_| more);
    Ok(fresh(HttpResponse::Ok()).json(DeliveryPage {
        next: next.map(|delivery| delivery.number.to_string()),
        deliveries: listed.iter().map(DeliveryView::from).collect(),
    }))
}

/// Send a message again
///
/// With the same id and payload, whatever became of it, and with all attempts before it again.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/deliveries/{delivery}/replay",
    operation_id = "replayDelivery",
    tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("delivery" = String, Path, description = "The message's id"),
    ),
    responses((status = 202, description = "It will be sent", body = DeliveryView)),
)]
pub(super) async fn replay_delivery(
    path: web::Path<(String, String)>,
    webhooks: web::Data<Webhooks>,
) -> Result<HttpResponse, Problem> {
    let (id, delivery) = path.into_inner();
    let replayed = webhooks.catalog.replay_delivery(&id, &delivery).await?;
    let replayed = replayed.ok_or_else(|| Problem::not_found("message to this webhook"))?;
    webhooks.replayed.notify_one();
    Ok(fresh(HttpResponse::Accepted()).json(DeliveryView::from(&replayed)))
}

async fn known(webhooks: &Webhooks, id: &str) -> Result<Webhook, Problem> {
    let webhook = webhooks.catalog.webhook(id).await?;
    webhook.ok_or_else(no_such_webhook)
}

fn no_such_webhook() -> Problem {
    Problem::not_found("webhook")
}

fn parse_cursor(cursor: &str) -> Result<i64, Problem> {
    cursor.parse().map_err(|_| {
        let detail = "none that a listing gave; start without one";
        Problem::bad_parameter("cursor", detail)
    })
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> Self {
        let topics: &[Topic] = match webhook.topics.as_slice() {
            [] => &Topic::ALL,
            some => some,
        };
        Self {
            id: webhook.id.clone(),
            url: webhook.url.clone(),
            events: topics.iter().map(|topic| topic.name()).collect(),
            disabled: webhook.disabled,
            created_at: rfc3339(webhook.created_at_millis),
            secret: None,
        }
    }
}

fn with_secret(webhook: &Webhook) -> WebhookView {
    WebhookView {
        secret: Some(webhook.secret.clone()),
        ..WebhookView::from(webhook)
    }
}

impl From<&Delivery> for DeliveryView {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.clone(),
            kind: delivery.topic.name(),
            state: delivery.state.name(),
            attempts: delivery.attempts,
            last_status: delivery.last_status,
            last_error: delivery.last_error.clone(),
            created_at: rfc3339(delivery.created_at_millis),
            next_attempt_at: delivery.next_attempt_at_millis.map(rfc3339),
            delivered_at: delivery.delivered_at_millis.map(rfc3339),
            payload: serde_json::from_str(&delivery.payload).unwrap_or_default(),
        }
    }
}

fn topic_schema() -> Schema {
    words(&Topic::ALL.map(Topic::name))
}

fn topics_schema() -> Schema {
    let topic = RefOr::from(topic_schema());
    ArrayBuilder::new().items(topic).into()
}

fn state_schema() -> Schema {
    words(&["pending", "delivered", "failed"])
}

fn words(words: &[&'static str]) -> Schema {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    schema.enum_values(Some(words.iter().copied())).into()
}
