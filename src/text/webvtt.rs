//! WebVTT text to cues, by the parser of the standard (WebVTT 6.1), which takes nearly anything.

use super::cue::{self, Cue, Cues};
use super::timing::{ARROW, parse_timing};
use super::track::Said;
use super::warnings::Warnings;
use super::{MAX_HEADER_BYTES, MAX_SEGMENTS_BYTES, decode, over_limit};
use crate::error::{Error, Result};

const SIGNATURE: &str = "WEBVTT";
const TIMESTAMP_MAP_NAME: &str = "X-TIMESTAMP-MAP=";

/// Cue settings of the standard (WebVTT 4.4); players skip others.
const SETTINGS: &[&str] = &["vertical", "line", "position", "size", "align", "region"];

/// A WebVTT file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The cues.
    pub cues: Cues,
    /// The value of `X-TIMESTAMP-MAP` in the header (RFC 8216bis 3.1.4), as written.
    pub timestamp_map: Option<String>,
    /// What was left out, in words.
    pub warnings: Vec<String>,
}

/// Reads a WebVTT file that is said to be one: a segment or a whole file of a presentation.
///
/// # Errors
/// `Invalid` without the signature or beyond a limit of captions.
pub fn read_webvtt(bytes: &[u8]) -> Result<Document> {
    if bytes.len() > MAX_SEGMENTS_BYTES {
        let message = format!(
            "{} bytes of WebVTT; {MAX_SEGMENTS_BYTES} are read",
            bytes.len()
        );
        return Err(over_limit(message));
    }
    let (text, mut warnings) = decode::decode(bytes)?;
    if !has_signature(&text) {
        return Err(Error::invalid("line 1: the signature WEBVTT is not there"));
    }
    let document = parse(&text)?;
    warnings.extend(document.warnings);
    Ok(Document {
        warnings,
        ..document
    })
}

