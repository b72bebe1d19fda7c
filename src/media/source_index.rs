//! Everything known about a source without decoding it: its tracks and, for each sample, its
//! times, size, sync flag and place.
//!
//! The table is kept in runs, so a ten-hour title stays within a few tens of megabytes: about
//! four bytes a sample for what is regular.

use serde::{Deserialize, Serialize};

use super::{Chapter, Codec, Disposition, Reconfigurations, TrackKind};
use crate::time::Timescale;

/// Where the bytes of a sample lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// In the source itself, verbatim.
    Source,
    /// In the spool: a file of ours that holds samples which the container stores in pieces
    /// (MPEG-TS packets, Ogg pages), written while indexing.
    Spool,
}

/// The byte range of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which file.
    pub home: Home,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub size: u32,
}

/// One sample as the table gives it out. Times are ticks of the track's timescale, before the
/// edit list is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleEntry {
    /// Decode time.
    pub decode_time: i64,
    /// Ticks until the next sample's decode time.
    pub duration: u32,
    /// Presentation time minus decode time.
    pub composition_offset: i32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Where its bytes are.
    pub place: Place,
}

impl SampleEntry {
    /// Presentation time, before the edit list.
    pub fn presentation_time(&self) -> i64 {
        self.decode_time + i64::from(self.composition_offset)
    }
}

/// A run-length coded column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Runs<T>(Vec<(u32, T)>);

impl<T: Copy + PartialEq> Runs<T> {
    fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some((count, last)) if *last == value && *count < u32::MAX => *count += 1,
            _ => self.0.push((1, value)),
        }
    }
}

/// The samples of one track in decode order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleTable {
    first_decode_time: i64,
    end_decode_time: i64,
    sizes: Vec<u32>,
    durations: Runs<u32>,
    composition_offsets: Runs<i32>,
    /// Numbers (from 0) of the sync samples; `None` when all are.
    syncs: Option<Vec<u32>>,
    /// Starts of runs of adjacent samples: (number of the first sample, home, offset).
    places: Vec<(u32, Home, u64)>,
    /// Where the decoder's configuration changes.
    #[serde(default, skip_serializing_if = "Reconfigurations::is_empty")]
    reconfigurations: Reconfigurations,
    /// First byte after the last sample pushed.
    #[serde(skip)]
    next_place: Option<(Home, u64)>,
}

impl Default for SampleTable {
    fn default() -> Self {
        Self::new(0)
    }
}

impl SampleTable {
    /// An empty table whose first sample will have this decode time.
    pub fn new(first_decode_time: i64) -> Self {
        Self {
            first_decode_time,
            end_decode_time: first_decode_time,
            sizes: Vec::new(),
            durations: Runs(Vec::new()),
            composition_offsets: Runs(Vec::new()),
            syncs: None,
            places: Vec::new(),
            reconfigurations: Reconfigurations::default(),
            next_place: None,
        }
    }

    /// Notes where the decoder's configuration changes.
    pub fn set_reconfigurations(&mut self, reconfigurations: Reconfigurations) {
        self.reconfigurations = reconfigurations;
    }

    /// Where the decoder's configuration changes.
    pub fn reconfigurations(&self) -> &Reconfigurations {
        &self.reconfigurations
    }

    /// Adds the next sample in decode order. Its decode time is the sum of the durations so far.
    pub fn push(&mut self, duration: u32, composition_offset: i32, sync: bool, place: Place) {
        let number = u32::try_from(self.sizes.len()).expect("fewer than 2^32 samples in a track");
        if self.next_place != Some((place.home, place.offset)) {
            self.places.push((number, place.home, place.offset));
        }
        self.next_place = Some((place.home, place.offset + u64::from(place.size)));
        match (&mut self.syncs, sync) {
            (None, false) => self.syncs = Some((0..number).collect()),
            (Some(syncs), true) => syncs.push(number),
            (None, true) | (Some(_), false) => {}
        }
        self.sizes.push(place.size);
        self.durations.push(duration);
        self.composition_offsets.push(composition_offset);
        self.end_decode_time += i64::from(duration);
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Decode time of the first sample.
    pub fn first_decode_time(&self) -> i64 {
        self.first_decode_time
    }

    /// Decode time after the last sample.
    pub fn end_decode_time(&self) -> i64 {
        self.end_decode_time
    }

    /// Sum of the sizes in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.sizes.iter().map(|size| u64::from(*size)).sum()
    }

