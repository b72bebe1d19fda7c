//! What a run tells while it goes on. How it is shown is the caller's matter.

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The source is being read for its digest: bytes so far, bytes in all.
    Reading {
        /// Bytes read.
        done: u64,
        /// Length of the source.
        total: u64,
    },
    /// The plan is made.
    Planned {
        /// Segments in all renditions.
        segments: u64,
        /// Of these, stored by an earlier run.
        stored: u64,
        /// Length of the presentation in seconds.
        seconds: f64,
        /// Renditions.
        renditions: usize,
    },
    /// A segment was stored.
    Stored {
        /// Its track.
        track: &'a str,
        /// Its number, from 1.
        number: u32,
        /// Its size.
        bytes: u64,
    },
    /// A task failed and is tried once more.
    Retried {
        /// What went wrong the first time.
        why: &'a str,
    },
    /// All is stored; the rules are being checked.
    Verifying,
}

/// Receives events from all of a run's threads.
pub trait Progress: Sync {
    /// Called as things happen; must return quickly.
    fn event(&self, event: Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
