//! One connection: requests for objects are answered here, one after the other; with the first
//! for anything else the connection is handed over to the application, and stays there.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use actix_http::Protocol;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};

use super::handed::Handed;
use super::head::{self, Head};
use super::send::Sender;
use super::stream::Stream;
use super::{Thread, date};
use crate::origin::over_actix::Connection as About;
use crate::origin::request::{Refusal, Request};
use crate::origin::{Reply, Told};
use crate::telemetry::{Refused, Tls, Version};

/// Bytes asked of the socket at a time while a head is read.
const READ_BYTES: usize = 4 << 10;
/// How long, and how many bytes, a peer that was refused may go on sending before the connection
/// is closed: closing at once would make it lose the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

/// Serves a connection until its end.
pub(super) async fn serve(socket: TcpStream, peer: SocketAddr, thread: Rc<Thread>) {
    // Only a matter of speed.
    let _ = socket.set_nodelay(true);
    let metrics = thread.origin.metrics().clone();
    let _open = metrics.connected();
    let Some(Accepted {
        stream,
        protocol,
        about,
    }) = accepted(socket, &thread).await
    else {
        metrics.refused(Refused::Handshake);
        return;
    };
    let mut connection = Connection {
        stream,
        peer,
        about,
        read: BytesMut::new(),
        out: Vec::new(),
        thread,
    };
    if protocol == Protocol::Http1
        && let End::Closed = connection.answer_all().await
    {
        return;
    }
    let Connection {
        stream,
        read,
        thread,
        ..
    } = connection;
    let patience = thread.options.patience(protocol);
    let handed = Handed::new(read, stream, about, patience);
    (thread.application)(handed, protocol, peer).await;
}

/// A connection on which requests may come.
struct Accepted {
    stream: Stream,
    protocol: Protocol,
    about: About,
}

/// The connection after its handshake, if there is one to be made.
async fn accepted(socket: TcpStream, thread: &Thread) -> Option<Accepted> {
    let Some(tls) = &thread.tls else {
        return Some(Accepted {
            stream: Stream::Plain(socket),
            protocol: Protocol::Http1,
            about: About {
                tls: Tls::None,
                is_certified: false,
            },
        });
    };
    let handshake = timeout(thread.options.header_timeout, tls.accept(socket)).await;
    let stream = handshake.ok()?.ok()??;
    let session = stream.get_ref().1;
    let protocol = match session.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    let about = About {
        tls: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => Tls::Tls12,
            _ => Tls::Tls13,
        },
        is_certified: crate::tls::verified_peer(session),
    };
    Some(Accepted {
        stream: Stream::Secure(Box::new(stream)),
        protocol,
        about,
    })
}

/// Why the loop of answers ended.
enum End {
    Closed,
    HandOver,
}

struct Connection {
    stream: Stream,
    peer: SocketAddr,
    about: About,
    /// What was read and not yet answered.
    read: BytesMut,
    /// The head of the answer being sent, kept for its memory.
    out: Vec<u8>,
    thread: Rc<Thread>,
}

impl Connection {
    async fn answer_all(&mut self) -> End {
        let stop = self.thread.stop.clone();
        let mut stopped = pin!(stop.stopped());
        let mut silence = Silence::new(self.thread.options.first_bytes_timeout);
        loop {
            if self.read.is_empty() {
                let some_came = tokio::select! {
                    biased;
                    came = self.read_some() => came,
                    () = &mut stopped => false,
                    () = silence.is_too_long() => false,
                };
                if !some_came {
                    return End::Closed;
                }
            }
            match self.answer_one().await {
                Ok(Step::Next) => silence.begin(self.thread.options.keep_alive),
                Ok(Step::HandOver) => return End::HandOver,
                Ok(Step::Close) => {
                    self.linger().await;
                    return End::Closed;
                }
                Err(_) => {
                    self.stream.reset_on_drop();
                    return End::Closed;
                }
            }
        }
    }

    /// Reads the first bytes of a request. `false` where none come because the peer left.
    async fn read_some(&mut self) -> bool {
        if let Stream::Plain(socket) = &self.stream
            && socket.readable().await.is_err()
        {
            return false;
        }
        // Only now: an idle connection needs no buffer.
        self.read.reserve(READ_BYTES);
        matches!(self.stream.read_buf(&mut self.read).await, Ok(count) if count > 0)
    }

