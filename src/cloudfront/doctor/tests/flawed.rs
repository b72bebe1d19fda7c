//! A cache with an origin behind it on loopback, with one flaw or none.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::super::evidence::STRANGE_HOST;
use crate::layout::{ENTRY, IMMUTABLE};

pub(super) const REVISION: &str = "0123456789abcdef0123456789abcdef";
pub(super) const SECRET: &str = "a-secret-of-thirty-two-characters";

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    SetsCookie,
    VariesByAll,
    WrongType,
    SegmentNotKept,
    EntryForEver,
    AlwaysMiss,
    QueryIsKey,
    Stale,
    WeakTag,
    NoTag,
    AlwaysModified,
    HeadDiffers,
    NoRanges,
    ShiftedRanges,
    NoCors,
    ForeignCors,
    NoPreflight,
    DamagedGzip,
    GzipForAll,
    GzipSegments,
    NoLength,
    MissingIsThere,
    MissingForLong,
    RepeatsHost,
    RefusesAll,
    OpenToAll,
    LocksOutTheCdn,
    ClosesAtOnce,
}

struct Request {
    method: String,
    path: String,
    query: Option<String>,
    fields: Vec<(String, String)>,
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(field, _)| field == name);
        named.next().map(|(_, value)| value.as_str())
    }
}

struct Response {
    status: u16,
    fields: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.remove(name);
        self.fields.push((name, value.into()));
    }

    fn remove(&mut self, name: &str) {
        self.fields.retain(|(field, _)| *field != name);
    }
}

/// What every connection shares.
struct Place {
    flaw: Flaw,
    /// Asked for as the origin: the lock is shut.
    is_origin: bool,
    kept: Mutex<HashSet<String>>,
}

/// Listens until the test ends; gives the port.
pub(super) fn listen(flaw: Flaw, is_origin: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("is bound").port();
    let place = Arc::new(Place {
        flaw,
        is_origin,
        kept: Mutex::default(),
    });
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let place = Arc::clone(&place);
            std::thread::spawn(move || serve(connection, &place));
        }
    });
    port
}

