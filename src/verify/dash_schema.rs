//! What an MPD's text alone says: its elements stand where the schema has them (ISO/IEC 23009-1
//! Annex B), and its numbers and durations can be kept exactly.

use crate::dash::Element;

/// The largest number that a player's double-precision arithmetic keeps exact.
const EXACT_MAX: u128 = 1 << 53;

// The order of elements in the schema (ISO/IEC 23009-1 Annex B).
const MPD_CHILDREN: &[&str] = &[
    "ProgramInformation",
    "BaseURL",
    "Location",
    "PatchLocation",
    "ServiceDescription",
    "InitializationSet",
    "InitializationGroup",
    "InitializationPresentation",
    "ContentProtection",
    "Period",
    "Metrics",
    "EssentialProperty",
    "SupplementalProperty",
    "UTCTiming",
    "LeapSecondInformation",
];

const PERIOD_CHILDREN: &[&str] = &[
    "BaseURL",
    "SegmentBase",
    "SegmentList",
    "SegmentTemplate",
    "AssetIdentifier",
    "EventStream",
    "ServiceDescription",
    "ContentProtection",
    "AdaptationSet",
    "Subset",
    "SupplementalProperty",
    "EmptyAdaptationSet",
    "GroupLabel",
    "Preselection",
];

/// What AdaptationSet and Representation begin with: `RepresentationBaseType`.
const BASE_CHILDREN: &[&str] = &[
    "FramePacking",
    "AudioChannelConfiguration",
    "ContentProtection",
    "OutputProtection",
    "EssentialProperty",
    "SupplementalProperty",
    "InbandEventStream",
    "Switching",
    "RandomAccess",
    "GroupLabel",
    "Label",
    "ProducerReferenceTime",
    "ContentPopularityRate",
    "Resync",
];

const SET_CHILDREN: &[&str] = &[
    "Accessibility",
    "Role",
    "Rating",
    "Viewpoint",
    "ContentComponent",
    "BaseURL",
    "SegmentBase",
    "SegmentList",
    "SegmentTemplate",
    "Representation",
];

const REPRESENTATION_CHILDREN: &[&str] = &[
    "BaseURL",
    "ExtendedBandwidth",
    "SubRepresentation",
    "SegmentBase",
    "SegmentList",
    "SegmentTemplate",
];

/// D01: elements stand where and in the order the schema has them, with the attributes it asks for
/// in the form it asks for (ISO/IEC 23009-1 Annex B). No schema engine runs here: this covers the
/// elements that presentations of segments use.
pub(super) fn schema(root: &Element) -> Vec<String> {
    let mut faults = Vec::new();
    if root.name != "MPD" {
        faults.push(format!("the root is {}, not MPD", root.name));
        return faults;
    }
    let namespace = root
        .attributes
        .iter()
        .any(|(name, value)| name.starts_with("xmlns") && value == "urn:mpeg:dash:schema:mpd:2011");
    if !namespace {
        faults.push("the namespace urn:mpeg:dash:schema:mpd:2011 is not declared".into());
    }
    if root.all("Period").next().is_none() {
        faults.push("no Period".into());
    }
    element_rules(root, &mut faults);
    faults
}

fn element_rules(element: &Element, faults: &mut Vec<String>) {
    let (children, required): (Option<Order>, &[&str]) = match element.name.as_str() {
        "MPD" => (Some((&[], MPD_CHILDREN)), &["profiles", "minBufferTime"]),
        "Period" => (Some((&[], PERIOD_CHILDREN)), &[]),
        "AdaptationSet" => (Some((BASE_CHILDREN, SET_CHILDREN)), &[]),
        "Representation" => (
            Some((BASE_CHILDREN, REPRESENTATION_CHILDREN)),
            &["id", "bandwidth"],
        ),
        "SegmentTimeline" => (Some((&[], &["Pattern", "S"])), &[]),
        "S" => (None, &["d"]),
        "Role"
        | "Accessibility"
        | "EssentialProperty"
        | "SupplementalProperty"
        | "AudioChannelConfiguration"
        | "ContentProtection"
        | "Viewpoint"
        | "Rating" => (None, &["schemeIdUri"]),
        _ => (None, &[]),
    };
    let line = element.line;
    for name in required {
        if element
            .attribute(name)
            .is_none_or(|value| value.trim().is_empty())
        {
            faults.push(format!("line {line}: {} without @{name}", element.name));
        }
    }
    for (name, value) in &element.attributes {
        if let Some(wanted) = malformed(&element.name, name, value.trim()) {
            faults.push(format!(
                "line {line}: {}@{name} {value:?} is no {wanted}",
                element.name
            ));
        }
    }
    faults.extend(children.and_then(|order| misplaced(element, order)));
    for child in &element.children {
        element_rules(child, faults);
    }
}

