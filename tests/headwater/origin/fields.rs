//! Assertions 21 to 46: media types, cache rules, CORS and encodings (RFC 8216 section 4, RFC
//! 9111, RFC 5861, RFC 8246, the Fetch standard).

use std::io::Read;
use std::time::Duration;

use httpdate::parse_http_date;

use super::client::{Answer, Connection};
use super::media::{Object, large};
use super::now;
use super::site::Site;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const ENTRY: &str =
    "public, max-age=60, s-maxage=60, stale-while-revalidate=300, stale-if-error=86400";

/// The media type of every object whose name ends with `end`.
fn assert_type(site: &Site, end: &str, content_type: &str) {
    let mut connection = site.open();
    let all = site.media.objects.iter();
    let ours: Vec<&Object> = all.filter(|object| object.path.ends_with(end)).collect();
    assert!(!ours.is_empty(), "{end}");
    for object in ours {
        let answer = connection.get(&object.path, "");
        assert_eq!(answer.must("content-type"), content_type, "{}", object.path);
    }
}

/// `.m3u8` is `application/vnd.apple.mpegurl`.
pub(super) fn a21_playlists_are_mpegurl(site: &Site) {
    assert_type(site, ".m3u8", "application/vnd.apple.mpegurl");
}

/// `.mpd` is `application/dash+xml`.
pub(super) fn a22_mpds_are_dash_xml(site: &Site) {
    assert_type(site, ".mpd", "application/dash+xml");
}

/// Video is `video/mp4`, its segments `video/iso.segment`; audio is `audio/mp4`.
pub(super) fn a23_media_is_video_or_audio_by_its_track(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        if object.path.ends_with(".mp4") || object.path.ends_with(".m4s") {
            let answer = connection.get(&object.path, "");
            assert_eq!(
                answer.must("content-type"),
                object.content_type,
                "{}",
                object.path
            );
        }
    }
}

/// `.vtt` is `text/vtt; charset=utf-8`.
pub(super) fn a25_captions_are_vtt_in_utf_8(site: &Site) {
    assert_type(site, ".vtt", "text/vtt; charset=utf-8");
}

/// Pictures have a picture's type.
pub(super) fn a26_pictures_are_jpeg(site: &Site) {
    assert_type(site, ".jpg", "image/jpeg");
    let body = site.get(&site.media.objects[2].path, "").body;
    assert_eq!(body[..2], [0xff, 0xd8]);
}

/// `X-Content-Type-Options: nosniff`; the upload's own name, here `talk.html`, has no say.
pub(super) fn a27_nobody_may_guess_another_type(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let answer = connection.get(&object.path, "");
        assert_eq!(
            answer.must("x-content-type-options"),
            "nosniff",
            "{}",
            object.path
        );
        assert!(
            !answer.must("content-type").contains("html"),
            "{}",
            object.path
        );
    }
    let missing = connection.get(&format!("{}talk.html", site.media.base), "");
    assert_eq!(missing.status, 404);
    assert!(
        !missing.must("content-type").contains("html"),
        "{}",
        missing.head
    );
}

/// What is under a revision never changes: `public, max-age=31536000, immutable`.
pub(super) fn a28_versioned_objects_are_immutable(site: &Site) {
    let mut connection = site.open();
    for object in site.media.objects.iter().filter(|object| !object.is_entry) {
        let answer = connection.get(&object.path, "");
        assert_eq!(answer.must("cache-control"), IMMUTABLE, "{}", object.path);
    }
}

/// Entry points live a minute, and are used a while longer while they are fetched anew.
pub(super) fn a29_entry_points_are_checked_each_minute(site: &Site) {
    let mut connection = site.open();
    for object in site.media.objects.iter().filter(|object| object.is_entry) {
        let answer = connection.get(&object.path, "");
        assert_eq!(answer.must("cache-control"), ENTRY, "{}", object.path);
    }
}

/// A missing segment is forgotten after a second, an unknown asset after ten.
pub(super) fn a31_missing_objects_are_soon_forgotten(site: &Site) {
    let mut connection = site.open();
    let (base, revision) = (&site.media.base, &site.media.revision);
    let none = "0123456789abcdef0123456789abcdef/v90/1.m4s";
    for (path, rule) in [
        (format!("{base}{revision}v90/8888.m4s"), "public, max-age=1"),
        (format!("{base}{revision}v4000/1.m4s"), "public, max-age=1"),
        (format!("{base}{none}"), "public, max-age=1"),
        ("/v/nobody/index.m3u8".to_owned(), "public, max-age=10"),
        (format!("/v/nobody/{none}"), "public, max-age=10"),
    ] {
        let answer = connection.get(&path, "");
        assert_eq!(
            (answer.status, answer.must("cache-control")),
            (404, rule),
            "{path}"
        );
    }
}

