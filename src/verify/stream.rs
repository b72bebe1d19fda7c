//! A stream: what one media playlist or one Representation names, together with what is really
//! there. Every rule that compares the two takes one of these.

use std::rc::Rc;

use super::facts::{EntryFacts, InitFacts, SegmentFacts, TextFacts, TrackFacts};
use crate::cmaf::boxes::FourCc;
use crate::time::{Rounding, Ticks, Timescale, rescale};

/// What one media playlist or Representation names.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    /// The playlist's or Representation's name for findings.
    pub(super) place: String,
    /// The init segment's address; `None` where none is named.
    pub(super) init_place: Option<String>,
    /// What it holds; `None` when it could not be read or is none of ours.
    pub(super) init: Option<Rc<InitFacts>>,
    /// The segments in order.
    pub(super) segments: Vec<StreamSegment>,
    /// Of stills: I-frames, images, trick play. What players show at speed rather than play.
    pub(super) stills: bool,
}

/// One segment of a stream.
#[derive(Debug, Clone)]
pub(super) struct StreamSegment {
    /// Its address for findings, with its byte range where it is one.
    pub(super) place: String,
    /// What the playlist or manifest says it lasts.
    pub(super) declared: Ticks,
    /// Its size in bytes; `None` when it isn't there.
    pub(super) bytes: Option<u64>,
    /// A discontinuity is declared before it.
    pub(super) discontinuity: bool,
    /// What kind of file it is.
    pub(super) container: Container,
    /// Its boxes, for fMP4 that could be read.
    pub(super) facts: Option<Rc<SegmentFacts>>,
    /// Its cues, for WebVTT that could be read.
    pub(super) text: Option<Rc<TextFacts>>,
    /// Width and height of a JPEG.
    pub(super) jpeg_size: Option<(u32, u32)>,
}

/// What kind of file a segment is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// ISO base media.
    Fmp4,
    /// MPEG-2 transport stream.
    Ts,
    /// ADTS, MP3 or AC-3 frames, perhaps behind an ID3 tag.
    PackedAudio,
    /// WebVTT text.
    WebVtt,
    /// A JPEG.
    Jpeg,
    /// Anything else, or nothing there.
    Unknown,
}

/// What a stream shows or sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Medium {
    Video,
    Audio,
    /// WebVTT without an init segment.
    Text,
    /// JPEGs.
    Image,
    Other,
}

impl Medium {
    /// Whether it is made of samples that are seen or heard.
    pub(super) fn is_av(self) -> bool {
        matches!(self, Self::Video | Self::Audio)
    }
}

impl Stream {
    /// The first track of its init segment.
    pub(super) fn track(&self) -> Option<&TrackFacts> {
        self.init.as_ref()?.track()
    }

    pub(super) fn timescale(&self) -> Option<Timescale> {
        self.track()?.timescale
    }

    /// Every sample entry of every track.
    pub(super) fn entries(&self) -> impl Iterator<Item = &EntryFacts> {
        let tracks = self.init.as_ref().map_or(&[][..], |init| &init.tracks);
        tracks.iter().flat_map(|track| &track.entries)
    }

    /// Video if any of its tracks is.
    pub(super) fn medium(&self) -> Medium {
        let tracks = self.init.as_ref().map_or(&[][..], |init| &init.tracks);
        let has = |kind: &[u8; 4]| {
            tracks
                .iter()
                .any(|track| track.handler == Some(FourCc(*kind)))
        };
        match () {
            () if has(b"vide") => Medium::Video,
            () if has(b"soun") => Medium::Audio,
            () if super::text::is_text(self) => Medium::Text,
            () if self.is_image() => Medium::Image,
            () => Medium::Other,
        }
    }

    /// Whether it is made of JPEGs.
    fn is_image(&self) -> bool {
        let first = self.segments.first();
        self.init.is_none() && first.is_some_and(|s| s.container == Container::Jpeg)
    }

    /// Whether it is video that is played.
    pub(super) fn is_played_video(&self) -> bool {
        self.medium() == Medium::Video && !self.stills
    }

    /// Declared length in nanoseconds.
    pub(super) fn declared_nanos(&self) -> i64 {
        self.segments
            .iter()
            .map(|segment| nanos(segment.declared))
            .fold(0, i64::saturating_add)
    }

    /// Sum of the samples' durations, less what an edit list skips; `None` unless every segment
    /// was read.
    pub(super) fn media_nanos(&self) -> Option<i64> {
        let timescale = self.timescale()?;
        let mut ticks = 0_u64;
        for segment in &self.segments {
            ticks = ticks.saturating_add(segment.facts.as_ref()?.duration());
        }
        let ticks = i64::try_from(ticks).ok()?;
        let skipped = self.track()?.edit_start();
        Some(nanos(Ticks::new(ticks.saturating_sub(skipped), timescale)))
    }

    /// When each segment's first sample is decoded, in nanoseconds of the media's own time line.
    pub(super) fn decode_times(&self) -> Vec<Option<i64>> {
        let ticks = |segment: &StreamSegment| segment.facts.as_ref()?.decode_time();
        self.times(|segment| i64::try_from(ticks(segment)?).ok())
    }

    /// When each segment's earliest sample is presented, after edits, in nanoseconds.
    pub(super) fn presentation_times(&self) -> Vec<Option<i64>> {
        let skipped = self.track().map_or(0, TrackFacts::edit_start);
        self.times(|segment| {
            let first = segment.facts.as_ref()?.first_presentation()?;
            Some(first.saturating_sub(skipped))
        })
    }

    fn times(&self, of: impl Fn(&StreamSegment) -> Option<i64>) -> Vec<Option<i64>> {
        let timescale = self.timescale();
        let time = |segment| Some(nanos(Ticks::new(of(segment)?, timescale?)));
        self.segments.iter().map(time).collect()
    }

    /// The longest sample but one of the first segment, which is one frame.
    pub(super) fn frame_nanos(&self) -> Option<i64> {
        let timescale = self.timescale()?;
        let first = self.segments.iter().find_map(|s| s.facts.as_ref())?;
        let durations = first
            .fragments
            .iter()
            .flat_map(|fragment| fragment.samples());
        let longest = durations.map(|sample| sample.duration).max()?;
        Some(nanos(Ticks::new(i64::from(longest), timescale)))
    }

    /// Size and declared duration of every segment; `None` when one isn't there.
    pub(super) fn sizes(&self) -> Option<Vec<(u64, i64)>> {
        let size = |segment: &StreamSegment| Some((segment.bytes?, nanos(segment.declared)));
        self.segments.iter().map(size).collect()
    }

    /// The codecs of all its sample entries; `None` when one is unknown.
    pub(super) fn codecs(&self) -> Option<Vec<String>> {
        let all: Option<Vec<_>> = self
            .entries()
            .map(|entry| entry.codecs.clone().ok())
            .collect();
        all.filter(|codecs| !codecs.is_empty())
    }
}

/// A time in whole nanoseconds: what all comparisons between timescales are made in.
pub(super) fn nanos(time: Ticks) -> i64 {
    rescale(
        time.count,
        time.timescale,
        Timescale::NANOS,
        Rounding::Nearest,
    )
}

/// Nanoseconds as seconds for a message.
pub(super) fn seconds(nanos: i64) -> Ticks {
    Ticks::new(nanos, Timescale::NANOS)
}
