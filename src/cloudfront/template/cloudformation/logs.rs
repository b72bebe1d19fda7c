//! Standard access logs (v2) to a bucket.

use super::super::distribution::Distribution;
use super::super::yaml::{Map, attribute, reference, substituted};

pub(super) fn resources(distribution: &Distribution) -> Map {
    let Some(bucket) = &distribution.log_bucket else {
        return Map::new();
    };
    let source = Map::new()
        .with("Name", distribution.named("access"))
        .with("LogType", "ACCESS_LOGS")
        .with(
            "ResourceArn",
            substituted("arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}"),
        );
    let destination = Map::new()
        .with("Name", distribution.named("access-logs"))
        .with("OutputFormat", "json")
        .with("DestinationResourceArn", format!("arn:aws:s3:::{bucket}"));
    let delivery = Map::new()
        .with("DeliverySourceName", reference("AccessLogSource"))
        .with(
            "DeliveryDestinationArn",
            attribute("AccessLogDestination.Arn"),
        );
    let resource =
        |kind: &str, properties: Map| Map::new().with("Type", kind).with("Properties", properties);
    Map::new()
        .with(
            "AccessLogSource",
            resource("AWS::Logs::DeliverySource", source),
        )
        .explained("Deliveries of CloudFront's logs are made in us-east-1: deploy the stack there.")
        .with(
            "AccessLogDestination",
            resource("AWS::Logs::DeliveryDestination", destination),
        )
        .with(
            "AccessLogDelivery",
            resource("AWS::Logs::Delivery", delivery),
        )
}
