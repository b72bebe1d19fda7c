//! Keys, scopes, origins, and what is no resource.

use super::server::{Fixture, Request, Set};
use crate::access;

fn closed() -> Set {
    let mut set = Set::open();
    set.access.open = false;
    set.access.allowed_origins = vec!["https://app.example".to_owned()];
    set
}

#[actix_web::test]
async fn a_key_opens_what_its_scopes_say() {
    let fixture = Fixture::with(closed()).await;
    let first = access::first_key(&fixture.catalog)
        .await
        .expect("made")
        .expect("the first");
    assert_eq!(
        access::first_key(&fixture.catalog).await.expect("ran"),
        None
    );
    let admin = format!("Bearer {first}");
    let none = fixture.send(Request::new("GET /assets")).await;
    none.assert_problem(401);
    assert_eq!(
        none.header("www-authenticate"),
        Some("Bearer realm=\"headwater\"")
    );
    let wrong = Request::new("GET /assets").header("X-Api-Key", "hw_wrong");
    fixture.send(wrong).await.assert_problem(401);

    let order = r#"{"name": "reader", "scopes": ["read"]}"#;
    let create = Request::new("POST /keys")
        .json(order)
        .header("Authorization", &admin);
    let made = fixture.send(create).await;
    assert_eq!(made.status, 201);
    let secret = made.json()["secret"]
        .as_str()
        .expect("shown once")
        .to_owned();
    let read = |line: &str, secret: &str| Request::new(line).header("X-Api-Key", secret);
    assert_eq!(fixture.send(read("GET /assets", &secret)).await.status, 200);
    for line in [
        "POST /assets",
        "GET /keys",
        "POST /uploads",
        "DELETE /assets/x",
    ] {
        fixture.send(read(line, &secret)).await.assert_problem(403);
    }
    let listed = fixture
        .send(Request::new("GET /keys").header("Authorization", &admin))
        .await;
    assert_eq!(listed.json()["keys"].as_array().expect("a list").len(), 2);
    assert!(
        !String::from_utf8_lossy(&listed.body).contains("hw_"),
        "no secret is listed"
    );

    let id = made.json()["id"].as_str().expect("id").to_owned();
    let rotate = Request::new(&format!("POST /keys/{id}/rotate")).header("Authorization", &admin);
    let rotated = fixture.send(rotate.clone()).await.json();
    let newer = rotated["secret"].as_str().expect("shown once");
    assert_eq!(rotated["scopes"], serde_json::json!(["read"]));
    fixture
        .send(read("GET /assets", &secret))
        .await
        .assert_problem(401);
    assert_eq!(fixture.send(read("GET /assets", newer)).await.status, 200);
    fixture.send(rotate).await.assert_problem(404);
}

#[actix_web::test]
async fn the_last_key_to_everything_stays() {
    let fixture = Fixture::with(closed()).await;
    let secret = access::first_key(&fixture.catalog)
        .await
        .expect("made")
        .expect("the first");
    let id = fixture.catalog.keys().await.expect("listed")[0].id.clone();
    let delete = Request::new(&format!("DELETE /keys/{id}")).header("X-Api-Key", &secret);
    fixture.send(delete.clone()).await.assert_problem(409);
    let order = r#"{"name": "other", "scopes": ["admin"], "expires_in_s": 60}"#;
    let create = Request::new("POST /keys")
        .json(order)
        .header("X-Api-Key", &secret);
    let other = fixture.send(create).await.json()["secret"]
        .as_str()
        .expect("shown")
        .to_owned();
    assert_eq!(
        fixture
            .send(delete.header("X-Api-Key", &other))
            .await
            .status,
        204
    );
    fixture.clock.advance(60_000);
    let late = Request::new("GET /keys").header("X-Api-Key", &other);
    fixture.send(late).await.assert_problem(401);
}

