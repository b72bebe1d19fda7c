//! Which content coding an answer may have (RFC 9110 section 12.5.3), as a pure rule.

use super::cache::Coding;

/// The coding to prefer for a text: brotli where the asker likes it no less than gzip. `None`
/// for the text as it is, which is also the answer to a request that allows nothing we have: the
/// section leaves that to the server, and a player that gets the text can use it.
pub(super) fn preferred<'a>(accepted: impl Iterator<Item = &'a str>) -> Option<Coding> {
    let (mut gzip, mut brotli, mut any) = (None, None, None);
    for member in accepted.flat_map(|list| list.split(',')) {
        let (name, weight) = parse(member);
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "br" => brotli = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let weight = |named: Option<u16>| named.or(any).unwrap_or(0);
    match (weight(brotli), weight(gzip)) {
        (0, 0) => None,
        (brotli, gzip) if brotli >= gzip => Some(Coding::Brotli),
        _ => Some(Coding::Gzip),
    }
}

/// The name of a list member and its weight in thousandths; a broken weight counts as none at all.
fn parse(member: &str) -> (&str, u16) {
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    for parameter in parts {
        if let Some(weight) = parameter
            .strip_prefix("q=")
            .or(parameter.strip_prefix("Q="))
        {
            return (name, thousandths(weight).unwrap_or(0));
        }
    }
    (name, 1000)
}

/// `0`, `0.5`, `1.000`: at most three digits after the point.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let is_number = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number || !matches!(whole, "0" | "1") {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    let weight = whole.parse::<u16>().ok()? * 1000 + part;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_that_is_liked_is_chosen() {
        for (accepted, expected) in [
            ("", None),
            ("gzip", Some(Coding::Gzip)),
            ("br", Some(Coding::Brotli)),
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("GZIP ; q=0.001", Some(Coding::Gzip)),
            ("*", Some(Coding::Brotli)),
            ("*;q=0", None),
            ("br;q=0, *", Some(Coding::Gzip)),
            ("identity;q=0", None),
            ("zstd, compress", None),
            ("gzip;q=x", None),
            ("gzip;q=1.5", None),
        ] {
            assert_eq!(preferred([accepted].into_iter()), expected, "{accepted}");
        }
    }
}
