//! Sources from URLs, by servers that behave in their own ways.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::server::{Fixture, Request};
use crate::error::{ErrorKind, Result};
use crate::ingest::Progress;
use crate::media::AssetId;

/// Answers each connection with the next of `answers`; tells what was asked.
async fn server(answers: Vec<String>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/clip.mp4", listener.local_addr().expect("bound"));
    let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
    actix_web::rt::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut head = vec![0; 4096];
            let got = stream.read(&mut head).await.expect("read");
            let _ = tell.send(String::from_utf8_lossy(&head[..got]).to_ascii_lowercase());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n\r\n{body}")
}

async fn pull(fixture: &Fixture, url: &str) -> (String, Result<()>) {
    let json = format!(r#"{{"source": {{"url": "{url}"}}}}"#);
    let id = fixture
        .send(Request::new("POST /assets").json(&json))
        .await
        .id();
    let asset = AssetId::parse(&id).expect("an id");
    let stop = AtomicBool::new(false);
    let pulled = fixture.ingest.pull(&asset, &stop, &|_| {}).await;
    (id, pulled)
}

#[actix_web::test]
async fn a_download_that_breaks_goes_on_where_it_stopped() {
    let fixture = Fixture::open().await;
    let (url, mut asked) = server(vec![
        answer("200 OK", "content-length: 10\r\netag: \"v1\"", "12345"),
        answer(
            "206 Partial Content",
            "content-length: 5\r\ncontent-range: bytes 5-9/10\r\netag: \"v1\"",
            "67890",
        ),
    ])
    .await;
    let told = Mutex::new(Vec::new());
    let json = format!(r#"{{"source": {{"url": "{url}"}}}}"#);
    let id = fixture
        .send(Request::new("POST /assets").json(&json))
        .await
        .id();
    let asset = AssetId::parse(&id).expect("an id");
    let progress = |progress: Progress| told.lock().expect("sound").push(progress);
    let stop = AtomicBool::new(false);
    fixture
        .ingest
        .pull(&asset, &stop, &progress)
        .await
        .expect("pulled");
    assert_eq!(
        std::fs::read(fixture.source(&id)).expect("stored"),
        b"1234567890"
    );
    assert_eq!(fixture.state(&id).await, "indexing");
    let last = told.lock().expect("sound").last().copied();
    assert_eq!(
        last,
        Some(Progress {
            bytes: 10,
            total: Some(10)
        })
    );
    assert!(!asked.recv().await.expect("asked").contains("range"));
    let second = asked.recv().await.expect("asked");
    assert!(
        second.contains("range: bytes=5-\r\n") && second.contains("if-range: \"v1\""),
        "{second}"
    );
    let again = fixture.ingest.pull(&asset, &stop, &progress).await;
    again.expect("nothing to do");
}

#[actix_web::test]
async fn changed_bytes_are_fetched_from_the_beginning() {
    let fixture = Fixture::open().await;
    let (url, _asked) = server(vec![
        answer("200 OK", "content-length: 10\r\netag: \"v1\"", "12345"),
        answer("200 OK", "content-length: 4\r\netag: \"v2\"", "abcd"),
    ])
    .await;
    let (id, pulled) = pull(&fixture, &url).await;
    pulled.expect("pulled");
    assert_eq!(std::fs::read(fixture.source(&id)).expect("stored"), b"abcd");
}

#[actix_web::test]
async fn what_went_wrong_is_said_in_plain_words() {
    let fixture = Fixture::open().await;
    let table = [
        (
            answer("404 Not Found", "content-length: 0", ""),
            ErrorKind::NotFound,
            "nothing at this URL",
        ),
        (
            answer("403 Forbidden", "content-length: 0", ""),
            ErrorKind::Invalid,
            "isn't public",
        ),
        (
            answer("503 Busy", "content-length: 0", ""),
            ErrorKind::Unavailable,
            "in trouble",
        ),
        (
            answer("200 OK", "content-length: 0", ""),
            ErrorKind::Invalid,
            "empty",
        ),
        (
            answer("200 OK", "content-length: 99999999999999", ""),
            ErrorKind::Unsupported,
            "max_upload_bytes",
        ),
        (
            answer(
                "302 Found",
                "content-length: 0\r\nlocation: http://10.0.0.1/",
                "",
            ),
            ErrorKind::Invalid,
            "private",
        ),
    ];
    for (answer, kind, words) in table {
        let (url, _asked) = server(vec![answer]).await;
        let (_, pulled) = pull(&fixture, &url).await;
        let error = pulled.expect_err(words);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
