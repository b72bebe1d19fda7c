//! What of a query must not be in a log: whoever reads it could use it.

use std::borrow::Cow;

use crate::telemetry::cmcd::decoded;

/// Parts of names that tell a secret: ours (`hw-token`), CloudFront's (`Signature`, `Policy`),
/// Amazon's, and those of others.
const PARTS: [&str; 8] = [
    "token",
    "signature",
    "policy",
    "secret",
    "password",
    "passwd",
    "credential",
    "auth",
];

/// Whole names that do. `CMCD` is logged as what was read of it; as it came it may hold the URL of
/// the next object with all that opens it.
const NAMES: [&str; 9] = [
    "sig", "key", "apikey", "api_key", "jwt", "hdnts", "hdnea", "hdntl", "cmcd",
];

/// The query with a hyphen in place of each secret value.
pub(super) fn without_secrets(query: &str) -> Cow<'_, str> {
    // A fragment has no place in a request, but in a `Referer` somebody may leave it.
    let query = query.split('#').next().unwrap_or_default();
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let mut shown = String::with_capacity(query.len());
    for (at, parameter) in query.split('&').enumerate() {
        if at > 0 {
            shown.push('&');
        }
        match parameter.split_once('=') {
            Some((name, _)) if is_secret(parameter) => {
                shown.push_str(name);
                shown.push_str("=-");
            }
            _ => shown.push_str(parameter),
        }
    }
    Cow::Owned(shown)
}

fn is_secret(parameter: &str) -> bool {
    let Some((name, _)) = parameter.split_once('=') else {
        return false;
    };
    // A name that can't be read may be any.
    let Some(name) = decoded(name) else {
        return true;
    };
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_open_something_are_left_out() {
        for (query, shown) in [
            ("", ""),
            ("a=1&b", "a=1&b"),
            (
                "Expires=9&Signature=x~&Key-Pair-Id=K1",
                "Expires=9&Signature=-&Key-Pair-Id=K1",
            ),
            ("Policy=e30_", "Policy=-"),
            ("hw-token=1.k.&_HLS_msn=3", "hw-token=-&_HLS_msn=3"),
            ("X-Amz-Security-Token=a=b", "X-Amz-Security-Token=-"),
            ("%74oken=x&to%6ben=x", "%74oken=-&to%6ben=-"),
            ("%zz=x", "%zz=-"),
            ("CMCD=nor%3D%22a.m4s%3Ftoken%3Dx%22", "CMCD=-"),
            ("a=1#token=x", "a=1"),
        ] {
            assert_eq!(without_secrets(query), shown, "{query}");
        }
    }
}
