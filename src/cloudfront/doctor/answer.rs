//! An answer as it came over the wire, and what its header fields say.

use bytes::Bytes;

/// An answer, or why there was none.
pub(super) type Outcome = Result<Answer, String>;

/// An answer as it came over the wire: nothing is decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case, in the order received.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// What a cache says of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// It was in the cache.
    Hit,
    /// It was fetched from the origin.
    Miss,
}

/// The directives of `Cache-Control` that decide how long something is kept (RFC 9111, 5861,
/// 8246). Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CacheControl {
    pub(super) max_age: Option<u64>,
    pub(super) shared_max_age: Option<u64>,
    pub(super) stale_while_revalidate: u64,
    pub(super) stale_if_error: u64,
    pub(super) is_kept: bool,
    pub(super) is_immutable: bool,
}

impl CacheControl {
    pub(super) fn parse(text: &str) -> Self {
        let mut found = Self {
            is_kept: true,
            ..Self::default()
        };
        for directive in text.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let seconds = value.trim().trim_matches('"').parse::<u64>().ok();
            match name.trim().to_ascii_lowercase().as_str() {
                "max-age" => found.max_age = seconds,
                "s-maxage" => found.shared_max_age = seconds,
                "stale-while-revalidate" => {
                    found.stale_while_revalidate = seconds.unwrap_or_default();
                }
                "stale-if-error" => found.stale_if_error = seconds.unwrap_or_default(),
                "no-store" | "private" | "no-cache" => found.is_kept = false,
                "immutable" => found.is_immutable = true,
                _ => {}
            }
        }
        found
    }

    /// Seconds that a CDN may keep it.
    pub(super) fn shared_ttl(&self) -> Option<u64> {
        self.shared_max_age.or(self.max_age)
    }
}

impl Answer {
    /// The first field of that name (in lower case).
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(field, _)| field == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// Whether a list in a field has that word, in any case.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named
            .flat_map(|(_, value)| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    pub(super) fn cache_control(&self) -> Option<CacheControl> {
        self.field("cache-control").map(CacheControl::parse)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.trim().parse().ok()
    }

    /// The entity tag without the mark of a weak one.
    pub(super) fn opaque_tag(&self) -> Option<&str> {
        let tag = self.field("etag")?;
        Some(tag.strip_prefix("W/").unwrap_or(tag))
    }

    /// What the cache nearest to the viewer says; `None` where no header tells.
    pub(super) fn stored(&self) -> Option<Stored> {
        self.stored_words().or_else(|| {
            let has_age = self.number("age").is_some_and(|age| age > 0);
            // Varnish names the request that filled the cache beside this one.
            let has_two_ids = self
                .field("x-varnish")
                .map(|ids| ids.split_ascii_whitespace().count() > 1);
            match (has_age, has_two_ids) {
                (true, _) | (_, Some(true)) => Some(Stored::Hit),
                (false, Some(false)) => Some(Stored::Miss),
                (false, None) => None,
            }
        })
    }

    fn stored_words(&self) -> Option<Stored> {
        let names = [
            "cache-status",
            "cf-cache-status",
            "x-cache",
            "x-cache-status",
            "cdn-cache",
            "x-cache-lookup",
        ];
        let words = names.iter().find_map(|name| self.field(name))?;
        // Each cache on the way adds itself; the last is the nearest.
        let last = words.rsplit(',').next().unwrap_or(words);
        let has = |word: &str| last.to_ascii_lowercase().contains(word);
        if ["hit", "stale", "revalidated", "updating"]
            .into_iter()
            .any(has)
        {
            return Some(Stored::Hit);
        }
        let misses = ["miss", "fwd=", "expired", "bypass", "dynamic", "error"];
        misses.into_iter().any(has).then_some(Stored::Miss)
    }

    /// What the cache says of itself, as it wrote it.
    pub(super) fn stored_as_written(&self) -> String {
        let names = [
            "cache-status",
            "cf-cache-status",
            "x-cache",
            "x-cache-status",
            "cdn-cache",
            "x-cache-lookup",
            "x-served-by",
            "age",
        ];
        let said = names
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", self.field(name)?)));
        said.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Answer {
        Answer {
            fields: vec![(name.to_owned(), value.to_owned())],
            ..Answer::default()
        }
    }

    #[test]
    fn hits_and_misses_are_read_in_every_dialect() {
        let (hit, miss) = (Some(Stored::Hit), Some(Stored::Miss));
        for (name, value, expected) in [
            ("x-cache", "Hit from cloudfront", hit),
            ("x-cache", "RefreshHit from cloudfront", hit),
            ("x-cache", "Miss from cloudfront", miss),
            ("x-cache", "Error from cloudfront", miss),
            ("x-cache", "MISS, HIT", hit),
            ("x-cache", "HIT, MISS", miss),
            ("cf-cache-status", "DYNAMIC", miss),
            ("cf-cache-status", "REVALIDATED", hit),
            (
                "cache-status",
                "Origin; hit; ttl=5, Edge; fwd=uri-miss",
                miss,
            ),
            ("cache-status", "Edge; hit; ttl=1100", hit),
            ("x-varnish", "12 7", hit),
            ("x-varnish", "12", miss),
            ("age", "3", hit),
            ("age", "0", None),
            ("server", "x", None),
        ] {
            assert_eq!(with(name, value).stored(), expected, "{name}: {value}");
        }
    }

    #[test]
    fn cache_control_is_read_as_written_by_us_and_others() {
        let ours = CacheControl::parse(crate::layout::ENTRY);
        assert_eq!(
            (ours.shared_ttl(), ours.stale_while_revalidate),
            (Some(60), 300)
        );
        let theirs = CacheControl::parse("Max-Age=\"5\" , NO-STORE");
        assert_eq!((theirs.max_age, theirs.is_kept), (Some(5), false));
        assert!(CacheControl::parse(crate::layout::IMMUTABLE).is_immutable);
    }
}
