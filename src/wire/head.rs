//! The head of an HTTP/1.1 request (RFC 9112), read strictly: what two readers could understand
//! differently is refused, because a cache in front of us is the other reader.

use std::mem::MaybeUninit;

use httparse::{Error as Syntax, Status};

use crate::origin::request::{Field, HEAD_BYTES_MAX, Method, Refusal, TARGET_BYTES_MAX, is_host};

/// The most header fields.
const FIELDS_MAX: usize = 96;
/// The most digits of a body's length: what has more overflows in some readers.
const LENGTH_DIGITS_MAX: usize = 18;

/// A request's head, whose text stays in the buffer it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'b> {
    /// Its length in bytes, with the empty line.
    pub(super) length: usize,
    /// What is asked.
    pub(super) method: Method,
    /// The method's name.
    pub(super) method_name: &'b str,
    /// The target's path, as received.
    pub(super) path: &'b str,
    /// What follows the target's first question mark.
    pub(super) query: Option<&'b str>,
    /// The header fields.
    pub(super) fields: Vec<Field<'b>>,
    /// Whether it is HTTP/1.1, not 1.0.
    pub(super) is_latest: bool,
    /// Whether the connection may go on after the answer.
    pub(super) keeps_alive: bool,
    /// Whether a body follows.
    pub(super) has_body: bool,
}

/// The head at the start of `buffer`; `None` until it is there whole.
///
/// # Errors
/// 400 for what is no HTTP or can be read in two ways, 414 and 431 for what is too long, 505 for
/// another version. The connection can't go on after any of them.
pub(super) fn parse(buffer: &[u8]) -> Result<Option<Head<'_>>, Refusal> {
    let mut headers = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(buffer, &mut headers) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return partial(buffer, request.path),
        Err(Syntax::TooManyHeaders) => return Err(TOO_MANY_FIELDS),
        Err(Syntax::Version) => return Err(VERSION),
        Err(_) => return Err(SYNTAX),
    };
    if length > HEAD_BYTES_MAX {
        return Err(Refusal::HEAD_TOO_LONG);
    }
    if !ends_every_line_well(&buffer[..length]) {
        return Err(SYNTAX);
    }
    let (Some(method_name), Some(target)) = (request.method, request.path) else {
        return Err(SYNTAX);
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TARGET_TOO_LONG);
    }
    let fields: Vec<Field<'_>> = request
        .headers
        .iter()
        .map(|header| Field {
            name: header.name,
            value: header.value,
        })
        .collect();
    let is_latest = request.version == Some(1);
    let host = host(&fields, is_latest)?;
    let (path, query) = split(target, host, method_name)?;
    Ok(Some(Head {
        length,
        method: method(method_name),
        method_name,
        path,
        query,
        has_body: has_body(&fields, is_latest)?,
        is_latest,
        keeps_alive: keeps_alive(&fields, is_latest),
        fields,
    }))
}

const fn refusal(status: u16, detail: &'static str) -> Refusal {
    Refusal {
        status,
        detail,
        retry_after: None,
    }
}

const SYNTAX: Refusal = refusal(400, "the request is not HTTP/1.1 as RFC 9112 writes it");
const LENGTH: Refusal = refusal(400, "the length of the body is given in more than one way");
const CODING: Refusal = refusal(400, "chunked is the only transfer coding, and comes once");
const TARGET: Refusal = refusal(400, "the target of a request is a path");
const TOO_MANY_FIELDS: Refusal = refusal(431, "a request has at most 96 header fields");
const VERSION: Refusal = refusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");

/// Too long already, or to be waited for.
fn partial<'b>(buffer: &[u8], target: Option<&str>) -> Result<Option<Head<'b>>, Refusal> {
    let line_has_ended = buffer.contains(&b'\n');
    let target_length = target.map_or(buffer.len(), str::len);
    // The method and the version are a few bytes more.
    if target_length > TARGET_BYTES_MAX + 32 * usize::from(!line_has_ended) {
        return Err(Refusal::TARGET_TOO_LONG);
    }
    match buffer.len() > HEAD_BYTES_MAX {
        true => Err(Refusal::HEAD_TOO_LONG),
        false => Ok(None),
    }
}

/// Every line ends with CR LF, and a CR is nowhere else: some readers take the one or the other
/// alone for an end.
fn ends_every_line_well(head: &[u8]) -> bool {
    let follows = |at: usize| head.get(at + 1) == Some(&b'\n');
    let precedes = |at: usize| at > 0 && head[at - 1] == b'\r';
    memchr::memchr2_iter(b'\r', b'\n', head).all(|at| match head[at] {
        b'\r' => follows(at),
        _ => precedes(at),
    })
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" => Method::Post,
        _ => Method::Other,
    }
}

fn named<'f, 'b>(fields: &'f [Field<'b>], name: &'f str) -> impl Iterator<Item = &'b [u8]> + 'f {
    let same = move |field: &&Field<'b>| field.name.eq_ignore_ascii_case(name);
    fields.iter().filter(same).map(|field| field.value)
}

