//! What the server tells of what it delivers, and how it counts who asks.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Target;
use super::media::copy_of_library;
use super::site::start;

/// The line of the metrics that begins with `series`: its value. `None` where there is none.
fn metric(target: &Target, series: &str) -> Option<f64> {
    let answer = target.get("/metrics", "");
    let text = String::from_utf8(answer.body).unwrap();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

/// Waits until `done`: what is told of an answer is told after it.
#[track_caller]
fn soon(done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(30), "never told");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn requests_are_counted_and_logged_with_what_players_report() {
    let (data, media) = copy_of_library();
    let log = data.path().join("access.log");
    let configuration = format!("[delivery]\naccess_log = \"{}\"\n", log.display());
    let server = start(data.path(), &configuration, &[]);
    let target = Target::plain(&server.address);
    let fields = "X-Amz-Cf-Id: abc==\r\nVia: 2.0 cloudfront\r\nRange: bytes=0-9\r\n\
                  CMCD-Object: br=3000,ot=v\r\nCMCD-Session: sf=h,sid=\"6e2f\"\r\n\
                  CMCD-Status: bs\r\nReferer: https://a.example/?token=opens\r\n";
    let path = format!("{}?hw-token=opens", media.segment());
    assert_eq!(target.get(&path, fields).status, 206);
    let path = format!("{}?CMCD=nonsense%3D", media.entry());
    assert_eq!(target.get(&path, "").status, 200);

    let counted = |series: &str, value: f64| soon(|| metric(&target, series) == Some(value));
    counted(
        "headwater_http_requests_total{class=\"segment\",status=\"206\"}",
        1.0,
    );
    counted(
        "headwater_http_requests_total{class=\"entry\",status=\"200\"}",
        1.0,
    );
    counted(
        "headwater_http_response_bytes_total{class=\"segment\"}",
        10.0,
    );
    counted(
        "headwater_cmcd_requests_total{ot=\"v\",sf=\"h\",st=\"none\"}",
        1.0,
    );
    counted("headwater_cmcd_starved_total{ot=\"v\"}", 1.0);
    counted("headwater_cmcd_invalid_total", 1.0);
    counted("headwater_cache_lookups_total{result=\"miss\"}", 2.0);

    let segment = || lines(&log).into_iter().find(|line| line["status"] == 206);
    soon(|| segment().is_some());
    let line = segment().unwrap();
    for (name, value) in [
        ("path", Value::from(media.segment())),
        ("query", "hw-token=-".into()),
        ("bytes", 10.into()),
        ("complete", true.into()),
        ("range", "bytes=0-9".into()),
        ("x_amz_cf_id", "abc==".into()),
        ("via", "2.0 cloudfront".into()),
        ("cache", "miss".into()),
    ] {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert_eq!(line["cmcd"]["sid"], "6e2f");
    assert!(!std::fs::read_to_string(&log).unwrap().contains("opens"));
}

#[test]
fn a_log_that_is_renamed_is_begun_anew() {
    let (data, media) = copy_of_library();
    let (log, moved) = (data.path().join("access.log"), data.path().join("access.1"));
    let configuration = format!("[delivery]\naccess_log = \"{}\"\n", log.display());
    let server = start(data.path(), &configuration, &[]);
    let target = Target::plain(&server.address);
    target.get(media.entry(), "");
    soon(|| !lines(&log).is_empty());
    std::fs::rename(&log, &moved).unwrap();
    soon(|| {
        target.get(media.segment(), "");
        !lines(&log).is_empty()
    });
    assert!(
        lines(&moved)
            .iter()
            .any(|line| line["path"] == media.entry())
    );
}

/// The last lines are written too when the server is told to stop.
#[test]
fn every_answer_until_the_end_is_logged() {
    let (data, media) = copy_of_library();
    let log = data.path().join("access.log");
    let configuration = format!("[delivery]\naccess_log = \"{}\"\n", log.display());
    let mut server = start(data.path(), &configuration, &[]);
    let mut connection = Target::plain(&server.address).open();
    let mut answered = 0;
    loop {
        let request = connection.request("GET", media.segment(), "");
        let asked = connection.try_send(request.as_bytes());
        if asked.is_err() || connection.try_answer("GET").is_err() {
            break;
        }
        answered += 1;
        if answered == 10 {
            server.terminate();
        }
    }
    let ended = server.ended(Duration::from_secs(40));
    assert!(ended.is_some_and(|status| status.success()));
    assert!(answered >= 10);
    assert_eq!(lines(&log).len(), answered);
}

#[test]
fn objects_say_what_they_are_only_where_that_is_configured() {
    let (data, media) = copy_of_library();
    let told = |configuration: &str| {
        let server = start(data.path(), configuration, &[]);
        let target = Target::plain(&server.address);
        let told = |path: &str, fields: &str| {
            let answer = target.get(path, fields);
            answer.field("cmsd-static").map(str::to_owned)
        };
        // Whether the player reports anything must not matter: caches give the same to all.
        let reporting = told(media.segment(), "CMCD-Object: ot=a,br=1\r\n");
        assert_eq!(told(media.segment(), ""), reporting);
        (told(media.entry(), ""), reporting)
    };
    assert_eq!(told(""), (None, None));
    let (entry, segment) = told("[delivery]\ncmsd = true\n");
    assert_eq!(entry.as_deref(), Some("ot=m,sf=h,st=v"));
    let segment = segment.unwrap();
    assert!(
        ["ot=v,st=v", "ot=a,st=v"].contains(&segment.as_str()),
        "{segment}"
    );
}

/// What stands left of the trusted proxies' word anybody may write: it neither frees nor binds.
#[test]
fn a61_rates_are_of_the_client_that_trusted_proxies_name() {
    let (data, media) = copy_of_library();
    let configuration = "[delivery]\ntrusted_hops = 1\n\
                         [delivery.rate]\nrequests_per_second = 1\nburst = 3\n";
    let server = start(data.path(), configuration, &[]);
    let mut connection = Target::plain(&server.address).open();
    let mut ask = |forwarded: &str| {
        connection.get(
            media.segment(),
            &format!("X-Forwarded-For: {forwarded}\r\n"),
        )
    };
    // More than can be allowed anew in this time, however slow the machine is.
    let answers: Vec<_> = (0..50)
        .map(|n| ask(&format!("10.0.0.{n}, 192.0.2.1")))
        .collect();
    let refused = answers.iter().find(|answer| answer.status == 429);
    let refused = refused.expect("one that is too many");
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    assert!(refused.must("retry-after").parse::<u32>().unwrap() >= 1);
    assert!(
        refused.must("cache-control").contains("no-store"),
        "{}",
        refused.head
    );
    assert_eq!(ask("192.0.2.1, 192.0.2.2").status, 200);
}
