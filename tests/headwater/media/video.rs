//! Video tasks.

use headwater::media::{Codec, Joining, Preset, TaskFrame, TaskSummary, VideoTask};

use super::support::{Made, clip, open, part, probe, psnr, whole, written};

/// Every sample is there, in order, and FFmpeg decodes it without a word.
fn assert_sound(made: &Made, task: &VideoTask) {
    for (rendition, encode) in (0..).zip(&task.renditions) {
        let mut frames = made.frames(rendition);
        frames.sort_unstable();
        let first = task.first_frame + task.head;
        assert_eq!(frames, (first..first + task.keep).collect::<Vec<_>>());
        let probed = probe(&made.annex_b(rendition));
        assert_eq!(probed.warnings, "");
        let kept = &task.frames[task.head as usize..(task.head + task.keep) as usize];
        let wanted: Vec<bool> = kept.iter().map(|frame| frame.idr).collect();
        assert_eq!(probed.keys, wanted);
        assert_eq!(probed.stream["width"], encode.width);
        assert_eq!(probed.stream["height"], encode.height);
        assert_eq!(probed.stream["pix_fmt"], "yuv420p");
        assert_eq!(probed.stream["color_space"], "bt709");
        assert_eq!(probed.stream["sample_aspect_ratio"], "1:1");
    }
}

#[test]
fn ladder_of_a_real_clip_is_whole() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let task = whole(&source, (30_000, 1001), 60, &[(1280, 720), (640, 360)]);
    let made = source.run_video(&task).unwrap();
    assert_eq!(made.summary.damage, []);
    assert_eq!(made.summary.decoded, 149);
    assert_sound(&made, &task);
}

#[test]
fn odd_sources_become_plain_h264() {
    for (name, rate, size) in [
        ("derived_vfr_540p.mp4", (30_000, 1001), (640, 360)),
        ("hevc10_hlg.mp4", (30, 1), (640, 360)),
        ("derived_prores_lt_540p.mov", (30_000, 1001), (960, 540)),
        ("no_duration.webm", (15_000, 1001), (640, 360)),
        ("vp9_odd_dimensions.webm", (30, 1), (160, 120)),
        ("theora_300x400.ogv", (30, 1), (400, 300)),
        ("avi_mpeg4.avi", (24_000, 1001), (960, 400)),
        ("shuttle_vp8_1080x608.webm", (30_000, 1001), (480, 270)),
        ("mpeg2_1080p24.ts", (24, 1), (640, 360)),
        ("derived_multiaudio_subs.mkv", (24, 1), (854, 480)),
        ("derived_interlaced_576i25_tff.ts", (25, 1), (1024, 576)),
        ("h264_518x488.mp4", (30, 1), (518, 488)),
        ("raw_1080p_cabac.264", (25, 1), (640, 360)),
        ("flv_h264.flv", (30, 1), (1080, 720)),
        ("mkv_chapters.mkv", (30, 1), (320, 240)),
        ("h264_10bit.mp4", (30, 1), (200, 200)),
        ("av1_hdr10.mp4", (30_000, 1001), (360, 640)),
    ] {
        let Some(source) = open(name) else { return };
        let task = whole(&source, rate, 50, &[size]);
        let made = source.run_video(&task).unwrap();
        assert_eq!(made.summary.damage, [], "{name}");
        assert_sound(&made, &task);
    }
}

/// Turned pictures are what FFmpeg makes of them when it turns by itself.
#[test]
fn turned_pictures_stand_upright() {
    for (name, size) in [
        ("rot90.mov", (320, 568)),
        ("rot180.mov", (568, 320)),
        ("rotate_and_reflect.mp4", (720, 1080)),
    ] {
        let Some(source) = open(name) else { return };
        let mut task = whole(&source, (30, 1), 50, &[size]);
        task.renditions[0].recipe.crf = 10;
        task.renditions[0].recipe.maxrate = 40_000_000;
        task.renditions[0].recipe.bufsize = 40_000_000;
        let made = source.run_video(&task).unwrap();
        let stream = written(&made.annex_b(0));
        let raw = |arguments: &[&str], path: &std::path::Path| {
            std::process::Command::new("ffmpeg")
                .args(["-v", "error"])
                .args(arguments)
                .arg("-i")
                .arg(path)
                .args(["-map", "0:v:0", "-frames:v", "3", "-vsync", "0", "-vf"])
                .arg(format!(
                    "scale=w={}:h={}:flags=lanczos,format=gray",
                    size.0, size.1
                ))
                .args(["-f", "rawvideo", "-"])
                .output()
                .unwrap()
                .stdout
        };
        let (ours, theirs) = (
            raw(&["-f", "h264"], stream.path()),
            raw(&[], &clip(name).unwrap()),
        );
        let quality = psnr(&ours, &theirs);
        assert!(quality > 28.0, "{name}: {quality} dB");
    }
}

/// Also with several encoder threads and a buffer that binds, where x264's frame threads differ
/// from run to run.
#[test]
fn same_task_gives_the_same_bytes() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let mut task = whole(&source, (30_000, 1001), 30, &[(1280, 720), (426, 240)]);
    let recipe = &mut task.renditions[0].recipe;
    (recipe.threads, recipe.preset, recipe.crf) = (3, Preset::Veryfast, 18);
    (recipe.maxrate, recipe.bufsize) = (1_000_000, 1_000_000);
    let sorted = |mut made: Made| {
        made.samples.sort_by_key(|sample| sample.rendition);
        made
    };
    let one = sorted(source.run_video(&task).unwrap());
    for _ in 0..2 {
        assert!(one == sorted(source.run_video(&task).unwrap()));
    }
}

