//! The child's side: takes descriptors, locks itself up, takes the task, gives samples.

use std::fs::File;
use std::io::{IoSliceMut, Stdout, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Mutex;

use bytes::Bytes;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::Options;
use super::lockdown::{Limits, lock_down};
use super::protocol::{Layers, Message, Reply, read_task, write};
use crate::error::{Error, Result};
use crate::media::{EncodedSample, Task, TaskFiles, TaskOutput, TaskResult};

/// The byte that travels with the descriptors.
pub(super) const FILES_BYTE: u8 = b'F';

/// The arguments a child is started with.
pub(super) fn arguments(options: &Options) -> [String; 4] {
    [
        options.memory_limit_bytes.to_string(),
        options.cpu_seconds.unwrap_or(0).to_string(),
        u8::from(options.strict).to_string(),
        options.nice.to_string(),
    ]
}

/// The child's main: `work` does the task. Never starts anything else, never opens anything.
pub fn run(
    arguments: &[String],
    work: impl FnOnce(Task, &TaskFiles, &dyn TaskOutput) -> Result<TaskResult>,
) -> ExitCode {
    let output = Output {
        out: Mutex::new(std::io::stdout()),
    };
    let reply = match serve(arguments, &output, work) {
        Ok(TaskResult::Summary(summary)) => Reply::Summary(summary),
        Ok(TaskResult::Index(index)) => Reply::Index(*index),
        Ok(TaskResult::Configured(configured)) => Reply::Configured(configured),
        Ok(TaskResult::Scanned(count)) => Reply::Scanned(count),
        Ok(TaskResult::Measured(parts)) => Reply::Measured(parts),
        Ok(TaskResult::Ordered(ranks)) => Reply::Ordered(ranks),
        Err(e) => Reply::Failed {
            kind: e.kind(),
            message: e.to_string(),
        },
    };
    match output.send(&Message::Reply(Box::new(reply))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(
    arguments: &[String],
    output: &Output,
    work: impl FnOnce(Task, &TaskFiles, &dyn TaskOutput) -> Result<TaskResult>,
) -> Result<TaskResult> {
    let nice = arguments.get(3).and_then(|text| text.parse::<i32>().ok());
    if let Some(nice) = nice.filter(|nice| *nice > 0) {
        // Nothing is wrong with the work where this is refused.
        let _ = rustix::process::nice(nice);
    }
    let files = receive_files()?;
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let limits = Limits {
        memory_bytes: number(0).unwrap_or(Options::default().memory_limit_bytes),
        cpu_seconds: number(1).filter(|seconds| *seconds > 0),
    };
    let layers = lock_down(&limits);
    output.send(&Message::Reply(Box::new(Reply::Hello(layers))))?;
    if number(2) == Some(1) && !layers.complete() {
        return Err(not_confined(layers));
    }
    let task = read_task(&mut std::io::stdin().lock())?;
    work(task, &files, output)
}

/// The refusal to work unconfined.
pub(super) fn not_confined(layers: Layers) -> Error {
    Error::unsupported(format!(
        "this system can't confine the decoder fully ({layers:?}); leave --strict-sandbox away to \
         run it all the same"
    ))
}

/// Source and spool, as the parent sent them over the socket that is our standard input.
fn receive_files() -> Result<TaskFiles> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = recvmsg(
        std::io::stdin(),
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    );
    let not_a_child = || {
        Error::invalid("this program is started by headwater, not by hand; see headwater --help")
    };
    got.map_err(|_| not_a_child())?;
    let mut files: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    match <[OwnedFd; 2]>::try_from(files) {
        Ok([source, spool]) => Ok(TaskFiles {
            source: File::from(source),
            spool: Some(File::from(spool)),
        }),
        Err(_) => Err(not_a_child()),
    }
}

/// The pipe to the parent, shared by the encoders' threads.
struct Output {
    out: Mutex<Stdout>,
}

impl Output {
    fn send(&self, message: &Message) -> Result<()> {
        let mut out = self
            .out
            .lock()
            .map_err(|_| Error::internal("a thread panicked"))?;
        write(&mut *out, message).map_err(|e| Error::io("sending to the parent", e))?;
        out.flush()
            .map_err(|e| Error::io("sending to the parent", e))
    }
}

impl TaskOutput for Output {
    fn sample(&self, sample: EncodedSample) -> Result<()> {
        self.send(&Message::Sample(sample))
    }

    fn spool(&self, bytes: &[u8]) -> Result<()> {
        self.send(&Message::Spool(Bytes::copy_from_slice(bytes)))
    }

    fn poster(&self, jpeg: Bytes) -> Result<()> {
        self.send(&Message::Poster(jpeg))
    }

    fn progress(&self, _done: u64) -> Result<()> {
        self.send(&Message::Alive)
    }
}