fn serve(mut connection: TcpStream, place: &Place) {
    let mut reader = BufReader::new(connection.try_clone().expect("a descriptor"));
    while let Some(request) = read(&mut reader) {
        let response = answer(&request, place);
        let is_head = request.method == "HEAD";
        if write(&mut connection, &response, is_head).is_err() {
            return;
        }
        let is_endless = !response
            .fields
            .iter()
            .any(|(name, _)| *name == "content-length");
        if place.flaw == Flaw::ClosesAtOnce || is_endless {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.by_ref().take(8192).read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let fields = lines.filter_map(|line| line.split_once(':'));
    Some(Request {
        method,
        path: path.to_owned(),
        query: (!query.is_empty()).then(|| query.to_owned()),
        fields: fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
    })
}

fn write(connection: &mut TcpStream, response: &Response, is_head: bool) -> std::io::Result<()> {
    let mut bytes = format!("HTTP/1.1 {} X\r\n", response.status).into_bytes();
    for (name, value) in &response.fields {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    if !is_head {
        bytes.extend(&response.body);
    }
    connection.write_all(&bytes)
}

/// What the object at a path is: type, cache rule and bytes.
fn object(path: &str) -> Option<(&'static str, &'static str, Vec<u8>)> {
    let playlist = "application/vnd.apple.mpegurl";
    let padding = "#comment that makes it worth encoding\n".repeat(40);
    let key = path.strip_prefix("/v/cats/")?;
    let media = key
        .strip_prefix(REVISION)
        .and_then(|rest| rest.strip_prefix("/v720/"));
    Some(match (key, media) {
        ("index.m3u8", _) => {
            let text = format!(
                "#EXTM3U\n{padding}#EXT-X-STREAM-INF:BANDWIDTH=1\n{REVISION}/v720/index.m3u8\n"
            );
            (playlist, ENTRY, text.into_bytes())
        }
        (_, Some("index.m3u8")) => {
            let text = format!(
                "#EXTM3U\n{padding}#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2,\n1.m4s\n#EXT-X-ENDLIST\n"
            );
            (playlist, IMMUTABLE, text.into_bytes())
        }
        (_, Some("init.mp4")) => ("video/mp4", IMMUTABLE, pattern(700)),
        (_, Some("1.m4s")) => ("video/iso.segment", IMMUTABLE, pattern(4096)),
        _ => return None,
    })
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 7 % 251).to_le_bytes()[0])
        .collect()
}

fn answer(request: &Request, place: &Place) -> Response {
    let flaw = place.flaw;
    let mut response = match object(&request.path) {
        None => missing(request, flaw),
        Some(_) if flaw == Flaw::RefusesAll => plain(403, "no-store", Vec::new()),
        Some(object) => delivered(request, object, place),
    };
    if place.is_origin {
        lock(request, &mut response, flaw);
    }
    if flaw == Flaw::RepeatsHost && request.field("x-forwarded-host") == Some(STRANGE_HOST) {
        response.set("link", format!("<https://{STRANGE_HOST}/>"));
    }
    let has_length = flaw != Flaw::NoLength || !request.path.ends_with(".m4s");
    if has_length && response.status != 304 {
        let length = response.body.len();
        response.set("content-length", length.to_string());
    } else if has_length {
        response.set("content-length", "0");
    }
    if flaw == Flaw::HeadDiffers && request.method == "HEAD" {
        response.set("etag", "\"another\"");
    }
    response
}

fn lock(request: &Request, response: &mut Response, flaw: Flaw) {
    let is_friend = request.field("x-origin-verify") == Some(SECRET);
    if flaw == Flaw::OpenToAll || is_friend && flaw != Flaw::LocksOutTheCdn {
        return;
    }
    *response = plain(403, "no-store", Vec::new());
}

fn plain(status: u16, rule: &str, body: Vec<u8>) -> Response {
    Response {
        status,
        fields: vec![("cache-control", rule.to_owned())],
        body,
    }
}

fn missing(_request: &Request, flaw: Flaw) -> Response {
    match flaw {
        Flaw::MissingIsThere => plain(200, "public, max-age=1", b"sorry".to_vec()),
        Flaw::MissingForLong => plain(404, "public, max-age=600", Vec::new()),
        _ => plain(404, "public, max-age=1", Vec::new()),
    }
}

fn delivered(
    request: &Request,
    (media_type, rule, whole): (&'static str, &'static str, Vec<u8>),
    place: &Place,
) -> Response {
    let flaw = place.flaw;
    let is_text = request.path.ends_with(".m3u8");
    let mut response = plain(200, rule, whole);
    response.set("content-type", media_type);
    response.set("etag", format!("\"{}\"", response.body.len()));
    response.set("x-content-type-options", "nosniff");
    if is_text {
        response.set("vary", "Accept-Encoding");
    }
    allow(request, &mut response, flaw);
    cache(request, &mut response, place);
    spoil(&mut response, flaw, is_text);
    if request.method == "OPTIONS" {
        return preflight(response, flaw);
    }
    encode(request, &mut response, flaw, is_text);
    select(request, &mut response, flaw);
    response
}

fn allow(request: &Request, response: &mut Response, flaw: Flaw) {
    let from_page = request.field("origin").is_some();
    match flaw {
        Flaw::NoCors => return,
        Flaw::ForeignCors if from_page => {
            response.set("access-control-allow-origin", "https://other.example");
        }
        _ => response.set("access-control-allow-origin", "*"),
    }
    let exposed = "Content-Length, Content-Range, Date, ETag";
    response.set("access-control-expose-headers", exposed);
}

fn cache(request: &Request, response: &mut Response, place: &Place) {
    let mut key = request.path.clone();
    if place.flaw == Flaw::QueryIsKey {
        key.push_str(request.query.as_deref().unwrap_or_default());
    }
    let is_new = place.kept.lock().expect("no panic").insert(key);
    let is_miss = is_new || place.flaw == Flaw::AlwaysMiss;
    response.set(
        "x-cache",
        if is_miss {
            "Miss from edge"
        } else {
            "Hit from edge"
        },
    );
    if place.flaw == Flaw::Stale {
        response.set("age", "900000000");
    }
}

fn spoil(response: &mut Response, flaw: Flaw, is_text: bool) {
    match flaw {
        Flaw::SetsCookie => response.set("set-cookie", "a=b"),
        Flaw::VariesByAll => response.set("vary", "*"),
        Flaw::WrongType => response.set("content-type", "binary/octet-stream"),
        Flaw::SegmentNotKept if !is_text => response.set("cache-control", "private, no-store"),
        Flaw::EntryForEver => response.set("cache-control", IMMUTABLE),
        Flaw::WeakTag => {
            let tag = format!("W/\"{}\"", response.body.len());
            response.set("etag", tag);
        }
        Flaw::NoTag => response.remove("etag"),
        _ => {}
    }
}

fn preflight(mut response: Response, flaw: Flaw) -> Response {
    response.body.clear();
    response.status = if flaw == Flaw::NoPreflight { 403 } else { 204 };
    response.set("access-control-allow-headers", "Range, If-None-Match");
    response
}

fn encode(request: &Request, response: &mut Response, flaw: Flaw, is_text: bool) {
    let asked = request.field("accept-encoding");
    let wanted = match flaw {
        Flaw::GzipForAll => is_text,
        Flaw::GzipSegments => asked == Some("gzip"),
        _ => is_text && asked == Some("gzip"),
    };
    if !wanted {
        return;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&response.body).expect("memory");
    response.body = encoder.finish().expect("memory");
    if flaw == Flaw::DamagedGzip {
        response.body.truncate(40);
    }
    response.set("content-encoding", "gzip");
}

fn select(request: &Request, response: &mut Response, flaw: Flaw) {
    let tag = response.fields.iter().find(|(name, _)| *name == "etag");
    let tag = tag.map(|(_, value)| value.clone());
    let same = request
        .field("if-none-match")
        .is_some_and(|known| tag.as_deref() == Some(known));
    if same && flaw != Flaw::AlwaysModified {
        response.status = 304;
        response.body.clear();
        return;
    }
    let Some(range) = request.field("range").filter(|_| flaw != Flaw::NoRanges) else {
        return;
    };
    let length = response.body.len();
    let (first, last) = range
        .trim_start_matches("bytes=")
        .split_once('-')
        .expect("a range");
    let (first, last) = match first {
        "" => (length - last.parse::<usize>().expect("digits"), length - 1),
        first => (
            first.parse().expect("digits"),
            last.parse().expect("digits"),
        ),
    };
    let shift = usize::from(flaw == Flaw::ShiftedRanges && first > 0);
    response.body = response.body[first - shift..=last - shift].to_vec();
    response.status = 206;
    response.set("content-range", format!("bytes {first}-{last}/{length}"));
}
