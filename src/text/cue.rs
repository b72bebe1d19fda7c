//! Cues: what is shown, from when to when (WebVTT 3.1).

use std::collections::BTreeSet;

use super::{MAX_CUE_BYTES, MAX_CUES, over_limit};
use crate::error::Result;
use crate::time::{Rounding, Ticks, Timescale};

/// A piece of text with its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// Identifier, which style sheets may name; empty without one, and unique within its file.
    pub id: String,
    /// When it appears, in milliseconds from the programme's start.
    pub start_millis: u64,
    /// When it goes, likewise; after its start.
    pub end_millis: u64,
    /// WebVTT cue settings, separated by one space: `line:0 align:start`.
    pub settings: String,
    /// WebVTT cue text: lines with markup, none of them empty, and nowhere `-->`.
    pub text: String,
}

impl Cue {
    /// Bytes of all that the file said.
    fn bytes(&self) -> usize {
        self.id.len() + self.settings.len() + self.text.len()
    }
}

/// The cues of one file in the order of their starts, with what stands before them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cues {
    blocks: Vec<String>,
    cues: Vec<Cue>,
}

impl Cues {
    pub(super) fn new(blocks: Vec<String>, mut cues: Vec<Cue>) -> Self {
        cues.sort_by_key(|cue| cue.start_millis);
        forget_repeated_ids(&mut cues);
        Self { blocks, cues }
    }

    /// STYLE and REGION blocks, each with its first line, without empty lines.
    pub fn blocks(&self) -> &[String] {
        &self.blocks
    }

    /// The cues, by start.
    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// Leaves out the cues that start at `end` or later, and says how many those were.
    pub fn cut_at(&mut self, end: Ticks) -> usize {
        // A whole number is below a time exactly if it is below the time rounded up.
        let end = end.to(Timescale::MILLIS, Rounding::Ceil).count;
        let end = u64::try_from(end).unwrap_or(0);
        let kept = self.cues.partition_point(|cue| cue.start_millis < end);
        let dropped = self.cues.len() - kept;
        self.cues.truncate(kept);
        dropped
    }
}

/// An identifier that comes again is none (WebVTT 4.1 wants it unique): hls.js takes the second for
/// a repetition of the first cue and drops it.
fn forget_repeated_ids(cues: &mut [Cue]) {
    let mut seen = BTreeSet::new();
    for cue in cues {
        if !cue.id.is_empty() && !seen.insert(cue.id.clone()) {
            cue.id.clear();
        }
    }
}

/// Adds a cue that stands at `line`, within the limits.
pub(super) fn push(cues: &mut Vec<Cue>, cue: Cue, line: usize) -> Result<()> {
    if cue.bytes() > MAX_CUE_BYTES {
        let message = format!(
            "line {line}: a cue of {} bytes; the limit is {MAX_CUE_BYTES}, split it",
            cue.bytes()
        );
        return Err(over_limit(message));
    }
    if cues.len() == MAX_CUES {
        let message = format!("line {line}: more cues than the limit, {MAX_CUES}");
        return Err(over_limit(message));
    }
    cues.push(cue);
    Ok(())
}
