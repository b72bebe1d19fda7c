//! What players report, added up.
//!
//! Labels are the few tokens of the standard; contents and sessions, which anybody may make up, are
//! in the access log only.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cmcd::{Found, ObjectType, StreamType, StreamingFormat};
use super::histogram::{BUFFERED, Histogram, KILOBITS};
use super::sample::Sample;

/// What reports have in common.
#[derive(Debug)]
pub(super) struct Reports {
    /// By object type, streaming format and stream type; the last of each is for none.
    kinds:
        [[[AtomicU64; StreamType::COUNT + 1]; StreamingFormat::COUNT + 1]; ObjectType::COUNT + 1],
    /// By object type.
    starved: [AtomicU64; ObjectType::COUNT + 1],
    startups: AtomicU64,
    invalid: AtomicU64,
    bitrate: Histogram,
    throughput: Histogram,
    buffer: Histogram,
}

impl Reports {
    pub(super) fn new() -> Self {
        Self {
            kinds: Default::default(),
            starved: Default::default(),
            startups: AtomicU64::new(0),
            invalid: AtomicU64::new(0),
            bitrate: Histogram::new(&KILOBITS),
            throughput: Histogram::new(&KILOBITS),
            buffer: Histogram::new(&BUFFERED),
        }
    }

    pub(super) fn add(&self, found: &Found) {
        let report = match found {
            Found::Nothing => return,
            Found::Invalid => return increment(&self.invalid),
            Found::Report(report) => report,
        };
        let object = report.object.map_or(ObjectType::COUNT, ObjectType::place);
        let format = report.format;
        let format = format.map_or(StreamingFormat::COUNT, StreamingFormat::place);
        let stream = report.stream.map_or(StreamType::COUNT, StreamType::place);
        increment(&self.kinds[object][format][stream]);
        if report.is_starved {
            increment(&self.starved[object]);
        }
        if report.is_startup {
            increment(&self.startups);
        }
        let observed = [
            (&self.bitrate, report.bitrate),
            (&self.throughput, report.throughput),
            (&self.buffer, report.buffer),
        ];
        for (histogram, value) in observed {
            if let Some(value) = value {
                histogram.observe(value);
            }
        }
    }

    pub(super) fn samples(&self) -> Vec<Sample> {
        let mut samples = self.kinds();
        let help = "Requests of players that ran out of what they had buffered.";
        for (starved, object) in self.starved.iter().zip(labels(&objects())) {
            let sample = Sample::counter("headwater_cmcd_starved", help, load(starved));
            samples.push(sample.label("ot", object));
        }
        samples.extend([
            Sample::counter(
                "headwater_cmcd_startups",
                "Requests for what players need at once.",
                load(&self.startups),
            ),
            Sample::counter(
                "headwater_cmcd_invalid",
                "Reports of players that were not sound.",
                load(&self.invalid),
            ),
            Sample::histogram(
                "headwater_cmcd_bitrate_kbps",
                "Bit rates that players asked for, in kb/s.",
                &self.bitrate,
            ),
            Sample::histogram(
                "headwater_cmcd_throughput_kbps",
                "Throughput that players measured, in kb/s.",
                &self.throughput,
            ),
            Sample::histogram(
                "headwater_cmcd_buffer_seconds",
                "What players had buffered.",
                &self.buffer,
            ),
        ]);
        samples
    }

    /// Those there were.
    fn kinds(&self) -> Vec<Sample> {
        let formats = StreamingFormat::ALL.iter().map(|format| format.label());
        let streams = StreamType::ALL.iter().map(|stream| stream.label());
        let (formats, streams): (Vec<_>, Vec<_>) = (formats.collect(), streams.collect());
        let mut samples = Vec::new();
        for (of_object, object) in self.kinds.iter().zip(labels(&objects())) {
            for (of_format, format) in of_object.iter().zip(labels(&formats)) {
                for (count, stream) in of_format.iter().zip(labels(&streams)) {
                    let count = load(count);
                    if count == 0 {
                        continue;
                    }
                    let help = "Requests with a report of the player.";
                    let sample = Sample::counter("headwater_cmcd_requests", help, count);
                    let sample = sample.label("ot", object).label("sf", format);
                    samples.push(sample.label("st", stream));
                }
            }
        }
        samples
    }
}

fn objects() -> Vec<&'static str> {
    ObjectType::ALL
        .iter()
        .map(|object| object.label())
        .collect()
}

/// The labels, and one for none.
fn labels(labels: &[&'static str]) -> impl Iterator<Item = &'static str> {
    labels.iter().copied().chain(["none"])
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
