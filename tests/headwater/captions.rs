//! Captions in the pictures become text tracks: made here pair by pair, judged by FFmpeg's own
//! decoder of CTA-608.

use std::path::{Path, PathBuf};

use crate::support::{ffmpeg, fixture, joined, package, verify};

const RUNGS: &[&str] = &["--rungs", "90", "--preset", "ultrafast"];

fn odd(byte: u8) -> u8 {
    byte | if byte.count_ones().is_multiple_of(2) {
        0x80
    } else {
        0
    }
}

/// Pairs for one field, frame by frame: each code twice, text two letters at a time.
#[derive(Default)]
struct Line(Vec<[u8; 2]>);

impl Line {
    fn code(mut self, first: u8, second: u8) -> Self {
        self.0.extend([[first, second], [first, second]]);
        self
    }

    fn text(mut self, text: &str) -> Self {
        let pair = |pair: &[u8]| [pair[0], pair.get(1).copied().unwrap_or(0)];
        self.0.extend(text.as_bytes().chunks(2).map(pair));
        self
    }

    /// Nothing until that frame.
    fn until(mut self, frame: usize) -> Self {
        assert!(self.0.len() <= frame, "{}", self.0.len());
        self.0.resize(frame, [0, 0]);
        self
    }
}

/// CC1: a pop-on caption of two rows, one of them italic, from about 1.3 s to 3 s; then one at the top
/// until the end. 30 frames a second.
fn first_channel() -> Line {
    Line::default()
        .until(15)
        .code(0x14, 0x20)
        .code(0x14, 0x2e)
        .code(0x14, 0x50)
        .text("HELLO THERE, ")
        .code(0x14, 0x70)
        .code(0x11, 0x2e)
        .text("general.")
        .until(40)
        .code(0x14, 0x2f)
        .until(90)
        .code(0x14, 0x2c)
        .code(0x14, 0x20)
        .code(0x14, 0x2e)
        .code(0x11, 0x40)
        .text("AT THE TOP")
        .until(110)
        .code(0x14, 0x2f)
}

/// CC3: rolling up in two rows.
fn third_channel() -> Line {
    Line::default()
        .until(10)
        .code(0x15, 0x25)
        .code(0x15, 0x2d)
        .code(0x14, 0x70)
        .text("UNO")
        .until(50)
        .code(0x15, 0x2d)
        .text("DOS")
        .until(100)
        .code(0x15, 0x2d)
        .text("TRES")
}

/// An SEI unit with a pair of each field, as ATSC A/53 has it, start code included.
fn sei(pairs: [[u8; 2]; 2]) -> Vec<u8> {
    let mut body = b"\xb5\x00\x31GA94\x03\x42\xff".to_vec();
    for (field, pair) in pairs.iter().enumerate() {
        body.push(0xfc | field as u8);
        body.extend(pair.map(odd));
    }
    body.push(0xff);
    let mut unit = vec![0, 0, 0, 1, 6, 4, body.len() as u8];
    unit.extend(body);
    unit.push(0x80);
    unit
}

