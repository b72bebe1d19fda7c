//! MP4 files whose sample description changes on the way, as recorders write that were told another
//! picture size; pictures without any coding.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{decode_cleanly, joined, package, psnr_of, verify};

const FLAGS: &[&str] = &[
    "--rungs",
    "90",
    "--preset",
    "ultrafast",
    "--passthrough",
    "never",
];

fn ffmpeg(arguments: &str, path: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]);
    let ran = command
        .args(arguments.split_whitespace())
        .arg(path)
        .status();
    assert!(ran.unwrap().success(), "{arguments}");
}

/// A box of MP4 (ISO/IEC 14496-12 section 4.2).
fn bx(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, &payload].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The first box of a kind, wherever it is, with its header.
fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    let at = bytes.windows(4).position(|four| four == kind).unwrap() - 4;
    let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    &bytes[at..at + size as usize]
}

/// What a file of nothing but pictures has: its sample entry, the sizes of its samples, their bytes.
struct Part {
    entry: Vec<u8>,
    sizes: Vec<u32>,
    data: Vec<u8>,
}

/// Two seconds of a drawing in H.264, 25 pictures a second, each shown as it is decoded.
fn part(folder: &Path, name: &str, drawing: &str) -> Part {
    let path = folder.join(name);
    let coding = "-c:v libx264 -preset ultrafast -qp 12 -bf 0 -g 25 -pix_fmt yuv420p -video_track_timescale 25";
    ffmpeg(&format!("-f lavfi -i {drawing} -t 2 {coding}"), &path);
    let bytes = std::fs::read(path).unwrap();
    // Brands are called `avc1`, too.
    let moov = find(&bytes, b"moov");
    let table = &find(moov, b"stsz")[20..];
    let size = |four: &[u8]| u32::from_be_bytes(four.try_into().unwrap());
    Part {
        entry: find(moov, b"avc1").to_vec(),
        sizes: table.chunks_exact(4).map(size).collect(),
        data: find(&bytes, b"mdat")[8..].to_vec(),
    }
}