/// Names of children in the order that the schema has them: those of the base type, then the
/// element's own.
type Order = (&'static [&'static str], &'static [&'static str]);

/// The first child that the schema doesn't have there, or not after the ones before it.
fn misplaced(element: &Element, (base, own): Order) -> Option<String> {
    let mut reached = 0;
    for child in element
        .children
        .iter()
        .filter(|child| !child.name.contains(':'))
    {
        let (line, name) = (child.line, &child.name);
        let Some(at) = base.iter().chain(own).position(|known| known == name) else {
            return Some(format!(
                "line {line}: {name} has no place in {}",
                element.name
            ));
        };
        if at < reached {
            return Some(format!(
                "line {line}: {name} stands too late in {}",
                element.name
            ));
        }
        reached = at;
    }
    None
}

/// What an attribute should be and isn't.
fn malformed(element: &str, name: &str, value: &str) -> Option<&'static str> {
    let whole = || !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let pair = |split: char, alone: bool| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match value.split_once(split) {
            Some((a, b)) => digits(a) && digits(b),
            None => alone && digits(value),
        }
    };
    match (element, name) {
        (
            "Period" | "MPD",
            "duration"
            | "start"
            | "mediaPresentationDuration"
            | "minBufferTime"
            | "maxSegmentDuration"
            | "maxSubsegmentDuration"
            | "minimumUpdatePeriod"
            | "timeShiftBufferDepth"
            | "suggestedPresentationDelay",
        ) => (!value.trim_start_matches('-').starts_with('P')).then_some("duration"),
        (
            _,
            "bandwidth"
            | "width"
            | "height"
            | "maxWidth"
            | "maxHeight"
            | "minWidth"
            | "minHeight"
            | "timescale"
            | "startNumber"
            | "presentationTimeOffset"
            | "minBandwidth"
            | "maxBandwidth"
            | "endNumber",
        ) => (!whole()).then_some("whole number"),
        ("S", "d" | "t" | "n") | ("SegmentTemplate" | "SegmentList", "duration") => {
            (!whole()).then_some("whole number")
        }
        ("S", "r") => value.parse::<i64>().is_err().then_some("whole number"),
        (_, "frameRate" | "maxFrameRate" | "minFrameRate") => {
            (!pair('/', true)).then_some("frame rate")
        }
        (_, "par" | "sar") => (!pair(':', false)).then_some("ratio"),
        (_, "segmentAlignment" | "subsegmentAlignment" | "bitstreamSwitching") => {
            let boolean = matches!(value, "true" | "false" | "0" | "1");
            (!boolean && !whole()).then_some("boolean")
        }
        _ => None,
    }
}

/// D09: no number above 2^53; durations without years and months (DASH-IF Timing; IOP 4.3).
pub(super) fn numbers(root: &Element) -> Vec<String> {
    let mut faults = Vec::new();
    for_each_attribute(root, &mut |element, name, value| {
        let digits = value.bytes().all(|b| b.is_ascii_digit()) && value.len() < 39;
        if digits && value.parse::<u128>().is_ok_and(|number| number > EXACT_MAX) {
            faults.push(format!(
                "line {}: {name} is {value}, above 2^53",
                element.line
            ));
        }
        if is_duration(element, name) {
            let date = value.split('T').next().unwrap_or_default();
            if date.contains(['Y', 'M']) {
                faults.push(format!(
                    "line {}: {name} {value} has years or months",
                    element.line
                ));
            }
        }
    });
    faults
}

/// D09, advice: durations in seconds only.
pub(super) fn duration_forms(root: &Element) -> Vec<String> {
    let mut faults = Vec::new();
    for_each_attribute(root, &mut |element, name, value| {
        let seconds_only = value
            .strip_prefix("PT")
            .and_then(|rest| rest.strip_suffix('S'));
        let plain =
            seconds_only.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        if is_duration(element, name) && !plain {
            faults.push(format!(
                "line {}: {name} {value} is not in seconds alone",
                element.line
            ));
        }
    });
    faults
}

fn is_duration(element: &Element, name: &str) -> bool {
    match element.name.as_str() {
        "MPD" => matches!(
            name,
            "mediaPresentationDuration" | "minBufferTime" | "maxSegmentDuration"
        ),
        "Period" => matches!(name, "start" | "duration"),
        _ => false,
    }
}

fn for_each_attribute<'a>(
    element: &'a Element,
    act: &mut impl FnMut(&'a Element, &'a str, &'a str),
) {
    for (name, value) in &element.attributes {
        act(element, name, value.trim());
    }
    for child in &element.children {
        for_each_attribute(child, act);
    }
}
