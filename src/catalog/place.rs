//! Where the catalog is, and connections to it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};

use super::row::failed;
use crate::error::{Error, Result};

/// Connections that only read.
const READERS: u32 = 4;
/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The file that a path or URL names.
pub(super) fn parse(place: &Path) -> Result<PathBuf> {
    let Some(text) = place.to_str() else {
        return Ok(place.to_owned());
    };
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return Err(Error::unsupported(
            "this build keeps its catalog in SQLite; name a file or sqlite:FILE",
        ));
    }
    let path = match text.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None => text,
    };
    if path.is_empty() || path == ":memory:" {
        return Err(Error::invalid(
            "the catalog needs a file; name one, for example sqlite:catalog.sqlite",
        ));
    }
    Ok(PathBuf::from(path))
}

/// Waits until no other process is setting up the catalog; the turn ends when the file is dropped.
///
/// SQLite alone doesn't do: switching an empty file to the write-ahead log answers "database is
/// locked" at once when two do it, whatever the timeout. The lock is on a file of its own, because
/// closing a second descriptor of the database would drop SQLite's own locks on it.
pub(super) async fn wait_for_turn(file: PathBuf) -> Result<File> {
    let waiting = tokio::task::spawn_blocking(move || {
        make_private(&file)?;
        let mut path = file.into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let lock = private().create(true).truncate(false).open(&path);
        let lock = lock.map_err(|e| Error::io(path.display(), e))?;
        lock.lock().map_err(|e| Error::io(path.display(), e))?;
        Ok(lock)
    });
    waiting
        .await
        .map_err(|e| Error::internal("waiting for the catalog").with_source(e))?
}

/// Makes the file, if there is none, so that only its owner can read it: it holds secrets.
fn make_private(file: &Path) -> Result<()> {
    match private().create_new(true).open(file) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(Error::io(format!("making {}", file.display()), e)),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// The connection that writes.
pub(super) async fn connect(file: &Path) -> Result<SqliteConnection> {
    options(file).connect().await.map_err(failed("opening"))
}

/// Connections that only read.
pub(super) async fn readers(file: &Path) -> Result<SqlitePool> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options(file).read_only(true))
        .await
        .map_err(failed("opening"))
}
