//! One transaction that writes, and the events it tells of.

use std::sync::Arc;

use serde_json::{Value, json};

use super::bus::{Bus, Message, Signal};
use super::connection::Connection;
use super::events::REMOVED;
use super::pool::Pooled;
use super::row::failed;
use super::{Catalog, Event};
use crate::error::{Error, ErrorKind, Result};
use crate::media::AssetId;

/// Begins on a file. The lock is taken at the start: a transaction that reads first and writes
/// later would fail, rather than wait, when another process wrote in between.
const BEGIN_ON_FILE: &str = "BEGIN IMMEDIATE";
/// Begins on a server, and waits for the turn of this whole catalog; the number names it.
const BEGIN_IN_TURN: &str = "BEGIN; SELECT pg_advisory_xact_lock(4850182716)";
/// Begins on a server, past all others.
const BEGIN_AT_ONCE: &str = "BEGIN";

/// Begins a transaction that may change anything.
pub(super) async fn begin(connection: &mut Connection, is_file: bool) -> Result<()> {
    let statement = match is_file {
        true => BEGIN_ON_FILE,
        false => BEGIN_IN_TURN,
    };
    run(connection, statement).await
}

/// Commits a transaction.
pub(super) async fn commit(connection: &mut Connection) -> Result<()> {
    run(connection, "COMMIT").await
}

async fn run(connection: &mut Connection, statement: &'static str) -> Result<()> {
    let done = sqlx::raw_sql(statement).execute(connection).await;
    done.map(|_| ()).map_err(failed("changing"))
}

/// A change of the catalog. Rolled back unless it is committed.
pub(super) struct Change {
    /// Where its statements run; `None` once it is over.
    connection: Option<Pooled>,
    /// Whether it was begun and neither committed nor rolled back.
    is_open: bool,
    bus: Arc<Bus>,
    is_shared: bool,
    events: Vec<Event>,
    messages: Vec<Message>,
    now_millis: i64,
}

impl Catalog {
    /// Waits for its turn to write, and begins.
    pub(super) async fn change(&self) -> Result<Change> {
        let mut change = self.unbegun().await?;
        begin(change.sql(), !self.is_shared).await?;
        change.is_open = true;
        Ok(change)
    }

    /// Begins a change of one row of `task` and nothing else, for which it needn't wait for others.
    pub(super) async fn change_of_one_task(&self) -> Result<Change> {
        if !self.is_shared {
            return self.change().await;
        }
        let mut change = self.unbegun().await?;
        run(change.sql(), BEGIN_AT_ONCE).await?;
        change.is_open = true;
        Ok(change)
    }

    async fn unbegun(&self) -> Result<Change> {
        Ok(Change {
            connection: Some(self.writers.take().await?),
            is_open: false,
            bus: Arc::clone(&self.bus),
            is_shared: self.is_shared,
            events: Vec::new(),
            messages: Vec::new(),
            now_millis: self.clock.now_millis(),
        })
    }

    /// A connection to read with.
    pub(super) async fn read(&self) -> Result<Pooled> {
        self.readers.take().await
    }

    /// Tells other processes something. Nothing, where there are none.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn tell(&self, signal: Signal) -> Result<()> {
        if !self.is_shared {
            return Ok(());
        }
        let mut connection = self.writers.take().await?;
        notify(&mut connection, &Message::Signal(signal)).await
    }
}

impl Change {
    /// Where its statements run.
    pub(super) fn sql(&mut self) -> &mut Connection {
        let connection = self.connection.as_mut();
        connection.expect("there until the change is over")
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

    /// The last event of an asset, which is told but not stored: it was removed.
    pub(super) async fn removed(&mut self, asset: &AssetId) -> Result<()> {
        let event = self.number(asset, REMOVED, json!({})).await?;
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

    /// What other processes are to be told once it is committed.
    pub(super) fn tell(&mut self, signal: Signal) {
        if self.is_shared {
            self.messages.push(Message::Signal(signal));
        }
    }

    /// Commits, then tells the events. Once begun it is done even if the caller goes away.
    pub(super) async fn commit(self) -> Result<()> {
        let committing = tokio::spawn(self.commit_and_tell());
        committing
            .await
            .map_err(|e| Error::internal("catalog: committing").with_source(e))?
    }

    async fn commit_and_tell(mut self) -> Result<()> {
        if self.is_shared {
            self.write_notifications().await?;
        }
        commit(self.sql()).await?;
        self.is_open = false;
        if !self.is_shared {
            // On a server all hear of them, this process too, from the server.
            for event in std::mem::take(&mut self.events) {
                self.bus.tell(event);
            }
        }
        Ok(())
    }

    /// What the server tells all processes when it commits.
    async fn write_notifications(&mut self) -> Result<()> {
        let mut messages = std::mem::take(&mut self.messages);
        for event in std::mem::take(&mut self.events) {
            messages.push(Message::of(event));
        }
        messages.dedup();
        for message in messages {
            notify(self.sql(), &message).await?;
        }
        Ok(())
    }
}

async fn notify(connection: &mut Connection, message: &Message) -> Result<()> {
    sqlx::query("SELECT 1 FROM (SELECT pg_notify($1, $2)) AS told")
        .bind(super::bus::CHANNEL)
        .bind(message.to_text()?)
        .execute(connection)
        .await
        .map_err(failed("telling others"))?;
    Ok(())
}

impl Drop for Change {
    /// Rolls back at once, so that nobody waits. A connection that a statement was abandoned on is
    /// closed instead, which does the same.
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|_| self.is_open);
        let (Some(mut connection), Ok(runtime)) =
            (connection, tokio::runtime::Handle::try_current())
        else {
            return;
        };
        if connection.is_sound() {
            runtime.spawn(async move {
                // Whoever fails here is closed.
                let undone = run(&mut connection, "ROLLBACK").await;
                if undone.is_err_and(|e| e.kind() != ErrorKind::Internal) {
                    connection.give_up();
                }
            });
        }
    }
}
