//! `headwater package INPUT --out DIR|URL`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::HumanBytes;
use serde::Serialize;

use super::policy::PolicyArguments;
use super::progress::Shown;
use super::{print, print_json, say};
use crate::bandwidth;
use crate::error::{Error, Result};
use crate::hls;
use crate::layout;
use crate::media::{Loudness, Presentation, TrackCommon};
use crate::package::{self, Options, Outcome};
use crate::sandbox;
use crate::source::Source;
use crate::store::BlockingStore;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The video or audio file: a path, or s3://bucket/key
    input: PathBuf,
    /// Where the streams go: a directory, or s3://bucket/prefix
    #[arg(long, value_name = "DIR|URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    out: String,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Tasks at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Refuse to decode where the system can't confine the decoder fully
    #[arg(long)]
    strict_sandbox: bool,
    /// Print one result object on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let options = Options {
        policy: arguments.policy.policy()?,
        keys: arguments.policy.keys()?,
        jobs: arguments.jobs.map(usize::from),
        sandbox: sandbox::Options {
            strict: arguments.strict_sandbox,
            ..sandbox::Options::default()
        },
        turn: None,
    };
    let stop = stop_on_signal()?;
    // The input first: a mistyped name must not leave an empty folder behind.
    let source = Source::open(&arguments.input)?;
    let new = new_folders(Path::new(&arguments.out));
    let store = BlockingStore::open(&arguments.out)?;
    let shown = Shown::new();
    let outcome = package::package(source, &store, &options, &shown, &stop);
    shown.end();
    let outcome = outcome.inspect_err(|_| {
        // Those that are still empty: what was stored is the next run's start.
        new.iter().all(|folder| std::fs::remove_dir(folder).is_ok());
    })?;
    if arguments.json {
        return print_json(&JsonResult::of(arguments, &outcome, started));
    }
    for warning in &outcome.presentation.warnings {
        say(&format!("note: {warning}"));
    }
    print(&summary(arguments, &outcome, started))
}

/// The folders that making `out` will make, the inmost first.
fn new_folders(out: &Path) -> Vec<PathBuf> {
    let missing = |folder: &&Path| {
        let found = std::fs::symlink_metadata(folder);
        let is_missing = found.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        is_missing && !folder.as_os_str().is_empty()
    };
    let folders = out.ancestors().take_while(missing);
    folders.map(Path::to_path_buf).collect()
}

/// A flag that Ctrl-C and SIGTERM raise. A second signal ends the program at once.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::io("waiting for signals", e))?;
    let raised = Arc::clone(&stop);
    let wait = async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if raised.swap(true, Ordering::Relaxed) {
                std::process::exit(3);
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .stack_size(64 * 1024)
        .spawn(move || runtime.block_on(wait))
        .map_err(|e| Error::io("waiting for signals", e))?;
    Ok(stop)
}

/// One rendition in the result.
#[derive(Debug, Serialize)]
struct JsonRendition<'a> {
    id: &'a str,
    codecs: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loudness: Option<Loudness>,
    bandwidth: u64,
    average_bandwidth: u64,
    /// `copy` or `encode`.
    source: &'static str,
    segments: usize,
}

/// The result object of `--json`.
#[derive(Debug, Serialize)]
struct JsonResult<'a> {
    input: String,
    out: &'a str,
    state: &'static str,
    revision: &'a str,
    duration_s: f64,
    playback: JsonPlayback,
    renditions: Vec<JsonRendition<'a>>,
    segments_made: u64,
    segments_reused: u64,
    bytes: u64,
    elapsed_s: f64,
    warnings: &'a [String],
    waivers: &'a [crate::media::Waiver],
}

#[derive(Debug, Serialize)]
struct JsonPlayback {
    hls: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dash: Option<String>,
}

