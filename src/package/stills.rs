//! Stills on their way into the store, and out of it again: I-frame tracks cut into segments with a
//! fragment for each picture, thumbnails as they are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::segment_key;
use crate::bandwidth::{average_bps, peak_bps};
use crate::cmaf;
use crate::cmaf::fragment::{FragmentKind, fragment};
use crate::error::{Error, ErrorKind, Result};
use crate::hls;
use crate::layout::Key;
use crate::media::{
    ChunkSpan, EncodedSample, Sample, SegmentInfo, StillRates, StillSpan, StillsPlan, TrackCommon,
    TrickRendition, VideoMethod, VideoPlan, VideoRendition,
};
use crate::store::BlockingStore;
use crate::time::Timescale;

/// I-frames are decoded in the order they are shown in.
const KIND: FragmentKind = FragmentKind::Video {
    composition_delay: 0,
};
/// Segments that are read from the store at a time.
const READERS: usize = 8;
/// The largest segment of an I-frame track that is read.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Something to store.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// A segment of the I-frame track with that index.
    Segment {
        track: usize,
        number: u32,
        bytes: Vec<u8>,
    },
    /// A thumbnail.
    Thumbnail { number: u32, jpeg: bytes::Bytes },
}

/// Cuts the stills of one task.
#[derive(Debug)]
pub(super) struct StillsCutter<'a> {
    plan: &'a StillsPlan,
    frame_duration: u32,
    tracks: Vec<TrackCutter>,
}

/// An I-frame track of one task.
#[derive(Debug)]
struct TrackCutter {
    /// The I-frames to come: with the number of their segment, and whether they end it.
    expected: std::vec::IntoIter<(StillSpan, u32, bool)>,
    /// The fragment to write next, counted from 1 over the whole track.
    sequence_number: u32,
    segment: Vec<u8>,
}

impl<'a> StillsCutter<'a> {
    /// For the segments `run`.
    ///
    /// # Errors
    /// When the plan has no stills or not that many segments.
    pub(super) fn new(video: &'a VideoPlan, run: ChunkSpan) -> Result<Self> {
        let missing = || Error::internal("the plan has no stills of those segments");
        let plan = video.stills.as_ref().ok_or_else(missing)?;
        let frame_duration = video.frame_duration.ok_or_else(missing)?;
        let first = run.first_segment as usize;
        let end = first.saturating_add(run.segments as usize);
        let segments = video.segments.get(first..end).ok_or_else(missing)?;
        let before = video.segments.iter().take(first);
        let before: usize = before.map(|segment| plan.i_frames(segment).count()).sum();
        let sequence_number = u32::try_from(before + 1).map_err(|_| missing())?;
        let mut expected = Vec::new();
        for (number, segment) in (run.first_segment + 1..).zip(segments) {
            let mut spans = plan.i_frames(segment).peekable();
            while let Some(span) = spans.next() {
                expected.push((span, number, spans.peek().is_none()));
            }
        }
        let cutter = |_: &TrickRendition| TrackCutter {
            expected: expected.clone().into_iter(),
            sequence_number,
            segment: Vec::new(),
        };
        Ok(Self {
            plan,
            frame_duration,
            tracks: plan.tracks.iter().map(cutter).collect(),
        })
    }

    /// Takes a picture of still number `which` (the I-frame tracks, then the thumbnails); gives
    /// what it completes.
    ///
    /// # Errors
    /// When it is one that nobody asked for.
    pub(super) fn push(&mut self, which: usize, sample: EncodedSample) -> Result<Option<Still>> {
        let track = self.tracks.get_mut(which);
        let Some(track) = track else {
            let step = self.plan.thumbnails.step_frames.max(1);
            return Ok(Some(Still::Thumbnail {
                number: sample.frame / step + 1,
                jpeg: sample.data,
            }));
        };
        let segment = track.push(sample, self.frame_duration)?;
        Ok(segment.map(|(number, bytes)| Still::Segment {
            track: which,
            number,
            bytes,
        }))
    }

    /// Ends the run.
    ///
    /// # Errors
    /// When a segment of an I-frame track isn't whole.
    pub(super) fn finish(&self) -> Result<()> {
        let left = |track: &TrackCutter| track.expected.len();
        match self.tracks.iter().map(left).max() {
            Some(left) if left > 0 => Err(Error::internal(format!("{left} I-frames are missing"))),
            _ => Ok(()),
        }
    }
}

