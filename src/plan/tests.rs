//! Promises of whole plans and of the tasks that come from them.

use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::{self, Gop, Shape};
use super::*;
use crate::media::{
    AudioMethod, AudioRendition, ChunkSpan, Codec, Edit, Joining, Orientation, PixelAspect,
    SourceTrack, TrackKind, VideoMethod, VideoPlan,
};
use crate::time::Timescale;

fn video_of(plan: &Plan) -> &VideoPlan {
    plan.video.as_ref().expect("video")
}

fn make(tracks: Vec<SourceTrack>, policy: &Policy) -> Plan {
    try_make(tracks, policy).expect("a plan")
}

fn try_make(tracks: Vec<SourceTrack>, policy: &Policy) -> Result<Plan> {
    let idrs = tracks
        .first()
        .map(|track| track.samples.sync_numbers().collect());
    let index = fixture::index(tracks);
    plan(
        &index,
        "00",
        policy,
        &Inspection {
            idr_samples: idrs,
            ..Inspection::default()
        },
    )
}

fn never() -> Policy {
    Policy {
        passthrough: Passthrough::Never,
        ..Policy::default()
    }
}

fn only() -> Policy {
    Policy {
        passthrough: Passthrough::Only,
        ..Policy::default()
    }
}

fn ids(plan: &Plan) -> Vec<&str> {
    let video = plan
        .video
        .iter()
        .flat_map(|video| video.renditions.iter().map(|r| r.id.as_str()));
    video
        .chain(plan.audio.iter().map(|r| r.id.as_str()))
        .collect()
}

fn copies(plan: &Plan) -> Vec<&str> {
    let video = plan.video.iter().flat_map(|video| &video.renditions);
    let video = video
        .filter(|r| r.method == VideoMethod::Copy)
        .map(|r| r.id.as_str());
    let audio = plan
        .audio
        .iter()
        .filter(|r| matches!(r.method, AudioMethod::Copy { .. }));
    video.chain(audio.map(|r| r.id.as_str())).collect()
}

/// AAC frames that last as long as so many pictures at 29.97.
fn sound_for(frames: u32) -> SourceTrack {
    fixture::aac(frames * 1001 / 30 * 48 / 1024 + 3)
}

#[test]
fn a_plain_source_is_copied_at_the_top_and_encoded_below() {
    let plan = make(
        vec![fixture::video(&Shape::default(), 900), sound_for(900)],
        &Policy::default(),
    );
    assert_eq!(
        ids(&plan),
        ["v720", "v540", "v360", "v240", "a-en", "a-en-64"]
    );
    assert_eq!(copies(&plan), ["v720", "a-en"]);
    let video = video_of(&plan);
    assert_eq!(
        (video.timescale.get(), video.frame_duration, video.frames),
        (30_000, Some(1001), 900)
    );
    assert_eq!(
        video.segments.iter().map(|s| s.frames).collect::<Vec<_>>(),
        [180; 5]
    );
    assert_eq!(
        (plan.warnings.len(), plan.waivers.len()),
        (0, 1),
        "{plan:#?}"
    );
    let copied = &plan.audio[0];
    assert_eq!((copied.priming, copied.samples), (1024, 1_441_440));
    assert!(matches!(
        copied.method,
        AudioMethod::Copy { first_sample: 0 }
    ));
}

#[test]
fn never_encodes_everything() {
    let plan = make(
        vec![fixture::video(&Shape::default(), 900), sound_for(900)],
        &never(),
    );
    assert!(copies(&plan).is_empty());
    assert_eq!(plan.audio[0].priming, 1024);
}

