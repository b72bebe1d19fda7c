//! Notes of damage that was met while segments were made, kept beside the plan: a later run that
//! reuses those segments says again what is wrong with them.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::layout::Key;
use crate::media::TaskSummary;
use crate::store::BlockingStore;
use crate::time::{Rounding, Ticks, Timescale};

/// What was damaged: movie time in microseconds and what the decoder said. In order of time and
/// without repeats: neighbouring tasks decode the same samples around their joins.
type Notes = BTreeSet<(i64, String)>;

/// How the notes of a task are named in the revision's private folder.
const PREFIX: &str = "damage-";

/// Notes of damage that are told one by one; a broken hour has thousands.
const WARNINGS_MAX: usize = 20;

/// Keeps what a task met while it made `track` from segment `first` (from 0) on.
///
/// # Errors
/// When the store is away or full.
pub(super) fn keep(
    store: &BlockingStore,
    revision: &str,
    track: &str,
    first: u32,
    summary: &TaskSummary,
    timescale: Timescale,
) -> Result<()> {
    if summary.damage.is_empty() {
        return Ok(());
    }
    let micros = |time| {
        Ticks::new(time, timescale)
            .to(Timescale::MICROS, Rounding::Nearest)
            .count
    };
    let notes: Notes = summary
        .damage
        .iter()
        .map(|damage| (micros(damage.time), damage.message.clone()))
        .collect();
    let json = serde_json::to_vec(&notes)
        .map_err(|e| Error::internal("writing notes of damage as JSON").with_source(e))?;
    let name = format!("{PREFIX}{track}-{first}.json");
    store.replace(
        &Key::Private {
            revision: revision.to_owned(),
            name,
        },
        Bytes::from(json),
    )
}

/// Everything kept for a revision, in words.
///
/// # Errors
/// When the store is away.
pub(super) fn told(store: &BlockingStore, revision: &str) -> Result<Vec<String>> {
    let mut notes = Notes::new();
    for object in store.list(&format!("r/{revision}"))? {
        let is_notes = |key: &str| {
            key.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(PREFIX))
        };
        if is_notes(&object.key)
            && let Some(key) = Key::parse(&object.key)
            && let Some(json) = store.read(&key)?
        {
            notes.extend(serde_json::from_slice::<Notes>(&json).unwrap_or_default());
        }
    }
    Ok(describe(notes))
}

fn describe(notes: Notes) -> Vec<String> {
    let describe = |(micros, message): (i64, String)| {
        let time = Ticks::new(micros, Timescale::MICROS);
        format!("{:.3} s: {message}", time.seconds())
    };
    let count = notes.len();
    let last = notes.iter().next_back().map(|(micros, _)| *micros);
    let mut lines: Vec<String> = notes.into_iter().take(WARNINGS_MAX).map(describe).collect();
    if let Some(more) = count.checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
        let last = Ticks::new(last.unwrap_or(0), Timescale::MICROS).seconds();
        lines.push(format!(
            "and {more} more such notes, the last at {last:.3} s"
        ));
    }
    lines
}
