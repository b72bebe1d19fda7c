//! Assertions 53 to 56 and 58: clients that are slow, idle or too many, and the end of a server.
//! Each has a server of its own, and they wait side by side.

use std::time::{Duration, Instant};

use super::client::{Connection, End, Target};
use super::media::{Media, copy_of_library, large};
use super::site::{certificate, said, start};
use crate::server::Server;

/// How much later than promised something may happen on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// A server over the title with `lines` as its configuration.
struct House {
    server: Server,
    target: Target,
    media: Media,
    _data: tempfile::TempDir,
}

impl House {
    fn with(lines: &str) -> Self {
        let (data, media) = copy_of_library();
        let server = start(data.path(), lines, &[]);
        Self {
            target: Target::plain(&server.address),
            server,
            media,
            _data: data,
        }
    }

    /// A connection that the application has.
    fn handed_over(&self) -> Connection {
        let mut connection = self.target.open();
        assert_eq!(connection.get("/healthz", "").status, 200);
        connection
    }
}

/// Tries all at once: they spend their time waiting.
pub(super) fn judge(checks: &[(&'static str, fn())]) {
    let mut broken = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = checks
            .iter()
            .map(|(name, check)| (name, scope.spawn(check)))
            .collect();
        for (name, check) in running {
            if let Err(cause) = check.join() {
                broken.push(format!("{name}: {}", said(&*cause)));
            }
        }
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// How long it takes until the connection is over, while `drip` is sent every tenth of a second.
fn lifetime(connection: &mut Connection, drip: &[u8], at_most: Duration) -> Duration {
    let since = Instant::now();
    let tenth = Duration::from_millis(100);
    while since.elapsed() < at_most {
        if connection.end(tenth) != End::Open || connection.try_send(drip).is_err() {
            break;
        }
    }
    since.elapsed()
}

/// A head that never gets finished: closed after 5 s, however busily it grows.
pub(super) fn a53_a_head_must_be_whole_within_five_seconds() {
    let limit = Duration::from_secs(5);
    let house = House::with("");
    let folder = tempfile::tempdir().unwrap();
    let (lines, _) = certificate(folder.path());
    let secure = House::with(&lines);
    let begun = |mut connection: Connection, text: &str| {
        connection.send(text.as_bytes());
        connection
    };
    let half = "GET /v/x/index.m3u8 HTTP/1.1\r\nHost: x\r\nX-A: ";
    let slow = [
        ("silent", begun(house.target.open(), half), &b""[..]),
        ("dripping", begun(house.target.open(), half), b"a"),
        ("one byte", begun(house.target.open(), "G"), b""),
        ("empty lines", begun(house.target.open(), "\r\n"), b"\r\n"),
        ("handed over, silent", begun(house.handed_over(), half), b""),
        (
            "handed over, dripping",
            begun(house.handed_over(), half),
            b"a",
        ),
        (
            "handshake",
            begun(secure.target.open(), "\x16\x03\x01"),
            b"",
        ),
    ];
    std::thread::scope(|scope| {
        for (name, mut connection, drip) in slow {
            scope.spawn(move || {
                let lived = lifetime(&mut connection, drip, limit + 2 * SLACK);
                assert!(lived < limit + SLACK, "{name}: {lived:?}");
            });
        }
    });
    // One that is merely unhurried is served.
    let mut connection = house.target.open();
    let text = connection.request("GET", house.media.segment(), "");
    let (first, second) = text.split_at(text.len() / 2);
    connection.send(first.as_bytes());
    std::thread::sleep(Duration::from_millis(1500));
    connection.send(second.as_bytes());
    assert_eq!(connection.answer("GET").status, 200);
}

/// A reader that takes nothing, or too little, is cut off; one that takes enough gets everything.
pub(super) fn a54_a_reader_that_is_too_slow_is_cut_off() {
    let house = House::with(
        "[limits]\nreader_stall_seconds = 2\nmin_delivery_bytes_per_second = 8000000\n",
    );
    let path = house.media.large();
    let begun = |mut connection: Connection| {
        rustix::net::sockopt::set_socket_recv_buffer_size(connection.socket(), 16 << 10).unwrap();
        let request = connection.request("GET", &path, "");
        connection.send(request.as_bytes());
        assert_eq!(connection.head().unwrap().status, 200);
        connection
    };
    let assert_cut = |name: &str,
                      mut connection: Connection,
                      mut read: Box<dyn FnMut(&mut Connection) -> bool>| {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(2) + SLACK {
            if !read(&mut connection) {
                return;
            }
        }
        // What lies in buffers can still be read; then it shows that it isn't all.
        let rest = connection.take(large().len());
        assert!(rest.is_err(), "{name}: got everything");
    };
    for (name, connect) in [("own", false), ("handed over", true)] {
        let open = || {
            begun(if connect {
                house.handed_over()
            } else {
                house.target.open()
            })
        };
        let (silent, dripping) = (open(), open());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let nothing = |_: &mut Connection| {
                    std::thread::sleep(Duration::from_millis(100));
                    true
                };
                assert_cut(name, silent, Box::new(nothing));
            });
            scope.spawn(|| {
                let little = |connection: &mut Connection| {
                    std::thread::sleep(Duration::from_millis(20));
                    connection.take(2000).is_ok()
                };
                assert_cut(name, dripping, Box::new(little));
            });
        });
        assert!(open().take(large().len()).unwrap() == large(), "{name}");
    }
}

