//! Sound from outside: channels, levels, marks, as FFmpeg's decoder hears what was packaged.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{joined, package, tracks, verify};

/// Runs `ffmpeg` quietly; any word is a failure.
fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}");
}

/// A file of sound made by the expressions, one a channel.
fn made(folder: &Path, name: &str, source: &str, more: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut arguments = vec!["-f", "lavfi", "-i", source];
    arguments.extend(more);
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
    path
}

/// Decoded samples, a row a channel, encoder delay taken off by the edit list.
fn heard(bytes: &[u8], channels: usize, rate: u32) -> Vec<Vec<f32>> {
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file.path())
        .args(["-ar", &rate.to_string(), "-f", "f32le", "-"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let mut rows = vec![Vec::new(); channels];
    let samples = output.stdout.chunks_exact(4);
    for (at, bytes) in samples.enumerate() {
        rows[at % channels].push(f32::from_le_bytes(bytes.try_into().unwrap()));
    }
    rows
}

/// Amplitude of a tone within the middle of `samples`.
fn tone(samples: &[f32], hertz: f64, rate: f64) -> f64 {
    let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
    let (mut re, mut im) = (0.0, 0.0);
    for (at, sample) in middle.iter().enumerate() {
        let angle = 2.0 * std::f64::consts::PI * hertz * at as f64 / rate;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    2.0 * (re * re + im * im).sqrt() / middle.len() as f64
}

/// Six tones, in the order front left, front right, centre, LFE, back left, back right.
const TONES: [f64; 6] = [400.0, 500.0, 600.0, 80.0, 800.0, 900.0];

fn six_tones(amplitude: f64) -> String {
    let rows: Vec<String> = TONES
        .iter()
        .map(|hertz| format!("{amplitude}*sin(2*PI*{hertz}*t)"))
        .collect();
    format!("aevalsrc={}:c=5.1:s=48000:d=2", rows.join("|"))
}

#[test]
fn sound_with_samples_that_are_no_numbers_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("nan.wav");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:duration=2",
        "-c:a",
        "pcm_f32le",
        clip.to_str().unwrap(),
    ]);
    let mut bytes = std::fs::read(&clip).unwrap();
    let middle = (bytes.len() / 2) & !3;
    for (at, value) in [(0, f32::NAN), (400, f32::INFINITY), (800, 1e30)] {
        bytes[middle + at..middle + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    std::fs::write(&clip, bytes).unwrap();
    let out = folder.path().join("out");
    let made = package(&clip, &out, &[]);
    assert_eq!(made["state"], "complete", "{made}");
}

#[test]
fn surround_keeps_every_channel_in_its_place_and_stereo_is_the_usual_mix() {
    let folder = tempfile::tempdir().unwrap();
    let source = made(folder.path(), "six.wav", &six_tones(0.3), &[]);
    let out = folder.path().join("out");
    let result = package(&source, &out, &[]);
    let ids: Vec<String> = tracks(&result).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a-und", "a-und-64", "a-und-51"]);
    let surround = heard(&joined(&out, &result, "a-und-51"), 6, 48_000);
    for (at, channel) in surround.iter().enumerate() {
        for (other, hertz) in TONES.iter().enumerate() {
            let level = tone(channel, *hertz, 48_000.0);
            // The encoder takes 3 dB off a lone loud tone in the LFE, and nothing off real sound.
            let least = if at == 3 { 0.17 } else { 0.27 };
            let right = if at == other { least..0.33 } else { 0.0..0.01 };
            assert!(right.contains(&level), "channel {at}, {hertz} Hz: {level}");
        }
    }
    // ITU-R BS.775: the centre and each side's surround at 0.707, no LFE; as loud as it was.
    let stereo = heard(&joined(&out, &result, "a-und"), 2, 48_000);
    let left: Vec<f64> = TONES
        .iter()
        .map(|t| tone(&stereo[0], *t, 48_000.0))
        .collect();
    let front = left[0];
    assert!((front - 0.3).abs() < 0.01, "{left:?}");
    for (at, share) in [1.0, 0.0, 0.707, 0.0, 0.707, 0.0].into_iter().enumerate() {
        assert!((left[at] / front - share).abs() < 0.05, "{left:?}");
    }
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

/// The sum of six loud tones is 7.7 dB over what there is room for.
#[test]
fn a_mix_down_never_clips() {
    let folder = tempfile::tempdir().unwrap();
    let source = made(folder.path(), "loud.wav", &six_tones(0.9), &[]);
    let out = folder.path().join("out");
    let result = package(&source, &out, &[]);
    let [_, _, peak] = loudness_by_ffmpeg(&decoded(&folder, &out, &result, "a-und"));
    assert!((-2.0..-0.5).contains(&peak), "{peak}");
}

/// A track, joined into a file that FFmpeg reads.
fn decoded(
    folder: &tempfile::TempDir,
    out: &Path,
    result: &serde_json::Value,
    id: &str,
) -> PathBuf {
    let path = folder.path().join(format!("{id}.mp4"));
    std::fs::write(&path, joined(out, result, id)).unwrap();
    path
}

/// Speech-like bursts with a crest of 12 dB and more in 5.1, far under the target.
fn quiet_film(seconds: u32) -> String {
    let voice = |hertz: u32, every: u32| {
        format!("0.3*sin(2*PI*{hertz}*t)*exp(-9*mod(t\\,{every}/10))*(0.4+0.6*gt(mod(t\\,4)\\,2))")
    };
    let rows = [
        voice(400, 7),
        voice(500, 9),
        voice(900, 5),
        voice(60, 11),
        voice(700, 13),
        voice(800, 17),
    ];
    format!("aevalsrc={}:c=5.1:s=48000:d={seconds}", rows.join("|"))
}

/// By FFmpeg's meter over what decoders give: stereo of the mix, low rate, 5.1; the same bytes in
/// whatever pieces they are made.
#[test]
fn every_rendition_reaches_the_loudness_that_the_policy_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = made(folder.path(), "film.wav", &quiet_film(7), &[]);
    let (target, limit) = (-14.0, -1.0);
    let wish = format!("loudness = {{ target_lufs = {target:.1}, peak_dbtp = {limit:.1} }}\n");
    let mut sums = Vec::new();
    for pieces in ["", "chunk_seconds = 1\naudio_bitrate_surround = 0\n"] {
        let policy = folder.path().join("policy.toml");
        std::fs::write(
            &policy,
            format!("{wish}segment_seconds = 1\ngop_seconds = 1\n{pieces}"),
        )
        .unwrap();
        let out = folder.path().join(format!("out{}", pieces.len()));
        let result = package(&source, &out, &["--policy", policy.to_str().unwrap()]);
        let mut joined_up = Vec::new();
        for (id, _) in tracks(&result) {
            let id = id.as_str();
            let file = decoded(&folder, &out, &result, id);
            let [lufs, _, peak] = loudness_by_ffmpeg(&file);
            assert!((lufs - target).abs() <= 0.5, "{id}: {lufs} LUFS");
            assert!(peak <= limit + 0.3, "{id}: {peak} dBTP");
            joined_up.push(std::fs::read(file).unwrap());
        }
        let told = result["renditions"][0]["loudness"]["integrated_lufs"].as_f64();
        assert!((told.unwrap() - target).abs() <= 0.5, "{told:?}");
        sums.push(joined_up);
        let (code, report) = verify(out.to_str().unwrap());
        assert_eq!(code, Some(0), "{report}");
    }
    assert_eq!((sums[0].len(), sums[1].len()), (3, 2));
    assert!(sums[0][..2] == sums[1][..], "bytes depend on the pieces");
}

/// AAC that could be repackaged is, where it is as loud as asked for, and only there.
#[test]
fn a_source_is_repackaged_only_at_the_right_loudness() {
    let folder = tempfile::tempdir().unwrap();
    let sound = "aevalsrc=0.1*sin(2*PI*997*t)|0.1*sin(2*PI*997*t):c=stereo:s=48000:d=3";
    let source = made(
        folder.path(),
        "tone.m4a",
        sound,
        &["-c:a", "aac", "-b:a", "128k"],
    );
    for (target, form) in [("-20.0", "copy"), ("-16.0", "encode"), ("-20.8", "encode")] {
        let policy = folder.path().join("policy.toml");
        std::fs::write(&policy, format!("loudness = {{ target_lufs = {target} }}")).unwrap();
        let out = folder.path().join(target);
        let result = package(&source, &out, &["--policy", policy.to_str().unwrap()]);
        assert_eq!(result["renditions"][0]["source"], form, "{target}");
        let [lufs, ..] = loudness_by_ffmpeg(&decoded(&folder, &out, &result, "a-und"));
        let target: f64 = target.parse().unwrap();
        assert!((lufs - target).abs() <= 0.5, "{lufs}, not {target}");
    }
}

#[test]
fn mono_is_as_loud_on_both_sides_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mono = "aevalsrc=0.5*sin(2*PI*440*t):c=mono:s=16000:d=1";
    let source = made(folder.path(), "mono.wav", mono, &[]);
    let out = folder.path().join("out");
    let result = package(&source, &out, &[]);
    for channel in heard(&joined(&out, &result, "a-und"), 2, 48_000) {
        let level = tone(&channel, 440.0, 48_000.0);
        assert!((level - 0.5).abs() < 0.02, "{level}");
    }
}