#[test]
fn what_is_not_a_rung_yet_is_encoded() {
    let plain = || fixture::video(&Shape::default(), 900);
    let info = |change: fn(&mut crate::media::VideoInfo)| {
        let mut track = plain();
        if let TrackKind::Video(info) = &mut track.kind {
            change(info);
        }
        track
    };
    let mut hevc = plain();
    hevc.codec = Codec::HEVC;
    let mut late = plain();
    late.edit.media_start = 10 * 1001;
    for (name, track) in [
        ("hevc", hevc),
        ("edit that starts within a group", late),
        (
            "turned",
            info(|info| {
                info.orientation = Orientation {
                    quarter_turns: 1,
                    mirrored: false,
                }
            }),
        ),
        (
            "oblong",
            info(|info| {
                info.pixel_aspect = PixelAspect {
                    horizontal: 4,
                    vertical: 3,
                }
            }),
        ),
        ("pq", info(|info| info.colour.transfer = 16)),
        (
            "open groups",
            fixture::video(
                &Shape {
                    gop: Gop::Open(60),
                    ..Shape::default()
                },
                900,
            ),
        ),
        (
            "long groups",
            fixture::video(
                &Shape {
                    gop: Gop::Closed(200),
                    ..Shape::default()
                },
                900,
            ),
        ),
        (
            "rate",
            fixture::video(
                &Shape {
                    bytes: 60_000,
                    ..Shape::default()
                },
                900,
            ),
        ),
        (
            "120 fps",
            fixture::video(
                &Shape {
                    timescale: 120_000,
                    frame: 1000,
                    gop: Gop::Closed(240),
                    ..Shape::default()
                },
                900,
            ),
        ),
    ] {
        let plan = make(vec![track], &Policy::default());
        assert!(copies(&plan).is_empty(), "{name}");
    }
    let uninspected = plan(
        &fixture::index(vec![plain()]),
        "",
        &Policy::default(),
        &Inspection::default(),
    );
    assert!(copies(&uninspected.expect("a plan")).is_empty());
}

#[test]
fn irregular_groups_cut_where_the_idrs_are() {
    let mut samples = crate::media::SampleTable::new(0);
    let mut syncs = Vec::new();
    for number in 0_u32..1000 {
        let sync = number % 97 == 0 || number % 131 == 0;
        if sync {
            syncs.push(number);
        }
        let place = crate::media::Place {
            home: crate::media::Home::Source,
            offset: 0,
            size: 900,
        };
        samples.push(1001, 0, sync, place);
    }
    let track = SourceTrack {
        samples,
        ..fixture::video(&Shape::default(), 1)
    };
    let plan = make(vec![track], &Policy::default());
    let video = video_of(&plan);
    assert_eq!(copies(&plan), ["v720"]);
    for span in &video.segments {
        assert!(syncs.contains(&span.first_frame));
        assert!(span.duration < i64::from(video.timescale.get()) * 13 / 2);
    }
}

#[test]
fn only_copies_variable_rates_as_they_are() {
    let durations: Vec<u32> = (0..600).map(|k| 900 + (k * 7919) % 2500).collect();
    let track = fixture::with_durations(
        &Shape {
            gop: Gop::Flat(50),
            ..Shape::default()
        },
        &durations,
    );
    let total: u32 = durations.iter().sum();
    let plan = make(vec![track.clone()], &only());
    let video = video_of(&plan);
    assert_eq!(video.frame_duration, None);
    assert_eq!(plan.duration.count, i64::from(total));
    let lowering = lower(&plan, vec![track]);
    let mut time = 0;
    for segment in 0..u32::try_from(video.segments.len()).expect("small") {
        let copied = lowering.copied_video(segment).expect("a segment");
        assert_eq!(copied.decode_time, time);
        assert!(copied.samples[0].sync);
        time += copied
            .samples
            .iter()
            .map(|s| i64::from(s.duration))
            .sum::<i64>();
    }
    assert_eq!(time, i64::from(total));
    assert!(plan.waivers.iter().any(|waiver| waiver.rule == "H30"));
}

#[test]
fn only_refuses_what_it_cannot_copy_by_name() {
    let mut hevc = fixture::video(&Shape::default(), 90);
    hevc.codec = Codec::HEVC;
    let error = try_make(vec![hevc], &only()).expect_err("hevc");
    assert_eq!(
        error.to_string(),
        "video track 1 (hevc) can't be repackaged: its codec is hevc, not h264"
    );
    let mut mp3 = fixture::aac(300);
    mp3.codec = Codec::from_name("mp3");
    let error =
        try_make(vec![fixture::video(&Shape::default(), 90), mp3], &only()).expect_err("mp3");
    assert_eq!(error.kind(), crate::error::ErrorKind::Unsupported);
    assert!(error.to_string().contains("mp3"));
}

