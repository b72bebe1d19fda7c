//! Timed text: WebVTT (W3C), SubRip and the text tracks of containers to cues, and cues to WebVTT,
//! whole for DASH and in segments for HLS (RFC 8216bis 3.1.4).
//!
//! ```text
//! bytes -> decode -> webvtt or subrip -> Cues -> write
//! samples -> track -> mov_text, webvtt_boxes, webvtt, subrip or substation -> Cues
//! video's segments -> cuts -> segments of text
//! ```
//!
//! Text files come from people and many programs, so reading is lenient: what can't be used is left
//! out with a warning that names its line, and only what is no captions at all, or too much, is
//! refused. Writing is strict: what is written is valid WebVTT that reads as the same cues.

mod chapters;
mod cue;
mod cuts;
mod decode;
mod line21;
mod line21_characters;
mod line21_screen;
mod markup;
mod mov_text;
mod subrip;
mod substation;
mod thumbnails;
mod timing;
mod track;
mod warnings;
mod webvtt;
mod webvtt_boxes;
mod write;

pub use chapters::chapter_cues;
pub use cue::{Cue, Cues};
pub use cuts::{SEGMENT_SECONDS, merge};
pub use line21::Line21;
pub use thumbnails::thumbnails;
pub use timing::parse_time;
pub use track::{MAX_SAMPLE_BYTES, MAX_TRACK_BYTES, TextSample, TrackReader};
pub use webvtt::{Document, read_webvtt};
pub use write::{TIMESTAMP_MAP, segments, write};

use crate::error::{Error, Result};

/// Largest text file that is read, in bytes.
pub const MAX_BYTES: usize = 5 << 20;
/// Most cues of one file.
pub const MAX_CUES: usize = 100_000;
/// Largest cue, in bytes of its text, identifier and settings together.
pub const MAX_CUE_BYTES: usize = 10 << 10;
/// Most bytes of STYLE and REGION blocks: they are repeated in every segment.
pub const MAX_HEADER_BYTES: usize = 16 << 10;
/// Most bytes of all segments of one track together.
pub const MAX_SEGMENTS_BYTES: usize = 64 << 20;

/// What was read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The cues.
    pub cues: Cues,
    /// What was left out or guessed, in words, with line numbers.
    pub warnings: Vec<String>,
}

/// Reads a WebVTT or SubRip file, told apart by what is in it.
///
/// # Errors
/// `Invalid` for what is no captions or beyond a limit, `Unsupported` for captions in another
/// format. Each names the line where there is one, and what to do.
pub fn parse(bytes: &[u8]) -> Result<Parsed> {
    refuse_too_large(bytes)?;
    let (text, mut warnings) = decode::decode(bytes)?;
    let parsed = if webvtt::has_signature(&text) {
        from_webvtt(&text)?
    } else {
        subrip::parse(&text)?
    };
    if let (true, Some(first)) = (parsed.cues.cues().is_empty(), parsed.warnings.first()) {
        return Err(Error::invalid(format!("no cue can be used; {first}")));
    }
    warnings.extend(parsed.warnings);
    Ok(Parsed {
        cues: parsed.cues,
        warnings,
    })
}

fn from_webvtt(text: &str) -> Result<Parsed> {
    let mut document = webvtt::parse(text)?;
    if document.timestamp_map.is_some() {
        let warning = "X-TIMESTAMP-MAP is left out: times count from the start of the title; \
                       this may be one segment of a stream rather than all its captions";
        document.warnings.push(warning.to_owned());
    }
    Ok(Parsed {
        cues: document.cues,
        warnings: document.warnings,
    })
}

fn refuse_too_large(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(over_limit(format!(
        "the captions have {} bytes; the limit is {MAX_BYTES}",
        bytes.len()
    )))
}

fn over_limit(message: String) -> Error {
    Error::invalid(message)
}

#[cfg(test)]
mod tests;
