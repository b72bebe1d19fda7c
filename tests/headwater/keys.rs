//! Keys of encrypted titles as a server hands them out: to those who may have the media and nobody
//! else, and never to be kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Answer, Server, id};
use crate::support::{fixture, headwater, package};

/// 64 digits that are a secret.
const SECRET: &str = "0e1d2c3b4a59687786a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f001";
const HOST: &str = "https://video.test";

/// Uploads the fixture under a policy that differs by `encryption`, and waits until it is complete.
fn upload(server: &Server, encryption: &Value) -> Value {
    let policy = json!({
        "rungs": [90], "preset": "ultrafast", "trick_play": false, "encryption": encryption,
    });
    let escaped = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let policy: String = policy.to_string().bytes().map(escaped).collect();
    let asset = server.upload(&fixture("talk.mp4"), &format!("policy={policy}"));
    let asset = server.wait_for(id(&asset), &["complete", "failed"]);
    assert_eq!(asset["state"], "complete", "{asset}");
    asset
}

/// The URIs of the keys in a playlist, once each.
fn key_uris(playlist: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(playlist);
    let keys = text.lines().filter(|line| line.contains("-KEY:"));
    let uri = |line: &str| Some(line.split_once("URI=\"")?.1.split('"').next()?.to_owned());
    let mut uris: Vec<String> = keys.filter_map(uri).collect();
    uris.dedup();
    uris
}

/// What FFmpeg plays of the first pictures and sound of a URL or file, as one digest.
fn played(place: &str) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-allowed_extensions", "ALL"])
        .args(["-i", place])
        .args(["-map", "0:v:0", "-map", "0:a:0", "-f", "md5", "-"])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn base64_url(digits: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: String = digits.chars().map(nibble).collect();
    let letter = |bits: &[u8]| {
        let text = format!("{:0<6}", String::from_utf8_lossy(bits));
        char::from(LETTERS[usize::from_str_radix(&text, 2).unwrap()])
    };
    bits.as_bytes().chunks(6).map(letter).collect()
}

fn nibble(digit: char) -> String {
    format!("{:04b}", digit.to_digit(16).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer that nobody keeps.
fn assert_fleeting(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.head);
    let fleeting = answer.head.contains("\r\ncache-control: no-store\r\n");
    assert!(
        fleeting && !answer.head.contains("\r\netag:"),
        "{what}: {}",
        answer.head
    );
}

#[test]
fn a_server_hands_out_the_keys_that_its_media_is_encrypted_with() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let url = |asset: &Value| format!("http://{}/v/{}/index.m3u8", server.address, id(asset));
    let clear = upload(&server, &Value::Null);
    let whole = upload(&server, &json!({"scheme": "aes-128"}));
    let samples = upload(&server, &json!({"scheme": "cbcs", "keys": "one"}));
    let wanted = played(&url(&clear));
    assert_eq!(played(&url(&whole)), wanted);
    assert_eq!(played(&url(&samples)), wanted);
    // Who may use the API needs no key file beside it: it was made for its owner alone.
    let secret = fs::read_to_string(folder.path().join("data/keys.secret")).unwrap();
    let stored = Command::new("grep")
        .args(["-rlF", secret.trim()])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&stored.stdout)
            .trim()
            .ends_with("keys.secret")
    );

    let entry = server.get(&format!("/v/{}/index.m3u8", id(&samples)));
    let [uri] = &key_uris(&entry.body)[..] else {
        panic!("{}", String::from_utf8_lossy(&entry.body))
    };
    let key_id = uri.strip_prefix("keys/").unwrap();
    let path = format!("/v/{}/{uri}", id(&samples));
    let key = server.get(&path);
    assert_fleeting(&key, 200, "the key");
    assert_eq!(key.body.len(), 16);
    assert!(key.head.contains("content-type: application/octet-stream"));
    assert!(key.head.contains("access-control-allow-origin: *"));
    let head = server.ask("HEAD", &path, "", b"");
    assert_fleeting(&head, 200, "HEAD");
    assert!(head.body.is_empty() && head.head.contains("content-length: 16"));
    let ranged = server.ask("GET", &path, "Range: bytes=0-3\r\n", b"");
    assert_eq!((ranged.status, ranged.body.len()), (200, 16));

    let license = format!("/v/{}/keys/clearkey", id(&samples));
    let other = "ab".repeat(16);
    let request = json!({"kids": [base64_url(key_id), base64_url(&other)], "type": "temporary"});
    let ask = |path: &str, body: &str| server.ask("POST", path, "", body.as_bytes());
    let answer = ask(&license, &request.to_string());
    assert_fleeting(&answer, 200, "the licence");
    assert!(answer.head.contains("content-type: application/json"));
    let wanted = json!({
        "keys": [{"kty": "oct", "kid": base64_url(key_id), "k": base64_url(&hex(&key.body))}],
        "type": "temporary",
    });
    assert_eq!(answer.json(), wanted);

    let preflight = server.ask("OPTIONS", &license, "Origin: https://a.test\r\n", b"");
    assert_eq!(preflight.status, 204);
    for rule in [
        "access-control-allow-methods: post, options",
        "access-control-allow-headers: content-type",
    ] {
        assert!(preflight.head.contains(rule), "{}", preflight.head);
    }
    assert_eq!(server.ask("OPTIONS", &path, "", b"").status, 204);

    // What is not there, and what is no way to ask.
    let unknown = json!({"kids": [base64_url(&other)], "type": "temporary"}).to_string();
    for (answer, status) in [
        (
            server.get(&format!("/v/{}/keys/{other}", id(&samples))),
            404,
        ),
        (server.get(&format!("/v/{}/keys/{key_id}", id(&clear))), 404),
        (server.get(&format!("/v/{}/keys/{key_id}", id(&whole))), 404),
        (server.get(&format!("/v/nobody/keys/{key_id}")), 404),
        (ask(&license, &unknown), 404),
        (
            ask(&format!("/v/{}/keys/clearkey", id(&clear)), &unknown),
            404,
        ),
        (
            ask(&format!("/v/{}/keys/clearkey", id(&whole)), &unknown),
            404,
        ),
        (ask(&license, "no request"), 400),
        (ask(&license, &" ".repeat(9000)), 413),
        (server.get(&license), 405),
        (ask(&path, ""), 405),
    ] {
        assert_fleeting(&answer, status, &answer.head);
        assert!(
            answer.head.contains("application/problem+json"),
            "{}",
            answer.head
        );
    }

    let metrics = server.get("/metrics");
    let metrics = String::from_utf8_lossy(&metrics.body);
    let counted = metrics
        .lines()
        .any(|line| line.contains("class=\"key\"") && !line.ends_with(" 0"));
    assert!(counted, "{metrics}");

    // An MPD has whole URLs of licences, of the host that it was asked under.
    let mpd = server.get(&format!("/v/{}/manifest.mpd", id(&samples)));
    let text = String::from_utf8(mpd.body).unwrap();
    let whole = format!(">http://{}{license}</dashif:Laurl>", server.address);
    assert!(text.contains(&whole), "{text}");
    assert!(
        mpd.head.contains("cache-control: private, no-store"),
        "{}",
        mpd.head
    );
}

