//! What the headers of the movie and of its tracks mean for the index: `mvhd`, `tkhd`, `elst`
//! (ISO/IEC 14496-12 sections 8.2.2, 8.3.2, 8.6.6). [`super::super::read`] knows their fields.

use super::warnings::Warnings;
use crate::cmaf::read;
use crate::media::{Disposition, Edit, Orientation};
use crate::time::{Rounding, Timescale, rescale};

/// Times beyond this are taken for damage, so that sums of a few of them cannot overflow.
pub(super) const TIME_LIMIT: i64 = 1 << 60;

/// The two-by-two part of a transformation matrix, 16.16 fixed point: `a b c d` of section 6.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix([i64; 4]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1 << 16, 0, 0, 1 << 16]);

    fn of(matrix: read::Matrix) -> Self {
        let [a, b, _, c, d, ..] = matrix.map(i64::from);
        Self([a, b, c, d])
    }

    /// This matrix followed by `next`.
    pub(super) fn then(self, next: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, next.0);
        let cell = |p: i64, q: i64, r: i64, s: i64| (p * q).saturating_add(r * s) >> 16;
        Self([
            cell(a, e, b, g),
            cell(a, f, b, h),
            cell(c, e, d, g),
            cell(c, f, d, h),
        ])
    }

    pub(super) fn orientation(self) -> Orientation {
        Orientation::from_matrix(self.0)
    }
}

/// What `mvhd` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct MovieHeader {
    pub(super) timescale: Option<Timescale>,
    pub(super) matrix: Matrix,
}

impl MovieHeader {
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let header = read::MovieHeader::parse(payload)?;
        Some(Self {
            timescale: Timescale::new(header.timescale),
            matrix: Matrix::of(header.matrix),
        })
    }
}

/// What `tkhd` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackHeader {
    pub(super) number: u32,
    pub(super) enabled: bool,
    pub(super) matrix: Matrix,
    /// Visual size, 16.16 fixed point, before the matrix.
    pub(super) size: (u32, u32),
}

impl TrackHeader {
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let header = read::TrackHeader::parse(payload)?;
        Some(Self {
            number: header.track_id,
            enabled: header.flags & 1 != 0,
            matrix: Matrix::of(header.matrix),
            size: (header.width, header.height),
        })
    }
}

/// The edit list of a track, still in its own units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EditList {
    /// Empty edits before the first other one, in ticks of the movie.
    delay: i64,
    /// Start of the first edit in ticks of the track, its length in ticks of the movie.
    first: Option<(i64, i64)>,
    /// What follows the first edit, in order.
    more: Vec<read::Edit>,
}

impl EditList {
    /// Reads an `elst` box; `place` names the track in warnings.
    pub(super) fn read(payload: &[u8], place: &str, warnings: &mut Warnings) -> Self {
        let mut list = Self::default();
        let Some(read::EditList {
            entry_count, edits, ..
        }) = read::EditList::parse(payload)
        else {
            return list;
        };
        let there = edits.len();
        if usize::try_from(entry_count) != Ok(there) {
            warnings.push(format!(
                "{place}: edit list claims {entry_count} entries and holds {there}"
            ));
        }
        for edit in edits {
            if list.first.is_some() {
                list.more.push(edit);
            } else if edit.media_time == -1 {
                list.delay = list.delay.saturating_add(length_of(&edit)).min(TIME_LIMIT);
            } else {
                list.first = Some((edit.media_time.clamp(0, TIME_LIMIT), length_of(&edit)));
                Self::check(edit.media_time, edit.media_rate, place, warnings);
            }
        }
        list
    }

    fn check(media_start: i64, rate: i32, place: &str, warnings: &mut Warnings) {
        if media_start < 0 {
            warnings.push(format!(
                "{place}: edit starts at media time {media_start}; 0 is taken"
            ));
        }
        if rate != NORMAL_RATE {
            warnings.push(format!(
                "{place}: edit plays at {} of normal speed; played at normal speed",
                f64::from(rate) / 65536.0
            ));
        }
    }