/// One track of both parts, a chunk and a description each.
fn two_descriptions(path: &Path, parts: &[Part; 2]) {
    let [one, two] = parts;
    let count = |part: &Part| u32::try_from(part.sizes.len()).unwrap();
    let samples = count(one) + count(two);
    let ftyp = bx(b"ftyp", &[b"isom\0\0\0\0isom"]);
    let start = u32::try_from(ftyp.len() + 8).unwrap();
    let second = start + u32::try_from(one.data.len()).unwrap();
    let mdat = bx(b"mdat", &[&one.data, &two.data]);
    let identity = words(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
    let stsd = bx(b"stsd", &[&words(&[0, 2]), &one.entry, &two.entry]);
    let stts = bx(b"stts", &[&words(&[0, 1, samples, 1])]);
    let syncs: Vec<u32> = (0..samples / 25).map(|at| at * 25 + 1).collect();
    let stss = bx(b"stss", &[&words(&[0, samples / 25]), &words(&syncs)]);
    let stsc = bx(
        b"stsc",
        &[&words(&[0, 2, 1, count(one), 1, 2, count(two), 2])],
    );
    let sizes = [&one.sizes[..], &two.sizes].concat();
    let stsz = bx(b"stsz", &[&words(&[0, 0, samples]), &words(&sizes)]);
    let stco = bx(b"stco", &[&words(&[0, 2, start, second])]);
    let stbl = bx(b"stbl", &[&stsd, &stts, &stss, &stsc, &stsz, &stco]);
    let dref = bx(b"dref", &[&words(&[0, 1]), &bx(b"url ", &[&words(&[1])])]);
    let minf = bx(
        b"minf",
        &[
            &bx(b"vmhd", &[&words(&[1, 0, 0])]),
            &bx(b"dinf", &[&dref]),
            &stbl,
        ],
    );
    let hdlr = bx(
        b"hdlr",
        &[&words(&[0, 0]), b"vide", &words(&[0, 0, 0]), b"\0"],
    );
    let mdhd = bx(b"mdhd", &[&words(&[0, 0, 0, 25, samples, 0x55c4_0000])]);
    let mdia = bx(b"mdia", &[&mdhd, &hdlr, &minf]);
    let tkhd = bx(
        b"tkhd",
        &[
            &words(&[7, 0, 0, 1, 0, samples, 0, 0, 0, 0]),
            &identity,
            &words(&[160 << 16, 90 << 16]),
        ],
    );
    let mvhd = bx(
        b"mvhd",
        &[
            &words(&[0, 0, 0, 25, samples, 0x1_0000, 0x0100_0000, 0, 0]),
            &identity,
            &words(&[0, 0, 0, 0, 0, 0, 2]),
        ],
    );
    let moov = bx(b"moov", &[&mvhd, &bx(b"trak", &[&tkhd, &mdia])]);
    std::fs::write(path, [ftyp, mdat, moov].concat()).unwrap();
}

/// Raw pictures of 160 by 90, as FFmpeg decodes and draws them.
fn drawn(input: &Path, filter: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(input)
        .args(["-vf", filter, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// What the rung shows, as a file.
fn shown(folder: &Path, out: &Path, result: &serde_json::Value) -> PathBuf {
    let bytes = joined(out, result, "v90");
    assert_eq!(decode_cleanly(&bytes), 100);
    let path = folder.join("shown.mp4");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn each_sample_is_decoded_by_its_own_description() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let parts = [
        part(folder, "one.mp4", "testsrc2=s=160x90:r=25"),
        part(folder, "two.mp4", "testsrc2=s=320x240:r=25"),
    ];
    let source = folder.join("source.mp4");
    two_descriptions(&source, &parts);
    let out = folder.join("out");
    let result = package(&source, &out, FLAGS);
    let warnings = result["warnings"].to_string();
    assert!(
        warnings.contains("changes from 160x90 to 320x240"),
        "{warnings}"
    );
    assert!(
        warnings.contains("1 of the others can be decoded"),
        "{warnings}"
    );
    let shown = drawn(&shown(folder, &out, &result), "null");
    let frame = 160 * 90 * 3 / 2;
    assert_eq!(shown.len(), 100 * frame);
    // 4:3 between bars, the width to the nearest even number.
    let expected = [
        drawn(&folder.join("one.mp4"), "null"),
        drawn(
            &folder.join("two.mp4"),
            "scale=120:90:flags=lanczos,pad=160:90:20:0",
        ),
    ]
    .concat();
    for number in [0, 24, 49, 50, 51, 75, 99] {
        let at = number * frame..number * frame + 160 * 90;
        let likeness = psnr_of(&shown[at.clone()], &expected[at]);
        assert!(likeness > 20.0, "picture {number}: {likeness} dB");
    }
    let (code, report) = verify(out.to_str().unwrap());
    assert_eq!(code, Some(0), "{report}");
    // A task that begins behind the change, and one that begins before it.
    let flags = ["--segment-seconds", "1"];
    let again = folder.join("again");
    let result = package(&source, &again, &[FLAGS, &flags].concat());
    assert_eq!(decode_cleanly(&joined(&again, &result, "v90")), 100);
}

#[test]
fn pictures_without_any_coding_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, format) in [
        ("i420.mkv", "yuv420p"),
        ("bgr.avi", "bgr24"),
        ("uyvy.avi", "uyvy422"),
    ] {
        let source = folder.join(name);
        let coding = format!("-c:v rawvideo -pix_fmt {format}");
        ffmpeg(
            &format!("-f lavfi -i testsrc2=s=160x90:r=25 -t 1 {coding}"),
            &source,
        );
        let out = folder.join(format.to_owned() + "-out");
        let result = package(&source, &out, FLAGS);
        let bytes = joined(&out, &result, "v90");
        assert_eq!(decode_cleanly(&bytes), 25, "{name}");
        let path = folder.join("shown.mp4");
        std::fs::write(&path, bytes).unwrap();
        let (shown, expected) = (drawn(&path, "null"), drawn(&source, "null"));
        let luma = 0..160 * 90;
        let likeness = psnr_of(&shown[luma.clone()], &expected[luma]);
        assert!(likeness > 20.0, "{name}: {likeness} dB");
    }
}
