//! Where objects come from: our server, the bucket, or the one after the other.

use super::super::distribution::{
    BUCKET_ID, Bucket, Distribution, PAIR_ID, SERVER_ID, SecretHeader, SecretPlace, Server,
};
use super::super::rules;
use super::super::yaml::{Map, Yaml, reference, substituted};
use super::{LOCK_SECRET, LOCK_VERSION, bucket};

pub(super) fn origins(distribution: &Distribution) -> Vec<Map> {
    let server = distribution.server.as_ref().map(server);
    let bucket = distribution.bucket.as_ref().map(bucket_origin);
    let origins = server.into_iter().chain(bucket);
    origins
        .map(|origin| origin.and(shield(distribution)))
        .collect()
}

/// The pair, if there are both.
pub(super) fn groups(distribution: &Distribution) -> Option<Map> {
    if distribution.target_id() != PAIR_ID {
        return None;
    }
    let list = |items: Vec<Yaml>| {
        let quantity = u32::try_from(items.len()).unwrap_or(u32::MAX);
        Map::new().with("Quantity", quantity).with("Items", items)
    };
    let statuses = list(rules::FAILOVER_STATUSES.map(Yaml::from).into());
    let member = |id: &str| Yaml::from(Map::new().with("OriginId", id));
    let pair = Map::new()
        .with("Id", PAIR_ID)
        .with(
            "FailoverCriteria",
            Map::new().with("StatusCodes", statuses),
        )
        .explained(
            "503 stands for \"can't connect\" too, 504 for \"too slow\". Not 404: the bucket knows\n\
             no more than our server. Not 403: what our server refuses the bucket must not grant.",
        )
        .with("Members", list(vec![member(SERVER_ID), member(BUCKET_ID)]));
    Some(Map::new().with("Quantity", 1_u32).with("Items", vec![pair]))
}

fn server(server: &Server) -> Map {
    let mtls = server
        .client_certificate
        .as_ref()
        .map(|arn| Map::new().with("ClientCertificateArn", arn.clone()));
    let connection = Map::new()
        .with("OriginProtocolPolicy", "https-only")
        .with("HTTPSPort", server.port)
        .with("OriginSSLProtocols", [rules::ORIGIN_TLS])
        .with("OriginReadTimeout", rules::READ_TIMEOUT)
        .explained("Longer than our server lets a request wait (10 s).")
        .with("OriginKeepaliveTimeout", rules::KEEP_ALIVE_TIMEOUT)
        .explained("Shorter than our server keeps an idle connection (185 s).")
        .with_some("OriginMtlsConfig", mtls);
    start(SERVER_ID, &server.host)
        .with("CustomOriginConfig", connection)
        .with_some("OriginCustomHeaders", server.secret.as_ref().map(secret))
}

fn secret(secret: &SecretHeader) -> Vec<Map> {
    let value = match &secret.place {
        SecretPlace::Parameter => reference(LOCK_SECRET),
        SecretPlace::SecretsManager(id) => substituted(format!(
            "{{{{resolve:secretsmanager:{id}:SecretString:::${{{LOCK_VERSION}}}}}}}"
        )),
    };
    vec![
        Map::new()
            .with("HeaderName", secret.name.clone())
            .with("HeaderValue", value),
    ]
}

fn bucket_origin(origin: &Bucket) -> Map {
    let path = Some(origin.origin_path()).filter(|path| !path.is_empty());
    start(BUCKET_ID, &origin.domain())
        .with_some("OriginPath", path)
        .with(
            "S3OriginConfig",
            Map::new().with("OriginAccessIdentity", ""),
        )
        .with(
            "OriginAccessControlId",
            reference(bucket::ORIGIN_ACCESS_CONTROL),
        )
}

fn start(id: &str, domain: &str) -> Map {
    Map::new()
        .with("Id", id)
        .with("DomainName", domain)
        .with("ConnectionAttempts", rules::CONNECTION_ATTEMPTS)
        .with("ConnectionTimeout", rules::CONNECTION_TIMEOUT)
        .with(
            "ResponseCompletionTimeout",
            rules::RESPONSE_COMPLETION_TIMEOUT,
        )
}

fn shield(distribution: &Distribution) -> Map {
    let Some(region) = &distribution.shield_region else {
        return Map::new();
    };
    let shield = Map::new()
        .with("Enabled", true)
        .with("OriginShieldRegion", region.clone());
    Map::new().with("OriginShield", shield)
}
