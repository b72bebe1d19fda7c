//! What the queue costs: tiny tasks of one library, drained by several workers that do nothing, in a
//! file and on a server.
//!
//! `cargo bench --bench queue -- [TASKS] [WORKERS]`: tasks per second, and CPU for each task: of this
//! process, and of PostgreSQL with all its processes. Each task is enqueued, claimed and ended.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that is run by hand"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headwater::catalog::{Catalog, NewAsset};
use headwater::clock::Clock;
use headwater::media::{AssetId, AssetState, Policy, Priority, Work};
use headwater::queue::{NewTask, Options, Queue};

/// Tasks that are enqueued at once, as those of one title are.
const AT_ONCE: u32 = 200;
/// Clock ticks in a second (`sysconf(_SC_CLK_TCK)`, 100 on Linux).
const TICKS: f64 = 100.0;

fn main() {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |default: u32| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let (tasks, workers) = (number(100_000), number(4));
    let folder = tempfile::tempdir().unwrap();
    println!("| queue | tasks/s | CPU ms of a task here | CPU ms of a task at the database |");
    println!("|---|---|---|---|");
    let before = cpu();
    let took = drain(&folder.path().join("catalog.sqlite"), tasks, workers);
    tell("SQLite", tasks, took, cpu().own - before.own, 0.0);

    let Some(idle) = Server::start() else {
        println!("PostgreSQL is not installed");
        return;
    };
    // What a server costs that is asked nothing.
    let before = cpu();
    idle.end();
    let idle = cpu().children - before.children;
    let before = cpu();
    let server = Server::start().unwrap();
    let took = drain(&server.place, tasks, workers);
    server.end();
    let after = cpu();
    let theirs = after.children - before.children - idle;
    tell("PostgreSQL", tasks, took, after.own - before.own, theirs);
}

fn tell(name: &str, tasks: u32, took: Duration, ours: f64, theirs: f64) {
    let tasks = f64::from(tasks);
    println!(
        "| {name}, {tasks} tasks | {:.0} | {:.2} | {:.2} |",
        tasks / took.as_secs_f64(),
        ours * 1000.0 / tasks,
        theirs * 1000.0 / tasks,
    );
}

/// Enqueues all and drains them; how long that took.
fn drain(place: &Path, tasks: u32, workers: u32) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = Clock::system();
        let catalog = Catalog::open(place, clock.clone()).await.unwrap();
        let queue = Queue::new(catalog.clone(), clock, Options::default());
        let began = Instant::now();
        for title in 0..tasks.div_ceil(AT_ONCE) {
            let count = AT_ONCE.min(tasks - title * AT_ONCE);
            let asset = asset(&catalog, title).await;
            let all: Vec<NewTask> = (1..=count).map(task).collect();
            queue.enqueue(&asset, &all).await.unwrap();
        }
        let mut drained = tokio::task::JoinSet::new();
        for worker in 0..workers {
            drained.spawn(work(queue.clone(), format!("worker-{worker}")));
        }
        let done: u32 = drained.join_all().await.into_iter().sum();
        assert_eq!(done, tasks, "each task was done once");
        began.elapsed()
    })
}

async fn work(queue: Queue, name: String) -> u32 {
    let mut done = 0;
    while let Some(claim) = queue.claim(&name, Priority::Batch).await.unwrap() {
        queue.finish(&claim, Ok(Vec::new())).await.unwrap();
        done += 1;
    }
    done
}

async fn asset(catalog: &Catalog, number: u32) -> AssetId {
    let new = NewAsset {
        id: AssetId::parse(&format!("title-{number}")).unwrap(),
        title: String::new(),
        policy: Policy::default(),
        state: AssetState::Uploading,
        source_url: None,
        source_bytes: None,
    };
    catalog.create_asset(&new).await.unwrap().id
}

fn task(number: u32) -> NewTask {
    NewTask {
        work: Work::Segment {
            track: "v720".to_owned(),
            number,
        },
        priority: Priority::Fill,
        key: Some(format!("segment/v720/{number}")),
        last: false,
    }
}

struct Server {
    child: Child,
    place: PathBuf,
}

impl Server {
    fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
        let mut child = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        let place = PathBuf::from(url.trim());
        (!url.is_empty()).then_some(Self { child, place })
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// CPU seconds so far.
struct Cpu {
    own: f64,
    /// Of children that have ended, and theirs.
    children: f64,
}

fn cpu() -> Cpu {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / TICKS;
    Cpu {
        own: ticks(11) + ticks(12),
        children: ticks(13) + ticks(14),
    }
}
