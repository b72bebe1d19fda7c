//! How hosts, regions, buckets and ARNs are written at AWS. Whether they exist only AWS knows.
//!
//! The options named in the errors are those of `headwater cloudfront template`.

use crate::error::{Error, Result};

/// `HOST` or `HOST:PORT`, with a port that CloudFront connects to.
pub(super) fn host_and_port(origin: &str) -> Result<(String, u16)> {
    if origin.contains("://") || origin.contains('/') {
        return Err(Error::invalid(format!(
            "--origin {origin}: write the host only, without scheme and path, for example origin.example.com"
        )));
    }
    let (host, port) = match origin.rsplit_once(':') {
        None => (origin, Some(443)),
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)),
    };
    check_host("--origin", host)?;
    let port = port.filter(|port: &u16| *port == 80 || *port == 443 || *port >= 1024);
    match port {
        Some(port) => Ok((host.to_ascii_lowercase(), port)),
        None => Err(Error::invalid(format!(
            "--origin {origin}: CloudFront connects to ports 80, 443 and 1024 to 65535"
        ))),
    }
}

/// A public DNS name.
pub(super) fn check_host(option: &str, host: &str) -> Result<()> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let has_letters = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()));
    if host.len() <= 253 && host.contains('.') && has_letters && host.split('.').all(is_label) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{option} {host}: write a public DNS name such as video.example.com; CloudFront takes no addresses and no local names"
    )))
}

/// A region of AWS outside China.
pub(super) fn check_region(option: &str, region: &str) -> Result<()> {
    let parts: Vec<&str> = region.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_sound = matches!(parts.as_slice(), [words @ .., number]
        if words.len() >= 2 && words.iter().all(is_word) && number.parse::<u8>().is_ok());
    if is_sound && !region.starts_with("cn-") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{option} {region}: write an AWS region, for example eu-central-1 (China has a CloudFront of its own, which this isn't for)"
    )))
}

/// The naming rules of S3's general purpose buckets.
pub(super) fn check_bucket(option: &str, name: &str) -> Result<()> {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_sound = (3..=63).contains(&name.len())
        && name.chars().all(|c| is_edge(c) || c == '-' || c == '.')
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && !name.contains("..");
    match is_sound {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "{option} {name}: write a bucket's name, 3 to 63 lower-case letters, digits, hyphens and dots, without s3://"
        ))),
    }
}

/// What stands before `v/` in a bucket, without slashes at its ends.
pub(super) fn check_prefix(prefix: &str) -> Result<String> {
    let prefix = prefix.trim_matches('/');
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if prefix.is_empty() || prefix.split('/').all(is_part) && prefix.len() <= 200 {
        return Ok(prefix.to_owned());
    }
    Err(Error::invalid(format!(
        "--bucket-prefix {prefix}: write what stands behind the bucket in --store, letters, digits, '-', '_', '.' and '/'"
    )))
}

/// ARN of a certificate.
pub(super) fn check_certificate(option: &str, arn: &str) -> Result<()> {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_sound = matches!(parts.as_slice(), ["arn", "aws", "acm", region, account, resource]
        if !region.is_empty() && is_account(account) && resource.starts_with("certificate/"));
    let is_plain = arn
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b":/-".contains(&b));
    match is_sound && is_plain {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "{option} {arn}: write the ARN of a certificate in AWS Certificate Manager, arn:aws:acm:us-east-1:ACCOUNT:certificate/ID"
        ))),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A secret's name or ARN, such that it can stand in a dynamic reference.
pub(super) fn check_secret_id(secret: &str) -> Result<String> {
    let is_sound = !secret.is_empty()
        && secret
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_+=.@:-".contains(&b))
        && (!secret.contains(':') || secret.starts_with("arn:aws:secretsmanager:"));
    match is_sound {
        true => Ok(secret.to_owned()),
        false => Err(Error::invalid(format!(
            "--origin-lock-secret {secret}: write the name or ARN of a secret in Secrets Manager, not the secret"
        ))),
    }
}

/// A header that CloudFront can be told to add.
pub(super) fn check_header(name: &str) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_taken = ["x-amz-", "x-edge-", "proxy-", "if-", "cloudfront-"]
        .iter()
        .any(|start| lower.starts_with(start))
        || !lower.starts_with("x-");
    if is_name && !is_taken && lower != "x-real-ip" && lower != "x-forwarded-for" {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "--origin-lock-header {name}: write a header of your own that begins with X-, for example X-Origin-Verify"
    )))
}
