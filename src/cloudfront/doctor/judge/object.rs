//! Whether an object is there, and says what it is.

use super::super::answer::{Answer, Outcome};
use super::super::evidence::{Role, STRANGE_HOST, Seen};
use super::super::report::Finding;
use super::answered;

/// Seconds that a missing object may stay missing in caches.
const MISSING_TTL: u64 = 60;

pub(super) fn status(seen: &Seen) -> Finding {
    let status = seen.whole().map_or(0, |answer| answer.status);
    let said = format!("{status} {}", seen.url);
    let fix = match status {
        200 => return Finding::ok("status", said),
        401 | 403 => {
            "signed? pass the cookies with --header 'Cookie=...'; else compare the origin lock's \
             secret at CDN and server, and the bucket's policy"
        }
        404 => {
            "check the URL, and that the CDN keeps the path as it is (no origin path, unless the bucket has a prefix)"
        }
        421 => "the server doesn't know this host: add it to its hosts, or don't forward Host",
        502 => {
            "the CDN can't speak TLS with the server: its certificate must be publicly trusted, whole and for its DNS name"
        }
        503 => "the server is overloaded, or its store is away: see its /readyz",
        504 => "the server is too slow or its port is closed to the CDN: see its log and firewall",
        _ => {
            "ask the server itself for the same path; if it answers 200, the CDN's configuration is wrong"
        }
    };
    Finding::fault("status", said, fix)
}

pub(super) fn content_type(seen: &Seen) -> Finding {
    let found = seen
        .whole()
        .and_then(|answer| answer.field("content-type"))
        .unwrap_or("none");
    let essence = |text: &str| {
        let essence = text.split(';').next().unwrap_or(text);
        essence.trim().to_ascii_lowercase()
    };
    let known: Vec<String> = match &seen.key {
        Some(key) => vec![essence(key.kind().content_type())],
        None => usual_types(seen).iter().map(|t| essence(t)).collect(),
    };
    if known.contains(&essence(found)) {
        return Finding::ok("type", found);
    }
    Finding::fault(
        "type",
        format!("{found} instead of {}", known.join(" or ")),
        "let the origin's Content-Type through; in a bucket, set it as the object's metadata",
    )
}

/// The types of objects that are not ours.
fn usual_types(seen: &Seen) -> &'static [&'static str] {
    let is_mpd = seen
        .url
        .split('?')
        .next()
        .is_some_and(|url| url.ends_with(".mpd"));
    match seen.role {
        Role::Entry if is_mpd => &["application/dash+xml"],
        Role::Entry | Role::Playlist => &["application/vnd.apple.mpegurl", "application/x-mpegurl"],
        Role::Init | Role::Segment => &[
            "video/mp4",
            "audio/mp4",
            "video/iso.segment",
            "audio/iso.segment",
            "video/mp2t",
            "audio/aac",
            "application/mp4",
        ],
    }
}

pub(super) fn length(seen: &Seen) -> Finding {
    let Some(whole) = seen.whole() else {
        return Finding::ok("length", "nothing to measure");
    };
    let body = whole.body.len() as u64;
    match whole.number("content-length") {
        Some(length) if length == body => Finding::ok("length", format!("{body} bytes")),
        Some(length) => Finding::fault(
            "length",
            format!("Content-Length says {length}, {body} bytes came"),
            "something between rewrites bodies: turn that off",
        ),
        None if seen.role.is_text() => Finding::warning(
            "length",
            "no Content-Length",
            "a cut-off playlist can't be told from a whole one: let the origin's Content-Length through",
        ),
        None => Finding::fault(
            "length",
            "no Content-Length: a CDN may keep a cut-off segment as whole, and has no ranges",
            "let the origin's Content-Length through; nothing between may rewrite bodies",
        ),
    }
}

