//! One line of the access log.

use std::net::IpAddr;

use super::json::Object;
use super::secrets::without_secrets;
use crate::clock::rfc3339;
use crate::telemetry::cmcd::{Cmcd, ObjectType, StreamType, StreamingFormat};
use crate::telemetry::labels::{Tls, Version};

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was held.
    Hit,
    /// It was not: the store was asked, by this request or another that came just before.
    Miss,
}

impl Source {
    fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// The most bytes that are logged of a path and of a query.
const LONGEST_PATH: usize = 2048;

/// The most bytes that are logged of a header.
const LONGEST_HEADER: usize = 512;

/// A request and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When it came: milliseconds since 1970-01-01T00:00:00Z.
    pub time_millis: i64,
    /// Who asked, as far as proxies are trusted.
    pub client: IpAddr,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The method as received.
    pub method: &'a str,
    /// `Host`.
    pub host: Option<&'a str>,
    /// The path as received.
    pub path: &'a str,
    /// What follows the first question mark; what is secret in it is not logged.
    pub query: Option<&'a str>,
    /// The version of HTTP.
    pub version: Version,
    /// The version of TLS.
    pub tls: Tls,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// Whether all of the body was sent.
    pub is_complete: bool,
    /// Microseconds from the request's head to the first byte of the answer.
    pub first_byte_micros: u64,
    /// Microseconds from the request's head to the last byte of the answer.
    pub total_micros: u64,
    /// `Range`.
    pub range: Option<&'a str>,
    /// `Referer`; what is secret in its query is not logged.
    pub referer: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// Where the answer came from; `None` where no object was looked for.
    pub source: Option<Source>,
    /// `X-Amz-Cf-Id`: the request's name at CloudFront, to look it up in its logs.
    pub cloudfront_id: Option<&'a str>,
    /// `Via`.
    pub via: Option<&'a str>,
    /// What the player reported.
    pub cmcd: Option<&'a Cmcd>,
}

impl Entry<'_> {
    /// The line, with its end.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(640);
        let mut line = Object::begin(&mut out);
        line.plain("time", rfc3339(self.time_millis));
        line.plain("client", self.client);
        line.plain("peer", self.peer);
        self.request(&mut line);
        line.number("status", u64::from(self.status));
        line.number("bytes", self.bytes);
        line.flag("complete", self.is_complete);
        line.seconds("seconds", self.total_micros);
        line.seconds("first_byte_seconds", self.first_byte_micros);
        if let Some(source) = self.source {
            line.text("cache", source.label(), LONGEST_HEADER);
        }
        self.headers(&mut line);
        if let Some(cmcd) = self.cmcd {
            report(&mut line, cmcd);
        }
        line.end();
        out.push(b'\n');
        out
    }

    fn request(&self, line: &mut Object<'_>) {
        line.text("method", self.method, LONGEST_HEADER);
        if let Some(host) = self.host {
            line.text("host", host, LONGEST_HEADER);
        }
        line.text("path", self.path, LONGEST_PATH);
        if let Some(query) = self.query {
            line.text("query", &without_secrets(query), LONGEST_PATH);
        }
        line.text("http", self.version.label(), LONGEST_HEADER);
        if self.tls != Tls::None {
            line.text("tls", self.tls.label(), LONGEST_HEADER);
        }
    }

    fn headers(&self, line: &mut Object<'_>) {
        let headers = [
            ("range", self.range),
            ("user_agent", self.user_agent),
            ("x_amz_cf_id", self.cloudfront_id),
            ("via", self.via),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                line.text(name, value, LONGEST_HEADER);
            }
        }
        let Some(referer) = self.referer else { return };
        match referer.split_once('?') {
            None => line.text("referer", referer, LONGEST_HEADER),
            Some((page, query)) => {
                let referer = format!("{page}?{}", without_secrets(query));
                line.text("referer", &referer, LONGEST_HEADER);
            }
        }
    }
}

