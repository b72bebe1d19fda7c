//! The distribution as an AWS CloudFormation template.

mod bucket;
mod delivery;
mod logs;
mod origins;
mod policies;
mod signers;

use super::distribution::{Distribution, SecretPlace};
use super::yaml::{Map, attribute, reference};

/// Parameter that holds the secret of the origin lock.
const LOCK_SECRET: &str = "OriginLockSecret";
/// Parameter that holds the version of the secret in Secrets Manager.
const LOCK_VERSION: &str = "OriginLockVersion";

const PREFACE: &str = "\
Made by `headwater cloudfront template`; docs/operate/cloudfront.md says how to deploy it.
What has a number here has a reason: keep what our server and the players count on.";

pub(super) fn render(distribution: &Distribution) -> String {
    let resources = policies::resources(distribution)
        .and(signers::resources(distribution))
        .and(bucket::resources(distribution))
        .and(delivery::resource(distribution))
        .and(logs::resources(distribution));
    let mut template = Map::new()
        .with("AWSTemplateFormatVersion", "2010-09-09")
        .with("Description", description(distribution));
    let parameters = parameters(distribution);
    if !parameters.is_empty() {
        template = template.with("Parameters", parameters);
    }
    template
        .with("Resources", resources)
        .with("Outputs", outputs(distribution))
        .to_document(PREFACE)
}

fn description(distribution: &Distribution) -> String {
    format!("Headwater streams over CloudFront ({})", distribution.name)
}

fn parameters(distribution: &Distribution) -> Map {
    let secret = distribution.server.as_ref().and_then(|s| s.secret.as_ref());
    match secret.map(|secret| &secret.place) {
        None => Map::new(),
        Some(SecretPlace::Parameter) => Map::new().with(LOCK_SECRET, secret_parameter()).explained(
            "To change it: give our server the new value as its second secret, update this\n\
             stack with the new value, wait until the distribution is deployed, then take the old\n\
             value from the server. Both are good in between, so no request is refused.",
        ),
        Some(SecretPlace::SecretsManager(_)) => {
            Map::new().with(LOCK_VERSION, version_parameter()).explained(
                "To change the secret: store a new version in Secrets Manager, give our server its\n\
                 value as its second secret, update this stack with the new version's id, wait\n\
                 until the distribution is deployed, then take the old value from the server. The\n\
                 id is a parameter because CloudFormation doesn't see a secret change by itself.",
            )
        }
    }
}

fn secret_parameter() -> Map {
    Map::new()
        .with("Type", "String")
        .with("NoEcho", true)
        .with("MinLength", 32_u32)
        .with("MaxLength", 256_u32)
        .with("AllowedPattern", "[A-Za-z0-9._~+/=-]+")
        .with(
            "Description",
            "Secret that opens our server's lock, made for example with openssl rand -hex 32",
        )
}

fn version_parameter() -> Map {
    Map::new()
        .with("Type", "String")
        .with("MinLength", 32_u32)
        .with("MaxLength", 64_u32)
        .with("AllowedPattern", "[A-Za-z0-9-]+")
        .with("Description", "VersionId of the secret in Secrets Manager")
}

fn outputs(distribution: &Distribution) -> Map {
    let output = |words: &str, value| Map::new().with("Description", words).with("Value", value);
    let mut outputs = Map::new()
        .with(
            "DistributionId",
            output("For invalidations", reference("Distribution")),
        )
        .with(
            "DistributionDomain",
            output(
                "Where streams are delivered; what a CNAME points to",
                attribute("Distribution.DomainName"),
            ),
        );
    for key in &distribution.signers {
        let words = "Key-Pair-Id of what this key signs";
        let value = reference(signers::public_key(key));
        outputs = outputs.with(format!("KeyPairId{}", key.id), output(words, value));
    }
    outputs
}
