//! The multivariant playlist (RFC 8216bis 4.4.6; Apple HLS Authoring Specification section 9): by
//! itself, and against the playlists and media it names.

use std::collections::{BTreeMap, BTreeSet};

use super::hls_media::{average_bps, peak_bps};
use super::report::Sheet;
use super::sound;
use super::stream::{Container, Medium, Stream, nanos, seconds};
use super::text;
use crate::hls::{MediaPlaylist, MultivariantPlaylist, Rendition, Variant};

/// A media playlist that could be read, with what it names.
#[derive(Debug)]
pub(super) struct MediaView {
    pub(super) place: String,
    pub(super) playlist: MediaPlaylist,
    pub(super) stream: Stream,
}

/// A multivariant playlist with what it names.
#[derive(Debug)]
pub(super) struct MultivariantView<'a> {
    pub(super) place: &'a str,
    pub(super) playlist: &'a MultivariantPlaylist,
    /// Each variant with its media playlist, if that could be read.
    pub(super) variants: Vec<(&'a Variant, Option<&'a MediaView>)>,
    /// The same of each I-frame variant.
    pub(super) i_frame_variants: Vec<(&'a Variant, Option<&'a MediaView>)>,
    /// The same of each image variant.
    pub(super) image_variants: Vec<(&'a Variant, Option<&'a MediaView>)>,
    /// The same of each rendition; those without a URI have none.
    pub(super) renditions: Vec<(&'a Rendition, Option<&'a MediaView>)>,
}

impl<'a> MultivariantView<'a> {
    /// The audio renditions a variant plays with.
    fn audio_of(&self, variant: &Variant) -> Vec<(&'a Rendition, Option<&'a MediaView>)> {
        self.group("AUDIO", variant.audio())
    }

    /// The text renditions a variant plays with.
    fn text_of(&self, variant: &Variant) -> Vec<(&'a Rendition, Option<&'a MediaView>)> {
        self.group("SUBTITLES", variant.subtitles())
    }

    fn group(
        &self,
        kind: &'static str,
        id: Option<&str>,
    ) -> Vec<(&'a Rendition, Option<&'a MediaView>)> {
        let all = self.of_type(kind);
        all.filter(|(rendition, _)| id.is_some() && rendition.group_id() == id)
            .collect()
    }

    pub(super) fn of_type(
        &self,
        kind: &'static str,
    ) -> impl Iterator<Item = (&'a Rendition, Option<&'a MediaView>)> {
        let all = self.renditions.iter().copied();
        all.filter(move |(rendition, _)| rendition.media_type() == Some(kind))
    }

    pub(super) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.place)
    }
}

/// Judges a multivariant playlist by every rule about it.
pub(super) fn judge(sheet: &mut Sheet, view: &MultivariantView<'_>) {
    let place = view.place;
    for (variant, media) in &view.variants {
        judge_variant(sheet, view, variant, *media);
    }
    for (variant, media) in &view.i_frame_variants {
        judge_i_frame_variant(sheet, &view.at(variant.line), variant, *media);
    }
    sheet.judge("H28", place, video_ranges(view));
    let has_video = view
        .variants
        .iter()
        .any(|(variant, media)| shows_video(variant, *media));
    if has_video {
        sheet.judge("A02", place, no_standard_range(view));
        sheet.advise("A02", place, no_h264(view));
        sheet.judge("H30", place, one_bit_rate(view));
        sheet.advise("H30", place, aspect_ratios(view));
        sheet.advise("H30", place, first_variant(view));
        sheet.judge("H31", place, no_cellular_variant(view));
        sheet.judge("H32", place, audio_only_variants(view));
    }
    sheet.judge("H33", place, scores(view));
    sheet.advise("H33", place, steering(view));
    judge_renditions(sheet, view);
    if view
        .variants
        .iter()
        .any(|(variant, _)| variant.closed_captions().is_some())
    {
        sheet.judge("H41", place, closed_captions(view));
        sheet.judge("H41", place, hidden_captions(view));
    }
}

pub(super) fn shows_video(variant: &Variant, media: Option<&MediaView>) -> bool {
    variant.resolution().is_some()
        || media.is_some_and(|media| media.stream.medium() == Medium::Video)
}