impl TrackCutter {
    fn push(
        &mut self,
        sample: EncodedSample,
        frame_duration: u32,
    ) -> Result<Option<(u32, Vec<u8>)>> {
        let next = self.expected.next();
        let next = next.filter(|(span, ..)| span.first_frame == sample.frame);
        let (span, number, is_last) = next.ok_or_else(|| {
            Error::internal(format!("I-frame {} is out of its order", sample.frame))
        })?;
        let too_long = || Error::internal("an I-frame lasts too long");
        let picture = Sample {
            duration: span
                .frames
                .checked_mul(frame_duration)
                .ok_or_else(too_long)?,
            composition_offset: 0,
            sync: true,
            data: sample.data,
        };
        let decode_time = u64::from(span.first_frame) * u64::from(frame_duration);
        let bytes = fragment(KIND, self.sequence_number, decode_time, &[picture])?;
        self.sequence_number = self.sequence_number.saturating_add(1);
        self.segment.extend_from_slice(&bytes);
        Ok(is_last.then(|| (number, std::mem::take(&mut self.segment))))
    }
}

/// An I-frame track as a rendition of the video, for its init segment.
pub(super) fn as_rendition(track: &TrickRendition) -> VideoRendition {
    VideoRendition {
        id: track.id.clone(),
        width: track.width,
        height: track.height,
        method: VideoMethod::Encode(track.recipe.clone()),
    }
}

/// Durations and sizes of the fragments of an I-frame track, by segment: read from the segments,
/// whose sizes are known.
///
/// # Errors
/// `DataLoss` when one is not in the store or can't be read.
pub(super) fn fragments(
    store: &BlockingStore,
    revision: &str,
    track: &TrackCommon,
) -> Result<Vec<Vec<SegmentInfo>>> {
    let segments = track.segments.len();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![Vec::new(); segments]);
    let read = || -> Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= segments {
                return Ok(());
            }
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let key = segment_key(revision, &track.id, number);
            let table = read_fragments(store, &key, track.segments[at].bytes)?;
            let mut found = found
                .lock()
                .map_err(|_| Error::internal("a reader of segments panicked"))?;
            if let Some(place) = found.get_mut(at) {
                *place = table;
            }
        }
    };
    std::thread::scope(|scope| {
        let readers = READERS.min(segments);
        let readers: Vec<_> = (0..readers).map(|_| scope.spawn(read)).collect();
        let join = |reader: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            let ended = reader.join();
            ended.unwrap_or_else(|_| Err(Error::internal("a reader of segments panicked")))
        };
        readers.into_iter().try_for_each(join)
    })?;
    let found = found.into_inner();
    found.map_err(|_| Error::internal("a reader of segments panicked"))
}

fn read_fragments(store: &BlockingStore, key: &Key, size: u64) -> Result<Vec<SegmentInfo>> {
    let lost = |why: &str| Error::new(ErrorKind::DataLoss, format!("{key} {why}"));
    if size > SEGMENT_BYTES_MAX {
        return Err(lost("is far too large"));
    }
    let bytes = store
        .read(key)?
        .ok_or_else(|| lost("is not in the store"))?;
    let read = cmaf::read::read_segment(&bytes, bytes.len() as u64, &[]);
    let read = read.map_err(|e| lost(&format!("can't be read: {e}")))?;
    let starts = read.fragments.iter().map(|fragment| fragment.moof.start);
    let ends = starts.clone().skip(1).chain([bytes.len() as u64]);
    if starts.clone().next() != Some(0) {
        return Err(lost("doesn't start with a fragment"));
    }
    let fragments = read.fragments.iter().zip(starts.zip(ends));
    let info = |(fragment, (start, end)): (&cmaf::read::FragmentInfo, (u64, u64))| SegmentInfo {
        duration: fragment.tracks.iter().map(|track| track.duration()).sum(),
        bytes: end.saturating_sub(start),
    };
    Ok(fragments.map(info).collect())
}

/// What pictures need, each a segment by itself.
pub(super) fn rates(pictures: &[SegmentInfo], timescale: Timescale) -> StillRates {
    let target_seconds = hls::still_target_duration(pictures, timescale);
    StillRates {
        peak_bps: peak_bps(pictures, timescale, target_seconds),
        average_bps: average_bps(pictures, timescale),
    }
}
