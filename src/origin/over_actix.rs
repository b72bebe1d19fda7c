//! Delivery on a connection that actix-web has: one that began with something else than an
//! object, or speaks HTTP/2.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{self, ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;

use super::cache::Body;
use super::file::{self, Buffers};
use super::reply::Reply;
use super::request::{Field, HEAD_BYTES_MAX, Method, Refusal, Request, TARGET_BYTES_MAX, is_host};
use super::{LICENSE_BYTES_MAX, Origin, Told};
use crate::telemetry::{Class, Source, Tls, Version};

/// What is known of the connection that a request came over: its listener puts it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Its version of TLS.
    pub tls: Tls,
    /// Whether the other end showed a client certificate that was verified.
    pub is_certified: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            tls: Tls::None,
            is_certified: false,
        }
    }
}

/// Routes of delivery; needs [`Origin`] as application data. To be called last: it answers every
/// path that no other route has.
pub fn routes(config: &mut web::ServiceConfig) {
    config.default_service(web::to(deliver));
}

#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn deliver(
    request: HttpRequest,
    payload: web::Payload,
    origin: web::Data<Origin>,
) -> HttpResponse {
    if let Some(refusal) = too_long(&request).or_else(|| misnamed(&request)) {
        let mut response = response(Reply::refused(&refusal));
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
        return response;
    }
    let fields = fields(&request);
    let asked = as_request(&request, &fields);
    if !origin.takes_license_request(asked.method, asked.path) {
        return response(origin.answer(&asked).await);
    }
    let mut response = response(origin.license(&asked, body(payload)).await);
    if response.status() != StatusCode::OK {
        // Some of the body may be still to come.
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    response
}

/// How long a request for a licence may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The body of a request for a licence.
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
async fn body(mut payload: web::Payload) -> Result<Vec<u8>, Refusal> {
    let read = async {
        let mut body = Vec::new();
        while let Some(bytes) = payload.next().await {
            let bytes = bytes.map_err(|_| Refusal::LICENSE)?;
            if body.len() + bytes.len() > LICENSE_BYTES_MAX {
                return Err(Refusal::BODY_TOO_LONG);
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    };
    let read = tokio::time::timeout(BODY_TIMEOUT, read).await;
    read.unwrap_or(Err(Refusal::BODY_TOO_SLOW))
}

/// Counts and logs every request of an application, those for objects too.
///
/// # Errors
/// Those of the application.
#[expect(
    clippy::future_not_send,
    reason = "actix-web runs a request on one thread; its types are not Send"
)]
pub async fn tell<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let began = Instant::now();
    let response = next.call(request).await?;
    let (request, answer) = (response.request(), response.response());
    let Some(origin) = request.app_data::<web::Data<Origin>>() else {
        return Ok(response);
    };
    let about = answer.extensions().get::<About>().copied();
    let about = about.unwrap_or(About {
        class: Class::Api,
        source: None,
    });
    let told = Told {
        method: request.method().as_str(),
        version: version(request.version()),
        tls: connection(request).tls,
        status: answer.status().as_u16(),
        class: about.class,
        source: about.source,
        bytes: body_bytes(request, answer.body()),
        // What the application is given it sends by itself.
        is_complete: true,
        first_byte: began.elapsed(),
        total: began.elapsed(),
    };
    let fields = fields(request);
    origin.tell(&as_request(request, &fields), &told);
    Ok(response)
}

/// What a reply was about, for [`tell`].
#[derive(Debug, Clone, Copy)]
struct About {
    class: Class,
    source: Option<Source>,
}

fn body_bytes(request: &HttpRequest, body: &impl MessageBody) -> u64 {
    match body.size() {
        BodySize::Sized(bytes) if request.method() != http::Method::HEAD => bytes,
        _ => 0,
    }
}

fn version(version: http::Version) -> Version {
    match version {
        http::Version::HTTP_2 => Version::Http2,
        http::Version::HTTP_10 => Version::Http10,
        _ => Version::Http11,
    }
}

fn connection(request: &HttpRequest) -> Connection {
    let known = request.conn_data::<Connection>();
    known.copied().unwrap_or_default()
}

fn fields(request: &HttpRequest) -> Vec<Field<'_>> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    for (name, value) in request.headers() {
        let (name, value) = (name.as_str(), value.as_bytes());
        fields.push(Field { name, value });
    }
    // What HTTP/2 has in the place of `Host`.
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(header::HOST)
    {
        let value = authority.as_str().as_bytes();
        fields.push(Field {
            name: "host",
            value,
        });
    }
    fields
}

