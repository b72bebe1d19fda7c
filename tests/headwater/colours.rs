//! Pictures of every kind come out in the colours that were drawn: BT.709 in limited range.
//!
//! FFmpeg draws one picture and stores it in many ways; each rung that is made of those is held
//! against the drawing itself, converted by FFmpeg in one step. A range, matrix or transfer that
//! is misread, by whomever, costs tens of decibels.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{joined, package};

/// The drawing: not so colourful that BT.601's primaries couldn't show it.
const DRAWING: &str = "testsrc2=s=320x180:r=5:d=0.4,format=gbrp,\
    colorchannelmixer=rr=.6:rg=.2:rb=.2:gr=.2:gg=.6:gb=.2:br=.2:bg=.2:bb=.6";
/// What an opacity that grows from left to right leaves of the drawing over black.
const FADED: &str = "geq=r='r(X,Y)*X/W':g='g(X,Y)*X/W':b='b(X,Y)*X/W'";
const OPACITY: &str = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='255*X/W'";

/// One way to store the drawing.
struct Stored {
    /// File name.
    name: &'static str,
    /// Filters that bring it into the form.
    filters: String,
    /// Encoder and what it says of the colour.
    encoder: &'static str,
    /// What ought to be left of the drawing.
    left: &'static str,
}

/// `filters` of zscale: from the drawing to a matrix, primaries, transfer and range.
fn to(matrix: &str, primaries: &str, transfer: &str, range: &str) -> String {
    format!(
        "zscale=matrixin=gbr:primariesin=709:transferin=709:rangein=full:matrix={matrix}:\
         primaries={primaries}:transfer={transfer}:range={range}"
    )
}

fn stored(name: &'static str, filters: String, encoder: &'static str) -> Stored {
    Stored {
        name,
        filters,
        encoder,
        left: "null",
    }
}

/// BT.709 in limited range, in a pixel format.
fn usual(name: &'static str, format: &str, encoder: &'static str) -> Stored {
    let filters = format!("{},format={format}", to("709", "709", "709", "limited"));
    stored(name, filters, encoder)
}

const FFV1_709: &str = "-c:v ffv1 -colorspace bt709 -color_range tv";
const X264_709: &str = "-c:v libx264 -preset ultrafast -crf 4 -colorspace bt709 \
    -color_primaries bt709 -color_trc bt709 -color_range tv";

fn run(arguments: &str, last: &[&str]) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-nostats", "-y"])
        .args(arguments.split(' ').filter(|word| !word.is_empty()))
        .args(last)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ffmpeg {arguments}: {words}");
    words
}

fn store(folder: &Path, row: &Stored) -> PathBuf {
    let file = folder.join(row.name);
    let graph = format!("{DRAWING},{}", row.filters);
    let mut last: Vec<&str> = vec!["-f", "lavfi", "-i", &graph];
    last.extend(row.encoder.split_whitespace());
    last.push(file.to_str().unwrap());
    run("-v error", &last);
    file
}

/// The least of SSIM of all planes, and PSNR of the worst plane.
fn likeness(rung: &Path, left: &str) -> (f64, f64) {
    let drawing = format!(
        "{DRAWING},{left},zscale=matrixin=gbr:rangein=full:matrix=709:range=limited,format=yuv420p"
    );
    let judge = "[0:v]split[a][b];[1:v]split[c][d];[a][c]ssim;[b][d]psnr";
    let last = [
        "-i",
        rung.to_str().unwrap(),
        "-f",
        "lavfi",
        "-i",
        &drawing,
        "-lavfi",
        judge,
        "-f",
        "null",
        "-",
    ];
    let words = run("-v info", &last);
    let after = |line: &str, name: &str| -> f64 {
        let found = words.lines().find(|l| l.contains(line)).unwrap();
        let value = found.split(name).nth(1).unwrap();
        let value = value.split_whitespace().next().unwrap();
        value.parse().unwrap_or(f64::INFINITY)
    };
    let worst = ["y:", "u:", "v:"].map(|plane| after("] PSNR ", plane));
    let worst = worst.into_iter().fold(f64::INFINITY, f64::min);
    (after("] SSIM ", "All:"), worst)
}

