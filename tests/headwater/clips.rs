//! Every shared clip is packaged, or refused for the right reason.

use std::path::Path;

use crate::support::{decode_cleanly, joined, shared_media, tracks, try_package};

/// What nothing can be made of, and a word of the reason.
const REFUSED: &[(&str, &str)] = &[
    ("bad_headless.mp4", ""),
    ("bad_text.mp4", ""),
    ("bad_zero_bytes.mp4", "empty"),
    ("bad_zeros.mp4", ""),
];

/// May end either way: broken on purpose, and something of it may be left to show.
const EITHER: &[&str] = &[
    "bad_vp9_bitstream.webm",
    "bad_zero_empty_stsc.mp4",
    "bad_no_timescale.mp4",
];

#[test]
fn each_shared_clip_is_done_or_refused_for_the_right_reason() {
    let Some(folder) = shared_media() else {
        eprintln!("skipped: no shared clips here");
        return;
    };
    let mut clips: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    clips.retain(|path| path.extension().is_some_and(|extension| extension != "md"));
    clips.sort();
    let faults: Vec<String> = clips.iter().filter_map(|clip| fault(clip)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn fault(clip: &Path) -> Option<String> {
    let name = clip.file_name()?.to_str()?;
    let out = tempfile::tempdir().unwrap();
    let ran = try_package(
        clip,
        out.path(),
        &["--rungs", "180,90", "--preset", "ultrafast"],
    );
    let last = ran.stderr.lines().last().unwrap_or_default().to_owned();
    match (
        ran.code,
        REFUSED.iter().find(|(refused, _)| *refused == name),
    ) {
        (Some(1), Some((_, word))) if last.contains(word) && last.contains(name) => None,
        (Some(1), None) if EITHER.contains(&name) && last.contains(name) => None,
        (Some(0), None) => {
            let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            for (track, _) in tracks(&result) {
                if decode_cleanly(&joined(out.path(), &result, &track)) == 0 {
                    return Some(format!("{name}: {track} is empty"));
                }
            }
            None
        }
        (code, _) => Some(format!("{name}: exit {code:?}: {last}")),
    }
}
