//! MPDs (ISO/IEC 23009-1; DASH-IF IOP 4.3 and Timing Model; ETSI TS 103 285): by themselves, and
//! against the media they name.

use std::collections::{BTreeMap, BTreeSet};

use super::dash_colour::colour_untold;
use super::dash_schema::{duration_forms, numbers, schema};
use super::dash_sets::judge_period;
use super::facts::SegmentFacts;
use super::hls_multivariant::{frame_rate_thousandths, has_one_frame};
use super::report::Sheet;
use super::stream::{Container, Medium, Stream, nanos, seconds};
use super::{stills, text};
use crate::codec::aac::channels_of;
use crate::dash::{
    AdaptationSet, Addressing, Element, Mpd, Period, Representation, SegmentTemplate,
};
use crate::time::{Rounding, Ticks, Timescale, rescale};

/// What the end of a track may lack of its Period before it counts as a hole: the length of a
/// video frame at 24 frames a second, rounded up.
const END_SLACK: i64 = 42_000_000;
/// What it may lack before that is a fault rather than something to be told.
const END_HOLE: i64 = 500_000_000;

/// A Representation with what it names.
#[derive(Debug)]
pub(super) struct RepresentationView<'a> {
    pub(super) period: &'a Period,
    pub(super) set: &'a AdaptationSet,
    pub(super) representation: &'a Representation,
    pub(super) stream: Stream,
    /// Start and duration of each segment as the MPD says, in the addressing's ticks.
    pub(super) times: Vec<(u64, u64)>,
    /// Addresses of the init segment and the segments, for comparison with HLS.
    pub(super) objects: Vec<String>,
}

/// An MPD with what it names.
#[derive(Debug)]
pub(super) struct MpdView<'a> {
    pub(super) place: &'a str,
    pub(super) mpd: &'a Mpd,
    pub(super) bytes: usize,
    pub(super) representations: Vec<RepresentationView<'a>>,
}

/// Judges an MPD by every rule about it.
pub(super) fn judge(sheet: &mut Sheet, view: &MpdView<'_>) {
    let (place, mpd) = (view.place, view.mpd);
    sheet.judge("D01", place, schema(&mpd.root));
    sheet.judge("D01", place, presentation_type(mpd));
    for problem in &mpd.problems {
        let at = format!("{place}:{}", problem.line);
        sheet.judge("D01", at, Some(problem.message.clone()));
    }
    sheet.judge("D02", place, presentation_duration(mpd));
    sheet.judge("D03", place, periods(mpd));
    sheet.judge("D04", place, late_events(mpd));
    sheet.judge("D09", place, numbers(&mpd.root));
    sheet.advise("D09", place, duration_forms(&mpd.root));
    sheet.judge("D11", place, period_addressing(mpd));
    sheet.judge("D16", place, ids(mpd));
    sheet.judge("D20", place, dvb_limits(view));
    for period in &mpd.periods {
        judge_period(sheet, place, period);
        stills::judge_period(sheet, place, period);
    }
    for representation in &view.representations {
        judge_representation(sheet, place, mpd, representation);
    }
}

fn judge_representation(
    sheet: &mut Sheet,
    mpd_place: &str,
    mpd: &Mpd,
    view: &RepresentationView<'_>,
) {
    let representation = view.representation;
    let place = format!(
        "{mpd_place}:{} {}",
        representation.common.line, representation.id
    );
    match &representation.addressing {
        Addressing::Template(template) => {
            if !stills::is_thumbnails(representation) {
                sheet.judge("D06", &place, template_form(template));
            }
            sheet.judge("D08", &place, template_times(template, view));
        }
        Addressing::Base(_) => sheet.judge("D07", &place, indexed_form(view)),
        Addressing::List(_) | Addressing::None => {}
    }
    sheet.judge("D04", &place, joins(view));
    judge_cover(sheet, &place, view);
    sheet.judge("D24", &place, transport_stream(view));
    if let Some(codecs) = view.stream.codecs() {
        sheet.judge("C14", &place, codecs_differ(representation, &codecs));
    }
    match view.stream.medium() {
        Medium::Video => {
            sheet.judge("D13", &place, video_differs(view));
            sheet.judge("D21", &place, colour_untold(view));
        }
        Medium::Audio => sheet.judge("D14", &place, audio_differs(view)),
        Medium::Text | Medium::Image | Medium::Other => {}
    }
    if view.set.content_type() == Some("text") || view.stream.medium() == Medium::Text {
        text::judge_representation(sheet, &place, view);
    }
    if stills::is_thumbnails(representation) {
        stills::judge_thumbnails(sheet, &place, view);
    }
    sheet.judge("D17", &place, stalls(mpd, view));
}