#[test]
fn pictures_are_held_so_that_no_sound_is_lost() {
    let mut track = fixture::video(
        &Shape {
            timescale: 25_000,
            frame: 1000,
            gop: Gop::Closed(50),
            ..Shape::default()
        },
        100,
    );
    track.edit.delay = 25_000;
    let plan = make(
        vec![track, fixture::aac(48_000 * 9 / 1024)],
        &Policy::default(),
    );
    let video = video_of(&plan);
    assert!(copies(&plan).is_empty() || copies(&plan) == ["a-en"]);
    assert_eq!(video.frame_map.get(0), Some(0));
    assert_eq!(video.frame_map.get(25), Some(0));
    assert_eq!(video.frame_map.get(26), Some(1));
    assert_eq!(video.frame_map.get(video.frames - 1), Some(99));
    assert!((222..=225).contains(&video.frames), "{}", video.frames);
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
}

#[test]
fn sound_that_differs_a_little_is_cut_or_padded() {
    let mut late = fixture::aac(300);
    late.edit.delay = 48_000;
    let plan = make(
        vec![fixture::video(&Shape::default(), 300), late],
        &Policy::default(),
    );
    assert_eq!(video_of(&plan).frames, 300);
    assert!(copies(&plan).contains(&"v720") && !copies(&plan).contains(&"a-en"));
    assert!(
        plan.warnings
            .iter()
            .any(|warning| warning.contains("starts 1.000000 s after")),
        "{:?}",
        plan.warnings
    );
    assert_eq!(plan.audio[0].samples, 480_480);
}

#[test]
fn an_absurd_last_duration_is_ignored() {
    let mut durations = vec![1001; 90];
    durations[89] = u32::MAX;
    let track = fixture::with_durations(&Shape::default(), &durations);
    let plan = make(vec![track], &Policy::default());
    assert_eq!(video_of(&plan).frames, 90);
    assert!(
        plan.warnings[0].contains("last picture"),
        "{:?}",
        plan.warnings
    );
    let mut jumps = fixture::aac(100);
    for _ in 0..2 {
        let place = crate::media::Place {
            home: crate::media::Home::Source,
            offset: 0,
            size: 9,
        };
        jumps.samples.push(u32::MAX, 0, true, place);
    }
    let plan = make(
        vec![fixture::video(&Shape::default(), 90), jumps],
        &Policy::default(),
    );
    assert_eq!((video_of(&plan).frames, plan.audio.len()), (90, 0));
}

#[test]
fn sound_alone_has_two_bit_rates_and_whole_second_cuts() {
    let plan = make(vec![fixture::aac(48_000 * 20 / 1024)], &Policy::default());
    assert_eq!(ids(&plan), ["a-en", "a-en-64"]);
    assert_eq!(plan.audio[0].segments.len(), 4);
    assert_eq!(plan.waivers, []);
    assert_eq!(plan.audio[1].samples, plan.audio[0].samples);
}

#[test]
fn surround_is_offered_beside_stereo() {
    let mut surround = sound_for(300);
    surround.codec = Codec::from_name("ac3");
    surround.kind = TrackKind::Audio(crate::media::AudioInfo {
        sample_rate: 32_000,
        channels: 6,
        ..Default::default()
    });
    let picture = fixture::video(&Shape::default(), 300);
    let tracks = vec![picture, surround];
    let plan = make(tracks.clone(), &Policy::default());
    let made = plan.audio.iter();
    let made: Vec<_> = made
        .map(|audio| (audio.id.as_str(), audio.channels, audio.sample_rate))
        .collect();
    assert_eq!(
        made,
        [
            ("a-en", 2, 48_000),
            ("a-en-64", 2, 48_000),
            ("a-en-51", 6, 48_000)
        ]
    );
    assert_eq!(plan.warnings, Vec::<String>::new());
    let policy = Policy {
        audio_bitrate_surround: 0,
        ..Policy::default()
    };
    let plan = make(tracks, &policy);
    assert_eq!(plan.audio.len(), 2);
    assert!(plan.warnings[0].contains("6 channels"));
}

#[test]
fn surround_that_browsers_play_is_repackaged() {
    let with = |config: Vec<u8>| {
        let mut surround = sound_for(300);
        surround.config = config;
        surround.kind = TrackKind::Audio(crate::media::AudioInfo {
            sample_rate: 48_000,
            channels: 6,
            ..Default::default()
        });
        let plan = make(
            vec![fixture::video(&Shape::default(), 300), surround],
            &Policy::default(),
        );
        plan.audio[2].method.clone()
    };
    assert!(matches!(with(vec![0x11, 0xb0]), AudioMethod::Copy { .. }));
    // The same channels by a program config element.
    let element = vec![0x11, 0x80, 0x04, 0xc8, 0x04, 0x00, 0x20, 0x80, 0x21, 0x00];
    assert!(matches!(with(element), AudioMethod::Encode { .. }));
}

