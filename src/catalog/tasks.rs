//! Rows of tasks: the statements behind `queue`, which holds the rules.
//!
//! A claim is a row's `fence`, which rises with every claim. Who ends or extends a task names it,
//! so a claim that lapsed and was given to another can do nothing any more.

use sqlx::any::AnyRow;

use super::change::Change;
use super::row::{Columns, damaged, failed, to_json};
use super::{Catalog, Signal};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{AssetId, Failure, Priority, Work};

/// The most dead tasks that are listed.
const DEAD_LIMIT: i64 = 1000;

/// A task to enqueue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// What is to be done.
    pub work: Work,
    /// How urgently.
    pub priority: Priority,
    /// Its name within the asset. While a task of that name is queued or running, another isn't
    /// enqueued, but the more urgent of both priorities counts.
    pub key: Option<String>,
    /// Waits until no other task of its asset is queued or running.
    pub last: bool,
}

impl NewTask {
    /// Work that is queued already is not queued again, but what somebody waits for: it has another
    /// way of being asked for once. To finish is the last that is done.
    pub fn of(work: Work, priority: Priority) -> Self {
        let key = match &work {
            Work::Pull => Some("pull".to_owned()),
            Work::Index => Some("index".to_owned()),
            Work::Make(job) => serde_json::to_string(job).ok(),
            Work::Finish => Some("finish".to_owned()),
            Work::Segment { .. } => None,
        };
        Self {
            last: work == Work::Finish,
            work,
            priority,
            key,
        }
    }
}

/// A task that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadTask {
    /// Its number, to retry it by.
    pub id: i64,
    /// Of which asset.
    pub asset: AssetId,
    /// What was to be done; `None` if another version of the program enqueued what this one
    /// doesn't know.
    pub work: Option<Work>,
    /// How its last attempt ended.
    pub failure: Failure,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it was given up, in milliseconds since 1970.
    pub died_at_millis: i64,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Tasks that wait, also for the time of their next attempt.
    pub queued: u64,
    /// Tasks that are being done.
    pub running: u64,
    /// Tasks that were given up.
    pub dead: u64,
    /// For how long the oldest queued task has been waiting, in milliseconds; 0 if there is none.
    pub oldest_queued_millis: i64,
    /// The same of each priority, in the order of [`Priority::ALL`].
    pub by_priority: [Waiting; Priority::ALL.len()],
}

/// How much of one priority waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Tasks that wait.
    pub queued: u64,
    /// For how long the oldest of them has been, in milliseconds; 0 if there is none.
    pub oldest_millis: i64,
}

impl Depth {
    /// Counts `queued` tasks of a priority in, whose oldest has waited so long.
    fn add_queued(&mut self, rank: usize, queued: u64, oldest_millis: i64) {
        self.queued += queued;
        self.oldest_queued_millis = self.oldest_queued_millis.max(oldest_millis);
        // A later version's priority counts in the sums.
        if let Some(of) = self.by_priority.get_mut(rank) {
            *of = Waiting {
                queued,
                oldest_millis,
            };
        }
    }
}

/// A task as it was claimed.
#[derive(Debug)]
pub(crate) struct ClaimedTask {
    pub(crate) id: i64,
    pub(crate) asset: AssetId,
    pub(crate) work: Work,
    pub(crate) priority: Priority,
    /// Attempts before this one that ended in an error.
    pub(crate) failures: u32,
    pub(crate) fence: i64,
}

