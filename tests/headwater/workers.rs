//! Machines that share a store and a database; skipped where PostgreSQL isn't installed. What befalls
//! them is tried by `scripts/test-cluster`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::{QUICK, Server, id};
use crate::support::{Ran, fixture, headwater, verify};

/// A PostgreSQL server that ends with this value.
struct Database {
    server: Child,
    url: String,
}

impl Database {
    fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
        let mut server = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        if url.is_empty() {
            assert_eq!(server.wait().unwrap().code(), Some(77), "scripts/postgres");
            return None;
        }
        let url = url.trim().to_owned();
        Some(Self { server, url })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

/// A worker that is killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(store: &str, database: &str) -> Self {
        let mut command = headwater(["worker", "--workers", "1", "--store", store]);
        let worker = command.args(["--database", database]).stderr(Stdio::null());
        Self(worker.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn workers_make_what_servers_take_and_any_server_delivers_it() {
    let Some(database) = Database::start() else {
        eprintln!("skipped: PostgreSQL is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let flags = |workers| {
        let store = store.to_str().unwrap();
        [
            "--store",
            store,
            "--database",
            &database.url,
            "--workers",
            workers,
        ]
    };
    let data = |name: &str| folder.path().join(name);
    let first = Server::start_with(&data("first"), &flags("0"));
    let second = Server::start_with(&data("second"), &flags("0"));
    let _worker = Worker::start(store.to_str().unwrap(), &database.url);

    let asset = first.upload(&fixture("talk.mp4"), QUICK);
    let id = id(&asset);
    second.wait_for(id, &["complete"]);
    let (code, report) = verify(store.join("v").join(id).to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    let source = store.join("src").join(id).join("source");
    assert_eq!(
        std::fs::read(&source).unwrap(),
        std::fs::read(fixture("talk.mp4")).unwrap()
    );
    assert_eq!(second.get(&format!("/v/{id}/index.m3u8")).status, 200);
    assert_eq!(second.get(&format!("/src/{id}/source")).status, 404);

    // Removed through the other one, it is gone from the store and from who took it.
    let removed = second.ask("DELETE", &format!("/api/v1/assets/{id}"), "", b"");
    assert_eq!(removed.status, 204);
    assert!(source.metadata().is_err() && store.join("v").join(id).metadata().is_err());
    wait_until(|| data("first").join("src").join(id).metadata().is_err());
}

#[test]
fn a_worker_with_nothing_shared_says_what_is_missing() {
    let ran: Ran = headwater(["worker", "--store", "/tmp"])
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("--database postgres://"),
        "{}",
        ran.stderr
    );
    let flags = ["worker", "--database", "postgres://nobody@127.0.0.1:1/x"];
    let ran: Ran = headwater(flags).output().unwrap().into();
    assert!(ran.stderr.contains("--store s3://"), "{}", ran.stderr);
    let flags = [flags.as_slice(), &["--store", "/tmp"]].concat();
    let ran: Ran = headwater(flags).output().unwrap().into();
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it never held");
}
