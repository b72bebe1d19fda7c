//! What a CA does with what it is sent: JSON web signatures (RFC 7515, RFC 8555 6.2) and signing
//! requests (RFC 2986), each verified.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use serde_json::Value;

pub(super) fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    text: &[u8],
    signature: &[u8],
) {
    let key = UnparsedPublicKey::new(algorithm, key);
    key.verify(text, signature)
        .expect("the signature is the key's");
}

/// An account's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountKey {
    x: String,
    y: String,
}

impl AccountKey {
    fn from_jwk(jwk: &Value) -> Self {
        assert_eq!((&jwk["kty"], &jwk["crv"]), (&"EC".into(), &"P-256".into()));
        let [x, y] = ["x", "y"].map(|name| String::from(jwk[name].as_str().unwrap()));
        Self { x, y }
    }

    /// RFC 7638.
    pub(super) fn thumbprint(&self) -> String {
        let Self { x, y } = self;
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }
}

/// A request's claims about itself.
pub(super) struct Signed {
    pub(super) header: Value,
    /// `Null` for POST-as-GET.
    pub(super) payload: Value,
    pub(super) key: AccountKey,
}

/// Opens a request. `known` is the key of the account that a `kid` names.
pub(super) fn open(body: &[u8], known: impl Fn(&str) -> Option<AccountKey>) -> Option<Signed> {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let part = |name: &str| body[name].as_str().expect("a text");
    let header: Value = serde_json::from_slice(&decode(part("protected"))).expect("JSON");
    assert_eq!(header["alg"], "ES256");
    let key = match (header["kid"].as_str(), &header["jwk"]) {
        (Some(kid), Value::Null) => known(kid)?,
        (None, jwk) => AccountKey::from_jwk(jwk),
        _ => panic!("both kid and jwk"),
    };
    let point = [&[4][..], &decode(&key.x), &decode(&key.y)].concat();
    let text = format!("{}.{}", part("protected"), part("payload"));
    let signature = decode(part("signature"));
    verify(
        &ECDSA_P256_SHA256_FIXED,
        &point,
        text.as_bytes(),
        &signature,
    );
    let payload = decode(part("payload"));
    let payload = match payload.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&payload).expect("JSON"),
    };
    Some(Signed {
        header,
        payload,
        key,
    })
}

/// The public key that a signing request is for.
pub(super) struct RequestedKey {
    point: Vec<u8>,
}

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// Opens a signing request, which must be for exactly these names.
pub(super) fn open_csr(der: &[u8], names: &[String]) -> RequestedKey {
    let (_, request, _) = element(der);
    let (signed, info, rest) = element(request);
    let (_, _algorithm, rest) = element(rest);
    let (_, signature, _) = element(rest);
    let (_, _version, rest) = element(info);
    let (_, _subject, rest) = element(rest);
    let (_, key, attributes) = element(rest);
    let (_, _algorithm, rest) = element(key);
    let (_, point, _) = element(rest);
    verify(
        &ECDSA_P256_SHA256_ASN1,
        &point[1..],
        signed,
        &signature[1..],
    );
    let mut found = names.to_vec();
    found.retain(|name| contains(attributes, &dns_name(name)));
    assert_eq!(found, names);
    RequestedKey {
        point: point[1..].to_vec(),
    }
}

/// A dNSName as it stands in a subjectAltName.
pub(super) fn dns_name(name: &str) -> Vec<u8> {
    [&[0x82, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat()
}

pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The first element: all of it, its content, and what follows it.
pub(super) fn element(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (start, length) = match der[1] {
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        0x81 => (3, usize::from(der[2])),
        short => (2, usize::from(short)),
    };
    let (whole, rest) = der.split_at(start + length);
    (whole, &whole[start..], rest)
}
