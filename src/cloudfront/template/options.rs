//! What somebody asks of a distribution, as text, and the checks that make a [`Distribution`] of
//! it.

use super::distribution::{
    Bucket, Distribution, Pages, PriceClass, SecretHeader, SecretPlace, Server, ViewerDomain,
};
use super::names::{
    check_bucket, check_certificate, check_header, check_host, check_prefix, check_region,
    check_secret_id, host_and_port,
};
use super::public_key::PublicKey;
use super::rules::SHIELD_REGIONS;
use crate::error::{Error, Result};

/// The region that CloudFront takes certificates and log deliveries from.
const GLOBAL_REGION: &str = "us-east-1";

/// What is asked of a distribution, not checked yet. An empty list or `None` means "not asked".
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What the resources' names begin with; empty: `headwater`.
    pub name: String,
    /// Our server: `HOST` or `HOST:PORT`.
    pub origin: Option<String>,
    /// Name of the header that opens our server's lock.
    pub lock_header: Option<String>,
    /// Name or ARN of the secret with that header's value in Secrets Manager.
    pub lock_secret: Option<String>,
    /// ARN of the client certificate that opens our server's lock.
    pub client_certificate: Option<String>,
    /// Name of the bucket.
    pub bucket: Option<String>,
    /// Its region.
    pub bucket_region: Option<String>,
    /// What stands before `v/` in its keys.
    pub bucket_prefix: Option<String>,
    /// The bucket is there already.
    pub bucket_exists: bool,
    /// Names of the distribution's own.
    pub domains: Vec<String>,
    /// ARN of a certificate for them.
    pub certificate: Option<String>,
    /// Origins of the pages that may use the streams with cookies.
    pub allowed_origins: Vec<String>,
    /// Public keys in PEM; with them only signed requests are answered.
    pub public_keys: Vec<String>,
    /// Region of the Origin Shield.
    pub shield_region: Option<String>,
    /// How much of the world it has edges in.
    pub price_class: PriceClass,
    /// The bucket that access logs go to.
    pub log_bucket: Option<String>,
}

impl Options {
    /// The distribution that is asked for.
    ///
    /// # Errors
    /// Invalid, naming the option and the fix, at the first that is wrong or lacks another.
    pub fn check(&self) -> Result<Distribution> {
        let distribution = Distribution {
            name: self.name()?,
            server: self.server()?,
            bucket: self.bucket()?,
            viewer: self.viewer()?,
            pages: self.pages()?,
            signers: self.signers()?,
            shield_region: self.shield_region()?,
            price_class: self.price_class,
            log_bucket: self.log_bucket()?,
        };
        if distribution.server.is_none() && distribution.bucket.is_none() {
            return Err(Error::invalid(
                "nothing to deliver from: name the server with --origin, the bucket with --bucket, or both",
            ));
        }
        Ok(distribution)
    }

    fn name(&self) -> Result<String> {
        let name = if self.name.is_empty() {
            "headwater"
        } else {
            &self.name
        };
        let is_sound = name.len() <= 40
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match is_sound {
            true => Ok(name.to_owned()),
            false => Err(Error::invalid(format!(
                "--name {name}: write at most 40 letters, digits and hyphens, a letter first"
            ))),
        }
    }

    fn server(&self) -> Result<Option<Server>> {
        let Some(origin) = &self.origin else {
            let locks = [
                &self.lock_header,
                &self.lock_secret,
                &self.client_certificate,
            ];
            if locks.into_iter().any(Option::is_some) {
                return Err(Error::invalid(
                    "an origin lock needs the origin that it locks: add --origin HOST",
                ));
            }
            return Ok(None);
        };
        let (host, port) = host_and_port(origin)?;
        if let Some(arn) = &self.client_certificate {
            check_certificate("--origin-mtls", arn)?;
        }
        Ok(Some(Server {
            host,
            port,
            secret: self.secret()?,
            client_certificate: self.client_certificate.clone(),
        }))
    }

