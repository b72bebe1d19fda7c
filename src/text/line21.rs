//! CTA-608 ("line 21") captions: pairs of bytes to cues. Pop-on, roll-up and paint-on captions of the
//! channels CC1 to CC4; text services and XDS are passed over.
//!
//! Section numbers are those of CTA-608-E.

use super::cue::{self, Cue, Cues};
use super::line21_screen::{COLUMNS, Cell, ROWS, Screen};
use super::markup::Face;
use super::{Parsed, line21_characters as characters};
use crate::error::Error;
use crate::media::CaptionChannel;

/// A field of the picture, and the two channels that share it.
#[derive(Debug, Default)]
struct Field {
    channels: [Channel; 2],
    /// Which of the two the last control code was for.
    current: usize,
    /// The last control code, which is sent twice and counts once (section D.2).
    last_control: Option<[u8; 2]>,
    /// Between the start of an XDS packet and the next control code (section 9).
    in_xds: bool,
}

/// Decodes the captions of one video.
#[derive(Debug, Default)]
pub struct Line21 {
    fields: [Field; 2],
}

impl Line21 {
    /// Takes a pair of field 1 (`field` 0) or 2 that is shown from `millis` on. Times don't fall.
    pub fn push(&mut self, millis: i64, field: usize, pair: [u8; 2]) {
        if let Some(field) = self.fields.get_mut(field) {
            field.push(millis, pair);
        }
    }

    /// The captions of each channel that has any; what is shown stays until `end_millis`.
    pub fn finish(self, end_millis: i64) -> Vec<(CaptionChannel, Parsed)> {
        let channels = self.fields.into_iter().flat_map(|field| field.channels);
        let mut found = Vec::new();
        for (number, mut channel) in (1..).zip(channels) {
            channel.show_until(end_millis);
            if let Some(parsed) = channel.finish() {
                found.push((CaptionChannel::Line21(number), parsed));
            }
        }
        found
    }
}

impl Field {
    fn push(&mut self, millis: i64, pair: [u8; 2]) {
        let is_sound = pair.iter().all(|byte| byte.count_ones() % 2 == 1);
        let pair = pair.map(|byte| byte & 0x7f);
        if !is_sound || pair == [0, 0] {
            self.last_control = None;
            return;
        }
        match pair[0] {
            0x01..=0x0f => {
                self.in_xds = pair[0] != 0x0f;
                self.last_control = None;
            }
            0x10..=0x1f => {
                self.in_xds = false;
                if self.last_control.take() == Some(pair) {
                    return;
                }
                self.last_control = Some(pair);
                self.current = usize::from(pair[0] & 8 != 0);
                let first = pair[0] & !8;
                self.channel(|channel| channel.control(millis, first, pair[1]));
            }
            _ => {
                self.last_control = None;
                if !self.in_xds {
                    self.channel(|channel| {
                        for byte in pair.into_iter().filter(|byte| *byte >= 0x20) {
                            channel.write(millis, characters::basic(byte));
                        }
                    });
                }
            }
        }
    }

    fn channel(&mut self, act: impl FnOnce(&mut Channel)) {
        if let Some(channel) = self.channels.get_mut(self.current) {
            act(channel);
        }
    }
}

/// How text comes onto the screen (section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    /// Nothing was said yet, or the text service has the channel.
    #[default]
    Off,
    PopOn,
    /// With so many rows.
    RollUp(usize),
    PaintOn,
}

/// One channel of captions.
#[derive(Debug, Default)]
struct Channel {
    mode: Mode,
    shown: Screen,
    hidden: Screen,
    row: usize,
    column: usize,
    face: Face,
    /// Since when the screen shows what it shows; `None` while it is empty.
    since: Option<i64>,
    cues: Vec<Cue>,
    /// Why the rest is left out.
    full: Option<Error>,
}

impl Channel {
    fn control(&mut self, millis: i64, first: u8, second: u8) {
        match (first, second) {
            (0x14 | 0x15, 0x20..=0x2f) => self.command(millis, second),
            (0x17, 0x21..=0x23) => self.tab(usize::from(second - 0x20)),
            (0x11, 0x20..=0x2f) => self.mid_row(millis, second),
            (0x11, 0x30..=0x3f) => self.write(millis, characters::special(second)),
            (0x12 | 0x13, 0x20..=0x3f) => {
                // It stands for the character before it, which older decoders show (section 6.4.2).
                self.move_to(self.before());
                self.write(millis, characters::extended(first, second));
            }
            (_, 0x40..=0x7f) => self.preamble(first, second),
            _ => {}
        }
    }

