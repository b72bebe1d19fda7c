//! The numbers, patterns and headers of a distribution, and why they are what they are.
//!
//! Sources: "CloudFront Developer Guide" (cache behaviours, expiration, origin failover, quotas);
//! the objects are those of [`crate::layout`].

/// Folder of all that is delivered, as a URL path begins.
pub const DELIVERED_FOLDER: &str = "/v";

/// Attempts to connect to an origin.
pub const CONNECTION_ATTEMPTS: u32 = 2;
/// Seconds that an attempt to connect may take. Both attempts together are over before a player's
/// buffer is.
pub const CONNECTION_TIMEOUT: u32 = 3;
/// Seconds to wait for the first byte of an answer and between two packets. Longer than a request
/// waits at our server for a segment that is being made (10 s), so that the answer is ours.
pub const READ_TIMEOUT: u32 = 15;
/// Seconds that a whole answer may take, all attempts together.
pub const RESPONSE_COMPLETION_TIMEOUT: u32 = 60;
/// Seconds that a connection to our server is kept idle. Shorter than our server keeps it (185 s),
/// so that it is never the server that closes first; within the quota of every account.
pub const KEEP_ALIVE_TIMEOUT: u32 = 60;

/// Statuses of our server on which the bucket is asked. 503 stands for "can't connect" too, 504
/// for "too slow". Not 404: the bucket holds what our server's store holds, so its answer is the
/// same and every made-up URL would cost two requests. Not 403: that is our server refusing, and
/// the bucket must not grant it.
pub const FAILOVER_STATUSES: [u16; 4] = [500, 502, 503, 504];

/// Seconds that an error stays in caches at least, by status; CloudFront's default is 10. A
/// segment that is being made is 503 or 404 for a moment only.
pub const ERROR_TTLS: [(u16, u32); 5] = [(404, 1), (500, 1), (502, 1), (503, 0), (504, 1)];

/// The header that an object's cache tags come in, from our server and, as metadata, from S3.
pub const TAG_HEADER: &str = "x-amz-meta-cache-tag";

/// Oldest TLS that viewers may use, as AWS names the policy.
pub const VIEWER_TLS: &str = "TLSv1.2_2021";
/// TLS to our server: what CloudFront has newest.
pub const ORIGIN_TLS: &str = "TLSv1.2";

/// AWS's managed policy that shows S3 what a preflight asks.
pub const CORS_S3_REQUEST_POLICY: &str = "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf";

/// The methods that are let in.
pub const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// Those of a behaviour that lets POST in: CloudFront has no smaller set with it.
pub const KEY_METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"];
/// Those of them that CloudFront wants named as kept, though nothing is.
pub const KEY_METHODS_KEPT: [&str; 2] = ["GET", "HEAD"];
/// The methods that scripts may use.
pub const SCRIPT_METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "POST"];
/// What scripts may read of an answer (as our server says it).
pub const EXPOSED_HEADERS: [&str; 5] = [
    "Content-Length",
    "Content-Range",
    "Date",
    "ETag",
    "CMSD-Static",
];
/// What scripts may send (as our server says it); the first is that of requests for licences.
pub const ALLOWED_HEADERS: [&str; 8] = [
    "Content-Type",
    "Range",
    "If-None-Match",
    "If-Modified-Since",
    "CMCD-Request",
    "CMCD-Object",
    "CMCD-Status",
    "CMCD-Session",
];
/// Seconds that a browser keeps the answer to a preflight (as our server says it).
pub const PREFLIGHT_TTL: u32 = 86_400;
/// Headers that our server sends and S3 doesn't.
pub const ADDED_HEADERS: [(&str, &str); 2] = [
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Timing-Allow-Origin", "*"),
];

/// Answers what no pattern matches, at the edge: nothing but streams is behind the distribution,
/// and nobody can list the bucket by asking for its root.
pub const NOT_FOUND_FUNCTION: &str = "\
function handler() {
  return {
    statusCode: 404,
    statusDescription: 'Not Found',
    headers: { 'cache-control': { value: 'public, max-age=60' } },
  };
}
";

/// Regions that have an Origin Shield.
pub const SHIELD_REGIONS: [&str; 13] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "me-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
];

