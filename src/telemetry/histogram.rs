//! A histogram that is counted in without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often values lay between which bounds. Values are whole numbers of a small unit, bounds
/// are fixed; both are told in the unit that metrics are named by.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    /// One more than there are bounds: the last is for all above.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The bounds of a histogram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// Ascending, in the small unit; a value that equals a bound is below it.
    pub(super) bounds: &'static [u64],
    /// How many small units make one that is told.
    pub(super) units: u32,
}

/// Microseconds, told in seconds: from what memory answers to what a CDN gives up on.
pub(super) static SECONDS: Scale = Scale {
    bounds: &[
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
    ],
    units: 1_000_000,
};

/// Milliseconds of media in a player's buffer, told in seconds.
pub(super) static BUFFERED: Scale = Scale {
    bounds: &[
        0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000, 120_000,
    ],
    units: 1_000,
};

/// Kilobits a second.
pub(super) static KILOBITS: Scale = Scale {
    bounds: &[
        64, 128, 256, 500, 1_000, 2_000, 3_000, 4_500, 6_000, 9_000, 15_000, 25_000, 50_000,
        100_000,
    ],
    units: 1,
};

impl Default for Histogram {
    /// One for durations.
    fn default() -> Self {
        Self::seconds()
    }
}

impl Histogram {
    /// An empty one for durations; [`Self::observe`] takes microseconds, seconds are told.
    pub fn seconds() -> Self {
        Self::new(&SECONDS)
    }

    pub(super) fn new(scale: &'static Scale) -> Self {
        Self {
            scale,
            counts: (0..=scale.bounds.len())
                .map(|_| AtomicU64::new(0))
                .collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let bucket = self.scale.bounds.iter().position(|bound| value <= *bound);
        let count = &self.counts[bucket.unwrap_or(self.scale.bounds.len())];
        count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted until now.
    pub(super) fn counted(&self) -> Counted {
        let counts = self.counts.iter();
        Counted {
            scale: self.scale,
            counts: counts.map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// What a histogram had counted at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    scale: &'static Scale,
    counts: Vec<u64>,
    sum: u64,
}

impl Counted {
    /// Nothing.
    pub(super) fn none(scale: &'static Scale) -> Self {
        Self {
            scale,
            counts: vec![0; scale.bounds.len() + 1],
            sum: 0,
        }
    }

    /// Adds what another one of the same bounds has counted.
    pub(super) fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.scale, other.scale);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in the unit that is told.
    pub(super) fn sum(&self) -> f64 {
        self.told(self.sum)
    }

    /// Upper bounds in the unit that is told and the values up to each that are above the one
    /// before; the last bound is infinity.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.scale.bounds.iter().map(|bound| self.told(*bound));
        let bounds = bounds.chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of more than 2^53 microseconds may be off by some"
    )]
    fn told(&self, value: u64) -> f64 {
        value as f64 / f64::from(self.scale.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_below_the_bound_that_it_equals() {
        let histogram = Histogram::seconds();
        for micros in [50, 51, 61_000_000] {
            histogram.observe(micros);
        }
        let counted = histogram.counted();
        let buckets = counted.buckets();
        assert_eq!(buckets[0], (0.000_05, 1));
        assert_eq!(buckets[1].1, 1);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1)));
        assert_eq!(counted.count(), 3);
        assert!((counted.sum() - 61.000_101).abs() < 1e-9);
    }
}