#[test]
fn tiny_titles_still_have_a_segment_of_each() {
    for frames in 1..5 {
        let plan = make(
            vec![fixture::video(&Shape::default(), frames), sound_for(frames)],
            &Policy::default(),
        );
        assert_eq!(video_of(&plan).segments.len(), 1);
        assert!(
            plan.audio.iter().all(|audio| audio.segments.len() == 1),
            "{frames}"
        );
    }
}

#[test]
fn limits_are_named() {
    let big = fixture::video(
        &Shape {
            size: (9000, 9000),
            ..Shape::default()
        },
        3,
    );
    let error = try_make(vec![big], &Policy::default()).expect_err("too big");
    assert!(error.to_string().contains("8192"));
    let mut long = fixture::video(
        &Shape {
            timescale: 10,
            frame: 1,
            ..Shape::default()
        },
        3,
    );
    for _ in 0..3 {
        let place = crate::media::Place {
            home: crate::media::Home::Source,
            offset: 0,
            size: 9,
        };
        long.samples.push(500_000, 0, true, place);
    }
    let error = try_make(vec![long], &Policy::default()).expect_err("too long");
    assert!(error.to_string().contains("86400"), "{error}");
    let policy = Policy {
        segment_seconds: 0,
        ..Policy::default()
    };
    let error = try_make(vec![fixture::aac(3)], &policy).expect_err("policy");
    assert_eq!(
        error.to_string(),
        "policy: segment_seconds is 0; it must be 1 to 10"
    );
}

#[test]
fn the_same_inputs_are_the_same_revision() {
    let tracks = || vec![fixture::video(&Shape::default(), 900), sound_for(900)];
    let (one, two) = (
        make(tracks(), &Policy::default()),
        make(tracks(), &Policy::default()),
    );
    assert_eq!(revision(&one), revision(&two));
    assert!(crate::layout::is_revision(&revision(&one)));
    let json = serde_json::to_string(&one).expect("json");
    let back: Plan = serde_json::from_str(&json).expect("a plan");
    assert_eq!((revision(&back), &back), (revision(&one), &one));
    let other = make(
        tracks(),
        &Policy {
            crf: 24,
            ..Policy::default()
        },
    );
    assert_ne!(revision(&other), revision(&one));
}

