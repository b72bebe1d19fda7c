//! Sources in buckets: only the ranges that are needed are read, and what is made of them is what is
//! made of the same file on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater::media::{Job, Joining, Passthrough, Policy, Preset};
use headwater::package::{self, Attempt, Maker, Prepared, Silent};
use headwater::sandbox::Options;
use headwater::source::{Location, Source};
use headwater::store::{BlockingStore, Store};
use serde_json::Value;

use crate::moto::{Bucket, NAME, point};
use crate::origin::s3::{BUCKET, Fault, S3};
use crate::support::{Ran, fixture, headwater, package, verify};

static STILL: AtomicBool = AtomicBool::new(false);

/// Two hours of a small picture and a tone.
fn two_hours(folder: &Path) -> PathBuf {
    let (short, long) = (folder.join("short.mp4"), folder.join("long.mp4"));
    let encode = "-v error -f lavfi -i testsrc2=s=160x90:r=10 -f lavfi -i sine=440:sample_rate=48000 \
                  -t 10 -c:v libx264 -preset ultrafast -crf 38 -g 20 -bf 0 -pix_fmt yuv420p \
                  -c:a aac -b:a 24k -ac 1";
    let ran = Command::new("ffmpeg")
        .args(encode.split_whitespace())
        .arg(&short)
        .status();
    assert!(ran.unwrap().success());
    let mut repeat = Command::new("ffmpeg");
    repeat
        .args(["-v", "error", "-stream_loop", "719", "-i"])
        .arg(&short);
    assert!(
        repeat
            .args(["-c", "copy"])
            .arg(&long)
            .status()
            .unwrap()
            .success()
    );
    long
}

fn sandbox() -> Options {
    Options {
        program: Some(env!("CARGO_BIN_EXE_headwater-media").into()),
        ..Options::default()
    }
}

/// Makes one job and gives the segments that it stored.
fn make(prepared: Prepared, job: &Job) -> BTreeMap<String, Vec<u8>> {
    let out = BlockingStore::new(Store::in_memory()).unwrap();
    let revision = prepared.revision.clone();
    let maker = Maker::new(Arc::new(prepared), out.clone(), sandbox()).unwrap();
    let attempt = Attempt {
        joining: Joining::Seamless,
        nice: 0,
        progress: &Silent,
        stop: &STILL,
    };
    maker.make(job, &attempt).unwrap();
    let listed = out.list(&revision).unwrap();
    let read = |key: String| {
        let bytes = out.document(&key).unwrap().unwrap();
        (key, bytes.to_vec())
    };
    listed.into_iter().map(|object| read(object.key)).collect()
}

/// What a worker does that is handed one task of a long title: it has the plan, and reads the index
/// and what the task is made of.
#[test]
fn one_chunk_of_two_hours_costs_the_bytes_of_the_index_and_the_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let long = two_hours(folder.path());
    let silent = |name, flags: &[&str]| {
        let path = folder.path().join(name);
        let mut copy = Command::new("ffmpeg");
        copy.args(["-v", "error", "-i"]).arg(&long);
        copy.args(["-an", "-c", "copy"]).args(flags).arg(&path);
        assert!(copy.status().unwrap().success());
        path
    };
    let is_video = |job: &Job| matches!(job, Job::EncodeVideo { .. });
    let is_audio = |job: &Job| matches!(job, Job::EncodeAudio { .. });
    let is_copy = |job: &Job| matches!(job, Job::CopyVideo { .. });
    one_chunk(&long, Passthrough::Never, &[is_video, is_audio]);
    one_chunk(&silent("silent.mp4", &[]), Passthrough::Only, &[is_copy]);
    // Their indexes are kept by who read all of them, or in thousands of places, to plan them.
    one_chunk(&silent("silent.mkv", &[]), Passthrough::Never, &[is_video]);
    let fragments = ["-movflags", "frag_keyframe+empty_moov"];
    let fragmented = silent("fragmented.mp4", &fragments);
    one_chunk(&fragmented, Passthrough::Never, &[is_video]);
}

