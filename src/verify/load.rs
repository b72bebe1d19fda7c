//! From addresses to streams: fetches each object once, and only its head.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use url::Url;

use super::facts::{IndexFacts, InitFacts, SegmentFacts, TextFacts};
use super::fetch::Fetch;
use super::read_init::read_init;
use super::read_segment::{HEAD_BYTES, SegmentBytes, find_index, read_segment, sniff};
use super::report::{Sheet, printable};
use super::stills;
use super::stream::{Container, Stream, StreamSegment};
use crate::dash::{Addressing, Representation, SegmentBase};
use crate::error::{Error, Result};
use crate::hls::{ByteRange, MediaPlaylist, Segment};
use crate::time::{Ticks, Timescale};

/// The largest init segment that is read.
const INIT_BYTES_MAX: u64 = 4 << 20;
/// Most WebVTT that is read, of all objects together: unlike other objects, text is read whole.
const TEXT_BYTES_MAX: u64 = 256 << 20;
/// What is read first of a still: there are many, and most are larger than what is to be seen.
const STILL_HEAD_BYTES: u64 = 2 << 10;
/// What is read of the end of a JPEG: its last marker, and what careless writers put behind it.
const JPEG_TAIL_BYTES: u64 = 64;
/// At most so many segments of one stream are looked at.
pub(super) const SEGMENTS_MAX: usize = 100_000;

/// A part of an object: its address, and the first byte and length of the part.
type Part = (String, Option<(u64, u64)>);

/// Fetches objects and remembers what they hold.
pub(super) struct Loader<'a> {
    pub(super) fetch: &'a dyn Fetch,
    inits: BTreeMap<Part, Result<Rc<InitFacts>, String>>,
    segments: BTreeMap<Part, Object>,
    sizes: BTreeMap<String, Result<u64, String>>,
    /// Objects that were asked for their type and for redirects.
    served: BTreeSet<String>,
    /// How much text is read yet.
    text_bytes_left: Cell<u64>,
}

/// A segment's object as found.
#[derive(Debug, Clone)]
struct Object {
    bytes: Option<u64>,
    container: Container,
    facts: Option<Rc<SegmentFacts>>,
    text: Option<Rc<TextFacts>>,
    jpeg_size: Option<(u32, u32)>,
    /// Why it could not be read, and whether a range that does not fit is why.
    fault: Option<(String, bool)>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(fetch: &'a dyn Fetch) -> Self {
        Self {
            fetch,
            inits: BTreeMap::new(),
            segments: BTreeMap::new(),
            sizes: BTreeMap::new(),
            served: BTreeSet::new(),
            text_bytes_left: Cell::new(TEXT_BYTES_MAX),
        }
    }

    /// `reference` as found in the document at `base`, as an absolute address.
    pub(super) fn resolve(base: &Url, reference: &str) -> Result<Url> {
        base.join(reference)
            .map_err(|e| Error::invalid(format!("{reference:?} is no URL")).with_source(e))
    }

    /// An address as findings show it: relative to the root where it lies below it.
    pub(super) fn shown(&self, url: &str) -> String {
        let root = self.fetch.root().as_str();
        printable(url.strip_prefix(root).unwrap_or(url))
    }

    /// H19 and H21: an object answers without a redirect, under a media type it may have. Asked
    /// only where there are such things.
    pub(super) fn judge_serving(&mut self, sheet: &mut Sheet, url: &str, types: &[&str]) {
        if !self.served.insert(url.to_owned()) {
            return;
        }
        let Some(found) = self.fetch.content_type(url) else {
            return;
        };
        let place = self.shown(url);
        let redirected = self.fetch.redirects(url);
        sheet.judge(
            "H19",
            &place,
            redirected.then(|| "answers a redirect".into()),
        );
        let essence = found
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let wrong = !types.contains(&essence.as_str());
        let fault = wrong.then(|| format!("served as {essence}, not {}", types.join(" or ")));
        sheet.judge("H21", &place, fault);
    }

