//! What is asked of a CA, and which answers of an operator can't work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustls::pki_types::DnsName;
use serde::Deserialize;

use crate::error::{Error, Result};

/// Most names that Let's Encrypt puts into one certificate.
const DOMAINS_MAX: usize = 100;

/// A certificate by ACME. Only port 443 of the names must lead here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Names the certificate is for, in ASCII (`xn--` for others); no wildcards, no addresses.
    pub domains: Vec<String>,
    /// Mail addresses that the CA may write to.
    pub contact: Vec<String>,
    /// The CA's directory, an `https` URL; Let's Encrypt's if not given.
    pub directory: String,
    /// PEM file of CAs that the directory's own certificate may come from, beside the system's;
    /// for a CA of one's own.
    pub directory_ca: Option<PathBuf>,
    /// Folder that keeps account, key and certificate. Give the same one at every start.
    pub folder: Option<PathBuf>,
    /// Says that the operator accepts the CA's terms of service.
    pub accept_terms: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: Vec::new(),
            directory: String::from("https://acme-v02.api.letsencrypt.org/directory"),
            directory_ca: None,
            folder: None,
            accept_terms: false,
        }
    }
}

impl Options {
    /// Whether they can work, as far as that shows without asking anybody.
    pub(in crate::tls) fn check(&self) -> Result<()> {
        let faults = [
            (
                self.domains.is_empty(),
                "`acme.domains` is empty; name what the certificate is for",
            ),
            (
                self.domains.len() > DOMAINS_MAX,
                "`acme.domains` has more than 100 names, which is all one certificate takes",
            ),
            (
                !self.directory.starts_with("https://"),
                "`acme.directory` must be an https URL",
            ),
            (
                !self.accept_terms,
                "read the CA's terms of service and set `acme.accept_terms = true`",
            ),
        ];
        for (is_fault, message) in faults {
            if is_fault {
                return Err(Error::invalid(message));
            }
        }
        self.folder()?;
        for domain in &self.domains {
            check_domain(domain)?;
        }
        for contact in &self.contact {
            check_contact(contact)?;
        }
        Ok(())
    }

    /// The folder, which must be given.
    pub(in crate::tls) fn folder(&self) -> Result<&Path> {
        let missing = || Error::invalid("`acme.folder` is missing; it keeps the certificate");
        self.folder.as_deref().ok_or_else(missing)
    }

    /// The names as a CA and a client's hello write them.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let lower = |domain: &String| domain.to_ascii_lowercase();
        self.domains.iter().map(lower).collect()
    }
}

fn check_domain(domain: &str) -> Result<()> {
    if domain.starts_with("*.") {
        return Err(Error::unsupported(format!(
            "`acme.domains`: {domain}: no wildcards, since a CA can't look at one by TLS; name \
             each host"
        )));
    }
    let is_name = DnsName::try_from(domain).is_ok() && domain.contains('.');
    match is_name && !domain.ends_with('.') {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "`acme.domains`: `{domain}` is no host name; write it like `video.example.com`"
        ))),
    }
}

fn check_contact(contact: &str) -> Result<()> {
    let is_plain = !contact.contains([':', ' ', ',', '?']);
    match is_plain && contact.split('@').filter(|part| !part.is_empty()).count() == 2 {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "`acme.contact`: `{contact}` is no mail address; write it like `me@example.com`"
        ))),
    }
}
