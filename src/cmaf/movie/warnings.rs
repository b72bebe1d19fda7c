//! What was found wrong and survived: a list that a hostile file cannot make long.

/// Warnings kept; a fuzzed file could give one for each box.
const LIMIT: usize = 50;

/// The warnings of one file, in the order of their discovery, each said once.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    lines: Vec<String>,
    dropped: usize,
}

impl Warnings {
    pub(super) fn push(&mut self, line: String) {
        if self.lines.contains(&line) {
            return;
        }
        if self.lines.len() < LIMIT {
            self.lines.push(line);
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn into_lines(mut self) -> Vec<String> {
        if self.dropped > 0 {
            self.lines
                .push(format!("and {} warnings more", self.dropped));
        }
        self.lines
    }
}
