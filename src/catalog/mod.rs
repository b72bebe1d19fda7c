//! The one door to SQL: assets, events, tasks, API keys, uploads, captions, webhooks.
//!
//! An embedded SQLite file, or a PostgreSQL database that many machines share. The statements are
//! the same: `$1` parameters, `RETURNING`, `ON CONFLICT`, times as whole milliseconds, numbers of
//! events and tasks from a table of counters, JSON as text. Every promise is tested on both.
//!
//! Every change is one transaction that writes its events too, and subscribers, on every machine,
//! hear of them in the order of their numbers, after they are stored; of progress that newer
//! progress has replaced, perhaps not. A change whose caller goes
//! away halfway is rolled back; one that is being committed is committed and told.
//!
//! *In a file* one connection writes and a few read beside it (write-ahead log). A future that is
//! begun and then neither polled nor dropped, as among several in one task, may hold up every
//! change: give it a task of its own.
//!
//! *On a server* changes take turns by a lock of the whole catalog, which keeps the order of events
//! and makes deadlocks impossible; only the changes of one task's row go past it. What one machine
//! has to tell the others comes as notifications ([`Signal`]). Every wait has an end, and the
//! server rolls back what a stopped or cut-off machine left open.
//!
//! Rules about *when* a change is made are elsewhere: those of tasks in `queue`, those of assets
//! with whoever does the work.

mod assets;
mod backup;
mod bus;
mod captions;
mod change;
mod connection;
mod events;
mod idempotency;
mod keys;
#[cfg(feature = "postgres")]
mod listener;
mod migrations;
mod place;
mod pool;
mod restore;
mod row;
#[cfg(all(test, feature = "postgres"))]
mod server;
mod sources;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod uploads;
mod webhooks;

use std::sync::Arc;

use tokio::sync::broadcast;

pub use assets::{NewAsset, Page, Planned};
pub use bus::Signal;
pub(crate) use bus::shortened;
pub use captions::{Caption, NewCaption};
pub use events::Event;
pub use idempotency::Begun;
pub use keys::{ApiKey, CreatedKey, NewKey, Scope};
pub(crate) use tasks::{ClaimedTask, Lapsed, TaskEnd};
pub use tasks::{DeadTask, Depth, NewTask, Waiting};
pub use uploads::{NewUpload, Upload};
pub use webhooks::{Delivery, DeliveryState, Miss, NewWebhook, Sent, Topic, Webhook};

use crate::clock::Clock;
use crate::error::Result;
use bus::Bus;
use place::{Place, Use};
use pool::Pool;
use row::failed;

/// The catalog of one data folder, or of all machines that share a database. Clones share its
/// connections.
#[derive(Clone)]
pub struct Catalog {
    writers: Arc<Pool>,
    readers: Arc<Pool>,
    bus: Arc<Bus>,
    is_shared: bool,
    clock: Clock,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens a catalog and brings its tables up to date. `place` is the path of a file, which is
    /// made if it isn't there, `sqlite:` and the path, or the URL of a PostgreSQL database:
    /// `postgres://USER:PASSWORD@HOST/NAME`.
    ///
    /// Must be called, like everything else here, within a Tokio runtime that goes on running.
    ///
    /// # Errors
    /// `Unsupported` for a catalog made by a later version or a database that isn't built in,
    /// `DataLoss` for a file that is no catalog, `Unavailable` when the server is away, and what
    /// the file system says.
    pub async fn open(place: impl AsRef<std::path::Path>, clock: Clock) -> Result<Self> {
        let place = place::parse(place.as_ref())?;
        let turn = match &place {
            Place::File(file) => Some(place::wait_for_turn(file.clone()).await?),
            Place::Server(_) => None,
        };
        let writers = Pool::new(place.clone(), Use::Writing);
        migrations::run(&writers, place.is_file()).await?;
        let readers = Pool::new(place.clone(), Use::Reading);
        drop(turn);
        let catalog = Self {
            bus: Arc::new(Bus::new(bus::last_event(&readers).await?)),
            is_shared: !place.is_file(),
            writers,
            readers,
            clock,
        };
        catalog.listen(&place).await?;
        Ok(catalog)
    }

    /// Hears from now on what other processes tell.
    async fn listen(&self, place: &Place) -> Result<()> {
        #[cfg(feature = "postgres")]
        if let Place::Server(url) = place {
            let bus = Arc::downgrade(&self.bus);
            let listener = listener::connect(url.0.as_str()).await?;
            let url = url.0.to_string();
            let hearing = listener::run(listener, url, bus, Arc::clone(&self.readers));
            tokio::spawn(hearing);
        }
        #[cfg(not(feature = "postgres"))]
        let _ = place;
        Ok(())
    }

    /// Whether other machines may have the catalog too.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Every event from now on, as it is stored. A subscriber that falls far behind loses the
    /// oldest and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.bus.subscribe()
    }

    /// Calls `hearer` for each signal of another process from now on, and for what this one tells
    /// by the way of the server. It must not block.
    pub(crate) fn hear(&self, hearer: impl Fn(&Signal) + Send + Sync + 'static) {
        self.bus.hear(Box::new(hearer));
    }

    /// Whether the catalog answers.
    ///
    /// # Errors
    /// What the database says if it doesn't.
    pub async fn ping(&self) -> Result<()> {
        let mut connection = self.read().await?;
        let asked = sqlx::query("SELECT 1").execute(&mut *connection).await;
        asked.map(|_| ()).map_err(failed("asking"))
    }
}
