//! What webhooks promise, over real connections to a receiver on this machine.

use std::sync::Mutex;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, test};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::catalog::DeliveryState;
use crate::catalog::tests::{Fixture, failure, id, planned};

/// The answers of a receiver, and what it was sent.
#[derive(Default)]
struct Received {
    requests: Mutex<Vec<String>>,
    /// Status of the next answers; `None` for no answer at all. 204 when there are no more.
    answers: Mutex<Vec<Option<u16>>>,
}

struct Bench {
    fixture: Fixture,
    webhooks: Webhooks,
    received: Arc<Received>,
    url: String,
}

impl Bench {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let webhooks = webhooks(&fixture.catalog, &fixture.clock);
        let (url, received) = receiver().await;
        Self {
            fixture,
            webhooks,
            received,
            url,
        }
    }

    async fn add(&self, topics: &[Topic]) -> Webhook {
        let new = NewWebhook {
            url: self.url.clone(),
            topics: topics.to_vec(),
        };
        let added = self.fixture.catalog.create_webhook(&new).await;
        added.expect("added")
    }

    async fn asset_fails(&self, name: &str) {
        self.fixture.asset(name).await;
        let catalog = &self.fixture.catalog;
        assert!(catalog.failed(&id(name), &failure()).await.expect("ran"));
    }

    /// Posts what is due, once.
    async fn post_due(&self) -> usize {
        self.webhooks.write_messages().await.expect("written");
        let due = self.fixture.catalog.due_deliveries().await.expect("ran");
        for (delivery, webhook) in &due {
            let delivered = self.webhooks.deliver(delivery, webhook).await;
            delivered.expect("noted");
        }
        due.len()
    }

    async fn log(&self, webhook: &Webhook) -> Vec<Delivery> {
        let catalog = &self.fixture.catalog;
        let log = catalog.deliveries(&webhook.id, None, 100).await;
        log.expect("ran")
    }

    fn answer(&self, statuses: &[Option<u16>]) {
        let mut answers = self.received.answers.lock().expect("whole");
        answers.extend_from_slice(statuses);
    }

    fn requests(&self) -> Vec<String> {
        self.received.requests.lock().expect("whole").clone()
    }
}

fn webhooks(catalog: &Catalog, clock: &Clock) -> Webhooks {
    let options = outbound::Options {
        allow_loopback: true,
        ..outbound::Options::default()
    };
    let client = outbound::Client::new(options).expect("a client");
    let base = BaseUrl::parse("https://video.example.org").expect("a URL");
    Webhooks::new(catalog.clone(), client, clock.clone(), base)
}

async fn receiver() -> (String, Arc<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let received = Arc::new(Received::default());
    let shared = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_one(stream, Arc::clone(&shared)));
        }
    });
    (url, received)
}

async fn answer_one(mut stream: TcpStream, received: Arc<Received>) {
    let mut bytes = Vec::new();
    let whole = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let named = name.eq_ignore_ascii_case("content-length");
            named.then(|| value.trim().parse::<usize>().ok())?
        });
        (body.len() >= length?).then_some(text)
    };
    let request = loop {
        if let Some(request) = whole(&bytes) {
            break request;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    received.requests.lock().expect("whole").push(request);
    let next = {
        let mut answers = received.answers.lock().expect("whole");
        if answers.is_empty() {
            Some(204)
        } else {
            answers.remove(0)
        }
    };
    match next {
        Some(status) => {
            let answer =
                format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        None => std::future::pending().await,
    }
}

fn header_of<'a>(request: &'a str, name: &str) -> &'a str {
    let found = request.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    });
    found.unwrap_or_default()
}

#[tokio::test]
async fn an_event_is_told_once_also_by_the_next_start_of_the_program() {
    let bench = Bench::new().await;
    let webhook = bench.add(&[]).await;
    bench.asset_fails("a").await;
    // What was said before the program stopped is in the table only.
    let catalog = bench.fixture.again().await;
    let next = webhooks(&catalog, &bench.fixture.clock);
    next.write_messages().await.expect("written");
    next.write_messages().await.expect("written");
    bench.post_due().await;
    assert_eq!(bench.post_due().await, 0);

    let requests = bench.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = requests[0].split_once("\r\n\r\n").expect("a request");
    let message: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(message["type"], "asset.failed");
    assert_eq!(message["timestamp"], "1970-01-01T00:16:40.000Z");
    assert_eq!(message["data"]["error"]["message"], "no moov box");
    let page = "https://video.example.org/watch/a";
    assert_eq!(message["data"]["playback"]["page"], page);

    let log = bench.log(&webhook).await;
    assert_eq!((log.len(), log[0].state), (1, DeliveryState::Delivered));
    assert_eq!((log[0].attempts, log[0].last_status), (1, Some(204)));
    let expected = message::headers(&webhook, &log[0].id, body, 1_000_000);
    for (name, value) in expected {
        assert_eq!(header_of(head, name), value);
    }
}

