//! The one door to FFmpeg. Out go our own types, never one of FFmpeg's.
//!
//! Only the media child calls in here: the main program must not even load FFmpeg's libraries.
//! Nothing here opens a file or an address; bytes come from descriptors that the child was given,
//! results leave through a [`Sink`].

mod aac;
mod audio;
mod bytes_of;
mod decode;
mod deinterlace;
mod h264;
mod index;
mod picture;
mod probe_order;
mod selection;
mod sys;
mod times;
mod video;

use std::fs::File;

use ffmpeg_next as ffmpeg;

pub use self::sys::close_inherited_descriptors;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{EncodedSample, SourceIndex, Task, TaskSummary};

/// The files a task may read.
#[derive(Debug)]
pub struct Inputs {
    /// The source.
    pub source: File,
    /// The spool, where the container's samples were in pieces.
    pub spool: Option<File>,
}

/// Where results go. Called from several threads at once.
pub trait Sink: Sync {
    /// Takes an encoded sample.
    ///
    /// # Errors
    /// When the receiver is gone.
    fn sample(&self, sample: EncodedSample) -> Result<()>;

    /// Takes bytes to append to the spool.
    ///
    /// # Errors
    /// When the receiver is gone.
    fn spool(&self, bytes: &[u8]) -> Result<()>;

    /// Says that work goes on: `done` pictures, frames or packets so far.
    ///
    /// # Errors
    /// When the receiver is gone.
    fn progress(&self, done: u64) -> Result<()>;
}

/// What a task gives back at its end.
#[derive(Debug)]
pub enum Outcome {
    /// Of an index task.
    Index(Box<SourceIndex>),
    /// Of an encoding task.
    Summary(TaskSummary),
}

/// Loads FFmpeg's tables and sends its log where the parent finds it. Call once, before
/// [`run`], and before the process gives up its rights.
pub fn prepare() {
    sys::capture_log();
}

/// Does one task.
///
/// # Errors
/// `Invalid` when nothing can be decoded, `Unsupported` for codecs and containers off the list,
/// `Internal` when an encoder breaks its promises.
pub fn run(task: Task, inputs: &Inputs, sink: &dyn Sink) -> Result<Outcome> {
    match task {
        Task::Index(task) => index::run(&task, inputs, sink).map(|i| Outcome::Index(Box::new(i))),
        Task::Video(task) => video::run(&task, inputs, sink).map(Outcome::Summary),
        Task::Audio(task) => audio::run(&task, inputs, sink).map(Outcome::Summary),
    }
}

/// One of FFmpeg's errors, met while doing `what`, with what it logged.
fn from_av(what: &str, error: ffmpeg::Error) -> Error {
    let kind = match error {
        ffmpeg::Error::InvalidData | ffmpeg::Error::Eof => ErrorKind::Invalid,
        ffmpeg::Error::DecoderNotFound
        | ffmpeg::Error::DemuxerNotFound
        | ffmpeg::Error::PatchWelcome => ErrorKind::Unsupported,
        ffmpeg::Error::Other { errno: libc::ENOMEM } => ErrorKind::Exhausted,
        ffmpeg::Error::Other { errno: libc::EIO } => ErrorKind::DataLoss,
        _ => ErrorKind::Internal,
    };
    match sys::take_log() {
        Some(line) => Error::new(kind, format!("{what}: {error} ({line})")),
        None => Error::new(kind, format!("{what}: {error}")),
    }
}

/// Whether a codec call wants something else first, rather than having failed.
fn wants_more(error: ffmpeg::Error) -> bool {
    matches!(error, ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: libc::EAGAIN })
}
