//! How soon a segment that somebody waits for is there: from the request to the last sample, child
//! start included, nothing prepared but the plan.
//!
//! `cargo bench --bench demand -- FILE [ROUNDS] [CHILD]`: FILE is an MP4 whose video is encoded anew
//! whatever it is; the best and the median of ROUNDS are printed, with the child's CPU time. What
//! needs no child, planning and repackaging, is timed first, with all that can be copied copied.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that is run by hand"
)]

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use headwater::cmaf::movie::read_movie;
use headwater::media::{
    ChunkSpan, Joining, Passthrough, Plan, Policy, SourceIndex, VideoMethod, VideoPlan,
    VideoRendition,
};
use headwater::plan::{self, Inspection, Lowering};
use headwater::sandbox::{Launcher, Options};

fn main() {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let Some(path) = arguments.next() else {
        println!("give an MP4 file: cargo bench --bench demand -- FILE [ROUNDS] [CHILD]");
        return;
    };
    let rounds = arguments.next().map_or(3, |rounds| rounds.parse().unwrap());
    let program = arguments.next();
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_headwater-media").to_owned());
    let launcher = Launcher::new(Options {
        program: Some(program.into()),
        ..Options::default()
    });
    let file = File::open(path).unwrap();
    let start = Instant::now();
    let index = Arc::new(read_movie(&file).unwrap().expect("an MP4 file"));
    println!("{:<28}{:>9} us", "index", start.elapsed().as_micros());
    without_child(&index, rounds);
    let policy = Policy {
        passthrough: Passthrough::Never,
        quick_start: true,
        ..Policy::default()
    };
    let plan = plan::plan(&index, "00", &policy, &Inspection::default()).unwrap();
    let plan = Arc::new(plan);
    let lowering = Lowering::new(Arc::clone(&plan), index).unwrap();
    let bench = Bench {
        launcher,
        file,
        plan,
        lowering,
        rounds,
    };
    bench.run();
}

/// Times what a server does by itself.
fn without_child(index: &Arc<SourceIndex>, rounds: usize) {
    let policy = Policy {
        quick_start: true,
        ..Policy::default()
    };
    let candidate = plan::candidate_for_copy(index, &policy);
    let syncs = candidate.map(|track| index.tracks[track].samples.sync_numbers().collect());
    let inspection = Inspection {
        idr_samples: syncs,
        ..Inspection::default()
    };
    let plan = || plan::plan(index, "00", &policy, &inspection).unwrap();
    let planned = Arc::new(plan());
    let lower = || Lowering::new(Arc::clone(&planned), Arc::clone(index)).unwrap();
    let lowering = lower();
    let video = planned.video.as_ref();
    let is_copy = |rendition: &VideoRendition| rendition.method == VideoMethod::Copy;
    let copies = video.is_some_and(|video| video.renditions.iter().any(is_copy));
    let middle = video.map_or(0, |video| video.segments.len() / 2);
    let middle = u32::try_from(middle).unwrap();
    let micros = |name: &str, work: &dyn Fn()| {
        let time = || {
            let start = Instant::now();
            work();
            start.elapsed().as_micros()
        };
        let best = (0..rounds).map(|_| time()).min().unwrap_or(0);
        println!("{name:<28}{best:>9} us");
    };
    micros("plan", &|| drop(plan()));
    micros("expected rates", &|| drop(plan::expected(&planned, index)));
    micros("lowering", &|| drop(lower()));
    micros("configure task", &|| drop(lowering.configure_task()));
    if copies {
        micros("copied delay, first", &|| {
            drop(lower().copied_video_delay());
        });
        micros("copied delay, again", &|| {
            drop(lowering.copied_video_delay());
        });
        micros("one copied segment", &|| {
            drop(lowering.copied_video(middle));
        });
    }
    if let Some(video) = video
        && let Some(at) = video.renditions.iter().position(|r| !is_copy(r))
    {
        let alone = Joining::Alone { threads: 2 };
        micros("one video task", &|| {
            drop(lowering.video_task(one(middle), &[at], alone));
        });
    }
}

