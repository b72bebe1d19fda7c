//! From certificate, key and client CAs to the configuration that connections are accepted with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::clients::verifier;
use super::identity::Identity;
use super::{Options, both_or_neither};
use crate::error::{Error, Result};

/// Sessions of TLS 1.2 kept for clients that can't do tickets.
const SESSIONS: usize = 4096;

/// What a configuration is made of, all of it found sound.
#[derive(Debug, Clone, Default)]
pub(super) struct Material {
    pub(super) identity: Option<Identity>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// What an operator should know of the clients' side.
    client_warnings: Vec<String>,
}

impl Material {
    /// Reads all files that the options name; `now` in milliseconds since 1970.
    pub(super) fn read(
        options: &Options,
        provider: &Arc<CryptoProvider>,
        now: i64,
    ) -> Result<Self> {
        let mut material = Self::default();
        if let Some((certificate, key)) = both_or_neither(options)? {
            material.identity = Some(Identity::read(certificate, key, provider, now)?);
        }
        if let Some(path) = &options.client_ca {
            let (crl, is_required) = (options.client_crl.as_ref(), options.client_required);
            let (clients, warnings) = verifier(path, crl, is_required, provider, now)?;
            material.clients = Some(clients);
            material.client_warnings = warnings;
        }
        Ok(material)
    }

    /// What an operator should know although everything works.
    pub(super) fn warnings(&self) -> Vec<String> {
        let identity = self.identity.iter().flat_map(|identity| &identity.warnings);
        identity.chain(&self.client_warnings).cloned().collect()
    }

    /// The configuration. Its session tickets and its cache are its own: a session that an earlier
    /// configuration began is not resumed, because resuming would skip looking at the client's
    /// certificate.
    pub(super) fn config(&self, provider: &Arc<CryptoProvider>) -> Result<ServerConfig> {
        let failed = |e| Error::internal(format!("TLS can't be set up: {e}"));
        let clients = self
            .clients
            .clone()
            .unwrap_or_else(|| Arc::new(NoClientAuth));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(failed)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(Resolver {
                certified: self.identity.as_ref().map(|i| Arc::clone(&i.certified)),
            }));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.ticketer = Ticketer::new().map_err(failed)?;
        Ok(config)
    }
}

/// Gives every client the one certificate. Until there is one, handshakes end with an alert.
#[derive(Debug)]
struct Resolver {
    certified: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified.clone()
    }
}
