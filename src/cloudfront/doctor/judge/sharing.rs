//! Whether scripts of a page may read the answers (CORS, Fetch standard).

use super::super::answer::Answer;
use super::super::evidence::Seen;
use super::super::report::Finding;
use super::answered;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// With and without `Origin`: a cache gives either answer to anybody.
pub(super) fn cors(seen: &Seen) -> Finding {
    let from_page = match answered("cors", &seen.from_page) {
        Ok(answer) => answer,
        Err(finding) => return finding,
    };
    let allowed = from_page.field(ALLOW_ORIGIN);
    let without = seen.latest().and_then(|answer| answer.field(ALLOW_ORIGIN));
    let page = &seen.page;
    let Some(allowed) = allowed else {
        return Finding::fault(
            "cors",
            format!("no {ALLOW_ORIGIN} for {page}: web players fail"),
            "let the origin's CORS fields through, or add them in the CDN's response-headers policy",
        );
    };
    if allowed != "*" && allowed != page {
        return Finding::fault(
            "cors",
            format!("{allowed} is allowed instead of {page}"),
            "the cache keeps what another page was told: answer * to all, or let the CDN add the field itself",
        );
    }
    if without != Some(allowed) {
        return differs(allowed, without);
    }
    if from_page.lists("vary", "origin") && allowed == "*" {
        return Finding::warning(
            "cors",
            "* with Vary: Origin splits the cache by page for nothing",
            "leave Vary: Origin out where all pages are allowed",
        );
    }
    exposed(from_page, allowed)
}

fn differs(allowed: &str, without: Option<&str>) -> Finding {
    match (allowed, without) {
        ("*", None) | (_, None) => Finding::warning(
            "cors",
            format!("{allowed} with Origin, nothing without: sound only if the CDN itself adds it"),
            "send it always, so that a cached answer is good for everybody",
        ),
        (_, Some(without)) => Finding::fault(
            "cors",
            format!("{allowed} with Origin, {without} without"),
            "say the same to all, so that a cached answer is good for everybody",
        ),
    }
}

fn exposed(answer: &Answer, allowed: &str) -> Finding {
    let name = "access-control-expose-headers";
    let is_exposed = |wanted: &&str| answer.lists(name, wanted) || answer.lists(name, "*");
    let hidden: Vec<&str> = ["Content-Length", "Content-Range", "ETag"]
        .into_iter()
        .filter(|wanted| !is_exposed(wanted))
        .collect();
    match hidden.is_empty() {
        true => Finding::ok("cors", format!("{allowed} with and without Origin")),
        false => Finding::warning(
            "cors",
            format!("scripts can't read {}", hidden.join(", ")),
            "name them in Access-Control-Expose-Headers",
        ),
    }
}

/// What a browser asks before a script may send `Range` or `If-None-Match`.
pub(super) fn preflight(seen: &Seen) -> Finding {
    let answer = match answered("preflight", &seen.preflight) {
        Ok(answer) => answer,
        Err(finding) => return finding,
    };
    let allows = |name: &str, word: &str| answer.lists(name, word) || answer.lists(name, "*");
    let origin = answer.field(ALLOW_ORIGIN);
    let is_sound = (200..300).contains(&answer.status)
        && (origin == Some("*") || origin == Some(&seen.page))
        && allows("access-control-allow-headers", "range");
    if is_sound {
        return Finding::ok("preflight", format!("{} allows Range", answer.status));
    }
    Finding::warning(
        "preflight",
        format!(
            "OPTIONS was answered with {} and doesn't allow Range",
            answer.status
        ),
        "let OPTIONS through to the origin; for a bucket, pass on Origin and Access-Control-Request-* and give it CORS rules",
    )
}