/// API and JSON: no cache keeps them.
pub(super) fn a34_the_api_is_kept_by_nobody(site: &Site) {
    for path in ["/api/v1/assets", "/api/v1/assets/nobody"] {
        let answer = site.get(path, "");
        if site.name != "delivery listener" {
            let rule = answer.must("cache-control");
            assert!(rule.contains("no-store"), "{path}: {rule}");
        } else {
            assert_eq!(answer.status, 404, "{path}");
        }
    }
}

/// No `Set-Cookie` on media.
pub(super) fn a35_media_sets_no_cookies(site: &Site) {
    for_all_answers(site, |answer| assert_eq!(answer.field("set-cookie"), None));
}

/// No `Vary: Origin`, as CORS is the same for all; never `Vary: *`.
pub(super) fn a36_nothing_varies_by_origin(site: &Site) {
    for_all_answers(site, |answer| {
        let vary = answer.field("vary").unwrap_or_default().to_lowercase();
        assert!(
            matches!(vary.as_str(), "" | "accept-encoding"),
            "{}",
            answer.head
        );
    });
}

/// No `Age`: there is no shared cache stage here.
pub(super) fn a37_nothing_has_an_age(site: &Site) {
    for_all_answers(site, |answer| assert_eq!(answer.field("age"), None));
}

/// All header fields together stay under 8 KiB.
pub(super) fn a38_heads_are_short(site: &Site) {
    for_all_answers(site, |answer| {
        assert!(answer.head.len() < 8 << 10, "{}", answer.head);
    });
}

/// `Expires` is absent; `Date` is now, also in an answer that was prepared long before.
pub(super) fn a39_date_is_now_and_nothing_expires_twice(site: &Site) {
    let mut connection = site.open();
    for path in [site.media.entry(), site.media.segment()] {
        let first = connection.get(path, "");
        std::thread::sleep(Duration::from_millis(1100));
        let second = connection.get(path, "");
        let now = now();
        let date = |answer: &Answer| parse_http_date(answer.must("date")).unwrap();
        assert!(date(&first) < date(&second), "{path}");
        let late = now.duration_since(date(&second)).unwrap();
        assert!(late < Duration::from_secs(3), "{path}: {late:?}");
        assert_eq!(second.field("expires"), None);
    }
}

/// The answers of every kind that media gives.
fn for_all_answers(site: &Site, check: impl Fn(&Answer)) {
    let mut connection = site.open();
    for object in &site.media.objects {
        for fields in [
            "",
            "Origin: https://player.example\r\nCookie: a=b\r\n",
            "Accept-Encoding: gzip, br\r\n",
            "If-None-Match: *\r\n",
            "Range: bytes=0-9\r\n",
            "Range: bytes=999999999-\r\n",
            "If-Match: \"x\"\r\n",
        ] {
            check(&connection.get(&object.path, fields));
        }
        check(&connection.ask(
            "OPTIONS",
            &object.path,
            "Origin: https://player.example\r\n",
        ));
    }
    check(&connection.get("/v/nobody/index.m3u8", "Origin: https://player.example\r\n"));
}

/// `Access-Control-Allow-Origin: *`, asked by another origin or not.
pub(super) fn a40_every_origin_may_read_and_it_is_always_said(site: &Site) {
    for_all_answers(site, |answer| {
        assert_eq!(
            answer.must("access-control-allow-origin"),
            "*",
            "{}",
            answer.head
        );
        assert_eq!(answer.field("access-control-allow-credentials"), None);
    });
}

/// Scripts may see length, range, date, tag and CMSD.
pub(super) fn a41_scripts_see_what_players_need(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let answer = connection.get(&object.path, "");
        let exposed = answer.must("access-control-expose-headers").to_lowercase();
        for name in [
            "content-length",
            "content-range",
            "date",
            "etag",
            "cmsd-static",
        ] {
            assert!(
                exposed.split(", ").any(|other| other == name),
                "{name}: {exposed}"
            );
        }
    }
}

/// The preflight: 204; GET, HEAD and OPTIONS; `Range`; good for a day.
pub(super) fn a42_a_preflight_is_answered_for_a_day(site: &Site) {
    let mut connection = site.open();
    let asked = "Origin: https://player.example\r\nAccess-Control-Request-Method: GET\r\n\
                 Access-Control-Request-Headers: range\r\n";
    for path in [site.media.entry(), site.media.segment()] {
        let answer = connection.ask("OPTIONS", path, asked);
        assert_eq!(answer.status, 204, "{}", answer.head);
        let methods = answer.must("access-control-allow-methods");
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(methods.contains(method), "{methods}");
        }
        let headers = answer.must("access-control-allow-headers").to_lowercase();
        assert!(headers.split(", ").any(|name| name == "range"), "{headers}");
        assert_eq!(answer.must("access-control-max-age"), "86400");
        assert_eq!(answer.field("content-length").unwrap_or("0"), "0");
    }
}

