//! Resumable uploads: tus 1.0.0 with the extensions creation, creation-with-upload, expiration,
//! checksum and termination. <https://tus.io/protocols/resumable-upload>
//!
//! An upload has the id of its asset, which is there (`uploading`) from the beginning. How many
//! bytes came is what the file says; they are on the disk before they are acknowledged. Between
//! requests the digest so far is kept in memory, and computed anew from the file after a restart.

#![expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue, HttpDate};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::StreamExt;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::create::{CreateQuery, FileBytes};
use super::idempotency::{Turn, other_request, turn};
use super::intake::{Order, announced, check_announced, essence, header_text};
use super::pace::Paced;
use super::refusal::Refusal;
use super::request::{policy, title, title_of_file};
use super::room::Reservation;
use super::tus_headers::{
    ALGORITHMS, Checksum, EXTENSIONS, OFFSET_TYPE, VERSION, metadata, number,
};
use super::writer::{Ceiling, Writer};
use super::{Ingest, new_id};
use crate::access::Access;
use crate::catalog::{NewAsset, NewUpload, Upload};
use crate::error::{Error, Result as OurResult};
use crate::media::{Asset, AssetId, AssetState};
use crate::problem::{Problem, only};

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const HEADWATER_ASSET: HeaderName = HeaderName::from_static("headwater-asset");

/// "Checksum Mismatch", from the checksum extension.
const CHECKSUM_MISMATCH: u16 = 460;

/// The uploads that this process has seen and that aren't complete.
pub(super) type Sessions = SyncMutex<HashMap<AssetId, Arc<Mutex<Session>>>>;

/// What is kept of an upload between its requests.
#[derive(Debug)]
pub(super) enum Session {
    /// Its room is reserved; its file isn't open.
    Closed(Reservation),
    /// Its file is open and digested up to its end.
    Open(Box<Writer>),
    /// A request failed while it wrote: to be opened again, with its room reserved anew.
    Broken,
}

/// The resources `/uploads` and `/uploads/{id}`.
pub fn routes(config: &mut web::ServiceConfig) {
    let all = web::resource("/uploads")
        .route(web::post().to(create_upload))
        .route(web::method(actix_web::http::Method::OPTIONS).to(upload_options));
    let one = web::resource("/uploads/{id}")
        .route(web::head().to(upload_offset))
        .route(web::patch().to(append_upload))
        .route(web::delete().to(terminate_upload))
        .route(web::method(actix_web::http::Method::OPTIONS).to(upload_options));
    config
        .service(only(all, "OPTIONS, POST"))
        .service(only(one, "DELETE, HEAD, OPTIONS, PATCH"));
}

// ---- the requests

/// What the server can do for uploads
#[utoipa::path(
    options,
    path = "/uploads",
    operation_id = "uploadOptions",
    tag = "uploads",
    security(()),
    responses((
        status = 204,
        description = "Version, extensions and limits of tus",
        headers(
            ("Tus-Resumable" = String),
            ("Tus-Version" = String),
            ("Tus-Extension" = String),
            ("Tus-Max-Size" = u64),
            ("Tus-Checksum-Algorithm" = String),
        ),
    )),
)]
pub async fn upload_options(ingest: web::Data<Ingest>) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((TUS_RESUMABLE, VERSION))
        .insert_header((TUS_VERSION, VERSION))
        .insert_header((TUS_EXTENSION, EXTENSIONS))
        .insert_header((TUS_MAX_SIZE, ingest.options().max_upload_bytes))
        .insert_header((TUS_CHECKSUM_ALGORITHM, ALGORITHMS))
        .insert_header((header::CACHE_CONTROL, crate::layout::PRIVATE))
        .finish()
}

