//! SubStation Alpha (SSA, ASS) as containers hold it: styles in the configuration, events in samples.
//! There is no standard: this keeps what WebVTT can say (line breaks, italic, bold, underlined,
//! places), and drops fonts, colours, animations, drawings and comments.

use std::collections::BTreeMap;

use super::markup::{Face, Styled};
use super::subrip;
use super::track::Said;

/// Styles that are kept.
const MAX_STYLES: usize = 1000;
/// The size that places count in where the script names none.
const DEFAULT_SIZE: (u32, u32) = (384, 288);
/// About how much of the picture's height a line of text takes, in percent.
const LINE_PERCENT: u32 = 6;

/// What a style says that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Style {
    face: Face,
    /// Where the text stands: the digit of `\an`.
    place: u8,
}

/// The styles of a script, and the size of the picture it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Styles {
    named: BTreeMap<String, Style>,
    size: (u32, u32),
}

impl Styles {
    /// Reads the script without its events.
    pub(super) fn of(config: &[u8]) -> Self {
        let text = String::from_utf8_lossy(config);
        let mut styles = Self {
            named: BTreeMap::new(),
            size: DEFAULT_SIZE,
        };
        let mut columns: Vec<String> = Vec::new();
        let mut legacy = false;
        for line in text.lines() {
            let line = line.trim().trim_start_matches('\u{feff}');
            if line.starts_with('[') {
                legacy = line.eq_ignore_ascii_case("[V4 Styles]");
                columns.clear();
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "playresx" => styles.size.0 = size(value).unwrap_or(styles.size.0),
                "playresy" => styles.size.1 = size(value).unwrap_or(styles.size.1),
                "format" => columns = fields(value).map(str::to_ascii_lowercase).collect(),
                "style" if styles.named.len() < MAX_STYLES => {
                    let (name, style) = style(&columns, value, legacy);
                    styles.named.insert(name, style);
                }
                _ => {}
            }
        }
        styles
    }

    /// The style of that name, or the default one. A `*` in front was put there by old programs.
    fn style(&self, name: &str) -> Style {
        let name = name.trim().trim_start_matches('*');
        let style = self.named.get(name).or_else(|| self.named.get("Default"));
        style.copied().unwrap_or_default()
    }

    /// Reads an event as Matroska has it: its number, layer (or `Marked`), style, speaker, three
    /// margins, effect, and the text, in which commas are text.
    pub(super) fn read(&self, sample: &[u8]) -> Said {
        let text = String::from_utf8_lossy(sample);
        let mut fields = text.splitn(9, ',');
        let style = fields.nth(2).unwrap_or_default();
        let Some(text) = fields.nth(5) else {
            return Said::default();
        };
        let mut event = Event::new(self, self.style(style));
        event.read(text);
        event.said(self.size)
    }
}

fn size(value: &str) -> Option<u32> {
    value
        .trim()
        .parse()
        .ok()
        .filter(|size| (1..=100_000).contains(size))
}

fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(str::trim)
}

fn style(columns: &[String], value: &str, legacy: bool) -> (String, Style) {
    let values: Vec<&str> = fields(value).collect();
    let value = |column: &str| {
        let at = columns.iter().position(|name| name == column)?;
        values.get(at).copied()
    };
    let is_set = |column| value(column).is_some_and(|value| !matches!(value, "0" | ""));
    let alignment = value("alignment").and_then(|value| value.parse().ok());
    let style = Style {
        face: Face {
            italic: is_set("italic"),
            bold: is_set("bold"),
            underlined: is_set("underline"),
        },
        place: match (alignment, legacy) {
            (Some(place), true) => from_legacy(place),
            (Some(place), false) => place,
            (None, _) => 2,
        },
    };
    let name = value("name").unwrap_or_default();
    (name.trim_start_matches('*').to_owned(), style)
}

/// SSA's alignment, 1 to 3 and 4 more for the top and 8 more for the middle, as the digit of `\an`.
fn from_legacy(place: u8) -> u8 {
    match place {
        5..=7 => place + 2,
        9..=11 => place - 5,
        other => other,
    }
}

/// An event while its text is read.
struct Event<'a> {
    styles: &'a Styles,
    base: Style,
    face: Face,
    place: u8,
    has_place: bool,
    position: Option<(f32, f32)>,
    /// Scale of a drawing; 0 while there is text.
    drawing: u32,
    text: Styled,
}

impl<'a> Event<'a> {
    fn new(styles: &'a Styles, base: Style) -> Self {
        Self {
            styles,
            base,
            face: base.face,
            place: base.place,
            has_place: false,
            position: None,
            drawing: 0,
            text: Styled::default(),
        }
    }

