//! The distribution as Terraform's configuration for the provider hashicorp/aws.

mod bucket;
mod delivery;
mod logs;
mod origins;
mod policies;
mod signers;

use super::distribution::{Distribution, SecretPlace};
use super::hcl::{Body, object, raw};

const PREFACE: &str = "\
Made by `headwater cloudfront template`; docs/operate/cloudfront.md says how to deploy it.
What has a number here has a reason: keep what our server and the players count on.";

/// The first provider that knows cache tags.
const PROVIDER: &str = ">= 6.46.0";
/// The first provider that knows client certificates.
const PROVIDER_WITH_MTLS: &str = ">= 6.51.0";

pub(super) fn render(distribution: &Distribution) -> String {
    Body::new()
        .comment(PREFACE)
        .and(terraform(distribution))
        .and(secret(distribution))
        .and(policies::resources(distribution))
        .and(signers::resources(distribution))
        .and(bucket::resources(distribution))
        .and(delivery::resource(distribution))
        .and(logs::resources(distribution))
        .and(outputs(distribution))
        .to_document()
}

fn terraform(distribution: &Distribution) -> Body {
    let has_mtls = distribution
        .server
        .as_ref()
        .is_some_and(|server| server.client_certificate.is_some());
    let version = if has_mtls {
        PROVIDER_WITH_MTLS
    } else {
        PROVIDER
    };
    let aws = object([
        ("source", "hashicorp/aws".into()),
        ("version", version.into()),
    ]);
    let providers = Body::new().with("aws", aws);
    Body::new().block(
        "terraform",
        Body::new()
            .with("required_version", ">= 1.5")
            .block("required_providers", providers),
    )
}

/// The variable that the origin lock needs.
fn secret(distribution: &Distribution) -> Body {
    let secret = distribution.server.as_ref().and_then(|s| s.secret.as_ref());
    match secret.map(|secret| &secret.place) {
        None => Body::new(),
        Some(SecretPlace::Parameter) => Body::new()
            .comment(
                "To change it: give our server the new value as its second secret, apply this with the\n\
                 new value, then take the old value from the server. Both are good in between, so no\n\
                 request is refused. It is kept in Terraform's state: guard that.",
            )
            .labelled(&["variable", "origin_lock_secret"], secret_variable()),
        Some(SecretPlace::SecretsManager(id)) => Body::new()
            .comment(
                "To change the secret: store a new version in Secrets Manager, give our server its value\n\
                 as its second secret, apply this with the new version's id, then take the old value\n\
                 from the server.",
            )
            .labelled(&["variable", "origin_lock_version"], version_variable())
            .labelled(
                &["data", "aws_secretsmanager_secret_version", "origin_lock"],
                Body::new()
                    .with("secret_id", id.clone())
                    .with("version_id", raw("var.origin_lock_version")),
            ),
    }
}

fn secret_variable() -> Body {
    let long_enough =
        "length(var.origin_lock_secret) >= 32 && length(var.origin_lock_secret) <= 256";
    Body::new()
        .with(
            "description",
            "Secret that opens our server's lock, made for example with openssl rand -hex 32",
        )
        .with("type", raw("string"))
        .with("sensitive", true)
        .block(
            "validation",
            Body::new().with("condition", raw(long_enough)).with(
                "error_message",
                "The secret must have 32 to 256 characters.",
            ),
        )
}

fn version_variable() -> Body {
    Body::new()
        .with("description", "VersionId of the secret in Secrets Manager")
        .with("type", raw("string"))
}

fn outputs(distribution: &Distribution) -> Body {
    let output = |words: &str, value: &str| {
        Body::new()
            .with("description", words)
            .with("value", raw(value))
    };
    let mut outputs = Body::new()
        .labelled(
            &["output", "distribution_id"],
            output(
                "For invalidations",
                "aws_cloudfront_distribution.streams.id",
            ),
        )
        .labelled(
            &["output", "distribution_domain"],
            output(
                "Where streams are delivered; what a CNAME points to",
                "aws_cloudfront_distribution.streams.domain_name",
            ),
        );
    for key in &distribution.signers {
        let value = format!("{}.id", signers::public_key(key));
        outputs = outputs.labelled(
            &["output", &format!("key_pair_id_{}", key.id)],
            output("Key-Pair-Id of what this key signs", &value),
        );
    }
    outputs
}
