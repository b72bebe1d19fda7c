//! Every object key and relative URL, built and parsed in one place.
//!
//! Keys are relative to the *asset root*: the folder that `headwater package --out` names, or
//! `v/{asset}` in a server's store. The delivery URL is the key, so a CDN may pull from the
//! origin or straight from the bucket.
//!
//! ```text
//! index.m3u8  manifest.mpd  poster.jpg             entry points
//! presentation.json                                the record; with the plan in a server's store
//! {revision}/index.m3u8  {revision}/manifest.mpd   the same manifests, for ever
//! {revision}/{track}/init.mp4                      init segment
//! {revision}/{track}/{n}.m4s                       segments, n from 1
//! {revision}/{track}/index.m3u8                    media playlist
//! {revision}/chapters.json  chapters.vtt           the chapters, for HLS and for `<track>`
//! {revision}/text/{language}/{digest}/index.m3u8   media playlist of a text track
//! {revision}/text/{language}/{digest}/{n}.vtt      its segments, n from 1
//! {revision}/text/{language}/{digest}/whole.vtt    all of it, for DASH and `<track>`
//! {revision}/trick/...  {revision}/trick-160/...      I-frame tracks, named as other tracks
//! {revision}/thumbs/{n}.jpg                        thumbnails, n from 1
//! {revision}/thumbs/index.m3u8  images.m3u8        I-frame playlist and image playlist of these
//! {revision}/thumbs/thumbnails.vtt                 the same for web players
//! r/{revision}/plan.json  conformance.json         private: the plan, and the rules' report
//! r/{revision}/index.json                          private: the index of some sources
//! ```

use std::fmt;

use crate::media::{AssetId, LanguageTag};

/// An object of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "revision, track, number and so on are the parts of the key"
)]
pub enum Key {
    /// `index.m3u8`: the stable HLS entry point.
    EntryHls,
    /// `manifest.mpd`: the stable DASH entry point.
    EntryDash,
    /// `poster.jpg`: a picture of the title.
    EntryPoster,
    /// `presentation.json`: the record; written last.
    Record,
    /// `{revision}/index.m3u8`.
    Multivariant { revision: String },
    /// `{revision}/manifest.mpd`.
    Mpd { revision: String },
    /// `{revision}/{track}/index.m3u8`.
    MediaPlaylist { revision: String, track: String },
    /// `{revision}/{track}/init.mp4`.
    Init { revision: String, track: String },
    /// `{revision}/{track}/{number}.m4s`; numbers count from 1.
    Segment {
        revision: String,
        track: String,
        number: u32,
    },
    /// `{revision}/chapters.json`: the chapters as Apple's players read them.
    Chapters { revision: String },
    /// `{revision}/chapters.vtt`: the same as WebVTT.
    ChaptersText { revision: String },
    /// `{revision}/text/{language}/{digest}/index.m3u8`.
    TextPlaylist {
        revision: String,
        language: LanguageTag,
        digest: String,
    },
    /// `{revision}/text/{language}/{digest}/{number}.vtt`; numbers count from 1.
    TextSegment {
        revision: String,
        language: LanguageTag,
        digest: String,
        number: u32,
    },
    /// `{revision}/text/{language}/{digest}/whole.vtt`.
    WholeText {
        revision: String,
        language: LanguageTag,
        digest: String,
    },
    /// `{revision}/thumbs/{number}.jpg`; numbers count from 1.
    Thumbnail { revision: String, number: u32 },
    /// `{revision}/thumbs/{name}`: what lists the thumbnails.
    ThumbnailList {
        revision: String,
        list: ThumbnailList,
    },
    /// `r/{revision}/{name}`: plan, report. Never served.
    Private { revision: String, name: String },
}

/// A list of all thumbnails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThumbnailList {
    /// `index.m3u8`: an HLS I-frame playlist.
    IFrames,
    /// `images.m3u8`: an image playlist, as Roku devices read it.
    Images,
    /// `thumbnails.vtt`: WebVTT whose cues are the names of pictures, for web players.
    WebVtt,
}

impl ThumbnailList {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::IFrames, Self::Images, Self::WebVtt];

    /// File name.
    pub fn name(self) -> &'static str {
        match self {
            Self::IFrames => HLS_NAME,
            Self::Images => "images.m3u8",
            Self::WebVtt => "thumbnails.vtt",
        }
    }
}

