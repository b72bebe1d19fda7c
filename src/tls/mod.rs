//! TLS for what serves: certificate, key and the CAs of clients from files, as a rustls
//! configuration that follows those files while the server runs.
//!
//! TLS 1.2 and 1.3 and nothing older; HTTP/2 and HTTP/1.1 are offered (ALPN, RFC 7301). Accepting
//! connections is not done here.

pub mod acme;
mod certificate;
mod challenge;
mod clients;
mod der;
mod identity;
mod material;
mod pem;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::server::Acceptor;
use rustls::{ServerConfig, ServerConnection};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use self::acme::Acme;
use self::material::Material;
use self::watch::{Stamps, Watch};
use crate::clock::{Clock, rfc3339};
use crate::error::{Error, Result};

/// From when to when a certificate in DER is valid, in milliseconds since 1970; `None` if it is
/// none.
pub fn validity(der: &[u8]) -> Option<(i64, i64)> {
    certificate::Facts::read(der).map(|facts| (facts.not_before, facts.not_after))
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where certificate and key come from, and what is asked of clients. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The certificate with its full chain: the server's own first, then its issuers.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, not encrypted; may be the same file.
    pub key: Option<PathBuf>,
    /// CAs that client certificates are verified against. If given, clients are asked for one.
    pub client_ca: Option<PathBuf>,
    /// Refuse clients without a certificate; otherwise it is only noted whether there was one.
    pub client_required: bool,
    /// Revocation lists for client certificates, one of each CA that issues them.
    pub client_crl: Option<PathBuf>,
    /// Have a CA issue the certificate, in place of `certificate` and `key`.
    pub acme: Option<acme::Options>,
}

impl Options {
    /// Whether they can work, as far as that shows without reading a file.
    fn check(&self) -> Result<()> {
        match (both_or_neither(self)?, &self.acme) {
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => {
                return Err(Error::invalid(
                    "TLS needs a certificate: give `certificate` and `key`, or `acme`",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "`certificate` and `acme` are both given; leave one of them out",
                ));
            }
        }
        let lonely = [
            (self.client_required, "client_required"),
            (self.client_crl.is_some(), "client_crl"),
        ];
        for (is_given, name) in lonely {
            if is_given && self.client_ca.is_none() {
                return Err(Error::invalid(format!(
                    "`{name}` needs `client_ca`, the CAs of the client certificates"
                )));
            }
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [
            &self.certificate,
            &self.key,
            &self.client_ca,
            &self.client_crl,
        ];
        files.into_iter().flatten().map(PathBuf::as_path)
    }
}

/// Certificate and key, if the options name both.
fn both_or_neither(options: &Options) -> Result<Option<(&Path, &Path)>> {
    match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::invalid("`certificate` is given but not its `key`")),
        (None, Some(_)) => Err(Error::invalid("`key` is given but not its `certificate`")),
    }
}

/// The server's side of TLS. Clones share everything.
#[derive(Debug, Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    warnings: Vec<String>,
    acme: Option<Acme>,
    /// For a CA that looks at a challenge; it has no certificate of its own to show.
    for_challenges: Option<Arc<ServerConfig>>,
    material: Mutex<Material>,
    current: RwLock<Arc<ServerConfig>>,
    watch: Mutex<Watch>,
}

impl Tls {
    /// Reads all files that the options name. With ACME there may be no certificate yet: then
    /// handshakes fail until [`Tls::keep_current`] has got one.
    ///
    /// # Errors
    /// Names the file and what to do: one that is missing, damaged or of another kind, a key that
    /// is encrypted or another certificate's, a certificate that isn't valid now.
    pub fn open(options: &Options) -> Result<Self> {
        Self::open_at(options, Clock::system())
    }

