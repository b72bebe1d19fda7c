//! `POST /assets`: an asset from a body, a form, or a URL.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::idempotency::{Turn, turn};
use super::intake::{Draft, Order, Sink, announced, check_announced, essence};
use super::pace::Paced;
use super::refusal::Refusal;
use super::request::{policy, policy_of_value, title, title_of_file};
use super::{Ingest, Options, form, new_id};
use crate::access::Access;
use crate::asset_view::{AssetView, asset_json};
use crate::catalog::NewAsset;
use crate::media::{Asset, AssetState, Policy};
use crate::outbound;
use crate::problem::{JSON_BYTES_MAX, Problem, from_json};

/// The limit of a JSON body.
const JSON_BYTES: &str = "json_bytes";

/// What a form may be longer than its file, in bytes.
const FORM_BYTES_MAX: u64 = 1 << 20;

/// What can stand in the query.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CreateQuery {
    /// What people will call the asset. By default the name of the file, where there is one.
    #[param(max_length = 300)]
    pub(super) title: Option<String>,
    /// The name of a policy, or a policy as a JSON object. By default the policy `default`.
    pub(super) policy: Option<String>,
}

impl CreateQuery {
    /// What it says, for telling requests apart.
    pub(super) fn said(&self) -> [&str; 2] {
        [&self.title, &self.policy].map(|text| text.as_deref().unwrap_or_default())
    }
}

/// An asset whose source is fetched from a URL.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetFromUrl {
    source: SourceUrl,
    /// What people will call the asset. By default the name of the file in the URL.
    #[serde(default)]
    #[schema(max_length = 300)]
    title: Option<String>,
    /// The name of a policy, or a policy as an object. By default the policy `default`.
    #[serde(default)]
    #[schema(value_type = Option<PolicyChoice>)]
    policy: Option<Value>,
}

/// Where a source is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceUrl {
    /// An `http` or `https` URL at a public address. It is fetched in the background.
    #[schema(format = "uri", max_length = 4096)]
    url: String,
}

/// Which policy.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
pub enum PolicyChoice {
    /// The name of one that is configured.
    Name(String),
    /// One of the asset's own.
    Own(Box<Policy>),
}

/// The bytes of a file.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body that is read as it comes")]
pub struct FileBytes(Vec<u8>);

/// An upload in a form.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes a body that is read as it comes")]
pub struct AssetForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What people will call the asset.
    #[schema(max_length = 300)]
    title: Option<String>,
    /// The name of a policy, or a policy as a JSON object.
    policy: Option<String>,
}

/// Create an asset
///
/// The body is the file itself, of any type but JSON, or a form with the file in the field `file`,
/// or JSON that says where to fetch it. Answers when all bytes are there (at once for a URL); the
/// asset is then indexed, and playable when its state is `ready`.
#[utoipa::path(
    post,
    path = "/assets",
    operation_id = "createAsset",
    tag = "assets",
    params(
        CreateQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same \
            request, the answer is the same asset", max_length = 255, pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content(
        (AssetFromUrl = "application/json"),
        (FileBytes = "application/octet-stream"),
        (AssetForm = "multipart/form-data"),
    )),
    responses((
        status = 201,
        description = "The asset",
        body = AssetView,
        headers(
            ("Location" = String, description = "The asset's URL"),
            ("Idempotent-Replayed", description = "`true` when an earlier request made it"),
        ),
    )),
)]
pub async fn create_asset(
    request: HttpRequest,
    payload: web::Payload,
    query: web::Query<CreateQuery>,
    ingest: web::Data<Ingest>,
) -> Result<HttpResponse, Problem> {
    // A task of its own: when the client goes away, the server drops the handler, and what was
    // written must be cleared all the same.
    let work = async move { create(request, payload, query.into_inner(), &ingest).await };
    let ended = actix_web::rt::spawn(work).await;
    ended.unwrap_or_else(|_| Err(crate::error::Error::internal("an upload ended early").into()))
}