#[test]
fn marks_of_the_source_reach_both_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("marked.mkv");
    let sine = "sine=d=1";
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        sine,
        "-f",
        "lavfi",
        "-i",
        sine,
        "-f",
        "lavfi",
        "-i",
        sine,
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "2",
        "-c:a",
        "flac",
        "-disposition:a:0",
        "visual_impaired",
        "-metadata:s:a:1",
        "title=Director's commentary",
        "-metadata:s:a:1",
        "language=eng",
        "-disposition:a:1",
        "0",
        "-disposition:a:2",
        "default+dub",
        source.to_str().unwrap(),
    ]);
    let out = folder.path().join("out");
    package(&source, &out, &[]);
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    let line = |name: &str| {
        let mut lines = playlist.lines();
        let wanted = format!("NAME=\"{name}\"");
        lines
            .find(|line| line.contains(&wanted))
            .unwrap_or_else(|| panic!("{playlist}"))
    };
    let described = line("Audio (audio description)");
    assert!(described.contains("CHARACTERISTICS=\"public.accessibility.describes-video\""));
    assert!(described.contains("DEFAULT=NO,AUTOSELECT=YES"));
    assert!(line("Director's commentary").contains("DEFAULT=NO,AUTOSELECT=NO"));
    assert!(line("Audio").contains("DEFAULT=YES,AUTOSELECT=YES"));
    let mpd = std::fs::read_to_string(out.join("manifest.mpd")).unwrap();
    for value in ["description", "commentary", "dub"] {
        assert!(mpd.contains(&format!("value=\"{value}\"")), "{mpd}");
    }
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
}

