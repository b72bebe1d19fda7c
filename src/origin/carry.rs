//! Carries a signed query on: every URL in a manifest gets the query that the manifest was asked
//! with, so that players without cookies may have the rest.
//!
//! A manifest with a query in it is one client's. It must be answered with
//! [`Carried::CACHE_CONTROL`], without the validators of the stored object, and is never kept: the
//! signature would go to whoever asks next. Segments keep their own rules.
//!
//! Only what is good for more than one URL is worth carrying; see
//! [`Admission::carried`](super::gate::Admission).

use std::ops::Range;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::layout::{Kind, PRIVATE};

/// A manifest for one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The manifest.
    pub bytes: Vec<u8>,
}

impl Carried {
    /// The only cache rule it may be answered with.
    pub const CACHE_CONTROL: &'static str = PRIVATE;
}

/// `manifest` with `query` on all its relative URLs; `None` for what is no manifest, in which there
/// is nothing to carry it on, or isn't written as one. URLs with a host of their own stay: the
/// signature is nobody else's business.
pub fn carry(manifest: &[u8], kind: Kind, query: &str) -> Option<Carried> {
    let text = std::str::from_utf8(manifest).ok()?;
    let query = escaped(query);
    let bytes = match kind {
        Kind::Playlist => playlist(text, &query).into_bytes(),
        Kind::Mpd => mpd(text, &query)?.into_bytes(),
        _ => return None,
    };
    Some(Carried { bytes })
}

/// `list`, a WebVTT file whose cues are the URLs of pictures, with `query` on all its relative URLs;
/// `None` for what is no text.
pub(super) fn carry_in_cues(list: &[u8], query: &str) -> Option<Carried> {
    let text = std::str::from_utf8(list).ok()?;
    let query = escaped(query);
    let mut out = String::with_capacity(text.len() * 2);
    let mut in_cue = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        if in_cue && is_relative(content) {
            out.push_str(&signed(content, &query));
            out.push_str(&line[content.len()..]);
        } else {
            out.push_str(line);
        }
        in_cue = !content.is_empty() && (in_cue || content.contains("-->"));
    }
    Some(Carried {
        bytes: out.into_bytes(),
    })
}