    /// What a media playlist at `base` names.
    pub(super) fn playlist_stream(
        &mut self,
        sheet: &mut Sheet,
        base: &Url,
        playlist: &MediaPlaylist,
    ) -> Stream {
        let place = self.shown(base.as_str());
        let mut stream = Stream {
            place: place.clone(),
            init_place: None,
            init: None,
            segments: Vec::new(),
            stills: playlist.i_frames_only || playlist.images_only,
        };
        let map = playlist
            .segments
            .iter()
            .find_map(|segment| playlist.map_of(segment));
        if let Some(map) = map.or(playlist.maps.first()) {
            let at = format!("{place}:{}", map.line);
            let range = map.byte_range.and_then(part_of);
            match Self::resolve(base, &map.uri) {
                Ok(url) => self.open_init(sheet, "H21", &at, (url.into(), range), &mut stream),
                Err(error) => sheet.judge("H21", &at, Some(error.to_string())),
            }
        }
        if playlist.maps.len() > 1 {
            sheet.note(format!(
                "{place}: only the first of several EXT-X-MAP is looked at"
            ));
        }
        self.truncation(sheet, &place, playlist.segments.len());
        for (index, segment) in playlist.segments.iter().take(SEGMENTS_MAX).enumerate() {
            let at = format!("{place}:{}", segment.line);
            let range = segment.byte_range.and_then(part_of);
            let url = match Self::resolve(base, &segment.uri) {
                Ok(url) => String::from(url),
                Err(error) => {
                    sheet.judge("H21", &at, Some(error.to_string()));
                    continue;
                }
            };
            if index == 0 {
                self.judge_serving(sheet, &url, SEGMENT_TYPES);
            }
            self.push_playlist_segment(sheet, (url, range), segment, &at, &mut stream);
        }
        stream
    }

    /// A segment of a media playlist; `at` is its line.
    fn push_playlist_segment(
        &mut self,
        sheet: &mut Sheet,
        part: Part,
        segment: &Segment,
        at: &str,
        stream: &mut Stream,
    ) {
        let fault = self.segment(part.clone(), stream).fault;
        let (resolve, within) = match fault {
            Some((fault, true)) => (None, Some(fault)),
            Some((fault, false)) => (Some(fault), None),
            None => (None, None),
        };
        sheet.judge("H21", at, resolve);
        if part.1.is_some() {
            sheet.judge("H17", at, within);
        }
        self.push_segment(part, segment.duration, segment.discontinuity, stream);
    }

    /// What a Representation of the MPD at `base` names, with the start and duration of each
    /// segment in its addressing's ticks.
    pub(super) fn representation_stream(
        &mut self,
        sheet: &mut Sheet,
        base: &Url,
        representation: &Representation,
    ) -> (Stream, Vec<(u64, u64)>) {
        let place = format!("{} {}", self.shown(base.as_str()), representation.id);
        let mut stream = Stream {
            place: place.clone(),
            init_place: None,
            init: None,
            segments: Vec::new(),
            stills: stills::is_trick(representation) || stills::is_thumbnails(representation),
        };
        let locate = |url: &str| Self::resolve(base, &representation.locate(url));
        match representation.initialization() {
            Some(Ok(object)) => match locate(&object.url) {
                Ok(url) => {
                    let part = (url.into(), object.range.and_then(inclusive));
                    self.open_init(sheet, "D04", &place, part, &mut stream);
                }
                Err(error) => sheet.judge("D06", &place, Some(error.to_string())),
            },
            Some(Err(error)) => sheet.judge("D06", &place, Some(error.to_string())),
            None => {}
        }
        if let Addressing::Base(segment_base) = &representation.addressing {
            let times = match locate("") {
                Ok(url) => {
                    self.indexed_segments(sheet, &place, url.into(), segment_base, &mut stream)
                }
                Err(_) => Vec::new(),
            };
            return (stream, times);
        }
        if representation.addressing == Addressing::None {
            self.single_object(sheet, locate(""), representation, &mut stream);
            return (stream, Vec::new());
        }
        let timescale = addressing_timescale(representation);
        let mut times = Vec::new();
        for segment in representation.segments().take(SEGMENTS_MAX) {
            let located = segment.and_then(|segment| {
                let url = locate(&segment.url)?;
                Ok((segment, String::from(url)))
            });
            let (segment, url) = match located {
                Ok(located) => located,
                Err(error) => {
                    sheet.judge("D06", &place, Some(error.to_string()));
                    break;
                }
            };
            times.push((segment.time, segment.duration));
            let part = (url, segment.range.and_then(inclusive));
            let declared = i64::try_from(segment.duration).unwrap_or(i64::MAX);
            self.push_segment(part, Ticks::new(declared, timescale), false, &mut stream);
        }
        self.truncation(sheet, &place, times.len());
        (stream, times)
    }

    /// What a Representation without addressing names: the one object at its base URL.
    fn single_object(
        &mut self,
        sheet: &mut Sheet,
        url: Result<Url>,
        representation: &Representation,
        stream: &mut Stream,
    ) {
        let whole = representation.period_duration;
        let (Ok(url), false) = (url, representation.base_urls.is_empty()) else {
            return; // it names nothing, which is told where covering the Period is judged
        };
        self.judge_serving(sheet, url.as_str(), SEGMENT_TYPES);
        let declared = whole.unwrap_or(Ticks::new(0, Timescale::NANOS));
        self.push_segment((url.into(), None), declared, false, stream);
    }

