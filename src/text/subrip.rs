//! SubRip text to cues. There is no standard: this takes what players take. Counters are skipped,
//! `i`, `b` and `u` kept, positions of `{\anN}` become settings, other markup is dropped.

use super::Parsed;
use super::cue::{self, Cue, Cues};
use super::timing::{ARROW, parse_timing};
use super::track::Said;
use super::warnings::Warnings;
use crate::error::{Error, Result};

/// Reads text without a WebVTT signature.
pub(super) fn parse(text: &str) -> Result<Parsed> {
    let lines: Vec<&str> = text.lines().collect();
    let timings: Vec<usize> = (0..lines.len())
        .filter(|at| {
            lines
                .get(*at)
                .is_some_and(|line| parse_timing(line).is_some())
        })
        .collect();
    if timings.is_empty() {
        return Err(foreign(&lines));
    }
    let mut warnings = Warnings::default();
    let mut cues = Vec::new();
    for (index, &at) in timings.iter().enumerate() {
        let end = timings.get(index + 1).copied();
        let text = cue_lines(&lines, at + 1, end);
        push_cue(&mut cues, &mut warnings, at + 1, (lines.get(at), text))?;
    }
    warn_of_broken_timings(&lines, &mut warnings);
    Ok(Parsed {
        cues: Cues::new(Vec::new(), cues),
        warnings: warnings.into_lines(),
    })
}

fn warn_of_broken_timings(lines: &[&str], warnings: &mut Warnings) {
    for (number, line) in (1..).zip(lines) {
        if line.contains(ARROW) && parse_timing(line).is_none() {
            warnings.add(
                number,
                "a time that can't be read; the line is taken as text",
            );
        }
    }
}

/// The lines of a cue from `start` up to the next timing, without that one's counter. Empty lines
/// within are dropped: they can't stand in a WebVTT cue.
fn cue_lines<'a>(lines: &[&'a str], start: usize, next: Option<usize>) -> Vec<&'a str> {
    let mut end = next.unwrap_or(lines.len());
    let is_counter = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
    };
    if next.is_some() && end > start && lines.get(end - 1).is_some_and(is_counter) {
        end -= 1;
    }
    let lines = lines.get(start..end).unwrap_or_default().iter();
    let filled = lines.map(|line| line.trim_end());
    filled.filter(|line| !line.trim().is_empty()).collect()
}

fn push_cue(
    cues: &mut Vec<Cue>,
    warnings: &mut Warnings,
    number: usize,
    (timing, lines): (Option<&&str>, Vec<&str>),
) -> Result<()> {
    let Some((start_millis, end_millis, _)) = timing.and_then(|timing| parse_timing(timing)) else {
        return Ok(());
    };
    if end_millis <= start_millis {
        warnings.add(
            number,
            "a cue that ends no later than it starts is left out",
        );
        return Ok(());
    }
    let (text, settings) = to_webvtt(&lines.join("\n"));
    if text.is_empty() {
        warnings.add(number, "a cue without text is left out");
        return Ok(());
    }
    let cue = Cue {
        id: String::new(),
        start_millis,
        end_millis,
        settings,
        text,
    };
    cue::push(cues, cue, number)
}

/// Reads the text of one cue, as containers hold it.
pub(super) fn read(sample: &[u8]) -> Said {
    let text = String::from_utf8_lossy(sample);
    let text = text.replace("\r\n", "\n").replace(['\r', '\0'], "\n");
    let filled: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let (text, settings) = to_webvtt(&filled.join("\n"));
    Said {
        settings,
        ..Said::plain(text)
    }
}

