//! Delivery on a connection that actix-web has: one that began with something else than an
//! object, or speaks HTTP/2.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use super::Origin;
use super::cache::Body;
use super::file::{self, Buffers};
use super::reply::Reply;
use super::request::{Field, Method, Request};

/// What is known of the connection that a request came over: its listener puts it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connection {
    /// Whether it is TLS.
    pub is_secure: bool,
    /// Whether the other end showed a client certificate that was verified.
    pub is_certified: bool,
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
async fn deliver(request: HttpRequest, origin: web::Data<Origin>) -> HttpResponse {
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
    let connection = request
        .conn_data::<Connection>()
        .copied()
        .unwrap_or_default();
    let reply = origin
        .answer(&Request {
            method: method(request.method()),
            path: request.uri().path(),
            query: request.uri().query(),
            fields: &fields,
            peer: request
                .peer_addr()
                .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()),
            is_secure: connection.is_secure,
            is_certified: connection.is_certified,
        })
        .await;
    response(reply)
}

fn method(method: &actix_web::http::Method) -> Method {
    match method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    }
}

fn response(reply: Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
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
        BodySize::Sized(self.length)
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
