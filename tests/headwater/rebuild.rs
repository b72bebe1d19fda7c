//! A catalog that was lost, made anew of the store.

use std::path::Path;

use serde_json::Value;

use crate::server::Server;
use crate::support::{Ran, fixture, headwater};

fn rebuild(data: &Path, flags: &[&str]) -> Ran {
    let mut command = headwater(["catalog", "rebuild", "--json", "--data"]);
    command.arg(data).args(flags).output().unwrap().into()
}

fn result(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn lose_the_catalog(data: &Path) {
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
}

fn id(asset: &Value) -> String {
    asset["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_lost_catalog_is_made_anew_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let clip = fixture("talk.mp4");
    let (whole, listed, half, gone);
    {
        let mut server = Server::start(data);
        whole = id(&server.upload(&clip, "title=Whole"));
        server.wait_for(&whole, &["complete"]);
        let text = "1\n00:00:00,000 --> 00:00:01,000\nHello\n";
        let path = format!("/api/v1/assets/{whole}/text?lang=en");
        let added = server.ask("POST", &path, "", text.as_bytes());
        assert_eq!(added.status, 201);
        listed = server.asset(&whole);
        let policy = "policy=%7B%22rungs%22%3A%5B120%5D%7D";
        half = id(&server.upload(&clip, &format!("title=Half&{policy}")));
        server.wait_for(&half, &["complete"]);
        let policy = "policy=%7B%22rungs%22%3A%5B144%5D%7D";
        gone = id(&server.upload(&clip, &format!("title=Gone&{policy}")));
        server.wait_for(&gone, &["complete"]);
        server.kill();
    }
    let manifest = std::fs::read(data.join(format!("v/{whole}/index.m3u8"))).unwrap();
    // One lost a segment, one that and its source.
    for asset in [&half, &gone] {
        let lost = segments(&data.join(format!("v/{asset}")));
        std::fs::remove_file(&lost[0]).unwrap();
    }
    std::fs::remove_file(data.join(format!("src/{gone}/source"))).unwrap();
    lose_the_catalog(data);

    let mut gc = headwater(["gc", "--json", "--data"]);
    let kept = result(&gc.arg(data).output().unwrap().into());
    assert_eq!(
        kept["objects"],
        serde_json::json!({}),
        "nothing is left over"
    );
    assert_eq!(kept["unlisted"].as_array().unwrap().len(), 3);

    let shown = result(&rebuild(data, &["--dry-run"]));
    let made = result(&rebuild(data, &[]));
    assert_eq!(shown, made);
    assert_eq!(made["complete"], serde_json::json!([whole]));
    assert_eq!(made["unfinished"], serde_json::json!([half]));
    assert_eq!(made["left_out"][0]["folder"], format!("src/{gone}"));
    let again = result(&rebuild(data, &[]));
    assert_eq!(again["known"].as_array().unwrap().len(), 2);

    let server = Server::start(data);
    assert_eq!(server.asset(&whole), with_address(&listed, &server));
    let texts = server.get(&format!("/api/v1/assets/{whole}/text")).json();
    assert!(texts.to_string().contains("\"en\""), "{texts}");
    assert_eq!(server.get(&format!("/v/{whole}/index.m3u8")).body, manifest);
    let mended = server.wait_for(&half, &["complete", "failed"]);
    assert_eq!(mended["state"], "complete", "{mended}");
    assert_eq!(mended["title"], "Half");
    let copy = data.join("copy.sqlite");
    let back_up = || -> Ran {
        let mut command = headwater(["catalog", "backup", "--data"]);
        command
            .arg(data)
            .arg("--to")
            .arg(&copy)
            .output()
            .unwrap()
            .into()
    };
    assert_eq!(back_up().code, Some(0), "while the server runs");
    assert!(copy.metadata().unwrap().len() > 4096);
    assert_eq!(back_up().code, Some(1), "nothing is overwritten");
    let busy = rebuild(data, &[]);
    assert_eq!(busy.code, Some(3), "a server has the folder");
}

/// The segments under a folder.
fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.extension() {
            _ if path.is_dir() => found.extend(segments(&path)),
            Some(extension) if extension == "m4s" => found.push(path),
            _ => {}
        }
    }
    found
}

/// An asset as another server shows it, whose address is another.
fn with_address(asset: &Value, server: &Server) -> Value {
    let text = asset.to_string();
    let from = text.split("http://").nth(1).unwrap().split('/').next();
    let text = text.replace(from.unwrap(), &server.address);
    serde_json::from_str(&text).unwrap()
}
