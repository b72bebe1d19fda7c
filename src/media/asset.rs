//! An asset: one uploaded source, what became of it, and what it can be played as.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Names an asset in URLs and keys: 1 to 64 lower-case letters, digits and inner hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetId(String);

impl AssetId {
    /// The id that `text` is.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let sign = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let sound = (1..=64).contains(&text.len())
            && text.bytes().all(sign)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid(
                "an asset id has 1 to 64 lower-case letters, digits and inner hyphens",
            ))
        }
    }

    /// A new id out of 80 random bits: 16 letters and digits.
    pub fn from_random(bits: [u8; 10]) -> Self {
        /// Base 32 without `i`, `l`, `o` and `u`, which look like others or spell words.
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut text = String::with_capacity(16);
        let (mut held, mut count) = (0_usize, 0);
        for byte in bits {
            held = (held << 8 | usize::from(byte)) & 0xffff;
            count += 8;
            while count >= 5 {
                count -= 5;
                text.push(char::from(DIGITS[held >> count & 31]));
            }
        }
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AssetId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<AssetId> for String {
    fn from(id: AssetId) -> Self {
        id.0
    }
}

/// Where an asset is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetState {
    /// Its bytes are arriving.
    Uploading,
    /// All bytes are there; it is being indexed and planned.
    Indexing,
    /// Playable: manifests are served, segments are made as they are asked for and in the
    /// background.
    Ready,
    /// Everything is stored and verified.
    Complete,
    /// Nothing more will become of it; [`Asset::failure`] says why.
    Failed,
}

impl AssetState {
    /// All of them, in the order they are passed.
    pub const ALL: [Self; 5] = [
        Self::Uploading,
        Self::Indexing,
        Self::Ready,
        Self::Complete,
        Self::Failed,
    ];

    /// Its word in the API and in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Indexing => "indexing",
            Self::Ready => "ready",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Why an asset failed, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What can be done about it.
    pub kind: ErrorKind,
    /// What went wrong and how to mend it, in plain words.
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// One rendition as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenditionSummary {
    /// Its name in URLs: `v1080`, `a-en`.
    pub id: String,
    /// RFC 6381 codec string.
    pub codecs: String,
    /// Picture width; `None` for sound.
    pub width: Option<u32>,
    /// Picture height; `None` for sound.
    pub height: Option<u32>,
    /// BCP 47 language; `None` for pictures.
    pub language: Option<String>,
    /// Peak in bits a second, as HLS defines it: expected while the asset is `ready`, measured
    /// once it is `complete`.
    pub bandwidth: u64,
    /// Mean in bits a second, likewise.
    pub average_bandwidth: u64,
    /// `copy` for the source's own samples, `encode` for those made anew.
    pub source: String,
    /// Number of segments.
    pub segments: u32,
}

/// An asset as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asset {
    /// Its name.
    pub id: AssetId,
    /// What people call it; may be empty.
    pub title: String,
    /// Where it is on its way.
    pub state: AssetState,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// The policy it is made by, as JSON of [`super::Policy`].
    pub policy: super::Policy,
    /// Where the source is pulled from; `None` for an upload.
    pub source_url: Option<String>,
    /// Length of the source in bytes, once it is known.
    pub source_bytes: Option<u64>,
    /// BLAKE3 digest of the source, once all bytes are there.
    pub source_digest: Option<String>,
    /// The revision that is served, once it is planned.
    pub revision: Option<String>,
    /// Length of the presentation in seconds, once it is planned.
    pub duration_s: Option<f64>,
    /// The renditions, once they are planned.
    pub renditions: Vec<RenditionSummary>,
    /// Segments stored.
    pub segments_done: u64,
    /// Segments planned; 0 before that.
    pub segments_total: u64,
    /// Whether there is a `poster.jpg`.
    pub has_poster: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_at_millis: i64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn random_bits_make_a_sound_id(bits: [u8; 10]) {
            let id = AssetId::from_random(bits);
            prop_assert_eq!(id.as_str().len(), 16);
            prop_assert_eq!(AssetId::parse(id.as_str()).expect("sound"), id);
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "-a", "a-", "A", "a/b", "..", "a.b", &"a".repeat(65)] {
            assert!(AssetId::parse(text).is_err(), "{text}");
        }
    }
}
