//! What crosses the pipe between the program and a media child.
//!
//! To the child, over a socket: the descriptors of source and spool, then the task as JSON behind
//! its length. From the child, over a pipe: frames of one kind byte, a 32-bit big-endian length
//! and a payload.

use std::io::{Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::media::{
    Configured, EncodedSample, LoudnessPart, Ranks, ScanCount, SourceIndex, TaskSummary,
};

/// The largest payload a child may send: a sample of an intra-coded 8K picture is far smaller.
const MAX_PAYLOAD: usize = 256 << 20;
/// The largest task: a day of samples at 60 frames a second, in JSON.
const MAX_TASK: u64 = 1 << 30;

const KIND_JSON: u8 = 1;
const KIND_SAMPLE: u8 = 2;
const KIND_SPOOL: u8 = 3;
const KIND_ALIVE: u8 = 4;
const KIND_POSTER: u8 = 5;

/// What a child says in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// First of all: how the child is confined.
    Hello(Layers),
    /// A video or audio task is done.
    Summary(TaskSummary),
    /// An index task is done.
    Index(SourceIndex),
    /// A configure task is done; its poster came before.
    Configured(Configured),
    /// A scan task is done.
    Scanned(ScanCount),
    /// A measure task is done.
    Measured(Vec<LoudnessPart>),
    /// An order task is done.
    Ordered(Ranks),
    /// The task failed.
    Failed {
        /// What the caller can do about it.
        kind: ErrorKind,
        /// Why.
        message: String,
    },
}

/// The layers of confinement that are in force in a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layers {
    /// Limits of memory, files and processes.
    pub limits: bool,
    /// No way to gain privileges.
    pub no_new_privileges: bool,
    /// Landlock: no file, no network.
    pub landlock: bool,
    /// Seccomp: only the system calls that decoding needs.
    pub seccomp: bool,
}

impl Layers {
    /// Whether all are in force.
    pub fn complete(self) -> bool {
        self.limits && self.no_new_privileges && self.landlock && self.seccomp
    }
}

/// A message from a child.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Reply(Box<Reply>),
    Sample(EncodedSample),
    /// Bytes to append to the spool.
    Spool(Bytes),
    /// A JPEG.
    Poster(Bytes),
    /// Still at work.
    Alive,
}

fn frame(out: &mut impl Write, kind: u8, parts: &[&[u8]]) -> std::io::Result<()> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let len = u32::try_from(len).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let mut head = [kind, 0, 0, 0, 0];
    head[1..].copy_from_slice(&len.to_be_bytes());
    out.write_all(&head)?;
    parts.iter().try_for_each(|part| out.write_all(part))
}

/// Writes one message (child side).
pub(super) fn write(out: &mut impl Write, message: &Message) -> std::io::Result<()> {
    match message {
        Message::Reply(reply) => frame(out, KIND_JSON, &[&serde_json::to_vec(reply)?])?,
        Message::Sample(sample) => {
            let mut head = [0; 9];
            head[..4].copy_from_slice(&sample.rendition.to_be_bytes());
            head[4..8].copy_from_slice(&sample.frame.to_be_bytes());
            head[8] = u8::from(sample.sync);
            frame(out, KIND_SAMPLE, &[&head, &sample.data])?;
        }
        Message::Spool(bytes) => frame(out, KIND_SPOOL, &[bytes])?,
        Message::Poster(jpeg) => frame(out, KIND_POSTER, &[jpeg])?,
        Message::Alive => frame(out, KIND_ALIVE, &[])?,
    }
    out.flush()
}

/// Takes the next whole message off the front of `buffer`, if one is there (parent side; the
/// child is not trusted).
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Message>> {
    let Some(head) = buffer.get(..5) else {
        return Ok(None);
    };
    let kind = head[0];
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len > MAX_PAYLOAD {
        return Err(babble(&format!("a message of {len} bytes")));
    }
    if buffer.len() - 5 < len {
        buffer.reserve(5 + len - buffer.len());
        return Ok(None);
    }
    buffer.advance(5);
    let mut payload = buffer.split_to(len).freeze();
    match kind {
        KIND_JSON => serde_json::from_slice(&payload)
            .map(|reply| Some(Message::Reply(Box::new(reply))))
            .map_err(|e| babble(&format!("a reply that is no JSON ({e})"))),
        KIND_SAMPLE if payload.len() >= 9 => {
            let (rendition, frame) = (payload.get_u32(), payload.get_u32());
            let sync = payload.get_u8() != 0;
            // A copy of its own: a slice would keep the whole buffer in memory.
            let data = Bytes::copy_from_slice(&payload);
            Ok(Some(Message::Sample(EncodedSample {
                rendition,
                frame,
                sync,
                data,
            })))
        }
        KIND_SPOOL => Ok(Some(Message::Spool(payload))),
        KIND_POSTER => Ok(Some(Message::Poster(Bytes::copy_from_slice(&payload)))),
        KIND_ALIVE => Ok(Some(Message::Alive)),
        other => Err(babble(&format!("a message of unknown kind {other}"))),
    }
}

fn babble(what: &str) -> Error {
    Error::internal(format!("the media child sent {what}"))
}

/// Writes a task behind its length (parent side).
pub(super) fn write_task(out: &mut impl Write, task: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(task)
        .map_err(|e| Error::internal("writing a task as JSON").with_source(e))?;
    let sent = out
        .write_all(&(json.len() as u64).to_be_bytes())
        .and_then(|()| out.write_all(&json));
    sent.map_err(|e| Error::io("giving the media child its task", e))
}

/// Reads a task (child side).
pub(super) fn read_task<T: for<'de> Deserialize<'de>>(input: &mut impl Read) -> Result<T> {
    let read = |e| Error::io("reading the task", e);
    let mut len = [0; 8];
    input.read_exact(&mut len).map_err(read)?;
    let len = u64::from_be_bytes(len);
    if len > MAX_TASK {
        return Err(Error::invalid(format!("a task of {len} bytes")));
    }
    let mut json = Vec::new();
    input.take(len).read_to_end(&mut json).map_err(read)?;
    serde_json::from_slice(&json)
        .map_err(|e| Error::invalid("a task that is no JSON").with_source(e))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Messages come out as they went in, however the pipe cuts them.
        #[test]
        fn messages_survive_any_cut(data in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..250) {
            let sample = EncodedSample { rendition: 1, frame: 7, sync: true, data: data.clone().into() };
            let messages = [Message::Sample(sample), Message::Alive, Message::Spool(data.into())];
            let mut wire = Vec::new();
            for message in &messages {
                write(&mut wire, message).unwrap();
            }
            let mut buffer = BytesMut::new();
            let mut got = Vec::new();
            for part in [&wire[..cut.min(wire.len())], &wire[cut.min(wire.len())..]] {
                buffer.extend_from_slice(part);
                while let Some(message) = take(&mut buffer).unwrap() {
                    got.push(message);
                }
            }
            prop_assert_eq!(got.as_slice(), messages.as_slice());
        }

        #[test]
        fn garbage_is_an_error_or_waits_for_more(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut buffer) {}
        }
    }
}
