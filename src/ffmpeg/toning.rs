//! Tone mapping once for all SDR renditions: at one size, from which they and the stills are scaled.
//!
//! It is the dearest filter by far: light is made linear, in floating point. A segment that somebody
//! waits for is mapped at its own size instead, which is less where it is small.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ffmpeg_next as ffmpeg;

use super::heartbeat::Heartbeat;
use super::picture::{PictureFilter, finished};
use super::selection::Chosen;
use super::video::{Outlets, Picture};
use crate::error::Result;
use crate::media::{Joining, PicturePlan, VideoRange, VideoTask};

/// What pictures are before they are scaled for SDR: toned ones, where they are toned for all.
pub(super) fn picture_of_sdr(task: &VideoTask) -> PicturePlan {
    size(task).map_or_else(|| task.picture.clone(), finished)
}

/// The size that pictures are toned at for all, if they are.
pub(super) fn size(task: &VideoTask) -> Option<(u32, u32)> {
    let is_for_all = task.joining == Joining::Seamless;
    task.picture.toned.filter(|_| is_for_all)
}

/// Makes pictures of one size, each once however often it is shown.
pub(super) struct Scaler {
    filter: PictureFilter,
    /// The picture scaled last and what became of it, kept because frames may repeat.
    last: Option<(Arc<ffmpeg::Frame>, Arc<ffmpeg::Frame>)>,
}

impl Scaler {
    pub(super) fn new(filter: PictureFilter) -> Self {
        Self { filter, last: None }
    }

    pub(super) fn scale(&mut self, picture: &Arc<ffmpeg::Frame>) -> Result<Arc<ffmpeg::Frame>> {
        if let Some((of, scaled)) = &self.last
            && Arc::ptr_eq(of, picture)
        {
            return Ok(Arc::clone(scaled));
        }
        let scaled = Arc::new(self.filter.push(picture)?);
        self.last = Some((Arc::clone(picture), Arc::clone(&scaled)));
        Ok(scaled)
    }
}

/// Tone maps the pictures of a task.
pub(super) struct Toning<'a> {
    scaler: Scaler,
    heartbeat: &'a Heartbeat<'a>,
    outlets: Outlets<'a>,
}

impl<'a> Toning<'a> {
    /// Of pictures of this size, which go to `outlets`.
    pub(super) fn new(
        size: (u32, u32),
        task: &VideoTask,
        heartbeat: &'a Heartbeat<'a>,
        outlets: Outlets<'a>,
    ) -> Self {
        let filter = PictureFilter::new(size, &task.picture, VideoRange::Sdr);
        Self {
            scaler: Scaler::new(filter),
            heartbeat,
            outlets,
        }
    }

    /// Takes all pictures of the task, in order.
    pub(super) fn run(mut self, pictures: &Receiver<Arc<Picture>>) -> Result<()> {
        for chosen in pictures {
            self.heartbeat.beat()?;
            self.outlets.send(Chosen {
                picture: self.scaler.scale(&chosen.picture)?,
                number: chosen.number,
                idr: chosen.idr,
            })?;
        }
        Ok(())
    }
}
