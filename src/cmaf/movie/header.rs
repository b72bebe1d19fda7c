//! The headers of the movie and of its tracks: `mvhd`, `tkhd`, `mdhd`, `hdlr`, `elst`
//! (ISO/IEC 14496-12 sections 8.2.2, 8.3.2, 8.4.2, 8.4.3, 8.6.6).

use super::warnings::Warnings;
use crate::cmaf::fields::Fields;
use crate::media::{Edit, Orientation};
use crate::time::{Rounding, Timescale, rescale};

/// Times beyond this are taken for damage, so that sums of a few of them cannot overflow.
pub(super) const TIME_LIMIT: i64 = 1 << 60;

/// The two-by-two part of a transformation matrix, 16.16 fixed point: `a b c d` of section 6.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix([i64; 4]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1 << 16, 0, 0, 1 << 16]);

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut values = [0; 9];
        for value in &mut values {
            *value = i64::from(fields.i32()?);
        }
        let [a, b, _, c, d, ..] = values;
        Some(Self([a, b, c, d]))
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

    /// The quarter turns and the mirroring nearest to the matrix. `x` grows right and `y` down, so
    /// `(a, b)` is where the picture's right-hand direction goes to.
    pub(super) fn orientation(self) -> Orientation {
        let [a, b, c, d] = self.0.map(i128::from);
        let mirrored = a * d - b * c < 0;
        let (right, down) = if mirrored { (-a, -b) } else { (a, b) };
        let quarter_turns = match (right.abs() >= down.abs(), right >= 0, down >= 0) {
            (true, true, _) => 0,
            (false, _, true) => 1,
            (true, false, _) => 2,
            (false, _, false) => 3,
        };
        Orientation {
            quarter_turns,
            mirrored,
        }
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
        let (version, _, mut fields) = Fields::full(payload)?;
        fields.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = Timescale::new(fields.u32()?);
        let matrix = (|| {
            fields.by_version(version)?;
            fields.skip(4 + 2 + 10)?;
            Matrix::read(&mut fields)
        })();
        Some(Self {
            timescale,
            matrix: matrix.unwrap_or(Matrix::IDENTITY),
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
        let (version, flags, mut fields) = Fields::full(payload)?;
        fields.skip(if version == 1 { 16 } else { 8 })?;
        let number = fields.u32()?;
        let picture = (|| {
            fields.skip(4)?;
            fields.by_version(version)?;
            fields.skip(8 + 8)?;
            let matrix = Matrix::read(&mut fields)?;
            Some((matrix, (fields.u32()?, fields.u32()?)))
        })();
        let (matrix, size) = picture.unwrap_or((Matrix::IDENTITY, (0, 0)));
        Some(Self {
            number,
            enabled: flags & 1 != 0,
            matrix,
            size,
        })
    }
}

/// What `mdhd` says.
#[derive(Debug, Clone, Copy)]
pub(super) struct MediaHeader {
    pub(super) timescale: Option<Timescale>,
    pub(super) language: u16,
}

impl MediaHeader {
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (version, _, mut fields) = Fields::full(payload)?;
        fields.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = Timescale::new(fields.u32()?);
        fields.by_version(version)?;
        Some(Self {
            timescale,
            language: fields.u16().unwrap_or(0x7fff),
        })
    }
}

/// The handler type of an `hdlr` box.
pub(super) fn handler(payload: &[u8]) -> Option<[u8; 4]> {
    Fields::full(payload)?.2.rest().get(4..8)?.try_into().ok()
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
        let Some((version, _, mut fields)) = Fields::full(payload) else {
            return list;
        };
        let claimed = fields.u32().unwrap_or(0);
        let (mut read, mut ignored) = (0, 0);
        while read < claimed
            && let Some((length, media_start, rate)) = Self::entry(&mut fields, version)
        {
            read += 1;
            if list.first.is_some() {
                ignored += 1;
            } else if media_start == -1 {
                list.delay = list.delay.saturating_add(length).min(TIME_LIMIT);
            } else {
                list.first = Some((media_start.clamp(0, TIME_LIMIT), length));
                Self::check(media_start, rate, place, warnings);
            }
        }
        if read < claimed {
            warnings.push(format!(
                "{place}: edit list claims {claimed} entries and holds {read}"
            ));
        }
        if ignored > 0 {
            warnings.push(format!(
                "{place}: edit list has {read} entries; the {ignored} after the first edit are ignored"
            ));
        }
        list
    }

    /// (length, media time, media rate)
    fn entry(fields: &mut Fields<'_>, version: u8) -> Option<(i64, i64, i32)> {
        let length = i64::try_from(fields.by_version(version)?).unwrap_or(i64::MAX);
        let media_start = if version == 1 {
            fields.u64()?.cast_signed()
        } else {
            i64::from(fields.i32()?)
        };
        Some((length.min(TIME_LIMIT), media_start, fields.i32()?))
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
}
