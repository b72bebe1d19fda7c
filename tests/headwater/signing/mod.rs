//! Signed URLs, cookies and tokens: made by the commands, judged by a running server.

mod judges;

use std::path::{Path, PathBuf};

use headwater::signing::{Claims, Hash, PrivateKey, Signer, TokenKeys};

use crate::server::{Answer, Server};
use crate::support::{fixture, headwater, package};

/// A page that may ask with cookies.
const PAGE: &str = "https://a.test";
const HOST: &str = "https://video.test";
const KEY_ID: &str = "K2JCJMDEHXQW5F";
const ENTRY: &str = "/v/talk/index.m3u8";
/// 2001 and 2100, in seconds since 1970.
const PAST: u64 = 978_307_200;
const FUTURE: u64 = 4_102_444_800;

/// A server that delivers `/v/talk/` only to who has a signature.
struct House {
    server: Server,
    folder: tempfile::TempDir,
    revision: String,
}

fn key(name: &str) -> PathBuf {
    fixture("signing").join(name)
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let flags = ["--rungs", "180,90", "--preset", "ultrafast"];
        let result = package(&fixture("talk.mp4"), &data.join("v/talk"), &flags);
        let tokens = folder.path().join("tokens");
        std::fs::write(&tokens, printed(&["sign", "--new-key", "one"])).unwrap();
        let config = format!(
            "public_url = {HOST:?}\nallowed_origins = [\"{PAGE}\"]\n[delivery.signed]\nfolders = [\"/v/talk/\"]\n\
             token_keys = {tokens:?}\n[delivery.signed.cloudfront_keys]\n\
             {KEY_ID} = {:?}\nEC = {:?}\n",
            key("rsa_public.pem"),
            key("ec_public.pem"),
        );
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config).unwrap();
        let server = Server::start_with(&data, &["--config", file.to_str().unwrap()]);
        let revision = result["revision"].as_str().unwrap().to_owned();
        Self {
            server,
            folder,
            revision,
        }
    }

    fn segment(&self) -> String {
        format!("/v/talk/{}/v90/1.m4s", self.revision)
    }

    fn with_cookies(&self, path: &str, cookies: &str) -> Answer {
        let field = format!("Cookie: {cookies}\r\n");
        self.server.ask("GET", path, &field, b"")
    }

    /// `headwater sign`, with the keys in a file of this name.
    fn token(&self, keys: &str, path: &str, more: &[&str]) -> String {
        let keys = self.folder.path().join(keys);
        let command = ["sign", path, "--keys", keys.to_str().unwrap()];
        let until = ["--expires", "2100-01-01T00:00:00Z"];
        printed(&[&command[..], &until, more].concat())
    }

    /// Plays from the entry point to the first segment of each rendition, as a player resolves
    /// what the manifests say.
    fn play(&self, query: &str, cookies: &str) {
        let manifest = self.with_cookies(&format!("{ENTRY}{query}"), cookies);
        assert_granted(&manifest, ENTRY);
        let text = String::from_utf8(manifest.body).unwrap();
        let uris = uris_of(&text);
        // Sound, two rungs, two tracks of I-frames, two lists of thumbnails.
        assert_eq!(uris.len(), 7, "{text}");
        for uri in uris {
            let folder = &uri[..=uri.split('?').next().unwrap().rfind('/').unwrap()];
            let playlist = self.with_cookies(&format!("/v/talk/{uri}"), cookies);
            assert_granted(&playlist, uri);
            let playlist = String::from_utf8(playlist.body).unwrap();
            let media = uris_of(&playlist);
            assert!(media.len() > 1, "{playlist}");
            for uri in media.iter().take(2) {
                let media = self.with_cookies(&format!("/v/talk/{folder}{uri}"), cookies);
                assert_granted(&media, uri);
            }
        }
    }
}

/// What a playlist names, in its tags or on lines of their own.
fn uris_of(playlist: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in playlist.lines() {
        match line.split_once("URI=\"") {
            Some((_, rest)) => found.extend(rest.split('"').next()),
            None if line.starts_with('#') => {}
            None => found.push(line),
        }
    }
    found
}

/// An answer that no shared cache may keep.
fn assert_granted(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.head);
    let private = answer.head.contains("cache-control: private");
    assert!(private, "{what}: {}", answer.head);
}

/// A refusal that no cache keeps.
fn assert_forbidden(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 403, "{what}: {}", answer.head);
    let fleeting = answer.head.contains("cache-control: no-store");
    assert!(fleeting, "{what}: {}", answer.head);
}

