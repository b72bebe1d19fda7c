//! Text -> playlist, leniently: everything is kept with its line number, and what is odd is told
//! rather than refused.

use super::attributes::AttributeList;
use super::playlist::{
    ByteRange, Key, Map, MediaPlaylist, MultivariantPlaylist, Playlist, PlaylistType, Rendition,
    Segment, Variant,
};
use super::tag;
use crate::error::{Error, ErrorKind, Result};
use crate::time::{Ticks, Timescale, parse_decimal};

/// Longest playlist that is read, in bytes.
pub const MAX_PLAYLIST_BYTES: usize = 16 << 20;
/// Most lines that are read: a day of one-second segments fits.
pub const MAX_PLAYLIST_LINES: usize = 500_000;

/// So many problems are told; those after are of the same sort.
const MAX_PROBLEMS: usize = 1000;

/// At most so many key formats apply to a segment at once.
const MAX_KEY_FORMATS: usize = 16;

/// Every line of a playlist, and what was odd about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// A byte order mark stood in front.
    pub byte_order_mark: bool,
    /// The first line (its start), without the byte order mark and the line break.
    pub first_line: String,
    /// Lines that ended in CR LF.
    pub carriage_returns: usize,
    /// All lines that are not blank.
    pub lines: Vec<Line>,
    /// What could not be understood.
    pub problems: Vec<Problem>,
}

/// A line that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// What stands on it.
    pub content: LineContent,
}

/// What a line holds (R 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineContent {
    /// `#EXT...`
    Tag(Tag),
    /// Any other line that starts with `#`.
    Comment(String),
    /// A URI.
    Uri(String),
}

/// A tag line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its line, from 1.
    pub line: usize,
    /// Its name without `#`.
    pub name: String,
    /// What stands after the colon, as written; empty when there is no colon.
    pub value: String,
    /// Its attributes, where it is a tag known to have an attribute list.
    pub attributes: AttributeList,
}

/// Something that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, in words.
    pub message: String,
}

impl Document {
    /// All tags in order.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.lines.iter().filter_map(|line| match &line.content {
            LineContent::Tag(tag) => Some(tag),
            LineContent::Comment(_) | LineContent::Uri(_) => None,
        })
    }

    /// All tags of that name, in order.
    pub fn tags_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Tag> + 'a {
        self.tags().filter(move |tag| tag.name == name)
    }

    /// Whether there is a tag of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tags().any(|tag| tag.name == name)
    }

    fn complain(&mut self, line: usize, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                line,
                message: message.into(),
            });
        }
    }

    /// The whole number that the first tag of that name gives.
    fn first_integer(&mut self, name: &str) -> Option<u64> {
        let (line, value) = self.tags_named(name).next().map(|tag| {
            let value = tag.value.trim();
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            (tag.line, digits.then(|| value.parse().ok()).flatten())
        })?;
        if value.is_none() {
            self.complain(line, format!("{name} is not a whole number"));
        }
        value
    }
}

/// Reads a playlist of either kind.
///
/// Refused is only what is no playlist at all, or too long; everything else is told in
/// [`Document::problems`].
pub fn read(text: &str) -> Result<Playlist> {
    refuse_too_long(text)?;
    let document = read_lines(text);
    if document.tags().next().is_none() {
        return Err(Error::invalid("not a playlist: no line starts with #EXT"));
    }
    Ok(if is_multivariant(&document) {
        Playlist::Multivariant(multivariant(document))
    } else {
        Playlist::Media(media(document))
    })
}

fn refuse_too_long(text: &str) -> Result<()> {
    let too_long = |limit, unit| {
        let message = format!("playlist has more than the {limit} {unit} that are read");
        Err(Error::new(ErrorKind::Exhausted, message))
    };
    if text.len() > MAX_PLAYLIST_BYTES {
        return too_long(MAX_PLAYLIST_BYTES, "bytes");
    }
    if text.bytes().filter(|b| *b == b'\n').count() > MAX_PLAYLIST_LINES {
        return too_long(MAX_PLAYLIST_LINES, "lines");
    }
    Ok(())
}

/// The first tag that only one kind of playlist may have decides.
fn is_multivariant(document: &Document) -> bool {
    let kind = document.tags().find_map(|tag| match tag.name.as_str() {
        tag::MEDIA
        | tag::STREAM_INF
        | tag::I_FRAME_STREAM_INF
        | tag::IMAGE_STREAM_INF
        | tag::SESSION_DATA
        | tag::SESSION_KEY
        | tag::CONTENT_STEERING => Some(true),
        tag::EXTINF | tag::TARGET_DURATION | tag::MEDIA_SEQUENCE | tag::ENDLIST => Some(false),
        _ => None,
    });
    kind == Some(true)
}

