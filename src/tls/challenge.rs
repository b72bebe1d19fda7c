//! How a CA sees that a name is ours (TLS-ALPN-01, RFC 8737): it connects for that name with the
//! protocol `acme-tls/1`, and is given a certificate that holds what it asked for. No request is
//! sent over such a connection.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

use crate::error::{Error, Result};

/// The protocol by which a CA shows that it comes to look at a challenge.
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Whether a client is a CA that looks at a challenge: it offers this one protocol.
pub(super) fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let Some(mut protocols) = hello.alpn() else {
        return false;
    };
    protocols.next() == Some(PROTOCOL) && protocols.next().is_none()
}

/// The answers that CAs may come for now. Clones are the same answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Challenges {
    answers: Arc<RwLock<HashMap<String, Arc<CertifiedKey>>>>,
}

/// An answer that is there until this is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    challenges: Challenges,
    domain: String,
}

impl Challenges {
    /// The answer for a name, which the client gives in lower case.
    pub(super) fn answer(&self, domain: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let answers = self.answers.read();
        let answers = answers.unwrap_or_else(PoisonError::into_inner);
        domain.and_then(|domain| answers.get(domain)).cloned()
    }

    /// Whether no CA is expected.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.answers.read().unwrap().is_empty()
    }

    /// Has an answer ready: `digest` is the SHA-256 of the key authorization (RFC 8555, 8.1).
    pub(super) fn prepare(
        &self,
        domain: &str,
        digest: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Answer> {
        let failed = |e: rcgen::Error| failed(domain, &e);
        let mut params = CertificateParams::new(vec![domain.to_owned()]).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let chain = vec![certificate.der().clone()];
        let signing = provider.key_provider.load_private_key(key);
        let signing = signing.map_err(|e| self::failed(domain, &e))?;
        // Not looked at once more: the library takes no certificate with this extension.
        let certified = CertifiedKey::new(chain, signing);
        let answers = self.answers.write();
        let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
        answers.insert(domain.to_owned(), Arc::new(certified));
        Ok(Answer {
            challenges: self.clone(),
            domain: domain.to_owned(),
        })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let answers = self.challenges.answers.write();
        let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
        answers.remove(&self.domain);
    }
}

fn failed(domain: &str, error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("no answer to the challenge for {domain}: {error}"))
}
