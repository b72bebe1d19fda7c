//! The public half of a key that signs cookies and URLs, as CloudFront takes it: RSA with 2048
//! bits, or ECDSA on P-256, in PEM ("BEGIN PUBLIC KEY", RFC 7468 and RFC 5280).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// The object identifier of RSA keys (RFC 8017), in DER.
const RSA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// The object identifier of the curve P-256 (RFC 5480), in DER.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// DER length of an RSA key with 2048 bits and the usual exponent.
const RSA_2048_BYTES: usize = 294;

/// A public key that CloudFront accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key in PEM, ending with a line break.
    pub pem: String,
    /// Eight hexadecimal digits of its digest: a changed key is another resource, because
    /// CloudFront doesn't let a key be changed.
    pub id: String,
}

impl PublicKey {
    /// Reads PEM.
    ///
    /// # Errors
    /// Invalid, with the fix, when it is a private key, not PEM, or a key that CloudFront refuses.
    pub fn parse(text: &str) -> Result<Self> {
        if text.contains("PRIVATE KEY") {
            return Err(Error::invalid(
                "this is a private key, which only the signer may have; make its public half with: \
                 openssl pkey -in private.pem -pubout -out public.pem",
            ));
        }
        let body = text
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END));
        let Some((body, _)) = body else {
            return Err(Error::invalid(format!("no line says {BEGIN}")));
        };
        let base64: String = body.split_ascii_whitespace().collect();
        let der = STANDARD
            .decode(&base64)
            .map_err(|e| Error::invalid("the public key is not base64").with_source(e))?;
        refuse_unknown(&der)?;
        let digest = blake3::hash(&der).to_hex();
        Ok(Self {
            pem: pem(&base64),
            id: digest.as_str().chars().take(8).collect(),
        })
    }
}

fn refuse_unknown(der: &[u8]) -> Result<()> {
    let has = |name: &[u8]| der.windows(name.len()).take(32).any(|part| part == name);
    if has(&P256) {
        return Ok(());
    }
    if has(&RSA) && der.len() == RSA_2048_BYTES {
        return Ok(());
    }
    let found = if has(&RSA) { "an RSA key" } else { "a key" };
    Err(Error::invalid(format!(
        "{found} that CloudFront doesn't take; it takes RSA with 2048 bits, or ECDSA on P-256, \
         made for example with: openssl ecparam -name prime256v1 -genkey -noout -out private.pem"
    )))
}

/// PEM with lines of 64 characters.
fn pem(base64: &str) -> String {
    let mut text = format!("{BEGIN}\n");
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(END);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgMmxxdjOWd1ILEld3XtfxZeajrrt\niXmQ7jXEZ2gRlrqnU+cScGpQ+w/L9bOc4nI0oGLnGA6kWsbWzG/o9lBFfQ==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn a_key_is_kept_as_it_is_and_named_by_its_digest() {
        let key = PublicKey::parse(KEY).expect("a key");
        assert_eq!((key.pem.as_str(), key.id.len()), (KEY, 8));
        assert_eq!(
            PublicKey::parse(&KEY.replace('\n', "\r\n")).expect("a key"),
            key
        );
    }

    #[test]
    fn what_cloudfront_refuses_is_refused_with_the_fix() {
        for (text, words) in [
            ("-----BEGIN PRIVATE KEY-----", "pubout"),
            ("ssh-rsa AAAA", "BEGIN PUBLIC KEY"),
            (&KEY.replace("MFkw", "!!!!"), "base64"),
            (&KEY.replace("IKoZIzj0DAQc", "IKoZIzj0DAQg"), "P-256"),
        ] {
            let error = PublicKey::parse(text).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