#[tokio::test]
async fn a_webhook_hears_only_of_what_it_asked_for_and_of_nothing_before_it() {
    let bench = Bench::new().await;
    bench.asset_fails("early").await;
    let all = bench.add(&[]).await;
    let ready = bench.add(&[Topic::Ready]).await;
    bench.asset_fails("a").await;
    bench.fixture.asset("b").await;
    let catalog = &bench.fixture.catalog;
    catalog
        .uploaded(&id("b"), "feed", 1, None)
        .await
        .expect("ran");
    catalog.planned(&id("b"), &planned(1)).await.expect("ran");
    bench.fixture.asset("c").await;
    catalog.failed(&id("c"), &failure()).await.expect("ran");
    catalog.remove_asset(&id("c")).await.expect("ran");
    bench.webhooks.write_messages().await.expect("written");
    let topics = |log: Vec<Delivery>| log.iter().map(|one| one.topic).collect::<Vec<_>>();
    assert_eq!(topics(bench.log(&all).await), [Topic::Ready, Topic::Failed]);
    assert_eq!(topics(bench.log(&ready).await), [Topic::Ready]);
}

#[tokio::test]
async fn a_message_is_sent_again_for_three_days_and_then_given_up() {
    let bench = Bench::new().await;
    let webhook = bench.add(&[]).await;
    bench.asset_fails("a").await;
    bench.answer(&[Some(500); 9]);
    bench.answer(&[Some(302)]);
    let mut waited = Vec::new();
    for _ in 0..10 {
        assert_eq!(bench.post_due().await, 1);
        assert_eq!(bench.post_due().await, 0);
        let log = bench.log(&webhook).await;
        if let Some(at) = log[0].next_attempt_at_millis {
            let wait = at - bench.fixture.clock.now_millis();
            waited.push(wait / 1000);
            bench.fixture.clock.advance(wait);
        }
    }
    let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * 3600);
    assert_eq!(waited[..3], [5, 300, 1800]);
    assert_eq!(waited[3..], hours);
    let log = bench.log(&webhook).await;
    assert_eq!((log[0].state, log[0].attempts), (DeliveryState::Failed, 10));
    let error = log[0].last_error.as_deref().expect("a reason");
    assert!(error.contains("302; redirects are not followed"), "{error}");

    let catalog = &bench.fixture.catalog;
    let replayed = catalog.replay_delivery(&webhook.id, &log[0].id).await;
    assert_eq!(replayed.expect("ran").expect("there").attempts, 0);
    assert_eq!(bench.post_due().await, 1);
    let log = bench.log(&webhook).await;
    assert_eq!(log[0].state, DeliveryState::Delivered);
    assert_eq!(log[0].last_error, None);
    let ids: BTreeSet<String> = bench
        .requests()
        .iter()
        .map(|request| header_of(request, "webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled() {
    let bench = Bench::new().await;
    let webhook = bench.add(&[]).await;
    bench.asset_fails("a").await;
    bench.asset_fails("b").await;
    bench.answer(&[Some(410)]);
    assert_eq!(bench.post_due().await, 1);
    assert_eq!(bench.post_due().await, 0);
    bench.asset_fails("c").await;
    assert_eq!(bench.post_due().await, 0);
    let log = bench.log(&webhook).await;
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|one| one.state == DeliveryState::Failed));
    let catalog = &bench.fixture.catalog;
    let kept = catalog.webhook(&webhook.id).await.expect("ran");
    assert!(kept.expect("there").disabled);
    let replayed = catalog.replay_delivery(&webhook.id, &log[0].id).await;
    let kind = replayed.expect_err("disabled").kind();
    assert_eq!(kind, crate::error::ErrorKind::Conflict);
}

#[tokio::test]
async fn an_address_that_is_not_there_is_a_failed_attempt() {
    let bench = Bench::new().await;
    let new = NewWebhook {
        url: "http://10.1.2.3/hook".into(),
        topics: Vec::new(),
    };
    let webhook = bench.fixture.catalog.create_webhook(&new).await;
    bench.asset_fails("a").await;
    assert_eq!(bench.post_due().await, 1);
    let log = bench.log(&webhook.expect("added")).await;
    assert_eq!((log[0].state, log[0].attempts), (DeliveryState::Pending, 1));
    let error = log[0].last_error.as_deref().expect("a reason");
    assert!(error.contains("private network"), "{error}");
}

