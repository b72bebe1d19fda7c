//! What the pages answer with.

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::header;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};

use super::{Options, routes};

async fn answer(options: Options, request: TestRequest) -> ServiceResponse {
    let app = App::new()
        .app_data(web::Data::new(options))
        .configure(routes);
    let app = init_service(app).await;
    call_service(&app, request.to_request()).await
}

async fn get(path: &str) -> ServiceResponse {
    answer(Options::default(), TestRequest::get().uri(path)).await
}

fn header_of<'a>(response: &'a ServiceResponse, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| {
        value.to_str().expect("a header of ours is ASCII")
    })
}

async fn text(response: ServiceResponse) -> String {
    let body = to_bytes(response.into_body())
        .await
        .expect("the body is in memory");
    String::from_utf8(body.to_vec()).expect("a page is UTF-8")
}

/// The URLs of our own files in a page or script.
fn files_named(html: &str) -> Vec<&str> {
    html.split('"')
        .filter(|part| part.starts_with("/ui/"))
        .map(|url| url.split('#').next().unwrap_or(url))
        .collect()
}

#[actix_web::test]
async fn every_file_that_a_page_names_is_there_for_ever() {
    for path in ["/", "/watch/abc", "/watch/abc?embed", "/watch/-"] {
        let html = text(get(path).await).await;
        assert!(!html.contains("{{"), "{path} has an unfilled place");
        let files = files_named(&html);
        assert!(!files.is_empty(), "{path} names no file");
        for file in files {
            let response = get(file).await;
            assert_eq!(response.status(), 200, "{file}");
            let cache = header_of(&response, "cache-control");
            assert_eq!(cache, "public, max-age=31536000, immutable", "{file}");
            assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
        }
    }
}

/// Modules import each other by relative URL, so all must lie beside each other.
#[actix_web::test]
async fn every_module_that_a_script_imports_is_there() {
    for file in super::files::FILES
        .iter()
        .filter(|file| file.name.ends_with(".js"))
    {
        let script = std::str::from_utf8(file.bytes).expect("a script is UTF-8");
        for imported in script
            .split('\'')
            .filter_map(|part| part.strip_prefix("./"))
        {
            assert!(
                super::files::named(imported).is_some(),
                "{} imports {imported}",
                file.name
            );
        }
    }
}

#[actix_web::test]
async fn a_page_is_revalidated_and_answered_with_304() {
    let first = get("/").await;
    assert_eq!(first.status(), 200);
    assert_eq!(header_of(&first, "cache-control"), "no-cache");
    let etag = header_of(&first, "etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    for tags in [etag.clone(), format!("\"x\", W/{etag}"), String::from("*")] {
        let request = TestRequest::get()
            .uri("/")
            .insert_header((header::IF_NONE_MATCH, tags));
        let second = answer(Options::default(), request).await;
        assert_eq!(second.status(), 304);
        assert_eq!(header_of(&second, "etag"), etag);
        assert!(header_of(&second, "content-security-policy").contains("default-src 'self'"));
        assert!(text(second).await.is_empty());
    }
    let request = TestRequest::get()
        .uri("/")
        .insert_header((header::IF_NONE_MATCH, "\"x\""));
    assert_eq!(answer(Options::default(), request).await.status(), 200);
}

#[actix_web::test]
async fn only_the_embedded_player_may_be_framed_by_others() {
    for (path, ancestors) in [
        ("/", "frame-ancestors 'self'"),
        ("/watch/abc", "frame-ancestors 'self'"),
        ("/watch/abc?embedded=1", "frame-ancestors 'self'"),
        ("/watch/abc?embed", "frame-ancestors *"),
        ("/watch/abc?t=1&embed=1", "frame-ancestors *"),
    ] {
        let response = get(path).await;
        let policy = header_of(&response, "content-security-policy");
        assert!(policy.ends_with(ancestors), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header_of(&response, "referrer-policy"), "same-origin");
        assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
        assert_eq!(
            header_of(&response, "content-type"),
            "text/html; charset=utf-8"
        );
    }
}

#[actix_web::test]
async fn streams_may_come_from_the_public_url_and_nowhere_else() {
    let options = Options::with_media_at("https://media.example.com/a&b;\"c/").expect("sound");
    assert_eq!(options.media_origin(), Some("https://media.example.com"));
    let response = answer(options, TestRequest::get().uri("/watch/abc")).await;
    let policy = header_of(&response, "content-security-policy").to_owned();
    for allowed in [
        "connect-src 'self' https://media.example.com;",
        "media-src 'self' blob: data: https://media.example.com;",
        "img-src 'self' https://media.example.com;",
        "script-src 'self';",
    ] {
        assert!(policy.contains(allowed), "{policy}");
    }
    let html = text(response).await;
    assert!(
        html.contains("content=\"https://media.example.com/a&amp;b;%22c\""),
        "{html}"
    );
}

#[test]
fn a_public_url_that_is_none_is_refused() {
    for url in [
        "",
        "media.example.com",
        "ftp://a/",
        "javascript:alert(1)",
        "https://",
    ] {
        assert!(Options::with_media_at(url).is_err(), "{url}");
    }
}

#[actix_web::test]
async fn what_is_not_there_is_404_and_not_kept() {
    let digest = super::files::digest();
    for path in [
        format!("/ui/{digest}/nothing.js"),
        String::from("/ui/00000000000000000000000000000000/style.css"),
        format!("/ui/{digest}/..%2fmod.rs"),
    ] {
        let response = get(&path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(header_of(&response, "cache-control"), "no-store", "{path}");
    }
}

#[actix_web::test]
async fn a_name_that_no_video_can_have_gets_a_page_that_says_so() {
    let response = get("/watch/Not_A_Name").await;
    assert_eq!(response.status(), 404);
    assert!(
        text(response)
            .await
            .contains("There is nothing at this address")
    );
}

#[actix_web::test]
async fn pages_are_only_read() {
    for path in ["/", "/watch/abc", "/ui/0/style.css"] {
        let response = answer(Options::default(), TestRequest::post().uri(path)).await;
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(header_of(&response, "allow"), "GET, HEAD");
    }
}

/// The player is tested by `tests/players` in the version that is bundled.
#[test]
fn the_bundled_player_is_the_tested_one() {
    let manifest = include_str!("../../tests/players/package.json");
    let manifest: serde_json::Value = serde_json::from_str(manifest).expect("a manifest is JSON");
    let version = manifest["dependencies"]["hls.js"]
        .as_str()
        .expect("hls.js is tested");
    let player = super::files::named("hls.min.mjs").expect("it is bundled");
    let text = std::str::from_utf8(player.bytes).expect("a script is UTF-8");
    assert!(
        text.contains(&format!("\"{version}\"")),
        "hls.js {version} is not what is bundled"
    );
}
