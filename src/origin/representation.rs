//! The answer about an object that is there: which of its forms, under which conditions, and how
//! much of it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::Shared;
use super::cache::{Body, Coding, Object};
use super::carry::{Carried, carry, carry_in_cues};
use super::coding;
use super::conditions::{Outcome, Validators, evaluate};
use super::gate::Admission;
use super::license_urls;
use super::range::Selection;
use super::reply::{self, Lines, Page, Reply};
use super::request::Request;
use crate::asset_view::BaseUrl;
use crate::layout::{self, Key, Kind, ThumbnailList};
use crate::store::Digest;
use crate::telemetry::{Class, CmsdFacts, ObjectType, StreamType, StreamingFormat, cmsd_static};

impl Shared {
    /// The answer about an object that is there: of its representations the one the asker likes
    /// best.
    pub(super) fn answer_about(
        &self,
        request: &Request<'_>,
        object: &Arc<Object>,
        admission: &Admission,
    ) -> Reply {
        let carried = admission.carried.as_deref();
        if let Some(reply) = carried.and_then(|query| self.carrying(request, object, query)) {
            return reply;
        }
        if let Some(reply) = self.placing_licenses(request, object, admission) {
            return reply;
        }
        let coding = match reply::is_text(object.key.kind()) {
            true => coding::preferred(request.all("accept-encoding")),
            false => None,
        };
        let encoded = coding.and_then(|coding| Some((coding, object.encoded(coding)?)));
        let representation = match encoded {
            None => Representation {
                etag: &object.etag,
                coding: None,
                length: object.length,
                head: object.head(),
            },
            Some((coding, encoded)) => Representation {
                etag: &encoded.etag,
                coding: Some(coding),
                length: encoded.bytes.len() as u64,
                head: &encoded.head,
            },
        };
        let validators = Validators {
            etag: representation.etag,
            modified: object.modified,
        };
        let has_ranges = representation.coding.is_none();
        let outcome = evaluate(
            request,
            validators,
            representation.length,
            has_ranges,
            self.now_seconds(),
        );
        let lines = match admission.is_signed {
            true => self.lines(object, &representation, self.page(request), true),
            false => {
                let render = || self.lines(object, &representation, Page::Any, false);
                representation.head.get_or_init(render).clone()
            }
        };
        let body = |range| match encoded {
            Some((_, encoded)) => Body::Bytes(encoded.bytes.clone()),
            None => object.body(range),
        };
        answer_to(outcome, lines, representation.length, body).of(class(&object.key))
    }

    /// A manifest whose URLs have the query that this one was asked with; `None` for what is none.
    fn carrying(&self, request: &Request<'_>, object: &Arc<Object>, query: &str) -> Option<Reply> {
        let kind = object.key.kind();
        let Body::Bytes(stored) = object.body(0..object.length) else {
            return None;
        };
        let carried = match object.key {
            Key::ThumbnailList {
                list: ThumbnailList::WebVtt,
                ..
            } => carry_in_cues(&stored, query),
            _ => carry(&stored, kind, query),
        };
        let mut bytes = carried?.bytes;
        if kind == Kind::Mpd {
            let whole = license_urls::made_whole(&bytes, &self.url(request));
            bytes = whole.unwrap_or(bytes);
        }
        let bytes = Bytes::from(bytes);
        let lines = Lines {
            kind,
            coding: None,
            cache: Carried::CACHE_CONTROL,
            validators: None,
            extra: &[],
            page: self.page(request),
        };
        let length = bytes.len() as u64;
        let whole = |_| Body::Bytes(bytes);
        let reply = Reply::content(lines.render(), Selection::Whole, length, whole);
        Some(reply.of(class(&object.key)))
    }

    /// An MPD that says where this server hands out licences, as players need it; `None` for one that
    /// doesn't, and for what is no MPD. Where it isn't configured what clients' URLs begin with, that is
    /// taken from the request, and the answer is for this client alone.
    fn placing_licenses(
        &self,
        request: &Request<'_>,
        object: &Arc<Object>,
        admission: &Admission,
    ) -> Option<Reply> {
        if object.key.kind() != Kind::Mpd {
            return None;
        }
        let Body::Bytes(stored) = object.body(0..object.length) else {
            return None;
        };
        let bytes = Bytes::from(license_urls::made_whole(&stored, &self.url(request))?);
        let mut digest = Digest::default();
        digest.update(&bytes);
        let etag = digest.etag();
        let (length, head) = (bytes.len() as u64, OnceLock::new());
        let representation = Representation {
            etag: &etag,
            coding: None,
            length,
            head: &head,
        };
        let validators = Validators {
            etag: &etag,
            modified: object.modified,
        };
        let rule = match self.public_url {
            Some(_) => layout::ENTRY,
            None => layout::PRIVATE,
        };
        let (page, is_signed) = match admission.is_signed {
            true => (self.page(request), true),
            false => (Page::Any, false),
        };
        let lines = self.lines_by(rule, object, &representation, page, is_signed);
        let outcome = evaluate(request, validators, length, true, self.now_seconds());
        let part = |range: Range<u64>| {
            let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
            Body::Bytes(bytes.slice(place(range.start)..place(range.end)))
        };
        let reply = answer_to(outcome, lines, length, part);
        Some(reply.of(class(&object.key)))
    }

