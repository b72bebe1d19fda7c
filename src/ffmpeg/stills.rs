//! Stills on the way: pictures that a video task decodes anyway, as I-frame tracks and thumbnails.
//!
//! One thread does all of it: about one picture in thirty comes here.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ffmpeg_next as ffmpeg;

use super::encoder::{EncodedPicture, Gop, Start};
use super::h264::H264Encoder;
use super::heartbeat::Heartbeat;
use super::jpeg;
use super::picture::{Graph, PictureFilter, finished};
use super::selection::Chosen;
use super::sys::{self, Shape};
use crate::error::{Error, Result};
use crate::media::{
    EncodedSample, PicturePlan, StillsTask, TaskOutput, VideoEncode, VideoRange, VideoTask,
};
use crate::time::FrameRate;

/// Pictures that wait here, at most.
pub(super) const QUEUE: usize = 2;

/// Whether a picture of the task belongs to its stills.
pub(super) fn wants(task: &VideoTask, number: usize) -> bool {
    let Some(stills) = &task.stills else {
        return false;
    };
    let frame = frame(task, number);
    stills.i_frames.binary_search(&frame).is_ok() || stills.thumbnails.binary_search(&frame).is_ok()
}

/// The number on the plan's grid of the task's frame `number`.
fn frame(task: &VideoTask, number: usize) -> u32 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    task.first_frame.saturating_add(number)
}

/// What must hold of the stills of a task.
pub(super) fn check(task: &VideoTask, stills: &StillsTask) -> Result<()> {
    let first = task.first_frame.saturating_add(task.head);
    let kept = first..first.saturating_add(task.keep);
    for frames in [&stills.i_frames, &stills.thumbnails] {
        let ascend = frames.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend || !frames.iter().all(|frame| kept.contains(frame)) {
            return Err(Error::internal(
                "stills must ascend, and be among the frames that are kept",
            ));
        }
    }
    let tracks = stills
        .tracks
        .iter()
        .map(|track| (track.width, track.height));
    let thumbnail = (stills.thumbnail_width, stills.thumbnail_height);
    let even =
        |(width, height): (u32, u32)| width > 0 && height > 0 && width % 2 == 0 && height % 2 == 0;
    if stills.tracks.is_empty() || !tracks.chain([thumbnail]).all(even) {
        return Err(Error::internal("stills need a track, and even sizes"));
    }
    Ok(())
}

/// Makes the stills of one task.
pub(super) struct Stills<'a> {
    task: &'a VideoTask,
    wanted: &'a StillsTask,
    output: &'a dyn TaskOutput,
    heartbeat: &'a Heartbeat<'a>,
    /// Scales to the first track's size; all else is made of that.
    filter: PictureFilter,
    tracks: Vec<Track>,
    thumbnail: Option<(Shape, Graph)>,
}

/// The encoder of an I-frame track.
struct Track {
    /// From the first track's pictures; none for the first.
    filter: Option<PictureFilter>,
    encoder: H264Encoder,
}

impl<'a> Stills<'a> {
    pub(super) fn open(
        task: &'a VideoTask,
        wanted: &'a StillsTask,
        picture: &PicturePlan,
        output: &'a dyn TaskOutput,
        heartbeat: &'a Heartbeat<'a>,
    ) -> Result<Self> {
        check(task, wanted)?;
        let first = wanted.tracks.first();
        let first = first.ok_or_else(|| Error::internal("stills without a track"))?;
        let tracks = wanted.tracks.iter().enumerate();
        let tracks: Result<Vec<Track>> = tracks
            .map(|(at, encode)| {
                Ok(Track {
                    filter: (at > 0).then(|| smaller(first, encode)),
                    encoder: open_encoder(encode)?,
                })
            })
            .collect();
        Ok(Self {
            task,
            wanted,
            output,
            heartbeat,
            filter: PictureFilter::new((first.width, first.height), picture, VideoRange::Sdr),
            tracks: tracks?,
            thumbnail: None,
        })
    }

