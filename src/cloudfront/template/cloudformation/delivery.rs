//! The distribution itself.

use super::super::distribution::Distribution;
use super::super::rules::{self, BEHAVIOURS, CachePolicy};
use super::super::yaml::{Map, attribute, reference};
use super::{origins, policies, signers};

pub(super) fn resource(distribution: &Distribution) -> Map {
    let config = Map::new()
        .with(
            "Comment",
            format!("Headwater streams ({})", distribution.name),
        )
        .with("Enabled", true)
        .with("HttpVersion", "http2and3")
        .with("IPV6Enabled", true)
        .with("PriceClass", distribution.price_class.name())
        .and(viewer(distribution))
        .with("Origins", origins::origins(distribution))
        .with_some("OriginGroups", origins::groups(distribution))
        .with("CacheBehaviors", behaviours(distribution))
        .explained("The first pattern that matches decides.")
        .with("DefaultCacheBehavior", not_found(distribution))
        .with("CustomErrorResponses", errors())
        .explained("How long errors stay in caches; CloudFront's default is 10 s.")
        .with(
            "CacheTagConfig",
            Map::new().with("HeaderName", rules::TAG_HEADER),
        );
    let resource = Map::new()
        .with("Type", "AWS::CloudFront::Distribution")
        .with("Properties", Map::new().with("DistributionConfig", config));
    Map::new().with("Distribution", resource)
}

fn viewer(distribution: &Distribution) -> Map {
    let Some(viewer) = &distribution.viewer else {
        let own = Map::new().with("CloudFrontDefaultCertificate", true);
        return Map::new().with("ViewerCertificate", own);
    };
    let certificate = Map::new()
        .with("AcmCertificateArn", viewer.certificate.clone())
        .with("SslSupportMethod", "sni-only")
        .with("MinimumProtocolVersion", rules::VIEWER_TLS);
    Map::new()
        .with("Aliases", viewer.names.clone())
        .with("ViewerCertificate", certificate)
}

fn behaviours(distribution: &Distribution) -> Vec<Map> {
    let behaviour = |(pattern, policy): (&str, CachePolicy)| {
        let request_policy = distribution.request_policy();
        delivered(distribution, pattern, policy, distribution.target_id())
            .with_some("OriginRequestPolicyId", request_policy)
            .and(methods())
    };
    let keys = distribution.server.is_some().then(|| {
        let server = distribution.single_id();
        delivered(distribution, rules::KEYS, CachePolicy::Keys, server)
            .with("ViewerProtocolPolicy", "https-only")
            .with("AllowedMethods", rules::KEY_METHODS)
            .with("CachedMethods", rules::KEY_METHODS_KEPT)
    });
    let hidden = rules::HIDDEN.map(|pattern| {
        let pattern = Map::new().with("PathPattern", pattern);
        pattern.and(not_found(distribution))
    });
    let delivered = BEHAVIOURS.into_iter().map(behaviour);
    hidden.into_iter().chain(keys).chain(delivered).collect()
}

/// What behaviours of objects have in common.
fn delivered(
    distribution: &Distribution,
    pattern: &str,
    policy: CachePolicy,
    target: &'static str,
) -> Map {
    let signers = (!distribution.signers.is_empty()).then(|| vec![reference(signers::GROUP)]);
    Map::new()
        .with("PathPattern", pattern)
        .with("TargetOriginId", target)
        .with("CachePolicyId", reference(policies::cache_policy(policy)))
        .with(
            "ResponseHeadersPolicyId",
            reference(policies::RESPONSE_HEADERS),
        )
        .with("Compress", policy.is_encoded())
        .with_some("TrustedKeyGroups", signers)
}

fn methods() -> Map {
    Map::new()
        .with("ViewerProtocolPolicy", "redirect-to-https")
        .with("AllowedMethods", rules::METHODS)
        .with("CachedMethods", rules::METHODS)
}

/// What is answered at the edge.
fn not_found(distribution: &Distribution) -> Map {
    let function = Map::new().with("EventType", "viewer-request").with(
        "FunctionARN",
        attribute(format!("{}.FunctionARN", policies::NOT_FOUND)),
    );
    Map::new()
        .with("TargetOriginId", distribution.single_id())
        .with(
            "CachePolicyId",
            reference(policies::cache_policy(CachePolicy::Entries)),
        )
        .with("FunctionAssociations", vec![function])
        .and(methods())
}

fn errors() -> Vec<Map> {
    let error = |(status, seconds): (u16, u32)| {
        Map::new()
            .with("ErrorCode", status)
            .with("ErrorCachingMinTTL", seconds)
    };
    rules::ERROR_TTLS.into_iter().map(error).collect()
}