/// A query that ends no line, quote or number template, whatever it was.
fn escaped(query: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(query.len());
    for byte in query.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~=&%".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// `url` with `query`, before its fragment.
fn signed(url: &str, query: &str) -> String {
    let (page, fragment) = match url.split_once('#') {
        Some((page, fragment)) => (page, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let sign = if page.contains('?') { '&' } else { '?' };
    format!("{page}{sign}{query}{fragment}")
}

/// Whether `url` leads to the host that the manifest is from: no scheme (RFC 3986 section 3.1), no
/// host.
pub(super) fn is_relative(url: &str) -> bool {
    let before = url.split(['/', '?', '#']).next().unwrap_or_default();
    !url.is_empty() && !before.contains(':') && !url.starts_with("//")
}

// ---- HLS

fn playlist(text: &str, query: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        let end = &line[content.len()..];
        if content.starts_with("#EXT-X-") {
            out.push_str(&tag(content, query));
        } else if !content.starts_with('#') && is_relative(content) {
            out.push_str(&signed(content, query));
        } else {
            out.push_str(content);
        }
        out.push_str(end);
    }
    out
}

/// A tag with the query on its attribute `URI` (RFC 8216 section 4.2).
fn tag(line: &str, query: &str) -> String {
    let Some((start, end)) = uri_attribute(line) else {
        return line.to_owned();
    };
    let uri = &line[start..end];
    if !is_relative(uri) {
        return line.to_owned();
    }
    format!("{}{}{}", &line[..start], signed(uri, query), &line[end..])
}

/// Where the value of the attribute `URI` begins and ends, without its quotes. Attributes begin after
/// the tag's colon and after commas outside of quotes.
fn uri_attribute(line: &str) -> Option<(usize, usize)> {
    const OPENING: &str = "URI=\"";
    let mut begin = line.find(':')? + 1;
    loop {
        let rest = &line[begin..];
        if rest.starts_with(OPENING) {
            let start = begin + OPENING.len();
            return Some((start, start + line[start..].find('"')?));
        }
        let mut quoted = false;
        let ends = |c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        };
        begin += rest.find(ends)? + 1;
    }
}

// ---- DASH

/// Attributes that are URLs, or templates of URLs (ISO/IEC 23009-1 sections 5.3.9 and 5.5).
const URL_ATTRIBUTES: &[(&str, &[&str])] = &[
    (
        "SegmentTemplate",
        &["media", "index", "initialization", "bitstreamSwitching"],
    ),
    ("SegmentURL", &["media", "index"]),
    ("Initialization", &["sourceURL"]),
    ("RepresentationIndex", &["sourceURL"]),
    ("BitstreamSwitching", &["sourceURL"]),
];

/// Elements whose text is a URL.
const URL_ELEMENTS: &[&str] = &["BaseURL", "Laurl", "Location", "PatchLocation"];

/// What is to be put into a text, and at which byte.
type Insertion = (usize, String);

fn mpd(text: &str, query: &str) -> Option<String> {
    let query = query.replace('&', "&amp;");
    let mut reader = Reader::from_str(text);
    let mut insertions: Vec<Insertion> = Vec::new();
    let mut url_begins = None;
    loop {
        let begin = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let end = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Eof => return Some(with_insertions(text, &insertions)),
            Event::Start(start) | Event::Empty(start) => {
                let name = start.local_name();
                let name: &str = name.as_ref();
                url_begins = URL_ELEMENTS.contains(&name).then_some(end);
                let known = URL_ATTRIBUTES.iter().find(|(element, _)| *element == name);
                for (attribute, value) in known.map_or(Vec::new(), |_| attributes(text, begin..end))
                {
                    if known.is_some_and(|(_, names)| names.contains(&attribute)) {
                        insertions.extend(insertion(text, value, &query));
                    }
                }
            }
            Event::End(_) => {
                let url = url_begins.take().map(|from| from..begin);
                let folder = |url: &Range<usize>| text[url.clone()].trim_end().ends_with('/');
                // A query on a folder is lost when a URL is resolved against it.
                if let Some(url) = url.filter(|url| !folder(url)) {
                    insertions.extend(insertion(text, url, &query));
                }
            }
            _ => {}
        }
    }
}

/// The query for the URL that stands at `place`, as it is escaped in XML.
fn insertion(text: &str, place: Range<usize>, query: &str) -> Option<Insertion> {
    let whole = &text[place.clone()];
    let url = whole.trim();
    if !is_relative(url) || url.contains('<') {
        return None;
    }
    // A number sign after an ampersand is that of a character reference.
    let mut signs = url.match_indices('#').map(|(at, _)| at);
    let fragment = signs.find(|at| !url[..*at].ends_with('&'));
    let page = fragment.unwrap_or(url.len());
    let sign = if url[..page].contains('?') {
        "&amp;"
    } else {
        "?"
    };
    let leading = whole.len() - whole.trim_start().len();
    Some((place.start + leading + page, format!("{sign}{query}")))
}

fn with_insertions(text: &str, insertions: &[Insertion]) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut done = 0;
    for (at, inserted) in insertions {
        out.push_str(&text[done..*at]);
        out.push_str(inserted);
        done = *at;
    }
    out.push_str(&text[done..]);
    out
}

