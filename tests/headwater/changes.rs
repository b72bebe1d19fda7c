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

/// Seconds at which a tone begins, by FFmpeg's decoder, its delay taken off.
fn clicks(file: &Path) -> Vec<f64> {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-af", "aresample=8000:async=1:first_pts=0", "-ac", "1"])
        .args(["-f", "s16le", "-"])
        .output()
        .unwrap();
    let loud = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 4000;
    let (mut clicks, mut last) = (Vec::new(), f64::NEG_INFINITY);
    for (number, pair) in ran.stdout.chunks_exact(2).enumerate() {
        let time = number as f64 / 8000.0;
        if loud(pair) {
            if time - last > 0.5 {
                clicks.push(time);
            }
            last = time;
        }
    }
    clicks
}

/// `seconds` with a click at each of them, in a transport stream of its own.
fn clicking(folder: &Path, seconds: u32, options: &[&str]) -> Vec<u8> {
    let path = folder.join("clicking.ts");
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg(format!("testsrc2=s=160x90:r=25:d={seconds}"))
        .args(["-f", "lavfi", "-i"])
        .arg(format!(
            "aevalsrc='0.7*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=48000:d={seconds}"
        ))
        .args(["-c:v", "libx264", "-preset", "ultrafast"])
        .args(options)
        .arg(&path)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{words}");
    std::fs::read(path).unwrap()
}

/// Packages a transport stream and says how long it is, when its clicks are, how many pictures it
/// has, and what was warned of.
fn timed(folder: &Path, bytes: &[u8]) -> (f64, Vec<f64>, u64, String) {
    let (source, out) = (folder.join("timed.ts"), folder.join("timed"));
    std::fs::write(&source, bytes).unwrap();
    let _ = std::fs::remove_dir_all(&out);
    let result = package(&source, &out, &["--rungs", "90", "--preset", "ultrafast"]);
    let sound = folder.join("sound.mp4");
    std::fs::write(&sound, joined(&out, &result, "a-und")).unwrap();
    let pictures = decode_cleanly(&joined(&out, &result, "v90"));
    (
        result["duration_s"].as_f64().unwrap(),
        clicks(&sound),
        pictures,
        result["warnings"].to_string(),
    )
}

/// Behind a join the demuxer still hands out sound of before it.
#[test]
fn joined_streams_are_as_long_as_their_parts_and_the_sound_stays_in_place() {
    let folder = tempfile::tempdir().unwrap();
    for codec in ["ac3", "eac3", "mp2", "aac"] {
        let part = clicking(folder.path(), 3, &["-c:a", codec]);
        let (duration, clicks, pictures, said) = timed(folder.path(), &part.repeat(2));
        assert!((6.0..6.1).contains(&duration), "{codec}: {duration} s");
        assert!((150..=152).contains(&pictures), "{codec}: {pictures}");
        assert!(said.contains("the clock jumps once"), "{codec}: {said}");
        assert_eq!(clicks.len(), 6, "{codec}: {clicks:?}");
        for (number, click) in clicks.iter().enumerate() {
            let late = click - clicks[0] - number as f64;
            assert!(clicks[0] < 0.05 && late.abs() < 0.05, "{codec}: {clicks:?}");
        }
    }
}

/// The clock of MPEG-2 has 33 bits at 90 kHz and starts again from zero after 26.5 hours.
#[test]
fn a_clock_that_wraps_around_soon_after_the_start_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // 2^33 / 90000 = 95443.7 s; the muxer adds 1.4 s.
    for offset in ["95440.3", "95412"] {
        let options = ["-c:a", "aac", "-output_ts_offset", offset];
        let stream = clicking(folder.path(), 4, &options);
        let (duration, clicks, pictures, said) = timed(folder.path(), &stream);
        assert!((4.0..4.1).contains(&duration), "{offset}: {duration} s");
        assert!((100..=102).contains(&pictures), "{offset}: {pictures}");
        assert_eq!(said, "[]");
        assert_eq!(clicks.len(), 4, "{offset}: {clicks:?}");
        assert!(clicks[0] < 0.1, "{offset}: {clicks:?}");
    }
}