fn judge_variant(
    sheet: &mut Sheet,
    view: &MultivariantView<'_>,
    variant: &Variant,
    media: Option<&MediaView>,
) {
    let place = view.at(variant.line);
    let audio = view.audio_of(variant);
    let streams = audio.iter().filter_map(|(_, media)| *media);
    sheet.judge("H22", &place, codecs(variant, media, streams));
    if shows_video(variant, media) {
        sheet.judge("H23", &place, picture(variant, media, true));
    }
    sheet.judge("H25", &place, no_average(variant));
    let text = view.text_of(variant);
    judge_bandwidth(sheet, &place, (variant, media), &audio, &text);
    if let Some(media) = media {
        sheet.judge("H38", &place, sound_tracks(&media.stream));
        sheet.advise("H38", &place, muxed(&media.stream));
    }
    if variant.audio().is_some() {
        let missing = audio
            .is_empty()
            .then(|| "its AUDIO group is nowhere".into());
        sheet.judge("H34", &place, missing);
    }
}

fn judge_i_frame_variant(
    sheet: &mut Sheet,
    place: &str,
    variant: &Variant,
    media: Option<&MediaView>,
) {
    sheet.judge("H22", place, codecs(variant, media, std::iter::empty()));
    sheet.judge("H23", place, picture(variant, media, false));
    sheet.judge("H23", place, foreign_to_i_frames(variant));
}

/// H22: CODECS is on every variant and lists exactly what the init segments of its playlist and
/// of its audio group say (Apple HLS Authoring 9.1, 9.3; RFC 8216bis 4.4.6.2).
fn codecs<'a>(
    variant: &Variant,
    media: Option<&'a MediaView>,
    audio: impl Iterator<Item = &'a MediaView>,
) -> Vec<String> {
    let Some(written) = variant.codecs() else {
        return vec!["no CODECS".into()];
    };
    let declared: BTreeSet<String> = variant.codec_list().map(canonical).collect();
    let mut complete = media.is_some();
    let mut found = BTreeSet::new();
    for view in media.into_iter().chain(audio) {
        match view.stream.codecs() {
            Some(codecs) => found.extend(codecs.iter().map(|codec| canonical(codec))),
            None => complete = false,
        }
    }
    let mut faults = Vec::new();
    for codec in found.difference(&declared) {
        faults.push(format!(
            "CODECS {written:?} lacks {codec} of an init segment"
        ));
    }
    // Text formats come from playlists without an init segment.
    let text = |codec: &str| codec.starts_with("wvtt") || codec.starts_with("stpp");
    for codec in declared
        .difference(&found)
        .filter(|codec| complete && !text(codec))
    {
        faults.push(format!(
            "CODECS {written:?} lists {codec}, which no init segment says"
        ));
    }
    faults
}

/// RFC 6381 hexadecimal digits mean the same in either case.
fn canonical(codec: &str) -> String {
    match codec.split_once('.') {
        Some((kind @ ("avc1" | "avc3"), rest)) => format!("{kind}.{}", rest.to_ascii_lowercase()),
        Some((kind @ ("hvc1" | "hev1"), rest)) => format!("{kind}.{}", rest.to_ascii_uppercase()),
        _ => codec.to_owned(),
    }
}

/// H23: RESOLUTION on every variant with video (Apple HLS Authoring 9.2, 9.4) and FRAME-RATE
/// (9.15), to three decimals (RFC 8216bis 4.4.6.2), and both true.
fn picture(variant: &Variant, media: Option<&MediaView>, with_rate: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let stream = media.map(|media| &media.stream);
    let real = stream.and_then(picture_size);
    match (variant.resolution(), real) {
        (None, _) => faults.push("no RESOLUTION".into()),
        (Some(size @ (w, h)), Some(real)) if size != real => faults.push(format!(
            "RESOLUTION {w}x{h}, but the pictures are {}x{}",
            real.0, real.1
        )),
        _ => {}
    }
    if !with_rate {
        return faults;
    }
    let measured = stream.and_then(frame_rate_thousandths);
    match (variant.frame_rate_thousandths(), measured) {
        (None, _) => faults.push("no FRAME-RATE".into()),
        (Some(declared), Some(measured)) if !rates_agree(declared, measured) => {
            faults.push(format!(
                "FRAME-RATE {}, but there are {} frames in 1000 s",
                variant.frame_rate_text().unwrap_or_default(),
                measured.0
            ));
        }
        _ => {}
    }
    faults
}

