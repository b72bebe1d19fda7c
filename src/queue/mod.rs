//! Tasks: enqueue, claim, extend, finish, cancel. The rules; their rows are in `catalog`.
//!
//! A task is claimed with a lease and a fence. The lease says until when the claim holds without
//! being extended; the fence, a number that rises with each claim, says whose claim it is. A
//! worker that was stopped, or slept through its lease, finds its claim lost and changes nothing.
//! Work itself is idempotent: done twice it wastes time and harms nothing.
//!
//! Order: the most urgent first, among equals what is nearer to the start of its title, then the
//! one enqueued first. A task that is `last`
//! waits until no other of its asset is queued or running.

pub mod demand;
mod retry;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

pub use crate::catalog::{DeadTask, Depth, NewTask};

use demand::{Demands, Wanted};

use crate::catalog::{Catalog, ClaimedTask, Lapsed, Signal, TaskEnd, shortened};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::media::{AssetId, Failure, Priority, Work};

/// How often [`Queue::cancel`] looks for claims of other processes to end.
const CANCEL_POLL: Duration = Duration::from_millis(200);

/// What can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a claim holds without being extended.
    pub lease: Duration,
    /// How many claims in a row may end with the program or in silence before the task is given
    /// up.
    pub crash_limit: u32,
    /// This machine's name among those that share the catalog: it is given the tasks of sources that
    /// nobody else has.
    pub node: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            // Children do what may crash; a program that stops so often stops for other reasons.
            crash_limit: 50,
            node: None,
        }
    }
}

/// The right to do a task, until it is finished or the lease is lost.
#[derive(Debug)]
pub struct Claim {
    /// The task's number.
    pub id: i64,
    /// Of which asset.
    pub asset: AssetId,
    /// What is to be done.
    pub work: Work,
    /// How urgently.
    pub priority: Priority,
    /// Which attempt this is, from 1. Attempts that a stop of the program cut short don't count.
    pub attempt: u32,
    /// Names this claim among all of the task.
    pub fence: i64,
    /// Whether to stop: the task was cancelled or the lease is lost.
    pub stop: Arc<AtomicBool>,
}

/// What became of a task whose attempt was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It will be tried again, at that time in milliseconds since 1970.
    RetryAt(i64),
    /// It is given up; see [`Queue::dead`].
    Dead,
    /// The claim was lost or cancelled; nothing was changed.
    Lost,
}

/// The queue. Clones are the same queue.
#[derive(Debug, Clone)]
pub struct Queue {
    catalog: Catalog,
    clock: Clock,
    options: Options,
    shared: Arc<Shared>,
}

/// What the clones of a queue share within this process.
#[derive(Debug, Default)]
struct Shared {
    /// Something may be claimable.
    changed: Notify,
    /// A claim ended.
    ended: Notify,
    /// The claims of this process, by task, to raise their stop flags.
    claims: Mutex<HashMap<i64, Held>>,
    /// Tasks given up without a worker that could tell.
    died: Mutex<Vec<DeadTask>>,
    /// Requests that wait for segments.
    demands: Demands,
}

impl Shared {
    /// What another process tells.
    fn hear(&self, signal: &Signal) {
        match signal {
            Signal::Tasks => self.changed.notify_waiters(),
            Signal::Segment {
                asset,
                track,
                number,
                failure,
            } => {
                let wanted = Wanted {
                    asset: asset.clone(),
                    track: track.clone(),
                    number: *number,
                };
                self.demands.hear(&wanted, failure.as_ref());
            }
            Signal::Missed => {
                self.changed.notify_waiters();
                self.demands.look_again();
            }
        }
    }
}

#[derive(Debug)]
struct Held {
    fence: i64,
    asset: AssetId,
    stop: Arc<AtomicBool>,
}