fn assert_drawn(rows: &[Stored]) {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    let text = "rungs = [180]\ncrf = 4\npreset = \"ultrafast\"\npassthrough = \"never\"\n";
    std::fs::write(&policy, text).unwrap();
    let mut faults = Vec::new();
    for row in rows {
        let source = store(folder.path(), row);
        let out = folder.path().join(format!("{}.out", row.name));
        let result = package(&source, &out, &["--policy", policy.to_str().unwrap()]);
        let rung = folder.path().join(format!("{}.mp4", row.name));
        std::fs::write(&rung, joined(&out, &result, "v180")).unwrap();
        let (ssim, psnr) = likeness(&rung, row.left);
        if ssim < 0.98 || psnr < 34.0 {
            faults.push(format!("{}: SSIM {ssim}, PSNR {psnr} dB", row.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_range_and_matrix_is_read() {
    let full = |name, format, encoder| {
        let filters = format!("{},format={format}", to("709", "709", "709", "full"));
        stored(name, filters, encoder)
    };
    let sd = |name, encoder| {
        let filters = format!("{},format=yuv444p", to("170m", "170m", "601", "limited"));
        stored(name, filters, encoder)
    };
    assert_drawn(&[
        usual("plain.mkv", "yuv420p", FFV1_709),
        full(
            "full.mp4",
            "yuvj420p",
            "-c:v libx264 -preset ultrafast -crf 4 -colorspace bt709 \
             -color_primaries bt709 -color_trc bt709 -color_range pc",
        ),
        full(
            "full.mkv",
            "yuv420p",
            "-c:v ffv1 -colorspace bt709 -color_range pc",
        ),
        sd(
            "601.mkv",
            "-c:v ffv1 -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m \
             -color_range tv",
        ),
        // Small pictures that say nothing are BT.601 in their matrix.
        stored(
            "unsaid.avi",
            format!("{},format=yuvj422p", to("470bg", "709", "709", "full")),
            "-c:v mjpeg -q:v 1",
        ),
        stored(
            "2020.mkv",
            format!(
                "{},format=yuv444p12le",
                to("2020_ncl", "2020", "2020_12", "limited")
            ),
            "-c:v ffv1 -colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-12 \
             -color_range tv",
        ),
        stored(
            "p3.mkv",
            format!(
                "{},format=yuv444p",
                to("709", "smpte432", "iec61966-2-1", "full")
            ),
            "-c:v ffv1 -colorspace bt709 -color_primaries smpte432 -color_trc iec61966-2-1 \
             -color_range pc",
        ),
    ]);
}

#[test]
fn every_depth_and_chroma_is_read() {
    assert_drawn(&[
        usual("422.mkv", "yuv422p", FFV1_709),
        usual("444.mp4", "yuv444p", X264_709),
        usual("411.mkv", "yuv411p", FFV1_709),
        usual("422-10.mp4", "yuv422p10le", X264_709),
        usual(
            "prores.mov",
            "yuv422p10le",
            "-c:v prores_ks -profile:v 3 -colorspace bt709 -color_primaries bt709 -color_trc bt709",
        ),
        usual("420-10.mkv", "yuv420p10le", FFV1_709),
        usual("444-16.mkv", "yuv444p16le", FFV1_709),
    ]);
}

#[test]
fn rgb_palettes_and_gray_are_read() {
    let gray = |name, filters: &str, encoder| Stored {
        left: "format=gray,format=gbrp",
        ..stored(name, filters.to_owned(), encoder)
    };
    let rgb = |name, filters: &str, encoder| stored(name, filters.to_owned(), encoder);
    assert_drawn(&[
        rgb("rgb.mov", "format=rgb24", "-c:v png"),
        rgb("rgb48.mov", "format=rgb48be", "-c:v png"),
        rgb("bgr0.mkv", "format=bgr0", "-c:v ffv1"),
        rgb(
            "palette.mov",
            "split[a][b];[a]palettegen[p];[b][p]paletteuse",
            "-c:v png",
        ),
        gray("gray.mov", "format=gray", "-c:v png"),
        gray("gray10.mkv", "format=gray10le", "-c:v ffv1 -color_range pc"),
    ]);
}

#[test]
fn what_is_transparent_is_shown_over_black() {
    let over_black = |name, format: &str, encoder| Stored {
        left: FADED,
        ..stored(name, format!("{OPACITY},{format}"), encoder)
    };
    assert_drawn(&[
        over_black("rgba.mov", "null", "-c:v png"),
        over_black(
            "prores.mov",
            "zscale=matrix=709:range=limited,format=yuva444p10le",
            "-c:v prores_ks -profile:v 4444 -colorspace bt709 -color_primaries bt709 \
             -color_trc bt709",
        ),
        over_black(
            "yuva.mkv",
            "zscale=matrix=709:range=limited,format=yuva420p",
            FFV1_709,
        ),
        Stored {
            left: "format=gray,format=gbrp,geq=r='r(X,Y)*X/W':g='g(X,Y)*X/W':b='b(X,Y)*X/W'",
            ..stored("gray.mov", format!("{OPACITY},format=ya8"), "-c:v png")
        },
    ]);
}

/// Pictures of one HDR signal value: reference white becomes a little less than the white of SDR,
/// and what is dark keeps its place (Rec. ITU-R BT.2408 and BT.2390; see `docs/packaging.md`).
#[test]
fn hdr_comes_out_as_bright_as_it_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "rungs = [180]\ncrf = 4\n").unwrap();
    // Ten-bit code, transfer, and the eight-bit luma expected.
    for (code, transfer, expected) in [
        (721, "arib-std-b67", 206.0..216.0), // 75 %: reference white
        (397, "arib-std-b67", 104.0..116.0), // 38 %: gray of 18 %
        (940, "arib-std-b67", 231.0..236.0),
        (573, "smpte2084", 206.0..216.0), // 203 cd/m2
        (300, "smpte2084", 64.0..76.0),   // 6.7 cd/m2
        (721, "smpte2084", 231.0..236.0), // 983 cd/m2
    ] {
        let file = folder.path().join(format!("{transfer}-{code}.mkv"));
        let graph =
            format!("color=s=320x180:r=5:d=0.4,format=yuv420p10le,lutyuv=y={code}:u=512:v=512");
        let color = format!(
            "-c:v ffv1 -colorspace bt2020nc -color_primaries bt2020 -color_trc {transfer} \
             -color_range tv"
        );
        let mut last = vec!["-f", "lavfi", "-i", &graph];
        last.extend(color.split_whitespace());
        last.push(file.to_str().unwrap());
        run("-v error", &last);
        let out = folder.path().join(format!("{transfer}-{code}"));
        let result = package(&file, &out, &["--policy", policy.to_str().unwrap()]);
        let rung = folder.path().join("rung.mp4");
        std::fs::write(&rung, joined(&out, &result, "v180")).unwrap();
        let raw = folder.path().join("rung.gray");
        let last = [
            "-i",
            rung.to_str().unwrap(),
            "-pix_fmt",
            "yuv420p",
            "-f",
            "rawvideo",
        ];
        run("-v error", &[&last[..], &[raw.to_str().unwrap()]].concat());
        let bytes = std::fs::read(&raw).unwrap();
        let luma = &bytes[..320 * 180];
        let mean = luma.iter().map(|y| f64::from(*y)).sum::<f64>() / luma.len() as f64;
        assert!(expected.contains(&mean), "{transfer} {code}: luma {mean}");
    }
}
