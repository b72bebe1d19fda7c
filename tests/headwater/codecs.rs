//! HEVC and AV1 beside H.264, and high dynamic range kept: made by policy, judged by FFmpeg's
//! decoders, by mp4-atom and by every rule.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mp4_atom::{Any, ReadFrom};
use serde_json::Value;

use crate::support::{Packet, decode_cleanly, joined, package, packets, verify};

fn ffmpeg(graph: &str, encoder: &str, file: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", graph])
        .args(encoder.split_whitespace())
        .arg(file)
        .status()
        .unwrap();
    assert!(status.success(), "{graph} {encoder}");
}

fn package_by(policy: &str, input: &Path, out: &Path) -> Value {
    let file = out.with_extension("toml");
    std::fs::write(&file, policy).unwrap();
    package(input, out, &["--policy", file.to_str().unwrap()])
}

/// A track as one file.
fn whole(out: &Path, result: &Value, track: &str) -> PathBuf {
    let file = out.with_extension(format!("{track}.mp4"));
    std::fs::write(&file, joined(out, result, track)).unwrap();
    file
}

/// `name=value` of a file's video stream, by ffprobe.
fn stream_of(file: &Path) -> BTreeMap<String, String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_streams"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn codecs_by_id(result: &Value) -> BTreeMap<String, String> {
    let renditions = result["renditions"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pair = |rendition: &Value| (text(&rendition["id"]), text(&rendition["codecs"]));
    renditions.iter().map(pair).collect()
}

/// The sample entry as another reader knows it.
fn sample_entry(bytes: &[u8]) -> &'static str {
    let mut rest = bytes;
    while let Ok(atom) = Any::read_from(&mut rest) {
        if let Any::Moov(moov) = atom {
            return match &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] {
                mp4_atom::Codec::Avc1(_) => "avc1",
                mp4_atom::Codec::Hvc1(_) => "hvc1",
                mp4_atom::Codec::Av01(_) => "av01",
                _ => "another",
            };
        }
    }
    "none"
}

fn psnr(file: &Path, source: &Path) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-nostats", "-i"])
        .arg(file)
        .arg("-i")
        .arg(source)
        .args(["-lavfi", "psnr", "-f", "null", "-"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let average = words.split("average:").nth(1).unwrap();
    average.split_whitespace().next().unwrap().parse().unwrap()
}

const PLAIN: &str = "testsrc2=s=192x128:r=12:d=5";
const THREE: &str = "codecs = [\"av1\", \"h264\", \"hevc\"]\nrungs = [128, 64]\npreset = \"superfast\"\n\
    segment_seconds = 2\ngop_seconds = 1\nchunk_seconds = 2\ntrick_play = false\npassthrough = \"never\"\n";

#[test]
fn each_codec_is_a_switching_set_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.mkv");
    ffmpeg(PLAIN, "-c:v ffv1", &source);
    let out = folder.path().join("out");
    let result = package_by(THREE, &source, &out);
    assert_eq!(result["warnings"], serde_json::json!([]));
    let codecs = codecs_by_id(&result);
    let ids: Vec<&str> = codecs.keys().map(String::as_str).collect();
    let expected = [
        "v128",
        "v128-av1",
        "v128-hevc",
        "v64",
        "v64-av1",
        "v64-hevc",
    ];
    assert_eq!(ids, expected);
    assert!(codecs["v128-hevc"].starts_with("hvc1.1.6.L60."));
    assert_eq!(codecs["v128-av1"], "av01.0.00M.08");
    assert_eq!(verify(out.to_str().unwrap()).0, Some(0));

    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    let uris: Vec<&str> = playlist
        .lines()
        .filter(|l| l.ends_with("index.m3u8"))
        .collect();
    let kinds: Vec<bool> = uris.iter().map(|uri| uri.contains("-hevc/")).collect();
    assert_eq!(uris.len(), 6);
    assert!(
        !uris[0].contains('-') && !uris[1].contains('-'),
        "H.264 first: {uris:?}"
    );
    assert_eq!(kinds, [false, false, true, true, false, false]);
    let mpd = std::fs::read_to_string(out.join("manifest.mpd")).unwrap();
    let theirs = dash_mpd_core::parse(&mpd).unwrap();
    let sets = &theirs.periods[0].adaptations;
    let in_set = |set: &dash_mpd_core::AdaptationSet| set.representations.len();
    assert_eq!(sets.iter().map(in_set).collect::<Vec<_>>(), [2, 2, 2]);

    for (track, entry) in [
        ("v128-hevc", "hvc1"),
        ("v128-av1", "av01"),
        ("v64-av1", "av01"),
    ] {
        let bytes = joined(&out, &result, track);
        assert_eq!(decode_cleanly(&bytes), 60, "{track}");
        assert_eq!(sample_entry(&bytes), entry);
        let file = whole(&out, &result, track);
        let found: Vec<Packet> = packets(&file, "v");
        let keys: Vec<usize> = (0..found.len()).filter(|at| found[*at].3).collect();
        assert_eq!(keys, [0, 12, 24, 36, 48], "{track}");
        let shown: f64 = found.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
        assert!(shown.abs() < 1e-6, "{track} is first shown at {shown}");
    }
    let h264 = whole(&out, &result, "v128");
    for track in ["v128-hevc", "v128-av1"] {
        let likeness = psnr(&whole(&out, &result, track), &h264);
        assert!(likeness > 28.0, "{track}: {likeness} dB");
    }
}