    /// The edit in ticks of the track. `end` is where the track's presentation ends: a length that
    /// reaches it within one tick of the movie was only rounded, and is "to the end".
    ///
    /// # Errors
    /// The number of the entry (from 1) that goes on elsewhere than where the one before ends, or
    /// at another speed, or after a pause: that is more than one edit.
    pub(super) fn resolve(
        &self,
        movie: Option<Timescale>,
        track: Timescale,
        end: i64,
    ) -> Result<Edit, usize> {
        let convert = |ticks: i64| match movie {
            Some(movie) => rescale(ticks, movie, track, Rounding::Nearest).min(TIME_LIMIT),
            None => ticks,
        };
        let tick = movie.map_or(0, |movie| rescale(1, movie, track, Rounding::Ceil));
        let (media_start, length) = self.first.unwrap_or((0, 0));
        let length = length.saturating_add(self.continued(media_start, convert, tick)?);
        let length = length.min(TIME_LIMIT);
        let reaches_end = match movie {
            Some(_) => media_start + convert(length) + tick > end,
            None => media_start + length >= end,
        };
        Ok(Edit {
            delay: convert(self.delay),
            media_start,
            length: (length > 0 && !reaches_end).then(|| convert(length)),
        })
    }

    /// The list without what follows its first edit.
    pub(super) fn only_first(&self) -> Self {
        Self {
            more: Vec::new(),
            ..self.clone()
        }
    }

    /// How much the entries after the first add to it, in ticks of the movie, where each goes on
    /// where the one before ended, give or take `tick` of rounding. Empty ones at the end and
    /// those without a length show nothing.
    fn continued(
        &self,
        media_start: i64,
        convert: impl Fn(i64) -> i64,
        tick: i64,
    ) -> Result<i64, usize> {
        let first = self.first.map_or(0, |(_, length)| length);
        let shows = |edit: &read::Edit| edit.segment_duration > 0 && edit.media_time != -1;
        let Some(last) = self.more.iter().rposition(shows) else {
            return Ok(0);
        };
        // Entries before the first, which are all empty, aren't known any more.
        let mut added = 0_i64;
        for (number, edit) in (2..).zip(self.more.iter().take(last + 1)) {
            if edit.segment_duration == 0 {
                continue;
            }
            let so_far = media_start + convert(first.saturating_add(added).min(TIME_LIMIT));
            let goes_on = edit.media_time >= 0
                && edit.media_rate == NORMAL_RATE
                && edit.media_time.abs_diff(so_far) <= tick.unsigned_abs();
            // A first entry without a length lasts to the end.
            if !goes_on || first == 0 {
                return Err(number);
            }
            added = added.saturating_add(length_of(edit)).min(TIME_LIMIT);
        }
        Ok(added)
    }
}

/// `media_rate` of an edit that plays at normal speed: 1 as 16.16 fixed point.
const NORMAL_RATE: i32 = 1 << 16;

/// Length of an edit in ticks of the movie.
fn length_of(edit: &read::Edit) -> i64 {
    let length = i64::try_from(edit.segment_duration).unwrap_or(i64::MAX);
    length.min(TIME_LIMIT)
}

/// A track's name out of a `udta`/`name` box (QuickTime File Format, "User data atoms").
pub(super) fn track_name(payload: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(payload);
    let name: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect::<String>()
        .trim()
        .to_owned();
    (!name.is_empty()).then_some(name)
}

/// The name out of a `hdlr` box: text up to a zero byte, or QuickTime's with its length in front.
pub(super) fn handler_name(payload: &[u8]) -> Option<String> {
    let name = payload.get(24..)?;
    let name = match name.split_first() {
        Some((len, rest)) if usize::from(*len) == rest.len() => rest,
        _ => name,
    };
    track_name(name.split(|byte| *byte == 0).next()?)
}

/// What a `kind` box marks the track as (ISO/IEC 14496-12 section 8.10.4): a scheme and a value.
pub(super) fn role(payload: &[u8]) -> Disposition {
    let text = payload.get(4..).unwrap_or_default();
    let mut texts = text.split(|byte| *byte == 0).map(std::str::from_utf8);
    match (texts.next(), texts.next()) {
        (Some(Ok(scheme)), Some(Ok(value))) => Disposition::of_role(scheme, value),
        _ => Disposition::default(),
    }
}

