//! One transaction that writes, and the events it tells of.

use std::sync::Arc;

use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection};
use tokio::sync::{OwnedMutexGuard, broadcast};

use super::row::failed;
use super::{Catalog, Event};
use crate::error::{Error, ErrorKind, Result};
use crate::media::AssetId;

/// The one connection that writes.
pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    /// Whether a change was begun and neither committed nor rolled back.
    pub(super) open: bool,
}

impl Writer {
    async fn begin(&mut self) -> Result<()> {
        self.roll_back().await?;
        self.open = true;
        // The lock is taken at the start: a transaction that reads first and writes later would
        // fail, rather than wait, when another process wrote in between.
        self.run("BEGIN IMMEDIATE").await
    }

    async fn commit(&mut self) -> Result<()> {
        self.run("COMMIT").await?;
        self.open = false;
        Ok(())
    }

    /// Undoes what was left open. Where nothing was begun, as when beginning itself failed, SQLite
    /// refuses, and that is as good.
    async fn roll_back(&mut self) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        let undone = self.run("ROLLBACK").await;
        self.open = false;
        match undone {
            Err(error) if error.kind() != ErrorKind::Internal => Err(error),
            _ => Ok(()),
        }
    }

    async fn run(&mut self, statement: &'static str) -> Result<()> {
        let done = sqlx::query(statement).execute(&mut self.connection).await;
        done.map(|_| ()).map_err(failed("changing"))
    }
}

/// A change of the catalog. Rolled back unless it is committed.
pub(super) struct Change {
    /// Its turn to write; `None` once it is over.
    writer: Option<OwnedMutexGuard<Writer>>,
    subscribers: broadcast::Sender<Event>,
    events: Vec<Event>,
    now_millis: i64,
}

impl Catalog {
    /// Waits for its turn to write, and begins.
    pub(super) async fn change(&self) -> Result<Change> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        let mut change = Change {
            writer: Some(writer),
            subscribers: self.subscribers.clone(),
            events: Vec::new(),
            now_millis: self.clock.now_millis(),
        };
        change.writer().begin().await?;
        Ok(change)
    }

    /// A connection to read with.
    pub(super) async fn read(&self) -> Result<PoolConnection<Sqlite>> {
        let connection = self.readers.acquire().await;
        connection.map_err(failed("waiting for a connection"))
    }
}

impl Change {
    /// Where its statements run.
    pub(super) fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.writer().connection
    }

    fn writer(&mut self) -> &mut Writer {
        let writer = self.writer.as_mut();
        writer.expect("the turn ends only with the change")
    }

    /// When it began, in milliseconds since 1970.
    pub(super) fn now_millis(&self) -> i64 {
        self.now_millis
    }

    /// The next number of a counter. Numbers of committed changes rise in the order of their
    /// commits, so who has read up to one has missed none.
    pub(super) async fn next(&mut self, counter: &'static str) -> Result<i64> {
        let next = "UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value";
        sqlx::query_scalar(next)
            .bind(counter)
            .fetch_one(self.sql())
            .await
            .map_err(failed("counting"))
    }

    /// An event of this change, which is stored with it.
    pub(super) async fn event(
        &mut self,
        asset: &AssetId,
        name: &'static str,
        data: Value,
    ) -> Result<i64> {
        let event = self.number(asset, name, data).await?;
        let sequence = event.sequence;
        sqlx::query("INSERT INTO event (sequence, asset, name, data, at) VALUES ($1,$2,$3,$4,$5)")
            .bind(sequence)
            .bind(asset.as_str())
            .bind(name)
            .bind(event.data.to_string())
            .bind(event.at_millis)
            .execute(self.sql())
            .await
            .map_err(failed("writing an event"))?;
        self.events.push(event);
        Ok(sequence)
    }

    /// An event that is told but not stored: the last one of an asset.
    pub(super) async fn last_event(
        &mut self,
        asset: &AssetId,
        name: &'static str,
        data: Value,
    ) -> Result<()> {
        let event = self.number(asset, name, data).await?;
        self.events.push(event);
        Ok(())
    }

    async fn number(&mut self, asset: &AssetId, name: &str, data: Value) -> Result<Event> {
        Ok(Event {
            sequence: self.next("event").await?,
            asset: asset.clone(),
            name: name.to_owned(),
            data,
            at_millis: self.now_millis,
        })
    }

    /// Commits, then tells the events. Once begun it is done even if the caller goes away.
    pub(super) async fn commit(self) -> Result<()> {
        let committing = tokio::spawn(self.commit_and_tell());
        committing
            .await
            .map_err(|e| Error::internal("catalog: committing").with_source(e))?
    }

    async fn commit_and_tell(mut self) -> Result<()> {
        self.writer().commit().await?;
        for event in std::mem::take(&mut self.events) {
            // Nobody need be listening.
            let _ = self.subscribers.send(event);
        }
        Ok(())
    }
}

impl Drop for Change {
    /// Rolls back at once, so that no other process waits; the next change would do it too.
    fn drop(&mut self) {
        let (Some(mut writer), Ok(runtime)) =
            (self.writer.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        if writer.open {
            runtime.spawn(async move { writer.roll_back().await });
        }
    }
}