/// What becomes of a task whose attempt ended.
#[derive(Debug)]
pub(crate) enum TaskEnd<'a> {
    /// It is done; these follow.
    Done(&'a [NewTask]),
    /// It is tried again, from that time on.
    RetryAt(i64, &'a Failure),
    /// It is given up.
    Dead(&'a Failure),
    /// It is queued again as if it had not been claimed.
    GivenBack,
}

/// Which running tasks are taken from their claims.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lapsed {
    /// Those whose lease has run out.
    Leases,
    /// All: no worker is left.
    All,
}

/// A task that may be claimed at $1 by the machine $3, among those of rank $2 and less. Of two that
/// are both last, the one enqueued first goes first.
macro_rules! claimable {
    ($lock:literal) => {
        concat!(
            "SELECT candidate.id FROM task AS candidate \
         WHERE candidate.state = 'queued' AND candidate.not_before <= $1 \
         AND candidate.priority <= $2 \
         AND (candidate.node IS NULL OR candidate.node = $3) AND (candidate.last = 0 OR NOT EXISTS ( \
            SELECT 1 FROM task AS other \
            WHERE other.asset = candidate.asset AND other.id <> candidate.id \
            AND (other.state = 'running' OR (other.state = 'queued' \
                AND (other.last = 0 OR other.id < candidate.id))))) \
         ORDER BY candidate.priority, candidate.position, candidate.id LIMIT 1",
            $lock
        )
    };
}

macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "UPDATE task SET state = 'running', fence = fence + 1, lease_until = $4, worker = $5 \
             WHERE id = (",
            claimable!($lock),
            ") RETURNING *"
        )
    };
}

const CLAIM_ON_FILE: &str = claim!("");
/// On a server several claim at once: each passes over what another is claiming.
const CLAIM_ON_SERVER: &str = claim!(" FOR UPDATE OF candidate SKIP LOCKED");

impl Catalog {
    /// Enqueues tasks, all or none.
    ///
    /// # Errors
    /// `NotFound` if the asset is gone.
    pub(crate) async fn enqueue_tasks(&self, asset: &AssetId, tasks: &[NewTask]) -> Result<()> {
        let mut change = self.change().await?;
        let found = sqlx::query("SELECT 1 FROM asset WHERE id = $1")
            .bind(asset.as_str())
            .fetch_optional(change.sql())
            .await
            .map_err(failed("looking for an asset"))?;
        if found.is_none() {
            let message = format!("there is no asset {asset}; it may have been removed");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        for task in tasks {
            insert(&mut change, asset, task).await?;
        }
        change.tell(Signal::Tasks);
        change.commit().await
    }

    /// Claims the most urgent task until `lease_until`, for a worker on the machine `node`.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn claim_task(
        &self,
        worker: &str,
        node: Option<&str>,
        least: Priority,
        lease_until: i64,
    ) -> Result<Option<ClaimedTask>> {
        // Looking costs no lock; most looks find nothing.
        if !self.is_claimable(node, least).await? {
            return Ok(None);
        }
        let update = match self.is_shared() {
            true => CLAIM_ON_SERVER,
            false => CLAIM_ON_FILE,
        };
        let mut change = self.change_of_one_task().await?;
        loop {
            let now = change.now_millis();
            let row = sqlx::query(update)
                .bind(now)
                .bind(i64::from(least.rank()))
                .bind(node)
                .bind(lease_until)
                .bind(worker)
                .fetch_optional(change.sql())
                .await
                .map_err(failed("claiming a task"))?;
            let Some(row) = row else {
                change.commit().await?;
                return Ok(None);
            };
            match claimed_from(&row) {
                Ok(task) => {
                    change.commit().await?;
                    return Ok(Some(task));
                }
                // Must not stand in the way of the others.
                Err(error) => bury(&mut change, &row, &Failure::from(&error)).await?,
            }
        }
    }

