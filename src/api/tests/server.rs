//! A server in a folder of its own, and a client that says exactly what it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::access::{self, Access};
use crate::api::{AddedText, Captions, NewText, Removal, Streams, routes};
use crate::catalog::{Catalog, NewCaption};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::ingest::{self, Ingest, Shares};
use crate::media::{AssetId, Policy};
use crate::outbound;
use crate::queue::{self, Queue};
use crate::source::Sources;

/// When the clock of a fixture starts.
const START_MILLIS: i64 = 1_800_000_000_000;

/// A server with its folder. Dropping it stops the server, not the folder's life.
pub(super) struct Fixture {
    pub(super) folder: Arc<tempfile::TempDir>,
    pub(super) clock: Clock,
    pub(super) catalog: Catalog,
    pub(super) queue: Queue,
    pub(super) ingest: Ingest,
    pub(super) streams: Streams,
    pub(super) address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
}

/// What differs between fixtures.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    pub(super) ingest: ingest::Options,
    pub(super) access: access::Options,
}

impl Set {
    /// Open to everybody on this machine.
    pub(super) fn open() -> Self {
        Self {
            ingest: ingest::Options {
                min_free_disk_bytes: 0,
                ..ingest::Options::default()
            },
            access: access::Options {
                open: true,
                ..access::Options::default()
            },
        }
    }
}

impl Fixture {
    pub(super) async fn open() -> Self {
        Self::with(Set::open()).await
    }

    pub(super) async fn with(set: Set) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::over(folder, Clock::held_at(START_MILLIS), set).await
    }

    /// Another process over the same folder.
    pub(super) async fn restarted(self, set: Set) -> Self {
        self.handle.stop(false).await;
        let (folder, clock) = (Arc::clone(&self.folder), self.clock.clone());
        drop(self);
        Self::over(folder, clock, set).await
    }

    async fn over(folder: Arc<tempfile::TempDir>, clock: Clock, set: Set) -> Self {
        let data = folder.path();
        let catalog = Catalog::open(data.join("catalog.sqlite"), clock.clone());
        let catalog = catalog.await.expect("a catalog");
        let queue = Queue::new(catalog.clone(), clock.clone(), queue::Options::default());
        let outside = outbound::Options {
            allow_loopback: true,
            allow_private: false,
        };
        let small = Policy {
            crf: 30,
            ..Policy::default()
        };
        let ingest = Ingest::new(
            catalog.clone(),
            queue.clone(),
            clock.clone(),
            outbound::Client::new(outside).expect("a client"),
            Shares::new(Sources::on_one_machine(data), None),
            set.ingest,
            BTreeMap::from([("small".to_owned(), small)]),
        );
        let ingest = ingest.expect("the folder can be written");
        ingest.recover().await.expect("recovered");
        let streams = Streams::default();
        let parts = Parts {
            catalog: catalog.clone(),
            queue: queue.clone(),
            ingest: ingest.clone(),
            access: Access::new(catalog.clone(), set.access),
            streams: streams.clone(),
        };
        let (address, handle) = listen(parts);
        Self {
            folder,
            clock,
            catalog,
            queue,
            ingest,
            streams,
            address,
            handle,
        }
    }

    /// Sends a request whole and reads the answer whole.
    pub(super) async fn send(&self, request: Request) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(&request.bytes()).await.expect("sent");
        read_answer(&mut stream).await
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// The names of everything below `src`, sorted.
    pub(super) fn sources(&self) -> Vec<String> {
        let root = self.folder.path().join("src");
        let mut names = Vec::new();
        for folder in std::fs::read_dir(&root).expect("there") {
            let folder = folder.expect("listed").path();
            let mut inside = 0;
            for file in std::fs::read_dir(&folder).expect("there") {
                let file = file.expect("listed").path();
                names.push(
                    file.strip_prefix(&root)
                        .expect("below")
                        .display()
                        .to_string(),
                );
                inside += 1;
            }
            if inside == 0 {
                names.push(folder.display().to_string());
            }
        }
        names.sort();
        names
    }

    pub(super) fn source(&self, id: &str) -> PathBuf {
        self.folder.path().join("src").join(id).join("source")
    }

    /// Nothing was left behind.
    pub(super) async fn assert_nothing_left(&self) {
        assert_eq!(self.sources(), Vec::<String>::new());
        let page = self.catalog.assets(None, 100).await.expect("listed");
        assert!(page.assets.is_empty());
        assert_eq!(self.queue.depth().await.expect("asked").queued, 0);
    }

    pub(super) async fn state(&self, id: &str) -> &'static str {
        let id = AssetId::parse(id).expect("an id");
        let asset = self.catalog.asset(&id).await.expect("asked");
        asset.map_or("gone", |asset| asset.state.name())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

