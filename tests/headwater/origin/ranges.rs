//! Assertions 1 to 20: ranges, validators and conditions (RFC 9110 sections 8.8, 13, 14, 15.3.7,
//! 15.5.17).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use httpdate::{fmt_http_date, parse_http_date};

use super::client::{Answer, Connection};
use super::media::large;
use super::now;
use super::site::Site;

/// What is asked for in most of these: some binary object.
fn whole(connection: &mut Connection, site: &Site) -> Answer {
    let answer = connection.get(site.media.segment(), "");
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 1000, "{}", answer.head);
    answer
}

fn assert_whole(answer: &Answer, whole: &Answer, asked: &str) {
    assert_eq!(answer.status, 200, "{asked}: {}", answer.head);
    assert!(answer.body == whole.body, "{asked}: other bytes");
    assert_eq!(answer.field("content-range"), None, "{asked}");
}

fn assert_part(answer: &Answer, whole: &[u8], first: usize, last: usize) {
    assert_eq!(answer.status, 206, "{}", answer.head);
    let length = whole.len();
    assert_eq!(
        answer.must("content-range"),
        format!("bytes {first}-{last}/{length}")
    );
    assert_eq!(
        answer.must("content-length"),
        (last - first + 1).to_string()
    );
    assert_eq!(answer.field("transfer-encoding"), None);
    assert!(answer.body == whole[first..=last], "other bytes");
}

fn assert_unsatisfiable(answer: &Answer, length: usize, asked: &str) {
    assert_eq!(answer.status, 416, "{asked}: {}", answer.head);
    assert_eq!(answer.must("content-range"), format!("bytes */{length}"));
    assert!(answer.must("cache-control").contains("no-store"));
}

/// GET -> 200, exact `Content-Length`, `Accept-Ranges: bytes`, strong quoted `ETag`,
/// `Last-Modified` not after `Date`.
pub(super) fn a01_get_gives_length_ranges_validators_and_date(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let answer = connection.get(&object.path, "");
        let head = &answer.head;
        assert_eq!(answer.status, 200, "{}: {head}", object.path);
        assert_eq!(
            answer.must("content-length"),
            answer.body.len().to_string(),
            "{head}"
        );
        assert!(!answer.body.is_empty(), "{head}");
        assert_eq!(answer.must("accept-ranges"), "bytes", "{head}");
        let etag = answer.must("etag");
        assert!(
            etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'),
            "{head}"
        );
        let modified = parse_http_date(answer.must("last-modified")).unwrap();
        let date = parse_http_date(answer.must("date")).unwrap();
        assert!(modified <= date, "{head}");
        let now = now();
        assert!(
            date <= now && now < date + Duration::from_secs(10),
            "{head}"
        );
    }
}

/// `bytes=0-99` -> 206, `Content-Range: bytes 0-99/N`, `Content-Length: 100`.
pub(super) fn a02_a_range_gives_206_with_its_place(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    for (first, last) in [
        (0, 99),
        (0, 0),
        (17, 400),
        (all.body.len() - 1, all.body.len() - 1),
    ] {
        let range = format!("Range: bytes={first}-{last}\r\n");
        let part = connection.get(site.media.segment(), &range);
        assert_part(&part, &all.body, first, last);
    }
    if site.media.has_odd {
        let (first, last) = (5 << 20, (9 << 20) + 17);
        let range = format!("Range: bytes={first}-{last}\r\n");
        assert_part(
            &connection.get(&site.media.large(), &range),
            large(),
            first,
            last,
        );
    }
}

/// `bytes=-500` -> the last 500; a suffix longer than the object -> all of it as 206.
pub(super) fn a03_a_suffix_gives_the_end(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site).body;
    let length = all.len();
    for (suffix, first) in [("500", length - 500), ("1", length - 1), ("99999999999", 0)] {
        let range = format!("Range: bytes=-{suffix}\r\n");
        assert_part(
            &connection.get(site.media.segment(), &range),
            &all,
            first,
            length - 1,
        );
    }
}

/// `bytes=0-` -> 206 `0-(N-1)/N`, not chunked.
pub(super) fn a04_an_open_range_goes_to_the_end(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site).body;
    for first in [0, 1, all.len() - 1] {
        let part = connection.get(site.media.segment(), &format!("Range: bytes={first}-\r\n"));
        assert_part(&part, &all, first, all.len() - 1);
    }
    if site.media.has_odd {
        let part = connection.get(&site.media.large(), "Range: bytes=0-\r\n");
        assert_part(&part, large(), 0, large().len() - 1);
    }
}

