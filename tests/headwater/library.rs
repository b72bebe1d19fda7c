//! A library packaged in one run: each title's state, what a second run does, and runs that are
//! killed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Ran, fixture, headwater, verify};

const FLAGS: &[&str] = &["--rungs", "90", "--preset", "ultrafast", "--json"];

/// A folder of titles and the place that they go to.
struct Library {
    folder: tempfile::TempDir,
}

impl Library {
    fn new() -> Self {
        let library = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let source = library.source();
        std::fs::create_dir_all(source.join("talks/2024")).unwrap();
        std::fs::copy(
            fixture("talk.mp4"),
            source.join("talks/2024/First talk.mp4"),
        )
        .unwrap();
        std::fs::copy(fixture("talk.webm"), source.join("second.webm")).unwrap();
        std::fs::write(source.join("text.mp4"), "no video").unwrap();
        std::fs::write(source.join("notes.txt"), "not a title").unwrap();
        let cue = "WEBVTT\n\n00:00.500 --> 00:01.500\nHello\n";
        std::fs::write(source.join("second.en.vtt"), cue).unwrap();
        library
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn command(&self, flags: &[&str]) -> std::process::Command {
        let mut command = headwater(["batch"]);
        command.arg(self.source()).arg("--out").arg(self.out());
        command.args(FLAGS).args(flags);
        command
    }

    fn run(&self, flags: &[&str]) -> (Option<i32>, Value) {
        let ran: Ran = self.command(flags).output().unwrap().into();
        let json = serde_json::from_str(&ran.stdout);
        (
            ran.code,
            json.unwrap_or_else(|e| panic!("{e}: {} {}", ran.stdout, ran.stderr)),
        )
    }

    /// The catalogue, by source.
    fn catalogue(&self) -> BTreeMap<String, Value> {
        let json = std::fs::read(self.out().join("library.json")).unwrap();
        let entries: Vec<Value> = serde_json::from_slice(&json).unwrap();
        let by_source = |e: Value| (e["source"].as_str().unwrap().to_owned(), e);
        entries.into_iter().map(by_source).collect()
    }

    /// Inodes of all segments and init segments: others once they are written again.
    fn segments(&self) -> BTreeMap<PathBuf, u64> {
        let mut found = BTreeMap::new();
        add_segments(&self.out().join("v"), &mut found);
        found
    }
}

fn add_segments(folder: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_segment = path.extension().is_some_and(|e| e == "m4s" || e == "mp4");
        if path.is_dir() && !path.ends_with(".meta") {
            add_segments(&path, found);
        } else if is_segment {
            found.insert(path, entry.metadata().unwrap().ino());
        }
    }
}

#[test]
fn each_title_is_made_once_and_told_of() {
    let library = Library::new();
    let (code, forecast) = library.run(&["--dry-run"]);
    assert_eq!(
        (code, forecast["titles"].as_array().unwrap().len()),
        (Some(0), 3)
    );
    assert!(
        forecast["cost"]["once"].as_f64().unwrap() > 0.0,
        "{forecast}"
    );
    assert!(
        std::fs::symlink_metadata(library.out()).is_err(),
        "looking made a folder"
    );

    let (code, first) = library.run(&[]);
    assert_eq!((code, &first["complete"]), (Some(1), &2.into()), "{first}");
    assert_eq!(first["failed"][0]["source"], "text.mp4");
    let catalogue = library.catalogue();
    let sources: Vec<&String> = catalogue.keys().collect();
    assert_eq!(
        sources,
        ["second.webm", "talks/2024/First talk.mp4", "text.mp4"]
    );
    assert_eq!(catalogue["text.mp4"]["error"]["kind"], "unsupported");
    for source in ["second.webm", "talks/2024/First talk.mp4"] {
        let hls = catalogue[source]["playback"]["hls"].as_str().unwrap();
        let entry = std::fs::read_to_string(library.out().join(hls)).unwrap();
        assert_eq!(
            entry.contains("TYPE=SUBTITLES"),
            source == "second.webm",
            "{entry}"
        );
        let folder = library.out().join(hls);
        let (code, report) = verify(folder.parent().unwrap().to_str().unwrap());
        assert_eq!(code, Some(0), "{source}: {report}");
    }

    let made = library.segments();
    let (code, second) = library.run(&[]);
    assert_eq!(
        (code, &second["made"], &second["skipped"]),
        (Some(1), &0.into(), &3.into())
    );
    assert_eq!(library.segments(), made);
    let (_, retried) = library.run(&["--retry-failed"]);
    assert_eq!(
        (&retried["made"], &retried["skipped"]),
        (&0.into(), &2.into()),
        "{retried}"
    );
}

