//! Text tracks of containers: samples with their times to cues.

use super::cue::{self, Cue, Cues};
use super::warnings::Warnings;
use super::{Parsed, mov_text, subrip, substation, webvtt, webvtt_boxes};
use crate::error::{Error, Result};

/// Largest sample of text that is read, in bytes.
pub const MAX_SAMPLE_BYTES: u32 = 64 << 10;
/// Most bytes of all samples of one text track.
pub const MAX_TRACK_BYTES: u64 = 64 << 20;

/// Cues before the last one that a repetition is looked for in.
const REACH: usize = 32;

/// A sample of a text track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSample {
    /// When it appears, in milliseconds from the presentation's start; may lie before it.
    pub start_millis: i64,
    /// When it goes, likewise.
    pub end_millis: i64,
    /// Its bytes, as the container holds them.
    pub bytes: Vec<u8>,
}

/// What a sample says, without its times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    pub(super) id: String,
    pub(super) settings: String,
    /// Cue text; what is empty is not shown.
    pub(super) text: String,
}

impl Said {
    pub(super) fn plain(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

/// Reads the samples of one track into cues.
#[derive(Debug)]
pub struct TrackReader {
    coding: Coding,
    blocks: Vec<String>,
    cues: Vec<Cue>,
    warnings: Warnings,
    /// Samples seen.
    count: usize,
    /// Why the rest is left out.
    full: Option<Error>,
}

/// How samples are written.
#[derive(Debug)]
enum Coding {
    MovText(mov_text::Defaults),
    /// ISO/IEC 14496-30 `wvtt`.
    Boxes,
    /// WebM: identifier, settings and text in lines.
    Lines,
    SubRip,
    SubStation(Box<substation::Styles>),
}

impl Coding {
    /// Tracks that repeat a cue in sample after sample as long as it is shown, and how many
    /// milliseconds may lie between two of them.
    fn repeats_within(&self) -> Option<u64> {
        match self {
            Self::Boxes => Some(1),
            // Animated signs: one event a frame.
            Self::SubStation(_) => Some(50),
            Self::MovText(_) | Self::Lines | Self::SubRip => None,
        }
    }
}

impl TrackReader {
    /// For a track of that codec (FFmpeg's name, or `wvtt`) and configuration.
    ///
    /// # Errors
    /// `Unsupported` for text that isn't read.
    pub fn new(codec: &str, config: &[u8]) -> Result<Self> {
        let coding = match codec {
            "mov_text" => Coding::MovText(mov_text::Defaults::of(config)),
            "wvtt" => Coding::Boxes,
            "webvtt" => Coding::Lines,
            "subrip" | "text" => Coding::SubRip,
            "ass" | "ssa" => Coding::SubStation(Box::new(substation::Styles::of(config))),
            other => {
                let message = format!("text as {other} is not read; convert it to WebVTT first");
                return Err(Error::unsupported(message));
            }
        };
        let blocks = match coding {
            Coding::Boxes | Coding::Lines => webvtt::header_blocks(config),
            _ => Vec::new(),
        };
        Ok(Self {
            coding,
            blocks,
            cues: Vec::new(),
            warnings: Warnings::default(),
            count: 0,
            full: None,
        })
    }

    /// Takes the next sample. Whatever is wrong with it becomes a warning.
    pub fn push(&mut self, sample: &TextSample) {
        self.count += 1;
        if self.full.is_some() {
            return;
        }
        let said = match &self.coding {
            Coding::MovText(defaults) => vec![mov_text::read(&sample.bytes, *defaults)],
            Coding::Boxes => webvtt_boxes::read(&sample.bytes),
            Coding::Lines => vec![webvtt::read_lines(&sample.bytes)],
            Coding::SubRip => vec![subrip::read(&sample.bytes)],
            Coding::SubStation(styles) => vec![styles.read(&sample.bytes)],
        };
        for said in said.into_iter().filter(|said| !said.text.is_empty()) {
            if let Err(error) = self.show(sample, said) {
                self.full = Some(error);
                return;
            }
        }
    }

    /// Notes a sample that was not read.
    pub fn left_out(&mut self, what: &'static str) {
        self.count += 1;
        self.warnings.add(self.count, what);
    }

    fn show(&mut self, sample: &TextSample, said: Said) -> Result<()> {
        let start_millis = u64::try_from(sample.start_millis.max(0)).unwrap_or(0);
        let Ok(end_millis) = u64::try_from(sample.end_millis) else {
            return Ok(());
        };
        if end_millis <= start_millis {
            if sample.end_millis <= sample.start_millis {
                let what = "text that is shown for no time is left out";
                self.warnings.add(self.count, what);
            }
            return Ok(());
        }
        let cue = Cue {
            id: said.id,
            start_millis,
            end_millis,
            settings: said.settings,
            text: said.text,
        };
        if self.goes_on(&cue) {
            return Ok(());
        }
        cue::push(&mut self.cues, cue, self.count)
    }

    /// Whether the cue is one of the last again: then that one lasts as long as both.
    fn goes_on(&mut self, cue: &Cue) -> bool {
        let Some(within) = self.coding.repeats_within() else {
            return false;
        };
        let again = |last: &&mut Cue| {
            let follows = cue.start_millis <= last.end_millis.saturating_add(within)
                && cue.start_millis >= last.start_millis;
            follows && last.text == cue.text && last.settings == cue.settings
        };
        let mut last = self.cues.iter_mut().rev().take(REACH);
        let Some(same) = last.find(again) else {
            return false;
        };
        same.end_millis = same.end_millis.max(cue.end_millis);
        true
    }

    /// The cues, and what was left out.
    pub fn finish(self) -> Parsed {
        let mut warnings = self.warnings.into_lines_of("sample");
        if let Some(error) = self.full {
            warnings.push(format!("the rest is left out: {error}"));
        }
        Parsed {
            cues: Cues::new(self.blocks, self.cues),
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start_millis: i64, end_millis: i64, bytes: &[u8]) -> TextSample {
        TextSample {
            start_millis,
            end_millis,
            bytes: bytes.to_vec(),
        }
    }

    fn read(codec: &str, samples: &[TextSample]) -> Parsed {
        let mut reader = TrackReader::new(codec, b"").expect("a known codec");
        samples.iter().for_each(|sample| reader.push(sample));
        reader.finish()
    }

    fn rows(parsed: &Parsed) -> Vec<(u64, u64, &str)> {
        let cues = parsed.cues.cues().iter();
        cues.map(|cue| (cue.start_millis, cue.end_millis, cue.text.as_str()))
            .collect()
    }

    #[test]
    fn what_is_shown_before_the_start_is_cut() {
        let samples = [
            sample(-900, -100, b"gone"),
            sample(-500, 500, b"late"),
            sample(700, 700, b"never"),
            sample(800, 900, b"<i>on</i> time"),
        ];
        let parsed = read("subrip", &samples);
        assert_eq!(
            rows(&parsed),
            [(0, 500, "late"), (800, 900, "<i>on</i> time")]
        );
        assert_eq!(
            parsed.warnings,
            ["sample 3: text that is shown for no time is left out"]
        );
    }

    #[test]
    fn a_sign_that_moves_from_frame_to_frame_is_one_cue() {
        let event = |start: i64, layer: u8| {
            let text = format!("{start},{layer},Sign,,0,0,0,,{{\\fscx{start}}}EXIT");
            sample(start, start + 40, text.as_bytes())
        };
        let mut samples = Vec::new();
        for frame in 0..20 {
            samples.extend([event(frame * 40, 0), event(frame * 40, 1)]);
        }
        samples.push(event(2000, 0));
        let parsed = read("ass", &samples);
        assert_eq!(rows(&parsed), [(0, 800, "EXIT"), (2000, 2040, "EXIT")]);
    }

    #[test]
    fn the_lines_of_webm_are_identifier_settings_and_text() {
        let parsed = read("webvtt", &[sample(0, 9, b"one\nline:0 x:y\nHello\n\nyou")]);
        let cue = &parsed.cues.cues()[0];
        assert_eq!((cue.id.as_str(), cue.settings.as_str()), ("one", "line:0"));
        assert_eq!(cue.text, "Hello\nyou");
    }

    #[test]
    fn what_is_too_much_is_left_out_and_told() {
        let long = vec![b'x'; 20_000];
        let parsed = read(
            "subrip",
            &[
                sample(0, 9, b"a"),
                sample(9, 12, &long),
                sample(12, 13, b"b"),
            ],
        );
        assert_eq!(rows(&parsed), [(0, 9, "a")]);
        assert!(parsed.warnings[0].starts_with("the rest is left out"));
        assert!(TrackReader::new("hdmv_pgs_subtitle", b"").is_err());
    }
}
