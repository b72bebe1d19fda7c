//! Subtitles and captions (RFC 8216bis 3.1.4, 4.4.6.1; Apple HLS Authoring Specification sections 4
//! and 5; DASH-IF Timing, stand-alone text): WebVTT in segments, WebVTT in one file.

use std::collections::{BTreeMap, BTreeSet};

use super::dash::RepresentationView;
use super::facts::TextFacts;
use super::hls_multivariant::{MediaView, MultivariantView, too_short};
use super::report::Sheet;
use super::stream::{Container, Stream, StreamSegment, nanos, seconds};
use crate::dash::Addressing;
use crate::hls::{Rendition, Variant};
use crate::media::LanguageTag;

/// Judges the text renditions of a multivariant playlist.
pub(super) fn judge_renditions(sheet: &mut Sheet, view: &MultivariantView<'_>) {
    let longest = view
        .variants
        .iter()
        .filter_map(|(_, media)| *media)
        .map(|media| media.stream.declared_nanos())
        .max();
    for (rendition, media) in &view.renditions {
        let at = view.at(rendition.line);
        judge_characteristics(sheet, &at, rendition);
        if rendition.media_type() != Some("SUBTITLES") {
            continue;
        }
        if let Some(media) = media {
            let length = media.stream.declared_nanos();
            let short = longest.and_then(|longest| too_short(length, longest));
            sheet.judge("H40", &at, short);
            judge_segments(sheet, media);
        }
    }
    sheet.judge("H34", view.place, missing_groups(view));
    if view.of_type("SUBTITLES").next().is_some() {
        sheet.advise("H35", view.place, text_on_some_variants(view));
    }
}

/// H39: who describes video, or tells deaf people what is said and heard, says so with
/// CHARACTERISTICS and lets the player choose it by itself (Apple HLS Authoring 2.12, 4.5, 4.6);
/// forced subtitles should be chosen so, too (5.11), and FORCED stands on subtitles only (RFC
/// 8216bis 4.4.6.1).
fn judge_characteristics(sheet: &mut Sheet, place: &str, rendition: &Rendition) {
    let is_subtitles = rendition.media_type() == Some("SUBTITLES");
    let written = rendition.characteristics().unwrap_or_default();
    let accessible = written
        .split(',')
        .any(|characteristic| characteristic.trim().starts_with("public.accessibility."));
    if accessible {
        sheet.judge("H39", place, accessibility(rendition, written));
    }
    if rendition.attributes.get("FORCED").is_some() {
        let elsewhere = !is_subtitles;
        let fault = elsewhere.then(|| "FORCED on what are no subtitles".into());
        sheet.judge("H39", place, fault);
        let unselected = rendition.is_forced() && !rendition.is_autoselect();
        let fault = unselected.then(|| "forced subtitles without AUTOSELECT=YES".into());
        sheet.advise("H39", place, fault);
    }
}

fn accessibility(rendition: &Rendition, written: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !rendition.is_autoselect() {
        faults.push(format!(
            "CHARACTERISTICS {written:?} without AUTOSELECT=YES"
        ));
    }
    let has = |name: &str| written.split(',').any(|c| c.trim() == name);
    let spoken = has("public.accessibility.transcribes-spoken-dialog");
    let heard = has("public.accessibility.describes-music-and-sound");
    if rendition.media_type() == Some("SUBTITLES") && spoken != heard {
        faults.push(format!(
            "CHARACTERISTICS {written:?} has only one of transcribes-spoken-dialog and \
             describes-music-and-sound"
        ));
    }
    faults
}

/// H34: a SUBTITLES attribute names a group that is there (RFC 8216bis 4.4.6.2).
fn missing_groups(view: &MultivariantView<'_>) -> Vec<String> {
    let is_there = |group: &str| {
        let mut all = view.of_type("SUBTITLES");
        all.any(|(rendition, _)| rendition.group_id() == Some(group))
    };
    let missing = |(variant, _): &(&Variant, Option<&MediaView>)| {
        let group = variant.subtitles()?;
        (!is_there(group)).then(|| format!("line {}: its SUBTITLES group is nowhere", variant.line))
    };
    view.variants.iter().filter_map(missing).collect()
}

/// H35, advice: text that only some variants have goes away when the player switches.
fn text_on_some_variants(view: &MultivariantView<'_>) -> Option<String> {
    let all = view.variants.len();
    let with = view.variants.iter();
    let with = with
        .filter(|(variant, _)| variant.subtitles().is_some())
        .count();
    (with != all).then(|| format!("SUBTITLES on {with} of {all} variants"))
}

