//! Cuts a run of encoded samples into segments on the planned grid.
//!
//! Samples are pushed in decode order; a segment comes out with its last sample. Nothing is
//! assumed: a sample that doesn't fit the grid is an error, not a shifted stream.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::media::{AudioRendition, ChunkSpan, EncodedSample, Sample, VideoPlan};

/// A segment's worth of samples, ready to be muxed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutSegment {
    /// Segment number, from 1.
    pub number: u32,
    /// Decode time of its first sample, in ticks of its track.
    pub decode_time: u64,
    /// Its samples in decode order.
    pub samples: Vec<Sample>,
}

/// What the grid says about one segment: all times in ticks.
#[derive(Debug, Clone, Copy)]
struct Cell {
    number: u32,
    first_frame: u32,
    frames: u32,
    decode_time: u64,
    frame_duration: u32,
    /// Length of the last frame, where it is cut short.
    last_duration: u32,
}

impl Cell {
    /// A cell of whole frames.
    fn new(number: u32, first_frame: u32, frames: u32, frame_duration: u32) -> Self {
        Self {
            number,
            first_frame,
            frames,
            decode_time: u64::from(first_frame) * u64::from(frame_duration),
            frame_duration,
            last_duration: frame_duration,
        }
    }
}

/// Cuts one rendition's samples of one task.
#[derive(Debug)]
pub struct Segmenter {
    cells: std::vec::IntoIter<Cell>,
    current: Option<Cell>,
    samples: Vec<Sample>,
    presented: BTreeSet<u32>,
}

impl Segmenter {
    /// For the segments `run` of a video rendition on a constant frame grid.
    ///
    /// # Errors
    /// When the plan has no constant frame length, or not that many segments.
    pub fn video(plan: &VideoPlan, run: ChunkSpan) -> Result<Self> {
        let frame_duration = plan
            .frame_duration
            .ok_or_else(|| Error::internal("a plan that keeps the source's times can't encode"))?;
        let cells = (run.first_segment + 1..).zip(span_of(&plan.segments, run)?);
        let cells = cells
            .map(|(number, span)| Cell::new(number, span.first_frame, span.frames, frame_duration));
        Ok(Self::new(cells.collect()))
    }

    /// For the segments `run` of an audio rendition.
    ///
    /// # Errors
    /// When the plan has not that many segments.
    pub fn audio(plan: &AudioRendition, run: ChunkSpan) -> Result<Self> {
        let all_frames = plan
            .segments
            .last()
            .map_or(0, |span| span.first_frame + span.frames);
        let cells = (run.first_segment + 1..).zip(span_of(&plan.segments, run)?);
        let cells = cells.map(|(number, span)| {
            let cell = Cell::new(number, span.first_frame, span.frames, plan.frame_length);
            match cell.first_frame + cell.frames == all_frames {
                true => Cell {
                    last_duration: last_audio_duration(plan),
                    ..cell
                },
                false => cell,
            }
        });
        Ok(Self::new(cells.collect()))
    }

    fn new(cells: Vec<Cell>) -> Self {
        let mut cells = cells.into_iter();
        let current = cells.next();
        Self {
            cells,
            current,
            samples: Vec::new(),
            presented: BTreeSet::new(),
        }
    }

    /// Takes the next sample; gives the segment that it completes.
    ///
    /// # Errors
    /// When the sample lies outside the current segment, comes twice, or a segment does not start
    /// with a sync sample.
    pub fn push(&mut self, sample: EncodedSample) -> Result<Option<CutSegment>> {
        let off_grid = |what: &str| Error::internal(format!("frame {}: {what}", sample.frame));
        let cell = self
            .current
            .ok_or_else(|| off_grid("the task's segments are all full"))?;
        let position = i64::from(sample.frame) - i64::from(cell.first_frame);
        if !(0..i64::from(cell.frames)).contains(&position) {
            return Err(off_grid(&format!("not in segment {}", cell.number)));
        }
        if !self.presented.insert(sample.frame) {
            return Err(off_grid("delivered twice"));
        }
        let decoded = self.samples.len();
        if decoded == 0 && !sample.sync {
            return Err(off_grid(&format!(
                "segment {} starts without IDR",
                cell.number
            )));
        }
        let is_last = decoded + 1 == cell.frames as usize;
        let frames_late = position - i64::try_from(decoded).unwrap_or(i64::MAX);
        let composition_offset = frames_late * i64::from(cell.frame_duration);
        self.samples.push(Sample {
            duration: if is_last {
                cell.last_duration
            } else {
                cell.frame_duration
            },
            composition_offset: i32::try_from(composition_offset)
                .map_err(|_| off_grid("reordered too far"))?,
            sync: sample.sync,
            data: sample.data,
        });
        if !is_last {
            return Ok(None);
        }
        self.current = self.cells.next();
        self.presented.clear();
        Ok(Some(CutSegment {
            number: cell.number,
            decode_time: cell.decode_time,
            samples: std::mem::take(&mut self.samples),
        }))
    }

