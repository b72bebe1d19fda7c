//! Timed text of MP4 and QuickTime: `tx3g` (3GPP TS 26.245) and `text` (QuickTime File Format).

use super::decode;
use super::markup::{Face, Styled};
use super::track::Said;

/// What the sample description says for all samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Defaults {
    face: Face,
}

/// Where the face of the default style lies in a `tx3g` description, counted from its display flags:
/// flags, justification, background, box, characters and font come before it.
const FACE_AT: usize = 4 + 2 + 4 + 8 + 4 + 2;

impl Defaults {
    /// Of the fields of a `tx3g` sample description; of nothing for `text`.
    pub(super) fn of(config: &[u8]) -> Self {
        let face = config.get(FACE_AT).copied().unwrap_or(0);
        Self {
            face: face_of(face),
        }
    }
}

/// 26.245 section 5.16.1.2: bold, italic, underlined.
fn face_of(flags: u8) -> Face {
    Face {
        bold: flags & 1 != 0,
        italic: flags & 2 != 0,
        underlined: flags & 4 != 0,
    }
}

/// Characters of the text with a style of their own.
struct StyleRun {
    start: usize,
    end: usize,
    face: Face,
}

/// Reads a sample: a 16-bit length, the text, and boxes of which `styl` is taken. Samples without
/// text say that nothing is shown.
pub(super) fn read(sample: &[u8], defaults: Defaults) -> Said {
    let Some((length, rest)) = sample.split_first_chunk::<2>() else {
        return Said::default();
    };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (text, boxes) = rest.split_at(length);
    let Ok((text, _)) = decode::decode(text) else {
        return Said::default();
    };
    let runs = style_runs(boxes);
    let mut styled = Styled::default();
    let mut coming = runs.iter().peekable();
    for (at, character) in text.chars().enumerate() {
        while coming.next_if(|run| run.end <= at).is_some() {}
        let run = coming.peek().filter(|run| run.start <= at);
        styled.push(character, run.map_or(defaults.face, |run| run.face));
    }
    Said::plain(styled.to_cue_text())
}

/// The records of the `styl` box (26.245 section 5.17.1.1), as many as there are bytes for, in the order
/// in which the section has them: of the text.
fn style_runs(boxes: &[u8]) -> Vec<StyleRun> {
    let Some(records) = super::webvtt_boxes::child(boxes, *b"styl").and_then(|b| b.get(2..)) else {
        return Vec::new();
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
    let run = |record: &[u8]| {
        Some(StyleRun {
            start: number(record.get(..2)?),
            end: number(record.get(2..4)?),
            face: face_of(*record.get(6)?),
        })
    };
    let mut runs: Vec<StyleRun> = records.chunks_exact(12).filter_map(run).collect();
    runs.sort_by_key(|run| run.start);
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(text: &[u8], boxes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(text.len()).expect("short");
        [&length.to_be_bytes(), text, boxes].concat()
    }

    fn said(sample: &[u8]) -> String {
        read(sample, Defaults::default()).text
    }

    #[test]
    fn styles_and_encodings_are_read() {
        let styl = [
            &34_u32.to_be_bytes()[..],
            b"styl",
            &[0, 2],
            &[0, 0, 0, 2, 0, 1, 2, 18, 255, 255, 255, 255],
            &[0, 3, 0, 4, 0, 1, 1, 18, 255, 255, 255, 255],
        ];
        let text = "né <b>\r\nzwei".as_bytes();
        assert_eq!(
            said(&sample(text, &styl.concat())),
            "<i>né</i> <b>&lt;</b>b&gt;\nzwei"
        );
        assert_eq!(said(&sample(b"\xfe\xff\0h\0i", b"")), "hi");
        assert_eq!(said(&sample(b"", b"")), "");
        assert_eq!(said(&[0, 200, b'x']), "x");
    }

    #[test]
    fn the_default_style_counts() {
        let mut config = vec![0; FACE_AT];
        config.push(2);
        let text = read(&sample(b"x", b""), Defaults::of(&config)).text;
        assert_eq!(text, "<i>x</i>");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = said(&bytes);
            prop_assert!(!text.contains("-->"));
        }
    }
}
