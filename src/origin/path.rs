//! From a URL path to an object, or to nothing.

use crate::layout::Key;

/// An object that may be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deliverable {
    /// The folder of its asset within the data folder: empty, or ending with `/`.
    pub(super) folder: String,
    /// What it is.
    pub(super) key: Key,
}

/// The object a decoded URL path (without its first slash) names. Hidden and private names, and
/// whatever is not one of our objects, name none.
pub(super) fn deliverable(path: &str) -> Option<Deliverable> {
    let visible = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    if path.len() > 1024 || path.contains('\0') || !path.split('/').all(visible) {
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
