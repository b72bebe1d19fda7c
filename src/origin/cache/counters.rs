//! What the cache did so far, for whoever measures it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::{Histogram, Sample};

/// Counts since the cache was made; they only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Look-ups answered from what is held, without the store.
    pub hits: AtomicU64,
    /// Look-ups that began a fill.
    pub misses: AtomicU64,
    /// Look-ups that waited for a fill that another had begun.
    pub coalesced: AtomicU64,
    /// Objects answered though the store could not confirm them.
    pub stale: AtomicU64,
    /// Reads of the store: files opened, or GETs sent.
    pub store_reads: AtomicU64,
    /// Reads of the store that failed or took too long.
    pub store_errors: AtomicU64,
    /// Bytes read from the store into memory.
    pub store_bytes: AtomicU64,
    /// How long the store took to answer: until an object was opened, or a block was read.
    pub store_time: Histogram,
    /// Objects found in the disk tier.
    pub disk_hits: AtomicU64,
    /// Writes to the disk tier that failed.
    pub disk_errors: AtomicU64,
}

impl Counters {
    /// All of them for the metrics.
    pub fn samples(&self) -> Vec<Sample> {
        let looked = "Look-ups of objects by what came of them.";
        let of = |result, counter: &AtomicU64| {
            let count = counter.load(Ordering::Relaxed);
            Sample::counter("headwater_cache_lookups", looked, count).label("result", result)
        };
        let plain = |name, help, counter: &AtomicU64| {
            Sample::counter(name, help, counter.load(Ordering::Relaxed))
        };
        vec![
            of("hit", &self.hits),
            of("miss", &self.misses),
            of("coalesced", &self.coalesced),
            of("stale", &self.stale),
            of("disk", &self.disk_hits),
            plain(
                "headwater_cache_disk_errors",
                "Writes to the disk tier that failed.",
                &self.disk_errors,
            ),
            plain(
                "headwater_store_reads",
                "Reads of the store: files opened, or GETs sent.",
                &self.store_reads,
            ),
            plain(
                "headwater_store_errors",
                "Reads of the store that failed or took too long.",
                &self.store_errors,
            ),
            plain(
                "headwater_store_bytes",
                "Bytes read from the store into memory.",
                &self.store_bytes,
            ),
            Sample::histogram(
                "headwater_store_answer_seconds",
                "How long the store took to answer.",
                &self.store_time,
            ),
        ]
    }
}

pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
