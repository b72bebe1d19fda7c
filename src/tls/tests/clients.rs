//! Client certificates, as CloudFront presents one to an origin.

use super::pki::{Issued, write};
use super::*;
use crate::tls::verified_peer;

/// A client that presents a certificate.
fn presenting(
    server: &Authority,
    issued: &Issued,
    issuer: &Authority,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let chain = issued.chain_der(issuer);
    client_builder(server, version, |_| ())
        .with_client_auth_cert(chain, issued.key_der())
        .unwrap()
}

/// Whether the server accepted, and if so, whether it verified its peer.
async fn verdict(tls: &Tls, client: ClientConfig) -> Option<bool> {
    let (_client, server) = meet(tls, client).await;
    server.ok().map(|stream| verified_peer(stream.get_ref().1))
}

fn options(server: &Authority, clients: &Authority, folder: &tempfile::TempDir) -> Options {
    Options {
        client_ca: Some(write(folder.path(), "clients.pem", &clients.root.pem())),
        ..server.issue("cdn.test").write(folder.path())
    }
}

#[tokio::test]
async fn a_client_certificate_is_verified_and_its_absence_noted_or_refused() {
    let [server, clients, other] = ["server", "clients", "other"].map(Authority::new);
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&server, &clients, &folder);
    let (good, bad) = (clients.issue("cloudfront"), other.issue("cloudfront"));
    for version in VERSIONS {
        let known = || presenting(&server, &good, &clients, version);
        let foreign = || presenting(&server, &bad, &other, version);
        let silent = || client_builder(&server, version, |_| ()).with_no_client_auth();
        options.client_required = false;
        let tls = open(&options).unwrap();
        assert_eq!(verdict(&tls, known()).await, Some(true));
        assert_eq!(verdict(&tls, foreign()).await, None);
        assert_eq!(verdict(&tls, silent()).await, Some(false));
        options.client_required = true;
        let tls = open(&options).unwrap();
        assert_eq!(verdict(&tls, known()).await, Some(true));
        assert_eq!(verdict(&tls, silent()).await, None);
    }
}

#[tokio::test]
async fn a_revoked_client_is_refused_and_an_overdue_list_warned_of() {
    let [server, clients] = ["server", "clients"].map(Authority::new);
    let folder = tempfile::tempdir().unwrap();
    let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
    let [revoked, good] = [7u64, 8].map(|serial| {
        clients.issue_with("cloudfront", algorithm, |params| {
            params.serial_number = Some(serial.into());
        })
    });
    let list = clients.revoke(7);
    let options = Options {
        client_crl: Some(write(folder.path(), "revoked.pem", &list)),
        ..options(&server, &clients, &folder)
    };
    let tls = open(&options).unwrap();
    let warnings = tls.warnings();
    assert!(
        warnings[0].ends_with("list was due 2025-03-01T00:00:00.000Z"),
        "{warnings:?}"
    );
    let client = |issued| presenting(&server, issued, &clients, &TLS13);
    assert_eq!(verdict(&tls, client(&revoked)).await, None);
    assert_eq!(verdict(&tls, client(&good)).await, Some(true));
}

#[tokio::test]
async fn a_session_from_before_a_revocation_is_not_resumed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let [server, clients] = ["server", "clients"].map(Authority::new);
    let folder = tempfile::tempdir().unwrap();
    let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
    let issued = clients.issue_with("cloudfront", algorithm, |params| {
        params.serial_number = Some(7u64.into());
    });
    let options = Options {
        client_crl: Some(write(folder.path(), "revoked.pem", &clients.revoke(1))),
        ..options(&server, &clients, &folder)
    };
    let tls = open(&options).unwrap();
    let client = presenting(&server, &issued, &clients, &TLS13);
    let (near, far) = meet(&tls, client.clone()).await;
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    far.write_all(b"x").await.unwrap();
    far.flush().await.unwrap();
    near.read_u8().await.unwrap();
    write(folder.path(), "revoked.pem", &clients.revoke(7));
    tls.look();
    assert_eq!(
        verdict(&tls, client.clone()).await,
        Some(true),
        "not read yet"
    );
    tls.look();
    assert_eq!(verdict(&tls, client).await, None);
}

#[test]
fn faults_of_client_files_are_named() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let key = authority.issue("a").key.serialize_pem();
    let base = options(&authority, &authority, &folder);
    let wrong_ca = Options {
        client_ca: Some(write(folder.path(), "key.pem", &key)),
        ..base.clone()
    };
    let wrong_list = Options {
        client_crl: base.client_ca.clone(),
        ..base
    };
    let told = |options| open(&options).map(drop).unwrap_err().to_string();
    assert!(told(wrong_ca).ends_with("key.pem: holds no certificate"));
    assert!(told(wrong_list).ends_with("clients.pem: holds no revocation list"));
}
