//! Language tags (BCP 47, RFC 5646): checked once, and always in the case that the standard asks
//! for, so that one language is one key and one group.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest tag that is taken; RFC 5646 4.4.1 names 35 as what a buffer should hold at least.
const MAX_BYTES: usize = 35;

/// A well-formed language tag: `en`, `pt-BR`, `zh-Hant-TW`. Whether a registry knows its parts is
/// not asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LanguageTag(String);

impl LanguageTag {
    /// Reads a tag in any case; `_` is taken for `-`.
    ///
    /// # Errors
    /// `Invalid` for what is no tag of a language (RFC 5646 2.1): grandfathered and private tags
    /// (`i-klingon`, `x-mine`) among it, which players don't know either.
    pub fn parse(text: &str) -> Result<Self> {
        let written = text.trim().replace('_', "-");
        let parts: Vec<&str> = written.split('-').collect();
        if written.len() > MAX_BYTES || !is_well_formed(&parts) {
            let shown: String = text.chars().take(40).collect();
            let message = format!(
                "{shown:?} is no language; give a BCP 47 tag, such as en, pt-BR or zh-Hant"
            );
            return Err(Error::invalid(message));
        }
        Ok(Self(canonical(&parts)))
    }

    /// The tag of a language that nobody knows, `und` (RFC 5646 4.1).
    pub fn undetermined() -> Self {
        Self("und".to_owned())
    }

    /// The tag as manifests have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What people who speak it call it, for the languages most often met.
    pub fn own_name(&self) -> Option<&'static str> {
        let language = self.0.split('-').next().unwrap_or_default();
        let row = OWN_NAMES.iter().find(|(tag, _)| *tag == self.0);
        let row = row.or_else(|| OWN_NAMES.iter().find(|(tag, _)| *tag == language));
        row.map(|(_, name)| *name)
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for LanguageTag {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<LanguageTag> for String {
    fn from(tag: LanguageTag) -> Self {
        tag.0
    }
}

/// `langtag` of RFC 5646 2.1: language, extended languages, script, region, variants, extensions,
/// private use, in this order.
fn is_well_formed(parts: &[&str]) -> bool {
    let alphanumeric = |part: &&str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !parts.iter().all(alphanumeric) {
        return false;
    }
    let Some((language, rest)) = parts.split_first() else {
        return false;
    };
    if !is_letters(language, 2..=8) {
        return false;
    }
    let extended = if language.len() <= 3 { 3 } else { 0 };
    let rest = skip(rest, extended, |part| is_letters(part, 3..=3));
    let rest = skip(rest, 1, |part| is_letters(part, 4..=4));
    let rest = skip(rest, 1, is_region);
    let rest = skip(rest, rest.len(), is_variant);
    are_extensions(rest)
}

/// `parts` without the first ones, at most `most`, that are of that sort.
fn skip<'a, 'b>(parts: &'a [&'b str], most: usize, is: impl Fn(&str) -> bool) -> &'a [&'b str] {
    let count = parts.iter().take(most).take_while(|part| is(part)).count();
    parts.get(count..).unwrap_or_default()
}

fn is_letters(part: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic())
}

fn is_region(part: &str) -> bool {
    is_letters(part, 2..=2) || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()))
}

fn is_variant(part: &str) -> bool {
    match part.len() {
        5..=8 => true,
        4 => part.starts_with(|c: char| c.is_ascii_digit()),
        _ => false,
    }
}

/// Each singleton is followed by at least one part that is none; after `x` anything goes.
fn are_extensions(parts: &[&str]) -> bool {
    let mut rest = parts;
    while let Some((singleton, after)) = rest.split_first() {
        if singleton.len() != 1 {
            return false;
        }
        if singleton.eq_ignore_ascii_case("x") {
            return !after.is_empty();
        }
        let values = after.iter().take_while(|part| part.len() > 1).count();
        if values == 0 {
            return false;
        }
        rest = after.get(values..).unwrap_or_default();
    }
    true
}

