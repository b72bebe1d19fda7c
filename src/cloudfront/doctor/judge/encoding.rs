//! Whether texts are encoded for who takes it, and nothing else is (RFC 9110 section 8.4).

use std::io::Read;

use super::super::answer::{Answer, Outcome};
use super::super::evidence::Seen;
use super::super::report::Finding;
use super::{answered, settled};

/// Fewer bytes than this aren't worth encoding, and CloudFront leaves them.
const WORTHWHILE: usize = 1000;
/// The most bytes that a manifest may decode to.
const DECODED_BYTES: u64 = 64 << 20;

pub(super) fn encoding(seen: &Seen) -> Vec<Finding> {
    let Some(whole) = seen.whole() else {
        return Vec::new();
    };
    if let Some(coding) = whole.field("content-encoding") {
        return vec![Finding::fault(
            "encoding",
            format!("{coding} for who didn't ask for it"),
            "the cache key must have Accept-Encoding in it (CloudFront: EnableAcceptEncodingGzip and Brotli)",
        )];
    }
    [("gzip", &seen.gzip), ("br", &seen.brotli)]
        .into_iter()
        .map(|(coding, outcome)| asked_for(seen, whole, coding, outcome))
        .collect()
}

fn asked_for(seen: &Seen, whole: &Answer, coding: &'static str, outcome: &Outcome) -> Finding {
    settled(answered("encoding", outcome).map(|answer| {
        let found = answer.field("content-encoding");
        match seen.role.is_text() {
            true => of_text(whole, coding, found, answer),
            false => of_media(coding, found),
        }
    }))
}

fn of_media(coding: &str, found: Option<&str>) -> Finding {
    match found {
        None => Finding::ok("encoding", format!("none when asked for {coding}")),
        Some(found) => Finding::fault(
            "encoding",
            format!("{found}: media grow by it, and lose their ranges"),
            "turn compression off for segments",
        ),
    }
}

fn of_text(whole: &Answer, coding: &str, found: Option<&str>, answer: &Answer) -> Finding {
    let (size, plain) = (answer.body.len(), whole.body.len());
    match found {
        Some(found) if found == coding => match decode(coding, &answer.body) {
            Some(decoded) if decoded == whole.body[..] => with_vary(coding, answer, size, plain),
            Some(_) => Finding::fault(
                "encoding",
                format!("{coding} decodes to another text"),
                "the cache mixes versions: drop it there",
            ),
            None => Finding::fault(
                "encoding",
                format!("{coding} doesn't decode"),
                "something between cuts or encodes it twice: turn that off",
            ),
        },
        Some(found) => Finding::fault(
            "encoding",
            format!("{found} when asked for {coding}"),
            "the cache key must have Accept-Encoding in it",
        ),
        None if plain < WORTHWHILE => Finding::ok(
            "encoding",
            format!("none when asked for {coding}: {plain} bytes are too few"),
        ),
        None => Finding::warning(
            "encoding",
            format!("none when asked for {coding}: {plain} bytes could be a fifth"),
            "let Accept-Encoding through to the origin, which has both (CloudFront: EnableAcceptEncodingGzip and Brotli)",
        ),
    }
}

fn with_vary(coding: &str, answer: &Answer, size: usize, plain: usize) -> Finding {
    match answer.lists("vary", "accept-encoding") {
        true => Finding::ok("encoding", format!("{coding}: {size} of {plain} bytes")),
        false => Finding::warning(
            "encoding",
            format!("{coding} without Vary: Accept-Encoding"),
            "let Vary through, for the caches of companies and browsers",
        ),
    }
}

fn decode(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(body)
            .take(DECODED_BYTES)
            .read_to_end(&mut decoded),
        _ => brotli::Decompressor::new(body, 4096)
            .take(DECODED_BYTES)
            .read_to_end(&mut decoded),
    };
    read.ok().map(|_| decoded)
}
