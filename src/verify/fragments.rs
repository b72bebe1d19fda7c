//! CMAF fragments: each segment, and the run of them (ISO/IEC 23000-19 section 7.3.2 and 7.3.3).

use super::facts::{FragmentFacts, IndexFacts, InitFacts, SampleFacts, SegmentFacts, TrafFacts};
use super::report::Sheet;
use crate::cmaf::boxes::FourCc;
use crate::time::{Ticks, Timescale};

/// The segments of one track with their names, in order.
pub(super) struct TrackRun<'a> {
    /// Name of the whole for findings.
    pub(super) place: &'a str,
    pub(super) init: &'a InitFacts,
    /// Whether it is of stills, which are as large as they are.
    pub(super) stills: bool,
    /// Name and facts of each segment; a gap where one could not be read.
    pub(super) segments: Vec<(&'a str, Option<&'a SegmentFacts>)>,
}

/// Judges the fragments of a track by every rule that needs nothing but them and their init
/// segment.
pub(super) fn judge(sheet: &mut Sheet, run: &TrackRun<'_>) {
    let video = is_video(run.init);
    for (place, segment) in &run.segments {
        let Some(segment) = segment else { continue };
        judge_segment(sheet, place, run.init, segment, video);
    }
    judge_continuity(sheet, run);
    if !run.stills {
        sheet.judge("C15", run.place, uneven_rate(run));
    }
}

fn judge_segment(
    sheet: &mut Sheet,
    place: &str,
    init: &InitFacts,
    segment: &SegmentFacts,
    video: bool,
) {
    sheet.judge("C13", place, segment_structure(segment));
    for fragment in &segment.fragments {
        sheet.judge("C03", place, one_of_each(fragment, init));
        sheet.judge("C04", place, data_placed(fragment));
        sheet.judge("C05", place, sync_flags(fragment, video, entry_kind(init)));
        sheet.judge("C07", place, edits_or_offsets(fragment, init));
        sheet.judge("C12", place, mixed_encryption(fragment, init));
        let sets: &[u8] = match &entry_kind(init) {
            b"avc1" => &[7, 8],
            b"hvc1" => &[32, 33, 34],
            _ => &[],
        };
        if !sets.is_empty() {
            sheet.judge("C06", place, parameter_sets_in_band(fragment, sets));
        }
    }
    for index in &segment.indexes {
        sheet.judge("C11", place, index_exact(index, segment, init));
    }
    if video && shows_idr(init) {
        sheet.judge("H15", place, starts_with_idr(segment, entry_kind(init)));
    }
    if video {
        sheet.advise("H15", place, sync_distance(segment, init));
    }
}

fn is_video(init: &InitFacts) -> bool {
    init.track()
        .is_some_and(|track| track.handler == Some(FourCc(*b"vide")))
}

fn entry_kind(init: &InitFacts) -> [u8; 4] {
    let entry = init.track().and_then(|track| track.entry());
    entry.map_or(*b"none", |entry| entry.kind.0)
}

/// Whether samples of the track show what they are.
fn shows_idr(init: &InitFacts) -> bool {
    matches!(
        &entry_kind(init),
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"av01"
    )
}

/// C13: init and fragments one after the other are a valid file: only whole boxes of known place,
/// each `moof` followed by its `mdat` (ISO/IEC 14496-12 8.8.1; ISO/IEC 23000-19 7.3.2.2).
fn segment_structure(segment: &SegmentFacts) -> Vec<String> {
    let mut faults = segment.trouble.clone();
    if segment.fragments.is_empty() {
        faults.push("no moof".into());
    }
    if segment
        .fragments
        .iter()
        .any(|fragment| fragment.mdat.is_none())
    {
        faults.push("a moof without mdat after it".into());
    }
    for stray in [b"ftyp", b"moov"] {
        if segment.top_level.contains(&FourCc(*stray)) {
            faults.push(format!("holds {}", FourCc(*stray)));
        }
    }
    faults
}

/// C03: one `moof` has one `traf`, for the init segment's track, with one `trun` (ISO/IEC 23000-19
/// 7.3.2.3).
fn one_of_each(fragment: &FragmentFacts, init: &InitFacts) -> Vec<String> {
    let mut faults = Vec::new();
    if fragment.trafs.len() != 1 {
        faults.push(format!("{} traf boxes in a moof", fragment.trafs.len()));
    }
    for traf in &fragment.trafs {
        if traf.runs.len() != 1 {
            faults.push(format!("{} trun boxes in a traf", traf.runs.len()));
        }
        let id = traf.track_id;
        if !init.tracks.iter().any(|track| track.id == id) {
            faults.push(format!("the init segment has no track {id}"));
        }
    }
    if fragment.samples().next().is_none() {
        faults.push("no samples".into());
    }
    faults
}