/// Begin a resumable upload
///
/// Makes an asset in the state `uploading`. With a body of the type
/// `application/offset+octet-stream`, that is its beginning.
#[utoipa::path(
    post,
    path = "/uploads",
    operation_id = "createUpload",
    tag = "uploads",
    params(
        CreateQuery,
        ("Tus-Resumable" = String, Header, description = "`1.0.0`", pattern = "^1\\.0\\.0$"),
        ("Upload-Length" = u64, Header, description = "Length of the file in bytes", minimum = 1),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename`, `title`, \
            `policy`, `filetype`, each with its value in Base64"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256` and the \
            checksum of the body in Base64", pattern = "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same \
            request, the answer is the same upload", max_length = 255, pattern = "^[!-~]{1,255}$"),
    ),
    request_body(
        content((FileBytes = "application/offset+octet-stream")),
        description = "The first bytes, or none",
    ),
    responses((
        status = 201,
        description = "The upload",
        headers(
            ("Location" = String, description = "The upload's URL"),
            ("Headwater-Asset" = String, description = "The asset's id"),
            ("Tus-Resumable" = String),
            ("Upload-Offset" = u64, description = "Bytes that came"),
            ("Upload-Expires" = String, description = "Until when it may go on"),
            ("Idempotent-Replayed", description = "`true` when an earlier request made it"),
        ),
    )),
)]
pub async fn create_upload(
    request: HttpRequest,
    payload: web::Payload,
    query: web::Query<CreateQuery>,
    ingest: web::Data<Ingest>,
) -> HttpResponse {
    // A task of its own: see `create_asset`.
    let work = async move { create(&request, payload, &query, &ingest).await };
    answer(
        actix_web::rt::spawn(work)
            .await
            .unwrap_or_else(|_| Err(ended_early())),
    )
}

/// How much of an upload is there
#[utoipa::path(
    head,
    path = "/uploads/{id}",
    operation_id = "uploadOffset",
    tag = "uploads",
    params(
        ("id" = String, Path, description = "The upload's id, which is the asset's"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`", pattern = "^1\\.0\\.0$"),
    ),
    responses((
        status = 200,
        description = "Its offset",
        headers(
            ("Tus-Resumable" = String),
            ("Upload-Offset" = u64, description = "Bytes that came"),
            ("Upload-Length" = u64, description = "Length of the whole"),
            ("Upload-Metadata", description = "As it was given, if it was"),
            ("Upload-Expires", description = "Until when it may go on, if it is not complete"),
        ),
    )),
)]
pub async fn upload_offset(
    request: HttpRequest,
    id: web::Path<AssetId>,
    ingest: web::Data<Ingest>,
) -> HttpResponse {
    answer(offset(&request, &id, &ingest).await)
}

/// Go on with an upload
#[utoipa::path(
    patch,
    path = "/uploads/{id}",
    operation_id = "appendUpload",
    tag = "uploads",
    params(
        ("id" = String, Path, description = "The upload's id, which is the asset's"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`", pattern = "^1\\.0\\.0$"),
        ("Upload-Offset" = u64, Header, description = "Bytes that came before", minimum = 0),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256` and the \
            checksum of the body in Base64", pattern = "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$"),
    ),
    request_body(content((FileBytes = "application/offset+octet-stream"))),
    responses((
        status = 204,
        description = "Taken",
        headers(
            ("Tus-Resumable" = String),
            ("Upload-Offset" = u64, description = "Bytes that came"),
            ("Upload-Expires", description = "Until when it may go on, if it is not complete"),
        ),
    )),
)]
pub async fn append_upload(
    request: HttpRequest,
    id: web::Path<AssetId>,
    payload: web::Payload,
    ingest: web::Data<Ingest>,
) -> HttpResponse {
    // A task of its own: see `create_asset`.
    let work = async move { append(&request, &id, payload, &ingest).await };
    answer(
        actix_web::rt::spawn(work)
            .await
            .unwrap_or_else(|_| Err(ended_early())),
    )
}

/// Give an upload up
///
/// Removes its asset and the bytes that came.
#[utoipa::path(
    delete,
    path = "/uploads/{id}",
    operation_id = "terminateUpload",
    tag = "uploads",
    params(
        ("id" = String, Path, description = "The upload's id, which is the asset's"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`", pattern = "^1\\.0\\.0$"),
    ),
    responses((status = 204, description = "Gone", headers(("Tus-Resumable" = String)))),
)]
pub async fn terminate_upload(
    request: HttpRequest,
    id: web::Path<AssetId>,
    ingest: web::Data<Ingest>,
) -> HttpResponse {
    answer(terminate(&request, &id, &ingest).await)
}

/// Every answer names the version (except to OPTIONS, which does it itself).
fn answer(outcome: Result<HttpResponse, Problem>) -> HttpResponse {
    let mut response = outcome.unwrap_or_else(HttpResponse::from_error);
    let version = HeaderValue::from_static(VERSION);
    response.headers_mut().insert(TUS_RESUMABLE, version);
    response
}

