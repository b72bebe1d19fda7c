//! The distribution itself.

use super::super::distribution::Distribution;
use super::super::hcl::{Body, Hcl, raw};
use super::super::rules::{self, BEHAVIOURS, CachePolicy};
use super::origins;

pub(super) fn resource(distribution: &Distribution) -> Body {
    let aliases = distribution.viewer.as_ref().map(|v| v.names.clone());
    let body = Body::new()
        .with(
            "comment",
            format!("Headwater streams ({})", distribution.name),
        )
        .with("enabled", true)
        .with("http_version", "http2and3")
        .with("is_ipv6_enabled", true)
        .with("price_class", distribution.price_class.name())
        .with_some("aliases", aliases)
        .block("viewer_certificate", certificate(distribution))
        .and(origins::origins(distribution))
        .comment("The first pattern that matches decides.")
        .and(behaviours(distribution))
        .block("default_cache_behavior", not_found(distribution))
        .comment("How long errors stay in caches; CloudFront's default is 10 s.")
        .and(errors())
        .block(
            "cache_tag_config",
            Body::new().with("header_name", rules::TAG_HEADER),
        )
        .block("restrictions", anywhere());
    Body::new().resource("aws_cloudfront_distribution", "streams", body)
}

fn certificate(distribution: &Distribution) -> Body {
    match &distribution.viewer {
        None => Body::new().with("cloudfront_default_certificate", true),
        Some(viewer) => Body::new()
            .with("acm_certificate_arn", viewer.certificate.clone())
            .with("ssl_support_method", "sni-only")
            .with("minimum_protocol_version", rules::VIEWER_TLS),
    }
}

fn behaviours(distribution: &Distribution) -> Body {
    let mut blocks = Body::new();
    for pattern in rules::HIDDEN {
        let hidden = Body::new().with("path_pattern", pattern);
        blocks = blocks.block(
            "ordered_cache_behavior",
            hidden.and(not_found(distribution)),
        );
    }
    if distribution.server.is_some() {
        let server = distribution.single_id();
        let body = delivered(distribution, rules::KEYS, CachePolicy::Keys, server)
            .with("viewer_protocol_policy", "https-only")
            .with("allowed_methods", rules::KEY_METHODS)
            .with("cached_methods", rules::KEY_METHODS_KEPT);
        blocks = blocks.block("ordered_cache_behavior", body);
    }
    for (pattern, policy) in BEHAVIOURS {
        let request_policy = distribution.request_policy();
        let body = delivered(distribution, pattern, policy, distribution.target_id())
            .with_some("origin_request_policy_id", request_policy)
            .and(methods());
        blocks = blocks.block("ordered_cache_behavior", body);
    }
    blocks
}

/// What behaviours of objects have in common.
fn delivered(
    distribution: &Distribution,
    pattern: &str,
    policy: CachePolicy,
    target: &'static str,
) -> Body {
    let signers = (!distribution.signers.is_empty())
        .then(|| vec![raw("aws_cloudfront_key_group.signers.id")]);
    Body::new()
        .with("path_pattern", pattern)
        .with("target_origin_id", target)
        .with("cache_policy_id", policy_id(policy))
        .with(
            "response_headers_policy_id",
            raw("aws_cloudfront_response_headers_policy.streams.id"),
        )
        .with("compress", policy.is_encoded())
        .with_some("trusted_key_groups", signers)
}

fn policy_id(policy: CachePolicy) -> Hcl {
    raw(format!("aws_cloudfront_cache_policy.{}.id", policy.name()))
}

fn methods() -> Body {
    Body::new()
        .with("viewer_protocol_policy", "redirect-to-https")
        .with("allowed_methods", rules::METHODS)
        .with("cached_methods", rules::METHODS)
}

/// What is answered at the edge.
fn not_found(distribution: &Distribution) -> Body {
    let function = Body::new()
        .with("event_type", "viewer-request")
        .with("function_arn", raw("aws_cloudfront_function.not_found.arn"));
    Body::new()
        .with("target_origin_id", distribution.single_id())
        .with("cache_policy_id", policy_id(CachePolicy::Entries))
        .and(methods())
        .block("function_association", function)
}

fn errors() -> Body {
    let mut blocks = Body::new();
    for (status, seconds) in rules::ERROR_TTLS {
        let error = Body::new()
            .with("error_code", status)
            .with("error_caching_min_ttl", seconds);
        blocks = blocks.block("custom_error_response", error);
    }
    blocks
}

fn anywhere() -> Body {
    Body::new().block(
        "geo_restriction",
        Body::new().with("restriction_type", "none"),
    )
}
