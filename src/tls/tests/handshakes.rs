//! What CDNs and browsers can agree on with us.

use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, SupportedCipherSuite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn both_versions_get_the_full_chain() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let issued = authority.issue("cdn.test");
    let tls = open(&issued.write(folder.path())).unwrap();
    assert_eq!(tls.warnings(), Vec::<String>::new());
    for version in VERSIONS {
        let config = client_builder(&authority, version, |_| ()).with_no_client_auth();
        let (client, server) = meet(&tls, config).await;
        let (_, connection) = client.as_ref().unwrap().get_ref();
        assert_eq!(connection.protocol_version(), Some(version.version));
        let chain = issued.chain_der(&authority);
        assert_eq!(connection.peer_certificates(), Some(&chain[..]));
        assert!(!crate::tls::verified_peer(server.unwrap().get_ref().1));
    }
}

#[tokio::test]
async fn every_cipher_that_cloudfront_and_rustls_share_works() {
    let authority = Authority::new("a");
    let table = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, ECDSA),
        (&rcgen::PKCS_RSA_SHA256, RSA),
    ];
    for (algorithm, suites) in table {
        let folder = tempfile::tempdir().unwrap();
        let issued = authority.issue_with("cdn.test", algorithm, |_| ());
        let tls = open(&issued.write(folder.path())).unwrap();
        for suite in suites {
            let only = |provider: &mut CryptoProvider| provider.cipher_suites = vec![suite];
            let config = client_builder(&authority, &TLS12, only).with_no_client_auth();
            let (client, _server) = meet(&tls, config).await;
            let negotiated = client.unwrap().get_ref().1.negotiated_cipher_suite();
            assert_eq!(negotiated.map(|s| s.suite()), Some(suite.suite()));
        }
    }
}

const ECDSA: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];
const RSA: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

#[tokio::test]
async fn every_curve_of_cloudfront_works() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let tls = open(&authority.issue("cdn.test").write(folder.path())).unwrap();
    let groups = [
        (kx_group::SECP256R1, NamedGroup::secp256r1),
        (kx_group::SECP384R1, NamedGroup::secp384r1),
        (kx_group::X25519, NamedGroup::X25519),
    ];
    for (group, name) in groups {
        for version in VERSIONS {
            let only = |provider: &mut CryptoProvider| provider.kx_groups = vec![group];
            let config = client_builder(&authority, version, only).with_no_client_auth();
            let (client, _server) = meet(&tls, config).await;
            let negotiated = client.unwrap().get_ref().1.negotiated_key_exchange_group();
            assert_eq!(negotiated.map(|g| g.name()), Some(name));
        }
    }
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let tls = open(&authority.issue("cdn.test").write(folder.path())).unwrap();
    let table: [(&[&str], Option<&str>); 5] = [
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
        (&["spdy/1", "http/1.1"], Some("http/1.1")),
    ];
    for (offered, agreed) in table {
        let mut config = client(&authority);
        config.alpn_protocols = offered.iter().map(|p| p.as_bytes().to_vec()).collect();
        let (client, server) = meet(&tls, config).await;
        let (client, server) = (client.unwrap(), server.unwrap());
        let agreed = agreed.map(str::as_bytes);
        assert_eq!(client.get_ref().1.alpn_protocol(), agreed);
        assert_eq!(server.get_ref().1.alpn_protocol(), agreed);
    }
}

#[tokio::test]
async fn a_second_connection_resumes_the_first_ones_session() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let tls = open(&authority.issue("cdn.test").write(folder.path())).unwrap();
    for version in VERSIONS {
        let config = client_builder(&authority, version, |_| ()).with_no_client_auth();
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let (client, server) = meet(&tls, config.clone()).await;
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            // TLS 1.3 sends its tickets after the handshake.
            server.write_all(b"x").await.unwrap();
            server.flush().await.unwrap();
            client.read_u8().await.unwrap();
            kinds.push(client.get_ref().1.handshake_kind());
        }
        let expected = [HandshakeKind::Full, HandshakeKind::Resumed].map(Some);
        assert_eq!(kinds, expected, "{version:?}");
    }
}

/// TLS 1.0, 1.1 and ciphers without forward secrecy aren't in rustls at all; this holds the list
/// that is left.
#[tokio::test]
async fn nothing_weak_is_offered() {
    let authority = Authority::new("a");
    let folder = tempfile::tempdir().unwrap();
    let tls = open(&authority.issue("cdn.test").write(folder.path())).unwrap();
    for suite in &tls.config().crypto_provider().cipher_suites {
        let forward_secret = match suite.suite() {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => true,
            _ => ECDSA.contains(suite) || RSA.contains(suite),
        };
        assert!(forward_secret, "{suite:?}");
    }
}
