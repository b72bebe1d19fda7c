//! The bucket that our server fills, and CloudFront's way into it.

use super::super::distribution::{Bucket, Distribution};
use super::super::rules;
use super::super::yaml::{Map, Yaml, reference, substituted};

/// Resource of the origin access control.
pub(super) const ORIGIN_ACCESS_CONTROL: &str = "OriginAccessControl";

pub(super) fn resources(distribution: &Distribution) -> Map {
    let Some(bucket) = &distribution.bucket else {
        return Map::new();
    };
    let mut resources = Map::new().with(ORIGIN_ACCESS_CONTROL, access_control(distribution));
    if !bucket.exists {
        resources = resources
            .with("Bucket", new_bucket(distribution, bucket))
            .explained("Stays, with all streams, when the stack is deleted.");
    }
    resources.with("BucketPolicy", policy(bucket)).explained(
        "CloudFront reads what is delivered and nothing else. It may list, so that a missing\n\
             object is 404; without that S3 says 403, which looks like a fault.",
    )
}

fn access_control(distribution: &Distribution) -> Map {
    let config = Map::new()
        .with("Name", distribution.named("bucket"))
        .with("OriginAccessControlOriginType", "s3")
        .with("SigningBehavior", "always")
        .with("SigningProtocol", "sigv4");
    Map::new()
        .with("Type", "AWS::CloudFront::OriginAccessControl")
        .with(
            "Properties",
            Map::new().with("OriginAccessControlConfig", config),
        )
}

fn new_bucket(distribution: &Distribution, bucket: &Bucket) -> Map {
    let owner = Map::new().with("ObjectOwnership", "BucketOwnerEnforced");
    let closed = Map::new()
        .with("BlockPublicAcls", true)
        .with("BlockPublicPolicy", true)
        .with("IgnorePublicAcls", true)
        .with("RestrictPublicBuckets", true);
    let sweep = Map::new()
        .with("Id", "unfinished-uploads")
        .with("Status", "Enabled")
        .with(
            "AbortIncompleteMultipartUpload",
            Map::new().with("DaysAfterInitiation", 7_u32),
        );
    let properties = Map::new()
        .with("BucketName", bucket.name.clone())
        .with("OwnershipControls", Map::new().with("Rules", vec![owner]))
        .with("PublicAccessBlockConfiguration", closed)
        .with("CorsConfiguration", cors(distribution))
        .with(
            "LifecycleConfiguration",
            Map::new().with("Rules", vec![sweep]),
        );
    Map::new()
        .with("Type", "AWS::S3::Bucket")
        .with("DeletionPolicy", "Retain")
        .with("UpdateReplacePolicy", "Retain")
        .with("Properties", properties)
}

fn cors(distribution: &Distribution) -> Map {
    let rule = Map::new()
        .with("AllowedOrigins", distribution.pages.origins())
        .with("AllowedMethods", ["GET", "HEAD"])
        .with("AllowedHeaders", rules::ALLOWED_HEADERS)
        .with("ExposedHeaders", rules::EXPOSED_HEADERS)
        .with("MaxAge", rules::PREFLIGHT_TTL);
    Map::new().with("CorsRules", vec![rule])
}

fn policy(bucket: &Bucket) -> Map {
    let arn = format!("arn:aws:s3:::{}", bucket.name);
    let keys = format!("{arn}{}", bucket.readable_keys());
    let statements = [("s3:GetObject", keys), ("s3:ListBucket", arn)]
        .map(|(action, resource)| statement(action, resource));
    let document = Map::new()
        .with("Version", "2012-10-17")
        .with("Statement", statements);
    let name = match bucket.exists {
        true => Yaml::from(bucket.name.clone()),
        false => reference("Bucket"),
    };
    Map::new().with("Type", "AWS::S3::BucketPolicy").with(
        "Properties",
        Map::new()
            .with("Bucket", name)
            .with("PolicyDocument", document),
    )
}

fn statement(action: &str, resource: String) -> Map {
    let this = substituted("arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}");
    Map::new()
        .with("Effect", "Allow")
        .with(
            "Principal",
            Map::new().with("Service", "cloudfront.amazonaws.com"),
        )
        .with("Action", action)
        .with("Resource", resource)
        .with(
            "Condition",
            Map::new().with("StringEquals", Map::new().with("AWS:SourceArn", this)),
        )
}
