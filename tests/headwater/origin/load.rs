//! Assertions 32, 46, 59 and 63 to 68: many clients, and a store that is slow, broken or away. The
//! store counts what is fetched.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::client::{Answer, Connection, End, Target};
use super::media::{Media, large};
use super::s3::{BUCKET, Fault, S3};
use super::site::{at_bucket, said};
use crate::server::Server;

/// By when somebody must have an answer while the store gives none.
const SOON: Duration = Duration::from_secs(3);
/// Clients at a time where it says "many".
const MANY: usize = 1000;

/// A filled bucket; servers over it come and go.
pub(super) struct Bench {
    s3: S3,
    data: tempfile::TempDir,
    media: Media,
}

/// A server whose cache holds nothing yet.
struct Cold {
    server: Server,
    target: Target,
}

/// A promise by its name, and how it is tried.
type Check = (&'static str, fn(&Bench));

impl Bench {
    pub(super) fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let s3 = S3::start();
        let server = at_bucket(data.path(), &s3.address, &format!("s3://{BUCKET}"), "");
        let mut media = Media::upload(&server);
        media.put_odd(&s3.root.path().join(BUCKET));
        drop(server);
        Self { s3, data, media }
    }

    fn cold(&self, lines: &str) -> Cold {
        self.s3.mend();
        let store = format!("s3://{BUCKET}");
        let server = at_bucket(self.data.path(), &self.s3.address, &store, lines);
        let target = Target::plain(&server.address);
        Cold { server, target }
    }

    /// The path of object `number` beside the title's own, of which nothing is there yet.
    fn beside(&self, number: usize) -> String {
        let (base, revision) = (&self.media.base, &self.media.revision);
        format!("{base}{revision}v90/{}.m4s", 91_000 + number)
    }

    /// Puts an object there; zeros where only its length is given.
    fn put(&self, path: &str, bytes: Result<&[u8], u64>) {
        let file: PathBuf = self.s3.root.path().join(BUCKET).join(&path[1..]);
        match bytes {
            Ok(bytes) => std::fs::write(file, bytes).unwrap(),
            Err(length) => std::fs::File::create(file)
                .unwrap()
                .set_len(length)
                .unwrap(),
        }
    }

    /// Tries all, one after the other.
    pub(super) fn judge(&self, checks: &[Check]) {
        let mut broken = Vec::new();
        for (name, check) in checks {
            let outcome: Result<(), Box<dyn Any + Send>> =
                catch_unwind(AssertUnwindSafe(|| check(self)));
            if let Err(cause) = outcome {
                broken.push(format!("{name}: {}", said(&*cause)));
            }
        }
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}

/// Sends a GET on each of `count` connections before any answer is read.
fn ask_many(target: &Target, count: usize, path: impl Fn(usize) -> String) -> Vec<Connection> {
    let ask = |number| {
        let mut connection = target.open();
        let request = connection.request("GET", &path(number), "");
        connection.send(request.as_bytes());
        connection
    };
    (0..count).map(ask).collect()
}

/// 503 that nobody keeps, and when to ask again.
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.head);
    assert!(
        answer.must("cache-control").contains("no-store"),
        "{}",
        answer.head
    );
    let seconds: u64 = answer.must("retry-after").parse().unwrap();
    assert!(seconds <= 60, "{}", answer.head);
}

/// 1,000 concurrent GETs of an object nobody has asked for -> one fetch.
pub(super) fn a63_a_thousand_who_ask_at_once_cost_one_fetch(bench: &Bench) {
    let path = bench.beside(1);
    let bytes = &large()[..700_000];
    bench.put(&path, Ok(bytes));
    let cold = bench.cold("");
    bench
        .s3
        .fault(&path, Fault::Delay(Duration::from_millis(1500)));
    let mut all = ask_many(&cold.target, MANY, |_| path.clone());
    for connection in &mut all {
        let answer = connection.answer("GET");
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.body == bytes);
    }
    assert_eq!(bench.s3.fetches(&path), 1);
}

