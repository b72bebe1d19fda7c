//! Text that a source holds, as a plan names it.

use serde::{Deserialize, Serialize};

use super::{LanguageTag, TextKind};

/// Where in a source a text track comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSource {
    /// A track of its own.
    Track {
        /// Index into [`super::SourceIndex::tracks`].
        track: usize,
    },
    /// A channel of the captions within the pictures, or within a track of captions.
    Captions {
        /// Index into [`super::SourceIndex::tracks`].
        track: usize,
        /// Which of them.
        channel: CaptionChannel,
    },
}

impl TextSource {
    /// Index into [`super::SourceIndex::tracks`].
    pub fn track(self) -> usize {
        match self {
            Self::Track { track } | Self::Captions { track, .. } => track,
        }
    }
}

/// A channel of closed captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionChannel {
    /// CTA-608 `CC1` to `CC4`.
    Line21(u8),
    /// CTA-708 service 1 to 6.
    Service(u8),
}

impl std::fmt::Display for CaptionChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line21(number) => write!(f, "CC{number}"),
            Self::Service(number) => write!(f, "service {number}"),
        }
    }
}

/// A text track that is made of what the source holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextRendition {
    /// Its name in manifests: `t-en`, `t-en-2` for a second one of that language and kind.
    pub id: String,
    /// Where it comes from.
    pub source: TextSource,
    /// Language of the text.
    pub language: LanguageTag,
    /// Name shown to people.
    pub name: String,
    /// What it is for.
    pub kind: TextKind,
    /// Shown when the user chose nothing.
    pub default: bool,
    /// Time on the source track's movie time line, in its ticks, of the presentation's start.
    pub source_start: i64,
}

/// What was found by reading a text of the source, for planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextFound {
    /// Where.
    pub source: TextSource,
    /// How many cues it has.
    pub cues: usize,
}
