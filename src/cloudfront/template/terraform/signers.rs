//! The keys whose signatures open the distribution.

use super::super::distribution::Distribution;
use super::super::hcl::{Body, Hcl, raw};
use super::super::public_key::PublicKey;

/// A public key's resource, as a reference.
pub(super) fn public_key(key: &PublicKey) -> String {
    format!("aws_cloudfront_public_key.{}", name(key))
}

fn name(key: &PublicKey) -> String {
    format!("key_{}", key.id)
}

pub(super) fn resources(distribution: &Distribution) -> Body {
    let mut resources = Body::new();
    if distribution.signers.is_empty() {
        return resources;
    }
    let mut ids: Vec<Hcl> = Vec::new();
    for key in &distribution.signers {
        let body = Body::new()
            .with("name", distribution.named(&key.id))
            .with("encoded_key", Hcl::Lines(key.pem.clone()));
        resources = resources.resource("aws_cloudfront_public_key", &name(key), body);
        ids.push(raw(format!("{}.id", public_key(key))));
    }
    let group = Body::new()
        .with("name", distribution.named("signers"))
        .with("items", ids);
    resources.resource("aws_cloudfront_key_group", "signers", group)
}
