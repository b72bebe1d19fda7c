//! Captions and subtitles of assets.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Captions, NewText, fresh, looking, no_such_asset, nothing};
use crate::access::Access;
use crate::catalog::{Caption, Catalog};
use crate::clock::rfc3339;
use crate::ingest::{self, Ingest};
use crate::media::{AssetId, LanguageTag, TextKind};
use crate::problem::{Problem, only};

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 5 << 20;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 100;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let all = web::resource("/assets/{id}/text")
        .route(looking().to(list_text))
        .route(web::post().to(add_text));
    let one = web::resource("/assets/{id}/text/{caption}").route(web::delete().to(remove_text));
    config
        .service(only(all, "GET, HEAD, POST"))
        .service(only(one, "DELETE"));
}

/// What a text is.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// What is said, for who doesn't know the language.
    Subtitles,
    /// What is said and heard, for who can't hear it.
    Captions,
    /// Only what everybody needs: signs, and speech in a foreign language.
    Forced,
}

impl From<Kind> for TextKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Subtitles => Self::Subtitles,
            Kind::Captions => Self::Captions,
            Kind::Forced => Self::Forced,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TextQuery {
    /// The language, as a BCP 47 tag.
    #[param(
        example = "pt-BR",
        max_length = 35,
        pattern = "^[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?$"
    )]
    lang: String,
    /// Name shown to people. By default the language's own.
    #[param(max_length = 100)]
    name: Option<String>,
    /// What it is for. By default `subtitles`.
    #[param(inline)]
    kind: Option<Kind>,
}

/// A text track.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TextTrack)]
pub(super) struct TextView {
    /// Its name in URLs and manifests.
    id: String,
    /// Its language, as a BCP 47 tag.
    language: String,
    /// Name shown to people.
    name: String,
    /// `subtitles`, `captions` or `forced`.
    kind: &'static str,
    /// When it was added (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// What of the text was left out or guessed. Told once, when it is added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl From<&Caption> for TextView {
    fn from(caption: &Caption) -> Self {
        Self {
            id: caption.id.clone(),
            language: caption.language.as_str().to_owned(),
            name: caption.name.clone(),
            kind: caption.kind.name(),
            created_at: rfc3339(caption.created_at_millis),
            warnings: Vec::new(),
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TextTracks)]
pub(super) struct TextList {
    /// The text tracks, by id.
    text: Vec<TextView>,
}

/// List an asset's text tracks
#[utoipa::path(
    get,
    path = "/assets/{id}/text",
    operation_id = "listText",
    tag = "text",
    params(("id" = String, Path, description = "The asset's id")),
    responses((status = 200, description = "Its text tracks", body = TextList)),
)]
pub(super) async fn list_text(
    id: web::Path<AssetId>,
    catalog: web::Data<Catalog>,
) -> Result<HttpResponse, Problem> {
    catalog.asset(&id).await?.ok_or_else(no_such_asset)?;
    let captions = catalog.captions(&id).await?;
    let text = captions.iter().map(TextView::from).collect();
    Ok(fresh(HttpResponse::Ok()).json(TextList { text }))
}

/// Add a text track
///
/// The body is WebVTT or SRT. Takes the place of the text track of the same language and kind, and
/// appears in the manifests at once.
#[utoipa::path(
    post,
    path = "/assets/{id}/text",
    operation_id = "addText",
    tag = "text",
    params(("id" = String, Path, description = "The asset's id"), TextQuery),
    request_body(content(
        (String = "text/vtt"),
        (String = "application/x-subrip"),
        (String = "text/plain"),
    )),
    responses((
        status = 201,
        description = "The text track",
        body = TextView,
        headers(("Location" = String, description = "Its URL")),
    )),
)]
pub(super) async fn add_text(
    request: HttpRequest,
    id: web::Path<AssetId>,
    query: web::Query<TextQuery>,
    payload: web::Payload,
    parts: (
        web::Data<Catalog>,
        web::Data<dyn Captions>,
        web::Data<Ingest>,
    ),
) -> Result<HttpResponse, Problem> {
    let (catalog, captions, ingest) = parts;
    let query = query.into_inner();
    let language = LanguageTag::parse(&query.lang);
    let language = language.map_err(|e| Problem::bad_parameter("lang", e.to_string()))?;
    let name = query.name.as_deref().map(name).transpose()?;
    catalog.asset(&id).await?.ok_or_else(no_such_asset)?;
    let body = ingest::read_all(payload, ingest.options(), "text_bytes", TEXT_BYTES_MAX).await?;
    let text = NewText {
        language,
        name: name.filter(|name| !name.is_empty()),
        kind: query.kind.unwrap_or(Kind::Subtitles).into(),
        body: Bytes::from(body),
    };
    let added = captions.add(&id, text).await;
    let added = added.map_err(Problem::from_semantics)?;
    let path = format!("/api/v1/assets/{id}/text/{}", added.caption.id);
    let view = TextView {
        warnings: added.warnings,
        ..TextView::from(&added.caption)
    };
    Ok(fresh(HttpResponse::Created())
        .insert_header((header::LOCATION, Access::location(&request, &path)))
        .json(view))
}

fn name(text: &str) -> Result<String, Problem> {
    if text.chars().count() > NAME_CHARS_MAX {
        let detail = format!("at most {NAME_CHARS_MAX} characters");
        return Err(Problem::bad_parameter("name", detail));
    }
    Ok(ingest::on_one_line(text))
}

/// Remove a text track
#[utoipa::path(
    delete,
    path = "/assets/{id}/text/{caption}",
    operation_id = "removeText",
    tag = "text",
    params(
        ("id" = String, Path, description = "The asset's id"),
        ("caption" = String, Path, description = "The text track's id"),
    ),
    responses((status = 204, description = "Gone")),
)]
pub(super) async fn remove_text(
    path: web::Path<(AssetId, String)>,
    captions: web::Data<dyn Captions>,
) -> Result<HttpResponse, Problem> {
    let (id, caption) = path.into_inner();
    match captions.remove(&id, &caption).await? {
        true => Ok(nothing()),
        false => Err(Problem::not_found("text track")),
    }
}
