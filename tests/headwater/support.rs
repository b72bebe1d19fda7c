//! Running the program and reading its output with other people's readers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A small clip of the project's own.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The folder of shared clips, if this machine has it.
pub(crate) fn shared_media() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADWATER_MEDIA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"),
        PathBuf::from,
    );
    folder.is_dir().then_some(folder)
}

/// `headwater ARGS`.
pub(crate) fn headwater<I: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = I>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.args(arguments);
    command
}

/// What an `ffmpeg` run writes to stdout.
#[cfg(feature = "transcode")]
pub(crate) fn ffmpeg<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg said: {words}");
    output.stdout
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Packages `input` into `out` with more flags; gives the result object.
pub(crate) fn package(input: &Path, out: &Path, flags: &[&str]) -> serde_json::Value {
    let ran = try_package(input, out, flags);
    assert_eq!(ran.code, Some(0), "{}: {}", input.display(), ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// As [`package`], whatever comes of it.
pub(crate) fn try_package(input: &Path, out: &Path, flags: &[&str]) -> Ran {
    let mut command = headwater([Path::new("package"), input, Path::new("--out"), out]);
    command.arg("--json").args(flags).output().unwrap().into()
}

/// `headwater verify --json PLACE`: exit code and report.
pub(crate) fn verify(place: &str) -> (Option<i32>, serde_json::Value) {
    let ran: Ran = headwater(["verify", "--json", place])
        .output()
        .unwrap()
        .into();
    let report = serde_json::from_str(&ran.stdout);
    (
        ran.code,
        report.unwrap_or_else(|e| panic!("{e}: {} {}", ran.stdout, ran.stderr)),
    )
}

/// The tracks of a result object: (id, segments).
pub(crate) fn tracks(result: &serde_json::Value) -> Vec<(String, u64)> {
    let rendition = |r: &serde_json::Value| {
        (
            r["id"].as_str().unwrap().to_owned(),
            r["segments"].as_u64().unwrap(),
        )
    };
    result["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(rendition)
        .collect()
}

/// Init segment and all segments of a track as one file's bytes, which CMAF makes a valid file.
pub(crate) fn joined(out: &Path, result: &serde_json::Value, track: &str) -> Vec<u8> {
    let folder = out.join(result["revision"].as_str().unwrap()).join(track);
    let count = tracks(result).iter().find(|(id, _)| id == track).unwrap().1;
    let mut bytes = std::fs::read(folder.join("init.mp4")).unwrap();
    for number in 1..=count {
        bytes.extend(std::fs::read(folder.join(format!("{number}.m4s"))).unwrap());
    }
    bytes
}

/// What FFmpeg's decoder makes of a file: the number of frames. Any word on stderr is a failure.
pub(crate) fn decode_cleanly(bytes: &[u8]) -> u64 {
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-i"])
        .arg(file.path())
        .args(["-f", "framecrc", "-"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && words.is_empty(),
        "ffmpeg said: {words}"
    );
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().filter(|line| !line.starts_with('#')).count() as u64
}

/// One packet as ffprobe sees it: presentation time, decode time, size, whether a key frame.
pub(crate) type Packet = (f64, f64, u64, bool);

/// The packets of a file's first stream of a kind (`v` or `a`), by ffprobe.
pub(crate) fn packets(file: &Path, kind: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", &format!("{kind}:0")])
        .args([
            "-show_entries",
            "packet=pts_time,dts_time,size,flags",
            "-of",
            "csv=p=0",
        ])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let packet = |line: &str| {
        let mut fields = line.split(',');
        let mut next = || fields.next().unwrap_or_default().to_owned();
        let (pts, dts, size, flags) = (next(), next(), next(), next());
        Some((
            pts.parse().ok()?,
            dts.parse().ok()?,
            size.parse().ok()?,
            flags.starts_with('K'),
        ))
    };
    text.lines().filter_map(packet).collect()
}

/// Peak signal-to-noise ratio of two raw pictures, in dB.
#[cfg(feature = "transcode")]
pub(crate) fn psnr_of(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let errors = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
    let mean = errors.sum::<u64>() as f64 / a.len() as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

/// The processes that a run has started, by any of its threads.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    let listed =
        |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
    let texts: Vec<String> = threads
        .flatten()
        .filter_map(|thread| listed(thread).ok())
        .collect();
    let pids = texts.iter().flat_map(|text| text.split_whitespace());
    pids.filter_map(|pid| pid.parse().ok()).collect()
}
