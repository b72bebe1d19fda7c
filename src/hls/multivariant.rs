//! The multivariant playlist: variants, audio and text renditions with what they cost (R 4.4.6).

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::attributes::AttributeList;
use super::chapters::CHAPTERS_DATA_ID;
use super::keys::{hdcp_level, session_keys};
use super::media_playlist::{VERSION, target_duration, text_target_duration};
use super::{check, tag};
use crate::bandwidth::{average_bps, peak_bps, track_average_bps, track_peak_bps};
use crate::error::{Error, Result};
use crate::layout::{CHAPTERS_NAME, HLS_NAME, THUMBNAILS_FOLDER, ThumbnailList, text_folder};
use crate::media::{
    AudioTrack, Colour, Presentation, StillRates, Stills, TextKind, TextTrack, TrackCommon,
    VideoTrack, same_video_coding,
};
use crate::time::FrameRate;

/// Players start with the variant listed first: about this many bits a second (rule H30).
const FIRST_VARIANT_BPS: u64 = 2_000_000;

/// The most that players start with because it is there at once, in bits a second.
const START_AT_ONCE_BPS: u64 = 8_000_000;

/// The one group of all text renditions.
const TEXT_GROUP: &str = "text";

/// Media characteristics of captions that tell what is heard, too (rule H39).
const CAPTIONS_CHARACTERISTICS: &str =
    "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound";

/// Media characteristic of sound that tells what is shown (rule H39).
const DESCRIBES_VIDEO: &str = "public.accessibility.describes-video";

/// The multivariant playlist of `presentation`; `base` (empty, or ending in `/`) goes before each
/// URI.
pub fn multivariant(presentation: &Presentation, base: &str) -> Result<String> {
    let writer = Writer {
        base,
        target_seconds: target_duration(presentation),
        groups: groups(&presentation.audio),
        text: &presentation.text,
        has_chapters: !presentation.chapters.is_empty(),
        stills: presentation.stills.as_ref(),
        video: &presentation.video,
    };
    let mut variants = Vec::new();
    if presentation.video.is_empty() {
        variants.extend(
            writer
                .groups
                .iter()
                .map(|group| writer.audio_variant(group)),
        );
    }
    for track in &presentation.video {
        variants.push(writer.video_variant(track)?);
    }
    variants.extend(writer.further_variants(&presentation.video));
    if variants.is_empty() {
        return Err(Error::internal("a presentation without tracks"));
    }
    order(&mut variants);
    // The entry points lie in the asset's folder, and their copies in the revision's.
    let to_asset = if base.is_empty() { "../" } else { "" };
    let text = writer.text(&variants, &session_keys(presentation, to_asset));
    check(&text)?;
    Ok(text)
}

/// The video track of the variant that is listed first, which players start with; `None` where
/// there is no video.
///
/// # Errors
/// As [`multivariant`].
pub fn first_variant(presentation: &Presentation) -> Result<Option<&VideoTrack>> {
    let writer = Writer {
        base: "",
        target_seconds: target_duration(presentation),
        groups: groups(&presentation.audio),
        text: &presentation.text,
        has_chapters: false,
        stills: presentation.stills.as_ref(),
        video: &presentation.video,
    };
    let mut first: Option<(u64, &VideoTrack)> = None;
    for track in &presentation.video {
        let distance = writer.video_variant(track)?.distance();
        // Of equals the larger picture, which is listed before.
        if first.is_none_or(|(least, _)| distance < least) {
            first = Some((distance, track));
        }
    }
    Ok(first.map(|(_, track)| track))
}

/// The first is the one that players had best start with ([`Variant::distance`]), the others follow
/// from the best down, one switching set after the other.
fn order(variants: &mut [Variant]) {
    variants.sort_by_key(|variant| {
        let rates = variant.rates;
        (variant.set, Reverse((rates.peak, rates.average)))
    });
    let first = (0..variants.len()).min_by_key(|&i| variants.get(i).map(Variant::distance));
    if let Some(until_first) = first.and_then(|first| variants.get_mut(..=first)) {
        until_first.rotate_right(1);
    }
}

