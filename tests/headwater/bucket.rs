//! Packaging into a bucket, judged at moto's S3 server; skipped where `moto_server` is not on the
//! path (`pip install 'moto[server]'`).

use crate::moto::{Bucket, point};
use crate::support::{Ran, fixture, headwater, verify};

fn package(bucket: &Bucket, out: &str) -> Ran {
    let clip = fixture("talk.mp4");
    let mut command = headwater([std::path::Path::new("package"), &clip]);
    command.args(["--rungs", "180,90", "--preset", "ultrafast"]);
    command.args(["--json", "--out", out]);
    point(&mut command, &bucket.address);
    command.output().unwrap().into()
}

#[test]
fn a_bucket_gets_objects_with_headers_and_a_second_run_makes_nothing() {
    let Some(bucket) = Bucket::start() else {
        eprintln!("skipped: no moto_server on the path");
        return;
    };
    let first = package(&bucket, "s3://vid/v/talk");
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let result: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    let revision = result["revision"].as_str().unwrap();
    bucket.make_public();
    let entry = bucket.ask("HEAD", "/vid/v/talk/index.m3u8", "");
    assert!(
        entry.contains("content-type: application/vnd.apple.mpegurl"),
        "{entry}"
    );
    assert!(entry.contains("max-age=60"), "{entry}");
    let segment = bucket.ask("HEAD", &format!("/vid/v/talk/{revision}/v90/1.m4s"), "");
    assert!(
        segment.contains("content-type: video/iso.segment"),
        "{segment}"
    );
    assert!(segment.contains("immutable"), "{segment}");

    let url = format!("http://{}/vid/v/talk/index.m3u8", bucket.address);
    let (code, report) = verify(&url);
    assert_eq!(code, Some(0), "{report}");

    let second = package(&bucket, "s3://vid/v/talk/");
    let result: serde_json::Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!(result["segments_made"], 0, "{result}");

    let nowhere = package(&bucket, "s3://nowhere/v/talk");
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.stderr);
    let line = nowhere.stderr.lines().last().unwrap_or_default();
    assert!(line.contains("the bucket is not there"), "{line}");
}
