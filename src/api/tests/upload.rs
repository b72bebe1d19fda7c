//! Conversations in tus 1.0.0.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;

use super::server::{Answer, Fixture, Request, Set, read_answer, soon};
use crate::media::AssetId;

fn bytes(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

async fn create(fixture: &Fixture, length: usize) -> String {
    let request = Request::tus("POST /uploads").header("Upload-Length", length);
    let answer = fixture.send(request).await;
    assert_eq!(
        answer.status,
        201,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    answer
        .header("headwater-asset")
        .expect("an asset")
        .to_owned()
}

async fn offset(fixture: &Fixture, id: &str) -> Option<u64> {
    let answer = fixture
        .send(Request::tus(&format!("HEAD /uploads/{id}")))
        .await;
    answer.header("upload-offset")?.parse().ok()
}

fn assert_taken(answer: &Answer, offset: u64) {
    assert_eq!(
        answer.status,
        204,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let said = answer.header("upload-offset").map(str::to_owned);
    assert_eq!(said, Some(offset.to_string()));
    assert_eq!(answer.header("tus-resumable"), Some("1.0.0"));
}

fn checksum(algorithm: &str, body: &[u8]) -> String {
    use sha1::Digest;
    let sum = match algorithm {
        "sha1" => STANDARD.encode(sha1::Sha1::digest(body)),
        _ => STANDARD.encode(sha2::Sha256::digest(body)),
    };
    format!("{algorithm} {sum}")
}

#[actix_web::test]
async fn the_server_says_what_it_can() {
    let fixture = Fixture::open().await;
    let answer = fixture.send(Request::new("OPTIONS /uploads")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("tus-version"), Some("1.0.0"));
    let extensions = "creation,creation-with-upload,expiration,checksum,termination";
    assert_eq!(answer.header("tus-extension"), Some(extensions));
    assert_eq!(answer.header("tus-checksum-algorithm"), Some("sha1,sha256"));
    assert_eq!(answer.header("tus-max-size"), Some("68719476736"));
}

#[actix_web::test]
async fn an_upload_goes_on_after_a_lost_connection_and_a_restart() {
    let fixture = Fixture::open().await;
    let file = bytes(3_000_000);
    let said = format!(
        "filename {},title {}",
        STANDARD.encode("a.mp4"),
        STANDARD.encode("Æ")
    );
    let request = Request::tus("POST /uploads").header("Upload-Length", file.len());
    let created = fixture.send(request.header("Upload-Metadata", &said)).await;
    let id = created
        .header("headwater-asset")
        .expect("an asset")
        .to_owned();
    let location = format!("/api/v1/uploads/{id}");
    assert_eq!(created.header("location"), Some(location.as_str()));
    assert_eq!(
        created.header("upload-expires"),
        Some("Sat, 16 Jan 2027 08:00:00 GMT")
    );
    let asset = fixture
        .send(Request::new(&format!("GET /assets/{id}")))
        .await
        .json();
    assert_eq!(
        (asset["state"].as_str(), asset["title"].as_str()),
        (Some("uploading"), Some("Æ"))
    );

    let first = fixture
        .send(Request::patch(&id, 0, &file[..1_000_000]))
        .await;
    assert_taken(&first, 1_000_000);
    let mut lost = fixture.connect().await;
    let second = Request::patch(&id, 1_000_000, &file[1_000_000..1_700_000]);
    lost.write_all(&second.saying_length(2_000_000).bytes())
        .await
        .expect("sent");
    lost.shutdown().await.expect("closed");
    drop(lost);
    soon("what came is kept", async || {
        offset(&fixture, &id).await == Some(1_700_000)
    })
    .await;

    let fixture = fixture.restarted(Set::open()).await;
    let head = fixture
        .send(Request::tus(&format!("HEAD /uploads/{id}")))
        .await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("upload-offset"), Some("1700000"));
    assert_eq!(head.header("upload-length"), Some("3000000"));
    assert_eq!(head.header("upload-metadata"), Some(said.as_str()));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    let rest = fixture
        .send(Request::patch(&id, 1_700_000, &file[1_700_000..]))
        .await;
    assert_taken(&rest, 3_000_000);

    assert_eq!(fixture.state(&id).await, "indexing");
    assert_eq!(std::fs::read(fixture.source(&id)).expect("stored"), file);
    let asset = AssetId::parse(&id).expect("an id");
    let asset = fixture
        .catalog
        .asset(&asset)
        .await
        .expect("asked")
        .expect("there");
    let digest = blake3::hash(&file).to_hex().to_string();
    assert_eq!(asset.source_digest, Some(digest));
    assert_eq!(fixture.queue.depth().await.expect("asked").queued, 1);
    // A client that didn't hear the last answer asks, or sends nothing more.
    assert_eq!(offset(&fixture, &id).await, Some(3_000_000));
    assert_taken(
        &fixture.send(Request::patch(&id, 3_000_000, b"")).await,
        3_000_000,
    );
}

#[actix_web::test]
async fn a_file_may_come_with_its_creation() {
    let fixture = Fixture::open().await;
    let file = bytes(1000);
    let begin = |body: &[u8]| {
        Request::tus("POST /uploads")
            .header("Upload-Length", 1000)
            .header("Content-Type", "application/offset+octet-stream")
            .body(body)
    };
    let whole = fixture.send(begin(&file)).await;
    assert_eq!(
        (whole.status, whole.header("upload-offset")),
        (201, Some("1000"))
    );
    let id = whole.header("headwater-asset").expect("an asset");
    assert_eq!(fixture.state(id).await, "indexing");
    let half = fixture.send(begin(&file[..400])).await;
    assert_eq!(
        (half.status, half.header("upload-offset")),
        (201, Some("400"))
    );
    fixture.send(begin(&bytes(1001))).await.assert_problem(413);
}

#[actix_web::test]
async fn what_tus_forbids_is_refused() {
    let fixture = Fixture::open().await;
    let id = create(&fixture, 10).await;
    let patch = || Request::patch(&id, 0, b"12345");
    let table = [
        (
            412,
            Request::new("POST /uploads").header("Upload-Length", 5),
        ),
        (412, patch().header("Tus-Resumable", "0.2.2")),
        (400, Request::tus("POST /uploads")),
        (
            400,
            Request::tus("POST /uploads").header("Upload-Length", -1),
        ),
        (
            400,
            Request::tus("POST /uploads").header("Upload-Defer-Length", 1),
        ),
        (
            422,
            Request::tus("POST /uploads").header("Upload-Length", 0),
        ),
        (
            413,
            Request::tus("POST /uploads").header("Upload-Length", u64::MAX),
        ),
        (
            400,
            Request::tus("POST /uploads")
                .header("Upload-Length", 5)
                .header("Upload-Metadata", "a !"),
        ),
        (
            422,
            Request::tus("POST /uploads?policy=big").header("Upload-Length", 5),
        ),
        (415, patch().header("Content-Type", "video/mp4")),
        (400, patch().header("Upload-Offset", "x")),
        (409, patch().header("Upload-Offset", 3)),
        (413, patch().body(b"more than ten bytes")),
        (
            413,
            patch()
                .body(b"more than ten bytes")
                .header("Transfer-Encoding", "chunked"),
        ),
        (400, patch().header("Upload-Checksum", "crc32 AAAA")),
        (404, Request::patch("nobody", 0, b"12345")),
        (404, Request::tus("DELETE /uploads/nobody")),
        (405, Request::tus(&format!("GET /uploads/{id}"))),
        (405, Request::tus("PUT /uploads")),
    ];
    for (status, request) in table {
        let answer = fixture.send(request.clone()).await;
        assert_eq!(answer.status, status, "{request:?}");
        answer.assert_problem(status);
        if status == 412 {
            assert_eq!(answer.header("tus-version"), Some("1.0.0"));
        }
    }
    assert_eq!(offset(&fixture, &id).await, Some(0));
    assert_eq!(fixture.sources().len(), 1, "one upload, begun");
}

#[actix_web::test]
async fn only_bytes_that_come_to_their_checksum_count() {
    let fixture = Fixture::open().await;
    let id = create(&fixture, 10).await;
    let send = |offset, body: &'static [u8], said: String| {
        fixture.send(Request::patch(&id, offset, body).header("Upload-Checksum", said))
    };
    assert_taken(&send(0, b"12345", checksum("sha1", b"12345")).await, 5);
    send(5, b"67890", checksum("sha256", b"67899"))
        .await
        .assert_problem(460);
    assert_eq!(offset(&fixture, &id).await, Some(5));
    let cut = Request::patch(&id, 5, b"678").header("Upload-Checksum", checksum("sha1", b"67890"));
    let mut lost = fixture.connect().await;
    lost.write_all(&cut.saying_length(5).bytes())
        .await
        .expect("sent");
    drop(lost);
    soon("it is free again", async || {
        let answer = send(5, b"6789", checksum("sha1", b"6789")).await;
        answer.status == 204
    })
    .await;
    assert_taken(&send(9, b"0", checksum("sha256", b"0")).await, 10);
    assert_eq!(
        std::fs::read(fixture.source(&id)).expect("stored"),
        b"1234567890"
    );
}

#[actix_web::test]
async fn two_requests_cannot_write_to_one_upload() {
    let fixture = Fixture::open().await;
    let id = create(&fixture, 10).await;
    let mut first = fixture.connect().await;
    let request = Request::patch(&id, 0, b"1234").saying_length(5);
    first.write_all(&request.bytes()).await.expect("sent");
    soon("the first has it", async || !fixture.sources().is_empty()).await;
    let second = fixture.send(Request::patch(&id, 0, b"12345")).await;
    second.assert_problem(423);
    fixture
        .send(Request::tus(&format!("DELETE /uploads/{id}")))
        .await
        .assert_problem(423);
    first.write_all(b"5").await.expect("sent");
    assert_taken(&read_answer(&mut first).await, 5);
    assert_taken(&fixture.send(Request::patch(&id, 5, b"67890")).await, 10);
}

#[actix_web::test]
async fn a_terminated_upload_leaves_nothing() {
    let fixture = Fixture::open().await;
    let id = create(&fixture, 10).await;
    assert_taken(&fixture.send(Request::patch(&id, 0, b"12345")).await, 5);
    let delete = Request::tus(&format!("DELETE /uploads/{id}"));
    assert_eq!(fixture.send(delete.clone()).await.status, 204);
    fixture.assert_nothing_left().await;
    fixture.send(delete).await.assert_problem(404);
    assert_eq!(offset(&fixture, &id).await, None);
}

#[actix_web::test]
async fn an_expired_upload_leaves_nothing() {
    let fixture = Fixture::open().await;
    let (id, done) = (create(&fixture, 10).await, create(&fixture, 1).await);
    assert_taken(&fixture.send(Request::patch(&done, 0, b"1")).await, 1);
    fixture.clock.advance(23 * 3_600_000);
    assert_taken(&fixture.send(Request::patch(&id, 0, b"12345")).await, 5);
    fixture.clock.advance(23 * 3_600_000);
    fixture.ingest.sweep().await.expect("swept");
    assert_eq!(
        offset(&fixture, &id).await,
        Some(5),
        "each byte gives it new time"
    );
    fixture.clock.advance(2 * 3_600_000);
    fixture
        .send(Request::patch(&id, 5, b"67890"))
        .await
        .assert_problem(410);
    fixture.ingest.sweep().await.expect("swept");
    fixture
        .send(Request::patch(&id, 5, b"67890"))
        .await
        .assert_problem(404);
    assert_eq!(fixture.state(&id).await, "gone");
    assert_eq!(fixture.state(&done).await, "indexing");
    assert_eq!(fixture.sources(), [format!("{done}/source")]);
}

#[actix_web::test]
async fn uploads_are_promised_their_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = rustix::fs::statvfs(folder.path()).expect("asked");
    let free = disk.f_bavail * disk.f_frsize;
    let mut set = Set::open();
    set.ingest.max_upload_bytes = u64::MAX;
    let fixture = Fixture::with(set.clone()).await;
    let most = usize::try_from(free / 10 * 6).expect("a length");
    let id = create(&fixture, most).await;
    let second = Request::tus("POST /uploads").header("Upload-Length", most);
    fixture.send(second.clone()).await.assert_problem(507);
    let fixture = fixture.restarted(set).await;
    fixture.send(second).await.assert_problem(507);
    fixture
        .send(Request::tus(&format!("DELETE /uploads/{id}")))
        .await;
    create(&fixture, most).await;
}

