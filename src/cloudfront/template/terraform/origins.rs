//! Where objects come from: our server, the bucket, or the one after the other.

use super::super::distribution::{
    BUCKET_ID, Bucket, Distribution, PAIR_ID, SERVER_ID, SecretHeader, SecretPlace, Server,
};
use super::super::hcl::{Body, Hcl, raw};
use super::super::rules;

/// Blocks of the distribution.
pub(super) fn origins(distribution: &Distribution) -> Body {
    let server = distribution.server.as_ref().map(server);
    let bucket = distribution.bucket.as_ref().map(bucket);
    let mut blocks = Body::new();
    for origin in server.into_iter().chain(bucket) {
        blocks = blocks.block("origin", origin.and(shield(distribution)));
    }
    blocks.and(pair(distribution))
}

fn pair(distribution: &Distribution) -> Body {
    if distribution.target_id() != PAIR_ID {
        return Body::new();
    }
    let member = |id: &str| Body::new().with("origin_id", id);
    let statuses: Vec<Hcl> = rules::FAILOVER_STATUSES.map(Hcl::from).into();
    let criteria = Body::new()
        .comment(
            "503 stands for \"can't connect\" too, 504 for \"too slow\". Not 404: the bucket knows no more\n\
             than our server. Not 403: what our server refuses the bucket must not grant.",
        )
        .with("status_codes", statuses);
    let group = Body::new()
        .with("origin_id", PAIR_ID)
        .block("failover_criteria", criteria)
        .block("member", member(SERVER_ID))
        .block("member", member(BUCKET_ID));
    Body::new().block("origin_group", group)
}

fn server(server: &Server) -> Body {
    let mut connection = Body::new()
        .with("origin_protocol_policy", "https-only")
        .with("http_port", 80_u32)
        .with("https_port", server.port)
        .with("origin_ssl_protocols", [rules::ORIGIN_TLS])
        .comment("Longer than our server lets a request wait (10 s).")
        .with("origin_read_timeout", rules::READ_TIMEOUT)
        .comment("Shorter than our server keeps an idle connection (185 s).")
        .with("origin_keepalive_timeout", rules::KEEP_ALIVE_TIMEOUT);
    if let Some(arn) = &server.client_certificate {
        let mtls = Body::new().with("client_certificate_arn", arn.clone());
        connection = connection.block("origin_mtls_config", mtls);
    }
    let origin = start(SERVER_ID, &server.host).block("custom_origin_config", connection);
    match &server.secret {
        Some(header) => origin.block("custom_header", secret(header)),
        None => origin,
    }
}

fn secret(secret: &SecretHeader) -> Body {
    let value = match &secret.place {
        SecretPlace::Parameter => "var.origin_lock_secret",
        SecretPlace::SecretsManager(_) => {
            "data.aws_secretsmanager_secret_version.origin_lock.secret_string"
        }
    };
    Body::new()
        .with("name", secret.name.clone())
        .with("value", raw(value))
}

fn bucket(bucket: &Bucket) -> Body {
    let path = Some(bucket.origin_path()).filter(|path| !path.is_empty());
    start(BUCKET_ID, &bucket.domain())
        .with_some("origin_path", path)
        .with(
            "origin_access_control_id",
            raw("aws_cloudfront_origin_access_control.bucket.id"),
        )
}

fn start(id: &str, domain: &str) -> Body {
    Body::new()
        .with("origin_id", id)
        .with("domain_name", domain)
        .with("connection_attempts", rules::CONNECTION_ATTEMPTS)
        .with("connection_timeout", rules::CONNECTION_TIMEOUT)
        .with(
            "response_completion_timeout",
            rules::RESPONSE_COMPLETION_TIMEOUT,
        )
}

fn shield(distribution: &Distribution) -> Body {
    let Some(region) = &distribution.shield_region else {
        return Body::new();
    };
    let shield = Body::new()
        .with("enabled", true)
        .with("origin_shield_region", region.clone());
    Body::new().block("origin_shield", shield)
}