/// D01: the MPD is static, and the profiles it lists are true of it (DASH-IF IOP 4.3).
fn presentation_type(mpd: &Mpd) -> Vec<String> {
    let mut faults = Vec::new();
    if mpd.mpd_type != "static" {
        faults.push(format!("type is {}, not static", mpd.mpd_type));
    }
    let lists = |name: &str| mpd.profiles.iter().any(|profile| profile == name);
    let live = lists("urn:mpeg:dash:profile:isoff-live:2011");
    let on_demand = lists("urn:mpeg:dash:profile:isoff-on-demand:2011");
    for (_, _, representation) in mpd.representations() {
        let addressing = &representation.addressing;
        let id = &representation.id;
        if live && !on_demand && !matches!(addressing, Addressing::Template(_) | Addressing::None) {
            faults.push(format!(
                "profile isoff-live, but {id} has no SegmentTemplate"
            ));
        }
        if on_demand && !live && !matches!(addressing, Addressing::Base(_) | Addressing::None) {
            faults.push(format!(
                "profile isoff-on-demand, but {id} has no SegmentBase"
            ));
        }
    }
    faults
}

/// D02: `@minBufferTime` is there; `@mediaPresentationDuration` is the end of the last Period
/// exactly; `@minimumUpdatePeriod` and `@timeShiftBufferDepth` are not there (DASH-IF IOP 4.3 3.10;
/// DASH-IF Timing).
fn presentation_duration(mpd: &Mpd) -> Vec<String> {
    let mut faults = Vec::new();
    if mpd.min_buffer_time.is_none_or(|time| time.count <= 0) {
        faults.push("no minBufferTime".into());
    }
    for name in ["minimumUpdatePeriod", "timeShiftBufferDepth"] {
        if mpd.root.attribute(name).is_some() {
            faults.push(format!("{name} in a static MPD"));
        }
    }
    let last = mpd.periods.last();
    let end = last.and_then(|period| {
        let written = nanos(period.duration_written?);
        Some(nanos(period.start?).saturating_add(written))
    });
    match (mpd.duration.map(nanos), end) {
        (None, None) => faults.push("no mediaPresentationDuration".into()),
        (Some(duration), Some(end)) if duration != end => faults.push(format!(
            "mediaPresentationDuration is {} s, the last Period ends at {} s",
            seconds(duration),
            seconds(end)
        )),
        _ => {}
    }
    faults
}

/// D03: the first Period starts at 0, each has a length above zero, and they follow each other
/// (DASH-IF Timing 8.1).
fn periods(mpd: &Mpd) -> Vec<String> {
    let mut faults = Vec::new();
    let mut end = 0_i64;
    for (index, period) in mpd.periods.iter().enumerate() {
        let number = index.saturating_add(1);
        let Some(start) = period.start.map(nanos) else {
            faults.push(format!("Period {number} has no start"));
            continue;
        };
        if start != end {
            let (start, end) = (seconds(start), seconds(end));
            faults.push(format!(
                "Period {number} starts at {start} s, not at {end} s"
            ));
        }
        match period.duration.map(nanos) {
            Some(duration) if duration > 0 => end = start.saturating_add(duration),
            Some(_) => faults.push(format!("Period {number} has no length")),
            None => faults.push(format!("Period {number} has no duration")),
        }
    }
    faults
}

