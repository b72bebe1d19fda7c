//! `headwater package`: what comes out is what was promised.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use m3u8_rs::{MasterPlaylist, MediaPlaylist};

use crate::support::{decode_cleanly, fixture, joined, package, packets, tracks, verify};

const RUNGS: &[&str] = &["--rungs", "180,90", "--preset", "ultrafast"];

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn master(bytes: &[u8]) -> MasterPlaylist {
    m3u8_rs::parse_master_playlist_res(bytes).unwrap()
}

fn media(bytes: &[u8]) -> MediaPlaylist {
    m3u8_rs::parse_media_playlist_res(bytes).unwrap()
}

#[test]
fn a_file_becomes_hls_and_dash_of_the_same_objects() {
    let out = tempfile::tempdir().unwrap();
    let result = package(&fixture("talk.mp4"), out.path(), RUNGS);
    assert_eq!(result["state"], "complete");
    let playlist = master(&read(&out.path().join("index.m3u8")));
    let variants = || {
        playlist
            .variants
            .iter()
            .filter(|variant| !variant.is_i_frame)
    };
    assert_eq!(variants().count(), 2);
    for variant in variants() {
        let list = media(&read(&out.path().join(&variant.uri)));
        let seconds: f32 = list.segments.iter().map(|segment| segment.duration).sum();
        assert!((seconds - 14.0).abs() < 0.05, "{seconds}");
        assert!(variant.average_bandwidth.unwrap() <= variant.bandwidth);
    }
    let (code, report) = verify(out.path().to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn every_source_frame_is_there_at_its_time() {
    let out = tempfile::tempdir().unwrap();
    let result = package(
        &fixture("talk.mp4"),
        out.path(),
        &[RUNGS, &["--passthrough", "never"]].concat(),
    );
    let source = packets(&fixture("talk.mp4"), "v");
    for track in ["v180", "v90"] {
        let bytes = joined(out.path(), &result, track);
        assert_eq!(decode_cleanly(&bytes), source.len() as u64);
        let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let made = packets(file.path(), "v");
        let mut times: Vec<f64> = made.iter().map(|packet| packet.0).collect();
        times.sort_by(f64::total_cmp);
        for (frame, time) in times.iter().enumerate() {
            let due = frame as f64 * 1001.0 / 30_000.0;
            assert!(
                (time - due).abs() < 0.000_01,
                "frame {frame} at {time}, due {due}"
            );
        }
        for (at, packet) in made.iter().enumerate() {
            assert_eq!(
                packet.3,
                at % 60 == 0,
                "an IDR picture each 2 s and nowhere else: {at}"
            );
        }
    }
}

#[test]
fn sound_starts_and_ends_with_the_picture() {
    let out = tempfile::tempdir().unwrap();
    let result = package(
        &fixture("talk.mp4"),
        out.path(),
        &[RUNGS, &["--passthrough", "never"]].concat(),
    );
    for (track, _) in tracks(&result)
        .iter()
        .filter(|(id, _)| id.starts_with("a-"))
    {
        let bytes = joined(out.path(), &result, track);
        decode_cleanly(&bytes);
        let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let frames = packets(file.path(), "a");
        let rate: f64 = 48_000.0;
        assert!(
            (frames[0].0 + 1024.0 / rate).abs() < 0.001,
            "priming lies before zero: {}",
            frames[0].0
        );
        let step = frames[1].0 - frames[0].0;
        assert!((step - 1024.0 / rate).abs() < 0.000_1);
        let end = frames[0].0 + frames.len() as f64 * step;
        assert!((14.0..14.08).contains(&end), "{end}");
    }
}

#[test]
fn a_regular_source_is_repackaged_bit_for_bit() {
    let out = tempfile::tempdir().unwrap();
    let result = package(
        &fixture("regular.mp4"),
        out.path(),
        &["--passthrough", "only"],
    );
    assert!(
        result["renditions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["source"] == "copy")
    );
    for (kind, track) in [("v", "v240"), ("a", "a-und")] {
        let hashes = |file: &Path| {
            let output = Command::new("ffmpeg")
                .args(["-nostdin", "-v", "error", "-i"])
                .arg(file)
                .args([
                    "-map",
                    &format!("0:{kind}"),
                    "-c",
                    "copy",
                    "-f",
                    "framehash",
                    "-",
                ])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let hash = |line: &str| line.split(',').nth(5).map(|hash| hash.trim().to_owned());
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(hash).collect::<Vec<_>>()
        };
        let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(file.path(), joined(out.path(), &result, track)).unwrap();
        let (made, source) = (hashes(file.path()), hashes(&fixture("regular.mp4")));
        // The sound may end with the picture: a few frames fewer than the source's, none other.
        assert!(!made.is_empty() && made.len() + 30 > source.len());
        assert!(
            source.windows(made.len()).any(|window| window == made),
            "{track}"
        );
    }
}

#[test]
fn passthrough_of_the_top_rung_leaves_one_grid_for_all() {
    let out = tempfile::tempdir().unwrap();
    let flags = ["--rungs", "240,120", "--preset", "ultrafast"];
    let result = package(&fixture("regular.mp4"), out.path(), &flags);
    let sources: Vec<_> = result["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["source"].clone())
        .collect();
    assert_eq!(&sources[..2], ["copy", "encode"], "{result}");
    let revision = out.path().join(result["revision"].as_str().unwrap());
    let grid = |track: &str| -> Vec<u32> {
        let list = media(&read(&revision.join(track).join("index.m3u8")));
        list.segments
            .iter()
            .map(|segment| (segment.duration * 1000.0).round() as u32)
            .collect()
    };
    assert_eq!(grid("v240"), grid("v120"));
    let frames: BTreeSet<u64> = ["v240", "v120"]
        .map(|track| decode_cleanly(&joined(out.path(), &result, track)))
        .into();
    assert_eq!(frames.len(), 1, "the same frames in both: {frames:?}");
}

#[test]
fn the_same_command_again_makes_nothing_anew() {
    let out = tempfile::tempdir().unwrap();
    let first = package(&fixture("talk.mp4"), out.path(), RUNGS);
    assert_eq!(first["segments_reused"], 0);
    let again = package(&fixture("talk.mp4"), out.path(), RUNGS);
    assert_eq!(again["segments_made"], 0);
    assert_eq!(again["segments_reused"], first["segments_made"]);
    assert_eq!(again["revision"], first["revision"]);
}

#[test]
fn equal_input_and_policy_give_equal_bytes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = package(&fixture("talk.mp4"), a.path(), RUNGS);
    let second = package(
        &fixture("talk.mp4"),
        b.path(),
        &[RUNGS, &["--jobs", "1"]].concat(),
    );
    for (track, _) in tracks(&first) {
        assert!(
            joined(a.path(), &first, &track) == joined(b.path(), &second, &track),
            "{track}"
        );
    }
    for name in ["index.m3u8", "manifest.mpd", "presentation.json"] {
        assert_eq!(
            read(&a.path().join(name)),
            read(&b.path().join(name)),
            "{name}"
        );
    }
}

#[test]
fn other_containers_are_packaged_too() {
    for name in ["talk.ts", "talk.webm"] {
        let out = tempfile::tempdir().unwrap();
        let result = package(&fixture(name), out.path(), RUNGS);
        let frames = decode_cleanly(&joined(out.path(), &result, "v180"));
        let source = packets(&fixture(name), "v").len() as u64;
        assert!(frames.abs_diff(source) <= 1, "{name}: {frames} of {source}");
    }
}

#[test]
fn plan_and_probe_say_what_is_there() {
    let plan = crate::support::headwater(["plan", "--json"])
        .arg(fixture("talk.mp4"))
        .output()
        .unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(
        plan["plan"]["video"]["frames"],
        packets(&fixture("talk.mp4"), "v").len()
    );
    let probe = crate::support::headwater(["probe"])
        .arg(fixture("talk.mp4"))
        .output()
        .unwrap();
    let words = String::from_utf8(probe.stdout).unwrap();
    assert!(
        words.contains("h264 320x180") && words.contains("48000 Hz, 2 channels"),
        "{words}"
    );
}

#[test]
fn damage_is_reported_with_its_times_by_later_runs_too() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.mp4");
    let mut bytes = read(&fixture("talk.mp4"));
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 3000] {
        *byte = byte.wrapping_mul(31) ^ 0x5a;
    }
    std::fs::write(&damaged, bytes).unwrap();
    let out = folder.path().join("out");
    let flags = [RUNGS, &["--passthrough", "never"]].concat();
    let first = package(&damaged, &out, &flags);
    let warnings = first["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .any(|line| line.as_str().unwrap().contains(" s: ")),
        "{first}"
    );
    let frames = packets(&fixture("talk.mp4"), "v").len() as u64;
    assert_eq!(decode_cleanly(&joined(&out, &first, "v180")), frames);
    let again = package(&damaged, &out, &flags);
    assert_eq!(
        (&again["segments_made"], &again["warnings"]),
        (&0.into(), &first["warnings"])
    );
}
