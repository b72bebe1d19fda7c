//! Manifests before anything is made: what they promise is kept by what is made afterwards.

use std::fs::File;
use std::path::Path;

use headwater::bandwidth::{average_bps, peak_bps};
use headwater::cmaf::movie::read_movie;
use headwater::media::{
    ExpectedRates, Passthrough, Plan, Policy, Presentation, SegmentInfo, SourceIndex, TrackCommon,
    VideoTrack,
};
use headwater::plan::{self, Inspection};
use headwater::{dash, hls};

use super::support::clip;
use crate::support::{fixture, package, verify};

fn index(path: &Path) -> SourceIndex {
    read_movie(&File::open(path).unwrap()).unwrap().unwrap()
}

fn planned(index: &SourceIndex, policy: &Policy) -> Plan {
    let track = plan::candidate_for_copy(index, policy);
    let inspection = Inspection {
        idr_samples: track.map(|track| index.tracks[track].samples.sync_numbers().collect()),
        ..Inspection::default()
    };
    plan::plan(index, "00", policy, &inspection).unwrap()
}

/// Packages with the policy; gives the record.
fn packaged(input: &Path, policy: &Policy) -> Presentation {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, toml::to_string(policy).unwrap()).unwrap();
    let out = folder.path().join("out");
    let result = package(input, &out, &["--policy", file.to_str().unwrap()]);
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    assert!(result["revision"].is_string());
    let record = std::fs::read(out.join("presentation.json")).unwrap();
    serde_json::from_slice(&record).unwrap()
}

fn tracks(presentation: &Presentation) -> Vec<&TrackCommon> {
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    video.chain(audio).collect()
}

/// Copied or encoded, with a quick start and without: no rendition needs more than was announced,
/// and what is copied needs just that.
#[test]
fn nothing_made_needs_more_than_was_expected() {
    for (passthrough, crf) in [(Passthrough::Auto, 23), (Passthrough::Never, 4)] {
        for quick_start in [false, true] {
            let policy = Policy {
                passthrough,
                crf,
                quick_start,
                rungs: vec![180, 90],
                ..Policy::default()
            };
            let input = fixture("talk.mp4");
            let index = index(&input);
            let plan = planned(&index, &policy);
            let expected = plan::expected(&plan, &index);
            let made = packaged(&input, &policy);
            let target = hls::target_duration(&made);
            let copied = made.video.iter().map(|track| track.copied);
            let copied = copied.chain(made.audio.iter().map(|track| track.copied));
            let rates = expected.video.iter().chain(&expected.audio);
            for ((track, copied), rates) in tracks(&made).into_iter().zip(copied).zip(rates) {
                let peak = peak_bps(&track.segments, track.timescale, target);
                let average = average_bps(&track.segments, track.timescale);
                let what = format!("{passthrough:?} {quick_start} {}: {rates:?}", track.id);
                assert!(rates.average_bps <= rates.peak_bps, "{what}");
                assert!(peak <= rates.peak_bps, "{what}, made {peak}");
                if copied {
                    assert!(rates.peak_bps * 100 <= peak * 103, "{what}, made {peak}");
                    assert!(rates.average_bps * 100 <= average * 103, "{what}");
                }
            }
        }
    }
}

/// The presentation of a plan before anything is made.
fn announced(plan: &Plan, index: &SourceIndex) -> Presentation {
    let video = plan.video.as_ref().unwrap();
    let expected = plan::expected(plan, index);
    let common = |id: &str, rates: ExpectedRates| TrackCommon {
        protection: None,
        id: id.to_owned(),
        codecs: "avc1.640028".to_owned(),
        timescale: video.timescale,
        init_bytes: 0,
        segments: video
            .segments
            .iter()
            .map(|span| SegmentInfo {
                duration: span.duration.unsigned_abs(),
                bytes: 0,
            })
            .collect(),
        expected: Some(rates),
    };
    let tracks = video.renditions.iter().zip(expected.video);
    Presentation {
        revision: "00".to_owned(),
        source_digest: "00".to_owned(),
        duration: plan.duration,
        video: tracks
            .map(|(rendition, rates)| VideoTrack {
                common: common(&rendition.id, rates),
                width: rendition.width,
                height: rendition.height,
                frame_rate: video.frame_rate,
                colour: headwater::media::Colour::BT709,
                copied: false,
                audio_group: None,
            })
            .collect(),
        audio: Vec::new(),
        text: Vec::new(),
        waivers: Vec::new(),
        chapters: Vec::new(),
        warnings: Vec::new(),
        stills: None,
    }
}

#[test]
fn players_start_full_hd_that_must_be_encoded_with_540p() {
    let Some(path) = clip("long_1080p_lowbitrate_363s.mp4") else {
        return;
    };
    let index = index(&path);
    for quick_start in [false, true] {
        let policy = Policy {
            passthrough: Passthrough::Never,
            quick_start,
            ..Policy::default()
        };
        let presentation = announced(&planned(&index, &policy), &index);
        let text = hls::multivariant(&presentation, "").unwrap();
        let first = text.lines().find(|line| line.ends_with(".m3u8")).unwrap();
        assert_eq!(first, "v540/index.m3u8");
        assert_eq!(hls::target_duration(&presentation), 6);
        let mpd = dash::mpd(&presentation, "").unwrap();
        for track in &presentation.video {
            let peak = track.common.expected.unwrap().peak_bps;
            assert!(mpd.contains(&format!("bandwidth=\"{peak}\"")), "{mpd}");
        }
    }
}

/// About 2, 2 and 4 seconds, then 6; also where the source's own IDR pictures are the grid.
#[test]
fn a_quick_start_keeps_every_rule() {
    let Some(path) = clip("bbb_480p24_aac51_30s.mp4") else {
        return;
    };
    let policy = Policy {
        quick_start: true,
        rungs: vec![240, 120],
        ..Policy::default()
    };
    let made = packaged(&path, &policy);
    let seconds = |track: &TrackCommon| -> Vec<u64> {
        let scale = u64::from(track.timescale.get());
        let rounded = |s: &SegmentInfo| (s.duration + scale / 2) / scale;
        track.segments.iter().map(rounded).collect()
    };
    for track in tracks(&made) {
        let lengths = seconds(track);
        assert!(lengths.starts_with(&[2, 2, 4, 6, 6]), "{lengths:?}");
    }
    assert_eq!(hls::target_duration(&made), 6);
}
