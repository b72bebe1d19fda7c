//! A run over a library: what is missing is made, several titles at a time.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::catalogue::{Catalogue, Entry, State, policy_digest};
use super::sources::Found;
use super::title::Title;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::KeySource;
use crate::media::Policy;
use crate::package::{self, Progress, Slots};
use crate::sandbox;
use crate::store::BlockingStore;

/// The catalogue is written at most this often while a run goes on.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to make of each title.
    pub policy: Policy,
    /// Tasks at a time, over all titles.
    pub jobs: NonZeroUsize,
    /// The media children's limits.
    pub sandbox: sandbox::Options,
    /// Where content keys come from, where the policy encrypts.
    pub keys: Option<KeySource>,
    /// Failed titles after which no more are begun.
    pub max_failures: Option<u64>,
    /// Whether titles that failed for what is in them are tried again.
    pub retry_failed: bool,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Every title of the store, those of other runs too.
    pub catalogue: Catalogue,
    /// Titles made by this run.
    pub made: u64,
    /// Titles that failed in this run.
    pub failed: u64,
    /// Titles that were done before, or had failed for what is in them.
    pub skipped: u64,
    /// Titles that this run did not come to.
    pub left: u64,
}

/// Is told what happens; by several threads at once.
pub trait Watcher: Sync {
    /// So many titles are to be made, of so many bytes of sources.
    fn begins(&self, titles: u64, bytes: u64);
    /// A title is begun: who is told of its progress.
    fn title(&self, found: &Found) -> Box<dyn Progress + '_>;
    /// A title was made, or failed.
    fn ended(&self, found: &Found, entry: &Entry);
}

/// Brings `store` to where every title of `titles` is made with the policy. One that fails stops
/// no other.
///
/// # Errors
/// `Unavailable` when it was stopped, or when another run has the store; what can't be done at all,
/// such as a store that is full. What was made stays, and the next run goes on from there.
pub fn run(
    titles: &[Found],
    store: &BlockingStore,
    options: &Options,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let _lock = package::lock(store)?;
    let catalogue = Catalogue::read(store)?;
    let policy = policy_digest(&options.policy, options.keys.as_ref())?;
    let mut crew = Crew {
        store,
        options,
        policy: &policy,
        watcher,
        stop,
        slots: Slots::new(options.jobs),
        made: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        book: Mutex::new(Book {
            catalogue,
            written: Instant::now(),
        }),
    };
    let missing = crew.missing(titles)?;
    watcher.begins(
        missing.len() as u64,
        missing.iter().map(|found| found.size_bytes).sum(),
    );
    let ended = crew.make_all(&missing);
    let book = crew.book.get_mut().unwrap_or_else(PoisonError::into_inner);
    if !missing.is_empty() {
        book.catalogue.write(store)?;
    }
    ended?;
    let (made, failed) = (crew.made.into_inner(), crew.failed.into_inner());
    let missing = missing.len() as u64;
    Ok(Outcome {
        catalogue: book.catalogue.clone(),
        made,
        failed,
        skipped: titles.len() as u64 - missing,
        left: missing - made - failed,
    })
}

/// The titles that `catalogue` doesn't say are done, or that have no record in `store`.
///
/// # Errors
/// When the store is away.
pub(super) fn missing<'f>(
    titles: &'f [Found],
    store: &BlockingStore,
    catalogue: &Catalogue,
    policy: &str,
    retry_failed: bool,
) -> Result<Vec<&'f Found>> {
    let mut missing = Vec::new();
    for found in titles {
        let title = Title {
            found,
            store,
            policy,
        };
        let entry = catalogue.get(&found.relative);
        let entry = entry.filter(|entry| entry.is_about(found, policy));
        let is_done = match entry {
            None => false,
            Some(entry) if entry.state == State::Complete => title.is_stored()?,
            Some(entry) => entry.is_hopeless() && !retry_failed,
        };
        if !is_done {
            missing.push(found);
        }
    }
    Ok(missing)
}

/// The catalogue while it grows.
struct Book {
    catalogue: Catalogue,
    written: Instant,
}

/// What the threads share.
struct Crew<'a> {
    store: &'a BlockingStore,
    options: &'a Options,
    policy: &'a str,
    watcher: &'a dyn Watcher,
    stop: &'a AtomicBool,
    slots: Slots,
    made: AtomicU64,
    failed: AtomicU64,
    book: Mutex<Book>,
}

impl Crew<'_> {
    fn missing<'f>(&self, titles: &'f [Found]) -> Result<Vec<&'f Found>> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let retry = self.options.retry_failed;
        missing(titles, self.store, &book.catalogue, self.policy, retry)
    }

    /// With one title more at a time than tasks, so that none waits while one is indexed.
    fn make_all(&self, missing: &[&Found]) -> Result<()> {
        let threads = (self.options.jobs.get() + 1).min(missing.len());
        let queue = Mutex::new((0..).zip(missing.iter().copied()));
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let work = || self.work(&queue);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                let panicked = |_| Err(Error::internal("a thread of the library run panicked"));
                thread.join().unwrap_or_else(panicked)
            };
            threads.into_iter().map(join).collect()
        });
        results.into_iter().collect()
    }

    fn work<'f>(&self, queue: &Mutex<impl Iterator<Item = (u64, &'f Found)>>) -> Result<()> {
        loop {
            self.check_stop()?;
            if self.has_failed_enough() {
                return Ok(());
            }
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((rank, found)) = next else {
                return Ok(());
            };
            self.make(rank, found)?;
        }
    }

    fn has_failed_enough(&self) -> bool {
        let failed = self.failed.load(Ordering::Relaxed);
        self.options.max_failures.is_some_and(|most| failed >= most)
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            let message = "stopped; run the same command again to go on from here";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(())
    }

    fn make(&self, rank: u64, found: &Found) -> Result<()> {
        let title = Title {
            found,
            store: self.store,
            policy: self.policy,
        };
        let options = package::Options {
            policy: self.options.policy.clone(),
            jobs: Some(self.options.jobs.get()),
            sandbox: self.options.sandbox.clone(),
            keys: self.options.keys.clone(),
            turn: Some(self.slots.turn(rank)),
        };
        let progress = self.watcher.title(found);
        let made = title.make(&options, &*progress, self.stop);
        drop(progress);
        // What was stopped has not failed.
        self.check_stop()?;
        let entry = match &made {
            Ok(entry) => entry.clone(),
            Err(e) => title.failed(Some(e))?,
        };
        let count = if made.is_ok() {
            &self.made
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.watcher.ended(found, &entry);
        self.note(entry)
    }

    fn note(&self, entry: Entry) -> Result<()> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.catalogue.put(entry);
        if book.written.elapsed() < WRITE_INTERVAL {
            return Ok(());
        }
        book.catalogue.write(self.store)?;
        book.written = Instant::now();
        Ok(())
    }
}