fn read_lines(text: &str) -> Document {
    let body = text.strip_prefix('\u{feff}');
    let mut document = Document {
        byte_order_mark: body.is_some(),
        ..Document::default()
    };
    for (index, line) in body.unwrap_or(text).split('\n').enumerate() {
        let trimmed = line.strip_suffix('\r');
        document.carriage_returns += usize::from(trimmed.is_some());
        let line = trimmed.unwrap_or(line);
        if index == 0 {
            document.first_line = line.chars().take(80).collect();
        }
        read_line(&mut document, index.saturating_add(1), line);
    }
    document
}

fn read_line(document: &mut Document, number: usize, line: &str) {
    let content = if line.trim().is_empty() {
        return;
    } else if line.starts_with("#EXT") {
        LineContent::Tag(read_tag(document, number, line))
    } else if line.starts_with('#') {
        LineContent::Comment(line.to_owned())
    } else {
        if line.trim() != line {
            document.complain(number, "white space around a URI");
        }
        LineContent::Uri(line.trim().to_owned())
    };
    document.lines.push(Line { number, content });
}

fn read_tag(document: &mut Document, number: usize, line: &str) -> Tag {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let name = name.trim_start_matches('#').trim_end();
    let attributes = if tag::WITH_ATTRIBUTES.contains(&name) {
        AttributeList::read(value.trim_end(), |message| {
            document.complain(number, format!("{name}: {message}"));
        })
    } else {
        AttributeList::new()
    };
    Tag {
        line: number,
        name: name.to_owned(),
        value: value.to_owned(),
        attributes,
    }
}

fn multivariant(mut document: Document) -> MultivariantPlaylist {
    let version = document.first_integer(tag::VERSION);
    let variants = stream_variants(&mut document);
    let all = |name: &'static str| document.tags_named(name).cloned().collect::<Vec<Tag>>();
    let with_uri_attribute = |tag: Tag| Variant {
        line: tag.line,
        uri: tag.attributes.text("URI").unwrap_or_default().to_owned(),
        attributes: tag.attributes,
    };
    let key = |tag: Tag| Key {
        line: tag.line,
        attributes: tag.attributes,
    };
    let rendition = |tag: Tag| Rendition {
        line: tag.line,
        attributes: tag.attributes,
    };
    let map_all = |name| all(name).into_iter();
    MultivariantPlaylist {
        version,
        independent_segments: document.has(tag::INDEPENDENT_SEGMENTS),
        variants,
        i_frame_variants: map_all(tag::I_FRAME_STREAM_INF)
            .map(with_uri_attribute)
            .collect(),
        image_variants: map_all(tag::IMAGE_STREAM_INF)
            .map(with_uri_attribute)
            .collect(),
        renditions: map_all(tag::MEDIA).map(rendition).collect(),
        session_keys: map_all(tag::SESSION_KEY).map(key).collect(),
        session_data: all(tag::SESSION_DATA),
        content_steering: map_all(tag::CONTENT_STEERING).next(),
        document,
    }
}

/// `EXT-X-STREAM-INF` tags with the URI line that follows each (R 4.4.6.2).
fn stream_variants(document: &mut Document) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    let mut problems = Vec::new();
    let mut open = false;
    for line in &document.lines {
        match &line.content {
            LineContent::Tag(tag) if tag.name == tag::STREAM_INF => {
                if open {
                    problems.push((line.number, "the EXT-X-STREAM-INF before has no URI line"));
                }
                variants.push(Variant {
                    line: tag.line,
                    uri: String::new(),
                    attributes: tag.attributes.clone(),
                });
                open = true;
            }
            LineContent::Uri(uri) => match variants.last_mut().filter(|_| open) {
                Some(variant) => {
                    variant.uri.clone_from(uri);
                    open = false;
                }
                None => problems.push((line.number, "a URI without EXT-X-STREAM-INF before it")),
            },
            LineContent::Tag(_) | LineContent::Comment(_) => {}
        }
    }
    if let Some(last) = variants.last().filter(|_| open) {
        problems.push((last.line, "this EXT-X-STREAM-INF has no URI line"));
    }
    for (line, message) in problems {
        document.complain(line, message);
    }
    variants
}

