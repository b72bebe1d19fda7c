//! Signed URLs, cookies and tokens: made by the commands, judged by a running server and by Amazon's
//! own signer.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Server;
use crate::support::{fixture, headwater, package};

const HOST: &str = "https://video.test";
const KEY_ID: &str = "K2JCJMDEHXQW5F";

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
        std::fs::write(&tokens, "one 0123456789abcdef0123456789abcdef\n").unwrap();
        let config = format!(
            "public_url = {HOST:?}\n[delivery.signed]\nfolders = [\"/v/talk/\"]\n\
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

    fn status(&self, path: &str, headers: &str) -> u16 {
        self.server.ask("GET", path, headers, b"").status
    }

    fn segment(&self) -> String {
        format!("/v/talk/{}/v90/1.m4s", self.revision)
    }
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

#[test]
fn a_token_in_a_manifests_query_plays_all_of_it() {
    let house = House::open();
    let entry = "/v/talk/index.m3u8";
    let refused = house.server.get(entry);
    assert_eq!(refused.status, 403);
    assert!(
        refused.head.contains("cache-control: no-store"),
        "{}",
        refused.head
    );
    let tokens = house.folder.path().join("tokens");
    let sign = |path: &str, more: &[&str]| {
        let command = [
            "sign",
            path,
            "--keys",
            tokens.to_str().unwrap(),
            "--in",
            "600",
        ];
        printed(&[&command[..], more].concat())
    };
    let query = sign("/v/talk/", &[]);
    let manifest = house.server.get(&format!("{entry}?{query}"));
    assert_eq!(manifest.status, 200, "{}", manifest.head);
    assert!(manifest.head.contains("cache-control: private, no-store"));
    let text = String::from_utf8(manifest.body).unwrap();
    let uris: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(uris.len(), 2, "{text}");
    for uri in uris {
        let (folder, _) = uri.split_once("index.m3u8").unwrap();
        let playlist = house.server.get(&format!("/v/talk/{uri}"));
        assert_eq!(playlist.status, 200, "{uri}");
        let playlist = String::from_utf8(playlist.body).unwrap();
        let first = playlist.lines().find(|line| line.contains(".m4s")).unwrap();
        let segment = house.server.get(&format!("/v/talk/{folder}{first}"));
        assert_eq!(segment.status, 200, "{first}");
        assert!(
            segment.head.contains("cache-control: private, max-age"),
            "{}",
            segment.head
        );
    }
    let cookie = sign("/v/talk/", &["--cookie"]);
    let (pair, attributes) = cookie
        .strip_prefix("Set-Cookie: ")
        .unwrap()
        .split_once("; ")
        .unwrap();
    assert_eq!(attributes, "Path=/v/talk/; Secure; HttpOnly; SameSite=None");
    assert_eq!(
        house.status(&house.segment(), &format!("Cookie: {pair}\r\n")),
        200
    );
    let altered = format!(
        "{}?{}",
        house.segment(),
        query.replace("hw-token=1.", "hw-token=2.")
    );
    assert_eq!(house.status(&altered, ""), 403);
    let other = sign("/v/dogs/", &[]);
    assert_eq!(house.status(&format!("{entry}?{other}"), ""), 403);
    let elsewhere = sign("/v/talk/", &["--ip", "192.0.2.0/24"]);
    assert_eq!(house.status(&format!("{entry}?{elsewhere}"), ""), 403);
    let preflight = house
        .server
        .ask("OPTIONS", entry, "Origin: https://a.test\r\n", b"");
    assert_eq!(preflight.status, 204);
}

#[test]
fn cloudfronts_signatures_open_what_they_are_for() {
    let house = House::open();
    let entry = format!("{HOST}/v/talk/index.m3u8");
    let path = |url: &str| url.strip_prefix(HOST).unwrap().to_owned();
    let (rsa, ec) = (key("rsa_pkcs1.pem"), key("ec_sec1.pem"));
    for (private_key, id, hash) in [
        (&rsa, KEY_ID, "sha1"),
        (&rsa, KEY_ID, "sha256"),
        (&ec, "EC", "sha256"),
    ] {
        let hash = ["--in", "600", "--hash", hash];
        let url = signed(&entry, private_key, id, &hash);
        assert_eq!(house.status(&path(&url), ""), 200, "{url}");
        let (_, query) = url.split_once('?').unwrap();
        assert_eq!(
            house.status(&format!("{}?{query}", house.segment()), ""),
            403
        );
        let resource = format!("{HOST}/v/talk/*");
        let wild = ["--resource", &resource, "--cookies"];
        let lines = signed(&entry, private_key, id, &[&hash[..], &wild].concat());
        let pairs: Vec<&str> = lines
            .lines()
            .map(|line| {
                line.strip_prefix("Set-Cookie: ")
                    .unwrap()
                    .split(';')
                    .next()
                    .unwrap()
            })
            .collect();
        let cookies = format!("Cookie: {}\r\n", pairs.join("; "));
        assert_eq!(house.status(&house.segment(), &cookies), 200, "{cookies}");
        assert_eq!(house.status("/v/talk/manifest.mpd", &cookies), 200);
        let wrong = cookies.replace("Signature=", "Signature=A");
        assert_eq!(house.status(&house.segment(), &wrong), 403);
    }
    let over = [
        "--expires",
        "2020-01-01T00:00:00Z",
        "--key",
        "x",
        "--key-pair-id",
        "K",
    ];
    let output = headwater([&["cloudfront", "sign", &entry], &over[..]].concat()).output();
    assert_eq!(output.unwrap().status.code(), Some(1));
}

/// The signatures of Amazon's own signer; `None` where it isn't installed.
fn amazons(script: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let python = tools.join("aws-tools/bin/python");
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn amazons_signer_agrees_to_the_byte() {
    let (url, until) = (format!("{HOST}/v/talk/index.m3u8"), 4_102_444_800_u64);
    let rsa = key("rsa_pkcs8.pem");
    let script = format!(
        "import datetime, subprocess\n\
         from botocore.signers import CloudFrontSigner\n\
         def sign(message):\n    \
             command = ['openssl', 'dgst', '-sha1', '-sign', {rsa:?}]\n    \
             return subprocess.run(command, input=message, stdout=subprocess.PIPE, check=True).stdout\n\
         signer = CloudFrontSigner({KEY_ID:?}, sign)\n\
         until = datetime.datetime.fromtimestamp({until}, datetime.timezone.utc)\n\
         print(signer.generate_presigned_url({url:?}, date_less_than=until))\n\
         policy = signer.build_policy('{HOST}/v/talk/*', until, ip_address='192.0.2.0/24')\n\
         print(signer.generate_presigned_url({url:?}, policy=policy))\n"
    );
    let Some(theirs) = amazons(&script) else {
        eprintln!("skipped: no Amazon signer; scripts/setup --test installs it");
        return;
    };
    let until = until.to_string();
    let canned = signed(&url, &rsa, KEY_ID, &["--expires", &until]);
    let resource = format!("{HOST}/v/talk/*");
    let custom = [
        "--expires",
        &until,
        "--resource",
        &resource,
        "--ip",
        "192.0.2.0/24",
    ];
    let custom = signed(&url, &rsa, KEY_ID, &custom);
    let theirs: Vec<&str> = theirs.lines().collect();
    assert_eq!(theirs, [canned, custom]);
}