/// Bits a second.
#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    average: u64,
    peak: u64,
    /// Forecast rather than measured.
    expected: bool,
}

impl Rates {
    /// What a player that starts with it is taken to load: the average. A forecast may be far too
    /// low for hard content, so it is moved half the way to what the encoder can give at most.
    fn to_start_with(self) -> u64 {
        match self.expected {
            true => self.average.midpoint(self.peak),
            false => self.average,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            average: self.average.saturating_add(other.average),
            peak: self.peak.saturating_add(other.peak),
            expected: self.expected || other.expected,
        }
    }

    fn larger(self, other: Self) -> Self {
        Self {
            average: self.average.max(other.average),
            peak: self.peak.max(other.peak),
            expected: self.expected || other.expected,
        }
    }
}

/// Renditions to choose one from: every language in one codec, channel count and bitrate.
struct Group<'a> {
    id: &'a str,
    tracks: Vec<&'a AudioTrack>,
}

/// Groups in the order of their first track.
fn groups(tracks: &[AudioTrack]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for track in tracks {
        for id in std::iter::once(&track.group).chain(&track.also_in) {
            match groups.iter_mut().find(|group| group.id == id) {
                Some(group) => group.tracks.push(track),
                None => groups.push(Group {
                    id,
                    tracks: vec![track],
                }),
            }
        }
    }
    groups
}

impl<'a> Group<'a> {
    /// The rendition that plays when nobody chose; every group has at most one default (H34).
    fn default_index(&self) -> Option<usize> {
        self.tracks.iter().position(|track| track.default)
    }

    /// Whether players may choose the track at `at` by the user's language and needs: described video
    /// always (H39), a commentary never, and of others that are alike only the first, for between
    /// them players couldn't tell
    /// (RFC 8216bis 4.4.6.1.1).
    fn is_autoselect(&self, at: usize) -> bool {
        let Some(track) = self.tracks.get(at) else {
            return false;
        };
        if track.disposition.visual_impaired {
            return true; // A 2.13
        }
        let alike = |other: &&AudioTrack| {
            !other.disposition.commentary
                && other.language == track.language
                && !other.disposition.visual_impaired
        };
        let before = self.tracks.get(..at).unwrap_or_default();
        !track.disposition.commentary && !before.iter().any(alike)
    }

    /// Codec strings of all its tracks, each once.
    fn codecs(&self) -> Vec<&'a str> {
        let mut codecs: Vec<&str> = Vec::new();
        for track in &self.tracks {
            if !codecs.contains(&track.common.codecs.as_str()) {
                codecs.push(&track.common.codecs);
            }
        }
        codecs
    }

    /// Names to show.
    fn names(&self) -> Vec<String> {
        let tracks = self.tracks.iter();
        distinct_names(tracks.map(|track| (track.name.as_str(), language(track))))
    }
}

/// Names of the renditions of one group, given as (name, language), each different (H34).
fn distinct_names<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, language) in labels {
        let plain = match name.trim() {
            "" => language,
            name => name,
        };
        let numbered = (2..).map(|n| format!("{plain} ({n})"));
        let mut candidates = std::iter::once(plain.to_owned()).chain(numbered);
        names.extend(candidates.find(|name| !names.contains(name)));
    }
    names
}

/// BCP 47; an unknown language has a tag too (RFC 5646 4.1, `und`).
fn language(track: &AudioTrack) -> &str {
    match track.language.as_str() {
        "" => "und",
        language => language,
    }
}

/// The `EXT-X-I-FRAME-STREAM-INF` of stills in that codec.
fn i_frame_attributes(
    rates: StillRates,
    codecs: &str,
    (width, height): (u32, u32),
) -> AttributeList {
    AttributeList::new()
        .plain("BANDWIDTH", rates.peak_bps.max(1))
        .plain("AVERAGE-BANDWIDTH", rates.average_bps)
        .quoted("CODECS", codecs)
        .plain("RESOLUTION", format_args!("{width}x{height}"))
}