    fn read(&mut self, text: &str) {
        let mut rest = text.trim_end_matches(['\r', '\n', '\0']);
        while let Some(character) = rest.chars().next() {
            if let Some((block, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
                self.overrides(block);
                rest = after;
                continue;
            }
            let mut after = rest.get(character.len_utf8()..).unwrap_or_default();
            let mut shown = character;
            if character == '\\' {
                let escaped = match after.chars().next() {
                    Some('N') => Some('\n'),
                    Some('n') => Some(' '),
                    Some('h') => Some('\u{a0}'),
                    _ => None,
                };
                if let Some(escaped) = escaped {
                    shown = escaped;
                    after = after.get(1..).unwrap_or_default();
                }
            }
            if self.drawing == 0 {
                self.text.push(shown, self.face);
            }
            rest = after;
        }
    }

    /// The tags of a block; what stands outside of tags is a comment. What is in parentheses
    /// belongs to the tag before them, tags of animations included.
    fn overrides(&mut self, block: &str) {
        let mut rest = block;
        while let Some((_, tag)) = rest.split_once('\\') {
            let name_end = tag.find(['\\', '(']).unwrap_or(tag.len());
            let (name, after) = tag.split_at(name_end);
            match after.strip_prefix('(') {
                Some(inner) => {
                    let (arguments, after) = split_at_close(inner);
                    self.call(name.trim(), arguments);
                    rest = after;
                }
                None => {
                    self.tag(name.trim());
                    rest = after;
                }
            }
        }
    }

    fn call(&mut self, name: &str, arguments: &str) {
        if self.position.is_some() || !matches!(name, "pos" | "move") {
            return;
        }
        let mut numbers = fields(arguments).map(|number| number.parse::<f32>().ok());
        if let (Some(Some(x)), Some(Some(y))) = (numbers.next(), numbers.next())
            && x.is_finite()
            && y.is_finite()
        {
            self.position = Some((x, y));
        }
    }

    fn tag(&mut self, tag: &str) {
        let number = |name: &str| tag.strip_prefix(name).and_then(|n| n.parse::<u32>().ok());
        let place = number("an").or_else(|| {
            let legacy = number("a").and_then(|place| u8::try_from(place).ok());
            legacy.map(from_legacy).map(u32::from)
        });
        if let Some(place) = place {
            // The first one counts.
            if !self.has_place {
                self.place = u8::try_from(place).unwrap_or(2);
                self.has_place = true;
            }
        } else if let Some(scale) = number("p") {
            self.drawing = scale;
        } else if let Some(set) = switch(tag, "i", self.base.face.italic) {
            self.face.italic = set;
        } else if let Some(set) = switch(tag, "b", self.base.face.bold) {
            self.face.bold = set;
        } else if let Some(set) = switch(tag, "u", self.base.face.underlined) {
            self.face.underlined = set;
        } else if let Some(name) = tag.strip_prefix('r').filter(|name| !name.starts_with("nd")) {
            let style = if name.is_empty() {
                self.base
            } else {
                self.styles.style(name)
            };
            self.face = style.face;
        }
    }

    fn said(&self, size: (u32, u32)) -> Said {
        let text = self.text.to_cue_text();
        let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
        let settings = match self.position {
            Some(position) => self.settings_at(position, size, lines),
            None => {
                let digit = self.place.to_string();
                subrip::position(&format!("an{digit}"))
                    .unwrap_or_default()
                    .to_owned()
            }
        };
        Said {
            settings,
            ..Said::plain(text)
        }
    }

    /// Settings for text of `lines` lines whose corner, side or middle, by its place, is at a point
    /// of the picture. Which point of a cue `line` means, browsers don't let one say; it is the
    /// top.
    fn settings_at(&self, (x, y): (f32, f32), (width, height): (u32, u32), lines: u32) -> String {
        let height_taken = lines.saturating_mul(LINE_PERCENT).min(100);
        let (x, y) = (percent(x, width), percent(y, height));
        let above = match self.place {
            7..=9 => 0,
            4..=6 => height_taken / 2,
            _ => height_taken,
        };
        let line = y.saturating_sub(above).min(100 - height_taken);
        let align = match self.place % 3 {
            1 if self.place > 0 => " align:left",
            0 if self.place > 0 => " align:right",
            _ => "",
        };
        format!("line:{line}% position:{x}%{align}")
    }
}

/// `x` of `whole` in percent, 0 to 100.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to 0 to 100"
)]
fn percent(x: f32, whole: u32) -> u32 {
    (x / whole.max(1) as f32 * 100.0).round().clamp(0.0, 100.0) as u32
}