/// How objects of one sort are kept. No query, cookie or header of the viewer is part of the key
/// or reaches the origin, but `Accept-Encoding` where there are encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CachePolicy {
    /// Segments and init segments: for ever, never encoded.
    Segments,
    /// Playlists, MPDs and captions of a revision: for ever, gzip and brotli.
    Playlists,
    /// Entry points: as briefly as the origin says, gzip and brotli.
    Entries,
    /// Content keys and licences: never.
    Keys,
}

impl CachePolicy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Segments, Self::Playlists, Self::Entries, Self::Keys];

    /// Its name, as it ends the resource's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Playlists => "playlists",
            Self::Entries => "entries",
            Self::Keys => "keys",
        }
    }

    /// What it is for, in words.
    pub fn comment(self) -> &'static str {
        match self {
            Self::Segments => "Segments: never change, never encoded",
            Self::Playlists => {
                "Playlists and captions of a revision: never change, gzip and brotli"
            }
            Self::Entries => "Entry points: kept as long as the origin says, gzip and brotli",
            Self::Keys => "Content keys and licences: never kept",
        }
    }

    /// Seconds that an object is kept at least. 0 everywhere: more would overrule `no-store`.
    pub fn min_ttl(self) -> u32 {
        0
    }

    /// Seconds that an object without `Cache-Control` is kept; none of ours is without.
    pub fn default_ttl(self) -> u32 {
        match self {
            Self::Segments | Self::Playlists => 86_400,
            Self::Entries => 1,
            Self::Keys => 0,
        }
    }

    /// Seconds that an object is kept at most, whatever the origin says.
    pub fn max_ttl(self) -> u32 {
        match self {
            Self::Segments | Self::Playlists => 31_536_000,
            Self::Entries => 86_400,
            Self::Keys => 0,
        }
    }

    /// Whether an object has encodings: the viewer's `Accept-Encoding` reaches the origin, and the
    /// edge encodes what the origin didn't.
    pub fn is_encoded(self) -> bool {
        matches!(self, Self::Playlists | Self::Entries)
    }
}

/// What lies beside the objects of a title in a bucket and is nobody's: the record, plan and report.
/// Like all that no pattern matches, it isn't there; these are looked at first.
pub const HIDDEN: [&str; 2] = ["v/*/presentation.json", "v/*/r/*"];

/// Content keys and licences, which our server alone has: never the pair of it and the bucket, with
/// which CloudFront takes no POST.
pub const KEYS: &str = "v/*/keys/*";

/// Which objects are kept how. The first pattern that matches decides; a `*` matches `/` too.
pub const BEHAVIOURS: [(&str, CachePolicy); 5] = [
    ("v/*/*/*.m3u8", CachePolicy::Playlists),
    ("v/*/*/*.mpd", CachePolicy::Playlists),
    ("v/*/*/*.vtt", CachePolicy::Playlists),
    ("v/*/*/*", CachePolicy::Segments),
    ("v/*", CachePolicy::Entries),
];

/// The policy of a URL path, without its first slash: that of the first pattern that matches. `None`
/// for what isn't delivered.
pub fn policy_of(path: &str) -> Option<CachePolicy> {
    if HIDDEN.iter().any(|pattern| matches(pattern, path)) {
        return None;
    }
    if matches(KEYS, path) {
        return Some(CachePolicy::Keys);
    }
    let found = BEHAVIOURS
        .iter()
        .find(|(pattern, _)| matches(pattern, path));
    found.map(|(_, policy)| *policy)
}

