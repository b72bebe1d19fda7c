//! Presentation -> static MPD (ISO/IEC 23009-1): one Period, numbered segments on explicit
//! timelines.

use super::duration::format_duration;
use super::element::Element;
use super::protection::{CENC_NAMESPACE, DASHIF_NAMESPACE, content_protection};
use super::read::read;
use crate::bandwidth::track_dash_bandwidth;
use crate::error::{Error, Result};
use crate::layout::{
    INIT_NAME, THUMBNAILS_FOLDER, WHOLE_TEXT_NAME, segment_name, text_folder, thumbnail_name,
};
use crate::media::{
    AudioTrack, Chapter, Presentation, SegmentInfo, Stills, TextKind, TextTrack, Thumbnails,
    TrackCommon, TrickTrack, VideoTrack, same_video_coding, video_sets,
};
use crate::time::{FrameRate, Rounding, Ticks, Timescale, gcd};

/// What is claimed: templates and no more (23009-1 8.4), CMAF tracks in CMAF switching sets (8.12).
/// `@containerProfiles` is left out: the 5th edition brought it, and by the schemas of the 3rd and
/// 4th, which validators still apply, it makes the MPD invalid.
const PROFILES: &str = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019";
/// The scheme of events that are chapters, whose text is the title. There is none of a standard.
const CHAPTERS_SCHEME: &str = "urn:headwater:dash:chapters";
/// DASH-IF IOP 4.3 3.2.9: a set for trick play of the set that the value names.
const TRICK_MODE: &str = "http://dashif.org/guidelines/trickmode";
/// `@id` of the main video set: the first of all sets.
const MAIN_SET: u32 = 1;
/// DASH-IF IOP 4.3 6.2.6: thumbnails in tiles of columns by rows.
const THUMBNAIL_TILE: &str = "http://dashif.org/guidelines/thumbnail_tile";
/// Numbers at or above this are inexact in players that compute with doubles (rule D09).
const EXACT_LIMIT: u64 = 1 << 53;

/// The MPD of `presentation`; `base` (empty, or ending in `/`) goes before each URL.
///
/// `S@t` and `S@d` are decode times, equal to the sums of `tfdt` and `trun` (rule D08); audio's
/// encoder delay is taken off by the edit list of its init segment.
pub fn mpd(presentation: &Presentation, base: &str) -> Result<String> {
    let tracks = all_tracks(presentation);
    refuse_unwritable(&tracks)?;
    let longest = tracks
        .iter()
        .flat_map(|track| lengths(track))
        .max_by(longer);
    let min_buffer = min_buffer_time(&tracks);
    let writer = Writer {
        base,
        min_buffer,
        duration: presentation.duration,
    };
    let duration = format_duration(presentation.duration);
    let period = Element::new("Period")
        .with("id", 0)
        .with("start", "PT0S")
        .with("duration", &duration)
        .children(chapter_events(&presentation.chapters))
        .children(writer.adaptation_sets(presentation));
    let root = Element::new("MPD").with("xmlns", "urn:mpeg:dash:schema:mpd:2011");
    let root = match tracks.iter().any(|track| track.protection.is_some()) {
        true => root
            .with("xmlns:cenc", CENC_NAMESPACE)
            .with("xmlns:dashif", DASHIF_NAMESPACE),
        false => root,
    };
    let root = root
        .with("profiles", PROFILES)
        .with("type", "static")
        .with("mediaPresentationDuration", duration)
        .with("minBufferTime", format_duration(min_buffer));
    let root = match longest {
        Some(longest) => {
            let longest = longest.to(Timescale::MILLIS, Rounding::Ceil);
            root.with("maxSegmentDuration", format_duration(longest))
        }
        None => root,
    };
    let text = root.child(period).to_document();
    check(&text, presentation, base)?;
    Ok(text)
}

/// Chapters as events (ISO/IEC 23009-1 5.10.2): players that don't know the scheme pass over them.
fn chapter_events(chapters: &[Chapter]) -> Option<Element> {
    let event = |(number, chapter): (usize, &Chapter)| {
        Element::new("Event")
            .with("id", number)
            .with("presentationTime", chapter.start_millis)
            .with("duration", chapter.end_millis - chapter.start_millis)
            .text(&chapter.title)
    };
    let stream = Element::new("EventStream")
        .with("schemeIdUri", CHAPTERS_SCHEME)
        .with("timescale", Timescale::MILLIS.get())
        .children((1..).zip(chapters).map(event));
    (!chapters.is_empty()).then_some(stream)
}