#[actix_web::test]
async fn a_wrong_key_order_is_refused() {
    let fixture = Fixture::open().await;
    let table = [
        (r#"{"name": "", "scopes": ["read"]}"#, 422),
        (r#"{"name": "x", "scopes": []}"#, 422),
        (r#"{"name": "x", "scopes": ["root"]}"#, 422),
        (
            r#"{"name": "x", "scopes": ["read"], "expires_in_s": 0}"#,
            422,
        ),
        (r#"{"name": "x", "scopes": ["read"], "expires": 0}"#, 422),
        (r#"{"name": "x"}"#, 422),
        (r#"{"name""#, 400),
    ];
    for (json, status) in table {
        fixture
            .send(Request::new("POST /keys").json(json))
            .await
            .assert_problem(status);
    }
    let typeless = Request::new("POST /keys").body(b"{}");
    fixture.send(typeless).await.assert_problem(415);
    let long = Request::new("POST /keys").json(&" ".repeat(300_000));
    fixture.send(long).await.assert_problem(413);
    assert!(fixture.catalog.keys().await.expect("listed").is_empty());
}

#[actix_web::test]
async fn an_open_server_is_for_its_own_pages_only() {
    let fixture = Fixture::open().await;
    let get = || Request::new("GET /assets");
    assert_eq!(
        fixture
            .send(get().header("Origin", "http://localhost"))
            .await
            .status,
        200
    );
    fixture
        .send(get().header("Origin", "https://evil.example"))
        .await
        .assert_problem(403);
    fixture
        .send(get().header("Host", "evil.example"))
        .await
        .assert_problem(403);
    let post = Request::new("POST /assets")
        .body(b"x")
        .header("Origin", "null");
    let refused = fixture.send(post).await;
    refused.assert_problem(403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    fixture.assert_nothing_left().await;
}

#[actix_web::test]
async fn allowed_origins_may_ask_and_read() {
    let fixture = Fixture::with(closed()).await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS /assets")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
    };
    let allowed = fixture.send(preflight("https://app.example")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert!(
        allowed
            .header("access-control-allow-methods")
            .is_some_and(|m| m.contains("PATCH"))
    );
    let get = Request::new("GET /assets").header("Origin", "https://app.example");
    let refused = fixture.send(get).await;
    refused.assert_problem(401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(refused.header("vary"), Some("Origin"));
    let other = fixture.send(preflight("https://evil.example")).await;
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[actix_web::test]
async fn what_is_no_resource_or_method_is_a_problem() {
    let fixture = Fixture::open().await;
    for path in [
        "/",
        "/nothing",
        "/assets/",
        "/assets/x/y",
        "/keys/a/b/c",
        "/tasks/x/retry",
    ] {
        let line = format!("POST {path}");
        fixture.send(Request::new(&line)).await.assert_problem(404);
    }
    let table = [
        ("PUT /assets", "GET, HEAD, POST"),
        ("PATCH /assets/x", "DELETE, GET, HEAD"),
        ("GET /assets/x/retry", "POST"),
        ("DELETE /openapi.json", "GET, HEAD"),
        ("TRACE /keys", "GET, HEAD, POST"),
        ("GET /uploads", "OPTIONS, POST"),
    ];
    for (line, allow) in table {
        let answer = fixture.send(Request::new(line)).await;
        answer.assert_problem(405);
        assert_eq!(answer.header("allow"), Some(allow), "{line}");
    }
}

#[actix_web::test]
async fn the_description_is_for_everybody() {
    let fixture = Fixture::with(closed()).await;
    let answer = fixture.send(Request::new("GET /openapi.json")).await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let create = &document["paths"]["/assets"]["post"];
    let problem = &create["responses"]["413"]["content"]["application/problem+json"];
    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
}

#[actix_web::test]
async fn dead_tasks_are_seen_and_tried_again() {
    let fixture = Fixture::open().await;
    let id = fixture
        .send(Request::new("POST /assets").body(b"x"))
        .await
        .id();
    let claim = fixture
        .queue
        .claim("w", crate::media::Priority::Batch)
        .await;
    let claim = claim.expect("asked").expect("a task");
    let error = crate::error::Error::invalid("no video in it");
    fixture
        .queue
        .finish(&claim, Err(&error))
        .await
        .expect("ended");
    fixture
        .catalog
        .failed(&claim.asset, &(&error).into())
        .await
        .expect("ran");
    let dead = fixture.send(Request::new("GET /tasks/dead")).await.json();
    let task = &dead["tasks"][0];
    assert_eq!(
        (task["asset"].as_str(), &task["error"]["message"]),
        (Some(id.as_str()), &"no video in it".into())
    );
    assert!(task["work"]["index"].is_object());
    let retry = Request::new(&format!("POST /tasks/{}/retry", task["id"]));
    assert_eq!(fixture.send(retry.clone()).await.status, 204);
    assert_eq!(fixture.state(&id).await, "indexing");
    fixture.send(retry).await.assert_problem(404);
}
