//! Asks for everything that is judged. What fails is kept too, but for the first request: without
//! an answer to that there is nothing to examine.

use std::time::Duration;

use url::Url;

use super::answer::{Answer, Outcome, Stored};
use super::client::{self, Client};
use super::evidence::{Evidence, OriginSeen, Role, STRANGE_HOST, Seen, key_of};
use super::{Options, Origin, objects};
use crate::error::{Error, ErrorKind, Result};

/// How often an object is asked for until it comes from a cache: an edge has several machines.
const ASKED_PLAINLY: usize = 3;

pub(super) fn collect(options: &Options, entry: Url, tell: &dyn Fn(&str)) -> Result<Evidence> {
    let client = Client::new(&options.fields)?;
    let unreachable = |why: String| {
        let message = format!("{entry}: can't be reached: {why}");
        Error::new(ErrorKind::Unavailable, message)
    };
    let (url, first) = client.follow(entry.clone()).map_err(unreachable)?;
    let asker = Asker {
        client,
        page: &options.page,
        token: format!("doctor-{:08x}", getrandom::u32().unwrap_or_default()),
    };
    let entry = asker.seen(Role::Entry, &url, first.clone());
    let (others, lost) = asker.others(&url, &first);
    let sample = others.last().unwrap_or(&entry);
    let origin = match &options.origin {
        Some(origin) => Some(origin_seen(origin, sample, tell)?),
        None => None,
    };
    Ok(Evidence {
        missing: asker.missing(&url),
        tls: client::tls(&url),
        entry,
        others,
        lost,
        origin,
    })
}

struct Asker<'a> {
    client: Client,
    page: &'a str,
    /// What nobody asked with before.
    token: String,
}

impl Asker<'_> {
    /// A media playlist, an init segment and a segment, as far as the manifests lead to them.
    fn others(&self, url: &Url, manifest: &Answer) -> (Vec<Seen>, Vec<String>) {
        let (mut seen, mut lost) = (Vec::new(), Vec::new());
        let mut named = objects::named_in(url, &manifest.body);
        if manifest.status != 200 {
            return (seen, lost);
        }
        // A multivariant playlist leads to a media playlist, and that to the rest.
        for _ in 0..2 {
            let found = match named {
                Ok(found) => found,
                Err(why) => {
                    lost.push(why);
                    break;
                }
            };
            let mut next = Ok(Vec::new());
            for (role, url) in found {
                match self.client.get(&url, &[]) {
                    Err(why) => lost.push(format!("{url}: {why}")),
                    Ok(answer) => {
                        if role == Role::Playlist && answer.status == 200 {
                            next = objects::named_in(&url, &answer.body);
                        }
                        seen.push(self.seen(role, &url, answer));
                    }
                }
            }
            named = next;
        }
        (seen, lost)
    }

    /// Everything about one object, given the first answer about it.
    fn seen(&self, role: Role, url: &Url, first: Answer) -> Seen {
        let plain = self.plain(url, first);
        let client = &self.client;
        let get = |name: &str, value: &str| client.get(url, &[(name, value)]);
        let tag = plain.last().and_then(|answer| answer.field("etag"));
        let length = plain.first().map_or(0, |answer| answer.body.len());
        let preflight = [
            ("Origin", self.page),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "range,if-none-match"),
        ];
        Seen {
            role,
            url: url.to_string(),
            key: key_of(url.path()),
            unchanged: tag.map(|tag| get("If-None-Match", tag)),
            head: client.head(url),
            from_page: get("Origin", self.page),
            page: self.page.to_owned(),
            preflight: client.options(url, &preflight),
            gzip: get("Accept-Encoding", "gzip"),
            brotli: get("Accept-Encoding", "br"),
            ranges: ranges(role, length)
                .into_iter()
                .map(|range| (range.clone(), get("Range", &range)))
                .collect(),
            with_query: (!role.is_text()).then(|| client.get(&self.with_query(url), &[])),
            plain,
        }
    }

    fn plain(&self, url: &Url, first: Answer) -> Vec<Answer> {
        let mut plain = vec![first];
        while plain.len() < ASKED_PLAINLY {
            let Ok(answer) = self.client.get(url, &[]) else {
                break;
            };
            let is_hit = answer.stored() == Some(Stored::Hit);
            plain.push(answer);
            if is_hit {
                break;
            }
        }
        plain
    }

    fn with_query(&self, url: &Url) -> Url {
        let mut url = url.clone();
        url.query_pairs_mut().append_pair("doctor", &self.token);
        url
    }

    /// What isn't there, beside the entry point. The strange host can harm nobody there: no viewer
    /// asks for that object.
    fn missing(&self, entry: &Url) -> Vec<Outcome> {
        let Ok(url) = entry.join(&format!("{}.m4s", self.token)) else {
            return Vec::new();
        };
        let strange = [("X-Forwarded-Host", STRANGE_HOST)];
        (0..2).map(|_| self.client.get(&url, &strange)).collect()
    }
}

/// Parts to ask for: at the beginning, inside and at the end.
fn ranges(role: Role, length: usize) -> Vec<String> {
    if role.is_text() || length < 4 {
        return Vec::new();
    }
    let (quarter, half) = (length / 4, length / 2);
    vec![
        String::from("bytes=0-1"),
        format!("bytes={quarter}-{half}"),
        format!("bytes=-{quarter}"),
    ]
}

/// Our server asked for `sample`, around the CDN.
fn origin_seen(origin: &Origin, sample: &Seen, tell: &dyn Fn(&str)) -> Result<OriginSeen> {
    let url = at_origin(origin, sample)?;
    let stranger = Client::new(&[])?;
    let secret: Vec<(String, String)> = origin.secret.iter().cloned().collect();
    let friend = Client::new(&secret)?;
    let strange = ["X-Forwarded-Host", "Host"];
    let kept = (origin.idle_seconds > 0).then(|| {
        let seconds = origin.idle_seconds;
        tell(&format!(
            "leaving a connection to the origin idle for {seconds} s"
        ));
        let idle = Duration::from_secs(seconds.into());
        (seconds, client::keeps_idle(&url, &secret, idle))
    });
    Ok(OriginSeen {
        without_secret: stranger.get(&url, &[]),
        with_secret: origin.secret.is_some().then(|| friend.get(&url, &[])),
        strange: strange
            .map(|name| friend.get(&url, &[(name, STRANGE_HOST)]))
            .into(),
        kept,
        tag_through_cdn: sample
            .whole()
            .and_then(|answer| answer.opaque_tag())
            .map(str::to_owned),
        tls: client::tls(&url),
    })
}

/// The URL of an object at our server: the CDN keeps the path.
fn at_origin(origin: &Origin, sample: &Seen) -> Result<Url> {
    let at = |url: &str| {
        Url::parse(url).map_err(|e| Error::invalid(format!("{url}: not a URL")).with_source(e))
    };
    let mut url = at(&origin.url)?;
    url.set_path(at(&sample.url)?.path());
    url.set_query(None);
    Ok(url)
}
