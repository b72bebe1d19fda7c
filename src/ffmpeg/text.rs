//! What containers say beside pictures and sound: text with its identifiers and settings, chapters.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::packet::side_data::Type;

use super::sys;
use crate::media::{Chapter, MAX_CHAPTERS, chapter_title};
use crate::time::{NonZeroU64, Rounding, scale};

/// A WebVTT cue as WebM has it: a line for the identifier, one for the settings, and the text.
/// libavformat keeps the first two apart from the text.
pub(super) fn webvtt_lines(packet: &ffmpeg::Packet, text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len() + 2);
    for kind in [Type::WebVTTIdentifier, Type::WebVTTSettings] {
        let side = packet.side_data().find(|side| side.kind() == kind);
        if let Some(side) = side {
            let line = side.data().split(|b| matches!(b, b'\n' | b'\r')).next();
            lines.extend_from_slice(line.unwrap_or_default());
        }
        lines.push(b'\n');
    }
    lines.extend_from_slice(text);
    lines
}

/// The chapters, in milliseconds of the movie time line, whose zero is at `start_millis` of the
/// container's.
pub(super) fn chapters(input: &ffmpeg::format::context::Input, start_millis: i64) -> Vec<Chapter> {
    let chapters = input.chapters().take(MAX_CHAPTERS);
    let mut read: Vec<Chapter> = (1..)
        .zip(chapters)
        .filter_map(|(number, chapter)| {
            let base = chapter.time_base();
            let numerator = u64::try_from(base.numerator()).ok()?;
            let denominator = NonZeroU64::new(u64::try_from(base.denominator()).ok()?)?;
            let millis = |time: i64| {
                let time = scale(
                    time,
                    numerator.checked_mul(1000)?,
                    denominator,
                    Rounding::Nearest,
                );
                Some(time.saturating_sub(start_millis).max(0).unsigned_abs())
            };
            let start_millis = millis(chapter.start())?;
            Some(Chapter {
                start_millis,
                // libavformat fills in ends that are missing, except where nothing is known.
                end_millis: millis(chapter.end())?.max(start_millis),
                title: sys::chapter_tag(&chapter, c"title")
                    .and_then(|title| chapter_title(&title))
                    .unwrap_or_else(|| format!("Chapter {number}")),
                language: "und".to_owned(),
            })
        })
        .collect();
    read.sort_by_key(|chapter| chapter.start_millis);
    read
}
