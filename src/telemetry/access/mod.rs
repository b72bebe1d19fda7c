//! The access log: one JSON object for each request, on a line of its own.
//!
//! Who answers requests only makes the line. A thread writes it; what that thread can't take at
//! once is dropped and counted, so that a slow disk slows no answer.

mod entry;
mod json;
mod secrets;
mod sink;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
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
    ended: Mutex<Receiver<()>>,
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
        let (sender, lines) = sync_channel(WAITING_LINES);
        let (end, ended) = sync_channel(0);
        let writer = Writer {
            sink,
            counts: Arc::clone(&counts),
            is_failing: false,
        };
        let run = move || {
            writer.run(&lines);
            drop(end);
        };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        thread
            .spawn(run)
            .map_err(|e| Error::io("starting the thread of the access log", e))?;
        let open = Open {
            lines: Some(sender),
            counts,
            ended: Mutex::new(ended),
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

/// The thread that writes.
struct Writer {
    sink: Sink,
    counts: Arc<Counts>,
    /// Whether the operator was told and it has not been well since.
    is_failing: bool,
}

impl Writer {
    /// Writes lines until there is nobody any more to send one.
    fn run(mut self, lines: &Receiver<Vec<u8>>) {
        let mut next_beat = Instant::now() + BEAT;
        loop {
            let wait = next_beat.saturating_duration_since(Instant::now());
            match lines.recv_timeout(wait) {
                Ok(line) => self.line(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next_beat {
                self.beat();
                next_beat = Instant::now() + BEAT;
            }
        }
        self.beat();
    }

    fn line(&mut self, line: &[u8]) {
        let waiting = &self.counts.waiting_bytes;
        waiting.fetch_sub(line.len(), Ordering::Relaxed);
        let written = self.sink.write(line);
        let counter = match &written {
            Ok(()) => &self.counts.written,
            Err(_) => &self.counts.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Err(e) = written {
            self.failed(&e);
        }
    }

    fn beat(&mut self) {
        match self.sink.beat() {
            Ok(()) => self.is_failing = false,
            Err(e) => self.failed(&e),
        }
    }

    fn failed(&mut self, error: &std::io::Error) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        if !self.is_failing {
            tell_operator(PART, &format!("writing it failed: {error}"));
        }
        self.is_failing = true;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::telemetry::{Format, Tls, Version};

    fn entry(path: &str) -> Entry<'_> {
        Entry {
            time_millis: 0,
            client: IpAddr::from([1, 1, 1, 1]),
            peer: IpAddr::from([1, 1, 1, 1]),
            method: "GET",
            host: None,
            path,
            query: None,
            version: Version::Http11,
            tls: Tls::None,
            status: 200,
            bytes: 0,
            is_complete: true,
            first_byte_micros: 0,
            total_micros: 0,
            range: None,
            referer: None,
            user_agent: None,
            source: None,
            cloudfront_id: None,
            via: None,
            cmcd: None,
        }
    }

    #[test]
    fn the_end_of_the_log_is_written_before_it_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let metrics = Metrics::new();
        let log = AccessLog::open(path.to_str().expect("text"), &metrics).expect("opened");
        let other = log.clone();
        log.write(&entry("/one"));
        drop(log);
        other.write(&entry("/two"));
        drop(other);
        let text = std::fs::read_to_string(&path).expect("read");
        let paths = text.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["path"].as_str().expect("text").to_owned()
        });
        assert_eq!(paths.collect::<Vec<_>>(), ["/one", "/two"]);
        let text = metrics.text(Vec::new(), Format::Prometheus);
        assert!(
            text.contains("headwater_access_log_lines_total 2\n"),
            "{text}"
        );
    }

    #[test]
    fn what_a_slow_disk_can_not_take_is_dropped_and_counted() {
        let (sender, receiver) = sync_channel(2);
        let (_, ended) = sync_channel::<()>(0);
        let open = Open {
            lines: Some(sender),
            counts: Arc::default(),
            ended: Mutex::new(ended),
        };
        let log = AccessLog {
            open: Arc::new(open),
        };
        for _ in 0..5 {
            log.write(&entry("/"));
        }
        let counts = &log.open.counts;
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 3);
        let waiting: usize = receiver.try_iter().map(|line| line.len()).sum();
        assert_eq!(counts.waiting_bytes.load(Ordering::Relaxed), waiting);
    }
}