/// C04: `tfdt` in every `traf`; `tfhd` with default-base-is-moof and without a base offset; every
/// sample inside the fragment's own `mdat` (ISO/IEC 23000-19 7.3.2.3).
fn data_placed(fragment: &FragmentFacts) -> Vec<String> {
    let mut faults = Vec::new();
    for traf in &fragment.trafs {
        if traf.decode_time.is_none() {
            faults.push("no tfdt in the traf".into());
        }
        if !traf.default_base_is_moof || traf.base_data_offset {
            faults.push("tfhd doesn't say default-base-is-moof, or has a base of its own".into());
        } else {
            faults.extend(samples_in_mdat(fragment, traf));
        }
    }
    faults
}

fn samples_in_mdat(fragment: &FragmentFacts, traf: &TrafFacts) -> Option<String> {
    let (first, end) = fragment.mdat?;
    let mut at = fragment.moof_at;
    for run in &traf.runs {
        if let Some(offset) = run.data_offset {
            at = fragment.moof_at.checked_add_signed(offset).unwrap_or(0);
        }
        let bytes: u64 = run.samples.iter().map(|s| u64::from(s.size)).sum();
        let run_end = at.saturating_add(bytes);
        if at < first || run_end > end {
            return Some(format!(
                "samples at bytes {at} to {run_end}, but the mdat holds {first} to {end}"
            ));
        }
        at = run_end;
    }
    None
}

/// C05: a fragment starts with a stream access point of type 1 or 2, and the sync flag stands only
/// where one is (ISO/IEC 23000-19 7.3.2.4).
fn sync_flags(fragment: &FragmentFacts, video: bool, entry: [u8; 4]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut samples = fragment.samples().copied();
    if samples.next().is_some_and(|first| !first.is_sync()) {
        faults.push("the first sample is not flagged as a sync sample".into());
    }
    if !video && samples.any(|sample| !sample.is_sync()) {
        faults.push("a sound sample is flagged as no sync sample".into());
    }
    for (index, (sample, units)) in fragment.samples().zip(&fragment.units).enumerate() {
        match idr(units, entry) {
            Some(false) if sample.is_sync() => {
                faults.push(format!(
                    "sample {index} is flagged sync but is no IDR picture"
                ));
            }
            Some(true) if !sample.is_sync() => {
                faults.push(format!(
                    "sample {index} is an IDR picture but not flagged sync"
                ));
            }
            _ => {}
        }
    }
    faults
}

/// Whether a sample of a track with this sample entry is an IDR picture, or a key frame, by the
/// first slice among its NAL unit types (ISO/IEC 14496-10 table 7-1; Rec. ITU-T H.265 table 7-1);
/// `None` when no slice was seen.
fn idr(units: &[u8], entry: [u8; 4]) -> Option<bool> {
    match &entry {
        b"hvc1" | b"hev1" => {
            let slice = units.iter().find(|kind| **kind < 32)?;
            Some(matches!(slice, 19 | 20))
        }
        b"av01" => units.first().map(|key| *key == 1),
        _ => {
            let slice = units.iter().find(|kind| matches!(kind, 1..=5))?;
            Some(*slice == 5)
        }
    }
}

/// H15: every video segment starts with an IDR picture (Apple HLS Authoring 7.4).
pub(super) fn starts_with_idr(segment: &SegmentFacts, entry: [u8; 4]) -> Option<String> {
    let units = segment.fragments.first()?.units.first()?;
    match idr(units, entry) {
        Some(true) => None,
        Some(false) => Some("the first picture is not an IDR picture".into()),
        None => Some("no picture slice at the start of the first sample".into()),
    }
}

/// H15, advice: an IDR picture every 2 s (Apple HLS Authoring 1.13); 0.1 s is allowed for rates
/// where 2 s is no whole number of frames.
fn sync_distance(segment: &SegmentFacts, init: &InitFacts) -> Option<String> {
    let timescale = init.track()?.timescale?;
    let limit = u64::from(timescale.get()) * 21 / 10;
    let mut since = 0_u64;
    let mut longest = 0_u64;
    for sample in segment.fragments.iter().flat_map(FragmentFacts::samples) {
        since = if sample.is_sync() { 0 } else { since };
        since = since.saturating_add(u64::from(sample.duration));
        longest = longest.max(since);
    }
    (longest > limit).then(|| format!("{} s between IDR pictures", seconds(longest, timescale)))
}

fn seconds(ticks: u64, timescale: Timescale) -> Ticks {
    Ticks::new(i64::try_from(ticks).unwrap_or(i64::MAX), timescale)
}