fn media(mut document: Document) -> MediaPlaylist {
    let version = document.first_integer(tag::VERSION);
    let target_duration = document.first_integer(tag::TARGET_DURATION);
    let media_sequence = document.first_integer(tag::MEDIA_SEQUENCE).unwrap_or(0);
    let discontinuity_sequence = document.first_integer(tag::DISCONTINUITY_SEQUENCE);
    let lines = std::mem::take(&mut document.lines);
    let mut reader = SegmentReader {
        next_sequence_number: media_sequence,
        ..SegmentReader::default()
    };
    for line in &lines {
        reader.line(line);
    }
    let SegmentReader {
        maps,
        keys,
        date_ranges,
        segments,
        problems,
        ..
    } = reader;
    document.lines = lines;
    document.problems.extend(problems);
    MediaPlaylist {
        version,
        target_duration,
        media_sequence,
        discontinuity_sequence: discontinuity_sequence.unwrap_or(0),
        playlist_type: playlist_type(&document),
        end_list: document.has(tag::ENDLIST),
        independent_segments: document.has(tag::INDEPENDENT_SEGMENTS),
        i_frames_only: document.has(tag::I_FRAMES_ONLY),
        images_only: document.has(tag::IMAGES_ONLY),
        maps,
        keys,
        date_ranges,
        segments,
        document,
    }
}

fn playlist_type(document: &Document) -> Option<PlaylistType> {
    let tag = document.tags_named(tag::PLAYLIST_TYPE).next()?;
    Some(match tag.value.trim() {
        "VOD" => PlaylistType::Vod,
        "EVENT" => PlaylistType::Event,
        other => PlaylistType::Other(other.to_owned()),
    })
}

/// What has been said about the next segment so far.
#[derive(Debug, Default)]
struct Pending {
    extinf: Option<(Ticks, String, String)>,
    byte_range: Option<ByteRange>,
    discontinuity: bool,
    gap: bool,
    program_date_time: Option<String>,
}

/// Gathers the tags of each segment until its URI line.
#[derive(Debug, Default)]
struct SegmentReader {
    next_sequence_number: u64,
    pending: Pending,
    map: Option<usize>,
    key_indices: Vec<usize>,
    bitrate_kbps: Option<u64>,
    /// Where the sub-range before ended, and in which object.
    range_end: Option<(String, u64)>,
    maps: Vec<Map>,
    keys: Vec<Key>,
    date_ranges: Vec<Tag>,
    segments: Vec<Segment>,
    problems: Vec<Problem>,
}

impl SegmentReader {
    fn line(&mut self, line: &Line) {
        match &line.content {
            LineContent::Tag(tag) => self.tag(tag),
            LineContent::Uri(uri) => self.uri(line.number, uri),
            LineContent::Comment(_) => {}
        }
    }

    fn tag(&mut self, tag: &Tag) {
        match tag.name.as_str() {
            tag::EXTINF => self.extinf(tag),
            tag::BYTERANGE => {
                self.pending.byte_range = parse_byte_range(&tag.value);
                if self.pending.byte_range.is_none() {
                    self.complain(tag.line, "EXT-X-BYTERANGE is not length[@offset]");
                }
            }
            tag::DISCONTINUITY => self.pending.discontinuity = true,
            tag::GAP => self.pending.gap = true,
            tag::PROGRAM_DATE_TIME => {
                self.pending.program_date_time = Some(tag.value.trim().to_owned());
            }
            tag::MAP => self.map(tag),
            tag::KEY => self.key(tag),
            tag::DATERANGE => self.date_ranges.push(tag.clone()),
            tag::BITRATE => self.bitrate_kbps = tag.value.trim().parse().ok(),
            _ => {}
        }
    }

    /// `EXTINF:<duration>,[<title>]` (R 4.4.4.1).
    fn extinf(&mut self, tag: &Tag) {
        let (number, title) = tag.value.split_once(',').unwrap_or((&tag.value, ""));
        let number = number.trim();
        let nanos = parse_decimal(number, 9).and_then(|nanos| i64::try_from(nanos).ok());
        if nanos.is_none() {
            self.complain(tag.line, format!("EXTINF duration {number:?} is no number"));
        }
        if self.pending.extinf.is_some() {
            self.complain(tag.line, "a second EXTINF for one segment");
        }
        let duration = Ticks::new(nanos.unwrap_or(0), Timescale::NANOS);
        self.pending.extinf = Some((duration, number.to_owned(), title.to_owned()));
    }

