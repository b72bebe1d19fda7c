//! Wrong usage and wrong settings: one line that says what and where, and the right code.

use crate::support::{Ran, fixture, headwater};

fn run(arguments: &[&str]) -> Ran {
    headwater(arguments).output().unwrap().into()
}

/// `headwater package` of a clip into a scratch folder, with more flags.
fn package(flags: &[&str]) -> Ran {
    let scratch = tempfile::tempdir().unwrap();
    let (clip, out) = (fixture("talk.mp4"), scratch.path().join("out"));
    let mut command = headwater([std::path::Path::new("package"), &clip]);
    command
        .arg("--out")
        .arg(&out)
        .args(flags)
        .output()
        .unwrap()
        .into()
}

#[test]
fn flags_out_of_range_are_wrong_usage() {
    for flags in [
        ["--rungs", "0"],
        ["--rungs", "5000"],
        ["--segment-seconds", "0"],
        ["--segment-seconds", "11"],
        ["--preset", "fastest"],
        ["--passthrough", "maybe"],
        ["--jobs", "0"],
    ] {
        let ran = package(&flags);
        assert_eq!(ran.code, Some(2), "{flags:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
    assert_eq!(
        run(&["serve", "--data", "x", "--listen", "nowhere"]).code,
        Some(2)
    );
    let clip = fixture("talk.mp4");
    assert_eq!(
        run(&["package", clip.to_str().unwrap(), "--out", ""]).code,
        Some(2)
    );
}

#[test]
fn a_policy_that_is_wrong_is_refused_in_one_line_with_its_place() {
    let scratch = tempfile::tempdir().unwrap();
    let policy = scratch.path().join("policy.toml");
    for (text, says) in [
        (
            &b"crf = 20\nrung = [240]\n"[..],
            "policy.toml, line 2: unknown field `rung`",
        ),
        (b"rungs = [240", "policy.toml, line 1:"),
        (b"crf = 99", "crf is 99; it must be 0 to 51"),
        (b"\xff\xfe", "valid UTF-8"),
    ] {
        std::fs::write(&policy, text).unwrap();
        let ran = package(&["--policy", policy.to_str().unwrap()]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_file_in_the_place_of_the_output_folder_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let place = file.path().to_str().unwrap();
    for out in [place.to_owned(), format!("{place}/below")] {
        let ran = run(&[
            "package",
            fixture("talk.mp4").to_str().unwrap(),
            "--out",
            &out,
        ]);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("can't be used as a folder"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn verify_names_the_place_it_was_given() {
    let empty = tempfile::tempdir().unwrap();
    let place = empty.path().to_str().unwrap();
    let ran = run(&["verify", place]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains(place),
        "{}",
        ran.stderr
    );
    let ran = run(&["verify", "s3://bucket/prefix"]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("http://"),
        "{}",
        ran.stderr
    );
    let ran = run(&["verify", "http://127.0.0.1:1/index.m3u8"]);
    assert!(
        ran.code == Some(3) && ran.stderr.contains("refused"),
        "{}",
        ran.stderr
    );
}