fn all_tracks(presentation: &Presentation) -> Vec<&TrackCommon> {
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    video.chain(audio).collect()
}

fn refuse_unwritable(tracks: &[&TrackCommon]) -> Result<()> {
    if tracks.is_empty() {
        return Err(Error::internal("a presentation without tracks"));
    }
    for track in tracks {
        let sum = |sum: u64, s: &SegmentInfo| sum.checked_add(s.duration);
        let end = track.segments.iter().try_fold(0, sum);
        let exact = end.is_some_and(|end| end < EXACT_LIMIT);
        if track.segments.is_empty() || !exact {
            let message = format!("track {} has no segments, or 2^53 ticks of them", track.id);
            return Err(Error::internal(message));
        }
    }
    Ok(())
}

fn lengths(track: &TrackCommon) -> impl Iterator<Item = Ticks> {
    let ticks = |s: &SegmentInfo| i64::try_from(s.duration).unwrap_or(i64::MAX);
    let timescale = track.timescale;
    let all = track.segments.iter();
    all.map(move |segment| Ticks::new(ticks(segment), timescale))
}

fn longer(a: &Ticks, b: &Ticks) -> std::cmp::Ordering {
    let cross = |x: &Ticks, y: &Ticks| i128::from(x.count) * i128::from(y.timescale.get());
    cross(a, b).cmp(&cross(b, a))
}

/// `@minBufferTime`: the first segment of every track, so that players which wait for it before
/// they start have it with one segment of each. Where that is less than half the longest, which
/// would double the `@bandwidth` it takes never to stall, the longest. Whole milliseconds.
fn min_buffer_time(tracks: &[&TrackCommon]) -> Ticks {
    let zero = Ticks::new(0, Timescale::MILLIS);
    let longest = tracks
        .iter()
        .flat_map(|track| lengths(track))
        .max_by(longer);
    let first = tracks
        .iter()
        .filter_map(|track| lengths(track).next())
        .min_by(longer);
    let millis = |time: Option<Ticks>| time.unwrap_or(zero).to(Timescale::MILLIS, Rounding::Floor);
    let (longest, first) = (millis(longest), millis(first));
    let chosen = if first.count >= longest.count / 2 {
        first
    } else {
        longest
    };
    Ticks::new(chosen.count.max(1), Timescale::MILLIS)
}

struct Writer<'a> {
    base: &'a str,
    min_buffer: Ticks,
    duration: Ticks,
}

