//! Chapters of MP4 and QuickTime: a text track that others name as theirs (`tref`, `chap`; QuickTime
//! File Format, "Chapter Lists"), or Nero's list (`chpl` in `udta`).

use crate::cmaf::boxes::children;
use crate::cmaf::fields::Fields;
use crate::media::{
    CHAPTERS_CODEC, Chapter, Codec, MAX_CHAPTERS, SampleEntry, SourceTrack, TrackKind,
    chapter_title,
};
use crate::read_at::ReadAt;
use crate::time::{Rounding, Ticks, Timescale};

/// The most of a sample that is read: a title.
const MAX_SAMPLE: u32 = 4096;
/// Tracks that a track names as its chapters, at most.
const MAX_REFERENCES: usize = 16;
/// Nero's times count units of 100 nanoseconds.
const NERO_PER_MILLI: u64 = 10_000;

/// The numbers of the tracks that a `tref` box names as chapters.
pub(super) fn references(tref: &[u8]) -> Vec<u32> {
    let chap = children(tref, 0)
        .map_while(Result::ok)
        .find(|found| found.kind.0 == *b"chap");
    let numbers = chap.map_or(&[][..], |chap| chap.payload).chunks_exact(4);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b));
    numbers.take(MAX_REFERENCES).map(number).collect()
}

/// Takes the tracks of these numbers out of use as media, and reads the chapters of the first one
/// that has any. Titles that can't be read are left out.
pub(super) fn take(
    source: &dyn ReadAt,
    tracks: &mut [SourceTrack],
    numbers: &[u32],
) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    for track in tracks.iter_mut().filter(|t| numbers.contains(&t.number)) {
        if chapters.is_empty() && track.kind == TrackKind::Text {
            chapters = of_track(source, track);
        }
        // Pictures for chapters are named in the same way.
        track.kind = TrackKind::Other;
        track.codec = Codec::Other(CHAPTERS_CODEC.to_owned());
    }
    chapters
}

fn of_track(source: &dyn ReadAt, track: &SourceTrack) -> Vec<Chapter> {
    let samples = track.samples.iter().take(MAX_CHAPTERS);
    samples
        .filter_map(|sample| {
            let text = read_title(source, &sample)?;
            let start = track.movie_time(sample.presentation_time());
            let end = start.saturating_add(i64::from(sample.duration));
            Some(Chapter {
                start_millis: millis(start, track.timescale),
                end_millis: millis(end, track.timescale),
                title: chapter_title(&text)?,
                language: track.language.clone(),
            })
        })
        .collect()
}

fn millis(ticks: i64, timescale: Timescale) -> u64 {
    let time = Ticks::new(ticks.max(0), timescale);
    time.to(Timescale::MILLIS, Rounding::Nearest)
        .count
        .unsigned_abs()
}

/// A title: its length in 16 bits, then UTF-8, or UTF-16 behind a byte order mark.
fn read_title(source: &dyn ReadAt, sample: &SampleEntry) -> Option<String> {
    let size = usize::try_from(sample.place.size.min(MAX_SAMPLE)).ok()?;
    let mut bytes = vec![0; size];
    source.read_exact_at(sample.place.offset, &mut bytes).ok()?;
    let mut fields = Fields::new(&bytes);
    let length = usize::from(fields.u16()?);
    let rest = fields.rest();
    let text = rest.get(..length).unwrap_or(rest);
    Some(match text {
        [0xfe, 0xff, units @ ..] => utf16(units, u16::from_be_bytes),
        [0xff, 0xfe, units @ ..] => utf16(units, u16::from_le_bytes),
        _ => String::from_utf8_lossy(text).into_owned(),
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let pairs = bytes.chunks_exact(2);
    let units = pairs.filter_map(|pair| Some(unit(pair.try_into().ok()?)));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Nero's list within the payload of `moov`. It tells no ends: a chapter goes on to the next.
pub(super) fn of_nero(moov: &[u8]) -> Vec<Chapter> {
    let child = |bytes, kind: &[u8; 4]| {
        children(bytes, 0)
            .map_while(Result::ok)
            .find(|found| found.kind.0 == *kind)
            .map(|found| found.payload)
    };
    let list = child(moov, b"udta").and_then(|udta| child(udta, b"chpl"));
    let starts = list.and_then(nero_starts).unwrap_or_default();
    let ends = starts.iter().skip(1).map(|(start, _)| *start);
    let ends: Vec<u64> = ends.chain([u64::MAX]).collect();
    starts
        .into_iter()
        .zip(ends)
        .map(|((start_millis, title), end_millis)| Chapter {
            start_millis,
            end_millis,
            title,
            language: "und".to_owned(),
        })
        .collect()
}

/// Starts in milliseconds, and titles, as far as the bytes go.
fn nero_starts(list: &[u8]) -> Option<Vec<(u64, String)>> {
    let (version, _, mut fields) = Fields::full(list)?;
    if version > 0 {
        fields.skip(4)?;
    }
    let count = fields.u8()?;
    let mut starts = Vec::new();
    for number in 1..=usize::from(count) {
        let (Some(start), Some(length)) = (fields.u64(), fields.u8()) else {
            break;
        };
        let Some(title) = fields.rest().get(..usize::from(length)) else {
            break;
        };
        let title = chapter_title(&String::from_utf8_lossy(title));
        let title = title.unwrap_or_else(|| format!("Chapter {number}"));
        starts.push((start / NERO_PER_MILLI, title));
        fields.skip(usize::from(length))?;
    }
    Some(starts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).expect("small");
        [&size.to_be_bytes(), &kind[..], payload].concat()
    }

    #[test]
    fn a_list_of_nero_is_read() {
        let entry = |start: u64, title: &str| {
            let length = u8::try_from(title.len()).expect("short");
            [&start.to_be_bytes(), &[length][..], title.as_bytes()].concat()
        };
        let list = [
            vec![1, 0, 0, 0, 0, 0, 0, 0, 3],
            entry(0, "One"),
            entry(25_000_000, ""),
            entry(40_000_000, "Drei"),
        ];
        let moov = boxed(b"udta", &boxed(b"chpl", &list.concat()));
        let rows: Vec<_> = of_nero(&moov)
            .into_iter()
            .map(|c| (c.start_millis, c.end_millis, c.title))
            .collect();
        assert_eq!(
            rows,
            [
                (0, 2500, "One".to_owned()),
                (2500, 4000, "Chapter 2".to_owned()),
                (4000, u64::MAX, "Drei".to_owned()),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(of_nero(&boxed(b"udta", &boxed(b"chpl", &bytes))).len() <= 255);
            prop_assert!(references(&bytes).len() <= MAX_REFERENCES);
        }
    }
}