/// File name of the HLS playlists, entry point, multivariant and media alike.
pub const HLS_NAME: &str = "index.m3u8";
/// File name of the DASH manifests.
pub const MPD_NAME: &str = "manifest.mpd";
/// File name of the poster.
pub const POSTER_NAME: &str = "poster.jpg";
/// File name of the record.
pub const RECORD_NAME: &str = "presentation.json";
/// File name of the chapters in JSON.
pub const CHAPTERS_NAME: &str = "chapters.json";
/// File name of the chapters in WebVTT.
pub const CHAPTERS_TEXT_NAME: &str = "chapters.vtt";
/// File name of an init segment.
pub const INIT_NAME: &str = "init.mp4";

/// Folder of all text tracks within a revision.
pub const TEXT_FOLDER: &str = "text";
/// Folder of the thumbnails within a revision.
pub const THUMBNAILS_FOLDER: &str = "thumbs";
/// What the names of I-frame tracks start with.
const TRICK_TRACK: &str = "trick";

/// Whether a track or folder of that name holds stills: I-frames or thumbnails.
pub fn is_of_stills(name: &str) -> bool {
    name.starts_with(TRICK_TRACK) || name == THUMBNAILS_FOLDER
}

/// File name of a text track in one piece.
pub const WHOLE_TEXT_NAME: &str = "whole.vtt";

/// Folder of a server's store with what assets came from; never delivered.
pub const SOURCES_FOLDER: &str = "src";
/// File name of what the store itself knows of an asset, within [`source_folder`].
pub const CARD_NAME: &str = "asset.json";

/// The folder of what an asset came from: its source, captions as they were uploaded, its card.
pub fn source_folder(asset: &AssetId) -> String {
    format!("{SOURCES_FOLDER}/{asset}")
}

/// Where captions lie as somebody uploaded them.
pub fn kept_text(asset: &AssetId, digest: &str) -> String {
    format!("{}/text/{digest}", source_folder(asset))
}

/// The tags by which a CDN drops an object of `asset` before its time is up: `asset:{id}` for all
/// that an asset has, `build:{revision}` for one way in which it was made. No tag where neither is
/// known.
pub fn cache_tags(asset: Option<&str>, key: &Key) -> Vec<String> {
    let asset = asset.map(|id| format!("asset:{id}"));
    let build = key.revision().map(|revision| format!("build:{revision}"));
    asset.into_iter().chain(build).collect()
}

/// An asset's source, as [`source_folder`] has it.
pub fn source_key(asset: &AssetId) -> String {
    format!("{}/source", source_folder(asset))
}

/// The folder of a text track within its revision.
pub fn text_folder(language: &LanguageTag, digest: &str) -> String {
    format!("{TEXT_FOLDER}/{language}/{digest}")
}

/// The name of text segment `number` (from 1) within its track's folder.
pub fn text_segment_name(number: u32) -> String {
    format!("{number}.vtt")
}

/// The name of segment `number` (from 1) within its track's folder.
pub fn segment_name(number: u32) -> String {
    format!("{number}.m4s")
}

/// The name of thumbnail `number` (from 1) within its folder.
pub fn thumbnail_name(number: u32) -> String {
    format!("{number}.jpg")
}

/// What an object is, for its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any HLS playlist.
    Playlist,
    /// A DASH MPD.
    Mpd,
    /// Video init segment.
    VideoInit,
    /// Audio init segment.
    AudioInit,
    /// Video segment.
    VideoSegment,
    /// Audio segment.
    AudioSegment,
    /// WebVTT.
    Text,
    /// JPEG.
    Jpeg,
    /// JSON.
    Json,
}

impl Kind {
    /// The media type to serve it under (conformance O02).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Playlist => "application/vnd.apple.mpegurl",
            Self::Mpd => "application/dash+xml",
            Self::VideoInit => "video/mp4",
            Self::AudioInit | Self::AudioSegment => "audio/mp4",
            Self::VideoSegment => "video/iso.segment",
            Self::Text => "text/vtt; charset=utf-8",
            Self::Jpeg => "image/jpeg",
            Self::Json => "application/json",
        }
    }
}

