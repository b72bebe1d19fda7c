//! Brings sound to the level that the plan says, frame by frame.

use super::limiter::Limiter;
use crate::media::{AudioTask, CENTI, Level};

/// Gain, and a limiter where one is needed.
pub(super) struct Leveller {
    gain: f32,
    limiter: Option<Limiter>,
    /// Frames that a limiter only starts up with, not given back.
    run_in: u32,
}

impl Leveller {
    /// `None` where a task leaves the level as it is.
    pub(super) fn open(task: &AudioTask) -> Option<Self> {
        let level = task.level?;
        let ceiling = level.ceiling_centi_dbtp.map(factor);
        Some(Self {
            gain: factor(level.gain_centi_db),
            limiter: ceiling.map(|ceiling| Limiter::new(usize::from(task.channels), ceiling)),
            run_in: Level::run_in(task.level),
        })
    }

    /// Takes the next frame; gives one that is ready.
    pub(super) fn push(&mut self, planes: &[&[f32]]) -> Option<Vec<Vec<f32>>> {
        let amplify = |plane: &&[f32]| plane.iter().map(|sample| sample * self.gain).collect();
        let planes: Vec<Vec<f32>> = planes.iter().map(amplify).collect();
        let Some(limiter) = &mut self.limiter else {
            return Some(planes);
        };
        let ready = limiter.push(&planes)?;
        match self.run_in.checked_sub(1) {
            Some(left) => {
                self.run_in = left;
                None
            }
            None => Some(ready),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "samples are of that precision"
)]
fn factor(centi_db: i32) -> f32 {
    10_f64.powf(f64::from(centi_db) / (20.0 * CENTI)) as f32
}
