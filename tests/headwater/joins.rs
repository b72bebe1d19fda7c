//! What is made in pieces joins into what would have been made in one: the decoder's buffer never
//! runs dry at a join, the picture is as good, the sound has no click, and both stay together.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use headwater::cmaf::movie::read_movie;
use headwater::media::{ChunkSpan, Joining, Passthrough, Policy, VideoMethod};
use headwater::plan::{self, Inspection, Lowering};
use headwater::sandbox::{Launcher, Options};
use headwater::time::FrameRate;
use headwater::verify::{DecoderBuffer, decoder_buffer_underflows};
use serde_json::Value;

use crate::support::{decode_cleanly, ffmpeg, headwater, joined, package, packets, tracks, verify};

/// A clip of generated picture and sound.
fn clip(folder: &Path, name: &str, picture: &str, sound: &str, more: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let (picture, sound) = (picture.to_owned(), sound.to_owned());
    let inputs = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    let mut arguments: Vec<&str> = inputs.into();
    arguments.extend(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]);
    arguments.extend(more);
    arguments.push(file.to_str().unwrap());
    ffmpeg(arguments);
    file
}

/// Packages with a policy of that text; gives the folder's result object.
fn package_by(policy: &str, input: &Path, out: &Path) -> Value {
    std::fs::create_dir_all(out).unwrap();
    let file = out.with_extension("toml");
    std::fs::write(&file, policy).unwrap();
    let result = package(input, out, &["--policy", file.to_str().unwrap()]);
    assert_eq!(result["warnings"], serde_json::json!([]));
    assert_eq!(verify(out.to_str().unwrap()).0, Some(0));
    result
}

/// Peak rate and buffer size of a rung, as planned.
fn buffer_of(policy: &Path, input: &Path, rung: &str) -> DecoderBuffer {
    let arguments = [Path::new("plan"), input, Path::new("--json")];
    let output = headwater(arguments)
        .arg("--policy")
        .arg(policy)
        .output()
        .unwrap();
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let renditions = plan["plan"]["video"]["renditions"].as_array().unwrap();
    let rendition = renditions.iter().find(|r| r["id"] == rung).unwrap();
    let recipe = &rendition["method"]["encode"];
    DecoderBuffer::new(
        recipe["maxrate"].as_u64().unwrap(),
        recipe["bufsize"].as_u64().unwrap(),
    )
}

/// Mean PSNR of a rung against the source, in dB.
fn psnr(file: &Path, source: &Path) -> f64 {
    let graph = "[1:v][0:v]scale2ref[b][a];[a]setpts=N[a];[b]setpts=N[b];[a][b]psnr=f=-";
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "info", "-i"])
        .arg(file)
        .arg("-i")
        .arg(source)
        .args(["-lavfi", graph, "-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let average = text
        .split("average:")
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"));
    average.split_whitespace().next().unwrap().parse().unwrap()
}

fn write_joined(out: &Path, result: &Value, track: &str) -> PathBuf {
    let file = out.with_extension(format!("{track}.mp4"));
    std::fs::write(&file, joined(out, result, track)).unwrap();
    file
}

/// Noise at a rate factor that the peak rate always binds: the hardest case for a join.
#[test]
fn joined_chunks_keep_the_decoder_buffer_and_the_quality_of_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let input = clip(
        folder.path(),
        "noisy.mp4",
        "testsrc2=s=320x180:r=25:d=12,noise=alls=30:allf=t",
        "sine=f=440:d=12",
        &["-crf", "24"],
    );
    let policy = |chunk: u32| {
        format!(
            "chunk_seconds = {chunk}\nsegment_seconds = 2\ncrf = 12\npassthrough = \"never\"\n\
             preset = \"veryfast\"\nrungs = [180, 90]\n"
        )
    };
    let (pieces, whole) = (folder.path().join("pieces"), folder.path().join("whole"));
    let in_pieces = package_by(&policy(2), &input, &pieces);
    let in_one = package_by(&policy(600), &input, &whole);
    for rung in ["v180", "v90"] {
        let buffer = buffer_of(&pieces.with_extension("toml"), &input, rung);
        let measure = |out: &Path, result: &Value| {
            let file = write_joined(out, result, rung);
            let sizes: Vec<u64> = packets(&file, "v").iter().map(|p| p.2).collect();
            assert_eq!(sizes.len(), 300);
            assert_eq!(decode_cleanly(&std::fs::read(&file).unwrap()), 300);
            let rate = FrameRate::new(25, 1).unwrap();
            let underflows = decoder_buffer_underflows(&sizes, rate, buffer);
            assert_eq!(underflows, [0; 0], "{rung} in {}", out.display());
            let bits = sizes.iter().sum::<u64>() * 8;
            assert!(
                bits > buffer.maxrate_bps * 12 * 3 / 4,
                "the peak rate never bound"
            );
            let init = result["revision"].as_str().unwrap();
            let init = std::fs::read(out.join(init).join(rung).join("init.mp4")).unwrap();
            (init, bits, psnr(&file, &input))
        };
        let (init, bits, quality) = measure(&pieces, &in_pieces);
        let (whole_init, whole_bits, whole_quality) = measure(&whole, &in_one);
        assert_eq!(init, whole_init);
        assert!(bits.abs_diff(whole_bits) * 100 < whole_bits * 5);
        assert!((quality - whole_quality).abs() < 0.2);
    }
}

/// Samples of a track's sound as FFmpeg decodes it.
fn pcm(out: &Path, result: &Value, track: &str) -> Vec<i32> {
    let file = write_joined(out, result, track);
    let bytes = ffmpeg(["-i", file.to_str().unwrap(), "-f", "s16le", "-"]);
    let sample = |pair: &[u8]| i32::from(i16::from_le_bytes([pair[0], pair[1]]));
    bytes.chunks_exact(2).map(sample).collect()
}

