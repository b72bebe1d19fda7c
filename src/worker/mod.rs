//! Claims tasks, does them, reports.
//!
//! A worker is a thread: media children die with the thread that started them, and each waits for
//! its child. Some threads take only what somebody waits for, so that such a segment never stands
//! behind a long background task; the system's scheduler then gives the urgent child the
//! processor, because background children are nice.
//!
//! A worker may be killed at any instant: what it did is in the store, and its task is claimed
//! again.

mod captions;
mod card;
mod progress;
mod removal;
mod tasks;
mod titles;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

pub use captions::CaptionUpload;
pub use card::Card;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::keys::KeySource;
use crate::media::{Asset, AssetId, Priority, Work};
use crate::queue::{Claim, Fate, Queue};
use crate::sandbox;
use crate::source::Sources;
use crate::store::BlockingStore;
use crate::telemetry::tell_operator;
use titles::Titles;

/// What lines for the operator begin with.
const PART: &str = "worker";

/// How long a thread without work sleeps at most before it looks again: leases that ran out and
/// retries that are due announce themselves to nobody.
const IDLE: Duration = Duration::from_secs(1);

/// Sources that are pulled at a time beside other work.
const ASIDE_MAX: usize = 32;

/// Fetches the source of an asset from its URL: the bytes into its file, the digest into the
/// catalog. Ends soon after the flag is raised.
pub type Pull = Arc<dyn Fn(Asset, Arc<AtomicBool>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// How workers work.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where sources lie.
    pub sources: Sources,
    /// Folder of scratch files.
    pub scratch: PathBuf,
    /// Threads that take nothing but what somebody waits for.
    pub demand_threads: usize,
    /// Threads that take that, and what players ask for first.
    pub first_threads: usize,
    /// Threads that take anything.
    pub steady_threads: usize,
    /// Longest presentation in seconds.
    pub max_duration_seconds: u32,
    /// Largest picture in pixels.
    pub max_pixels: u64,
    /// The media children's limits.
    pub sandbox: sandbox::Options,
    /// Where content keys come from.
    pub keys: Option<KeySource>,
}

/// What all worker threads share, and what requests need of them.
#[derive(Clone)]
pub struct Workshop {
    /// Shared by all threads; nothing in it changes but what guards itself.
    shared: Arc<Shared>,
}

struct Shared {
    catalog: Catalog,
    queue: Queue,
    store: BlockingStore,
    options: Options,
    pull: Pull,
    titles: Titles,
    runtime: Handle,
    /// Held while entry points are rendered and written, so that the last writer has seen all
    /// captions and the newest rates. Inside: the assets being removed, which get none any more.
    entries: Mutex<HashSet<AssetId>>,
}

impl std::fmt::Debug for Workshop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workshop")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Workshop {
    /// A workshop over a server's `store`. Async calls run on `runtime`.
    pub fn new(
        catalog: Catalog,
        queue: Queue,
        store: BlockingStore,
        pull: Pull,
        options: Options,
        runtime: Handle,
    ) -> Self {
        let titles = Titles::new(store.clone(), options.clone());
        Self {
            shared: Arc::new(Shared {
                catalog,
                queue,
                store,
                options,
                pull,
                titles,
                runtime,
                entries: Mutex::default(),
            }),
        }
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(&self) -> Result<Workers> {
        let stop = Arc::new(AtomicBool::new(false));
        let aside = Aside::default();
        let options = &self.shared.options;
        let kinds = [
            ("demand", options.demand_threads, Priority::Demand),
            ("first", options.first_threads, Priority::First),
            ("steady", options.steady_threads, Priority::Batch),
        ];
        let named = |(kind, count, least): (&'static str, usize, Priority)| {
            (0..count).map(move |number| (format!("{kind}-{number}"), least))
        };
        let mut threads = Vec::new();
        for (name, least) in kinds.into_iter().flat_map(named) {
            let thread = Thread {
                workshop: self.clone(),
                name: format!("{}/{name}", std::process::id()),
                least,
                stop: Arc::clone(&stop),
                aside: Arc::clone(&aside),
            };
            let started = std::thread::Builder::new()
                .name(name)
                .spawn(move || thread.run())
                .map_err(|e| Error::io("starting a worker thread", e))?;
            threads.push(started);
        }
        Ok(Workers {
            stop,
            threads,
            aside,
            queue: self.shared.queue.clone(),
        })
    }
}