    /// The segments of indexed addressing: each reference of the `sidx` is one.
    fn indexed_segments(
        &mut self,
        sheet: &mut Sheet,
        place: &str,
        url: String,
        base: &SegmentBase,
        stream: &mut Stream,
    ) -> Vec<(u64, u64)> {
        let index = match self.index(&url, base) {
            Ok(index) => index,
            Err(error) => {
                sheet.judge("D07", place, Some(error.to_string()));
                return Vec::new();
            }
        };
        let Some(timescale) = Timescale::new(index.timescale) else {
            sheet.judge("D07", place, Some("the index has timescale 0".into()));
            return Vec::new();
        };
        let mut times = Vec::new();
        let (mut at, mut time) = (index.anchor, index.earliest_presentation_time);
        for reference in &index.references {
            let duration = u64::from(reference.duration);
            times.push((time, duration));
            let part = (url.clone(), Some((at, u64::from(reference.size))));
            let declared = Ticks::new(i64::from(reference.duration), timescale);
            self.push_segment(part, declared, false, stream);
            at = at.saturating_add(u64::from(reference.size));
            time = time.saturating_add(duration);
        }
        let size = self.size(&url);
        let short = size.is_ok_and(|size| size != at);
        let fault = short
            .then(|| format!("the index's references end at byte {at}, not at the file's end"));
        sheet.judge("C11", place, fault);
        times
    }

    fn index(&self, url: &str, base: &SegmentBase) -> Result<IndexFacts> {
        let (start, len) = base
            .index_range
            .and_then(inclusive)
            .ok_or_else(|| Error::invalid("no @indexRange to read the index from"))?;
        if len > INIT_BYTES_MAX {
            return Err(Error::invalid(format!("an index of {len} bytes")));
        }
        let bytes = self.fetch.range(url, start, len)?;
        find_index(&bytes, start)
            .ok_or_else(|| Error::invalid("@indexRange holds no readable sidx"))
    }

    fn push_segment(
        &mut self,
        part: Part,
        declared: Ticks,
        discontinuity: bool,
        stream: &mut Stream,
    ) {
        let object = self.segment(part.clone(), stream);
        stream.segments.push(StreamSegment {
            place: self.part_shown(&part),
            declared,
            bytes: object.bytes,
            discontinuity,
            container: object.container,
            facts: object.facts,
            text: object.text,
            jpeg_size: object.jpeg_size,
        });
    }

    fn truncation(&self, sheet: &mut Sheet, place: &str, count: usize) {
        if count >= SEGMENTS_MAX {
            sheet.note(format!(
                "{place}: only the first {SEGMENTS_MAX} segments are looked at"
            ));
        }
    }

    fn part_shown(&self, (url, range): &Part) -> String {
        let url = self.shown(url);
        match range {
            Some((start, len)) => format!("{url} bytes {start}+{len}"),
            None => url,
        }
    }

    fn open_init(
        &mut self,
        sheet: &mut Sheet,
        rule: &'static str,
        place: &str,
        part: Part,
        stream: &mut Stream,
    ) {
        self.judge_serving(sheet, &part.0, INIT_TYPES);
        stream.init_place = Some(self.part_shown(&part));
        let read = match self.inits.get(&part) {
            Some(read) => read.clone(),
            None => {
                let read = self
                    .read_init(&part)
                    .map(Rc::new)
                    .map_err(|e| e.to_string());
                self.inits.insert(part, read.clone());
                read
            }
        };
        match read {
            Ok(init) => {
                sheet.judge(rule, place, None);
                stream.init = Some(init);
            }
            Err(error) => sheet.judge(rule, place, Some(error)),
        }
    }

    fn read_init(&mut self, (url, range): &Part) -> Result<InitFacts> {
        let (start, len) = match range {
            Some(range) => *range,
            None => (0, self.size(url)?),
        };
        if len > INIT_BYTES_MAX {
            let message = format!("init segment of {len} bytes; over {INIT_BYTES_MAX} is refused");
            return Err(Error::invalid(message));
        }
        let bytes = self.fetch.range(url, start, len)?;
        if bytes.len() as u64 != len {
            let message = format!("the init segment ends after {} of {len} bytes", bytes.len());
            return Err(Error::invalid(message));
        }
        Ok(read_init(&bytes))
    }

    fn size(&mut self, url: &str) -> Result<u64> {
        if let Some(size) = self.sizes.get(url) {
            return size.clone().map_err(Error::invalid);
        }
        let size = self.fetch.size(url);
        let kept = size.as_ref().map(|size| *size).map_err(ToString::to_string);
        self.sizes.insert(url.to_owned(), kept);
        size
    }