#[tokio::test]
async fn the_old_secret_signs_for_a_day() {
    let bench = Bench::new().await;
    let old = bench.add(&[]).await;
    let catalog = &bench.fixture.catalog;
    let new = catalog.rotate_webhook(&old.id).await.expect("ran");
    let new = new.expect("there");
    assert_ne!(new.secret, old.secret);
    assert_eq!(new.previous_secret.as_ref(), Some(&old.secret));
    bench.fixture.clock.advance(24 * 3600 * 1000);
    let kept = catalog.webhook(&old.id).await.expect("ran").expect("there");
    assert_eq!(kept.previous_secret, None);
    assert_eq!(catalog.rotate_webhook("none").await.expect("ran"), None);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other() {
    let bench = Bench::new().await;
    let (url, silent) = receiver().await;
    silent.answers.lock().expect("whole").push(None);
    let hanging = NewWebhook {
        url,
        topics: Vec::new(),
    };
    let catalog = &bench.fixture.catalog;
    catalog.create_webhook(&hanging).await.expect("added");
    let webhook = bench.add(&[]).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(run(bench.webhooks.clone(), async {
        let _ = stopped.await;
    }));
    for name in ["a", "b", "c"] {
        bench.asset_fails(name).await;
    }
    let all_came = async {
        while bench.requests().len() < 3 || silent.requests.lock().expect("whole").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(30), all_came).await;
    came.expect("three messages, and one that hangs");
    stop.send(()).expect("still running");
    running.await.expect("ended");
    let log = bench.log(&webhook).await;
    assert_eq!(log.len(), 3);
    assert_eq!(silent.requests.lock().expect("whole").len(), 1);
}

macro_rules! service {
    ($bench:expr) => {
        test::init_service(
            App::new()
                .app_data(web::Data::new($bench.webhooks.clone()))
                .configure(crate::problem::configure)
                .configure(routes),
        )
        .await
    };
}

macro_rules! call {
    ($service:expr, $method:ident, $path:expr) => {
        test::call_service(
            &$service,
            test::TestRequest::$method().uri($path).to_request(),
        )
        .await
    };
}

#[actix_web::test]
async fn the_secret_is_shown_where_it_is_made_and_nowhere_else() {
    let bench = Bench::new().await;
    let service = service!(bench);
    let order = json!({ "url": bench.url, "events": ["asset.failed", "asset.failed"] });
    let request = test::TestRequest::post().uri("/webhooks").set_json(order);
    let made = test::call_service(&service, request.to_request()).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let place = made.headers().get(header::LOCATION).expect("a place");
    let place = place.to_str().expect("text");
    let place = place
        .strip_prefix(API_PREFIX)
        .expect("in the API")
        .to_owned();
    let made: Value = test::read_body_json(made).await;
    assert_eq!(made["events"], json!(["asset.failed"]));
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44);

    let rotated: Value =
        test::read_body_json(call!(service, post, &format!("{place}/rotate"))).await;
    assert_ne!(rotated["secret"], json!(secret));
    for path in ["/webhooks", place.as_str()] {
        let shown = call!(service, get, path);
        assert_eq!(shown.status(), StatusCode::OK);
        let shown = test::read_body(shown).await;
        assert!(!String::from_utf8_lossy(&shown).contains("whsec_"));
    }
    let gone = call!(service, delete, &place);
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    for path in [place.clone(), format!("{place}/deliveries")] {
        assert_eq!(call!(service, get, &path).status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(
        call!(service, delete, &place).status(),
        StatusCode::NOT_FOUND
    );
}

#[actix_web::test]
async fn the_log_comes_in_pages_and_is_replayed() {
    let bench = Bench::new().await;
    let webhook = bench.add(&[]).await;
    for name in ["a", "b", "c"] {
        bench.asset_fails(name).await;
    }
    while bench.post_due().await > 0 {}
    let service = service!(bench);
    let path = format!("/webhooks/{}/deliveries", webhook.id);
    let mut names = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let query = if cursor.is_empty() {
            cursor
        } else {
            format!("&cursor={cursor}")
        };
        let page = call!(service, get, &format!("{path}?limit=2{query}"));
        let page: Value = test::read_body_json(page).await;
        for delivery in page["deliveries"].as_array().expect("a list") {
            assert_eq!(delivery["state"], "delivered");
            names.push(delivery["payload"]["data"]["id"].clone());
        }
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(names, ["c", "b", "a"]);

    let log = bench.log(&webhook).await;
    let replay = format!("{path}/{}/replay", log[0].id);
    let replayed = call!(service, post, &replay);
    assert_eq!(replayed.status(), StatusCode::ACCEPTED);
    let replayed: Value = test::read_body_json(replayed).await;
    assert_eq!(replayed["state"], "pending");
    assert_eq!(bench.post_due().await, 1);
    assert_eq!(bench.requests().len(), 4);
    let none = call!(service, post, &format!("{path}/msg_none/replay"));
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_wrong_order_is_refused_with_the_reason() {
    let bench = Bench::new().await;
    let service = service!(bench);
    let orders = [
        (json!({ "url": "http://10.0.0.1/" }), 422),
        (json!({ "url": "ftp://example.org/" }), 422),
        (json!({ "url": bench.url, "events": ["asset.eaten"] }), 422),
        (json!({ "url": bench.url, "colour": "red" }), 422),
        (json!({ "events": [] }), 422),
        (json!([]), 422),
    ];
    for (order, status) in orders {
        let request = test::TestRequest::post().uri("/webhooks").set_json(&order);
        let refused = test::call_service(&service, request.to_request()).await;
        assert_eq!(refused.status().as_u16(), status, "{order}");
    }
    let webhook = bench.add(&[]).await;
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x"] {
        let path = format!("/webhooks/{}/deliveries?{query}", webhook.id);
        let refused = call!(service, get, &path);
        assert_eq!(
            refused.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{query}"
        );
    }
    let refused = call!(service, put, "/webhooks");
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
}
