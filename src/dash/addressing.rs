//! How a Representation names its segments (ISO/IEC 23009-1 5.3.9): template, list or index.

use std::fmt::Write as _;
use std::sync::Arc;

use super::timeline::Timeline;
use crate::error::{Error, Result};

/// The addressing that applies to a Representation, with what it inherits merged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// `SegmentTemplate`.
    Template(SegmentTemplate),
    /// `SegmentList`.
    List(SegmentList),
    /// `SegmentBase`.
    Base(SegmentBase),
    /// None: the base URL is the one segment.
    None,
}

/// `SegmentTemplate` (5.3.9.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentTemplate {
    /// `@timescale`; `None` when not written: 1 tick a second.
    pub timescale: Option<u64>,
    /// `@presentationTimeOffset`, ticks.
    pub presentation_time_offset: u64,
    /// `@duration`, ticks: all segments last about as long.
    pub duration: Option<u64>,
    /// `@startNumber`; `None` when not written: 1.
    pub start_number: Option<u64>,
    /// `@endNumber`.
    pub end_number: Option<u64>,
    /// `@eptDelta` as written.
    pub ept_delta: Option<String>,
    /// `@media`.
    pub media: Option<String>,
    /// `@initialization`.
    pub initialization: Option<String>,
    /// `SegmentTimeline`.
    pub timeline: Option<Timeline>,
}

impl SegmentTemplate {
    /// Ticks a second: as written, or 1. Never zero.
    pub fn ticks_per_second(&self) -> u64 {
        self.timescale.unwrap_or(1).max(1)
    }

    /// Number of the first segment: as written, or 1.
    pub fn first_number(&self) -> u64 {
        self.start_number.unwrap_or(1)
    }
}

/// `SegmentList` (5.3.9.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentList {
    /// `@timescale`; `None` when not written: 1 tick a second.
    pub timescale: Option<u64>,
    /// `@duration`, ticks.
    pub duration: Option<u64>,
    /// `@startNumber`.
    pub start_number: Option<u64>,
    /// `Initialization`: its `@sourceURL` and `@range`.
    pub initialization: Option<ObjectRange>,
    /// `SegmentURL`: `@media` and `@mediaRange`. Shared by the
    /// Representations that inherit it.
    pub segments: Arc<[ObjectRange]>,
    /// `SegmentTimeline`.
    pub timeline: Option<Timeline>,
}

/// `SegmentBase` (5.3.9.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentBase {
    /// `@timescale`; `None` when not written: 1 tick a second.
    pub timescale: Option<u64>,
    /// `@presentationTimeOffset`, ticks.
    pub presentation_time_offset: u64,
    /// `@indexRange`: first and last byte of the `sidx`.
    pub index_range: Option<(u64, u64)>,
    /// `Initialization`: its `@sourceURL` and `@range`.
    pub initialization: Option<ObjectRange>,
}

/// An object or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectRange {
    /// Its URL relative to the base URLs; empty: the base URL itself.
    pub url: String,
    /// First and last byte, where only a part of the object is meant.
    pub range: Option<(u64, u64)>,
}

/// A segment as an MPD names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRef {
    /// Its number.
    pub number: u64,
    /// Its start in ticks of the addressing's timescale, on the media's time line.
    pub time: u64,
    /// Its length in the same ticks, as the MPD says.
    pub duration: u64,
    /// Its URL relative to the base URLs; empty: the base URL itself.
    pub url: String,
    /// First and last byte, where only a part of the object is meant.
    pub range: Option<(u64, u64)>,
}

/// What the identifiers of a template stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemplateValues<'a> {
    /// `$RepresentationID$`.
    pub representation_id: &'a str,
    /// `$Bandwidth$`.
    pub bandwidth_bps: u64,
    /// `$Number$`; `None` where it may not stand: in `@initialization`.
    pub number: Option<u64>,
    /// `$Time$`; likewise.
    pub time: Option<u64>,
}

/// Widest number that a format tag may ask for: 20 digits hold any 64-bit number.
const MAX_WIDTH: usize = 20;

/// Puts `values` into `template` (5.3.9.4.4): `$RepresentationID$`, `$Number%05d$`, `$$`, ...
pub fn expand_template(template: &str, values: &TemplateValues<'_>) -> Result<String> {
    let mut url = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        url.push_str(before);
        let Some((identifier, after)) = after.split_once('$') else {
            return Err(refuse(template, "a $ without its partner"));
        };
        push_identifier(&mut url, identifier, values).map_err(|what| refuse(template, what))?;
        rest = after;
    }
    url.push_str(rest);
    Ok(url)
}

fn refuse(template: &str, what: &str) -> Error {
    let shown: String = template.chars().take(200).collect();
    Error::invalid(format!("segment template {shown:?}: {what}"))
}

fn push_identifier(
    url: &mut String,
    identifier: &str,
    values: &TemplateValues<'_>,
) -> Result<(), &'static str> {
    let (name, width) = match identifier.split_once('%') {
        Some((name, format)) => (name, format_width(format)?),
        None => (identifier, 1),
    };
    let number = match name {
        "" => {
            url.push('$');
            return Ok(());
        }
        "RepresentationID" => {
            url.push_str(values.representation_id);
            return Ok(());
        }
        "Bandwidth" => Some(values.bandwidth_bps),
        "Number" => values.number,
        "Time" => values.time,
        _ => return Err("an unknown identifier"),
    };
    let number = number.ok_or("$Number$ or $Time$ where there is none")?;
    write!(url, "{number:0width$}").map_err(|_| "formatting failed")
}

/// The width in `0<width>d`, the only format there is (5.3.9.4.4).
fn format_width(format: &str) -> Result<usize, &'static str> {
    let digits = format
        .strip_suffix('d')
        .and_then(|f| f.strip_prefix('0'))
        .ok_or("a format that is not %0<width>d")?;
    let width = digits.parse().map_err(|_| "a format without a width")?;
    if width > MAX_WIDTH {
        return Err("a format wider than any number");
    }
    Ok(width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: TemplateValues<'_> = TemplateValues {
        representation_id: "v1080",
        bandwidth_bps: 5000,
        number: Some(7),
        time: Some(12_012),
    };

    #[test]
    fn identifiers_are_replaced() {
        for (template, url) in [
            ("a/$RepresentationID$/$Number$.m4s", "a/v1080/7.m4s"),
            ("$Number%05d$-$Time$-$Bandwidth$$$", "00007-12012-5000$"),
            ("plain", "plain"),
            ("$Time%02d$", "12012"),
        ] {
            let expanded = expand_template(template, &VALUES);
            assert_eq!(expanded.expect("expands"), url);
        }
    }

    #[test]
    fn bad_templates_are_refused() {
        let no_number = TemplateValues {
            number: None,
            ..VALUES
        };
        assert!(expand_template("$Number$", &no_number).is_err());
        for template in [
            "$",
            "$Number",
            "$Num$",
            "$Number%5d$",
            "$Number%0xd$",
            "$Number%099d$",
        ] {
            assert!(expand_template(template, &VALUES).is_err(), "{template}");
        }
    }

    proptest! {
        #[test]
        fn any_template_is_survived(template in "([$%0-9d]|Number|Time|\\PC){0,20}") {
            let _ = expand_template(&template, &VALUES);
        }
    }
}
