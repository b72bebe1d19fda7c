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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EditList {
    /// Empty edits before the first other one, in ticks of the movie.
    delay: i64,
    /// Start of the first edit in ticks of the track, its length in ticks of the movie.
    first: Option<(i64, i64)>,
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
        let mut ignored = 0;
        for edit in &edits {
            let length = i64::try_from(edit.segment_duration).unwrap_or(i64::MAX);
            let length = length.min(TIME_LIMIT);
            if list.first.is_some() {
                ignored += 1;
            } else if edit.media_time == -1 {
                list.delay = list.delay.saturating_add(length).min(TIME_LIMIT);
            } else {
                list.first = Some((edit.media_time.clamp(0, TIME_LIMIT), length));
                Self::check(edit.media_time, edit.media_rate, place, warnings);
            }
        }
        let there = edits.len();
        if usize::try_from(entry_count) != Ok(there) {
            warnings.push(format!(
                "{place}: edit list claims {entry_count} entries and holds {there}"
            ));
        }
        if ignored > 0 {
            warnings.push(format!(
                "{place}: edit list has {there} entries; the {ignored} after the first edit are ignored"
            ));
        }
        list
    }

    fn check(media_start: i64, rate: i32, place: &str, warnings: &mut Warnings) {
        if media_start < 0 {
            warnings.push(format!(
                "{place}: edit starts at media time {media_start}; 0 is taken"
            ));
        }
        if rate != 1 << 16 {
            warnings.push(format!(
                "{place}: edit plays at {} of normal speed; played at normal speed",
                f64::from(rate) / 65536.0
            ));
        }
    }

    /// The edit in ticks of the track. `end` is where the track's presentation ends: a length that
    /// reaches it within one tick of the movie was only rounded, and is "to the end".
    pub(super) fn resolve(self, movie: Option<Timescale>, track: Timescale, end: i64) -> Edit {
        let convert = |ticks: i64| match movie {
            Some(movie) => rescale(ticks, movie, track, Rounding::Nearest).min(TIME_LIMIT),
            None => ticks,
        };
        let (media_start, length) = self.first.unwrap_or((0, 0));
        let reaches_end = match movie {
            Some(movie) => {
                let tick = rescale(1, movie, track, Rounding::Ceil);
                media_start + convert(length) + tick > end
            }
            None => media_start + length >= end,
        };
        Edit {
            delay: convert(self.delay),
            media_start,
            length: (length > 0 && !reaches_end).then(|| convert(length)),
        }
    }
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

    #[test]
    fn edit_list_with_a_delay_and_a_rounded_length_runs_to_the_end() {
        let list = EditList {
            delay: 500,
            first: Some((1024, 4_967)),
        };
        let (movie, track) = (Timescale::MILLIS, Timescale::new(48_000).expect("non-zero"));
        let whole = list.resolve(Some(movie), track, 1024 + 4_967 * 48 + 47);
        assert_eq!(
            (whole.delay, whole.media_start, whole.length),
            (24_000, 1024, None)
        );
        let cut = list.resolve(Some(movie), track, 1024 + 4_967 * 48 + 48);
        assert_eq!(cut.length, Some(4_967 * 48));
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