/// The report under the names that it came with.
fn report(line: &mut Object<'_>, cmcd: &Cmcd) {
    let mut report = line.object("cmcd");
    let numbers = [
        ("bl", cmcd.buffer),
        ("br", cmcd.bitrate),
        ("d", cmcd.duration),
        ("dl", cmcd.deadline),
        ("mtp", cmcd.throughput),
        ("rtp", cmcd.requested_throughput),
        ("tb", cmcd.top_bitrate),
        ("v", cmcd.version),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            report.number(key, value);
        }
    }
    if let Some(rate) = cmcd.playback_rate {
        report.seconds("pr", rate * 1000);
    }
    let texts = [
        ("cid", cmcd.content.as_deref()),
        ("ot", cmcd.object.map(ObjectType::label)),
        ("sf", cmcd.format.map(StreamingFormat::label)),
        ("sid", cmcd.session.as_deref()),
        ("st", cmcd.stream.map(StreamType::label)),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            report.text(key, value, LONGEST_HEADER);
        }
    }
    for (key, value) in [("bs", cmcd.is_starved), ("su", cmcd.is_startup)] {
        if value {
            report.flag(key, true);
        }
    }
    report.end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn entry<'a>(path: &'a str, cmcd: Option<&'a Cmcd>) -> Entry<'a> {
        Entry {
            time_millis: 1_767_225_599_007,
            client: IpAddr::from([198, 51, 100, 1]),
            peer: IpAddr::from([10, 0, 0, 1]),
            method: "GET",
            host: Some("media.example.org"),
            path,
            query: Some("hw-token=1.k&x=1"),
            version: Version::Http11,
            tls: Tls::Tls13,
            status: 206,
            bytes: 1000,
            is_complete: false,
            first_byte_micros: 80,
            total_micros: 2_000_400,
            range: Some("bytes=0-"),
            referer: Some("https://a.example/?token=secret#here"),
            user_agent: None,
            source: Some(Source::Miss),
            cloudfront_id: Some("abc=="),
            via: None,
            cmcd,
        }
    }

    fn parsed(line: &[u8]) -> Value {
        let text = line.strip_suffix(b"\n").expect("a line");
        assert!(!text.contains(&b'\n'), "one line");
        serde_json::from_slice(text).expect("JSON")
    }

    #[test]
    fn a_line_tells_all_but_secrets() {
        let cmcd = Cmcd {
            bitrate: Some(3000),
            is_starved: true,
            session: Some("6e2f".to_owned()),
            object: Some(ObjectType::Video),
            playback_rate: Some(1080),
            ..Cmcd::default()
        };
        let expected = json!({
            "time": "2025-12-31T23:59:59.007Z",
            "client": "198.51.100.1",
            "peer": "10.0.0.1",
            "method": "GET",
            "host": "media.example.org",
            "path": "/v/a%20b",
            "query": "hw-token=-&x=1",
            "http": "1.1",
            "tls": "1.3",
            "status": 206,
            "bytes": 1000,
            "complete": false,
            "seconds": 2.0004,
            "first_byte_seconds": 0.00008,
            "cache": "miss",
            "range": "bytes=0-",
            "x_amz_cf_id": "abc==",
            "referer": "https://a.example/?token=-",
            "cmcd": {"br": 3000, "pr": 1.08, "ot": "v", "sid": "6e2f", "bs": true},
        });
        assert_eq!(parsed(&entry("/v/a%20b", Some(&cmcd)).line()), expected);
    }

    proptest! {
        #[test]
        fn any_text_parses_back(path in "\\PC{0,50}|[\\x00-\\x20\"\\\\\\x7f]{0,50}", rest in any::<String>()) {
            let mut entry = entry(&path, None);
            entry.user_agent = Some(&rest);
            entry.host = Some(&rest);
            entry.query = Some(&rest);
            entry.referer = Some(&rest);
            let line = parsed(&entry.line());
            prop_assert_eq!(line["path"].as_str(), Some(path.as_str()));
            let agent = &rest[..rest.floor_char_boundary(LONGEST_HEADER)];
            prop_assert_eq!(line["user_agent"].as_str(), Some(agent));
        }
    }
}
