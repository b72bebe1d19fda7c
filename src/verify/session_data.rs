//! Session data of a multivariant playlist (RFC 8216bis 4.4.6.4): what it names is there, and
//! chapters are what Apple's players read.

use serde_json::Value;
use url::Url;

use super::load::Loader;
use super::report::Sheet;
use crate::error::{Error, Result};
use crate::hls::{CHAPTERS_DATA_ID, Tag};
use crate::time::{Ticks, Timescale};

/// Media types of session data (4.4.6.4: JSON unless FORMAT says otherwise).
const JSON_TYPES: &[&str] = &["application/json"];

/// H21: the object that an `EXT-X-SESSION-DATA` names resolves, under the type of what it holds;
/// chapters lie within the title, whose `length` is in nanoseconds.
pub(super) fn judge(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    base: &Url,
    (place, tag): (&str, &Tag),
    length: Option<i64>,
) {
    let Some(uri) = tag.attributes.get("URI") else {
        return;
    };
    let is_raw = tag
        .attributes
        .get("FORMAT")
        .is_some_and(|f| f.value == "RAW");
    let is_chapters = tag
        .attributes
        .get("DATA-ID")
        .is_some_and(|id| id.value == CHAPTERS_DATA_ID);
    let at = format!("{place}:{}", tag.line);
    let fault = match read(loader, sheet, base, &uri.value, is_raw) {
        Ok(Some(value)) if is_chapters => chapters_fault(&value, length),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    sheet.judge("H21", &at, fault);
}

/// The value of session data in JSON; `None` for raw data.
fn read(
    loader: &mut Loader<'_>,
    sheet: &mut Sheet,
    base: &Url,
    uri: &str,
    is_raw: bool,
) -> Result<Option<Value>> {
    let url = Loader::resolve(base, uri)?;
    let bytes = loader.fetch.all(url.as_str())?;
    if is_raw {
        return Ok(None);
    }
    loader.judge_serving(sheet, url.as_str(), JSON_TYPES);
    let value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::invalid(format!("{uri} is no JSON: {e}")))?;
    Ok(Some(value))
}

/// By how much a chapter may end after the title: playlists round, and sound ends on its own frames.
const CHAPTER_SLACK: f64 = 0.5;

/// What in a list of chapters players stumble over.
fn chapters_fault(value: &Value, length: Option<i64>) -> Option<String> {
    let title = length.map(|nanos| Ticks::new(nanos, Timescale::NANOS).seconds());
    let Some(chapters) = value.as_array() else {
        return Some("the chapters are no JSON array".into());
    };
    let mut last = f64::MIN;
    for (number, chapter) in (1..).zip(chapters) {
        let Some(start) = chapter["start-time"].as_f64() else {
            return Some(format!("chapter {number} has no start-time"));
        };
        if start < last {
            return Some(format!(
                "chapter {number} starts before the one in front of it"
            ));
        }
        last = start;
        let end = start + chapter["duration"].as_f64().unwrap_or(0.0);
        if let Some(title) = title
            && (start >= title || end > title + CHAPTER_SLACK)
        {
            return Some(format!(
                "chapter {number} lasts from {start} to {end} s, the title {title} s"
            ));
        }
        let titles = chapter["titles"].as_array();
        let is_title = |title: &Value| title["language"].is_string() && title["title"].is_string();
        if titles.is_none_or(|titles| titles.is_empty() || !titles.iter().all(is_title)) {
            return Some(format!(
                "chapter {number} has no titles with a language each"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_players_stumble_over_is_found() {
        let title = json!([{"language": "en", "title": "x"}]);
        let chapter = |start: f64| json!({"start-time": start, "titles": title});
        let length = Some(10_000_000_000);
        let fault = |value: Value| chapters_fault(&value, length).unwrap_or_default();
        let lasting = |start: f64, duration: f64| json!({"start-time": start, "duration": duration, "titles": title});
        assert_eq!(fault(json!([lasting(0.0, 5.0), lasting(5.0, 5.02)])), "");
        assert!(fault(json!([lasting(5.0, 400.0)])).contains("from 5 to 405 s, the title 10 s"));
        assert!(fault(json!([chapter(10.0)])).contains("the title 10 s"));
        assert_eq!(fault(json!([chapter(0.0), chapter(2.5)])), "");
        assert!(fault(json!([chapter(3.0), chapter(2.5)])).contains("chapter 2 starts before"));
        assert!(fault(json!([{"titles": title}])).contains("no start-time"));
        assert!(fault(json!([{"start-time": 1, "titles": []}])).contains("no titles"));
        assert!(fault(json!({})).contains("no JSON array"));
    }
}
