//! Every segment of every rendition can be made alone: whatever was lost is made again by itself
//! and fits its neighbours.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{decode_cleanly, fixture, joined, package, tracks, verify};

const FLAGS: &[&str] = &[
    "--rungs",
    "180,90",
    "--preset",
    "ultrafast",
    "--passthrough",
    "never",
    "--segment-seconds",
    "2",
];

/// Segments taken away at random are made again in whatever runs the gaps leave, by tasks of other
/// lengths than the first time; the result keeps every rule and decodes to the same frames.
#[test]
fn any_split_into_tasks_gives_the_same_presentation() {
    let out = tempfile::tempdir().unwrap();
    let result = package(&fixture("talk.mp4"), out.path(), FLAGS);
    let revision = out.path().join(result["revision"].as_str().unwrap());
    let frames: Vec<_> = frame_counts(out.path(), &result);
    let all: Vec<(String, u64)> = tracks(&result)
        .into_iter()
        .flat_map(|(track, count)| (1..=count).map(move |number| (track.clone(), number)))
        .collect();
    let some = prop::collection::vec(0..all.len(), 1..all.len());
    let cases = Config {
        cases: 8,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(cases)
        .run(&some, |lost| {
            for at in lost {
                let (track, number) = &all[at];
                let _ = std::fs::remove_file(revision.join(track).join(format!("{number}.m4s")));
            }
            let again = package(&fixture("talk.mp4"), out.path(), FLAGS);
            prop_assert_eq!(&again["revision"], &result["revision"]);
            let (code, report) = verify(out.path().to_str().unwrap());
            prop_assert_eq!(code, Some(0), "{}", report);
            prop_assert_eq!(frame_counts(out.path(), &again), frames.clone());
            Ok(())
        })
        .unwrap();
}

fn frame_counts(out: &std::path::Path, result: &serde_json::Value) -> Vec<u64> {
    let count = |(track, _): &(String, u64)| decode_cleanly(&joined(out, result, track));
    tracks(result).iter().map(count).collect()
}
