//! A running server and a plain HTTP client for it, for tests of the server from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::headwater;

/// How long an asset of a few seconds may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// An answer: status, headers as lower-case text, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// A server that is killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where everything is.
    pub(crate) address: String,
    /// Where only streams are, if it was told to listen there.
    pub(crate) delivery: Option<String>,
}

impl Server {
    /// Starts one over `data` on a free port.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, flags: &[&str]) -> Self {
        Self::start_by(headwater(["serve"]), data, flags)
    }

    /// As [`Self::start_with`], by a command whose environment was prepared.
    pub(crate) fn start_by(mut command: Command, data: &Path, flags: &[&str]) -> Self {
        command
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data);
        let mut child = command.args(flags).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let address = announced(&mut lines);
        let delivers = flags.contains(&"--delivery-listen");
        let delivery = delivers.then(|| announced(&mut lines));
        // What it says later is read, so that it never waits for us.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self {
            child,
            address,
            delivery,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// As by a power cut.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.id()).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// How it ended, once it has; `None` where that takes longer than `limit`.
    pub(crate) fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let since = Instant::now();
        loop {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || since.elapsed() > limit {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = &self.address;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(body);
        read_answer(&mut stream)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    /// Uploads a file as a raw body; the asset.
    pub(crate) fn upload(&self, file: &Path, query: &str) -> Value {
        let body = std::fs::read(file).unwrap();
        let path = format!("/api/v1/assets?{query}");
        let answer = self.ask("POST", &path, "Content-Type: video/mp4\r\n", &body);
        assert_eq!(
            answer.status,
            201,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }

    pub(crate) fn asset(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/assets/{id}")).json()
    }

    /// The asset once it is in one of `states`.
    pub(crate) fn wait_for(&self, id: &str, states: &[&str]) -> Value {
        let since = Instant::now();
        loop {
            let asset = self.asset(id);
            if states.contains(&asset["state"].as_str().unwrap_or_default()) {
                return asset;
            }
            assert!(since.elapsed() < PATIENCE, "stuck: {asset}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the next line that tells one.
fn announced(lines: &mut impl BufRead) -> String {
    let mut said = String::new();
    loop {
        let start = said.len();
        let count = lines.read_line(&mut said).unwrap();
        assert!(count > 0, "it ended: {said}");
        if let Some((_, address)) = said[start..].trim().split_once("ing on ") {
            let address = address.rsplit_once("://").unwrap();
            return address.1.to_owned();
        }
    }
}

fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec())
        .unwrap()
        .to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap();
    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

/// The id of an asset.
pub(crate) fn id(asset: &Value) -> &str {
    asset["id"].as_str().unwrap()
}

/// The policy of quick tests, as a query.
pub(crate) const QUICK: &str = "policy=%7B%22rungs%22%3A%5B180%2C90%5D%2C%22preset%22%3A%22ultrafast%22%2C%22quick_start%22%3Atrue%7D";
