//! What the child must never do, and what becomes of it when it misbehaves.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater::error::ErrorKind;
use headwater::sandbox::{Launcher, Options};

use super::support::{clip, index, launcher, open, options, run_video, whole};

#[test]
fn hijacked_child_can_do_nothing_but_compute() {
    let output = Command::new(env!("CARGO_BIN_EXE_headwater-media"))
        .arg("--self-test")
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = report.as_object().unwrap();
    let layers = &report["layers"];
    let enforced = ["limits", "no_new_privileges", "seccomp"];
    // Landlock is not in every kernel; without it seccomp still stands.
    assert!(
        enforced.iter().all(|layer| layers[layer] == true),
        "{layers}"
    );
    for (what, able) in report.iter().filter(|(what, _)| *what != "layers") {
        assert_eq!(
            *able,
            serde_json::json!(what == "starts_a_thread"),
            "{what}"
        );
    }
}

/// A file whose bytes name a neighbour gives an error, and none of the neighbour's bytes.
#[test]
fn playlists_and_scripts_under_a_media_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.ts");
    let Some(neighbour) = clip("mpeg2_1080p24.ts") else {
        return;
    };
    std::fs::copy(neighbour, &secret).unwrap();
    let path = secret.display();
    let texts = [
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.5,\nfile://{path}\n#EXT-X-ENDLIST\n"),
        format!("\n\n#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.5,\n{path}\n#EXT-X-ENDLIST\n"),
        format!("ffconcat version 1.0\nfile '{path}'\n"),
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n".to_owned(),
        format!("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><BaseURL>{path}</BaseURL></MPD>"),
        format!("<SMIL><body><video src=\"{path}\"/></body></SMIL>"),
        "-f lavfi testsrc".to_owned(),
    ];
    for text in texts {
        let upload = folder.path().join("up.mp4");
        std::fs::write(&upload, &text).unwrap();
        let error = index(&upload).map(|source| source.index).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported),
            "{text}: {error}"
        );
    }
}

#[test]
fn broken_files_are_errors_or_survived() {
    for name in [
        "bad_zero_bytes.mp4",
        "bad_zeros.mp4",
        "bad_text.mp4",
        "bad_headless.mp4",
        "bad_truncated_60pct.mp4",
        "bad_decord_corrupted.mp4",
        "bad_mdat_too_long.mp4",
        "bad_no_timescale.mp4",
        "bad_ts_bitrot.ts",
        "bad_vp9_bitstream.webm",
        "bad_zero_empty_stsc.mp4",
    ] {
        let Some(path) = clip(name) else { return };
        let source = match index(&path) {
            Ok(source) => source,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported),
                    "{name}: {error}"
                );
                continue;
            }
        };
        if !source.index.tracks.iter().any(|t| {
            matches!(t.kind, headwater::media::TrackKind::Video(_)) && !t.samples.is_empty()
        }) {
            continue;
        }
        let task = whole(&source, (25, 1), 50, &[(320, 180)]);
        match source.run_video(&task) {
            Ok(made) => assert_eq!(made.samples.len(), task.frames.len(), "{name}"),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Invalid),
                "{name}: {error}"
            ),
        }
    }
}

/// Sends `signal` to the one child that works for this launcher, once it has given a sample.
fn disturbed(signal: &str, options: Options) -> (headwater::error::Error, Duration) {
    let source = open("h264_aac_720p2997.mp4").unwrap();
    let task = whole(&source, (30_000, 1001), 60, &[(1280, 720)]);
    let never = AtomicBool::new(false);
    let mut hit: Option<(String, Instant)> = None;
    let error = Launcher::new(options)
        .video(&task, &source.file, None, &never, &mut |_| {
            if hit.is_none() {
                let child = child_of_this_thread();
                assert!(
                    Command::new("kill")
                        .args([signal, &child])
                        .status()
                        .unwrap()
                        .success()
                );
                hit = Some((child, Instant::now()));
            }
            Ok(())
        })
        .unwrap_err();
    let (child, since) = hit.unwrap();
    assert!(
        std::fs::metadata(format!("/proc/{child}")).is_err(),
        "the child is still there"
    );
    (error, since.elapsed())
}