/// MD5 of each packet of a file's first sound, by FFmpeg.
fn packets(file: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sum = |line: &str| line.split(',').nth(5).unwrap_or_default().trim().to_owned();
    lines.map(sum).collect()
}

/// From a file that keeps samples whole, and from a transport stream, where they lie in pieces.
#[test]
fn dolby_goes_through_untouched_beside_aac() {
    let folder = tempfile::tempdir().unwrap();
    for (codec, form, fourcc, container) in [
        ("ac3", "ac3", "ac-3", "mkv"),
        ("eac3", "ec3", "ec-3", "mp4"),
        ("ac3", "ac3", "ac-3", "ts"),
    ] {
        let name = format!("{codec}.{container}");
        let more = ["-c:a", codec, "-b:a", "384k"];
        let source = made(folder.path(), &name, &six_tones(0.5), &more);
        let out = folder.path().join(format!("out-{codec}-{container}"));
        let result = package(&source, &out, &[]);
        let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
        assert!(
            playlist.contains(&format!("CODECS=\"{fourcc}\"")),
            "{playlist}"
        );
        let id = format!("a-und-{form}");
        assert_eq!(tracks(&result).last().unwrap().0, id);
        let made = folder.path().join(format!("{codec}-{container}.made.mp4"));
        std::fs::write(&made, joined(&out, &result, &id)).unwrap();
        let (theirs, ours) = (packets(&source), packets(&made));
        assert!(ours.len() > 50, "{name}: {ours:?}");
        assert_eq!(theirs.get(..ours.len()), Some(&ours[..]), "{name}");
        let channels = heard(&std::fs::read(&made).unwrap(), 6, 48_000);
        for (channel, hertz) in channels.iter().zip(TONES) {
            let level = tone(channel, hertz, 48_000.0);
            assert!((level - 0.5).abs() < 0.05, "{name} {hertz} Hz: {level}");
        }
        let (code, report) = verify(out.to_str().unwrap());
        assert_eq!(code, Some(0), "{name}: {report}");
    }
}

