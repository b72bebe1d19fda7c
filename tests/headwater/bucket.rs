//! Packaging into a bucket, judged at moto's S3 server; skipped where `moto_server` is not on the
//! path (`pip install 'moto[server]'`).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ran, fixture, headwater, verify};

/// moto refuses the nameless and believes everyone who gives a name.
const NAME: &str = "Authorization: AWS4-HMAC-SHA256 \
    Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

struct Bucket {
    server: Child,
    address: String,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Bucket {
    /// A server with an empty bucket `vid`, if the program is there.
    fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new("moto_server");
        command.args(["-p", &port.to_string()]);
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let address = format!("127.0.0.1:{port}");
        let bucket = Self {
            server: server.ok()?,
            address,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&bucket.address).is_err() {
            assert!(Instant::now() < deadline, "moto_server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        bucket.ask("PUT", "/vid", "");
        Some(bucket)
    }

    /// The whole answer, headers in lower case.
    fn ask(&self, method: &str, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\
             Connection: close\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).to_lowercase()
    }

    /// Lets everyone read what is in the bucket.
    fn make_public(&self) {
        let listing = self.ask("GET", "/vid?list-type=2", NAME);
        let keys = listing.split("<key>").skip(1);
        for key in keys.filter_map(|rest| rest.split('<').next()) {
            let headers = format!("{NAME}x-amz-acl: public-read\r\n");
            self.ask("PUT", &format!("/vid/{key}?acl"), &headers);
        }
    }

    fn package(&self, out: &str) -> Ran {
        let clip = fixture("talk.mp4");
        let mut command = headwater([std::path::Path::new("package"), &clip]);
        command
            .args([
                "--out",
                out,
                "--rungs",
                "180,90",
                "--preset",
                "ultrafast",
                "--json",
            ])
            .env("AWS_ENDPOINT", format!("http://{}", self.address))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1");
        command.output().unwrap().into()
    }
}

#[test]
fn a_bucket_gets_objects_with_headers_and_a_second_run_makes_nothing() {
    let Some(bucket) = Bucket::start() else {
        eprintln!("skipped: no moto_server on the path");
        return;
    };
    let first = bucket.package("s3://vid/v/talk");
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let result: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    let revision = result["revision"].as_str().unwrap();
    bucket.make_public();
    let entry = bucket.ask("HEAD", "/vid/v/talk/index.m3u8", "");
    assert!(
        entry.contains("content-type: application/vnd.apple.mpegurl"),
        "{entry}"
    );
    assert!(entry.contains("max-age=60"), "{entry}");
    let segment = bucket.ask("HEAD", &format!("/vid/v/talk/{revision}/v90/1.m4s"), "");
    assert!(
        segment.contains("content-type: video/iso.segment"),
        "{segment}"
    );
    assert!(segment.contains("immutable"), "{segment}");

    let url = format!("http://{}/vid/v/talk/index.m3u8", bucket.address);
    let (code, report) = verify(&url);
    assert_eq!(code, Some(0), "{report}");

    let second = bucket.package("s3://vid/v/talk/");
    let result: serde_json::Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!(result["segments_made"], 0, "{result}");

    let nowhere = bucket.package("s3://nowhere/v/talk");
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.stderr);
    let line = nowhere.stderr.lines().last().unwrap_or_default();
    assert!(line.contains("the bucket is not there"), "{line}");
}