fn ended_early() -> Problem {
    Error::internal("an upload ended early").into()
}

// ---- creation

async fn create(
    request: &HttpRequest,
    payload: web::Payload,
    query: &CreateQuery,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    let headers = request.headers();
    check_version(headers)?;
    let length = wanted_length(headers, ingest.options().max_upload_bytes)?;
    let said = header_text(headers, &UPLOAD_METADATA)?.unwrap_or_default();
    let order = order(said, query, ingest)?;
    let checksum = checksum(headers)?;
    let starts = with_bytes(headers)?;
    if starts {
        fits(announced(headers), length)?;
    }
    let text = length.to_string();
    let [named, wanted] = query.said();
    let ticket = match turn(request, ingest, &["upload", &text, said, named, wanted]).await? {
        Turn::Own(ticket) => ticket,
        Turn::Replay(asset) => return replayed(request, &asset, ingest).await,
    };
    let upload = match begin(length, said, order, ingest).await {
        Ok(upload) => upload,
        Err(refusal) => {
            ticket.give_back().await;
            return Err(refusal.into());
        }
    };
    ticket.done(&upload.asset).await?;
    let mut offset = 0;
    if starts {
        offset = take(&upload, 0, checksum.as_ref(), payload, ingest).await?;
    }
    Ok(created(request, &upload, offset).finish())
}

fn wanted_length(headers: &HeaderMap, most: u64) -> Result<u64, Problem> {
    if headers.contains_key(UPLOAD_DEFER_LENGTH) {
        let detail = "Upload-Defer-Length isn't supported; say Upload-Length at once";
        return Err(Problem::bad_request(detail));
    }
    let length = number_in(headers, &UPLOAD_LENGTH)?;
    if length == 0 {
        return Err(Refusal::Empty.into());
    }
    check_announced(Some(length), most)?;
    Ok(length)
}