/// D04: segments of a Representation follow each other without gap or overlap (DASH-IF Timing
/// 9.2).
fn joins(view: &RepresentationView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let pairs = view.times.iter().zip(view.times.iter().skip(1));
    for (index, ((time, duration), (next, _))) in pairs.enumerate() {
        let end = time.saturating_add(*duration);
        let number = index.saturating_add(2);
        if *next > end {
            faults.push(format!(
                "a gap of {} ticks before segment {number}",
                next - end
            ));
        } else if *next < end {
            faults.push(format!(
                "segment {number} overlaps the one before by {} ticks",
                end - next
            ));
        }
    }
    for segment in view
        .stream
        .segments
        .iter()
        .filter(|segment| segment.bytes.is_none())
    {
        faults.push(format!("{} can't be read", segment.place));
    }
    faults
}

/// The times of the addressing on the Period's own time line, in nanoseconds.
fn on_period(representation: &Representation, ticks: u64) -> Option<i64> {
    let (timescale, offset) = match &representation.addressing {
        Addressing::Template(t) => (t.ticks_per_second(), t.presentation_time_offset),
        Addressing::Base(base) => (base.timescale.unwrap_or(1), base.presentation_time_offset),
        Addressing::List(list) => (list.timescale.unwrap_or(1), 0),
        Addressing::None => return None,
    };
    let timescale = Timescale::new(u32::try_from(timescale).ok()?)?;
    let ticks = i64::try_from(i128::from(ticks) - i128::from(offset)).ok()?;
    Some(nanos(Ticks::new(ticks, timescale)))
}

/// D04: an event of a Period lies within it (ISO/IEC 23009-1 5.10.2); half a second beyond its end may
/// be rounding.
fn late_events(mpd: &Mpd) -> Vec<String> {
    let mut faults = Vec::new();
    for (element, period) in mpd.root.all("Period").zip(&mpd.periods) {
        let Some(length) = period.duration.map(nanos) else {
            continue;
        };
        for stream in element.all("EventStream") {
            let number = |name: &str, of: &Element| of.attribute(name)?.trim().parse::<u64>().ok();
            let timescale = number("timescale", stream).unwrap_or(1).max(1);
            let offset = number("presentationTimeOffset", stream).unwrap_or(0);
            let nanos_of = |ticks: u64| {
                i128::from(ticks.saturating_sub(offset)) * 1_000_000_000 / i128::from(timescale)
            };
            for event in stream.all("Event") {
                let start = number("presentationTime", event).unwrap_or(0);
                let end = start.saturating_add(number("duration", event).unwrap_or(0));
                let most = i128::from(length) + i128::from(END_HOLE);
                if nanos_of(start) >= i128::from(length).max(1) || nanos_of(end) > most {
                    faults.push(format!(
                        "line {}: the event doesn't lie within its Period of {} s",
                        event.line,
                        seconds(length)
                    ));
                }
            }
        }
    }
    faults
}

/// D04: the segments cover the whole Period, and none lies outside it (DASH-IF Timing 9.2). Sound
/// ends on its own frames: less than half a second missing is only told.
fn judge_cover(sheet: &mut Sheet, place: &str, view: &RepresentationView<'_>) {
    let representation = view.representation;
    let (Some(first), Some(last)) = (view.times.first(), view.times.last()) else {
        let found = view.stream.segments.is_empty();
        sheet.judge("D04", place, found.then(|| "names no segments".into()));
        return;
    };
    let Some(length) = view.period.duration.map(nanos) else {
        return;
    };
    let start = on_period(representation, first.0).unwrap_or(0);
    let last_start = on_period(representation, last.0).unwrap_or(0);
    let end = on_period(representation, last.0.saturating_add(last.1)).unwrap_or(length);
    let mut faults = Vec::new();
    if start > END_SLACK {
        faults.push(format!(
            "the first segment starts {} s into the Period",
            seconds(start)
        ));
    }
    if last_start >= length && view.times.len() > 1 {
        faults.push("the last segment starts after the Period's end".to_owned());
    }
    let missing = length.saturating_sub(end);
    let hole = format!("the segments end {} s before the Period", seconds(missing));
    if missing > END_HOLE {
        faults.push(hole);
    } else {
        sheet.advise("D04", place, (missing > END_SLACK).then_some(hole));
    }
    sheet.judge("D04", place, faults);
}