/// The figures that FFmpeg's `ebur128` filter ends with: LUFS, LU, dBTP.
fn loudness_by_ffmpeg(file: &Path) -> [f64; 3] {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-nostats", "-i"])
        .arg(file)
        .args([
            "-af",
            "ebur128=peak=true:framelog=verbose",
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let summary = text.rsplit("Summary:").next().unwrap();
    let figure = |name: &str| -> f64 {
        let behind = summary.split(name).nth(1).unwrap();
        behind.split_whitespace().next().unwrap().parse().unwrap()
    };
    [figure(" I:"), figure(" LRA:"), figure(" Peak:")]
}

/// The same figures of a title made in one task and in several, and when parts are made again.
#[test]
fn loudness_is_what_another_meter_says_however_the_title_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    // A beat that swells, with a pause that falls to the gate.
    let sound = "aevalsrc=(0.1+0.5*t/24)*sin(2*PI*997*t)*gt(mod(t\\,4)\\,1)|\
                 0.3*sin(2*PI*300*t)*gt(mod(t\\,4)\\,1):c=stereo:s=48000:d=24";
    let source = made(folder.path(), "beat.wav", sound, &["-c:a", "pcm_f32le"]);
    let [lufs, range, peak] = loudness_by_ffmpeg(&source);
    let policy = folder.path().join("short.toml");
    std::fs::write(&policy, "segment_seconds = 2\nchunk_seconds = 2\n").unwrap();
    let mut told = Vec::new();
    for flags in [vec![], vec!["--policy", policy.to_str().unwrap()]] {
        let out = folder.path().join(format!("out-{}", flags.len()));
        let result = package(&source, &out, &flags);
        told.push(result["renditions"][0]["loudness"].clone());
        let revision = out.join(result["revision"].as_str().unwrap());
        for lost in ["a-und/1.m4s", "a-und-64/2.m4s"] {
            std::fs::remove_file(revision.join(lost)).unwrap();
        }
        let again = package(&source, &out, &flags);
        told.push(again["renditions"][1]["loudness"].clone());
        let record = std::fs::read_to_string(out.join("presentation.json")).unwrap();
        assert!(record.contains("\"integrated_lufs\""));
    }
    for loudness in &told {
        assert_eq!(loudness, &told[0]);
        let near = |name: &str, theirs: f64, by: f64| {
            let ours = loudness[name].as_f64().unwrap();
            assert!(
                (ours - theirs).abs() <= by,
                "{name}: {ours}, FFmpeg {theirs}"
            );
        };
        near("integrated_lufs", lufs, 0.11);
        near("range_lu", range, 0.5);
        near("true_peak_dbtp", peak, 0.2);
    }
}

/// WMA and block-wise ADPCM decode only if their decoder is told the size of a packet.
#[test]
fn codecs_that_need_their_packets_described_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let tone_source = "aevalsrc=0.25*sin(2*PI*1000*t):c=stereo:s=48000:d=2";
    let tone_source = tone_source.replace("t):", "t)|0.25*sin(2*PI*500*t):");
    for (name, codec) in [("w.wma", "wmav2"), ("a.wav", "adpcm_ms")] {
        let source = made(folder.path(), name, &tone_source, &["-c:a", codec]);
        let out = folder.path().join(format!("out-{codec}"));
        let result = package(&source, &out, &[]);
        let channels = heard(&joined(&out, &result, "a-und"), 2, 48_000);
        for (channel, hertz) in channels.iter().zip([1000.0, 500.0]) {
            let level = tone(channel, hertz, 48_000.0);
            assert!((level - 0.25).abs() < 0.02, "{name} {hertz} Hz: {level}");
        }
    }
}

