//! Sources whose picture changes on the way.

use std::path::Path;
use std::process::Command;

use crate::support::{decode_cleanly, joined, package, verify};

/// A second of one colour, of `size`, at 25 a second, in a transport stream of its own.
fn part(folder: &Path, name: &str, colour: &str, size: &str, options: &[&str]) -> Vec<u8> {
    let path = folder.join(name);
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg(format!("color={colour}:s={size}:r=25:d=1"))
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000:d=1",
        ])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"])
        .args(options)
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    std::fs::read(path).unwrap()
}

/// The picture at `seconds`, 16 by 9 pixels of grey.
fn grey(file: &Path, seconds: &str) -> Vec<u8> {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-ss", seconds, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", "scale=16:9:flags=area,format=gray"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    ran.stdout
}

/// Transport streams joined one behind the other: another size, another shape, another depth, clocks
/// that start anew.
#[test]
fn a_picture_of_another_shape_is_fitted_in_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let parts = [
        part(
            folder.path(),
            "a.ts",
            "white",
            "320x180",
            &["-pix_fmt", "yuv420p"],
        ),
        part(
            folder.path(),
            "b.ts",
            "white",
            "240x180",
            &["-pix_fmt", "yuv420p"],
        ),
        part(
            folder.path(),
            "c.ts",
            "white",
            "160x90",
            &["-pix_fmt", "yuv444p10le"],
        ),
    ];
    let source = folder.path().join("joined.ts");
    std::fs::write(&source, parts.concat()).unwrap();
    let out = folder.path().join("out");
    let result = package(
        &source,
        &out,
        &["--rungs", "180,90", "--preset", "ultrafast"],
    );
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    let bytes = joined(&out, &result, "v180");
    let frames = decode_cleanly(&bytes);
    assert!((75..=77).contains(&frames), "{frames} frames of 75");
    let said = result["warnings"].to_string();
    for change in ["from 320x180 to 240x180", "from 240x180 to 160x90"] {
        assert!(said.contains(change), "{said}");
    }
    let file = folder.path().join("v180.mp4");
    std::fs::write(&file, bytes).unwrap();
    let is_white = |pixel: &u8| *pixel > 200;
    let (whole, fitted, back) = (grey(&file, "0.5"), grey(&file, "1.5"), grey(&file, "2.5"));
    assert!(whole.iter().all(is_white) && back.iter().all(is_white));
    let row = &fitted[4 * 16..5 * 16];
    assert!(row[0] < 40 && row[15] < 40, "bars: {row:?}");
    assert!(
        row[3..13].iter().all(is_white),
        "not stretched, not shifted: {row:?}"
    );
}