/// H40: segments of text are WebVTT with an X-TIMESTAMP-MAP (Apple HLS Authoring 5.3), or IMSC1 in
/// fMP4 (5.4), and each holds every cue that is shown in it (RFC 8216bis 3.1.4).
fn judge_segments(sheet: &mut Sheet, media: &MediaView) {
    let mut end = 0_i64;
    let mut segments = media.stream.segments.iter().peekable();
    while let Some(segment) = segments.next() {
        end = end.saturating_add(nanos(segment.declared));
        if segment.bytes.is_none() {
            continue; // judged where it was read
        }
        let mut faults = segment_form(segment);
        if let Some(next) = segments.peek() {
            faults.extend(lost_cue(segment, next, end));
        }
        sheet.judge("H40", &segment.place, faults);
        sheet.advise("H40", &segment.place, left_out(segment));
    }
}

fn segment_form(segment: &StreamSegment) -> Vec<String> {
    match (segment.container, &segment.text) {
        // Text that was not read is more than a run looks at.
        (Container::Fmp4, _) | (Container::WebVtt, None) => Vec::new(),
        (_, Some(text)) => text
            .trouble
            .clone()
            .or_else(|| map_fault(text))
            .into_iter()
            .collect(),
        _ => vec!["neither WebVTT (no signature WEBVTT) nor fMP4".into()],
    }
}

/// Advice of H40 and D22: what stands in the file and players don't show.
fn left_out(segment: &StreamSegment) -> Vec<String> {
    let text = segment.text.as_deref();
    text.map(|text| text.warnings.clone()).unwrap_or_default()
}

fn map_fault(text: &TextFacts) -> Option<String> {
    match &text.timestamp_map {
        None => Some("no X-TIMESTAMP-MAP".into()),
        Some(map) if parse_map(map).is_none() => Some(format!("X-TIMESTAMP-MAP is {map:?}")),
        Some(_) => None,
    }
}

/// Media time in ticks of 90 kHz, and the cue time in milliseconds that it stands for.
fn parse_map(map: &str) -> Option<(u64, u64)> {
    let value = |name: &str| {
        map.split(',')
            .find_map(|part| part.trim().strip_prefix(name))
    };
    let local = value("LOCAL:")?;
    Some((
        value("MPEGTS:")?.parse().ok()?,
        crate::text::parse_time(local)?,
    ))
}

/// A cue that lasts beyond `end`, where its segment ends, and that the next one doesn't have. Only
/// where cue times are times of the playlist: what offset others mean, the media tells.
fn lost_cue(segment: &StreamSegment, next: &StreamSegment, end: i64) -> Option<String> {
    let (here, there) = (segment.text.as_deref()?, next.text.as_deref()?);
    if !is_identity(here) || !is_identity(there) {
        return None;
    }
    // EXTINF is rounded: a cue within a millisecond of the border may be in either.
    let end_millis = u64::try_from(end / 1_000_000).ok()?.saturating_add(1);
    let known: BTreeSet<&(u64, u64)> = there.cues.iter().collect();
    let mut lasting = here.cues.iter().filter(|cue| cue.1 > end_millis);
    let lost = lasting.find(|cue| !known.contains(cue))?;
    Some(format!(
        "the cue that ends at {} s is not in {}, where it is shown on",
        seconds(i64::try_from(lost.1).ok()?.saturating_mul(1_000_000)),
        next.place
    ))
}

/// A language that is no tag by BCP 47, as RFC 8216bis 4.4.6.1 and ISO/IEC 23009-1 5.3.3.2 ask for.
pub(super) fn wrong_language(language: &str) -> Option<String> {
    let wrong =
        !language.is_empty() && (language.contains('_') || LanguageTag::parse(language).is_err());
    wrong.then(|| format!("{language:?} is no language tag (BCP 47)"))
}

/// Judges a Representation of a text set.
pub(super) fn judge_representation(sheet: &mut Sheet, place: &str, view: &RepresentationView<'_>) {
    let faults = match view.representation.mime_type() {
        Some("text/vtt") => standalone(view),
        Some("application/mp4") => embedded(view).into_iter().collect(),
        _ => return,
    };
    sheet.judge("D22", place, faults);
    let left_out = view.stream.segments.iter().flat_map(left_out);
    sheet.advise("D22", place, left_out);
    let wrong = view.set.language().and_then(wrong_language);
    sheet.judge("D22", place, wrong);
    let without = view.set.language().is_none_or(str::is_empty);
    let fault = without.then(|| "the set has no lang".into());
    sheet.advise("D22", place, fault);
}

