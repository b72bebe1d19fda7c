//! A CloudFront distribution as text for CloudFormation (YAML) or Terraform (HCL).
//!
//! [`Distribution`] says what is wanted, [`rules`] holds every number and pattern that both
//! languages share, and each language only spells them. Pure: nothing is read or asked.

mod cloudformation;
mod distribution;
mod hcl;
mod names;
mod options;
mod public_key;
pub mod rules;
mod terraform;
mod yaml;

#[cfg(test)]
mod tests;

pub use distribution::{
    Bucket, Distribution, Pages, PriceClass, SecretHeader, SecretPlace, Server, ViewerDomain,
};
pub use options::Options;
pub use public_key::PublicKey;

/// The language of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// AWS CloudFormation, YAML.
    CloudFormation,
    /// Terraform with the provider hashicorp/aws.
    Terraform,
}

/// The whole template, ending with a line break.
pub fn render(distribution: &Distribution, format: Format) -> String {
    match format {
        Format::CloudFormation => cloudformation::render(distribution),
        Format::Terraform => terraform::render(distribution),
    }
}
