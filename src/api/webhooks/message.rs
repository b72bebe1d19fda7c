//! What is posted to a webhook, and its signature: Standard Webhooks 1.0
//! (<https://github.com/standard-webhooks/standard-webhooks>, "Payload structure" and "Signature
//! scheme").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;

use crate::asset_view::{AssetView, BaseUrl, asset_json};
use crate::catalog::{Event, Topic, Webhook};
use crate::clock::rfc3339;
use crate::media::Asset;

/// What is posted. `data` is the asset as it is when the message is written, which may be a step
/// further than what `type` tells of.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::api) struct Message {
    /// What happened.
    #[serde(rename = "type")]
    #[schema(schema_with = super::topic_schema)]
    kind: &'static str,
    /// When it happened (RFC 3339).
    #[schema(format = DateTime)]
    timestamp: String,
    /// The asset.
    data: AssetView,
}

/// The text of the message about `event`.
pub(super) fn payload(event: &Event, topic: Topic, asset: &Asset, base: &BaseUrl) -> String {
    let message = Message {
        kind: topic.name(),
        timestamp: rfc3339(event.at_millis),
        data: asset_json(asset, base),
    };
    serde_json::to_string(&message).expect("plain data is JSON")
}

/// The headers of one attempt to post `payload` as the message `id`.
pub(super) fn headers(
    webhook: &Webhook,
    id: &str,
    payload: &str,
    now_millis: i64,
) -> Vec<(&'static str, String)> {
    let timestamp = now_millis.div_euclid(1000);
    let secrets = [Some(&webhook.secret), webhook.previous_secret.as_ref()];
    let signatures: Vec<String> = secrets
        .into_iter()
        .flatten()
        .map(|secret| signature(secret, id, timestamp, payload))
        .collect();
    vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

/// `v1,` and the HMAC-SHA256 of `{id}.{timestamp}.{payload}` under the bytes that the secret holds
/// in base64 behind its prefix.
fn signature(secret: &str, id: &str, timestamp: i64, payload: &str) -> String {
    let encoded = secret.split_once('_').map_or(secret, |(_, rest)| rest);
    let key = STANDARD.decode(encoded).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{payload}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(previous_secret: Option<&str>) -> Webhook {
        Webhook {
            id: "w".into(),
            url: "https://example.org/".into(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
            previous_secret: previous_secret.map(str::to_owned),
            topics: Vec::new(),
            disabled: false,
            created_at_millis: 0,
        }
    }

    /// The example that the reference libraries of Standard Webhooks share.
    #[test]
    fn the_signature_is_that_of_the_reference_libraries() {
        let payload = r#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let found = headers(&webhook(None), id, payload, 1_614_265_330_999);
        assert_eq!(found[1], ("webhook-id", id.to_owned()));
        assert_eq!(found[2], ("webhook-timestamp", "1614265330".to_owned()));
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(found[3], ("webhook-signature", signature.to_owned()));
    }

    #[test]
    fn both_secrets_sign_while_the_old_one_is_valid() {
        let found = headers(&webhook(Some("whsec_AAAA")), "m", "{}", 0);
        let signatures: Vec<&str> = found[3].1.split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert_eq!(signatures[1], signature("whsec_AAAA", "m", 0, "{}"));
    }
}