    fn secret(&self) -> Result<Option<SecretHeader>> {
        let Some(name) = &self.lock_header else {
            if self.lock_secret.is_some() {
                return Err(Error::invalid(
                    "--origin-lock-secret needs the header that carries it: add --origin-lock-header X-Origin-Verify",
                ));
            }
            return Ok(None);
        };
        check_header(name)?;
        let place = match &self.lock_secret {
            None => SecretPlace::Parameter,
            Some(secret) => SecretPlace::SecretsManager(check_secret_id(secret)?),
        };
        Ok(Some(SecretHeader {
            name: name.clone(),
            place,
        }))
    }

    fn bucket(&self) -> Result<Option<Bucket>> {
        let (name, region) = match (&self.bucket, &self.bucket_region) {
            (Some(name), Some(region)) => (name, region),
            (None, None) if self.bucket_prefix.is_none() && !self.bucket_exists => return Ok(None),
            (Some(_), None) => {
                return Err(Error::invalid(
                    "--bucket needs its region: add --bucket-region, for example eu-central-1",
                ));
            }
            _ => return Err(Error::invalid("which bucket? add --bucket NAME")),
        };
        check_bucket("--bucket", name)?;
        check_region("--bucket-region", region)?;
        Ok(Some(Bucket {
            name: name.clone(),
            region: region.clone(),
            prefix: check_prefix(self.bucket_prefix.as_deref().unwrap_or_default())?,
            exists: self.bucket_exists,
        }))
    }

    fn viewer(&self) -> Result<Option<ViewerDomain>> {
        let certificate = match (&self.certificate, self.domains.is_empty()) {
            (None, true) => return Ok(None),
            (Some(certificate), false) => certificate,
            (None, false) => {
                return Err(Error::invalid(
                    "--domain needs a certificate for it: request one in AWS Certificate Manager \
                     in us-east-1 and add --certificate-arn",
                ));
            }
            (Some(_), true) => {
                return Err(Error::invalid(
                    "--certificate-arn needs the name it is for: add --domain video.example.com",
                ));
            }
        };
        check_certificate("--certificate-arn", certificate)?;
        if certificate.split(':').nth(3) != Some(GLOBAL_REGION) {
            return Err(Error::invalid(format!(
                "--certificate-arn {certificate}: CloudFront takes certificates from us-east-1 only; request it there"
            )));
        }
        for domain in &self.domains {
            let plain = domain.strip_prefix("*.").unwrap_or(domain);
            check_host("--domain", plain)?;
        }
        Ok(Some(ViewerDomain {
            names: self.domains.clone(),
            certificate: certificate.clone(),
        }))
    }

    fn pages(&self) -> Result<Pages> {
        for origin in &self.allowed_origins {
            let host = origin
                .strip_prefix("https://")
                .or(origin.strip_prefix("http://"));
            let is_sound = host.is_some_and(|host| {
                !host.is_empty()
                    && host
                        .bytes()
                        .all(|b| b.is_ascii_graphic() && !b"/?#@*\"".contains(&b))
            });
            if !is_sound {
                return Err(Error::invalid(format!(
                    "--allow-origin {origin}: write a page's origin, for example https://app.example.com, without a path"
                )));
            }
        }
        Ok(match self.allowed_origins.is_empty() {
            true => Pages::Any,
            false => Pages::Of(self.allowed_origins.clone()),
        })
    }

