//! Signatures judged by others: OpenSSL verifies ours, Amazon's own signer makes the same ones, and
//! what it makes is good at our server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{
    ENTRY, FUTURE, HOST, House, KEY_ID, PAST, assert_forbidden, assert_granted, key, path_of,
    signed,
};

#[test]
fn openssl_verifies_what_is_signed_with_either_key() {
    let folder = tempfile::tempdir().unwrap();
    for (private_key, public_key, hash) in [
        ("rsa_pkcs8.pem", "rsa_public.pem", "sha1"),
        ("rsa_pkcs8.pem", "rsa_public.pem", "sha256"),
        ("ec_pkcs8.pem", "ec_public.pem", "sha1"),
        ("ec_pkcs8.pem", "ec_public.pem", "sha256"),
    ] {
        let more = ["--expires", "4102444800", "--hash", hash, "--json"];
        let url = format!("{HOST}/v/talk/*");
        let text = signed(&url, &key(private_key), KEY_ID, &more);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cookie = |name: &str| json["cookies"][name].as_str().unwrap_or("").to_owned();
        let text = |name: &str| {
            cookie(name)
                .replace('-', "+")
                .replace('~', "/")
                .replace('_', "=")
        };
        let policy = STANDARD.decode(text("CloudFront-Policy")).unwrap();
        assert_eq!(policy, json["policy"].as_str().unwrap().as_bytes());
        let algorithm = if hash == "sha256" { "SHA256" } else { "" };
        assert_eq!(cookie("CloudFront-Hash-Algorithm"), algorithm);
        let (message, signature) = (
            folder.path().join("policy"),
            folder.path().join("signature"),
        );
        std::fs::write(&message, policy).unwrap();
        std::fs::write(
            &signature,
            STANDARD.decode(text("CloudFront-Signature")).unwrap(),
        )
        .unwrap();
        let output = Command::new("openssl")
            .args(["dgst", &format!("-{hash}"), "-verify"])
            .arg(key(public_key))
            .arg("-signature")
            .args([&signature, &message])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{private_key} {hash}: {words}");
    }
}

/// A Python with Amazon's signer: as `scripts/setup --test` installs it, or on the path.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let places = [target.join("aws-tools/bin/python"), "python3".into()];
    places.into_iter().find(|place| {
        let mut command = Command::new(place);
        command.args(["-c", "import botocore.signers"]);
        let ran = command.stderr(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    })
}

/// Each URL that Amazon's own signer makes; `None` where it isn't installed. The lines of `script`
/// know `signer`, `past` and `future`.
fn amazons(script: &str) -> Option<Vec<String>> {
    let Some(python) = python() else {
        // Not by `eprintln`, which is only shown when a test fails.
        let line = b"skipped: no botocore; scripts/setup --test installs it\n";
        std::io::stderr().write_all(line).unwrap();
        return None;
    };
    let begin = format!(
        "import datetime, subprocess\n\
         from botocore.signers import CloudFrontSigner\n\
         def sign(message):\n    \
             command = ['openssl', 'dgst', '-sha1', '-sign', {:?}]\n    \
             return subprocess.run(command, input=message, stdout=subprocess.PIPE, check=True).stdout\n\
         def moment(seconds):\n    \
             return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)\n\
         past, future = moment({PAST}), moment({FUTURE})\n\
         signer = CloudFrontSigner({KEY_ID:?}, sign)\n",
        key("rsa_pkcs8.pem")
    );
    let mut command = Command::new(python);
    let output = command.args(["-c", &format!("{begin}{script}")]).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn amazons_signer_agrees_to_the_byte() {
    let url = format!("{HOST}{ENTRY}");
    let script = format!(
        "print(signer.generate_presigned_url({url:?}, date_less_than=future))\n\
         print(signer.generate_presigned_url('{url}?a=b', date_less_than=future))\n\
         policy = signer.build_policy('{HOST}/v/talk/*', future, ip_address='192.0.2.0/24')\n\
         print(signer.generate_presigned_url({url:?}, policy=policy))\n\
         policy = signer.build_policy({url:?}, future, past, '192.0.2.7/32')\n\
         print(signer.generate_presigned_url({url:?}, policy=policy))\n"
    );
    let Some(theirs) = amazons(&script) else {
        return;
    };
    let until = FUTURE.to_string();
    let resource = format!("{HOST}/v/talk/*");
    let wild = ["--resource", &resource, "--ip", "192.0.2.0/24"];
    let narrow = ["--from", "2001-01-01T00:00:00Z", "--ip", "192.0.2.7"];
    let ours = |url: &str, more: &[&str]| {
        let more = [&["--expires", &until], more].concat();
        signed(url, &key("rsa_pkcs8.pem"), KEY_ID, &more)
    };
    let with_query = format!("{url}?a=b");
    let ours = [
        ours(&url, &[]),
        ours(&with_query, &[]),
        ours(&url, &wild),
        ours(&url, &narrow),
    ];
    assert_eq!(theirs, ours);
}

#[test]
fn what_amazons_signer_makes_opens_what_it_is_for() {
    let url = format!("{HOST}{ENTRY}");
    let script = format!(
        "print(signer.generate_presigned_url({url:?}, date_less_than=future))\n\
         def custom(*conditions):\n    \
             policy = signer.build_policy('{HOST}/v/talk/*', *conditions)\n    \
             print(signer.generate_presigned_url({url:?}, policy=policy))\n\
         custom(future, past, '127.0.0.0/8')\n\
         custom(future, past, '0.0.0.0/0')\n\
         print(signer.generate_presigned_url({url:?}, date_less_than=past))\n\
         custom(past)\n\
         custom(future, None, '192.0.2.0/24')\n"
    );
    let Some(theirs) = amazons(&script) else {
        return;
    };
    let house = House::open();
    let (good, bad) = theirs.split_at(3);
    for url in good {
        assert_granted(&house.server.get(path_of(url)), url);
    }
    for url in &good[1..] {
        let (_, query) = url.split_once('?').unwrap();
        house.play(&format!("?{query}"), "");
    }
    assert_eq!(bad.len(), 3);
    for url in bad {
        assert_forbidden(&house.server.get(path_of(url)), url);
    }
}