/// D06: explicit addressing has a SegmentTimeline, `@media` with `$Number$` or `$Time$` and
/// `@initialization` without; no `S@n`, no `@eptDelta` (DASH-IF Timing; IOP 4.3).
fn template_form(template: &SegmentTemplate) -> Vec<String> {
    let mut faults = Vec::new();
    let counts = |text: &str| text.contains("$Number") || text.contains("$Time");
    match template.media.as_deref() {
        None => faults.push("no @media".to_owned()),
        Some(media) if !counts(media) => {
            faults.push(format!("@media {media:?} has neither $Number$ nor $Time$"));
        }
        Some(_) => {}
    }
    match template.initialization.as_deref() {
        None => faults.push("no @initialization".to_owned()),
        Some(init) if counts(init) => {
            faults.push(format!("@initialization {init:?} counts segments"));
        }
        Some(_) => {}
    }
    match &template.timeline {
        None => faults.push("no SegmentTimeline".to_owned()),
        Some(timeline) if timeline.entries.is_empty() => {
            faults.push("an empty SegmentTimeline".to_owned());
        }
        Some(timeline) if timeline.entries.iter().any(|entry| entry.n.is_some()) => {
            faults.push("S@n is used".to_owned());
        }
        Some(_) => {}
    }
    if template.ept_delta.is_some() {
        faults.push("@eptDelta is used".to_owned());
    }
    faults
}

/// D07: indexed addressing has one BaseURL, `@indexRange`, `Initialization@range`, and a
/// `@timescale` that is the index's and the track's; there is one `sidx`, without another in it
/// (DASH-IF Timing; IOP 4.3 3.10.3).
fn indexed_form(view: &RepresentationView<'_>) -> Vec<String> {
    let Addressing::Base(base) = &view.representation.addressing else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    if base.index_range.is_none() {
        faults.push("no @indexRange".to_owned());
    }
    if base
        .initialization
        .as_ref()
        .is_none_or(|init| init.range.is_none())
    {
        faults.push("no Initialization@range".to_owned());
    }
    if view.representation.base_urls.is_empty() {
        faults.push("no BaseURL".to_owned());
    }
    let track = view
        .stream
        .timescale()
        .map(|timescale| u64::from(timescale.get()));
    if let Some(track) = track.filter(|track| *track != base.timescale.unwrap_or(1)) {
        let written = base.timescale.unwrap_or(1);
        faults.push(format!("@timescale is {written}, the track's {track}"));
    }
    let indexes = view.stream.segments.iter().filter_map(|s| s.facts.as_ref());
    if indexes
        .flat_map(|facts| &facts.indexes)
        .any(|i| i.references.iter().any(|r| r.to_index))
    {
        faults.push("the index refers to another index".to_owned());
    }
    faults
}