#[actix_web::test]
async fn a_creation_sent_again_is_the_same_upload() {
    let fixture = Fixture::open().await;
    let request = Request::tus("POST /uploads").header("Idempotency-Key", "k");
    let first = fixture
        .send(request.clone().header("Upload-Length", 10))
        .await;
    let id = first
        .header("headwater-asset")
        .expect("an asset")
        .to_owned();
    assert_taken(&fixture.send(Request::patch(&id, 0, b"12345")).await, 5);
    let again = fixture
        .send(request.clone().header("Upload-Length", 10))
        .await;
    assert_eq!(again.status, 201);
    assert_eq!(again.header("headwater-asset"), Some(id.as_str()));
    assert_eq!(again.header("upload-offset"), Some("5"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    fixture
        .send(request.header("Upload-Length", 11))
        .await
        .assert_problem(422);
}

#[actix_web::test]
async fn what_a_crash_left_is_brought_in_order() {
    let fixture = Fixture::open().await;
    // All bytes came; the program stopped before it could say so, or before it gave them a name.
    let (named, unnamed) = (create(&fixture, 5).await, create(&fixture, 5).await);
    let write = |path: std::path::PathBuf, bytes: &[u8]| {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    };
    write(fixture.source(&named), b"12345");
    write(
        fixture.source(&unnamed).with_file_name("source.part"),
        b"12345",
    );
    // A body without an upload that could go on, and one without an asset.
    write(
        fixture.source("orphan").with_file_name("source.part"),
        b"123",
    );
    let broken = create(&fixture, 5).await;
    let broken_id = AssetId::parse(&broken).expect("an id");
    fixture
        .catalog
        .remove_upload(&broken_id)
        .await
        .expect("ran");

    let fixture = fixture.restarted(Set::open()).await;
    assert_eq!(fixture.state(&named).await, "indexing");
    assert_eq!(fixture.state(&unnamed).await, "indexing");
    assert_eq!(fixture.state(&broken).await, "gone");
    let mut whole = [format!("{named}/source"), format!("{unnamed}/source")];
    whole.sort();
    assert_eq!(fixture.sources(), whole);
    assert_eq!(fixture.queue.depth().await.expect("asked").queued, 2);
}
