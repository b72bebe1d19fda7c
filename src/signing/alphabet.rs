//! Base64 (RFC 4648) as it is written in URLs and cookies: our tokens use the RFC's own alphabet for
//! that (section 5), CloudFront one of its own. Either way one sequence of bytes has one text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Bytes in CloudFront's alphabet: `+`, `=` and `/` become `-`, `_` and `~`.
pub(super) fn cloudfront(bytes: &[u8]) -> String {
    let swap = |sign| match sign {
        '+' => '-',
        '=' => '_',
        '/' => '~',
        other => other,
    };
    STANDARD.encode(bytes).chars().map(swap).collect()
}

/// The bytes that [`cloudfront`] made `text` of.
pub(super) fn from_cloudfront(text: &str) -> Option<Vec<u8>> {
    let swap = |sign| match sign {
        b'-' => Some(b'+'),
        b'_' => Some(b'='),
        b'~' => Some(b'/'),
        b'+' | b'=' | b'/' => None,
        other => Some(other),
    };
    let standard = text.bytes().map(swap).collect::<Option<Vec<u8>>>()?;
    STANDARD.decode(standard).ok()
}

/// Bytes in the alphabet for URLs, without padding.
pub(super) fn url_safe(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes that [`url_safe`] made `text` of.
pub(super) fn from_url_safe(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
