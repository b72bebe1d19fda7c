//! moto's S3 server, a second opinion on what a bucket is; `pip install 'moto[server]'`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// moto refuses the nameless and believes everyone who gives a name.
pub(crate) const NAME: &str = "Authorization: AWS4-HMAC-SHA256 \
    Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

/// A server with an empty bucket `vid`.
pub(crate) struct Bucket {
    server: Child,
    /// `host:port`.
    pub(crate) address: String,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The program: as `scripts/test` installs it, or on the path.
fn program() -> Command {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/aws-tools/bin/moto_server");
    match installed.is_file() {
        true => Command::new(installed),
        false => Command::new("moto_server"),
    }
}

impl Bucket {
    /// Starts one, if the program is there.
    pub(crate) fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = program();
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
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> String {
        self.send(method, path, headers, b"")
    }

    /// As [`Self::ask`], with a body.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        self.exchange(method, path, headers, body).to_lowercase()
    }

    /// As [`Self::send`], as it comes.
    pub(crate) fn exchange(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
             Connection: close\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Lets everyone read what is in the bucket.
    pub(crate) fn make_public(&self) {
        let listing = self.ask("GET", "/vid?list-type=2", NAME);
        let keys = listing.split("<key>").skip(1);
        for key in keys.filter_map(|rest| rest.split('<').next()) {
            let headers = format!("{NAME}x-amz-acl: public-read\r\n");
            self.ask("PUT", &format!("/vid/{key}?acl"), &headers);
        }
    }
}

/// Tells `command` that the S3 server at `address` is where its buckets are.
pub(crate) fn point(command: &mut Command, address: &str) {
    command
        .env("AWS_ENDPOINT", format!("http://{address}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1");
}
