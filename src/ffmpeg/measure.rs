//! A measure task: decode a stretch of sound and tell how loud it is, in each of the ways that it
//! will be heard. Nothing is encoded.

use super::audio::{Voice, decode};
use crate::error::{Error, Result};
use crate::media::{LoudnessPart, MeasureTask, TaskFiles, TaskOutput};

/// Does a measure task.
pub(super) fn run(
    task: &MeasureTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<Vec<LoudnessPart>> {
    let mut voices = Vec::new();
    for sound in &task.sounds {
        voices.push(Voice::open(sound, output)?);
    }
    let Some(first) = task.sounds.first() else {
        return Err(Error::internal("the measure task asks for nothing"));
    };
    if !task.samples.is_empty() {
        decode(first, &task.samples, files, output, &mut voices)?;
    }
    let parts = voices.into_iter().map(|voice| Ok(voice.finish()?.1));
    parts.collect()
}
