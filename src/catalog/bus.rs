//! What is told within this process and, where a database is shared, between processes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::Event;
use super::pool::Pool;
use super::row::failed;
use crate::error::{Error, Result};
use crate::media::{AssetId, Failure};

/// Events that a subscriber may be behind before it loses the oldest.
const EVENTS_HELD: usize = 1024;
/// The name that notifications go by.
pub(super) const CHANNEL: &str = "headwater";
/// The longest notification; PostgreSQL takes less than 8000 bytes.
const LONGEST: usize = 7900;
/// Characters of a reason that is told, at most.
const REASON: usize = 1000;

/// What processes that share a catalog tell each other. Nothing durable: who misses one looks for
/// itself a little later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Something may be claimable.
    Tasks,
    /// A segment that somebody may wait for is stored, or can't be made.
    Segment {
        /// Its asset.
        asset: AssetId,
        /// Its rendition's id.
        track: String,
        /// Its number, from 1.
        number: u32,
        /// Why it can't be made; `None` when it is stored.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// Signals may have been missed.
    Missed,
}

/// A notification.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// There are events in the table.
    Events,
    /// An event that is in no table.
    Last(Event),
    /// A signal.
    Signal(Signal),
}

impl Message {
    /// What is told of an event that was just stored, or that never is.
    pub(super) fn of(event: Event) -> Self {
        match event.is_stored() {
            true => Self::Events,
            false => Self::Last(event),
        }
    }

    /// As it is sent.
    pub(super) fn to_text(&self) -> Result<String> {
        let json = |message: &Self| {
            let json = serde_json::to_string(message);
            json.map_err(|e| Error::internal("writing a notification").with_source(e))
        };
        let text = json(self)?;
        match self {
            Self::Signal(Signal::Segment { .. }) if text.len() > LONGEST => {
                json(&Self::Signal(Signal::Missed))
            }
            _ => Ok(text),
        }
    }
}

/// A failure short enough to be told.
pub(crate) fn shortened(mut failure: Failure) -> Failure {
    failure.message = failure.message.chars().take(REASON).collect();
    failure
}

/// Who hears signals.
type Hearer = Box<dyn Fn(&Signal) + Send + Sync>;

/// Those of this process who want to hear.
pub(super) struct Bus {
    subscribers: broadcast::Sender<Event>,
    hearers: Mutex<Vec<Hearer>>,
    /// The number of the last event that was told.
    told: AtomicI64,
}

impl Bus {
    /// Whoever hears it hears the events after number `told`.
    pub(super) fn new(told: i64) -> Self {
        Self {
            subscribers: broadcast::channel(EVENTS_HELD).0,
            hearers: Mutex::default(),
            told: AtomicI64::new(told),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.subscribers.subscribe()
    }

    /// Tells an event.
    pub(super) fn tell(&self, event: Event) {
        self.told.fetch_max(event.sequence, Ordering::Relaxed);
        // Nobody need be listening.
        let _ = self.subscribers.send(event);
    }

    /// The number of the last event that was told.
    #[cfg(any(test, feature = "postgres"))]
    pub(super) fn told(&self) -> i64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Calls `hearer` for each signal from now on. It must not block.
    pub(super) fn hear(&self, hearer: Hearer) {
        let mut hearers = self.hearers.lock().unwrap_or_else(PoisonError::into_inner);
        hearers.push(hearer);
    }

    /// Tells a signal that another process sent.
    #[cfg(feature = "postgres")]
    pub(super) fn signal(&self, signal: &Signal) {
        let hearers = self.hearers.lock().unwrap_or_else(PoisonError::into_inner);
        hearers.iter().for_each(|hearer| hearer(signal));
    }
}

/// The number of the last event that was given one.
pub(super) async fn last_event(readers: &Arc<Pool>) -> Result<i64> {
    let mut connection = readers.take().await?;
    sqlx::query_scalar("SELECT value FROM counter WHERE name = 'event'")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("reading events"))
}
