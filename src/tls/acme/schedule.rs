//! When the next order may and must be made. CAs count what fails, so that is spaced out; what
//! works is renewed long before its end, and not by everybody at the same second.

const MINUTE: i64 = 60_000;

/// The pause after a first failure. Let's Encrypt gives back one of five attempts every 12 minutes.
const FIRST_PAUSE: i64 = 12 * MINUTE;
/// The longest pause.
const LONGEST_PAUSE: i64 = 6 * 60 * MINUTE;
/// The shortest pause once a CA has said that we ask too often.
const LIMITED_PAUSE: i64 = 3 * 60 * MINUTE;

/// What keeps orders apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pauses {
    /// Orders that failed since the last one that didn't.
    failures: u32,
    /// The earliest time of the next order.
    resume: i64,
}

impl Pauses {
    /// An earlier process began an order at this time, however it ended.
    pub(super) fn since(attempt: i64, now: i64) -> Self {
        Self {
            failures: 1,
            resume: attempt.min(now) + FIRST_PAUSE,
        }
    }

    /// An order failed at `now`. `dice` is any number; it spreads those who failed together.
    pub(super) fn failed(&mut self, now: i64, is_limited: bool, dice: u32) {
        let pause = (FIRST_PAUSE << self.failures.min(16)).min(LONGEST_PAUSE);
        let pause = pause.max(if is_limited { LIMITED_PAUSE } else { 0 });
        let spread = pause / 4 * i64::from(dice) / i64::from(u32::MAX);
        self.failures += 1;
        self.resume = now + pause + spread;
    }

    /// An order succeeded at `now`. The next waits for a third of what is left of the
    /// certificate's life, even if that began long ago.
    pub(super) fn succeeded(&mut self, now: i64, not_after: i64) {
        let third = not_after.saturating_sub(now) / 3;
        self.failures = 0;
        self.resume = now + third.max(FIRST_PAUSE);
    }

    /// When the next order is due; `renewal` is when the certificate in use should be replaced,
    /// `None` if there is none.
    pub(super) fn due(&self, renewal: Option<i64>) -> i64 {
        renewal.map_or(self.resume, |renewal| renewal.max(self.resume))
    }
}

/// When to replace a certificate: after two thirds of its life, less up to a twentieth that its own
/// bytes choose.
pub(super) fn renewal(not_before: i64, not_after: i64, certificate: &[u8]) -> i64 {
    let life = not_after.saturating_sub(not_before).max(0);
    let [byte, ..] = *blake3::hash(certificate).as_bytes();
    let earlier = life / 20 / 256 * i64::from(byte);
    not_before + life / 3 * 2 - earlier
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * MINUTE;

    #[test]
    fn failures_are_minutes_then_hours_apart_and_never_more_than_some() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.due(None), 0);
        let mut now = 0;
        let mut seen = Vec::new();
        for _ in 0..40 {
            pauses.failed(now, false, 0);
            seen.push((pauses.due(None) - now) / MINUTE);
            now = pauses.due(None);
        }
        assert_eq!(seen[..6], [12, 24, 48, 96, 192, 360]);
        assert!(seen[6..].iter().all(|pause| *pause == 360));
        pauses.failed(0, false, u32::MAX);
        assert_eq!(pauses.due(None), 450 * MINUTE);
    }

    #[test]
    fn a_ca_that_says_too_often_is_left_alone_for_hours() {
        let mut pauses = Pauses::default();
        pauses.failed(0, true, 0);
        assert_eq!(pauses.due(None), 180 * MINUTE);
    }

    #[test]
    fn a_process_that_dies_in_every_order_does_not_order_at_every_start() {
        assert_eq!(Pauses::since(0, MINUTE).due(None), 12 * MINUTE);
        let after_a_jump_of_the_clock = Pauses::since(1000 * DAY, MINUTE);
        assert_eq!(after_a_jump_of_the_clock.due(None), 13 * MINUTE);
    }

    #[test]
    fn a_certificate_that_is_born_old_is_not_replaced_at_once() {
        let mut pauses = Pauses::default();
        let (now, end) = (100 * DAY, 130 * DAY);
        let renewal = renewal(0, end, b"x");
        assert!(renewal < now);
        pauses.succeeded(now, end);
        assert_eq!(pauses.due(Some(renewal)), 110 * DAY);
        pauses.succeeded(now, now);
        assert_eq!(pauses.due(Some(renewal)), now + 12 * MINUTE);
    }

    #[test]
    fn certificates_are_renewed_around_two_thirds_of_their_life() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0u32..100 {
            let at = renewal(1000 * DAY, 1090 * DAY, &number.to_le_bytes());
            assert!((1055 * DAY..=1060 * DAY).contains(&at), "{at}");
            seen.insert(at);
        }
        assert!(seen.len() > 50);
        let due = Pauses::default().due(Some(5));
        assert_eq!(due, 5);
        assert!(renewal(0, 6 * DAY, b"x") <= 4 * DAY);
        assert_eq!(renewal(0, -5, b"x"), 0);
    }
}