/// The query's word goes before the metadata's, and that before the file's name.
fn order(said: &str, query: &CreateQuery, ingest: &Ingest) -> Result<Order, Problem> {
    let pairs = match said {
        "" => Vec::new(),
        said => {
            let wrong = |e: String| Problem::bad_request(format!("Upload-Metadata: {e}"));
            metadata(said).map_err(wrong)?
        }
    };
    let value = |wanted: &str| {
        let found = pairs.iter().find(|(key, _)| key == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let file = value("filename").or(value("name")).map(title_of_file);
    let named = query
        .title
        .as_deref()
        .or(value("title"))
        .or(file.as_deref());
    let wanted = query.policy.as_deref().or(value("policy"));
    Ok(Order {
        title: title(named.unwrap_or_default())?,
        policy: policy(wanted, &ingest.0.policies)?,
    })
}

async fn begin(length: u64, said: &str, order: Order, ingest: &Ingest) -> Result<Upload, Refusal> {
    let reservation = ingest.0.room.reserve(length)?;
    let id = new_id()?;
    let new = NewAsset {
        id: id.clone(),
        title: order.title,
        policy: order.policy,
        state: AssetState::Uploading,
        source_url: None,
        source_bytes: Some(length),
    };
    ingest.0.catalog.create_asset(&new).await?;
    match begin_upload(&id, length, said, ingest).await {
        Ok(upload) => {
            let session = Arc::new(Mutex::new(Session::Closed(reservation)));
            ingest.sessions().insert(id, session);
            Ok(upload)
        }
        Err(error) => {
            // An asset that can't be removed now is removed at the next start.
            let _ = ingest.0.catalog.remove_asset(&id).await;
            let _ = ingest.place(&id).clear().await;
            Err(error.into())
        }
    }
}

async fn begin_upload(id: &AssetId, length: u64, said: &str, ingest: &Ingest) -> OurResult<Upload> {
    ingest.place(id).note_metadata(said).await?;
    let new = NewUpload {
        asset: id.clone(),
        length,
        expires_at_millis: ingest.expiry(),
    };
    ingest.0.catalog.create_upload(&new).await
}

fn created(request: &HttpRequest, upload: &Upload, offset: u64) -> HttpResponseBuilder {
    let path = format!("/api/v1/uploads/{}", upload.asset);
    let mut response = HttpResponse::Created();
    response
        .insert_header((header::LOCATION, Access::location(request, &path)))
        .insert_header((HEADWATER_ASSET, upload.asset.as_str()))
        .insert_header((UPLOAD_OFFSET, offset))
        .insert_header((header::CACHE_CONTROL, crate::layout::PRIVATE));
    if offset < upload.length {
        response.insert_header((UPLOAD_EXPIRES, http_date(upload.expires_at_millis)));
    }
    response
}

async fn replayed(
    request: &HttpRequest,
    asset: &Asset,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    let Some(upload) = ingest.0.catalog.upload(&asset.id).await? else {
        return Err(other_request());
    };
    let offset = ingest.offset_of(&upload, asset).await?;
    let mut response = created(request, &upload, offset).finish();
    super::idempotency::mark_replayed(&mut response);
    Ok(response)
}

// ---- the others

async fn offset(
    request: &HttpRequest,
    id: &AssetId,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    check_version(request.headers())?;
    let (upload, asset) = ingest.find(id).await?;
    let offset = ingest.offset_of(&upload, &asset).await?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((UPLOAD_OFFSET, offset))
        .insert_header((UPLOAD_LENGTH, upload.length))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    if offset < upload.length {
        response.insert_header((UPLOAD_EXPIRES, http_date(upload.expires_at_millis)));
    }
    if let Some(said) = ingest.place(id).metadata().await? {
        response.insert_header((UPLOAD_METADATA, said));
    }
    Ok(response.finish())
}

async fn append(
    request: &HttpRequest,
    id: &AssetId,
    payload: web::Payload,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    let headers = request.headers();
    check_version(headers)?;
    if !with_bytes(headers)? {
        let detail = format!("the Content-Type must be {OFFSET_TYPE}");
        return Err(Problem::unsupported_type(detail));
    }
    let from = number_in(headers, &UPLOAD_OFFSET)?;
    let checksum = checksum(headers)?;
    let (upload, asset) = ingest.find(id).await?;
    if asset.state != AssetState::Uploading {
        // The last answer was lost: nothing is left to send.
        return match from == upload.length {
            true => Ok(taken(from).finish()),
            false => Err(wrong_offset(from, upload.length)),
        };
    }
    fits(announced(headers), upload.length.saturating_sub(from))?;
    let offset = take(&upload, from, checksum.as_ref(), payload, ingest).await?;
    let mut response = taken(offset);
    if offset < upload.length {
        response.insert_header((UPLOAD_EXPIRES, http_date(ingest.expiry())));
    }
    Ok(response.finish())
}

fn taken(offset: u64) -> HttpResponseBuilder {
    let mut response = HttpResponse::NoContent();
    response
        .insert_header((UPLOAD_OFFSET, offset))
        .insert_header((header::CACHE_CONTROL, crate::layout::PRIVATE));
    response
}

async fn terminate(
    request: &HttpRequest,
    id: &AssetId,
    ingest: &Ingest,
) -> Result<HttpResponse, Problem> {
    check_version(request.headers())?;
    let (_, asset) = ingest.find(id).await?;
    if asset.state != AssetState::Uploading {
        let detail = format!("the upload is complete; delete /api/v1/assets/{id} instead");
        return Err(Problem::conflict(detail));
    }
    let session = ingest.lock(id)?;
    ingest.drop_upload(id).await?;
    drop(session);
    Ok(HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, crate::layout::PRIVATE))
        .finish())
}

// ---- taking bytes

/// Takes a body that begins at `from`; the offset after it.
async fn take(
    upload: &Upload,
    from: u64,
    checksum: Option<&Checksum>,
    payload: web::Payload,
    ingest: &Ingest,
) -> Result<u64, Problem> {
    let _permit = ingest.permit()?;
    let mut session = ingest.lock(&upload.asset)?;
    let mut writer = ingest.open(&mut session, upload).await?;
    if writer.received() != from {
        let there = writer.received();
        *session = Session::Open(writer);
        return Err(wrong_offset(from, there));
    }
    let body = Paced::new(payload, ingest.options());
    match append_body(&mut writer, checksum, body).await {
        Ok(true) => {}
        Ok(false) => {
            *session = Session::Open(writer);
            return Err(mismatch());
        }
        Err(refusal) => {
            if writer.is_sound() {
                *session = Session::Open(writer);
            }
            ingest.extend(upload).await?;
            return Err(refusal.into());
        }
    }
    let offset = writer.received();
    if offset < upload.length {
        *session = Session::Open(writer);
    } else {
        ingest.complete(&mut writer, &upload.asset).await?;
    }
    ingest.extend(upload).await?;
    Ok(offset)
}

