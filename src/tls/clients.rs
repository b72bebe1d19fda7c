//! Client certificates: against which CAs they are verified, and which of them are revoked. This is
//! how CloudFront proves who it is where an origin asks for it (origin mTLS).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::certificate::next_update;
use super::pem::{Pem, named};
use crate::clock::rfc3339;
use crate::error::{Error, Result};

/// Verifies client certificates, with what an operator should know of it.
pub(super) type Verifier = (Arc<dyn ClientCertVerifier>, Vec<String>);

/// The verifier for the CAs in a file. Only the client's own certificate is looked up in the
/// revocation lists, and one whose issuer has no list there is refused.
pub(super) fn verifier(
    authorities: &Path,
    revoked: Option<&PathBuf>,
    is_required: bool,
    provider: &Arc<CryptoProvider>,
    now: i64,
) -> Result<Verifier> {
    let roots = Arc::new(read_roots(authorities)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let mut warnings = Vec::new();
    if let Some(path) = revoked {
        let lists = Pem::read(path, "client_crl")?.revocation_lists;
        if lists.is_empty() {
            let name = named(path, "client_crl");
            return Err(Error::invalid(format!("{name}: holds no revocation list")));
        }
        let dates = lists.iter().filter_map(|list| next_update(list));
        warnings.extend(
            dates
                .filter(|date| *date < now)
                .map(|date| overdue(path, date)),
        );
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    if !is_required {
        builder = builder.allow_unauthenticated();
    }
    let unusable = |e| {
        let names = revoked
            .unwrap_or(&authorities.to_owned())
            .display()
            .to_string();
        Error::invalid(format!(
            "client certificates can't be verified by {names}: {e}"
        ))
    };
    Ok((builder.build().map_err(unusable)?, warnings))
}

fn overdue(path: &Path, date: i64) -> String {
    format!(
        "{}: a newer revocation list was due {}",
        named(path, "client_crl"),
        rfc3339(date)
    )
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let name = named(path, "client_ca");
    let certificates = Pem::read(path, "client_ca")?.certificates;
    if certificates.is_empty() {
        return Err(Error::invalid(format!("{name}: holds no certificate")));
    }
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates.into_iter().enumerate() {
        let number = at + 1;
        let refused = |e| Error::invalid(format!("{name}: certificate {number}: {e}"));
        roots.add(certificate).map_err(refused)?;
    }
    Ok(roots)
}