/// D22: WebVTT in one file counts from the Period's start, without a presentation time offset
/// (DASH-IF Timing, stand-alone text).
fn standalone(view: &RepresentationView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let offset = match &view.representation.addressing {
        Addressing::Base(base) => base.presentation_time_offset,
        Addressing::Template(template) => template.presentation_time_offset,
        Addressing::List(_) | Addressing::None => 0,
    };
    if offset != 0 {
        faults.push(format!(
            "presentationTimeOffset {offset} on stand-alone text"
        ));
    }
    for segment in view.stream.segments.iter().filter(|s| s.bytes.is_some()) {
        match (segment.container, &segment.text) {
            (_, Some(text)) => {
                faults.extend(text.trouble.clone());
                faults.extend(outside(text, view));
            }
            (Container::WebVtt, None) => {}
            _ => faults.push("the signature WEBVTT is not there".into()),
        }
    }
    faults
}

/// D23: text that DASH has in one file and HLS in segments beside it is the same: each cue is in both,
/// at the same time. Only where cue times are times of the playlist, and all text was read.
pub(super) fn cues_differ(
    views: &[RepresentationView<'_>],
    media: &BTreeMap<String, MediaView>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for view in views {
        let [whole] = view.stream.segments.as_slice() else {
            continue;
        };
        let beside = |media: &&MediaView| {
            let first = media.stream.segments.first();
            is_text(&media.stream)
                && first.is_some_and(|s| folder(&s.place) == folder(&whole.place))
        };
        let segmented = media.values().find(beside);
        faults.extend(segmented.and_then(|media| unlike_cue(whole, &media.stream)));
    }
    faults
}

fn folder(place: &str) -> &str {
    place.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A cue that is only in the whole file or only in the segments.
fn unlike_cue(whole: &StreamSegment, segments: &Stream) -> Option<String> {
    let text = whole
        .text
        .as_deref()
        .filter(|text| text.trouble.is_none())?;
    let mut listed = BTreeSet::new();
    for segment in &segments.segments {
        let text = segment.text.as_deref()?;
        if !is_identity(text) {
            return None;
        }
        listed.extend(text.cues.iter().copied());
    }
    // What begins after the end is in no segment.
    let end = u64::try_from(segments.declared_nanos() / 1_000_000).ok()?;
    let all = text.cues.iter().copied().filter(|cue| cue.0 < end);
    let all: BTreeSet<(u64, u64)> = all.collect();
    let stray = listed.symmetric_difference(&all).next()?;
    let (with, without) = match all.contains(stray) {
        true => (&whole.place, &segments.place),
        false => (&segments.place, &whole.place),
    };
    Some(format!(
        "the cue from {} to {} ms is in {with} and not in {without}",
        stray.0, stray.1
    ))
}

/// Whether cue times are times of the playlist.
fn is_identity(text: &TextFacts) -> bool {
    let map = text.timestamp_map.as_deref().and_then(parse_map);
    map.is_some_and(|map| map == (0, 0))
}

/// Cue times that can't count from the Period's start: none of them lies in it.
fn outside(text: &TextFacts, view: &RepresentationView<'_>) -> Option<String> {
    let length = nanos(view.period.duration?) / 1_000_000;
    let length = u64::try_from(length).ok()?;
    let first = text.cues.iter().map(|cue| cue.0).min()?;
    (first >= length).then(|| format!("the first cue starts {first} ms into a Period of {length}"))
}

/// D22: text in fMP4 says which: `stpp` with its profile, or `wvtt`.
fn embedded(view: &RepresentationView<'_>) -> Option<String> {
    let codecs = view.representation.codecs().unwrap_or_default();
    let known = codecs.starts_with("stpp.") || codecs == "wvtt";
    (!known).then(|| format!("codecs {codecs:?} is neither stpp with a profile nor wvtt"))
}

/// Whether what a playlist lists is plain WebVTT.
pub(super) fn is_text(stream: &Stream) -> bool {
    let first = stream.segments.first();
    stream.init.is_none() && first.is_some_and(|s| s.container == Container::WebVtt)
}
