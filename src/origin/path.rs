//! From a URL path to an object, or to nothing.

use std::borrow::Cow;

use crate::layout::Key;

/// An object that may be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deliverable {
    /// The folder of its asset within the data folder: empty, or ending with `/`.
    pub(super) folder: String,
    /// What it is.
    pub(super) key: Key,
}

/// A URL path with its escapes undone (RFC 3986 section 2.1), without its first slash. `None` for
/// what is not UTF-8, and for an escaped slash, which would be another path to a cache.
pub(super) fn decoded(path: &str) -> Option<Cow<'_, str>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => escape(rest.next()?, rest.next()?).filter(|byte| *byte != b'/')?,
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn escape(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// A path as it goes into a URL.
pub(super) fn encoded(path: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The object a decoded URL path (without its first slash) names. Hidden and private names, and
/// whatever is not one of our objects, name none.
pub(super) fn deliverable(path: &str) -> Option<Deliverable> {
    let visible = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    if path.len() > 1024 || path.contains(char::is_control) || !path.split('/').all(visible) {
        return None;
    }
    let starts = std::iter::once(0).chain(path.match_indices('/').map(|(at, _)| at + 1));
    for start in starts {
        match Key::parse(&path[start..]) {
            None => {}
            Some(Key::Private { .. } | Key::Record) => return None,
            Some(key) => {
                return Some(Deliverable {
                    folder: path[..start].to_owned(),
                    key,
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISION: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn our_objects_are_found_in_any_folder() {
        let found = deliverable(&format!("v/cats/{REVISION}/v720/3.m4s")).unwrap();
        assert_eq!(found.folder, "v/cats/");
        assert_eq!(found.key.to_string(), format!("{REVISION}/v720/3.m4s"));
        assert_eq!(deliverable("index.m3u8").unwrap().key, Key::EntryHls);
        let text = format!("{REVISION}/text/pt-BR/0123456789abcdef/whole.vtt");
        let found = deliverable(&format!("v/cats/{text}")).unwrap();
        assert_eq!(
            (found.folder.as_str(), found.key.to_string()),
            ("v/cats/", text)
        );
    }

    #[test]
    fn any_name_survives_its_url() {
        for name in ["talk", "na me%41", "Füße?#", "a+b&c=d"] {
            assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
        }
        assert_eq!(encoded("na me%41"), "na%20me%2541");
        for broken in ["/a%2fb", "/a%2", "/a%", "/a%zz", "/%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }

    #[test]
    fn private_hidden_and_foreign_names_are_not() {
        for path in [
            "",
            "presentation.json",
            ".lock",
            "v/../index.m3u8",
            "v//index.m3u8",
            ".meta/index.m3u8",
            "v/x/secrets.txt",
        ] {
            assert_eq!(deliverable(path), None, "{path}");
        }
        assert_eq!(deliverable(&format!("r/{REVISION}/plan.json")), None);
    }
}