/// What `\i1`, `\i0` and `\i` say: on, off, as the style has it. Weights count as bold from 600.
fn switch(tag: &str, name: &str, base: bool) -> Option<bool> {
    match tag.strip_prefix(name)? {
        "" => Some(base),
        number => {
            let number: u32 = number.parse().ok()?;
            Some(number == 1 || number >= 600)
        }
    }
}

/// What is before the parenthesis that closes the one before `text`, and what is after it.
fn split_at_close(text: &str) -> (&str, &str) {
    let mut depth = 1_u32;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let (inner, after) = text.split_at(at);
            return (inner, after.get(1..).unwrap_or_default());
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCRIPT: &str = "[Script Info]\r\nPlayResX: 640\r\nPlayResY: 480\r\n\r\n[V4+ Styles]\r\n\
        Format: Name, Fontname, Fontsize, Bold, Italic, Underline, Alignment\r\n\
        Style: Default,Arial,20,0,0,0,2\r\nStyle: Sign,Arial,20,-1,0,0,8\r\n\
        Style: Thought,Arial,20,0,-1,0,2\r\n\r\n[Events]\r\nFormat: Layer, Start\r\n";

    fn read(event: &str) -> (String, String) {
        let said = Styles::of(SCRIPT.as_bytes()).read(event.as_bytes());
        (said.text, said.settings)
    }

    fn text(text: &str) -> String {
        read(&format!("0,0,Default,,0,0,0,,{text}")).0
    }

    #[test]
    fn tags_are_converted_or_dropped() {
        assert_eq!(
            text(r"Hello, {\i1}you{\i0}\Nthere"),
            "Hello, <i>you</i>\nthere"
        );
        assert_eq!(text(r"a\nb\hc & <d>"), "a b\u{a0}c &amp; &lt;d&gt;");
        assert_eq!(text(r"{a comment}x{\fad(200,200)\c&HFF&}y"), "xy");
        assert_eq!(
            text(r"{\b700}x{\b400}y{\rThought}z{\r}."),
            "<b>x</b>y<i>z</i>."
        );
        assert_eq!(text(r"{\k20}ka{\k30}ra"), "kara");
        assert_eq!(text(r"{\t(0,500,\i1\fscx(2))}x"), "x");
        assert_eq!(text(r"{\p1}m 0 0 l 100 0{\p0}"), "");
        assert_eq!(text(r"{\p1}m 0 0 l 100 0{\p0}after"), "after");
        assert_eq!(text(r"{\pbo-5}x{\rnd2}y{\be1}z{\bord3}"), "xyz");
        assert_eq!(text("{not closed"), "{not closed");
    }

    #[test]
    fn styles_and_places_become_settings() {
        let sign = read("3,0,Sign,,0,0,0,,EXIT");
        assert_eq!(sign, ("<b>EXIT</b>".into(), "line:0".into()));
        let left = read(r"3,0,Sign,,0,0,0,,{\an1\an9}x");
        assert_eq!(left.1, "align:left");
        let placed = read(r"3,0,Default,,0,0,0,,{\pos(160,240)}x\Ny");
        assert_eq!(placed.1, "line:38% position:25%");
        let far = read(r"3,0,Default,,0,0,0,,{\an7\pos(-9000,1e30)}x");
        assert_eq!(far.1, "line:94% position:0% align:left");
        assert_eq!(read("3,0,Nowhere,,0,0,0,,x").1, "");
    }

    #[test]
    fn old_scripts_count_places_otherwise() {
        let script = "[V4 Styles]\nFormat: Name, Alignment\nStyle: *Default,6\n";
        let styles = Styles::of(script.as_bytes());
        let said = styles.read(b"0,Marked=0,*Default,NTP,0000,0000,0000,!Effect,x");
        assert_eq!(said.settings, "line:0");
        assert_eq!(from_legacy(11), 6);
    }

    proptest! {
        #[test]
        fn any_script_and_event_are_survived(script in "[\\[\\]V4+ Stylesa:,\n*0-9]{0,60}", event in "[,{}()\\\\a-z0-9&<>\n-]{0,60}") {
            let said = Styles::of(script.as_bytes()).read(event.as_bytes());
            prop_assert!(!said.text.contains("-->"));
            prop_assert!(said.text.lines().all(|line| !line.trim().is_empty()));
        }
    }
}
