//! Assets by the three ways, refused ones, listings.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::server::{Fixture, Request, Set, read_answer, soon};

const FILE: &[u8] = b"not really a video";

fn post() -> Request {
    Request::new("POST /assets").body(FILE)
}

fn form(parts: &[(&str, &str)]) -> Request {
    let mut body = String::new();
    for (head, text) in parts {
        body.push_str(&format!(
            "--line\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n"
        ));
    }
    body.push_str("--line--\r\n");
    Request::new("POST /assets")
        .header("Content-Type", "multipart/form-data; boundary=line")
        .body(body.as_bytes())
}

#[actix_web::test]
async fn a_body_of_any_type_becomes_an_asset() {
    let fixture = Fixture::open().await;
    let types = [
        "",
        "application/x-www-form-urlencoded",
        "video/mp4",
        "text/plain",
    ];
    for content_type in types {
        let mut request = Request::new("POST /assets?title=A%20clip&policy=small").body(FILE);
        if !content_type.is_empty() {
            request = request.header("Content-Type", content_type);
        }
        let answer = fixture.send(request).await;
        assert_eq!(answer.status, 201, "{content_type}");
        let (asset, id) = (answer.json(), answer.id());
        assert_eq!(asset["state"], "indexing");
        assert_eq!(asset["title"], "A clip");
        let hls = format!("http://localhost/v/{id}/index.m3u8");
        assert_eq!(asset["playback"]["hls"], hls);
        let location = format!("/api/v1/assets/{id}");
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert_eq!(std::fs::read(fixture.source(&id)).expect("stored"), FILE);
    }
    assert_eq!(fixture.queue.depth().await.expect("asked").queued, 4);
    assert_eq!(fixture.sources().len(), 4, "no part is left");
}

#[actix_web::test]
async fn chunked_bodies_are_taken_whole() {
    let fixture = Fixture::open().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let request = Request::new("POST /assets").header("Transfer-Encoding", "chunked");
    let answer = fixture.send(request.body(&bytes)).await;
    assert_eq!(answer.status, 201);
    let stored = std::fs::read(fixture.source(&answer.id())).expect("stored");
    assert_eq!(stored, bytes);
    let id = answer.id().parse_id();
    let asset = fixture
        .catalog
        .asset(&id)
        .await
        .expect("asked")
        .expect("there");
    let digest = blake3::hash(&bytes).to_hex().to_string();
    assert_eq!(asset.source_digest, Some(digest));
    assert_eq!(asset.source_bytes, Some(3_000_000));
}

trait ParseId {
    fn parse_id(&self) -> crate::media::AssetId;
}

impl ParseId for String {
    fn parse_id(&self) -> crate::media::AssetId {
        crate::media::AssetId::parse(self).expect("an id")
    }
}

#[actix_web::test]
async fn a_form_becomes_an_asset() {
    let fixture = Fixture::open().await;
    let file = ("name=\"file\"; filename=\"holiday.mp4\"", "bytes");
    let answer = fixture
        .send(form(&[("name=\"policy\"", "small"), file]))
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["title"], "holiday.mp4");
    assert_eq!(
        std::fs::read(fixture.source(&answer.id())).expect("stored"),
        b"bytes"
    );
    let answer = fixture
        .send(form(&[
            file,
            ("name=\"title\"", "Later"),
            ("name=\"x\"", "y"),
        ]))
        .await;
    assert_eq!(answer.json()["title"], "Later");
}

#[actix_web::test]
async fn a_broken_form_leaves_nothing() {
    let fixture = Fixture::open().await;
    let file = ("name=\"file\"; filename=\"a.mp4\"", "bytes");
    fixture.send(form(&[])).await.assert_problem(400);
    fixture
        .send(form(&[("name=\"title\"", "x")]))
        .await
        .assert_problem(400);
    fixture.send(form(&[file, file])).await.assert_problem(400);
    fixture
        .send(form(&[("name=\"policy\"", "big"), file]))
        .await
        .assert_problem(422);
    fixture
        .send(form(&[("name=\"file\"", "")]))
        .await
        .assert_problem(422);
    let no_boundary = form(&[file]).header("Content-Type", "multipart/form-data");
    fixture.send(no_boundary).await.assert_problem(400);
    fixture.assert_nothing_left().await;
}

