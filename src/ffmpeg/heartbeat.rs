//! Tells the parent, now and then, that work goes on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::media::TaskOutput;

/// How often the parent hears from a working child.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts steps of work, of any thread, and reports at most once an interval.
pub(super) struct Heartbeat<'a> {
    output: &'a dyn TaskOutput,
    /// Steps so far, and when they were reported last. Shared by the encoders' threads, because
    /// any of them may be the only one that moves.
    state: Mutex<(u64, Instant)>,
}

impl<'a> Heartbeat<'a> {
    pub(super) fn new(output: &'a dyn TaskOutput) -> Self {
        Self {
            output,
            state: Mutex::new((0, Instant::now())),
        }
    }

    /// One step was done.
    pub(super) fn beat(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if state.1.elapsed() < INTERVAL {
            return Ok(());
        }
        state.1 = Instant::now();
        self.output.progress(state.0)
    }
}
