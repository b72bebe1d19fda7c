//! Conditional requests (RFC 9110 section 13) and what they leave to be sent, as a pure rule.

use super::range::{Selection, select};
use super::request::{Method, Request};

/// What tells one state of an object from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub(super) etag: &'a str,
    /// When it last changed, in seconds since 1970.
    pub(super) modified: u64,
}

/// What to answer about an object that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 304: the asker has it.
    NotModified,
    /// 412: it is not what the asker thinks.
    PreconditionFailed,
    /// The object, or what a `Range` selects of it.
    Send(Selection),
}

/// The answer to `request` about an object of `length` bytes, its conditions taken in the order
/// of RFC 9110 section 13.2.2, at the time `now` in seconds since 1970. `has_ranges` is false for a
/// representation that is only sent whole.
pub(super) fn evaluate(
    request: &Request<'_>,
    validators: Validators<'_>,
    length: u64,
    has_ranges: bool,
    now: u64,
) -> Outcome {
    if !is_expected(request, validators) {
        return Outcome::PreconditionFailed;
    }
    if is_known(request, validators, now) {
        return Outcome::NotModified;
    }
    // Only GET has ranges (section 14.2).
    if request.method != Method::Get || !has_ranges || !may_be_partial(request, validators) {
        return Outcome::Send(Selection::Whole);
    }
    Outcome::Send(select(request.only("range"), length))
}

/// `If-Match`, or where there is none `If-Unmodified-Since`.
fn is_expected(request: &Request<'_>, validators: Validators<'_>) -> bool {
    let mut tags = request.all("if-match").peekable();
    if tags.peek().is_some() {
        return tags.any(|tags| any_tag(tags, |tag| tag == validators.etag));
    }
    match date(request.only("if-unmodified-since")) {
        Some(since) => validators.modified <= since,
        None => true,
    }
}

/// `If-None-Match`, or where there is none `If-Modified-Since`, which says nothing if it is in the
/// future: who sent it has not seen that time.
fn is_known(request: &Request<'_>, validators: Validators<'_>, now: u64) -> bool {
    let mut tags = request.all("if-none-match").peekable();
    if tags.peek().is_some() {
        // Compared weakly (section 13.1.2).
        let same = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == validators.etag;
        return tags.any(|tags| any_tag(tags, same));
    }
    let since = date(request.only("if-modified-since"));
    since.is_some_and(|since| since <= now && validators.modified <= since)
}

/// `If-Range` (section 13.1.5): a strong tag, or the very date of the last change.
fn may_be_partial(request: &Request<'_>, validators: Validators<'_>) -> bool {
    let mut conditions = request.all("if-range");
    let condition = conditions.next();
    if conditions.next().is_some() {
        return false;
    }
    match condition {
        None => true,
        Some(tag) if tag.starts_with('"') => tag == validators.etag,
        Some(tag) if tag.starts_with("W/") => false,
        date_text => date(date_text) == Some(validators.modified),
    }
}

/// Whether one of a list of entity tags fits; `*` fits any object that is there. A comma may be
/// part of a tag.
fn any_tag(list: &str, fits: impl Fn(&str) -> bool) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(end) = opaque.strip_prefix('"').and_then(|text| text.find('"')) else {
            return false;
        };
        let length = rest.len() - opaque.len() + end + 2;
        if fits(&rest[..length]) {
            return true;
        }
        rest = &rest[length..];
    }
}