/// A last position beyond the end is clamped.
pub(super) fn a05_a_range_beyond_the_end_is_clamped(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site).body;
    for last in [all.len().to_string(), "99999999".to_owned(), "9".repeat(40)] {
        let part = connection.get(site.media.segment(), &format!("Range: bytes=10-{last}\r\n"));
        assert_part(&part, &all, 10, all.len() - 1);
    }
}

/// A first position at or beyond the end, or `bytes=-0` -> 416 with `Content-Range: bytes */N`,
/// `no-store`.
pub(super) fn a06_a_range_outside_gives_416_with_the_length(site: &Site) {
    let mut connection = site.open();
    let length = whole(&mut connection, site).body.len();
    for range in [
        format!("{length}-"),
        "999999999-".to_owned(),
        format!("{}-", "9".repeat(30)),
        "-0".to_owned(),
    ] {
        let answer = connection.get(site.media.segment(), &format!("Range: bytes={range}\r\n"));
        assert_unsatisfiable(&answer, length, &range);
    }
}

/// An invalid range (`bytes=abc`, `bytes=5-2`) -> 200 with all.
pub(super) fn a07_an_invalid_range_is_ignored(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    for range in [
        "bytes=abc",
        "bytes=5-2",
        "bytes=",
        "bytes=-",
        "bytes 0-9",
        "bytes=1-x",
        "bytes=--1",
        "bytes=0x1-5",
        "",
    ] {
        let answer = connection.get(site.media.segment(), &format!("Range: {range}\r\n"));
        assert_whole(&answer, &all, range);
    }
}

/// An unknown unit (`items=0-1`) -> 200.
pub(super) fn a08_an_unknown_unit_is_ignored(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    for range in ["items=0-1", "bites=0-1", "bytess=0-1", "=0-1"] {
        let answer = connection.get(site.media.segment(), &format!("Range: {range}\r\n"));
        assert_whole(&answer, &all, range);
    }
}

/// Several ranges -> 200 with all, never just the first one; so also many, and overlapping ones.
pub(super) fn a09_several_ranges_give_all_and_never_the_first(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    let many: Vec<String> = (0..40)
        .map(|n| format!("{}-{}", n * 20, n * 20 + 1))
        .collect();
    for ranges in [
        "0-9,20-29",
        "0-9, 5-15",
        "0-0,-1",
        "0-9,,20-29",
        &many.join(","),
    ] {
        let answer = connection.get(site.media.segment(), &format!("Range: bytes={ranges}\r\n"));
        assert_whole(&answer, &all, ranges);
    }
    let twice = "Range: bytes=0-9\r\nRange: bytes=20-29\r\n";
    assert_whole(
        &connection.get(site.media.segment(), twice),
        &all,
        "two fields",
    );
}

/// `Range` on HEAD is ignored.
pub(super) fn a10_head_ignores_range(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    for range in ["0-99", "99999999-"] {
        let answer = connection.ask(
            "HEAD",
            site.media.segment(),
            &format!("Range: bytes={range}\r\n"),
        );
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert_eq!(answer.lasting(), all.lasting());
    }
}

/// `If-Range` with an equal strong `ETag` -> 206; with another -> 200 with all.
pub(super) fn a11_if_range_compares_the_tag(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    let etag = all.must("etag").to_owned();
    let fields = format!("Range: bytes=0-99\r\nIf-Range: {etag}\r\n");
    assert_part(
        &connection.get(site.media.segment(), &fields),
        &all.body,
        0,
        99,
    );
    for other in ["\"other\"", "\"\"", "*"] {
        let fields = format!("Range: bytes=0-99\r\nIf-Range: {other}\r\n");
        assert_whole(&connection.get(site.media.segment(), &fields), &all, other);
    }
    // Also a range that could not be had.
    let fields = "Range: bytes=99999999-\r\nIf-Range: \"other\"\r\n";
    assert_whole(
        &connection.get(site.media.segment(), fields),
        &all,
        "outside",
    );
}

/// `If-Range` with a weak tag -> 200; with a date only if it is exactly `Last-Modified`.
pub(super) fn a12_if_range_takes_no_weak_tag_and_only_the_exact_date(site: &Site) {
    let mut connection = site.open();
    let all = whole(&mut connection, site);
    let modified = all.must("last-modified").to_owned();
    let time = parse_http_date(&modified).unwrap();
    let second = Duration::from_secs(1);
    let fields = format!("Range: bytes=0-99\r\nIf-Range: {modified}\r\n");
    assert_part(
        &connection.get(site.media.segment(), &fields),
        &all.body,
        0,
        99,
    );
    let weak = format!("W/{}", all.must("etag"));
    let (earlier, later) = (fmt_http_date(time - second), fmt_http_date(time + second));
    for other in [weak.as_str(), &earlier, &later, "yesterday"] {
        let fields = format!("Range: bytes=0-99\r\nIf-Range: {other}\r\n");
        assert_whole(&connection.get(site.media.segment(), &fields), &all, other);
    }
}

