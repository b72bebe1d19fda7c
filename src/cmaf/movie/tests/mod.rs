//! ffprobe, which shares no code with us, judges what we read from real files. It cannot judge
//! edit lists this way (it applies them itself), nor PCM, which it splits differently.

mod damaged;
mod handmade;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::read_movie;
use crate::media::{Orientation, SampleEntry, SourceIndex, SourceTrack, TrackKind};

/// The folder of clips, or `None` with a note.
fn media() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADWATER_MEDIA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"),
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!("skipped: no clips in {}", folder.display());
        return None;
    }
    Some(folder)
}

fn read(path: &Path) -> crate::error::Result<Option<SourceIndex>> {
    read_movie(&std::fs::File::open(path).expect("opens"))
}

/// All MP4 and MOV clips, in order.
fn clips() -> Vec<PathBuf> {
    let Some(folder) = media() else {
        return Vec::new();
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "mp4" || e == "mov"))
        .collect();
    paths.sort();
    paths
}

fn ffprobe(path: &Path) -> Option<Value> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-ignore_editlist", "1", "-of", "json"])
        .args([
            "-show_packets",
            "-show_streams",
            "-show_data_hash",
            "adler32",
        ])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    serde_json::from_slice::<Value>(&output.stdout)
        .ok()
        .filter(|probe| probe["streams"].as_array().is_some_and(|s| !s.is_empty()))
}

fn int(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// Compares a track with the packets that ffprobe shows for it. With negative composition offsets
/// libavformat moves decode times back by a constant, or presentation times of fragments forth.
fn assert_same_packets(name: &str, track: &SourceTrack, packets: &[&Value]) {
    let entries: Vec<SampleEntry> = track.samples.iter().collect();
    let place = format!("{name} track {}", track.number);
    let negative = entries.iter().any(|entry| entry.composition_offset < 0);
    let shift = |name: &str, ours: fn(&SampleEntry) -> i64| {
        let first = packets.first().zip(entries.first()).filter(|_| negative);
        first.map_or(0, |(packet, entry)| {
            int(&packet[name]).unwrap_or(0) - ours(entry)
        })
    };
    let dts_shift = shift("dts", |entry| entry.decode_time);
    let pts_shift = shift("pts", SampleEntry::presentation_time);
    for (number, (entry, packet)) in entries.iter().zip(packets).enumerate() {
        let ours = (
            Some(entry.presentation_time() + pts_shift),
            Some(entry.decode_time + dts_shift),
            Some(i64::from(entry.place.size)),
            i64::try_from(entry.place.offset).ok(),
            entry.sync,
        );
        let theirs = (
            int(&packet["pts"]),
            int(&packet["dts"]),
            int(&packet["size"]),
            int(&packet["pos"]),
            // The samples of this clip are not in it; ffprobe's parser sees no IDR in what is.
            packet["flags"].as_str().is_some_and(|f| f.starts_with('K'))
                || name == "bad_zero_empty_stsc.mp4",
        );
        assert_eq!(
            ours, theirs,
            "{place} sample {number}: (pts, dts, size, pos, sync)"
        );
    }
}

/// Compares all that ffprobe and we say about a file.
fn assert_same_index(path: &Path, index: &SourceIndex, probe: &Value) {
    let name = path.file_name().expect("named").to_string_lossy();
    let cut_off = index.warnings.iter().any(|w| w.contains("cut off"));
    let streams = probe["streams"].as_array().expect("streams");
    assert_eq!(
        streams.len(),
        index.tracks.len(),
        "{name}: number of tracks"
    );
    for (stream, track) in streams.iter().zip(&index.tracks) {
        let id = stream["id"].as_str().and_then(|id| id.strip_prefix("0x"));
        let id = id.and_then(|id| u32::from_str_radix(id, 16).ok());
        assert_eq!(id, Some(track.number), "{name}: track number");
        let packets: Vec<&Value> = probe["packets"]
            .as_array()
            .expect("packets")
            .iter()
            .filter(|packet| packet["stream_index"] == stream["index"])
            .collect();
        assert_same_properties(&name, track, stream);
        if track.codec.name().starts_with("pcm_") {
            let theirs: i64 = packets.iter().filter_map(|p| int(&p["size"])).sum();
            assert_eq!(
                i64::try_from(track.samples.total_bytes()).ok(),
                Some(theirs),
                "{name}"
            );
            continue;
        }
        if !cut_off {
            assert_eq!(
                track.samples.len(),
                packets.len(),
                "{name}: number of samples"
            );
        }
        assert_same_packets(&name, track, &packets);
    }
}

fn assert_same_properties(name: &str, track: &SourceTrack, stream: &Value) {
    let place = format!("{name} track {}", track.number);
    if let Some(theirs) = stream["codec_name"].as_str() {
        assert_eq!(track.codec.name(), theirs, "{place}");
    }
    let time_base = format!("1/{}", track.timescale.get());
    assert_eq!(stream["time_base"], time_base.as_str(), "{place}");
    match &track.kind {
        TrackKind::Video(video) => {
            let theirs = (int(&stream["width"]), int(&stream["height"]));
            let ours = (Some(video.width.into()), Some(video.height.into()));
            assert_eq!(ours, theirs, "{place}");
            assert_same_orientation(&place, video.orientation, stream);
            let aspect = video.pixel_aspect;
            let ours = format!("{}:{}", aspect.horizontal, aspect.vertical);
            let theirs = stream["sample_aspect_ratio"].as_str().unwrap_or("1:1");
            assert_eq!(ours, theirs, "{place}");
        }
        TrackKind::Audio(audio) => {
            let theirs = (int(&stream["sample_rate"]), int(&stream["channels"]));
            let ours = (Some(audio.sample_rate.into()), Some(audio.channels.into()));
            assert_eq!(ours, theirs, "{place}");
        }
        TrackKind::Text | TrackKind::Other => {}
    }
    // The headers of MPEG-2 are in its bitstream only, where ffprobe takes them from.
    let in_file = track.codec.name() != "mpeg2video";
    if in_file && matches!(track.kind, TrackKind::Video(_) | TrackKind::Audio(_)) {
        let theirs = stream["extradata_hash"]
            .as_str()
            .unwrap_or("adler32:00000001");
        let ours = format!("adler32:{:08x}", adler32(&track.config));
        assert_eq!(ours, theirs, "{place}: config {:02x?}", track.config);
    }
}

/// RFC 1950 section 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    let step = |(a, b): (u32, u32), byte: &u8| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    };
    let (a, b) = bytes.iter().fold((1, 0), step);
    b << 16 | a
}

