//! Where the catalog is, and connections to it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions};
use url::Url;

use super::connection::Connection;
use super::row::failed;
use crate::error::{Error, ErrorKind, Result};

/// Connections that only read.
const READERS: usize = 4;
/// Connections to a server that write.
const WRITERS: usize = 8;
/// How long a statement waits for another process that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one statement on a server may take, and how long connecting to it may.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long a server rolls back a change that nobody goes on with: whoever made it is
/// stopped or cut off, and others wait for its locks.
const IDLE_CHANGE: Duration = Duration::from_secs(4);

/// Where a catalog is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A file of SQLite's.
    File(PathBuf),
    /// A PostgreSQL server. Its URL may hold a password.
    Server(Secret),
}

/// A URL that isn't shown.
#[derive(Clone)]
pub(super) struct Secret(pub(super) Url);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(URL)")
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Reading,
    Writing,
}

/// The place that a path or URL names.
pub(super) fn parse(place: &Path) -> Result<Place> {
    let Some(text) = place.to_str() else {
        return Ok(Place::File(place.to_owned()));
    };
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return server(text);
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
    Ok(Place::File(PathBuf::from(path)))
}

fn server(text: &str) -> Result<Place> {
    if !cfg!(feature = "postgres") {
        return Err(Error::unsupported(
            "this build has no PostgreSQL (feature `postgres`); name a file or sqlite:FILE",
        ));
    }
    // What is wrong with it is said without showing it: it may hold a password.
    let url = Url::parse(text).map_err(|e| {
        Error::invalid(format!(
            "the database's URL can't be read ({e}); write postgres://USER:PASSWORD@HOST/NAME"
        ))
    })?;
    Ok(Place::Server(Secret(url)))
}

impl Place {
    /// Whether it is a file, which one connection at a time writes to.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// How many connections there may be for a use.
    pub(super) fn room(&self, used_for: Use) -> usize {
        match (self, used_for) {
            (Self::File(_), Use::Writing) => 1,
            (Self::Server(_), Use::Writing) => WRITERS,
            (_, Use::Reading) => READERS,
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// What the file system or the server says.
    pub(super) async fn connect(&self, used_for: Use) -> Result<Connection> {
        sqlx::any::install_default_drivers();
        match self {
            Self::File(file) => connect_to_file(file, used_for).await,
            Self::Server(url) => connect_to_server(&url.0).await,
        }
    }
}

async fn connect_to_file(file: &Path, used_for: Use) -> Result<Connection> {
    let mode = match used_for {
        Use::Reading => "ro",
        Use::Writing => "rw",
    };
    let mut connection = open(&file_url(file, mode)?)
        .await
        .map_err(failed("opening"))?;
    let busy = BUSY_TIMEOUT.as_millis();
    run(
        &mut connection,
        format!("PRAGMA busy_timeout = {busy}; PRAGMA foreign_keys = ON"),
    )
    .await?;
    if used_for == Use::Writing {
        let log = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL";
        run(&mut connection, log.to_owned()).await?;
    }
    Ok(Connection::new(connection, None))
}

/// The file as sqlx wants it: percent-encoded in a URL.
fn file_url(file: &Path, mode: &str) -> Result<Url> {
    let unusable = || Error::invalid(format!("{}: no name for a catalog", file.display()));
    let path = std::path::absolute(file).map_err(|_| unusable())?;
    let url = Url::from_file_path(path).map_err(|()| unusable())?;
    let path = url.as_str().strip_prefix("file:").ok_or_else(unusable)?;
    Url::parse(&format!("sqlite:{path}?mode={mode}")).map_err(|_| unusable())
}

async fn connect_to_server(url: &Url) -> Result<Connection> {
    let connecting = tokio::time::timeout(PATIENCE, open(url)).await;
    let away = |_| {
        Error::new(
            ErrorKind::Unavailable,
            "catalog: the database doesn't answer",
        )
    };
    let mut connection = connecting
        .map_err(away)?
        .map_err(failed("connecting to the database"))?;
    let (patience, idle) = (PATIENCE.as_millis(), IDLE_CHANGE.as_millis());
    let limits = format!(
        "SET statement_timeout = {patience}; SET idle_in_transaction_session_timeout = {idle}; \
         SET tcp_user_timeout = {patience}; SET client_min_messages = warning"
    );
    run(&mut connection, limits).await?;
    Ok(Connection::new(connection, Some(PATIENCE)))
}

async fn open(url: &Url) -> Result<AnyConnection, sqlx::Error> {
    let options = AnyConnectOptions::from_url(url)?;
    options.disable_statement_logging().connect().await
}

async fn run(connection: &mut AnyConnection, statements: String) -> Result<()> {
    let statements = sqlx::AssertSqlSafe(statements);
    let done = sqlx::raw_sql(statements).execute(connection).await;
    done.map(|_| ()).map_err(failed("opening"))
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
    match create_private(file) {
        Err(e) if e.kind() == ErrorKind::Conflict => Ok(()),
        made => made,
    }
}

/// Makes a file that only its owner can read.
///
/// # Errors
/// `Conflict` if it is there already.
pub(super) fn create_private(file: &Path) -> Result<()> {
    let shown = file.display();
    private()
        .create_new(true)
        .open(file)
        .map(drop)
        .map_err(|e| {
            if e.kind() == std::io::ErrorKind::AlreadyExists {
                let message = format!("{shown} is there already; name another file");
                return Error::new(ErrorKind::Conflict, message);
            }
            Error::io(format!("making {shown}"), e)
        })
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}
