//! An answer, whoever sends it: its status, its header lines, and where its body comes from.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::cache::Body;
use super::conditions::Validators;
use super::profile::Line;
use super::range::Selection;
use super::request::Refusal;
use crate::layout::Kind;
use crate::telemetry::{Class, Source};

/// An answer. `Date`, `Content-Length` and `Connection` are left to who sends it.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header lines, each with its CR LF, that are the same each time.
    pub fixed: Bytes,
    /// Header lines, each with its CR LF, of this answer alone.
    pub own: String,
    /// `Content-Length`; `None` where there is none (204, 304).
    pub length: Option<u64>,
    /// What follows the head; nothing after HEAD.
    pub body: Body,
    /// What it is about, for the metrics.
    pub class: Class,
    /// Where the object came from, if one was looked for.
    pub source: Option<Source>,
}

/// The same for every request, with and without `Origin`, so that caches may keep it (conformance
/// O07).
const CORS: &str = "Access-Control-Allow-Origin: *\r\n\
    Access-Control-Expose-Headers: Content-Length, Content-Range, Date, ETag, CMSD-Static\r\n\
    Timing-Allow-Origin: *\r\n\
    Cross-Origin-Resource-Policy: cross-origin\r\n";

const PROBLEM: &str =
    "Content-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\n";

/// What [`CORS`] and [`PREFLIGHT`] begin with: any page may have the answer, without cookies.
const ANY_PAGE: &[u8] = b"Access-Control-Allow-Origin: *\r\n";

const PREFLIGHT: &str = "Access-Control-Allow-Origin: *\r\n\
    Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n\
    Access-Control-Allow-Headers: Range, If-None-Match, If-Modified-Since, CMCD-Request, \
CMCD-Object, CMCD-Status, CMCD-Session\r\n\
    Access-Control-Max-Age: 86400\r\n\
    Cache-Control: public, max-age=86400\r\n";

const LICENSE_PREFLIGHT: &str = "Access-Control-Allow-Origin: *\r\n\
    Access-Control-Allow-Methods: POST, OPTIONS\r\n\
    Access-Control-Allow-Headers: Content-Type\r\n\
    Access-Control-Max-Age: 86400\r\n\
    Cache-Control: no-store\r\n";

