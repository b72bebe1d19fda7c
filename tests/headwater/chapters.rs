//! Chapters of sources: in both manifests, for pages, and in the record.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{fixture, package, shared_media, verify};

const RUNGS: &[&str] = &["--rungs", "90", "--preset", "ultrafast"];

const METADATA: &str = ";FFMETADATA1\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2500\ntitle=Intro & <more>\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=2500\nEND=6000\ntitle=日本語\n";

/// The first eight seconds of the clip with two chapters.
fn with_chapters(folder: &Path, name: &str) -> PathBuf {
    let metadata = folder.join("chapters.txt");
    std::fs::write(&metadata, METADATA).unwrap();
    let made = folder.join(name);
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .args([&fixture("talk.mp4"), Path::new("-i"), &metadata])
        .args([
            "-map_metadata",
            "1",
            "-t",
            "8",
            "-map",
            "0:v",
            "-map",
            "0:a",
        ])
        .args(["-c", "copy"])
        .arg(&made)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    made
}

fn list(out: &Path, result: &Value) -> Value {
    let folder = out.join(result["revision"].as_str().unwrap());
    serde_json::from_slice(&std::fs::read(folder.join("chapters.json")).unwrap()).unwrap()
}

#[test]
fn chapters_are_in_both_manifests_for_pages_and_in_the_record() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["chapters.mp4", "chapters.mkv"] {
        let clip = with_chapters(folder.path(), name);
        let out = folder.path().join(format!("{name}.out"));
        let result = package(&clip, &out, RUNGS);
        assert_eq!(
            result["warnings"].to_string().matches("left out").count(),
            0
        );
        let list = list(&out, &result);
        assert_eq!(list[0]["titles"][0]["title"], "Intro & <more>");
        assert_eq!(list[1]["titles"][0]["title"], "日本語");
        let start = list[1]["start-time"].as_f64().unwrap();
        assert!((start - 2.5).abs() < 0.05, "{name}: {start}");
        let revision = result["revision"].as_str().unwrap();
        let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
        let named = format!(
            "#EXT-X-SESSION-DATA:DATA-ID=\"com.apple.hls.chapters\",URI=\"{revision}/chapters.json\""
        );
        assert!(playlist.contains(&named), "{playlist}");
        let mpd = std::fs::read_to_string(out.join("manifest.mpd")).unwrap();
        let theirs = dash_mpd_core::parse(&mpd).unwrap();
        let events = &theirs.periods[0].event_streams[0];
        assert_eq!(events.schemeIdUri, "urn:headwater:dash:chapters");
        assert_eq!(events.event.len(), 2);
        let text = std::fs::read_to_string(out.join(revision).join("chapters.vtt")).unwrap();
        assert!(text.contains("\nIntro &amp; &lt;more&gt;\n"), "{text}");
        let record = std::fs::read(out.join("presentation.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["chapters"][1]["title"], "日本語");
        let (code, report) = verify(out.to_str().unwrap());
        assert_eq!(code, Some(0), "{name}: {report}");
    }
}

#[test]
fn a_list_that_players_stumble_over_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let clip = with_chapters(folder.path(), "chapters.mp4");
    let out = folder.path().join("out");
    let result = package(&clip, &out, RUNGS);
    let file = out
        .join(result["revision"].as_str().unwrap())
        .join("chapters.json");
    let failed = |report: &Value| {
        let rules = report["rules"].as_array().unwrap();
        let failed = rules.iter().filter(|rule| rule["status"] == "failed");
        failed
            .map(|rule| rule["id"].to_string())
            .collect::<String>()
    };
    for broken in [&b"[{\"start-time\": 1}]"[..], b"{"] {
        std::fs::write(&file, broken).unwrap();
        let (code, report) = verify(out.to_str().unwrap());
        assert_eq!((code, failed(&report)), (Some(1), "\"H21\"".to_owned()));
    }
    std::fs::remove_file(&file).unwrap();
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!((code, failed(&report)), (Some(1), "\"H21\"".to_owned()));
}

#[test]
fn a_real_clip_has_its_chapters() {
    let Some(media) = shared_media() else {
        eprintln!("skipped: no shared media");
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let result = package(&media.join("mkv_chapters.mkv"), out.path(), RUNGS);
    let list = list(out.path(), &result);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["start-time"], 2.0);
}
