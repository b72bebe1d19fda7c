//! A video task: decode once, encode every rung.
//!
//! The calling thread decodes; each rung has a thread that scales and one that encodes. Bounded
//! queues of shared pictures between them let the stages overlap.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ffmpeg_next as ffmpeg;

use super::decode::{Decoder, Kind, can_skip_unreferenced, reorder_depth};
use super::deinterlace::Deinterlacer;
use super::encoder::{EncodedPicture, Gop, Start, Threading, VideoEncoder};
use super::heartbeat::Heartbeat;
use super::picture::PictureFilter;
use super::selection::{Chosen, Selection, moment};
use super::stills::{self, Stills};
use super::sys;
use super::toning::{self, Scaler, Toning};
use crate::error::{Error, Result};
use crate::media::{
    EncodedSample, Joining, TaskFiles, TaskOutput, TaskSummary, VideoEncode, VideoRange, VideoTask,
};

/// Pictures that wait for a rung to scale them, at most.
const QUEUE: usize = 6;
/// Scaled pictures that wait for their encoder, at most.
const SCALED_QUEUE: usize = 3;

/// Changes of size that a task tells.
const MAX_CHANGES: usize = 20;

/// Most threads that one decoder or encoder gets.
const MAX_THREADS: u32 = 8;
/// How full a segment made alone takes the decoder's buffer to be when it starts. Measured with
/// noise and with cuts between plain and noisy pictures at a peak rate that always binds, each
/// second to fifth segment alone: at 30 no decoder's buffer ran dry for it, at 40 a few pictures
/// came late, at 50 and more many. A segment of 6 s is then 4 % smaller than at 50, one of 2 s
/// 13 %, as long as the peak binds.
const ALONE_FULLNESS_PERCENT: u32 = 30;

