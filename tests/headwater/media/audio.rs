//! Audio tasks.

use headwater::codec::aac::AudioSpecificConfig;
use headwater::media::{AudioTask, TaskSummary};
use headwater::time::{Rounding, Timescale, rescale};

use super::support::{Made, audio_task, clip, open, task_samples, written};

/// Decodes AAC to mono-interleaved 16-bit PCM without taking anything off.
fn decoded(adts: &[u8]) -> Vec<i16> {
    let file = written(adts);
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "aac", "-i"])
        .arg(file.path())
        .args(["-f", "s16le", "-"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let bytes = output.stdout.chunks_exact(2);
    bytes
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// The first sound of a clip as FFmpeg's own program decodes it.
fn source_pcm(name: &str) -> Vec<i16> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(clip(name).unwrap())
        .args([
            "-map", "0:a:0", "-ac", "2", "-ar", "48000", "-f", "s16le", "-",
        ])
        .output()
        .unwrap();
    let pairs = output.stdout.chunks_exact(2);
    pairs
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

fn level(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

#[test]
fn stereo_and_surround_become_aac() {
    for name in [
        "h264_aac_720p2997.mp4",
        "bbb_480p24_aac51_30s.mp4",
        "mpeg2_1080p24.ts",
        "avi_mpeg4.avi",
        "no_duration.webm",
        "derived_prores_lt_540p.mov",
        "derived_multiaudio_subs.mkv",
        "flv_h264.flv",
        "audio_eac3.mp4",
        "audio_only_opus_mono.webm",
    ] {
        let Some(source) = open(name) else { return };
        let task = audio_task(&source, 48_000, 2, &[128_000, 64_000]);
        let made = source.run_audio(&task).unwrap();
        assert_eq!(made.summary.damage, [], "{name}");
        for rendition in 0..2 {
            assert_eq!(
                made.frames(rendition),
                (0..task.frames).collect::<Vec<_>>(),
                "{name}"
            );
            let config =
                AudioSpecificConfig::parse(&made.summary.configs[rendition as usize]).unwrap();
            assert_eq!(
                (config.object_type, config.sample_rate, config.channels),
                (2, 48_000, 2)
            );
            let pcm = decoded(&made.adts(rendition));
            assert_eq!(pcm.len(), task.frames as usize * 2048, "{name}");
            let (ours, theirs) = (level(&pcm), level(&source_pcm(name)));
            assert!(ours >= theirs / 4.0, "{name}: {ours} of {theirs}");
        }
    }
}

/// Where two signals agree best, in samples of one channel.
fn lag(a: &[i16], b: &[i16], reach: i64) -> i64 {
    let score = |shift: i64| -> f64 {
        (4800..a.len().min(b.len()) as i64 - 4800)
            .map(|at| f64::from(a[at as usize]) * f64::from(b[(at + shift) as usize]))
            .sum()
    };
    (-reach..=reach)
        .max_by(|x, y| score(*x).total_cmp(&score(*y)))
        .unwrap()
}

fn channel(pcm: &[i16]) -> Vec<i16> {
    pcm.iter().step_by(2).copied().collect()
}

/// The encoded sound lies where the source's lies, to the sample, once the priming is taken off.
#[test]
fn sound_stays_where_it_was() {
    for (name, rate) in [
        ("derived_prores_lt_540p.mov", 48_000),
        ("h264_aac_720p2997.mp4", 44_100),
    ] {
        let Some(source) = open(name) else { return };
        let task = audio_task(&source, 48_000, 2, &[128_000]);
        let made = source.run_audio(&task).unwrap();
        let ours = channel(&decoded(&made.adts(0)));
        let wanted = channel(&source_pcm(name));
        // FFmpeg's program drops what lies before the first sample.
        let first = rescale(
            task.samples[0].time,
            task.timescale,
            Timescale::new(48_000).unwrap(),
            Rounding::Nearest,
        );
        assert_eq!(
            lag(&wanted, &ours[1024..], 40),
            first.max(0),
            "{name} at {rate}"
        );
    }
}

/// Pieces made apart, with a head, are the same sound as the whole.
#[test]
fn pieces_agree_with_the_whole() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let whole = audio_task(&source, 48_000, 2, &[128_000]);
    let one = source.run_audio(&whole).unwrap();
    let mut samples = Vec::new();
    let mut configs = Vec::new();
    for first in (0..whole.frames).step_by(70) {
        let head = first.min(8);
        let frames = (whole.frames - first).min(70);
        let start = i64::from(first - head) * 1024 * 44_100 / 48_000 - 4096;
        let from = whole.samples.iter().position(|s| s.time >= start).unwrap();
        let task = AudioTask {
            first_frame: first,
            head,
            frames,
            samples: whole.samples[from..].to_vec(),
            ..whole.clone()
        };
        let made = source.run_audio(&task).unwrap();
        samples.extend(made.samples);
        configs.push(made.summary.configs[0].clone());
    }
    let joined = Made {
        samples,
        summary: TaskSummary {
            configs: vec![configs[0].clone()],
            ..TaskSummary::default()
        },
    };
    assert!(
        configs
            .iter()
            .all(|config| *config == one.summary.configs[0])
    );
    assert_eq!(joined.frames(0), one.frames(0));
    let (a, b) = (decoded(&joined.adts(0)), decoded(&one.adts(0)));
    let difference: Vec<i16> = a
        .iter()
        .zip(&b)
        .map(|(a, b)| a.saturating_sub(*b))
        .collect();
    assert!(
        level(&difference) < level(&b) / 10.0,
        "{} of {}",
        level(&difference),
        level(&b)
    );
}

#[test]
fn same_task_gives_the_same_bytes() {
    let Some(source) = open("bbb_480p24_aac51_30s.mp4") else {
        return;
    };
    let task = audio_task(&source, 48_000, 2, &[96_000]);
    assert_eq!(
        source.run_audio(&task).unwrap(),
        source.run_audio(&task).unwrap()
    );
}

#[test]
fn sound_that_ends_early_is_followed_by_silence() {
    let Some(source) = open("derived_prores_lt_540p.mov") else {
        return;
    };
    let mut task = audio_task(&source, 48_000, 2, &[128_000]);
    let heard = task.total_samples as usize * 2;
    task.total_samples += 96_000;
    task.frames += 94;
    let made = source.run_audio(&task).unwrap();
    let pcm = decoded(&made.adts(0));
    assert_eq!(pcm.len(), task.frames as usize * 2048);
    assert!(level(&pcm[heard + 8192..]) < 1.0);
}

/// A hole in the source is silence of the same length: what follows stays where it was.
#[test]
fn hole_in_the_sound_is_filled() {
    let Some(source) = open("bbb_480p24_aac51_30s.mp4") else {
        return;
    };
    let whole = audio_task(&source, 48_000, 2, &[128_000]);
    let mut task = whole.clone();
    task.samples.drain(400..500);
    let made = source.run_audio(&task).unwrap();
    let pcm = decoded(&made.adts(0));
    let wanted = decoded(&source.run_audio(&whole).unwrap().adts(0));
    assert_eq!(pcm.len(), wanted.len());
    let frame = 2048;
    assert!(level(&pcm[404 * frame..498 * frame]) < 1.0);
    let after = 510 * frame..900 * frame;
    let difference: Vec<i16> = after
        .clone()
        .map(|at| pcm[at].saturating_sub(wanted[at]))
        .collect();
    assert!(level(&difference) < level(&wanted[after]) / 5.0);
}

#[test]
fn undecodable_sound_is_an_error() {
    let Some(source) = open("h264_aac_720p2997.mp4") else {
        return;
    };
    let mut task = audio_task(&source, 48_000, 2, &[128_000]);
    task.samples = task_samples(source.video()).into_iter().take(20).collect();
    assert!(source.run_audio(&task).is_err());
}