/// Takes a body, keeps what is sound of it, and has that on the disk; whether it is what its
/// checksum says.
async fn append_body(
    writer: &mut Writer,
    checksum: Option<&Checksum>,
    mut body: Paced<web::Payload>,
) -> Result<bool, Refusal> {
    if let Some(checksum) = checksum {
        writer.begin_unverified(checksum.begin()).await?;
    }
    let mut refused = None;
    while let Some(bytes) = body.next().await {
        let taken = match bytes {
            Ok(bytes) => writer.push(bytes).await,
            Err(error) => Err(Refusal::from_payload(error)),
        };
        if let Err(refusal) = taken {
            refused = Some(refusal);
            break;
        }
    }
    let sound = match checksum {
        None => {
            writer.sync().await?;
            true
        }
        // Of a body that is cut off, nothing is known to be sound.
        Some(_) if refused.is_some() => {
            writer.take_back().await?;
            true
        }
        Some(checksum) => writer.verify(|sum| checksum.matches(sum)).await?,
    };
    match refused {
        Some(refusal) => Err(refusal),
        None => Ok(sound),
    }
}

impl Ingest {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<AssetId, Arc<Mutex<Session>>>> {
        self.0
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when an upload may go on that has just got bytes.
    fn expiry(&self) -> i64 {
        let most = i64::try_from(self.0.options.upload_expiry.as_millis()).unwrap_or(i64::MAX);
        self.0.clock.now_millis().saturating_add(most)
    }

    async fn extend(&self, upload: &Upload) -> OurResult<()> {
        let extended = self.0.catalog.extend_upload(&upload.asset, self.expiry());
        extended.await.map(|_| ())
    }

    /// An upload and its asset.
    async fn find(&self, id: &AssetId) -> Result<(Upload, Asset), Problem> {
        let catalog = &self.0.catalog;
        let (Some(upload), Some(asset)) = (catalog.upload(id).await?, catalog.asset(id).await?)
        else {
            return Err(Problem::not_found("upload"));
        };
        let over = upload.expires_at_millis <= self.0.clock.now_millis();
        if over && asset.state == AssetState::Uploading {
            return Err(Problem::gone("the upload has expired; begin a new one"));
        }
        Ok((upload, asset))
    }

    /// Bytes that came and count.
    async fn offset_of(&self, upload: &Upload, asset: &Asset) -> OurResult<u64> {
        if asset.state != AssetState::Uploading {
            return Ok(upload.length);
        }
        let part = self.place(&upload.asset).part_bytes().await?;
        Ok(part.unwrap_or(0))
    }

    /// The session of an upload, if no other request has it.
    pub(super) fn lock(&self, id: &AssetId) -> Result<OwnedMutexGuard<Session>, Problem> {
        let session = {
            let mut sessions = self.sessions();
            let session = sessions.entry(id.clone());
            Arc::clone(session.or_insert_with(|| Arc::new(Mutex::new(Session::Broken))))
        };
        let locked = session.try_lock_owned();
        locked.map_err(|_| Problem::locked("another request is sending to this upload"))
    }

    /// The file of a session, which is broken until it is put back.
    async fn open(&self, session: &mut Session, upload: &Upload) -> Result<Box<Writer>, Refusal> {
        let place = self.place(&upload.asset);
        let reservation = match std::mem::replace(session, Session::Broken) {
            Session::Open(writer) => return Ok(writer),
            Session::Closed(reservation) => reservation,
            Session::Broken => {
                let there = place.part_bytes().await?.unwrap_or(0);
                self.0.room.reserve(upload.length.saturating_sub(there))?
            }
        };
        let opened = Writer::open(place, ceiling(upload), reservation);
        Ok(Box::new(opened.await?))
    }

    /// Removes an upload whose bytes are not all there, and its asset.
    pub(super) async fn drop_upload(&self, id: &AssetId) -> OurResult<()> {
        self.0.catalog.remove_asset(id).await?;
        self.sessions().remove(id);
        self.place(id).clear().await
    }

