//! A connection that was handed over to the application: what was read of it already comes first
//! again, and its peer may be no slower than those we serve ourselves. The application's framework
//! bounds the first head of a connection only, and no reader.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::send::Pace;
use super::stream::Stream;
use crate::origin::over_actix::Connection;

/// How slow a peer may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long the head of a request may take, and how long a connection may be silent after an
    /// answer; not where requests don't come one after the other (HTTP/2).
    pub(super) heads: Option<Heads>,
    /// How slow it may read.
    pub(super) pace: Pace,
}

/// How slow requests may come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    /// How long a head may take from its first byte.
    pub(super) head: Duration,
    /// How long nothing may come after an answer.
    pub(super) silence: Duration,
}

/// A stream whose first bytes were read already: they come first again.
#[derive(Debug)]
pub(super) struct Handed {
    read: BytesMut,
    stream: Stream,
    connection: Connection,
    patience: Patience,
    turn: Turn,
    /// Until when what is due must have come.
    due: Option<Pin<Box<Sleep>>>,
    reader: Reader,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The peer's: an answer was begun, and another request may come.
    Silence,
    /// The peer's: a head is coming.
    Head {
        /// Whether it has more than empty lines yet.
        has_begun: bool,
        /// Whether the line has nothing yet.
        is_line_empty: bool,
    },
    /// Ours, or a body's.
    Answer,
}

impl Turn {
    /// Whose turn it is after `bytes` were read.
    fn after(self, bytes: &[u8]) -> Self {
        let (mut has_begun, mut is_line_empty) = match self {
            Self::Answer => return Self::Answer,
            Self::Silence => (false, true),
            Self::Head {
                has_begun,
                is_line_empty,
            } => (has_begun, is_line_empty),
        };
        for byte in bytes {
            match byte {
                b'\n' if is_line_empty && has_begun => return Self::Answer,
                b'\n' => is_line_empty = true,
                b'\r' => {}
                _ => (has_begun, is_line_empty) = (true, false),
            }
        }
        Self::Head {
            has_begun,
            is_line_empty,
        }
    }
}

/// How much the peer has taken of what was sent to it, while it kept us waiting.
#[derive(Debug, Default)]
struct Reader {
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
    waited: Duration,
    taken: u64,
}

impl Reader {
    /// Takes note of what came of sending: so many bytes, or that it has to wait.
    fn note(&mut self, sent: Poll<usize>, pace: Pace, cx: &mut Context<'_>) -> io::Result<()> {
        let Poll::Ready(count) = sent else {
            let begin = || (Instant::now(), Box::pin(sleep(pace.stall)));
            let (_, stalled) = self.waits.get_or_insert_with(begin);
            return match stalled.as_mut().poll(cx) {
                Poll::Ready(()) => Err(too_slow("the reader takes nothing")),
                Poll::Pending => Ok(()),
            };
        };
        self.taken += count as u64;
        if let Some((since, _)) = self.waits.take() {
            self.waited += since.elapsed();
        }
        let due = self.waited.as_secs().saturating_mul(pace.min_rate);
        match self.waited > pace.stall && self.taken < due {
            true => Err(too_slow("too slow a reader")),
            false => Ok(()),
        }
    }
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl Handed {
    pub(super) fn new(
        read: BytesMut,
        stream: Stream,
        connection: Connection,
        patience: Patience,
    ) -> Self {
        Self {
            read,
            stream,
            connection,
            patience,
            turn: Turn::Silence,
            due: None,
            reader: Reader::default(),
        }
    }

    /// What the application may know of it.
    pub(super) fn connection(&self) -> Connection {
        self.connection
    }

    fn take_turn(&mut self, turn: Turn) {
        let Some(heads) = self.patience.heads else {
            return;
        };
        let is_same = std::mem::discriminant(&self.turn) == std::mem::discriminant(&turn);
        match turn {
            Turn::Silence => self.expect_within(heads.silence),
            Turn::Head { .. } if !is_same => {
                self.expect_within(heads.head);
                self.reader = Reader::default();
            }
            Turn::Head { .. } => {}
            Turn::Answer => self.due = None,
        }
        self.turn = turn;
    }

    fn expect_within(&mut self, time: Duration) {
        match &mut self.due {
            None => self.due = Some(Box::pin(sleep(time))),
            Some(due) => due.as_mut().reset(tokio::time::Instant::now() + time),
        }
    }

    /// Whether what was due has not come in time.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.due.as_mut();
        due.is_some_and(|due| due.as_mut().poll(cx).is_ready())
    }

