//! `xs:duration` (XML Schema part 2, 3.2.6), exact to the nanosecond.

use crate::time::{Rounding, Ticks, Timescale, parse_decimal, rescale};

/// Reads a duration as nanoseconds; decimals of a second after the ninth are rounded.
///
/// `None` when it is no duration, too long for 64 bits, or counts years or months, which have no
/// fixed length (zero of them pass).
pub fn parse_duration(text: &str) -> Option<Ticks> {
    let (negative, rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.trim()),
    };
    let rest = rest.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    if time.is_some_and(str::is_empty) || (date.is_empty() && time.is_none()) {
        return None;
    }
    let days = sum_of(date, &[('Y', 0), ('M', 0), ('D', 86_400)])?;
    let clock = sum_of(time.unwrap_or(""), &[('H', 3600), ('M', 60), ('S', 1)])?;
    let nanos = i64::try_from(days.checked_add(clock)?).ok()?;
    let nanos = if negative { -nanos } else { nanos };
    Some(Ticks::new(nanos, Timescale::NANOS))
}

/// Nanoseconds in `text`, which may hold one number for each designator, in their order. A
/// designator of zero seconds may only have the number zero. Only `S` may have decimals.
fn sum_of(text: &str, designators: &[(char, u64)]) -> Option<u64> {
    let mut rest = text;
    let mut sum: u64 = 0;
    for &(designator, seconds) in designators {
        let Some((number, after)) = rest.split_once(designator) else {
            continue;
        };
        let nanos = match designator {
            'S' => parse_decimal(number, 9)?,
            _ if number.contains('.') => return None,
            _ => parse_decimal(number, 0)?.checked_mul(1_000_000_000)?,
        };
        if seconds == 0 && nanos != 0 {
            return None;
        }
        sum = sum.checked_add(nanos.checked_mul(seconds)?)?;
        rest = after;
    }
    rest.is_empty().then_some(sum)
}

/// Writes a duration of at least zero in seconds only (rule D09), with as many decimals as it
/// takes, at most nine. What is finer is cut off: the media then covers all of what is promised.
pub fn format_duration(duration: Ticks) -> String {
    let nanos = rescale(
        duration.count.max(0),
        duration.timescale,
        Timescale::NANOS,
        Rounding::Floor,
    );
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    format!("PT{}S", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, nanos) in [
            ("PT0S", Some(0)),
            ("PT4.004S", Some(4_004_000_000)),
            ("PT1H2M3.5S", Some(3_723_500_000_000)),
            ("P1DT1S", Some(86_401_000_000_000)),
            ("P0Y0M0DT0H3M30.000S", Some(210_000_000_000)),
            ("-PT2S", Some(-2_000_000_000)),
            ("PT634.566S", Some(634_566_000_000)),
            ("P1Y", None),
            ("P1M", None),
            ("PT", None),
            ("P", None),
            ("", None),
            ("PT1", None),
            ("PT1S2M", None),
            ("PT1.5H", None),
            ("4.0", None),
            ("PT99999999999999999999S", None),
        ] {
            let expected = nanos.map(|n| Ticks::new(n, Timescale::NANOS));
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_have_only_the_decimals_they_need() {
        let at = |count, timescale| {
            format_duration(Ticks::new(
                count,
                Timescale::new(timescale).expect("non-zero"),
            ))
        };
        assert_eq!(at(0, 1000), "PT0S");
        assert_eq!(at(10_000, 1000), "PT10S");
        assert_eq!(at(120_120, 30_000), "PT4.004S");
        assert_eq!(at(1001, 30_000), "PT0.033366666S");
    }

    proptest! {
        #[test]
        fn written_durations_read_the_same(nanos in 0_i64..i64::MAX) {
            let duration = Ticks::new(nanos, Timescale::NANOS);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn any_text_is_survived(text in "-?P?[0-9YMDTHS.]{0,30}") {
            parse_duration(&text);
        }
    }
}