    /// Section F.1.1.5, miscellaneous control codes.
    fn command(&mut self, millis: i64, code: u8) {
        match code {
            0x20 => self.mode = Mode::PopOn,
            0x21 => {
                self.move_to(self.before());
                self.put(millis, None);
            }
            0x24 => self.delete_to_end(millis),
            0x25..=0x27 => self.roll_up(millis, usize::from(code - 0x23)),
            0x29 => {
                if self.mode != Mode::PaintOn {
                    self.mode = Mode::PaintOn;
                }
                self.show_until(millis);
            }
            0x2a | 0x2b => self.mode = Mode::Off,
            0x2c => {
                self.show_until(millis);
                self.shown = Screen::default();
                self.since = None;
            }
            0x2d => self.carriage_return(millis),
            0x2e => self.hidden = Screen::default(),
            0x2f => self.flip(millis),
            _ => {}
        }
    }

    /// End of caption: what was loaded is shown, and the other way round.
    fn flip(&mut self, millis: i64) {
        self.mode = Mode::PopOn;
        self.show_until(millis);
        std::mem::swap(&mut self.shown, &mut self.hidden);
        self.since = (!self.shown.is_empty()).then_some(millis);
    }

    fn roll_up(&mut self, millis: i64, rows: usize) {
        if !matches!(self.mode, Mode::RollUp(_)) {
            self.show_until(millis);
            self.shown = Screen::default();
            self.hidden = Screen::default();
            self.since = None;
            self.row = ROWS - 1;
            self.column = 0;
        }
        self.mode = Mode::RollUp(rows);
    }

    fn carriage_return(&mut self, millis: i64) {
        let Mode::RollUp(rows) = self.mode else {
            return;
        };
        self.show_until(millis);
        self.shown.roll(self.row, rows);
        self.since = (!self.shown.is_empty()).then_some(millis);
        self.column = 0;
        self.face = Face::default();
    }

    /// Preamble address code: the row, and where in it or how to write (section F.1.1.4).
    fn preamble(&mut self, first: u8, second: u8) {
        let low = second & 0x20 != 0;
        let row = match (first, low) {
            (0x11, false) => 1,
            (0x11, true) => 2,
            (0x12, false) => 3,
            (0x12, true) => 4,
            (0x15, false) => 5,
            (0x15, true) => 6,
            (0x16, false) => 7,
            (0x16, true) => 8,
            (0x17, false) => 9,
            (0x17, true) => 10,
            (0x10, false) => 11,
            (0x13, false) => 12,
            (0x13, true) => 13,
            (0x14, false) => 14,
            (0x14, true) => 15,
            _ => return,
        };
        let row = row - 1;
        if let Mode::RollUp(rows) = self.mode
            && row != self.row
        {
            self.shown.move_window(self.row, row, rows);
        }
        self.row = row;
        let style = second >> 1 & 0x0f;
        self.face = Face {
            italic: style == 7,
            underlined: second & 1 != 0,
            bold: false,
        };
        self.column = match style {
            8.. => usize::from(style - 8) * 4,
            _ => 0,
        };
    }

    /// A mid-row code changes the face and takes the place of a blank (section F.1.1.3).
    fn mid_row(&mut self, millis: i64, code: u8) {
        self.write(millis, ' ');
        self.face = Face {
            italic: code >> 1 & 7 == 7,
            underlined: code & 1 != 0,
            bold: false,
        };
    }

    fn write(&mut self, millis: i64, character: char) {
        let face = self.face;
        self.put(millis, Some((character, face)));
        self.move_to(self.column + 1);
    }

    fn tab(&mut self, columns: usize) {
        self.move_to((self.column + columns).min(COLUMNS - 1));
    }

    /// The column of what was written last.
    fn before(&self) -> usize {
        self.column.saturating_sub(1)
    }

    /// Beyond the last column stands only who has written there: what is written next replaces it.
    fn move_to(&mut self, column: usize) {
        self.column = column.min(COLUMNS);
    }

