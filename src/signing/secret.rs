//! A secret that both sides know.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;

use super::alphabet::url_safe;
use crate::error::{Error, Result};

/// The fewest characters of a secret; fewer can be tried out.
pub const SHORTEST_SECRET: usize = 16;

/// A secret word. It is never shown, not by `Debug` either.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret `text`: at least [`SHORTEST_SECRET`] visible ASCII characters, as fit into a
    /// header field.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) without the text.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.len() < SHORTEST_SECRET {
            return Err(Error::invalid(format!(
                "a secret has {} characters and needs at least {SHORTEST_SECRET}; \
                 make one with `openssl rand -hex 32`",
                text.len()
            )));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "a secret has spaces or signs outside ASCII; use letters and digits";
            return Err(Error::invalid(why));
        }
        Ok(Self(text))
    }

    /// A secret of 256 random bits: 43 letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the system gives no random
    /// bytes.
    pub(super) fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)
            .map_err(|_| Error::internal("making a secret: the system gives no random bytes"))?;
        Ok(Self(url_safe(&bytes)))
    }

    /// Whether `shown` is this secret. Takes the same time whichever bytes differ, and whatever the
    /// secret's length.
    pub fn matches(&self, shown: &[u8]) -> bool {
        let (known, shown) = (digest(&SHA256, self.0.as_bytes()), digest(&SHA256, shown));
        verify_slices_are_equal(known.as_ref(), shown.as_ref()).is_ok()
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone_and_is_never_shown() {
        let secret = Secret::new("correct-horse-battery").unwrap();
        assert!(secret.matches(b"correct-horse-battery"));
        for other in ["", "correct-horse-batter", "correct-horse-batterY", "x"] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_weak_secret_is_refused_without_being_told() {
        for weak in [
            "",
            "hunter2",
            "fifteen-letters",
            "with a space in the middle",
        ] {
            let words = Secret::new(weak).unwrap_err().to_string();
            assert!(weak.is_empty() || !words.contains(weak), "{words}");
        }
    }
}
