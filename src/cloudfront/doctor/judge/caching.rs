//! Whether caches keep an object as long as they should, and find it again.

use super::super::answer::{CacheControl, Stored};
use super::super::evidence::{Lifetime, Seen};
use super::super::report::Finding;
use super::answered;
use crate::layout::{ENTRY, IMMUTABLE};

/// Seconds that an object must be kept that never changes: a day. Ours say a year.
const LONG_TTL: u64 = 86_400;
/// Seconds that what may be replaced is kept at most: a day, as the policy of entry points says.
const BRIEF_TTL: u64 = 86_400;

/// `Cache-Control` as the object needs it.
pub(super) fn rule(seen: &Seen) -> Finding {
    let text = seen
        .latest()
        .and_then(|answer| answer.field("cache-control"));
    let Some(text) = text else {
        return Finding::fault(
            "cache-control",
            "none: every cache guesses",
            "let the origin's Cache-Control through; in a bucket, set it as the object's metadata",
        );
    };
    let rule = CacheControl::parse(text);
    if !rule.is_kept {
        return Finding::fault(
            "cache-control",
            format!("{text}: no cache keeps it"),
            "something between overrules the origin: take its cache header rules away from /v/",
        );
    }
    match seen.lifetime() {
        Lifetime::Brief => brief(text, &rule),
        lifetime => long(text, &rule, lifetime),
    }
}

fn brief(text: &str, rule: &CacheControl) -> Finding {
    let browsers = rule.max_age.unwrap_or_default();
    if rule.is_immutable || browsers > BRIEF_TTL {
        return Finding::fault(
            "cache-control",
            format!(
                "{text}: players keep an old manifest that long, and no invalidation reaches them"
            ),
            "an entry point may be replaced: send what the origin sends, max-age=60",
        );
    }
    if rule.shared_ttl().is_none() {
        return Finding::warning(
            "cache-control",
            format!("{text}: says no time"),
            "add max-age and s-maxage",
        );
    }
    if rule.shared_ttl() == Some(0) {
        return Finding::warning(
            "cache-control",
            format!("{text}: every viewer is a request at the origin"),
            "keep it for a few seconds at least",
        );
    }
    match text == ENTRY || rule.stale_if_error > 0 {
        true => Finding::ok("cache-control", text),
        false => Finding::warning(
            "cache-control",
            format!("{text}: nothing is played while the origin is down"),
            "add stale-while-revalidate and stale-if-error, as the origin sends them",
        ),
    }
}

fn long(text: &str, rule: &CacheControl, lifetime: Lifetime) -> Finding {
    let seconds = rule.max_age.unwrap_or_default();
    let shared = rule.shared_ttl().unwrap_or_default();
    if seconds.min(shared) < LONG_TTL {
        return Finding::fault(
            "cache-control",
            format!("{text}: it never changes, yet caches ask for it again"),
            "send what the origin sends, public, max-age=31536000, immutable; \
             look for a cache rule of the CDN that shortens it",
        );
    }
    if lifetime == Lifetime::Forever && text != IMMUTABLE {
        return Finding::warning(
            "cache-control",
            format!("{text} instead of {IMMUTABLE}"),
            "something between changes it: let the origin's Cache-Control through",
        );
    }
    Finding::ok("cache-control", text)
}

/// Whether the second or third request is answered from a cache.
pub(super) fn hit(seen: &Seen) -> Finding {
    let later = seen.plain.get(1..).unwrap_or_default();
    let stored: Vec<_> = seen.plain.iter().map(|answer| answer.stored()).collect();
    let said = seen.latest().map(|answer| answer.stored_as_written());
    let said = said.unwrap_or_default();
    if stored.contains(&Some(Stored::Hit)) {
        return Finding::ok("hit", said);
    }
    if later.is_empty() {
        return Finding::fault(
            "hit",
            "the second request had no answer",
            "ask again; if it stays, look into the CDN's log",
        );
    }
    if stored.contains(&Some(Stored::Miss)) {
        return Finding::fault(
            "hit",
            format!("still a miss after {} requests ({said})", stored.len()),
            "the cache key or policy is wrong: no cookie, header or query may be in the key, \
             and the CDN must keep to the origin's Cache-Control",
        );
    }
    Finding::warning(
        "hit",
        "no header says hit or miss: is there a cache at all?",
        "let the CDN send X-Cache or Cache-Status (RFC 9211)",
    )
}

/// Whether what the cache gives is older than it may be.
pub(super) fn age(seen: &Seen) -> Option<Finding> {
    let answer = seen.latest()?;
    let age = answer.number("age")?;
    let rule = answer.cache_control()?;
    let ttl = rule.shared_ttl()?;
    let while_asking = ttl.saturating_add(rule.stale_while_revalidate);
    let while_down = ttl.saturating_add(rule.stale_if_error);
    let said = format!("{age} s of {ttl} s");
    Some(if age <= while_asking {
        Finding::ok("age", said)
    } else if age <= while_down {
        Finding::warning(
            "age",
            format!("{said}: kept because the origin fails"),
            "see whether the origin answers: curl its /readyz",
        )
    } else {
        Finding::fault(
            "age",
            format!("{said}: stale"),
            "the CDN overrules the origin's time: look for a minimum TTL above 0",
        )
    })
}

/// Whether a query that nobody used before makes another object in the cache.
pub(super) fn query(seen: &Seen) -> Option<Finding> {
    let outcome = seen.with_query.as_ref()?;
    let answer = match answered("query", outcome) {
        Ok(answer) => answer,
        Err(finding) => return Some(finding),
    };
    let whole = seen.whole()?;
    if answer.status != 200 || answer.body != whole.body {
        return Some(Finding::fault(
            "query",
            format!(
                "an unknown query changes the answer (status {})",
                answer.status
            ),
            "leave queries out of the cache key and don't pass them on",
        ));
    }
    let has_cache = seen.plain.iter().any(|a| a.stored() == Some(Stored::Hit));
    Some(match answer.stored() {
        Some(Stored::Miss) if has_cache => Finding::fault(
            "query",
            "an unknown query is a miss: anybody can go through to the origin",
            "leave queries out of the cache key (CloudFront: QueryStringBehavior none)",
        ),
        Some(Stored::Hit) => Finding::ok("query", "an unknown query is a hit too"),
        _ => Finding::ok("query", "an unknown query changes nothing"),
    })
}