/// C06: with `avc1` and `hvc1` all parameter sets are in the init segment, none among the samples (ISO/IEC
/// 14496-15 5.3.3).
fn parameter_sets_in_band(fragment: &FragmentFacts, sets: &[u8]) -> Option<String> {
    let found = fragment
        .units
        .iter()
        .flatten()
        .any(|kind| sets.contains(kind));
    found.then(|| "avc1 or hvc1, but a sample holds a parameter set".into())
}

/// C07: composition either by edit list or by negative offsets (`trun` version 1), never both; with
/// `cmf2` video only the latter (ISO/IEC 23000-19 7.7, 9.2.1).
fn edits_or_offsets(fragment: &FragmentFacts, init: &InitFacts) -> Vec<String> {
    let mut faults = Vec::new();
    let has_edits = init.track().is_some_and(|track| track.edits.is_some());
    let runs = || fragment.trafs.iter().flat_map(|traf| &traf.runs);
    if has_edits && runs().any(|run| run.version > 0) {
        faults.push("an edit list together with trun version 1".into());
    }
    if init.brands.contains(&FourCc(*b"cmf2")) && is_video(init) {
        if has_edits {
            faults.push("an edit list in a cmf2 video track".into());
        }
        if runs().any(|run| run.version == 0) {
            faults.push("trun version 0 in a cmf2 video track".into());
        }
    }
    faults
}

/// C12: the samples of a fragment are all encrypted or all clear, and encrypted only where the
/// sample entry says so (ISO/IEC 23000-19 8.2).
fn mixed_encryption(fragment: &FragmentFacts, init: &InitFacts) -> Option<String> {
    let protected = matches!(&entry_kind(init), b"encv" | b"enca");
    let samples = fragment.samples().count();
    let covered = fragment.traf()?.encrypted_samples;
    match covered {
        None => None,
        Some(_) if !protected => Some("senc in a track whose sample entry is clear".into()),
        Some(n) if usize::try_from(n) != Ok(samples) => {
            Some(format!("senc covers {n} of {samples} samples"))
        }
        Some(_) => None,
    }
}

/// C11: the references of `sidx` have exactly the sizes and durations of what they refer to, and
/// say that each starts with an access point (ISO/IEC 23000-19 7.3.3.3; ISO/IEC 14496-12 8.16.3).
fn index_exact(index: &IndexFacts, segment: &SegmentFacts, init: &InitFacts) -> Vec<String> {
    let mut faults = Vec::new();
    let timescale = init.track().and_then(|track| track.timescale);
    if timescale.is_some_and(|ts| ts.get() != index.timescale) {
        faults.push(format!(
            "sidx timescale {} is not the track's",
            index.timescale
        ));
    }
    let mut at = index.anchor;
    for (n, reference) in index.references.iter().enumerate() {
        let end = at.saturating_add(u64::from(reference.size));
        if !reference.to_index
            && (!reference.starts_with_sap || !matches!(reference.sap_type, 1 | 2))
        {
            faults.push(format!("reference {n} doesn't start with an access point"));
        }
        if end > segment.bytes {
            faults.push(format!(
                "reference {n} ends at byte {end} of {}",
                segment.bytes
            ));
            break;
        }
        faults.extend(reference_duration(
            segment,
            (at, end),
            n,
            u64::from(reference.duration),
        ));
        at = end;
    }
    faults
}

fn reference_duration(
    segment: &SegmentFacts,
    (start, end): (u64, u64),
    n: usize,
    declared: u64,
) -> Option<String> {
    let inside = |fragment: &&FragmentFacts| (start..end).contains(&fragment.moof_at);
    let fragments: Vec<_> = segment.fragments.iter().filter(inside).collect();
    if fragments.is_empty() {
        return None; // heads were read of another range only
    }
    let actual: u64 = fragments.iter().map(|fragment| fragment.duration()).sum();
    (actual != declared)
        .then(|| format!("reference {n} says {declared} ticks, its samples last {actual}"))
}

/// C04, H14, C13: decode times and sequence numbers over the whole run.
fn judge_continuity(sheet: &mut Sheet, run: &TrackRun<'_>) {
    let mut expected: Option<u64> = None;
    let mut sequence: Option<u32> = None;
    for (place, segment) in &run.segments {
        let Some(segment) = segment else {
            expected = None;
            continue;
        };
        for fragment in &segment.fragments {
            let found = fragment.traf().and_then(|traf| traf.decode_time);
            let fault = decode_time_jump(expected, found);
            sheet.judge("C04", place, fault.clone());
            sheet.judge("H14", place, fault);
            sheet.judge("C13", place, sequence_falls(sequence, fragment.sequence));
            sequence = fragment.sequence.or(sequence);
            expected = found.map(|at| at.saturating_add(fragment.duration()));
        }
    }
}

