//! Standard access logs (v2) to a bucket.

use super::super::distribution::Distribution;
use super::super::hcl::{Body, raw};

/// Where deliveries of CloudFront's logs are made.
const REGION: &str = "us-east-1";

pub(super) fn resources(distribution: &Distribution) -> Body {
    let Some(bucket) = &distribution.log_bucket else {
        return Body::new();
    };
    let start = || Body::new().with("region", REGION);
    let source = start()
        .with("name", distribution.named("access"))
        .with("log_type", "ACCESS_LOGS")
        .with(
            "resource_arn",
            raw("aws_cloudfront_distribution.streams.arn"),
        );
    let place = Body::new().with("destination_resource_arn", format!("arn:aws:s3:::{bucket}"));
    let destination = start()
        .with("name", distribution.named("access-logs"))
        .with("output_format", "json")
        .block("delivery_destination_configuration", place);
    let delivery = start()
        .with(
            "delivery_source_name",
            raw("aws_cloudwatch_log_delivery_source.access.name"),
        )
        .with(
            "delivery_destination_arn",
            raw("aws_cloudwatch_log_delivery_destination.access.arn"),
        );
    Body::new()
        .resource("aws_cloudwatch_log_delivery_source", "access", source)
        .resource(
            "aws_cloudwatch_log_delivery_destination",
            "access",
            destination,
        )
        .resource("aws_cloudwatch_log_delivery", "access", delivery)
}