#[actix_web::test]
async fn a_url_becomes_an_asset_that_is_pulled() {
    let fixture = Fixture::open().await;
    let json = r#"{"source": {"url": "https://example.org/films/one.mp4"}, "policy": {"crf": 30}}"#;
    let answer = fixture.send(Request::new("POST /assets").json(json)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["state"], "uploading");
    assert_eq!(answer.json()["title"], "one.mp4");
    assert_eq!(fixture.queue.depth().await.expect("asked").queued, 1);
}

#[actix_web::test]
async fn a_wrong_order_is_refused_with_its_reason() {
    let fixture = Fixture::open().await;
    let table = [
        (
            r#"{"source": {"url": "http://10.0.0.1/x"}}"#,
            422,
            "private",
        ),
        (
            r#"{"source": {"url": "http://169.254.169.254/x"}}"#,
            422,
            "link-local",
        ),
        (r#"{"source": {"url": "ftp://example.org/x"}}"#, 422, "http"),
        (r#"{"source": {"url": "x"}}"#, 422, "URL"),
        (
            r#"{"source": {"url": "http://example.org/x"}, "policy": "big"}"#,
            422,
            "known are",
        ),
        (
            r#"{"source": {"url": "http://example.org/x"}, "policy": 7}"#,
            422,
            "policy",
        ),
        (
            r#"{"source": {"url": "http://example.org/x"}, "titel": "x"}"#,
            422,
            "titel",
        ),
        (r#"{"source": {}}"#, 422, "url"),
        (r"[]", 422, "JSON"),
        (r"{", 400, "JSON"),
        ("", 400, "JSON"),
    ];
    for (json, status, why) in table {
        let answer = fixture.send(Request::new("POST /assets").json(json)).await;
        let details = answer.assert_problem(status);
        let detail = details["detail"].as_str().expect("text");
        assert!(detail.contains(why), "{json}: {detail}");
    }
    let queries = [
        "policy=big",
        "policy=%7B%22crf%22%3A99%7D",
        "title=a&title=b",
    ];
    for query in queries {
        let request = Request::new(&format!("POST /assets?{query}")).body(FILE);
        fixture.send(request).await.assert_problem(422);
    }
    let coded = post().header("Content-Encoding", "gzip");
    fixture.send(coded).await.assert_problem(415);
    fixture.assert_nothing_left().await;
}

#[actix_web::test]
async fn an_empty_body_leaves_nothing() {
    let fixture = Fixture::open().await;
    fixture
        .send(Request::new("POST /assets"))
        .await
        .assert_problem(422);
    let chunked = Request::new("POST /assets").header("Transfer-Encoding", "chunked");
    fixture.send(chunked).await.assert_problem(422);
    fixture.assert_nothing_left().await;
}

#[actix_web::test]
async fn each_limit_names_itself_and_leaves_nothing() {
    let limited = |change: fn(&mut crate::ingest::Options)| {
        let mut set = Set::open();
        change(&mut set.ingest);
        set
    };
    let small = Fixture::with(limited(|options| options.max_upload_bytes = 10)).await;
    let announced = post().saying_length(1 << 40).body(b"");
    let chunked = post().header("Transfer-Encoding", "chunked");
    let file = ("name=\"file\"", "eleven bytes");
    for request in [post(), announced, chunked, form(&[file])] {
        let details = small.send(request).await.assert_problem(413);
        assert_eq!(details["limit"]["name"], "max_upload_bytes");
        assert_eq!(details["limit"]["value"], 10);
    }
    small.assert_nothing_left().await;

    let full = Fixture::with(limited(|options| options.min_free_disk_bytes = u64::MAX)).await;
    let details = full.send(post()).await.assert_problem(507);
    assert!(
        details["detail"]
            .as_str()
            .expect("text")
            .contains("min_free_disk_bytes")
    );
    full.assert_nothing_left().await;

    let busy = Fixture::with(limited(|options| options.max_concurrent_uploads = 0)).await;
    let answer = busy.send(post()).await;
    let details = answer.assert_problem(429);
    assert_eq!(details["limit"]["name"], "max_concurrent_uploads");
    assert!(answer.header("retry-after").is_some());
    busy.assert_nothing_left().await;
}

#[actix_web::test]
async fn a_client_that_stalls_is_cut_off() {
    let mut set = Set::open();
    set.ingest.idle_timeout = Duration::from_millis(50);
    let fixture = Fixture::with(set).await;
    let mut stream = fixture.connect().await;
    let request = post().saying_length(1000);
    stream.write_all(&request.bytes()).await.expect("sent");
    let answer = read_answer(&mut stream).await;
    assert_eq!(
        answer.assert_problem(408)["limit"]["name"],
        "upload_idle_seconds"
    );
    fixture.assert_nothing_left().await;
}

#[actix_web::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let fixture = Fixture::open().await;
    let mut stream = fixture.connect().await;
    let request = post().saying_length(1000);
    stream.write_all(&request.bytes()).await.expect("sent");
    soon("it begins", async || !fixture.sources().is_empty()).await;
    drop(stream);
    soon("it ends", async || fixture.sources().is_empty()).await;
    fixture.assert_nothing_left().await;
}

#[actix_web::test]
async fn a_request_sent_again_gets_the_same_asset() {
    let fixture = Fixture::open().await;
    let file = ("name=\"file\"", "bytes");
    let url = r#"{"source": {"url": "https://example.org/x"}}"#;
    let requests = [
        post(),
        form(&[file]),
        Request::new("POST /assets").json(url),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let keyed = request.header("Idempotency-Key", format!("key-{number}"));
        let first = fixture.send(keyed.clone()).await;
        let again = fixture.send(keyed.clone()).await;
        assert_eq!((first.status, again.status), (201, 201));
        assert_eq!(first.id(), again.id());
        assert_eq!(first.header("idempotent-replayed"), None);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let page = fixture.catalog.assets(None, 100).await.expect("listed");
    assert_eq!(page.assets.len(), 3);
    assert_eq!(fixture.sources().len(), 2);
}

#[actix_web::test]
async fn a_key_is_for_one_request_only() {
    let fixture = Fixture::open().await;
    let keyed = |request: Request| request.header("Idempotency-Key", "k");
    assert_eq!(fixture.send(keyed(post())).await.status, 201);
    let same_length = Request::new("POST /assets").body(b"not really a movie");
    let other_title = Request::new("POST /assets?title=x").body(FILE);
    let others = [
        same_length,
        Request::new("POST /assets").body(b"short"),
        other_title,
    ];
    for other in others {
        fixture.send(keyed(other)).await.assert_problem(422);
    }
    let bad = post().header("Idempotency-Key", "a b");
    fixture.send(bad).await.assert_problem(400);

    // A refused request gives its key back; a running one keeps it.
    let refused = Request::new("POST /assets").header("Idempotency-Key", "r");
    let chunked = refused.clone().header("Transfer-Encoding", "chunked");
    fixture.send(chunked).await.assert_problem(422);
    let mut running = fixture.connect().await;
    let slow = refused.clone().body(b"1234").saying_length(5).bytes();
    running.write_all(&slow).await.expect("sent");
    soon("it runs", async || fixture.sources().len() == 2).await;
    let conflict = fixture.send(refused.body(b"12345")).await;
    conflict.assert_problem(409);
    assert!(conflict.header("retry-after").is_some());
    running.write_all(b"5").await.expect("sent");
    assert_eq!(read_answer(&mut running).await.status, 201);
}

#[actix_web::test]
async fn listings_go_page_by_page() {
    let fixture = Fixture::open().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, fixture.send(post()).await.id());
        fixture.clock.advance(1);
    }
    let mut listed: Vec<String> = Vec::new();
    let mut path = "GET /assets?limit=2".to_owned();
    loop {
        let page = fixture.send(Request::new(&path)).await.json();
        let assets = page["assets"].as_array().expect("a list").clone();
        listed.extend(
            assets
                .iter()
                .map(|asset| asset["id"].as_str().expect("id").to_owned()),
        );
        match page["next"].as_str() {
            Some(cursor) => path = format!("GET /assets?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(listed, ids);
    for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=%00"] {
        let request = Request::new(&format!("GET /assets?{query}"));
        fixture.send(request).await.assert_problem(422);
    }
    let head = fixture.send(Request::new("HEAD /assets?limit=2")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[actix_web::test]
async fn assets_are_looked_at_removed_and_tried_again() {
    let fixture = Fixture::open().await;
    let id = fixture.send(post()).await.id();
    let at = |method: &str, rest: &str| Request::new(&format!("{method} /assets/{id}{rest}"));
    assert_eq!(fixture.send(at("GET", "")).await.id(), id);
    fixture.send(at("POST", "/retry")).await.assert_problem(409);
    let failure = crate::media::Failure {
        kind: crate::error::ErrorKind::Invalid,
        message: "no video".to_owned(),
    };
    fixture
        .catalog
        .failed(&id.parse_id(), &failure)
        .await
        .expect("ran");
    let failed = fixture.send(at("GET", "")).await.json();
    assert_eq!(failed["error"]["message"], "no video");
    let retried = fixture.send(at("POST", "/retry")).await;
    assert_eq!(
        (retried.status, retried.json()["state"].as_str()),
        (200, Some("indexing"))
    );

    assert_eq!(fixture.send(at("DELETE", "")).await.status, 204);
    for request in [
        at("DELETE", ""),
        at("GET", ""),
        at("POST", "/retry"),
        at("GET", "/events"),
    ] {
        fixture.send(request).await.assert_problem(404);
    }
    for name in ["A", "%00", "a%2Fb", "-", "%FF"] {
        fixture
            .send(Request::new(&format!("GET /assets/{name}")))
            .await
            .assert_problem(404);
    }
}

#[actix_web::test]
async fn text_tracks_are_added_listed_and_removed() {
    let fixture = Fixture::open().await;
    let id = fixture.send(post()).await.id();
    let at = |line: &str| {
        let (method, rest) = line.split_once(' ').expect("method");
        Request::new(&format!("{method} /assets/{id}/text{rest}"))
    };
    let added = fixture
        .send(at("POST ?lang=pt_br&kind=captions").body(b"WEBVTT\n"))
        .await;
    assert_eq!(
        added.status,
        201,
        "{:?}",
        String::from_utf8_lossy(&added.body)
    );
    assert_eq!(added.json()["language"], "pt-BR");
    assert_eq!(added.json()["warnings"][0], "line 1: odd");
    let listed = fixture.send(at("GET ")).await.json();
    assert_eq!(listed["text"][0]["kind"], "captions");
    let caption = added.json()["id"].as_str().expect("id").to_owned();

    fixture
        .send(at("POST ?lang=en").body(b"no captions"))
        .await
        .assert_problem(422);
    fixture
        .send(at("POST ?lang=%20").body(b"WEBVTT"))
        .await
        .assert_problem(422);
    fixture
        .send(at("POST ").body(b"WEBVTT"))
        .await
        .assert_problem(422);
    fixture
        .send(at("POST ?lang=en&kind=x").body(b"WEBVTT"))
        .await
        .assert_problem(422);
    let long = at("POST ?lang=en").body(&vec![b'x'; (5 << 20) + 1]);
    fixture.send(long).await.assert_problem(413);
    let elsewhere = Request::new("POST /assets/none/text?lang=en").body(b"WEBVTT");
    fixture.send(elsewhere).await.assert_problem(404);

    let remove = format!("DELETE /{caption}");
    assert_eq!(fixture.send(at(&remove)).await.status, 204);
    fixture.send(at(&remove)).await.assert_problem(404);
}