    /// Takes note of what was read.
    fn was_read(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.take_turn(self.turn.after(bytes));
        }
    }

    /// Takes note of what came of sending `bytes`.
    fn was_sent(
        &mut self,
        sent: Poll<io::Result<usize>>,
        first: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let count = match &sent {
            Poll::Ready(Err(_)) => return sent,
            Poll::Ready(Ok(count)) => Poll::Ready(*count),
            Poll::Pending => Poll::Pending,
        };
        // After an interim answer the body comes.
        if count.is_ready() && !first.starts_with(b"HTTP/1.1 100") {
            self.take_turn(Turn::Silence);
            // Asked again when something is read; this is to be woken for that.
            let _ = self.is_overdue(cx);
        }
        if let Err(e) = self.reader.note(count, self.patience.pace, cx) {
            self.stream.reset_on_drop();
            return Poll::Ready(Err(e));
        }
        sent
    }
}

impl AsyncRead for Handed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if this.read.is_empty() {
            match Pin::new(&mut this.stream).poll_read(cx, buffer) {
                Poll::Pending if this.is_overdue(cx) => {
                    return Poll::Ready(Err(too_slow("nothing came in time")));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Ready(Ok(())) => {}
            }
        } else {
            let count = this.read.len().min(buffer.remaining());
            buffer.put_slice(&this.read[..count]);
            this.read.advance(count);
        }
        this.was_read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Handed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.was_sent(sent, bytes, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        let first = parts.first().map_or(&[][..], |part| part);
        this.was_sent(sent, first, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        for (pieces, is_whole) in [
            (&["GET / HTTP/1.1\r\n\r\n"][..], true),
            (&["GET / HTTP/1.1\r\nA: b\r", "\n\r", "\nbody"], true),
            (&["\r\n\r\n", "\r\n"], false),
            (&["\r\nGET /\r\n", "\r\n"], true),
            (&["GET /\n\n"], true),
            (&["GET / HTTP/1.1\r\nA: ", "a", "a"], false),
        ] {
            let mut turn = Turn::Silence;
            for piece in pieces {
                turn = turn.after(piece.as_bytes());
            }
            assert_eq!(turn == Turn::Answer, is_whole, "{pieces:?}");
        }
        assert_eq!(Turn::Answer.after(b"GET"), Turn::Answer);
    }

    #[tokio::test]
    async fn a_reader_is_judged_by_the_time_it_kept_us_waiting() {
        let pace = Pace {
            stall: Duration::from_secs(30),
            min_rate: 1000,
        };
        std::future::poll_fn(|cx| {
            let mut idle = Reader::default();
            for _ in 0..100 {
                assert!(idle.note(Poll::Ready(1), pace, cx).is_ok());
            }
            let mut slow = Reader {
                waited: Duration::from_secs(40),
                ..Reader::default()
            };
            assert!(slow.note(Poll::Ready(39_999), pace, cx).is_err());
            assert!(slow.note(Poll::Ready(1), pace, cx).is_ok());
            Poll::Ready(())
        })
        .await;
        let pace = Pace {
            stall: Duration::ZERO,
            ..pace
        };
        let mut stuck = Reader::default();
        let stalled = std::future::poll_fn(|cx| match stuck.note(Poll::Pending, pace, cx) {
            Ok(()) => Poll::Pending,
            Err(e) => Poll::Ready(e),
        });
        assert_eq!(stalled.await.kind(), io::ErrorKind::TimedOut);
    }
}