/// RFC 5646 2.1.1: regions in capitals, scripts with one, the rest in small letters; after a
/// singleton all small.
fn canonical(parts: &[&str]) -> String {
    let mut written: Vec<String> = Vec::with_capacity(parts.len());
    let mut in_extension = false;
    for (at, part) in parts.iter().enumerate() {
        in_extension |= part.len() == 1;
        let small = part.to_ascii_lowercase();
        written.push(match part.len() {
            2 if at > 0 && !in_extension => part.to_ascii_uppercase(),
            4 if at > 0 && !in_extension && is_letters(part, 4..=4) => {
                let (first, rest) = small.split_at(1);
                format!("{}{rest}", first.to_ascii_uppercase())
            }
            _ => small,
        });
    }
    written.join("-")
}

/// The names of the Unicode CLDR, in the languages themselves.
const OWN_NAMES: &[(&str, &str)] = &[
    ("ar", "العربية"),
    ("bg", "Български"),
    ("bn", "বাংলা"),
    ("ca", "Català"),
    ("cs", "Čeština"),
    ("da", "Dansk"),
    ("de", "Deutsch"),
    ("el", "Ελληνικά"),
    ("en", "English"),
    ("es", "Español"),
    ("et", "Eesti"),
    ("eu", "Euskara"),
    ("fa", "فارسی"),
    ("fi", "Suomi"),
    ("fr", "Français"),
    ("ga", "Gaeilge"),
    ("gl", "Galego"),
    ("he", "עברית"),
    ("hi", "हिन्दी"),
    ("hr", "Hrvatski"),
    ("hu", "Magyar"),
    ("id", "Indonesia"),
    ("is", "Íslenska"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("lt", "Lietuvių"),
    ("lv", "Latviešu"),
    ("ms", "Melayu"),
    ("nb", "Norsk bokmål"),
    ("nl", "Nederlands"),
    ("nn", "Norsk nynorsk"),
    ("no", "Norsk"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("pt-BR", "Português (Brasil)"),
    ("ro", "Română"),
    ("ru", "Русский"),
    ("sk", "Slovenčina"),
    ("sl", "Slovenščina"),
    ("sr", "Српски"),
    ("sv", "Svenska"),
    ("ta", "தமிழ்"),
    ("te", "తెలుగు"),
    ("th", "ไทย"),
    ("tr", "Türkçe"),
    ("uk", "Українська"),
    ("ur", "اردو"),
    ("vi", "Tiếng Việt"),
    ("zh", "中文"),
    ("zh-Hans", "简体中文"),
    ("zh-Hant", "繁體中文"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_take_the_case_of_the_standard() {
        for (written, tag) in [
            ("EN", "en"),
            ("pt-br", "pt-BR"),
            ("zh_hant_tw", "zh-Hant-TW"),
            ("zh-yue-HK", "zh-yue-HK"),
            ("es-419", "es-419"),
            ("sl-rozaj-biske-1994", "sl-rozaj-biske-1994"),
            ("DE-u-CO-phonebk", "de-u-co-phonebk"),
            ("en-x-US", "en-x-us"),
            ("und", "und"),
            (" fr ", "fr"),
        ] {
            assert_eq!(LanguageTag::parse(written).expect(written).as_str(), tag);
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in [
            "",
            "-",
            "e",
            "english language",
            "en-",
            "-en",
            "en--US",
            "12",
            "x-mine",
            "en-a",
            "en-x",
            "en-US-GB",
            "../x",
            "en/us",
            "é",
            "abcdefghi",
            "en-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd",
        ] {
            assert!(LanguageTag::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn own_names_prefer_the_nearer_tag() {
        let name = |tag| LanguageTag::parse(tag).expect(tag).own_name();
        assert_eq!(name("pt-br"), Some("Português (Brasil)"));
        assert_eq!(name("pt-PT"), Some("Português"));
        assert_eq!(name("tlh"), None);
    }

    proptest! {
        #[test]
        fn a_tag_reads_as_itself(text in "[a-zA-Z]{2,3}(-[a-zA-Z]{4})?(-([a-zA-Z]{2}|[0-9]{3}))?(-[a-z0-9]{5,8})?") {
            let tag = LanguageTag::parse(&text).expect("well-formed");
            prop_assert_eq!(LanguageTag::parse(tag.as_str()).expect("reads"), tag.clone());
            prop_assert!(tag.as_str().eq_ignore_ascii_case(&text));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") {
            let _ = LanguageTag::parse(&text);
        }
    }
}