/// Size of its pictures: of the video track, or of the first JPEG.
fn picture_size(stream: &Stream) -> Option<(u32, u32)> {
    match stream.track() {
        Some(track) => track.picture().map(|p| (p.width, p.height)),
        None => stream.segments.first()?.jpeg_size,
    }
}

/// Three decimals for a constant rate; 1% for what has no constant rate.
fn rates_agree(declared: u64, measured: (u64, bool)) -> bool {
    let (rate, constant) = measured;
    let allowed = if constant { 1 } else { rate / 100 };
    declared.abs_diff(rate) <= allowed
}

/// Frames in 1000 seconds, and whether all frames but the last are equally long.
pub(super) fn frame_rate_thousandths(stream: &Stream) -> Option<(u64, bool)> {
    let timescale = u128::from(stream.timescale()?.get());
    let (mut frames, mut ticks) = (0_u128, 0_u128);
    let mut durations = BTreeSet::new();
    for segment in &stream.segments {
        let fragments = &segment.facts.as_ref()?.fragments;
        for sample in fragments.iter().flat_map(|fragment| fragment.samples()) {
            frames += 1;
            ticks += u128::from(sample.duration);
            if durations.len() < 3 {
                durations.insert(sample.duration);
            }
        }
    }
    let rate = (frames * timescale * 1000 + ticks / 2).checked_div(ticks)?;
    Some((u64::try_from(rate).ok()?, durations.len() == 1))
}

/// Whether all segments together hold one sample.
pub(super) fn has_one_frame(stream: &Stream) -> bool {
    let facts = stream.segments.iter().filter_map(|s| s.facts.as_ref());
    let fragments = facts.flat_map(|facts| &facts.fragments);
    let samples = fragments.flat_map(|fragment| fragment.samples());
    samples.take(2).count() == 1
}

/// H23: FRAME-RATE, AUDIO, SUBTITLES and CLOSED-CAPTIONS don't stand on I-frame tags (RFC 8216bis
/// 4.4.6.3).
fn foreign_to_i_frames(variant: &Variant) -> Vec<String> {
    ["FRAME-RATE", "AUDIO", "SUBTITLES", "CLOSED-CAPTIONS"]
        .into_iter()
        .filter(|name| variant.attributes.get(name).is_some())
        .map(|name| format!("{name} on an I-frame tag"))
        .collect()
}

/// H25: AVERAGE-BANDWIDTH is on every variant (Apple HLS Authoring 9.14).
fn no_average(variant: &Variant) -> Option<String> {
    let missing = variant.average_bandwidth_bps().is_none();
    missing.then(|| "no AVERAGE-BANDWIDTH".into())
}

fn judge_bandwidth(
    sheet: &mut Sheet,
    place: &str,
    (variant, media): (&Variant, Option<&MediaView>),
    audio: &[(&Rendition, Option<&MediaView>)],
    text: &[(&Rendition, Option<&MediaView>)],
) {
    let Some(declared) = variant.bandwidth_bps() else {
        sheet.judge("H24", place, Some("no BANDWIDTH".into()));
        return;
    };
    let Some(measured) = media.and_then(|media| measure(media, audio)) else {
        return;
    };
    sheet.judge("H24", place, peak_not_covered(declared, measured.peak_bps));
    // Text is a part of the combinations, too; but many leave out so little.
    let text = largest(text).unwrap_or_default();
    let measured = measured.plus(text);
    sheet.advise("H24", place, peak_not_covered(declared, measured.peak_bps));
    sheet.judge(
        "H26",
        place,
        off_by_a_tenth("BANDWIDTH", declared, measured.peak_bps),
    );
    if let Some(average) = variant.average_bandwidth_bps() {
        let name = "AVERAGE-BANDWIDTH";
        sheet.judge(
            "H26",
            place,
            off_by_a_tenth(name, average, measured.average_bps),
        );
    }
    sheet.judge("H27", place, peak_over_average(measured));
}

/// What a variant really needs, in bits a second.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    peak_bps: u64,
    average_bps: u64,
}

impl Measured {
    fn plus(self, other: Self) -> Self {
        Self {
            peak_bps: self.peak_bps.saturating_add(other.peak_bps),
            average_bps: self.average_bps.saturating_add(other.average_bps),
        }
    }
}

