//! Which stretches of a source to fetch for a set of samples: a pure rule.

use std::ops::Range;

use crate::media::{Home, Place};

/// Gaps up to this are read through: a request costs about as long as so many bytes.
pub(super) const GAP: u64 = 256 << 10;
/// A gap between first bytes of samples that are read apart from what lies between them.
pub(super) const NARROW_GAP: u64 = 16 << 10;
/// Stretches of one set of samples, at most: where there would be more, more is read through.
const MOST: usize = 1 << 14;
/// The largest request. Longer stretches are fetched in several, at once.
const REQUEST: u64 = 8 << 20;

/// The stretches of a source of `size` bytes that hold the samples at `places`, in order, none
/// touching another but where one was longer than a request; none longer than that. What lies in
/// the spool is not in the source, and what lies behind the end is nowhere.
pub(super) fn stretches(
    places: impl IntoIterator<Item = Place>,
    size: u64,
    gap: u64,
) -> Vec<Range<u64>> {
    let of_source = |place: Place| {
        let end = place.offset.saturating_add(u64::from(place.size)).min(size);
        (place.home == Home::Source && place.offset < end).then_some(place.offset..end)
    };
    let mut ranges: Vec<Range<u64>> = places.into_iter().filter_map(of_source).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut gap = gap;
    let mut merged = merge(&ranges, gap);
    while merged.len() > MOST {
        gap = gap.saturating_mul(2).max(1);
        merged = merge(&merged, gap);
    }
    merged.into_iter().flat_map(requests).collect()
}

/// Makes one of ranges that overlap, or have a gap of at most `gap` between them. They come in order
/// of their starts.
fn merge(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range.clone()),
        }
    }
    merged
}

/// A long stretch in pieces of a request each.
pub(super) fn requests(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let count = (range.end - range.start).div_ceil(REQUEST);
    (0..count).map(move |n| {
        let start = range.start + n * REQUEST;
        start..range.end.min(start + REQUEST)
    })
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is what is meant"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(offset: u64, size: u32) -> Place {
        Place {
            home: Home::Source,
            offset,
            size,
        }
    }

    #[test]
    fn neighbours_are_read_together_and_what_is_far_apart_is_not() {
        let places = [
            place(5000, 10),
            place(0, 1000),
            place(GAP + 5010, 5),
            place(900_000, 5),
        ];
        assert_eq!(
            stretches(places, 1_000_000, GAP),
            [0..GAP + 5015, 900_000..900_005]
        );
        assert_eq!(stretches(places, 1_000_000, 0).len(), 4);
    }

    #[test]
    fn there_are_never_very_many() {
        let places = (0..1_000_000).map(|n| place(n * 40_000, 4096));
        let got = stretches(places, 40_000_000_000, NARROW_GAP);
        assert!(got.len() <= 2 * MOST, "{}", got.len());
    }

    #[test]
    fn nothing_is_fetched_from_behind_the_end_or_from_the_spool() {
        let spooled = Place {
            home: Home::Spool,
            ..place(0, 10)
        };
        let places = [
            spooled,
            place(90, 100),
            place(100, 1),
            place(u64::MAX, u32::MAX),
            place(7, 0),
        ];
        assert_eq!(stretches(places, 100, GAP), [90..100]);
    }

    proptest! {
        /// Every byte that is asked for is fetched, once, and no request is too long.
        #[test]
        fn all_is_fetched_once(
            samples in prop::collection::vec((0_u64..40_000_000, 0_u32..9_000_000), 0..30),
            gap in 0_u64..1_000_000,
        ) {
            let size = 45_000_000;
            let places: Vec<Place> = samples.iter().map(|(at, len)| place(*at, *len)).collect();
            let got = stretches(places.iter().copied(), size, gap);
            for pair in got.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            prop_assert!(got.iter().all(|r| r.start < r.end && r.end - r.start <= REQUEST));
            for place in places {
                let (start, end) = (place.offset, (place.offset + u64::from(place.size)).min(size));
                let covered: u64 = got
                    .iter()
                    .map(|r| r.end.min(end).saturating_sub(r.start.max(start)))
                    .sum();
                prop_assert_eq!(covered, end - start);
            }
        }
    }
}
