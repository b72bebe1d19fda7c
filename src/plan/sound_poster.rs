//! What the poster of a title of sound alone is made of.

use super::lowering::{Lowering, foreign};
use super::tracks::is_cover_picture;
use crate::error::Result;
use crate::media::{
    AudioMethod, AudioRendition, ChunkSpan, Cover, SoundPosterTask, SourceIndex, SourceTrack,
};
use crate::time::{Rounding, Timescale, rescale};

/// How much of the sound is drawn, in seconds: it has to be decoded before anything is `ready`.
const DRAWN_SECONDS: u64 = 24;
/// The largest cover that is decoded, in bytes: posters of print shops are smaller.
const MAX_COVER_BYTES: u32 = 32 << 20;

impl Lowering {
    /// The task that makes the poster of a title without pictures; `None` for others.
    pub(super) fn sound_poster(&self) -> Result<Option<SoundPosterTask>> {
        if self.plan.video.is_some() {
            return Ok(None);
        }
        let mut renditions = self.plan.audio.iter();
        let Some(main) = renditions.find(|rendition| rendition.form.is_aac()) else {
            return Ok(None);
        };
        let track = self.index.tracks.get(main.source_track);
        let track = track.ok_or_else(|| foreign("a track"))?;
        let start = source_start(main, track)?;
        Ok(Some(SoundPosterTask {
            cover: cover(&self.index),
            sound: self.sound_task(main, start, beginning(main), None)?,
        }))
    }
}

/// The segments that start within what is drawn.
fn beginning(main: &AudioRendition) -> ChunkSpan {
    let frames = DRAWN_SECONDS * u64::from(main.sample_rate) / u64::from(main.frame_length.max(1));
    let early = main.segments.iter();
    let early = early.take_while(|span| u64::from(span.first_frame) < frames);
    ChunkSpan {
        first_segment: 0,
        segments: u32::try_from(early.count()).unwrap_or(u32::MAX),
    }
}

/// Movie time of the presentation's start in the track's ticks.
fn source_start(main: &AudioRendition, track: &SourceTrack) -> Result<i64> {
    match main.method {
        AudioMethod::Encode { source_start, .. } => Ok(source_start),
        AudioMethod::Copy { first_sample } => {
            let first = track.samples.iter_from(first_sample).next();
            let first = first.ok_or_else(|| foreign("a sample"))?;
            let rate = Timescale::new(main.sample_rate).ok_or_else(|| foreign("a sample rate"))?;
            let priming = i64::from(main.priming);
            let priming = rescale(priming, rate, track.timescale, Rounding::Nearest);
            let start = track.movie_time(first.presentation_time());
            Ok(start.saturating_add(priming))
        }
    }
}

/// The first picture that came with the sound.
fn cover(index: &SourceIndex) -> Option<Cover> {
    let mut covers = index.tracks.iter().filter(|track| is_cover_picture(track));
    covers.find_map(|track| {
        let entry = track.samples.iter().next()?;
        (entry.place.size <= MAX_COVER_BYTES).then(|| Cover {
            codec: track.codec.clone(),
            config: track.config.clone(),
            place: entry.place,
        })
    })
}
