//! Configure tasks: encoders say before the work what they say after it, and a poster is made.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use headwater::media::{
    AudioSetting, ConfigureTask, Configured, Joining, Passthrough, PicturePlan, Policy, PosterTask,
    Preset, VideoEncode,
};
use headwater::plan::{self, Inspection, Lowering};
use headwater::sandbox::{Launcher, Options};
use headwater::time::FrameRate;

use super::support::{
    Source, audio_task, launcher, open, part, psnr, recipe, task_samples, whole, written,
};

fn configure(source: &Source, task: &ConfigureTask) -> Configured {
    let never = AtomicBool::new(false);
    let configured = launcher().configure(task, &source.file, Some(&source.spool), &never);
    configured.unwrap()
}

fn nothing() -> ConfigureTask {
    ConfigureTask {
        frame_rate: FrameRate::new(30_000, 1001).unwrap(),
        video: Vec::new(),
        audio: Vec::new(),
        poster: None,
        sound_poster: None,
    }
}

/// A poster of the first three seconds.
fn poster(source: &Source, size: (u32, u32)) -> PosterTask {
    let track = source.video();
    let info = source.info();
    PosterTask {
        codec: track.codec.clone(),
        config: track.config.clone(),
        timescale: track.timescale,
        samples: task_samples(track).into_iter().take(90).collect(),
        from: 0,
        picture: PicturePlan {
            width: info.width,
            height: info.height,
            pixel_aspect: info.pixel_aspect,
            orientation: info.orientation,
            colour: info.colour,
            light: info.light,
            scan: headwater::media::Scan::AsMarked,
            toned: None,
        },
        width: size.0,
        height: size.1,
    }
}

/// For every preset, one thread or two, seamless or alone.
#[test]
fn configurations_are_those_of_the_real_tasks() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let sizes = [(640, 360), (426, 240), (320, 180)];
    let all = whole(&source, (30_000, 1001), 20, &sizes);
    for presets in Preset::ALL.chunks(sizes.len()) {
        let mut task = part(&all, 0, 0, 20, 10);
        for (encode, preset) in task.renditions.iter_mut().zip(presets) {
            encode.recipe.preset = *preset;
            encode.recipe.threads = 2;
        }
        let configured = configure(
            &source,
            &ConfigureTask {
                video: task.renditions.clone(),
                ..nothing()
            },
        );
        let made = source.run_video(&task).unwrap();
        assert_eq!(configured.video, made.summary.configs);
        task.joining = Joining::Alone { threads: 3 };
        for at in 0..sizes.len() {
            let mut alone = task.clone();
            alone.renditions = vec![task.renditions[at].clone()];
            let made = source.run_video(&alone).unwrap();
            assert_eq!(made.summary.configs, configured.video[at..=at]);
        }
    }
    for (sample_rate, channels) in [(48_000, 2), (44_100, 1)] {
        let mut task = audio_task(&source, sample_rate, channels, &[128_000, 64_000]);
        task.frames = 10;
        let setting = |bitrate| AudioSetting {
            bitrate,
            sample_rate,
            channels,
        };
        let settings = ConfigureTask {
            audio: vec![setting(128_000), setting(64_000)],
            ..nothing()
        };
        let made = source.run_audio(&task).unwrap();
        assert_eq!(configure(&source, &settings).audio, made.summary.configs);
    }
}

