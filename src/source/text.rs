//! Text of a source: the samples of its text tracks, read and parsed here. No decoder sees them.

use crate::error::Result;
use crate::media::{Home, SampleEntry, SourceTrack};
use crate::read_at::ReadAt;
use crate::text::{MAX_SAMPLE_BYTES, MAX_TRACK_BYTES, Parsed, TextSample, TrackReader};
use crate::time::{Rounding, Ticks, Timescale};

/// Where the samples of a source lie.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The source.
    pub source: &'a dyn ReadAt,
    /// Samples that the container stores in pieces, if any does.
    pub spool: Option<&'a dyn ReadAt>,
}

impl std::fmt::Debug for Files<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl<'a> Files<'a> {
    /// The file of a sample; `None` for a spool that isn't there.
    pub(super) fn home(self, home: Home) -> Option<&'a dyn ReadAt> {
        match home {
            Home::Source => Some(self.source),
            Home::Spool => self.spool,
        }
    }
}

/// Reads a text track. `start` is the presentation's start on the track's movie time line, in its
/// ticks: cues count from there, and what ends before it or starts after the edit's end is left out.
///
/// # Errors
/// `Unsupported` for text that isn't read, and what reading fails with.
pub fn read_text(files: Files<'_>, track: &SourceTrack, start: i64) -> Result<Parsed> {
    let mut reader = TrackReader::new(track.codec.name(), &track.config)?;
    let mut bytes_left = MAX_TRACK_BYTES;
    for (number, entry) in track.samples.iter().enumerate() {
        let size = u64::from(entry.place.size);
        if size == 0 {
            continue;
        }
        if entry.place.size > MAX_SAMPLE_BYTES {
            reader.left_out("text of more than 64 KiB in one sample is left out");
            continue;
        }
        let Some(left) = bytes_left.checked_sub(size) else {
            reader.left_out("the track has more text than is read; the rest is left out");
            break;
        };
        bytes_left = left;
        let (start_millis, end_millis) = times(track, number, &entry, start);
        if end_millis < 0 {
            continue;
        }
        let Some(file) = files.home(entry.place.home) else {
            continue;
        };
        let mut bytes = vec![0; entry.place.size as usize];
        file.read_exact_at(entry.place.offset, &mut bytes)?;
        reader.push(&TextSample {
            start_millis,
            end_millis,
            bytes,
        });
    }
    Ok(reader.finish())
}

/// When a sample is shown, in milliseconds from `start`, within the edit.
fn times(track: &SourceTrack, number: usize, entry: &SampleEntry, start: i64) -> (i64, i64) {
    let from = track.movie_time(entry.presentation_time());
    let lasting = track.shown.get(number).copied().unwrap_or(entry.duration);
    let mut to = from.saturating_add(i64::from(lasting));
    if let Some(length) = track.edit.length {
        to = to.min(track.edit.delay.saturating_add(length));
    }
    let from = from.max(track.edit.delay.min(to));
    let millis = |time: i64| {
        let time = Ticks::new(time.saturating_sub(start), track.timescale);
        time.to(Timescale::MILLIS, Rounding::Nearest).count
    };
    (millis(from), millis(to))
}
