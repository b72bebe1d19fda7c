//! `headwater cloudfront`: that templates say what the server says, and the doctor's round through
//! a real cache in front of it.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headwater::cloudfront::template::rules;
use headwater::{origin, wire};
use serde_json::Value;

use crate::server::Server;
use crate::support::{Ran, fixture, headwater, package};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A packaged title in a data folder; its revision.
fn data_with_a_title(data: &Path) -> String {
    let out = data.join("v/talk");
    let flags = ["--rungs", "90", "--preset", "ultrafast"];
    let result = package(&fixture("talk.mp4"), &out, &flags);
    result["revision"].as_str().unwrap().to_owned()
}

/// A server with an origin lock.
fn locked_server(data: &Path) -> Server {
    let config = data.join("headwater.toml");
    std::fs::write(
        &config,
        format!("[delivery.lock]\nsecrets = [\"{SECRET}\"]\n"),
    )
    .unwrap();
    Server::start_with(data, &["--config", config.to_str().unwrap()])
}

/// A cache in front of the server, as CloudFront is configured by our templates: the key is the
/// path and the coding, the origin's `Cache-Control` decides, the secret is added.
struct Edge {
    child: Child,
    port: u16,
}

impl Edge {
    /// Starts one, or `None` where nginx isn't installed.
    fn start(folder: &Path, origin: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = folder.join("edge.conf");
        std::fs::write(&config, edge_config(port, origin)).unwrap();
        let mut command = Command::new("nginx");
        let command = command
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&config)
            .args(["-e", "edge.log"]);
        let Ok(child) = command.stderr(Stdio::null()).spawn() else {
            eprintln!("skipped: nginx is not installed");
            return None;
        };
        let edge = Self { child, port };
        edge.wait();
        Some(edge)
    }

    fn wait(&self) {
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(30), "nginx is silent");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn edge_config(port: u16, origin: &str) -> String {
    let mut places = String::new();
    for place in ["proxy", "client_body", "fastcgi", "uwsgi", "scgi"] {
        writeln!(places, "  {place}_temp_path {place};").unwrap();
    }
    format!(
        r#"
daemon off; master_process off; pid edge.pid; error_log edge.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
{places}
  proxy_cache_path cache keys_zone=edge:4m use_temp_path=off;
  map $http_accept_encoding $coding {{ default ""; ~br br; ~gzip gzip; }}
  map $upstream_cache_status $said {{ default "Miss from edge"; HIT "Hit from edge"; }}
  upstream origin {{ server {origin}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Accept-Encoding $coding;
    proxy_set_header X-Origin-Verify {SECRET};
    proxy_cache edge; proxy_cache_key $uri$coding; proxy_cache_lock on;
    proxy_cache_revalidate on; proxy_ignore_headers Vary; proxy_force_ranges on;
    add_header X-Cache $said always;
    location / {{ proxy_pass http://origin; }}
  }}
}}
"#
    )
}

fn doctor(arguments: &[&str]) -> Ran {
    let command = ["cloudfront", "doctor", "--json"];
    headwater(command.iter().chain(arguments))
        .output()
        .unwrap()
        .into()
}

/// Findings of that verdict, as `object check`.
fn found(report: &Value, verdict: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["verdict"] == verdict)
        .map(|f| {
            format!(
                "{} {}",
                f["object"].as_str().unwrap(),
                f["check"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn the_doctor_finds_our_server_well_behind_a_cache() {
    let data = tempfile::tempdir().unwrap();
    data_with_a_title(data.path());
    let server = locked_server(data.path());
    let folder = tempfile::tempdir().unwrap();
    let Some(edge) = Edge::start(folder.path(), &server.address) else {
        return;
    };
    let port = server.address.rsplit_once(':').unwrap().1;
    let origin = format!("http://localhost:{port}");
    let secret = format!("X-Origin-Verify={SECRET}");
    for name in ["index.m3u8", "manifest.mpd"] {
        let url = format!("http://127.0.0.1:{}/v/talk/{name}", edge.port);
        let flags = [
            "--origin",
            &origin,
            "--secret-header",
            &secret,
            "--idle-seconds",
            "1",
        ];
        let ran = doctor(&[&[url.as_str()], &flags[..]].concat());
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(found(&report, "fault"), [""; 0]);
        assert_eq!(found(&report, "warning"), ["host tls", "origin tls"]);
        for check in [
            "entry encoding",
            "segment hit",
            "segment range",
            "segment query",
            "origin lock",
        ] {
            let checks = found(&report, "ok");
            assert!(checks.iter().any(|ok| ok == check), "{check}: {checks:?}");
        }
    }
}

#[test]
fn the_doctor_says_by_its_exit_code_what_came_of_it() {
    let data = tempfile::tempdir().unwrap();
    data_with_a_title(data.path());
    let server = locked_server(data.path());
    let url = format!("http://{}/v/talk/index.m3u8", server.address);
    let ran = doctor(&[&url]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(found(&report, "fault").contains(&"entry status".to_owned()));
    drop(server);
    assert_eq!(doctor(&[&url]).code, Some(3));
}

/// The value of a header field in a head of lower-case lines.
fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let prefix = format!("{}: ", name.to_lowercase());
    let value = head.lines().find_map(|line| line.strip_prefix(&prefix));
    value.unwrap_or_else(|| panic!("no {name} in {head}"))
}

#[test]
fn templates_say_what_the_server_says() {
    let data = tempfile::tempdir().unwrap();
    let revision = data_with_a_title(data.path());
    let server = Server::start(data.path());
    let path = format!("/v/talk/{revision}/v90/1.m4s");
    let list = |names: &[&str]| names.join(", ").to_lowercase();

    let head = server.get(&path).head;
    let exposed = field(&head, "Access-Control-Expose-Headers");
    assert_eq!(exposed, list(&rules::EXPOSED_HEADERS));
    for (name, value) in rules::ADDED_HEADERS {
        assert_eq!(field(&head, name), value);
    }
    assert!(
        field(&head, rules::TAG_HEADER).contains("asset:talk"),
        "{head}"
    );

    let asked = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n";
    let head = server.ask("OPTIONS", &path, asked, b"").head;
    let field = |name| field(&head, name);
    assert_eq!(field("Access-Control-Allow-Methods"), list(&rules::METHODS));
    assert_eq!(
        field("Access-Control-Allow-Headers"),
        // The first is for licences alone.
        list(&rules::ALLOWED_HEADERS[1..])
    );
    let head = server
        .ask("OPTIONS", "/v/talk/keys/clearkey", asked, b"")
        .head;
    assert!(
        head.contains("\r\naccess-control-allow-headers: content-type\r\n"),
        "{head}"
    );
    assert_eq!(
        field("Access-Control-Max-Age"),
        rules::PREFLIGHT_TTL.to_string()
    );
}

#[test]
fn templates_are_more_patient_than_the_server_and_less_than_its_connections() {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    assert!(origin::PATIENCE < seconds(rules::READ_TIMEOUT));
    const { assert!(rules::READ_TIMEOUT <= rules::RESPONSE_COMPLETION_TIMEOUT) };
    let kept = wire::Options::default().keep_alive;
    assert!(seconds(rules::KEEP_ALIVE_TIMEOUT) < kept);
}
