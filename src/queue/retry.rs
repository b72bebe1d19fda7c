//! Whether and when a task is tried again, by what went wrong.

use std::time::Duration;

use crate::error::ErrorKind;

/// Attempts at a task whose failures may pass by themselves: a store away, a disk full.
pub(super) const ATTEMPTS: u32 = 6;
/// Attempts at a task that met a fault of this program: one more than the first, should it have
/// been a matter of chance.
pub(super) const ATTEMPTS_AFTER_FAULT: u32 = 2;
/// The longest delay before the second attempt; each further one is four times as long.
const FIRST_DELAY_MILLIS: u64 = 1000;
/// The longest delay of all.
const LONGEST_DELAY_MILLIS: u64 = 5 * 60 * 1000;

/// How long to wait after attempt `attempt` (from 1) failed with `kind`; `None` to give up.
/// `random` spreads those who failed together.
pub(super) fn delay(kind: ErrorKind, attempt: u32, random: u32) -> Option<Duration> {
    let attempts = match kind {
        ErrorKind::Unavailable | ErrorKind::Exhausted => ATTEMPTS,
        ErrorKind::Internal => ATTEMPTS_AFTER_FAULT,
        ErrorKind::Invalid
        | ErrorKind::Unsupported
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::DataLoss => 1,
    };
    if attempt >= attempts {
        return None;
    }
    let longest = 4_u64
        .saturating_pow(attempt.saturating_sub(1))
        .saturating_mul(FIRST_DELAY_MILLIS)
        .min(LONGEST_DELAY_MILLIS);
    Some(Duration::from_millis(spread(longest, random)))
}

/// A length between half of `longest` and all of it.
fn spread(longest: u64, random: u32) -> u64 {
    let half = longest / 2;
    half + (longest - half) * u64::from(random) / u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_pass_is_tried_six_times_over_minutes() {
        let delays: Vec<_> = (1..=ATTEMPTS)
            .map(|attempt| delay(ErrorKind::Unavailable, attempt, u32::MAX))
            .collect();
        let seconds = [1, 4, 16, 64, 256].map(|s| Some(Duration::from_secs(s)));
        assert_eq!(delays[..5], seconds);
        assert_eq!(delays[5], None);
    }

    #[test]
    fn a_fault_is_tried_once_more_and_bad_input_never() {
        assert!(delay(ErrorKind::Internal, 1, 0).is_some());
        assert!(delay(ErrorKind::Internal, 2, 0).is_none());
        assert!(delay(ErrorKind::Invalid, 1, 0).is_none());
        assert!(delay(ErrorKind::DataLoss, 1, 0).is_none());
    }

    proptest! {
        #[test]
        fn a_delay_is_between_half_and_all(attempt in 1_u32..ATTEMPTS, random: u32) {
            let of = |random| delay(ErrorKind::Exhausted, attempt, random).expect("tried again");
            prop_assert!(of(0) <= of(random) && of(random) <= of(u32::MAX));
            prop_assert_eq!(of(0) * 2, of(u32::MAX));
        }
    }
}
