//! Chapters as Apple's players read them ("Providing JavaScript Object Notation (JSON) chapters"):
//! a list that the multivariant playlist names as session data.

use std::fmt::Write as _;

use crate::error::{Error, Result};
use crate::media::Chapter;

/// The DATA-ID under which a multivariant playlist names them.
pub const CHAPTERS_DATA_ID: &str = "com.apple.hls.chapters";

/// The list, numbered from 1.
///
/// # Errors
/// `Internal`: never for chapters of a plan.
pub fn chapters_json(chapters: &[Chapter]) -> Result<String> {
    let mut text = String::from("[");
    for (number, chapter) in (1..).zip(chapters) {
        let quoted = |value: &str| {
            serde_json::to_string(value)
                .map_err(|e| Error::internal("writing chapters as JSON").with_source(e))
        };
        let (language, title) = (quoted(&chapter.language)?, quoted(&chapter.title)?);
        let length = chapter.end_millis.saturating_sub(chapter.start_millis);
        let separator = if number == 1 { "\n" } else { ",\n" };
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "{separator}  {{\"chapter\": {number}, \"start-time\": {}, \"duration\": {}, \
             \"titles\": [{{\"language\": {language}, \"title\": {title}}}]}}",
            seconds(chapter.start_millis),
            seconds(length)
        );
    }
    text.push_str("\n]\n");
    Ok(text)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_json_with_what_players_look_for() {
        let chapter = |start_millis, end_millis, title: &str| Chapter {
            start_millis,
            end_millis,
            title: title.to_owned(),
            language: "en".to_owned(),
        };
        let text = chapters_json(&[chapter(0, 1500, "A \"b\" \\"), chapter(1500, 61_007, "Ü")]);
        let value: serde_json::Value = serde_json::from_str(&text.expect("writes")).expect("JSON");
        assert_eq!(value[0]["titles"][0]["title"], "A \"b\" \\");
        assert_eq!(value[0]["titles"][0]["language"], "en");
        assert_eq!(value[1]["chapter"], 2);
        assert_eq!(value[1]["start-time"], 1.5);
        assert_eq!(value[1]["duration"], 59.507);
    }
}