/// `If-None-Match` as a list, `*`, or weak -> 304 for GET and HEAD.
pub(super) fn a13_if_none_match_gives_304_for_get_and_head(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let path = &object.path;
        let etag = connection.get(path, "").must("etag").to_owned();
        let lists = [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"x\", {etag}, \"y\""),
            format!("\"a,b\",W/{etag}"),
            format!("\"x\"\r\nIf-None-Match: {etag}"),
            "*".to_owned(),
        ];
        for list in lists {
            for method in ["GET", "HEAD"] {
                let answer = connection.ask(method, path, &format!("If-None-Match: {list}\r\n"));
                assert_eq!(
                    answer.status, 304,
                    "{method} {path} {list}: {}",
                    answer.head
                );
            }
        }
        for list in ["\"x\"", "x", &etag[1..etag.len() - 1]] {
            let answer = connection.get(path, &format!("If-None-Match: {list}\r\n"));
            assert_eq!(answer.status, 200, "{path} {list}");
        }
    }
}

/// 304 carries `Cache-Control`, `Date`, `ETag`, `Expires`, `Vary` and `Content-Location` as the 200
/// would; it has no body.
pub(super) fn a14_not_modified_carries_what_the_200_would(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let all = connection.get(&object.path, "");
        let condition = format!("If-None-Match: {}\r\n", all.must("etag"));
        let answer = connection.get(&object.path, &condition);
        assert_eq!(answer.status, 304);
        for name in [
            "cache-control",
            "etag",
            "expires",
            "vary",
            "content-location",
        ] {
            assert_eq!(
                answer.field(name),
                all.field(name),
                "{name} of {}",
                object.path
            );
        }
        answer.must("date");
        for name in ["content-length", "transfer-encoding"] {
            assert_eq!(answer.field(name), None, "{}", answer.head);
        }
        // A body would come before the next answer.
        assert_eq!(connection.get(&object.path, &condition).status, 304);
    }
}

/// `If-None-Match` wins over `If-Modified-Since`, `If-Match` over `If-Unmodified-Since`; all of
/// them come before `Range`.
pub(super) fn a15_tags_win_over_dates_and_all_over_ranges(site: &Site) {
    let mut connection = site.open();
    let path = site.media.segment();
    let all = whole(&mut connection, site);
    let (etag, modified) = (all.must("etag"), all.must("last-modified"));
    let long_ago = "Thu, 01 Jan 1998 00:00:00 GMT";
    let outside = "Range: bytes=99999999-\r\n";
    for (fields, status) in [
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}\r\n"),
            200,
        ),
        (
            format!("If-None-Match: {etag}\r\nIf-Modified-Since: {long_ago}\r\n"),
            304,
        ),
        (
            format!("If-Match: {etag}\r\nIf-Unmodified-Since: {long_ago}\r\n"),
            200,
        ),
        (
            format!("If-Match: \"x\"\r\nIf-Unmodified-Since: {modified}\r\n"),
            412,
        ),
        (format!("If-None-Match: {etag}\r\n{outside}"), 304),
        (format!("If-Modified-Since: {modified}\r\n{outside}"), 304),
        (format!("If-Match: \"x\"\r\n{outside}"), 412),
        (format!("If-Unmodified-Since: {long_ago}\r\n{outside}"), 412),
        (format!("If-Match: \"x\"\r\nIf-None-Match: {etag}\r\n"), 412),
        (
            format!("If-Match: {etag}\r\nIf-None-Match: {etag}\r\n"),
            304,
        ),
        (format!("If-Match: {etag}\r\nRange: bytes=0-9\r\n"), 206),
    ] {
        let answer = connection.get(path, &fields);
        assert_eq!(answer.status, status, "{fields}: {}", answer.head);
    }
}

