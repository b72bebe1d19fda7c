//! Trick play and thumbnails, judged by other readers: m3u8-rs, FFmpeg, the eye of a filter.

use std::path::{Path, PathBuf};
use std::process::Command;

use m3u8_rs::{MediaPlaylist, VariantStream};
use serde_json::Value;

use crate::support::{decode_cleanly, fixture, package, verify};

const RUNGS: &[&str] = &["--rungs", "180,90", "--preset", "ultrafast"];
const ENCODED: &[&str] = &[
    "--rungs",
    "180,90",
    "--preset",
    "ultrafast",
    "--passthrough",
    "never",
];

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A folder of the revision.
fn folder(out: &Path, result: &Value, name: &str) -> PathBuf {
    out.join(result["revision"].as_str().unwrap()).join(name)
}

fn list(path: &Path) -> MediaPlaylist {
    m3u8_rs::parse_media_playlist_res(&read(path)).unwrap()
}

fn i_frame_variants(out: &Path) -> Vec<VariantStream> {
    let bytes = read(&out.join("index.m3u8"));
    let all = m3u8_rs::parse_master_playlist_res(&bytes).unwrap().variants;
    all.into_iter()
        .filter(|variant| variant.is_i_frame)
        .collect()
}

/// Mean luma of the only picture of a file, from 0 to 255.
fn brightness(file: &Path) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args([
            "-vf",
            "signalstats,metadata=print:file=-",
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("lavfi.signalstats.YAVG="));
    line.unwrap_or_else(|| panic!("{}: {text}", file.display()))
        .parse()
        .unwrap()
}

/// 7 s, each as dark as its number says: `n` seconds in, luma is about `40 + 25 n`.
fn staircase(folder: &Path, seconds: u32) -> PathBuf {
    let path = folder.join("stairs.mp4");
    let source = format!(
        "color=c=black:s=320x180:r=25:d={seconds},format=yuv420p,geq=lum='40+25*floor(T)':cb=128:cr=128"
    );
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-bf",
            "2",
            "-g",
            "300",
        ])
        .args([
            "-color_primaries",
            "bt709",
            "-color_trc",
            "bt709",
            "-colorspace",
            "bt709",
        ])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

#[test]
fn each_i_frame_is_decoded_from_its_bytes_alone_and_shows_its_second() {
    let out = tempfile::tempdir().unwrap();
    let source = staircase(out.path(), 7);
    let out = out.path().join("out");
    package(&source, &out, ENCODED);
    let variants = i_frame_variants(&out);
    let [trick, small, _] = &variants[..] else {
        panic!("{variants:?}")
    };
    let size = |variant: &VariantStream| variant.resolution.map(|r| (r.width, r.height));
    assert_eq!(
        (size(trick), size(small)),
        (Some((320, 180)), Some((284, 160)))
    );
    for variant in [trick, small] {
        let path = out.join(&variant.uri);
        let folder = path.parent().unwrap().to_owned();
        let list = list(&path);
        assert_eq!(list.segments.len(), 7);
        let init = read(&folder.join("init.mp4"));
        for (second, segment) in list.segments.iter().enumerate() {
            assert!((segment.duration - 1.0).abs() < 0.000_01);
            let range = segment.byte_range.as_ref().unwrap();
            let start = usize::try_from(range.offset.unwrap()).unwrap();
            let end = start + usize::try_from(range.length).unwrap();
            let object = read(&folder.join(&segment.uri));
            let bytes = [&init[..], &object[start..end]].concat();
            assert_eq!(decode_cleanly(&bytes), 1, "second {second}");
            let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let luma = brightness(file.path());
            let due = 40.0 + 25.0 * second as f64;
            assert!((luma - due).abs() < 4.0, "second {second}: {luma}");
        }
    }
}

