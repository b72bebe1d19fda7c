//! Events of an asset, as they come.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Fixture, Request, read_answer};
use crate::error::ErrorKind;
use crate::media::{AssetId, Failure};

/// A client that listens.
struct Listener {
    stream: TcpStream,
    heard: String,
}

impl Listener {
    async fn new(fixture: &Fixture, request: Request) -> Self {
        let mut stream = fixture.connect().await;
        stream.write_all(&request.bytes()).await.expect("sent");
        Self {
            stream,
            heard: String::new(),
        }
    }

    /// Listens until `text` was heard; everything up to its end.
    async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(text) {
                return self.heard.drain(..at + text.len()).collect();
            }
            let mut bytes = [0; 4096];
            let got = self.stream.read(&mut bytes).await.expect("read");
            assert!(got > 0, "ended before {text}: {}", self.heard);
            self.heard
                .push_str(std::str::from_utf8(&bytes[..got]).expect("text"));
        }
    }

    async fn rest(mut self) -> String {
        self.stream
            .read_to_string(&mut self.heard)
            .await
            .expect("read");
        self.heard
    }
}

async fn asset(fixture: &Fixture) -> (AssetId, Request) {
    let id = fixture
        .send(Request::new("POST /assets").body(b"x"))
        .await
        .id();
    let request = Request::new(&format!("GET /assets/{id}/events"));
    (AssetId::parse(&id).expect("an id"), request)
}

async fn fail(fixture: &Fixture, id: &AssetId) {
    let failure = Failure {
        kind: ErrorKind::Invalid,
        message: "no video".to_owned(),
    };
    assert!(fixture.catalog.failed(id, &failure).await.expect("ran"));
}

#[actix_web::test]
async fn a_stream_begins_with_the_state_and_ends_with_the_last() {
    let fixture = Fixture::open().await;
    let (id, request) = asset(&fixture).await;
    let mut listener = Listener::new(&fixture, request.clone()).await;
    let first = listener.until("\r\n\r\n").await;
    assert!(first.contains("content-type: text/event-stream"), "{first}");
    let first = listener.until("\n\n").await;
    assert!(
        first.contains("event: state\n") && first.contains("\"state\":\"indexing\""),
        "{first}"
    );
    fail(&fixture, &id).await;
    let rest = listener.rest().await;
    assert!(
        rest.contains("\"state\":\"failed\"") && rest.contains("no video"),
        "{rest}"
    );

    let number = rest
        .split("id: ")
        .nth(1)
        .and_then(|text| text.split('\n').next());
    let number = number.expect("a number").to_owned();
    let again = request.header("Last-Event-ID", &number);
    assert_eq!(fixture.send(again.clone()).await.status, 204);
    let earlier: i64 = number.parse().expect("a number");
    let missed = Listener::new(&fixture, again.header("Last-Event-ID", earlier - 1)).await;
    let missed = missed.rest().await;
    assert!(missed.contains(&format!("id: {number}\n")), "{missed}");
}

#[actix_web::test]
async fn a_removed_asset_ends_its_stream() {
    let fixture = Fixture::open().await;
    let (id, request) = asset(&fixture).await;
    let mut listener = Listener::new(&fixture, request.header("Last-Event-ID", "x")).await;
    listener.until("event: state\n").await;
    fixture.catalog.remove_asset(&id).await.expect("removed");
    assert!(listener.rest().await.contains("event: removed\n"));
}

#[actix_web::test]
async fn a_server_that_stops_ends_all_streams() {
    let fixture = Fixture::open().await;
    let (_, request) = asset(&fixture).await;
    let mut listener = Listener::new(&fixture, request.clone()).await;
    listener.until("event: state\n").await;
    fixture.streams.end();
    listener.rest().await;
    let mut late = fixture.connect().await;
    late.write_all(&request.bytes()).await.expect("sent");
    let late = read_answer(&mut late).await;
    assert!(String::from_utf8_lossy(&late.body).contains("event: state\n"));
}