    fn put(&mut self, millis: i64, cell: Cell) {
        let screen = match self.mode {
            Mode::Off => return,
            Mode::PopOn => &mut self.hidden,
            Mode::RollUp(_) | Mode::PaintOn => &mut self.shown,
        };
        screen.put(self.row, self.column.min(COLUMNS - 1), cell);
        let is_shown = self.mode != Mode::PopOn;
        if is_shown && cell.is_some() {
            self.since.get_or_insert(millis);
        }
    }

    fn delete_to_end(&mut self, millis: i64) {
        let column = self.column;
        for at in column.min(COLUMNS - 1)..COLUMNS {
            self.column = at;
            self.put(millis, None);
        }
        self.column = column;
    }

    /// The screen was as it is until now.
    fn show_until(&mut self, millis: i64) {
        let Some(since) = self.since.replace(millis) else {
            self.since = None;
            return;
        };
        let start = u64::try_from(since.max(0)).unwrap_or(0);
        let Ok(end) = u64::try_from(millis) else {
            return;
        };
        if end <= start || self.full.is_some() {
            return;
        }
        for (settings, text) in self.shown.texts() {
            let cue = Cue {
                id: String::new(),
                start_millis: start,
                end_millis: end,
                settings,
                text,
            };
            let number = self.cues.len() + 1;
            if let Err(error) = cue::push(&mut self.cues, cue, number) {
                self.full.get_or_insert(error);
                return;
            }
        }
    }

