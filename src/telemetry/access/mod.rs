//! The access log: one JSON object for each request, on a line of its own.
//!
//! Who answers requests only makes the line. A thread writes it; what that thread can't take at
//! once is dropped and counted, so that a slow disk slows no answer.

mod entry;
mod json;
mod secrets;
mod sink;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

pub use entry::{Entry, Source};

use super::metrics::Metrics;
use super::operator::tell_operator;
use super::sample::Sample;
use crate::error::{Error, Result};
use sink::Sink;

/// How many lines wait at most.
const WAITING_LINES: usize = 16 * 1024;

/// How many bytes of lines wait at most.
const WAITING_BYTES: usize = 16 << 20;

/// How often what was written is flushed, and the file looked for.
const BEAT: Duration = Duration::from_secs(1);

/// How long the end of the log is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What lines for the operator begin with.
const PART: &str = "access log";

/// The access log; clones write to the same one. When the last is dropped, what waits is written.
#[derive(Debug, Clone)]
pub struct AccessLog {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    /// `None` only while it is dropped.
    lines: Option<SyncSender<Vec<u8>>>,
    counts: Arc<Counts>,
    /// Ends when the thread does.
    ended: std::sync::Mutex<Receiver<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
}

impl AccessLog {
    /// Opens the log at `place`: `-` for standard output, else the path of a file, which is gone
    /// on with, and begun anew when it is renamed. What is lost is counted in `metrics`.
    ///
    /// # Errors
    /// What opening the file says, with its path; `Unavailable` when there can be no thread.
    pub fn open(place: &str, metrics: &Metrics) -> Result<Self> {
        let sink = Sink::open(place)?;
        let counts = Arc::<Counts>::default();
        let told = Arc::clone(&counts);
        metrics.register(move || told.samples());
        Self::start(counts, move |lines, counts| write(sink, lines, counts))
    }

    fn start(
        counts: Arc<Counts>,
        write: impl FnOnce(&Receiver<Vec<u8>>, &Counts) + Send + 'static,
    ) -> Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_LINES);
        let (end, ended) = sync_channel(0);
        let of_thread = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                write(&receiver, &of_thread);
                drop(end);
            })
            .map_err(|e| Error::io("starting the thread of the access log", e))?;
        let open = Open {
            lines: Some(sender),
            counts,
            ended: std::sync::Mutex::new(ended),
        };
        Ok(Self {
            open: Arc::new(open),
        })
    }

    /// Logs a request. Never waits.
    pub fn write(&self, entry: &Entry<'_>) {
        let line = entry.line();
        let counts = &self.open.counts;
        let length = line.len();
        let waiting = counts.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        let fits = waiting + length <= WAITING_BYTES;
        let lines = self.open.lines.as_ref().filter(|_| fits);
        if lines.is_none_or(|lines| lines.try_send(line).is_err()) {
            counts.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Tells the thread that nothing more comes.
        self.lines = None;
        if let Ok(ended) = self.ended.get_mut() {
            let _ = ended.recv_timeout(LAST_WORDS);
        }
    }
}

impl Counts {
    fn samples(&self) -> Vec<Sample> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            Sample::counter(
                "headwater_access_log_lines",
                "Lines written to the access log.",
                load(&self.written),
            ),
            Sample::counter(
                "headwater_access_log_dropped",
                "Lines of the access log that were dropped, to keep nobody waiting.",
                load(&self.dropped),
            ),
            Sample::counter(
                "headwater_access_log_failures",
                "Times that the access log could not be written.",
                load(&self.failures),
            ),
        ]
    }
}

/// Writes lines until there is nobody any more to send one.
fn write(mut sink: Sink, lines: &Receiver<Vec<u8>>, counts: &Counts) {
    let mut is_failing = false;
    let mut next_beat = Instant::now() + BEAT;
    loop {
        let wait = next_beat.saturating_duration_since(Instant::now());
        let mut written = match lines.recv_timeout(wait) {
            Ok(line) => write_line(&mut sink, &line, counts),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        // However many lines come.
        if Instant::now() >= next_beat {
            next_beat = Instant::now() + BEAT;
            written = written.and(sink.beat());
            is_failing &= written.is_err();
        }
        if let Err(e) = written {
            counts.failures.fetch_add(1, Ordering::Relaxed);
            if !is_failing {
                tell_operator(PART, &format!("writing failed: {e}"));
            }
            is_failing = true;
        }
    }
    if let Err(e) = sink.flush() {
        tell_operator(PART, &format!("writing its end failed: {e}"));
    }
}
fn write_line(sink: &mut Sink, line: &[u8], counts: &Counts) -> std::io::Result<()> {
    counts
        .waiting_bytes
        .fetch_sub(line.len(), Ordering::Relaxed);
    let written = sink.write(line);
    let counter = match written {
        Ok(()) => &counts.written,
        Err(_) => &counts.dropped,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    written
}