    fn segment(&mut self, part: Part, stream: &Stream) -> Object {
        if let Some(object) = self.segments.get(&part) {
            return object.clone();
        }
        let object = self.read_object(&part, stream);
        self.segments.insert(part, object.clone());
        object
    }

    fn read_object(&mut self, (url, range): &Part, stream: &Stream) -> Object {
        let mut object = Object {
            bytes: None,
            container: Container::Unknown,
            facts: None,
            text: None,
            jpeg_size: None,
            fault: None,
        };
        let size = match self.size(url) {
            Ok(size) => size,
            Err(error) => {
                object.fault = Some((error.to_string(), false));
                return object;
            }
        };
        let (start, len) = range.unwrap_or((0, size));
        if start.checked_add(len).is_none_or(|end| end > size) {
            let message = format!("bytes {start}+{len} of an object of {size}");
            object.fault = Some((message, true));
            return object;
        }
        object.bytes = Some(len);
        if let Err(error) = self.read_heads(url, (start, len), stream, &mut object) {
            object.fault = Some((error.to_string(), false));
        }
        object
    }

    fn read_heads(
        &self,
        url: &str,
        (start, len): (u64, u64),
        stream: &Stream,
        object: &mut Object,
    ) -> Result<()> {
        if len == 0 {
            return Err(Error::invalid("an empty object"));
        }
        let source = FetchedPart {
            fetch: self.fetch,
            url,
            start,
            len,
        };
        let head_bytes = match stream.stills {
            true => STILL_HEAD_BYTES,
            false => HEAD_BYTES,
        };
        let head = source.read(0, head_bytes)?;
        object.container = sniff(&head);
        object.jpeg_size = stills::jpeg_size(&head);
        if object.container == Container::Jpeg {
            let tail = len.min(JPEG_TAIL_BYTES);
            if !stills::ends_as_jpeg(&source.read(len - tail, tail)?) {
                let message = "the JPEG is cut off: no end of image (EOI) at its end";
                return Err(Error::invalid(message));
            }
        }
        if object.container == Container::Fmp4 {
            let facts = read_segment(&source, &head, head_bytes, stream.init.as_deref())?;
            object.facts = Some(Rc::new(facts));
        }
        let left = self.text_bytes_left.get().checked_sub(len);
        if let (Container::WebVtt, Some(left)) = (object.container, left) {
            self.text_bytes_left.set(left);
            let text = read_text(&source.read(0, len)?);
            object.text = Some(Rc::new(text));
        }
        Ok(())
    }
}

fn read_text(bytes: &[u8]) -> TextFacts {
    match crate::text::read_webvtt(bytes) {
        Ok(document) => {
            let cues = document.cues.cues().iter();
            TextFacts {
                timestamp_map: document.timestamp_map,
                cues: cues.map(|cue| (cue.start_millis, cue.end_millis)).collect(),
                trouble: None,
                warnings: document.warnings,
            }
        }
        Err(error) => TextFacts {
            trouble: Some(error.to_string()),
            ..TextFacts::default()
        },
    }
}

/// A part of an object as a segment.
struct FetchedPart<'a> {
    fetch: &'a dyn Fetch,
    url: &'a str,
    start: u64,
    len: u64,
}

impl SegmentBytes for FetchedPart<'_> {
    fn size(&self) -> u64 {
        self.len
    }

    fn read(&self, start: u64, len: u64) -> Result<Vec<u8>> {
        let len = len.min(self.len.saturating_sub(start));
        self.fetch
            .range(self.url, self.start.saturating_add(start), len)
    }
}

/// Media types that init segments and segments are served under.
const INIT_TYPES: &[&str] = &["video/mp4", "audio/mp4", "application/mp4"];
const SEGMENT_TYPES: &[&str] = &[
    "video/mp4",
    "audio/mp4",
    "application/mp4",
    "video/iso.segment",
    "audio/iso.segment",
    "video/mp2t",
    "audio/aac",
    "text/vtt",
    "application/ttml+xml",
    "image/jpeg",
];

fn part_of(range: ByteRange) -> Option<(u64, u64)> {
    Some((range.offset?, range.length))
}

/// First and last byte to first byte and length.
fn inclusive((first, last): (u64, u64)) -> Option<(u64, u64)> {
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

fn addressing_timescale(representation: &Representation) -> Timescale {
    let ticks = match &representation.addressing {
        Addressing::Template(template) => template.ticks_per_second(),
        Addressing::List(list) => list.timescale.unwrap_or(1),
        Addressing::Base(base) => base.timescale.unwrap_or(1),
        Addressing::None => 1,
    };
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
    Timescale::new(ticks.max(1)).expect("at least 1")
}
