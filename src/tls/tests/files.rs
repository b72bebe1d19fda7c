//! Files as operators get them wrong, and what they are told.

use rcgen::date_time_ymd;

use super::pki::{Issued, write};
use super::*;
use crate::error::ErrorKind;

/// What opening files with these texts says.
fn told(certificate: &str, key: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        certificate: Some(write(folder.path(), "cert.pem", certificate)),
        key: Some(write(folder.path(), "key.pem", key)),
        ..Options::default()
    };
    let message = open(&options).map(drop).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_fault_of_a_file_is_named_with_its_cure() {
    let authority = Authority::new("a");
    let (one, other) = (authority.issue("a.test"), authority.issue("b.test"));
    let (chain, key) = (one.full_chain(), one.key.serialize_pem());
    let reversed = authority.intermediate.pem() + &one.leaf.pem();
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA \
                 PRIVATE KEY-----\n";
    let table = [
        ("", &*key, "certificate cert.pem: the file is empty"),
        (&chain, "", "key key.pem: the file is empty"),
        ("0\u{1}", &key, "certificate cert.pem: not PEM but DER"),
        (
            "hello",
            &key,
            "holds no certificate, key or revocation list",
        ),
        (&key, &chain, "are `certificate` and `key` swapped?"),
        (
            &chain,
            &chain,
            "key key.pem: holds a certificate and no key",
        ),
        (&chain, &encrypted, "key key.pem: encrypted"),
        (&chain, older, "key key.pem: encrypted"),
        (
            &chain,
            &other.key.serialize_pem(),
            "key key.pem is not the key of certificate cert.pem",
        ),
        (&reversed, &key, "own certificate must be the first"),
        (
            &chain[..chain.len() - 40],
            &key,
            "certificate cert.pem: damaged PEM",
        ),
        (&chain, &(key.clone() + &key), "holds 2 keys"),
    ];
    for (certificate, key, expected) in table {
        let told = told(certificate, key);
        assert!(told.contains(expected), "{told}\nnot: {expected}");
    }
}

#[test]
fn a_certificate_is_used_only_while_it_is_valid() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let issued = authority.issue_with("a.test", &rcgen::PKCS_ED25519, |params| {
        params.not_after = date_time_ymd(2026, 1, 1);
    });
    let options = issued.write(folder.path());
    let day = 86_400_000;
    let at = |millis| Tls::open_at(&options, Clock::held_at(millis));
    let error = |millis| at(millis).map(drop).unwrap_err().to_string();
    let (first, last) = (1_735_689_600_000, 1_767_225_600_000);
    assert!(error(last + 1).ends_with("expired 2026-01-01T00:00:00.000Z; renew it"));
    assert!(error(first - 1).contains("valid only from 2025-01-01T00:00:00.000Z"));
    assert_eq!(at(last - 8 * day).unwrap().warnings().len(), 0);
    let soon = at(last - 6 * day).unwrap();
    assert!(soon.warnings()[0].ends_with("expires 2026-01-01T00:00:00.000Z"));
}

#[test]
fn chains_that_a_cdn_refuses_are_warned_of() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let issued = authority.issue("a.test");
    let warnings = |chain: &str, issued: &Issued| {
        let options = issued.write(folder.path());
        write(folder.path(), "fullchain.pem", chain);
        open(&options).unwrap().warnings().join("\n")
    };
    assert!(warnings(&issued.leaf.pem(), &issued).contains("give the full chain"));
    let foreign = Authority::new("b").intermediate.pem();
    let broken = warnings(&(issued.leaf.pem() + &foreign), &issued);
    assert!(
        broken.contains("number 2 didn't issue number 1"),
        "{broken}"
    );
    let with_root = issued.full_chain() + &authority.root.pem();
    assert_eq!(warnings(&with_root, &issued), "");
}

#[test]
fn one_file_may_hold_certificate_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let issued = Authority::new("a").issue("a.test");
    let text = issued.key.serialize_pem() + &issued.full_chain();
    let path = write(folder.path(), "both.pem", &text);
    let options = Options {
        certificate: Some(path.clone()),
        key: Some(path),
        ..Options::default()
    };
    open(&options).unwrap();
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let parse = |text| toml::from_str::<Options>(text).unwrap();
    let table = [
        ("", "give `certificate` and `key`"),
        (
            "certificate = 'a'",
            "`certificate` is given but not its `key`",
        ),
        ("key = 'a'", "`key` is given but not its `certificate`"),
        (
            "certificate = 'a'\nkey = 'a'\nclient_required = true",
            "needs `client_ca`",
        ),
        (
            "certificate = 'a'\nkey = 'a'\nclient_crl = 'a'",
            "needs `client_ca`",
        ),
    ];
    for (text, expected) in table {
        let told = open(&parse(text)).map(drop).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }
    assert!(toml::from_str::<Options>("certificat = 'a'").is_err());
    let missing = parse("certificate = '/nowhere/a'\nkey = '/nowhere/b'");
    let error = open(&missing).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .contains("reading the certificate /nowhere/a")
    );
}
