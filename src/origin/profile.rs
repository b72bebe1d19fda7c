//! What each CDN wants to hear beside the common headers: the tags it drops objects by, and how
//! long it may keep them where it has a header of its own for that.
//!
//! `Cache-Control` with `s-maxage` says the same to all; a header of a CDN's own only keeps what is
//! meant for its edge from being taken for what is meant for browsers (RFC 9213).

use crate::error::{Error, Result};

/// The CDN in front of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// None, or one that takes no headers of its own.
    None,
    /// Amazon CloudFront.
    #[default]
    CloudFront,
    /// Fastly, and other Varnishes.
    Fastly,
    /// Cloudflare.
    Cloudflare,
    /// Akamai.
    Akamai,
    /// Google Media CDN, which tags by itself and keeps to `Cache-Control`.
    Google,
}

/// A header line: name and value.
pub type Line = (&'static str, String);

/// How a CDN wants its tags.
struct Tags {
    header: &'static str,
    separator: &'static str,
    /// The longest tag that it takes.
    longest: usize,
    /// Whether a sign may be part of a tag.
    takes: fn(u8) -> bool,
}

/// How many tags an object gets at most: as many as CloudFront looks at.
const MOST_TAGS: usize = 50;

/// The most bytes all tags of an object take: half of what the headers of an answer may take.
const TAG_BYTES: usize = 4096;

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::CloudFront,
        Self::Fastly,
        Self::Cloudflare,
        Self::Akamai,
        Self::Google,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::CloudFront => "cloudfront",
            Self::Fastly => "fastly",
            Self::Cloudflare => "cloudflare",
            Self::Akamai => "akamai",
            Self::Google => "google",
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Invalid`] for a name that is none, with those there are.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("{name:?} is no CDN; name one of {names}"))
        })
    }

    /// The lines for an object with these tags (see [`crate::layout::cache_tags`]) and this
    /// `Cache-Control`. A sign that the CDN takes in no tag becomes a hyphen; a tag that is too
    /// long, and those after the fiftieth, are left out.
    pub fn lines(self, tags: &[String], cache_control: &str) -> Vec<Line> {
        let tags = self.tags().and_then(|how| tag_line(&how, tags));
        let lifetime = self.lifetime(cache_control);
        tags.into_iter().chain(lifetime).collect()
    }

    fn tags(self) -> Option<Tags> {
        let tags = |header, separator, longest, takes| {
            Some(Tags {
                header,
                separator,
                longest,
                takes,
            })
        };
        match self {
            Self::None | Self::Google => None,
            // The name under which S3 shows the metadata `cache-tag`, so that origin and bucket
            // tag alike.
            Self::CloudFront => tags("x-amz-meta-cache-tag", ",", 256, in_list),
            Self::Fastly => tags("Surrogate-Key", " ", 1024, in_list),
            Self::Cloudflare => tags("Cache-Tag", ",", 1024, in_list),
            Self::Akamai => tags("Edge-Cache-Tag", ",", 128, in_token),
        }
    }

    fn lifetime(self, cache_control: &str) -> Option<Line> {
        let lifetime = Lifetime::of(cache_control);
        match self {
            Self::None | Self::CloudFront | Self::Google => None,
            Self::Fastly => Some(("Surrogate-Control", lifetime.directives()?)),
            Self::Cloudflare => Some(("Cloudflare-CDN-Cache-Control", lifetime.directives()?)),
            Self::Akamai => Some(("Edge-Control", lifetime.edge_control()?)),
        }
    }
}

fn tag_line(how: &Tags, tags: &[String]) -> Option<Line> {
    let mut line = String::new();
    let usable = tags
        .iter()
        .filter(|tag| (1..=how.longest).contains(&tag.len()));
    for tag in usable.take(MOST_TAGS) {
        if line.len() + how.separator.len() + tag.len() > TAG_BYTES {
            break;
        }
        if !line.is_empty() {
            line.push_str(how.separator);
        }
        let taken = |byte: u8| match (how.takes)(byte) {
            true => char::from(byte),
            false => '-',
        };
        line.extend(tag.bytes().map(taken));
    }
    (!line.is_empty()).then_some((how.header, line))
}

/// A sign that is visible and separates nothing.
fn in_list(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b','
}

/// A sign of a token (RFC 9110 section 5.6.2) but the asterisk, which Akamai takes in none.
fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte)
}

/// What `Cache-Control` grants a shared cache.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lifetime<'a> {
    is_forbidden: bool,
    max_age: Option<&'a str>,
    shared_max_age: Option<&'a str>,
    while_revalidate: Option<&'a str>,
    if_error: Option<&'a str>,
}

impl<'a> Lifetime<'a> {
    fn of(cache_control: &'a str) -> Self {
        let mut lifetime = Self::default();
        for directive in cache_control.split(',').map(str::trim) {
            match directive.split_once('=') {
                None if matches!(directive, "no-store" | "private") => lifetime.is_forbidden = true,
                Some(("max-age", seconds)) => lifetime.max_age = Some(seconds),
                Some(("s-maxage", seconds)) => lifetime.shared_max_age = Some(seconds),
                Some(("stale-while-revalidate", seconds)) => {
                    lifetime.while_revalidate = Some(seconds);
                }
                Some(("stale-if-error", seconds)) => lifetime.if_error = Some(seconds),
                _ => {}
            }
        }
        lifetime
    }

    fn seconds(&self) -> Option<&'a str> {
        self.shared_max_age.or(self.max_age)
    }

    /// As `Cache-Control` would say it to this one cache. `None` where it says nothing.
    fn directives(&self) -> Option<String> {
        if self.is_forbidden {
            return Some("no-store".to_owned());
        }
        let mut text = format!("max-age={}", self.seconds()?);
        let stale = [
            ("stale-while-revalidate", self.while_revalidate),
            ("stale-if-error", self.if_error),
        ];
        for (name, seconds) in stale {
            let Some(seconds) = seconds else { continue };
            text.push_str(&format!(", {name}={seconds}"));
        }
        Some(text)
    }

    /// In Akamai's words, which have none for what is stale.
    fn edge_control(&self) -> Option<String> {
        if self.is_forbidden {
            return Some("no-store".to_owned());
        }
        Some(format!("cache-maxage={}s", self.seconds()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::{ENTRY, IMMUTABLE, PRIVATE};

    fn said(profile: Profile, tags: &[&str], cache_control: &str) -> String {
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let lines = profile.lines(&tags, cache_control).into_iter();
        let lines: Vec<_> = lines
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn each_cdn_hears_its_own_words() {
        let tags = ["asset:cats", "build:0a"];
        for (profile, lines) in [
            (Profile::None, ""),
            (
                Profile::CloudFront,
                "x-amz-meta-cache-tag: asset:cats,build:0a",
            ),
            (
                Profile::Fastly,
                "Surrogate-Key: asset:cats build:0a\nSurrogate-Control: max-age=60, \
                 stale-while-revalidate=300, stale-if-error=86400",
            ),
            (
                Profile::Cloudflare,
                "Cache-Tag: asset:cats,build:0a\nCloudflare-CDN-Cache-Control: max-age=60, \
                 stale-while-revalidate=300, stale-if-error=86400",
            ),
            (
                Profile::Akamai,
                "Edge-Cache-Tag: asset-cats,build-0a\nEdge-Control: cache-maxage=60s",
            ),
            (Profile::Google, ""),
        ] {
            assert_eq!(said(profile, &tags, ENTRY), lines, "{profile:?}");
        }
    }

    #[test]
    fn what_no_cache_may_keep_no_cdn_may() {
        let line = "Surrogate-Control: no-store";
        assert_eq!(said(Profile::Fastly, &[], PRIVATE), line);
        assert_eq!(
            said(Profile::Akamai, &[], PRIVATE),
            "Edge-Control: no-store"
        );
        assert_eq!(said(Profile::Akamai, &[], "public"), "");
    }

    #[test]
    fn what_never_changes_is_kept_for_ever() {
        let line = "Edge-Control: cache-maxage=31536000s";
        assert_eq!(said(Profile::Akamai, &[], IMMUTABLE), line);
    }

    #[test]
    fn a_tag_that_is_too_long_is_left_out() {
        let long = "x".repeat(257);
        let line = "x-amz-meta-cache-tag: b";
        assert_eq!(said(Profile::CloudFront, &[&long, "b"], ENTRY), line);
    }

    #[test]
    fn names_in_the_configuration_are_found() {
        for profile in Profile::ALL {
            assert_eq!(Profile::parse(profile.name()).expect("a name"), profile);
        }
        let error = Profile::parse("acme").expect_err("no such CDN");
        assert!(error.to_string().contains("cloudflare"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn tags_stay_inside_every_limit(tags in prop::collection::vec("[ -~é]{0,300}", 45..60)) {
            for profile in Profile::ALL {
                for (name, value) in profile.lines(&tags, ENTRY) {
                    prop_assert!(value.len() <= TAG_BYTES, "{}", name);
                    prop_assert!(value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
                    prop_assert!(value.split([',', ' ']).count() <= MOST_TAGS);
                }
            }
        }
    }
}
