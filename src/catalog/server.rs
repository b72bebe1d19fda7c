//! A PostgreSQL server for the tests of this process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};

/// The server's first database; `None` where PostgreSQL isn't installed.
fn url() -> Option<&'static str> {
    /// The server lives as long as this process holds its standard input.
    static SERVER: OnceLock<Option<(String, Child)>> = OnceLock::new();
    let server = SERVER.get_or_init(start);
    server.as_ref().map(|(url, _)| url.as_str())
}

fn start() -> Option<(String, Child)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
    let mut child = Command::new(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started scripts/postgres");
    let mut url = String::new();
    let answer = child.stdout.take().expect("piped");
    BufReader::new(answer).read_line(&mut url).expect("read");
    if url.is_empty() {
        let ended = child.wait().expect("ended").code();
        assert_eq!(ended, Some(77), "scripts/postgres failed");
        return None;
    }
    Some((url.trim().to_owned(), child))
}

/// A new, empty database of the server: as a place of a catalog.
pub(super) async fn new_database() -> Option<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = tokio::task::spawn_blocking(url).await.expect("asked")?;
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(url).await.expect("connected");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    let created = sqlx::raw_sql(create).execute(&mut connection).await;
    created.expect("a database");
    Some(PathBuf::from(url.replace("/postgres", &format!("/{name}"))))
}

/// Closes all connections to a database, as a restart of the server does.
pub(super) async fn close_connections(place: &Path) {
    let url = place.to_str().expect("a URL");
    let mut connection = PgConnection::connect(url).await.expect("connected");
    let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let closed = sqlx::raw_sql(close).execute(&mut connection).await;
    closed.expect("closed");
}
