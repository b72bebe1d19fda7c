//! Wildcards in the `Resource` of a CloudFront policy: `*` is any number of characters, `?` is one,
//! and a backslash takes the next character as it is (a query begins with `\?`).
//!
//! They stay within their part of the URL: before the path a wildcard never takes a `/`, and only a
//! `*` at the very end reaches into the query. Otherwise `https://host/v/*/index.m3u8` would be good
//! for every object, with `?/index.m3u8` behind it.

/// Longest pattern that is matched, in bytes; matching takes this times the URL's length at most.
pub(super) const LONGEST_PATTERN: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Exactly(u8),
    /// `?`; whether it may be a slash.
    One {
        slash: bool,
    },
    /// `*`; whether it takes slashes, and the question mark that begins the query.
    Many {
        slash: bool,
        query: bool,
    },
}

impl Part {
    fn takes(self, byte: u8, begins_query: bool) -> bool {
        match self {
            Self::Exactly(own) => own == byte,
            Self::One { slash } => slash || byte != b'/',
            Self::Many { slash, query } => (slash || byte != b'/') && (query || !begins_query),
        }
    }
}

/// Whether `pattern` is for `url`.
pub(super) fn matches(pattern: &str, url: &str) -> bool {
    if pattern.len() > LONGEST_PATTERN {
        return false;
    }
    let url = url.as_bytes();
    let query = url
        .iter()
        .position(|byte| *byte == b'?')
        .unwrap_or(url.len());
    // Which beginnings of the URL the parts so far can be.
    let mut reached = vec![false; url.len() + 1];
    reached[0] = true;
    for part in parts(pattern) {
        let mut next = vec![false; url.len() + 1];
        let many = matches!(part, Part::Many { .. });
        next[0] = many && reached[0];
        for (at, byte) in url.iter().enumerate() {
            let takes = part.takes(*byte, at == query);
            next[at + 1] = match many {
                true => reached[at + 1] || (next[at] && takes),
                false => reached[at] && takes,
            };
        }
        reached = next;
    }
    reached[url.len()]
}

fn parts(pattern: &str) -> Vec<Part> {
    let bytes = pattern.as_bytes();
    let path = start_of_path(pattern);
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let slash = at >= path;
        let part = match (byte, bytes.get(at + 1)) {
            (b'\\', Some(next)) => {
                at += 1;
                Part::Exactly(*next)
            }
            (b'?', _) => Part::One { slash },
            (b'*', next) => Part::Many {
                slash,
                query: next.is_none(),
            },
            (byte, _) => Part::Exactly(*byte),
        };
        if !(matches!(part, Part::Many { .. }) && parts.last() == Some(&part)) {
            parts.push(part);
        }
        at += 1;
    }
    parts
}

/// Where the path begins in a pattern that names a host; 0 in one that doesn't, like `*`.
fn start_of_path(pattern: &str) -> usize {
    let Some(scheme) = pattern.find("://") else {
        return 0;
    };
    let host = scheme + 3;
    pattern[host..].find('/').map_or(0, |slash| host + slash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAYLIST: &str = "https://media.example.org/v/cats/index.m3u8";

    #[test]
    fn wildcards_match_within_their_part_of_the_url() {
        for (pattern, matched) in [
            (PLAYLIST, true),
            ("*", true),
            ("http*://media.example.org/v/cats/*", true),
            ("https://media.example.org/v/cats/*", true),
            ("https://media.example.org/v/*/index.m3u8", true),
            ("https://media.example.org/v/c?ts/index.m3u?", true),
            ("https://*.example.org/*", true),
            ("https://*/v/cats/index.m3u8", true),
            ("*index.m3u8", true),
            ("https://*", true),
            ("https://media.example.org/v/dogs/*", false),
            ("https://media.example.org/v/cats", false),
            ("https://media.example.org/v/cats/", false),
            ("https://media.example.org/v/cats/index.m3u", false),
            ("https://*cats/*", false),
            ("http://media.example.org/v/cats/*", false),
            ("https://media?example?org?v/cats/*", false),
            ("HTTPS://media.example.org/*", false),
            ("", false),
        ] {
            assert_eq!(matches(pattern, PLAYLIST), matched, "{pattern}");
        }
    }

    #[test]
    fn a_query_is_reached_only_by_the_last_star_or_in_so_many_words() {
        let with_query = format!("{PLAYLIST}?a=b");
        for (pattern, matched) in [
            ("https://media.example.org/v/cats/*", true),
            (r"https://media.example.org/v/cats/index.m3u8\?a=*", true),
            (r"https://media.example.org/v/*\?a=b", true),
            ("https://media.example.org/v/cats/index.m3u8?a=b", true),
            ("https://media.example.org/v/*=b", false),
            (PLAYLIST, false),
        ] {
            assert_eq!(matches(pattern, &with_query), matched, "{pattern}");
        }
        let trick = "https://media.example.org/v/cats/secret.m4s?/index.m3u8";
        assert!(!matches("https://media.example.org/v/*/index.m3u8", trick));
        assert!(!matches("*/index.m3u8", trick));
    }

    proptest! {
        #[test]
        fn a_pattern_without_wildcards_is_for_itself_alone(a in "[a-z/]{0,12}", b in "[a-z/]{0,12}") {
            prop_assert_eq!(matches(&a, &b), a == b);
        }

        #[test]
        fn a_folders_star_is_for_what_begins_with_it(folder in "/[a-z/]{0,8}", path in "/[a-z/?]{0,12}") {
            let expected = path.starts_with(&folder);
            prop_assert_eq!(matches(&format!("{folder}*"), &path), expected);
        }

        #[test]
        fn any_pattern_ends(pattern in "[*?a/\\\\]{0,40}", url in "[a/?]{0,40}") {
            matches(&pattern, &url);
        }
    }
}
