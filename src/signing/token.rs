//! Our own tokens: who has one may have what lies under a path, for a time. They work without
//! CloudFront, and cost a hundredth of an RSA signature to verify.
//!
//! The text, in one version and one way to write it:
//!
//! ```text
//! 1.{key}.{until}.{from}.{client}.{path}.{mac}
//! ```
//!
//! | field | |
//! |---|---|
//! | `1` | the version |
//! | `key` | the key's id: 1 to 32 letters, digits, `-`, `_` |
//! | `until` | good before this: seconds since 1970-01-01T00:00:00Z, digits without zeros in front |
//! | `from` | good from this on, likewise; or empty |
//! | `client` | the first bits of the client's address: the block's first address in hexadecimal (8 or 32 small digits), `-`, how many bits; or empty |
//! | `path` | base64url without padding of the path, without escapes: ends with `/` for all below, otherwise it is that path alone |
//! | `mac` | base64url without padding of HMAC-SHA256 (RFC 2104), with the key's secret as its bytes are written, over everything before the last dot |
//!
//! It is sent in the query as `hw-token`, or as the cookie `hw-token`.
//!
//! Several keys may be known at a time. To change keys: add the new one in last place everywhere, then
//! put it first where tokens are made, and take the old one out when its last token has expired.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::hmac;

use super::alphabet::{from_url_safe, url_safe};
use super::network::Network;
use super::secret::Secret;
use crate::error::{Error, Result};

/// The name in the query, and of the cookie.
pub const TOKEN_NAME: &str = "hw-token";

const VERSION: &str = "1";

/// Longest token that is looked at.
const LONGEST_TOKEN: usize = 2048;

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The path it is for, with its first slash and without escapes; ending with `/` for all below.
    pub path: String,
    /// It is good before this, in seconds since 1970-01-01T00:00:00Z.
    pub until: u64,
    /// It is good from this on, in seconds since 1970-01-01T00:00:00Z.
    pub from: Option<u64>,
    /// It is good for clients with these addresses.
    pub network: Option<Network>,
}

/// The keys of tokens. The first one makes them; all verify.
#[derive(Clone)]
pub struct TokenKeys(Vec<(String, hmac::Key)>);

impl TokenKeys {
    /// Keys with their ids; at least one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for no key, for an id that is no id
    /// or is there twice.
    pub fn new(keys: &[(String, Secret)]) -> Result<Self> {
        let mut known = Vec::new();
        for (at, (id, secret)) in keys.iter().enumerate() {
            check_key_id(id)?;
            if keys[..at].iter().any(|(other, _)| other == id) {
                return Err(Error::invalid(format!(
                    "the token key `{id}` is there twice"
                )));
            }
            known.push((
                id.clone(),
                hmac::Key::new(hmac::HMAC_SHA256, secret.text().as_bytes()),
            ));
        }
        if known.is_empty() {
            return Err(Error::invalid(
                "no token key; write a line with an id and a secret",
            ));
        }
        Ok(Self(known))
    }

    /// Keys from a text with one on each line: id, white space, secret. Blank lines and those that
    /// begin with `#` are passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) with the number of the line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("line {}", at + 1);
            let Some((id, secret)) = line.split_once(char::is_whitespace) else {
                let why = "write an id, a space and a secret";
                return Err(Error::invalid(why).context(place));
            };
            let secret = Secret::new(secret.trim()).map_err(|e| e.context(place))?;
            keys.push((id.to_owned(), secret));
        }
        Self::new(&keys)
    }

    /// A line for [`Self::parse`], without its end: a new key with a random secret of 256 bits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for an id that is no id;
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the system gives no random
    /// bytes.
    pub fn new_line(id: &str) -> Result<String> {
        check_key_id(id)?;
        Ok(format!("{id} {}", Secret::random()?.text()))
    }

    /// A token for `claims`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for claims that are never true.
    pub fn make(&self, claims: &Claims) -> Result<String> {
        if !claims.path.starts_with('/') || !is_plain(&claims.path) {
            let fix = "begin with a slash, and leave out empty and dotted parts";
            return Err(Error::invalid(format!(
                "`{}` is no path for a token; {fix}",
                claims.path
            )));
        }
        if claims.from.is_some_and(|from| from >= claims.until) {
            return Err(Error::invalid("the token would end before it begins"));
        }
        let (id, key) = &self.0[0];
        let signed = text(id, claims);
        let token = format!(
            "{signed}.{}",
            url_safe(hmac::sign(key, signed.as_bytes()).as_ref())
        );
        if token.len() > LONGEST_TOKEN {
            return Err(Error::invalid("the path is too long for a token"));
        }
        Ok(token)
    }

    /// What `token` allows, if it is genuine and allows `client` now to have `path` (with its first
    /// slash, without escapes).
    pub fn verify(
        &self,
        token: &str,
        path: &str,
        client: IpAddr,
        now_seconds: u64,
    ) -> Option<Claims> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let (signed, mac) = token.rsplit_once('.')?;
        let (id, claims) = parse(signed)?;
        let (_, key) = self.0.iter().find(|(known, _)| known == id)?;
        if !claims.allow(path, client, now_seconds) {
            return None;
        }
        hmac::verify(key, signed.as_bytes(), &from_url_safe(mac)?).ok()?;
        // A genuine token in another way of writing would be a second text for one token.
        (text(id, &claims) == signed).then_some(claims)
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(|(id, _)| id).collect();
        f.debug_tuple("TokenKeys").field(&ids).finish()
    }
}