/// Cache rule of everything under a revision: it never changes.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Cache rule of the stable entry points.
pub const ENTRY: &str =
    "public, max-age=60, s-maxage=60, stale-while-revalidate=300, stale-if-error=86400";
/// Cache rule of what no cache may keep.
pub const PRIVATE: &str = "private, no-store";

impl Key {
    /// What kind of object it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::EntryHls
            | Self::Multivariant { .. }
            | Self::MediaPlaylist { .. }
            | Self::TextPlaylist { .. } => Kind::Playlist,
            Self::TextSegment { .. } | Self::WholeText { .. } | Self::ChaptersText { .. } => {
                Kind::Text
            }
            Self::Chapters { .. } => Kind::Json,
            Self::ThumbnailList { list, .. } => match list {
                ThumbnailList::IFrames | ThumbnailList::Images => Kind::Playlist,
                ThumbnailList::WebVtt => Kind::Text,
            },
            Self::EntryDash | Self::Mpd { .. } => Kind::Mpd,
            Self::EntryPoster | Self::Thumbnail { .. } => Kind::Jpeg,
            Self::Record | Self::Private { .. } => Kind::Json,
            Self::Init { track, .. } if is_audio(track) => Kind::AudioInit,
            Self::Init { .. } => Kind::VideoInit,
            Self::Segment { track, .. } if is_audio(track) => Kind::AudioSegment,
            Self::Segment { .. } => Kind::VideoSegment,
        }
    }

    /// Whether it is part of a text track.
    pub fn is_text(&self) -> bool {
        self.text_digest().is_some()
    }

    /// The digest in the key of a part of a text track; `None` for everything else.
    pub fn text_digest(&self) -> Option<&str> {
        match self {
            Self::TextPlaylist { digest, .. }
            | Self::TextSegment { digest, .. }
            | Self::WholeText { digest, .. } => Some(digest),
            _ => None,
        }
    }

    /// How long caches may keep it.
    pub fn cache_control(&self) -> &'static str {
        match self {
            Self::EntryHls | Self::EntryDash | Self::EntryPoster => ENTRY,
            Self::Record | Self::Private { .. } => PRIVATE,
            _ => IMMUTABLE,
        }
    }

    /// The revision it belongs to; `None` for what is the same name in every revision.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Self::EntryHls | Self::EntryDash | Self::EntryPoster | Self::Record => None,
            Self::Multivariant { revision }
            | Self::Mpd { revision }
            | Self::Chapters { revision }
            | Self::ChaptersText { revision }
            | Self::MediaPlaylist { revision, .. }
            | Self::Init { revision, .. }
            | Self::Segment { revision, .. }
            | Self::TextPlaylist { revision, .. }
            | Self::TextSegment { revision, .. }
            | Self::WholeText { revision, .. }
            | Self::Thumbnail { revision, .. }
            | Self::ThumbnailList { revision, .. }
            | Self::Private { revision, .. } => Some(revision),
        }
    }

    /// The key of that text, if it is one of ours: the inverse of `to_string`.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let (first, second, third) = (parts.next()?, parts.next(), parts.next());
        if let Some(fourth) = parts.next() {
            let rest = (third?, fourth, parts.next()?);
            let text = second == Some(TEXT_FOLDER) && parts.next().is_none();
            return text.then(|| parse_text(first, rest))?;
        }
        match (first, second, third) {
            (HLS_NAME, None, None) => Some(Self::EntryHls),
            (MPD_NAME, None, None) => Some(Self::EntryDash),
            (POSTER_NAME, None, None) => Some(Self::EntryPoster),
            (RECORD_NAME, None, None) => Some(Self::Record),
            ("r", Some(revision), Some(name)) if is_revision(revision) && is_name(name) => {
                Some(Self::Private {
                    revision: revision.into(),
                    name: name.into(),
                })
            }
            (revision, Some(HLS_NAME), None) if is_revision(revision) => Some(Self::Multivariant {
                revision: revision.into(),
            }),
            (revision, Some(MPD_NAME), None) if is_revision(revision) => Some(Self::Mpd {
                revision: revision.into(),
            }),
            (revision, Some(CHAPTERS_NAME), None) if is_revision(revision) => {
                let revision = revision.into();
                Some(Self::Chapters { revision })
            }
            (revision, Some(CHAPTERS_TEXT_NAME), None) if is_revision(revision) => {
                let revision = revision.into();
                Some(Self::ChaptersText { revision })
            }
            (revision, Some(THUMBNAILS_FOLDER), Some(name)) if is_revision(revision) => {
                parse_thumbnail(revision, name)
            }
            (revision, Some(track), Some(name)) if is_revision(revision) && is_track(track) => {
                let (revision, track) = (revision.to_owned(), track.to_owned());
                match name {
                    HLS_NAME => Some(Self::MediaPlaylist { revision, track }),
                    INIT_NAME => Some(Self::Init { revision, track }),
                    _ => {
                        let number = parse_number(name.strip_suffix(".m4s")?)?;
                        Some(Self::Segment {
                            revision,
                            track,
                            number,
                        })
                    }
                }
            }
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryHls => f.write_str(HLS_NAME),
            Self::EntryDash => f.write_str(MPD_NAME),
            Self::EntryPoster => f.write_str(POSTER_NAME),
            Self::Record => f.write_str(RECORD_NAME),
            Self::Multivariant { revision } => write!(f, "{revision}/{HLS_NAME}"),
            Self::Mpd { revision } => write!(f, "{revision}/{MPD_NAME}"),
            Self::Chapters { revision } => write!(f, "{revision}/{CHAPTERS_NAME}"),
            Self::ChaptersText { revision } => write!(f, "{revision}/{CHAPTERS_TEXT_NAME}"),
            Self::MediaPlaylist { revision, track } => write!(f, "{revision}/{track}/{HLS_NAME}"),
            Self::Init { revision, track } => write!(f, "{revision}/{track}/{INIT_NAME}"),
            Self::Segment {
                revision,
                track,
                number,
            } => {
                write!(f, "{revision}/{track}/{number}.m4s")
            }
            Self::TextPlaylist {
                revision,
                language,
                digest,
            } => write!(f, "{revision}/{}/{HLS_NAME}", text_folder(language, digest)),
            Self::TextSegment {
                revision,
                language,
                digest,
                number,
            } => {
                let folder = text_folder(language, digest);
                write!(f, "{revision}/{folder}/{}", text_segment_name(*number))
            }
            Self::WholeText {
                revision,
                language,
                digest,
            } => write!(
                f,
                "{revision}/{}/{WHOLE_TEXT_NAME}",
                text_folder(language, digest)
            ),
            Self::Thumbnail { revision, number } => {
                let name = thumbnail_name(*number);
                write!(f, "{revision}/{THUMBNAILS_FOLDER}/{name}")
            }
            Self::ThumbnailList { revision, list } => {
                write!(f, "{revision}/{THUMBNAILS_FOLDER}/{}", list.name())
            }
            Self::Private { revision, name } => write!(f, "r/{revision}/{name}"),
        }
    }
}