/// What a `tagc` box marks the track as (QuickTime File Format, "Media characteristic tags").
pub(super) fn characteristic(payload: &[u8]) -> Disposition {
    let tag = payload.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(tag).map_or_else(|_| Disposition::default(), Disposition::of_characteristic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(values: [i64; 4]) -> (u8, bool) {
        let orientation = Matrix(values.map(|v| v << 16)).orientation();
        (orientation.quarter_turns, orientation.mirrored)
    }

    #[test]
    fn matrix_gives_quarter_turns_clockwise_after_the_mirror() {
        assert_eq!(turned([1, 0, 0, 1]), (0, false));
        assert_eq!(turned([0, 1, -1, 0]), (1, false));
        assert_eq!(turned([-1, 0, 0, -1]), (2, false));
        assert_eq!(turned([0, -1, 1, 0]), (3, false));
        assert_eq!(turned([-1, 0, 0, 1]), (0, true));
        assert_eq!(turned([1, 0, 0, -1]), (2, true));
        assert_eq!(turned([0, 0, 0, 0]), (0, false));
    }

    #[test]
    fn a_mirror_then_each_turn_composes_back() {
        let mirror = Matrix([-1 << 16, 0, 0, 1 << 16]);
        let quarter = Matrix([0, 1 << 16, -1 << 16, 0]);
        let mut matrix = mirror;
        for turns in 0..4 {
            let expected = Orientation {
                quarter_turns: turns,
                mirrored: true,
            };
            assert_eq!(matrix.orientation(), expected);
            matrix = matrix.then(quarter);
        }
    }

    fn list(first: (i64, i64), more: &[(u64, i64, i32)]) -> EditList {
        let edit = |(segment_duration, media_time, media_rate): &(u64, i64, i32)| read::Edit {
            segment_duration: *segment_duration,
            media_time: *media_time,
            media_rate: *media_rate,
        };
        EditList {
            delay: 500,
            first: Some(first),
            more: more.iter().map(edit).collect(),
        }
    }

    #[test]
    fn edit_list_with_a_delay_and_a_rounded_length_runs_to_the_end() {
        let list = list((1024, 4_967), &[]);
        let (movie, track) = (Timescale::MILLIS, Timescale::new(48_000).expect("non-zero"));
        let resolve = |end| list.resolve(Some(movie), track, end).expect("one edit");
        let whole = resolve(1024 + 4_967 * 48 + 47);
        assert_eq!(
            (whole.delay, whole.media_start, whole.length),
            (24_000, 1024, None)
        );
        let cut = resolve(1024 + 4_967 * 48 + 48);
        assert_eq!(cut.length, Some(4_967 * 48));
    }

    #[test]
    fn entries_that_go_on_where_the_one_before_ends_are_one_edit() {
        let (movie, track) = (Timescale::MILLIS, Timescale::new(48_000).expect("non-zero"));
        let resolve = |more: &[(u64, i64, i32)]| {
            let edit = list((1024, 1000), more).resolve(Some(movie), track, 500_000);
            edit.map(|edit| (edit.media_start, edit.length))
        };
        let end = 1024 + 48_000;
        let joined = [
            (500, end + 48, NORMAL_RATE),
            (250, end + 24_000, NORMAL_RATE),
        ];
        assert_eq!(resolve(&joined), Ok((1024, Some(1750 * 48))));
        let nothing_more = [(0, 0, NORMAL_RATE), (700, -1, NORMAL_RATE)];
        assert_eq!(resolve(&nothing_more), Ok((1024, Some(48_000))));
    }

    #[test]
    fn entries_that_go_on_elsewhere_are_told() {
        let (movie, track) = (Timescale::MILLIS, Timescale::new(48_000).expect("non-zero"));
        let end = 1024 + 48_000;
        let resolve = |first: (i64, i64), more: &[(u64, i64, i32)]| {
            list(first, more).resolve(Some(movie), track, 500_000)
        };
        let first = (1024, 1000);
        assert_eq!(resolve(first, &[(500, end + 49, NORMAL_RATE)]), Err(2));
        assert_eq!(resolve(first, &[(500, 0, NORMAL_RATE)]), Err(2));
        let pause = [(500, -1, NORMAL_RATE), (500, end, NORMAL_RATE)];
        assert_eq!(resolve(first, &pause), Err(2));
        let dwell = [(500, end, NORMAL_RATE), (500, end + 24_000, 0)];
        assert_eq!(resolve(first, &dwell), Err(3));
        assert_eq!(resolve((1024, 0), &[(500, end, NORMAL_RATE)]), Err(2));
    }

    #[test]
    fn marks_are_read_from_kind_tagc_and_handler_name() {
        let kind = b"\0\0\0\0urn:mpeg:dash:role:2011\0description\0";
        assert!(role(kind).visual_impaired);
        assert_eq!(role(b"\0\0"), Disposition::default());
        let tagc = b"public.accessibility.describes-video";
        assert!(characteristic(tagc).visual_impaired);
        assert_eq!(characteristic(b"\xff\0"), Disposition::default());
        let mut counted = vec![0; 24];
        counted.extend(b"\x0aCommentary");
        assert_eq!(handler_name(&counted).as_deref(), Some("Commentary"));
        let mut ended = vec![0; 24];
        ended.extend(b"SoundHandler\0");
        assert_eq!(handler_name(&ended).as_deref(), Some("SoundHandler"));
        assert_eq!(handler_name(&[0; 20]), None);
    }
}
