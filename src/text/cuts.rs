//! Where text is cut: on the media's own grid, but more seldom.

use crate::time::Timescale;

/// About how long text segments are.
///
/// Six seconds of captions are a few hundred bytes, less than the headers of the request that gets
/// them, and a title of two hours would have 1,200 such requests a viewer. Thirty seconds are what
/// players buffer ahead anyway (hls.js, by default, 30 s), so that no captions come late by it,
/// and after a seek one or two kilobytes come before the first cue. Target durations of subtitles
/// may differ from those of audio and video in VOD (rule H10).
pub const SEGMENT_SECONDS: u32 = 30;

/// Merges the media's segments, given by their lengths in ticks, into text segments: cut at the
/// border nearest to each multiple of [`SEGMENT_SECONDS`]. The sum stays the same.
pub fn merge(durations: &[u64], timescale: Timescale) -> Vec<u64> {
    let nominal = u128::from(SEGMENT_SECONDS) * u128::from(timescale.get());
    let mut merged = Vec::new();
    let (mut border, mut open, mut last_multiple) = (0_u128, 0_u64, 0_u128);
    let mut rest = durations.iter().copied().peekable();
    while let Some(duration) = rest.next() {
        border = border.saturating_add(u128::from(duration));
        open = open.saturating_add(duration);
        let Some(next) = rest.peek() else { break };
        let next_border = border.saturating_add(u128::from(*next));
        let multiple = border.saturating_add(nominal / 2) / nominal;
        let from_multiple = |border: u128| border.abs_diff(multiple.saturating_mul(nominal));
        let is_nearest = from_multiple(border) <= from_multiple(next_border);
        if multiple > last_multiple && is_nearest {
            merged.push(open);
            (open, last_multiple) = (0, multiple);
        }
    }
    merged.extend((open > 0).then_some(open));
    merged
}
