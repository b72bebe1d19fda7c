//! Does jobs with several threads until all are done or one failed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::maker::{Attempt, Maker};
use super::progress::{Event, Progress};
use super::{Options, check_stop};
use crate::error::{Error, Result};
use crate::media::Job;

/// Does all jobs with `threads` threads; returns the number of segments stored when all are done,
/// or the first error once every thread stopped.
pub(super) fn make(
    maker: &Maker,
    jobs: Vec<Job>,
    threads: usize,
    options: &Options,
    attempt: &Attempt<'_>,
) -> Result<u64> {
    let counting = Counting {
        progress: attempt.progress,
        segments: AtomicU64::new(0),
    };
    let crew = Crew {
        maker,
        options,
        attempt: Attempt {
            progress: &counting,
            ..*attempt
        },
        failed: AtomicBool::new(false),
    };
    let threads = threads.clamp(1, jobs.len().max(1));
    let queue = Mutex::new(jobs.into_iter());
    // A child dies with the thread that started it; these threads wait for their children.
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let work = || crew.work(&queue);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::internal("a packaging thread panicked")))
        };
        threads.into_iter().map(join).collect()
    });
    check_stop(attempt.stop)?;
    results.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(counting.segments.into_inner())
}

/// Counts what is stored on its way to whoever shows it.
struct Counting<'a> {
    progress: &'a dyn Progress,
    segments: AtomicU64,
}

impl Progress for Counting<'_> {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Stored { .. }) {
            self.segments.fetch_add(1, Ordering::Relaxed);
        }
        self.progress.event(event);
    }
}

/// What the threads share.
struct Crew<'a> {
    maker: &'a Maker,
    options: &'a Options,
    attempt: Attempt<'a>,
    /// Set by the first thread that fails, so that the others end soon.
    failed: AtomicBool,
}

impl Crew<'_> {
    fn work(&self, queue: &Mutex<std::vec::IntoIter<Job>>) -> Result<()> {
        loop {
            let job = queue
                .lock()
                .map_err(|_| Error::internal("the queue is poisoned"))?
                .next();
            let Some(job) = job else { return Ok(()) };
            if self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let done = check_stop(self.attempt.stop).and_then(|()| {
                let _slot = self.options.enter(self.attempt.stop)?;
                self.maker.make(&job, &self.attempt)
            });
            if done.is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            done?;
        }
    }
}
