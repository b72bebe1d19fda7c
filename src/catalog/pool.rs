//! Connections that are used again.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::place::{Place, Use};
use crate::error::{Error, ErrorKind, Result};

/// After how long without use a connection is asked whether it still stands.
const DOUBTED_AFTER: Duration = Duration::from_millis(500);
/// How long to wait for a connection that is free.
const WAIT: Duration = Duration::from_secs(20);

/// Connections for one use, at most so many at a time.
#[derive(Debug)]
pub(super) struct Pool {
    place: Place,
    used_for: Use,
    room: Arc<Semaphore>,
    /// Connections that nobody has now, and since when. Guarded for a push or a pop.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Pool {
    pub(super) fn new(place: Place, used_for: Use) -> Arc<Self> {
        let room = place.room(used_for);
        Arc::new(Self {
            place,
            used_for,
            room: Arc::new(Semaphore::new(room)),
            idle: Mutex::default(),
        })
    }

    /// A connection that nobody else has, once there is one.
    ///
    /// # Errors
    /// `Unavailable` when the database is away, or all connections are in use for long.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Pooled> {
        let permit = self.permit().await?;
        let connection = match self.standing().await {
            Some(connection) => connection,
            None => self.place.connect(self.used_for).await?,
        };
        Ok(Pooled {
            pool: Arc::clone(self),
            connection: Some(connection),
            _permit: permit,
        })
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.room).acquire_owned();
        let busy = || {
            let message = "catalog: all connections to the database are in use";
            Error::new(ErrorKind::Unavailable, message)
        };
        // A file's one connection that writes is waited for as long as it takes.
        let permit = match self.place.is_file() {
            true => permit.await,
            false => timeout(WAIT, permit).await.map_err(|_| busy())?,
        };
        permit.map_err(|_| busy())
    }

    /// An idle connection that still stands.
    async fn standing(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle().pop()?;
            if self.place.is_file() || since.elapsed() < DOUBTED_AFTER {
                return Some(connection);
            }
            if sqlx::query("SELECT 1")
                .execute(&mut connection)
                .await
                .is_ok()
            {
                return Some(connection);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection of a pool, which gets it back unless it can't be used again.
#[derive(Debug)]
pub(super) struct Pooled {
    pool: Arc<Pool>,
    /// `None` only while it is dropped.
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Pooled {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        let connection = self.connection.as_ref();
        connection.expect("there until it is dropped")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection {
        let connection = self.connection.as_mut();
        connection.expect("there until it is dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(Connection::is_sound);
        let mut idle = self.pool.idle();
        match connection {
            Some(connection) => idle.push((connection, Instant::now())),
            // What broke this one may have broken all: a server that was restarted.
            None => idle.clear(),
        }
    }
}