/// ffprobe gives the matrix; its first row is where the picture's right-hand direction goes.
fn assert_same_orientation(place: &str, ours: Orientation, stream: &Value) {
    let side_data = stream["side_data_list"].as_array();
    let matrix = side_data.and_then(|list| list.iter().find_map(|d| d["displaymatrix"].as_str()));
    let Some(matrix) = matrix else {
        assert_eq!(ours, Orientation::default(), "{place}");
        return;
    };
    let cells: Vec<i64> = matrix
        .split_whitespace()
        .filter(|word| !word.ends_with(':'))
        .filter_map(|word| word.parse().ok())
        .collect();
    let unit = |n: i64| n.signum();
    let theirs = (
        unit(cells[0]),
        unit(cells[1]),
        unit(cells[3]),
        unit(cells[4]),
    );
    let mirror = if ours.mirrored { -1 } else { 1 };
    let (x, y) = [(1, 0), (0, 1), (-1, 0), (0, -1)][usize::from(ours.quarter_turns)];
    if theirs != (0, 0, 0, 0) {
        assert_eq!((mirror * x, mirror * y, -y, x), theirs, "{place}");
    }
}

#[test]
fn samples_of_every_clip_are_those_of_ffprobe() {
    for path in clips() {
        let name = path
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        let (ours, theirs) = (read(&path), ffprobe(&path));
        match (ours, theirs) {
            (Ok(Some(index)), Some(probe)) => assert_same_index(&path, &index, &probe),
            (Ok(None) | Err(_), None) => {}
            (ours, _) => panic!("{name}: only one of us can read it: {ours:?}"),
        }
    }
}

#[test]
fn codecs_of_many_kinds_are_described_as_ffprobe_describes_them() {
    let scratch = tempfile::tempdir().expect("scratch");
    for (extension, codecs) in [
        ("mp4", "-c:a libopus"),
        ("mp4", "-c:a flac -strict -2"),
        ("mp4", "-c:a alac"),
        ("mov", "-c:a alac"),
        ("mp4", "-c:a libmp3lame -ac 2"),
        ("mp4", "-c:a mp2 -ac 2"),
        ("mp4", "-c:a ac3 -ac 6"),
        ("mp4", "-c:a eac3"),
        ("mov", "-c:a aac"),
        ("mov", "-c:a pcm_s16be"),
        ("mov", "-c:a pcm_s24le"),
        ("mov", "-c:a pcm_s32be"),
        ("mov", "-c:a pcm_f32le"),
        ("mov", "-c:a pcm_f64be"),
        ("mov", "-c:a pcm_u8"),
        ("mov", "-c:a pcm_s8"),
        ("mov", "-c:a pcm_alaw"),
        ("mov", "-c:a pcm_s16le -ar 96000"),
        ("mov", "-c:a adpcm_ima_qt"),
        ("mp4", "-c:v mpeg4"),
        ("mp4", "-c:v mpeg2video"),
        ("mp4", "-c:v mjpeg -pix_fmt yuvj420p"),
        ("mov", "-c:v mjpeg -pix_fmt yuvj420p"),
        ("mov", "-c:v prores"),
        ("mov", "-c:v png"),
        ("mp4", "-c:v libx265 -x265-params log-level=none"),
        ("mp4", "-c:v libvpx-vp9"),
        (
            "mp4",
            "-c:v libx264 -vf setsar=16/15 -color_primaries bt709 -movflags write_colr",
        ),
        (
            "mp4",
            "-c:v libx264 -metadata:s:v language=deu -metadata:s:v title=Film",
        ),
    ] {
        let path = scratch.path().join(format!("clip.{extension}"));
        let source = if codecs.starts_with("-c:a") {
            "sine=duration=0.5"
        } else {
            "testsrc=duration=0.5:size=96x64"
        };
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", source])
            .args(codecs.split(' '))
            .arg(&path)
            .status()
            .expect("ffmpeg is installed");
        if !made.success() {
            eprintln!("skipped: this ffmpeg cannot make {extension} with {codecs}");
            continue;
        }
        let index = read(&path).expect("sound").expect("MP4");
        assert_eq!(index.warnings, Vec::<String>::new(), "{codecs}");
        assert!(index.tracks[0].codec.is_allowed(), "{codecs}");
        assert_same_index(&path, &index, &ffprobe(&path).expect("sound"));
        if codecs.contains("title") {
            let track = &index.tracks[0];
            assert_eq!(
                (track.language.as_str(), track.name.as_deref()),
                ("de", Some("Film"))
            );
        }
    }
}

