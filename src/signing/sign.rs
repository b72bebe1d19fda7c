//! Makes CloudFront's signed URLs and signed cookies.

use super::alphabet::cloudfront;
use super::cloudfront::{COOKIE_PREFIX, NAMES, check_key_id};
use super::key::{Hash, PrivateKey};
use super::policy::{Policy, canned};
use crate::error::{Error, Result};

/// Signs with one key.
#[derive(Debug)]
pub struct Signer {
    key: PrivateKey,
    key_pair_id: String,
    hash: Hash,
}

/// A signature with what it is over, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What was signed.
    pub policy: String,
    /// Names as in a query, and values.
    pairs: Vec<(&'static str, String)>,
}

impl Signer {
    /// Signs with `key`, whose public key CloudFront knows as `key_pair_id`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for what is no id.
    pub fn new(key: PrivateKey, key_pair_id: &str, hash: Hash) -> Result<Self> {
        check_key_id(key_pair_id)?;
        Ok(Self {
            key,
            key_pair_id: key_pair_id.to_owned(),
            hash,
        })
    }

    /// A canned policy: exactly `url` until then, in seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for a URL that has no exact form.
    pub fn canned(&self, url: &str, until: u64) -> Result<Signature> {
        check_url(url)?;
        let Some(policy) = canned(url, until) else {
            let why = format!("`{url}` has a quote or backslash; write it as %22 or %5C");
            return Err(Error::invalid(why));
        };
        self.sign(policy, |_| ("Expires", until.to_string()))
    }

    /// A custom policy.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for a policy that CloudFront doesn't
    /// take.
    pub fn custom(&self, policy: &Policy) -> Result<Signature> {
        check_url(policy.resource.as_deref().unwrap_or_default())?;
        let network = policy.network.as_ref();
        if let Some(network) = network.filter(|network| network.first().is_ipv6()) {
            let why = "CloudFront's signatures know blocks of IPv4 addresses only";
            return Err(Error::invalid(format!("`{network}`: {why}")));
        }
        if policy.from.is_some_and(|from| from >= policy.until) {
            return Err(Error::invalid("the signature would end before it begins"));
        }
        self.sign(policy.text(), |text| {
            ("Policy", cloudfront(text.as_bytes()))
        })
    }

    fn sign(
        &self,
        policy: String,
        first: impl FnOnce(&str) -> (&'static str, String),
    ) -> Result<Signature> {
        let signature = cloudfront(&self.key.sign(self.hash, policy.as_bytes())?);
        let mut pairs = vec![
            first(&policy),
            ("Signature", signature),
            ("Key-Pair-Id", self.key_pair_id.clone()),
        ];
        if self.hash != Hash::default() {
            pairs.push(("Hash-Algorithm", self.hash.name().to_owned()));
        }
        Ok(Signature { policy, pairs })
    }
}

impl Signature {
    /// As a query, without the question mark.
    pub fn query(&self) -> String {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// `url` with the query.
    pub fn on(&self, url: &str) -> String {
        super::with_query(url, &self.query())
    }

    /// As cookies: names and values.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|(name, value)| (format!("{COOKIE_PREFIX}{name}"), value.clone()));
        pairs.collect()
    }
}

/// What is signed goes over the wire as it is, so it must have the wire's form already.
fn check_url(url: &str) -> Result<()> {
    let refused = |why: &str| Err(Error::invalid(format!("`{url}`: {why}")));
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused(
            "write spaces and signs outside ASCII with percent escapes, as a client sends them",
        );
    }
    if url.contains('#') {
        return refused("leave out the fragment; clients don't send it");
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    if let Some(name) = names.find(|name| NAMES.contains(name)) {
        return refused(&format!(
            "`{name}` in the query is a name that CloudFront keeps for itself"
        ));
    }
    Ok(())
}