/// The largest sum over the combinations a player can choose: the variant's own playlist with each
/// rendition of its audio group (RFC 8216bis 4.1).
fn measure(media: &MediaView, audio: &[(&Rendition, Option<&MediaView>)]) -> Option<Measured> {
    let own = measure_one(media)?;
    let sound = largest(audio)?;
    let same = |view: &MediaView| view.place == media.place;
    if audio.iter().any(|(_, view)| view.is_some_and(same)) {
        return Some(own); // an audio-only variant that is its group's rendition
    }
    Some(own.plus(sound))
}

/// The most that a rendition of a group needs.
fn largest(group: &[(&Rendition, Option<&MediaView>)]) -> Option<Measured> {
    let mut largest = Measured::default();
    for (rendition, view) in group {
        if rendition.uri().is_none() {
            continue; // it is in the variant's own segments
        }
        let one = measure_one((*view)?)?;
        largest.peak_bps = one.peak_bps.max(largest.peak_bps);
        largest.average_bps = one.average_bps.max(largest.average_bps);
    }
    Some(largest)
}

fn measure_one(media: &MediaView) -> Option<Measured> {
    let sizes = media.stream.sizes()?;
    Some(Measured {
        peak_bps: peak_bps(&sizes, media.playlist.target_duration?),
        average_bps: average_bps(&sizes),
    })
}

/// H24: BANDWIDTH is no less than the peak (RFC 8216bis 4.1, 4.4.6.2; Apple HLS Authoring 9.13). A
/// thousandth is allowed for durations rounded in EXTINF.
pub(super) fn peak_not_covered(declared: u64, measured: u64) -> Option<String> {
    let short = declared.saturating_add(measured / 1000) < measured;
    short.then(|| format!("BANDWIDTH {declared} is less than the measured peak {measured}"))
}

/// H26: measured and declared rates are within 10% of each other, in both directions (Apple HLS
/// Authoring 1.26, 1.27).
pub(super) fn off_by_a_tenth(name: &str, declared: u64, measured: u64) -> Option<String> {
    let apart = u128::from(declared.abs_diff(measured)) * 10 > u128::from(declared);
    apart.then(|| format!("{name} {declared}, measured {measured}: over 10% apart"))
}

/// H27: the peak is at most twice the average (Apple HLS Authoring 1.30).
fn peak_over_average(measured: Measured) -> Option<String> {
    let Measured {
        peak_bps,
        average_bps,
    } = measured;
    let over = peak_bps / 2 > average_bps;
    over.then(|| format!("peak {peak_bps} is over twice the average {average_bps}"))
}

/// H28: VIDEO-RANGE is on every variant unless all are SDR (Apple HLS Authoring 9.16), and agrees
/// with the transfer characteristics: PQ 16, HLG 18 (RFC 8216bis 4.4.6.2).
fn video_ranges(view: &MultivariantView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows: Vec<_> = view
        .variants
        .iter()
        .filter(|(variant, media)| shows_video(variant, *media))
        .map(|(variant, media)| (*variant, media.and_then(real_range)))
        .collect();
    let hdr = |(variant, real): &(&Variant, Option<&str>)| {
        real.is_some_and(|real| real != "SDR")
            || variant.video_range().is_some_and(|range| range != "SDR")
    };
    let any_hdr = rows.iter().any(hdr);
    for (variant, real) in rows {
        let line = variant.line;
        match (variant.video_range(), real) {
            (None, _) if any_hdr => faults.push(format!("line {line}: no VIDEO-RANGE beside HDR")),
            (Some(declared), Some(real)) if declared != real => {
                faults.push(format!(
                    "line {line}: VIDEO-RANGE {declared}, the pictures are {real}"
                ));
            }
            _ => {}
        }
    }
    faults
}

/// A02: there are variants of standard dynamic range (Apple HLS Authoring 1.24).
fn no_standard_range(view: &MultivariantView<'_>) -> Option<String> {
    let mut pictures = view
        .variants
        .iter()
        .filter(|(variant, media)| shows_video(variant, *media));
    let is_sdr = |(variant, media): &(&Variant, Option<&MediaView>)| {
        let range = media.and_then(real_range).or(variant.video_range());
        range.is_none_or(|range| range == "SDR")
    };
    (!pictures.any(is_sdr)).then(|| "no variant of standard dynamic range".into())
}

