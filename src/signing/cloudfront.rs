//! CloudFront's signed URLs and signed cookies: verified here for deployments without CloudFront, and
//! made for those with it.
//!
//! | in the query | as a cookie | |
//! |---|---|---|
//! | `Expires` | `CloudFront-Expires` | of a canned policy: seconds since 1970 |
//! | `Policy` | `CloudFront-Policy` | a custom policy |
//! | `Signature` | `CloudFront-Signature` | over either's text |
//! | `Key-Pair-Id` | `CloudFront-Key-Pair-Id` | which public key |
//! | `Hash-Algorithm` | `CloudFront-Hash-Algorithm` | `SHA1`, also if it is missing, or `SHA256` |
//!
//! A signature that was verified is remembered, so that the requests of a player cost one
//! verification together. What it allows is looked at each time.

use std::net::IpAddr;
use std::sync::Arc;

use moka::sync::Cache;

use super::alphabet::from_cloudfront;
use super::key::{Hash, PublicKey};
use super::policy::{Policy, canned};
use crate::error::{Error, Result};

/// The names in a query; with `CloudFront-` in front those of the cookies.
pub(super) const NAMES: [&str; 5] = [
    "Expires",
    "Policy",
    "Signature",
    "Key-Pair-Id",
    "Hash-Algorithm",
];
pub(super) const COOKIE_PREFIX: &str = "CloudFront-";

/// Longest policy and signature that are looked at, in characters as sent.
const LONGEST_POLICY: usize = 4096;
const LONGEST_SIGNATURE: usize = 1400;

/// How many verified signatures are remembered: some hundred bytes each.
const REMEMBERED: u64 = 10_000;

/// The parts of a signature that a request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown<'a> {
    /// In the order of [`NAMES`].
    values: [Option<&'a str>; NAMES.len()],
    /// Whether the query has one twice, so that it isn't clear which is meant.
    is_doubled: bool,
}

impl<'a> Shown<'a> {
    /// What `query` shows, if anything.
    pub fn in_query(query: &'a str) -> Option<Self> {
        let mut shown = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if let Some(at) = place(name) {
                shown.is_doubled |= shown.values[at].replace(value).is_some();
            }
        }
        shown.something()
    }

    /// What the values of `Cookie` header fields show, if anything. Of cookies of one name the first
    /// counts: it is that of the longest path (RFC 6265 section 5.4).
    pub fn in_cookies(fields: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut shown = Self::default();
        for (name, value) in fields.flat_map(super::cookies) {
            if let Some(at) = name.strip_prefix(COOKIE_PREFIX).and_then(place) {
                shown.values[at].get_or_insert(value);
            }
        }
        shown.something()
    }

    fn something(self) -> Option<Self> {
        let [_, _, signature, key, _] = self.values;
        (signature.is_some() || key.is_some()).then_some(self)
    }

    /// The query that shows it again.
    pub fn query(&self) -> String {
        let pairs = NAMES.iter().zip(self.values);
        let pairs = pairs.filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

fn place(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// The URL that is signed: what a client asks for without the parts of a signature. `path` is as it
/// was received, with its escapes.
pub fn unsigned_url(base: &str, path: &str, query: Option<&str>) -> String {
    let mut url = format!("{base}{path}");
    let mut sign = '?';
    for pair in query.unwrap_or_default().split('&') {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if query.is_some() && !NAMES.contains(&name) {
            url.push(sign);
            url.push_str(pair);
            sign = '&';
        }
    }
    url
}

/// Verifies signatures with the public keys it knows.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<(String, PublicKey)>,
    remembered: Cache<blake3::Hash, Arc<Policy>>,
}

/// What a verified signature allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// This URL.
    One,
    /// More than this URL.
    Many,
}

impl Verifier {
    /// A verifier with these keys and their ids.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for an id that is no id, or there
    /// twice.
    pub fn new(keys: Vec<(String, PublicKey)>) -> Result<Self> {
        for (at, (id, _)) in keys.iter().enumerate() {
            check_key_id(id)?;
            if keys[..at].iter().any(|(other, _)| other == id) {
                return Err(Error::invalid(format!(
                    "the key pair id `{id}` is there twice"
                )));
            }
        }
        let remembered = Cache::new(REMEMBERED);
        Ok(Self { keys, remembered })
    }

