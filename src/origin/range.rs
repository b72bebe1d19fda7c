//! Byte ranges (RFC 9110 section 14), as a pure rule.

/// What to send of an object of a known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it, with status 200.
    Whole,
    /// Bytes `first ..= last`, with status 206.
    Part {
        /// First byte.
        first: u64,
        /// Last byte, inclusive.
        last: u64,
    },
    /// Nothing of it: status 416.
    Unsatisfiable,
}

/// What a `Range` header selects. An unknown unit, a broken or a multiple range is ignored, as
/// RFC 9110 section 14.2 allows: the whole object is a right answer to each.
pub(super) fn select(header: Option<&str>, length: u64) -> Selection {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Selection::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Selection::Whole;
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Selection::Whole;
            }
            if first >= length {
                return Selection::Unsatisfiable;
            }
            Selection::Part {
                first,
                last: last.unwrap_or(u64::MAX).min(length - 1),
            }
        }
        (Some(None), Some(Some(suffix))) => match suffix.min(length) {
            0 => Selection::Unsatisfiable,
            suffix => Selection::Part {
                first: length - suffix,
                last: length - 1,
            },
        },
        _ => Selection::Whole,
    }
}

/// `Some(None)` for nothing, `None` for what is no number.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_select_as_the_rfc_says() {
        let part = |first, last| Selection::Part { first, last };
        for (header, expected) in [
            ("bytes=0-99", part(0, 99)),
            ("bytes=0-", part(0, 999)),
            ("bytes=-500", part(500, 999)),
            ("bytes=-5000", part(0, 999)),
            ("bytes=900-2000", part(900, 999)),
            ("bytes=1000-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=5-2", Selection::Whole),
            ("bytes=abc", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=0-1,5-6", Selection::Whole),
            ("items=0-1", Selection::Whole),
        ] {
            assert_eq!(select(Some(header), 1000), expected, "{header}");
        }
        assert_eq!(select(Some("bytes=0-"), 0), Selection::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_inside(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", length in 0_u64..2000) {
            if let Selection::Part { first, last } = select(Some(&header), length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