/// A02, advice: some of them are H.264 (Apple HLS Authoring 1.12).
fn no_h264(view: &MultivariantView<'_>) -> Option<String> {
    let is_h264 = |(variant, _): &(&Variant, Option<&MediaView>)| {
        let mut codecs = variant.codec_list();
        codecs.any(|codec| codec.starts_with("avc1") || codec.starts_with("avc3"))
    };
    let none = !view.variants.iter().any(is_h264);
    none.then(|| "no variant has H.264".into())
}

fn real_range(media: &MediaView) -> Option<&'static str> {
    let picture = media.stream.track()?.picture()?;
    let in_avc = picture.avc.as_ref().and_then(|avc| avc.colour);
    let record = picture.configuration.as_ref();
    let in_stream = in_avc.or(record.and_then(|record| record.colour));
    let [_, transfer, _] = picture.colour.or(in_stream)?;
    match transfer {
        16 => Some("PQ"),
        18 => Some("HLG"),
        1 | 6 | 14 | 15 => Some("SDR"),
        _ => None,
    }
}

/// H30: at least two bit rates (Apple HLS Authoring 9.9).
fn one_bit_rate(view: &MultivariantView<'_>) -> Option<String> {
    let rates: BTreeSet<_> = view
        .variants
        .iter()
        .filter_map(|(variant, _)| variant.bandwidth_bps())
        .collect();
    (rates.len() < 2).then(|| format!("{} bit rate only", rates.len()))
}

/// H30, advice: all variants have one aspect ratio (Apple HLS Authoring 1.33); 2% is allowed for
/// even sizes.
fn aspect_ratios(view: &MultivariantView<'_>) -> Option<String> {
    let sizes = || {
        view.variants
            .iter()
            .filter_map(|(variant, _)| variant.resolution())
    };
    let (w, h) = sizes().max()?;
    let differs = |(x, y): &(u32, u32)| {
        let (a, b) = (u64::from(*x) * u64::from(h), u64::from(w) * u64::from(*y));
        a.abs_diff(b) * 50 > b
    };
    let (x, y) = sizes().find(differs)?;
    Some(format!("{x}x{y} has another shape than {w}x{h}"))
}

/// H30, advice: the first variant is about 2000 kb/s (Apple HLS Authoring 1.32): between half and
/// twice that, if any is.
fn first_variant(view: &MultivariantView<'_>) -> Option<String> {
    let about = |bps: &u64| (1_000_000..=4_000_000).contains(bps);
    let mut rates = view
        .variants
        .iter()
        .filter_map(|(variant, _)| variant.bandwidth_bps());
    let first = rates.next()?;
    (!about(&first) && rates.any(|bps| about(&bps)))
        .then(|| format!("the first variant has {first} b/s, another is nearer to 2000 kb/s"))
}

/// H31: one variant has at most 192 kb/s, for cellular networks (Apple HLS Authoring 9.21).
fn no_cellular_variant(view: &MultivariantView<'_>) -> Option<String> {
    let rates = view
        .variants
        .iter()
        .filter_map(|(variant, _)| variant.bandwidth_bps());
    let lowest = rates.min()?;
    (lowest > 192_000).then(|| format!("the lowest variant has {lowest} b/s, over 192000"))
}

/// H32: no audio-only variant beside video (Apple HLS Authoring 9.20, tvOS).
fn audio_only_variants(view: &MultivariantView<'_>) -> Vec<String> {
    view.variants
        .iter()
        .filter(|(variant, media)| !shows_video(variant, *media))
        .filter(|(_, media)| media.is_some_and(|m| m.stream.medium() == Medium::Audio))
        .map(|(variant, _)| format!("line {}: an audio-only variant", variant.line))
        .collect()
}

/// H33: SCORE on all variants or on none (Apple HLS Authoring 9.19).
fn scores(view: &MultivariantView<'_>) -> Option<String> {
    let all = view.variants.len();
    let scored = view
        .variants
        .iter()
        .filter(|(variant, _)| variant.attributes.get("SCORE").is_some())
        .count();
    (scored != 0 && scored != all).then(|| format!("SCORE on {scored} of {all} variants"))
}

