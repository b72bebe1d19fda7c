//! `headwater cloudfront`: what puts Amazon CloudFront in front of the origin.

mod doctor;
mod sign;
mod template;

use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print a CloudFormation or Terraform template of a distribution
    Template(template::Arguments),
    /// Sign a URL, or make signed cookies
    Sign(sign::Arguments),
    /// Examine a CDN from outside, and say how to mend what is wrong
    Doctor(doctor::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Template(arguments) => template::run(arguments),
        Command::Sign(arguments) => sign::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
    }
}
