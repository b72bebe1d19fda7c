//! Interlaced pictures become whole ones: what is interlaced is seen, not believed.
//!
//! The sources are made of progressive pictures at 50 a second, which are what must come out.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{decode_cleanly, joined, package, psnr_of, verify};

/// Moving pictures at 50 a second, 60 of them, and their size. Without colour: its matrix is
/// changed on the way, and with it what colours give to grey.
const MOTION: &str = "testsrc2=s=384x576:r=50:d=1.2,hue=s=0";
/// The same at half the rate, less sharp.
const WHOLE: &str = "testsrc2=s=384x576:r=25:d=1.2,hue=s=0,boxblur=2";
const SIZE: (usize, usize) = (384, 576);

fn ffmpeg(arguments: &[&str], output: &Path) {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .args(arguments)
        .arg(output)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// Decoded, in grey, at the size of the source.
fn grey(before: &[&str], input: &str) -> Vec<u8> {
    let ran = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(before)
        .args(["-i", input, "-vf", "scale=384:576,format=gray"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    ran.stdout
}

struct Made {
    frames: u64,
    rate: String,
    warnings: String,
    pictures: Vec<u8>,
}

fn made(source: &Path) -> Made {
    let out = tempfile::tempdir().unwrap();
    let flags = [
        "--rungs",
        "384",
        "--preset",
        "ultrafast",
        "--passthrough",
        "auto",
    ];
    let result = package(source, out.path(), &flags);
    let (code, report) = verify(out.path().to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    let track = result["renditions"][0]["id"].as_str().unwrap();
    let bytes = joined(out.path(), &result, track);
    let file = out.path().join("joined.mp4");
    std::fs::write(&file, &bytes).unwrap();
    let manifest = std::fs::read_to_string(out.path().join("index.m3u8")).unwrap();
    let rate = manifest.split("FRAME-RATE=").nth(1).unwrap_or_default();
    Made {
        frames: decode_cleanly(&bytes),
        rate: rate
            .chars()
            .take_while(|c| !matches!(c, ',' | '\n'))
            .collect(),
        warnings: result["warnings"].to_string(),
        pictures: grey(&[], file.to_str().unwrap()),
    }
}

fn clip(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    ffmpeg(arguments, &path);
    path
}

/// Each output picture is the picture that the camera saw then: the order of the fields is right,
/// and none is doubled or lost.
#[test]
fn fields_become_the_pictures_they_were_taken_of() {
    let folder = tempfile::tempdir().unwrap();
    let reference = grey(&["-f", "lavfi"], MOTION);
    for (name, mode, codec) in [
        (
            "top.ts",
            "interleave_top",
            &["-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "1"][..],
        ),
        (
            "bottom.ts",
            "interleave_bottom",
            &["-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "0"],
        ),
        // Nothing in this one says that it is interlaced.
        (
            "unmarked.mp4",
            "interleave_top",
            &["-c:v", "libx264", "-crf", "12", "-preset", "ultrafast"],
        ),
    ] {
        let filter = format!("tinterlace={mode},format=yuv420p");
        let mut arguments = vec![MOTION, "-vf", &filter, "-q:v", "2"];
        arguments.extend(codec);
        let made = made(&clip(folder.path(), name, &arguments));
        assert_eq!((made.frames, made.rate.as_str()), (60, "50.000"), "{name}");
        let order = if mode.ends_with("top") {
            "top"
        } else {
            "bottom"
        };
        let said = format!("is interlaced, {order} field first");
        assert!(made.warnings.contains(&said), "{name}: {}", made.warnings);
        assert!(!made.warnings.contains("3:2"), "{name}: {}", made.warnings);
        let picture = SIZE.0 * SIZE.1;
        assert_eq!(made.pictures.len(), 60 * picture, "{name}");
        let original = |number: usize| reference.chunks(picture).nth(number);
        for (number, ours) in made.pictures.chunks(picture).enumerate() {
            let near = psnr_of(ours, original(number).unwrap());
            assert!(
                near > 24.0,
                "{name}: picture {number} is {near} dB like the original"
            );
            // The time that the camera saw it, and not the one before or after.
            for other in [number.wrapping_sub(1), number + 1] {
                let other = original(other).map_or(0.0, |other| psnr_of(ours, other));
                assert!(
                    near > other + 1.0,
                    "{name}: picture {number}: {near} and {other} dB"
                );
            }
        }
    }
}

/// Whole pictures that are marked as interlaced stay whole, at their own rate.
#[test]
fn marked_pictures_that_are_whole_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let source = clip(
        folder.path(),
        "segmented.ts",
        &[
            WHOLE,
            "-c:v",
            "mpeg2video",
            "-q:v",
            "2",
            "-pix_fmt",
            "yuv420p",
            "-flags",
            "+ilme+ildct",
            "-top",
            "1",
        ],
    );
    let made = made(&source);
    assert_eq!((made.frames, made.rate.as_str()), (30, "25.000"));
    assert!(
        made.warnings.contains("its pictures are whole"),
        "{}",
        made.warnings
    );
    let reference = grey(&["-f", "lavfi"], WHOLE);
    let picture = SIZE.0 * SIZE.1;
    for (ours, theirs) in made.pictures.chunks(picture).zip(reference.chunks(picture)) {
        assert!(psnr_of(ours, theirs) > 27.0);
    }
}

/// Sharp drawings that move are not taken for fields where nothing says that they are.
#[test]
fn sharp_drawings_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let drawing = "testsrc2=s=384x576:r=25:d=1.2";
    let arguments = [
        drawing,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
    ];
    let made = made(&clip(folder.path(), "drawing.mp4", &arguments));
    assert_eq!((made.frames, made.rate.as_str()), (30, "25.000"));
    assert_eq!(made.warnings, "[]");
}

/// DV of old cameras, in the containers it comes in: the bottom field is first.
#[test]
fn dv_becomes_fifty_pictures_a_second() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["camera.dv", "camera.avi", "camera.mov"] {
        let moving = "testsrc2=s=720x576:r=50:d=0.8,hue=s=0";
        let filter = "tinterlace=interleave_bottom,format=yuv420p,setfield=bff";
        let arguments = [moving, "-vf", filter, "-c:v", "dvvideo", "-aspect", "4:3"];
        let made = made(&clip(folder.path(), name, &arguments));
        assert_eq!((made.frames, made.rate.as_str()), (40, "50.000"), "{name}");
        assert!(
            made.warnings.contains("bottom field first"),
            "{name}: {}",
            made.warnings
        );
    }
}

/// Film at 24 pictures a second, stretched to 60 fields: told, and each field is shown.
#[test]
fn pulled_down_film_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let film = "testsrc2=s=720x480:r=24000/1001:d=2,boxblur=2,hue=s=0";
    let filter = "telecine=pattern=23:first_field=top,setfield=tff,format=yuv420p";
    let arguments = [
        film,
        "-vf",
        filter,
        "-c:v",
        "mpeg2video",
        "-q:v",
        "2",
        "-flags",
        "+ilme+ildct",
        "-top",
        "1",
    ];
    let made = made(&clip(folder.path(), "film.ts", &arguments));
    assert_eq!(made.rate, "59.940");
    assert!(made.warnings.contains("3:2 pulldown"), "{}", made.warnings);
}