/// One `EXT-X-STREAM-INF` and its URI.
struct Variant {
    rates: Rates,
    /// Its pictures are the source's own, in a presentation that isn't made yet: they are there
    /// at once, where those of other rungs are encoded first.
    is_there: bool,
    /// It goes with sound that not every player has: nothing to start with.
    is_further: bool,
    /// Switching sets are listed one after the other, in this order.
    set: usize,
    attributes: AttributeList,
    audio_group: Option<String>,
    uri: String,
}

impl Variant {
    /// How far it is from what players had best start with: what is there at once, unless only the
    /// fastest networks carry it, else what is nearest to [`FIRST_VARIANT_BPS`].
    fn distance(&self) -> u64 {
        if self.is_further || self.set > 0 {
            return u64::MAX;
        }
        if self.is_there && self.rates.average <= START_AT_ONCE_BPS {
            return 0;
        }
        self.rates.to_start_with().abs_diff(FIRST_VARIANT_BPS)
    }
}

struct Writer<'a> {
    base: &'a str,
    target_seconds: u32,
    groups: Vec<Group<'a>>,
    text: &'a [TextTrack],
    has_chapters: bool,
    stills: Option<&'a Stills>,
    /// All video, for the sets that it is of.
    video: &'a [VideoTrack],
}

