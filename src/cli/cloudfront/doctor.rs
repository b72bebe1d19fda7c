//! `headwater cloudfront doctor URL`: what is wrong with a CDN in front of the server.

use super::super::{print, print_json, say};
use crate::clock::Clock;
use crate::cloudfront::doctor::{self, Options, Origin};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An HLS or DASH entry point, through the CDN
    url: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Send this with every request to the CDN, for example signed cookies; may be given again
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_field)]
    headers: Vec<(String, String)>,
    /// Origin of a page that plays the streams
    #[arg(long, value_name = "ORIGIN", default_value = doctor::PAGE)]
    page: String,
    /// Our server around the CDN, for example https://origin.example.com: examine its lock and its
    /// connections too
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Header that opens the origin's lock
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_field, requires = "origin")]
    secret_header: Option<(String, String)>,
    /// Leave a connection to the origin idle that long, then use it again; 0 leaves that out
    #[arg(long, value_name = "SECONDS", default_value_t = Origin::IDLE_SECONDS, requires = "origin")]
    idle_seconds: u32,
}

/// `NAME: VALUE` or `NAME=VALUE`.
fn parse_field(text: &str) -> Result<(String, String), String> {
    let at = text.find([':', '=']).filter(|at| *at > 0);
    let split = at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)));
    match split {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("write NAME=VALUE, for example X-Origin-Verify=SECRET".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let origin = arguments.origin.as_ref().map(|url| Origin {
        url: url.clone(),
        secret: arguments.secret_header.clone(),
        idle_seconds: arguments.idle_seconds,
    });
    let options = Options {
        url: arguments.url.clone(),
        fields: arguments.headers.clone(),
        page: arguments.page.clone(),
        origin,
    };
    let report = doctor::examine(&options, &Clock::system(), &say)?;
    match arguments.json {
        true => print_json(&report)?,
        false => print(&report.to_string())?,
    }
    match report.faults {
        0 => Ok(()),
        1 => Err(Error::invalid(format!("{}: 1 fault", report.url))),
        n => Err(Error::invalid(format!("{}: {n} faults", report.url))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_either_way() {
        let cookie = parse_field("Cookie: a=b").expect("a field");
        assert_eq!(cookie, ("Cookie".to_owned(), "a=b".to_owned()));
        let secret = parse_field("X-Origin-Verify=a:b=").expect("a field");
        assert_eq!(secret, ("X-Origin-Verify".to_owned(), "a:b=".to_owned()));
        assert!(parse_field("nothing").is_err());
    }
}
