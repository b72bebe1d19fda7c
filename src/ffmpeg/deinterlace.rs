//! Interlaced pictures become progressive ones, as many as before.

use ffmpeg_next as ffmpeg;

use super::picture::Graph;
use super::sys::{self, Shape};
use crate::error::Result;

/// Passes pictures on as they are until the first interlaced one; from there on they go through
/// `bwdif`, which changes only those that the decoder marked as interlaced.
#[derive(Default)]
pub(super) struct Deinterlacer {
    graph: Option<(Shape, Graph)>,
}

impl Deinterlacer {
    /// Takes a picture with its time; gives those that are ready.
    pub(super) fn push(
        &mut self,
        picture: ffmpeg::Frame,
        time: i64,
    ) -> Result<Vec<(i64, ffmpeg::Frame)>> {
        let shape = sys::shape(&picture);
        let mut ready = Vec::new();
        if self
            .graph
            .as_ref()
            .is_some_and(|(made_for, _)| *made_for != shape)
        {
            ready.extend(self.finish()?);
        }
        if self.graph.is_none() {
            if !ffmpeg::frame::Video::from(sys::share(&picture)?).is_interlaced() {
                ready.push((time, picture));
                return Ok(ready);
            }
            let chain = "bwdif=mode=send_frame:deint=interlaced";
            self.graph = Some((shape, Graph::new(shape, chain)?));
        }
        if let Some((_, graph)) = &mut self.graph {
            let mut input = sys::share(&picture)?;
            input.set_pts(Some(time));
            graph.push(&input)?;
            drain(graph, &mut ready)?;
        }
        Ok(ready)
    }

    /// Gives what is still held.
    pub(super) fn finish(&mut self) -> Result<Vec<(i64, ffmpeg::Frame)>> {
        let mut ready = Vec::new();
        if let Some((_, mut graph)) = self.graph.take() {
            graph.flush()?;
            drain(&mut graph, &mut ready)?;
        }
        Ok(ready)
    }
}

fn drain(graph: &mut Graph, ready: &mut Vec<(i64, ffmpeg::Frame)>) -> Result<()> {
    while let Some(picture) = graph.pull()? {
        // The filter counts in half ticks, to have room for a picture from each field.
        let time = picture.pts().unwrap_or(0).div_euclid(2);
        ready.push((time, picture));
    }
    Ok(())
}
