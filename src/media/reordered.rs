//! A sample table whose presentation times were given out in decode order, put right.

use super::{SampleEntry, SampleTable};

impl SampleTable {
    /// Whether every sample is presented no earlier than the one decoded before it.
    pub fn is_presented_as_decoded(&self) -> bool {
        let mut last = i64::MIN;
        self.iter().all(|sample| {
            let time = sample.presentation_time();
            let after = time >= last;
            last = time;
            after
        })
    }

    /// The same samples at the same presentation times, given out anew: the sample that is decoded
    /// as number `n` gets the time of rank `ranks[n]`. Decode times move ahead as far as it takes
    /// for none to be behind its presentation time.
    ///
    /// `None` when `ranks` isn't each number below [`Self::len`] once.
    pub fn with_ranks(&self, ranks: &[u32]) -> Option<Self> {
        let shown = self.times_by(ranks)?;
        let late = |(sample, time): (SampleEntry, &i64)| sample.decode_time.saturating_sub(*time);
        let late = self.iter().zip(&shown).map(late).max().unwrap_or(0).max(0);
        let mut table = Self::new(self.first_decode_time().saturating_sub(late));
        for (sample, time) in self.iter().zip(shown) {
            let offset = time.checked_sub(table.end_decode_time())?;
            let offset = i32::try_from(offset).ok()?;
            table.push(sample.duration, offset, sample.sync, sample.place);
        }
        Some(table)
    }

    /// The presentation times in decode order, where `ranks` says which is whose.
    fn times_by(&self, ranks: &[u32]) -> Option<Vec<i64>> {
        let mut times: Vec<_> = self
            .iter()
            .map(|sample| Some(sample.presentation_time()))
            .collect();
        times.sort_unstable();
        if ranks.len() != times.len() {
            return None;
        }
        let take = |rank: &u32| times.get_mut(usize::try_from(*rank).ok()?)?.take();
        ranks.iter().map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Home, Place};

    fn table(durations: &[u32]) -> SampleTable {
        let mut table = SampleTable::new(100);
        for (number, duration) in (0_u64..).zip(durations) {
            let place = Place {
                home: Home::Source,
                offset: number * 7,
                size: 5,
            };
            table.push(*duration, 3, number == 0, place);
        }
        table
    }

    #[test]
    fn times_go_to_the_samples_that_are_shown_then() {
        let given = table(&[10, 20, 10, 10]);
        assert!(given.is_presented_as_decoded());
        let put_right = given.with_ranks(&[0, 3, 1, 2]).unwrap();
        assert!(!put_right.is_presented_as_decoded());
        let times: Vec<_> = put_right.iter().map(|s| s.presentation_time()).collect();
        assert_eq!(times, [103, 143, 113, 133]);
        let offsets: Vec<_> = put_right.iter().map(|s| s.composition_offset).collect();
        assert!(offsets.iter().all(|offset| *offset >= 0), "{offsets:?}");
        let kept = |table: &SampleTable| -> Vec<_> {
            let each = table.iter().map(|s| (s.duration, s.sync, s.place));
            each.collect()
        };
        assert_eq!(kept(&put_right), kept(&given));
        assert_eq!(given.with_ranks(&[0, 1, 2, 3]).unwrap(), given);
    }

    #[test]
    fn ranks_that_are_no_order_are_refused() {
        let given = table(&[10; 3]);
        assert!(given.with_ranks(&[0, 1]).is_none());
        assert!(given.with_ranks(&[0, 1, 1]).is_none());
        assert!(given.with_ranks(&[0, 1, 3]).is_none());
    }
}