impl Queue {
    /// The queue whose tasks are in `catalog`.
    pub fn new(catalog: Catalog, clock: Clock, options: Options) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let hearing = Arc::downgrade(&shared);
        catalog.hear(move |signal| {
            if let Some(shared) = hearing.upgrade() {
                shared.hear(signal);
            }
        });
        Self {
            catalog,
            clock,
            options,
            shared,
        }
    }

    /// Queues again what was running when the program stopped. For the start of a single node,
    /// before any claim: it takes the tasks from all workers there are.
    ///
    /// An attempt that is cut short this way doesn't count, but a task during which the program
    /// stopped too often, while its asset didn't come forward, is given up; [`Queue::take_died`] has
    /// those.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn recover(&self) -> Result<()> {
        self.requeue(Lapsed::All).await
    }

    /// Who waits for which segment.
    pub fn demands(&self) -> &Demands {
        &self.shared.demands
    }

    /// Tells those who wait for a segment that it is stored: in this process, and in others if
    /// `everywhere`. A background task stores much that nobody waits for, and whoever waits in
    /// another process has asked for a task of its own.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn stored(&self, wanted: &Wanted, everywhere: bool) -> Result<()> {
        self.demands().stored(wanted);
        match everywhere {
            true => self.tell(wanted, None).await,
            false => Ok(()),
        }
    }

    /// Tells those who wait for a segment, in this process and in others, that it can't be made.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn cannot_make(&self, wanted: &Wanted, error: &Error) -> Result<()> {
        self.demands().failed(wanted, error);
        self.tell(wanted, Some(shortened(Failure::from(error))))
            .await
    }

    async fn tell(&self, wanted: &Wanted, failure: Option<Failure>) -> Result<()> {
        let signal = Signal::Segment {
            asset: wanted.asset.clone(),
            track: wanted.track.clone(),
            number: wanted.number,
            failure,
        };
        self.catalog.tell(signal).await
    }

    /// How long a claim holds without being extended.
    pub fn lease(&self) -> Duration {
        self.options.lease
    }

    /// Raises the stop flag of every claim of this process: it is about to end.
    pub fn stop_all(&self) {
        for held in locked(&self.shared.claims).values() {
            held.stop.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_waiters();
    }

    async fn requeue(&self, lapsed: Lapsed) -> Result<()> {
        let limit = self.options.crash_limit;
        let died = self.catalog.requeue_tasks(lapsed, limit).await?;
        locked(&self.shared.died).extend(died);
        Ok(())
    }

    /// Tasks given up since the last call because nothing ever finished them: there was no worker
    /// to be told [`Fate::Dead`].
    pub fn take_died(&self) -> Vec<DeadTask> {
        std::mem::take(&mut locked(&self.shared.died))
    }

    /// Enqueues tasks of an asset, all or none.
    ///
    /// # Errors
    /// `NotFound` if the asset is gone.
    pub async fn enqueue(&self, asset: &AssetId, tasks: &[NewTask]) -> Result<()> {
        self.catalog.enqueue_tasks(asset, tasks).await?;
        self.shared.changed.notify_waiters();
        Ok(())
    }

    /// Claims the most urgent task for `worker`, nothing less urgent than `least`; `None` if there
    /// is none.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn claim(&self, worker: &str, least: Priority) -> Result<Option<Claim>> {
        self.requeue(Lapsed::Leases).await?;
        let until = self.lease_until();
        let node = self.options.node.as_deref();
        let claiming = self.catalog.claim_task(worker, node, least, until);
        let task = claiming.await?;
        Ok(task.map(|task| self.hold(task)))
    }

    /// Like [`Queue::claim`], but waits up to `patience` for a task. What becomes due meanwhile, and
    /// what other processes enqueue in a catalog that is a file, is found at its end.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn next(
        &self,
        worker: &str,
        least: Priority,
        patience: Duration,
    ) -> Result<Option<Claim>> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            // Listens before it looks, so that nothing falls in between.
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if let Some(claim) = self.claim(worker, least).await? {
                return Ok(Some(claim));
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return self.claim(worker, least).await;
            }
        }
    }

    /// Waits until something may have become claimable, or `patience` has passed. What is enqueued
    /// between a claim and this call is missed until then; [`Queue::next`] misses nothing.
    pub async fn wait(&self, patience: Duration) {
        // Both outcomes mean: look again.
        let _ = timeout(patience, self.shared.changed.notified()).await;
    }

    /// Extends the lease by its whole length from now. `false` if the claim was lost or cancelled;
    /// then its stop flag is raised too.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn extend(&self, claim: &Claim) -> Result<bool> {
        let until = self.lease_until();
        let extending = self.catalog.extend_task(claim.id, claim.fence, until);
        let kept = extending.await?;
        if !kept {
            claim.stop.store(true, Ordering::Relaxed);
        }
        Ok(kept)
    }

    /// Ends an attempt that an orderly stop of the program cut short: the task is queued as if it
    /// had not been claimed. `false` if the claim was lost or cancelled.
    ///
    /// # Errors
    /// What the catalog says; the claim then lapses with its lease.
    pub async fn give_back(&self, claim: &Claim) -> Result<bool> {
        let end = TaskEnd::GivenBack;
        let ended = self.catalog.end_task(claim.id, claim.fence, end).await;
        self.release(claim);
        // Others of this process are about to end too, so nobody is told of the task.
        self.shared.ended.notify_waiters();
        ended
    }

    /// Ends an attempt: done, with the tasks that follow, or failed with an error, whose kind
    /// decides whether the task is tried again. One transaction.
    ///
    /// # Errors
    /// What the catalog says; the claim then lapses with its lease.
    pub async fn finish(
        &self,
        claim: &Claim,
        outcome: std::result::Result<Vec<NewTask>, &Error>,
    ) -> Result<Fate> {
        let ended = match outcome {
            Ok(follow_ups) => {
                let end = TaskEnd::Done(&follow_ups);
                let ending = self.catalog.end_task(claim.id, claim.fence, end);
                ending.await.map(|ended| (ended, Fate::Done))
            }
            Err(error) => self.end_failed(claim, error).await,
        };
        self.release(claim);
        self.shared.changed.notify_waiters();
        self.shared.ended.notify_waiters();
        match ended? {
            (true, fate) => Ok(fate),
            (false, _) => Ok(Fate::Lost),
        }
    }

    async fn end_failed(&self, claim: &Claim, error: &Error) -> Result<(bool, Fate)> {
        let failure = Failure::from(error);
        let delay = retry::delay(error.kind(), claim.attempt, random());
        let (end, fate) = match delay {
            Some(delay) => {
                let at = self.clock.now_millis() + millis(delay);
                (TaskEnd::RetryAt(at, &failure), Fate::RetryAt(at))
            }
            None => (TaskEnd::Dead(&failure), Fate::Dead),
        };
        let ended = self.catalog.end_task(claim.id, claim.fence, end).await?;
        Ok((ended, fate))
    }

    /// Removes the queued tasks of an asset and tells the running ones to stop; waits for none, so
    /// that a task may call it for its own asset.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn stop(&self, asset: &AssetId) -> Result<()> {
        self.stop_claims(asset).await.map(|_| ())
    }

    async fn stop_claims(&self, asset: &AssetId) -> Result<u64> {
        let left = self.catalog.cancel_tasks(asset).await?;
        for held in locked(&self.shared.claims).values() {
            if held.asset == *asset {
                held.stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(left)
    }

    /// Like [`Queue::stop`], and waits until the running ones have ended or their leases have.
    /// Afterwards nothing works on the asset, until somebody enqueues more.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn cancel(&self, asset: &AssetId) -> Result<()> {
        loop {
            let mut ended = std::pin::pin!(self.shared.ended.notified());
            ended.as_mut().enable();
            if self.stop_claims(asset).await? == 0 {
                return Ok(());
            }
            let _ = timeout(CANCEL_POLL, ended).await;
        }
    }

    /// The tasks that were given up, the latest first.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn dead(&self) -> Result<Vec<DeadTask>> {
        self.catalog.dead_tasks().await
    }

    /// Queues a dead task again, as if it were new; `false` if there is no such dead task.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn retry(&self, id: i64) -> Result<bool> {
        let queued = self.catalog.retry_task(id).await?;
        self.shared.changed.notify_waiters();
        Ok(queued)
    }

    /// How much there is to do.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn depth(&self) -> Result<Depth> {
        self.catalog.task_depth().await
    }

    fn lease_until(&self) -> i64 {
        self.clock.now_millis() + millis(self.options.lease)
    }

    fn hold(&self, task: ClaimedTask) -> Claim {
        let stop = Arc::new(AtomicBool::new(false));
        let held = Held {
            fence: task.fence,
            asset: task.asset.clone(),
            stop: Arc::clone(&stop),
        };
        if let Some(lost) = locked(&self.shared.claims).insert(task.id, held) {
            lost.stop.store(true, Ordering::Relaxed);
        }
        Claim {
            id: task.id,
            asset: task.asset,
            work: task.work,
            priority: task.priority,
            attempt: task.failures + 1,
            fence: task.fence,
            stop,
        }
    }

    fn release(&self, claim: &Claim) {
        let mut claims = locked(&self.shared.claims);
        let is_this = |held: &Held| held.fence == claim.fence;
        if claims.get(&claim.id).is_some_and(is_this) {
            claims.remove(&claim.id);
        }
    }
}

/// What is guarded stays whole whatever panics: each use is one call.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Without a source of randomness all wait the whole delay, which is as right.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
