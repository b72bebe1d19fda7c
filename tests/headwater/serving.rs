//! `headwater serve`: what was packaged, over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::support::{fixture, headwater, package, verify};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &std::path::Path) -> Self {
        let mut command = headwater(["serve", "--listen", "127.0.0.1:0", "--data"]);
        let mut child = command.arg(data).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
        Self { child, address }
    }

    /// Status line and headers in lower case, and the body.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec())
            .unwrap()
            .to_lowercase();
        (head, answer[end + 4..].to_vec())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let (head, body) = server.ask("GET", "/v/talk/index.m3u8", "");
    assert!(
        head.starts_with("http/1.1 200") && body.starts_with(b"#EXTM3U"),
        "{head}"
    );
    assert!(head.contains("content-type: application/vnd.apple.mpegurl"));
    assert!(head.contains("access-control-allow-origin: *"));
    assert!(head.contains("max-age=60"));

    let path = format!("/v/talk/{}/v90/1.m4s", result["revision"].as_str().unwrap());
    let (head, whole) = server.ask("GET", &path, "");
    assert!(
        head.contains("content-type: video/iso.segment") && head.contains("immutable"),
        "{head}"
    );
    let (part_head, part) = server.ask("GET", &path, "Range: bytes=10-19\r\n");
    assert!(part_head.starts_with("http/1.1 206"));
    assert!(part_head.contains(&format!("content-range: bytes 10-19/{}", whole.len())));
    assert_eq!(part, whole[10..20]);
    let (head_head, no_body) = server.ask("HEAD", &path, "");
    assert!(
        head_head.contains(&format!("content-length: {}", whole.len())) && no_body.is_empty(),
        "{head_head}"
    );
    let etag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let (unchanged, _) = server.ask("GET", &path, &format!("If-None-Match: {etag}\r\n"));
    assert!(unchanged.starts_with("http/1.1 304"));
    let (outside, _) = server.ask("GET", &path, "Range: bytes=99999999-\r\n");
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
        let (head, _) = server.ask("GET", path, "");
        assert!(
            head.starts_with("http/1.1 404") || head.starts_with("http/1.1 400"),
            "{path}: {head}"
        );
    }
    assert!(
        server
            .ask("POST", "/index.m3u8", "Content-Length: 0\r\n")
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
    let (head, _) = server.ask("GET", place, "");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (code, report) = verify(&format!("http://{}{place}", server.address));
    assert_eq!(code, Some(0), "{report}");
    let (head, _) = server.ask("GET", "/v%2Fna%20me%2541%20%C3%BC/index.m3u8", "");
    assert!(head.starts_with("http/1.1 404"), "{head}");
}
