//! A certificate from a CA that speaks ACME (RFC 8555), Let's Encrypt for one: ordered when there
//! is none, kept in a folder, renewed before its end.
//!
//! The CA looks at port 443 only (see [`super::challenge`]). Orders that fail are repeated ever more
//! rarely ([`schedule`]), whatever the process does in between.

mod folder;
mod options;
mod order;
mod requests;
mod schedule;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;

use self::folder::{ATTEMPT, CERTIFICATE, Folder};
pub use self::options::Options;
use self::order::Orders;
use self::schedule::Pauses;
use super::challenge::Challenges;
use super::identity::Identity;
use super::pem::Pem;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// How far a CA's clock may be ahead of ours. Its certificates begin now, by its clock.
const CLOCKS_APART: i64 = 5 * 60_000;

/// Bound of one order, with all its requests and all that the CA takes.
const ORDER: Duration = Duration::from_secs(600);

/// Orders certificates and keeps them.
#[derive(Debug)]
pub(super) struct Acme {
    options: Options,
    folder: Folder,
    pub(super) challenges: Challenges,
    pauses: Mutex<Pauses>,
    clock: Clock,
}

impl Acme {
    /// Opens the folder.
    pub(super) fn open(options: &Options, clock: Clock) -> Result<Self> {
        options.check()?;
        let folder = Folder::open(options.folder()?, &options.directory)?;
        let attempt = folder.read(ATTEMPT)?;
        let attempt = attempt.and_then(|text| text.trim().parse().ok());
        let pauses = attempt.map(|attempt| Pauses::since(attempt, clock.now_millis()));
        Ok(Self {
            options: options.clone(),
            folder,
            challenges: Challenges::default(),
            pauses: Mutex::new(pauses.unwrap_or_default()),
            clock,
        })
    }

    /// The certificate that is kept, and why not if it can't be used.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub(super) fn kept(
        &self,
        provider: &CryptoProvider,
    ) -> Result<(Option<Identity>, Option<String>)> {
        let Some(text) = self.folder.read(CERTIFICATE)? else {
            let names = self.options.domains.join(", ");
            let none = format!("no certificate for {names} yet; TLS works when the CA gave one");
            return Ok((None, Some(none)));
        };
        match self.identity(&text, provider) {
            Ok(identity) => Ok((Some(identity), None)),
            Err(e) => Ok((None, Some(format!("{e}; a new certificate is ordered")))),
        }
    }

    /// A certificate with its key, if it is sound and for our names.
    fn identity(&self, pem: &str, provider: &CryptoProvider) -> Result<Identity> {
        let path = self.folder.path_of(CERTIFICATE);
        let name = format!("certificate {}", path.display());
        let mut pem = Pem::parse(pem.as_bytes()).map_err(|e| e.context(&name))?;
        let key = pem.keys.pop();
        let key = key.ok_or_else(|| Error::invalid(format!("{name}: holds no key")))?;
        let now = self.clock.now_millis() + CLOCKS_APART;
        let identity = Identity::new(pem.certificates, key, (&name, &name), provider, now)?;
        self.check_names(&identity).map_err(|e| e.context(&name))?;
        Ok(identity)
    }

    fn check_names(&self, identity: &Identity) -> Result<()> {
        let invalid = |e: &dyn std::fmt::Display| Error::invalid(e.to_string());
        let leaf = identity
            .certified
            .end_entity_cert()
            .map_err(|e| invalid(&e))?;
        let leaf = ParsedCertificate::try_from(leaf).map_err(|e| invalid(&e))?;
        for domain in self.options.names() {
            let name = ServerName::try_from(domain.as_str()).map_err(|e| invalid(&e))?;
            let other = |_| Error::invalid(format!("not for {domain}"));
            verify_server_name(&leaf, &name).map_err(other)?;
        }
        Ok(())
    }

    /// When the next order is due, in milliseconds since 1970.
    pub(super) fn due(&self, current: Option<&Identity>) -> i64 {
        let renewal = current.map(|identity| {
            let leaf = &identity.certified.cert[0];
            schedule::renewal(identity.not_before, identity.not_after, leaf)
        });
        let pauses = self.pauses.lock();
        pauses.unwrap_or_else(PoisonError::into_inner).due(renewal)
    }

    /// Orders a certificate and keeps it. After a failure the next order is due later.
    pub(super) async fn order(&self, provider: &CryptoProvider) -> Result<Identity> {
        let ordered = tokio::time::timeout(ORDER, self.order_once(provider)).await;
        let late = |_| Error::new(ErrorKind::Unavailable, "the CA took too long");
        let ordered = ordered.map_err(late).flatten();
        let pauses = self.pauses.lock();
        let mut pauses = pauses.unwrap_or_else(PoisonError::into_inner);
        match &ordered {
            Ok(identity) => pauses.succeeded(self.clock.now_millis(), identity.not_after),
            Err(e) => {
                let is_limited = e.kind() == ErrorKind::Exhausted;
                pauses.failed(
                    self.clock.now_millis(),
                    is_limited,
                    getrandom::u32().unwrap_or(0),
                );
            }
        }
        let directory = &self.options.directory;
        ordered.map_err(|e| e.context(format_args!("no certificate from {directory}")))
    }

    async fn order_once(&self, provider: &CryptoProvider) -> Result<Identity> {
        let now = self.clock.now_millis();
        // Also shows, before the CA counts an order, that what it gives can be kept.
        self.folder.keep(ATTEMPT, now.to_string()).await?;
        let orders = Orders {
            options: &self.options,
            folder: &self.folder,
            challenges: &self.challenges,
            provider,
        };
        let pem = orders.certificate().await?;
        let identity = self.identity(&pem, provider)?;
        self.folder.keep(CERTIFICATE, pem).await?;
        Ok(identity)
    }
}