/// `{revision}/text/{language}/{digest}/{name}`; the language only as the standard writes it, so
/// that an object has one key.
fn parse_text(revision: &str, (language, digest, name): (&str, &str, &str)) -> Option<Key> {
    let tag = LanguageTag::parse(language).ok()?;
    if !is_revision(revision) || !is_text_digest(digest) || tag.as_str() != language {
        return None;
    }
    let (revision, language, digest) = (revision.to_owned(), tag, digest.to_owned());
    Some(match name {
        HLS_NAME => Key::TextPlaylist {
            revision,
            language,
            digest,
        },
        WHOLE_TEXT_NAME => Key::WholeText {
            revision,
            language,
            digest,
        },
        _ => Key::TextSegment {
            revision,
            language,
            digest,
            number: parse_number(name.strip_suffix(".vtt")?)?,
        },
    })
}

/// `{revision}/thumbs/{name}`.
fn parse_thumbnail(revision: &str, name: &str) -> Option<Key> {
    let revision = revision.to_owned();
    let mut lists = ThumbnailList::ALL.into_iter();
    if let Some(list) = lists.find(|list| list.name() == name) {
        return Some(Key::ThumbnailList { revision, list });
    }
    let number = parse_number(name.strip_suffix(".jpg")?)?;
    Some(Key::Thumbnail { revision, number })
}

/// Track names start with `v` (video), `a-` (audio) or `trick` (I-frames).
fn is_audio(track: &str) -> bool {
    track.starts_with("a-")
}

