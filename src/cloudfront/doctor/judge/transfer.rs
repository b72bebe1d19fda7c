//! Validators, HEAD and ranges (RFC 9110 sections 8.8, 9.3.2, 13 and 14).

use super::super::answer::Answer;
use super::super::evidence::Seen;
use super::super::report::Finding;
use super::{answered, settled};

pub(super) fn tag(seen: &Seen) -> Finding {
    let tag = seen.whole().and_then(|answer| answer.field("etag"));
    match tag {
        Some(tag) if tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2 => {
            Finding::ok("etag", tag)
        }
        Some(tag) if tag.starts_with("W/") && seen.role.is_text() => Finding::warning(
            "etag",
            format!("{tag} is weak though nothing is encoded"),
            "something between rewrites manifests: turn that off",
        ),
        Some(tag) if tag.starts_with("W/") => Finding::fault(
            "etag",
            format!("{tag} is weak: parts of different versions can't be told apart"),
            "something between encodes or rewrites segments: turn that off",
        ),
        Some(tag) => Finding::fault(
            "etag",
            format!("{tag} is not quoted, so CloudFront drops it"),
            "send it in double quotes",
        ),
        None => Finding::fault(
            "etag",
            "none: every revalidation sends the whole object again",
            "let the origin's ETag through",
        ),
    }
}

/// Whether who has an object isn't sent it again.
pub(super) fn unchanged(seen: &Seen) -> Finding {
    let Some(outcome) = &seen.unchanged else {
        return Finding::fault(
            "not modified",
            "can't be asked without an ETag",
            "let the origin's ETag through",
        );
    };
    settled(answered("not modified", outcome).map(|answer| match answer.status {
        304 if !answer.body.is_empty() => Finding::fault(
            "not modified",
            "304 with a body",
            "a 304 has none: see what between adds it",
        ),
        304 => Finding::ok("not modified", "304 for the same ETag"),
        status => Finding::fault(
            "not modified",
            format!("{status} instead of 304 for the same ETag"),
            "let If-None-Match through, and the ETag as it is; nothing between may change bodies",
        ),
    }))
}

/// Whether HEAD says what GET says.
pub(super) fn head(seen: &Seen) -> Finding {
    let head = match answered("head", &seen.head) {
        Ok(head) => head,
        Err(finding) => return finding,
    };
    let Some(whole) = seen.latest() else {
        return Finding::ok("head", "nothing to compare");
    };
    let names = ["content-length", "content-type", "etag", "cache-control"];
    let mut unlike: Vec<String> = names
        .into_iter()
        .filter(|name| head.field(name) != whole.field(name))
        .map(|name| {
            let shown = |answer: &Answer| answer.field(name).unwrap_or("none").to_owned();
            format!("{name} {} instead of {}", shown(head), shown(whole))
        })
        .collect();
    if head.status != whole.status {
        unlike.push(format!(
            "status {} instead of {}",
            head.status, whole.status
        ));
    }
    match unlike.is_empty() {
        true => Finding::ok("head", "says what GET says"),
        false => Finding::fault(
            "head",
            unlike.join("; "),
            "answer HEAD as GET without the body; let the CDN keep one answer for both",
        ),
    }
}

/// Whether parts are those of the whole.
pub(super) fn ranges(seen: &Seen) -> Vec<Finding> {
    let Some(whole) = seen.whole() else {
        return Vec::new();
    };
    let judged = seen.ranges.iter().map(|(range, outcome)| {
        settled(answered("range", outcome).map(|part| part_of(whole, range, part)))
    });
    judged.collect()
}

fn part_of(whole: &Answer, range: &str, part: &Answer) -> Finding {
    let Some((first, last)) = span(range, whole.body.len()) else {
        return Finding::ok("range", format!("{range}: nothing to compare"));
    };
    let fix =
        "let Range, Content-Range and Accept-Ranges through, and nothing between change bodies";
    if part.status != 206 {
        let said = format!(
            "{range} was answered with {} and {} bytes",
            part.status,
            part.body.len()
        );
        return Finding::fault("range", said, fix);
    }
    let expected = format!("bytes {first}-{last}/{}", whole.body.len());
    let found = part.field("content-range").unwrap_or("none");
    if found != expected {
        let said = format!("{range}: Content-Range is {found} instead of {expected}");
        return Finding::fault("range", said, fix);
    }
    if whole.body.get(first..=last) != Some(&part.body[..]) {
        let said = format!("{range}: other bytes than those of the whole");
        return Finding::fault(
            "range",
            said,
            "the cache mixes versions: drop it there, and see that all servers send the same bytes and ETag",
        );
    }
    if part.field("etag") != whole.field("etag") {
        let said = format!("{range}: another ETag than the whole's");
        return Finding::fault("range", said, fix);
    }
    Finding::ok("range", format!("{range}: 206 {found}"))
}

/// First and last byte of `bytes=a-b` or `bytes=-n`.
fn span(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    match first {
        "" => Some((length.checked_sub(last.parse().ok()?)?, end)),
        first => Some((first.parse().ok()?, last.parse::<usize>().ok()?.min(end))),
    }
}
