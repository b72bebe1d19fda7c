//! `headwater cloudfront template`: a distribution as infrastructure code, on stdout.

use std::fs;
use std::path::PathBuf;

use super::super::{print, say};
use crate::cloudfront::template::{self, Distribution, Options};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Host, or host and port, of our server as CloudFront reaches it over TLS
    #[arg(long, value_name = "HOST")]
    origin: Option<String>,
    /// Bucket that the server fills: asked when the server can't answer, or alone
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    bucket_region: Option<String>,
    /// What stands behind the bucket's name in the server's --store
    #[arg(long, value_name = "PREFIX")]
    bucket_prefix: Option<String>,
    /// The bucket is there already: only its policy is written
    #[arg(long)]
    existing_bucket: bool,
    /// Language of the template
    #[arg(long, value_enum, default_value_t = Format::Cloudformation)]
    format: Format,
    /// Name of its own that the distribution answers to; may be given again
    #[arg(long = "domain", value_name = "NAME")]
    domains: Vec<String>,
    /// Certificate for --domain, in us-east-1
    #[arg(long, value_name = "ARN")]
    certificate_arn: Option<String>,
    /// Header whose secret opens the server's lock, for example X-Origin-Verify
    #[arg(long, value_name = "HEADER")]
    origin_lock_header: Option<String>,
    /// Secret in Secrets Manager with that header's value [default: a parameter]
    #[arg(long, value_name = "NAME")]
    origin_lock_secret: Option<String>,
    /// Client certificate that CloudFront shows the server
    #[arg(long, value_name = "ARN")]
    origin_mtls: Option<String>,
    /// Public key in PEM: only what its private half signed is answered; may be given again
    #[arg(long = "signed-cookies", value_name = "FILE")]
    signed_cookies: Vec<PathBuf>,
    /// Origin of a page that plays with cookies, for example https://app.example.com; may be given
    /// again [default: any page, without cookies]
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origins: Vec<String>,
    /// Region of an Origin Shield, the nearest to the origin
    #[arg(long, value_name = "REGION")]
    shield_region: Option<String>,
    /// How much of the world has edges
    #[arg(long, value_enum, default_value_t = PriceClass::All)]
    price_class: PriceClass,
    /// Bucket for access logs
    #[arg(long, value_name = "NAME")]
    log_bucket: Option<String>,
    /// What the resources' names begin with
    #[arg(long, default_value = "headwater")]
    name: String,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Cloudformation,
    Terraform,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PriceClass {
    /// North America, Europe and Israel
    #[value(name = "100")]
    Fewest,
    /// Those and Asia, the Middle East and Africa
    #[value(name = "200")]
    Most,
    /// Everywhere
    All,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let distribution = arguments.options()?.check()?;
    warn(&distribution);
    let format = match arguments.format {
        Format::Cloudformation => template::Format::CloudFormation,
        Format::Terraform => template::Format::Terraform,
    };
    print(&template::render(&distribution, format))
}

/// Says what is sound but probably not meant.
fn warn(distribution: &Distribution) {
    let is_open =
        |server: &template::Server| server.secret.is_none() && server.client_certificate.is_none();
    if distribution.server.as_ref().is_some_and(is_open) {
        say(
            "note: without --origin-lock-header or --origin-mtls the server answers everybody, not only CloudFront",
        );
    }
    if !distribution.signers.is_empty() && !distribution.pages.has_credentials() {
        say("note: pages of other origins can send no cookies without --allow-origin");
    }
}

impl Arguments {
    fn options(&self) -> Result<Options> {
        let mut public_keys = Vec::new();
        for path in &self.signed_cookies {
            let text = fs::read_to_string(path)
                .map_err(|e| Error::io(format!("reading {}", path.display()), e))?;
            public_keys.push(text);
        }
        Ok(Options {
            name: self.name.clone(),
            origin: self.origin.clone(),
            lock_header: self.origin_lock_header.clone(),
            lock_secret: self.origin_lock_secret.clone(),
            client_certificate: self.origin_mtls.clone(),
            bucket: self.bucket.clone(),
            bucket_region: self.bucket_region.clone(),
            bucket_prefix: self.bucket_prefix.clone(),
            bucket_exists: self.existing_bucket,
            domains: self.domains.clone(),
            certificate: self.certificate_arn.clone(),
            allowed_origins: self.allow_origins.clone(),
            public_keys,
            shield_region: self.shield_region.clone(),
            price_class: match self.price_class {
                PriceClass::Fewest => template::PriceClass::Fewest,
                PriceClass::Most => template::PriceClass::Most,
                PriceClass::All => template::PriceClass::All,
            },
            log_bucket: self.log_bucket.clone(),
        })
    }
}
