//! Cache policies, response headers, and the function that answers what is no stream.

use super::super::distribution::Distribution;
use super::super::hcl::{Body, Hcl};
use super::super::rules::{self, CachePolicy};

pub(super) fn resources(distribution: &Distribution) -> Body {
    let mut resources = Body::new();
    for policy in distribution.cache_policies() {
        let body = cache_policy(distribution, policy);
        resources = resources.resource("aws_cloudfront_cache_policy", policy.name(), body);
    }
    resources
        .comment(
            "Added where the origin doesn't say it itself, so that answers from the bucket carry what\n\
             answers from our server do.",
        )
        .resource(
            "aws_cloudfront_response_headers_policy",
            "streams",
            response_headers(distribution),
        )
        .comment(
            "Nothing but streams is behind this distribution, and the bucket's root can't be listed.",
        )
        .resource(
            "aws_cloudfront_function",
            "not_found",
            not_found(distribution),
        )
}

fn cache_policy(distribution: &Distribution, policy: CachePolicy) -> Body {
    let none = |name: &str| Body::new().with(name, "none");
    let key = Body::new()
        .with("enable_accept_encoding_brotli", policy.is_encoded())
        .with("enable_accept_encoding_gzip", policy.is_encoded())
        .block("cookies_config", none("cookie_behavior"))
        .block("headers_config", none("header_behavior"))
        .block("query_strings_config", none("query_string_behavior"));
    Body::new()
        .with("name", distribution.named(policy.name()))
        .with("comment", policy.comment())
        .with("min_ttl", policy.min_ttl())
        .with("default_ttl", policy.default_ttl())
        .with("max_ttl", policy.max_ttl())
        .block("parameters_in_cache_key_and_forwarded_to_origin", key)
}

fn response_headers(distribution: &Distribution) -> Body {
    let mut added = Body::new();
    for (name, value) in rules::ADDED_HEADERS {
        let header = Body::new()
            .with("header", name)
            .with("value", value)
            .with("override", false);
        added = added.block("items", header);
    }
    let nosniff = Body::new().block("content_type_options", Body::new().with("override", true));
    Body::new()
        .with("name", distribution.named("streams"))
        .block("cors_config", cors(distribution))
        .block("custom_headers_config", added)
        .block("security_headers_config", nosniff)
}

fn cors(distribution: &Distribution) -> Body {
    let items = |list: Hcl| Body::new().with("items", list);
    let pages = &distribution.pages;
    Body::new()
        .with("access_control_allow_credentials", pages.has_credentials())
        .with("access_control_max_age_sec", rules::PREFLIGHT_TTL)
        .with("origin_override", pages.has_credentials())
        .block(
            "access_control_allow_headers",
            items(rules::ALLOWED_HEADERS.into()),
        )
        .block(
            "access_control_allow_methods",
            items(rules::SCRIPT_METHODS.into()),
        )
        .block(
            "access_control_allow_origins",
            items(pages.origins().into()),
        )
        .block(
            "access_control_expose_headers",
            items(rules::EXPOSED_HEADERS.into()),
        )
}

fn not_found(distribution: &Distribution) -> Body {
    Body::new()
        .with("name", distribution.named("not-found"))
        .with("comment", "Answers what is no stream")
        .with("runtime", "cloudfront-js-2.0")
        .with("publish", true)
        .with("code", Hcl::Lines(rules::NOT_FOUND_FUNCTION.into()))
}