    fn map(&mut self, tag: &Tag) {
        // An offset that is left out is 0 here (R 4.4.4.5).
        let byte_range = tag.attributes.text("BYTERANGE").and_then(parse_byte_range);
        let byte_range = byte_range.map(|range| ByteRange {
            offset: range.offset.or(Some(0)),
            ..range
        });
        self.map = Some(self.maps.len());
        self.maps.push(Map {
            line: tag.line,
            uri: tag.attributes.text("URI").unwrap_or_default().to_owned(),
            byte_range,
            attributes: tag.attributes.clone(),
        });
    }

    /// A key applies until one of the same format, or `METHOD=NONE` (R 4.4.4.4).
    fn key(&mut self, tag: &Tag) {
        let key = Key {
            line: tag.line,
            attributes: tag.attributes.clone(),
        };
        let keys = &self.keys;
        let differs = |index: &usize| {
            keys.get(*index)
                .is_some_and(|other| other.key_format() != key.key_format())
        };
        self.key_indices.retain(differs);
        if key.method() == Some("NONE") {
            self.key_indices.clear();
        } else if self.key_indices.len() < MAX_KEY_FORMATS {
            self.key_indices.push(self.keys.len());
        } else {
            self.complain(tag.line, "more key formats at once than are read");
        }
        self.keys.push(key);
    }

    fn uri(&mut self, line: usize, uri: &str) {
        let pending = std::mem::take(&mut self.pending);
        if pending.extinf.is_none() {
            self.complain(line, "a segment without EXTINF");
        }
        let missing = || {
            (
                Ticks::new(0, Timescale::NANOS),
                String::new(),
                String::new(),
            )
        };
        let (duration, duration_text, title) = pending.extinf.unwrap_or_else(missing);
        let byte_range = self.resolve(uri, pending.byte_range);
        self.segments.push(Segment {
            line,
            sequence_number: self.next_sequence_number,
            uri: uri.to_owned(),
            duration,
            duration_text,
            title,
            byte_range,
            discontinuity: pending.discontinuity,
            gap: pending.gap,
            program_date_time: pending.program_date_time,
            map: self.map,
            keys: self.key_indices.clone(),
            bitrate_kbps: self.bitrate_kbps.filter(|_| byte_range.is_none()),
        });
        self.next_sequence_number = self.next_sequence_number.saturating_add(1);
    }

    /// A range without an offset starts where the one before it in the same object ended.
    fn resolve(&mut self, uri: &str, range: Option<ByteRange>) -> Option<ByteRange> {
        let before = self.range_end.take().filter(|(object, _)| object == uri);
        let mut range = range?;
        range.offset = range.offset.or(before.map(|(_, end)| end));
        let end = range.offset.and_then(|at| at.checked_add(range.length));
        self.range_end = end.map(|end| (uri.to_owned(), end));
        Some(range)
    }

    fn complain(&mut self, line: usize, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                line,
                message: message.into(),
            });
        }
    }
}