/// H33, advice: EXT-X-CONTENT-STEERING has PATHWAY-ID (Apple HLS Authoring 9.18).
fn steering(view: &MultivariantView<'_>) -> Option<String> {
    let tag = view.playlist.content_steering.as_ref()?;
    let missing = tag.attributes.get("PATHWAY-ID").is_none();
    missing.then(|| "EXT-X-CONTENT-STEERING without PATHWAY-ID".into())
}

fn judge_renditions(sheet: &mut Sheet, view: &MultivariantView<'_>) {
    if view.renditions.is_empty() {
        return;
    }
    let place = view.place;
    for (rendition, _) in &view.renditions {
        let at = view.at(rendition.line);
        sheet.judge("H34", &at, rendition_incomplete(rendition));
        if rendition.media_type() != Some("VIDEO") {
            let missing = rendition.language().is_none_or(str::is_empty);
            sheet.judge("H36", &at, missing.then(|| "no LANGUAGE".into()));
            let wrong = rendition.language().and_then(text::wrong_language);
            sheet.judge("H36", &at, wrong);
        }
    }
    sheet.judge("H34", place, group_conflicts(view));
    sheet.judge("H35", place, group_differences(view));
    if view.of_type("AUDIO").next().is_some() {
        sheet.judge("H37", place, channels(view));
        sheet.judge("H37", place, no_stereo(view));
        sheet.judge("A09", place, sound::no_plain_dolby(view));
    }
    judge_audio_length(sheet, view);
}

/// H34: EXT-X-MEDIA has TYPE, GROUP-ID and NAME; AUTOSELECT=YES where DEFAULT=YES (RFC 8216bis
/// 4.4.6.1).
fn rendition_incomplete(rendition: &Rendition) -> Vec<String> {
    let mut faults = Vec::new();
    for name in ["TYPE", "GROUP-ID", "NAME"] {
        if rendition.attributes.text(name).is_none_or(str::is_empty) {
            faults.push(format!("no {name}"));
        }
    }
    if rendition.is_default() && !rendition.is_autoselect() {
        faults.push("DEFAULT=YES without AUTOSELECT=YES".into());
    }
    if rendition.media_type() == Some("SUBTITLES") && rendition.uri().is_none() {
        faults.push("subtitles without URI".into());
    }
    faults
}

/// H34: NAME is unique in its group, and at most one rendition of a group is the default (RFC
/// 8216bis 4.4.6.1.1).
fn group_conflicts(view: &MultivariantView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for ((kind, group), members) in groups(view) {
        let defaults = members.iter().filter(|r| r.is_default()).count();
        if defaults > 1 {
            faults.push(format!("{kind} group {group:?} has {defaults} defaults"));
        }
        let mut names = BTreeSet::new();
        for name in members.iter().filter_map(|rendition| rendition.name()) {
            if !names.insert(name) {
                faults.push(format!("{kind} group {group:?} has NAME {name:?} twice"));
            }
        }
    }
    faults
}

fn groups<'a>(view: &MultivariantView<'a>) -> BTreeMap<(&'a str, &'a str), Vec<&'a Rendition>> {
    let mut groups = BTreeMap::<_, Vec<&Rendition>>::new();
    for (rendition, _) in &view.renditions {
        let key = rendition.media_type().zip(rendition.group_id());
        if let Some(key) = key {
            groups.entry(key).or_default().push(rendition);
        }
    }
    groups
}

/// H35: all groups of a type offer the same renditions: a player that switches groups finds the
/// same NAME and LANGUAGE again (RFC 8216bis 4.4.6.1.1).
fn group_differences(view: &MultivariantView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut first = BTreeMap::new();
    for ((kind, group), members) in groups(view) {
        let offered: BTreeSet<_> = members.iter().map(|r| (r.name(), r.language())).collect();
        let (other, expected) = first.entry(kind).or_insert((group, offered.clone()));
        if *expected != offered {
            faults.push(format!(
                "{kind} groups {other:?} and {group:?} offer different renditions"
            ));
        }
    }
    faults
}

