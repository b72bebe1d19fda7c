//! Index tasks: every sample found, judged by ffprobe.

use std::os::unix::fs::FileExt;
use std::process::Command;

use headwater::media::{PixelAspect, SourceTrack};

use super::support::{clip, open};

/// Sizes and presentation times (seconds) of a stream's packets, as ffprobe sees them.
fn packets(name: &str, stream: usize) -> Vec<(u64, Option<f64>)> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            &stream.to_string(),
            "-of",
            "json",
        ])
        .args(["-show_entries", "packet=size,pts_time"])
        .arg(clip(name).unwrap())
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse().ok());
    json["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| {
            (
                number(&packet["size"]).unwrap() as u64,
                number(&packet["pts_time"]),
            )
        })
        .collect()
}

fn seconds(track: &SourceTrack) -> Vec<f64> {
    let scale = f64::from(track.timescale.get());
    track
        .samples
        .iter()
        .map(|s| s.presentation_time() as f64 / scale)
        .collect()
}

/// All streams have the packets that ffprobe sees, at their times up to `tolerance` seconds.
fn assert_agrees(name: &str, tolerance: f64) {
    let Some(source) = open(name) else { return };
    for track in &source.index.tracks {
        let wanted: Vec<_> = packets(name, track.number as usize);
        let wanted: Vec<_> = wanted.iter().filter(|(size, _)| *size > 0).collect();
        assert_eq!(track.samples.len(), wanted.len(), "{name} {}", track.number);
        for ((sample, time), (size, pts)) in track.samples.iter().zip(seconds(track)).zip(wanted) {
            assert_eq!(u64::from(sample.place.size), *size, "{name}");
            if let Some(pts) = pts {
                assert!(
                    (pts - time).abs() <= tolerance,
                    "{name} {}: {pts} became {time}",
                    track.number
                );
            }
        }
    }
}

#[test]
fn matroska_is_indexed_in_place() {
    assert_agrees("derived_multiaudio_subs.mkv", 0.001);
    assert_agrees("vp9_642x642.webm", 0.001);
    assert_agrees("no_duration.webm", 0.001);
    let Some(source) = open("derived_multiaudio_subs.mkv") else {
        return;
    };
    assert_eq!(source.spool.metadata().unwrap().len(), 0);
    let languages: Vec<_> = source
        .index
        .tracks
        .iter()
        .map(|t| (t.kind.word(), t.language.as_str()))
        .collect();
    assert_eq!(
        languages,
        [
            ("video", "und"),
            ("audio", "en"),
            ("audio", "fr"),
            ("text", "en"),
            ("text", "fr")
        ]
    );
    assert_eq!(source.audio().timescale.get(), 48_000);
    assert_eq!(source.audio().samples.constant_duration(), Some(1024));
}

#[test]
fn other_containers_are_indexed() {
    assert_agrees("avi_mpeg4.avi", 0.05);
    assert_agrees("flv_h264.flv", 0.002);
    assert_agrees("theora_300x400.ogv", 0.001);
    assert_agrees("mkv_ass.mkv", 0.002);
}

#[test]
fn transport_stream_goes_to_the_spool_and_starts_at_zero() {
    assert_agrees("mpeg2_1080p24.ts", 0.001);
    let Some(source) = open("mpeg2_1080p24.ts") else {
        return;
    };
    let video = source.video();
    let total: u64 = source
        .index
        .tracks
        .iter()
        .map(|track| track.samples.total_bytes())
        .sum();
    assert_eq!(source.spool.metadata().unwrap().len(), total);
    let first = video.samples.iter().next().unwrap();
    let mut start = [0; 4];
    source
        .spool
        .read_exact_at(&mut start, first.place.offset)
        .unwrap();
    assert_eq!(start, [0, 0, 1, 0xb3], "a sequence header");
    let shown = |track: &SourceTrack| {
        let first = track
            .samples
            .iter()
            .map(|s| track.movie_time(s.presentation_time()))
            .min()
            .unwrap();
        first as f64 / f64::from(track.timescale.get())
    };
    assert!(shown(source.audio()).abs() < 0.001);
    assert!(shown(video) < 0.1);
}

#[test]
fn pictures_without_times_are_put_in_order() {
    let Some(source) = open("raw_1080p_cabac.264") else {
        return;
    };
    let track = source.video();
    let mut times: Vec<_> = track
        .samples
        .iter()
        .map(|s| s.presentation_time())
        .collect();
    assert!(
        times.windows(2).any(|pair| pair[0] > pair[1]),
        "the clip has B pictures"
    );
    times.sort_unstable();
    assert!(
        times
            .windows(2)
            .all(|pair| pair[1] - pair[0] == times[1] - times[0]),
        "{times:?}"
    );
    let longest = track.samples.iter().map(|s| i64::from(s.duration)).max();
    assert_eq!(longest, Some(times[1] - times[0]), "the last one too");
}

#[test]
fn orientation_size_and_colour_are_read() {
    let turned = |name| open(name).map(|source| source.info().orientation.quarter_turns);
    assert_eq!(turned("rot90.mov").unwrap_or(1), 1);
    assert_eq!(turned("rot180.mov").unwrap_or(2), 2);
    let Some(source) = open("rotate_and_reflect.mp4") else {
        return;
    };
    assert!(source.info().orientation.quarter_turns == 1 || source.info().orientation.mirrored);
    let Some(source) = open("hevc10_hlg.mp4") else {
        return;
    };
    assert_eq!(source.info().colour.transfer, 18);
    let Some(source) = open("derived_interlaced_576i25_tff.ts") else {
        return;
    };
    assert_eq!(
        source.info().pixel_aspect,
        PixelAspect {
            horizontal: 64,
            vertical: 45
        }
    );
}

#[test]
fn indexing_twice_gives_the_same() {
    let (Some(one), Some(two)) = (open("bad_ts_bitrot.ts"), open("bad_ts_bitrot.ts")) else {
        return;
    };
    assert_eq!(one.index, two.index);
}