#[test]
fn thumbnails_show_each_two_seconds_and_all_lists_name_them() {
    let out = tempfile::tempdir().unwrap();
    let source = staircase(out.path(), 7);
    let out = out.path().join("out");
    let result = package(&source, &out, ENCODED);
    let thumbs = folder(&out, &result, "thumbs");
    let names = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"];
    for (at, name) in names.iter().enumerate() {
        let jpeg = read(&thumbs.join(name));
        assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
        // Full range, against 16 to 235 of the video.
        let luma = brightness(&thumbs.join(name)) * 219.0 / 255.0 + 16.0;
        let due = 40.0 + 50.0 * at as f64;
        assert!((luma - due).abs() < 4.0, "{name}: {luma}, due {due}");
    }
    for playlist in ["index.m3u8", "images.m3u8"] {
        let list = list(&thumbs.join(playlist));
        let uris: Vec<&str> = list.segments.iter().map(|s| s.uri.as_str()).collect();
        assert_eq!(uris, names);
        let seconds: Vec<f32> = list.segments.iter().map(|s| s.duration).collect();
        assert_eq!(seconds, [2.0, 2.0, 2.0, 1.0]);
    }
    let vtt = String::from_utf8(read(&thumbs.join("thumbnails.vtt"))).unwrap();
    let uris: Vec<&str> = vtt.lines().filter(|line| line.ends_with(".jpg")).collect();
    assert_eq!(uris, names);
    let mpd = String::from_utf8(read(&out.join("manifest.mpd"))).unwrap();
    assert!(mpd.contains("/thumbs/$Number$.jpg"), "{mpd}");
}

#[test]
fn a_run_that_finds_a_part_missing_makes_that_part_alone() {
    let out = tempfile::tempdir().unwrap();
    let first = package(&fixture("talk.mp4"), out.path(), ENCODED);
    let trick = folder(out.path(), &first, "trick/2.m4s");
    let thumbnail = folder(out.path(), &first, "thumbs/3.jpg");
    let old = [read(&trick), read(&thumbnail)];
    for file in [&trick, &thumbnail] {
        std::fs::remove_file(file).unwrap();
    }
    let again = package(&fixture("talk.mp4"), out.path(), ENCODED);
    assert_eq!(again["segments_made"], 1, "{again}");
    assert_eq!(again["revision"], first["revision"]);
    // The thumbnail is a picture by itself; an I-frame's size leans on those before it in its task.
    assert_eq!(read(&thumbnail), old[1]);
    assert!(read(&trick).len() > old[0].len() / 2);
    let (code, report) = verify(out.path().to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn equal_runs_give_equal_stills() {
    let outs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let flags = [&["--jobs", "1"][..], &["--jobs", "3"]];
    let results = [0, 1].map(|i| {
        package(
            &fixture("talk.mp4"),
            outs[i].path(),
            &[ENCODED, flags[i]].concat(),
        )
    });
    for name in [
        "trick/1.m4s",
        "trick-160/2.m4s",
        "trick/index.m3u8",
        "thumbs/2.jpg",
    ] {
        let bytes = [0, 1].map(|i| read(&folder(outs[i].path(), &results[i], name)));
        assert!(bytes[0] == bytes[1], "{name}");
    }
}

#[test]
fn who_wants_none_gets_none() {
    let out = tempfile::tempdir().unwrap();
    let policy = out.path().join("policy.toml");
    std::fs::write(&policy, "trick_play = false\n").unwrap();
    let flags = ["--policy", policy.to_str().unwrap()];
    let to = out.path().join("out");
    let result = package(&fixture("talk.mp4"), &to, &[RUNGS, &flags].concat());
    assert!(i_frame_variants(&to).is_empty());
    for name in ["trick", "thumbs"] {
        let there = std::fs::metadata(folder(&to, &result, name));
        assert!(there.is_err(), "{name}");
    }
    let waivers = result["waivers"].as_array().unwrap();
    assert!(
        waivers.iter().any(|waiver| waiver["rule"] == "H43"),
        "{result}"
    );
}