impl Reply {
    /// Status code and reason.
    pub fn status_line(&self) -> &'static str {
        match self.status {
            200 => "200 OK",
            204 => "204 No Content",
            206 => "206 Partial Content",
            304 => "304 Not Modified",
            400 => "400 Bad Request",
            401 => "401 Unauthorized",
            403 => "403 Forbidden",
            404 => "404 Not Found",
            405 => "405 Method Not Allowed",
            408 => "408 Request Timeout",
            412 => "412 Precondition Failed",
            413 => "413 Content Too Large",
            414 => "414 URI Too Long",
            416 => "416 Range Not Satisfiable",
            421 => "421 Misdirected Request",
            429 => "429 Too Many Requests",
            431 => "431 Request Header Fields Too Large",
            503 => "503 Service Unavailable",
            505 => "505 HTTP Version Not Supported",
            _ => "500 Internal Server Error",
        }
    }

    /// 204: what other origins may ask (Fetch standard, CORS preflight).
    pub(super) fn preflight() -> Self {
        Self::rules(PREFLIGHT)
    }

    /// The same where licences are asked for.
    pub(super) fn license_preflight() -> Self {
        Self::rules(LICENSE_PREFLIGHT)
    }

    fn rules(lines: &'static str) -> Self {
        Self {
            status: 204,
            fixed: Bytes::from_static(lines.as_bytes()),
            own: String::new(),
            length: None,
            body: Body::Empty,
            class: Class::Other,
            source: None,
        }
    }

    /// A refusal; no cache keeps it.
    pub fn refused(refusal: &Refusal) -> Self {
        let mut reply = Self::problem(refusal.status, "no-store", refusal.detail);
        if let Some(seconds) = refusal.retry_after {
            reply.add(format_args!("Retry-After: {seconds}"));
        }
        reply
    }

    /// Problem details (RFC 9457) with the cache rule `cache`.
    pub(super) fn problem(status: u16, cache: &str, detail: &str) -> Self {
        let mut reply = Self {
            status,
            fixed: Bytes::from_static(CORS.as_bytes()),
            own: format!("{PROBLEM}Cache-Control: {cache}\r\n"),
            length: None,
            body: Body::Empty,
            class: Class::Other,
            source: None,
        };
        let title = reply
            .status_line()
            .split_once(' ')
            .map_or("", |(_, reason)| reason);
        let json = serde_json::json!({ "title": title, "status": status, "detail": detail });
        let bytes = Bytes::from(json.to_string());
        reply.length = Some(bytes.len() as u64);
        reply.body = Body::Bytes(bytes);
        reply
    }

    /// 200 with what is secret: no cache keeps it.
    pub(super) fn secret(content_type: &str, bytes: Vec<u8>) -> Self {
        let mut reply = Self {
            status: 200,
            fixed: Bytes::from_static(CORS.as_bytes()),
            own: format!("Content-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\n"),
            length: Some(bytes.len() as u64),
            body: Body::Bytes(Bytes::from(bytes)),
            class: Class::Key,
            source: None,
        };
        reply.add(format_args!("Cache-Control: no-store"));
        reply.add(format_args!("Accept-Ranges: none"));
        reply
    }

    /// 405 where licences are asked for.
    pub(super) fn only_post() -> Self {
        let mut reply = Self::problem(405, "no-store", "licences are asked for with POST");
        reply.add(format_args!("Allow: POST, OPTIONS"));
        reply
    }

    /// 405, with the methods that there are.
    pub(super) fn method_not_allowed() -> Self {
        let mut reply = Self::problem(405, "no-store", "only GET and HEAD are served here");
        reply.add(format_args!("Allow: GET, HEAD, OPTIONS"));
        reply
    }

    /// 416, with the length that there is.
    pub(super) fn unsatisfiable(length: u64) -> Self {
        let mut reply = Self::problem(416, "no-store", "the range lies outside the object");
        reply.add(format_args!("Content-Range: bytes */{length}"));
        reply
    }

    /// 304 about the representation with the header lines `lines`: those of its content left out.
    pub(super) fn not_modified(lines: &Bytes) -> Self {
        Self {
            status: 304,
            fixed: without_content(lines),
            own: String::new(),
            length: None,
            body: Body::Empty,
            class: Class::Other,
            source: None,
        }
    }

    /// 200 or 206: what `selection` takes of a representation of `length` bytes; `body` gives
    /// the bytes of a range.
    pub(super) fn content(
        lines: Bytes,
        selection: Selection,
        length: u64,
        body: impl FnOnce(std::ops::Range<u64>) -> Body,
    ) -> Self {
        let range = match selection {
            Selection::Whole => 0..length,
            Selection::Part { first, last } => first..last + 1,
            Selection::Unsatisfiable => return Self::unsatisfiable(length),
        };
        let mut reply = Self {
            status: 200,
            fixed: lines,
            own: String::new(),
            length: Some(range.end - range.start),
            body: Body::Empty,
            class: Class::Other,
            source: None,
        };
        if let Selection::Part { first, last } = selection {
            reply.status = 206;
            reply.add(format_args!("Content-Range: bytes {first}-{last}/{length}"));
        }
        if range.start < range.end {
            reply.body = body(range);
        }
        reply
    }

    /// The same, about an object of a class.
    pub(super) fn of(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The same, with where the object came from.
    pub(super) fn from(self, source: Source) -> Self {
        let source = Some(source);
        Self { source, ..self }
    }

    /// The same refusal or preflight for the pages it is for.
    pub(super) fn for_page(mut self, page: Page<'_>) -> Self {
        if page == Page::Any || !self.fixed.starts_with(ANY_PAGE) {
            return self;
        }
        if let Some(with_cookies) = page.with_cookies() {
            self.fixed = self.fixed.slice(ANY_PAGE.len()..);
            self.own.push_str(&with_cookies);
        }
        self.add(format_args!("Vary: Origin"));
        self
    }

    /// The same without its body, as HEAD asks.
    pub(super) fn without_body(mut self) -> Self {
        self.body = Body::Empty;
        self
    }

    /// Adds a header line.
    pub(super) fn add(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = write!(self.own, "{line}\r\n");
    }

    /// All header lines as names and values.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = std::str::from_utf8(&self.fixed).unwrap_or_default();
        let lines = fixed.split("\r\n").chain(self.own.split("\r\n"));
        lines.filter_map(|line| line.split_once(": "))
    }
}

/// The header lines of a representation, before they are text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// The coding that it has been put in.
    pub(super) coding: Option<&'a str>,
    /// The cache rule.
    pub(super) cache: &'a str,
    /// What tells its states apart; `None` for one that is made for a single request.
    pub(super) validators: Option<Validators<'a>>,
    /// Lines for the CDN.
    pub(super) extra: &'a [Line],
    /// The web page that may have the answer.
    pub(super) page: Page<'a>,
}

