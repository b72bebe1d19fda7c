//! Cache policies, response headers, and the function that answers what is no stream.

use super::super::distribution::Distribution;
use super::super::rules::{self, CachePolicy};
use super::super::yaml::{Map, Yaml};

/// Resource of the response-headers policy.
pub(super) const RESPONSE_HEADERS: &str = "ResponseHeaders";
/// Resource of the function that answers with 404.
pub(super) const NOT_FOUND: &str = "NotFoundFunction";

/// Resource of a cache policy.
pub(super) fn cache_policy(policy: CachePolicy) -> &'static str {
    match policy {
        CachePolicy::Segments => "SegmentsCachePolicy",
        CachePolicy::Playlists => "PlaylistsCachePolicy",
        CachePolicy::Entries => "EntriesCachePolicy",
        CachePolicy::Keys => "KeysCachePolicy",
    }
}

pub(super) fn resources(distribution: &Distribution) -> Map {
    let mut resources = Map::new();
    for policy in distribution.cache_policies() {
        resources = resources.with(cache_policy(policy), cache_policy_of(distribution, policy));
    }
    resources
        .with(RESPONSE_HEADERS, response_headers(distribution))
        .explained(
            "Added where the origin doesn't say it itself, so that answers from the bucket carry\n\
             what answers from our server do.",
        )
        .with(NOT_FOUND, not_found(distribution))
        .explained(
            "Nothing but streams is behind this distribution, and the bucket's root can't be listed.",
        )
}

fn resource(kind: &str, properties: Map) -> Map {
    Map::new().with("Type", kind).with("Properties", properties)
}

fn cache_policy_of(distribution: &Distribution, policy: CachePolicy) -> Map {
    let none = |name: &str| Map::new().with(name, "none");
    let key = Map::new()
        .with("EnableAcceptEncodingBrotli", policy.is_encoded())
        .with("EnableAcceptEncodingGzip", policy.is_encoded())
        .with("CookiesConfig", none("CookieBehavior"))
        .with("HeadersConfig", none("HeaderBehavior"))
        .with("QueryStringsConfig", none("QueryStringBehavior"));
    let config = Map::new()
        .with("Name", distribution.named(policy.name()))
        .with("Comment", policy.comment())
        .with("MinTTL", policy.min_ttl())
        .with("DefaultTTL", policy.default_ttl())
        .with("MaxTTL", policy.max_ttl())
        .with("ParametersInCacheKeyAndForwardedToOrigin", key);
    resource(
        "AWS::CloudFront::CachePolicy",
        Map::new().with("CachePolicyConfig", config),
    )
}

fn response_headers(distribution: &Distribution) -> Map {
    let added = rules::ADDED_HEADERS.map(|(name, value)| {
        Map::new()
            .with("Header", name)
            .with("Value", value)
            .with("Override", false)
    });
    let config = Map::new()
        .with("Name", distribution.named("streams"))
        .with("CorsConfig", cors(distribution))
        .with("CustomHeadersConfig", Map::new().with("Items", added))
        .with(
            "SecurityHeadersConfig",
            Map::new().with("ContentTypeOptions", Map::new().with("Override", true)),
        );
    resource(
        "AWS::CloudFront::ResponseHeadersPolicy",
        Map::new().with("ResponseHeadersPolicyConfig", config),
    )
}

fn cors(distribution: &Distribution) -> Map {
    let items = |list: Yaml| Map::new().with("Items", list);
    let pages = &distribution.pages;
    Map::new()
        .with("AccessControlAllowCredentials", pages.has_credentials())
        .with(
            "AccessControlAllowHeaders",
            items(rules::ALLOWED_HEADERS.into()),
        )
        .with(
            "AccessControlAllowMethods",
            items(rules::SCRIPT_METHODS.into()),
        )
        .with("AccessControlAllowOrigins", items(pages.origins().into()))
        .with(
            "AccessControlExposeHeaders",
            items(rules::EXPOSED_HEADERS.into()),
        )
        .with("AccessControlMaxAgeSec", rules::PREFLIGHT_TTL)
        .with("OriginOverride", pages.has_credentials())
}

fn not_found(distribution: &Distribution) -> Map {
    let config = Map::new()
        .with("Comment", "Answers what is no stream")
        .with("Runtime", "cloudfront-js-2.0");
    let properties = Map::new()
        .with("Name", distribution.named("not-found"))
        .with("AutoPublish", true)
        .with("FunctionConfig", config)
        .with(
            "FunctionCode",
            Yaml::Lines(rules::NOT_FOUND_FUNCTION.into()),
        );
    resource("AWS::CloudFront::Function", properties)
}