    fn open_at(options: &Options, clock: Clock) -> Result<Self> {
        options.check()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        // Taken before reading, so that what changes while we read is seen as a change later.
        let stamps = Stamps::of(options.files());
        let mut material = Material::read(options, &provider, clock.now_millis())?;
        let acme = options.acme.as_ref();
        let acme = acme
            .map(|acme| Acme::open(acme, clock.clone()))
            .transpose()?;
        let mut warnings = Vec::new();
        let mut for_challenges = None;
        if let Some(acme) = &acme {
            material.challenges = Some(acme.challenges.clone());
            for_challenges = Some(Arc::new(material.config_for_challenges(&provider)?));
            let (identity, why_none) = acme.kept(&provider)?;
            material.identity = identity;
            warnings.extend(why_none);
        }
        warnings.extend(material.warnings());
        let shared = Shared {
            options: options.clone(),
            warnings,
            acme,
            for_challenges,
            current: RwLock::new(Arc::new(material.config(&provider)?)),
            material: Mutex::new(material),
            watch: Mutex::new(Watch::new(stamps)),
            clock,
            provider,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What an operator should know although TLS works, a line each: a certificate without its
    /// chain, for example.
    pub fn warnings(&self) -> &[String] {
        &self.shared.warnings
    }

    /// The configuration for the next connection; as cheap as cloning an `Arc`. Connections keep
    /// the one they began with. [`Tls::accept`] uses it, and should be preferred to using it.
    pub fn config(&self) -> Arc<ServerConfig> {
        let current = self.shared.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Does the handshake of a new connection, for which the caller sets a time limit. `None` if
    /// it was a CA that came to look at a challenge, which is over by then; a CA is not asked for
    /// a client certificate.
    ///
    /// # Errors
    /// The client went away, speaks no TLS of ours, or was refused; it has been told.
    pub async fn accept<S>(&self, stream: S) -> std::io::Result<Option<TlsStream<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(for_challenges) = &self.shared.for_challenges else {
            let acceptor = TlsAcceptor::from(self.config());
            return acceptor.accept(stream).await.map(Some);
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if !challenge::is_challenge(&start.client_hello()) {
            return start.into_stream(self.config()).await.map(Some);
        }
        let mut seen = start.into_stream(Arc::clone(for_challenges)).await?;
        seen.shutdown().await?;
        Ok(None)
    }

    /// Follows the files, and has certificates by ACME renewed, for ever. What changed and is sound
    /// is used for new connections within some seconds; what isn't leaves everything as it is.
    /// `tell` gets a line for each.
    pub async fn keep_current(self, tell: impl Fn(&str) + Send + Sync) {
        tokio::join!(self.follow_files(LOOK, &tell), self.renew(&tell));
    }

    async fn follow_files(&self, every: Duration, tell: &(impl Fn(&str) + Send + Sync)) {
        loop {
            tokio::time::sleep(every).await;
            let tls = self.clone();
            let looked = tokio::task::spawn_blocking(move || tls.look()).await;
            for line in looked.unwrap_or_default() {
                tell(&line);
            }
        }
    }

    /// Looks at the files once and follows them if they changed; what the operator should hear.
    fn look(&self) -> Vec<String> {
        let now = self.shared.clock.now_millis();
        let stamps = Stamps::of(self.shared.options.files());
        let watch = self.shared.watch.lock();
        let mut watch = watch.unwrap_or_else(PoisonError::into_inner);
        if !watch.look(&stamps, now) {
            return Vec::new();
        }
        match self.read_again(now) {
            Ok(lines) => {
                watch.used(stamps);
                lines
            }
            Err(e) if watch.refused(now) => vec![format!("TLS goes on with the old files: {e}")],
            Err(_) => Vec::new(),
        }
    }

    fn read_again(&self, now: i64) -> Result<Vec<String>> {
        let shared = &self.shared;
        let new = Material::read(&shared.options, &shared.provider, now)?;
        let warnings = new.warnings();
        let until = new.identity.as_ref().map(|i| rfc3339(i.not_after));
        self.change(|material| material.take_files(new))?;
        let mut lines = vec![format!(
            "TLS follows its changed files{}",
            until.map_or_else(String::new, |date| format!(
                "; certificate valid until {date}"
            ))
        )];
        lines.extend(warnings);
        Ok(lines)
    }

    /// Changes what new connections get; if that can't be, nothing changes.
    fn change(&self, change: impl FnOnce(&mut Material)) -> Result<()> {
        let material = self.shared.material.lock();
        let mut material = material.unwrap_or_else(PoisonError::into_inner);
        let mut new = material.clone();
        change(&mut new);
        let config = Arc::new(new.config(&self.shared.provider)?);
        *material = new;
        let current = self.shared.current.write();
        *current.unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    async fn renew(&self, tell: &(impl Fn(&str) + Send + Sync)) {
        let Some(acme) = &self.shared.acme else {
            return;
        };
        loop {
            if self.shared.clock.now_millis() >= self.order_due(acme) {
                tell(&self.order(acme).await);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// When a certificate must be ordered, in milliseconds since 1970.
    fn order_due(&self, acme: &Acme) -> i64 {
        let material = self.shared.material.lock();
        let material = material.unwrap_or_else(PoisonError::into_inner);
        acme.due(material.identity.as_ref())
    }

    /// Orders a certificate and uses it; what the operator should hear.
    async fn order(&self, acme: &Acme) -> String {
        let ordered = acme.order(&self.shared.provider).await;
        let used = ordered.and_then(|identity| {
            let until = rfc3339(identity.not_after);
            self.change(|material| material.identity = Some(identity))?;
            Ok(until)
        });
        match used {
            Ok(until) => format!("TLS has a new certificate, valid until {until}"),
            Err(e) => {
                let next = rfc3339(self.order_due(acme));
                format!("{e}; the next attempt is at {next}")
            }
        }
    }
}

/// Whether the client of a connection proved who it is by a certificate of a CA in `client_ca`.
/// False while the handshake goes on.
pub fn verified_peer(connection: &ServerConnection) -> bool {
    let presented = connection.peer_certificates();
    !connection.is_handshaking() && presented.is_some_and(|chain| !chain.is_empty())
}