#[test]
fn a_change_makes_only_what_it_must() {
    let library = Library::new();
    library.run(&["--exclude", "text.mp4"]);
    let made = library.segments();
    // Touched, and still the same: found stored.
    let touched = library.source().join("second.webm");
    let bytes = std::fs::read(&touched).unwrap();
    std::fs::write(&touched, bytes).unwrap();
    std::fs::copy(fixture("talk.ts"), library.source().join("third.ts")).unwrap();
    let (code, run) = library.run(&["--exclude", "text.mp4"]);
    assert_eq!(
        (code, &run["made"], &run["skipped"]),
        (Some(0), &2.into(), &1.into()),
        "{run}"
    );
    let after = library.segments();
    assert!(
        made.iter()
            .all(|(path, inode)| after.get(path) == Some(inode))
    );
    assert!(after.len() > made.len());
    // Captions changed: the pictures stay.
    let cue = "WEBVTT\n\n00:00.500 --> 00:01.500\nGoodbye\n";
    std::fs::write(library.source().join("second.en.vtt"), cue).unwrap();
    let (_, run) = library.run(&["--exclude", "text.mp4"]);
    assert_eq!(run["made"], 1, "{run}");
    assert_eq!(library.segments(), after);
    // Lost behind our back.
    let asset = library.catalogue()["third.ts"]["asset"].clone();
    let folder = library.out().join("v").join(asset.as_str().unwrap());
    std::fs::remove_dir_all(folder).unwrap();
    let (_, run) = library.run(&["--exclude", "text.mp4"]);
    assert_eq!(run["made"], 1, "{run}");
}

#[test]
fn enough_failures_end_a_run() {
    let library = Library::new();
    for number in 0..20 {
        let path = library.source().join(format!("0{number:02}.mp4"));
        std::fs::write(path, "no video").unwrap();
    }
    let (code, run) = library.run(&["--jobs", "1", "--max-failures", "2"]);
    assert_eq!(code, Some(1));
    assert!(run["left"].as_u64().unwrap() >= 19, "{run}");
}

#[test]
fn killed_at_any_instant_it_goes_on() {
    let library = Library::new();
    let mut kept = BTreeMap::new();
    for number in 1_u64..=20 {
        let mut run = library
            .command(&["--exclude", "text.mp4"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over a run's length, in no order.
        std::thread::sleep(Duration::from_millis(number * 7919 % 600));
        run.kill().unwrap();
        run.wait().unwrap();
        let now = library.segments();
        assert!(
            kept.iter()
                .all(|(path, inode)| now.get(path) == Some(inode)),
            "run {number}"
        );
        kept = now;
    }
    let (code, run) = library.run(&["--exclude", "text.mp4"]);
    assert_eq!((code, &run["complete"]), (Some(0), &2.into()), "{run}");
    let now = library.segments();
    assert!(
        kept.iter()
            .all(|(path, inode)| now.get(path) == Some(inode))
    );
    for entry in library.catalogue().values() {
        let place = library
            .out()
            .join("v")
            .join(entry["asset"].as_str().unwrap());
        assert_eq!(verify(place.to_str().unwrap()).0, Some(0), "{entry}");
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    let library = Library::new();
    let empty = tempfile::tempdir().unwrap();
    let batch = |arguments: &[&str]| -> Ran {
        let out = library.out();
        let mut command = headwater(["batch", "--out", out.to_str().unwrap()]);
        command.args(arguments).output().unwrap().into()
    };
    let source = library.source();
    let source = source.to_str().unwrap();
    for (arguments, code, words) in [
        (
            &[empty.path().to_str().unwrap()][..],
            1,
            "no video or audio",
        ),
        (&["/no/such/folder"], 1, "/no/such/folder"),
        (&["gs://bucket/films"], 1, "no storage of that kind"),
        (&[source, "--include", "["], 2, "no pattern"),
        (&[source, "--jobs", "0"], 2, "--jobs"),
        (&[source, "--prices", "x.toml"], 2, "--dry-run"),
    ] {
        let ran = batch(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    // A file of that name that is somebody's.
    std::fs::create_dir_all(library.out()).unwrap();
    std::fs::write(library.out().join("library.json"), "{\"mine\": 1}").unwrap();
    let ran = batch(&[source]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("library.json"),
        "{}",
        ran.stderr
    );
}
