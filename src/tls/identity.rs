//! The server's certificate chain with its private key: whether they fit, are valid now, and will
//! please a CDN.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::Facts;
use super::pem::{Pem, named};
use crate::clock::rfc3339;
use crate::error::{Error, Result};

const DAY_MILLIS: i64 = 86_400_000;

/// A certificate chain and its key, found sound.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    /// First instant of the certificate's validity, in milliseconds since 1970.
    pub(super) not_before: i64,
    /// Last instant of the certificate's validity, in milliseconds since 1970.
    pub(super) not_after: i64,
    /// What an operator should know of it although it works.
    pub(super) warnings: Vec<String>,
}

impl Identity {
    /// Reads the two files, which may be one; `now` in milliseconds since 1970.
    pub(super) fn read(
        certificate: &Path,
        key: &Path,
        provider: &CryptoProvider,
        now: i64,
    ) -> Result<Self> {
        let chain = read_chain(certificate)?;
        let key_name = named(key, "key");
        let certificate_name = named(certificate, "certificate");
        let key = read_key(key)?;
        Self::new(chain, key, (&certificate_name, &key_name), provider, now)
    }

    /// Checks a chain with its key; `names` are those of certificate and key in messages.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        names: (&str, &str),
        provider: &CryptoProvider,
        now: i64,
    ) -> Result<Self> {
        let signing = provider.key_provider.load_private_key(key).map_err(|e| {
            Error::unsupported(format!(
                "{}: {e}; RSA of 2048 bits and more, P-256, P-384 and Ed25519 work",
                names.1
            ))
        })?;
        let certified = Arc::new(CertifiedKey::new(chain, signing));
        match_key(&certified, names)?;
        let facts = read_facts(&certified.cert, names.0)?;
        let leaf = facts[0];
        check_validity(&leaf, names.0, now)?;
        Ok(Self {
            warnings: warnings(&facts, names.0, now),
            certified: Arc::clone(&certified),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
        })
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = Pem::read(path, "certificate")?;
    if !pem.certificates.is_empty() {
        return Ok(pem.certificates);
    }
    let why = match pem.keys.is_empty() && !pem.is_encrypted {
        true => "holds no certificate",
        false => "holds a key and no certificate; are `certificate` and `key` swapped?",
    };
    Err(Error::invalid(format!(
        "{}: {why}",
        named(path, "certificate")
    )))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let mut pem = Pem::read(path, "key")?;
    if pem.is_encrypted {
        return Err(Error::unsupported(format!(
            "{}: encrypted; write it without a passphrase (`openssl pkey -in .. -out ..`) where \
             only the server can read it",
            named(path, "key")
        )));
    }
    if pem.keys.len() > 1 {
        return Err(Error::invalid(format!(
            "{}: holds {} keys; leave the certificate's one",
            named(path, "key"),
            pem.keys.len()
        )));
    }
    let why = match pem.certificates.is_empty() {
        true => "holds no private key",
        false => "holds a certificate and no key; are `certificate` and `key` swapped?",
    };
    let missing = || Error::invalid(format!("{}: {why}", named(path, "key")));
    pem.keys.pop().ok_or_else(missing)
}

/// Finds out whether the key is the first certificate's, and if not, why.
fn match_key(certified: &CertifiedKey, names: (&str, &str)) -> Result<()> {
    use rustls::{Error as Tls, InconsistentKeys};
    match certified.keys_match() {
        Ok(()) | Err(Tls::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(Tls::InconsistentKeys(_)) => Err(Error::invalid(why_unlike(certified, names))),
        Err(e) => Err(Error::invalid(format!("{}: {e}", names.0))),
    }
}

fn why_unlike(certified: &CertifiedKey, names: (&str, &str)) -> String {
    let later = certified.cert.iter().skip(1).any(|certificate| {
        let alone = CertifiedKey::new(vec![certificate.clone()], Arc::clone(&certified.key));
        alone.keys_match().is_ok()
    });
    match later {
        true => format!(
            "{}: the server's own certificate must be the first",
            names.0
        ),
        false => format!("{} is not the key of {}", names.1, names.0),
    }
}

/// Reads all certificates of a chain; what is returned isn't empty.
fn read_facts<'a>(chain: &'a [CertificateDer<'_>], name: &str) -> Result<Vec<Facts<'a>>> {
    let unreadable = || Error::invalid(format!("{name}: holds a damaged certificate"));
    let mut facts = Vec::with_capacity(chain.len());
    for der in chain {
        facts.push(Facts::read(der).ok_or_else(unreadable)?);
    }
    match facts.is_empty() {
        true => Err(unreadable()),
        false => Ok(facts),
    }
}

fn check_validity(leaf: &Facts<'_>, name: &str, now: i64) -> Result<()> {
    if now > leaf.not_after {
        let date = rfc3339(leaf.not_after);
        return Err(Error::invalid(format!("{name}: expired {date}; renew it")));
    }
    if now < leaf.not_before {
        return Err(Error::invalid(format!(
            "{name}: valid only from {}; now is {}: check the clock",
            rfc3339(leaf.not_before),
            rfc3339(now)
        )));
    }
    Ok(())
}

fn warnings(chain: &[Facts<'_>], name: &str, now: i64) -> Vec<String> {
    let leaf = &chain[0];
    let mut warnings = Vec::new();
    if leaf.is_self_issued() {
        warnings.push(format!("{name}: self-signed; a CDN refuses it"));
    } else if chain.len() == 1 {
        warnings.push(format!(
            "{name}: comes without its issuer's certificate; a CDN refuses that: give the full \
             chain (`fullchain.pem`)"
        ));
    }
    for (at, pair) in chain.windows(2).enumerate() {
        if !pair[0].is_issued_by(&pair[1]) {
            let (own, next) = (at + 1, at + 2);
            warnings.push(format!(
                "{name}: broken chain: number {next} didn't issue number {own}"
            ));
        }
        if now > pair[1].not_after {
            let date = rfc3339(pair[1].not_after);
            warnings.push(format!(
                "{name}: number {} of the chain expired {date}",
                at + 2
            ));
        }
    }
    if ends_soon(leaf, now) {
        warnings.push(format!("{name}: expires {}", rfc3339(leaf.not_after)));
    }
    warnings
}

/// A week before the end; of certificates that live shorter, in their last quarter.
fn ends_soon(leaf: &Facts<'_>, now: i64) -> bool {
    let quarter = leaf.not_after.saturating_sub(leaf.not_before) / 4;
    leaf.not_after.saturating_sub(now) < quarter.min(7 * DAY_MILLIS)
}
