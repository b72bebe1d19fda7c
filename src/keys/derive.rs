//! Content keys from one secret: HKDF (RFC 5869) with SHA-256, and what the key is for as its
//! context. Nothing can be told from one output about the secret or another output, so key ids and
//! initialization vectors may be public.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

use super::secret::MasterSecret;
use crate::error::{Error, Result};
use crate::media::{ContentKey, Iv, KeyCheck, KeyId, KeyPlan, KeyUse};

/// Keeps these outputs apart from all others of the same secret.
const SALT: &[u8] = b"headwater content keys 1";

pub(super) fn key_plan(secret: &MasterSecret, digest: &str, usage: KeyUse) -> Result<KeyPlan> {
    Ok(KeyPlan {
        usage,
        key_id: KeyId(derive(secret, &["key id", digest, usage.name()])?),
        iv: Iv(derive(secret, &["iv", digest, usage.name()])?),
        check: None,
    })
}

pub(super) fn content_key(
    secret: &MasterSecret,
    digest: &str,
    usage: KeyUse,
) -> Result<ContentKey> {
    derive(secret, &["key", digest, usage.name()]).map(ContentKey::new)
}

/// The initialization vector that goes with a key of the user's own.
pub(super) fn iv_of(key: &ContentKey) -> Result<Iv> {
    expand(key.secret_bytes(), &["iv"]).map(Iv)
}

/// What a key of the user's own is told from another one by.
pub(super) fn check_of(key: &ContentKey) -> Result<KeyCheck> {
    expand(key.secret_bytes(), &["check"]).map(KeyCheck)
}

fn derive(secret: &MasterSecret, context: &[&str]) -> Result<[u8; 16]> {
    expand(secret.bytes(), context)
}

fn expand(secret: &[u8], context: &[&str]) -> Result<[u8; 16]> {
    let key = Salt::new(HKDF_SHA256, SALT).extract(secret);
    // A zero between the parts: none of them has one.
    let context: Vec<u8> = context.join("\0").into_bytes();
    let mut output = [0; 16];
    let filled = key
        .expand(&[&context], Sixteen)
        .and_then(|okm| okm.fill(&mut output));
    filled.map_err(|_| Error::internal("deriving a content key failed"))?;
    Ok(output)
}

/// The length of what is derived.
#[derive(Debug, Clone, Copy)]
struct Sixteen;

impl KeyType for Sixteen {
    fn len(&self) -> usize {
        16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac`, after RFC 5869: another secret, digest or use must never give
    /// other values, or what was packaged can't be played any more.
    #[test]
    fn derived_values_never_change() {
        let secret = MasterSecret::parse(&"5a".repeat(32)).unwrap();
        let plan = key_plan(&secret, "00aa", KeyUse::Video).unwrap();
        assert_eq!(plan.key_id.to_string(), "09c646ef4243232f43dded67d2835f0a");
        assert_eq!(plan.iv.to_string(), "468816664b4b48b72bff650e404d8d90");
        let key = content_key(&secret, "00aa", KeyUse::Video).unwrap();
        assert_eq!(
            Some(key),
            ContentKey::parse("192d7a77058ccdf8f41c9efb7833e072")
        );
    }
}
