//! What publishing asks of a store, and what a server makes anew that was lost.

use std::sync::atomic::{AtomicBool, Ordering};

use headwater::media::{Passthrough, Policy, Preset};
use headwater::package::{self, Options, Silent};
use headwater::sandbox;
use headwater::source::Source;
use headwater::store::{BlockingStore, Store};

use crate::server::{Server, id};
use crate::support::fixture;

static STILL: AtomicBool = AtomicBool::new(false);

fn options(segment_seconds: u32) -> Options {
    Options {
        policy: Policy {
            rungs: vec![90],
            preset: Preset::Ultrafast,
            passthrough: Passthrough::Never,
            segment_seconds,
            ..Policy::default()
        },
        jobs: Some(1),
        sandbox: sandbox::Options {
            program: Some(env!("CARGO_BIN_EXE_headwater-media").into()),
            ..sandbox::Options::default()
        },
        turn: None,
        keys: None,
    }
}

/// Segments and thumbnails made of a clip, and how often the store was asked for a size.
fn questions(segment_seconds: u32) -> (u64, u64) {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let store = BlockingStore::new(store).unwrap();
    let source = Source::open(fixture("talk.mp4")).unwrap();
    let options = options(segment_seconds);
    let made = package::package(source, &store, &options, &Silent, &STILL).unwrap();
    let stills = made.presentation.stills.unwrap();
    assert!(stills.thumbnails.count > 2);
    let pieces = made.segments_made + u64::from(stills.thumbnails.count);
    (pieces, faults.heads.load(Ordering::SeqCst))
}

#[test]
fn a_store_is_not_asked_for_the_size_of_each_piece() {
    let (many, asked) = questions(2);
    let (few, asked_for_few) = questions(6);
    assert!(many > few + 6, "{many} and {few} pieces");
    assert_eq!(asked, asked_for_few, "of {many} pieces and of {few}");
}

#[test]
fn lost_stills_are_made_when_they_are_asked_for() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let asset = server.upload(&fixture("talk.mp4"), "");
    let asset = server.wait_for(id(&asset), &["complete"]);
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let folder = &hls[hls.find("/v/").unwrap()..hls.rfind('/').unwrap()];
    let top = server.get(&format!("{folder}/index.m3u8")).body;
    let top = String::from_utf8(top).unwrap();
    let trick = top.lines().find(|line| line.contains("/trick/")).unwrap();
    let revision = trick.split_once("URI=\"").unwrap().1.split('/').next();
    let revision = format!("{folder}/{}", revision.unwrap());
    for name in ["trick/2.m4s", "thumbs/3.jpg"] {
        let url = format!("{revision}/{name}");
        let file = data.path().join(&url[1..]);
        let before = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let answer = server.get(&url);
        assert_eq!(answer.status, 200, "{url}: {}", answer.head);
        assert!(answer.body.len() > before.len() / 2, "{url}");
        assert_eq!(std::fs::read(&file).unwrap(), answer.body, "{url}");
    }
    for name in [
        "trick/0.m4s",
        "trick/900.m4s",
        "trick-9/1.m4s",
        "thumbs/900.jpg",
    ] {
        let answer = server.get(&format!("{revision}/{name}"));
        assert_eq!(answer.status, 404, "{name}: {}", answer.head);
    }
}
