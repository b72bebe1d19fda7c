//! Bytes of a text file to text: UTF-8, UTF-16 where a byte order mark says so, and Windows-1252
//! for what is neither.

use crate::error::{Error, Result};

/// The text, its line breaks all `\n`, and what had to be guessed.
pub(super) fn decode(bytes: &[u8]) -> Result<(String, Vec<String>)> {
    let (text, warning) = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), None),
            Err(_) if is_mostly_utf8(bytes) => utf8(bytes),
            Err(_) => windows_1252(bytes)?,
        },
    };
    let warnings = warning.map(str::to_owned).into_iter().collect();
    Ok((one_line_break(&text), warnings))
}

/// WebVTT 6.1: CR LF and CR alone break lines too; U+0000 is replaced.
fn one_line_break(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\0', "\u{fffd}")
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<&'static str>) {
    let pairs = bytes.chunks_exact(2);
    let rest = !pairs.remainder().is_empty();
    let units: Vec<u16> = pairs
        .filter_map(|pair| Some(unit(pair.try_into().ok()?)))
        .collect();
    let mut damaged = rest;
    let characters = char::decode_utf16(units).map(|character| {
        character.unwrap_or_else(|_| {
            damaged = true;
            char::REPLACEMENT_CHARACTER
        })
    });
    let text = characters.collect();
    let warning = "the text is damaged UTF-16; what can't be read shows as \u{fffd}";
    (text, damaged.then_some(warning))
}

fn utf8(bytes: &[u8]) -> (String, Option<&'static str>) {
    let text = String::from_utf8_lossy(bytes);
    let damaged = matches!(text, std::borrow::Cow::Owned(_));
    let warning = "the text is damaged UTF-8; what can't be read shows as \u{fffd}";
    (text.into_owned(), damaged.then_some(warning))
}

/// Whether more characters beyond ASCII are whole than broken: text in another encoding hardly has
/// any that are whole by chance.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for piece in bytes.utf8_chunks() {
        whole += piece.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!piece.invalid().is_empty());
    }
    whole > broken
}

fn windows_1252(bytes: &[u8]) -> Result<(String, Option<&'static str>)> {
    if bytes.contains(&0) {
        let message = "the file is not text; upload captions as WebVTT or SubRip in UTF-8";
        return Err(Error::invalid(message));
    }
    let text = bytes.iter().map(|byte| match byte {
        0x80..=0x9f => HIGH_CONTROLS[usize::from(byte - 0x80)],
        other => char::from(*other),
    });
    let warning = "the text is not UTF-8 and was read as Windows-1252; \
                   if letters with accents are wrong, save it as UTF-8 and upload it again";
    Ok((text.collect(), Some(warning)))
}

/// What Windows-1252 has at 0x80 to 0x9f, where Latin-1 has control characters.
const HIGH_CONTROLS: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
    '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}',
    'ž', 'Ÿ',
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (String, usize) {
        let (text, warnings) = decode(bytes).expect("text");
        (text, warnings.len())
    }

    #[test]
    fn each_encoding_is_known_by_its_bytes() {
        assert_eq!(
            decoded("naïve\r\na\rb".as_bytes()),
            ("naïve\na\nb".into(), 0)
        );
        assert_eq!(decoded(b"\xef\xbb\xbfx"), ("x".into(), 0));
        assert_eq!(decoded(b"\xff\xfeh\0\xe9\0"), ("hé".into(), 0));
        assert_eq!(decoded(b"\xfe\xff\0h\0\xe9"), ("hé".into(), 0));
        assert_eq!(decoded(b"\xfe\xff\0h\xd8\0"), ("h\u{fffd}".into(), 1));
        assert_eq!(decoded(b"caf\xe9 \x80"), ("café €".into(), 1));
    }

    #[test]
    fn one_bad_byte_does_not_spoil_a_file_of_utf8() {
        let mut bytes = "Żółta łódź".as_bytes().to_vec();
        bytes.push(0xff);
        assert_eq!(decoded(&bytes), ("Żółta łódź\u{fffd}".into(), 1));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert!(decode(b"\0\0\0\x18ftypmp42\xff\xfe").is_err());
    }
}
