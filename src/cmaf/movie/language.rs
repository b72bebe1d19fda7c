//! Language codes of MP4 and QuickTime as BCP 47 tags (RFC 5646).

use crate::cmaf::read::unpack_language;

/// ISO 639-2 codes (terminological and bibliographic) that have a two-letter code, sorted.
const TWO_LETTERS: &[(&str, &str)] = &[
    ("afr", "af"),
    ("alb", "sq"),
    ("amh", "am"),
    ("ara", "ar"),
    ("arm", "hy"),
    ("aze", "az"),
    ("baq", "eu"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bos", "bs"),
    ("bul", "bg"),
    ("bur", "my"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("chi", "zh"),
    ("cym", "cy"),
    ("cze", "cs"),
    ("dan", "da"),
    ("deu", "de"),
    ("dut", "nl"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("eus", "eu"),
    ("fao", "fo"),
    ("fas", "fa"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("geo", "ka"),
    ("ger", "de"),
    ("gla", "gd"),
    ("gle", "ga"),
    ("glg", "gl"),
    ("gre", "el"),
    ("guj", "gu"),
    ("hau", "ha"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ibo", "ig"),
    ("ice", "is"),
    ("ind", "id"),
    ("isl", "is"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("kaz", "kk"),
    ("khm", "km"),
    ("kor", "ko"),
    ("kur", "ku"),
    ("lao", "lo"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("ltz", "lb"),
    ("mac", "mk"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("may", "ms"),
    ("mkd", "mk"),
    ("mlt", "mt"),
    ("mon", "mn"),
    ("mri", "mi"),
    ("msa", "ms"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nno", "nn"),
    ("nob", "nb"),
    ("nor", "no"),
    ("pan", "pa"),
    ("per", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("pus", "ps"),
    ("ron", "ro"),
    ("rum", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slo", "sk"),
    ("slv", "sl"),
    ("som", "so"),
    ("spa", "es"),
    ("sqi", "sq"),
    ("srp", "sr"),
    ("swa", "sw"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tha", "th"),
    ("tib", "bo"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("wel", "cy"),
    ("yid", "yi"),
    ("yor", "yo"),
    ("zho", "zh"),
    ("zul", "zu"),
];

/// Macintosh language codes 0 to 40 (QuickTime File Format, "Language Code Values").
const MACINTOSH: &[&str] = &[
    "en", "fr", "de", "it", "nl", "sv", "es", "da", "pt", "no", "he", "ja", "ar", "fi", "el", "is",
    "mt", "tr", "hr", "zh-Hant", "ur", "hi", "th", "ko", "lt", "pl", "hu", "et", "lv", "se", "fo",
    "fa", "ru", "zh-Hans", "nl-BE", "ga", "sq", "ro", "cs", "sk", "sl",
];

/// The tag of an `mdhd` language field (ISO/IEC 14496-12 section 8.4.2.3): three packed letters,
/// or a Macintosh code below 0x400 in a QuickTime file. `und` for all else.
pub(super) fn from_media_header(code: u16, quicktime: bool) -> String {
    if code < 0x400 {
        let known = MACINTOSH.get(usize::from(code)).filter(|_| quicktime);
        return known.unwrap_or(&"und").to_string();
    }
    from_iso_639_2(&unpack_language(code))
}

/// The tag of a three-letter code; the code itself where there is no shorter one.
fn from_iso_639_2(letters: &str) -> String {
    if let Ok(at) = TWO_LETTERS.binary_search_by_key(&letters, |(long, _)| long) {
        return TWO_LETTERS.get(at).map_or("und", |(_, short)| short).into();
    }
    letters.to_owned()
}

/// The tag of an `elng` box (ISO/IEC 14496-12 section 8.4.6) when it has the form of one.
pub(super) fn from_extended(text: &[u8]) -> Option<String> {
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    let tag = std::str::from_utf8(text.get(..end)?).ok()?;
    let sound = (2..=35).contains(&tag.len())
        && tag.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        });
    sound.then(|| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(TWO_LETTERS.is_sorted());
    }

    #[test]
    fn codes_become_tags() {
        let packed = |s: &str| s.bytes().fold(0, |code, b| code << 5 | u16::from(b - 0x60));
        for (code, quicktime, tag) in [
            (packed("eng"), false, "en"),
            (packed("ger"), true, "de"),
            (packed("und"), false, "und"),
            (packed("gsw"), false, "gsw"),
            (0x7fff, true, "und"),
            (2, true, "de"),
            (0, false, "und"),
            (200, true, "und"),
        ] {
            assert_eq!(from_media_header(code, quicktime), tag, "{code:#x}");
        }
        assert_eq!(from_extended(b"en-GB\0").as_deref(), Some("en-GB"));
        assert_eq!(from_extended(b"\"><script>\0"), None);
    }
}