/// Whether a path pattern of CloudFront matches a path: `*` stands for any characters, also none,
/// `?` for exactly one.
pub fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    let (mut at, mut read) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = path.get(read) {
        match (pattern.get(at), retry) {
            (Some(b'*'), _) => {
                retry = Some((at + 1, read));
                at += 1;
            }
            (Some(wanted), _) if *wanted == b'?' || wanted == byte => {
                at += 1;
                read += 1;
            }
            // The last star takes one character more.
            (_, Some((after, taken))) => {
                retry = Some((after, taken + 1));
                (at, read) = (after, taken + 1);
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{ENTRY, IMMUTABLE, Key, Kind, ThumbnailList};
    use crate::media::{KEY_FOLDER, LICENSE_NAME, LanguageTag};

    fn key() -> impl Strategy<Value = Key> {
        let parts = (
            0_usize..13,
            "[0-9a-f]{32}",
            prop_oneof!["v[0-9]{3,4}", "a-[a-z]{2}", "trick(-160)?"],
            1_u32..,
            "[0-9a-f]{16}",
        );
        parts.prop_map(|(which, revision, track, number, digest)| {
            let language = LanguageTag::parse("pt-BR").expect("a tag");
            match which {
                0 => Key::EntryHls,
                1 => Key::EntryDash,
                2 => Key::EntryPoster,
                3 => Key::Multivariant { revision },
                4 => Key::Mpd { revision },
                5 => Key::MediaPlaylist { revision, track },
                6 => Key::Init { revision, track },
                7 => Key::Segment {
                    revision,
                    track,
                    number,
                },
                8 => Key::TextPlaylist {
                    revision,
                    language,
                    digest,
                },
                9 => Key::TextSegment {
                    revision,
                    language,
                    digest,
                    number,
                },
                10 => Key::WholeText {
                    revision,
                    language,
                    digest,
                },
                11 => Key::Thumbnail { revision, number },
                _ => Key::ThumbnailList {
                    revision,
                    list: ThumbnailList::ALL[number as usize % 3],
                },
            }
        })
    }

    /// The seconds that a cache rule gives shared caches.
    fn max_age(rule: &str) -> u32 {
        let age = |name| rule.split(", ").find_map(|part| part.strip_prefix(name));
        let age = age("s-maxage=").or(age("max-age=")).expect("has an age");
        age.parse().expect("a number")
    }

    fn is_text(kind: Kind) -> bool {
        matches!(kind, Kind::Playlist | Kind::Mpd | Kind::Text)
    }

    proptest! {
        #[test]
        fn every_object_has_the_policy_that_its_cache_rule_needs(key in key(), asset in "[A-Za-z0-9._-]{1,64}") {
            let policy = policy_of(&format!("v/{asset}/{key}")).expect("is delivered");
            let expected = match (key.cache_control(), is_text(key.kind())) {
                (ENTRY, _) => CachePolicy::Entries,
                (IMMUTABLE, true) => CachePolicy::Playlists,
                (IMMUTABLE, false) => CachePolicy::Segments,
                (other, _) => panic!("{other} is delivered"),
            };
            prop_assert_eq!(policy, expected);
            let age = max_age(key.cache_control());
            prop_assert!((policy.min_ttl()..=policy.max_ttl()).contains(&age));
            prop_assert!(policy.is_encoded() || !is_text(key.kind()));
        }

        #[test]
        fn what_is_private_has_no_policy(revision in "[0-9a-f]{32}", asset in "[A-Za-z0-9._-]{1,64}") {
            let plan = Key::Private { revision, name: "plan.json".into() };
            for key in [Key::Record, plan] {
                prop_assert_eq!(policy_of(&format!("v/{asset}/{key}")), None);
            }
        }

        #[test]
        fn keys_are_kept_nowhere(id in "[0-9a-f]{32}", asset in "[A-Za-z0-9._-]{1,64}") {
            for name in [&*id, LICENSE_NAME] {
                let path = format!("v/{asset}/{KEY_FOLDER}/{name}");
                prop_assert_eq!(policy_of(&path), Some(CachePolicy::Keys));
            }
        }

        #[test]
        fn nothing_outside_the_delivered_folder_has_a_policy(path in "(r|src|api|V|vv)/[a-z0-9/.]{0,40}") {
            prop_assert_eq!(policy_of(&path), None);
        }

        #[test]
        fn a_star_stands_for_anything(before in "[a-z/]{0,9}", inside in "[a-z/.*?]{0,9}", after in "[a-z/]{0,9}") {
            let path = format!("{before}{inside}{after}");
            let star = format!("{before}*{after}");
            prop_assert!(matches(&star, &path));
        }
    }

    #[test]
    fn the_longest_possible_ttl_is_that_of_immutable_objects() {
        assert_eq!(CachePolicy::Segments.max_ttl(), max_age(IMMUTABLE));
        assert_eq!(CachePolicy::Playlists.max_ttl(), max_age(IMMUTABLE));
    }

    #[test]
    fn patterns_match_as_cloudfront_says() {
        for (pattern, path, expected) in [
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("v/*/*/*", "v/a/b", false),
            ("v/*/*.m3u8", "v/a/b/c/i.m3u8", true),
            ("*.m3u8", "a.m3u8.m3u8", true),
            ("*.m3u8", "a.m3u8x", false),
            ("v/*", "V/a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