impl Claims {
    /// Whether they are for all paths below one.
    pub fn is_folder(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The path as it is in URLs, and so in a cookie's `Path`: with escapes (RFC 3986 section 2.1).
    pub fn url_path(&self) -> String {
        use std::fmt::Write;
        let mut text = String::with_capacity(self.path.len());
        for byte in self.path.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a String can't fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }

    fn allow(&self, path: &str, client: IpAddr, now_seconds: u64) -> bool {
        let meant = match self.is_folder() {
            true => path.starts_with(&self.path) && is_plain(path),
            false => path == self.path,
        };
        let begun = self.from.is_none_or(|from| now_seconds >= from);
        let known = self.network.is_none_or(|network| network.contains(client));
        meant && begun && now_seconds < self.until && known
    }
}

fn check_key_id(id: &str) -> Result<()> {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if id.is_empty() || id.len() > 32 || !id.bytes().all(sign) {
        let fix = "use up to 32 letters, digits, `-` and `_`";
        return Err(Error::invalid(format!(
            "`{id}` is no id of a token key; {fix}"
        )));
    }
    Ok(())
}

/// Whether a path says where it leads: `/v/cats/../dogs` doesn't.
fn is_plain(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let dotted = |part: &str| matches!(part, "." | "..");
    !path.contains(['\\', '\0']) && !inner.split('/').any(dotted) && !path.contains("//")
}

/// Everything before the last dot.
fn text(id: &str, claims: &Claims) -> String {
    let until = claims.until;
    let from = claims.from.map(|from| from.to_string()).unwrap_or_default();
    let client = claims.network.as_ref().map(client_text).unwrap_or_default();
    let path = url_safe(claims.path.as_bytes());
    format!("{VERSION}.{id}.{until}.{from}.{client}.{path}")
}

fn client_text(network: &Network) -> String {
    let length = network.length();
    match network.first() {
        IpAddr::V4(first) => format!("{:08x}-{length}", first.to_bits()),
        IpAddr::V6(first) => format!("{:032x}-{length}", first.to_bits()),
    }
}

fn parse(signed: &str) -> Option<(&str, Claims)> {
    let fields: Vec<&str> = signed.splitn(7, '.').collect();
    let [VERSION, id, until, from, client, path] = fields[..] else {
        return None;
    };
    let claims = Claims {
        until: until.parse().ok()?,
        from: optional(from, |from| from.parse().ok())?,
        network: optional(client, client_block)?,
        path: String::from_utf8(from_url_safe(path)?).ok()?,
    };
    Some((id, claims))
}

/// `Some(None)` for an empty field, `None` for a wrong one.
fn optional<T>(field: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match field {
        "" => Some(None),
        field => read(field).map(Some),
    }
}

fn client_block(field: &str) -> Option<Network> {
    let (first, length) = field.split_once('-')?;
    let first: IpAddr = match first.len() {
        8 => IpAddr::V4(u32::from_str_radix(first, 16).ok()?.into()),
        32 => IpAddr::V6(u128::from_str_radix(first, 16).ok()?.into()),
        _ => return None,
    };
    Network::new(first, length.parse().ok()?)
}