async fn create(
    request: HttpRequest,
    payload: web::Payload,
    query: CreateQuery,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    let headers = request.headers();
    refuse_encodings(headers)?;
    let content_type = match headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) {
        None => String::new(),
        Some(Ok(text)) => essence(text),
        Some(Err(_)) => return Err(Problem::bad_request("the Content-Type isn't text")),
    };
    let body = Paced::new(payload, ingest.options());
    if content_type == "application/json" || content_type.ends_with("+json") {
        return from_url(&request, body, query, ingest).await;
    }
    let form = content_type == "multipart/form-data";
    from_body(&request, body, &query, ingest, form).await
}

type Body = Paced<web::Payload>;

async fn from_body(
    request: &HttpRequest,
    body: Body,
    query: &CreateQuery,
    ingest: &Ingest,
    form: bool,
) -> Result<HttpResponse, Problem> {
    let order = ask(query.title.as_deref(), query.policy.as_deref(), ingest)?;
    let announced = announced(request.headers());
    // A form is longer than its file; by how much is seen as it comes.
    let beside = if form { FORM_BYTES_MAX } else { 0 };
    let least = announced.map(|bytes| bytes.saturating_sub(beside));
    check_announced(least, ingest.options().max_upload_bytes)?;
    if announced == Some(0) {
        return Err(Refusal::Empty.into());
    }
    let kind = if form { "form" } else { "body" };
    let [named, wanted] = query.said();
    let ticket = match turn(request, ingest, &[kind, named, wanted]).await? {
        Turn::Own(ticket) => ticket,
        Turn::Replay(asset) => {
            let same = same_bytes(request, body, &asset, form).await?;
            return replayed(request, &asset, same);
        }
    };
    let made = match Draft::begin(ingest, announced).await {
        Ok(draft) => receive(request, body, draft, order, query, form).await,
        Err(refusal) => Err(refusal),
    };
    match made {
        Ok(asset) => {
            ticket.done(&asset.id).await?;
            Ok(created(request, &asset))
        }
        Err(refusal) => {
            ticket.give_back().await;
            Err(refusal.into())
        }
    }
}

async fn receive(
    request: &HttpRequest,
    body: Body,
    draft: Draft,
    order: Order,
    query: &CreateQuery,
    form: bool,
) -> Result<Asset, Refusal> {
    let ingest = draft.ingest().clone();
    let mut sink = Sink::Draft(Box::new(draft));
    let ordered = if form {
        let said = form::read(request.headers(), body, &mut sink).await;
        said.and_then(|said| ask_in_form(&said, query, &ingest))
    } else {
        let received = sink
            .receive(body.map(|bytes| bytes.map_err(Refusal::from_payload)))
            .await;
        received.map(|()| order)
    };
    let Sink::Draft(draft) = sink else {
        unreachable!("made so above")
    };
    match ordered {
        Ok(order) => draft.settle(order).await,
        Err(refusal) => {
            draft.abandon().await;
            Err(refusal)
        }
    }
}

/// The query's word goes before the form's, and that before the file's name.
fn ask_in_form(said: &form::Said, query: &CreateQuery, ingest: &Ingest) -> Result<Order, Refusal> {
    let titles = [query.title.as_deref(), said.title.as_deref()];
    let title = titles.into_iter().flatten().next();
    let policy = query.policy.as_deref().or(said.policy.as_deref());
    Ok(ask(
        Some(title.unwrap_or(&said.file_title)),
        policy,
        ingest,
    )?)
}

fn ask(name: Option<&str>, wanted: Option<&str>, ingest: &Ingest) -> Result<Order, Problem> {
    Ok(Order {
        title: title(name.unwrap_or_default())?,
        policy: policy(wanted, &ingest.0.policies)?,
    })
}

