//! The doctor's round against a cache that is well, and one with each flaw.

mod flawed;

use flawed::{Flaw, SECRET, listen};

use super::{Finding, Options, Origin, PAGE, Report, Verdict, examine};
use crate::clock::Clock;

fn report(flaw: Flaw, origin: Option<Origin>) -> Report {
    let options = Options {
        url: format!("http://127.0.0.1:{}/v/cats/index.m3u8", listen(flaw, false)),
        fields: Vec::new(),
        page: PAGE.into(),
        origin,
    };
    examine(&options, &Clock::held_at(0), &|_| {}).expect("can be reached")
}

fn at_origin(flaw: Flaw) -> Report {
    let origin = Origin {
        url: format!("http://localhost:{}", listen(flaw, true)),
        secret: Some(("X-Origin-Verify".into(), SECRET.into())),
        idle_seconds: 1,
    };
    report(Flaw::None, Some(origin))
}

fn faults(report: &Report) -> Vec<(&'static str, &'static str)> {
    let is_fault = |finding: &&Finding| finding.verdict == Verdict::Fault;
    let faults = report.findings.iter().filter(is_fault);
    faults
        .map(|finding| (finding.object, finding.check))
        .collect()
}

#[test]
fn a_cdn_that_is_well_has_no_fault() {
    let report = report(Flaw::None, None);
    assert_eq!(faults(&report), [], "{report}");
    for object in ["entry", "playlist", "init", "segment", "missing"] {
        assert!(
            report.findings.iter().any(|f| f.object == object),
            "{object}"
        );
    }
    // Without TLS, and without brotli.
    let warned = |f: &&Finding| f.verdict == Verdict::Warning;
    let warnings = report.findings.iter().filter(warned).map(|f| f.check);
    assert_eq!(
        warnings.collect::<Vec<_>>(),
        ["tls", "encoding", "encoding"]
    );
}

#[test]
fn each_flaw_is_found_where_it_is() {
    for (flaw, expected) in [
        (Flaw::SetsCookie, ("segment", "cookies")),
        (Flaw::VariesByAll, ("segment", "vary")),
        (Flaw::WrongType, ("entry", "type")),
        (Flaw::SegmentNotKept, ("segment", "cache-control")),
        (Flaw::EntryForEver, ("entry", "cache-control")),
        (Flaw::AlwaysMiss, ("segment", "hit")),
        (Flaw::QueryIsKey, ("segment", "query")),
        (Flaw::Stale, ("entry", "age")),
        (Flaw::WeakTag, ("segment", "etag")),
        (Flaw::NoTag, ("entry", "etag")),
        (Flaw::AlwaysModified, ("entry", "not modified")),
        (Flaw::HeadDiffers, ("init", "head")),
        (Flaw::NoRanges, ("segment", "range")),
        (Flaw::ShiftedRanges, ("segment", "range")),
        (Flaw::NoCors, ("playlist", "cors")),
        (Flaw::ForeignCors, ("playlist", "cors")),
        (Flaw::DamagedGzip, ("playlist", "encoding")),
        (Flaw::GzipForAll, ("entry", "encoding")),
        (Flaw::GzipSegments, ("segment", "encoding")),
        (Flaw::NoLength, ("segment", "length")),
        (Flaw::MissingIsThere, ("missing", "status")),
        (Flaw::MissingForLong, ("missing", "ttl")),
        (Flaw::RepeatsHost, ("missing", "reflection")),
        (Flaw::RefusesAll, ("entry", "status")),
    ] {
        let report = report(flaw, None);
        assert!(faults(&report).contains(&expected), "{flaw:?}\n{report}");
        let all_have_a_fix = report
            .findings
            .iter()
            .all(|f| f.verdict == Verdict::Ok || !f.fix.is_empty());
        assert!(all_have_a_fix, "{flaw:?}\n{report}");
    }
}

#[test]
fn a_refused_preflight_is_a_warning() {
    let report = report(Flaw::NoPreflight, None);
    let preflight = report.findings.iter().find(|f| f.check == "preflight");
    assert_eq!(preflight.map(|f| f.verdict), Some(Verdict::Warning));
}

#[test]
fn an_origin_is_shut_to_strangers_open_to_the_cdn_and_patient() {
    let report = at_origin(Flaw::None);
    assert_eq!(faults(&report), [], "{report}");
    for (flaw, expected) in [
        (Flaw::OpenToAll, "lock"),
        (Flaw::LocksOutTheCdn, "secret"),
        (Flaw::RepeatsHost, "reflection"),
        (Flaw::ClosesAtOnce, "keep-alive"),
    ] {
        let report = at_origin(flaw);
        assert!(
            faults(&report).contains(&("origin", expected)),
            "{flaw:?}\n{report}"
        );
    }
}

#[test]
fn a_host_that_is_away_is_unavailable_and_no_url_is_invalid() {
    use crate::error::ErrorKind;
    let at = |url: &str| Options {
        url: url.into(),
        fields: Vec::new(),
        page: PAGE.into(),
        origin: None,
    };
    let kind = |url: &str| {
        let result = examine(&at(url), &Clock::system(), &|_| {});
        result.expect_err("fails").kind()
    };
    assert_eq!(
        kind("http://127.0.0.1:1/v/a/index.m3u8"),
        ErrorKind::Unavailable
    );
    assert_eq!(kind("video.example.com/v/a/index.m3u8"), ErrorKind::Invalid);
}