/// The attributes of the tag at `place`: their names, and where their values are.
fn attributes(text: &str, place: Range<usize>) -> Vec<(&str, Range<usize>)> {
    let tag = &text[place.clone()];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(equals) = tag[at..].find('=').map(|equals| at + equals) {
        let name = tag[at..equals].trim_end();
        let name = name
            .rsplit(|c: char| c.is_ascii_whitespace())
            .next()
            .unwrap_or(name);
        let Some(opening) = tag[equals..]
            .find(['"', '\''])
            .map(|opening| equals + opening)
        else {
            break;
        };
        let quote = char::from(tag.as_bytes()[opening]);
        let Some(length) = tag[opening + 1..].find(quote) else {
            break;
        };
        let value = opening + 1..opening + 1 + length;
        at = value.end + 1;
        found.push((name, place.start + value.start..place.start + value.end));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dash::{self, Element};
    use crate::hls::{self, LineContent};

    const QUERY: &str = "Policy=e30_&Signature=a~b&Key-Pair-Id=K1";
    const MULTIVARIANT: &str = include_str!(
        "../hls/snapshots/headwater__hls__multivariant__tests__text_stands_in_one_group_of_every_variant.snap"
    );
    const MANIFEST: &str = include_str!(
        "../dash/snapshots/headwater__dash__write__tests__unlike_timelines_stand_in_their_representations.snap"
    );

    /// What a snapshot holds below its head.
    fn manifest(snapshot: &str) -> &str {
        snapshot.splitn(3, "---\n").nth(2).unwrap()
    }

    fn carried(text: &str, kind: Kind) -> String {
        let carried = carry(text.as_bytes(), kind, QUERY).unwrap();
        String::from_utf8(carried.bytes).unwrap()
    }

    #[test]
    fn every_url_of_our_playlists_carries_the_query_and_nothing_else_changes() {
        let multivariant = manifest(MULTIVARIANT);
        let media = "#EXTM3U\r\n#EXT-X-MAP:URI=\"init.mp4\"\r\n#EXTINF:6,a,URI=\"b\"\r\n1.m4s\r\n\
            #EXTINF:6,\r\n2.m4s";
        for (text, urls) in [(multivariant, 10), (media, 3)] {
            let carried = carried(text, Kind::Playlist);
            assert_eq!(
                carried.matches(&format!("?{QUERY}")).count(),
                urls,
                "{carried}"
            );
            assert_eq!(carried.replace(&format!("?{QUERY}"), ""), text);
        }
        let read = hls::read(&carried(multivariant, Kind::Playlist)).unwrap();
        for line in &read.document().lines {
            if let LineContent::Uri(uri) = &line.content {
                assert!(uri.ends_with(&format!("index.m3u8?{QUERY}")), "{uri}");
            }
        }
        let uris = read.document().tags_named("EXT-X-MEDIA");
        assert!(
            uris.into_iter()
                .all(|tag| tag.value.contains(&format!(".m3u8?{QUERY}\"")))
        );
    }

    /// Names, attributes and text of all elements.
    fn flat(element: &Element, into: &mut Vec<(String, String)>) {
        into.push((element.name.clone(), element.text.clone()));
        for (name, value) in &element.attributes {
            into.push((format!("{}@{name}", element.name), value.clone()));
        }
        for child in &element.children {
            flat(child, into);
        }
    }

    #[test]
    fn every_url_of_our_mpds_carries_the_query_and_nothing_else_changes() {
        let text = manifest(MANIFEST).replace(
            "<Representation id=\"v360\"",
            "<!-- <BaseURL>x</BaseURL> --><BaseURL>./</BaseURL><BaseURL> a/whole.vtt?a=b </BaseURL>\
             <BaseURL>https://elsewhere.example/x</BaseURL><SegmentURL media='1.m4s'/>\
             <Representation id=\"v360\"",
        );
        let carried = carried(&text, Kind::Mpd);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        flat(&dash::read(&text).unwrap().root, &mut before);
        flat(&dash::read(&carried).unwrap().root, &mut after);
        assert_eq!(before.len(), after.len());
        let mut changed = 0;
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            let is_url = name.ends_with("@media") || name.ends_with("@initialization");
            let is_file = name == "BaseURL" && before.contains("whole.vtt");
            let sign = if is_file { '&' } else { '?' };
            let expected = match is_url || is_file {
                true => format!("{}{sign}{QUERY}", before.trim()),
                false => before.trim().to_owned(),
            };
            changed += usize::from(is_url || is_file);
            assert_eq!(after.trim(), expected, "{name}");
        }
        assert_eq!(changed, 10);
    }

    #[test]
    fn every_thumbnail_of_a_list_carries_the_query_and_nothing_else_changes() {
        let list = "WEBVTT\n\n1\n00:00.000 --> 00:02.000\n1.jpg\n\n00:02.000 --> 00:04.000\r\n\
            2.jpg#xywh=0,0,16,9\r\n\n00:04.000 --> 00:05.000\nhttps://a.example/3.jpg";
        let carried = carry_in_cues(list.as_bytes(), QUERY).unwrap();
        let carried = String::from_utf8(carried.bytes).unwrap();
        let expected = list.replace("1.jpg", &format!("1.jpg?{QUERY}"));
        let expected = expected.replace("2.jpg", &format!("2.jpg?{QUERY}"));
        assert_eq!(carried, expected);
        let read = crate::text::read_webvtt(carried.as_bytes()).unwrap();
        assert_eq!(read.cues.cues()[0].text, format!("1.jpg?{QUERY}"));
    }

    #[test]
    fn a_signature_goes_to_no_other_host() {
        for line in [
            "https://a.example/1.m4s",
            "//a.example/1.m4s",
            "data:text/plain,x",
        ] {
            assert_eq!(carried(line, Kind::Playlist), line);
            let tag = format!("#EXT-X-MAP:URI=\"{line}\"");
            assert_eq!(carried(&tag, Kind::Playlist), tag);
        }
    }

    #[test]
    fn names_with_quotes_and_commas_are_no_urls() {
        let tag = r#"#EXT-X-MEDIA:NAME="a,URI=",LANGUAGE="URI=x",X-URI="b",URI="c.m3u8""#;
        let expected = tag.replace("c.m3u8", &format!("c.m3u8?{QUERY}"));
        assert_eq!(carried(tag, Kind::Playlist), expected);
    }

    #[test]
    fn queries_and_fragments_stay_where_they_belong() {
        assert_eq!(
            carried("a?b=c#d", Kind::Playlist),
            format!("a?b=c&{QUERY}#d")
        );
        assert_eq!(carry(b"x", Kind::VideoSegment, QUERY), None);
        assert_eq!(carry(b"\xff", Kind::Playlist, QUERY), None);
        assert_eq!(carry(b"<a></b>", Kind::Mpd, QUERY), None);
        let hostile = carry(b"a", Kind::Playlist, "x=\"\n$<").unwrap();
        assert_eq!(hostile.bytes, b"a?x=%22%0A%24%3C");
    }

    proptest! {
        #[test]
        fn a_playlist_keeps_its_lines(text in "([a-z#:?/,=\"\r\n]|#EXT-X-MAP:URI=\"|é){0,60}") {
            let carried = carried(&text, Kind::Playlist);
            prop_assert_eq!(carried.lines().count(), text.lines().count());
            let back = carried.replace(&format!("?{QUERY}"), "").replace(&format!("&{QUERY}"), "");
            prop_assert_eq!(back, text);
        }

        #[test]
        fn any_text_as_mpd_is_answered(text in "([a-z<>/=\"' ]|<BaseURL>|</BaseURL>|<SegmentURL |media=|é){0,30}") {
            if let Some(carried) = carry(text.as_bytes(), Kind::Mpd, QUERY) {
                let query = QUERY.replace('&', "&amp;");
                let carried = String::from_utf8(carried.bytes).unwrap();
                prop_assert_eq!(carried.replace(&format!("?{query}"), ""), text);
            }
        }
    }
}