/// Where players get a licence from somebody else, none comes from here.
#[test]
fn keys_that_others_hand_out_are_not_to_be_had_here() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let asset = upload(&server, &json!({"scheme": "cbcs", "widevine": {}}));
    let init = server.get(&format!("/v/{}/index.m3u8", id(&asset)));
    let playlist = String::from_utf8(init.body).unwrap();
    let digits = playlist.split_once("KEYID=0x").unwrap().1;
    let key_id = digits.get(..32).unwrap().to_lowercase();
    let path = format!("/v/{}/keys/{key_id}", id(&asset));
    assert_fleeting(&server.get(&path), 404, "a key");
    let request = json!({"kids": [base64_url(&key_id)], "type": "temporary"}).to_string();
    let license = format!("/v/{}/keys/clearkey", id(&asset));
    let answer = server.ask("POST", &license, "", request.as_bytes());
    assert_fleeting(&answer, 404, "a licence");
}

/// A title that was packaged into a server's folder, behind signatures and on a listener for media
/// alone.
struct House {
    server: Server,
    folder: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("secret"), format!("{SECRET}\n")).unwrap();
        fs::write(at("policy.toml"), "rungs = [90]\npreset = \"ultrafast\"\ntrick_play = false\n[encryption]\nscheme = \"cbcs\"\n").unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (policy, secret) = (text(&at("policy.toml")), text(&at("secret")));
        let flags = ["--policy", &*policy, "--key-file", &*secret];
        package(&fixture("talk.mp4"), &at("data/v/talk"), &flags);
        let token = headwater(["sign", "--new-key", "one"]).output().unwrap();
        fs::write(at("tokens"), token.stdout).unwrap();
        let config = format!(
            "public_url = {HOST:?}\nkey_file = {:?}\n[delivery]\naccess_log = {:?}\n[delivery.signed]\n\
             folders = [\"/v/talk/\"]\ntoken_keys = {:?}\n",
            at("secret"),
            at("access.log"),
            at("tokens"),
        );
        fs::write(at("config.toml"), config).unwrap();
        let config = text(&at("config.toml"));
        let flags = ["--config", &*config, "--delivery-listen", "127.0.0.1:0"];
        let server = Server::start_with(&at("data"), &flags);
        Self { server, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The access log, which is written a little later, once it tells of `path`.
    fn access_log(&self, path: &str) -> String {
        let since = Instant::now();
        loop {
            let log = fs::read_to_string(self.path("access.log")).unwrap();
            if log.contains(path) {
                return log;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A signature in a query.
    fn token(&self) -> String {
        let keys = self.path("tokens");
        let command = [
            "sign",
            "/v/talk/",
            "--in",
            "600",
            "--keys",
            keys.to_str().unwrap(),
        ];
        let output = headwater(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[test]
fn keys_need_the_signature_that_media_does_and_manifests_carry_it_on() {
    let mut house = House::open();
    let token = house.token();
    let query = token.trim_start_matches('?');
    // The listener for media alone answers these, too.
    let listeners = [
        house.server.address.clone(),
        house.server.delivery.clone().unwrap(),
    ];
    for address in listeners {
        house.server.address = address;
        let server = &house.server;
        let entry = server.get(&format!("/v/talk/index.m3u8?{query}"));
        let uris = key_uris(&entry.body);
        assert_eq!(uris.len(), 2, "{}", String::from_utf8_lossy(&entry.body));
        let mut ids = Vec::new();
        for uri in &uris {
            let (path, carried) = uri.split_once('?').unwrap();
            assert_eq!(carried, query);
            let key = server.get(&format!("/v/talk/{uri}"));
            assert_fleeting(&key, 200, uri);
            assert_eq!(key.body.len(), 16);
            assert_fleeting(&server.get(&format!("/v/talk/{path}")), 403, path);
            ids.push(base64_url(path.strip_prefix("keys/").unwrap()));
        }
        let mpd = server.get(&format!("/v/talk/manifest.mpd?{query}"));
        let text = String::from_utf8(mpd.body).unwrap();
        let place = format!("{HOST}/v/talk/keys/clearkey?{query}").replace('&', "&amp;");
        assert!(text.contains(&format!(">{place}</dashif:Laurl>")), "{text}");
        let body = json!({"kids": ids, "type": "temporary"}).to_string();
        let ask = |path: &str| server.ask("POST", path, "", body.as_bytes());
        let license = ask(&format!("/v/talk/keys/clearkey?{query}"));
        assert_fleeting(&license, 200, "licence");
        assert_eq!(license.json()["keys"].as_array().unwrap().len(), 2);
        assert_fleeting(&ask("/v/talk/keys/clearkey"), 403, "no signature");
        let preflight = server.ask("OPTIONS", "/v/talk/keys/clearkey", "", b"");
        assert_eq!(preflight.status, 204);
    }
    // What `headwater keys` shows is in no log.
    let command = headwater([Path::new("keys"), &house.path("data/v/talk")])
        .arg("--key-file")
        .arg(house.path("secret"))
        .output()
        .unwrap();
    let keys: Value = serde_json::from_slice(&command.stdout).unwrap();
    let log = house.access_log("/v/talk/keys/");
    for key in keys.as_array().unwrap() {
        let key = key["key"].as_str().unwrap();
        assert!(
            !log.contains(key) && !log.contains(&base64_url(key)),
            "{log}"
        );
    }
}

/// With a public URL an MPD is the same for all who ask, and caches may keep it.
#[test]
fn an_mpd_names_licences_under_the_public_url() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    fs::write(&config, format!("public_url = {HOST:?}\n")).unwrap();
    let flags = ["--config", config.to_str().unwrap()];
    let server = Server::start_with(&folder.path().join("data"), &flags);
    let asset = upload(&server, &json!({"scheme": "cbcs"}));
    let path = format!("/v/{}/manifest.mpd", id(&asset));
    let mpd = server.get(&path);
    let text = String::from_utf8_lossy(&mpd.body);
    let license = format!(">{HOST}/v/{}/keys/clearkey</dashif:Laurl>", id(&asset));
    assert!(text.contains(&license), "{text}");
    assert!(mpd.head.contains("cache-control: public"), "{}", mpd.head);
    let etag = mpd.head.split_once("\r\netag: ").unwrap().1;
    let etag = etag.split("\r\n").next().unwrap();
    let known = server.ask("GET", &path, &format!("If-None-Match: {etag}\r\n"), b"");
    assert_eq!(known.status, 304);
    let part = server.ask("GET", &path, "Range: bytes=2-5\r\n", b"");
    assert_eq!((part.status, &part.body[..]), (206, &mpd.body[2..6]));
    let elsewhere = server.ask("GET", &path, "X-Forwarded-Host: evil.test\r\n", b"");
    assert_eq!(elsewhere.body, mpd.body);
}
