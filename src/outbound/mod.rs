//! HTTP requests to addresses that users named: sources to pull, webhooks to call. Nobody may
//! reach through us what only we can reach (server-side request forgery), so:
//!
//! - only `http` and `https`, without credentials in the URL; any port but 0;
//! - every address that a name resolves to is checked ([`address`]), one bad one refuses the name,
//!   and the connection goes to a checked address: the name isn't looked up twice;
//! - hosts that are addresses are checked in the form the URL standard gives them, so that
//!   `0x7f.1` is seen as `127.0.0.1`;
//! - redirects are followed here, at most [`REDIRECTS_MAX`], each checked like the first, and none
//!   from `https` to `http`; webhooks follow none;
//! - no proxy is taken from the environment, since it would look the name up on its own.

pub mod address;
mod client;
mod resolver;

use url::{Host, Url};

use crate::error::{Error, Result};
pub use address::Options;
pub use client::{Answer, Client, Response};

/// Redirects followed before giving up.
pub const REDIRECTS_MAX: usize = 5;

/// Longest URL that is taken, in bytes.
pub const URL_BYTES_MAX: usize = 4096;

/// The URL in `text`, if a request to it is allowed as far as can be told without looking its name
/// up.
///
/// # Errors
/// [`crate::error::ErrorKind::Invalid`] with the reason.
pub fn check_url(text: &str, options: &Options) -> Result<Url> {
    if text.len() > URL_BYTES_MAX {
        let message = format!("the URL is longer than {URL_BYTES_MAX} bytes");
        return Err(Error::invalid(message));
    }
    let url = Url::parse(text).map_err(|e| Error::invalid(format!("`{text}` is no URL: {e}")))?;
    check(&url, options)?;
    Ok(url)
}

/// Whether a request to a parsed URL is allowed, before its name is looked up.
fn check(url: &Url, options: &Options) -> Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("{url}: only http and https URLs are fetched");
        return Err(Error::invalid(message));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let host = url.host_str().unwrap_or_default();
        let message = format!("the URL on {host} holds credentials; leave them out");
        return Err(Error::invalid(message));
    }
    if url.port() == Some(0) {
        return Err(Error::invalid(format!("{url}: there is no port 0")));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(Error::invalid(format!("{url}: names no host"))),
    };
    options
        .check(literal)
        .map_err(|refusal| Error::invalid(format!("{url}: {refusal}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> bool {
        check_url(url, &Options::default()).is_err()
    }

    #[test]
    fn odd_forms_of_local_addresses_are_seen_through() {
        let urls = [
            "http://127.0.0.1/x",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:ffff:10.0.0.1]/",
            "http://[64:ff9b::169.254.169.254]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://１２７.０.０.１/",
            "http://%31%32%37.0.0.1/",
        ];
        for url in urls {
            assert!(refused(url), "{url}");
        }
        assert!(!refused("http://93.184.215.14:8080/clip.mp4"));
        assert!(!refused("https://example.org/clip.mp4?x=1"));
    }

    #[test]
    fn other_schemes_credentials_and_port_zero_are_refused() {
        let urls = [
            "ftp://example.org/x",
            "file:///etc/passwd",
            "gopher://example.org/",
            "http://user@example.org/",
            "http://user:word@example.org/",
            "http://example.org:0/",
            "http://",
            "clip.mp4",
            "",
            "data:text/plain,x",
        ];
        for url in urls {
            assert!(refused(url), "{url}");
        }
        assert!(refused(&format!("http://example.org/{}", "x".repeat(5000))));
    }
}
