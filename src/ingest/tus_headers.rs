//! The headers of tus 1.0.0: what they may say.
//! <https://tus.io/protocols/resumable-upload>, "Core Protocol" and its extensions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

/// The version of the protocol.
pub(super) const VERSION: &str = "1.0.0";
/// What there is beyond the core.
pub(super) const EXTENSIONS: &str = "creation,creation-with-upload,expiration,checksum,termination";
/// The checksums that are known.
pub(super) const ALGORITHMS: &str = "sha1,sha256";
/// The type of a PATCH's body.
pub(super) const OFFSET_TYPE: &str = "application/offset+octet-stream";

/// Longest `Upload-Metadata`, in bytes.
const METADATA_BYTES_MAX: usize = 8192;

/// A non-negative number, as `Upload-Offset` and `Upload-Length` are.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// `Upload-Metadata`: keys with Base64 values, as (key, value) in the order they stand.
///
/// # Errors
/// What is wrong with it.
pub(super) fn metadata(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.len() > METADATA_BYTES_MAX {
        return Err(format!("at most {METADATA_BYTES_MAX} bytes"));
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split(',').map(str::trim) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("each pair begins with a key of visible ASCII characters".to_owned());
        }
        if pairs.iter().any(|(known, _)| known == key) {
            return Err(format!("`{key}` is there twice"));
        }
        let value = STANDARD.decode(value.trim());
        let value = value.map_err(|_| format!("the value of `{key}` isn't Base64"))?;
        let value = String::from_utf8(value);
        let value = value.map_err(|_| format!("the value of `{key}` isn't UTF-8"))?;
        pairs.push((key.to_owned(), value));
    }
    Ok(pairs)
}

/// `Upload-Checksum`: what the bytes of one request must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checksum {
    algorithm: Algorithm,
    expected: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
}

impl Checksum {
    /// The checksum that a header's value asks for.
    ///
    /// # Errors
    /// What is wrong with it, or that the algorithm isn't known.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.trim().split_once(' ').unwrap_or((text, ""));
        let (algorithm, length) = match name {
            "sha1" => (Algorithm::Sha1, 20),
            "sha256" => (Algorithm::Sha256, 32),
            _ => return Err(format!("the algorithm must be one of {ALGORITHMS}")),
        };
        let expected = STANDARD.decode(value.trim());
        let expected = expected.map_err(|_| "the checksum isn't Base64".to_owned())?;
        if expected.len() != length {
            return Err(format!("a {name} has {length} bytes"));
        }
        Ok(Self {
            algorithm,
            expected,
        })
    }

    /// Begins to add bytes up.
    pub(super) fn begin(&self) -> Sum {
        match self.algorithm {
            Algorithm::Sha1 => Sum::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Sum::Sha256(sha2::Sha256::new()),
        }
    }

    /// Whether the bytes came to what was expected.
    pub(super) fn matches(&self, sum: Sum) -> bool {
        match sum {
            Sum::Sha1(sum) => sum.finalize()[..] == self.expected[..],
            Sum::Sha256(sum) => sum.finalize()[..] == self.expected[..],
        }
    }
}

/// Bytes of a request, being added up.
#[derive(Debug, Clone)]
pub(super) enum Sum {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Sum {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(sum) => sum.update(bytes),
            Self::Sha256(sum) => sum.update(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_is_pairs_of_key_and_base64() {
        let read = metadata("filename Y2xpcC5tcDQ=,is_confidential, title w6k=");
        let expected = [
            ("filename", "clip.mp4"),
            ("is_confidential", ""),
            ("title", "é"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read.expect("sound"), expected);
    }

    #[test]
    fn broken_metadata_is_told_why() {
        for (text, why) in [
            ("", "key"),
            ("a YQ==,", "key"),
            ("a YQ==,a YQ==", "twice"),
            ("a !!", "Base64"),
            ("a YQ", "Base64"),
            ("a /w==", "UTF-8"),
            ("\u{e9} YQ==", "key"),
        ] {
            let said = metadata(text).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
        metadata(&format!("a {}", "A".repeat(9000))).expect_err("too long");
    }

    #[test]
    fn a_checksum_is_kept_or_broken() {
        let checksum = Checksum::parse("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").expect("sound");
        let mut sum = checksum.begin();
        sum.update(b"hello ");
        sum.update(b"world");
        assert!(checksum.matches(sum.clone()));
        sum.update(b"!");
        assert!(!checksum.matches(sum));
        for text in ["md5 YQ==", "sha1 YQ==", "sha1", "sha256 !", "", "SHA1 YQ=="] {
            Checksum::parse(text).expect_err(text);
        }
    }

    #[test]
    fn numbers_have_digits_only() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for text in ["", "-1", "+1", " 1", "1.0", "18446744073709551616", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = metadata(&text);
            let _ = Checksum::parse(&text);
            let _ = number(&text);
        }

        #[test]
        fn metadata_comes_back_as_it_was(key in "[a-z_]{1,10}", value in "\\PC{0,40}") {
            let text = format!("{key} {}", STANDARD.encode(&value));
            prop_assert_eq!(metadata(&text).expect("sound"), [(key, value)]);
        }
    }
}
