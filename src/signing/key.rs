//! Keys of signatures: RSA with PKCS#1 v1.5 padding (RFC 8017 section 8.2) and ECDSA over P-256
//! (FIPS 186-5), each with SHA-1 or SHA-256. SHA-1 is what CloudFront takes where nothing else is
//! said; its weakness is collisions, which help nobody who can't choose what is signed.

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use sha1::Sha1;
use sha2::Sha256;

use super::pem::{self, Block};
use crate::error::{Error, Result};

/// What is signed is a digest of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hash {
    /// SHA-1.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Hash {
    /// The hash of that name, as `Hash-Algorithm` says it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "SHA1" => Some(Self::Sha1),
            "SHA256" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Its name in `Hash-Algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }
}

/// Verifies signatures.
pub struct PublicKey {
    with_sha1: ParsedPublicKey,
    with_sha256: ParsedPublicKey,
}

impl PublicKey {
    /// The public key in a PEM text: RSA of 2048 to 8192 bits, or ECDSA P-256.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) if there is none.
    pub fn from_pem(text: &str) -> Result<Self> {
        let blocks = pem::blocks(text);
        let public =
            |block: &&Block| matches!(block.label.as_str(), "PUBLIC KEY" | "RSA PUBLIC KEY");
        let Some(block) = blocks.iter().find(public) else {
            let private = blocks
                .iter()
                .any(|block| block.label.ends_with("PRIVATE KEY"));
            return Err(Error::invalid(match private {
                true => "this is a private key; make the public one with `openssl pkey -pubout`",
                false => "no public key in it; it begins with `-----BEGIN PUBLIC KEY-----`",
            }));
        };
        let rsa = (
            &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY as &dyn VerificationAlgorithm,
            &RSA_PKCS1_2048_8192_SHA256 as &dyn VerificationAlgorithm,
        );
        let ecdsa = (
            &ECDSA_P256_SHA1_ASN1 as &dyn VerificationAlgorithm,
            &ECDSA_P256_SHA256_ASN1 as &dyn VerificationAlgorithm,
        );
        for (sha1, sha256) in [rsa, ecdsa] {
            let parsed = |algorithm| ParsedPublicKey::new(algorithm, &block.der);
            if let (Ok(with_sha1), Ok(with_sha256)) = (parsed(sha1), parsed(sha256)) {
                return Ok(Self {
                    with_sha1,
                    with_sha256,
                });
            }
        }
        let why = "no key that CloudFront knows; use RSA with 2048 bits or ECDSA P-256";
        Err(Error::invalid(why))
    }

    /// Whether `signature` was made over `message` with the private key that belongs to this one.
    pub fn verifies(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let key = match hash {
            Hash::Sha1 => &self.with_sha1,
            Hash::Sha256 => &self.with_sha256,
        };
        key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

/// Makes signatures.
pub struct PrivateKey(Kind);

enum Kind {
    Rsa(Box<rsa::PrivateKey>),
    Ecdsa(EcdsaKeyPair),
}

impl PrivateKey {
    /// The private key in a PEM text: RSA or ECDSA P-256, in PKCS#1, PKCS#8 or SEC 1, not
    /// encrypted.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) if there is none.
    pub fn from_pem(text: &str) -> Result<Self> {
        let blocks = pem::blocks(text);
        if let Some(kind) = blocks.iter().find_map(private) {
            return Ok(Self(kind));
        }
        let has = |word: &str| text.contains(word);
        Err(Error::invalid(if has("ENCRYPTED") {
            "the private key is encrypted; decrypt it with `openssl pkey`"
        } else if has("PRIVATE KEY-----") {
            "the private key is damaged, or neither RSA nor ECDSA P-256"
        } else {
            "no private key in it; it has a line `-----BEGIN PRIVATE KEY-----`"
        }))
    }

    /// A signature over `message`; of RSA always the same one. That of ECDSA is DER.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the key can't.
    pub fn sign(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>> {
        let signed = match (&self.0, hash) {
            (Kind::Rsa(key), Hash::Sha1) => key.pkcs1v15_sign::<Sha1>(message).ok(),
            (Kind::Rsa(key), Hash::Sha256) => key.pkcs1v15_sign::<Sha256>(message).ok(),
            (Kind::Ecdsa(key), hash) => ecdsa(key, hash, message),
        };
        signed.ok_or_else(|| Error::internal("the private key can't sign"))
    }
}

fn private(block: &Block) -> Option<Kind> {
    let der = block.der.as_slice();
    let rsa = match block.label.as_str() {
        "RSA PRIVATE KEY" => rsa::PrivateKey::from_pkcs1_der(der).ok(),
        "PRIVATE KEY" => rsa::PrivateKey::from_pkcs8_der(der).ok(),
        "EC PRIVATE KEY" => None,
        _ => return None,
    };
    let ecdsa = || EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok();
    rsa.map(|key| Kind::Rsa(Box::new(key)))
        .or_else(|| ecdsa().map(Kind::Ecdsa))
}

/// aws-lc signs digests of SHA-256 only. ECDSA takes a shorter digest as a number (FIPS 186-5
/// section 6.4.1), so one of SHA-1 with zeros in front is the same number.
fn ecdsa(key: &EcdsaKeyPair, hash: Hash, message: &[u8]) -> Option<Vec<u8>> {
    let digest = match hash {
        Hash::Sha256 => digest(&SHA256, message),
        Hash::Sha1 => {
            let short = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
            let mut long = [0; 32];
            long[12..].copy_from_slice(short.as_ref());
            Digest::import_less_safe(&long, &SHA256).ok()?
        }
    };
    let signature = key.sign_digest(&digest).ok()?;
    Some(signature.as_ref().to_vec())
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Rsa(_) => "PrivateKey(RSA ..)",
            Kind::Ecdsa(_) => "PrivateKey(ECDSA ..)",
        })
    }
}