impl Writer<'_> {
    fn adaptation_sets(&self, presentation: &Presentation) -> Vec<Element> {
        let mut sets = Vec::new();
        let video = video_sets(&presentation.video);
        for (at, set) in video.iter().enumerate() {
            sets.extend(self.video_set(set, &switchable(&video, at)));
        }
        let audio = audio_sets(&presentation.audio);
        let has_default = |set: &Vec<&AudioTrack>| set.iter().any(|track| track.default);
        // One set is the main one (rule D15), whatever the tracks say.
        let main = audio.iter().position(has_default).unwrap_or(0);
        for (i, set) in audio.iter().enumerate() {
            let role = if i == main { "main" } else { "alternate" };
            sets.extend(self.audio_set(set, role));
        }
        let default = presentation.text.iter().position(|track| track.default);
        for (i, track) in presentation.text.iter().enumerate() {
            sets.push(self.text_set(track, default == Some(i)));
        }
        // Behind all others: their numbers stay the same whether there are stills or not.
        if let (Some(stills), Some(largest)) = (&presentation.stills, presentation.video.first()) {
            sets.extend(self.trick_set(&stills.tracks, ratio(largest.width, largest.height)));
            sets.push(self.thumbnail_set(&stills.thumbnails));
        }
        let ids = 1_u32..;
        let with_id = |(id, mut set): (u32, Element)| {
            set.attributes.insert(0, ("id".to_owned(), id.to_string()));
            set
        };
        ids.zip(sets).map(with_id).collect()
    }

    /// Video renditions of one codec and range under one key (rules D12, D13), the largest first,
    /// which gives the shape of the picture. All sets show the main picture (rule D15). `others` are
    /// the ids of the sets that a player may switch to. `None` without tracks.
    fn video_set(&self, tracks: &[&VideoTrack], others: &[String]) -> Option<Element> {
        let largest = tracks.first()?;
        let width = tracks.iter().map(|track| track.width).max().unwrap_or(0);
        let height = tracks.iter().map(|track| track.height).max().unwrap_or(0);
        let rates = tracks.iter().map(|track| track.frame_rate);
        let frame_rate = rates.max_by_key(by_speed).unwrap_or(largest.frame_rate);
        let commons: Vec<_> = tracks.iter().map(|track| &track.common).collect();
        let set = start_set("video", &commons)
            .with("maxWidth", width)
            .with("maxHeight", height)
            .with("maxFrameRate", frame_rate)
            .with("par", ratio(largest.width, largest.height));
        let representation = |track: &&VideoTrack| {
            self.representation(&track.common)
                .with("width", track.width)
                .with("height", track.height)
                .with("frameRate", track.frame_rate)
                .with("sar", "1:1")
        };
        let switching = (!others.is_empty()).then(|| {
            let scheme = "urn:mpeg:dash:adaptation-set-switching:2016";
            descriptor("SupplementalProperty", scheme, others.join(","))
        });
        let set = set
            .children(self.protection(&commons))
            .children(colour_properties(tracks))
            .children(switching)
            .child(role("main"));
        Some(self.with_representations(set, &commons, tracks.iter().map(representation)))
    }

    /// How the tracks of a set are encrypted, which all are in the same way.
    fn protection(&self, tracks: &[&TrackCommon]) -> Vec<Element> {
        let protection = tracks.first().and_then(|track| track.protection.as_ref());
        // The entry points lie in the asset's folder, and their copies in the revision's.
        let to_asset = if self.base.is_empty() { "../" } else { "" };
        protection.map_or_else(Vec::new, |it| content_protection(it, to_asset))
    }

    /// Renditions of the same sound (rules D12, D14, D15). `None` without tracks.
    fn audio_set(&self, tracks: &[&AudioTrack], role_value: &str) -> Option<Element> {
        let first = tracks.first()?;
        let commons: Vec<_> = tracks.iter().map(|track| &track.common).collect();
        let language = match first.language.as_str() {
            "" => "und",
            language => language,
        };
        // The schema has an order.
        let mut set = start_set("audio", &commons)
            .with("lang", language)
            .child(channel_configuration(first.channels))
            .children(self.protection(&commons));
        if let Some(complexity) = first.objects {
            let supplemental = |scheme, value| descriptor("SupplementalProperty", scheme, value);
            set = set
                .child(supplemental(JOC_TYPE, "JOC".to_owned()))
                .child(supplemental(JOC_COMPLEXITY, complexity.to_string()));
        }
        if !first.name.trim().is_empty() {
            set = set.child(Element::new("Label").text(first.name.trim()));
        }
        let representation = |track: &&AudioTrack| {
            self.representation(&track.common)
                .with("audioSamplingRate", track.sample_rate)
        };
        let marks = first.disposition;
        if marks.visual_impaired {
            set = set.child(descriptor("Accessibility", AUDIO_PURPOSE, 1));
        } else if marks.hearing_impaired {
            set = set.child(descriptor("Accessibility", AUDIO_PURPOSE, 2));
        }
        let further = [
            (marks.visual_impaired, "description"),
            (marks.commentary, "commentary"),
            (marks.dub, "dub"),
        ];
        let further = further.into_iter().filter(|(marked, _)| *marked);
        let set = set
            .child(role(role_value))
            .children(further.map(|(_, value)| role(value)));
        let representations = tracks.iter().map(representation);
        Some(self.with_representations(set, &commons, representations))
    }

    /// The I-frame tracks, for the main video set, which is the first (rule D19).
    fn trick_set(&self, tracks: &[TrickTrack], shape: String) -> Option<Element> {
        let first = tracks.first()?;
        let commons: Vec<_> = tracks.iter().map(|track| &track.common).collect();
        let set = start_set("video", &commons)
            .with(
                "maxWidth",
                tracks.iter().map(|t| t.width).max().unwrap_or(0),
            )
            .with(
                "maxHeight",
                tracks.iter().map(|t| t.height).max().unwrap_or(0),
            )
            .with("maxFrameRate", first.frame_rate)
            .with("par", shape)
            .with("maxPlayoutRate", first.max_speed)
            .with("codingDependency", false)
            .child(descriptor("EssentialProperty", TRICK_MODE, MAIN_SET));
        let representation = |track: &TrickTrack| {
            self.representation(&track.common)
                .with("width", track.width)
                .with("height", track.height)
                .with("frameRate", track.frame_rate)
                .with("sar", "1:1")
        };
        let representations = tracks.iter().map(representation);
        Some(self.with_representations(set, &commons, representations))
    }

    /// The thumbnails, each a tile by itself (rule D18).
    fn thumbnail_set(&self, thumbnails: &Thumbnails) -> Element {
        let folder = format!("{}{THUMBNAILS_FOLDER}/", self.base.replace('$', "$$"));
        let template = Element::new("SegmentTemplate")
            .with("timescale", thumbnails.timescale.get())
            .with("media", format_args!("{folder}$Number$.jpg"))
            .with("startNumber", 1)
            .with("duration", thumbnails.duration);
        let bandwidth = u32::try_from(thumbnails.rates.peak_bps).unwrap_or(u32::MAX);
        let representation = Element::new("Representation")
            .with("id", THUMBNAILS_FOLDER)
            .with("bandwidth", bandwidth.max(1))
            .with("width", thumbnails.width)
            .with("height", thumbnails.height)
            .child(descriptor("EssentialProperty", THUMBNAIL_TILE, "1x1"));
        Element::new("AdaptationSet")
            .with("contentType", "image")
            .with("mimeType", "image/jpeg")
            .child(template)
            .child(representation)
    }

    /// A text track as one WebVTT file beside the segments (rules D12, D22): its times count from
    /// the Period's start. `main` stands on the one that is shown when nobody chose.
    fn text_set(&self, track: &TextTrack, is_default: bool) -> Element {
        let folder = text_folder(&track.language, &track.digest);
        let url = format!("{}{folder}/{WHOLE_TEXT_NAME}", self.base);
        let mut set = Element::new("AdaptationSet")
            .with("contentType", "text")
            .with("mimeType", "text/vtt")
            .with("lang", &track.language);
        if !track.name.trim().is_empty() {
            set = set.child(Element::new("Label").text(track.name.trim()));
        }
        set = set.child(role(text_role(track.kind)));
        if is_default {
            set = set.child(role("main"));
        }
        let representation = Element::new("Representation")
            .with("id", &track.id)
            .with("bandwidth", mean_bandwidth(track.bytes, self.duration));
        set.child(representation.child(Element::new("BaseURL").text(&url)))
    }

    /// Puts the template where it is true: once for the set if all tracks have the same timeline,
    /// or else into each Representation.
    fn with_representations(
        &self,
        set: Element,
        tracks: &[&TrackCommon],
        representations: impl Iterator<Item = Element>,
    ) -> Element {
        match tracks.first() {
            Some(first) if same_timelines(tracks) => {
                set.child(self.template(first)).children(representations)
            }
            _ => {
                let each = representations.zip(tracks);
                set.children(each.map(|(element, track)| element.child(self.template(track))))
            }
        }
    }

    fn representation(&self, track: &TrackCommon) -> Element {
        let bandwidth = track_dash_bandwidth(track, self.min_buffer);
        // The schema's type is xs:unsignedInt.
        let bandwidth = u32::try_from(bandwidth).unwrap_or(u32::MAX);
        Element::new("Representation")
            .with("id", &track.id)
            .with("codecs", &track.codecs)
            .with("bandwidth", bandwidth)
    }

    /// Explicit addressing (rule D06).
    fn template(&self, track: &TrackCommon) -> Element {
        let folder = format!("{}$RepresentationID$/", self.base.replace('$', "$$"));
        Element::new("SegmentTemplate")
            .with("timescale", track.timescale.get())
            .with("initialization", format_args!("{folder}{INIT_NAME}"))
            .with("media", format_args!("{folder}$Number$.m4s"))
            .with("startNumber", 1)
            .child(timeline(&track.segments))
    }
}

