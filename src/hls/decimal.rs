//! Decimal numbers as HLS writes them (R 4.2 "decimal-floating-point"), without a float.

/// `text`, a decimal number of at least zero, times `10^decimals`, rounded to the nearest whole
/// (halves up). `None` when it is no such number or too large.
pub(super) fn parse_scaled(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut value: u64 = 0;
    let kept = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(decimals);
    for digit in whole.bytes().chain(kept) {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    let round_up = fraction
        .as_bytes()
        .get(decimals)
        .is_some_and(|d| *d >= b'5');
    value.checked_add(u64::from(round_up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_scale_exactly() {
        for (text, decimals, value) in [
            ("6.006", 9, Some(6_006_000_000)),
            ("6", 3, Some(6000)),
            ("29.9704", 3, Some(29_970)),
            ("29.9705", 3, Some(29_971)),
            (".5", 1, Some(5)),
            ("5.", 1, Some(50)),
            ("", 3, None),
            (".", 3, None),
            ("-1", 3, None),
            ("1e3", 3, None),
            ("99999999999999999999", 0, None),
        ] {
            assert_eq!(parse_scaled(text, decimals), value, "{text}");
        }
    }
}
