//! Files that give their pictures in the order of decoding although it isn't that of showing them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{ffmpeg, joined, package, verify};

/// Arguments for three seconds in H.264, each picture brighter than the one before, with B pictures.
const BRIGHTENING: &[&str] = &[
    "-f",
    "lavfi",
    "-i",
    "nullsrc=s=160x96:r=25:d=3,geq=lum='20+N*2':cb=128:cr=128,format=yuv420p",
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-qp",
    "4",
    "-bf",
    "3",
    "-g",
    "25",
    "-x264-params",
    "b-adapt=0:b-pyramid=0",
];

/// A bare stream that was put into an MP4 file.
fn from_bare_stream(folder: &Path) -> PathBuf {
    let (bare, file) = (folder.join("x.264"), folder.join("bare.mp4"));
    let (from, to) = (bare.to_str().unwrap(), file.to_str().unwrap());
    ffmpeg([BRIGHTENING, &[from]].concat());
    ffmpeg(["-i", from, "-c", "copy", to]);
    file
}

/// An MP4 file that lost its composition offsets.
fn without_offsets(folder: &Path) -> PathBuf {
    let file = folder.join("lost.mp4");
    let to = ["-use_editlist", "0", file.to_str().unwrap()];
    ffmpeg([BRIGHTENING, &to].concat());
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(4).position(|kind| kind == b"ctts").unwrap();
    bytes[at..at + 4].copy_from_slice(b"free");
    std::fs::write(&file, bytes).unwrap();
    file
}

/// The time of each picture as it comes out of FFmpeg's decoder, and how bright it is.
fn shown(file: &Path) -> (Vec<f64>, Vec<u8>) {
    let file = file.to_str().unwrap();
    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v"])
        .args(["-show_entries", "frame=pts_time", "-of", "csv=p=0", file])
        .output()
        .unwrap();
    let text = String::from_utf8(probed.stdout).unwrap();
    // A picture with side data has a line more.
    let lines = text.lines().map(|line| line.trim_end_matches(','));
    let lines = lines.filter(|line| !line.is_empty());
    let times = lines.map(|line| line.parse().unwrap());
    let one_pixel = "scale=1:1:flags=area,format=gray";
    let passed = ["-vsync", "passthrough", "-f", "rawvideo", "-"];
    let arguments = [&["-i", file, "-vf", one_pixel][..], &passed].concat();
    (times.collect(), ffmpeg(&arguments))
}

/// Packages and tells whether the video was repackaged.
fn is_put_in_order(source: &Path, folder: &Path, passthrough: &str) -> bool {
    let out = folder.join(passthrough);
    let flags = ["--rungs", "96", "--preset", "ultrafast"];
    let flags = [&flags[..], &["--passthrough", passthrough]].concat();
    let result = package(source, &out, &flags);
    let made = folder.join(format!("{passthrough}.mp4"));
    std::fs::write(&made, joined(&out, &result, "v96")).unwrap();
    let (times, levels) = shown(&made);
    // The muxer cuts off the time of one picture by an edit list.
    let (of_source, _) = shown(source);
    assert_eq!(levels.len(), of_source.len(), "{passthrough}");
    let rises = levels.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(rises, "{passthrough}: {levels:?}");
    let steady = |t: &[f64]| (t[1] - t[0] - 0.04).abs() < 0.002;
    assert!(times.windows(2).all(steady), "{passthrough}: {times:?}");
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    result["renditions"][0]["source"] == "copy"
}

#[test]
fn pictures_without_composition_times_are_shown_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let source = from_bare_stream(folder.path());
    let (times, _) = shown(&source);
    assert!(!times.is_sorted(), "the clip has what it is made for");
    assert!(!is_put_in_order(&source, folder.path(), "never"));
    let source = without_offsets(folder.path());
    assert!(is_put_in_order(&source, folder.path(), "auto"));
}
