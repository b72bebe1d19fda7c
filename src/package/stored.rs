//! What of a revision is in the store already: the journal is the store itself.
//!
//! An object appears whole or not at all and never changes, and its times are fixed by the plan;
//! so a listing says everything that a resumed run needs to know.

use std::collections::{BTreeMap, BTreeSet};

use super::{init_key, segment_key};
use crate::error::Result;
use crate::layout::Key;
use crate::media::{ChunkSpan, Plan, VideoPlan};
use crate::store::BlockingStore;

/// The tracks of one revision as the store holds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Sizes in bytes of the segments, by track and number (from 1).
    segments: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Tracks whose init segment is there.
    inits: BTreeSet<String>,
    /// Sizes in bytes of the thumbnails, by number (from 1).
    thumbnails: BTreeMap<u32, u64>,
}

impl Stored {
    /// Lists the revision.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) fn list(store: &BlockingStore, revision: &str) -> Result<Self> {
        let mut stored = Self::default();
        for object in store.list_revision(revision)? {
            match Key::parse(&object.key) {
                Some(Key::Segment { track, number, .. }) => {
                    stored.add_segment(&track, number, object.size);
                }
                Some(Key::Init { track, .. }) => {
                    stored.inits.insert(track);
                }
                Some(Key::Thumbnail { number, .. }) => {
                    stored.thumbnails.insert(number, object.size);
                }
                _ => {}
            }
        }
        Ok(stored)
    }

    /// Asks for some thumbnails, one by one.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) fn look_up_thumbnails(&mut self, store: &BlockingStore, keys: &[Key]) -> Result<()> {
        for key in keys {
            if let (Key::Thumbnail { number, .. }, Some(size)) = (key, store.length(key)?) {
                self.thumbnails.insert(*number, size);
            }
        }
        Ok(())
    }

    /// Asks for the segments `run` of some tracks only, one by one.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) fn look_up<'a>(
        store: &BlockingStore,
        revision: &str,
        tracks: impl Iterator<Item = &'a str>,
        run: ChunkSpan,
    ) -> Result<Self> {
        let mut stored = Self::default();
        for track in tracks {
            if store.length(&init_key(revision, track))?.is_some() {
                stored.inits.insert(track.to_owned());
            }
            for number in run.first_segment + 1..=run.first_segment + run.segments {
                if let Some(size) = store.length(&segment_key(revision, track, number))? {
                    stored.add_segment(track, number, size);
                }
            }
        }
        Ok(stored)
    }

    /// Notes a segment.
    pub(super) fn add_segment(&mut self, track: &str, number: u32, size: u64) {
        match self.segments.get_mut(track) {
            Some(segments) => {
                segments.insert(number, size);
            }
            None => {
                self.segments
                    .insert(track.to_owned(), BTreeMap::from([(number, size)]));
            }
        }
    }

    /// The size of segment `number` of a track, if it is there.
    pub(super) fn segment_size(&self, track: &str, number: u32) -> Option<u64> {
        self.segments.get(track)?.get(&number).copied()
    }

    /// The size of thumbnail `number`, if it is there.
    pub(super) fn thumbnail_size(&self, number: u32) -> Option<u64> {
        self.thumbnails.get(&number).copied()
    }

    /// The segments (from 0) of `chunk` of whose stills something is missing.
    pub(super) fn missing_stills(&self, video: &VideoPlan, chunk: ChunkSpan) -> Vec<u32> {
        let Some(stills) = &video.stills else {
            return Vec::new();
        };
        let segments = (chunk.first_segment..).take(chunk.segments as usize);
        let lacks = |segment: &u32| {
            let has =
                |id: &str| self.inits.contains(id) && self.segment_size(id, segment + 1).is_some();
            let span = video.segments.get(*segment as usize);
            let mut numbers = span.into_iter().flat_map(|s| stills.thumbnails.numbers(s));
            !stills.tracks.iter().all(|track| has(&track.id))
                || numbers.any(|number| !self.thumbnails.contains_key(&number))
        };
        segments.filter(lacks).collect()
    }

    /// How many segments of a track are there.
    pub(super) fn count(&self, track: &str) -> u32 {
        let count = self.segments.get(track).map_or(0, BTreeMap::len);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How many of a plan's segments are there.
    pub fn count_planned(&self, plan: &Plan) -> u64 {
        tracks(plan).map(|(id, _)| u64::from(self.count(id))).sum()
    }

    /// The runs of segments of `chunk` that `track` still lacks. A track without its init segment
    /// lacks them all: only making one tells its configuration.
    pub(super) fn missing(&self, track: &str, chunk: ChunkSpan) -> Vec<ChunkSpan> {
        if !self.inits.contains(track) {
            return vec![chunk];
        }
        let mut runs: Vec<ChunkSpan> = Vec::new();
        for segment in chunk.first_segment..chunk.first_segment + chunk.segments {
            if self.segment_size(track, segment + 1).is_some() {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.first_segment + run.segments == segment => run.segments += 1,
                _ => runs.push(ChunkSpan {
                    first_segment: segment,
                    segments: 1,
                }),
            }
        }
        runs
    }
}

/// Segments in all renditions and I-frame tracks of a plan.
pub(super) fn planned_segments(plan: &Plan) -> u64 {
    tracks(plan).map(|(_, count)| count as u64).sum()
}

/// Renditions of a plan.
pub(super) fn rendition_count(plan: &Plan) -> usize {
    let video = plan.video.as_ref();
    plan.audio.len() + video.map_or(0, |video| video.renditions.len())
}

/// Ids and segment counts of all renditions and I-frame tracks.
fn tracks(plan: &Plan) -> impl Iterator<Item = (&str, usize)> {
    let video = plan.video.iter().flat_map(|video| {
        video
            .renditions
            .iter()
            .map(|rendition| (rendition.id.as_str(), video.segments.len()))
    });
    let audio = plan
        .audio
        .iter()
        .map(|audio| (audio.id.as_str(), audio.segments.len()));
    let stills = plan.video.iter().flat_map(|video| {
        let tracks = video.stills.iter().flat_map(|stills| &stills.tracks);
        tracks.map(|track| (track.id.as_str(), video.segments.len()))
    });
    video.chain(audio).chain(stills)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gaps_are_missing() {
        let mut stored = Stored::default();
        let chunk = ChunkSpan {
            first_segment: 0,
            segments: 5,
        };
        assert_eq!(stored.missing("v720", chunk), [chunk]);
        for number in [1, 3] {
            stored.add_segment("v720", number, 10);
        }
        assert_eq!(
            stored.missing("v720", chunk),
            [chunk],
            "no init segment yet"
        );
        stored.inits.insert("v720".into());
        let run = |first_segment, segments| ChunkSpan {
            first_segment,
            segments,
        };
        assert_eq!(stored.missing("v720", chunk), [run(1, 1), run(3, 2)]);
    }
}