/// H37: CHANNELS is there where channel counts differ (RFC 8216bis 4.4.6.1), and true.
fn channels(view: &MultivariantView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = view.of_type("AUDIO").map(|(rendition, media)| {
        let sound = media.and_then(|media| media.stream.track()?.sound());
        let objects = sound.is_some_and(|sound| sound.objects);
        (rendition, media.and_then(real_channels), objects)
    });
    let rows: Vec<_> = rows.collect();
    let counts: BTreeSet<u32> = rows.iter().filter_map(|(_, real, _)| *real).collect();
    for (rendition, real, objects) in rows {
        let line = rendition.line;
        let as_objects = rendition
            .channels()
            .is_some_and(|channels| channels.ends_with("/JOC"));
        if real.is_some() && as_objects != objects {
            faults.push(format!(
                "line {line}: CHANNELS and the sound differ about Atmos (JOC)"
            ));
        }
        match (rendition.channel_count(), real) {
            (Some(_), _) if as_objects => {}
            (None, _) if counts.len() > 1 => {
                faults.push(format!("line {line}: no CHANNELS, though counts differ"));
            }
            (Some(declared), Some(real)) if declared != real => {
                faults.push(format!(
                    "line {line}: CHANNELS {declared}, the sound has {real}"
                ));
            }
            _ => {}
        }
    }
    faults
}

fn real_channels(media: &MediaView) -> Option<u32> {
    Some(media.stream.track()?.sound()?.channels).filter(|channels| *channels > 0)
}

/// H37: there is always AAC in stereo (Apple HLS Authoring 2.3); mono counts, where the source has
/// no more.
fn no_stereo(view: &MultivariantView<'_>) -> Option<String> {
    let rows: Vec<_> = view
        .of_type("AUDIO")
        .filter_map(|(_, media)| media)
        .collect();
    let known = !rows.is_empty() && rows.iter().all(|m| m.stream.codecs().is_some());
    let stereo = |media: &&&MediaView| {
        let codecs = media.stream.codecs().unwrap_or_default();
        real_channels(media).is_some_and(|n| n <= 2)
            && codecs.iter().any(|c| c.starts_with("mp4a.40"))
    };
    (known && rows.iter().find(stereo).is_none()).then(|| "no stereo AAC rendition".into())
}

/// H38: one sound track a segment (Apple HLS Authoring 2.17).
fn sound_tracks(stream: &Stream) -> Option<String> {
    let count = stream
        .entries()
        .filter(|entry| entry.sound.is_some())
        .count();
    (count > 1).then(|| format!("{count} sound tracks in one segment"))
}

/// H38, advice: sound is apart from video (Apple HLS Authoring 9.5).
fn muxed(stream: &Stream) -> Option<String> {
    let both = stream.entries().any(|entry| entry.sound.is_some())
        && stream.entries().any(|entry| entry.picture.is_some());
    both.then(|| "sound and pictures in one segment".into())
}

/// H41: CLOSED-CAPTIONS=NONE, if used, is on every EXT-X-STREAM-INF (RFC 8216bis 4.4.6.2).
fn closed_captions(view: &MultivariantView<'_>) -> Option<String> {
    let none = |(variant, _): &&(&Variant, Option<&MediaView>)| {
        let attribute = variant.attributes.get("CLOSED-CAPTIONS");
        attribute.is_some_and(|a| !a.quoted && a.value == "NONE")
    };
    let count = view.variants.iter().filter(none).count();
    let all = view.variants.len();
    (count != 0 && count != all)
        .then(|| format!("CLOSED-CAPTIONS=NONE on {count} of {all} variants"))
}

/// H41: NONE says that there are no captions in any variant, so none has any (RFC 8216bis 4.4.6.2).
fn hidden_captions(view: &MultivariantView<'_>) -> Vec<String> {
    let hides = |(variant, media): &(&Variant, Option<&MediaView>)| {
        let attribute = variant.attributes.get("CLOSED-CAPTIONS")?;
        let is_none = !attribute.quoted && attribute.value == "NONE";
        let mut segments = media.filter(|_| is_none)?.stream.segments.iter();
        let with = segments.find(|segment| {
            let facts = segment.facts.as_ref();
            facts.is_some_and(|facts| facts.fragments.iter().any(|f| f.has_captions))
        })?;
        let (line, place) = (variant.line, &with.place);
        Some(format!(
            "line {line}: CLOSED-CAPTIONS=NONE, but there are captions in {place}"
        ))
    };
    view.variants.iter().filter_map(hides).collect()
}