    fn signers(&self) -> Result<Vec<PublicKey>> {
        if self.public_keys.len() > 5 {
            return Err(Error::invalid("a key group has at most 5 public keys"));
        }
        let mut signers: Vec<PublicKey> = Vec::new();
        for pem in &self.public_keys {
            let key = PublicKey::parse(pem).map_err(|e| e.context("--signed-cookies"))?;
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        Ok(signers)
    }

    fn shield_region(&self) -> Result<Option<String>> {
        let Some(region) = &self.shield_region else {
            return Ok(None);
        };
        if !SHIELD_REGIONS.contains(&region.as_str()) {
            return Err(Error::invalid(format!(
                "--shield-region {region}: Origin Shield is in {} only; take the one nearest to the origin",
                SHIELD_REGIONS.join(", ")
            )));
        }
        Ok(Some(region.clone()))
    }

    fn log_bucket(&self) -> Result<Option<String>> {
        let Some(bucket) = &self.log_bucket else {
            return Ok(None);
        };
        check_bucket("--log-bucket", bucket)?;
        let makes_elsewhere = !self.bucket_exists
            && self
                .bucket_region
                .as_deref()
                .is_some_and(|region| region != GLOBAL_REGION);
        if makes_elsewhere {
            return Err(Error::invalid(
                "--log-bucket: CloudFront's log deliveries are made in us-east-1 and the bucket in its own region, \
                 which one stack can't do; make the bucket first and add --existing-bucket",
            ));
        }
        Ok(Some(bucket.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options {
            origin: Some("origin.example.com".into()),
            ..Options::default()
        };
        change(&mut options);
        options.check().expect_err("is refused").to_string()
    }

    #[test]
    fn every_wrong_option_is_named_with_its_fix() {
        let some = |text: &str| Some(text.to_owned());
        let arn = "arn:aws:acm:eu-west-1:123456789012:certificate/x";
        let found = [
            (refusal(|o| o.origin = None), "--origin"),
            (
                refusal(|o| o.origin = some("https://a.example")),
                "without scheme",
            ),
            (refusal(|o| o.origin = some("10.0.0.1")), "no addresses"),
            (
                refusal(|o| o.origin = some("localhost:8080")),
                "local names",
            ),
            (refusal(|o| o.origin = some("a.example:22")), "1024"),
            (refusal(|o| o.bucket = some("b-1")), "--bucket-region"),
            (
                refusal(|o| o.bucket_region = some("eu-west-1")),
                "--bucket NAME",
            ),
            (
                refusal(|o| {
                    o.bucket = some("b-1");
                    o.bucket_region = some("Frankfurt");
                }),
                "eu-central-1",
            ),
            (
                refusal(|o| {
                    o.bucket = some("s3://b");
                    o.bucket_region = some("eu-west-1");
                }),
                "without s3://",
            ),
            (
                refusal(|o| o.domains = vec!["a.example".into()]),
                "--certificate-arn",
            ),
            (refusal(|o| o.certificate = some(arn)), "--domain"),
            (
                refusal(|o| {
                    o.domains = vec!["a.example".into()];
                    o.certificate = some(arn);
                }),
                "us-east-1 only",
            ),
            (
                refusal(|o| o.lock_header = some("Authorization")),
                "X-Origin-Verify",
            ),
            (
                refusal(|o| o.lock_secret = some("name")),
                "--origin-lock-header",
            ),
            (
                refusal(|o| o.shield_region = some("eu-north-1")),
                "eu-central-1",
            ),
            (
                refusal(|o| o.allowed_origins = vec!["https://a/".into()]),
                "without a path",
            ),
            (
                refusal(|o| o.public_keys = vec!["PRIVATE KEY".into()]),
                "pubout",
            ),
            (refusal(|o| o.name = "a b".into()), "--name"),
            (
                refusal(|o| {
                    o.bucket = some("b-1");
                    o.bucket_region = some("eu-west-1");
                    o.log_bucket = some("logs");
                }),
                "--existing-bucket",
            ),
        ];
        for (message, words) in found {
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_lock_without_an_origin_is_refused() {
        let options = Options {
            bucket: Some("b-1".into()),
            bucket_region: Some("eu-west-1".into()),
            lock_header: Some("X-Origin-Verify".into()),
            ..Options::default()
        };
        assert!(options.check().is_err());
    }

    #[test]
    fn a_bucket_lets_only_the_delivered_folder_be_read() {
        let options = Options {
            bucket: Some("b-1".into()),
            bucket_region: Some("eu-west-1".into()),
            bucket_prefix: Some("/a/b/".into()),
            ..Options::default()
        };
        let bucket = options.check().expect("sound").bucket.expect("has one");
        assert_eq!(bucket.readable_keys(), "/a/b/v/*");
        assert_eq!(bucket.origin_path(), "/a/b");
    }
}