/// D08: `@timescale` is there, and the timeline's starts and durations are those of the fragments:
/// `tfdt` and the sums of `trun` (DASH-IF Timing 9.1). For `@duration` each may be half a segment
/// off.
fn template_times(template: &SegmentTemplate, view: &RepresentationView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    if template.timescale.is_none() {
        faults.push("no @timescale".to_owned());
    }
    let Some(ticks_per_second) = u32::try_from(template.ticks_per_second())
        .ok()
        .and_then(Timescale::new)
    else {
        faults.push("@timescale is too large".to_owned());
        return faults;
    };
    let Some(track_timescale) = view.stream.timescale() else {
        return faults;
    };
    let tolerance = |declared: u64| match template.timeline {
        Some(_) => i128::from(track_timescale != ticks_per_second),
        None => i128::from(declared / 2),
    };
    let to_template = |ticks: i128| {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        i128::from(rescale(
            ticks,
            track_timescale,
            ticks_per_second,
            Rounding::Nearest,
        ))
    };
    let mut shift = None;
    for (declared, segment) in view.times.iter().zip(&view.stream.segments) {
        let Some(real) = segment
            .facts
            .as_ref()
            .and_then(|facts| real_times(facts, &to_template))
        else {
            continue;
        };
        let tolerance = tolerance(declared.1);
        let shift = *shift.get_or_insert_with(|| {
            let mut shifts = possible_shifts(&view.stream).map(to_template).into_iter();
            shifts
                .find(|shift| agree(*declared, shifted(real, *shift), tolerance))
                .unwrap_or(0)
        });
        let (start, lasts) = shifted(real, shift);
        if !agree(*declared, (start, lasts), tolerance) {
            let (time, duration) = declared;
            faults.push(format!(
                "{} starts at tick {start} and lasts {lasts}, the MPD says {time} and {duration}",
                segment.place
            ));
        }
    }
    faults
}

/// Decode time and duration of a segment in the template's ticks.
fn real_times(facts: &SegmentFacts, to_template: &dyn Fn(i128) -> i128) -> Option<(i128, i128)> {
    let start = i128::from(facts.decode_time()?);
    Some((to_template(start), to_template(facts.duration().into())))
}

/// The timeline may count decode times, or earliest presentation times before or after the edit
/// list: which, the first segment decides.
fn possible_shifts(stream: &Stream) -> [i128; 4] {
    let first = stream
        .segments
        .iter()
        .find_map(|segment| segment.facts.as_ref());
    let edit = stream
        .track()
        .map_or(0, |track| i128::from(track.edit_start()));
    let composed = first.and_then(|facts| {
        let composed = i128::from(facts.first_presentation()?);
        Some(composed - i128::from(facts.decode_time()?))
    });
    let composed = composed.unwrap_or(0);
    [0, composed, composed - edit, -edit]
}

/// A segment moved by `shift`; what an edit list moves before 0 is not presented and does not
/// count.
fn shifted((start, lasts): (i128, i128), shift: i128) -> (i128, i128) {
    let start = start + shift;
    (start.max(0), lasts + start.min(0))
}

fn agree(declared: (u64, u64), real: (i128, i128), tolerance: i128) -> bool {
    (i128::from(declared.0) - real.0).abs() <= tolerance
        && (i128::from(declared.1) - real.1).abs() <= tolerance
}

/// D11: no SegmentList in a Period; with the on-demand profile no SegmentTemplate either (DASH-IF
/// IOP 4.3).
fn period_addressing(mpd: &Mpd) -> Vec<String> {
    let mut faults = Vec::new();
    let on_demand = mpd
        .profiles
        .iter()
        .any(|profile| profile.contains("isoff-on-demand"));
    for period in &mpd.periods {
        if period.common.has_child("SegmentList") {
            faults.push("SegmentList in a Period".to_owned());
        }
        if on_demand && period.common.has_child("SegmentTemplate") {
            faults.push("SegmentTemplate in a Period of an on-demand MPD".to_owned());
        }
    }
    faults
}