    async fn is_claimable(&self, node: Option<&str>, least: Priority) -> Result<bool> {
        let mut connection = self.read().await?;
        let row = sqlx::query(claimable!(""))
            .bind(self.clock.now_millis())
            .bind(i64::from(least.rank()))
            .bind(node)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("looking for a task"))?;
        Ok(row.is_some())
    }

    /// Keeps a claim until `lease_until`; `false` if it lapsed or is to stop.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn extend_task(&self, id: i64, fence: i64, lease_until: i64) -> Result<bool> {
        let mut change = self.change_of_one_task().await?;
        let update = "UPDATE task SET lease_until = $3 \
            WHERE id = $1 AND fence = $2 AND state = 'running' AND cancelled = 0";
        let done = sqlx::query(update)
            .bind(id)
            .bind(fence)
            .bind(lease_until)
            .execute(change.sql())
            .await
            .map_err(failed("extending a lease"))?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends an attempt; `false` if its claim lapsed or was cancelled, and then nothing follows.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn end_task(&self, id: i64, fence: i64, end: TaskEnd<'_>) -> Result<bool> {
        let follows = matches!(end, TaskEnd::Done(follow_ups) if !follow_ups.is_empty());
        let has_more = follows || matches!(end, TaskEnd::GivenBack);
        let mut change = match follows {
            true => self.change().await?,
            false => self.change_of_one_task().await?,
        };
        let removed = "DELETE FROM task \
            WHERE id = $1 AND fence = $2 AND state = 'running' AND cancelled = 1";
        sqlx::query(removed)
            .bind(id)
            .bind(fence)
            .execute(change.sql())
            .await
            .map_err(failed("ending a task"))?;
        let ended = match end {
            TaskEnd::Done(follow_ups) => done(&mut change, id, fence, follow_ups).await?,
            TaskEnd::RetryAt(at, failure) => postpone(&mut change, id, fence, at, failure).await?,
            TaskEnd::Dead(failure) => give_up(&mut change, id, fence, failure).await?,
            TaskEnd::GivenBack => give_back(&mut change, id, fence).await?,
        };
        if has_more {
            change.tell(Signal::Tasks);
        }
        change.commit().await?;
        Ok(ended)
    }

    /// Takes running tasks from claims that never ended: queues them again, or gives them up after
    /// `crash_limit` such claims in a row. Returns those given up.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn requeue_tasks(
        &self,
        lapsed: Lapsed,
        crash_limit: u32,
    ) -> Result<Vec<DeadTask>> {
        let before = match lapsed {
            Lapsed::Leases => self.clock.now_millis(),
            Lapsed::All => i64::MAX,
        };
        if !self.any_lapsed(before).await? {
            return Ok(Vec::new());
        }
        let mut change = self.change().await?;
        sqlx::query(
            "DELETE FROM task WHERE state = 'running' AND lease_until < $1 AND cancelled = 1",
        )
        .bind(before)
        .execute(change.sql())
        .await
        .map_err(failed("ending leases"))?;
        let queue = "UPDATE task SET state = 'queued', crashes = crashes + 1 \
            WHERE state = 'running' AND lease_until < $1 AND crashes + 1 < $2";
        sqlx::query(queue)
            .bind(before)
            .bind(i64::from(crash_limit))
            .execute(change.sql())
            .await
            .map_err(failed("ending leases"))?;
        let give_up = "UPDATE task SET state = 'dead', died_at = $2, failure = $3, \
            crashes = crashes + 1 \
            WHERE state = 'running' AND lease_until < $1 RETURNING *";
        let now = change.now_millis();
        let rows = sqlx::query(give_up)
            .bind(before)
            .bind(now)
            .bind(to_json(&crashed(crash_limit))?)
            .fetch_all(change.sql())
            .await
            .map_err(failed("ending leases"))?;
        change.commit().await?;
        rows.iter().map(dead_from).collect()
    }

    async fn any_lapsed(&self, before: i64) -> Result<bool> {
        let select = "SELECT 1 FROM task WHERE state = 'running' AND lease_until < $1 LIMIT 1";
        let mut connection = self.read().await?;
        let row = sqlx::query(select)
            .bind(before)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("looking at leases"))?;
        Ok(row.is_some())
    }

    /// Removes what is queued of an asset and marks what is running as cancelled. Returns how many
    /// claims there still are.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn cancel_tasks(&self, asset: &AssetId) -> Result<u64> {
        let mut change = self.change().await?;
        let remove = "DELETE FROM task WHERE asset = $1 \
            AND (state = 'queued' OR (state = 'running' AND lease_until < $2))";
        let now = change.now_millis();
        sqlx::query(remove)
            .bind(asset.as_str())
            .bind(now)
            .execute(change.sql())
            .await
            .map_err(failed("cancelling tasks"))?;
        let mark = "UPDATE task SET cancelled = 1 WHERE asset = $1 AND state = 'running'";
        let marked = sqlx::query(mark)
            .bind(asset.as_str())
            .execute(change.sql())
            .await
            .map_err(failed("cancelling tasks"))?;
        change.commit().await?;
        Ok(marked.rows_affected())
    }

    /// The tasks that were given up, the latest first.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn dead_tasks(&self) -> Result<Vec<DeadTask>> {
        let select =
            "SELECT * FROM task WHERE state = 'dead' ORDER BY died_at DESC, id DESC LIMIT $1";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(DEAD_LIMIT)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing dead tasks"))?;
        rows.iter().map(dead_from).collect()
    }

    /// Queues a dead task again as if it were new; `false` if it isn't one.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn retry_task(&self, id: i64) -> Result<bool> {
        let mut change = self.change().await?;
        let update = "UPDATE task SET state = 'queued', failures = 0, crashes = 0, \
            not_before = 0, failure = NULL, died_at = NULL, queued_at = $2 \
            WHERE id = $1 AND state = 'dead'";
        let now = change.now_millis();
        let done = sqlx::query(update)
            .bind(id)
            .bind(now)
            .execute(change.sql())
            .await
            .map_err(failed("retrying a task"))?;
        change.tell(Signal::Tasks);
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// How much there is to do.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn task_depth(&self) -> Result<Depth> {
        let select = "SELECT state, priority, COUNT(*) AS number, MIN(queued_at) AS oldest \
            FROM task GROUP BY state, priority";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("counting tasks"))?;
        let mut depth = Depth::default();
        for row in &rows {
            let columns = Columns(row);
            let number = columns.count("number")?;
            match columns.text("state")?.as_str() {
                "queued" => {
                    let age = self.clock.now_millis() - columns.integer("oldest")?;
                    let rank = columns.small("priority")? as usize;
                    depth.add_queued(rank, number, age.max(0));
                }
                "running" => depth.running += number,
                _ => depth.dead += number,
            }
        }
        Ok(depth)
    }
}