/// How much shorter than the video sound may be before the rest counts as missing. Sources differ
/// by up to some tenths of a second; a segment is longer.
const SHORTER_BY_MAX: i64 = 500_000_000;

fn judge_audio_length(sheet: &mut Sheet, view: &MultivariantView<'_>) {
    let lengths = view.variants.iter().filter_map(|(_, media)| *media);
    let Some(longest) = lengths.map(|media| media.stream.declared_nanos()).max() else {
        return;
    };
    for (rendition, media) in view.of_type("AUDIO") {
        if let Some(media) = media {
            let place = view.at(rendition.line);
            sheet.judge(
                "H42",
                place,
                too_short(media.stream.declared_nanos(), longest),
            );
        }
    }
}

/// H40, H42: text and alternative audio cover the whole length (Apple HLS Authoring 5.5, 2.15).
pub(super) fn too_short(length: i64, longest: i64) -> Option<String> {
    (longest.saturating_sub(length) > SHORTER_BY_MAX).then(|| {
        let (length, longest) = (seconds(length), seconds(longest));
        format!("lasts {length} s of {longest} s")
    })
}

/// H09: all playlists of a presentation cover the same time, audio and video last equally long
/// (Apple HLS Authoring 8.3, 8.7). Half a second is a fault, more than a tenth is told.
pub(super) fn equal_lengths(sheet: &mut Sheet, place: &str, views: &[&MediaView]) {
    let lengths = || views.iter().filter(|v| v.stream.medium().is_av());
    let length = |view: &&MediaView| view.stream.declared_nanos();
    let longest = lengths().copied().max_by_key(length);
    let shortest = lengths().copied().min_by_key(length);
    let Some((longest, shortest)) = longest.zip(shortest) else {
        return;
    };
    let apart = length(&longest).saturating_sub(length(&shortest));
    let message = format!(
        "{} lasts {} s, {} {} s",
        longest.place,
        seconds(length(&longest)),
        shortest.place,
        seconds(length(&shortest))
    );
    let fault = |limit: i64| (apart > limit).then(|| message.clone());
    match fault(SHORTER_BY_MAX) {
        Some(fault) => sheet.judge("H09", place, Some(fault)),
        None => sheet.advise("H09", place, fault(100_000_000)),
    }
}

/// H10: audio and video playlists have one target duration (Apple HLS Authoring 8.2; RFC 8216bis
/// 6.2.4).
pub(super) fn target_durations_differ(views: &[&MediaView]) -> Option<String> {
    let plays = |view: &&&MediaView| view.stream.medium().is_av();
    let targets: BTreeMap<_, _> = views
        .iter()
        .filter(plays)
        .map(|view| (view.playlist.target_duration, &view.place))
        .collect();
    (targets.len() > 1).then(|| {
        let rows: Vec<_> = targets
            .iter()
            .map(|(target, place)| format!("{} in {place}", target.unwrap_or(0)))
            .collect();
        format!("target durations differ: {}", rows.join(", "))
    })
}

/// H12: discontinuities stand at the same instants in every playlist (Apple HLS Authoring
/// 8.13-8.15).
pub(super) fn discontinuities_differ(views: &[&MediaView]) -> Option<String> {
    let instants = |view: &MediaView| {
        let mut at = 0_i64;
        let mut instants = Vec::new();
        for segment in &view.stream.segments {
            if segment.discontinuity {
                instants.push(at);
            }
            at = at.saturating_add(nanos(segment.declared));
        }
        instants
    };
    let (first, rest) = views.split_first()?;
    let expected = instants(first);
    // Sound can only be cut on its own frames, so half a video frame either way is "the same".
    let near = |a: &i64, b: &i64| a.abs_diff(*b) <= 25_000_000;
    for view in rest {
        let found = instants(view);
        let same =
            found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| near(a, b));
        if !same {
            let (n, m) = (expected.len(), found.len());
            let (a, b) = (&first.place, &view.place);
            return Some(format!(
                "{n} discontinuities in {a}, {m} in {b}, not all at one time"
            ));
        }
    }
    None
}

/// Whether a playlist's segments are of a kind the CMAF rules say nothing about.
pub(super) fn foreign_container(stream: &Stream) -> Option<Container> {
    let kind = stream.segments.first()?.container;
    matches!(kind, Container::Ts | Container::PackedAudio).then_some(kind)
}