/// The ids of the sets that differ from that at `at` by the key alone: a player may switch to them.
fn switchable(sets: &[Vec<&VideoTrack>], at: usize) -> Vec<String> {
    let like = |set: &Vec<&VideoTrack>| match (set.first(), sets.get(at).and_then(|it| it.first()))
    {
        (Some(a), Some(b)) => same_video_coding(a, b),
        _ => false,
    };
    let others = sets.iter().enumerate();
    let others = others.filter(|(other, set)| *other != at && like(set));
    others.map(|(other, _)| (other + 1).to_string()).collect()
}

/// Tracks between which a player may switch, or choose by bitrate alone: same language and name,
/// codec, channels and sample rate. In the order of their first track.
fn audio_sets(tracks: &[AudioTrack]) -> Vec<Vec<&AudioTrack>> {
    let mut sets: Vec<Vec<&AudioTrack>> = Vec::new();
    for track in tracks {
        let alike = |other: &&AudioTrack| {
            other.language == track.language
                && other.name == track.name
                && other.common.codecs == track.common.codecs
                && other.channels == track.channels
                && other.sample_rate == track.sample_rate
        };
        match sets.iter_mut().find(|set| set.first().is_some_and(alike)) {
            Some(set) => set.push(track),
            None => sets.push(vec![track]),
        }
    }
    sets
}