async fn insert(change: &mut Change, asset: &AssetId, task: &NewTask) -> Result<()> {
    if let Some(key) = &task.key {
        free_key(change, asset, key).await?;
    }
    let insert = "INSERT INTO task (id, asset, work, priority, key, last, state, failures, \
        crashes, fence, not_before, lease_until, cancelled, queued_at, position, node) \
        VALUES ($1, $2, $3, $4, $5, $6, 'queued', 0, 0, 0, 0, 0, 0, $7, $8, \
        (SELECT source_node FROM asset WHERE id = $2)) \
        ON CONFLICT (asset, key) DO UPDATE SET priority = CASE \
        WHEN excluded.priority < task.priority THEN excluded.priority ELSE task.priority END";
    let id = change.next("task").await?;
    let now = change.now_millis();
    sqlx::query(insert)
        .bind(id)
        .bind(asset.as_str())
        .bind(to_json(&task.work)?)
        .bind(i64::from(task.priority.rank()))
        .bind(task.key.as_deref())
        .bind(i64::from(task.last))
        .bind(now)
        .bind(i64::from(task.work.position()))
        .execute(change.sql())
        .await
        .map_err(failed("enqueuing a task"))?;
    Ok(())
}

/// Frees a key from tasks that don't stand for it any more: one that was given up, for who asks
/// anew gets it, and one that is to stop.
async fn free_key(change: &mut Change, asset: &AssetId, key: &str) -> Result<()> {
    let statements = [
        "DELETE FROM task WHERE asset = $1 AND key = $2 AND state = 'dead'",
        "UPDATE task SET key = NULL WHERE asset = $1 AND key = $2 AND cancelled = 1",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(asset.as_str())
            .bind(key)
            .execute(change.sql())
            .await
            .map_err(failed("enqueuing a task"))?;
    }
    Ok(())
}

async fn done(change: &mut Change, id: i64, fence: i64, follow_ups: &[NewTask]) -> Result<bool> {
    let delete = "DELETE FROM task WHERE id = $1 AND fence = $2 AND state = 'running' \
        RETURNING asset";
    let row = sqlx::query(delete)
        .bind(id)
        .bind(fence)
        .fetch_optional(change.sql())
        .await
        .map_err(failed("ending a task"))?;
    let Some(row) = row else {
        return Ok(false);
    };
    let asset = Columns(&row).asset_id("asset")?;
    for task in follow_ups {
        insert(change, &asset, task).await?;
    }
    Ok(true)
}