    fn finish(self) -> Option<Parsed> {
        let rest = |error: Error| format!("the rest is left out: {error}");
        (!self.cues.is_empty()).then(|| Parsed {
            cues: Cues::new(Vec::new(), self.cues),
            warnings: self.full.map(rest).into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A byte with its parity bit.
    fn odd(byte: u8) -> u8 {
        byte | if byte.count_ones().is_multiple_of(2) {
            0x80
        } else {
            0
        }
    }

    /// Pushes pairs one frame (33 ms) apart, control codes twice, from `millis` on; gives the time
    /// after them.
    fn say(line21: &mut Line21, mut millis: i64, field: usize, pairs: &[[u8; 2]]) -> i64 {
        for pair in pairs {
            let times = if (0x10..0x20).contains(&pair[0]) {
                2
            } else {
                1
            };
            for _ in 0..times {
                line21.push(millis, field, pair.map(odd));
                millis += 33;
            }
        }
        millis
    }

    fn text(text: &str) -> Vec<[u8; 2]> {
        let pair = |pair: &[u8]| [pair[0], pair.get(1).copied().unwrap_or(0)];
        text.as_bytes().chunks(2).map(pair).collect()
    }

    fn rows(parsed: &Parsed) -> Vec<(u64, u64, &str, &str)> {
        let cues = parsed.cues.cues().iter();
        cues.map(|c| {
            (
                c.start_millis,
                c.end_millis,
                c.settings.as_str(),
                c.text.as_str(),
            )
        })
        .collect()
    }

    const RCL: [u8; 2] = [0x14, 0x20];
    const EDM: [u8; 2] = [0x14, 0x2c];
    const ENM: [u8; 2] = [0x14, 0x2e];
    const EOC: [u8; 2] = [0x14, 0x2f];
    const CR: [u8; 2] = [0x14, 0x2d];
    const RU2: [u8; 2] = [0x14, 0x25];

    #[test]
    fn pop_on_captions_appear_whole_and_go_when_they_are_erased() {
        let mut line21 = Line21::default();
        let load = [
            vec![RCL, ENM, [0x14, 0x54]],
            text("WHAT IS"),
            vec![[0x14, 0x74], [0x11, 0x2e]],
            text("THIS?"),
            vec![[0x11, 0x37]],
        ]
        .concat();
        let shown = say(&mut line21, 1000, 0, &load);
        say(&mut line21, shown, 0, &[EOC]);
        say(&mut line21, 4000, 0, &[EDM]);
        let found = line21.finish(9000);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, CaptionChannel::Line21(1));
        let shown = shown.unsigned_abs();
        let both = "WHAT IS\n<i>THIS?♪</i>";
        assert_eq!(
            rows(&found[0].1)[0],
            (shown, 4000, "position:30% align:left", both)
        );
    }

    #[test]
    fn an_extended_character_in_the_last_column_replaces_what_stands_there() {
        let mut line21 = Line21::default();
        let load = [
            vec![RCL, ENM, [0x14, 0x50]],
            text("1234567890123456789012345678901E"),
            // É, which older decoders show as the E before it, in column 32.
            vec![[0x12, 0x21], EOC],
        ]
        .concat();
        say(&mut line21, 1000, 0, &load);
        let found = line21.finish(9000);
        assert_eq!(rows(&found[0].1)[0].3, "1234567890123456789012345678901É");
    }

    #[test]
    fn roll_up_captions_keep_the_lines_above() {
        let mut line21 = Line21::default();
        say(
            &mut line21,
            1000,
            0,
            &[vec![RU2, CR, [0x14, 0x70]], text("ONE")].concat(),
        );
        say(&mut line21, 2000, 0, &[vec![CR], text("TWO")].concat());
        say(&mut line21, 3000, 0, &[vec![CR], text("THREE")].concat());
        let found = line21.finish(5000);
        let texts: Vec<_> = rows(&found[0].1)
            .into_iter()
            .map(|(start, end, _, text)| (start, end, text.to_owned()))
            .collect();
        assert_eq!(texts[0].2, "ONE");
        assert_eq!(texts[1], (2000, 3000, "ONE\nTWO".to_owned()));
        assert_eq!(texts[2], (3000, 5000, "TWO\nTHREE".to_owned()));
    }

    #[test]
    fn paint_on_captions_are_one_cue_until_they_are_erased() {
        let mut line21 = Line21::default();
        say(
            &mut line21,
            1000,
            0,
            &[vec![[0x14, 0x29], [0x11, 0x40]], text("AT THE TOP")].concat(),
        );
        say(&mut line21, 2500, 0, &[EDM]);
        let found = line21.finish(5000);
        let (start, end, settings, text) = rows(&found[0].1)[0];
        assert!((1000..1200).contains(&start) && end == 2500);
        assert_eq!(
            (settings, text),
            ("line:10% position:10% align:left", "AT THE TOP")
        );
    }

    #[test]
    fn channels_are_kept_apart_and_xds_is_none() {
        let mut line21 = Line21::default();
        let two = [
            vec![[0x1c, 0x29], [0x1c, 0x70]],
            text("SECOND"),
            vec![[0x14, 0x29], [0x14, 0x70]],
            text("FIRST"),
        ];
        say(&mut line21, 0, 0, &two.concat());
        let three = [
            vec![[0x15, 0x29], [0x14, 0x70]],
            text("TERCERO"),
            vec![[0x01, 0x03]],
            text("XDS"),
            vec![[0x0f, 0x55], [0x15, 0x29]],
            text("!"),
        ];
        say(&mut line21, 0, 1, &three.concat());
        let found = line21.finish(3000);
        let all: Vec<_> = found
            .iter()
            .map(|(channel, parsed)| (*channel, rows(parsed).last().expect("a cue").3))
            .collect();
        assert_eq!(
            all,
            [
                (CaptionChannel::Line21(1), "FIRST"),
                (CaptionChannel::Line21(2), "SECOND"),
                (CaptionChannel::Line21(3), "TERCERO!"),
            ]
        );
    }

    #[test]
    fn accented_letters_replace_their_plain_ones() {
        let mut line21 = Line21::default();
        let pairs = [
            vec![[0x14, 0x29], [0x14, 0x70]],
            text("UA"),
            vec![[0x12, 0x21], [0x13, 0x34], [0x11, 0x3b]],
            text("*"),
        ];
        say(&mut line21, 0, 0, &pairs.concat());
        let found = line21.finish(3000);
        // Each extended one takes the place of the one before it.
        assert_eq!(rows(&found[0].1)[0].3, "Ußâá");
    }

    proptest! {
        #[test]
        fn any_pairs_are_survived(pairs in prop::collection::vec((0_usize..3, any::<[u8; 2]>()), 0..300)) {
            let mut line21 = Line21::default();
            for (at, (field, pair)) in (0..).zip(&pairs) {
                line21.push(at * 33 - 500, *field, pair.map(|byte| odd(byte & 0x7f)));
            }
            for (_, parsed) in line21.finish(20_000) {
                for cue in parsed.cues.cues() {
                    prop_assert!(cue.start_millis < cue.end_millis);
                    prop_assert!(!cue.text.contains("-->") && !cue.text.is_empty());
                }
            }
        }
    }
}