#[test]
fn equal_tasks_give_equal_bytes_in_every_codec() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.mkv");
    ffmpeg(
        "testsrc2=s=192x128:r=12:d=2,noise=alls=40:allf=t",
        "-c:v ffv1",
        &source,
    );
    let made = |name: &str| {
        let out = folder.path().join(name);
        let result = package_by(&THREE.replace("[128, 64]", "[128]"), &source, &out);
        ["v128-hevc", "v128-av1"].map(|track| joined(&out, &result, track))
    };
    assert!(made("a") == made("b"));
    // Noise, of which AV1 would take twice its peak, which is 55 % of H.264's.
    let folder = folder.path().join("a");
    let record = std::fs::read(folder.join("presentation.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let bytes = |at: usize| {
        record["video"][at]["segments"][0]["bytes"]
            .as_u64()
            .unwrap()
    };
    assert!(bytes(2) * 100 <= bytes(0) * 60, "{}", record["video"]);
}

fn hdr(folder: &Path, transfer: &str, more: &str) -> PathBuf {
    let file = folder.join(format!("{transfer}.mp4"));
    let graph = format!(
        "testsrc2=s=192x128:r=12:d=2,format=gbrp10le,zscale=matrixin=gbr:primariesin=709:\
         transferin=709:rangein=full:primaries=2020:transfer={transfer}:matrix=2020_ncl:\
         range=limited:npl=203,format=yuv420p10le"
    );
    let encoder = format!(
        "-c:v libx265 -preset ultrafast -crf 8 -tag:v hvc1 -colorspace bt2020nc \
         -color_primaries bt2020 -color_trc {transfer} -color_range tv \
         -x265-params log-level=none{more}"
    );
    ffmpeg(&graph, &encoder, &file);
    file
}

const KEEP: &str =
    "hdr = \"keep\"\ntrick_play = false\nrungs = [128, 64]\npreset = \"superfast\"\n";

#[test]
fn hdr10_is_kept_beside_the_standard_range_with_what_is_known_of_its_light() {
    let folder = tempfile::tempdir().unwrap();
    let light = ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)\
                 L(10000000,50):max-cll=1000,400";
    let source = hdr(folder.path(), "smpte2084", light);
    let out = folder.path().join("out");
    let result = package_by(KEEP, &source, &out);
    let codecs = codecs_by_id(&result);
    assert!(
        codecs["v128-hevc-pq"].starts_with("hvc1.2.4.L60."),
        "{codecs:?}"
    );
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0));
    let status = |id: &str| {
        let rules = report["rules"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["id"] == id).unwrap();
        (
            rule["status"].clone(),
            rule["applied"].as_u64().unwrap() > 0,
        )
    };
    for rule in ["A02", "A04", "C01", "C08", "C14", "D21", "H15", "H28"] {
        assert_eq!(status(rule), ("ok".into(), true), "{rule}");
    }
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    assert_eq!(playlist.matches("VIDEO-RANGE=SDR").count(), 2);
    assert_eq!(playlist.matches("VIDEO-RANGE=PQ").count(), 2);
    assert_eq!(decode_cleanly(&joined(&out, &result, "v128-hevc-pq")), 24);
    let file = whole(&out, &result, "v128-hevc-pq");
    let stream = stream_of(&file);
    for (name, value) in [
        ("pix_fmt", "yuv420p10le"),
        ("color_transfer", "smpte2084"),
        ("color_primaries", "bt2020"),
        ("color_space", "bt2020nc"),
        ("max_content", "1000"),
        ("max_luminance", "10000000/10000"),
    ] {
        assert_eq!(stream.get(name).map(String::as_str), Some(value), "{name}");
    }
    let likeness = psnr(&file, &source);
    assert!(likeness > 30.0, "{likeness} dB");
    let sdr = stream_of(&whole(&out, &result, "v128"));
    assert_eq!(sdr["color_transfer"], "bt709");
}

#[test]
fn hlg_is_kept_as_hlg() {
    let folder = tempfile::tempdir().unwrap();
    let source = hdr(folder.path(), "arib-std-b67", "");
    let out = folder.path().join("out");
    let result = package_by(KEEP, &source, &out);
    assert_eq!(verify(out.to_str().unwrap()).0, Some(0));
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    assert_eq!(playlist.matches("VIDEO-RANGE=HLG").count(), 2);
    let file = whole(&out, &result, "v128-hevc-hlg");
    assert_eq!(stream_of(&file)["color_transfer"], "arib-std-b67");
    assert!(psnr(&file, &source) > 30.0);
}

#[test]
fn a_source_without_hdr_has_none_to_keep_and_the_user_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.mkv");
    ffmpeg("testsrc2=s=192x128:r=12:d=1", "-c:v ffv1", &source);
    let result = package_by(KEEP, &source, &folder.path().join("out"));
    assert_eq!(codecs_by_id(&result).len(), 2);
    let warnings = result["warnings"].to_string();
    assert!(warnings.contains("PQ or HLG"), "{warnings}");
}