#[derive(Clone)]
struct Parts {
    catalog: Catalog,
    queue: Queue,
    ingest: Ingest,
    access: Access,
    streams: Streams,
}

fn listen(parts: Parts) -> (SocketAddr, actix_web::dev::ServerHandle) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let app = move || {
        let parts = parts.clone();
        let removal: Arc<dyn Removal> = Arc::new(Rows(parts.catalog.clone()));
        let captions: Arc<dyn Captions> = Arc::new(Rows(parts.catalog.clone()));
        App::new()
            .app_data(web::Data::new(parts.catalog))
            .app_data(web::Data::new(parts.queue))
            .app_data(web::Data::new(parts.ingest))
            .app_data(web::Data::new(parts.access))
            .app_data(web::Data::new(parts.streams))
            .app_data(web::Data::from(removal))
            .app_data(web::Data::from(captions))
            .configure(routes)
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .listen(listener)
        .expect("listens")
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Removal and captions as far as rows go.
struct Rows(Catalog);

impl Removal for Rows {
    fn remove<'a>(&'a self, asset: &'a AssetId) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.0.remove_asset(asset))
    }
}

impl Captions for Rows {
    fn add<'a>(&'a self, asset: &'a AssetId, text: NewText) -> BoxFuture<'a, Result<AddedText>> {
        Box::pin(async move {
            if !text.body.starts_with(b"WEBVTT") {
                return Err(Error::invalid("neither WebVTT nor SRT"));
            }
            let new = NewCaption {
                asset: asset.clone(),
                name: text
                    .name
                    .unwrap_or_else(|| text.language.as_str().to_owned()),
                language: text.language,
                kind: text.kind,
                digest: "0".to_owned(),
            };
            self.0.put_caption(&new).await?;
            let captions = self.0.captions(asset).await?;
            Ok(AddedText {
                caption: captions.into_iter().next().expect("just added"),
                warnings: vec!["line 1: odd".to_owned()],
            })
        })
    }

    fn remove<'a>(&'a self, asset: &'a AssetId, caption: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let removed = self.0.remove_caption(asset, caption).await?;
            Ok(removed.is_some())
        })
    }
}

/// A request, as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The length that is said; `None` for that of the body.
    length: Option<u64>,
}

impl Request {
    /// `line` is method and path below `/api/v1`.
    pub(super) fn new(line: &str) -> Self {
        let (method, path) = line.split_once(' ').expect("method and path");
        Self {
            line: format!("{method} /api/v1{path}"),
            headers: Vec::new(),
            body: Vec::new(),
            length: None,
        }
        .header("Host", "localhost")
    }

    /// A tus request.
    pub(super) fn tus(line: &str) -> Self {
        Self::new(line).header("Tus-Resumable", "1.0.0")
    }

    /// A PATCH of bytes from an offset on.
    pub(super) fn patch(id: &str, offset: u64, body: &[u8]) -> Self {
        Self::tus(&format!("PATCH /uploads/{id}"))
            .header("Content-Type", "application/offset+octet-stream")
            .header("Upload-Offset", offset)
            .body(body)
    }

    /// Replaces a header of that name.
    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(super) fn json(self, body: &str) -> Self {
        self.header("Content-Type", "application/json")
            .body(body.as_bytes())
    }

    /// Says another length than the body has.
    pub(super) fn saying_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} HTTP/1.1\r\nConnection: close\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = self
            .headers
            .iter()
            .any(|(name, _)| name == "Transfer-Encoding");
        if !chunked {
            let length = self.length.unwrap_or(self.body.len() as u64);
            text.push_str(&format!("Content-Length: {length}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if chunked {
            for piece in self.body.chunks(1000) {
                bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    pub(super) fn id(&self) -> String {
        self.json()["id"].as_str().expect("an asset").to_owned()
    }

    /// It is a problem of that status, as RFC 9457 has them, which no cache keeps.
    pub(super) fn assert_problem(&self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("private, no-store"));
        let details = self.json();
        assert_eq!(details["status"], status);
        for part in ["type", "title", "detail"] {
            assert!(
                details[part].as_str().is_some_and(|text| !text.is_empty()),
                "{part}"
            );
        }
        details
    }
}

/// Reads to the end of the connection.
pub(super) async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // Who refuses a body may close while it is still being sent.
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let mut lines = head.split("\r\n");
    let status = lines.next().expect("a status line");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answer {
        status: status
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number"),
        headers: headers.collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// Looks again until it is so; for what happens soon after, on the server's side.
pub(super) async fn soon(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