/// 100 scattered ranges of an object -> no more fetches than it has blocks of 1 MiB.
pub(super) fn a64_scattered_ranges_fetch_each_block_once(bench: &Bench) {
    let path = bench.media.large();
    let cold = bench.cold("");
    let before = bench.s3.fetches(&path);
    let mut connection = cold.target.open();
    for number in 0..100 {
        let first = number * 7_919_993 % (large().len() - 5000);
        let range = format!("Range: bytes={first}-{}\r\n", first + 4999);
        let answer = connection.get(&path, &range);
        assert_eq!(answer.status, 206, "{}", answer.head);
        assert!(answer.body == large()[first..first + 5000]);
    }
    let fetches = bench.s3.fetches(&path) - before;
    assert!(
        fetches <= large().len().div_ceil(1 << 20) as u64,
        "{fetches}"
    );
}

/// Who asked first goes away: the others get what they wait for, and it is fetched once.
pub(super) fn a65_a_leader_that_goes_away_hurts_nobody(bench: &Bench) {
    let path = bench.beside(2);
    let bytes = &large()[..300_000];
    bench.put(&path, Ok(bytes));
    let cold = bench.cold("");
    bench.s3.fault(&path, Fault::Delay(Duration::from_secs(1)));
    let leader = ask_many(&cold.target, 1, |_| path.clone());
    std::thread::sleep(Duration::from_millis(200));
    let mut others = ask_many(&cold.target, 20, |_| path.clone());
    drop(leader);
    others.truncate(19);
    let since = Instant::now();
    for connection in &mut others {
        assert!(connection.answer("GET").body == bytes);
    }
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    assert_eq!(bench.s3.fetches(&path), 1);
}

/// A fetch that failed is forgotten after a second, and not tried again by everyone meanwhile.
pub(super) fn a66_a_failed_fetch_is_soon_tried_again_and_not_by_all(bench: &Bench) {
    let path = bench.beside(3);
    bench.put(&path, Ok(b"here again"));
    let cold = bench.cold("");
    bench.s3.fault(&path, Fault::Status(500));
    let since = Instant::now();
    for mut connection in ask_many(&cold.target, 100, |_| path.clone()) {
        assert_unavailable(&connection.answer("GET"));
    }
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    let fetches = bench.s3.fetches(&path);
    // One fetch is tried up to ten times more by the client of the store, with growing pauses.
    assert!(fetches <= 11, "{fetches}");
    let since = Instant::now();
    for mut connection in ask_many(&cold.target, 100, |_| path.clone()) {
        assert_unavailable(&connection.answer("GET"));
    }
    if since.elapsed() < Duration::from_millis(500) {
        assert_eq!(
            bench.s3.fetches(&path),
            fetches,
            "the failure was not remembered"
        );
    }
    bench.s3.mend();
    std::thread::sleep(Duration::from_millis(1300));
    let answer = cold.target.get(&path, "");
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, &b"here again"[..]),
        "{}",
        answer.head
    );
}

/// The store is away, or takes for ever: what is held is served, all else is 503 in under 3 s;
/// the process lives but is not ready.
pub(super) fn a67_without_its_store_it_serves_what_it_holds(bench: &Bench) {
    let held: Vec<&str> = bench
        .media
        .objects
        .iter()
        .map(|object| object.path.as_str())
        .collect();
    let away = |bench: &Bench| bench.s3.go_away();
    let hangs = |bench: &Bench| bench.s3.fault("", Fault::Delay(Duration::from_secs(60)));
    for (name, fail) in [("away", away as fn(&Bench)), ("hangs", hangs)] {
        let cold = bench.cold("");
        let kept: Vec<Answer> = held.iter().map(|path| cold.target.get(path, "")).collect();
        fail(bench);
        // Entry points are looked at again after a while.
        std::thread::sleep(Duration::from_millis(1500));
        for (path, kept) in held.iter().zip(&kept) {
            let since = Instant::now();
            let answer = cold.target.get(path, "");
            assert_eq!(answer.status, 200, "{name}: {path}: {}", answer.head);
            assert!(
                answer.body == kept.body && since.elapsed() < SOON,
                "{name}: {path}"
            );
        }
        let other = bench.media.segment().replace("/1.m4s", "/2.m4s");
        let since = Instant::now();
        let unknown = [
            "/v/nobody/index.m3u8".to_owned(),
            other,
            bench.media.large(),
        ];
        for mut connection in ask_many(&cold.target, 30, |n| unknown[n % 3].clone()) {
            assert_unavailable(&connection.answer("GET"));
        }
        assert!(since.elapsed() < SOON, "{name}: {:?}", since.elapsed());
        assert_eq!(cold.target.get("/healthz", "").status, 200);
        let ready = cold.target.get("/readyz", "");
        assert_eq!(ready.status, 503, "{name}: {}", ready.head);
        assert!(ready.must("cache-control").contains("no-store"));
        bench.s3.mend();
        std::thread::sleep(Duration::from_millis(1300));
        assert_eq!(cold.target.get(&unknown[1], "").status, 200, "{name}");
        assert_eq!(cold.target.get("/readyz", "").status, 200, "{name}");
    }
}