/// Which web page may have an answer (Fetch standard, CORS protocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page<'a> {
    /// Any, without its reader's cookies.
    Any,
    /// Any, without cookies; another page would get another answer.
    Other,
    /// The one of this origin, with its reader's cookies.
    With(&'a str),
}

impl Page<'_> {
    /// The header lines that let the page have the answer with cookies, if it may.
    fn with_cookies(self) -> Option<String> {
        let Self::With(page) = self else {
            return None;
        };
        Some(format!(
            "Access-Control-Allow-Origin: {page}\r\nAccess-Control-Allow-Credentials: true\r\n"
        ))
    }
}

impl Lines<'_> {
    /// The text, those of the content (`Content-`) first.
    pub(super) fn render(&self) -> Bytes {
        let mut lines = format!("Content-Type: {}\r\n", self.kind.content_type());
        let mut add = |name: &str, value: &str| {
            // Writing to a String can't fail.
            let _ = write!(lines, "{name}: {value}\r\n");
        };
        if let Some(coding) = self.coding {
            add("Content-Encoding", coding);
        }
        add("Cache-Control", self.cache);
        if let Some(validators) = self.validators {
            let modified = UNIX_EPOCH + Duration::from_secs(validators.modified);
            add("ETag", validators.etag);
            add("Last-Modified", &httpdate::fmt_http_date(modified));
        }
        let has_ranges = self.coding.is_none() && self.validators.is_some();
        add("Accept-Ranges", if has_ranges { "bytes" } else { "none" });
        add("X-Content-Type-Options", "nosniff");
        match (self.page, is_text(self.kind)) {
            (Page::Any, true) => add("Vary", "Accept-Encoding"),
            (Page::Any, false) => {}
            (Page::Other | Page::With(_), _) => add("Vary", "Accept-Encoding, Origin"),
        }
        for (name, value) in self.extra {
            add(name, value);
        }
        match self.page.with_cookies() {
            None => lines.push_str(CORS),
            Some(with_cookies) => {
                lines.push_str(&with_cookies);
                lines.push_str(&CORS[ANY_PAGE.len()..]);
            }
        }
        Bytes::from(lines)
    }
}

/// Whether objects of a kind are sent compressed to those who like that.
pub(super) fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Playlist | Kind::Mpd | Kind::Text)
}

/// The lines after those whose names begin with `Content-`.
fn without_content(lines: &Bytes) -> Bytes {
    let mut rest = lines.clone();
    while rest.starts_with(b"Content-") {
        let end = rest.iter().position(|byte| *byte == b'\n');
        rest = rest.split_off(end.map_or(rest.len(), |end| end + 1));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_modified_says_nothing_of_the_content() {
        let lines = Bytes::from_static(
            b"Content-Type: a/b\r\nContent-Encoding: br\r\nETag: \"x\"\r\nVary: Accept-Encoding\r\n",
        );
        let reply = Reply::not_modified(&lines);
        assert_eq!(
            &reply.fixed[..],
            b"ETag: \"x\"\r\nVary: Accept-Encoding\r\n"
        );
        assert_eq!(reply.length, None);
        let fields: Vec<_> = reply.fields().collect();
        assert_eq!(fields, [("ETag", "\"x\""), ("Vary", "Accept-Encoding")]);
    }

    #[test]
    fn a_part_says_which_it_is() {
        let part = Selection::Part {
            first: 10,
            last: 19,
        };
        let reply = Reply::content(Bytes::new(), part, 100, |range| {
            assert_eq!(range, 10..20);
            Body::Empty
        });
        assert_eq!((reply.status, reply.length), (206, Some(10)));
        assert_eq!(reply.own, "Content-Range: bytes 10-19/100\r\n");
    }

    #[test]
    fn a_refusal_is_told_in_problem_details() {
        let refusal = Refusal {
            status: 429,
            detail: "too many",
            retry_after: Some(3),
        };
        let reply = Reply::refused(&refusal);
        assert!(
            reply
                .own
                .contains("Cache-Control: no-store\r\nRetry-After: 3\r\n")
        );
        let Body::Bytes(body) = reply.body else {
            panic!("no body")
        };
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (json["status"].as_u64(), &json["detail"]),
            (Some(429), &"too many".into())
        );
        assert_eq!(reply.length, Some(body.len() as u64));
    }
}