fn child_of_this_thread() -> String {
    let text = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn killed_child_fails_its_task_and_leaves_nothing() {
    if clip("h264_aac_720p2997.mp4").is_none() {
        return;
    }
    let (error, _) = disturbed("-KILL", options());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("signal 9"), "{error}");
}

#[test]
fn hung_child_is_ended() {
    if clip("h264_aac_720p2997.mp4").is_none() {
        return;
    }
    let stall = Duration::from_secs(2);
    let (error, took) = disturbed("-STOP", Options { stall, ..options() });
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("silent for 2 s"), "{error}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn raised_stop_flag_ends_the_child() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let task = whole(&source, (30_000, 1001), 60, &[(1280, 720)]);
    let stop = AtomicBool::new(false);
    let mut child = String::new();
    let error = launcher()
        .video(&task, &source.file, None, &stop, &mut |_| {
            child = child_of_this_thread();
            stop.store(true, Ordering::Relaxed);
            Ok(())
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(std::fs::metadata(format!("/proc/{child}")).is_err());
}

/// The niceness that `proc_pid_stat(5)` tells.
fn niceness(folder: &Path) -> Option<i32> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let fields = stat.rsplit(')').next()?;
    fields.split_whitespace().nth(16)?.parse().ok()
}

/// Every thread of it, from where its parent stands.
#[test]
fn a_child_steps_back_as_far_as_it_is_told() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let task = whole(&source, (30_000, 1001), 60, &[(320, 180)]);
    let never = AtomicBool::new(false);
    let wanted = niceness(Path::new("/proc/self")).unwrap() + 5;
    let mut found = Vec::new();
    let launcher = Launcher::new(Options {
        nice: 5,
        ..options()
    });
    let made = launcher.video(&task, &source.file, None, &never, &mut |_| {
        let threads = format!("/proc/{}/task", child_of_this_thread());
        for thread in std::fs::read_dir(threads).unwrap().flatten() {
            found.extend(niceness(&thread.path()));
        }
        Ok(())
    });
    made.unwrap();
    assert!(!found.is_empty() && found.iter().all(|nice| *nice == wanted.min(19)));
}

#[test]
fn error_of_the_receiver_ends_the_child() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let task = whole(&source, (30_000, 1001), 60, &[(1280, 720)]);
    let never = AtomicBool::new(false);
    let error = launcher()
        .video(&task, &source.file, None, &never, &mut |_| {
            Err(headwater::error::Error::new(
                ErrorKind::Exhausted,
                "the disk is full",
            ))
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "the disk is full");
}

#[test]
fn child_that_needs_too_much_memory_fails_its_task_only() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let task = whole(&source, (30_000, 1001), 60, &[(1280, 720)]);
    let limited = Launcher::new(Options {
        memory_limit_bytes: 160 << 20,
        ..options()
    });
    assert!(run_video(&limited, &task, &source.file, &source.spool).is_err());
}

/// Strict or not, here or on a kernel without Landlock: a child works confined, or not at all.
#[test]
fn strict_child_works_confined_or_not_at_all() {
    let Some(path) = clip("video_only.mp4") else {
        return;
    };
    let strict = Options {
        strict: true,
        ..options()
    };
    let file = std::fs::File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut spool = tempfile::tempfile().unwrap();
    match Launcher::new(strict).index(&file, size, &mut spool) {
        Ok(index) => assert_eq!(index.tracks.len(), 1),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    }
}

#[test]
fn missing_program_is_named() {
    let options = Options {
        program: Some("/nowhere/headwater-media".into()),
        ..Options::default()
    };
    let Some(path) = clip("video_only.mp4") else {
        return;
    };
    let file = std::fs::File::open(path).unwrap();
    let mut spool = tempfile::tempfile().unwrap();
    let error = Launcher::new(options)
        .index(&file, 1, &mut spool)
        .unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/headwater-media"),
        "{error}"
    );
}

#[test]
fn program_run_by_hand_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_headwater-media"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("started by headwater"), "{said}");
}
