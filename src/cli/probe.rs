//! `headwater probe INPUT`: what is in a file, in words.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use indicatif::HumanBytes;
use serde::Serialize;

use super::{print, print_json};
use crate::error::Result;
use crate::media::{Orientation, PixelAspect, SourceIndex, SourceTrack, TrackKind};
use crate::package;
use crate::sandbox;
use crate::source::Source;
use crate::time::{Ticks, Timescale};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The video or audio file: a path, or s3://bucket/key
    input: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct JsonProbe<'a> {
    input: String,
    container: &'a str,
    size_bytes: u64,
    duration_s: f64,
    tracks: Vec<JsonTrack<'a>>,
    warnings: &'a [String],
}

#[derive(Debug, Serialize)]
struct JsonTrack<'a> {
    number: u32,
    codec: &'a str,
    language: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    default: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<&'static str>,
    #[serde(flatten)]
    kind: &'a TrackKind,
    start_s: f64,
    duration_s: f64,
    samples: usize,
    sync_samples: usize,
    bitrate: u64,
}

/// Where a track's first and last sample lie on the movie time line.
struct Extent {
    start: f64,
    length: f64,
}

fn extent(track: &SourceTrack) -> Extent {
    let times = track.samples.iter().map(|sample| {
        let start = track.movie_time(sample.presentation_time());
        (start, start + i64::from(sample.duration))
    });
    let (mut first, mut end) = (i64::MAX, i64::MIN);
    for (start, stop) in times {
        (first, end) = (first.min(start), end.max(stop));
    }
    if first > end {
        return Extent {
            start: 0.0,
            length: 0.0,
        };
    }
    let start = first.max(track.edit.delay);
    let seconds = |ticks| Ticks::new(ticks, track.timescale).seconds();
    Extent {
        start: seconds(start),
        length: seconds((end - start).max(0)),
    }
}

fn bitrate(track: &SourceTrack) -> u64 {
    let ticks = track.samples.end_decode_time() - track.samples.first_decode_time();
    let ticks = u128::try_from(ticks).unwrap_or(0).max(1);
    let bits = u128::from(track.samples.total_bytes()) * 8 * u128::from(track.timescale.get());
    u64::try_from(bits / ticks).unwrap_or(u64::MAX)
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let source = Source::open(&arguments.input)?;
    let stop = AtomicBool::new(false);
    let sandbox = sandbox::Options::default();
    let (index, _spool) = package::index(&source, &sandbox, None, &stop, &mut |_| Ok(()))
        .map_err(|e| e.context(arguments.input.display()))?;
    if arguments.json {
        return print_json(&json(arguments, &index));
    }
    print(&words(arguments, &index))
}

fn duration(index: &SourceIndex) -> f64 {
    let ends = index
        .tracks
        .iter()
        .map(extent)
        .map(|extent| extent.start + extent.length);
    ends.fold(0.0, f64::max)
}

fn json<'a>(arguments: &Arguments, index: &'a SourceIndex) -> JsonProbe<'a> {
    let track = |track: &'a SourceTrack| {
        let extent = extent(track);
        JsonTrack {
            number: track.number,
            codec: track.codec.name(),
            language: &track.language,
            name: track.name.as_deref(),
            default: track.disposition.default,
            marks: track.disposition.words(),
            kind: &track.kind,
            start_s: extent.start,
            duration_s: extent.length,
            samples: track.samples.len(),
            sync_samples: track.samples.sync_numbers().count(),
            bitrate: bitrate(track),
        }
    };
    JsonProbe {
        input: arguments.input.display().to_string(),
        container: &index.container,
        size_bytes: index.size_bytes,
        duration_s: duration(index),
        tracks: index.tracks.iter().map(track).collect(),
        warnings: &index.warnings,
    }
}

fn words(arguments: &Arguments, index: &SourceIndex) -> String {
    let mut text = format!(
        "{}: {}, {}, {:.3} s, {} tracks\n",
        arguments.input.display(),
        index.container,
        HumanBytes(index.size_bytes),
        duration(index),
        index.tracks.len()
    );
    for track in &index.tracks {
        let _ = writeln!(text, "  {}", track_words(track));
    }
    for warning in &index.warnings {
        let _ = writeln!(text, "  note: {warning}");
    }
    text
}

fn track_words(track: &SourceTrack) -> String {
    let extent = extent(track);
    let mut words = format!(
        "track {}: {} {}",
        track.number,
        track.kind.word(),
        track.codec
    );
    match &track.kind {
        TrackKind::Video(video) => {
            let _ = write!(words, " {}x{}", video.width, video.height);
            if video.pixel_aspect != PixelAspect::SQUARE {
                let PixelAspect {
                    horizontal,
                    vertical,
                } = video.pixel_aspect;
                let _ = write!(words, ", pixels {horizontal}:{vertical}");
            }
            words.push_str(&orientation_words(video.orientation));
            let syncs = track.samples.sync_numbers().count();
            let rate = frames_per_second(track);
            let _ = write!(words, ", {rate:.3} frames/s, {syncs} sync samples");
        }
        TrackKind::Audio(audio) => {
            let _ = write!(
                words,
                " {} Hz, {} channels",
                audio.sample_rate, audio.channels
            );
        }
        TrackKind::Text | TrackKind::Other => {}
    }
    if track.language != "und" {
        let _ = write!(words, ", language {}", track.language);
    }
    for mark in track.disposition.words() {
        let _ = write!(words, ", {mark}");
    }
    let (samples, kilobits) = (track.samples.len(), bitrate(track) / 1000);
    let _ = write!(
        words,
        ", {:.3} s, {samples} samples, {kilobits} kb/s",
        extent.length
    );
    if extent.start.abs() > 0.0005 {
        let _ = write!(words, ", starts at {:.3} s", extent.start);
    }
    words
}

fn orientation_words(orientation: Orientation) -> String {
    let mut words = String::new();
    if orientation.mirrored {
        words.push_str(", mirrored");
    }
    if orientation.quarter_turns != 0 {
        let _ = write!(
            words,
            ", to be turned {} degrees",
            u32::from(orientation.quarter_turns) * 90
        );
    }
    words
}

#[expect(clippy::cast_precision_loss, reason = "a display value")]
fn frames_per_second(track: &SourceTrack) -> f64 {
    let ticks = track.samples.end_decode_time() - track.samples.first_decode_time();
    let seconds = Ticks::new(ticks.max(1), track.timescale).seconds();
    track.samples.len() as f64 / seconds.max(1.0 / f64::from(Timescale::MICROS.get()))
}