/// Times between two PES packets are the demuxer's guess, from the first rate.
#[test]
fn a_change_of_rate_leaves_no_holes_behind() {
    let folder = tempfile::tempdir().unwrap();
    let part = |rate: &str, codec: &str| {
        let tone = format!("aevalsrc=0.25*sin(2*PI*1000*t)|0:c=stereo:s={rate}:d=3");
        let more = ["-c:a", codec, "-f", "mpegts"];
        std::fs::read(made(folder.path(), "part.ts", &tone, &more)).unwrap()
    };
    for (codec, first, second) in [
        ("aac", "48000", "44100"),
        ("aac", "32000", "48000"),
        ("mp2", "48000", "32000"),
    ] {
        let source = folder.path().join("both.ts");
        std::fs::write(&source, [part(first, codec), part(second, codec)].concat()).unwrap();
        let out = folder.path().join("out");
        let _ = std::fs::remove_dir_all(&out);
        let result = package(&source, &out, &[]);
        let left = &heard(&joined(&out, &result, "a-und"), 2, 48_000)[0];
        assert!(
            (5.9..6.2).contains(&(left.len() as f64 / 48_000.0)),
            "{codec}"
        );
        // From a quarter of a second behind the join, each five milliseconds.
        for (number, piece) in left[156_000..280_000].chunks_exact(240).enumerate() {
            let level = tone(piece, 1000.0, 48_000.0);
            assert!(
                (level - 0.25).abs() < 0.05,
                "{codec} {first}: {level} in piece {number}"
            );
        }
        let said = result["warnings"].to_string();
        assert!(!said.contains("gaps"), "{said}");
    }
}

/// The last seconds of a title come faster than its sound is long.
#[test]
fn sound_that_runs_early_is_kept_with_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let clicks = "aevalsrc='0.7*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=48000:d=12";
    let early = "setts=ts='if(gte(TS,6000),6000+(TS-6000)*0.9,TS)'";
    let more = ["-c:a", "aac", "-bsf:a", early];
    let source = made(folder.path(), "early.mkv", clicks, &more);
    let out = folder.path().join("out");
    let result = package(&source, &out, &[]);
    let left = &heard(&joined(&out, &result, "a-und"), 2, 48_000)[0];
    let (mut onsets, mut last) = (Vec::new(), f64::NEG_INFINITY);
    for (number, _) in left.iter().enumerate().filter(|(_, s)| s.abs() > 0.2) {
        let time = number as f64 / 48_000.0;
        if time - last > 0.4 {
            onsets.push(time);
        }
        last = time;
    }
    let said = result["duration_s"].as_f64().unwrap();
    assert!((11.3..11.5).contains(&said), "{said} s of 11.4");
    for (number, onset) in onsets.iter().enumerate() {
        let second = number as f64;
        let due = if second < 6.0 {
            second
        } else {
            6.0 + (second - 6.0) * 0.9
        };
        let late = onset - onsets[0] - due;
        assert!(onsets[0] < 0.05 && late.abs() < 0.07, "{due}: {onsets:?}");
    }
    assert_eq!(onsets.len(), 12, "{onsets:?}");
}

/// A broadcast whose sound goes from 44.1 kHz stereo to 48 kHz mono on the way.
#[test]
fn a_change_of_rate_and_channels_within_a_track_is_bridged() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, layout: &str, rate: &str, offset: &str| {
        let source = match layout {
            "stereo" => format!("aevalsrc=0.25*sin(2*PI*1000*t)|0:c=stereo:s={rate}:d=2"),
            _ => format!("aevalsrc=0.25*sin(2*PI*1000*t):c=mono:s={rate}:d=2"),
        };
        let more = ["-c:a", "aac", "-output_ts_offset", offset, "-f", "mpegts"];
        std::fs::read(made(folder.path(), name, &source, &more)).unwrap()
    };
    let mut bytes = part("1.ts", "stereo", "44100", "0");
    bytes.extend(part("2.ts", "mono", "48000", "2.04"));
    let source = folder.path().join("both.ts");
    std::fs::write(&source, bytes).unwrap();
    let out = folder.path().join("out");
    let result = package(&source, &out, &[]);
    let heard = heard(&joined(&out, &result, "a-und"), 2, 48_000);
    let second = |channel: usize, at: usize| {
        let from = at * 24_000;
        tone(&heard[channel][from..from + 48_000], 1000.0, 48_000.0)
    };
    // Half-seconds 1 to 3 are of the first part, 5 to 7 of the second.
    for (channel, at, level) in [(0, 1, 0.25), (1, 1, 0.0), (0, 5, 0.25), (1, 5, 0.25)] {
        let found = second(channel, at);
        assert!(
            (found - level).abs() < 0.02,
            "{channel} from {at}/2 s: {found}"
        );
    }
}