    /// The one duration that all samples share (the last may differ), if there is one.
    pub fn constant_duration(&self) -> Option<u32> {
        match self.durations.0.as_slice() {
            [(_, duration)] => Some(*duration),
            [(_, duration), (1, _)] => Some(*duration),
            _ => None,
        }
    }

    /// Numbers (from 0) of the sync samples, in order.
    pub fn sync_numbers(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match &self.syncs {
            Some(syncs) => Box::new(syncs.iter().copied()),
            None => Box::new(0..u32::try_from(self.sizes.len()).unwrap_or(u32::MAX)),
        }
    }

    /// The number of the last sync sample at or before sample `number`, if any.
    pub fn sync_at_or_before(&self, number: u32) -> Option<u32> {
        match &self.syncs {
            None => Some(number),
            Some(syncs) => {
                let after = syncs.partition_point(|sync| *sync <= number);
                after.checked_sub(1).map(|at| syncs[at])
            }
        }
    }

    /// All samples in decode order.
    pub fn iter(&self) -> SampleIter<'_> {
        self.iter_from(0)
    }

    /// The samples from number `first` (from 0) on, in decode order. Costs a walk over the runs
    /// before it, not over the samples.
    pub fn iter_from(&self, first: u32) -> SampleIter<'_> {
        let at = SampleCursor {
            number: 0,
            decode_time: self.first_decode_time,
            duration: (0, 0),
            composition: (0, 0),
            sync: 0,
            place: 0,
            offset: 0,
        };
        let mut iter = SampleIter { table: self, at };
        iter.skip_to(first);
        iter
    }

    /// The samples from a remembered place on; costs nothing. The cursor must be of this table.
    pub fn iter_at(&self, cursor: SampleCursor) -> SampleIter<'_> {
        SampleIter {
            table: self,
            at: cursor,
        }
    }
}

/// A place in a [`SampleTable`], remembered without borrowing it: see [`SampleIter::cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleCursor {
    number: u32,
    decode_time: i64,
    /// (run, samples of it already taken)
    duration: (usize, u32),
    composition: (usize, u32),
    /// Next entry of `syncs` to compare with.
    sync: usize,
    /// Next entry of `places` to compare with.
    place: usize,
    offset: u64,
}

impl SampleCursor {
    /// Number of the sample it stands before.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Decode time of that sample.
    pub fn decode_time(&self) -> i64 {
        self.decode_time
    }
}

/// Walks a [`SampleTable`] in decode order.
#[derive(Debug, Clone)]
pub struct SampleIter<'a> {
    table: &'a SampleTable,
    at: SampleCursor,
}

impl SampleIter<'_> {
    /// Where it stands, to go on from later with [`SampleTable::iter_at`].
    pub fn cursor(&self) -> SampleCursor {
        self.at
    }

    fn skip_to(&mut self, first: u32) {
        let table = self.table;
        let mut left = first;
        while let Some((count, duration)) = table.durations.0.get(self.at.duration.0) {
            let taken = left.min(*count);
            self.at.decode_time += i64::from(taken) * i64::from(*duration);
            left -= taken;
            if taken < *count {
                self.at.duration.1 = taken;
                break;
            }
            self.at.duration.0 += 1;
        }
        left = first;
        while let Some((count, _)) = table.composition_offsets.0.get(self.at.composition.0) {
            let taken = left.min(*count);
            left -= taken;
            if taken < *count {
                self.at.composition.1 = taken;
                break;
            }
            self.at.composition.0 += 1;
        }
        if let Some(syncs) = &table.syncs {
            self.at.sync = syncs.partition_point(|sync| *sync < first);
        }
        self.at.place = table
            .places
            .partition_point(|(number, _, _)| *number < first);
        if let Some((number, _, offset)) = self.at.place.checked_sub(1).map(|at| table.places[at]) {
            let end = (first as usize).min(table.sizes.len());
            let before = table.sizes.get(number as usize..end).unwrap_or_default();
            self.at.offset = offset + before.iter().map(|size| u64::from(*size)).sum::<u64>();
        }
        self.at.number = first;
    }
}

/// The value of the run the cursor stands in; moves the cursor by one.
fn step<T: Copy>(runs: &Runs<T>, cursor: &mut (usize, u32)) -> Option<T> {
    let (count, value) = *runs.0.get(cursor.0)?;
    cursor.1 += 1;
    if cursor.1 >= count {
        *cursor = (cursor.0 + 1, 0);
    }
    Some(value)
}

