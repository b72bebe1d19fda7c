//! The keys whose signatures open the distribution.

use super::super::distribution::Distribution;
use super::super::public_key::PublicKey;
use super::super::yaml::{Map, Yaml, reference};

/// Resource of the key group.
pub(super) const GROUP: &str = "KeyGroup";

/// Resource of a public key.
pub(super) fn public_key(key: &PublicKey) -> String {
    format!("PublicKey{}", key.id)
}

pub(super) fn resources(distribution: &Distribution) -> Map {
    let mut resources = Map::new();
    if distribution.signers.is_empty() {
        return resources;
    }
    for key in &distribution.signers {
        resources = resources.with(public_key(key), resource(distribution, key));
    }
    let keys: Vec<Yaml> = distribution
        .signers
        .iter()
        .map(|key| reference(public_key(key)))
        .collect();
    let config = Map::new()
        .with("Name", distribution.named("signers"))
        .with("Items", keys);
    let group = Map::new()
        .with("Type", "AWS::CloudFront::KeyGroup")
        .with("Properties", Map::new().with("KeyGroupConfig", config));
    resources.with(GROUP, group)
}

fn resource(distribution: &Distribution, key: &PublicKey) -> Map {
    let name = distribution.named(&key.id);
    let config = Map::new()
        .with("Name", name.clone())
        .with("CallerReference", name)
        .with("EncodedKey", Yaml::Lines(key.pem.clone()));
    Map::new()
        .with("Type", "AWS::CloudFront::PublicKey")
        .with("Properties", Map::new().with("PublicKeyConfig", config))
}
