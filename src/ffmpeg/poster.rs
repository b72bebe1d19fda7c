//! A poster: the first picture of a stretch that isn't nearly black, upright and small, as JPEG.
//!
//! A poster is a nicety: whatever goes wrong, there is none, and why is told.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;

use super::decode::{Decoder, Kind, reorder_depth};
use super::heartbeat::Heartbeat;
use super::jpeg;
use super::picture::{Graph, PictureFilter};
use super::sys;
use crate::error::Result;
use crate::media::{Damage, PosterTask, TaskFiles, TaskOutput};

/// Mean luma, of 16 (black) to 235 (white), below which a picture is nearly black.
const DARK: u64 = 32;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Poster {
    /// The JPEG, if there is one.
    pub jpeg: Option<Bytes>,
    /// What was met on the way.
    pub damage: Vec<Damage>,
}

/// Makes the poster.
pub(super) fn make(task: &PosterTask, files: &TaskFiles, output: &dyn TaskOutput) -> Poster {
    let mut damage = Vec::new();
    let jpeg = brightest(task, files, output, &mut damage).and_then(|picture| match picture {
        Some(picture) => to_jpeg(&picture).map(Some),
        None => Ok(None),
    });
    let jpeg = jpeg.unwrap_or_else(|error| {
        let message = format!("no poster: {error}");
        damage.push(Damage {
            time: task.from,
            message,
        });
        None
    });
    Poster { jpeg, damage }
}

/// The first picture that is bright enough, or else the brightest, filtered.
fn brightest(
    task: &PosterTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
    damage: &mut Vec<Damage>,
) -> Result<Option<ffmpeg::Frame>> {
    let kind = Kind::Video {
        size: (task.picture.width, task.picture.height),
        reorder_depth: reorder_depth(&task.samples),
    };
    let mut decoder = Decoder::open(&task.codec, &task.config, task.timescale, kind, 1)?;
    let heartbeat = Heartbeat::new(output);
    let mut choice = Choice {
        from: task.from,
        filter: PictureFilter::of_stills(task.width, task.height, &task.picture),
        best: None,
    };
    for sample in &task.samples {
        decoder.push(files, sample, &mut |frame| choice.take(&frame))?;
        heartbeat.beat()?;
        if choice.is_made() {
            break;
        }
    }
    if !choice.is_made() {
        decoder.finish(&mut |frame| choice.take(&frame))?;
    }
    let (told, _) = decoder.report()?;
    damage.extend(told);
    Ok(choice.best.map(|(_, picture)| picture))
}

/// The best picture so far.
struct Choice {
    from: i64,
    filter: PictureFilter,
    best: Option<(u64, ffmpeg::Frame)>,
}

impl Choice {
    fn is_made(&self) -> bool {
        self.best.as_ref().is_some_and(|(luma, _)| *luma >= DARK)
    }

    fn take(&mut self, frame: &ffmpeg::Frame) -> Result<()> {
        let early = frame.pts().is_some_and(|time| time < self.from);
        if early || self.is_made() {
            return Ok(());
        }
        let picture = self.filter.push(frame)?;
        let luma = mean_luma(&picture)?;
        if self.best.as_ref().is_none_or(|(best, _)| luma > *best) {
            self.best = Some((luma, picture));
        }
        Ok(())
    }
}

/// Mean of an 8-bit picture's first plane.
fn mean_luma(picture: &ffmpeg::Frame) -> Result<u64> {
    let picture = ffmpeg::frame::Video::from(sys::share(picture)?);
    let width = usize::try_from(picture.width()).unwrap_or(0);
    let rows = picture.data(0).chunks(picture.stride(0).max(1));
    let (mut sum, mut count) = (0_u64, 0_u64);
    for row in rows.take(usize::try_from(picture.height()).unwrap_or(0)) {
        let pixels = row.get(..width).unwrap_or(row);
        sum += pixels.iter().map(|pixel| u64::from(*pixel)).sum::<u64>();
        count += pixels.len() as u64;
    }
    Ok(sum / count.max(1))
}

fn to_jpeg(picture: &ffmpeg::Frame) -> Result<Bytes> {
    let mut graph = Graph::new(sys::shape(picture), &jpeg::chain(None))?;
    let full = graph.one(picture)?;
    jpeg::encode(&full, jpeg::POSTER_QUANTISER)
}