/// Pieces with head and tail join into one stream: same parameter sets, all frames, no complaint.
#[test]
fn pieces_join_without_a_seam() {
    let Some(source) = open("bbb_480p24_aac51_30s.mp4") else {
        return;
    };
    let mut whole = whole(&source, (24, 1), 48, &[(426, 240)]);
    whole.renditions[0].recipe.preset = Preset::Veryfast;
    let mut samples = Vec::new();
    let mut configs = Vec::new();
    for first in (0..whole.frames.len()).step_by(144) {
        let head = first.min(48);
        let keep = (whole.frames.len() - first).min(144);
        let made = source
            .run_video(&part(&whole, first, head, keep, 50))
            .unwrap();
        assert_eq!(made.summary.damage, []);
        samples.extend(made.samples);
        configs.push(made.summary.configs[0].clone());
    }
    assert!(configs.iter().all(|config| *config == configs[0]));
    let summary = TaskSummary {
        configs: vec![configs[0].clone()],
        ..TaskSummary::default()
    };
    assert_sound(&Made { samples, summary }, &whole);
}

/// A segment made alone shows what it shows when it is made with others, wherever in its group of
/// pictures decoding has to start.
#[test]
fn a_segment_made_alone_shows_the_same_pictures() {
    for (name, rate) in [
        ("bbb_480p24_aac51_30s.mp4", (24, 1)),
        ("mpeg2_1080p24.ts", (24, 1)),
        ("hevc_10bit.mp4", (30, 1)),
    ] {
        let Some(source) = open(name) else { return };
        let mut whole = whole(&source, rate, 24, &[(320, 180)]);
        let recipe = &mut whole.renditions[0].recipe;
        (recipe.crf, recipe.maxrate, recipe.bufsize) = (12, 20_000_000, 20_000_000);
        let (first, keep) = (48.min(whole.frames.len() / 48 * 24), 24);
        let mut task = part(&whole, first, 0, keep, 0);
        let seamless = source.run_video(&task).unwrap();
        task.joining = Joining::Alone { threads: 3 };
        let alone = source.run_video(&task).unwrap();
        assert_eq!(alone.summary.damage, [], "{name}");
        assert_eq!(alone.summary.configs, seamless.summary.configs);
        assert_sound(&alone, &task);
        let raw = |made: &Made| {
            let stream = written(&made.annex_b(0));
            let output = std::process::Command::new("ffmpeg")
                .args(["-v", "error", "-f", "h264", "-i"])
                .arg(stream.path())
                .args(["-f", "rawvideo", "-"])
                .output();
            output.unwrap().stdout
        };
        let (ours, theirs) = (raw(&alone), raw(&seamless));
        let picture = 320 * 180 * 3 / 2;
        assert_eq!(ours.len(), keep * picture, "{name}");
        for (one, other) in ours.chunks(picture).zip(theirs.chunks(picture)) {
            let quality = psnr(one, other);
            assert!(quality > 38.0, "{name}: {quality} dB");
        }
    }
}

/// Repeated and skipped pictures: the frame grid is met whatever the source's is.
#[test]
fn frame_grid_repeats_and_skips_pictures() {
    let Some(source) = open("talk_540p2997.mp4") else {
        return;
    };
    let mut task = whole(&source, (25, 1), 50, &[(480, 270)]);
    let times: Vec<i64> = task.frames.iter().map(|frame| frame.source_time).collect();
    let pick = (0..times.len())
        .filter(|n| n % 6 != 5)
        .flat_map(|n| if n % 10 == 0 { vec![n, n] } else { vec![n] });
    task.frames = pick
        .enumerate()
        .map(|(number, n)| TaskFrame {
            source_time: times[n],
            idr: number % 50 == 0,
            second_field: false,
        })
        .collect();
    task.keep = u32::try_from(task.frames.len()).unwrap();
    let made = source.run_video(&task).unwrap();
    assert_eq!(made.summary.damage, []);
    assert_sound(&made, &task);
}

#[test]
fn damage_is_reported_and_survived() {
    let Some(source) = open("bad_ts_bitrot.ts") else {
        return;
    };
    let task = whole(&source, (24, 1), 48, &[(426, 240)]);
    let made = source.run_video(&task).unwrap();
    assert!(!made.summary.damage.is_empty());
    assert_sound(&made, &task);
}

#[test]
fn nothing_decodable_is_an_error() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let mut task = whole(&source, (30, 1), 48, &[(426, 240)]);
    for sample in &mut task.samples {
        sample.place.offset = 0;
    }
    let error = source.run_video(&task).unwrap_err();
    assert_eq!(error.kind(), headwater::error::ErrorKind::Invalid);
}

#[test]
fn codec_off_the_list_is_refused() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let mut task = whole(&source, (30, 1), 48, &[(426, 240)]);
    task.codec = Codec::from_name("cinepak");
    let error = source.run_video(&task).unwrap_err();
    assert_eq!(error.kind(), headwater::error::ErrorKind::Unsupported);
}

#[test]
fn kept_frames_must_start_with_an_idr_picture() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let mut task = whole(&source, (30, 1), 48, &[(426, 240)]);
    (task.head, task.keep) = (7, 30);
    assert_eq!(
        source.run_video(&task).unwrap_err().kind(),
        headwater::error::ErrorKind::Internal
    );
}
