//! What an operator must be told of a certificate before clients complain: from when to when it is
//! valid, and who issued it (RFC 5280, 4.1). Signatures are for clients to judge.

use super::der::{Elements, tag};

const DAY_MILLIS: i64 = 86_400_000;

/// What the server reads of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    /// First instant of validity, in milliseconds since 1970.
    pub(super) not_before: i64,
    /// Last instant of validity, in milliseconds since 1970.
    pub(super) not_after: i64,
    issuer: &'a [u8],
    subject: &'a [u8],
}

impl<'a> Facts<'a> {
    /// Reads a certificate; `None` if it is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut body = Elements::new(der).sequence()?.sequence()?;
        body.next_if(tag::CONTEXT_0);
        body.next_if(tag::INTEGER)?;
        body.next_if(tag::SEQUENCE)?;
        let issuer = body.next_if(tag::SEQUENCE)?;
        let mut validity = body.sequence()?;
        Some(Self {
            not_before: time(&mut validity)?,
            not_after: time(&mut validity)?,
            issuer,
            subject: body.next_if(tag::SEQUENCE)?,
        })
    }

    /// Whether it names itself as its issuer, as roots and self-signed certificates do.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether it names `other` as its issuer.
    pub(super) fn is_issued_by(&self, other: &Facts<'_>) -> bool {
        self.issuer == other.subject
    }
}

/// When a certificate revocation list says that the next one will be there, in milliseconds since
/// 1970 (RFC 5280, 5.1.2.5); `None` if it doesn't say or is none.
pub(super) fn next_update(crl: &[u8]) -> Option<i64> {
    let mut body = Elements::new(crl).sequence()?.sequence()?;
    body.next_if(tag::INTEGER);
    body.next_if(tag::SEQUENCE)?;
    body.next_if(tag::SEQUENCE)?;
    time(&mut body)?;
    time(&mut body)
}

/// A Time: `YYMMDDHHMMSSZ`, where 50 is 1950, or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn time(elements: &mut Elements<'_>) -> Option<i64> {
    let (year, rest) = match elements.next_any()? {
        (tag::UTC_TIME, text) => {
            let year = number(text.get(..2)?)?;
            (year + if year < 50 { 2000 } else { 1900 }, &text[2..])
        }
        (tag::GENERALIZED_TIME, text) => (number(text.get(..4)?)?, &text[4..]),
        _ => return None,
    };
    if rest.len() != 11 || rest[10] != b'Z' {
        return None;
    }
    let field = |at: usize| number(&rest[at..at + 2]);
    let of_day = (field(4)? * 60 + field(6)?) * 60 + field(8)?;
    Some(day(year, field(0)?, field(2)?)? * DAY_MILLIS + of_day * 1000)
}

fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Counts in years that begin in March,
/// so that the leap day is the last.
fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::rfc3339;

    fn read(tag: u8, text: &str) -> Option<String> {
        let length = u8::try_from(text.len()).unwrap();
        let der = [&[tag, length], text.as_bytes()].concat();
        time(&mut Elements::new(&der)).map(rfc3339)
    }

    #[test]
    fn both_kinds_of_time_are_read_and_nonsense_is_none() {
        let utc = |text| read(tag::UTC_TIME, text);
        let expected = |text: &str| Some(String::from(text));
        assert_eq!(utc("700101000000Z"), expected("1970-01-01T00:00:00.000Z"));
        assert_eq!(utc("491231235959Z"), expected("2049-12-31T23:59:59.000Z"));
        assert_eq!(utc("500101000000Z"), expected("1950-01-01T00:00:00.000Z"));
        assert_eq!(utc("240229120000Z"), expected("2024-02-29T12:00:00.000Z"));
        let general = read(tag::GENERALIZED_TIME, "21000301000000Z");
        assert_eq!(general, expected("2100-03-01T00:00:00.000Z"));
        let broken = [
            "",
            "7",
            "700101000000",
            "700101000000+0100",
            "701301000000Z",
        ];
        for text in broken
            .into_iter()
            .chain(["70010100000\u{1}Z", "-10101000000Z"])
        {
            assert_eq!(utc(text), None, "{text}");
        }
    }
}