#[test]
fn a_plan_reads_well() {
    let tracks = vec![fixture::video(&Shape::default(), 900), sound_for(900)];
    let index = fixture::index(tracks.clone());
    let plan = make(tracks, &Policy::default());
    let forecast = predict(&plan, &index);
    assert_eq!(forecast.renditions.len(), 6);
    assert_eq!(forecast.renditions[0].bytes, 900 * 1013);
    let ids: Vec<&str> = forecast
        .stills
        .iter()
        .map(|still| still.id.as_str())
        .collect();
    assert_eq!(ids, ["trick", "trick-160", "thumbs"]);
    let stills: u64 = forecast.stills.iter().map(|still| still.bytes).sum();
    let tracks: u64 = forecast.renditions.iter().map(|made| made.bytes).sum();
    assert!(stills > 0 && forecast.total_bytes() == tracks + stills);
    let text = describe(&plan, Some(&forecast));
    for part in [
        "30.030000 s",
        "v720",
        "copied",
        "crf 23 up to 88 kb/s",
        "AAC 64 kb/s",
        "30000/1001",
        "thumbs     400x224",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn ten_hours_end_where_they_should() {
    let frames = 10 * 3600 * 30_000 / 1001;
    let mut track = fixture::video(&Shape::default(), frames);
    track.codec = Codec::HEVC;
    let plan = make(vec![track, sound_for(frames)], &Policy::default());
    let video = video_of(&plan);
    assert_eq!((video.frames, video.frame_map.runs.len()), (frames, 1));
    let last = video.segments[video.segments.len() - 1];
    assert_eq!(last.start + last.duration, i64::from(frames) * 1001);
    let audio = &plan.audio[0];
    assert_eq!(audio.segments.len(), video.segments.len());
    let cut = audio.segments[audio.segments.len() - 1].first_frame;
    let samples = i64::from(cut) * 1024 - i64::from(audio.priming);
    assert!((samples * 30_000 - last.start * 48_000).abs() <= 512 * 30_000);
}

#[test]
fn candidates_are_those_that_may_be_copied() {
    let index = fixture::index(vec![sound_for(9), fixture::video(&Shape::default(), 9)]);
    assert_eq!(candidate_for_copy(&index, &Policy::default()), Some(1));
    assert_eq!(candidate_for_copy(&index, &never()), None);
    let odd = fixture::index(vec![fixture::video(
        &Shape {
            size: (641, 480),
            ..Shape::default()
        },
        9,
    )]);
    assert_eq!(candidate_for_copy(&odd, &Policy::default()), None);
    assert_eq!(candidate_for_copy(&odd, &only()), Some(0));
}

fn lower(plan: &Plan, tracks: Vec<SourceTrack>) -> Lowering {
    Lowering::new(Arc::new(plan.clone()), Arc::new(fixture::index(tracks))).expect("a match")
}

/// Splits `count` segments at random places.
fn split(count: usize, cuts: &[bool]) -> Vec<ChunkSpan> {
    let mut spans = Vec::new();
    let mut first = 0;
    for at in 1..=count {
        if at == count || cuts[at % cuts.len()] {
            let number = |n: usize| u32::try_from(n).expect("small");
            spans.push(ChunkSpan {
                first_segment: number(first),
                segments: number(at - first),
            });
            first = at;
        }
    }
    spans
}

fn encoded(video: &VideoPlan) -> Vec<usize> {
    let all = video.renditions.iter().enumerate();
    all.filter(|(_, r)| r.method != VideoMethod::Copy)
        .map(|(at, _)| at)
        .collect()
}

fn gop() -> impl Strategy<Value = Gop> {
    (1_u32..80, 0..3).prop_map(|(length, kind)| match kind {
        0 => Gop::Flat(length),
        1 => Gop::Closed(length),
        _ => Gop::Open(length),
    })
}

/// A track of any structure; some of them jittering, dropping or edited.
fn source() -> impl Strategy<Value = SourceTrack> {
    let edit = prop_oneof![Just((0, 0)), (0_i64..90_000, 0_i64..40_000)];
    let steady = (gop(), 1_u32..900, edit).prop_map(|(gop, frames, (start, delay))| {
        let mut track = fixture::video(
            &Shape {
                gop,
                ..Shape::default()
            },
            frames,
        );
        let most = i64::from(frames - 1) * 1001;
        track.edit = Edit {
            media_start: start.min(most),
            delay,
            length: None,
        };
        track
    });
    let jitter =
        (1_u32..80, prop::collection::vec(1_u32..4000, 1..400)).prop_map(|(gop, durations)| {
            fixture::with_durations(
                &Shape {
                    gop: Gop::Flat(gop),
                    ..Shape::default()
                },
                &durations,
            )
        });
    prop_oneof![steady, jitter]
}

/// Mostly sensible, sometimes absurd.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -500_i64..500, 2 => -(1_i64 << 53)..1 << 53, 1 => any::<i64>()]
}

proptest! {

    #[test]
    fn the_grid_covers_every_frame(track in source(), passthrough in prop::sample::select(vec![Passthrough::Auto, Passthrough::Never])) {
        let plan = make(vec![track.clone()], &Policy { passthrough, ..Policy::default() });
        let video = video_of(&plan);
        let frame = i64::from(video.frame_duration.expect("constant"));
        let mut next = 0;
        for span in &video.segments {
            prop_assert_eq!(span.first_frame, next);
            prop_assert!(span.frames > 0 && video.is_idr(span.first_frame));
            prop_assert_eq!((span.start, span.duration), (i64::from(next) * frame, i64::from(span.frames) * frame));
            prop_assert!(span.duration * 2 < i64::from(video.timescale.get()) * 13);
            next += span.frames;
        }
        prop_assert_eq!(next, video.frames);
        prop_assert_eq!(plan.duration.count, i64::from(next) * frame);
        let pictures: Vec<u32> = video.frame_map.iter().collect();
        prop_assert_eq!(pictures.len(), next as usize);
        prop_assert!(pictures.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(pictures.iter().all(|picture| (*picture as usize) < track.samples.len()));
        let chunks: u32 = video.chunks.iter().map(|chunk| chunk.segments).sum();
        prop_assert_eq!(chunks as usize, video.segments.len());
    }

    #[test]
    fn any_split_gives_each_frame_once(track in source(), cuts in prop::collection::vec(any::<bool>(), 1..9)) {
        let plan = make(vec![track.clone()], &Policy { segment_seconds: 2, gop_seconds: 1, ..never() });
        let video = video_of(&plan);
        let lowering = lower(&plan, vec![track.clone()]);
        let pictures = pictures::Pictures::of(&track);
        let mut kept = Vec::new();
        for span in split(video.segments.len(), &cuts) {
            let task = lowering.video_task(span, &encoded(video), Joining::Seamless).expect("a task");
            let (head, keep) = (task.head as usize, task.keep as usize);
            prop_assert!(task.frames[0].idr && task.frames[head].idr);
            prop_assert_eq!(task.head, video.segments[span.first_segment as usize].first_frame.min(video.gop_frames));
            kept.extend(task.frames[head..head + keep].iter().map(|frame| frame.source_time));
            check_samples(&task, &track)?;
        }
        let expected: Vec<i64> = video.frame_map.iter().map(|rank| pictures.time(rank).expect("in range")).collect();
        prop_assert_eq!(kept, expected);
    }

    #[test]
    fn copied_segments_hold_each_sample_once(length in 1_u32..140, frames in 2_u32..900, closed in any::<bool>(), start in 0_i64..5) {
        let gop = if closed { Gop::Closed(length) } else { Gop::Flat(length) };
        let mut track = fixture::video(&Shape { gop, ..Shape::default() }, frames);
        track.edit.media_start = start * i64::from(length) * 1001;
        if start * i64::from(length) >= i64::from(frames) {
            track.edit.media_start = 0;
        }
        let plan = make(vec![track.clone(), sound_for(frames)], &only());
        let video = video_of(&plan);
        let lowering = lower(&plan, vec![track.clone(), sound_for(frames)]);
        let first = u32::try_from(track.edit.media_start / 1001).expect("small");
        let mut expected = track.samples.iter_from(first);
        let mut shown = Vec::new();
        let mut time = 0;
        for number in 0..u32::try_from(video.segments.len()).expect("small") {
            let copied = lowering.copied_video(number).expect("a segment");
            prop_assert_eq!(copied.decode_time, time);
            prop_assert!(copied.samples[0].sync && copied.samples[0].composition_offset == 0);
            for sample in copied.samples {
                let source = expected.next().expect("as many");
                prop_assert_eq!(sample.place, source.place);
                prop_assert!(!sample.sync || source.sync);
                shown.push(time + i64::from(sample.composition_offset));
                time += i64::from(sample.duration);
            }
        }
        prop_assert!(expected.next().is_none());
        shown.sort_unstable();
        prop_assert!(shown.iter().enumerate().all(|(k, time)| *time == i64::try_from(k).expect("small") * 1001));
        check_copied_sound(&lowering, &plan.audio[0], 0)?;
    }

    #[test]
    fn audio_tasks_cover_each_encoded_frame_once(frames in 1_u32..1200, cuts in prop::collection::vec(any::<bool>(), 1..5), delay in 0_i64..9000) {
        let mut sound = sound_for(frames);
        sound.edit.delay = delay;
        let tracks = vec![fixture::video(&Shape::default(), frames), sound];
        let plan = make(tracks.clone(), &Policy { segment_seconds: 2, gop_seconds: 1, ..never() });
        let lowering = lower(&plan, tracks);
        let rendition = &plan.audio[0];
        let mut next = 0;
        for span in split(rendition.segments.len(), &cuts) {
            let task = lowering.audio_task(&[0, 1], span).expect("a task");
            prop_assert_eq!(task.first_frame, next);
            prop_assert_eq!(task.renditions.len(), 2);
            next += task.frames;
            let start = task.source_start + (i64::from(task.first_frame - task.head) - 1) * 1024;
            let end = task.source_start + (i64::from(next) - 1) * 1024;
            let covered = |time: i64| time < delay || task.samples.iter().any(|s| s.time <= time && time < s.time + i64::from(s.duration));
            prop_assert!(covered(start), "start {start}");
            prop_assert!(covered(end.min(delay + i64::from(frames) * 1600)), "end {end}");
        }
        prop_assert_eq!(u64::from(next), (rendition.samples + 1024).div_ceil(1024));
    }

    #[test]
    fn any_track_gives_a_plan_or_a_reason(
        offsets in prop::collection::vec(any::<i32>(), 1..40),
        scale in 0_i32..2,
        media_start in time(),
        delay in time(),
        length in prop::option::of(time()),
        timescale in prop_oneof![1_u32..u32::MAX, 1_u32..1000],
        mode in prop::sample::select(vec![Passthrough::Auto, Passthrough::Never, Passthrough::Only]),
    ) {
        let mut track = fixture::from_offsets(&offsets, scale);
        track.edit = Edit { delay, media_start, length };
        track.timescale = Timescale::new(timescale).expect("non-zero");
        let mut sound = fixture::aac(30);
        sound.edit = Edit { delay: media_start, media_start: delay, length };
        let tracks = vec![track, sound];
        if let Ok(plan) = try_make(tracks.clone(), &Policy { passthrough: mode, ..Policy::default() }) {
            let lowering = lower(&plan, tracks);
            let whole = |count: usize| ChunkSpan { first_segment: 0, segments: u32::try_from(count.min(3)).expect("small") };
            if let Some(video) = &plan.video && video.frames < 5000 {
                let encoded = encoded(video);
                if !encoded.is_empty() {
                    lowering.video_task(whole(video.segments.len()), &encoded, Joining::Seamless).expect("a task");
                }
            }
            for (at, audio) in plan.audio.iter().enumerate() {
                match audio.method {
                    AudioMethod::Copy { .. } => drop(lowering.copied_audio(at, 0).expect("a segment")),
                    AudioMethod::Encode { .. } => drop(lowering.audio_task(&[at], whole(audio.segments.len())).expect("a task")),
                }
            }
        }
    }
}

/// The first sample is a sync sample, every needed picture is there, and nothing needed leans on
/// what lies before.
fn check_samples(
    task: &crate::media::VideoTask,
    track: &SourceTrack,
) -> std::result::Result<(), TestCaseError> {
    let first = task.samples.first().expect("samples");
    let at_start = Some(first.place) == track.samples.iter().next().map(|sample| sample.place);
    prop_assert!(first.sync);
    for frame in &task.frames {
        prop_assert!(
            task.samples
                .iter()
                .any(|sample| sample.time == frame.source_time)
        );
        prop_assert!(at_start || first.time <= frame.source_time);
    }
    let last = task.samples.last().expect("samples");
    prop_assert!(
        task.frames
            .iter()
            .any(|frame| frame.source_time == last.time),
        "nothing is decoded in vain at the end"
    );
    Ok(())
}

fn check_copied_sound(
    lowering: &Lowering,
    rendition: &AudioRendition,
    at: usize,
) -> std::result::Result<(), TestCaseError> {
    let mut time = 0;
    for number in 0..u32::try_from(rendition.segments.len()).expect("small") {
        let copied = lowering.copied_audio(at, number).expect("a segment");
        prop_assert_eq!(copied.decode_time, time);
        time += copied
            .samples
            .iter()
            .map(|sample| i64::from(sample.duration))
            .sum::<i64>();
    }
    prop_assert_eq!(
        time,
        i64::try_from(rendition.samples).expect("small") + i64::from(rendition.priming)
    );
    Ok(())
}

#[test]
fn the_base_layer_of_dolby_vision_is_kept_and_what_is_lost_is_said() {
    let plan_of = |profile: Option<u8>, transfer: u8| {
        let mut track = fixture::video(&Shape::default(), 60);
        if let TrackKind::Video(info) = &mut track.kind {
            (info.dolby_vision, info.colour.transfer) = (profile, transfer);
        }
        let policy = Policy {
            hdr: crate::media::Hdr::Keep,
            ..never()
        };
        let plan = make(vec![track], &policy);
        let kept = ids(&plan).iter().any(|id| id.contains("-hevc-"));
        (kept, plan.warnings.join("; "))
    };
    let (kept, warnings) = plan_of(Some(8), 18);
    assert!(
        kept && warnings.contains("profile 8) are left out"),
        "{warnings}"
    );
    let (kept, warnings) = plan_of(None, 16);
    assert!(kept && !warnings.contains("Dolby"), "{warnings}");
    let (kept, warnings) = plan_of(Some(5), 16);
    assert!(
        !kept && warnings.contains("colours will be wrong"),
        "{warnings}"
    );
}
