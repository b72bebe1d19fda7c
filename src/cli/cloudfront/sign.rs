//! `headwater cloudfront sign URL`: a signed URL or signed cookies, as CloudFront verifies them, and
//! the server too where there is no CloudFront.

use std::path::PathBuf;

use super::super::{print, print_json, validity};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::signing::{Hash, Policy, PrivateKey, Signature, Signer, set_cookie};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The URL as a client will ask for it; with a `*` in it, all URLs like this
    url: String,
    /// The private key: RSA of 2048 bits or ECDSA on P-256, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The id that CloudFront gave the public key
    #[arg(long, value_name = "ID")]
    key_pair_id: String,
    #[command(flatten)]
    validity: validity::When,
    /// Sign for all URLs like this, for example `https://host/v/cats/*`
    #[arg(long, value_name = "PATTERN")]
    resource: Option<String>,
    /// Print cookies rather than a URL
    #[arg(long)]
    cookies: bool,
    /// Hash of the signature: sha1 or sha256
    #[arg(long, value_name = "HASH", default_value = "sha1", value_parser = parse_hash)]
    hash: Hash,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn parse_hash(text: &str) -> Result<Hash, String> {
    match text {
        "sha1" => Ok(Hash::Sha1),
        "sha256" => Ok(Hash::Sha256),
        _ => Err("write sha1 or sha256".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    path_of(&arguments.url)?;
    let shown = arguments.key.display();
    let pem = std::fs::read_to_string(&arguments.key);
    let pem = pem.map_err(|e| Error::io(format!("reading {shown}"), e))?;
    let key = PrivateKey::from_pem(&pem).map_err(|e| e.context(shown))?;
    let signer = Signer::new(key, &arguments.key_pair_id, arguments.hash)?;
    let signature = sign(&signer, arguments, &Clock::system())?;
    match (arguments.json, arguments.cookies) {
        (true, _) => print_json(&serde_json::json!({
            "url": signature.on(&arguments.url),
            "policy": signature.policy,
            "cookies": signature.cookies().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        })),
        (false, false) => print(&format!("{}\n", signature.on(&arguments.url))),
        (false, true) => print(&set_cookies(&signature, arguments)?),
    }
}

/// A canned policy where one says all; otherwise a custom one.
fn sign(signer: &Signer, arguments: &Arguments, clock: &Clock) -> Result<Signature> {
    let validity = arguments.validity.validity(clock)?;
    let url = &arguments.url;
    let resource = arguments.resource.as_ref().unwrap_or(url);
    let is_plain = validity.from.is_none() && validity.network.is_none();
    if is_plain && arguments.resource.is_none() && !url.contains('*') {
        return signer.canned(url, validity.until);
    }
    let policy = Policy {
        resource: Some(resource.clone()),
        until: validity.until,
        from: validity.from,
        network: validity.network,
    };
    if resource != url && !policy.covers(url) {
        let fix = "give a pattern that the URL is like";
        return Err(Error::invalid(format!(
            "`{resource}` is not for `{url}`; {fix}"
        )));
    }
    signer.custom(&policy)
}

/// The cookies as header lines, for requests to whatever the signature is for.
fn set_cookies(signature: &Signature, arguments: &Arguments) -> Result<String> {
    let path = path_of(arguments.resource.as_deref().unwrap_or(&arguments.url))?;
    let cookies = signature.cookies();
    let lines = cookies
        .iter()
        .map(|(name, value)| format!("Set-Cookie: {}\n", set_cookie(name, value, path)));
    Ok(lines.collect())
}

/// The path that a URL or pattern begins with, up to its last slash before a wildcard.
fn path_of(url: &str) -> Result<&str> {
    let after_host = url.split_once("://").map(|(_, rest)| rest);
    let start = after_host.and_then(|rest| Some(url.len() - rest.len() + rest.find('/')?));
    let Some(start) = start else {
        // A pattern for everything needs none.
        if url.ends_with('*') {
            return Ok("/");
        }
        return Err(Error::invalid(format!(
            "`{url}` has no path; write a whole URL like https://host/v/cats/*"
        )));
    };
    let path = &url[start..];
    let plain = path.find(['*', '?']).map_or(path, |end| &path[..end]);
    Ok(&plain[..=plain.rfind('/').unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_for_the_folder_of_what_is_signed() {
        for (url, path) in [
            ("https://host/v/cats/*", "/v/cats/"),
            ("https://host/v/cats/index.m3u8", "/v/cats/"),
            ("https://host/v/c*/x", "/v/"),
            ("https://host/", "/"),
            ("https://*", "/"),
            ("*", "/"),
        ] {
            assert_eq!(path_of(url).expect("a path"), path);
        }
        assert!(path_of("https://host").is_err());
        assert!(path_of("/v/cats").is_err());
    }
}
