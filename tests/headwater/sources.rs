//! Sources that change, and ladders of one rung.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Ran, fixture, headwater, package, try_package, verify};

/// Whether a folder holds a segment.
fn has_segment(folder: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        path.extension().is_some_and(|extension| extension == "m4s")
            || path.is_dir() && !path.ends_with(".meta") && has_segment(&path)
    })
}

#[test]
fn a_source_that_changes_under_the_run_is_refused_and_nothing_of_it_is_kept_for_later() {
    let scratch = tempfile::tempdir().unwrap();
    let (input, out) = (scratch.path().join("talk.mp4"), scratch.path().join("out"));
    std::fs::copy(fixture("talk.mp4"), &input).unwrap();
    let flags = ["--rungs", "180,90", "--passthrough", "never"];
    let mut command = headwater([std::path::Path::new("package"), &input]);
    command.arg("--out").arg(&out).args(flags);
    command.args([
        "--preset",
        "veryslow",
        "--segment-seconds",
        "2",
        "--jobs",
        "1",
    ]);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_segment(&out) {
        assert!(Instant::now() < deadline, "no segment in a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut file = std::fs::File::options().append(true).open(&input).unwrap();
    file.write_all(b"more").unwrap();
    drop(file);
    let ran: Ran = run.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert!(
        line.contains("talk.mp4 changed while it was read"),
        "{line}"
    );
    assert!(
        !out.join("index.m3u8").try_exists().unwrap()
            && !out.join("presentation.json").try_exists().unwrap()
    );
}

#[test]
fn one_low_rung_with_sound_is_a_whole_presentation() {
    let out = tempfile::tempdir().unwrap();
    let flags = ["--rungs", "90", "--preset", "ultrafast"];
    package(&fixture("talk.ts"), out.path(), &flags);
    let (code, report) = verify(out.path().to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn a_refusal_leaves_no_new_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let text = scratch.path().join("text.mp4");
    std::fs::write(&text, "just words, many of them".repeat(200)).unwrap();
    let ran = try_package(&text, &scratch.path().join("a/b/c"), &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("MPEG-TS"), "{}", ran.stderr);
    assert!(!scratch.path().join("a").try_exists().unwrap());
}
