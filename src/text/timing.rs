//! Cue timings: `00:01:02.345 --> 00:01:04.000`, as WebVTT (4.3) and SubRip write them, and as
//! files are found to have them.

use std::fmt::Write as _;

/// What stands between the two times, and nowhere else.
pub(super) const ARROW: &str = "-->";

/// Hours of a hundred years: what is more is no time.
const MAX_HOURS: u64 = 876_000;

/// Start and end in milliseconds, and what follows them on the line; `None` for what is no timing.
///
/// Hours may be left out, the fraction may follow a point or a comma, have one to three digits or
/// be missing: all of these are found in files of both formats.
pub(super) fn parse_timing(line: &str) -> Option<(u64, u64, &str)> {
    let (start, rest) = line.split_once(ARROW)?;
    let rest = rest.trim_start();
    let (end, settings) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    Some((parse_time(start)?, parse_time(end)?, settings.trim()))
}

/// A time, `00:01:02.345` or what files have in its place, in milliseconds.
pub fn parse_time(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let millis = match fraction.len() {
        0 => 0,
        1 => number(fraction)? * 100,
        2 => number(fraction)? * 10,
        3 => number(fraction)?,
        _ => return None,
    };
    let mut parts = whole.rsplit(':');
    let (seconds, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let hours = match parts.next() {
        Some(hours) => number(hours)?,
        None => 0,
    };
    let in_range = seconds < 60 && minutes < 60 && hours <= MAX_HOURS;
    if parts.next().is_some() || !in_range {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// Up to six digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Writes a time as WebVTT has it, hours always there.
pub(super) fn write_time(text: &mut String, millis: u64) {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    // Writing to a String can't fail.
    let _ = write!(text, "{hours:02}:{minutes:02}:{seconds:02}.{millis:03}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_both_formats_are_read() {
        for (text, millis) in [
            ("00:00:01.500", Some(1500)),
            ("00:01,500", Some(1500)),
            ("1:02:03,4", Some(3_723_400)),
            ("100:00:00.000", Some(360_000_000)),
            ("00:00:07", Some(7000)),
            ("00:60.000", None),
            ("61:00.000", None),
            ("1.000", None),
            ("0:0:0:0", None),
            ("-1:00.000", None),
            ("00:00:01.5000", None),
            ("99999999:00:00.000", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text), millis, "{text}");
        }
    }

    #[test]
    fn settings_follow_the_times() {
        let line = "00:01.000 --> 00:02.000\tline:0  align:start ";
        assert_eq!(
            parse_timing(line),
            Some((1000, 2000, "line:0  align:start"))
        );
        assert_eq!(
            parse_timing("00:01.000-->00:02.000"),
            Some((1000, 2000, ""))
        );
        assert_eq!(parse_timing("a --> b"), None);
    }

    proptest! {
        #[test]
        fn written_times_read_the_same(millis in 0_u64..MAX_HOURS * 3_600_000) {
            let mut text = String::new();
            write_time(&mut text, millis);
            prop_assert_eq!(parse_time(&text), Some(millis));
        }
    }
}
