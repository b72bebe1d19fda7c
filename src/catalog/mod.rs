//! The one door to SQL: assets, events, tasks, API keys, uploads, captions, webhooks.
//!
//! An embedded SQLite file. The statements keep to what PostgreSQL takes too: `$1` parameters,
//! `RETURNING`, `ON CONFLICT`, times as whole milliseconds, numbers of events and tasks from a
//! table of counters, JSON as text.
//!
//! One connection writes and a few read beside it (write-ahead log). Every change is one
//! transaction that writes its events too, and subscribers hear of them in the order of their
//! numbers, after they are stored. A change whose caller goes away halfway is rolled back; one that
//! is being committed is committed and told. A future that is begun and then neither polled nor
//! dropped, as among several in one task, may hold up every change: give it a task of its own.
//!
//! Rules about *when* a change is made are elsewhere: those of tasks in `queue`, those of assets
//! with whoever does the work.

mod assets;
mod captions;
mod change;
mod events;
mod idempotency;
mod keys;
mod migrations;
mod place;
mod row;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod uploads;
mod webhooks;

use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{Mutex, broadcast};

pub use assets::{NewAsset, Page, Planned};
pub use captions::{Caption, NewCaption};
pub use events::Event;
pub use idempotency::Begun;
pub use keys::{ApiKey, CreatedKey, NewKey, Scope};
pub(crate) use tasks::{ClaimedTask, Lapsed, TaskEnd};
pub use tasks::{DeadTask, Depth, NewTask};
pub use uploads::{NewUpload, Upload};
pub use webhooks::{Delivery, DeliveryState, Miss, NewWebhook, Sent, Topic, Webhook};

use crate::clock::Clock;
use crate::error::Result;
use row::failed;

/// Events that a subscriber may be behind before it loses the oldest.
const EVENTS_HELD: usize = 1024;

/// The catalog of one data folder. Clones share its connections.
#[derive(Clone)]
pub struct Catalog {
    /// The one connection that writes. Whoever holds it has its turn until its events are told.
    writer: Arc<Mutex<change::Writer>>,
    readers: SqlitePool,
    subscribers: broadcast::Sender<Event>,
    clock: Clock,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog in a file, which is made if it isn't there, and brings its tables up to
    /// date. `place` is the path of the file, or `sqlite:` and the path.
    ///
    /// Must be called, like everything else here, within a Tokio runtime that goes on running.
    ///
    /// # Errors
    /// `Unsupported` for the URL of another database and for a catalog made by a later version,
    /// `DataLoss` for a file that is no catalog, and what the file system says.
    pub async fn open(place: impl AsRef<std::path::Path>, clock: Clock) -> Result<Self> {
        let file = place::parse(place.as_ref())?;
        let turn = place::wait_for_turn(file.clone()).await?;
        let mut connection = place::connect(&file).await?;
        migrations::run(&mut connection).await?;
        let writer = change::Writer {
            connection,
            open: false,
        };
        let readers = place::readers(&file).await?;
        drop(turn);
        let (subscribers, _) = broadcast::channel(EVENTS_HELD);
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            readers,
            subscribers,
            clock,
        })
    }

    /// Every event from now on, as it is stored. A subscriber that falls far behind loses the
    /// oldest and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.subscribers.subscribe()
    }

    /// Whether the catalog answers.
    ///
    /// # Errors
    /// What the database says if it doesn't.
    pub async fn ping(&self) -> Result<()> {
        let mut connection = self.readers.acquire().await.map_err(failed("asking"))?;
        connection.ping().await.map_err(failed("asking"))
    }
}