/// Runs ffmpeg on `input` and returns what it wrote.
fn remux(input: &Path, folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let output = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(input)
        .args(arguments)
        .arg(&output)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    output
}

#[test]
fn fragments_give_the_samples_of_the_plain_file() {
    let Some(folder) = media() else { return };
    let scratch = tempfile::tempdir().expect("scratch");
    for (clip, flags) in [
        (
            "bbb_480p24_aac51_30s.mp4",
            "frag_keyframe+empty_moov+default_base_moof",
        ),
        ("bbb_480p24_aac51_30s.mp4", "frag_keyframe+empty_moov"),
        (
            "bbb_480p24_aac51_30s.mp4",
            "frag_keyframe+empty_moov+omit_tfhd_offset",
        ),
        (
            "crystal_480p30.mp4",
            "frag_keyframe+empty_moov+separate_moof",
        ),
        ("nasa_2video_2audio_2subs.mp4", "frag_keyframe"),
        (
            "derived_vfr_540p.mp4",
            "frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets",
        ),
        ("derived_prores_lt_540p.mov", "frag_keyframe+empty_moov"),
    ] {
        let input = folder.join(clip);
        let extension = &clip[clip.len() - 4..];
        let copy = ["-c", "copy", "-map", "0"];
        let plain = remux(&input, scratch.path(), &format!("plain{extension}"), &copy);
        let with_flags = [&copy[..], &["-movflags", flags]].concat();
        let fragmented = remux(
            &input,
            scratch.path(),
            &format!("frag{extension}"),
            &with_flags,
        );
        let [plain, fragmented] =
            [plain, fragmented].map(|path| (read(&path).expect("sound").expect("MP4"), path));
        assert_eq!(
            fragmented.0.warnings,
            Vec::<String>::new(),
            "{clip} {flags}"
        );
        let probe = ffprobe(&fragmented.1).expect("ffprobe reads it");
        assert_same_index(&fragmented.1, &fragmented.0, &probe);
        assert_same_media(clip, &plain, &fragmented);
    }
}

/// Times, sync flags and bytes of all samples are equal; only places differ. Times count from the
/// second sample: ffmpeg stretches the first where it cannot write an edit list.
fn assert_same_media(clip: &str, a: &(SourceIndex, PathBuf), b: &(SourceIndex, PathBuf)) {
    let [bytes_a, bytes_b] = [a, b].map(|(_, path)| std::fs::read(path).expect("readable"));
    for (track_a, track_b) in a.0.tracks.iter().zip(&b.0.tracks) {
        if track_a.codec.name().starts_with("pcm_") {
            let total = |track: &SourceTrack| track.samples.total_bytes();
            assert_eq!(total(track_a), total(track_b), "{clip}");
            continue;
        }
        if track_a.kind == TrackKind::Text {
            continue; // ffmpeg closes fragmented subtitles with an empty one
        }
        assert_eq!(track_a.samples.len(), track_b.samples.len(), "{clip}");
        let second = |track: &SourceTrack| track.samples.iter_from(1).next().expect("some");
        let [start_a, start_b] = [track_a, track_b].map(|track| second(track).decode_time);
        for (number, (x, y)) in track_a
            .samples
            .iter()
            .zip(track_b.samples.iter())
            .enumerate()
        {
            if number > 0 {
                assert_eq!(x.decode_time - start_a, y.decode_time - start_b, "{clip}");
            }
            assert_eq!(x.sync, y.sync, "{clip} at {}", x.decode_time);
            let slice = |bytes: &[u8], entry: &SampleEntry| {
                let start = usize::try_from(entry.place.offset).expect("small");
                bytes[start..][..entry.place.size as usize].to_vec()
            };
            assert_eq!(slice(&bytes_a, &x), slice(&bytes_b, &y), "{clip}");
        }
    }
}
