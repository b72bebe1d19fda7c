//! The screen of CTA-608: 15 rows of 32 characters, and where on a picture they are.

use super::markup::{Face, Styled};

/// Rows of the screen.
pub(super) const ROWS: usize = 15;
/// Characters of a row.
pub(super) const COLUMNS: usize = 32;

/// A place on the screen; `None` is transparent.
pub(super) type Cell = Option<(char, Face)>;

type Row = [Cell; COLUMNS];

/// What is or will be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Screen([Row; ROWS]);

impl Default for Screen {
    fn default() -> Self {
        Self([[None; COLUMNS]; ROWS])
    }
}

impl Screen {
    pub(super) fn put(&mut self, row: usize, column: usize, cell: Cell) {
        let place = self.0.get_mut(row).and_then(|row| row.get_mut(column));
        if let Some(place) = place {
            *place = cell;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|row| row_extent(row).is_none())
    }

    /// Moves the window of `rows` rows that ends with `base` up by one; the lowest becomes empty, and
    /// so does everything outside.
    pub(super) fn roll(&mut self, base: usize, rows: usize) {
        let mut rolled = Self::default();
        for row in base.saturating_sub(rows.saturating_sub(2))..=base {
            let from = self.0.get(row).copied();
            if let (Some(from), Some(to)) = (from, row.checked_sub(1)) {
                rolled.set_row(to, from);
            }
        }
        *self = rolled;
    }

    /// Moves the window of `rows` rows that ends with `from` so that it ends with `to`.
    pub(super) fn move_window(&mut self, from: usize, to: usize, rows: usize) {
        let mut moved = Self::default();
        for above in 0..rows {
            let (Some(from), Some(to)) = (from.checked_sub(above), to.checked_sub(above)) else {
                break;
            };
            if let Some(row) = self.0.get(from).copied() {
                moved.set_row(to, row);
            }
        }
        *self = moved;
    }

    fn set_row(&mut self, at: usize, row: Row) {
        if let Some(place) = self.0.get_mut(at) {
            *place = row;
        }
    }

    /// What the screen shows, as settings and text: one for each group of rows that touch.
    pub(super) fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        let mut group: Vec<(usize, &Row)> = Vec::new();
        for (at, row) in self.0.iter().enumerate() {
            if row_extent(row).is_some() {
                group.push((at, row));
            } else {
                texts.extend(text_of(&group));
                group.clear();
            }
        }
        texts.extend(text_of(&group));
        texts
    }
}

/// The first and the last column in which something can be seen.
fn row_extent(row: &Row) -> Option<(usize, usize)> {
    let is_seen = |cell: &Cell| cell.is_some_and(|(character, _)| !character.is_whitespace());
    let first = row.iter().position(is_seen)?;
    let last = row.iter().rposition(is_seen)?;
    Some((first, last))
}

fn text_of(group: &[(usize, &Row)]) -> Option<(String, String)> {
    let (top, _) = group.first()?;
    let (bottom, _) = group.last()?;
    let mut styled = Styled::default();
    for (number, (_, row)) in group.iter().enumerate() {
        if number > 0 {
            styled.push('\n', Face::default());
        }
        for cell in *row {
            let (character, face) = cell.unwrap_or((' ', Face::default()));
            styled.push(character, face);
        }
    }
    let text = styled.to_cue_text();
    (!text.is_empty()).then(|| (settings(*top, *bottom, group), text))
}

/// Where the rows are, in the safe area of 80 % of the picture; nothing of what is the place of cues
/// anyway: centred at the bottom.
fn settings(top: usize, bottom: usize, group: &[(usize, &Row)]) -> String {
    let mut settings = Vec::new();
    if bottom < ROWS - 4 {
        settings.push(format!("line:{}%", 10 + top * 80 / ROWS));
    }
    let extents = group.iter().filter_map(|(_, row)| row_extent(row));
    let (mut left, mut right, mut centred) = (COLUMNS, 0, true);
    for (first, last) in extents {
        let after = COLUMNS - 1 - last;
        centred &= first.abs_diff(after) <= 3;
        (left, right) = (left.min(first), right.max(last));
    }
    if !centred && left <= right {
        settings.push(format!("position:{}% align:left", 10 + left * 80 / COLUMNS));
    }
    settings.join(" ")
}
