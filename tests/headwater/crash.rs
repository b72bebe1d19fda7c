//! A run that is ended at any instant leaves what was finished, and the same command goes on.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{children, fixture, headwater, package, verify};

const FLAGS: &[&str] = &[
    "--rungs",
    "180,90",
    "--preset",
    "slow",
    "--passthrough",
    "never",
    "--segment-seconds",
    "2",
];

fn start(out: &Path) -> Child {
    let mut command = headwater([
        Path::new("package"),
        &fixture("talk.mp4"),
        Path::new("--out"),
        out,
    ]);
    command
        .args(FLAGS)
        .args(["--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Segments on disk, whatever the revision.
fn segments(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let count = |path: std::path::PathBuf| match path.extension() {
        Some(extension) if extension == "m4s" => 1,
        _ if path.is_dir() && !path.ends_with(".meta") => segments(&path),
        _ => 0,
    };
    entries.flatten().map(|entry| count(entry.path())).sum()
}

fn wait_for_segments(out: &Path, least: usize, run: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while segments(out) < least && run.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "no segment in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the end of processes whose parent was killed.
fn wait_until_gone(pids: &[u32]) {
    let is_alive = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(is_alive) {
        assert!(Instant::now() < deadline, "orphans: {pids:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn killed_runs_go_on_where_they_stopped() {
    let out = tempfile::tempdir().unwrap();
    for least in [1, 4, 8] {
        let mut run = start(out.path());
        wait_for_segments(out.path(), least, &mut run);
        let started = children(run.id());
        run.kill().unwrap();
        run.wait().unwrap();
        wait_until_gone(&started);
        assert!(
            !out.path().join("index.m3u8").is_file(),
            "nothing is visible before it is whole"
        );
    }
    let kept = segments(out.path()) as u64;
    let result = package(&fixture("talk.mp4"), out.path(), FLAGS);
    assert!(kept >= 8 && result["segments_reused"].as_u64().unwrap() >= kept);
    let (code, report) = verify(out.path().to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn ctrl_c_ends_the_run_in_order() {
    let out = tempfile::tempdir().unwrap();
    let mut run = start(out.path());
    wait_for_segments(out.path(), 1, &mut run);
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let code = run.wait().unwrap().code();
    assert_eq!(code, Some(3));
    let result = package(&fixture("talk.mp4"), out.path(), FLAGS);
    assert!(result["segments_reused"].as_u64().unwrap() >= 1);
}
