//! Cues to WebVTT: whole, and in segments.

use std::ops::Range;

use super::cue::{Cue, Cues};
use super::timing::{ARROW, write_time};
use super::{MAX_SEGMENTS_BYTES, over_limit};
use crate::error::Result;
use crate::time::{Rounding, Ticks, Timescale};

/// The header line that ties cue times to media times (RFC 8216bis 3.1.4): cue time 0 is media
/// time 0 in every segment, because the media of a presentation starts at 0 once the edit lists
/// have taken off reordering delay and priming.
pub const TIMESTAMP_MAP: &str = "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000";

/// The whole text in one file: times from the programme's start, no timestamp map.
pub fn write(cues: &Cues) -> String {
    let mut text = String::from("WEBVTT\n\n");
    push_blocks(&mut text, cues);
    for cue in cues.cues() {
        push_cue(&mut text, cue);
    }
    text
}

/// The text in segments: the first from 0 to `ends[0]`, each other one from the end of the one
/// before. `ends` rise.
///
/// A cue stands whole in each segment that it is shown in, and times count from the programme's
/// start in all of them (RFC 8216bis 3.1.4): players tell repetitions by that.
///
/// # Errors
/// `Invalid` when all segments together would be larger than [`MAX_SEGMENTS_BYTES`].
pub fn segments(cues: &Cues, ends: &[Ticks]) -> Result<Vec<String>> {
    let mut start = format!("WEBVTT\n{TIMESTAMP_MAP}\n\n");
    push_blocks(&mut start, cues);
    let mut bytes = start.len().saturating_mul(ends.len());
    refuse_too_much(bytes)?;
    let mut segments = vec![start; ends.len()];
    for cue in cues.cues() {
        let mut text = String::new();
        push_cue(&mut text, cue);
        let shown_in = segments.get_mut(shown_in(cue, ends)).unwrap_or_default();
        bytes = bytes.saturating_add(text.len().saturating_mul(shown_in.len()));
        refuse_too_much(bytes)?;
        for segment in shown_in {
            segment.push_str(&text);
        }
    }
    Ok(segments)
}

fn refuse_too_much(bytes: usize) -> Result<()> {
    if bytes <= MAX_SEGMENTS_BYTES {
        return Ok(());
    }
    Err(over_limit(format!(
        "the captions make more than {MAX_SEGMENTS_BYTES} bytes of segments; \
         shorten the style sheet or the cues that stay for long"
    )))
}

/// The segments in which a cue is shown: those that start before its end and end after its start.
fn shown_in(cue: &Cue, ends: &[Ticks]) -> Range<usize> {
    let millis = |end: &Ticks, rounding| {
        let count = end.to(Timescale::MILLIS, rounding).count;
        u64::try_from(count).unwrap_or(0)
    };
    // For whole milliseconds m: a cut is after m exactly if it is, rounded up; and before m if it
    // is, rounded down.
    let first = ends.partition_point(|end| millis(end, Rounding::Ceil) <= cue.start_millis);
    let begun = ends.partition_point(|end| millis(end, Rounding::Floor) < cue.end_millis);
    first..begun.saturating_add(1).min(ends.len()).max(first)
}

/// Every block is followed by an empty line, the last one, too: FFmpeg reads the segments of a
/// playlist as one file, and would take the next one's header for more text of the last cue.
fn push_blocks(text: &mut String, cues: &Cues) {
    for block in cues.blocks() {
        text.push_str(block);
        text.push_str("\n\n");
    }
}

fn push_cue(text: &mut String, cue: &Cue) {
    if !cue.id.is_empty() {
        text.push_str(&cue.id);
        text.push('\n');
    }
    write_time(text, cue.start_millis);
    text.push(' ');
    text.push_str(ARROW);
    text.push(' ');
    write_time(text, cue.end_millis);
    if !cue.settings.is_empty() {
        text.push(' ');
        text.push_str(&cue.settings);
    }
    text.push('\n');
    text.push_str(&cue.text);
    text.push_str("\n\n");
}