/// `Timing-Allow-Origin: *`, `Cross-Origin-Resource-Policy: cross-origin`.
pub(super) fn a43_timing_and_embedding_are_allowed(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        let answer = connection.get(&object.path, "");
        assert_eq!(answer.must("timing-allow-origin"), "*");
        assert_eq!(answer.must("cross-origin-resource-policy"), "cross-origin");
    }
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut text = Vec::new();
    let body = &answer.body[..];
    match answer.must("content-encoding") {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut text),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut text),
        other => panic!("{other}"),
    }
    .unwrap();
    text
}

/// Texts come in gzip or brotli to whoever takes it, with `Content-Encoding`, `Vary:
/// Accept-Encoding` and a tag of their own; a range of that is ignored.
pub(super) fn a44_texts_are_compressed_with_a_tag_of_their_own(site: &Site) {
    let mut connection = site.open();
    for object in site.media.objects.iter().filter(|object| object.is_text()) {
        let plain = connection.get(&object.path, "");
        assert_eq!(plain.field("content-encoding"), None);
        assert_eq!(plain.must("vary").to_lowercase(), "accept-encoding");
        let mut tags = vec![plain.must("etag").to_owned()];
        for coding in ["gzip", "br"] {
            let accept = format!("Accept-Encoding: {coding}\r\n");
            let coded = connection.get(&object.path, &accept);
            if coded.field("content-encoding").is_none() && plain.body.len() < 200 {
                // A text of a line or two may not get shorter.
                assert!(coded.body == plain.body);
                continue;
            }
            assert_eq!(coded.must("content-encoding"), coding, "{}", object.path);
            assert_eq!(coded.must("vary").to_lowercase(), "accept-encoding");
            assert_eq!(coded.must("content-length"), coded.body.len().to_string());
            assert_eq!(coded.must("cache-control"), plain.must("cache-control"));
            assert!(decoded(&coded) == plain.body, "{}", object.path);
            let tag = coded.must("etag").to_owned();
            assert!(!tags.contains(&tag) && tag.starts_with('"'), "{tag}");
            assert_coded_is_whole(&mut connection, &object.path, &accept, &coded);
            let known = format!("{accept}If-None-Match: {tag}\r\n");
            let known = connection.get(&object.path, &known);
            assert_eq!((known.status, known.must("etag")), (304, tag.as_str()));
            tags.push(tag);
        }
    }
}

fn assert_coded_is_whole(connection: &mut Connection, path: &str, accept: &str, coded: &Answer) {
    let ranged = connection.get(path, &format!("{accept}Range: bytes=0-9\r\n"));
    assert_eq!(ranged.status, 200, "{}", ranged.head);
    assert!(ranged.body == coded.body);
    let head = connection.ask("HEAD", path, accept);
    assert_eq!(head.lasting(), coded.lasting());
}

/// `identity;q=0`, unknown and refused codings are dealt with; segments are never encoded.
pub(super) fn a45_nobody_gets_a_coding_they_refuse_and_segments_have_none(site: &Site) {
    let mut connection = site.open();
    let path = site.media.playlist();
    let plain = connection.get(path, "");
    for accept in [
        "zstd",
        "compress, dcb",
        "gzip;q=0",
        "br;q=0, gzip;q=0.0",
        "identity",
        "*;q=0",
        "gzip;q=2",
        ";;,,=",
        "",
    ] {
        let answer = connection.get(path, &format!("Accept-Encoding: {accept}\r\n"));
        assert_eq!(
            (answer.status, answer.field("content-encoding")),
            (200, None),
            "{accept}"
        );
        assert!(answer.body == plain.body, "{accept}");
    }
    for accept in [
        "identity;q=0, gzip",
        "gzip;q=0.001",
        "GZIP",
        "identity;q=0, *",
    ] {
        let answer = connection.get(path, &format!("Accept-Encoding: {accept}\r\n"));
        assert!(decoded(&answer) == plain.body, "{accept}");
    }
    // What can't be had is a 406, or the text as it is.
    let answer = connection.get(path, "Accept-Encoding: identity;q=0\r\n");
    assert!(matches!(answer.status, 200 | 406), "{}", answer.head);
    for object in site.media.objects.iter().filter(|object| !object.is_text()) {
        let answer = connection.get(&object.path, "Accept-Encoding: gzip, br\r\n");
        assert_eq!(answer.field("content-encoding"), None, "{}", object.path);
        assert_eq!(answer.field("vary"), None, "{}", object.path);
    }
}

/// Nothing that is stored comes in chunks, whoever asks and how.
pub(super) fn a46_stored_objects_are_never_chunked(site: &Site) {
    let mut connection = site.open();
    for object in &site.media.objects {
        for fields in [
            "",
            "Range: bytes=0-\r\n",
            "Accept-Encoding: gzip\r\n",
            "TE: chunked, trailers\r\n",
        ] {
            let answer = connection.get(&object.path, fields);
            assert_eq!(answer.field("transfer-encoding"), None, "{}", object.path);
            answer.must("content-length");
        }
    }
    if site.media.has_odd {
        let answer = connection.get(&site.media.large(), "");
        assert_eq!(answer.field("transfer-encoding"), None);
        assert!(answer.body == large());
    }
}