struct Bench {
    launcher: Launcher,
    file: File,
    plan: Arc<Plan>,
    lowering: Lowering,
    rounds: usize,
}

impl Bench {
    fn run(&self) {
        println!(
            "{:<28}{:>9}{:>9}{:>9}{:>12}",
            "", "best", "median", "CPU", "bytes"
        );
        self.row("configure, with poster", || {
            let task = self.lowering.configure_task().unwrap();
            let never = AtomicBool::new(false);
            let made = self.launcher.configure(&task, &self.file, None, &never);
            made.unwrap().poster.map_or(0, |jpeg| jpeg.len())
        });
        if let Some(video) = &self.plan.video {
            self.video(video);
        }
        for segment in [0, self.segments() / 2] {
            if !self.plan.audio.is_empty() {
                self.row(&format!("sound, segment {}", segment + 1), || {
                    self.sound(segment)
                });
            }
        }
    }

    fn segments(&self) -> u32 {
        let video = self.plan.video.as_ref().map(|video| video.segments.len());
        u32::try_from(video.unwrap_or(1)).unwrap()
    }

    fn video(&self, video: &VideoPlan) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let alone = Joining::Alone {
            threads: u32::try_from(threads).unwrap(),
        };
        let middle = self.segments() / 2;
        for (at, rendition) in video.renditions.iter().enumerate() {
            for (segment, joining) in [(0, alone), (middle, alone), (middle, Joining::Seamless)] {
                let span = video.segments[segment as usize];
                let millis = span.duration * 1000 / i64::from(video.timescale.get());
                let how = match joining {
                    Joining::Seamless => "seamless",
                    Joining::Alone { .. } => "alone",
                };
                let name = format!(
                    "{} {how}, {}.{} s",
                    rendition.id,
                    millis / 1000,
                    millis % 1000 / 100
                );
                self.row(&name, || self.picture(at, segment, joining));
            }
        }
    }

    fn picture(&self, rendition: usize, segment: u32, joining: Joining) -> usize {
        let task = self
            .lowering
            .video_task(one(segment), &[rendition], joining)
            .unwrap();
        let (never, mut bytes) = (AtomicBool::new(false), 0);
        let made = self
            .launcher
            .video(&task, &self.file, None, &never, &mut |sample| {
                bytes += sample.data.len();
                Ok(())
            });
        made.unwrap();
        bytes
    }

    fn sound(&self, segment: u32) -> usize {
        let task = self.lowering.audio_task(&[0], one(segment)).unwrap();
        let (never, mut bytes) = (AtomicBool::new(false), 0);
        let made = self
            .launcher
            .audio(&task, &self.file, None, &never, &mut |sample| {
                bytes += sample.data.len();
                Ok(())
            });
        made.unwrap();
        bytes
    }

    fn row(&self, name: &str, work: impl Fn() -> usize) {
        let (mut times, mut bytes) = (Vec::new(), 0);
        let before = children_cpu();
        for _ in 0..self.rounds {
            let start = Instant::now();
            bytes = work();
            times.push(start.elapsed());
        }
        let cpu = (children_cpu() - before) / u32::try_from(self.rounds).unwrap();
        times.sort_unstable();
        let (best, median) = (times[0], times[times.len() / 2]);
        let show = |time: Duration| format!("{}.{:03}", time.as_secs(), time.subsec_millis());
        println!(
            "{name:<28}{:>9}{:>9}{:>9}{bytes:>12}",
            show(best),
            show(median),
            show(cpu)
        );
    }
}

fn one(segment: u32) -> ChunkSpan {
    ChunkSpan {
        first_segment: segment,
        segments: 1,
    }
}

/// CPU time of all children that have ended, in hundredths of a second (`proc_pid_stat(5)`).
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
