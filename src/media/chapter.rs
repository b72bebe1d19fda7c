//! Chapters: named stretches of a title.

use serde::{Deserialize, Serialize};

/// Most chapters of a title that are kept.
pub const MAX_CHAPTERS: usize = 1000;

/// Longest title of a chapter that is kept, in characters.
pub const MAX_CHAPTER_TITLE_CHARS: usize = 200;

/// What the codec of a source's track is called whose samples are titles of chapters: no media of its
/// own.
pub const CHAPTERS_CODEC: &str = "chapters";

/// A named stretch of a title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    /// When it begins, in milliseconds of the movie time line (in a plan: of the presentation).
    pub start_millis: u64,
    /// When it ends, likewise; after its start.
    pub end_millis: u64,
    /// What it is called: one line, never empty.
    pub title: String,
    /// BCP 47 language of the title; `und` when the source doesn't say.
    pub language: String,
}

/// The title of a chapter in one line of at most [`MAX_CHAPTER_TITLE_CHARS`] characters; `None` when
/// nothing of it is left.
pub fn chapter_title(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line: String = words
        .join(" ")
        .chars()
        .take(MAX_CHAPTER_TITLE_CHARS)
        .collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line() {
        let title = chapter_title(" The\r\n  start\0 \u{7}of it ");
        assert_eq!(title.as_deref(), Some("The start of it"));
        assert_eq!(chapter_title(" \n\0"), None);
        let long = chapter_title(&"x".repeat(1000)).expect("a title");
        assert_eq!(long.len(), MAX_CHAPTER_TITLE_CHARS);
    }
}
