//! A scan task: whether pictures look as if they had been taken in two fields.
//!
//! FFmpeg's `idet` compares each line with those above and below it, in the same picture and in its
//! neighbours; it is asked for what it thinks of each picture alone. It takes some sharp moving
//! graphics for fields, so the teeth of combs are counted too where pictures aren't marked.

use ffmpeg_next as ffmpeg;

use super::decode::{Decoder, Kind, reorder_depth};
use super::heartbeat::Heartbeat;
use super::picture::Graph;
use super::sys::{self, Shape};
use crate::error::Result;
use crate::media::{ScanCount, ScanTask, TaskFiles, TaskOutput, TaskSample};

/// Of so many columns one is looked at for combs.
const COLUMNS: usize = 4;
/// Difference of neighbouring lines that makes a tooth.
const TOOTH: u8 = 8;

/// Whether the middle one of five pixels, one below the other, stands out from its neighbours and
/// goes with those two lines away.
fn is_tooth([upper, above, middle, below, lower]: [u8; 5]) -> bool {
    let apart = |a: u8, b: u8| a.abs_diff(b) > TOOTH;
    let near = |a: u8, b: u8| a.abs_diff(b) < TOOTH / 2;
    apart(middle, above)
        && apart(middle, below)
        && (middle > above) == (middle > below)
        && near(above, below)
        && near(middle, upper)
        && near(middle, lower)
}

/// Does a scan task. Stretches that can't be decoded count nothing.
pub(super) fn run(
    task: &ScanTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<ScanCount> {
    let heartbeat = Heartbeat::new(output);
    let mut counter = Counter::default();
    for samples in &task.stretches {
        stretch(task, samples, files, &heartbeat, &mut counter)?;
    }
    Ok(counter.count)
}

fn stretch(
    task: &ScanTask,
    samples: &[TaskSample],
    files: &TaskFiles,
    heartbeat: &Heartbeat<'_>,
    counter: &mut Counter,
) -> Result<()> {
    let kind = Kind::Video {
        size: (task.width, task.height),
        reorder_depth: reorder_depth(samples),
    };
    let mut decoder = Decoder::open(&task.codec, &task.config, task.timescale, kind, 1)?;
    for sample in samples {
        decoder.push(files, sample, &mut |frame| counter.take(&frame))?;
        heartbeat.beat()?;
    }
    decoder.finish(&mut |frame| counter.take(&frame))?;
    counter.finish()
}

/// Counts verdicts.
#[derive(Default)]
struct Counter {
    graph: Option<(Shape, Graph)>,
    count: ScanCount,
}

impl Counter {
    fn take(&mut self, frame: &ffmpeg::Frame) -> Result<()> {
        let shape = sys::shape(frame);
        if self.graph.as_ref().is_some_and(|(of, _)| *of != shape) {
            self.finish()?;
        }
        let picture = ffmpeg::frame::Video::from(sys::share(frame)?);
        self.count.pictures += 1;
        if picture.is_interlaced() {
            self.count.marked += 1;
            self.count.marked_top_first += u32::from(picture.is_top_first());
        }
        let mut graph = match self.graph.take() {
            Some((_, graph)) => graph,
            None => Graph::new(shape, "idet,format=gray")?,
        };
        let mut input = sys::share(frame)?;
        input.set_pts(Some(i64::from(self.count.pictures)));
        graph.push(&input)?;
        self.verdicts(&mut graph)?;
        self.graph = Some((shape, graph));
        Ok(())
    }

    /// Counts what the filter still holds.
    fn finish(&mut self) -> Result<()> {
        if let Some((_, mut graph)) = self.graph.take() {
            graph.flush()?;
            self.verdicts(&mut graph)?;
        }
        Ok(())
    }

    /// Counts the teeth of combs in an 8-bit picture.
    fn teeth(&mut self, picture: &ffmpeg::frame::Video) {
        let width = usize::try_from(picture.width()).unwrap_or(0);
        let height = usize::try_from(picture.height()).unwrap_or(0);
        let rows: Vec<&[u8]> = picture
            .data(0)
            .chunks(picture.stride(0).max(1))
            .take(height)
            .map(|row| row.get(..width).unwrap_or(row))
            .collect();
        for rows in rows.windows(5) {
            for column in (0..width).step_by(COLUMNS) {
                let at = |row: usize| rows[row].get(column).copied().unwrap_or(0);
                self.count.pixels += 1;
                self.count.combs += u64::from(is_tooth([at(0), at(1), at(2), at(3), at(4)]));
            }
        }
    }

    fn verdicts(&mut self, graph: &mut Graph) -> Result<()> {
        while let Some(picture) = graph.pull()? {
            let metadata = picture.metadata();
            match metadata.get("lavfi.idet.single.current_frame") {
                Some("tff") => self.count.top_first += 1,
                Some("bff") => self.count.bottom_first += 1,
                Some("progressive") => self.count.whole += 1,
                _ => {}
            }
            // The filter has marked this one by its own opinion.
            if self.count.marked * 2 < self.count.pictures {
                self.teeth(&ffmpeg::frame::Video::from(sys::share(&picture)?));
            }
            let repeated = metadata.get("lavfi.idet.repeated.current_frame");
            self.count.repeats += u32::from(matches!(repeated, Some("top" | "bottom")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tooth_stands_between_lines_of_another_field() {
        assert!(is_tooth([90, 20, 91, 21, 90]));
        assert!(is_tooth([20, 90, 20, 90, 22]));
        // An edge, a thin line, a slope.
        for plain in [
            [90, 90, 90, 20, 20],
            [20, 20, 90, 20, 20],
            [0, 20, 40, 60, 80],
        ] {
            assert!(!is_tooth(plain), "{plain:?}");
        }
    }
}