/// A JPEG as FFmpeg decodes it: size, and its pixels in grey.
fn decoded(jpeg: &[u8]) -> Vec<u8> {
    let file = written(jpeg);
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mjpeg", "-i"])
        .arg(file.path())
        .args([
            "-vf",
            "scale=out_range=full,format=gray",
            "-f",
            "rawvideo",
            "-",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    output.stdout
}

#[test]
fn the_poster_is_the_source_s_picture_upright() {
    for (name, size) in [
        ("h264_aac_720p2997.mp4", (1280, 720)),
        ("rot90.mov", (320, 568)),
        ("hevc_10bit.mp4", (640, 360)),
    ] {
        let Some(source) = open(name) else { return };
        let poster = poster(&source, size);
        let made = configure(
            &source,
            &ConfigureTask {
                poster: Some(poster),
                ..nothing()
            },
        );
        assert_eq!(made.damage, [], "{name}");
        let jpeg = made.poster.expect(name);
        assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff]), "{name}");
        let ours = decoded(&jpeg);
        let theirs = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(super::support::clip(name).unwrap())
            .args(["-map", "0:v:0", "-frames:v", "1", "-vf"])
            .arg(format!(
                "scale=w={}:h={}:flags=lanczos:out_range=full,format=gray",
                size.0, size.1
            ))
            .args(["-f", "rawvideo", "-"])
            .output()
            .unwrap()
            .stdout;
        let quality = psnr(&ours, &theirs);
        assert!(quality > 30.0, "{name}: {quality} dB");
    }
}

/// A second of black, then a picture.
#[test]
fn black_pictures_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fade.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i"])
        .arg("testsrc2=s=320x180:r=25:d=3,fade=in:st=1:d=0.5")
        .args(["-c:v", "libx264", "-pix_fmt", "yuv420p"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    let source = super::support::index(&file).unwrap();
    let poster = ConfigureTask {
        poster: Some(poster(&source, (320, 180))),
        ..nothing()
    };
    let pixels = decoded(&configure(&source, &poster).poster.unwrap());
    let mean = pixels.iter().map(|p| u64::from(*p)).sum::<u64>() / pixels.len() as u64;
    assert!(mean > 15, "{mean}");
}

#[test]
fn a_source_without_a_picture_has_no_poster_and_says_why() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let mut poster = poster(&source, (640, 360));
    for sample in &mut poster.samples {
        sample.place.offset = 0;
    }
    let encode = VideoEncode {
        width: 640,
        height: 360,
        recipe: recipe(1),
    };
    let made = configure(
        &source,
        &ConfigureTask {
            video: vec![encode],
            poster: Some(poster),
            ..nothing()
        },
    );
    assert_eq!((made.video.len(), made.poster), (1, None));
    assert!(!made.damage.is_empty());
}

/// Repackaging needs no media child; where there is none, there is just no poster.
#[test]
fn without_a_child_only_encoders_are_missed() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let launcher = Launcher::new(Options {
        program: Some("/nowhere/headwater-media".into()),
        ..Options::default()
    });
    let never = AtomicBool::new(false);
    let ask = |task: &ConfigureTask| launcher.configure(task, &source.file, None, &never);
    assert_eq!(ask(&nothing()).unwrap(), Configured::default());
    let mut task = ConfigureTask {
        poster: Some(poster(&source, (640, 360))),
        ..nothing()
    };
    let configured = ask(&task).unwrap();
    assert_eq!((configured.poster, configured.damage.len()), (None, 1));
    task.audio.push(AudioSetting {
        bitrate: 64_000,
        sample_rate: 48_000,
        channels: 2,
    });
    assert!(ask(&task).is_err());
}

/// What the plan asks for is what the plan's tasks will say.
#[test]
fn a_plan_s_encoders_are_configured_in_its_order() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let policy = Policy {
        passthrough: Passthrough::Never,
        ..Policy::default()
    };
    let plan = plan::plan(&source.index, "00", &policy, &Inspection::default()).unwrap();
    let lowering = Lowering::new(Arc::new(plan), Arc::new(source.index.clone())).unwrap();
    let task = lowering.configure_task().unwrap();
    let heights: Vec<u32> = task.video.iter().map(|encode| encode.height).collect();
    assert_eq!(heights, [720, 540, 360, 240]);
    let rates: Vec<u32> = task.audio.iter().map(|setting| setting.bitrate).collect();
    assert_eq!(rates, [128_000, 64_000]);
    let made = configure(&source, &task);
    assert_eq!((made.video.len(), made.audio.len()), (4, 2));
    assert!(made.poster.is_some());
}