/// The first six segments of a job of sound, of which one makes 30: tasks may be cut anywhere.
fn at_most_six(job: &Job) -> Job {
    let mut job = job.clone();
    if let Job::EncodeAudio { run, .. } = &mut job {
        run.segments = run.segments.min(6);
    }
    job
}

/// Plans the title at `path` in a bucket, and makes one of its jobs of each kind as another worker
/// would.
fn one_chunk(path: &Path, passthrough: Passthrough, kinds: &[fn(&Job) -> bool]) {
    let bytes = std::fs::read(path).unwrap();
    let size = bytes.len() as u64;
    assert!(size > 40_000_000, "{size}");
    let inner = Store::in_memory();
    let written = inner.write_document("films/long.mp4", bytes.into());
    futures_executor::block_on(written).unwrap();
    let (store, faults) = Store::with_faults(&inner);
    let store = BlockingStore::new(store).unwrap();
    let key = "films/long.mp4";
    let bucket = Location::object(store, key.into(), format!("s3://b/{key}"));
    let scratch = tempfile::tempdir().unwrap();
    let folder = Some(scratch.path());

    let policy = Policy {
        rungs: vec![90],
        preset: Preset::Ultrafast,
        passthrough,
        ..Policy::default()
    };
    let source = bucket.open().unwrap();
    let planned =
        package::prepare(source, &policy, None, &sandbox(), folder, &Silent, &STILL).unwrap();
    let plan = (*planned.plan).clone();
    let out = BlockingStore::new(Store::in_memory()).unwrap();
    let maker = Maker::new(Arc::new(planned), out.clone(), sandbox()).unwrap();
    maker.announce(&STILL).unwrap();
    let jobs = maker.jobs(&maker.stored().unwrap());
    let planned = (faults.bytes.load(Ordering::SeqCst), faults.reads());
    eprintln!("{planned:?} bytes and reads to plan it");
    for is_kind in kinds {
        let of_kind: Vec<&Job> = jobs.iter().filter(|job| is_kind(job)).collect();
        let job = &at_most_six(of_kind[of_kind.len() / 2]);

        let begun = (faults.bytes.load(Ordering::SeqCst), faults.reads());
        let far = bucket.open().unwrap();
        let far =
            package::reopen(far, plan.clone(), &out, None, &sandbox(), folder, &STILL).unwrap();
        let indexed = faults.bytes.load(Ordering::SeqCst) - begun.0;
        let made = make(far, job);
        let read = faults.bytes.load(Ordering::SeqCst) - begun.0 - indexed;
        eprintln!(
            "{} objects of {job:?}: {indexed} bytes for the index, {read} for the samples, of {size}; {} \
             reads",
            made.len(),
            faults.reads() - begun.1
        );
        assert!(faults.reads() - begun.1 < 20);
        let seconds = u64::from(job.run().segments) * 6 + 20;
        let share = size * seconds / 7200;
        assert!(indexed < size / 10, "the index cost {indexed} of {size}");
        assert!(
            read < share + 300_000,
            "{read} bytes for {seconds} s of {size}"
        );
        let near = Source::open(path).unwrap();
        let near =
            package::reopen(near, plan.clone(), &out, None, &sandbox(), folder, &STILL).unwrap();
        assert!(make(near, job) == made, "other bytes than from the file");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}

/// The segments below a folder, by their path in it.
fn segments(out: &Path, revision: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let root = out.join(revision);
    let tracks = std::fs::read_dir(&root).unwrap().flatten();
    let files = tracks.filter_map(|track| std::fs::read_dir(track.path()).ok());
    let files = files.flat_map(|files| files.flatten());
    let paths = files.map(|file| file.path());
    let media = paths.filter(|path| path.extension().is_some_and(|e| e == "m4s" || e == "mp4"));
    media
        .map(|path| {
            (
                path.strip_prefix(&root).unwrap().to_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect()
}

const FLAGS: &[&str] = &["--rungs", "180,90", "--preset", "ultrafast", "--json"];

fn command(s3: &S3, arguments: &[&str]) -> Command {
    let mut command = headwater(arguments);
    command.args(FLAGS);
    point(&mut command, &s3.address);
    command
}

fn package_from(s3: &S3, url: &str, out: &Path) -> Ran {
    let arguments = ["package", url, "--out", out.to_str().unwrap()];
    command(s3, &arguments).output().unwrap().into()
}

#[test]
fn a_source_in_a_bucket_becomes_what_the_file_becomes() {
    let s3 = S3::start();
    for name in ["talk.mp4", "talk.webm", "talk.ts"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        s3.put(
            &format!("films/{name}"),
            &bytes,
            "0123456789abcdef0123456789abcdef",
        );
        let scratch = tempfile::tempdir().unwrap();
        let (near, far) = (scratch.path().join("near"), scratch.path().join("far"));
        let local = package(&fixture(name), &near, &FLAGS[..4]);
        let ran = package_from(&s3, &format!("s3://{BUCKET}/films/{name}"), &far);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        let remote: Value = serde_json::from_str(&ran.stdout).unwrap();
        let revision = |result: &Value| result["revision"].as_str().unwrap().to_owned();
        // What was read whole is known by its bytes, here as there.
        let is_same = revision(&local) == revision(&remote);
        assert_eq!(is_same, name != "talk.mp4", "{name}");
        let made = segments(&far, &revision(&remote));
        assert!(
            made.len() > 4 && made == segments(&near, &revision(&local)),
            "{name}"
        );
        assert_eq!(verify(far.to_str().unwrap()).0, Some(0), "{name}");
        let (read, size) = (s3.bytes(name), bytes.len() as u64);
        assert!(
            name == "talk.mp4" || read < size + (65 << 10),
            "{name}: {read} of {size}"
        );
        let again = package_from(&s3, &format!("s3://{BUCKET}/films/{name}"), &far);
        let again: Value = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!(
            (&again["segments_made"], revision(&again)),
            (&0.into(), revision(&remote))
        );
    }
}

#[test]
fn what_is_in_a_bucket_is_shown_without_reading_it_whole() {
    let s3 = S3::start();
    let scratch = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(two_hours(scratch.path())).unwrap();
    s3.put(
        "long film.mp4",
        &bytes,
        "0123456789abcdef0123456789abcdef-9",
    );
    let url = format!("s3://{BUCKET}/long film.mp4");
    let mut command = headwater(["probe", "--json", &url]);
    point(&mut command, &s3.address);
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let probe: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(probe["duration_s"].as_f64().unwrap() > 7200.0, "{probe}");
    assert_eq!(probe["size_bytes"].as_u64(), Some(bytes.len() as u64));
    let read = s3.bytes("mp4");
    assert!(read < bytes.len() as u64 / 10, "{read} bytes");
}

#[test]
fn an_object_replaced_under_the_run_is_refused_by_name() {
    let s3 = S3::start();
    let bytes = std::fs::read(fixture("talk.mp4")).unwrap();
    s3.put("talk.mp4", &bytes, "first");
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("out");
    let url = format!("s3://{BUCKET}/talk.mp4");
    let arguments = [
        "package",
        &url,
        "--out",
        folder.to_str().unwrap(),
        "--jobs",
        "1",
    ];
    s3.fault("talk.mp4", Fault::Delay(Duration::from_millis(300)));
    let run = command(&s3, &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let run = run.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while s3.fetches("talk.mp4") < 2 {
        assert!(Instant::now() < deadline, "nothing was fetched in a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    s3.put("talk.mp4", &bytes, "second");
    let ran: Ran = run.wait_with_output().unwrap().into();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert!(
        line.contains(&url) && line.contains("replaced while it was read"),
        "{line}"
    );
    assert!(!folder.join("index.m3u8").try_exists().unwrap());
}

#[test]
fn a_run_that_waits_for_the_store_ends_when_it_is_told_to() {
    let s3 = S3::start();
    s3.put(
        "talk.mp4",
        &std::fs::read(fixture("talk.mp4")).unwrap(),
        "tag",
    );
    s3.fault("talk.mp4", Fault::Delay(Duration::from_millis(200)));
    let out = tempfile::tempdir().unwrap();
    let url = format!("s3://{BUCKET}/talk.mp4");
    let arguments = ["package", &url, "--out", out.path().to_str().unwrap()];
    let run = command(&s3, &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while s3.fetches("talk.mp4") < 1 {
        assert!(Instant::now() < deadline, "nothing was fetched in a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    s3.fault("talk.mp4", Fault::Delay(Duration::from_secs(25)));
    while s3.fetches("talk.mp4") < 2 {
        assert!(
            Instant::now() < deadline,
            "nothing more was fetched in a minute"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let told = Instant::now();
    let kill = Command::new("kill").arg(run.id().to_string()).status();
    assert!(kill.unwrap().success());
    let ran: Ran = run.wait_with_output().unwrap().into();
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "{:?}",
        told.elapsed()
    );
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("stopped"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_had_is_told_with_its_exit_code() {
    let s3 = S3::start();
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("out");
    s3.put("empty.mp4", b"", "empty");
    s3.put("secret.mp4", b"bytes", "secret");
    s3.fault("secret.mp4", Fault::Status(403));
    for (key, code, words) in [
        ("none.mp4", 1, "no such object"),
        ("empty.mp4", 1, "is empty"),
        ("secret.mp4", 3, "privileges"),
    ] {
        let url = format!("s3://{BUCKET}/{key}");
        let ran = package_from(&s3, &url, &out);
        let line = ran.stderr.lines().last().unwrap_or_default();
        assert_eq!(ran.code, Some(code), "{key}: {line}");
        assert!(line.contains(&url) && line.contains(words), "{key}: {line}");
    }
    let mut away = command(
        &s3,
        &["package", "s3://b/x.mp4", "--out", out.to_str().unwrap()],
    );
    let ran: Ran = away
        .env("AWS_ENDPOINT", "http://127.0.0.1:1")
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let ran = package_from(&s3, "gs://bucket/x.mp4", &out);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(!out.try_exists().unwrap(), "a folder was made for nothing");
}

#[test]
fn a_body_that_breaks_off_is_read_on_from_there() {
    let s3 = S3::start();
    s3.put(
        "talk.webm",
        &std::fs::read(fixture("talk.webm")).unwrap(),
        "tag",
    );
    // One answer ends early; what is asked next is an error once, and then all is well.
    s3.fault("talk.webm", Fault::Cut(20_000));
    let out = tempfile::tempdir().unwrap();
    let mended = std::thread::scope(|scope| {
        let ran =
            scope.spawn(|| package_from(&s3, &format!("s3://{BUCKET}/talk.webm"), out.path()));
        while s3.fetches("talk.webm") < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        s3.mend();
        ran.join().unwrap()
    });
    assert_eq!(mended.code, Some(0), "{}", mended.stderr);
    assert_eq!(verify(out.path().to_str().unwrap()).0, Some(0));
}

#[test]
fn a_library_in_a_bucket_is_made_once_and_again_where_it_changed() {
    let s3 = S3::start();
    let (mp4, webm) = (fixture("talk.mp4"), fixture("talk.webm"));
    s3.put("lib/a/First talk.mp4", &std::fs::read(mp4).unwrap(), "one");
    s3.put("lib/second.webm", &std::fs::read(&webm).unwrap(), "two");
    s3.put(
        "lib/second.en.vtt",
        b"WEBVTT\n\n00:00.500 --> 00:01.500\nHello\n",
        "cue",
    );
    s3.put("lib/text.mp4", b"no video", "text");
    s3.put("lib/.hidden/x.mp4", b"hidden", "hidden");
    s3.put("elsewhere.mp4", b"not of the library", "else");
    let out = tempfile::tempdir().unwrap();
    let batch = |more: &[&str]| {
        let url = format!("s3://{BUCKET}/lib/");
        let mut command = command(&s3, &["batch", &url, "--out", out.path().to_str().unwrap()]);
        let ran: Ran = command.args(more).output().unwrap().into();
        let json = serde_json::from_str::<Value>(&ran.stdout);
        (
            ran.code,
            json.unwrap_or_else(|e| panic!("{e}: {}", ran.stderr)),
        )
    };
    let (code, forecast) = batch(&["--dry-run"]);
    assert_eq!(
        (code, forecast["titles"].as_array().unwrap().len()),
        (Some(0), 3)
    );
    let (code, first) = batch(&[]);
    assert_eq!((code, &first["complete"]), (Some(1), &2.into()), "{first}");
    assert_eq!(first["failed"][0]["source"], "text.mp4");
    let catalogue = std::fs::read(out.path().join("library.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&catalogue).unwrap();
    let sources: Vec<&str> = entries
        .iter()
        .map(|e| e["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["a/First talk.mp4", "second.webm", "text.mp4"]);
    let hls = entries[1]["playback"]["hls"].as_str().unwrap();
    let entry = std::fs::read_to_string(out.path().join(hls)).unwrap();
    assert!(entry.contains("TYPE=SUBTITLES"), "{entry}");

    let fetched = s3.fetches("talk.mp4") + s3.fetches("second.webm");
    let (_, second) = batch(&[]);
    assert_eq!(
        (&second["made"], &second["skipped"]),
        (&0.into(), &3.into())
    );
    assert_eq!(
        s3.fetches("talk.mp4") + s3.fetches("second.webm"),
        fetched,
        "read for nothing"
    );
    std::thread::sleep(Duration::from_millis(20));
    s3.put("lib/second.webm", &std::fs::read(webm).unwrap(), "three");
    let (_, third) = batch(&[]);
    assert_eq!(
        (&third["made"], &third["skipped"]),
        (&1.into(), &2.into()),
        "{third}"
    );
}

/// The same at another server, which tells ETags in listings, with an object that was uploaded in
/// parts.
#[test]
fn what_was_uploaded_in_parts_is_found_by_listing() {
    let Some(bucket) = Bucket::start() else {
        eprintln!("skipped: no moto_server on the path");
        return;
    };
    let key = "/vid/in/talk.mp4";
    let begun = bucket.exchange("POST", &format!("{key}?uploads"), NAME, b"");
    let upload = begun.split("<UploadId>").nth(1);
    let upload = upload.and_then(|rest| rest.split('<').next());
    let upload = upload.unwrap_or_else(|| panic!("{begun}"));
    let part = std::fs::read(fixture("talk.mp4")).unwrap();
    let put = format!("{key}?partNumber=1&uploadId={upload}");
    let stored = bucket.send("PUT", &put, NAME, &part);
    let tag = stored
        .split("etag: \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let tag = tag.unwrap_or_else(|| panic!("{stored}"));
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"{tag}\"</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let done = bucket.send(
        "POST",
        &format!("{key}?uploadId={upload}"),
        NAME,
        parts.as_bytes(),
    );
    assert!(done.contains("-1"), "{done}");
    let out = tempfile::tempdir().unwrap();
    let run = || -> Value {
        let mut command = headwater([
            "batch",
            "s3://vid/in",
            "--out",
            out.path().to_str().unwrap(),
        ]);
        command.args(FLAGS);
        point(&mut command, &bucket.address);
        let ran: Ran = command.output().unwrap().into();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stderr))
    };
    assert_eq!(run()["made"], 1);
    assert_eq!(run()["skipped"], 1);
    let catalogue = std::fs::read_to_string(out.path().join("library.json")).unwrap();
    assert!(catalogue.contains("-1"), "{catalogue}");
}
