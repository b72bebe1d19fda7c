//! What can't be packaged is refused in one clear line, with the right code, and leaves nothing.

use std::path::Path;

use crate::support::{Ran, fixture, headwater, try_package};

fn refused(input: &Path) -> Ran {
    let out = tempfile::tempdir().unwrap();
    let ran = try_package(input, out.path(), &[]);
    assert_eq!(ran.code, Some(1), "{}: {}", input.display(), ran.stderr);
    assert!(ran.stdout.is_empty());
    let name = input.file_name().unwrap().to_str().unwrap();
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert!(line.contains(name), "the file is named: {line}");
    let left: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    ran
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn what_is_no_media_is_refused_with_the_reason() {
    let talk = std::fs::read(fixture("talk.mp4")).unwrap();
    let text = b"This is a letter, not a film.\n".repeat(100);
    for (name, bytes, word) in [
        ("empty.mp4", &[][..], "empty"),
        ("zeros.mp4", &[0; 100_000][..], ""),
        ("text.mp4", &text[..], ""),
        ("headless.mp4", &talk[talk.len() / 2..], ""),
        ("headonly.mp4", &talk[..20], ""),
    ] {
        let (_folder, path) = written(name, bytes);
        let ran = refused(&path);
        assert!(ran.stderr.contains(word), "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_missing_file_is_named_and_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let ran = try_package(&folder.path().join("nowhere.mp4"), &out, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("nowhere.mp4"));
    assert!(!out.is_dir());
}

#[test]
fn an_output_that_can_not_be_written_is_named() {
    let ran = try_package(&fixture("talk.mp4"), Path::new("/dev/null/out"), &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("/dev/null/out"));
}

#[test]
fn wrong_usage_exits_with_two() {
    let out = tempfile::tempdir().unwrap();
    for flags in [
        &["--preset", "fastest"][..],
        &["--passthrough", "maybe"],
        &["--rungs", "tall"],
    ] {
        let ran = try_package(&fixture("talk.mp4"), out.path(), flags);
        assert_eq!(ran.code, Some(2), "{flags:?}: {}", ran.stderr);
    }
    let ran: Ran = headwater(["package"]).output().unwrap().into();
    assert_eq!(ran.code, Some(2));
}

#[test]
fn passthrough_only_refuses_what_it_would_have_to_decode() {
    let out = tempfile::tempdir().unwrap();
    let ran = try_package(
        &fixture("talk.webm"),
        out.path(),
        &["--passthrough", "only"],
    );
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("vp9"), "{}", ran.stderr);
}

/// A playlist or script that calls itself .mp4 reads nothing of what it names.
#[test]
fn a_playlist_in_disguise_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("neighbour.ts");
    std::fs::copy(fixture("talk.ts"), &secret).unwrap();
    let secret = secret.display();
    for (name, text) in [
        ("hls.mp4", format!("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:5,\nfile://{secret}\n#EXT-X-ENDLIST\n")),
        ("concat.mp4", format!("ffconcat version 1.0\nfile '{secret}'\n")),
        ("relative.mp4", "ffconcat version 1.0\nfile neighbour.ts\n".to_owned()),
        ("session.mp4", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n".to_owned()),
        ("dash.mp4", format!("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period><AdaptationSet><Representation id=\"1\"><BaseURL>file://{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>")),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        refused(&path);
    }
}

#[test]
fn a_full_disk_is_said_and_the_run_goes_on_later() {
    // A small file system of its own needs the right to mount one.
    let folder = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let path = folder.path().to_str().unwrap();
        let done = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(path)
            .output();
        done.is_ok_and(|done| done.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs"]) {
        eprintln!("skipped: no right to mount");
        return;
    }
    let flags = ["--rungs", "180,90", "--preset", "ultrafast"];
    let ran = try_package(&fixture("talk.mp4"), folder.path(), &flags);
    let resumed = mount(&["mount", "-o", "remount,size=20m"])
        .then(|| try_package(&fixture("talk.mp4"), folder.path(), &flags));
    assert!(mount(&["umount"]));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("full"), "{}", ran.stderr);
    assert_eq!(resumed.unwrap().code, Some(0));
}
