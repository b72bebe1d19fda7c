//! From certificate, key and client CAs to the configuration that connections are accepted with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::challenge::{self, Challenges, is_challenge};
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
    /// Where CAs come to look.
    pub(super) challenges: Option<Challenges>,
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
            .with_cert_resolver(Arc::new(self.resolver()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let challenges = self.challenges.as_ref();
        config
            .alpn_protocols
            .extend(challenges.map(|_| challenge::PROTOCOL.to_vec()));
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.ticketer = Ticketer::new().map_err(failed)?;
        Ok(config)
    }

    /// The configuration for CAs that look at a challenge, who are asked for nothing.
    pub(super) fn config_for_challenges(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<ServerConfig> {
        let only_challenges = Self {
            challenges: self.challenges.clone(),
            ..Self::default()
        };
        only_challenges.config(provider)
    }

    /// Takes what was read from files anew. A certificate that came by ACME stays.
    pub(super) fn take_files(&mut self, new: Self) {
        self.identity = new.identity.or_else(|| self.identity.take());
        self.clients = new.clients;
        self.client_warnings = new.client_warnings;
    }

    fn resolver(&self) -> Resolver {
        let identity = self.identity.as_ref();
        Resolver {
            certified: identity.map(|identity| Arc::clone(&identity.certified)),
            challenges: self.challenges.clone(),
        }
    }
}

/// Gives every client the one certificate, but a CA the answer to its challenge. Where there is
/// none, handshakes end with an alert.
#[derive(Debug)]
struct Resolver {
    certified: Option<Arc<CertifiedKey>>,
    challenges: Option<Challenges>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.challenges {
            Some(challenges) if is_challenge(&hello) => challenges.answer(hello.server_name()),
            _ => self.certified.clone(),
        }
    }
}