    /// Reserves the room again that an upload was promised before a restart.
    pub(super) async fn resume_upload(&self, upload: &Upload) -> OurResult<()> {
        let there = self.place(&upload.asset).part_bytes().await?.unwrap_or(0);
        let reservation = self.0.room.renew(upload.length.saturating_sub(there));
        let session = Arc::new(Mutex::new(Session::Closed(reservation)));
        self.sessions().insert(upload.asset.clone(), session);
        Ok(())
    }

    async fn complete(&self, writer: &mut Writer, id: &AssetId) -> OurResult<()> {
        let received = writer.finish().await?;
        self.hand_over(id, writer.place(), &received).await?;
        self.sessions().remove(id);
        Ok(())
    }

    /// All bytes of an upload came before a restart, and nobody was told.
    pub(super) async fn complete_upload(&self, upload: &Upload) -> OurResult<()> {
        let reservation = self.0.room.renew(0);
        let opened = Writer::open(self.place(&upload.asset), ceiling(upload), reservation);
        self.complete(&mut opened.await?, &upload.asset).await
    }

    /// Forgets the sessions of uploads that are gone.
    pub(super) async fn forget_sessions(&self) -> OurResult<()> {
        let known: Vec<AssetId> = self.sessions().keys().cloned().collect();
        for id in known {
            if !self.is_busy(&id) && self.0.catalog.upload(&id).await?.is_none() {
                self.sessions().remove(&id);
            }
        }
        Ok(())
    }

    /// Whether a request is sending to an upload.
    pub(super) fn is_busy(&self, id: &AssetId) -> bool {
        let session = self.sessions().get(id).cloned();
        session.is_some_and(|session| session.try_lock().is_err())
    }
}

fn ceiling(upload: &Upload) -> Ceiling {
    Ceiling {
        limit: "Upload-Length",
        bytes: upload.length,
    }
}

// ---- headers

fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers
        .get(TUS_RESUMABLE)
        .is_some_and(|version| version == VERSION)
    {
        return Ok(());
    }
    let detail = format!("send Tus-Resumable: {VERSION}");
    let status = StatusCode::PRECONDITION_FAILED;
    let problem = Problem::new(status, "tus-version", "Another version of tus", detail);
    Err(problem.with_header(TUS_VERSION, HeaderValue::from_static(VERSION)))
}

fn number_in(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let text = header_text(headers, name)?;
    let wrong = || Problem::bad_request(format!("{name} must be there, a number of bytes"));
    text.and_then(number).ok_or_else(wrong)
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(text) = header_text(headers, &UPLOAD_CHECKSUM)? else {
        return Ok(None);
    };
    let wrong = |e| Problem::bad_request(format!("Upload-Checksum: {e}"));
    Checksum::parse(text).map(Some).map_err(wrong)
}

/// Whether the body is bytes of an upload.
fn with_bytes(headers: &HeaderMap) -> Result<bool, Problem> {
    let content_type = header_text(headers, &header::CONTENT_TYPE)?;
    Ok(content_type.is_some_and(|text| essence(text) == OFFSET_TYPE))
}

fn fits(announced: Option<u64>, left: u64) -> Result<(), Problem> {
    match announced {
        Some(bytes) if bytes > left => Err(Problem::too_large("Upload-Length", left)),
        _ => Ok(()),
    }
}

fn wrong_offset(said: u64, there: u64) -> Problem {
    let detail = format!("Upload-Offset is {said}, but {there} bytes are there; go on from those");
    let problem = Problem::conflict(detail);
    problem.with_header(UPLOAD_OFFSET, HeaderValue::from(there))
}

fn mismatch() -> Problem {
    let status = StatusCode::from_u16(CHECKSUM_MISMATCH).expect("three digits");
    let detail = "the bytes don't come to Upload-Checksum; none of them were kept";
    Problem::new(status, "checksum-mismatch", "Checksum mismatch", detail)
}

/// A time as HTTP writes it.
fn http_date(millis: i64) -> HttpDate {
    let millis = u64::try_from(millis).unwrap_or(0);
    // Later than year 9999 can't be written.
    let time = Duration::from_millis(millis.min(253_402_300_799_000));
    HttpDate::from(UNIX_EPOCH + time)
}
