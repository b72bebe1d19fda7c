//! Counters in several copies, so that threads that count at the same time don't wait for each
//! other's cache lines.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many copies there are: enough for the threads of a large machine, two or three to one.
const COPIES: usize = 16;

/// Copies of `T`; each thread keeps to one of them.
#[derive(Debug)]
pub(super) struct Shards<T>(Box<[Apart<T>]>);

/// Keeps copies off each other's cache lines, which processors fetch in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % COPIES);
}

impl<T> Shards<T> {
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        Self((0..COPIES).map(|_| Apart(make())).collect())
    }

    /// The copy of this thread.
    pub(super) fn mine(&self) -> &T {
        // A thread that is ending has no number any more.
        let mine = MINE.try_with(Cell::get).unwrap_or(0);
        &self.0[mine].0
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}