/// The store fails in the middle of a body: the connection is cut, and nobody can take what came
/// for the whole.
pub(super) fn a46_a_body_that_breaks_off_is_never_ended_in_order(bench: &Bench) {
    let path = bench.media.large();
    for opening in [None, Some("/healthz")] {
        let mut cold = bench.cold("");
        cold.target.opening = opening;
        let mut connection = cold.target.open();
        let request = connection.request("GET", &path, "");
        connection.send(request.as_bytes());
        let head = connection.head().unwrap();
        assert_eq!((head.status, head.field("transfer-encoding")), (200, None));
        let begin = connection.take(1 << 20).unwrap();
        assert!(begin == large()[..1 << 20]);
        bench.s3.fault(&path, Fault::Cut(100_000));
        let since = Instant::now();
        while connection.end(Duration::from_millis(500)) == End::Open {
            assert!(since.elapsed() < Duration::from_secs(10), "it stands still");
        }
        assert_ne!(connection.end(SOON), End::Open);
        assert!(
            begin.len() + connection.unread().len() < large().len(),
            "nothing failed"
        );
    }
}

/// The store fails after its head and before it has given any of the body: that can still be said.
pub(super) fn a46_a_body_that_never_begins_is_an_error(bench: &Bench) {
    for opening in [None, Some("/healthz")] {
        let mut cold = bench.cold("");
        cold.target.opening = opening;
        let path = bench.media.large();
        bench.s3.fault(&path, Fault::Cut(0));
        assert_unavailable(&cold.target.get(&path, ""));
        bench.s3.mend();
        std::thread::sleep(Duration::from_millis(1300));
        let answer = cold.target.get(&path, "");
        assert!(answer.status == 200 && answer.body == large());
    }
}

/// 256 slow readers of as many objects: under 64 MiB over what an idle server takes.
pub(super) fn a68_slow_readers_take_little_memory(bench: &Bench) {
    const READERS: usize = 256;
    let (length, step) = (1_u64 << 20, Duration::from_millis(100));
    for number in 0..READERS {
        bench.put(&bench.beside(100 + number), Err(length));
    }
    let cold = bench
        .cold("[cache]\nmemory_bytes = 8388608\nstore_reads = 8\nstore_timeout_millis = 60000\n");
    cold.target.get(bench.media.segment(), "");
    let idle = resident(cold.server.id());
    let mut readers = ask_many(&cold.target, READERS, |n| bench.beside(100 + n));
    for reader in &readers {
        rustix::net::sockopt::set_socket_recv_buffer_size(reader.socket(), 16 << 10).unwrap();
    }
    let mut peak = 0;
    for _ in 0..30 {
        for reader in &mut readers {
            reader.take(4096).unwrap();
        }
        std::thread::sleep(step);
        peak = peak.max(resident(cold.server.id()));
    }
    let more = peak.saturating_sub(idle) >> 20;
    assert!(more < 64, "{more} MiB over {} MiB", idle >> 20);
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .unwrap();
    kilobytes.parse::<u64>().unwrap() << 10
}
