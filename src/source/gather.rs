//! Copies the bytes of samples out of a source, in order: the hot path of repackaging.

use crate::error::Result;
use crate::media::Place;
use crate::read_at::ReadAt;

/// Bytes read at once: large enough for few calls, small enough to stay in a core's cache while
/// gaps are closed.
const MAX_READ: usize = 128 << 10;

/// Gaps up to this are read and dropped, because a second call costs more than copying them.
const MAX_GAP: u64 = 2 << 10;

/// Appends the bytes at `places` to `out`, one after the other. The places must all be of the
/// file that `reader` reads; those of neighbours are read together.
///
/// # Errors
/// [`crate::error::ErrorKind::DataLoss`] when a place lies behind the end, and what reading fails
/// with. `out` then holds a part.
pub fn gather(
    reader: &dyn ReadAt,
    places: impl IntoIterator<Item = Place>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut batch = Batch::default();
    for place in places {
        if !batch.extend(place) {
            batch.read(reader, out)?;
            batch = Batch::starting_at(place);
        }
    }
    batch.read(reader, out)
}

/// Places that one stretch of the file holds.
#[derive(Debug, Default)]
struct Batch {
    start: u64,
    end: u64,
    /// Runs of adjacent samples: offset from `start` and length. The first starts at 0.
    runs: Vec<(usize, usize)>,
}

impl Batch {
    fn starting_at(place: Place) -> Self {
        let size = usize::try_from(place.size).unwrap_or(usize::MAX);
        Self {
            start: place.offset,
            end: place.offset.saturating_add(u64::from(place.size)),
            runs: vec![(0, size)],
        }
    }

    /// Takes one place more, when it follows closely and the batch does not grow too large.
    fn extend(&mut self, place: Place) -> bool {
        let Some(gap) = place.offset.checked_sub(self.end) else {
            return false;
        };
        let Some(end) = place.offset.checked_add(u64::from(place.size)) else {
            return false;
        };
        let (Ok(from), Ok(size)) = (
            usize::try_from(place.offset - self.start),
            usize::try_from(place.size),
        ) else {
            return false;
        };
        if gap > MAX_GAP || from.saturating_add(size) > MAX_READ {
            return false;
        }
        match self.runs.last_mut() {
            None => return false,
            Some((_, len)) if gap == 0 => *len += size,
            Some(_) => self.runs.push((from, size)),
        }
        self.end = end;
        true
    }

    /// Reads the stretch onto the end of `out` and closes its gaps.
    fn read(&self, reader: &dyn ReadAt, out: &mut Vec<u8>) -> Result<()> {
        let base = out.len();
        let mut at = self.start;
        while at < self.end {
            let step = usize::try_from(self.end - at).map_or(MAX_READ, |left| left.min(MAX_READ));
            let filled = out.len();
            out.resize(filled + step, 0);
            reader.read_exact_at(at, out.get_mut(filled..).unwrap_or_default())?;
            at += step as u64;
        }
        let mut kept = base;
        for (from, len) in &self.runs {
            let from = base + from;
            if from != kept {
                out.copy_within(from..from + len, kept);
            }
            kept += len;
        }
        out.truncate(kept);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::media::Home;

    static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let byte = |n: u32| (n ^ n >> 8).to_le_bytes()[0];
        (0..1_000_000).map(byte).collect()
    });

    fn place(offset: u64, size: u32) -> Place {
        Place {
            home: Home::Source,
            offset,
            size,
        }
    }

    proptest! {
        /// Whatever the order, the gaps and the overlaps, the bytes are those of each place.
        #[test]
        fn gathered_bytes_are_those_of_each_place(
            steps in prop::collection::vec((-3000_i64..6000, 0_u32..3000), 0..40),
            large in 0_u32..700_000,
        ) {
            let mut places = vec![place(1, large)];
            let mut at = i64::from(large) + 1;
            for (step, size) in steps {
                let offset = (at + step).clamp(0, 990_000).unsigned_abs();
                places.push(place(offset, size));
                at = i64::try_from(offset).expect("small") + i64::from(size);
            }
            let mut out = b"before".to_vec();
            gather(&FILE.as_slice(), places.iter().copied(), &mut out).expect("all there");
            let mut expected = b"before".to_vec();
            for place in &places {
                let start = usize::try_from(place.offset).expect("small");
                expected.extend(&FILE[start..start + place.size as usize]);
            }
            prop_assert!(out == expected);
        }
    }

    #[test]
    fn a_place_behind_the_end_is_lost_data() {
        let file = [7_u8; 100];
        for far in [place(90, 20), place(u64::MAX - 3, 9), place(0, u32::MAX)] {
            let mut out = Vec::new();
            let error = gather(&file.as_slice(), [place(0, 50), far], &mut out);
            let kind = error.expect_err("behind the end").kind();
            assert_eq!(kind, crate::error::ErrorKind::DataLoss);
            assert!(out.capacity() < 2 << 20);
        }
    }
}
