//! PEM files (RFC 7468) as operators have them: what is in one, and what is wrong with it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::error::{Error, Result};

/// Longest file that is read; revocation lists of public CAs have tens of megabytes.
const MAX_BYTES: u64 = 128 << 20;

/// How the two ways of encrypting a key show: PKCS #8's label and OpenSSL's older header.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// What a PEM file holds, each kind in the file's order.
#[derive(Debug, Default)]
pub(super) struct Pem {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
    pub(super) revocation_lists: Vec<CertificateRevocationListDer<'static>>,
    /// Whether there is a key in it that needs a passphrase.
    pub(super) is_encrypted: bool,
}

impl Pem {
    /// Reads a file; `what` is its part in the configuration, for example `certificate`.
    pub(super) fn read(path: &Path, what: &str) -> Result<Self> {
        Self::parse(&bytes(path, what)?).map_err(|e| e.context(named(path, what)))
    }

    /// Sorts what is in a PEM text by kind; kinds that no server needs are left out.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let mut pem = Self {
            is_encrypted: ENCRYPTED.iter().any(|mark| contains(text, mark)),
            ..Self::default()
        };
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
            match section {
                Ok((kind, der)) => pem.take(kind, der),
                // An encrypted key of the older kind isn't sound PEM; it has a better message.
                Err(_) if pem.is_encrypted => break,
                Err(e) => return Err(Error::invalid(format!("damaged PEM: {e}"))),
            }
        }
        if pem.is_empty() {
            return Err(Error::invalid(why_empty(text)));
        }
        Ok(pem)
    }

    fn take(&mut self, kind: SectionKind, der: Vec<u8>) {
        match kind {
            SectionKind::Certificate => self.certificates.push(der.into()),
            SectionKind::Crl => self.revocation_lists.push(der.into()),
            _ => self.keys.extend(PrivateKeyDer::from_pem(kind, der)),
        }
    }

    fn is_empty(&self) -> bool {
        self.certificates.is_empty()
            && self.keys.is_empty()
            && self.revocation_lists.is_empty()
            && !self.is_encrypted
    }
}

/// A file as messages name it.
pub(super) fn named(path: &Path, what: &str) -> String {
    format!("{what} {}", path.display())
}

fn bytes(path: &Path, what: &str) -> Result<Vec<u8>> {
    let failed = |e| Error::io(format!("reading the {}", named(path, what)), e);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > MAX_BYTES {
        return Err(Error::invalid(format!(
            "{}: longer than {MAX_BYTES} bytes, which no PEM file here is",
            named(path, what)
        )));
    }
    Ok(bytes)
}

fn contains(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|window| window == mark)
}

fn why_empty(text: &[u8]) -> &'static str {
    match text.first() {
        None => "the file is empty",
        Some(0x30) => {
            "not PEM but DER; convert it with `openssl x509 -inform der` or `openssl pkey`"
        }
        Some(_) => "holds no certificate, key or revocation list in PEM",
    }
}