impl Writer<'_> {
    fn uri(&self, track: &TrackCommon) -> String {
        format!("{}{}/{HLS_NAME}", self.base, track.id)
    }

    fn rates(&self, track: &TrackCommon) -> Rates {
        Rates {
            average: track_average_bps(track),
            peak: track_peak_bps(track, self.target_seconds),
            expected: track.expected.is_some(),
        }
    }

    /// The most that any rendition of the group adds to a variant.
    fn group_rates(&self, group: &Group<'_>) -> Rates {
        let all = group.tracks.iter().map(|track| self.rates(&track.common));
        all.fold(Rates::default(), Rates::larger)
    }

    /// The most that any text rendition adds to a variant: it is a part of the playable
    /// combinations that BANDWIDTH is about (R 4.4.6.2), if a small one.
    fn text_rates(&self) -> Rates {
        let all = self.text.iter().map(|track| Rates {
            average: average_bps(&track.segments, track.timescale),
            peak: peak_bps(
                &track.segments,
                track.timescale,
                text_target_duration(track),
            ),
            expected: false,
        });
        all.fold(Rates::default(), Rates::larger)
    }

    /// With the group of all text, where there is any.
    fn with_text(&self, attributes: AttributeList) -> AttributeList {
        match self.text {
            [] => attributes,
            _ => attributes.quoted("SUBTITLES", TEXT_GROUP),
        }
    }

    /// A picture with the audio group it names.
    fn video_variant(&self, track: &VideoTrack) -> Result<Variant> {
        Ok(self.variant_with(track, self.group_of(track)?))
    }

    /// Every picture with each audio group that none names: sound in another form (H37), for
    /// players that choose by what they can play.
    fn further_variants(&self, tracks: &[VideoTrack]) -> Vec<Variant> {
        let named = |group: &&Group<'_>| {
            let mut named = tracks.iter().filter_map(|t| t.audio_group.as_deref());
            named.any(|id| id == group.id)
        };
        let further = self.groups.iter().filter(|group| !named(group));
        let variants = further.flat_map(|group| {
            tracks.iter().map(move |track| Variant {
                is_further: true,
                ..self.variant_with(track, Some(group))
            })
        });
        variants.collect()
    }

    /// BANDWIDTH is the sum of the peaks (H24).
    fn variant_with(&self, track: &VideoTrack, group: Option<&Group<'_>>) -> Variant {
        let sound = group.map(|group| self.group_rates(group));
        let rates = self.rates(&track.common).plus(sound.unwrap_or_default());
        let rates = rates.plus(self.text_rates());
        let mut codecs = vec![track.common.codecs.as_str()];
        codecs.extend(group.iter().flat_map(|group| group.codecs()));
        let attributes = start_attributes(rates, &codecs)
            .plain(
                "RESOLUTION",
                format_args!("{}x{}", track.width, track.height),
            )
            .plain("FRAME-RATE", three_decimals(track.frame_rate))
            .plain("VIDEO-RANGE", video_range(track.colour))
            .plain("CLOSED-CAPTIONS", "NONE");
        let hdcp = track.common.protection.as_ref();
        let attributes = match hdcp.and_then(|it| hdcp_level(it, track.width, track.height)) {
            Some(level) => attributes.plain("HDCP-LEVEL", level),
            None => attributes,
        };
        let attributes = match group {
            Some(group) => attributes.quoted("AUDIO", group.id),
            None => attributes,
        };
        Variant {
            rates,
            is_there: track.copied && track.common.expected.is_some(),
            is_further: false,
            set: self.set_of(track),
            attributes: self.with_text(attributes),
            audio_group: group.map(|group| group.id.to_owned()),
            uri: self.uri(&track.common),
        }
    }

    /// Which switching set a track is of: the place of its first track.
    fn set_of(&self, track: &VideoTrack) -> usize {
        let first = self
            .video
            .iter()
            .position(|other| same_video_coding(other, track));
        first.unwrap_or(0)
    }

    fn group_of(&self, track: &VideoTrack) -> Result<Option<&Group<'_>>> {
        let Some(id) = &track.audio_group else {
            return Ok(None);
        };
        let group = self.groups.iter().find(|group| group.id == id);
        let missing = || {
            let message = format!("track {} names no audio group: {id}", track.common.id);
            Error::internal(message)
        };
        group.map(Some).ok_or_else(missing)
    }

    /// A variant of sound alone. Only a choice of languages needs the group itself.
    fn audio_variant(&self, group: &Group<'_>) -> Variant {
        let rates = self.group_rates(group).plus(self.text_rates());
        let attributes = start_attributes(rates, &group.codecs()).plain("CLOSED-CAPTIONS", "NONE");
        let default = group.tracks.get(group.default_index().unwrap_or(0));
        let choice = group.tracks.len() > 1;
        let attributes = match choice {
            true => attributes.quoted("AUDIO", group.id),
            false => attributes,
        };
        Variant {
            rates,
            is_there: false,
            is_further: group.tracks.iter().any(|track| track.channels > 2),
            set: 0,
            attributes: self.with_text(attributes),
            audio_group: choice.then(|| group.id.to_owned()),
            uri: default.map_or_else(String::new, |track| self.uri(&track.common)),
        }
    }

    /// Where the chapters are (R 4.4.6.4).
    fn chapters(&self) -> AttributeList {
        AttributeList::new()
            .quoted("DATA-ID", CHAPTERS_DATA_ID)
            .quoted("URI", format_args!("{}{CHAPTERS_NAME}", self.base))
    }

    fn text(&self, variants: &[Variant], session_keys: &[AttributeList]) -> String {
        let mut text = format!(
            "#{}\n#{}:{VERSION}\n#{}\n",
            tag::M3U,
            tag::VERSION,
            tag::INDEPENDENT_SEGMENTS
        );
        // Writing to a String can't fail.
        for key in session_keys {
            let _ = writeln!(text, "#{}:{key}", tag::SESSION_KEY);
        }
        let named = |group: &&Group<'_>| {
            let mut names = variants.iter().filter_map(|v| v.audio_group.as_deref());
            names.any(|name| name == group.id)
        };
        for group in self.groups.iter().filter(named) {
            for rendition in self.renditions(group) {
                let _ = writeln!(text, "#{}:{rendition}", tag::MEDIA);
            }
        }
        for rendition in self.text_renditions() {
            let _ = writeln!(text, "#{}:{rendition}", tag::MEDIA);
        }
        if self.has_chapters {
            let _ = writeln!(text, "#{}:{}", tag::SESSION_DATA, self.chapters());
        }
        for Variant {
            attributes, uri, ..
        } in variants
        {
            let _ = writeln!(text, "#{}:{attributes}\n{uri}", tag::STREAM_INF);
        }
        for (tag, attributes) in self.stills() {
            let _ = writeln!(text, "#{tag}:{attributes}");
        }
        text
    }

    /// Trick play (rules H43 to H48): I-frame tracks, and thumbnails as pictures of their own, with
    /// what only Roku devices read behind (H49).
    fn stills(&self) -> Vec<(&'static str, AttributeList)> {
        let mut tags = Vec::new();
        let Some(Stills { tracks, thumbnails }) = self.stills else {
            return tags;
        };
        for track in tracks {
            let size = (track.width, track.height);
            let attributes = i_frame_attributes(track.rates, &track.common.codecs, size)
                .plain("VIDEO-RANGE", "SDR")
                .quoted("URI", self.uri(&track.common));
            tags.push((tag::I_FRAME_STREAM_INF, attributes));
        }
        let folder = format!("{}{THUMBNAILS_FOLDER}/", self.base);
        let size = (thumbnails.width, thumbnails.height);
        for (tag, codec, list) in [
            (tag::I_FRAME_STREAM_INF, "mjpg", ThumbnailList::IFrames),
            (tag::IMAGE_STREAM_INF, "jpeg", ThumbnailList::Images),
        ] {
            let attributes = i_frame_attributes(thumbnails.rates, codec, size)
                .quoted("URI", format_args!("{folder}{}", list.name()));
            tags.push((tag, attributes));
        }
        tags
    }

    /// The `EXT-X-MEDIA` of each text track; at most one of them is the default.
    fn text_renditions(&self) -> Vec<AttributeList> {
        let labels = self.text.iter();
        let names = distinct_names(labels.map(|t| (t.name.as_str(), t.language.as_str())));
        let default = self.text.iter().position(|track| track.default);
        let named = self.text.iter().zip(names).enumerate();
        named
            .map(|(i, (track, name))| text_rendition(track, name, default == Some(i), self.base))
            .collect()
    }

    /// The `EXT-X-MEDIA` of each track in the group (H34, H36, H37).
    fn renditions(&self, group: &Group<'_>) -> Vec<AttributeList> {
        let default = group.default_index();
        let named = group.tracks.iter().zip(group.names()).enumerate();
        named
            .map(|(i, (track, name))| {
                let (is_default, by_itself) = (default == Some(i), group.is_autoselect(i));
                let attributes = AttributeList::new()
                    .plain("TYPE", "AUDIO")
                    .quoted("GROUP-ID", group.id)
                    .quoted("LANGUAGE", language(track))
                    .quoted("NAME", name)
                    .plain("DEFAULT", yes_no(is_default))
                    .plain("AUTOSELECT", yes_no(is_default || by_itself))
                    .quoted("CHANNELS", channels(track));
                let attributes = match track.disposition.visual_impaired {
                    true => attributes.quoted("CHARACTERISTICS", DESCRIBES_VIDEO),
                    false => attributes,
                };
                attributes.quoted("URI", self.uri(&track.common))
            })
            .collect()
    }
}