fn start_set(content_type: &str, tracks: &[&TrackCommon]) -> Element {
    Element::new("AdaptationSet")
        .with("contentType", content_type)
        .with("mimeType", format_args!("{content_type}/mp4"))
        .with("segmentAlignment", same_timelines(tracks))
        .with("startWithSAP", 1)
}

fn same_timelines(tracks: &[&TrackCommon]) -> bool {
    let Some(first) = tracks.first() else {
        return true;
    };
    let durations =
        |track: &TrackCommon| -> Vec<u64> { track.segments.iter().map(|s| s.duration).collect() };
    let expected = durations(first);
    let same = |t: &&TrackCommon| t.timescale == first.timescale && durations(t) == expected;
    tracks.iter().all(same)
}

/// Runs of equal segments; only the first needs a time.
fn timeline(segments: &[SegmentInfo]) -> Element {
    let runs = segments.chunk_by(|a, b| a.duration == b.duration);
    let run = |(i, run): (usize, &[SegmentInfo])| {
        let mut s = Element::new("S");
        if i == 0 {
            s = s.with("t", 0);
        }
        s = s.with("d", run.first().map_or(0, |segment| segment.duration));
        match run.len() {
            0 | 1 => s,
            length => s.with("r", length - 1),
        }
    };
    Element::new("SegmentTimeline").children(runs.enumerate().map(run))
}

/// Roles of ISO/IEC 23009-1 5.8.5.5.
fn text_role(kind: TextKind) -> &'static str {
    match kind {
        TextKind::Subtitles => "subtitle",
        TextKind::Captions => "caption",
        TextKind::Forced => "forced-subtitle",
    }
}

/// Bits a second of an object that is there for the whole time, at least 1: the schema's type is
/// xs:unsignedInt, and players divide by it.
fn mean_bandwidth(bytes: u64, duration: Ticks) -> u32 {
    let bits = u128::from(bytes) * 8 * u128::from(duration.timescale.get());
    let ticks = u128::from(duration.count.max(1).unsigned_abs());
    u32::try_from(bits.div_ceil(ticks))
        .unwrap_or(u32::MAX)
        .max(1)
}

fn descriptor(kind: &str, scheme: &str, value: impl std::fmt::Display) -> Element {
    let element = Element::new(kind).with("schemeIdUri", scheme);
    element.with("value", value)
}

fn role(value: &str) -> Element {
    descriptor("Role", "urn:mpeg:dash:role:2011", value)
}

/// ISO/IEC 23091-3 channel configurations that channel counts alone imply (mono to 5.1, and AAC's
/// 7.1); a plain count for others.
fn channel_configuration(channels: u16) -> Element {
    let kind = "AudioChannelConfiguration";
    match channels {
        1..=6 => descriptor(kind, CICP_CHANNELS, channels),
        8 => descriptor(kind, CICP_CHANNELS, 7),
        other => descriptor(
            kind,
            "urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
            other,
        ),
    }
}
/// What sound is for (ETSI TS 103 285 section 6.1.2): 1 for who can't see, 2 for who can't hear well.
const AUDIO_PURPOSE: &str = "urn:tva:metadata:cs:AudioPurposeCS:2007";
/// Atmos within E-AC-3 (ETSI TS 103 420 annex D).
const JOC_TYPE: &str = "tag:dolby.com,2018:dash:EC3_ExtensionType:2018";
const JOC_COMPLEXITY: &str = "tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018";
const CICP_CHANNELS: &str = "urn:mpeg:mpegB:cicp:ChannelConfiguration";

/// HDR is told by code points (rule D21), when all tracks have the same; SDR needs no telling.
fn colour_properties(tracks: &[&VideoTrack]) -> Vec<Element> {
    let Some(colour) = tracks.first().map(|track| track.colour) else {
        return Vec::new();
    };
    let hdr = matches!(colour.transfer, 16 | 18);
    if !hdr || tracks.iter().any(|track| track.colour != colour) {
        return Vec::new();
    }
    let points = [
        ("ColourPrimaries", colour.primaries),
        ("TransferCharacteristics", colour.transfer),
        ("MatrixCoefficients", colour.matrix),
    ];
    let property = |(name, value): (&str, u8)| {
        descriptor(
            "SupplementalProperty",
            &format!("urn:mpeg:mpegB:cicp:{name}"),
            value,
        )
    };
    points.map(property).into()
}