impl Iterator for SampleIter<'_> {
    type Item = SampleEntry;

    fn next(&mut self) -> Option<SampleEntry> {
        let (table, at) = (self.table, &mut self.at);
        let size = *table.sizes.get(at.number as usize)?;
        let duration = step(&table.durations, &mut at.duration)?;
        let composition_offset = step(&table.composition_offsets, &mut at.composition)?;
        if let Some((number, _, offset)) = table.places.get(at.place)
            && *number == at.number
        {
            at.offset = *offset;
            at.place += 1;
        }
        let home = table.places.get(at.place.checked_sub(1)?)?.1;
        let sync = match &table.syncs {
            None => true,
            Some(syncs) => {
                let here = syncs.get(at.sync) == Some(&at.number);
                at.sync += usize::from(here);
                here
            }
        };
        let entry = SampleEntry {
            decode_time: at.decode_time,
            duration,
            composition_offset,
            sync,
            place: Place {
                home,
                offset: at.offset,
                size,
            },
        };
        at.decode_time += i64::from(duration);
        at.offset += u64::from(size);
        at.number += 1;
        Some(entry)
    }
}

/// What the edit list says, reduced to what a player does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edit {
    /// Ticks (track timescale) of nothing before the track starts: the empty edits at its head.
    pub delay: i64,
    /// Presentation time (track timescale) at which the edit starts; earlier samples are decoded
    /// and not shown.
    pub media_start: i64,
    /// How much is shown from there, in ticks (track timescale); `None` to the end.
    pub length: Option<i64>,
}

/// One track of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTrack {
    /// The container's own number for it (MP4 `track_ID`, FFmpeg stream index).
    pub number: u32,
    /// What kind it is.
    pub kind: TrackKind,
    /// Its codec.
    pub codec: Codec,
    /// The decoder configuration as FFmpeg calls it extradata: `avcC` or `hvcC` contents, the
    /// AudioSpecificConfig, Vorbis headers; empty where the bitstream carries it.
    pub config: Vec<u8>,
    /// Ticks a second of all times in this track.
    pub timescale: Timescale,
    /// BCP 47 language tag; `und` when the source does not say.
    pub language: String,
    /// Its name, where the source gives one.
    pub name: Option<String>,
    /// What it is marked as, by flags and by its name.
    #[serde(default)]
    pub disposition: Disposition,
    /// The edit list.
    pub edit: Edit,
    /// Its samples.
    pub samples: SampleTable,
    /// How long each sample is shown, in ticks of the track, where that is not until the next one
    /// comes: text of Matroska. Empty where the table says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<u32>,
}

impl SourceTrack {
    /// The time on the movie's time line at which a sample with presentation time `pts` is shown:
    /// ticks of the track's timescale; negative for what lies before the edit.
    pub fn movie_time(&self, pts: i64) -> i64 {
        pts.saturating_sub(self.edit.media_start)
            .saturating_add(self.edit.delay)
    }
}

/// The index of a whole source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIndex {
    /// The container: `mp4`, `mov`, `matroska`, `mpegts`, ...
    pub container: String,
    /// Length of the source in bytes.
    pub size_bytes: u64,
    /// All tracks, in the container's order.
    pub tracks: Vec<SourceTrack>,
    /// What was found wrong and survived, in words with the place.
    pub warnings: Vec<String>,
    /// The chapters, in order of their starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<Chapter>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = (u32, i32, bool, bool, u32)> {
        (
            1_u32..4,
            -2_i32..3,
            any::<bool>(),
            any::<bool>(),
            0_u32..100,
        )
    }

    proptest! {
        /// What was pushed comes out again, from any starting point.
        #[test]
        fn table_gives_back_what_was_pushed(entries in prop::collection::vec(entry(), 0..60), from in 0_usize..70) {
            let mut table = SampleTable::new(-5);
            let mut expected = Vec::new();
            let (mut time, mut offset) = (-5_i64, 0_u64);
            for (duration, composition_offset, sync, gap, size) in entries {
                offset += if gap { 7 } else { 0 };
                let place = Place { home: Home::Source, offset, size };
                table.push(duration, composition_offset, sync, place);
                expected.push(SampleEntry { decode_time: time, duration, composition_offset, sync, place });
                time += i64::from(duration);
                offset += u64::from(size);
            }
            prop_assert_eq!(table.end_decode_time(), time);
            let from = from.min(expected.len());
            let got: Vec<_> = table.iter_from(u32::try_from(from).expect("small")).collect();
            prop_assert_eq!(&got[..], &expected[from..]);

            let mut walk = table.iter();
            walk.by_ref().take(from).for_each(drop);
            let resumed: Vec<_> = table.iter_at(walk.cursor()).collect();
            prop_assert_eq!(resumed, got);
        }
    }
}