/// Does a video task.
pub(super) fn run(
    task: &VideoTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<TaskSummary> {
    check(task)?;
    let heartbeat = Heartbeat::new(output);
    thread::scope(|scope| {
        let toned = toning::size(task);
        let sdr = toning::picture_of_sdr(task);
        let mut outlets = Outlets::new(task);
        // What comes after the tone mapping, where there is one for all.
        let mut after = Outlets::new(task);
        let mut rungs = Vec::new();
        for (number, encode) in (0_u32..).zip(&task.renditions) {
            let is_toned = toned.is_some() && encode.recipe.range == VideoRange::Sdr;
            let (size, picture) = (
                (encode.width, encode.height),
                if is_toned { &sdr } else { &task.picture },
            );
            let scaling = Scaling {
                scaler: Scaler::new(PictureFilter::new(size, picture, encode.recipe.range)),
                heartbeat: &heartbeat,
            };
            let encoding = Encoding {
                task,
                number,
                encoder: VideoEncoder::open(encode, task.frame_rate, start(task, encode))?,
                output,
                heartbeat: &heartbeat,
                sent: 0,
            };
            let (queue, pictures) = sync_channel(QUEUE);
            let (scaled_queue, scaled) = sync_channel(SCALED_QUEUE);
            let side = if is_toned { &mut after } else { &mut outlets };
            side.rungs.push(queue);
            let first = scope.spawn(move || scaling.run(&pictures, &scaled_queue));
            let second = scope.spawn(move || encoding.run(&scaled));
            rungs.push((first, second));
        }
        let stills = match &task.stills {
            Some(wanted) => {
                let stills = Stills::open(task, wanted, &sdr, output, &heartbeat)?;
                let (queue, pictures) = sync_channel(stills::QUEUE);
                let side = if toned.is_some() {
                    &mut after
                } else {
                    &mut outlets
                };
                side.stills = Some(queue);
                Some(scope.spawn(move || stills.run(&pictures)))
            }
            None => None,
        };
        let toning = match toned {
            Some(size) if !after.is_empty() => {
                let toning = Toning::new(size, task, &heartbeat, after);
                let (queue, pictures) = sync_channel(QUEUE);
                outlets.rungs.push(queue);
                Some(scope.spawn(move || toning.run(&pictures)))
            }
            _ => None,
        };
        let decoded = decode(task, files, &heartbeat, &outlets);
        drop(outlets);
        let toning = toning.map_or(Ok(()), |toning| joined(toning.join()));
        let mut configs = Vec::new();
        let mut failure = None;
        for (scaling, encoding) in rungs {
            // Where one half fails the other is cut off; the one that wasn't knows why.
            let scaled = joined(scaling.join());
            match joined(encoding.join()) {
                Ok(config) => configs.push(config),
                Err(error) => failure = failure.or(Some(error)),
            }
            match scaled {
                Err(error) if !is_stopped(&error) => failure = Some(error),
                _ => {}
            }
        }
        match stills.map(|stills| joined(stills.join())) {
            Some(Ok(tracks)) => configs.extend(tracks),
            Some(Err(error)) => failure = failure.or(Some(error)),
            None => {}
        }
        match toning {
            Err(error) if !is_stopped(&error) => failure = Some(error),
            _ => {}
        }
        // Without a picture the rungs fail too, for want of one; the decoder knows why.
        let (damage, decoded) = match (decoded, failure) {
            (Err(error), Some(failure)) => {
                return Err(if is_stopped(&error) { failure } else { error });
            }
            (Err(error), None) => return Err(error),
            (Ok(_), Some(failure)) => return Err(failure),
            (Ok(decoded), None) => decoded,
        };
        Ok(TaskSummary {
            loudness: None,
            configs,
            damage,
            decoded,
        })
    })
}

/// What a thread gave.
fn joined<T>(ended: thread::Result<Result<T>>) -> Result<T> {
    ended.unwrap_or_else(|_| Err(Error::internal("an encoder thread panicked")))
}

/// Seamless tasks share the machine with others of their kind, and one thread costs least.
fn decoder_threads(task: &VideoTask) -> usize {
    match task.joining {
        Joining::Seamless => 1,
        Joining::Alone { threads } => usize::try_from(threads.clamp(1, MAX_THREADS)).unwrap_or(1),
    }
}

/// How a rung's encoder starts.
fn start(task: &VideoTask, encode: &VideoEncode) -> Start {
    match task.joining {
        Joining::Seamless => Start::of(encode),
        Joining::Alone { threads } => Start {
            threads: threads.clamp(1, MAX_THREADS),
            threading: Threading::Pictures,
            // The title's first segment starts as it does when it is made with others.
            fullness_percent: (task.first_frame > 0).then_some(ALONE_FULLNESS_PERCENT),
            gop: Gop::Long,
        },
    }
}

const STOPPED: &str = "an encoder stopped taking pictures";

fn is_stopped(error: &Error) -> bool {
    error.to_string() == STOPPED
}

/// What must hold for the kept frames to be decodable on their own.
fn check(task: &VideoTask) -> Result<()> {
    let frame = |number: u64| {
        usize::try_from(number)
            .ok()
            .and_then(|n| task.frames.get(n))
    };
    let (head, keep) = (u64::from(task.head), u64::from(task.keep));
    if keep == 0 || head + keep > task.frames.len() as u64 {
        return Err(Error::internal(
            "the video task keeps frames that it doesn't list",
        ));
    }
    if task.frames.first().is_none_or(|first| !first.idr) {
        return Err(Error::internal(
            "the video task doesn't start with an IDR picture",
        ));
    }
    let first_kept = frame(head).is_none_or(|frame| !frame.idr);
    if first_kept || frame(head + keep).is_some_and(|tail| !tail.idr) {
        return Err(Error::internal(
            "head, body and tail of a video task must start with IDR pictures",
        ));
    }
    if task
        .renditions
        .iter()
        .any(|r| r.width % 2 != 0 || r.height % 2 != 0 || r.width == 0 || r.height == 0)
    {
        return Err(Error::internal("renditions must have even sizes"));
    }
    let ordered = task
        .frames
        .windows(2)
        .all(|pair| moment(&pair[0]) <= moment(&pair[1]));
    if !ordered {
        return Err(Error::internal(
            "the frames of a video task must not go back in time",
        ));
    }
    Ok(())
}

/// What travels to the rungs.
pub(super) type Picture = Chosen<ffmpeg::Frame>;
type Report = (Vec<crate::media::Damage>, u64);

/// Decodes all samples and hands every output frame's picture to every rung.
fn decode(
    task: &VideoTask,
    files: &TaskFiles,
    heartbeat: &Heartbeat<'_>,
    outlets: &Outlets<'_>,
) -> Result<Report> {
    let kind = Kind::Video {
        size: (task.picture.width, task.picture.height),
        reorder_depth: reorder_depth(&task.samples),
    };
    let threads = decoder_threads(task);
    let open = |config| Decoder::open(&task.codec, config, task.timescale, kind, threads);
    let mut decoder = open(&task.config)?;
    let mut changes = task.reconfigurations.iter().peekable();
    let first_time = task.frames.first().map_or(0, |frame| frame.source_time);
    let may_skip = task.joining != Joining::Seamless && can_skip_unreferenced(&task.codec);
    let mut stage = Stage {
        deinterlacer: Deinterlacer::new(task.picture.scan),
        selection: Selection::new(&task.frames),
        outlets,
        size: None,
        changes: Vec::new(),
    };
    for (number, sample) in (0_u32..).zip(&task.samples) {
        if let Some(change) = changes.next_if(|change| change.sample <= number) {
            decoder.finish(&mut |frame| stage.push(frame))?;
            decoder.go_on_with(open(&change.config)?);
        }
        decoder.skip_unreferenced(may_skip && sample.time < first_time);
        decoder.push(files, sample, &mut |frame| stage.push(frame))?;
        heartbeat.beat()?;
        if stage.selection.is_done() {
            break;
        }
    }
    if !stage.selection.is_done() {
        decoder.finish(&mut |frame| stage.push(frame))?;
    }
    stage.finish()?;
    for (time, change) in stage.changes {
        decoder.note(time, change);
    }
    for time in stage.selection.lost() {
        decoder.note(
            *time,
            "the picture could not be decoded; a neighbour is shown".to_owned(),
        );
    }
    decoder.report()
}

/// Decoded frames to pictures on the output grid.
struct Stage<'a> {
    deinterlacer: Deinterlacer,
    selection: Selection<'a, ffmpeg::Frame>,
    outlets: &'a Outlets<'a>,
    /// Size of the picture before.
    size: Option<(u32, u32)>,
    /// Where the size changed, in words.
    changes: Vec<(i64, String)>,
}