fn as_request<'a>(request: &'a HttpRequest, fields: &'a [Field<'a>]) -> Request<'a> {
    let connection = connection(request);
    let peer = request.peer_addr().map(|peer| peer.ip());
    Request {
        method: method(request.method()),
        path: request.uri().path(),
        query: request.uri().query(),
        fields,
        peer: peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        is_secure: connection.tls != Tls::None,
        is_certified: connection.is_certified,
    }
}

/// What is longer than actix-web lets on: its own limits are wider.
fn too_long(request: &HttpRequest) -> Option<Refusal> {
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if target > TARGET_BYTES_MAX {
        return Some(Refusal::TARGET_TOO_LONG);
    }
    let fields = request.headers().iter();
    // A colon, a space, CR and LF.
    let bytes: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    (target + bytes > HEAD_BYTES_MAX).then_some(Refusal::HEAD_TOO_LONG)
}

/// A host that is none, several of them, or another than the target's: the framework takes them.
fn misnamed(request: &HttpRequest) -> Option<Refusal> {
    let mut hosts = request.headers().get_all(header::HOST);
    let (host, another) = (hosts.next(), hosts.next());
    let authority = request.uri().authority();
    let is_sound = match (host, authority) {
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(host), Some(authority)) => host.as_bytes() == authority.as_str().as_bytes(),
        // HTTP/2 has it there, HTTP/1.0 may have none.
        (None, authority) => authority.is_some() || request.version() == http::Version::HTTP_10,
    };
    (!is_sound || another.is_some()).then_some(Refusal::HOST)
}

fn method(method: &http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" => Method::Post,
        _ => Method::Other,
    }
}

fn response(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.extensions_mut().insert(About {
        class: reply.class,
        source: reply.source,
    });
    for (name, value) in reply.fields() {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            response.append_header((name, value));
        }
    }
    match reply.length {
        None => response.finish(),
        Some(length) => response
            .no_chunking(length)
            .body(Chunks::new(length, reply.body)),
    }
}

/// A body in chunks of at most 64 KiB from a file or 128 KiB from memory, so that a slow reader
/// holds no more of it than one.
struct Chunks {
    length: u64,
    state: State,
}

enum State {
    Rests(Body),
    Reads(LocalBoxFuture<'static, std::io::Result<(Option<Bytes>, Body)>>),
    Ended,
}

/// The most of a body in memory that is handed out at a time, in bytes.
const CHUNK_BYTES: usize = 128 << 10;

impl Chunks {
    fn new(length: u64, body: Body) -> Self {
        Self {
            length,
            state: State::Rests(body),
        }
    }
}

/// The next chunk, and what is left.
async fn next(body: Body) -> std::io::Result<(Option<Bytes>, Body)> {
    match body {
        Body::Empty => Ok((None, Body::Empty)),
        Body::Bytes(mut bytes) => {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            Ok(((!chunk.is_empty()).then_some(chunk), Body::Bytes(bytes)))
        }
        Body::File { file, range } if range.is_empty() => Ok((None, Body::File { file, range })),
        Body::File { file, range } => {
            let buffer = Buffers::default().take();
            let (buffer, read) = file::read(&file, range.start, range.end, buffer).await?;
            let chunk = Bytes::from(buffer).slice(..read);
            let range = range.start + read as u64..range.end;
            Ok((Some(chunk), Body::File { file, range }))
        }
        Body::Pieces(mut pieces) => {
            let piece = pieces.next().await.map_err(std::io::Error::other)?;
            Ok((piece, Body::Pieces(pieces)))
        }
    }
}

impl MessageBody for Chunks {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        match &self.state {
            // An answer to HEAD. If another request came with it, the framework may take this for
            // that one's, whose body would be missing.
            State::Rests(Body::Empty) if self.length > 0 => BodySize::Stream,
            _ => BodySize::Sized(self.length),
        }
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Rests(body) => this.state = State::Reads(Box::pin(next(body))),
                State::Reads(mut reading) => match reading.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.state = State::Reads(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((None, _))) => return Poll::Ready(None),
                    Poll::Ready(Ok((Some(chunk), rest))) => {
                        this.state = State::Rests(rest);
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Some(Err(e))),
                },
            }
        }
    }
}