/// The stream with captions in front of each picture. One slice a picture, no reordering.
fn with_captions(stream: &[u8], fields: &[Line; 2]) -> Vec<u8> {
    let starts: Vec<usize> = (0..stream.len().saturating_sub(4))
        .filter(|at| stream[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let mut out = Vec::new();
    let (mut copied, mut frame) = (0, 0);
    for at in starts {
        if matches!(stream[at + 3] & 0x1f, 1 | 5) {
            // A zero in front of the start code is part of it.
            let from = if stream[at - 1] == 0 { at - 1 } else { at };
            out.extend(&stream[copied..from]);
            let pair = |field: &Line| field.0.get(frame).copied().unwrap_or([0, 0]);
            out.extend(sei([pair(&fields[0]), pair(&fields[1])]));
            (copied, frame) = (from, frame + 1);
        }
    }
    out.extend(&stream[copied..]);
    out
}

/// Five seconds at 30 frames a second with captions in two channels.
fn captioned(folder: &Path) -> PathBuf {
    let clip = fixture("talk.mp4");
    let raw = folder.join("raw.264");
    ffmpeg([
        "-i",
        clip.to_str().unwrap(),
        "-t",
        "5",
        "-an",
        "-r",
        "30",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "60",
        "-x264-params",
        "slices=1:threads=1",
        "-f",
        "h264",
        raw.to_str().unwrap(),
    ]);
    let stream = std::fs::read(&raw).unwrap();
    let marked = folder.join("marked.264");
    std::fs::write(
        &marked,
        with_captions(&stream, &[first_channel(), third_channel()]),
    )
    .unwrap();
    let made = folder.join("captioned.mp4");
    let inputs = ["-r", "30", "-i", marked.to_str().unwrap(), "-i"];
    let rest = [
        clip.to_str().unwrap(),
        "-t",
        "5",
        "-map",
        "0:v",
        "-map",
        "1:a",
    ];
    // Parameter sets stay in the configuration alone, as in any MP4.
    let copy = ["-c", "copy", "-bsf:v", "filter_units=remove_types=7-8"];
    ffmpeg([&inputs[..], &rest, &copy, &[made.to_str().unwrap()]].concat());
    made
}

type Cue = (f64, f64, String);

/// `[HH:]MM:SS.mmm` in seconds.
fn seconds(time: &str) -> f64 {
    let parts = time.split(' ').next().unwrap().split(':');
    parts.fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

fn cues_of(vtt: &str) -> Vec<Cue> {
    let blocks = vtt.split("\n\n").filter_map(|block| {
        let (timing, text) = block
            .split_once('\n')
            .filter(|(t, _)| t.contains(" --> "))?;
        let (start, end) = timing.split_once(" --> ").unwrap();
        let text = text.replace("<i>", "").replace("</i>", "");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some((seconds(start), seconds(end), lines.join("\n")))
    });
    blocks.collect()
}

/// The first channel as FFmpeg decodes it.
fn judged(clip: &Path) -> Vec<Cue> {
    let graph = format!("movie={}[out0+subcc]", clip.to_str().unwrap());
    let vtt = ffmpeg([
        "-f", "lavfi", "-i", &graph, "-map", "0:s", "-f", "webvtt", "-",
    ]);
    cues_of(&String::from_utf8(vtt).unwrap())
}

/// The whole text of the track whose line in the playlist has `mark`.
fn text(out: &Path, mark: &str) -> String {
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    let mut lines = playlist
        .lines()
        .filter(|line| line.contains("TYPE=SUBTITLES"));
    let line = lines.find(|line| line.contains(mark));
    let line = line.unwrap_or_else(|| panic!("no {mark} in {playlist}"));
    let (_, uri) = line.split_once("URI=\"").unwrap();
    let folder = uri.split("index.m3u8").next().unwrap();
    std::fs::read_to_string(out.join(folder).join("whole.vtt")).unwrap()
}

#[test]
fn captions_in_the_pictures_become_text_as_ffmpeg_decodes_them() {
    let folder = tempfile::tempdir().unwrap();
    let plain = captioned(folder.path());
    let theirs = judged(&plain);
    assert_eq!(theirs.len(), 2, "{theirs:?}");
    let made = |name: &str, flags: &[&str]| {
        let made = folder.path().join(name);
        let input = ["-i", plain.to_str().unwrap(), "-c:a", "copy"];
        let output = [made.to_str().unwrap()];
        ffmpeg([&input, flags, &output].concat());
        made
    };
    let reordered = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "2",
        "-a53cc",
        "1",
    ];
    for clip in [
        plain.clone(),
        made("reordered.mp4", &reordered),
        made("stream.ts", &reordered),
        made("film.mkv", &["-c:v", "copy"]),
        made(
            "mpeg2.ts",
            &["-c:v", "mpeg2video", "-a53cc", "1", "-b:v", "1M"],
        ),
    ] {
        let out = clip.with_extension("out");
        package(&clip, &out, RUNGS);
        let ours = text(&out, "LANGUAGE=\"und\",NAME=\"Captions\"");
        assert!(ours.contains("line:10%"), "{}: {ours}", clip.display());
        assert!(
            ours.contains("<i>general.</i>"),
            "{}: {ours}",
            clip.display()
        );
        for (ours, theirs) in cues_of(&ours).iter().zip(&theirs) {
            let near = (ours.0 - theirs.0).abs() < 0.05 && ours.2 == theirs.2;
            assert!(near, "{}: {ours:?} {theirs:?}", clip.display());
        }
        assert_eq!(cues_of(&ours).len(), 2);
        let rolling = cues_of(&text(&out, "NAME=\"Captions CC3\""));
        let texts: Vec<&str> = rolling.iter().map(|cue| cue.2.as_str()).collect();
        assert_eq!(
            texts,
            ["UNO", "UNO\nDOS", "DOS\nTRES"],
            "{}",
            clip.display()
        );
        let (code, report) = verify(out.to_str().unwrap());
        assert_eq!(code, Some(0), "{}: {report}", clip.display());
    }
}

#[test]
fn what_is_repackaged_has_its_captions_as_text_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clip = captioned(folder.path());
    let out = folder.path().join("out");
    let result = package(&clip, &out, &["--passthrough", "only"]);
    let ours = cues_of(&text(&out, "NAME=\"Captions\""));
    assert_eq!(ours[0].2, "HELLO THERE,\ngeneral.");
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    assert!(playlist.contains("CLOSED-CAPTIONS=NONE"));
    let rung = result["renditions"][0]["id"].as_str().unwrap();
    let copied = folder.path().join("copied.mp4");
    let bytes = joined(&out, &result, rung);
    assert!(!bytes.windows(4).any(|four| four == b"GA94"));
    std::fs::write(&copied, bytes).unwrap();
    let frames = |file: &Path| {
        let file = file.to_str().unwrap();
        ffmpeg(["-i", file, "-map", "0:v", "-f", "framemd5", "-"])
    };
    let digests = |file: &Path| -> Vec<String> {
        let text = String::from_utf8(frames(file)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit(',').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        digests(&copied),
        digests(&clip),
        "the pictures stay as they are"
    );
}

#[test]
fn captions_that_a_playlist_denies_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let clip = captioned(folder.path());
    let file = |name: &str| folder.path().join(name);
    let list = file("list.m3u8");
    let format = [
        "-f",
        "hls",
        "-hls_segment_type",
        "fmp4",
        "-hls_playlist_type",
        "vod",
    ];
    let names = ["-master_pl_name", "index.m3u8", list.to_str().unwrap()];
    let input = ["-i", clip.to_str().unwrap(), "-an", "-c", "copy"];
    ffmpeg([&input[..], &format, &names].concat());
    let status = |report: &serde_json::Value| {
        let rules = report["rules"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["id"] == "H41").unwrap();
        rule["status"].as_str().unwrap().to_owned()
    };
    let place = file("index.m3u8");
    let (_, report) = verify(place.to_str().unwrap());
    assert_ne!(status(&report), "failed");
    let playlist = std::fs::read_to_string(&place).unwrap();
    let denied = playlist.replace("BANDWIDTH=", "CLOSED-CAPTIONS=NONE,BANDWIDTH=");
    assert_ne!(playlist, denied);
    std::fs::write(&place, denied).unwrap();
    let (_, report) = verify(place.to_str().unwrap());
    assert_eq!(status(&report), "failed", "{report}");
}