/// Orders frame rates by how fast they are, in frames a second times 2^32.
fn by_speed(rate: &FrameRate) -> u64 {
    (u64::from(rate.numerator()) << 32) / u64::from(rate.denominator())
}

fn ratio(width: u32, height: u32) -> String {
    let divisor = gcd(width, height).max(1);
    format!("{}:{}", width / divisor, height / divisor)
}

/// Reads what was written and compares it with what was meant.
fn check(text: &str, presentation: &Presentation, base: &str) -> Result<()> {
    let mpd = read(text)?;
    let mut tracks = all_tracks(presentation);
    let text_tracks = &presentation.text;
    let stills = presentation.stills.as_ref();
    let stills = stills.filter(|_| !presentation.video.is_empty());
    tracks.extend(
        stills
            .iter()
            .flat_map(|stills| stills.tracks.iter().map(|t| &t.common)),
    );
    if let Some(problem) = mpd.problems.first() {
        let message = format!("written MPD, line {}: {}", problem.line, problem.message);
        return Err(Error::internal(message));
    }
    let count = tracks.len() + text_tracks.len() + usize::from(stills.is_some());
    if mpd.representations().count() != count {
        return Err(Error::internal(
            "written MPD: the number of Representations is wrong",
        ));
    }
    let find = |id: &str| {
        let mut all = mpd
            .representations()
            .map(|(_, _, representation)| representation);
        all.find(|representation| representation.id == id)
    };
    let differs = |id: &str| Error::internal(format!("written MPD: track {id} reads differently"));
    for track in tracks {
        let found = find(&track.id).ok_or_else(|| differs(&track.id))?;
        if !segments_agree(found, track, base)? {
            return Err(differs(&track.id));
        }
    }
    for track in text_tracks {
        let found = find(&track.id).ok_or_else(|| differs(&track.id))?;
        let folder = text_folder(&track.language, &track.digest);
        if found.locate("") != format!("{base}{folder}/{WHOLE_TEXT_NAME}") {
            return Err(differs(&track.id));
        }
    }
    if let Some(Stills { thumbnails, .. }) = stills {
        let found = find(THUMBNAILS_FOLDER).ok_or_else(|| differs(THUMBNAILS_FOLDER))?;
        if !thumbnails_agree(found, thumbnails, base) {
            return Err(differs(THUMBNAILS_FOLDER));
        }
    }
    Ok(())
}

fn thumbnails_agree(
    representation: &super::Representation,
    thumbnails: &Thumbnails,
    base: &str,
) -> bool {
    let expected = (1..=thumbnails.count).map(|number| {
        let name = thumbnail_name(number);
        Some(format!("{base}{THUMBNAILS_FOLDER}/{name}"))
    });
    let found = representation.segments().map(|s| Some(s.ok()?.url));
    found.eq(expected)
}

