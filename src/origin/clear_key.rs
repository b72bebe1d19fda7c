//! Licences of the key system `org.w3.clearkey`, as JSON (W3C Encrypted Media Extensions section
//! 9.1.3 and 9.1.4): a request names key ids, the licence has their keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::media::{ContentKey, KeyId};

/// Keys that are asked for at a time.
const KEYS_MAX: usize = 32;

#[derive(Deserialize)]
struct Request {
    kids: Vec<String>,
}

#[derive(Serialize)]
struct License {
    keys: Vec<JsonWebKey>,
    #[serde(rename = "type")]
    session: &'static str,
}

/// A symmetric key (RFC 7517, RFC 7518 section 6.4).
#[derive(Serialize)]
struct JsonWebKey {
    kty: &'static str,
    kid: String,
    k: String,
}

/// The key ids that a request names; `None` for what is no request, or too large a one.
pub(super) fn requested(json: &[u8]) -> Option<Vec<KeyId>> {
    let request: Request = serde_json::from_slice(json).ok()?;
    let is_sensible = (1..=KEYS_MAX).contains(&request.kids.len());
    let ids = request.kids.iter().map(|text| key_id(text));
    ids.collect::<Option<_>>().filter(|_| is_sensible)
}

/// Base64url; some clients pad it.
fn key_id(text: &str) -> Option<KeyId> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    bytes.try_into().ok().map(KeyId)
}

/// The licence with these keys.
pub(super) fn license(keys: &[(KeyId, ContentKey)]) -> Vec<u8> {
    let key = |(id, key): &(KeyId, ContentKey)| JsonWebKey {
        kty: "oct",
        kid: URL_SAFE_NO_PAD.encode(id.0),
        k: URL_SAFE_NO_PAD.encode(key.secret_bytes()),
    };
    let license = License {
        keys: keys.iter().map(key).collect(),
        session: "temporary",
    };
    // Strings alone can be written.
    serde_json::to_vec(&license).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the specification, section 9.1.5.
    #[test]
    fn requests_and_licences_are_as_the_specification_writes_them() {
        let request = br#"{"kids": ["LwVHf8JLtPrv2GUXFW2v_A"], "type": "temporary"}"#;
        let id = KeyId::parse("2f05477fc24bb4faefd86517156daffc").unwrap();
        assert_eq!(requested(request), Some(vec![id]));
        let key = ContentKey::parse("0607080900010203a0b0c0d0e0f00102").unwrap();
        let json: serde_json::Value = serde_json::from_slice(&license(&[(id, key)])).unwrap();
        let wanted = serde_json::json!({
            "keys": [{
                "kty": "oct",
                "kid": "LwVHf8JLtPrv2GUXFW2v_A",
                "k": "BgcICQABAgOgsMDQ4PABAg",
            }],
            "type": "temporary",
        });
        assert_eq!(json, wanted);
    }

    #[test]
    fn what_is_no_request_is_told_from_one() {
        let many = format!(
            "{{\"kids\":[{}\"LwVHf8JLtPrv2GUXFW2v_A\"]}}",
            "\"LwVHf8JLtPrv2GUXFW2v_A\",".repeat(KEYS_MAX)
        );
        for json in [
            "",
            "{}",
            "[]",
            r#"{"kids": []}"#,
            r#"{"kids": ["LwVHf8JLtPrv2GUXFW2v"]}"#,
            r#"{"kids": ["LwVHf8JLtPrv2GUXFW2v/A"]}"#,
            r#"{"kids": [7]}"#,
            &many,
        ] {
            assert_eq!(requested(json.as_bytes()), None, "{json}");
        }
        let padded = br#"{"kids": ["LwVHf8JLtPrv2GUXFW2v_A=="]}"#;
        assert!(requested(padded).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            requested(&bytes);
        }
    }
}
