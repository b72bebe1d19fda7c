//! The server's main job: upload, play at once, complete.

use std::time::{Duration, Instant};

use crate::server::{QUICK, Server, id};
use crate::support::{decode_cleanly, fixture, shared_media, verify};

/// The folder of a rendition below the asset's, out of the multivariant playlist.
fn renditions(playlist: &str) -> Vec<String> {
    let uris = playlist
        .lines()
        .filter(|line| line.ends_with("/index.m3u8"));
    let uris = uris.filter(|line| !line.starts_with('#'));
    uris.map(|uri| uri.trim_end_matches("index.m3u8").to_owned())
        .collect()
}

#[test]
fn an_upload_is_played_before_it_is_encoded_and_then_complete() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let asset = server.upload(&fixture("talk.mp4"), &format!("title=Talk&{QUICK}"));
    assert_eq!(asset["title"], "Talk");
    let asset = server.wait_for(id(&asset), &["ready", "complete"]);
    let base = format!("/v/{}/", id(&asset));
    let playlist = server.get(&format!("{base}index.m3u8"));
    assert_eq!(playlist.status, 200);
    assert_eq!(server.get(&format!("{base}manifest.mpd")).status, 200);
    let playlist = String::from_utf8(playlist.body).unwrap();
    let folders = renditions(&playlist);
    assert_eq!(folders.len(), 2, "{playlist}");
    for folder in &folders {
        let media = server.get(&format!("{base}{folder}index.m3u8")).body;
        let count = String::from_utf8(media).unwrap().matches(".m4s").count();
        let mut bytes = server.get(&format!("{base}{folder}init.mp4")).body;
        // The last one first: from anywhere on the timeline.
        let last = server.get(&format!("{base}{folder}{count}.m4s"));
        assert_eq!(last.status, 200, "{}", last.head);
        for number in 1..=count {
            let segment = server.get(&format!("{base}{folder}{number}.m4s"));
            assert_eq!(segment.status, 200, "{}", segment.head);
            bytes.extend(segment.body);
        }
        assert!(decode_cleanly(&bytes) > 0);
        let beyond = server.get(&format!("{base}{folder}{}.m4s", count + 1));
        assert_eq!(beyond.status, 404);
        assert!(beyond.head.contains("max-age=1"), "{}", beyond.head);
    }
    let asset = server.wait_for(id(&asset), &["complete"]);
    let progress = &asset["progress"];
    assert_eq!(progress["segments_done"], progress["segments_total"]);
    assert_eq!(
        server.get(&format!("{base}poster.jpg")).body[..2],
        [0xff, 0xd8]
    );
    let (code, report) = verify(asset["playback"]["hls"].as_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn all_who_ask_for_a_segment_at_once_get_the_same_one() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let asset = server.upload(&fixture("talk.mp4"), QUICK);
    let asset = server.wait_for(id(&asset), &["ready", "complete"]);
    let base = format!("/v/{}/", id(&asset));
    let playlist = server.get(&format!("{base}index.m3u8")).body;
    let folder = renditions(std::str::from_utf8(&playlist).unwrap()).remove(0);
    let path = format!("{base}{folder}2.m4s");
    let bodies: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let ask = || {
            let answer = server.get(&path);
            assert_eq!(answer.status, 200, "{}", answer.head);
            answer.body
        };
        let asking: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        asking
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect()
    });
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_same_file_again_is_complete_at_once() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let first = server.upload(&fixture("talk.mp4"), QUICK);
    server.wait_for(id(&first), &["complete"]);
    let started = Instant::now();
    let second = server.upload(&fixture("talk.mp4"), QUICK);
    let second = server.wait_for(id(&second), &["complete"]);
    assert!(started.elapsed() < Duration::from_secs(10));
    let (code, report) = verify(second["playback"]["hls"].as_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    // Each lives by itself.
    let path = format!("/api/v1/assets/{}", id(&first));
    assert_eq!(server.ask("DELETE", &path, "", b"").status, 204);
    assert_eq!(server.ask("DELETE", &path, "", b"").status, 404);
    let (code, report) = verify(second["playback"]["hls"].as_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn a_removed_asset_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let asset = server.upload(&fixture("talk.mp4"), QUICK);
    // In the middle of its encoding.
    server.wait_for(id(&asset), &["ready", "complete"]);
    let path = format!("/api/v1/assets/{}", id(&asset));
    assert_eq!(server.ask("DELETE", &path, "", b"").status, 204);
    assert_eq!(
        server.get(&format!("/v/{}/index.m3u8", id(&asset))).status,
        404
    );
    for folder in ["v", "src", "r"] {
        let left = std::fs::read_dir(data.path().join(folder)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{folder}");
    }
    assert_eq!(server.get(&path).status, 404);
}

#[test]
fn bad_uploads_fail_in_plain_words_and_are_never_stuck() {
    let Some(media) = shared_media() else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut clips: Vec<_> = std::fs::read_dir(media)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("bad_")
        })
        .collect();
    clips.sort();
    let mut assets = Vec::new();
    for clip in &clips {
        let name = clip.file_name().unwrap().to_str().unwrap();
        if std::fs::metadata(clip).unwrap().len() == 0 {
            let empty = server.ask("POST", "/api/v1/assets", "Content-Type: video/mp4\r\n", b"");
            assert_eq!(empty.status, 422, "{name}");
            continue;
        }
        let asset = server.upload(clip, &format!("title={name}&{QUICK}"));
        assets.push((name, id(&asset).to_owned()));
    }
    for (name, asset) in assets {
        let asset = server.wait_for(&asset, &["complete", "failed"]);
        if asset["state"] == "failed" {
            let message = asset["error"]["message"].as_str().unwrap();
            assert!(
                message.len() > 20 && !message.contains("src/"),
                "{name}: {message}"
            );
        } else {
            let (code, report) = verify(asset["playback"]["hls"].as_str().unwrap());
            assert_eq!(code, Some(0), "{name}: {report}");
        }
    }
}

#[test]
fn captions_appear_in_both_manifests_and_go_again() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let asset = server.upload(&fixture("talk.mp4"), QUICK);
    let asset = server.wait_for(id(&asset), &["ready", "complete"]);
    let path = format!("/api/v1/assets/{}/text", id(&asset));
    let srt = b"1\n00:00:00,500 --> 00:00:01,500\nHello\n";
    let added = server.ask(
        "POST",
        &format!("{path}?lang=en"),
        "Content-Type: text/plain\r\n",
        srt,
    );
    assert_eq!(
        added.status,
        201,
        "{}",
        String::from_utf8_lossy(&added.body)
    );
    let manifest = |name: &str| {
        let body = server.get(&format!("/v/{}/{name}", id(&asset))).body;
        String::from_utf8(body).unwrap()
    };
    assert!(manifest("index.m3u8").contains("TYPE=SUBTITLES"));
    assert!(manifest("manifest.mpd").contains("text/vtt"));
    let complete = server.wait_for(id(&asset), &["complete"]);
    assert!(
        manifest("index.m3u8").contains("TYPE=SUBTITLES"),
        "also when it is complete"
    );
    let (code, report) = verify(complete["playback"]["hls"].as_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    let caption = added.json()["id"].as_str().unwrap().to_owned();
    let removed = server.ask("DELETE", &format!("{path}/{caption}"), "", b"");
    assert_eq!(removed.status, 204);
    assert!(!manifest("index.m3u8").contains("TYPE=SUBTITLES"));
    let nonsense = server.ask(
        "POST",
        &format!("{path}?lang=en"),
        "",
        b"not captions at all",
    );
    assert_eq!(nonsense.status, 422);
}