/// D13: and what it says is so.
fn video_differs(view: &RepresentationView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let representation = view.representation;
    let picture = view.stream.track().and_then(|track| track.picture());
    if let (Some((w, h)), Some(real)) = (representation.size(), picture)
        && (w, h) != (real.width, real.height)
    {
        faults.push(format!(
            "says {w}x{h}, the pictures are {}x{}",
            real.width, real.height
        ));
    }
    let declared = representation
        .frame_rate()
        .and_then(|(n, d)| (u64::from(n) * 1000 + u64::from(d) / 2).checked_div(u64::from(d)));
    if let (Some(declared), Some((real, constant))) =
        (declared, frame_rate_thousandths(&view.stream))
    {
        let allowed = match constant {
            // The one still of a short title lasts as long as that, and has no rate.
            true if view.stream.stills && has_one_frame(&view.stream) => u64::MAX,
            true => 1,
            // What is left over of a segment is no whole second of trick play.
            false if view.stream.stills => real / 2,
            false => real / 100,
        };
        if declared.abs_diff(real) > allowed {
            faults.push(format!(
                "says {declared} frames in 1000 s, there are {real}"
            ));
        }
    }
    faults
}

/// D14: and what it says is so.
fn audio_differs(view: &RepresentationView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let representation = view.representation;
    let Some(sound) = view.stream.track().and_then(|track| track.sound()) else {
        return faults;
    };
    if let Some(rate) = representation.audio_sampling_rate()
        && rate != sound.sample_rate
    {
        faults.push(format!(
            "audioSamplingRate {rate}, the sound has {}",
            sound.sample_rate
        ));
    }
    for descriptor in representation.descriptors("AudioChannelConfiguration") {
        let counted = matches!(
            descriptor.scheme.as_str(),
            "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
                | "urn:mpeg:mpegB:cicp:ChannelConfiguration"
        );
        let value = descriptor.value.as_deref().unwrap_or_default();
        let channels = value
            .trim()
            .parse()
            .ok()
            .and_then(channels_of)
            .map(u32::from);
        if counted && sound.channels > 0 && channels != Some(sound.channels) {
            faults.push(format!(
                "AudioChannelConfiguration {value:?}, the sound has {} channels",
                sound.channels
            ));
        }
    }
    faults
}

/// D16: ids are unique: of Periods, of Adaptation Sets and Representations in a Period (DASH-IF IOP
/// 4.3); every Adaptation Set has one (DASH-IF Timing).
fn ids(mpd: &Mpd) -> Vec<String> {
    let mut faults = Vec::new();
    let mut periods = BTreeSet::new();
    for period in &mpd.periods {
        if let Some(id) = period.id.as_deref()
            && !periods.insert(id)
        {
            faults.push(format!("Period id {id:?} twice"));
        }
        let (mut sets, mut representations) = (BTreeSet::new(), BTreeSet::new());
        for set in &period.adaptation_sets {
            match set.id.as_deref() {
                None => faults.push(format!("line {}: a set without id", set.common.line)),
                Some(id) if !sets.insert(id) => {
                    faults.push(format!("AdaptationSet id {id:?} twice"));
                }
                Some(_) => {}
            }
            for representation in &set.representations {
                if !representations.insert(representation.id.as_str()) {
                    faults.push(format!("Representation id {:?} twice", representation.id));
                }
            }
        }
    }
    faults
}

/// D17: delivered at `@bandwidth` from any segment on, with playback beginning after
/// `@minBufferTime` of that, every sample is there when it is decoded (ISO/IEC 23009-1 5.3.5.2).
fn stalls(mpd: &Mpd, view: &RepresentationView<'_>) -> Option<String> {
    let bandwidth = i128::from(view.representation.bandwidth_bps()?);
    let buffered = nanos(mpd.min_buffer_time?);
    let timescale = i128::from(view.stream.timescale()?.get());
    // All in bits times the track's timescale: then everything is a whole number.
    let start_credit = bandwidth * i128::from(buffered) * timescale / 1_000_000_000;
    let mut balance = 0_i128; // bits needed so far less bits delivered so far
    let mut lowest_start: Option<i128> = None;
    for segment in &view.stream.segments {
        let facts = segment.facts.as_ref()?;
        let lowest = lowest_start.map_or(balance, |lowest| lowest.min(balance));
        lowest_start = Some(lowest);
        let samples = || {
            facts
                .fragments
                .iter()
                .flat_map(|fragment| fragment.samples())
        };
        let payload: u64 = samples().map(|sample| u64::from(sample.size)).sum();
        let overhead = facts.bytes.saturating_sub(payload);
        balance += i128::from(overhead) * 8 * timescale;
        for sample in samples() {
            balance += i128::from(sample.size) * 8 * timescale;
            if balance - lowest > start_credit {
                let place = &segment.place;
                return Some(format!("at {bandwidth} b/s playback stalls in {place}"));
            }
            balance -= bandwidth * i128::from(sample.duration);
        }
    }
    None
}