/// Fields that harm a cache, in any answer about the object.
pub(super) fn header_fields(seen: &Seen) -> Vec<Finding> {
    let any = |test: &dyn Fn(&Answer) -> bool| seen.answers().any(test);
    let mut findings = Vec::new();
    if any(&|answer| answer.field("set-cookie").is_some()) {
        findings.push(Finding::fault(
            "cookies",
            "sets a cookie, which a cache may hand to everybody",
            "nothing under /v/ sets cookies: find out what between does (a load balancer's stickiness?)",
        ));
    }
    if any(&|answer| answer.lists("vary", "*")) {
        findings.push(Finding::fault(
            "vary",
            "Vary: * makes every request a miss",
            "remove it at the origin or what stands before it",
        ));
    }
    let personal = ["Cookie", "User-Agent", "Authorization", "Referer"];
    for name in personal {
        if any(&|answer| answer.lists("vary", name)) {
            findings.push(Finding::warning(
                "vary",
                format!("Vary: {name} splits the cache by viewer"),
                "remove it at the origin or what stands before it",
            ));
        }
    }
    let has_nosniff = |answer: &Answer| answer.lists("x-content-type-options", "nosniff");
    if !seen.whole().is_some_and(has_nosniff) {
        findings.push(Finding::warning(
            "nosniff",
            "no X-Content-Type-Options: nosniff",
            "add it in the CDN's response-headers policy",
        ));
    }
    findings
}

/// An object that isn't there, asked for twice.
pub(super) fn missing(outcomes: &[Outcome]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, outcome) in outcomes.iter().enumerate() {
        let answer = match answered("status", outcome) {
            Ok(answer) => answer,
            Err(finding) => return vec![finding],
        };
        if place == 0 {
            findings.push(missing_status(answer));
            findings.push(not_reflected("reflection", answer));
        } else {
            findings.push(missing_ttl(answer));
        }
    }
    findings
}

fn missing_status(answer: &Answer) -> Finding {
    let status = answer.status;
    let said = format!("{status} for what isn't there");
    match status {
        404 | 410 => Finding::ok("status", said),
        401 | 403 => Finding::warning(
            "status",
            said,
            "from a bucket: grant s3:ListBucket, so that missing objects are 404; from a signed path this is right",
        ),
        200..300 => Finding::fault(
            "status",
            said,
            "players take an error page for media: turn off custom error pages for this path",
        ),
        _ => Finding::fault(
            "status",
            said,
            "a missing object must be 404: see the server's log",
        ),
    }
}

fn missing_ttl(answer: &Answer) -> Finding {
    let rule = answer.cache_control();
    let seconds = rule.filter(|r| r.is_kept).and_then(|r| r.shared_ttl());
    let age = answer.number("age").unwrap_or_default();
    if seconds.unwrap_or_default().max(age) > MISSING_TTL {
        return Finding::fault(
            "ttl",
            format!("missing for up to {} s", seconds.unwrap_or(age)),
            "a segment that is made a moment later stays away: keep 404 for a second \
             (CloudFront: ErrorCachingMinTTL 1)",
        );
    }
    match seconds {
        Some(seconds) => Finding::ok("ttl", format!("kept for {seconds} s")),
        None => Finding::ok("ttl", "says nothing of how long it is kept"),
    }
}

/// Whether an answer repeats the strange host that it was asked with.
pub(super) fn not_reflected(check: &'static str, answer: &Answer) -> Finding {
    let in_fields = answer
        .fields
        .iter()
        .find(|(_, value)| value.contains(STRANGE_HOST));
    let in_body = answer
        .body
        .windows(STRANGE_HOST.len())
        .any(|part| part == STRANGE_HOST.as_bytes());
    let place = match (in_fields, in_body) {
        (Some((name, _)), _) => name.clone(),
        (None, true) => String::from("its body"),
        (None, false) => return Finding::ok(check, "repeats no host that it was asked with"),
    };
    Finding::fault(
        check,
        format!("repeats a made-up host in {place}: a cache can be poisoned with it"),
        "write URLs in answers from the configuration (public_url), never from Host or X-Forwarded-Host",
    )
}