/// `If-Match` mismatch -> 412; invalid dates are ignored; so is an `If-Modified-Since` in the
/// future.
pub(super) fn a16_what_is_not_as_expected_gives_412_and_broken_dates_count_for_nothing(
    site: &Site,
) {
    let mut connection = site.open();
    let path = site.media.segment();
    let all = whole(&mut connection, site);
    let (etag, modified) = (all.must("etag"), all.must("last-modified"));
    let time = parse_http_date(modified).unwrap();
    let earlier = fmt_http_date(time - Duration::from_secs(1));
    let future = fmt_http_date(now() + Duration::from_secs(86_400));
    for (field, status) in [
        ("If-Match: \"x\", \"y\"".to_owned(), 412),
        // Compared strongly.
        (format!("If-Match: W/{etag}"), 412),
        (format!("If-Match: \"x\", {etag}"), 200),
        ("If-Match: *".to_owned(), 200),
        (format!("If-Unmodified-Since: {earlier}"), 412),
        (format!("If-Unmodified-Since: {modified}"), 200),
        ("If-Unmodified-Since: 1998".to_owned(), 200),
        (format!("If-Modified-Since: {modified}"), 304),
        (format!("If-Modified-Since: {earlier}"), 200),
        (
            "If-Modified-Since: Mon, 99 Foo 2026 00:00:00 GMT".to_owned(),
            200,
        ),
        (format!("If-Modified-Since: {future}"), 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = connection.ask(method, path, &format!("{field}\r\n"));
            assert_eq!(answer.status, status, "{method} {field}: {}", answer.head);
        }
    }
}

/// The same bytes have the same `ETag` at every node: these sites are such nodes, some with a copy
/// of another's folder. Over a bucket it is the bucket's own, so that a CDN may go to either.
pub(super) fn a17_the_same_bytes_have_the_same_tag_everywhere(site: &Site) {
    static KNOWN: Mutex<Option<HashMap<String, (String, &str)>>> = Mutex::new(None);
    let mut connection = site.open();
    let mut tags = Vec::new();
    for object in &site.media.objects {
        let kind = if site.is_bucket { "bucket" } else { "own" };
        let name = object.path.replace(&site.media.base, kind);
        tags.push((
            name,
            connection.get(&object.path, "").must("etag").to_owned(),
        ));
    }
    let mut known = KNOWN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = known.get_or_insert_default();
    for (name, tag) in tags {
        let first = known
            .entry(name.clone())
            .or_insert_with(|| (tag.clone(), site.name));
        assert_eq!(first.0, tag, "{name} at {} and {}", first.1, site.name);
    }
}

/// HEAD has GET's fields, `Content-Length` among them, and not a byte of body.
pub(super) fn a18_head_is_get_without_its_body(site: &Site) {
    let mut connection = site.open();
    let paths = site.media.objects.iter().map(|object| object.path.clone());
    let missing = [
        format!("{}x/1.m4s", site.media.base),
        "/v/nobody/index.m3u8".to_owned(),
    ];
    for path in paths.chain(missing) {
        let got = connection.get(&path, "");
        let head = connection.ask("HEAD", &path, "");
        assert_eq!(head.status, got.status);
        assert_eq!(head.lasting(), got.lasting(), "{path}");
        // A body would come before the next answer.
        let both = format!(
            "{}{}",
            connection.request("HEAD", &path, ""),
            connection.request("GET", &path, "")
        );
        connection.send(both.as_bytes());
        connection.answer("HEAD");
        assert!(connection.answer("GET").body == got.body, "{path}");
    }
}

/// 206 and 304 carry the same `Cache-Control`, `ETag` and CORS fields as 200.
pub(super) fn a19_parts_and_not_modified_have_the_fields_of_the_whole(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let all = connection.get(&object.path, "");
        let condition = format!("If-None-Match: {}\r\n", all.must("etag"));
        let known = connection.get(&object.path, &condition);
        let part = connection.get(&object.path, "Range: bytes=0-9\r\n");
        assert_eq!((known.status, part.status), (304, 206));
        for (name, value) in &all.fields {
            let is_content = name.starts_with("content-");
            if name != "date" && !is_content {
                assert_eq!(part.must(name), value, "206 of {}", object.path);
                assert_eq!(known.must(name), value, "304 of {}", object.path);
            }
        }
        assert_eq!(part.must("content-type"), all.must("content-type"));
    }
}

/// An object without a byte: 200 with length 0; any range of it 416.
pub(super) fn a20_an_empty_object_has_no_ranges(site: &Site) {
    if !site.media.has_odd {
        return;
    }
    let mut connection = site.open();
    let path = site.media.empty();
    let all = connection.get(&path, "");
    assert_eq!(
        (all.status, all.must("content-length")),
        (200, "0"),
        "{}",
        all.head
    );
    for range in ["0-", "0-0", "-1", "-0", "5-9"] {
        let answer = connection.get(&path, &format!("Range: bytes={range}\r\n"));
        assert_unsatisfiable(&answer, 0, range);
    }
    let condition = format!("If-None-Match: {}\r\n", all.must("etag"));
    assert_eq!(connection.get(&path, &condition).status, 304);
}