    /// What `shown` allows of `url` (see [`unsigned_url`]) to `client` now; `None` for nothing.
    pub fn verify(
        &self,
        shown: &Shown<'_>,
        url: &str,
        client: IpAddr,
        now_seconds: u64,
    ) -> Option<Grant> {
        let claim = self.claim(shown, url)?;
        let name = claim.fingerprint();
        let remembered = self.remembered.get(&name);
        let is_new = remembered.is_none();
        let policy = match remembered {
            Some(policy) => policy,
            None => Arc::new(claim.policy()?),
        };
        // The cheap questions first. Whether the URL is meant is asked of nobody unknown: a pattern
        // of an attacker's making could take long.
        if !policy.holds(client, now_seconds) || (is_new && !claim.is_genuine()) {
            return None;
        }
        if is_new {
            self.remembered.insert(name, Arc::clone(&policy));
        }
        match claim.statement {
            Statement::Canned { .. } => Some(Grant::One),
            Statement::Custom(_) if !policy.covers(url) => None,
            Statement::Custom(_) if policy.has_wildcard() => Some(Grant::Many),
            Statement::Custom(_) => Some(Grant::One),
        }
    }

    /// What `shown` says, if it is whole and of a key that is known.
    fn claim<'a>(&'a self, shown: &Shown<'a>, url: &str) -> Option<Claim<'a>> {
        let [expires, policy, signature, id, hash] = shown.values;
        let (signature, id) = (signature?, id?);
        let (id, key) = self.keys.iter().find(|(known, _)| known == id)?;
        if shown.is_doubled || signature.len() > LONGEST_SIGNATURE {
            return None;
        }
        let statement = match (policy, expires) {
            (Some(policy), None) if policy.len() <= LONGEST_POLICY => Statement::Custom(policy),
            (None, Some(expires)) => {
                let until = plain_number(expires)?;
                let text = canned(url, until)?;
                Statement::Canned { text, until }
            }
            _ => return None,
        };
        Some(Claim {
            id,
            key,
            hash: hash.map_or(Some(Hash::Sha1), Hash::parse)?,
            signature,
            statement,
        })
    }
}

/// What a request says of itself, true or not.
struct Claim<'a> {
    id: &'a str,
    key: &'a PublicKey,
    hash: Hash,
    signature: &'a str,
    statement: Statement<'a>,
}

enum Statement<'a> {
    Canned {
        text: String,
        until: u64,
    },
    /// As it is sent.
    Custom(&'a str),
}

impl Claim<'_> {
    /// One name for everything that its being genuine depends on.
    fn fingerprint(&self) -> blake3::Hash {
        let (kind, text) = match &self.statement {
            Statement::Canned { text, .. } => ("canned", text.as_str()),
            Statement::Custom(text) => ("custom", *text),
        };
        let mut hasher = blake3::Hasher::new();
        for part in [self.id, self.hash.name(), kind, text, self.signature] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize()
    }

    fn policy(&self) -> Option<Policy> {
        match &self.statement {
            Statement::Custom(text) => Policy::parse(&from_cloudfront(text)?),
            Statement::Canned { until, .. } => Some(Policy {
                resource: None,
                until: *until,
                from: None,
                network: None,
            }),
        }
    }

    fn is_genuine(&self) -> bool {
        let text = match &self.statement {
            Statement::Custom(text) => from_cloudfront(text),
            Statement::Canned { text, .. } => Some(text.clone().into_bytes()),
        };
        let (Some(text), Some(signature)) = (text, from_cloudfront(self.signature)) else {
            return false;
        };
        self.key.verifies(self.hash, &text, &signature)
    }
}

/// Digits alone, without a sign and without zeros in front.
fn plain_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

pub(super) fn check_key_id(id: &str) -> Result<()> {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if id.is_empty() || id.len() > 64 || !id.bytes().all(sign) {
        let fix = "CloudFront shows it beside the public key, like `K2JCJMDEHXQW5F`";
        return Err(Error::invalid(format!("`{id}` is no key pair id; {fix}")));
    }
    Ok(())
}