/// D20: limits that DVB receivers rely on: MPD at most 256 KiB, 64 Periods, 16 sets, 16
/// Representations; segments of 1 to 15 s; frame rates that are multiples of each other (TS 103 285
/// 4.5, 11.2.2).
fn dvb_limits(view: &MpdView<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut over = |count: usize, limit: usize, what: &str| {
        if count > limit {
            faults.push(format!("{count} {what}, over {limit}"));
        }
    };
    over(view.bytes, 256 << 10, "bytes");
    over(view.mpd.periods.len(), 64, "Periods");
    for period in &view.mpd.periods {
        over(period.adaptation_sets.len(), 16, "Adaptation Sets");
        for set in &period.adaptation_sets {
            over(set.representations.len(), 16, "Representations in a set");
        }
    }
    for representation in &view.representations {
        faults.extend(segment_lengths(representation));
    }
    faults
}

fn segment_lengths(view: &RepresentationView<'_>) -> Option<String> {
    let (_, all_but_last) = view.times.split_last()?;
    let odd = |(time, duration): &&(u64, u64)| {
        let start = on_period(view.representation, *time);
        let end = on_period(view.representation, time.saturating_add(*duration));
        let length = start.zip(end).map(|(start, end)| end.saturating_sub(start));
        length.is_some_and(|length| !(1_000_000_000..=15_000_000_000).contains(&length))
    };
    let count = all_but_last.iter().filter(odd).count();
    (count > 0).then(|| {
        format!(
            "{count} segments of {} are not 1 to 15 s long",
            view.representation.id
        )
    })
}

/// C14: `@codecs` is what the init segment says.
fn codecs_differ(representation: &Representation, found: &[String]) -> Option<String> {
    let declared = representation.codecs()?;
    let same = |codec: &String| codec.eq_ignore_ascii_case(declared.trim());
    (!found.iter().all(same)).then(|| {
        format!(
            "codecs {declared:?}, the init segment says {}",
            found.join(",")
        )
    })
}

/// D24: MPEG-2 transport streams are not for DASH (DASH-IF Timing).
fn transport_stream(view: &RepresentationView<'_>) -> Option<String> {
    let declared = view.representation.mime_type() == Some("video/mp2t");
    let found = view
        .stream
        .segments
        .iter()
        .any(|segment| segment.container == Container::Ts);
    (declared || found).then(|| "segments are MPEG-2 transport streams".into())
}

/// D23: a shared CMAF set is one set of objects: every Representation names the init segment and
/// the segments that some HLS playlist names, byte for byte the same addresses.
pub(super) fn objects_differ(
    views: &[RepresentationView<'_>],
    playlists: &BTreeMap<String, Vec<String>>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let shared = |view: &&RepresentationView<'_>| {
        view.stream.medium().is_av() || stills::is_thumbnails(view.representation)
    };
    for view in views.iter().filter(shared) {
        if playlists.values().any(|objects| *objects == view.objects) {
            continue;
        }
        let id = &view.representation.id;
        let known: BTreeSet<&String> = playlists.values().flatten().collect();
        let stray = view.objects.iter().find(|object| !known.contains(object));
        faults.push(match stray {
            Some(stray) => format!("{id} names {stray}, which no HLS playlist does"),
            None => format!("{id} names other objects than each HLS playlist does"),
        });
    }
    faults
}