/// `n[@o]`.
fn parse_byte_range(text: &str) -> Option<ByteRange> {
    let (length, offset) = match text.trim().split_once('@') {
        Some((length, offset)) => (length, Some(offset.parse().ok()?)),
        None => (text.trim(), None),
    };
    Some(ByteRange {
        length: length.parse().ok()?,
        offset,
        offset_written: offset.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_media(text: &str) -> MediaPlaylist {
        match read(text).expect("a playlist") {
            Playlist::Media(playlist) => playlist,
            Playlist::Multivariant(_) => panic!("taken for a multivariant playlist"),
        }
    }

    fn read_multivariant(text: &str) -> MultivariantPlaylist {
        match read(text).expect("a playlist") {
            Playlist::Multivariant(playlist) => playlist,
            Playlist::Media(_) => panic!("taken for a media playlist"),
        }
    }

    #[test]
    fn media_playlist_is_read_whole() {
        let playlist = read_media(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:10\n\
             #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"m.mp4\",BYTERANGE=\"700@0\"\n\
             #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"a\",KEYFORMAT=\"x\"\n\
             #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"b\"\n\
             #EXTINF:6.006,A title, with comma\n#EXT-X-BYTERANGE:100@700\nm.mp4\n\
             #EXTINF:5,\n#EXT-X-BYTERANGE:50\nm.mp4\n\
             #EXT-X-KEY:METHOD=NONE\n#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:1.5,\nn.mp4\n\
             #EXT-X-NEWTAG:abc\n#EXT-X-ENDLIST\n",
        );
        assert_eq!(playlist.document.problems, []);
        assert_eq!(
            (playlist.version, playlist.target_duration),
            (Some(7), Some(6))
        );
        assert_eq!(playlist.playlist_type, Some(PlaylistType::Vod));
        assert!(playlist.end_list && playlist.document.has("EXT-X-NEWTAG"));
        let [first, second, third] = &playlist.segments[..] else {
            panic!("three segments")
        };
        assert_eq!((first.line, first.sequence_number), (11, 10));
        assert_eq!(first.duration, Ticks::new(6_006_000_000, Timescale::NANOS));
        assert!(first.duration_is_float() && !second.duration_is_float());
        assert_eq!(
            (first.title.as_str(), first.keys.len()),
            ("A title, with comma", 2)
        );
        let range = second.byte_range.expect("a range");
        assert_eq!((range.offset, range.offset_written), (Some(800), false));
        assert!(third.discontinuity && third.gap && third.keys.is_empty());
        assert_eq!(third.map, Some(0));
        assert_eq!(playlist.duration_nanos(), 12_506_000_000);
    }

    #[test]
    fn range_without_offset_needs_one_before_in_the_same_object() {
        let playlist = read_media(
            "#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:5@0\na\n#EXTINF:1,\n#EXT-X-BYTERANGE:5\nb\n\
             #EXTINF:1,\n#EXT-X-BYTERANGE:5\na\n",
        );
        let offset = |s: &Segment| s.byte_range.expect("a range").offset;
        let offsets: Vec<_> = playlist.segments.iter().map(offset).collect();
        assert_eq!(offsets, [Some(0), None, None]);
    }

    #[test]
    fn multivariant_playlist_is_read_whole() {
        let playlist = read_multivariant(
            "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",DEFAULT=YES,CHANNELS=\"6/JOC\"\n\
             #EXT-X-STREAM-INF:BANDWIDTH=10,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=640x360,\
             FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO=\"a\",SCORE=1.5\nv/index.m3u8\n\
             #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=5,URI=\"i.m3u8\"\n\
             #EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"k\"\n\
             #EXT-X-CONTENT-STEERING:SERVER-URI=\"s\"\n",
        );
        assert_eq!(playlist.document.problems, []);
        let variant = playlist.variants.first().expect("a variant");
        assert_eq!((variant.line, variant.uri.as_str()), (4, "v/index.m3u8"));
        assert_eq!(
            variant.codec_list().collect::<Vec<_>>(),
            ["avc1.64001f", "mp4a.40.2"]
        );
        assert_eq!(variant.resolution(), Some((640, 360)));
        assert_eq!(variant.frame_rate_thousandths(), Some(29_970));
        assert_eq!(variant.attributes.thousandths("SCORE"), Some(1500));
        assert_eq!(playlist.i_frame_variants[0].uri, "i.m3u8");
        assert_eq!(playlist.group("AUDIO", "a").count(), 1);
        assert_eq!(playlist.renditions[0].channel_count(), Some(6));
        assert_eq!(
            (playlist.session_keys.len(), playlist.independent_segments),
            (1, true)
        );
        assert!(playlist.content_steering.is_some());
    }

    #[test]
    fn oddities_are_noted_with_their_line() {
        let playlist = read_media(
            "\u{feff}#EXTM3U \r\n#EXT-X-VERSION:x\r\n#EXTINF:abc,\r\n a \r\nb\n#EXT-X-VERSION:3\n",
        );
        assert!(playlist.document.byte_order_mark);
        assert_eq!(playlist.document.first_line, "#EXTM3U ");
        assert_eq!(playlist.document.carriage_returns, 4);
        assert_eq!(playlist.document.tags_named("EXT-X-VERSION").count(), 2);
        let mut lines: Vec<_> = playlist.document.problems.iter().map(|p| p.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [2, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_playlist_is_refused() {
        for text in ["", "hello", "<MPD/>", "# comment\nuri\n"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"\n".repeat(MAX_PLAYLIST_LINES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,200}") {
            let _ = read(&text);
        }

        #[test]
        fn any_mix_of_tags_is_survived(lines in prop::collection::vec(prop_oneof![
            Just("#EXTM3U".to_owned()),
            "#EXTINF:[0-9.]{0,30},?[a-z]{0,3}",
            "#EXT-X-BYTERANGE:[0-9]{0,22}@?[0-9]{0,22}",
            "#EXT-X-(MAP|KEY|STREAM-INF|MEDIA|DATERANGE):[A-Z]{0,4}=?\"?[a-z0-9@,=]{0,9}\"?,?",
            "#EXT-X-(MEDIA-SEQUENCE|TARGETDURATION|VERSION|BITRATE):[0-9]{0,22}",
            "[a-z]{0,3}",
        ], 0..30)) {
            let _ = read(&lines.join("\n"));
        }
    }
}