/// The `Host` field (RFC 9112 section 3.2): one, and a host.
fn host<'b>(fields: &[Field<'b>], is_latest: bool) -> Result<&'b [u8], Refusal> {
    let mut hosts = named(fields, "host");
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) if !is_latest => b"",
        _ => return Err(Refusal::HOST),
    };
    match is_host(host) {
        true => Ok(host),
        false => Err(Refusal::HOST),
    }
}

/// The path and query of a target in origin form, or in absolute form for this host (sections
/// 3.2.1, 3.2.2). `*` is the server as a whole.
fn split<'b>(
    target: &'b str,
    host: &[u8],
    method: &str,
) -> Result<(&'b str, Option<&'b str>), Refusal> {
    let target = match target.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            if !rest.as_bytes()[..end].eq_ignore_ascii_case(host) {
                return Err(Refusal::HOST);
            }
            match &rest[end..] {
                "" => "/",
                target => target,
            }
        }
        _ => target,
    };
    let is_server = target == "*" && method == "OPTIONS";
    if !is_server && !target.starts_with('/') {
        return Err(TARGET);
    }
    Ok(match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    })
}

fn is_number(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit)
}

/// Whether a body follows (section 6.3). Two lengths, a length beside a coding, or a coding other
/// than `chunked` is where readers differ.
fn has_body(fields: &[Field<'_>], is_latest: bool) -> Result<bool, Refusal> {
    let mut codings = named(fields, "transfer-encoding");
    let mut lengths = named(fields, "content-length");
    let (coding, length) = (codings.next(), lengths.next());
    if codings.next().is_some() || coding.is_some_and(|c| !c.eq_ignore_ascii_case(b"chunked")) {
        return Err(CODING);
    }
    if lengths.next().is_some() || (coding.is_some() && length.is_some()) {
        return Err(LENGTH);
    }
    if coding.is_some() {
        return if is_latest { Ok(true) } else { Err(CODING) };
    }
    match length {
        None => Ok(false),
        Some(digits) if (1..=LENGTH_DIGITS_MAX).contains(&digits.len()) && is_number(digits) => {
            Ok(digits.iter().any(|digit| *digit != b'0'))
        }
        Some(_) => Err(LENGTH),
    }
}

/// Whether the connection persists (section 9.3).
fn keeps_alive(fields: &[Field<'_>], is_latest: bool) -> bool {
    let mut keeps = is_latest;
    for list in named(fields, "connection") {
        for option in list.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keeps |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(text: &str) -> Option<u16> {
        parse(text.as_bytes()).err().map(|refusal| refusal.status)
    }

    #[test]
    fn a_request_is_read_with_its_fields() {
        let text = "GET /v/a/index.m3u8?x=1?y HTTP/1.1\r\nHost: a:80\r\nRange: bytes=0-\r\n\r\nGET";
        let head = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.length, text.len() - 3);
        assert_eq!((head.method, head.path), (Method::Get, "/v/a/index.m3u8"));
        assert_eq!(head.query, Some("x=1?y"));
        assert_eq!(head.fields[1].value, b"bytes=0-");
        assert!(head.keeps_alive && !head.has_body);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for rest in [
            "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "Host: a\r\nContent-Length: 1, 1\r\n",
            "Host: a\r\nContent-Length: +1\r\n",
            "Host: a\r\nContent-Length: \r\n",
            "Host: a\r\nContent-Length: 18446744073709551617\r\n",
            "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nTransfer-Encoding: xchunked\r\n",
            "Host: a\r\nTransfer-Encoding : chunked\r\n",
            "Host: a\r\nX: 1\r\n folded\r\n",
            "Host: a\r\nHost: a\r\n",
            "Host: a\r\nX: 1\nY: 2\r\n",
            "Host: a\r\nX: a\rb\r\n",
            "Host: a/b\r\n",
            "Host: a b\r\n",
            "",
        ] {
            let text = format!("GET / HTTP/1.1\r\n{rest}\r\n");
            assert_eq!(status(&text), Some(400), "{rest}");
        }
        for target in ["x", "http://other/", "a:80", "*", "ftp://a/"] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(status(&text), Some(400), "{target}");
        }
        let old = "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status(old), Some(400));
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_there_whole() {
        let target = "/".repeat(9000);
        assert_eq!(status(&format!("GET {target}")), Some(414));
        assert_eq!(
            status(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
            Some(414)
        );
        let fields = "X: 1234567890\r\n".repeat(90);
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}")),
            None
        );
        let fields = "X: 1\r\n".repeat(100);
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\n{fields}\r\n")),
            Some(431)
        );
        let field = "x".repeat(HEAD_BYTES_MAX);
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {field}")),
            Some(431)
        );
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), Some(505));
    }

    #[test]
    fn a_connection_goes_on_as_its_version_says() {
        for (version, fields, keeps) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: x, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
        ] {
            let text = format!("GET http://a/x HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
            let head = parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!((head.keeps_alive, head.path), (keeps, "/x"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_head_is_the_same_however_it_arrives(cut in 0_usize..60) {
            let text = b"HEAD /v/a/index.m3u8 HTTP/1.1\r\nHost: example.com\r\n\r\n";
            let cut = cut.min(text.len());
            let early = parse(&text[..cut]).unwrap();
            prop_assert_eq!(early.is_some(), cut == text.len());
        }
    }
}