/// Whether a body that was sent again is the one that made the asset.
async fn same_bytes(
    request: &HttpRequest,
    body: Body,
    asset: &Asset,
    form: bool,
) -> Result<bool, Refusal> {
    let announced = announced(request.headers());
    if !form && announced.is_some() && announced != asset.source_bytes {
        return Ok(false);
    }
    let mut sink = Sink::digest();
    if form {
        form::read(request.headers(), body, &mut sink).await?;
    } else {
        sink.receive(body.map(|bytes| bytes.map_err(Refusal::from_payload)))
            .await?;
    }
    Ok(sink.digested() == asset.source_digest)
}

async fn from_url(
    request: &HttpRequest,
    body: Body,
    query: CreateQuery,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    let json = collect(body, JSON_BYTES, JSON_BYTES_MAX).await?;
    let wanted: AssetFromUrl = serde_json::from_slice(&json).map_err(|e| from_json(&e))?;
    let url = outbound::check_url(&wanted.source.url, ingest.0.outbound.options())
        .map_err(|e| Problem::bad_parameter("source.url", e.to_string()))?;
    let named = query.title.or(wanted.title);
    let named = named.unwrap_or_else(|| title_of_file(url.path()));
    let policy = match &query.policy {
        Some(name) => policy(Some(name), &ingest.0.policies)?,
        None => policy_of_value(wanted.policy.as_ref(), &ingest.0.policies)?,
    };
    let new = NewAsset {
        id: new_id()?,
        title: title(&named)?,
        policy,
        state: AssetState::Uploading,
        source_url: Some(wanted.source.url),
        source_bytes: None,
    };
    let digest = blake3::hash(&json).to_hex();
    let asked = query.policy.unwrap_or_default();
    let ticket = match turn(request, ingest, &["json", &named, &asked, digest.as_str()]).await? {
        Turn::Own(ticket) => ticket,
        Turn::Replay(asset) => return replayed(request, &asset, true),
    };
    match make(&new, ingest).await {
        Ok(asset) => {
            ticket.done(&asset.id).await?;
            Ok(created(request, &asset))
        }
        Err(error) => {
            ticket.give_back().await;
            Err(error.into())
        }
    }
}

async fn make(new: &NewAsset, ingest: &Ingest) -> crate::error::Result<Asset> {
    let asset = ingest.0.catalog.create_asset(new).await?;
    ingest.enqueue_pull(&asset.id).await?;
    Ok(asset)
}

async fn collect(mut body: Body, limit: &'static str, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes: Bytes = bytes.map_err(Refusal::from_payload)?;
        all.extend_from_slice(&bytes);
        if all.len() > most {
            let value = most as u64;
            return Err(Refusal::TooLarge { limit, value });
        }
    }
    Ok(all)
}

/// A body that is small enough to be held, at most `most` bytes, at the pace of all bodies.
///
/// # Errors
/// Names `limit` where there are more.
pub async fn read_all(
    payload: web::Payload,
    options: &Options,
    limit: &'static str,
    most: usize,
) -> Result<Vec<u8>, Problem> {
    Ok(collect(Paced::new(payload, options), limit, most).await?)
}

/// The bytes are stored as they come, so they must come as they are.
fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    let coded = headers.get(header::CONTENT_ENCODING);
    if coded.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "send the file without a Content-Encoding";
        return Err(Problem::unsupported_type(detail));
    }
    Ok(())
}

fn created(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    let place = Access::location(request, &format!("/api/v1/assets/{}", asset.id));
    HttpResponse::Created()
        .insert_header((header::LOCATION, place))
        .insert_header((header::CACHE_CONTROL, crate::layout::PRIVATE))
        .json(asset_json(asset, &Access::base_url(request)))
}

fn replayed(request: &HttpRequest, asset: &Asset, same: bool) -> Result<HttpResponse, Problem> {
    if !same {
        return Err(super::idempotency::other_request());
    }
    let mut response = created(request, asset);
    super::idempotency::mark_replayed(&mut response);
    Ok(response)
}