async fn postpone(
    change: &mut Change,
    id: i64,
    fence: i64,
    at_millis: i64,
    failure: &Failure,
) -> Result<bool> {
    let update = "UPDATE task SET state = 'queued', failures = failures + 1, crashes = 0, \
        not_before = $3, failure = $4 WHERE id = $1 AND fence = $2 AND state = 'running'";
    let done = sqlx::query(update)
        .bind(id)
        .bind(fence)
        .bind(at_millis)
        .bind(to_json(failure)?)
        .execute(change.sql())
        .await
        .map_err(failed("ending a task"))?;
    Ok(done.rows_affected() > 0)
}

async fn give_up(change: &mut Change, id: i64, fence: i64, failure: &Failure) -> Result<bool> {
    let update = "UPDATE task SET state = 'dead', failures = failures + 1, crashes = 0, \
        died_at = $3, failure = $4 WHERE id = $1 AND fence = $2 AND state = 'running'";
    let now = change.now_millis();
    let done = sqlx::query(update)
        .bind(id)
        .bind(fence)
        .bind(now)
        .bind(to_json(failure)?)
        .execute(change.sql())
        .await
        .map_err(failed("ending a task"))?;
    Ok(done.rows_affected() > 0)
}

async fn give_back(change: &mut Change, id: i64, fence: i64) -> Result<bool> {
    let update = "UPDATE task SET state = 'queued' \
        WHERE id = $1 AND fence = $2 AND state = 'running'";
    let done = sqlx::query(update)
        .bind(id)
        .bind(fence)
        .execute(change.sql())
        .await
        .map_err(failed("giving back a task"))?;
    Ok(done.rows_affected() > 0)
}

/// The asset came forward, so stops of the program up to now aren't held against its tasks. Which
/// of them it was thanks to doesn't matter: progress ends, and then stops count.
pub(super) async fn forgive_crashes(change: &mut Change, asset: &AssetId) -> Result<()> {
    sqlx::query("UPDATE task SET crashes = 0 WHERE asset = $1 AND crashes > 0 AND state <> 'dead'")
        .bind(asset.as_str())
        .execute(change.sql())
        .await
        .map_err(failed("updating tasks"))?;
    Ok(())
}

/// Gives up a task that was just claimed but can't be read.
async fn bury(change: &mut Change, row: &AnyRow, failure: &Failure) -> Result<()> {
    let columns = Columns(row);
    let (id, fence) = (columns.integer("id")?, columns.integer("fence")?);
    give_up(change, id, fence, failure).await?;
    Ok(())
}

/// Why a task is given up that no attempt brought to an end.
fn crashed(times: u32) -> Failure {
    Failure {
        kind: ErrorKind::Internal,
        message: format!(
            "the worker stopped or hung {times} times in a row during this task, so it is not \
             tried again; look at its log and memory, then retry the task"
        ),
    }
}

fn claimed_from(row: &AnyRow) -> Result<ClaimedTask> {
    let columns = Columns(row);
    let rank = usize::try_from(columns.count("priority")?).map_err(|_| damaged("priority"))?;
    let priority = Priority::ALL.get(rank).ok_or_else(|| damaged("priority"))?;
    Ok(ClaimedTask {
        id: columns.integer("id")?,
        asset: columns.asset_id("asset")?,
        work: columns.json("work")?,
        priority: *priority,
        failures: columns.small("failures")?,
        fence: columns.integer("fence")?,
    })
}

fn dead_from(row: &AnyRow) -> Result<DeadTask> {
    let columns = Columns(row);
    let attempts = columns.small("failures")? + columns.small("crashes")?;
    Ok(DeadTask {
        id: columns.integer("id")?,
        asset: columns.asset_id("asset")?,
        work: columns.json("work").ok(),
        failure: columns.json("failure")?,
        attempts,
        died_at_millis: columns.integer("died_at")?,
    })
}