/// Whether text starts with the signature, which ends with a blank or its line (WebVTT 4.1).
pub(super) fn has_signature(text: &str) -> bool {
    let rest = text.strip_prefix(SIGNATURE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']))
}

/// Reads text with a signature.
pub(super) fn parse(text: &str) -> Result<Document> {
    let mut reader = Reader::default();
    let mut lines = (1..).zip(text.lines()).skip(1).peekable();
    // The header ends at an empty line, or at the first timing (6.1 step 11).
    while let Some((_, line)) = lines.next_if(|(_, line)| is_inner(line)) {
        reader.header_line(line);
    }
    while let Some((number, first)) = lines.next() {
        if first.is_empty() {
            continue;
        }
        let mut block = vec![first];
        while let Some((_, line)) = lines.next_if(|(_, line)| goes_on(&block, line)) {
            block.push(line);
        }
        reader.block(number, &block)?;
    }
    Ok(reader.finish())
}

fn is_inner(line: &str) -> bool {
    !line.is_empty() && !line.contains(ARROW)
}

/// Whether `line` belongs to the block before it: a timing does as the second line, after an
/// identifier.
fn goes_on(block: &[&str], line: &str) -> bool {
    let timing_may_follow = matches!(block, [only] if !only.contains(ARROW));
    is_inner(line) || (!line.is_empty() && timing_may_follow)
}

#[derive(Debug, Default)]
struct Reader {
    timestamp_map: Option<String>,
    blocks: Vec<String>,
    block_bytes: usize,
    cues: Vec<Cue>,
    warnings: Warnings,
}

impl Reader {
    fn header_line(&mut self, line: &str) {
        if let Some(value) = line.strip_prefix(TIMESTAMP_MAP_NAME) {
            self.timestamp_map.get_or_insert_with(|| value.to_owned());
        }
    }

    fn block(&mut self, number: usize, block: &[&str]) -> Result<()> {
        match block {
            [timing, text @ ..] if timing.contains(ARROW) => self.cue(number, "", timing, text),
            [id, timing, text @ ..] if timing.contains(ARROW) => self.cue(number, id, timing, text),
            [first, ..] if is_named(first, "STYLE") || is_named(first, "REGION") => {
                self.header_block(number, block)
            }
            [first, ..] if is_comment(first) => Ok(()),
            _ => {
                self.warnings.add(number, "text without times is left out");
                Ok(())
            }
        }
    }

    /// Blocks count only before the first cue (6.1 step 12.4).
    fn header_block(&mut self, number: usize, block: &[&str]) -> Result<()> {
        if !self.cues.is_empty() {
            let what = "a STYLE or REGION block after the first cue is left out, as players do";
            self.warnings.add(number, what);
            return Ok(());
        }
        let text = block.join("\n");
        self.block_bytes = self.block_bytes.saturating_add(text.len());
        if self.block_bytes > MAX_HEADER_BYTES {
            return Err(over_limit(format!(
                "line {number}: more than {MAX_HEADER_BYTES} bytes of STYLE and REGION blocks; \
                 shorten the style sheet"
            )));
        }
        self.blocks.push(text);
        Ok(())
    }

    fn cue(&mut self, number: usize, id: &str, timing: &str, text: &[&str]) -> Result<()> {
        let Some((start_millis, end_millis, settings)) = parse_timing(timing) else {
            self.warnings
                .add(number, "a cue whose times can't be read is left out");
            return Ok(());
        };
        if end_millis <= start_millis {
            self.warnings.add(
                number,
                "a cue that ends no later than it starts is left out",
            );
            return Ok(());
        }
        let text = text.join("\n");
        if text.trim().is_empty() {
            self.warnings.add(number, "a cue without text is left out");
            return Ok(());
        }
        let cue = Cue {
            id: sound_id(id).to_owned(),
            start_millis,
            end_millis,
            settings: sound_settings(settings),
            text,
        };
        cue::push(&mut self.cues, cue, number)
    }

    fn finish(self) -> Document {
        Document {
            cues: Cues::new(self.blocks, self.cues),
            timestamp_map: self.timestamp_map,
            warnings: self.warnings.into_lines(),
        }
    }
}

/// Whether a block's first line is that name, with nothing but blanks behind it.
fn is_named(line: &str, name: &str) -> bool {
    line.strip_prefix(name)
        .is_some_and(|rest| rest.trim().is_empty())
}

fn is_comment(line: &str) -> bool {
    let rest = line.strip_prefix("NOTE");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// An identifier as it may be written again: Shaka Player takes a block that starts with one of
/// these words for a comment, a style sheet or a region.
pub(super) fn sound_id(id: &str) -> &str {
    let mistaken = is_comment(id) || is_named(id, "STYLE") || is_named(id, "REGION");
    if mistaken || id.trim().is_empty() {
        return "";
    }
    id
}

/// The settings that the standard knows, one space between them.
pub(super) fn sound_settings(text: &str) -> String {
    let known = |setting: &&str| {
        let named = setting.split_once(':');
        named.is_some_and(|(name, value)| {
            SETTINGS.contains(&name) && !value.is_empty() && !value.contains(ARROW)
        })
    };
    let kept: Vec<&str> = text.split_whitespace().filter(known).collect();
    kept.join(" ")
}

/// Cue text as it may stand in a file: without empty lines, NUL and arrows.
pub(super) fn sound_text(text: &str) -> String {
    let text = text.replace('\0', "\u{fffd}").replace(ARROW, "--&gt;");
    let filled: Vec<&str> = text
        .split(['\n', '\r'])
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty())
        .collect();
    filled.join("\n")
}

/// A cue of WebM: a line for its identifier, one for its settings, and its text.
pub(super) fn read_lines(sample: &[u8]) -> Said {
    let text = String::from_utf8_lossy(sample);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default().trim_end_matches('\r');
    let (id, settings) = (line(), line());
    Said {
        id: sound_id(id).to_owned(),
        settings: sound_settings(settings),
        text: sound_text(lines.next().unwrap_or_default()),
    }
}

/// The STYLE and REGION blocks of the header that containers keep apart from the cues; none where
/// it has too many.
pub(super) fn header_blocks(header: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(header) else {
        return Vec::new();
    };
    let text = text.replace("\r\n", "\n").replace(['\r', '\0'], "\n");
    let document = parse(&text).ok();
    document.map_or_else(Vec::new, |document| document.cues.blocks().to_vec())
}
