//! The one place that reads the wall clock. Rules take times as values; whoever needs the time
//! asks a [`Clock`], which a test can hold still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Where the time is held by a test; `None` for the system's clock.
    held: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `millis` until it is moved.
    pub fn held_at(millis: i64) -> Self {
        Self {
            held: Some(Arc::new(AtomicI64::new(millis))),
        }
    }

    /// Moves a held clock; the system's clock goes on by itself.
    pub fn advance(&self, millis: i64) {
        if let Some(held) = &self.held {
            held.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_millis(&self) -> i64 {
        match &self.held {
            Some(held) => held.load(Ordering::Relaxed),
            None => system_millis(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clock"
)]
fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_clock_moves_only_when_told() {
        let clock = Clock::held_at(1000);
        let other = clock.clone();
        other.advance(5);
        assert_eq!(clock.now_millis(), 1005);
        assert!(Clock::system().now_millis() > 1_700_000_000_000);
    }
}
