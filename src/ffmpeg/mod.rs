//! The one door to FFmpeg. Out go our own types, never one of FFmpeg's.
//!
//! Only the media child calls in here: the main program must not even load FFmpeg's libraries.
//! Nothing here opens a file or an address; bytes come from descriptors that the child was given,
//! results leave through a [`TaskOutput`].

mod aac;
mod audio;
mod av1;
mod bytes_of;
mod configure;
mod decode;
mod deinterlace;
mod encoder;
mod fit;
mod frame_length;
mod h264;
mod heartbeat;
mod hevc;
mod index;
mod jpeg;
mod language;
mod leveller;
mod light;
mod limiter;
mod locate;
mod loudness;
mod measure;
mod order;
mod picture;
mod poster;
mod scan;
mod selection;
mod sound_poster;
mod sound_times;
mod stills;
mod sys;
mod text;
mod times;
mod toning;
mod video;

use ffmpeg_next as ffmpeg;

pub use self::sys::close_inherited_descriptors;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Task, TaskFiles, TaskOutput, TaskResult};

/// Does one task.
///
/// # Errors
/// `Invalid` when nothing can be decoded, `Unsupported` for codecs and containers off the list,
/// `Internal` when an encoder breaks its promises.
pub fn run(task: Task, files: &TaskFiles, output: &dyn TaskOutput) -> Result<TaskResult> {
    // Without it FFmpeg's errors have no words.
    ffmpeg::util::error::register_all();
    sys::capture_log();
    // Without this the names of errors are empty.
    ffmpeg::util::error::register_all();
    match task {
        Task::Index(task) => {
            index::run(&task, files, output).map(|index| TaskResult::Index(Box::new(index)))
        }
        Task::Video(task) => video::run(&task, files, output).map(TaskResult::Summary),
        Task::Audio(task) => audio::run(&task, files, output).map(TaskResult::Summary),
        Task::Measure(task) => measure::run(&task, files, output).map(TaskResult::Measured),
        Task::Scan(task) => scan::run(&task, files, output).map(TaskResult::Scanned),
        Task::Order(task) => order::run(&task, files, output).map(TaskResult::Ordered),
        Task::Configure(task) => configure::run(&task, files, output).map(TaskResult::Configured),
    }
}

/// One of FFmpeg's errors, met while doing `what`, with what it logged.
fn from_av(what: &str, error: ffmpeg::Error) -> Error {
    let kind = match error {
        ffmpeg::Error::InvalidData | ffmpeg::Error::Eof => ErrorKind::Invalid,
        ffmpeg::Error::DecoderNotFound
        | ffmpeg::Error::DemuxerNotFound
        | ffmpeg::Error::PatchWelcome => ErrorKind::Unsupported,
        ffmpeg::Error::Other {
            errno: libc::ENOMEM,
        } => ErrorKind::Exhausted,
        ffmpeg::Error::Other { errno: libc::EIO } => ErrorKind::DataLoss,
        _ => ErrorKind::Internal,
    };
    // Some codes have no words.
    let words = match error.to_string() {
        words if words.is_empty() => String::new(),
        words => format!(": {words}"),
    };
    match sys::take_log() {
        Some(line) => Error::new(kind, format!("{what}{words} ({line})")),
        None => Error::new(kind, format!("{what}{words}")),
    }
}

/// Whether a codec call wants something else first, rather than having failed.
fn wants_more(error: ffmpeg::Error) -> bool {
    matches!(
        error,
        ffmpeg::Error::Eof
            | ffmpeg::Error::Other {
                errno: libc::EAGAIN
            }
    )
}