/// The `EXT-X-MEDIA` of a text track under the name to show (H34, H36, H39).
fn text_rendition(track: &TextTrack, name: String, is_default: bool, base: &str) -> AttributeList {
    let folder = text_folder(&track.language, &track.digest);
    let attributes = AttributeList::new()
        .plain("TYPE", "SUBTITLES")
        .quoted("GROUP-ID", TEXT_GROUP)
        .quoted("LANGUAGE", &track.language)
        .quoted("NAME", name)
        .plain("DEFAULT", yes_no(is_default))
        .plain("AUTOSELECT", "YES")
        .plain("FORCED", yes_no(track.kind == TextKind::Forced));
    let attributes = match track.kind {
        TextKind::Captions => attributes.quoted("CHARACTERISTICS", CAPTIONS_CHARACTERISTICS),
        TextKind::Subtitles | TextKind::Forced => attributes,
    };
    attributes.quoted("URI", format_args!("{base}{folder}/{HLS_NAME}"))
}

/// `CHANNELS`: the count; for Atmos what the objects are rendered to, marked as Apple asks (HLS
/// Authoring Specification, appendix "Dolby Atmos").
fn channels(track: &AudioTrack) -> String {
    match track.objects {
        Some(complexity) => format!("{complexity}/JOC"),
        None => track.channels.to_string(),
    }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}

fn start_attributes(rates: Rates, codecs: &[&str]) -> AttributeList {
    AttributeList::new()
        .plain("BANDWIDTH", rates.peak)
        .plain("AVERAGE-BANDWIDTH", rates.average)
        .quoted("CODECS", codecs.join(","))
}

