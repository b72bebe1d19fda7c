//! Hears what a PostgreSQL server tells (`LISTEN`), for as long as the catalog lives.
//!
//! Notifications only say that there is something: events are read from their table, in the order
//! of their numbers, so that none is missed while the connection was away.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use super::Event;
use super::bus::{Bus, CHANNEL, Message, Signal};
use super::pool::Pool;
use super::row::failed;
use crate::error::{Error, ErrorKind, Result};
use crate::telemetry::tell_operator;

/// After how long a silent connection is asked whether it still stands, and how long it has to
/// answer.
const DOUBT: Duration = Duration::from_secs(3);
/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before connecting again.
const PAUSE: Duration = Duration::from_millis(500);
/// Events read at a time.
const PAGE: i64 = 500;

/// A connection that hears from now on.
///
/// # Errors
/// `Unavailable` when the server is away.
pub(super) async fn connect(url: &str) -> Result<PgListener> {
    let mut listener = within(PATIENCE, PgListener::connect(url)).await?;
    listener.eager_reconnect(false);
    within(PATIENCE, listener.listen(CHANNEL)).await?;
    Ok(listener)
}

/// Hears until the catalog is gone, first through `listener`, then through others like it.
pub(super) async fn run(mut listener: PgListener, url: String, bus: Weak<Bus>, readers: Arc<Pool>) {
    while let Err(error) = hear(&mut listener, &bus, &readers).await {
        let message = format!("the connection for notifications is lost: {error}");
        tell_operator("catalog", &message);
        listener = loop {
            tokio::time::sleep(PAUSE).await;
            match connect(&url).await {
                Ok(listener) => break listener,
                Err(_) if bus.strong_count() == 0 => return,
                Err(_) => {}
            }
        };
        tell_operator("catalog", "notifications come again");
    }
}

/// Hears until the connection or the catalog is gone.
async fn hear(listener: &mut PgListener, bus: &Weak<Bus>, readers: &Arc<Pool>) -> Result<()> {
    // Whatever came while nobody listened.
    let Some(there) = bus.upgrade() else {
        return Ok(());
    };
    catch_up(&there, readers).await?;
    there.signal(&Signal::Missed);
    drop(there);
    loop {
        let heard = timeout(DOUBT, listener.try_recv()).await;
        let Some(bus) = bus.upgrade() else {
            return Ok(());
        };
        match heard {
            Ok(Ok(Some(notification))) => pass_on(notification.payload(), &bus, readers).await?,
            Ok(Ok(None)) => return Err(lost()),
            Ok(Err(error)) => return Err(failed("hearing notifications")(error)),
            Err(_) => {
                within(DOUBT, listener.execute("SELECT 1")).await?;
            }
        }
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> Result<T> {
    let done = timeout(patience, work).await.map_err(|_| lost())?;
    done.map_err(failed("hearing notifications"))
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "catalog: the database doesn't answer",
    )
}

async fn pass_on(payload: &str, bus: &Bus, readers: &Arc<Pool>) -> Result<()> {
    // Another version may tell what this one doesn't know.
    match serde_json::from_str(payload) {
        Ok(Message::Events) => catch_up(bus, readers).await?,
        Ok(Message::Last(event)) => {
            catch_up(bus, readers).await?;
            bus.tell(event);
        }
        Ok(Message::Signal(signal)) => bus.signal(&signal),
        Err(_) => {}
    }
    Ok(())
}

/// Tells the events that were stored since the last one told.
async fn catch_up(bus: &Bus, readers: &Arc<Pool>) -> Result<()> {
    let select = "SELECT sequence, asset, name, data, at FROM event \
        WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    loop {
        let mut connection = readers.take().await?;
        let rows = sqlx::query(select)
            .bind(bus.told())
            .bind(PAGE)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("reading events"))?;
        drop(connection);
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            bus.tell(Event::from_row(row)?);
        }
    }
}
