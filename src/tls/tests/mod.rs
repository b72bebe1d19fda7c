mod acme;
mod clients;
mod files;
mod following;
mod handshakes;
mod pki;

use std::io;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ConfigBuilder, SupportedProtocolVersion};
use tokio::io::DuplexStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use self::pki::{Authority, NOW};
use super::{Options, Tls};
use crate::clock::Clock;
use crate::error::Result;

type Meeting = (
    io::Result<client::TlsStream<DuplexStream>>,
    io::Result<server::TlsStream<DuplexStream>>,
);

fn open(options: &Options) -> Result<Tls> {
    Tls::open_at(options, Clock::held_at(NOW))
}

/// Both ends of a handshake for `cdn.test`.
async fn meet(tls: &Tls, client: ClientConfig) -> Meeting {
    let (near, far) = tokio::io::duplex(64 << 10);
    let name = "cdn.test".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let connecting = connector.connect(name, near);
    let accepting = TlsAcceptor::from(tls.config()).accept(far);
    tokio::join!(connecting, accepting)
}

/// A client of one version and, if given, one cipher suite or key exchange group only.
fn client_builder(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    narrow: impl FnOnce(&mut CryptoProvider),
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut provider = default_provider();
    narrow(&mut provider);
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(authority.roots())
}

fn client(authority: &Authority) -> ClientConfig {
    client_builder(authority, &TLS13, |_| ()).with_no_client_auth()
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
