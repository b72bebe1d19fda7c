//! Adaptation Sets of an MPD by themselves (ISO/IEC 23009-1 section 5.3.3; DASH-IF IOP 4.3).

use std::collections::BTreeSet;

use super::report::Sheet;
use super::text;
use crate::dash::{AdaptationSet, Addressing, Period, Representation};

pub(super) fn judge_period(sheet: &mut Sheet, place: &str, period: &Period) {
    sheet.judge("D15", place, roles(period));
    for set in &period.adaptation_sets {
        let at = format!("{place}:{}", set.common.line);
        sheet.judge("D05", &at, mixed_addressing(set));
        sheet.judge("D10", &at, alignment(set));
        sheet.judge("D12", &at, one_type(set));
        match set.content_type() {
            Some("video") => sheet.judge("D13", &at, video_set(set)),
            Some("audio") => sheet.judge("D14", &at, audio_set(set)),
            _ => {}
        }
    }
}

/// D15: of several video sets one has the Role main (DASH-IF IOP 4.3); every audio set has a Role,
/// and one of them is main (TS 103 285 6.1.2).
fn roles(period: &Period) -> Vec<String> {
    let mut faults = Vec::new();
    let of = |kind: &'static str| {
        let sets = period.adaptation_sets.iter();
        sets.filter(move |set| set.content_type() == Some(kind))
    };
    let is_main = |set: &AdaptationSet| set.roles().any(|role| role == "main");
    if of("video").count() > 1 && !of("video").any(is_main) {
        faults.push("several video sets, none with the Role main".to_owned());
    }
    for set in of("audio").filter(|set| set.roles().next().is_none()) {
        faults.push(format!(
            "line {}: an audio set without a Role",
            set.common.line
        ));
    }
    if of("audio").next().is_some() && !of("audio").any(is_main) {
        faults.push("no audio set has the Role main".to_owned());
    }
    faults
}

/// D05: all Representations of a set use one addressing mode (DASH-IF Timing).
fn mixed_addressing(set: &AdaptationSet) -> Option<String> {
    let modes: BTreeSet<&str> = set
        .representations
        .iter()
        .map(|representation| match &representation.addressing {
            Addressing::Template(template) if template.timeline.is_some() => "SegmentTimeline",
            Addressing::Template(_) => "SegmentTemplate@duration",
            Addressing::List(_) => "SegmentList",
            Addressing::Base(_) => "SegmentBase",
            Addressing::None => "no addressing",
        })
        .collect();
    let names: Vec<_> = modes.into_iter().collect();
    (names.len() > 1).then(|| format!("mixes {}", names.join(" and ")))
}

/// D10: segments are aligned over a set and the MPD says so: `@segmentAlignment`, or for indexed
/// addressing `@subsegmentAlignment` and `@subsegmentStartsWithSAP` 1 or 2 (DASH-IF IOP 4.3 3.2.2.2,
/// 3.10.3).
fn alignment(set: &AdaptationSet) -> Vec<String> {
    let mut faults = Vec::new();
    if !matches!(set.content_type(), Some("video" | "audio")) {
        return faults;
    }
    let says = |name| matches!(set.common.attribute(name), Some("true" | "1"));
    let is_base = |r: &Representation| matches!(r.addressing, Addressing::Base(_));
    let is_template = |r: &Representation| matches!(r.addressing, Addressing::Template(_));
    if set.representations.iter().any(is_template) && !says("segmentAlignment") {
        faults.push("no segmentAlignment=true".to_owned());
    }
    if set.representations.iter().any(is_base) {
        if !says("subsegmentAlignment") {
            faults.push("no subsegmentAlignment=true".to_owned());
        }
        if !matches!(
            set.common.attribute("subsegmentStartsWithSAP"),
            Some("1" | "2")
        ) {
            faults.push("no subsegmentStartsWithSAP of 1 or 2".to_owned());
        }
    }
    faults
}

/// The media types that DASH-IF players know (IOP 4.3 schematron).
const MIME_TYPES: [&str; 6] = [
    "video/mp4",
    "audio/mp4",
    "application/mp4",
    "application/ttml+xml",
    "text/vtt",
    "image/jpeg",
];

/// D12: a set holds one media type; each `@codecs` names one codec; the MIME type is one of six
/// (DASH-IF IOP 4.3).
fn one_type(set: &AdaptationSet) -> Vec<String> {
    let mut faults = Vec::new();
    let mut types = BTreeSet::new();
    for representation in &set.representations {
        let id = &representation.id;
        match representation.mime_type() {
            None => faults.push(format!("{id} has no mimeType")),
            Some(mime) => {
                types.insert(mime);
                if !MIME_TYPES.contains(&mime) {
                    faults.push(format!("{id} has mimeType {mime}"));
                }
            }
        }
        let needs_codec = matches!(set.content_type(), Some("video" | "audio"));
        match representation.codecs() {
            None if needs_codec => faults.push(format!("{id} has no codecs")),
            Some(codecs) if codecs.contains(',') => {
                faults.push(format!("{id} has several codecs: {codecs}"));
            }
            _ => {}
        }
    }
    if types.len() > 1 {
        let types: Vec<_> = types.into_iter().collect();
        faults.push(format!("mixes {}", types.join(" and ")));
    }
    faults
}

/// D13: a video set says width, height, frame rate (or their maxima) and `@par`; each
/// Representation says width, height, frame rate and `@sar`; pictures are progressive (DASH-IF IOP
/// 4.3 3.2.4).
fn video_set(set: &AdaptationSet) -> Vec<String> {
    let mut faults = Vec::new();
    for [plain, max] in [
        ["width", "maxWidth"],
        ["height", "maxHeight"],
        ["frameRate", "maxFrameRate"],
    ] {
        let has = |name| set.common.attribute(name).is_some();
        if !has(plain) && !has(max) {
            faults.push(format!("the set has neither {plain} nor {max}"));
        }
    }
    if set.common.attribute("par").is_none() {
        faults.push("the set has no par".to_owned());
    }
    for representation in &set.representations {
        for name in ["width", "height", "frameRate", "sar"] {
            if representation.attribute(name).is_none() {
                faults.push(format!("{} has no {name}", representation.id));
            }
        }
        if let Some(scan) = representation
            .attribute("scanType")
            .filter(|s| *s != "progressive")
        {
            faults.push(format!("{} has scanType {scan}", representation.id));
        }
    }
    faults
}

/// D14: an audio set says its language (DASH-IF IOP 4.3 3.2.4; TS 103 285 6.1.1), and each
/// Representation its sampling rate and channel configuration.
fn audio_set(set: &AdaptationSet) -> Vec<String> {
    let mut faults = Vec::new();
    if set.language().is_none_or(str::is_empty) {
        faults.push("the set has no lang".to_owned());
    }
    faults.extend(set.language().and_then(text::wrong_language));
    for representation in &set.representations {
        if representation.attribute("audioSamplingRate").is_none() {
            faults.push(format!("{} has no audioSamplingRate", representation.id));
        }
        if representation
            .descriptors("AudioChannelConfiguration")
            .next()
            .is_none()
        {
            faults.push(format!(
                "{} has no AudioChannelConfiguration",
                representation.id
            ));
        }
    }
    faults
}