    /// The URL that a client asked for, without its query.
    fn url(&self, request: &Request<'_>) -> String {
        let host = || {
            let host = request.field("host").unwrap_or_default();
            BaseUrl::from_host(host, request.is_secure)
        };
        let base = self.public_url.clone().unwrap_or_else(host);
        base.join(request.path)
    }

    fn lines(
        &self,
        object: &Object,
        representation: &Representation<'_>,
        page: Page<'_>,
        is_signed: bool,
    ) -> Bytes {
        let rule = object.key.cache_control();
        self.lines_by(rule, object, representation, page, is_signed)
    }

    /// The header lines with a cache rule of their own.
    fn lines_by(
        &self,
        rule: &str,
        object: &Object,
        representation: &Representation<'_>,
        page: Page<'_>,
        is_signed: bool,
    ) -> Bytes {
        // Shared caches must not give it to who did not show a signature.
        let cache = match is_signed {
            true => &*rule.replace("public", "private"),
            false => rule,
        };
        let tags = layout::cache_tags(asset_name(object), &object.key);
        let mut extra = self.profile.lines(&tags, cache);
        if self.says_cmsd {
            extra.push(("CMSD-Static", cmsd_static(&facts(&object.key))));
        }
        let lines = Lines {
            kind: object.key.kind(),
            coding: representation.coding.map(name),
            cache,
            validators: Some(Validators {
                etag: representation.etag,
                modified: object.modified,
            }),
            extra: &extra,
            page,
        };
        lines.render()
    }

    /// The web page that asks, and whether it may have answers with cookies.
    pub(super) fn page<'a>(&self, request: &Request<'a>) -> Page<'a> {
        if self.allowed_origins.is_empty() {
            return Page::Any;
        }
        let page = request.field("origin");
        let is_allowed = |page: &&str| self.allowed_origins.iter().any(|origin| origin == page);
        page.filter(is_allowed).map_or(Page::Other, Page::With)
    }
}

/// The answer that the conditions leave; `body` gives the bytes of a range.
fn answer_to(
    outcome: Outcome,
    lines: Bytes,
    length: u64,
    body: impl FnOnce(Range<u64>) -> Body,
) -> Reply {
    match outcome {
        Outcome::NotModified => Reply::not_modified(&lines),
        Outcome::PreconditionFailed => {
            Reply::problem(412, "no-store", "the object is not in the state asked for")
        }
        Outcome::Send(selection) => Reply::content(lines, selection, length, body),
    }
}

/// An object in one of its forms.
struct Representation<'o> {
    etag: &'o str,
    coding: Option<Coding>,
    length: u64,
    /// The header lines, once somebody asked for it.
    head: &'o OnceLock<Bytes>,
}

/// The name of a content coding (RFC 9110 section 8.4.1).
fn name(coding: Coding) -> &'static str {
    match coding {
        Coding::Gzip => "gzip",
        Coding::Brotli => "br",
    }
}

/// The name of the asset that an object belongs to: the folder that it lies in.
fn asset_name(object: &Object) -> Option<&str> {
    let folder = object.location().strip_suffix(&object.key.to_string())?;
    let name = folder.trim_end_matches('/').rsplit('/').next()?;
    (!name.is_empty()).then_some(name)
}

/// What is known of an object whatever is in it.
fn facts(key: &Key) -> CmsdFacts<'static> {
    let (object, format) = match key.kind() {
        Kind::Playlist => (ObjectType::Manifest, Some(StreamingFormat::Hls)),
        Kind::Mpd => (ObjectType::Manifest, Some(StreamingFormat::Dash)),
        Kind::VideoInit | Kind::AudioInit => (ObjectType::Init, None),
        Kind::VideoSegment => (ObjectType::Video, None),
        Kind::AudioSegment => (ObjectType::Audio, None),
        Kind::Text if matches!(key, Key::ChaptersText { .. }) => (ObjectType::Other, None),
        Kind::Text => (ObjectType::Caption, None),
        Kind::Jpeg | Kind::Json => (ObjectType::Other, None),
    };
    CmsdFacts {
        bitrate: None,
        duration: None,
        server: None,
        object: Some(object),
        format,
        stream: Some(StreamType::Vod),
    }
}

/// What an object is, for the metrics.
fn class(key: &Key) -> Class {
    match key {
        Key::EntryHls | Key::EntryDash => Class::Entry,
        Key::EntryPoster => Class::Poster,
        Key::Thumbnail { .. }
        | Key::ThumbnailList {
            list: ThumbnailList::WebVtt,
            ..
        } => Class::Thumbnail,
        Key::Init { .. } => Class::Init,
        Key::Segment { .. } => Class::Segment,
        Key::TextSegment { .. } | Key::WholeText { .. } | Key::ChaptersText { .. } => Class::Text,
        Key::Multivariant { .. }
        | Key::Mpd { .. }
        | Key::MediaPlaylist { .. }
        | Key::TextPlaylist { .. }
        | Key::ThumbnailList { .. } => Class::Manifest,
        Key::Chapters { .. } | Key::Record | Key::Private { .. } => Class::Other,
    }
}