/// Peak of the difference between two signals in each tenth of a second.
fn differences(a: &[i32], b: &[i32], rate: usize) -> Vec<i32> {
    assert_eq!(a.len(), b.len());
    let peak = |(a, b): (&[i32], &[i32])| a.iter().zip(b).map(|(a, b)| (a - b).abs()).max();
    let pieces = a.chunks(rate * 2 / 10).zip(b.chunks(rate * 2 / 10));
    pieces.filter_map(peak).collect()
}

#[test]
fn sound_made_in_pieces_has_no_click_at_the_joins() {
    let folder = tempfile::tempdir().unwrap();
    let picture = "color=s=128x72:r=25:d=12";
    let sound =
        "aevalsrc=0.4*sin(2*PI*440*t+3*sin(t))+0.2*sin(2*PI*3100*t)|0.5*sin(2*PI*97*t):d=12:s=";
    for (rate, codec) in [
        ("48000", "aac"),
        ("44100", "aac"),
        ("96000", "pcm_s16le"),
        ("8000", "pcm_s16le"),
    ] {
        let more = ["-c:a", codec, "-ar", rate];
        let input = clip(
            folder.path(),
            "sound.mov",
            picture,
            &format!("{sound}{rate}"),
            &more,
        );
        let policy = |chunk| {
            format!(
                "chunk_seconds = {chunk}\nsegment_seconds = 1\ngop_seconds = 1\npassthrough = \"never\"\n"
            )
        };
        let (pieces, whole) = (
            folder.path().join(format!("p{rate}")),
            folder.path().join(format!("w{rate}")),
        );
        let in_pieces = package_by(&policy(1), &input, &pieces);
        let in_one = package_by(&policy(600), &input, &whole);
        for (track, _) in tracks(&in_one)
            .iter()
            .filter(|(track, _)| track.starts_with('a'))
        {
            let (a, b) = (pcm(&pieces, &in_pieces, track), pcm(&whole, &in_one, track));
            let level = differences(&a, &b, a.len() / 24);
            let worst = level.iter().max().unwrap();
            assert!(*worst < 800, "{rate} {track}: {level:?}");
        }
    }
}

/// Encodes `task`; gives the sizes of its pictures in decode order and its configuration.
fn encode(
    launcher: &Launcher,
    task: &headwater::media::VideoTask,
    source: &File,
) -> (Vec<u64>, Vec<u8>) {
    let never = AtomicBool::new(false);
    let mut sizes = Vec::new();
    let summary = launcher.video(task, source, None, &never, &mut |sample| {
        sizes.push(sample.data.len() as u64);
        Ok(())
    });
    (sizes, summary.unwrap().configs.remove(0))
}

/// Segments made alone, as somebody waited for them, between chunks that know nothing of it: every
/// one, every second, every third.
#[test]
fn segments_made_alone_keep_the_decoder_buffer_among_their_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let input = clip(
        folder.path(),
        "noisy.mp4",
        "testsrc2=s=320x180:r=25:d=16,noise=alls=30:allf=t",
        "sine=f=440:d=16",
        &["-crf", "24"],
    );
    let policy = Policy {
        passthrough: Passthrough::Never,
        segment_seconds: 2,
        chunk_seconds: 6,
        crf: 12,
        rungs: vec![180, 90],
        ..Policy::default()
    };
    let source = File::open(&input).unwrap();
    let index = Arc::new(read_movie(&source).unwrap().unwrap());
    let plan = plan::plan(&index, "00", &policy, &Inspection::default()).unwrap();
    let video = plan.video.clone().unwrap();
    let lowering = Lowering::new(Arc::new(plan), index).unwrap();
    let launcher = Launcher::new(Options {
        program: Some(env!("CARGO_BIN_EXE_headwater-media").into()),
        ..Options::default()
    });
    for (at, rendition) in video.renditions.iter().enumerate() {
        let make = |span: ChunkSpan, joining| {
            let task = lowering.video_task(span, &[at], joining).unwrap();
            encode(&launcher, &task, &source)
        };
        let (mut seamless, mut alone) = (Vec::new(), Vec::new());
        for chunk in &video.chunks {
            let (sizes, config) = make(*chunk, Joining::Seamless);
            let mut sizes = sizes.into_iter();
            for number in chunk.first_segment..chunk.first_segment + chunk.segments {
                let frames = video.segments[number as usize].frames as usize;
                seamless.push(sizes.by_ref().take(frames).collect::<Vec<_>>());
                let span = ChunkSpan {
                    first_segment: number,
                    segments: 1,
                };
                let (sizes, own) = make(span, Joining::Alone { threads: 2 });
                assert_eq!(own, config, "parameter sets");
                alone.push(sizes);
            }
        }
        let VideoMethod::Encode(recipe) = &rendition.method else {
            panic!("nothing is copied")
        };
        let buffer = DecoderBuffer::new(recipe.maxrate.into(), recipe.bufsize.into());
        let bits = seamless.iter().flatten().sum::<u64>() * 8;
        assert!(
            bits > u64::from(recipe.maxrate) * 12,
            "the peak rate never bound"
        );
        for (every, phase) in [(1, 0), (2, 0), (2, 1), (3, 1)] {
            let of = |number: usize| match number % every == phase {
                true => &alone[number],
                false => &seamless[number],
            };
            let sizes: Vec<u64> = (0..alone.len()).flat_map(of).copied().collect();
            assert_eq!(sizes.len(), 400);
            let underflows = decoder_buffer_underflows(&sizes, video.frame_rate, buffer);
            assert_eq!(underflows, [0; 0], "{} {every}/{phase}", rendition.id);
        }
    }
}
