//! Progress for people: bars on a terminal, plain lines elsewhere. All on stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

use super::say;
use crate::package::{Event, Progress};

/// Between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows a run's progress.
pub(super) struct Shown {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    started: Instant,
    last_line: Instant,
    segments: u64,
    stored: u64,
    stored_before: u64,
    bytes: u64,
    seconds: f64,
    renditions: usize,
}

impl Shown {
    /// A bar if stderr is a terminal, lines if not.
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let now = Instant::now();
        let state = State {
            started: now,
            last_line: now,
            segments: 0,
            stored: 0,
            stored_before: 0,
            bytes: 0,
            seconds: 0.0,
            renditions: 0,
        };
        Self {
            bar,
            state: Mutex::new(state),
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl State {
    /// How many times faster than playback the segments of this run were made.
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    fn speed(&self) -> f64 {
        let made = (self.stored - self.stored_before) as f64;
        let share = made / self.segments.max(1) as f64;
        share * self.seconds / self.started.elapsed().as_secs_f64().max(0.001)
    }

    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    fn left(&self) -> Option<Duration> {
        let made = self.stored - self.stored_before;
        let left = self.segments.saturating_sub(self.stored);
        if left == 0 {
            return None;
        }
        let each = self.started.elapsed().as_secs_f64() / made as f64;
        Duration::try_from_secs_f64(each * left as f64).ok()
    }

    fn line(&self) -> String {
        let left = self
            .left()
            .map(|left| format!(", about {} left", HumanDuration(left)));
        format!(
            "{} of {} segments stored, {}, {:.1}x{}",
            self.stored,
            self.segments,
            HumanBytes(self.bytes),
            self.speed(),
            left.unwrap_or_default()
        )
    }
}

impl Progress for Shown {
    fn event(&self, event: Event<'_>) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        match event {
            Event::Reading { done, total } => {
                if let Some(bar) = &self.bar {
                    bar.set_style(style("reading  {wide_bar} {bytes} of {total_bytes}"));
                    bar.set_length(total);
                    bar.set_position(done);
                }
            }
            Event::Planned {
                segments,
                stored,
                seconds,
                renditions,
            } => {
                state.started = Instant::now();
                (state.segments, state.stored, state.stored_before) = (segments, stored, stored);
                (state.seconds, state.renditions) = (seconds, renditions);
                match &self.bar {
                    Some(bar) => {
                        bar.reset();
                        bar.set_style(style("packaging  {wide_bar} {pos}/{len} segments  {msg}"));
                        bar.set_length(segments);
                        bar.set_position(stored);
                    }
                    None => {
                        let before = match stored {
                            0 => String::new(),
                            n => format!(", {n} of them stored by an earlier run"),
                        };
                        say(&format!(
                            "{seconds:.1} s, {renditions} renditions, {segments} segments{before}"
                        ));
                    }
                }
            }
            Event::Stored { bytes, .. } => {
                state.stored += 1;
                state.bytes += bytes;
                match &self.bar {
                    Some(bar) => {
                        bar.set_position(state.stored);
                        let left = state.left().map_or(String::new(), |left| {
                            format!(", {} left", HumanDuration(left))
                        });
                        bar.set_message(format!("{:.1}x{left}", state.speed()));
                    }
                    None if state.last_line.elapsed() >= LINE_INTERVAL => {
                        state.last_line = Instant::now();
                        say(&state.line());
                    }
                    None => {}
                }
            }
            Event::Verifying => match &self.bar {
                Some(bar) => bar.set_message("checking every rule"),
                None => say(&format!("{}; checking every rule", state.line())),
            },
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
