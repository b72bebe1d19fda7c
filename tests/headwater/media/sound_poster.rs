//! Posters of titles of sound alone: of their cover art, else drawn.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use headwater::cmaf::movie::read_movie;
use headwater::media::{Configured, Passthrough, Policy};
use headwater::plan::{self, Inspection, Lowering};

use super::support::{Source, index, launcher, written};

fn ffmpeg(arguments: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments);
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

/// The beginning of sound that swells, with the cover if there is one.
fn sound(folder: &Path, name: &str, cover: Option<&Path>) -> Source {
    let path = folder.join(name);
    let tone = "aevalsrc=t/2*sin(2*PI*440*t):s=44100:d=2";
    let mut arguments = vec!["-f", "lavfi", "-i", tone];
    if let Some(cover) = cover {
        arguments.extend(["-i", cover.to_str().unwrap(), "-map", "0", "-map", "1"]);
        arguments.extend(["-c:v", "copy", "-disposition:v", "attached_pic"]);
    }
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
    if !name.ends_with("m4a") {
        return index(&path).unwrap();
    }
    let file = std::fs::File::open(&path).unwrap();
    Source {
        index: read_movie(&file).unwrap().unwrap(),
        spool: tempfile::tempfile().unwrap(),
        file,
    }
}

fn configured(source: &Source, passthrough: Passthrough) -> (Configured, Vec<String>) {
    let policy = Policy {
        passthrough,
        ..Policy::default()
    };
    let plan = plan::plan(&source.index, "d", &policy, &Inspection::default()).unwrap();
    let warnings = plan.warnings.clone();
    let lowering = Lowering::new(Arc::new(plan), Arc::new(source.index.clone())).unwrap();
    let task = lowering.configure_task().unwrap();
    let never = AtomicBool::new(false);
    let made = launcher().configure(&task, &source.file, Some(&source.spool), &never);
    (made.unwrap(), warnings)
}

/// Width, height and mean colour (red, green, blue) of a JPEG, by FFmpeg.
fn seen(jpeg: &[u8]) -> ((usize, usize), [usize; 3]) {
    let file = written(jpeg);
    let size = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=width,height",
            "-of",
            "csv=p=0",
        ])
        .args(["-f", "mjpeg"])
        .arg(file.path())
        .output()
        .unwrap();
    let size = String::from_utf8_lossy(&size.stdout).into_owned();
    let mut sides = size.trim().split(',').map(|side| side.parse().unwrap());
    let size = (sides.next().unwrap(), sides.next().unwrap());
    let pixel = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mjpeg", "-i"])
        .arg(file.path())
        .args([
            "-vf",
            "scale=1:1:flags=area,format=rgb24",
            "-f",
            "rawvideo",
            "-",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&pixel.stderr), "");
    (size, [0, 1, 2].map(|at| usize::from(pixel.stdout[at])))
}

#[test]
fn cover_art_becomes_the_poster() {
    let folder = tempfile::tempdir().unwrap();
    for (container, picture) in [("mp3", "c.jpg"), ("flac", "c.png"), ("m4a", "c.jpg")] {
        let cover = folder.path().join(picture);
        let red = "color=red:s=300x200:d=1";
        ffmpeg(&[
            "-f",
            "lavfi",
            "-i",
            red,
            "-frames:v",
            "1",
            cover.to_str().unwrap(),
        ]);
        let source = sound(folder.path(), &format!("s.{container}"), Some(&cover));
        let (made, warnings) = configured(&source, Passthrough::Auto);
        let (size, [red, green, blue]) = seen(&made.poster.expect(container));
        assert_eq!(size, (300, 200), "{container}");
        assert!(red > 230 && green < 25 && blue < 25, "{red} {green} {blue}");
        assert!(
            made.damage.is_empty() && warnings.is_empty(),
            "{warnings:?}"
        );
    }
}

#[test]
fn sound_without_a_cover_is_drawn_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let source = sound(folder.path(), "s.m4a", None);
    let (made, _) = configured(&source, Passthrough::Auto);
    let jpeg = made.poster.expect("drawn");
    let (size, colour) = seen(&jpeg);
    assert_eq!(size, (1280, 720));
    assert!((20..120).contains(&colour[1]), "{colour:?}");
    assert_eq!(configured(&source, Passthrough::Auto).0.poster, Some(jpeg));
}

/// A picture that is cut off, one that is none, one that claims more pixels than are decoded.
#[test]
fn a_hostile_cover_is_told_of_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.jpg");
    let noise = "nullsrc=s=320x240:d=1,geq=random(1)*255";
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        noise,
        "-frames:v",
        "1",
        good.to_str().unwrap(),
    ]);
    let good = std::fs::read(good).unwrap();
    let mut huge = good.clone();
    let header = huge.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    huge[header + 5..header + 9].fill(0xff);
    for (name, bytes) in [
        ("none.jpg", vec![7; 5000]),
        ("huge.jpg", huge),
        ("cut.jpg", good[..header].to_vec()),
    ] {
        let whole = sound(folder.path(), "s.mp3", None);
        let mut source = whole;
        let cover = folder.path().join(name);
        std::fs::write(&cover, &bytes).unwrap();
        source.spool = std::fs::File::open(&cover).unwrap();
        let mut samples = headwater::media::SampleTable::new(0);
        let place = headwater::media::Place {
            home: headwater::media::Home::Spool,
            offset: 0,
            size: u32::try_from(bytes.len()).unwrap(),
        };
        samples.push(1, 0, true, place);
        let mut track = source.audio().clone();
        track.kind = headwater::media::TrackKind::Other;
        track.codec = headwater::media::Codec::from_name("mjpeg");
        (track.samples, track.config) = (samples, Vec::new());
        source.index.tracks.push(track);
        let (made, _) = configured(&source, Passthrough::Never);
        let (size, _) = seen(&made.poster.expect(name));
        assert_eq!(size, (1280, 720), "{name}");
        assert!(made.damage[0].message.contains("cover art"), "{name}");
    }
}
