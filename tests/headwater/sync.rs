//! Sound and picture stay together: each ten seconds a flash and a click at the same moment, in pictures
//! that come at uneven times.

use std::path::{Path, PathBuf};

use crate::support::{ffmpeg, joined, package};

/// Seconds between two flashes.
const PERIOD: f64 = 10.0;
const SOUND_RATE: f64 = 8000.0;

/// Flashes and clicks of a tenth of a second at 0, 10, 20 s, and so on. Of 30 pictures a second a third is
/// missing, at random, and for eight seconds there is none; times are rounded to milliseconds.
fn flashes(folder: &Path, seconds: u32) -> PathBuf {
    let path = folder.join("flashes.mkv");
    let picture = format!(
        "color=black:s=128x72:r=30:d={seconds},drawbox=c=white:t=fill:enable='lt(mod(t,10),0.1)',\
         select='lt(mod(t,10),0.14)+gt(random(7),0.33)*not(between(t,61,69))'"
    );
    let sound = format!("aevalsrc='0.7*sin(2*PI*1000*t)*lt(mod(t,10),0.1)':s=48000:d={seconds}");
    ffmpeg([
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        &sound,
        "-vsync",
        "vfr",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "60",
        "-c:a",
        "aac",
        path.to_str().unwrap(),
    ]);
    path
}

/// Times at which something that was dark or quiet begins to be bright or loud.
fn onsets(levels: impl Iterator<Item = bool>, rate: f64, quiet: f64) -> Vec<f64> {
    let mut onsets = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (number, on) in levels.enumerate() {
        let time = number as f64 / rate;
        if on {
            if time - last > quiet {
                onsets.push(time);
            }
            last = time;
        }
    }
    onsets
}

/// Flashes, clicks, and frames a second.
fn measured(source: &Path, out: &Path) -> (Vec<f64>, Vec<f64>, f64) {
    let flags = [
        "--rungs",
        "72",
        "--preset",
        "ultrafast",
        "--passthrough",
        "never",
    ];
    let result = package(source, out, &flags);
    let renditions = result["renditions"].as_array().unwrap();
    let of = |kind: char| {
        let mut ids = renditions.iter().filter_map(|r| r["id"].as_str());
        let id = ids.find(|id| id.starts_with(kind)).unwrap();
        let path = out.join(format!("{id}.mp4"));
        std::fs::write(&path, joined(out, &result, id)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (picture, sound) = (of('v'), of('a'));
    let pictures = ffmpeg([
        "-i",
        &picture,
        "-vf",
        "scale=1:1:flags=area,format=gray",
        "-vsync",
        "0",
        "-f",
        "rawvideo",
        "-",
    ]);
    let rate = pictures.len() as f64 / result["duration_s"].as_f64().unwrap();
    // Priming lies before 0, and FFmpeg would let it be heard.
    let resample = "aresample=8000:async=1:first_pts=0";
    let samples = ffmpeg([
        "-copyts", "-i", &sound, "-af", resample, "-ac", "1", "-f", "s16le", "-",
    ]);
    let loud = samples
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 6000);
    (
        onsets(pictures.iter().map(|level| *level > 128), rate, 1.0),
        onsets(loud, SOUND_RATE, 1.0),
        rate,
    )
}

/// An hour, with `HEADWATER_SYNC_SECONDS=3600`: see `scripts/check-sync`.
#[test]
fn uneven_pictures_do_not_drift_from_their_sound() {
    let asked = std::env::var("HEADWATER_SYNC_SECONDS").ok();
    let seconds: u32 = asked.and_then(|text| text.parse().ok()).unwrap_or(180);
    let folder = tempfile::tempdir().unwrap();
    let source = flashes(folder.path(), seconds);
    let (flashes, clicks, rate) = measured(&source, &folder.path().join("out"));
    let count = seconds.div_ceil(10) as usize;
    assert_eq!((flashes.len(), clicks.len()), (count, count));
    assert!((rate - 30.0).abs() < 0.01, "{rate} frames a second");
    let mut worst = 0.0_f64;
    for (number, (flash, click)) in flashes.iter().zip(&clicks).enumerate() {
        let due = number as f64 * PERIOD;
        worst = worst.max((flash - click).abs());
        assert!(
            (flash - due).abs() <= 1.0 / rate,
            "flash {number} at {flash} s"
        );
        assert!((click - due).abs() <= 0.005, "click {number} at {click} s");
    }
    eprintln!("{seconds} s: at most {:.1} ms apart", worst * 1000.0);
}

/// Edit lists of MP4: what lies before the edit isn't shown, and an empty edit delays its track.
#[test]
fn edit_lists_hold_for_picture_and_sound() {
    let folder = tempfile::tempdir().unwrap();
    let source = flashes(folder.path(), 32);
    let source = source.to_str().unwrap();
    let made = |name: &str| folder.path().join(name);
    // From the middle of a group of pictures: the edit begins after the first sample.
    let (cut, late) = (made("cut.mp4"), made("late.mp4"));
    ffmpeg([
        "-ss",
        "7.3",
        "-i",
        source,
        "-c",
        "copy",
        cut.to_str().unwrap(),
    ]);
    // The picture a second and a quarter after the sound that belongs to it.
    ffmpeg([
        "-itsoffset",
        "1.25",
        "-i",
        source,
        "-i",
        source,
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c",
        "copy",
        late.to_str().unwrap(),
    ]);
    let (flashes, clicks, rate) = measured(&cut, &made("cut"));
    assert_eq!(
        (flashes.len(), clicks.len()),
        (3, 3),
        "{flashes:?} {clicks:?}"
    );
    for (flash, click) in flashes.iter().zip(&clicks) {
        assert!(
            (flash - click).abs() <= 1.0 / rate,
            "{flashes:?} {clicks:?}"
        );
    }
    assert!((flashes[0] - 2.7).abs() < 0.05, "{flashes:?}");
    let (flashes, clicks, rate) = measured(&late, &made("late"));
    for (number, (flash, click)) in flashes.iter().zip(&clicks).enumerate().skip(1) {
        let apart = flash - click - 1.25;
        assert!(
            apart.abs() <= 1.0 / rate,
            "{number}: {flashes:?} {clicks:?}"
        );
    }
}