/// `FRAME-RATE` "rounded to three decimal places" (R 4.4.6.2).
fn three_decimals(rate: FrameRate) -> String {
    let denominator = u64::from(rate.denominator());
    let thousandths = (u64::from(rate.numerator()) * 2000 + denominator) / (denominator * 2);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// `VIDEO-RANGE` by the transfer characteristics of ISO/IEC 23091-2 (rule H28).
fn video_range(colour: Colour) -> &'static str {
    match colour.transfer {
        16 => "PQ",
        18 => "HLG",
        _ => "SDR",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MultivariantPlaylist, Playlist, read};
    use super::*;
    use crate::media::{ExpectedRates, example};

    fn written(presentation: &Presentation) -> MultivariantPlaylist {
        let text = multivariant(presentation, "r/").expect("writes");
        match read(&text).expect("reads") {
            Playlist::Multivariant(playlist) => playlist,
            Playlist::Media(_) => panic!("a multivariant playlist"),
        }
    }

    #[test]
    fn multivariant_playlist_is_as_expected() {
        let text = multivariant(&example::presentation(), "").expect("writes");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn text_stands_in_one_group_of_every_variant() {
        let text = multivariant(&example::with_text(), "r/").expect("writes");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn stills_stand_behind_the_variants() {
        let text = multivariant(&example::with_stills(), "r/").expect("writes");
        let (_, stills) = text.split_once("v360/index.m3u8\n").expect("there");
        insta::assert_snapshot!(stills);
        let playlist = written(&example::with_stills());
        assert_eq!(playlist.i_frame_variants.len(), 2);
        assert_eq!(playlist.image_variants.len(), 1);
    }

    #[test]
    fn text_counts_in_the_bandwidth_of_every_variant() {
        let without = written(&example::presentation());
        let with = written(&example::with_text());
        // 1000 bytes in 10.01 s.
        for (with, without) in with.variants.iter().zip(&without.variants) {
            assert_eq!(
                with.bandwidth_bps(),
                without.bandwidth_bps().map(|b| b + 800)
            );
        }
    }

    #[test]
    fn sound_alone_has_text_too() {
        let mut presentation = example::with_text();
        presentation.video.clear();
        let playlist = written(&presentation);
        let groups = playlist.variants.iter().map(|v| v.subtitles());
        assert!(groups.eq([Some("text"), Some("text")]));
    }

    #[test]
    fn audio_only_playlist_is_as_expected() {
        let presentation = Presentation {
            video: Vec::new(),
            ..example::presentation()
        };
        let text = multivariant(&presentation, "0123/").expect("writes");
        insta::assert_snapshot!(text);
    }

    /// English in stereo and 5.1 with a description and a commentary, which are stereo only.
    fn with_surround() -> Presentation {
        let mut presentation = example::presentation();
        presentation.audio.truncate(2);
        let mut surround = example::audio("a-en-51", "a-51", "en", "English", true, 48);
        surround.channels = 6;
        presentation.audio.push(surround);
        for (id, name, described) in [("a-en-2", "Described", true), ("a-en-3", "Talk", false)] {
            let mut main = example::audio(id, "a-high", "en", name, false, 16);
            main.disposition.visual_impaired = described;
            main.disposition.commentary = !described;
            main.also_in = vec!["a-51".into(), "a-low".into()];
            presentation.audio.push(main);
        }
        presentation
    }

    #[test]
    fn every_form_of_sound_is_a_group_with_every_track_and_a_variant_of_each_picture() {
        let text = multivariant(&with_surround(), "").expect("writes");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn players_never_start_with_surround() {
        let mut presentation = with_surround();
        // With the surround group, 2.0 Mb/s; with the stereo one, less.
        presentation.video = vec![example::video("v720", 1280, 720, 202, Some("a-high"))];
        let playlist = written(&presentation);
        assert_eq!(playlist.variants[0].audio(), Some("a-high"));
    }

    #[test]
    fn one_language_without_video_needs_no_group() {
        let mut presentation = example::presentation();
        presentation.video.clear();
        presentation.audio.retain(|track| track.language == "en");
        let playlist = written(&presentation);
        let uris: Vec<_> = playlist.variants.iter().map(|v| v.uri.as_str()).collect();
        assert_eq!(uris, ["r/a-en/index.m3u8", "r/a-en-low/index.m3u8"]);
        assert!(playlist.renditions.is_empty());
    }

    #[test]
    fn variant_nearest_to_two_megabits_comes_first_and_the_rest_descends() {
        let playlist = written(&example::presentation());
        let heights = playlist
            .variants
            .iter()
            .map(|v| v.resolution().expect("has").1);
        assert_eq!(heights.collect::<Vec<_>>(), [720, 1080, 360]);
    }

    #[test]
    fn bandwidth_is_the_sum_of_video_peak_and_the_groups_largest_peak() {
        let presentation = example::presentation();
        let playlist = written(&presentation);
        let peak = |track: &TrackCommon| track_peak_bps(track, 4);
        let expected = peak(&presentation.video[0].common) + peak(&presentation.audio[2].common);
        assert_eq!(playlist.variants[1].bandwidth_bps(), Some(expected));
    }

    #[test]
    fn names_are_unique_in_a_group_and_defaults_at_most_one() {
        let mut presentation = example::presentation();
        for track in &mut presentation.audio {
            track.name.clear();
            track.language = "de".into();
            track.default = true;
        }
        let playlist = written(&presentation);
        let names = |group| playlist.group("AUDIO", group).filter_map(|r| r.name());
        assert_eq!(names("a-high").collect::<Vec<_>>(), ["de", "de (2)"]);
        let high = playlist.group("AUDIO", "a-high");
        assert_eq!(high.filter(|r| r.is_default()).count(), 1);
    }

    #[test]
    fn video_without_sound_names_no_group() {
        let mut presentation = example::presentation();
        presentation.audio.clear();
        for track in &mut presentation.video {
            track.audio_group = None;
        }
        let playlist = written(&presentation);
        assert!(playlist.variants.iter().all(|v| v.audio().is_none()));
        assert_eq!(playlist.variants[0].codecs(), Some("avc1.64001f"));
    }

    #[test]
    fn missing_group_or_no_tracks_at_all_is_an_error() {
        let mut presentation = example::presentation();
        presentation.audio.clear();
        assert!(multivariant(&presentation, "").is_err());
        presentation.video.clear();
        assert!(multivariant(&presentation, "").is_err());
    }

    #[test]
    fn frame_rates_round_to_three_decimals() {
        for (numerator, denominator, text) in [
            (30_000, 1001, "29.970"),
            (24_000, 1001, "23.976"),
            (25, 1, "25.000"),
            (1, 3, "0.333"),
        ] {
            let rate = FrameRate::new(numerator, denominator).expect("valid");
            assert_eq!(three_decimals(rate), text);
        }
    }

    #[test]
    fn video_range_follows_the_transfer_characteristics() {
        let range = |transfer| {
            video_range(Colour {
                transfer,
                ..Colour::BT709
            })
        };
        assert_eq!(
            [range(1), range(2), range(16), range(18)],
            ["SDR", "SDR", "PQ", "HLG"]
        );
    }

    #[test]
    fn before_anything_is_made_players_start_with_what_is_there_at_once() {
        let mut presentation = example::presentation();
        let first = |presentation: &Presentation| {
            let track = first_variant(presentation).expect("sound").expect("video");
            let text = multivariant(presentation, "").expect("sound");
            let uri = text
                .lines()
                .find(|line| line.starts_with('v'))
                .expect("a variant");
            assert!(uri.starts_with(&track.common.id), "{text}");
            track.common.id.clone()
        };
        assert_eq!(first(&presentation), "v720");
        presentation.video[0].copied = true;
        assert_eq!(first(&presentation), "v720", "all is there");
        for track in &mut presentation.video {
            track.common.expected = Some(ExpectedRates {
                peak_bps: 6_000_000,
                average_bps: 5_000_000,
            });
        }
        assert_eq!(first(&presentation), "v1080");
    }
}
