//! What was answered, before anybody judges it.

use super::answer::{Answer, Outcome};
use crate::layout::{ENTRY, Key};

/// All answers.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) entry: Seen,
    /// A media playlist, an init segment and a segment, as far as they were found.
    pub(super) others: Vec<Seen>,
    /// Why some were not found.
    pub(super) lost: Vec<String>,
    /// Two answers about an object that isn't there, asked with [`STRANGE_HOST`].
    pub(super) missing: Vec<Outcome>,
    pub(super) tls: Option<Tls>,
    pub(super) origin: Option<OriginSeen>,
}

/// A host that no answer may repeat.
pub(super) const STRANGE_HOST: &str = "strange-host.invalid";

/// What an object is to a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Entry,
    Playlist,
    Init,
    Segment,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Playlist => "playlist",
            Self::Init => "init",
            Self::Segment => "segment",
        }
    }

    /// Whether it is a text that is worth encoding.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Entry | Self::Playlist)
    }
}

/// How long an object should be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Briefly: it may be replaced.
    Brief,
    /// For ever: ours and under a revision.
    Forever,
    /// Long: somebody else's segment.
    Long,
}

/// Answers about one object.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) role: Role,
    pub(super) url: String,
    /// What it is, if it is one of ours.
    pub(super) key: Option<Key>,
    /// Asked plainly until there was a hit, three times at most; the first has a body.
    pub(super) plain: Vec<Answer>,
    /// Asked with `If-None-Match` and the tag of the plain answer.
    pub(super) unchanged: Option<Outcome>,
    pub(super) head: Outcome,
    /// Asked with the page's `Origin`.
    pub(super) from_page: Outcome,
    /// That page's origin.
    pub(super) page: String,
    pub(super) preflight: Outcome,
    pub(super) gzip: Outcome,
    pub(super) brotli: Outcome,
    /// Asked with `Range`: the header and the answer.
    pub(super) ranges: Vec<(String, Outcome)>,
    /// Asked with a query that nobody asked with before.
    pub(super) with_query: Option<Outcome>,
}

impl Seen {
    /// The answer whose bytes are those of the object.
    pub(super) fn whole(&self) -> Option<&Answer> {
        self.plain.first()
    }

    /// The last plain answer: that from the cache, if there is a cache.
    pub(super) fn latest(&self) -> Option<&Answer> {
        self.plain.last()
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        match (&self.key, self.role) {
            (Some(key), _) if key.cache_control() == ENTRY => Lifetime::Brief,
            (Some(_), _) => Lifetime::Forever,
            (None, Role::Entry | Role::Playlist) => Lifetime::Brief,
            (None, Role::Init | Role::Segment) => Lifetime::Long,
        }
    }

    /// All answers that there are.
    pub(super) fn answers(&self) -> impl Iterator<Item = &Answer> {
        let single = [
            &self.head,
            &self.from_page,
            &self.preflight,
            &self.gzip,
            &self.brotli,
        ];
        let some = [&self.unchanged, &self.with_query];
        let outcomes = single.into_iter().chain(some.into_iter().flatten());
        let ranges = self.ranges.iter().map(|(_, outcome)| outcome);
        let outcomes = outcomes
            .chain(ranges)
            .filter_map(|outcome| outcome.as_ref().ok());
        self.plain.iter().chain(outcomes)
    }
}

/// The object of ours that a URL path names.
pub(super) fn key_of(path: &str) -> Option<Key> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let starts = std::iter::once(0).chain(path.match_indices('/').map(|(at, _)| at + 1));
    starts
        .into_iter()
        .find_map(|start| Key::parse(path.get(start..)?))
}

/// TLS of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) has_1_2: bool,
    pub(super) has_1_3: bool,
    /// Last instant of its certificate, in milliseconds since 1970.
    pub(super) not_after: Option<i64>,
}

/// Answers of our server, around the CDN.
#[derive(Debug, Clone)]
pub(super) struct OriginSeen {
    /// Asked without the secret.
    pub(super) without_secret: Outcome,
    /// Asked with the secret, if there is one.
    pub(super) with_secret: Option<Outcome>,
    /// Asked with `X-Forwarded-Host` and `Host` of [`STRANGE_HOST`], with the secret.
    pub(super) strange: Vec<Outcome>,
    /// Whether a connection that was idle for that many seconds was still good; `None` where that
    /// can't be seen.
    pub(super) kept: Option<(u32, Option<bool>)>,
    /// The entity tag of the same object through the CDN.
    pub(super) tag_through_cdn: Option<String>,
    pub(super) tls: Option<Tls>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_objects_are_known_by_their_paths() {
        let revision = "0123456789abcdef0123456789abcdef";
        assert_eq!(key_of("/v/cats/index.m3u8"), Some(Key::EntryHls));
        let segment = key_of(&format!("/a/v/cats/{revision}/v720/3.m4s")).expect("ours");
        assert_eq!(segment.to_string(), format!("{revision}/v720/3.m4s"));
        assert_eq!(key_of("/films/1/master.m3u8"), None);
    }
}
