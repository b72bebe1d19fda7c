//! `headwater serve`: what was packaged, over HTTP.

use crate::server::{Answer, Server};
use crate::support::{fixture, package, verify};

/// Status line and headers in lower case, and the body.
fn ask(server: &Server, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    let Answer { head, body, .. } = server.ask(method, path, headers, b"");
    (head, body)
}

#[test]
fn objects_are_delivered_with_the_right_headers() {
    let data = tempfile::tempdir().unwrap();
    let out = data.path().join("v/talk");
    let result = package(
        &fixture("talk.mp4"),
        &out,
        &["--rungs", "180,90", "--preset", "ultrafast"],
    );
    let server = Server::start(data.path());
    let (head, body) = ask(&server, "GET", "/v/talk/index.m3u8", "");
    assert!(
        head.starts_with("http/1.1 200") && body.starts_with(b"#EXTM3U"),
        "{head}"
    );
    assert!(head.contains("content-type: application/vnd.apple.mpegurl"));
    assert!(head.contains("access-control-allow-origin: *"));
    assert!(head.contains("max-age=60"));

    let path = format!("/v/talk/{}/v90/1.m4s", result["revision"].as_str().unwrap());
    let (head, whole) = ask(&server, "GET", &path, "");
    assert!(
        head.contains("content-type: video/iso.segment") && head.contains("immutable"),
        "{head}"
    );
    let (part_head, part) = ask(&server, "GET", &path, "Range: bytes=10-19\r\n");
    assert!(part_head.starts_with("http/1.1 206"));
    assert!(part_head.contains(&format!("content-range: bytes 10-19/{}", whole.len())));
    assert_eq!(part, whole[10..20]);
    let (head_head, no_body) = ask(&server, "HEAD", &path, "");
    assert!(
        head_head.contains(&format!("content-length: {}", whole.len())) && no_body.is_empty(),
        "{head_head}"
    );
    let etag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let (unchanged, _) = ask(&server, "GET", &path, &format!("If-None-Match: {etag}\r\n"));
    assert!(unchanged.starts_with("http/1.1 304"));
    let (outside, _) = ask(&server, "GET", &path, "Range: bytes=99999999-\r\n");
    assert!(outside.starts_with("http/1.1 416"));
}

#[test]
fn nothing_else_is_delivered() {
    let data = tempfile::tempdir().unwrap();
    let result = package(
        &fixture("talk.mp4"),
        data.path(),
        &["--rungs", "180,90", "--preset", "ultrafast"],
    );
    let server = Server::start(data.path());
    let plan = format!("/r/{}/plan.json", result["revision"].as_str().unwrap());
    for path in [
        "/presentation.json",
        &plan,
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/.lock",
        "/x",
    ] {
        let (head, _) = ask(&server, "GET", path, "");
        assert!(
            head.starts_with("http/1.1 404") || head.starts_with("http/1.1 400"),
            "{path}: {head}"
        );
    }
    assert!(
        ask(&server, "POST", "/index.m3u8", "")
            .0
            .starts_with("http/1.1 405")
    );
    let (code, report) = verify(&format!("http://{}/index.m3u8", server.address));
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn a_folder_of_any_name_is_delivered_under_its_url() {
    let data = tempfile::tempdir().unwrap();
    let out = data.path().join("v/na me%41 \u{fc}");
    let flags = ["--rungs", "180,90", "--preset", "ultrafast"];
    package(&fixture("talk.mp4"), &out, &flags);
    let server = Server::start(data.path());
    let place = "/v/na%20me%2541%20%C3%BC/index.m3u8";
    let (head, _) = ask(&server, "GET", place, "");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (code, report) = verify(&format!("http://{}{place}", server.address));
    assert_eq!(code, Some(0), "{report}");
    let (head, _) = ask(&server, "GET", "/v%2Fna%20me%2541%20%C3%BC/index.m3u8", "");
    assert!(head.starts_with("http/1.1 404"), "{head}");
}