/// C04 and H14: `tfdt` of a fragment is the one before it plus the durations of that one's samples
/// (ISO/IEC 23000-19 7.3.2.2; Apple HLS Authoring 7.1, 7.3).
fn decode_time_jump(expected: Option<u64>, found: Option<u64>) -> Option<String> {
    let (expected, found) = (expected?, found?);
    (expected != found)
        .then(|| format!("tfdt is {found}, but the fragments before it end at {expected}"))
}

/// C13: `mfhd` sequence numbers increase (ISO/IEC 14496-12 8.8.5).
fn sequence_falls(before: Option<u32>, now: Option<u32>) -> Option<String> {
    match (before, now) {
        (_, None) => Some("no mfhd".into()),
        (Some(before), Some(now)) if now <= before => {
            Some(format!("mfhd sequence number {now} after {before}"))
        }
        _ => None,
    }
}

/// C15: the average rate of each fragment is within 10% of the track's (CTA-5005-A 4.1.2). Content
/// of varying difficulty breaks this by design; one line says how far.
fn uneven_rate(run: &TrackRun<'_>) -> Option<String> {
    let fragments: Vec<(u64, u64)> = run
        .segments
        .iter()
        .filter_map(|(_, segment)| *segment)
        .flat_map(|segment| &segment.fragments)
        .map(|fragment| (sample_bytes(fragment.samples()), fragment.duration()))
        .collect();
    let bytes: u64 = fragments.iter().map(|(bytes, _)| bytes).sum();
    let ticks: u64 = fragments.iter().map(|(_, ticks)| ticks).sum();
    let percents: Vec<u64> = fragments
        .iter()
        .filter_map(|(b, t)| percent_of(*b, *t, bytes, ticks))
        .collect();
    let (low, high) = (percents.iter().min()?, percents.iter().max()?);
    let apart = percents.iter().filter(|p| !(90..=110).contains(*p)).count();
    let total = percents.len();
    (apart > 0).then(|| {
        format!("{apart} of {total} fragments are between {low}% and {high}% of the average rate")
    })
}

fn sample_bytes<'a>(samples: impl Iterator<Item = &'a SampleFacts>) -> u64 {
    samples.map(|sample| u64::from(sample.size)).sum()
}

/// Rate `bytes / ticks` in percent of the rate `all_bytes / all_ticks`.
fn percent_of(bytes: u64, ticks: u64, all_bytes: u64, all_ticks: u64) -> Option<u64> {
    let numerator = u128::from(bytes) * u128::from(all_ticks) * 100;
    let denominator = u128::from(ticks) * u128::from(all_bytes);
    u64::try_from(numerator.checked_div(denominator)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::facts::RunFacts;
    use super::*;

    fn fragment(offset: i64, sizes: &[u32]) -> FragmentFacts {
        let samples = sizes
            .iter()
            .map(|size| SampleFacts {
                size: *size,
                duration: 1,
                ..SampleFacts::default()
            })
            .collect();
        let run = RunFacts {
            data_offset: Some(offset),
            samples,
            ..RunFacts::default()
        };
        FragmentFacts {
            moof_at: 24,
            mdat: Some((132, 142)),
            trafs: vec![TrafFacts {
                default_base_is_moof: true,
                decode_time: Some(0),
                runs: vec![run],
                ..TrafFacts::default()
            }],
            ..FragmentFacts::default()
        }
    }

    #[test]
    fn samples_must_lie_in_their_own_mdat() {
        assert_eq!(data_placed(&fragment(108, &[4, 6])), Vec::<String>::new());
        for broken in [
            fragment(107, &[4, 6]),
            fragment(109, &[4, 6]),
            fragment(-25, &[1]),
        ] {
            assert_eq!(data_placed(&broken).len(), 1);
        }
    }

    #[test]
    fn the_first_slice_decides_about_idr() {
        assert_eq!(idr(&[9, 6, 5], *b"avc1"), Some(true));
        assert_eq!(idr(&[9, 6, 1], *b"avc1"), Some(false));
        assert_eq!(idr(&[9, 6], *b"avc1"), None);
        assert_eq!(idr(&[39, 19], *b"hvc1"), Some(true));
        assert_eq!(idr(&[39, 21], *b"hvc1"), Some(false));
        assert_eq!(idr(&[1], *b"av01"), Some(true));
        assert_eq!(idr(&[0], *b"av01"), Some(false));
    }

    #[test]
    fn rates_are_compared_with_the_average() {
        assert_eq!(percent_of(100, 10, 1000, 100), Some(100));
        assert_eq!(percent_of(150, 10, 1000, 100), Some(150));
        assert_eq!(percent_of(150, 0, 1000, 100), None);
    }
}
