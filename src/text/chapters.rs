//! Chapters as WebVTT, for `<track kind="chapters">`: a cue each, whose text is the title.

use super::cue::{Cue, Cues};
use super::markup::{Face, Styled};
use crate::media::Chapter;

/// One cue a chapter, identified by its number.
pub fn chapter_cues(chapters: &[Chapter]) -> Cues {
    let cue = |(number, chapter): (usize, &Chapter)| {
        let mut title = Styled::default();
        for character in chapter.title.chars() {
            title.push(character, Face::default());
        }
        Cue {
            id: number.to_string(),
            start_millis: chapter.start_millis,
            end_millis: chapter.end_millis,
            settings: String::new(),
            text: title.to_cue_text(),
        }
    };
    Cues::new(Vec::new(), (1..).zip(chapters).map(cue).collect())
}