/// What a command prints, without the end of its line.
fn printed(arguments: &[&str]) -> String {
    let output = headwater(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `headwater cloudfront sign`.
fn signed(url: &str, private_key: &Path, key_id: &str, more: &[&str]) -> String {
    let private_key = private_key.to_str().unwrap();
    let command = ["cloudfront", "sign", url, "--key", private_key];
    let id = ["--key-pair-id", key_id];
    printed(&[&command, &id[..], more].concat())
}

/// The path and query of a URL under [`HOST`].
fn path_of(url: &str) -> &str {
    url.strip_prefix(HOST).unwrap()
}

/// What a client sends of `Set-Cookie` lines, whose attributes must be these.
fn cookies_of(lines: &str, attributes: &str) -> String {
    let mut pairs = Vec::new();
    for line in lines.lines() {
        let cookie = line.strip_prefix("Set-Cookie: ").unwrap();
        let (pair, given) = cookie.split_once("; ").unwrap();
        assert_eq!(given, attributes);
        pairs.push(pair);
    }
    pairs.join("; ")
}

/// Whether a text is one line that says `words`.
fn assert_line(text: &str, words: &str) {
    assert!(text.contains(words), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

const ATTRIBUTES: &str = "Path=/v/talk/; Secure; HttpOnly; SameSite=None";

#[test]
fn a_token_plays_all_of_an_asset_by_query_or_cookie() {
    let house = House::open();
    house.play(&format!("?{}", house.token("tokens", "/v/talk/", &[])), "");
    let here = house.token("tokens", "/v/talk/", &["--ip", "127.0.0.0/8"]);
    house.play(&format!("?{here}"), "");
    let cookie = house.token("tokens", "/v/talk/", &["--cookie"]);
    house.play("", &cookies_of(&cookie, ATTRIBUTES));
    let query = house.token("tokens", "/v/talk/", &[]);
    let mpd = house.server.get(&format!("/v/talk/manifest.mpd?{query}"));
    assert_granted(&mpd, "the MPD");
    let mpd = String::from_utf8(mpd.body).unwrap();
    let urls = [".m4s", "init.mp4", ".jpg"].map(|end| mpd.matches(end).count());
    let urls: usize = urls.iter().sum();
    assert!(urls > 1 && mpd.matches(&query).count() == urls, "{mpd}");
    // What a query brought is one client's: nobody else gets it.
    assert_forbidden(&house.server.get(ENTRY), "unsigned");
    assert_forbidden(&house.server.get(&house.segment()), "unsigned");
    let origin = "Origin: https://a.test\r\nAccess-Control-Request-Method: GET\r\n";
    let preflight = house.server.ask("OPTIONS", ENTRY, origin, b"");
    assert_eq!(preflight.status, 204, "{}", preflight.head);
}

/// That `page` may have an answer, with or without cookies, and caches know that another may not.
fn assert_cors(answer: &Answer, page: &str, with_cookies: bool) {
    let head = answer.head.to_ascii_lowercase();
    let lines: Vec<&str> = head.lines().collect();
    let allows = format!("access-control-allow-origin: {page}");
    assert!(lines.contains(&&*allows), "{head}");
    let credentials = lines.contains(&"access-control-allow-credentials: true");
    assert_eq!(credentials, with_cookies, "{head}");
    let mut vary = lines.iter().filter_map(|line| line.strip_prefix("vary: "));
    assert!(
        vary.any(|names| names.split(", ").any(|name| name == "origin")),
        "{head}"
    );
}

/// A page in `allowed_origins` may have every answer with cookies: what is granted, what is refused,
/// and the preflight. No cache gives one page the answer for another.
#[test]
fn an_allowed_page_reads_every_answer_with_cookies() {
    let house = House::open();
    let cookie = cookies_of(
        &house.token("tokens", "/v/talk/", &["--cookie"]),
        ATTRIBUTES,
    );
    let signed = format!("Cookie: {cookie}\r\n");
    let segment = house.segment();
    let missing = segment.replace("/1.m4s", "/99.m4s");
    let preflight = "Access-Control-Request-Method: GET\r\n".to_owned();
    for (method, path, fields, status) in [
        ("GET", ENTRY, &signed, 200),
        ("GET", &segment, &signed, 200),
        ("GET", &missing, &signed, 404),
        ("GET", ENTRY, &String::new(), 403),
        ("OPTIONS", ENTRY, &preflight, 204),
    ] {
        let ask = |page: &str| {
            house
                .server
                .ask(method, path, &format!("{fields}{page}"), b"")
        };
        let answer = ask(&format!("Origin: {PAGE}\r\n"));
        assert_eq!(answer.status, status, "{path}: {}", answer.head);
        assert_cors(&answer, PAGE, true);
        for other in ["", "Origin: https://other.test\r\n"] {
            let answer = ask(other);
            assert_eq!(answer.status, status, "{path}: {}", answer.head);
            assert_cors(&answer, "*", false);
        }
    }
}

#[test]
fn a_token_is_refused_where_it_is_not_for_the_request() {
    let house = House::open();
    let good = house.token("tokens", "/v/talk/", &[]);
    let other = printed(&["sign", "--new-key", "one"]);
    std::fs::write(house.folder.path().join("others"), other).unwrap();
    let keys = std::fs::read_to_string(house.folder.path().join("tokens")).unwrap();
    let over = TokenKeys::parse(&keys).unwrap().make(&Claims {
        path: "/v/talk/".to_owned(),
        until: PAST,
        from: None,
        network: None,
    });
    for (what, query) in [
        ("expired", format!("hw-token={}", over.unwrap())),
        ("altered", good.replace("hw-token=1.", "hw-token=2.")),
        ("cut", good[..good.len() - 1].to_owned()),
        ("twice", format!("{good}&{good}")),
        ("other path", house.token("tokens", "/v/dogs/", &[])),
        ("other key", house.token("others", "/v/talk/", &[])),
        (
            "other address",
            house.token("tokens", "/v/talk/", &["--ip", "192.0.2.0/24"]),
        ),
        (
            "too early",
            house.token("tokens", "/v/talk/", &["--from", "2099-01-01T00:00:00Z"]),
        ),
    ] {
        let answer = house.server.get(&format!("{ENTRY}?{query}"));
        assert_forbidden(&answer, what);
        assert_forbidden(&house.with_cookies(&house.segment(), &query), what);
    }
    let one = house.token("tokens", ENTRY, &[]);
    assert_granted(&house.server.get(&format!("{ENTRY}?{one}")), "itself");
    let segment = house.server.get(&format!("{}?{one}", house.segment()));
    assert_forbidden(&segment, "another object");
}

#[test]
fn no_other_way_to_write_a_path_leads_round_the_signature() {
    let house = House::open();
    let segment = house.segment();
    for path in [ENTRY, &segment] {
        let inner = path.strip_prefix("/v/").unwrap();
        for written in [
            path.to_owned(),
            format!("/{inner}"),
            format!("/v/v/{inner}"),
            format!("/v/v/v/{inner}"),
            format!("/v/%76/{inner}"),
            format!("/v//{inner}"),
            format!("//v/{inner}"),
            format!("/./v/{inner}"),
            format!("/v/x/../{inner}"),
            format!("/v/%2e/{inner}"),
            format!("/%76/{inner}"),
            format!("/v%2F{inner}"),
            format!("/v/%74{}", &inner[1..]),
            format!("/V/{inner}"),
            format!("/v\\{inner}"),
            format!("/v/{inner}/"),
            format!("/v/{inner}%00"),
            format!("/v/{inner};x"),
            format!("/api/../v/{inner}"),
            format!("{HOST}/v/{inner}"),
            format!("/v/{inner}?hw-token="),
        ] {
            for fields in ["", "Range: bytes=0-9\r\n", "If-None-Match: *\r\n"] {
                for method in ["GET", "HEAD"] {
                    let answer = house.server.ask(method, &written, fields, b"");
                    let refused = answer.status >= 400;
                    assert!(refused, "{method} {written} {fields}: {}", answer.head);
                }
            }
        }
    }
}

#[test]
fn a_refused_head_leaves_nothing_in_the_way_of_the_next_answer() {
    use std::io::{Read, Write};
    let house = House::open();
    let mut connection = std::net::TcpStream::connect(&house.server.address).unwrap();
    let request =
        |method: &str, more: &str| format!("{method} {ENTRY} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let both = request("HEAD", "") + &request("GET", "Connection: close\r\n");
    connection.write_all(both.as_bytes()).unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).unwrap();
    let (first, second) = answers.split_once("\r\n\r\n").unwrap();
    assert!(first.starts_with("HTTP/1.1 403"), "{answers}");
    assert!(second.starts_with("HTTP/1.1 403"), "{answers}");
}

#[test]
fn cloudfronts_signatures_open_what_they_are_for() {
    let house = House::open();
    let entry = format!("{HOST}{ENTRY}");
    let (rsa, ec) = (key("rsa_pkcs1.pem"), key("ec_sec1.pem"));
    for (private_key, id, hash) in [
        (&rsa, KEY_ID, "sha1"),
        (&rsa, KEY_ID, "sha256"),
        (&ec, "EC", "sha256"),
    ] {
        let hash = ["--in", "600", "--hash", hash];
        let url = signed(&entry, private_key, id, &hash);
        assert_granted(&house.server.get(path_of(&url)), &url);
        let (_, query) = url.split_once('?').unwrap();
        let segment = house.server.get(&format!("{}?{query}", house.segment()));
        assert_forbidden(&segment, "another object");
        let here = [&hash[..], &["--ip", "127.0.0.0/8"]].concat();
        let wild = signed(&format!("{HOST}/v/talk/*"), private_key, id, &here);
        let (_, query) = wild.split_once('?').unwrap();
        house.play(&format!("?{query}"), "");
        let resource = format!("{HOST}/v/talk/*");
        let wild = ["--resource", &resource, "--cookies"];
        let lines = signed(&entry, private_key, id, &[&hash[..], &wild].concat());
        let cookies = cookies_of(&lines, ATTRIBUTES);
        house.play("", &cookies);
        let mpd = house.with_cookies("/v/talk/manifest.mpd", &cookies);
        assert_granted(&mpd, "the MPD");
        let altered = cookies.replace("Signature=", "Signature=A");
        assert_forbidden(&house.with_cookies(ENTRY, &altered), "altered");
        let stranger = cookies.replace(&format!("Pair-Id={id}"), "Pair-Id=K0");
        assert_forbidden(&house.with_cookies(ENTRY, &stranger), "unknown key");
    }
    for (what, url, more) in [
        ("other path", "/v/dogs/*", [].as_slice()),
        ("other address", "/v/talk/*", &["--ip", "192.0.2.0/24"]),
        ("too early", "/v/talk/*", &["--from", "4102444799"]),
        ("other key", "/v/talk/*", &[]),
    ] {
        let id = if what == "other key" { "EC" } else { KEY_ID };
        let more = [&["--expires", "2100-01-01T00:00:00Z"], more].concat();
        let url = signed(&format!("{HOST}{url}"), &rsa, id, &more);
        let (_, query) = url.split_once('?').unwrap();
        assert_forbidden(&house.server.get(&format!("{ENTRY}?{query}")), what);
    }
    let pem = std::fs::read_to_string(&rsa).unwrap();
    let signer = Signer::new(PrivateKey::from_pem(&pem).unwrap(), KEY_ID, Hash::Sha1);
    let over = signer.unwrap().canned(&entry, PAST).unwrap().on(&entry);
    assert_forbidden(&house.server.get(path_of(&over)), "expired");
}

#[test]
fn what_cannot_be_signed_is_said_in_one_line() {
    let rsa = key("rsa_pkcs1.pem");
    let rsa = rsa.to_str().unwrap();
    let entry = format!("{HOST}{ENTRY}");
    let elsewhere = format!("{HOST}/v/dogs/*");
    let future = ["--expires", "2100-01-01T00:00:00Z"];
    for (url, key, flags, says) in [
        (&*entry, rsa, &["--expires", "2020-01-01"][..], "no time"),
        (&entry, rsa, &["--expires", "978307200"], "over already"),
        (&entry, rsa, &["--resource", &elsewhere], "is not for"),
        (&entry, rsa, &["--ip", "2001:db8::/32"], "IPv4"),
        (&entry, rsa, &["--from", "2101-01-01T00:00:00Z"], "begins"),
        (ENTRY, rsa, &[], "whole URL"),
        (&entry, "nowhere.pem", &[], "nowhere.pem"),
    ] {
        let command = ["cloudfront", "sign", url, "--key", key];
        let id = ["--key-pair-id", KEY_ID];
        let expires = if flags.contains(&"--expires") {
            &[]
        } else {
            &future[..]
        };
        let output = headwater([&command[..], &id, expires, flags].concat()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        assert_line(&String::from_utf8_lossy(&output.stderr), says);
    }
    for arguments in [
        &["sign"][..],
        &["sign", "/v/cats/", "--in", "5"],
        &["sign", "/v/cats/", "--keys", "x"],
        &["sign", "/v/cats/", "--keys", "x", "--new-key", "one"],
        &["cloudfront", "sign", &entry, "--in", "5"],
    ] {
        let output = headwater(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
