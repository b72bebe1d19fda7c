//! How many tasks run at a time, in however many runs share the number.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::check_stop;
use crate::error::Result;

/// How often who waits looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(200);

/// So many places, for the tasks of several runs. Of those that wait the run that began first goes
/// first, so that titles are finished one after the other.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Who waits: the run's rank, and when it came.
    waiting: BTreeSet<(u64, u64)>,
    /// How many came so far.
    came: u64,
}

/// A place taken; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot<'a>(&'a Shared);

/// The places as one run sees them.
#[derive(Debug, Clone)]
pub struct Turn {
    slots: Slots,
    rank: u64,
}

impl Slots {
    /// `count` places.
    pub fn new(count: NonZeroUsize) -> Self {
        let state = State {
            free: count.get(),
            waiting: BTreeSet::new(),
            came: 0,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }))
    }

    /// For the run of that rank: of two that wait the lower goes first.
    #[must_use]
    pub fn turn(&self, rank: u64) -> Turn {
        Turn {
            slots: self.clone(),
            rank,
        }
    }
}

impl Turn {
    /// Waits for a place.
    ///
    /// # Errors
    /// When `stop` is raised meanwhile.
    pub(super) fn enter(&self, stop: &AtomicBool) -> Result<Slot<'_>> {
        let shared = &*self.slots.0;
        let mut state = shared.lock();
        let me = (self.rank, state.came);
        state.came += 1;
        state.waiting.insert(me);
        loop {
            if let Err(stopped) = check_stop(stop) {
                state.waiting.remove(&me);
                shared.changed.notify_all();
                return Err(stopped);
            }
            if state.free > 0 && state.waiting.first() == Some(&me) {
                state.free -= 1;
                state.waiting.remove(&me);
                // Another may be free for the next.
                shared.changed.notify_all();
                return Ok(Slot(shared));
            }
            let waited = shared.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_run_than_there_are_places() {
        let slots = Slots::new(NonZeroUsize::new(2).unwrap());
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for rank in 0..8 {
                let (turn, running, most) = (slots.turn(rank % 3), &running, &most);
                scope.spawn(move || {
                    let _slot = turn.enter(&AtomicBool::new(false)).unwrap();
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    running.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn the_run_that_began_first_goes_first() {
        let slots = Slots::new(NonZeroUsize::MIN);
        let never = AtomicBool::new(false);
        let last = slots.turn(9);
        let held = last.enter(&never).unwrap();
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for rank in [3, 1, 2] {
                let (turn, order, never) = (slots.turn(rank), &order, &never);
                scope.spawn(move || {
                    let _slot = turn.enter(never).unwrap();
                    order.lock().unwrap().push(rank);
                });
            }
            while slots.0.lock().waiting.len() < 3 {
                std::thread::yield_now();
            }
            drop(held);
        });
        assert_eq!(order.into_inner().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn who_is_stopped_waits_no_longer() {
        let slots = Slots::new(NonZeroUsize::MIN);
        let first = slots.turn(0);
        let _held = first.enter(&AtomicBool::new(false)).unwrap();
        assert!(slots.turn(1).enter(&AtomicBool::new(true)).is_err());
        assert!(slots.0.lock().waiting.is_empty());
    }
}