    /// Takes the pictures that [`wants`] names, in order; gives the configuration of each track.
    pub(super) fn run(
        mut self,
        pictures: &Receiver<Arc<Chosen<ffmpeg::Frame>>>,
    ) -> Result<Vec<Vec<u8>>> {
        for chosen in pictures {
            self.heartbeat.beat()?;
            let scaled = self.filter.push(&chosen.picture)?;
            let frame = frame(self.task, chosen.number);
            if let Ok(number) = self.wanted.i_frames.binary_search(&frame) {
                self.i_frame(&scaled, number)?;
            }
            if self.wanted.thumbnails.binary_search(&frame).is_ok() {
                self.thumbnail(&scaled, frame)?;
            }
        }
        let mut configs = Vec::new();
        for (at, track) in self.tracks.iter_mut().enumerate() {
            let mut outlet = outlet(self.output, self.task, &self.wanted.i_frames, at);
            track.encoder.finish(&mut outlet)?;
            configs.push(track.encoder.config()?);
        }
        Ok(configs)
    }

    fn i_frame(&mut self, picture: &ffmpeg::Frame, number: usize) -> Result<()> {
        let number_in_track = i64::try_from(number).unwrap_or(i64::MAX);
        for (at, track) in self.tracks.iter_mut().enumerate() {
            let smaller = match &mut track.filter {
                Some(filter) => Some(filter.push(picture)?),
                None => None,
            };
            let picture = smaller.as_ref().unwrap_or(picture);
            let mut outlet = outlet(self.output, self.task, &self.wanted.i_frames, at);
            track
                .encoder
                .push(picture, number_in_track, true, &mut outlet)?;
        }
        Ok(())
    }

    fn thumbnail(&mut self, picture: &ffmpeg::Frame, frame: u32) -> Result<()> {
        let shape = sys::shape(picture);
        let mut graph = match self.thumbnail.take() {
            Some((made_for, graph)) if made_for == shape => graph,
            _ => {
                let size = (self.wanted.thumbnail_width, self.wanted.thumbnail_height);
                Graph::new(shape, &jpeg::chain(Some(size)))?
            }
        };
        let full = graph.one(picture);
        self.thumbnail = Some((shape, graph));
        self.output.sample(EncodedSample {
            rendition: rendition(self.task, self.wanted.tracks.len()),
            frame,
            sync: true,
            data: jpeg::encode(&full?, jpeg::THUMBNAIL_QUANTISER)?,
        })
    }
}

/// Stills come as renditions after the task's own.
fn rendition(task: &VideoTask, at: usize) -> u32 {
    u32::try_from(task.renditions.len().saturating_add(at)).unwrap_or(u32::MAX)
}

/// Sends on the pictures of I-frame track `at`, each under the frame that it shows.
fn outlet<'a>(
    output: &'a dyn TaskOutput,
    task: &VideoTask,
    i_frames: &'a [u32],
    at: usize,
) -> impl FnMut(EncodedPicture) -> Result<()> + use<'a> {
    let rendition = rendition(task, at);
    move |encoded| {
        let at = usize::try_from(encoded.number).ok();
        let frame = at.and_then(|at| i_frames.get(at));
        let (Some(frame), true) = (frame, encoded.idr) else {
            let number = encoded.number;
            let message = format!("I-frame {number} was never asked for, or is no IDR picture");
            return Err(Error::internal(message));
        };
        output.sample(EncodedSample {
            rendition,
            frame: *frame,
            sync: true,
            data: encoded.data,
        })
    }
}

/// Rates count I-frames: one a second.
fn open_encoder(encode: &VideoEncode) -> Result<H264Encoder> {
    let one = FrameRate::new(1, 1).ok_or_else(|| Error::internal("1 is no rate"))?;
    let start = Start {
        gop: Gop::IntraOnly,
        ..Start::of(encode)
    };
    H264Encoder::open(encode, one, start)
}

fn smaller(first: &VideoEncode, encode: &VideoEncode) -> PictureFilter {
    let plan = finished((first.width, first.height));
    PictureFilter::new((encode.width, encode.height), &plan, VideoRange::Sdr)
}