impl<'a> JsonResult<'a> {
    fn of(arguments: &'a Arguments, outcome: &'a Outcome, started: Instant) -> Self {
        let presentation = &outcome.presentation;
        let at = |name: &str| format!("{}/{name}", arguments.out.trim_end_matches('/'));
        Self {
            input: arguments.input.display().to_string(),
            out: &arguments.out,
            state: "complete",
            revision: &presentation.revision,
            duration_s: presentation.duration.seconds(),
            playback: JsonPlayback {
                hls: at(layout::HLS_NAME),
                dash: presentation.has_dash().then(|| at(layout::MPD_NAME)),
            },
            renditions: renditions(presentation),
            segments_made: outcome.segments_made,
            segments_reused: outcome.segments_reused,
            bytes: outcome.bytes,
            elapsed_s: started.elapsed().as_secs_f64(),
            warnings: &presentation.warnings,
            waivers: &presentation.waivers,
        }
    }
}

fn renditions(presentation: &Presentation) -> Vec<JsonRendition<'_>> {
    let target = hls::target_duration(presentation);
    let rendition = |common: &'_ TrackCommon| {
        let peak = bandwidth::peak_bps(&common.segments, common.timescale, target);
        (
            peak,
            bandwidth::average_bps(&common.segments, common.timescale),
        )
    };
    let method = |copied: bool| if copied { "copy" } else { "encode" };
    let video = presentation.video.iter().map(|track| {
        let (bandwidth, average_bandwidth) = rendition(&track.common);
        JsonRendition {
            id: &track.common.id,
            codecs: &track.common.codecs,
            width: Some(track.width),
            height: Some(track.height),
            language: None,
            loudness: None,
            bandwidth,
            average_bandwidth,
            source: method(track.copied),
            segments: track.common.segments.len(),
        }
    });
    let audio = presentation.audio.iter().map(|track| {
        let (bandwidth, average_bandwidth) = rendition(&track.common);
        JsonRendition {
            id: &track.common.id,
            codecs: &track.common.codecs,
            width: None,
            height: None,
            language: Some(&track.language),
            loudness: track.loudness,
            bandwidth,
            average_bandwidth,
            source: method(track.copied),
            segments: track.common.segments.len(),
        }
    });
    video.chain(audio).collect()
}

/// The table a person sees at the end.
fn summary(arguments: &Arguments, outcome: &Outcome, started: Instant) -> String {
    use std::fmt::Write;
    let presentation = &outcome.presentation;
    let mut text = format!(
        "{:<10} {:>11} {:<22} {:>10} {:>10} {:>9}  made by\n",
        "rendition", "size", "codecs", "peak kb/s", "mean kb/s", "segments"
    );
    for row in renditions(presentation) {
        let size = match (row.width, row.height) {
            (Some(width), Some(height)) => format!("{width}x{height}"),
            _ => row.language.unwrap_or("").to_owned(),
        };
        let (peak, mean) = (
            row.bandwidth.div_ceil(1000),
            row.average_bandwidth.div_ceil(1000),
        );
        let _ = writeln!(
            text,
            "{:<10} {size:>11} {:<22} {peak:>10} {mean:>10} {:>9}  {}",
            row.id, row.codecs, row.segments, row.source
        );
    }
    let reused = match outcome.segments_reused {
        0 => String::new(),
        n => format!(", {n} segments reused"),
    };
    let out = arguments.out.trim_end_matches('/');
    // Whole segments that are encrypted aren't looked into.
    let kept = match presentation.has_dash() {
        true => "every rule kept",
        false => "every rule kept that can be applied to encrypted segments",
    };
    let _ = write!(
        text,
        "\n{:.3} s of video, {} in {:.1} s{reused}; {kept}\nHLS   {out}/{}\n",
        presentation.duration.seconds(),
        HumanBytes(outcome.bytes),
        started.elapsed().as_secs_f64(),
        layout::HLS_NAME,
    );
    if presentation.has_dash() {
        let _ = writeln!(text, "DASH  {out}/{}", layout::MPD_NAME);
    }
    text
}
