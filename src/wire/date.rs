//! The `Date` of answers (RFC 9110 section 6.6.1), rendered once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::Clock;

thread_local! {
    static RENDERED: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// The time as HTTP writes it.
pub(super) fn now(clock: &Clock) -> String {
    let second = clock.now_millis() / 1000;
    RENDERED.with_borrow_mut(|(of, text)| {
        if *of != second {
            let since = Duration::from_secs(u64::try_from(second).unwrap_or(0));
            *text = httpdate::fmt_http_date(UNIX_EPOCH + since);
            *of = second;
        }
        text.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_moves_with_the_clock() {
        let clock = Clock::held_at(784_111_777_999);
        assert_eq!(now(&clock), "Sun, 06 Nov 1994 08:49:37 GMT");
        clock.advance(1);
        assert_eq!(now(&clock), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
