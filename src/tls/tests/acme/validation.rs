//! How a CA looks at a challenge (RFC 8737, 3).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::jws::{contains, dns_name, element};

/// Connects to the port for this name; an error says what was wrong.
pub(super) async fn look(port: u16, name: &str, authorization: &str) -> Result<(), String> {
    let provider = Arc::new(default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let stream = stream.map_err(|e| e.to_string())?;
    let server = ServerName::try_from(String::from(name)).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(server, stream).await;
    let stream = stream.map_err(|e| e.to_string())?;
    let (_, connection) = stream.get_ref();
    if connection.alpn_protocol() != Some(b"acme-tls/1") {
        return Err("not acme-tls/1".into());
    }
    let [certificate] = connection.peer_certificates().unwrap() else {
        return Err("not one certificate".into());
    };
    let digest = digest(&SHA256, authorization.as_bytes());
    let extension = [ACME_IDENTIFIER, digest.as_ref()].concat();
    match contains(certificate, &extension) && contains(certificate, &dns_name(name)) {
        true => Ok(()),
        false => Err("not what was asked for".into()),
    }
}

/// id-pe-acmeIdentifier, critical, an OCTET STRING in which there is one of 32 bytes.
const ACME_IDENTIFIER: &[u8] = &[
    0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1f, 0x01, 0x01, 0xff, 0x04, 0x22, 0x04,
    0x20,
];

/// Takes any certificate, but only from who has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("the server does TLS 1.3");
    }

    /// By the bare key: what reads certificates otherwise stops at the extension.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(public_key(certificate));
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The subjectPublicKeyInfo, which is the seventh field of a certificate's body.
fn public_key(certificate: &[u8]) -> &[u8] {
    let (_, body, _) = element(certificate);
    let (_, mut rest, _) = element(body);
    for _ in 0..6 {
        rest = element(rest).2;
    }
    element(rest).0
}