fn segments_agree(
    representation: &super::Representation,
    track: &TrackCommon,
    base: &str,
) -> Result<bool> {
    let folder = format!("{base}{}/", track.id);
    let mut time = 0;
    let mut read = representation.segments();
    for (number, segment) in (1..).zip(&track.segments) {
        let Some(found) = read.next().transpose()? else {
            return Ok(false);
        };
        let url = format!("{folder}{}", segment_name(number));
        if (found.time, found.duration, found.url) != (time, segment.duration, url) {
            return Ok(false);
        }
        time = time.saturating_add(segment.duration);
    }
    let init = representation.initialization().transpose()?;
    let init_agrees = init.is_some_and(|init| init.url == format!("{folder}{INIT_NAME}"));
    Ok(init_agrees && read.next().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{Colour, example};

    #[test]
    fn mpd_is_as_expected() {
        let text = mpd(&example::presentation(), "").expect("writes");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn text_stands_in_sets_of_one_file_each() {
        let text = mpd(&example::with_text(), "0123/").expect("writes");
        let (_, text) = text.split_once("contentType=\"text\"").expect("there");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn stills_stand_in_a_trick_set_and_a_set_of_tiles() {
        let text = mpd(&example::with_stills(), "0123/").expect("writes");
        let (_, text) = text.split_once("maxPlayoutRate").expect("there");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn another_reader_sees_the_stills() {
        let text = mpd(&example::with_stills(), "0123/").expect("writes");
        let theirs = dash_mpd_core::parse(&text).expect("reads");
        let sets = &theirs.periods[0].adaptations;
        let trick = sets.iter().find(|set| set.codingDependency.is_some());
        let trick = trick.expect("a trick set");
        let property = &trick.essential_property[0];
        assert_eq!(property.value, sets[0].id);
        assert_eq!(property.schemeIdUri, TRICK_MODE);
        let tiles = sets.last().expect("sets");
        assert_eq!(tiles.mimeType.as_deref(), Some("image/jpeg"));
        let template = tiles.SegmentTemplate.as_ref().expect("a template");
        assert_eq!(template.media.as_deref(), Some("0123/thumbs/$Number$.jpg"));
    }

    #[test]
    fn another_reader_sees_the_text() {
        let text = mpd(&example::with_text(), "0123/").expect("writes");
        let theirs = dash_mpd_core::parse(&text).expect("reads");
        let sets = &theirs.periods[0].adaptations;
        let text = sets
            .iter()
            .filter(|set| set.contentType.as_deref() == Some("text"));
        let rows: Vec<_> = text
            .map(|set| {
                (
                    set.lang.as_deref(),
                    set.representations[0].BaseURL[0].base.as_str(),
                )
            })
            .collect();
        let url = |language| format!("0123/text/{language}/0123456789abcdef/whole.vtt");
        let (en, pt) = (url("en"), url("pt-BR"));
        assert_eq!(
            rows,
            [
                (Some("en"), en.as_str()),
                (Some("en"), en.as_str()),
                (Some("pt-BR"), pt.as_str()),
            ]
        );
    }

    #[test]
    fn unlike_timelines_stand_in_their_representations() {
        let mut presentation = example::presentation();
        let segments = &mut presentation.audio[1].common.segments;
        segments[0].duration += 1024;
        segments[1].duration -= 1024;
        let text = mpd(&presentation, "0123/").expect("writes");
        insta::assert_snapshot!(text);
    }

    /// dash-mpd-core tells values, not rules: it would accept an MPD that no player does.
    #[test]
    fn another_reader_sees_the_same() {
        let presentation = example::presentation();
        let text = mpd(&presentation, "0123/").expect("writes");
        let theirs = dash_mpd_core::parse(&text).expect("reads");
        let duration = theirs.mediaPresentationDuration.expect("written");
        assert_eq!(duration.as_millis(), 10_010);
        let [period] = &theirs.periods[..] else {
            panic!("one Period")
        };
        assert_eq!(period.adaptations.len(), 3);
        let video = &period.adaptations[0];
        let sizes: Vec<_> = video
            .representations
            .iter()
            .map(|r| (r.width, r.height))
            .collect();
        let expected = [(1920, 1080), (1280, 720), (640, 360)].map(|(w, h)| (Some(w), Some(h)));
        assert_eq!(sizes, expected);
        let template = video.SegmentTemplate.as_ref().expect("written");
        assert_eq!(
            (template.timescale, template.startNumber),
            (Some(30_000), Some(1))
        );
        assert_eq!(
            template.media.as_deref(),
            Some("0123/$RepresentationID$/$Number$.m4s")
        );
        let timeline = template.SegmentTimeline.as_ref().expect("written");
        let runs: Vec<_> = timeline.segments.iter().map(|s| (s.t, s.d, s.r)).collect();
        assert_eq!(runs, [(Some(0), 120_120, Some(1)), (None, 60_060, None)]);
        let french = &period.adaptations[2];
        assert_eq!(french.lang.as_deref(), Some("fr"));
        assert_eq!(french.Label[0].content, "Français \"doublé\" & <plus>");
        assert_eq!(french.Role[0].value.as_deref(), Some("alternate"));
    }

    #[test]
    fn surround_and_described_sound_are_sets_of_their_own() {
        let mut presentation = example::presentation();
        presentation.audio.truncate(1);
        let mut surround = example::audio("a-en-51", "a-51", "en", "English", true, 48);
        surround.channels = 6;
        let mut described = example::audio("a-en-2", "a-high", "en", "Described", false, 16);
        described.disposition.visual_impaired = true;
        let mut dub = example::audio("a-fr", "a-high", "fr", "Talk", false, 16);
        dub.disposition.dub = true;
        dub.disposition.commentary = true;
        presentation.audio.extend([surround, described, dub]);
        let text = mpd(&presentation, "").expect("writes");
        let theirs = dash_mpd_core::parse(&text).expect("reads");
        let sets = &theirs.periods[0].adaptations[1..];
        let roles = |at: usize| -> Vec<&str> {
            let roles = sets[at].Role.iter();
            roles.filter_map(|role| role.value.as_deref()).collect()
        };
        let told = (roles(0), roles(1), roles(2), roles(3));
        let expected = (
            vec!["main"],
            vec!["alternate"],
            vec!["alternate", "description"],
            vec!["alternate", "commentary", "dub"],
        );
        assert_eq!(told, expected);
        let channels = |at: usize| sets[at].AudioChannelConfiguration[0].value.clone();
        assert_eq!(
            (channels(0).as_deref(), channels(1).as_deref()),
            (Some("2"), Some("6"))
        );
        let purpose = &sets[2].Accessibility[0];
        assert_eq!(purpose.schemeIdUri, AUDIO_PURPOSE);
        assert_eq!(purpose.value.as_deref(), Some("1"));
        assert!(sets[0].Accessibility.is_empty() && sets[3].Accessibility.is_empty());
    }

    /// `HEADWATER_MPD_XSD` names a DASH-MPD.xsd of the 3rd edition or later (MPEG's DASHSchema
    /// repository has them); xmllint judges.
    #[test]
    fn mpd_is_valid_by_the_schema() {
        let Some(schema) = std::env::var_os("HEADWATER_MPD_XSD") else {
            eprintln!("skipped: HEADWATER_MPD_XSD is not set");
            return;
        };
        let mut hdr = example::presentation();
        for track in &mut hdr.video {
            track.colour = Colour {
                transfer: 16,
                ..Colour::BT709
            };
        }
        let audio_only = Presentation {
            video: Vec::new(),
            ..example::presentation()
        };
        let folder = tempfile::tempdir().expect("a folder");
        for presentation in [
            example::presentation(),
            hdr,
            audio_only,
            example::with_text(),
            example::with_stills(),
        ] {
            let path = folder.path().join("manifest.mpd");
            std::fs::write(&path, mpd(&presentation, "0/").expect("writes")).expect("stores");
            let judged = std::process::Command::new("xmllint")
                .args(["--noout", "--nonet", "--schema"])
                .args([schema.as_os_str(), path.as_os_str()])
                .output()
                .expect("xmllint runs");
            assert!(
                judged.status.success(),
                "{}",
                String::from_utf8_lossy(&judged.stderr)
            );
        }
    }

    #[test]
    fn one_audio_set_is_main_even_without_a_default() {
        let mut presentation = example::presentation();
        for track in &mut presentation.audio {
            track.default = false;
        }
        let read = read(&mpd(&presentation, "").expect("writes")).expect("reads");
        let sets = &read.periods[0].adaptation_sets;
        let roles: Vec<_> = sets.iter().flat_map(|set| set.roles()).collect();
        assert_eq!(roles, ["main", "main", "alternate"]);
    }

    #[test]
    fn short_first_segment_does_not_shrink_the_buffer() {
        let track = |durations: &[u64]| example::common("v", "avc1.64001f", 1000, durations, 10);
        let millis = |durations: &[u64]| min_buffer_time(&[&track(durations)]).count;
        assert_eq!(millis(&[4000, 6000]), 4000);
        assert_eq!(millis(&[1000, 6000]), 6000);
        assert_eq!(millis(&[0]), 1);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let empty = Presentation {
            video: Vec::new(),
            audio: Vec::new(),
            ..example::presentation()
        };
        assert!(mpd(&empty, "").is_err());
        let mut without_segments = example::presentation();
        without_segments.video[0].common.segments.clear();
        assert!(mpd(&without_segments, "").is_err());
        let mut endless = example::presentation();
        endless.video[0].common.segments[0].duration = EXACT_LIMIT;
        assert!(mpd(&endless, "").is_err());
        let mut twins = example::presentation();
        twins.video[1].common.id = "v1080".into();
        twins.video[1].common.segments[0].duration += 1;
        assert!(mpd(&twins, "").is_err());
    }

    proptest! {
        /// `mpd` itself compares every segment that is read back with what was meant.
        #[test]
        fn any_timeline_reads_the_same(
            durations in prop::collection::vec(1_u64..4, 1..30),
            name in "\\PC{0,12}",
            base in "[a-z$]{0,4}",
        ) {
            let mut presentation = example::presentation();
            presentation.video[1].common = example::common("v720", "avc1.64001f", 3, &durations, 9);
            presentation.audio[0].name = name;
            let text = mpd(&presentation, &format!("{base}/")).expect("writes");
            let read = read(&text).expect("reads");
            prop_assert_eq!(read.duration, Some(Ticks::new(10_010_000_000, Timescale::NANOS)));
        }
    }
}