/// The running threads.
#[derive(Debug)]
pub struct Workers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    aside: Aside,
    queue: Queue,
}

impl Workers {
    /// Ends all threads and their children. What they were doing goes back to the queue.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue.stop_all();
        // A thread that panicked has ended too.
        for thread in self.threads {
            let _ = thread.join();
        }
        let aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in aside {
            let _ = thread.join();
        }
    }
}

/// Threads beside the others, started as they are needed and waited for at the end.
type Aside = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// One worker thread.
#[derive(Clone)]
struct Thread {
    workshop: Workshop,
    name: String,
    least: Priority,
    stop: Arc<AtomicBool>,
    aside: Aside,
}

impl Thread {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let shared = &self.workshop.shared;
            let claim = shared.queue.next(&self.name, self.least, IDLE);
            match shared.runtime.block_on(claim) {
                Ok(Some(claim)) if claim.work == Work::Pull => self.work_aside(claim),
                Ok(Some(claim)) => self.work(&Arc::new(claim)),
                Ok(None) => self.workshop.bury_the_dead(),
                Err(e) => {
                    tell_operator(PART, &format!("claiming a task failed: {e}"));
                    std::thread::park_timeout(IDLE);
                }
            }
        }
    }

    /// Does a task that only waits for somebody else's server on a thread of its own: it may take
    /// hours and needs no processor.
    fn work_aside(&self, claim: Claim) {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        aside.retain(|thread| !thread.is_finished());
        let claim = Arc::new(claim);
        if aside.len() < ASIDE_MAX {
            let (thread, task) = (self.clone(), Arc::clone(&claim));
            let started = std::thread::Builder::new()
                .name("aside".to_owned())
                .spawn(move || thread.work(&task));
            if let Ok(started) = started {
                aside.push(started);
                return;
            }
        }
        drop(aside);
        self.work(&claim);
    }

    fn work(&self, claim: &Arc<Claim>) {
        let shared = &self.workshop.shared;
        if self.stop.load(Ordering::Relaxed) {
            return self.give_back(claim);
        }
        let lease = shared
            .runtime
            .spawn(keep(shared.queue.clone(), Arc::clone(claim)));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.workshop.perform(claim)
        }))
        .unwrap_or_else(|_| Err(Error::internal("a worker thread panicked")));
        lease.abort();
        if self.stop.load(Ordering::Relaxed) && done.is_err() {
            // Not the task's fault: it is claimed again at the next start.
            return self.give_back(claim);
        }
        let outcome = done.as_ref().map(Clone::clone);
        match shared.runtime.block_on(shared.queue.finish(claim, outcome)) {
            Ok(Fate::Dead) => {
                if let Err(error) = &done {
                    self.workshop.give_up(&claim.asset, &claim.work, error);
                }
            }
            Ok(Fate::Lost) => self.workshop.clear_if_removed(&claim.asset),
            Ok(_) => {}
            Err(e) => tell_operator(PART, &format!("reporting a task failed: {e}")),
        }
    }

    fn give_back(&self, claim: &Claim) {
        let shared = &self.workshop.shared;
        if let Err(e) = shared.runtime.block_on(shared.queue.give_back(claim)) {
            tell_operator(PART, &format!("giving back a task failed: {e}"));
        }
    }
}

/// Extends the lease of a task for as long as it is polled, that is while the task is worked on.
async fn keep(queue: Queue, claim: Arc<Claim>) {
    let mut beat = tokio::time::interval(queue.lease() / 3);
    beat.tick().await;
    let mut kept = Instant::now();
    loop {
        beat.tick().await;
        let asked = Instant::now();
        match queue.extend(&claim).await {
            Ok(true) => kept = asked,
            Ok(false) => return,
            Err(e) => tell_operator(PART, &format!("extending a lease failed: {e}")),
        }
        if kept.elapsed() > queue.lease() {
            // Somebody else has it by now, or will.
            return claim.stop.store(true, Ordering::Relaxed);
        }
    }
}
