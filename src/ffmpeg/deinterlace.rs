//! Interlaced pictures become progressive ones.

use std::collections::VecDeque;

use ffmpeg_next as ffmpeg;

use super::picture::Graph;
use super::selection::Moment;
use super::sys::{self, Shape};
use crate::error::Result;
use crate::media::Scan;

/// Makes pictures whole, as the plan says.
///
/// Where it says nothing, pictures are passed on as they are until the first that the decoder marks
/// as interlaced; from there on they go through `bwdif`, which changes only marked ones. Where the
/// plan says fields, `bwdif` makes a picture of each, whatever the decoder marks.
pub(super) struct Deinterlacer {
    scan: Scan,
    graph: Option<(Shape, Graph)>,
    /// Times of the pictures that went in; of fields, those whose second hasn't come out.
    times: VecDeque<i64>,
    second: bool,
}

/// A picture and what it shows.
type Timed = (Moment, ffmpeg::Frame);

impl Deinterlacer {
    pub(super) fn new(scan: Scan) -> Self {
        Self {
            scan,
            graph: None,
            times: VecDeque::new(),
            second: false,
        }
    }

    /// Takes a picture with its time; gives those that are ready.
    pub(super) fn push(&mut self, picture: ffmpeg::Frame, time: i64) -> Result<Vec<Timed>> {
        if self.scan == Scan::Progressive {
            return Ok(vec![((time, false), picture)]);
        }
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
            if !self.scan.is_fields() && !is_marked(&picture)? {
                ready.push(((time, false), picture));
                return Ok(ready);
            }
            self.graph = Some((shape, Graph::new(shape, chain(self.scan))?));
        }
        if let Some((_, graph)) = &mut self.graph {
            let mut input = sys::share(&picture)?;
            input.set_pts(Some(time));
            graph.push(&input)?;
            self.times.push_back(time);
        }
        self.drain(&mut ready)?;
        Ok(ready)
    }

    /// Gives what is still held.
    pub(super) fn finish(&mut self) -> Result<Vec<Timed>> {
        let mut ready = Vec::new();
        if let Some((_, graph)) = &mut self.graph {
            graph.flush()?;
        }
        self.drain(&mut ready)?;
        self.graph = None;
        self.times.clear();
        self.second = false;
        Ok(ready)
    }

    fn drain(&mut self, ready: &mut Vec<Timed>) -> Result<()> {
        let Some((_, graph)) = &mut self.graph else {
            return Ok(());
        };
        // Pictures come out in the order they went in, each once, or once for each field.
        while let Some(picture) = graph.pull()? {
            let Some(time) = self.times.front().copied() else {
                return Ok(());
            };
            ready.push(((time, self.second), picture));
            self.second = self.scan.is_fields() && !self.second;
            if !self.second {
                self.times.pop_front();
            }
        }
        Ok(())
    }
}

fn is_marked(picture: &ffmpeg::Frame) -> Result<bool> {
    Ok(ffmpeg::frame::Video::from(sys::share(picture)?).is_interlaced())
}

fn chain(scan: Scan) -> &'static str {
    match scan {
        Scan::Fields { top_first: true } => "bwdif=mode=send_field:parity=tff:deint=all",
        Scan::Fields { top_first: false } => "bwdif=mode=send_field:parity=bff:deint=all",
        _ => "bwdif=mode=send_frame:deint=interlaced",
    }
}
