//! Characters with their faces to WebVTT cue text (WebVTT 4.2.2).

/// How a character is drawn. Colours and fonts are left to the player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Face {
    pub(super) italic: bool,
    pub(super) bold: bool,
    pub(super) underlined: bool,
}

impl Face {
    /// Its tags, in the order they are opened.
    fn tags(self) -> impl DoubleEndedIterator<Item = &'static str> {
        let tags = [(self.italic, "i"), (self.bold, "b"), (self.underlined, "u")];
        tags.into_iter()
            .filter_map(|(set, name)| set.then_some(name))
    }
}

/// Text as it is gathered from a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Styled(Vec<(char, Face)>);

impl Styled {
    /// Control characters other than line breaks and tabs are dropped.
    pub(super) fn push(&mut self, character: char, face: Face) {
        if !character.is_control() || matches!(character, '\n' | '\t') {
            self.0.push((character, face));
        }
    }

    /// The cue text: lines without blanks at their ends, none of them empty; empty when nothing
    /// can be seen.
    pub(super) fn to_cue_text(&self) -> String {
        let lines = self.0.split(|(character, _)| *character == '\n');
        let filled: Vec<&[(char, Face)]> = lines.map(trimmed).filter(|l| !l.is_empty()).collect();
        let mut written = Written::default();
        for (number, line) in filled.iter().enumerate() {
            if number > 0 {
                written.blanks.push('\n');
            }
            for (character, face) in *line {
                written.push(*character, *face);
            }
        }
        written.finish()
    }
}

/// Cue text as it grows.
#[derive(Default)]
struct Written {
    text: String,
    /// Blanks and line breaks since the last character. They look the same in nearly every face:
    /// tags close before them and open behind them.
    blanks: String,
    face: Face,
}

impl Written {
    fn push(&mut self, character: char, face: Face) {
        if character.is_whitespace() {
            let tab = character == '\t';
            self.blanks.push(if tab { ' ' } else { character });
            return;
        }
        let changes = face != self.face;
        if changes {
            self.close();
        }
        self.text.push_str(&self.blanks);
        self.blanks.clear();
        if changes {
            self.open(face);
        }
        push_escaped(&mut self.text, character);
    }

    fn close(&mut self) {
        for tag in self.face.tags().rev() {
            self.text.push_str("</");
            self.text.push_str(tag);
            self.text.push('>');
        }
        self.face = Face::default();
    }

    fn open(&mut self, face: Face) {
        for tag in face.tags() {
            self.text.push('<');
            self.text.push_str(tag);
            self.text.push('>');
        }
        self.face = face;
    }

    fn finish(mut self) -> String {
        self.close();
        self.text
    }
}

fn trimmed(line: &[(char, Face)]) -> &[(char, Face)] {
    let is_blank = |(character, _): &(char, Face)| character.is_whitespace();
    let start = line.iter().position(|c| !is_blank(c)).unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|c| !is_blank(c))
        .map_or(0, |at| at + 1);
    line.get(start..end).unwrap_or_default()
}

/// What would be markup is written as a reference.
fn push_escaped(text: &mut String, character: char) {
    match character {
        '&' => text.push_str("&amp;"),
        '<' => text.push_str("&lt;"),
        '>' => text.push_str("&gt;"),
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Styled {
        fn push_str(&mut self, text: &str, face: Face) {
            text.chars()
                .for_each(|character| self.push(character, face));
        }
    }

    const ITALIC: Face = Face {
        italic: true,
        bold: false,
        underlined: false,
    };

    #[test]
    fn faces_become_tags_that_nest() {
        let mut styled = Styled::default();
        styled.push_str("a <b> ", Face::default());
        styled.push_str("c\nd ", ITALIC);
        let bold = Face {
            bold: true,
            ..ITALIC
        };
        styled.push_str("e", bold);
        styled.push_str(" f\n \n& g\n", Face::default());
        assert_eq!(
            styled.to_cue_text(),
            "a &lt;b&gt; <i>c\nd</i> <i><b>e</b></i> f\n&amp; g"
        );
    }

    proptest! {
        /// Whatever the text, what is written is cue text: no empty line, no arrow, and all tags
        /// closed.
        #[test]
        fn what_is_written_is_cue_text(parts in prop::collection::vec(("[a<>&\\- \n\t\u{0}]{0,6}", any::<[bool; 3]>()), 0..12)) {
            let mut styled = Styled::default();
            for (text, [italic, bold, underlined]) in &parts {
                let face = Face { italic: *italic, bold: *bold, underlined: *underlined };
                styled.push_str(text, face);
            }
            let text = styled.to_cue_text();
            prop_assert!(!text.contains("-->"));
            prop_assert!(text.lines().all(|line| !line.trim().is_empty()));
            prop_assert_eq!(text.matches("<i>").count(), text.matches("</i>").count());
        }
    }
}
