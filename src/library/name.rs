//! The name of a title's asset, from that of its file.

use crate::error::Result;
use crate::media::AssetId;

/// Letters and digits of the digest in a name: two files of a library of a million share them once
/// in a million libraries only if their names are alike as well.
const DIGEST_DIGITS: usize = 8;
/// The most of a file's own name that is kept.
const NAME_MAX: usize = 64 - DIGEST_DIGITS - 1;

/// The asset of the file at `relative`, a path below the library's folder with `/` between its
/// parts: what can be read of the path without its extension, and digits of its digest. The same
/// path has the same name, whatever else is there; different paths have different names.
///
/// # Errors
/// Never for a digest that is one.
pub fn asset_id(relative: &str) -> Result<AssetId> {
    let folder = relative.rfind('/').map_or(0, |at| at + 1);
    let stem = match relative[folder..].rfind('.') {
        None | Some(0) => relative,
        Some(dot) => &relative[..folder + dot],
    };
    let digest = blake3::hash(relative.as_bytes()).to_hex();
    let digest = &digest[..DIGEST_DIGITS];
    let words = words(stem);
    AssetId::parse(&match words.as_str() {
        "" => digest.to_owned(),
        words => format!("{words}-{digest}"),
    })
}

/// Lower-case letters and digits with single hyphens for all else.
fn words(text: &str) -> String {
    let mut words = String::new();
    for sign in text.chars().map(|sign| sign.to_ascii_lowercase()) {
        if words.len() >= NAME_MAX {
            break;
        }
        match sign {
            'a'..='z' | '0'..='9' => words.push(sign),
            _ if words.is_empty() || words.ends_with('-') => {}
            _ => words.push('-'),
        }
    }
    words.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_can_be_read() {
        let name = |path: &str| asset_id(path).unwrap().as_str().to_owned();
        let talk = name("2024/My Talk (final).MP4");
        assert!(talk.starts_with("2024-my-talk-final-"), "{talk}");
        assert_eq!(name(".mp4").len(), "mp4-".len() + DIGEST_DIGITS);
        assert_eq!(name("日本.mp4").len(), DIGEST_DIGITS);
        assert_ne!(name("a.mp4"), name("a.mov"));
        assert_ne!(name("a/b.mp4"), name("a-b.mp4"));
    }

    proptest! {
        #[test]
        fn every_path_has_a_name(path in "\\PC{1,200}") {
            let name = asset_id(&path).unwrap();
            prop_assert_eq!(&name, &asset_id(&path).unwrap());
        }
    }
}