/// Connections beyond the cap are closed at once; when others end there is room again.
pub(super) fn a55_connections_beyond_the_cap_are_closed_and_harm_nobody() {
    let house = House::with("[limits]\nmax_connections = 20\n");
    let mut held: Vec<Connection> = (0..20).map(|_| house.target.open()).collect();
    for connection in &mut held {
        assert_eq!(connection.get(house.media.segment(), "").status, 200);
    }
    for _ in 0..50 {
        let mut beyond = house.target.open();
        let request = beyond.request("GET", house.media.segment(), "");
        // It may be closed already.
        let _ = beyond.try_send(request.as_bytes());
        match beyond.try_answer("GET") {
            Ok(answer) => assert!(matches!(answer.status, 429 | 503), "{}", answer.head),
            Err(_) => assert_ne!(beyond.end(SLACK), End::Open),
        }
    }
    for connection in &mut held {
        assert_eq!(connection.get(house.media.segment(), "").status, 200);
    }
    held.truncate(10);
    let since = Instant::now();
    loop {
        let mut again = house.target.open();
        let request = again.request("GET", house.media.segment(), "");
        let _ = again.try_send(request.as_bytes());
        if again
            .try_answer("GET")
            .is_ok_and(|answer| answer.status == 200)
        {
            break;
        }
        assert!(since.elapsed() < SLACK, "no room");
    }
}

/// An idle connection is kept as long as configured, by default longer than any CDN keeps one;
/// then it is closed in order.
pub(super) fn a56_idle_connections_are_kept() {
    let house = House::with("[limits]\nkeep_alive_seconds = 4\n");
    let patient = House::with("");
    let idle = |house: &House, name: &str| {
        let mut connections = [house.target.open(), house.handed_over()];
        for connection in &mut connections {
            assert_eq!(
                connection.get(house.media.segment(), "").status,
                200,
                "{name}"
            );
        }
        connections
    };
    let (mut short, mut long) = (idle(&house, "short"), idle(&patient, "long"));
    std::thread::sleep(Duration::from_secs(3));
    for connection in &mut short {
        assert_eq!(connection.get(house.media.segment(), "").status, 200);
    }
    std::thread::sleep(Duration::from_secs(2));
    for connection in &mut short {
        assert_eq!(connection.end(Duration::from_millis(1)), End::Open);
    }
    for connection in &mut short {
        assert_eq!(connection.end(Duration::from_secs(2) + SLACK), End::Closed);
    }
    std::thread::sleep(Duration::from_secs(2));
    for connection in &mut long {
        assert_eq!(connection.get(patient.media.segment(), "").status, 200);
    }
}

/// SIGTERM: `/readyz` says 503 at once, requests are served for a while, nothing is truncated,
/// idle connections are closed in order, and the process ends well within 30 s.
pub(super) fn a58_a_server_ends_without_breaking_anything_off() {
    let mut house = House::with("");
    let path = house.media.large();
    let mut transfers = [house.target.open(), house.handed_over()];
    for transfer in &mut transfers {
        let request = transfer.request("GET", &path, "");
        transfer.send(request.as_bytes());
        assert_eq!(transfer.head().unwrap().status, 200);
    }
    let mut idle = [house.target.open(), house.handed_over()];
    for connection in &mut idle {
        assert_eq!(connection.get(house.media.segment(), "").status, 200);
    }
    house.server.terminate();
    std::thread::sleep(Duration::from_millis(200));
    let ready = house.target.get("/readyz", "");
    assert_eq!(ready.status, 503, "{}", ready.head);
    // A load balancer takes a moment to hear it.
    for connection in &mut idle {
        assert_eq!(connection.get(house.media.segment(), "").status, 200);
    }
    assert_eq!(house.target.get(house.media.segment(), "").status, 200);
    std::thread::sleep(Duration::from_secs(2));
    assert!(
        house.target.try_open().is_err(),
        "it still takes connections"
    );
    for connection in &mut idle {
        assert_eq!(connection.end(SLACK), End::Closed);
        assert!(connection.unread().is_empty());
    }
    assert_eq!(house.server.ended(Duration::ZERO), None);
    for transfer in &mut transfers {
        assert!(transfer.take(large().len()).unwrap() == large());
    }
    let status = house.server.ended(Duration::from_secs(10));
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

/// Who takes for ever what was begun does not keep the server from ending.
pub(super) fn a58_a_reader_that_never_ends_does_not_keep_it() {
    let mut house = House::with("[limits]\ndrain_seconds = 2\n");
    let mut endless = house.target.open();
    let request = endless.request("GET", &house.media.large(), "");
    endless.send(request.as_bytes());
    assert_eq!(endless.head().unwrap().status, 200);
    house.server.terminate();
    let status = house.server.ended(Duration::from_secs(5) + SLACK);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert!(endless.take(large().len()).is_err());
}