/// Seconds since 1970 of an HTTP date (section 5.6.7); `None` for what is none.
fn date(text: Option<&str>) -> Option<u64> {
    let time = httpdate::parse_http_date(text?).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::super::request::Field;
    use super::*;

    const ETAG: &str = "\"abc\"";
    const THEN: u64 = 1_767_225_599;
    const THEN_TEXT: &str = "Wed, 31 Dec 2025 23:59:59 GMT";
    const BEFORE: &str = "Wed, 31 Dec 2025 23:59:58 GMT";
    const AFTER: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    const NOW: u64 = THEN + 60;
    const FUTURE: &str = "Thu, 01 Jan 2026 00:01:00 GMT";

    fn outcome(method: Method, fields: &[(&str, &str)]) -> Outcome {
        let fields: Vec<Field<'_>> = fields
            .iter()
            .map(|(name, value)| Field {
                name,
                value: value.as_bytes(),
            })
            .collect();
        let request = Request {
            method,
            path: "/",
            query: None,
            fields: &fields,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            is_secure: false,
            is_certified: false,
        };
        let validators = Validators {
            etag: ETAG,
            modified: THEN,
        };
        evaluate(&request, validators, 1000, true, NOW)
    }

    const WHOLE: Outcome = Outcome::Send(Selection::Whole);
    const PART: Outcome = Outcome::Send(Selection::Part { first: 0, last: 9 });

    #[test]
    fn the_asker_who_has_it_is_told_so() {
        for tags in [
            ETAG,
            "*",
            "W/\"abc\"",
            "\"x\", \"abc\"",
            "\"a,b\" ,W/\"abc\"",
        ] {
            for method in [Method::Get, Method::Head] {
                assert_eq!(
                    outcome(method, &[("If-None-Match", tags)]),
                    Outcome::NotModified
                );
            }
        }
        for tags in ["\"x\"", "abc", "", "\"ab", "\"a,abc\""] {
            assert_eq!(
                outcome(Method::Get, &[("if-none-match", tags)]),
                WHOLE,
                "{tags}"
            );
        }
        for since in [THEN_TEXT, AFTER] {
            let known = outcome(Method::Get, &[("if-modified-since", since)]);
            assert_eq!(known, Outcome::NotModified);
        }
        for since in [BEFORE, FUTURE, "yesterday", ""] {
            assert_eq!(outcome(Method::Get, &[("if-modified-since", since)]), WHOLE);
        }
    }

    #[test]
    fn tags_win_over_dates_and_conditions_over_ranges() {
        let differs = [("if-none-match", "\"x\""), ("if-modified-since", AFTER)];
        assert_eq!(outcome(Method::Get, &differs), WHOLE);
        let matches = [("if-match", ETAG), ("if-unmodified-since", BEFORE)];
        assert_eq!(outcome(Method::Get, &matches), WHOLE);
        let range = ("range", "bytes=0-9");
        assert_eq!(
            outcome(Method::Get, &[range, ("if-none-match", ETAG)]),
            Outcome::NotModified
        );
        assert_eq!(
            outcome(Method::Get, &[range, ("if-match", "\"x\"")]),
            Outcome::PreconditionFailed
        );
    }

    #[test]
    fn what_is_not_as_expected_fails() {
        for fields in [
            [("if-match", "\"x\"")],
            [("if-match", "W/\"abc\"")],
            [("if-unmodified-since", BEFORE)],
        ] {
            assert_eq!(outcome(Method::Get, &fields), Outcome::PreconditionFailed);
        }
        for fields in [
            [("if-match", "*")],
            [("if-unmodified-since", THEN_TEXT)],
            [("if-unmodified-since", "?")],
        ] {
            assert_eq!(outcome(Method::Get, &fields), WHOLE);
        }
    }

    #[test]
    fn a_range_holds_only_for_the_state_it_was_asked_of() {
        let range = ("range", "bytes=0-9");
        for (condition, expected) in [
            (ETAG, PART),
            (THEN_TEXT, PART),
            ("\"x\"", WHOLE),
            ("W/\"abc\"", WHOLE),
            (BEFORE, WHOLE),
            (AFTER, WHOLE),
            ("?", WHOLE),
        ] {
            assert_eq!(
                outcome(Method::Get, &[range, ("if-range", condition)]),
                expected,
                "{condition}"
            );
        }
        assert_eq!(outcome(Method::Head, &[range]), WHOLE);
        assert_eq!(outcome(Method::Get, &[range, range]), WHOLE);
        let twice = [range, ("if-range", ETAG), ("if-range", ETAG)];
        assert_eq!(outcome(Method::Get, &twice), WHOLE);
    }

    proptest! {
        /// Against the table of RFC 9110 section 13.2.2, written out for every combination.
        #[test]
        fn every_combination_is_answered_as_the_table_says(
            tags in prop::option::of(prop::sample::select(vec![ETAG, "*", "\"x\"", "W/\"abc\""])),
            unmodified in prop::option::of(prop::sample::select(vec![BEFORE, THEN_TEXT, AFTER, "?"])),
            none in prop::option::of(prop::sample::select(vec![ETAG, "*", "\"x\"", "W/\"abc\""])),
            modified in prop::option::of(prop::sample::select(vec![BEFORE, THEN_TEXT, AFTER, "?"])),
        ) {
            let mut fields = Vec::new();
            fields.extend(tags.map(|value| ("if-match", value)));
            fields.extend(unmodified.map(|value| ("if-unmodified-since", value)));
            fields.extend(none.map(|value| ("if-none-match", value)));
            fields.extend(modified.map(|value| ("if-modified-since", value)));
            let failed = match (tags, unmodified) {
                (Some(tags), _) => tags != ETAG && tags != "*",
                (None, unmodified) => unmodified == Some(BEFORE),
            };
            let known = match (none, modified) {
                (Some(tags), _) => tags != "\"x\"",
                (None, modified) => matches!(modified, Some(THEN_TEXT | AFTER)),
            };
            let expected = match (failed, known) {
                (true, _) => Outcome::PreconditionFailed,
                (false, true) => Outcome::NotModified,
                (false, false) => WHOLE,
            };
            prop_assert_eq!(outcome(Method::Get, &fields), expected);
        }
    }
}
