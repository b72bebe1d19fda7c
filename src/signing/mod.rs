//! Proofs that a request may have what it asks for: shared secrets, our own tokens, and the signed
//! URLs and signed cookies that Amazon CloudFront defines ("Serve private content with signed URLs
//! and signed cookies" in its developer guide). Makes them and verifies them.
//!
//! Not here: which requests need a proof (`origin::gate`) and who may use the API (`access`).
//! The door to aws-lc and to the `rsa` library; none of their types crosses it.

mod alphabet;
pub mod cloudfront;
mod key;
mod network;
mod pem;
mod policy;
mod resource;
mod secret;
mod sign;
#[cfg(test)]
mod tests;
mod token;

pub use key::{Hash, PrivateKey, PublicKey};
pub use network::Network;
pub use policy::Policy;
pub use secret::{SHORTEST_SECRET, Secret};
pub use sign::{Signature, Signer};
pub use token::{Claims, TOKEN_NAME, TokenKeys};

/// What every cookie of ours is set with: only over TLS, out of reach of scripts, and also for players
/// within pages of other sites. No date: it goes with the browser's session.
pub const COOKIE_ATTRIBUTES: &str = "Secure; HttpOnly; SameSite=None";

/// A `Set-Cookie` value (RFC 6265 section 4.1) for requests below `path`.
pub fn set_cookie(name: &str, value: &str, path: &str) -> String {
    format!("{name}={value}; Path={path}; {COOKIE_ATTRIBUTES}")
}

/// The names and values in a `Cookie` header field (RFC 6265 section 4.2).
pub fn cookies(field: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = field.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim()))
}

/// `url` with more in its query.
pub fn with_query(url: &str, query: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{query}")
}