/// SubRip's text as WebVTT cue text, and the settings that it implies.
fn to_webvtt(text: &str) -> (String, String) {
    let mut written = String::with_capacity(text.len());
    let mut settings = "";
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some((tag, after)) = override_at(rest) {
            settings = position(tag).unwrap_or(settings);
            rest = after;
            continue;
        }
        if let Some((tag, after)) = tag_at(rest) {
            written.push_str(kept_tag(tag));
            rest = after;
            continue;
        }
        match character {
            '<' => written.push_str("&lt;"),
            '&' if !is_reference(rest) => written.push_str("&amp;"),
            '>' if written.ends_with("--") => written.push_str("&gt;"),
            other => written.push(other),
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
    // A line that had nothing but markup would end the cue.
    let filled: Vec<&str> = written.lines().filter(|l| !l.trim().is_empty()).collect();
    let has_text = filled.iter().any(|line| !is_markup_alone(line));
    let text = if has_text {
        filled.join("\n")
    } else {
        String::new()
    };
    (text, settings.to_owned())
}

fn is_markup_alone(line: &str) -> bool {
    let mut rest = line.trim();
    while let Some((_, after)) = tag_at(rest) {
        rest = after.trim_start();
    }
    rest.is_empty()
}

/// `{\an8}`, `{\pos(1,2)}`, ...: SubStation Alpha's overrides, which players know in SubRip too.
fn override_at(text: &str) -> Option<(&str, &str)> {
    up_to(text.strip_prefix("{\\")?, '}', '{')
}

/// What stands before `end`, and after it. None where the line ends or another `start` comes first: so
/// no sign is looked at twice, however many starts there are.
fn up_to(text: &str, end: char, start: char) -> Option<(&str, &str)> {
    let at = text.find([end, start, '\n'])?;
    let (inside, rest) = text.split_at(at);
    Some((inside, rest.strip_prefix(end)?))
}

/// `<i>`, `</b>`, `<font color="red">`: anything in angle brackets that starts like a tag.
fn tag_at(text: &str) -> Option<(&str, &str)> {
    let (tag, after) = up_to(text.strip_prefix('<')?, '>', '<')?;
    let name = tag.strip_prefix('/').unwrap_or(tag);
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    starts.then_some((tag, after))
}

fn kept_tag(tag: &str) -> &'static str {
    match tag.trim().to_ascii_lowercase().as_str() {
        "i" => "<i>",
        "/i" => "</i>",
        "b" => "<b>",
        "/b" => "</b>",
        "u" => "<u>",
        "/u" => "</u>",
        _ => "",
    }
}

/// Settings of `\anN`, which counts places like a telephone from below: 1 is left below, 9 right
/// above. The middle below is where cues are anyway.
pub(super) fn position(tag: &str) -> Option<&'static str> {
    let digit = tag.strip_prefix("an")?.bytes().next()?;
    Some(match digit {
        b'1' => "align:left",
        b'2' => "",
        b'3' => "align:right",
        b'4' => "line:50% align:left",
        b'5' => "line:50%",
        b'6' => "line:50% align:right",
        b'7' => "line:0 align:left",
        b'8' => "line:0",
        b'9' => "line:0 align:right",
        _ => return None,
    })
}

/// A character reference that WebVTT knows (5.3), as files converted from it have them.
fn is_reference(text: &str) -> bool {
    ["&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"]
        .iter()
        .any(|reference| text.starts_with(reference))
}

/// The refusal of text without a single timing: by what it looks like.
fn foreign(lines: &[&str]) -> Error {
    let filled = (1..).zip(lines).find(|(_, line)| !line.trim().is_empty());
    let Some((number, first)) = filled else {
        return Error::invalid("the file is empty; upload captions as WebVTT or SubRip");
    };
    let first = first.trim();
    let small = first.to_ascii_lowercase();
    let format = match () {
        () if small.starts_with("[script info]") => "SubStation Alpha",
        () if small.starts_with("<?xml") || small.starts_with("<tt") => {
            "TTML or another XML format"
        }
        () if small.starts_with("<sami") => "SAMI",
        () if small.starts_with("scenarist_scc") => "SCC",
        () if is_microdvd(first) => "MicroDVD",
        () if is_sbv(first) => "SBV",
        () => {
            let broken = (1..).zip(lines).find(|(_, line)| line.contains(ARROW));
            let number = broken.map_or(number, |(number, _)| number);
            let shown: String = lines
                .get(number - 1)
                .unwrap_or(&"")
                .chars()
                .take(60)
                .collect();
            return Error::invalid(format!(
                "line {number}: {shown:?} is neither WebVTT nor SubRip; upload a file with times \
                 like 00:00:01.000 --> 00:00:02.500"
            ));
        }
    };
    Error::unsupported(format!(
        "line {number}: this looks like {format}; convert it to WebVTT or SubRip first"
    ))
}

/// `{12}{40}text`.
fn is_microdvd(line: &str) -> bool {
    let frame = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let start = line
        .strip_prefix('{')
        .and_then(|rest| rest.split_once("}{"));
    let end = start.and_then(|(start, rest)| Some((start, rest.split_once('}')?.0)));
    end.is_some_and(|(start, end)| frame(start) && frame(end))
}

/// `0:00:01.000,0:00:02.000`.
fn is_sbv(line: &str) -> bool {
    let times = line.split_once(',');
    times.is_some_and(|(start, end)| {
        start.contains(':')
            && super::timing::parse_time(start).is_some()
            && super::timing::parse_time(end).is_some()
    })
}