/// Where pictures go.
pub(super) struct Outlets<'a> {
    task: &'a VideoTask,
    rungs: Vec<SyncSender<Arc<Picture>>>,
    stills: Option<SyncSender<Arc<Picture>>>,
}

impl<'a> Outlets<'a> {
    fn new(task: &'a VideoTask) -> Self {
        Self {
            task,
            rungs: Vec::new(),
            stills: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.rungs.is_empty() && self.stills.is_none()
    }

    /// Sends a picture to all that want it.
    pub(super) fn send(&self, picture: Picture) -> Result<()> {
        let picture = Arc::new(picture);
        let wanted = |_: &&_| stills::wants(self.task, picture.number);
        let stills = self.stills.as_ref().filter(wanted);
        for queue in self.rungs.iter().chain(stills) {
            queue
                .send(Arc::clone(&picture))
                .map_err(|_| Error::internal(STOPPED))?;
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// Notes where the picture becomes another size than it was.
    fn watch(&mut self, frame: &ffmpeg::Frame, time: i64) {
        let shape = sys::shape(frame);
        let size = (shape.width, shape.height);
        if let Some(before) = self.size.replace(size).filter(|before| *before != size)
            && self.changes.len() < MAX_CHANGES
        {
            let ((from_width, from_height), (width, height)) = (before, size);
            let change = format!(
                "the picture changes from {from_width}x{from_height} to {width}x{height}; it is \
                 fitted into the frame"
            );
            self.changes.push((time, change));
        }
    }

    fn push(&mut self, frame: ffmpeg::Frame) -> Result<()> {
        let Some(time) = frame.pts().or_else(|| frame.timestamp()) else {
            return Ok(());
        };
        self.watch(&frame, time);
        for (time, picture) in self.deinterlacer.push(frame, time)? {
            let chosen = self.selection.push(time, picture);
            self.send(chosen)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        for (time, picture) in self.deinterlacer.finish()? {
            let chosen = self.selection.push(time, picture);
            self.send(chosen)?;
        }
        let rest = self.selection.finish();
        self.send(rest)
    }

    fn send(&self, chosen: Vec<Picture>) -> Result<()> {
        chosen
            .into_iter()
            .try_for_each(|picture| self.outlets.send(picture))
    }
}

/// A picture as a rung's encoder takes it.
struct Scaled {
    number: i64,
    idr: bool,
    picture: Arc<ffmpeg::Frame>,
}

/// The first half of a rung: scales.
struct Scaling<'a> {
    scaler: Scaler,
    heartbeat: &'a Heartbeat<'a>,
}

impl Scaling<'_> {
    fn run(mut self, pictures: &Receiver<Arc<Picture>>, queue: &SyncSender<Scaled>) -> Result<()> {
        for chosen in pictures {
            self.heartbeat.beat()?;
            let scaled = Scaled {
                number: i64::try_from(chosen.number).unwrap_or(i64::MAX),
                idr: chosen.idr,
                picture: self.scaler.scale(&chosen.picture)?,
            };
            if queue.send(scaled).is_err() {
                return Err(Error::internal(STOPPED));
            }
        }
        Ok(())
    }
}

/// The second half of a rung: encodes.
struct Encoding<'a> {
    task: &'a VideoTask,
    number: u32,
    encoder: VideoEncoder,
    output: &'a dyn TaskOutput,
    heartbeat: &'a Heartbeat<'a>,
    /// Kept samples sent so far.
    sent: u32,
}

impl Encoding<'_> {
    fn run(mut self, pictures: &Receiver<Scaled>) -> Result<Vec<u8>> {
        let mut out = Outlet {
            task: self.task,
            rung: self.number,
            output: self.output,
            sent: &mut self.sent,
        };
        let mut take = |encoded| out.take(encoded);
        for scaled in pictures {
            self.heartbeat.beat()?;
            self.encoder
                .push(&scaled.picture, scaled.number, scaled.idr, &mut take)?;
        }
        self.encoder.finish(&mut take)?;
        if self.sent != self.task.keep {
            return Err(Error::internal(format!(
                "{} frames encoded where {} were asked for",
                self.sent, self.task.keep
            )));
        }
        self.encoder.config()
    }
}

/// Checks encoded pictures against the task, and sends on those to keep.
struct Outlet<'a> {
    task: &'a VideoTask,
    rung: u32,
    output: &'a dyn TaskOutput,
    sent: &'a mut u32,
}

impl Outlet<'_> {
    fn take(&mut self, encoded: EncodedPicture) -> Result<()> {
        let number = usize::try_from(encoded.number).unwrap_or(usize::MAX);
        let wanted = self.task.frames.get(number);
        let Some(wanted) = wanted else {
            return Err(Error::internal(format!(
                "the encoder gave picture {number}, which it never got"
            )));
        };
        if wanted.idr != encoded.idr {
            return Err(Error::internal(format!(
                "picture {number} is an IDR picture on one side only"
            )));
        }
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let kept = self.task.head..self.task.head + self.task.keep;
        if !kept.contains(&number) {
            return Ok(());
        }
        *self.sent += 1;
        self.output.sample(EncodedSample {
            rendition: self.rung,
            frame: self.task.first_frame + number,
            sync: encoded.idr,
            data: encoded.data,
        })
    }
}