    /// Ends the run.
    ///
    /// # Errors
    /// When a segment of the run is not whole.
    pub fn finish(&self) -> Result<()> {
        match self.current {
            None => Ok(()),
            Some(cell) => Err(Error::internal(format!(
                "segment {} has {} of its {} frames",
                cell.number,
                self.samples.len(),
                cell.frames
            ))),
        }
    }
}

/// Ticks of the last frame of an audio rendition, cut so that the track ends with the presentation.
pub fn last_audio_duration(plan: &AudioRendition) -> u32 {
    let frames = plan
        .segments
        .last()
        .map_or(0, |span| span.first_frame + span.frames);
    let before = u64::from(frames.saturating_sub(1)) * u64::from(plan.frame_length);
    let total = u64::from(plan.priming) + plan.samples;
    let left = total
        .saturating_sub(before)
        .clamp(1, u64::from(plan.frame_length));
    u32::try_from(left).unwrap_or(plan.frame_length)
}

fn span_of<T>(segments: &[T], run: ChunkSpan) -> Result<&[T]> {
    let (first, count) = (run.first_segment as usize, run.segments as usize);
    first
        .checked_add(count)
        .and_then(|end| segments.get(first..end))
        .ok_or_else(|| Error::internal(format!("no segments {first} to {}", first + count)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{AudioForm, AudioMethod, AudioSpan, Disposition};

    fn audio_plan() -> AudioRendition {
        AudioRendition {
            id: "a-en".into(),
            source_track: 0,
            language: "en".into(),
            name: "English".into(),
            default: true,
            sample_rate: 48_000,
            channels: 2,
            priming: 1024,
            samples: 4000,
            frame_length: 1024,
            segments: vec![
                AudioSpan {
                    first_frame: 0,
                    frames: 2,
                },
                AudioSpan {
                    first_frame: 2,
                    frames: 3,
                },
            ],
            chunks: vec![ChunkSpan {
                first_segment: 0,
                segments: 2,
            }],
            method: AudioMethod::Encode {
                bitrate: 128_000,
                source_start: 0,
            },
            form: AudioForm::Stereo,
            disposition: Disposition::default(),
            dolby: Vec::new(),
            objects: None,
            level: None,
        }
    }

    fn sample(frame: u32) -> EncodedSample {
        EncodedSample {
            rendition: 0,
            frame,
            sync: true,
            data: Bytes::from_static(b"aac"),
        }
    }

    #[test]
    fn the_last_audio_frame_ends_with_the_presentation() {
        let plan = audio_plan();
        let mut segmenter = Segmenter::audio(&plan, plan.chunks[0]).unwrap();
        let cut: Vec<_> = (0..5)
            .filter_map(|frame| segmenter.push(sample(frame)).unwrap())
            .collect();
        segmenter.finish().unwrap();
        assert_eq!(
            cut.iter()
                .map(|s| (s.number, s.decode_time))
                .collect::<Vec<_>>(),
            [(1, 0), (2, 2048)]
        );
        let total: u32 = cut
            .iter()
            .flat_map(|s| &s.samples)
            .map(|s| s.duration)
            .sum();
        assert_eq!(total, 1024 + 4000);
    }

    #[test]
    fn a_missing_frame_is_an_error_not_a_shift() {
        let plan = audio_plan();
        let mut segmenter = Segmenter::audio(&plan, plan.chunks[0]).unwrap();
        segmenter.push(sample(0)).unwrap();
        assert!(segmenter.finish().is_err());
        assert!(segmenter.push(sample(2)).is_err());
        assert!(segmenter.push(sample(0)).is_err());
    }
}
