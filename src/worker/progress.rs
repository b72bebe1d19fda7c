//! What a task tells while it works: those who wait for a segment at once, the catalog now and then.

use std::sync::atomic::Ordering;

use super::titles::Title;
use super::{PART, Workshop};
use crate::clock::Clock;
use crate::package::{Event, Progress};
use crate::queue::demand::Wanted;
use crate::telemetry::tell_operator;

/// Milliseconds between two reports of one title's progress.
const PAUSE_MILLIS: u64 = 500;

/// Receives the events of one task.
pub(super) struct Teller<'a> {
    pub(super) workshop: &'a Workshop,
    pub(super) title: &'a Title,
    /// Whether what it stores is waited for, perhaps on another machine.
    pub(super) is_urgent: bool,
}

impl Progress for Teller<'_> {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Stored { track, number, .. } => {
                self.title.done.fetch_add(1, Ordering::Relaxed);
                self.stored(track, number);
                self.report();
            }
            Event::Retried { why } => {
                tell_operator(PART, &format!("{}: trying again: {why}", self.title.asset));
            }
            _ => {}
        }
    }
}

impl Teller<'_> {
    /// Tells those who wait that a segment is there.
    pub(super) fn stored(&self, track: &str, number: u32) {
        let wanted = Wanted {
            asset: self.title.asset.clone(),
            track: track.to_owned(),
            number,
        };
        let telling = self.workshop.shared.queue.stored(&wanted, self.is_urgent);
        if let Err(e) = self.workshop.block_on(telling) {
            // Whoever waits looks into the store a little later.
            tell_operator(PART, &format!("telling of a stored segment failed: {e}"));
        }
    }

    /// Tells the catalog, unless that was done a moment ago.
    fn report(&self) {
        let now = u64::try_from(Clock::system().now_millis()).unwrap_or(0);
        let last = self.title.reported_at.load(Ordering::Relaxed);
        if now.saturating_sub(last) < PAUSE_MILLIS {
            return;
        }
        let taken = self.title.reported_at.compare_exchange(
            last,
            now,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if taken.is_ok() {
            self.report_now();
        }
    }

    /// Tells the catalog.
    pub(super) fn report_now(&self) {
        let shared = &self.workshop.shared;
        let done = self.title.done.load(Ordering::Relaxed);
        let told = shared.catalog.progressed(&self.title.asset, done);
        if let Err(e) = shared.runtime.block_on(told) {
            tell_operator(
                PART,
                &format!("{}: noting progress failed: {e}", self.title.asset),
            );
        }
    }
}
