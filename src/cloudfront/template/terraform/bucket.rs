//! The bucket that our server fills, and CloudFront's way into it.

use super::super::distribution::{Bucket, Distribution};
use super::super::hcl::{Body, Hcl, object, raw};
use super::super::rules;

pub(super) fn resources(distribution: &Distribution) -> Body {
    let Some(bucket) = &distribution.bucket else {
        return Body::new();
    };
    let mut resources = Body::new().resource(
        "aws_cloudfront_origin_access_control",
        "bucket",
        access_control(distribution),
    );
    if let Some(new) = distribution.new_bucket() {
        resources = resources.and(new_bucket(distribution, new));
    }
    resources
        .comment(
            "CloudFront reads what is delivered and nothing else. It may list, so that a missing object\n\
             is 404; without that S3 says 403, which looks like a fault.",
        )
        .resource("aws_s3_bucket_policy", "streams", policy(bucket))
}

fn access_control(distribution: &Distribution) -> Body {
    Body::new()
        .with("name", distribution.named("bucket"))
        .with("origin_access_control_origin_type", "s3")
        .with("signing_behavior", "always")
        .with("signing_protocol", "sigv4")
}

fn new_bucket(distribution: &Distribution, bucket: &Bucket) -> Body {
    let keep = Body::new().with("prevent_destroy", true);
    let made = Body::new()
        .with("region", bucket.region.clone())
        .with("bucket", bucket.name.clone())
        .block("lifecycle", keep);
    let owner = Body::new().with("object_ownership", "BucketOwnerEnforced");
    let closed = in_bucket(bucket)
        .with("block_public_acls", true)
        .with("block_public_policy", true)
        .with("ignore_public_acls", true)
        .with("restrict_public_buckets", true);
    Body::new()
        .comment("Holds all streams: Terraform refuses to destroy it.")
        .resource("aws_s3_bucket", "streams", made)
        .resource(
            "aws_s3_bucket_ownership_controls",
            "streams",
            in_bucket(bucket).block("rule", owner),
        )
        .resource("aws_s3_bucket_public_access_block", "streams", closed)
        .resource(
            "aws_s3_bucket_cors_configuration",
            "streams",
            in_bucket(bucket).block("cors_rule", cors(distribution)),
        )
        .resource(
            "aws_s3_bucket_lifecycle_configuration",
            "streams",
            in_bucket(bucket).block("rule", sweep()),
        )
}

/// The start of every resource that belongs to the bucket.
fn in_bucket(bucket: &Bucket) -> Body {
    let name = match bucket.exists {
        true => Hcl::from(bucket.name.clone()),
        false => raw("aws_s3_bucket.streams.bucket"),
    };
    Body::new()
        .with("region", bucket.region.clone())
        .with("bucket", name)
}

fn cors(distribution: &Distribution) -> Body {
    Body::new()
        .with("allowed_origins", distribution.pages.origins())
        .with("allowed_methods", ["GET", "HEAD"])
        .with("allowed_headers", rules::ALLOWED_HEADERS)
        .with("expose_headers", rules::EXPOSED_HEADERS)
        .with("max_age_seconds", rules::PREFLIGHT_TTL)
}

fn sweep() -> Body {
    Body::new()
        .with("id", "unfinished-uploads")
        .with("status", "Enabled")
        .block("filter", Body::new())
        .block(
            "abort_incomplete_multipart_upload",
            Body::new().with("days_after_initiation", 7_u32),
        )
}

fn policy(bucket: &Bucket) -> Body {
    let arn = format!("arn:aws:s3:::{}", bucket.name);
    let keys = format!("{arn}{}", bucket.readable_keys());
    let statements = [("s3:GetObject", keys), ("s3:ListBucket", arn)]
        .map(|(action, resource)| statement(action, resource));
    let document = object([
        ("Version", "2012-10-17".into()),
        ("Statement", statements.into()),
    ]);
    in_bucket(bucket).with("policy", Hcl::Json(Box::new(document)))
}

fn statement(action: &str, resource: String) -> Hcl {
    let this = object([(
        "AWS:SourceArn",
        raw("aws_cloudfront_distribution.streams.arn"),
    )]);
    object([
        ("Effect", "Allow".into()),
        (
            "Principal",
            object([("Service", "cloudfront.amazonaws.com".into())]),
        ),
        ("Action", action.into()),
        ("Resource", resource.into()),
        ("Condition", object([("StringEquals", this)])),
    ])
}