    /// Answers the request at the start of what was read.
    async fn answer_one(&mut self) -> io::Result<Step> {
        let began = Instant::now();
        loop {
            match head::parse(&self.read) {
                Ok(Some(head)) if !self.thread.answers(head.method, head.path) => {
                    return Ok(Step::HandOver);
                }
                Ok(Some(head)) => {
                    let (stream, out) = (&mut self.stream, &mut self.out);
                    let asked = Asked {
                        request: request(&head, self.peer, self.about),
                        head: &head,
                        tls: self.about.tls,
                        began,
                    };
                    let step = answer(&asked, stream, out, &self.thread).await?;
                    let length = head.length;
                    self.read.advance(length);
                    return Ok(step);
                }
                Ok(None) => {}
                Err(refusal) => {
                    self.thread.origin.metrics().refused(Refused::Malformed);
                    self.refuse(&refusal).await?;
                    return Ok(Step::Close);
                }
            }
            self.read.reserve(READ_BYTES);
            let read = self.stream.read_buf(&mut self.read);
            let deadline = began + self.thread.options.header_timeout;
            match tokio::time::timeout_at(deadline, read).await {
                Ok(Ok(count)) if count > 0 => {}
                // Half a request, and nobody there any more to be answered.
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(_) => {
                    self.thread.origin.metrics().refused(Refused::SlowHeader);
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }

    async fn refuse(&mut self, refusal: &Refusal) -> io::Result<()> {
        let thread = Rc::clone(&self.thread);
        let reply = Reply::refused(refusal);
        write_lines(&mut self.out, &reply, &thread, Persistence::Closes);
        let mut sender = Sender::new(&mut self.stream, &thread.buffers, thread.options.pace());
        sender.send(&mut self.out, reply.body).await
    }

    /// Ends the connection in a way that the peer can read the last answer.
    async fn linger(&mut self) {
        let drain = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut dropped = 0;
            loop {
                self.read.clear();
                self.read.reserve(READ_BYTES);
                match self.stream.read_buf(&mut self.read).await {
                    Ok(count) if count > 0 && dropped < LINGER_BYTES => dropped += count,
                    _ => return,
                }
            }
        };
        // What is not read by then is lost with the connection.
        let _ = timeout(LINGER, drain).await;
    }
}

/// What follows an answer.
enum Step {
    Next,
    HandOver,
    Close,
}

/// A request and what its answer depends on besides.
struct Asked<'h> {
    request: Request<'h>,
    head: &'h Head<'h>,
    tls: Tls,
    /// When its first bytes were there.
    began: Instant,
}

fn request<'h>(head: &'h Head<'h>, peer: SocketAddr, about: About) -> Request<'h> {
    Request {
        method: head.method,
        path: head.path,
        query: head.query,
        fields: &head.fields,
        peer: peer.ip(),
        is_secure: about.tls != Tls::None,
        is_certified: about.is_certified,
    }
}

/// Answers a request for an object, and counts it.
async fn answer(
    asked: &Asked<'_>,
    stream: &mut Stream,
    out: &mut Vec<u8>,
    thread: &Thread,
) -> io::Result<Step> {
    let began = asked.began;
    let metrics = thread.origin.metrics();
    let _in_flight = metrics.in_flight();
    let reply = thread.origin.answer(&asked.request).await;
    let head = asked.head;
    let is_last = !head.keeps_alive || head.has_body || thread.stop.is_set();
    write_lines(out, &reply, thread, persistence(is_last, head));
    let (status, class, source) = (reply.status, reply.class, reply.source);
    let head_bytes = out.len();
    let first_byte = began.elapsed();
    let mut sender = Sender::new(stream, &thread.buffers, thread.options.pace());
    let sent = sender.send(out, reply.body).await;
    let told = Told {
        method: head.method_name,
        version: match head.is_latest {
            true => Version::Http11,
            false => Version::Http10,
        },
        tls: asked.tls,
        status,
        class,
        source,
        bytes: sender.sent().saturating_sub(head_bytes as u64),
        is_complete: sent.is_ok(),
        first_byte,
        total: began.elapsed(),
    };
    thread.origin.tell(&asked.request, &told);
    if sent
        .as_ref()
        .is_err_and(|e| e.kind() == io::ErrorKind::TimedOut)
    {
        metrics.refused(Refused::SlowReader);
    }
    sent?;
    Ok(if is_last { Step::Close } else { Step::Next })
}

/// For how long nothing has come. One timer, which is looked at only when it rings: setting it for
/// each request would cost more than the request's own handling.
struct Silence {
    timer: Pin<Box<Sleep>>,
    since: Instant,
    patience: Duration,
}

impl Silence {
    fn new(patience: Duration) -> Self {
        Self {
            timer: Box::pin(tokio::time::sleep(patience)),
            since: Instant::now(),
            patience,
        }
    }

    /// It begins anew, and may be as long as `patience`.
    fn begin(&mut self, patience: Duration) {
        self.since = Instant::now();
        self.patience = patience;
        let end = self.since + patience;
        if end < self.timer.deadline() {
            self.timer.as_mut().reset(end);
        }
    }

    async fn is_too_long(&mut self) {
        loop {
            self.timer.as_mut().await;
            let end = self.since + self.patience;
            if Instant::now() >= end {
                return;
            }
            self.timer.as_mut().reset(end);
        }
    }
}

/// What an answer says of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Persistence {
    Closes,
    /// HTTP/1.0 has to be told.
    Persists {
        is_told: bool,
    },
}

fn persistence(is_last: bool, head: &Head<'_>) -> Persistence {
    let mut names = head.fields.iter().map(|field| field.name);
    let mut is_told = || names.any(|name| name.eq_ignore_ascii_case("connection"));
    match is_last {
        true => Persistence::Closes,
        false => Persistence::Persists { is_told: is_told() },
    }
}

/// Status line, fields and the empty line.
fn write_lines(out: &mut Vec<u8>, reply: &Reply, thread: &Thread, persistence: Persistence) {
    out.clear();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(reply.status_line().as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(date::now(&thread.clock).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&reply.fixed);
    out.extend_from_slice(reply.own.as_bytes());
    if let Some(length) = reply.length {
        out.extend_from_slice(b"Content-Length: ");
        write_number(out, length);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(match persistence {
        Persistence::Closes => b"Connection: close\r\n\r\n".as_slice(),
        Persistence::Persists { is_told: true } => b"Connection: keep-alive\r\n\r\n",
        Persistence::Persists { is_told: false } => b"\r\n",
    });
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    use std::io::Write;
    // Writing to memory can't fail.
    let _ = write!(out, "{number}");
}
