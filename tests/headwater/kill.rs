//! The server and its media children killed at random instants: everything goes on, nothing that was
//! stored is made again, nobody is left behind.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::server::{Server, id};
use crate::support::{children, fixture, verify};

/// Instants at which something is killed.
const KILLS: u64 = 30;

/// Small pieces, so that there is something to lose at each instant; each upload is a revision of
/// its own by its rate factor.
fn policy(crf: u64) -> String {
    let json = format!(
        "{{\"rungs\":[180,90],\"preset\":\"veryfast\",\"segment_seconds\":1,\"gop_seconds\":1,\
         \"chunk_seconds\":2,\"quick_start\":true,\"passthrough\":\"never\",\"crf\":{crf}}}"
    );
    let escape = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    format!("policy={}", json.bytes().map(escape).collect::<String>())
}

/// Every stored segment with what a second write would change.
fn segments(folder: &Path, found: &mut BTreeMap<PathBuf, (u64, i64)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            segments(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "m4s") {
            found.insert(path, (metadata.ino(), metadata.mtime_nsec()));
        }
    }
}

fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A zombie that nobody has reaped yet is dead.
    !stat.is_empty()
        && !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" Z"))
}

/// The system takes a moment to end what lost its parent.
fn assert_gone(processes: &[u32], round: u64) {
    let since = Instant::now();
    while processes.iter().any(|process| is_alive(*process)) {
        let waited = since.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "round {round}: {processes:?} outlived the server"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(process: u32) {
    let process = process.to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &process])
        .status();
    // It may have ended by itself.
    drop(killed);
}

/// A fixed sequence that looks like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn whatever_is_killed_at_any_instant_every_asset_completes() {
    let data = tempfile::tempdir().unwrap();
    let objects = data.path().join("v");
    let mut chance = Chance(7);
    let mut assets = Vec::new();
    let mut server = Server::start(data.path());
    for round in 0..KILLS {
        if round % 3 == 0 {
            let asset = server.upload(&fixture("talk.mp4"), &policy(20 + round));
            assets.push(id(&asset).to_owned());
        }
        std::thread::sleep(Duration::from_millis(chance.below(400)));
        let mut stored = BTreeMap::new();
        segments(&objects, &mut stored);
        let media = children(server.id());
        if round % 5 == 4 && !media.is_empty() {
            kill(media[0]);
            continue;
        }
        server.kill();
        assert_gone(&media, round);
        server = Server::start(data.path());
        let mut now = BTreeMap::new();
        segments(&objects, &mut now);
        for (path, was) in &stored {
            assert_eq!(
                now.get(path),
                Some(was),
                "round {round}: {} changed",
                path.display()
            );
        }
    }
    let mut stored = BTreeMap::new();
    segments(&objects, &mut stored);
    for asset in &assets {
        let asset = server.wait_for(asset, &["complete", "failed"]);
        assert_eq!(asset["state"], "complete", "{asset}");
        let (code, report) = verify(asset["playback"]["hls"].as_str().unwrap());
        assert_eq!(code, Some(0), "{report}");
    }
    let mut end = BTreeMap::new();
    segments(&objects, &mut end);
    for (path, was) in &stored {
        assert_eq!(
            end.get(path),
            Some(was),
            "{} was made again",
            path.display()
        );
    }
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    assert!(metrics.contains("headwater_tasks_queued 0"), "{metrics}");
    assert!(metrics.contains("headwater_tasks_dead 0"), "{metrics}");
}
