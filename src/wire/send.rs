//! Sending one answer: its head and its body, over a socket or through TLS.
//!
//! A file goes from the page cache to the socket without passing through us (sendfile); bytes in
//! memory go from where they lie. Only TLS has to touch them.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::stream::Stream;
use crate::origin::cache::Body;
use crate::origin::file::{self, Buffers};

/// The most that one call sends of a file, in bytes: others on the thread want their turn.
const TURN_BYTES: u64 = 1 << 20;

/// Up to this many bytes copying a body behind its head is cheaper than naming both to the system.
const JOINED_BYTES: usize = 16 << 10;

/// How slow a reader may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How long it may take nothing at all; and how long the rate doesn't count at first.
    pub(super) stall: Duration,
    /// Bytes a second on average.
    pub(super) min_rate: u64,
}

/// One answer on its way.
#[derive(Debug)]
pub(super) struct Sender<'s> {
    stream: &'s mut Stream,
    buffers: &'s Buffers,
    pace: Pace,
    began: Instant,
    /// Bytes handed to the socket, of head and body.
    sent: u64,
}

impl<'s> Sender<'s> {
    pub(super) fn new(stream: &'s mut Stream, buffers: &'s Buffers, pace: Pace) -> Self {
        Self {
            stream,
            buffers,
            pace,
            began: Instant::now(),
            sent: 0,
        }
    }

    /// Bytes sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends `head` and then `body`; a short body is joined to the head.
    ///
    /// # Errors
    /// When the peer is gone or too slow, or the body can't be had to its end: then what was sent
    /// is no whole answer and the connection must be reset.
    pub(super) async fn send(&mut self, head: &mut Vec<u8>, body: Body) -> io::Result<()> {
        match body {
            Body::Empty => self.write(head, &[]).await,
            Body::Bytes(bytes) if bytes.len() <= JOINED_BYTES => {
                head.extend_from_slice(&bytes);
                self.write(head, &[]).await
            }
            Body::Bytes(bytes) => self.write(head, &bytes).await,
            Body::File { file, range } => self.send_file(head, file, range).await,
            Body::Pieces(mut pieces) => {
                let mut head = head.as_slice();
                while let Some(piece) = pieces.next().await.map_err(io::Error::other)? {
                    self.write(head, &piece).await?;
                    head = &[];
                }
                Ok(())
            }
        }?;
        match &mut *self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Secure(stream) => within(self.pace.stall, stream.flush()).await,
        }
    }

    /// Two parts, one after the other, in as few calls as they need.
    async fn write(&mut self, mut first: &[u8], mut second: &[u8]) -> io::Result<()> {
        while !first.is_empty() || !second.is_empty() {
            let written = match self.try_write(first, second) {
                Some(written) => written?,
                None => {
                    self.check_pace()?;
                    let parts = [IoSlice::new(first), IoSlice::new(second)];
                    within(self.pace.stall, self.stream.write_vectored(&parts)).await?
                }
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let of_first = written.min(first.len());
            first = &first[of_first..];
            second = &second[written - of_first..];
            self.sent += written as u64;
        }
        Ok(())
    }

    /// Writes what a socket takes at once, which is all of a short answer; `None` where that is
    /// nothing.
    fn try_write(&self, first: &[u8], second: &[u8]) -> Option<io::Result<usize>> {
        let Stream::Plain(socket) = &*self.stream else {
            return None;
        };
        let written = match second.is_empty() {
            true => socket.try_write(first),
            false => socket.try_write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
        };
        match written {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
            written => Some(written),
        }
    }

    async fn send_file(
        &mut self,
        head: &[u8],
        file: Arc<std::fs::File>,
        range: Range<u64>,
    ) -> io::Result<()> {
        if self.stream.is_secure() {
            return self.copy_file(head, &file, range).await;
        }
        let sent = within(self.pace.stall, announce(self.stream.socket(), head)).await?;
        self.sent += sent as u64;
        self.write(&head[sent..], &[]).await?;
        let mut at = range.start;
        while at < range.end {
            let turn = (range.end - at).min(TURN_BYTES);
            let socket = self.stream.socket();
            let sent = within(self.pace.stall, send_part(socket, &file, at, turn)).await?;
            if sent == 0 {
                return Err(file::ended_early());
            }
            at += sent as u64;
            self.sent += sent as u64;
            self.check_pace()?;
        }
        Ok(())
    }

    async fn copy_file(
        &mut self,
        head: &[u8],
        file: &Arc<std::fs::File>,
        range: Range<u64>,
    ) -> io::Result<()> {
        let mut head = head;
        let mut at = range.start;
        let mut buffer = self.buffers.take();
        while at < range.end {
            let read;
            (buffer, read) = file::read(file, at, range.end, buffer).await?;
            self.write(head, &buffer[..read]).await?;
            head = &[];
            at += read as u64;
        }
        self.buffers.give_back(buffer);
        self.write(head, &[]).await
    }

    /// Too few bytes taken in too long a time are an error.
    fn check_pace(&self) -> io::Result<()> {
        let elapsed = self.began.elapsed();
        let due = elapsed.as_secs().saturating_mul(self.pace.min_rate);
        if elapsed > self.pace.stall && self.sent < due {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "too slow a reader"));
        }
        Ok(())
    }
}

/// Sends the head in a way that it waits for the body's first bytes, to travel with them.
async fn announce(socket: &TcpStream, head: &[u8]) -> io::Result<usize> {
    let send = || rustix::net::send(socket, head, SendFlags::MORE | SendFlags::NOSIGNAL);
    socket.async_io(Interest::WRITABLE, || Ok(send()?)).await
}

async fn send_part(
    socket: &TcpStream,
    file: &std::fs::File,
    at: u64,
    count: u64,
) -> io::Result<usize> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let send = || rustix::fs::sendfile(socket, file, Some(&mut { at }), count);
    socket.async_io(Interest::WRITABLE, || Ok(send()?)).await
}

/// `done` within `limit`, or an error.
async fn within<T>(limit: Duration, done: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(limit, done).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the reader takes nothing",
        )),
    }
}