/// A revision is 32 lower-case hexadecimal digits.
pub fn is_revision(text: &str) -> bool {
    text.len() == 32 && is_lower_hex(text)
}

/// A text's digest is 16 lower-case hexadecimal digits.
pub fn is_text_digest(text: &str) -> bool {
    text.len() == 16 && is_lower_hex(text)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_track(text: &str) -> bool {
    is_name(text) && (text.starts_with(['v', 'a']) || is_trick(text))
}

/// Whether a track is one of I-frames: `trick`, or `trick-` and a height.
pub fn is_trick(track: &str) -> bool {
    match track.strip_prefix(TRICK_TRACK) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('-')
            .is_some_and(|height| parse_number(height).is_some()),
        None => false,
    }
}

/// Letters, digits, `-`, `_` and inner dots, at most 64 of them.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A decimal number without sign or leading zeros.
fn parse_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REVISION: &str = "0123456789abcdef0123456789abcdef";

    fn key() -> impl Strategy<Value = Key> {
        let revision = REVISION.to_owned();
        let track = prop_oneof!["v1080", "a-en", "trick", "trick-[1-9][0-9]{0,3}"];
        let text = (
            prop_oneof!["en", "pt-BR", "zh-Hant-TW", "[a-z]{3}"],
            "[0-9a-f]{16}",
        );
        let parts = (0_usize..17, track, 1_u32..u32::MAX, text);
        parts.prop_map(move |(which, track, number, (language, digest))| {
            let revision = revision.clone();
            let language = LanguageTag::parse(&language).expect("a tag");
            match which {
                0 => Key::EntryHls,
                1 => Key::EntryDash,
                2 => Key::Record,
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
                11 => Key::EntryPoster,
                12 => Key::Chapters { revision },
                13 => Key::ChaptersText { revision },
                14 => Key::Thumbnail { revision, number },
                15 => Key::ThumbnailList {
                    revision,
                    list: ThumbnailList::ALL[number as usize % 3],
                },
                _ => Key::Private {
                    revision,
                    name: "plan.json".into(),
                },
            }
        })
    }

    proptest! {
        #[test]
        fn keys_round_trip(key in key()) {
            prop_assert_eq!(Key::parse(&key.to_string()), Some(key));
        }

        #[test]
        fn what_parses_of_text_is_canonical(rest in "[a-zA-Z_-]{1,7}/[0-9a-fA]{16}/([0-9]{1,3}|whole|index)[.](vtt|m3u8)") {
            let text = format!("{REVISION}/text/{rest}");
            if let Some(key) = Key::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }

        #[test]
        fn what_parses_is_canonical(text in "[a-z0-9/.]{0,80}") {
            if let Some(key) = Key::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }

    #[test]
    fn an_object_is_tagged_with_its_asset_and_its_build() {
        let segment = Key::parse(&format!("{REVISION}/v720/1.m4s")).expect("a key");
        let build = format!("build:{REVISION}");
        assert_eq!(cache_tags(Some("cats"), &segment), ["asset:cats", &build]);
        assert_eq!(cache_tags(Some("cats"), &Key::EntryHls), ["asset:cats"]);
        assert_eq!(cache_tags(None, &segment), [build]);
        assert!(cache_tags(None, &Key::Record).is_empty());
    }

    #[test]
    fn foreign_paths_are_no_keys() {
        for text in ["", "/", "../x", "index.m3u8/", "r/x/plan.json", "0/v/1.m4s"] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
        for rest in [
            "v1080/01.m4s",
            "text/en/0123456789abcdef",
            "text/EN/0123456789abcdef/1.vtt",
            "text/en/0123456789abcdef/0.vtt",
            "text/en/0123456789abcdef/1.vtt/x",
            "text/en/0123456789abcde/1.vtt",
            "text/../0123456789abcdef/1.vtt",
            "v1080/en/0123456789abcdef/1.vtt",
            "thumbs/0.jpg",
            "thumbs/1.m4s",
            "thumbs/1.jpg/x",
            "trick-/1.m4s",
            "trick-016/1.m4s",
            "tricky/1.m4s",
        ] {
            assert_eq!(Key::parse(&format!("{REVISION}/{rest}")), None, "{rest}");
        }
    }
}
