//! Text that sources hold becomes text tracks: judged by FFmpeg's reading of the source and of what
//! came out.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{ffmpeg, fixture, package, shared_media, verify};

const RUNGS: &[&str] = &["--rungs", "90", "--preset", "ultrafast"];

/// A cue: start and end in milliseconds, text without markup.
type Cue = (i64, i64, String);

/// Cues as FFmpeg reads them from a stream of a file or playlist.
fn cues(input: &Path, stream: &str) -> Vec<Cue> {
    let ran = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-allowed_extensions",
            "ALL",
            "-i",
        ])
        .arg(input)
        .args(["-map", stream, "-f", "webvtt", "-"])
        .output();
    let ran = match ran {
        Ok(ran) if ran.status.success() => ran,
        // Only the HLS demuxer knows the option.
        _ => Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(input)
            .args(["-map", stream, "-f", "webvtt", "-"])
            .output()
            .unwrap(),
    };
    cues_of(&String::from_utf8(ran.stdout).unwrap())
}

fn cues_of(vtt: &str) -> Vec<Cue> {
    let mut cues = Vec::new();
    for block in vtt.split("\n\n") {
        let mut lines = block.lines().skip_while(|line| !line.contains(" --> "));
        let Some(timing) = lines.next() else { continue };
        let times: Vec<i64> = timing.split(" --> ").map(millis).collect();
        let mut text: String = lines.collect::<Vec<_>>().join("\n");
        for tag in ["<i>", "</i>", "<b>", "</b>", "<u>", "</u>"] {
            text = text.replace(tag, "");
        }
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        cues.push((times[0], times[1], text));
    }
    cues
}

/// `[HH:]MM:SS.mmm`, and what may follow it.
fn millis(time: &str) -> i64 {
    let time = time.split(' ').next().unwrap();
    let seconds = time
        .split(':')
        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    (seconds * 1000.0).round() as i64
}

/// The same text, at the same times but for `shift` and how edit lists are rounded.
#[track_caller]
fn assert_alike(ours: &[Cue], theirs: &[Cue], shift: i64) {
    assert_eq!(ours.len(), theirs.len(), "{ours:?} {theirs:?}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let near = |ours: i64, theirs: i64| (ours - theirs + shift).abs() <= 3;
        let same = near(ours.0, theirs.0) && near(ours.1, theirs.1) && ours.2 == theirs.2;
        assert!(same, "{ours:?} {theirs:?} {shift}");
    }
}

/// When the first picture of a file is shown, in milliseconds.
fn first_picture(input: &Path) -> i64 {
    let ran = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries"])
        .args(["stream=start_time", "-of", "csv=p=0"])
        .arg(input)
        .output()
        .unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    (text.trim().parse::<f64>().unwrap() * 1000.0).round() as i64
}

/// The whole text of each track, by the name that the playlist gives it.
fn tracks(out: &Path) -> Vec<(String, PathBuf)> {
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    let lines = playlist
        .lines()
        .filter(|line| line.contains("TYPE=SUBTITLES"));
    let value = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    lines
        .map(|line| (value(line, "NAME"), out.join(value(line, "URI"))))
        .collect()
}

fn read_whole(playlist: &Path) -> String {
    std::fs::read_to_string(playlist.with_file_name("whole.vtt")).unwrap()
}

const SRT: &str = "1\n00:00:00,500 --> 00:00:02,000\n<i>Hello</i> <there>\n\n\
                   2\n00:00:02,000 --> 00:00:03,250\ntwo\nlines & more\n\n\
                   3\n00:00:05,000 --> 00:00:06,000\n日本語\n\n";

/// The first seconds of the clip with the text in `text` as stream 2 and 3.
fn with_text(folder: &Path, name: &str, text: &Path, codec: &str) -> PathBuf {
    let made = folder.join(name);
    let clip = fixture("talk.mp4");
    let (clip, text) = (clip.to_str().unwrap(), text.to_str().unwrap());
    ffmpeg([
        "-i",
        clip,
        "-i",
        text,
        "-t",
        "8",
        "-map",
        "0:v:0",
        "-map",
        "0:a:0",
        "-map",
        "1:0",
        "-map",
        "1:0",
        "-c",
        "copy",
        "-c:s",
        codec,
        "-metadata:s:s:0",
        "language=eng",
        "-metadata:s:s:1",
        "language=deu",
        "-disposition:s:0",
        "default",
        "-disposition:s:1",
        "forced",
        made.to_str().unwrap(),
    ]);
    made
}

#[test]
fn text_of_every_container_comes_out_as_ffmpeg_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let srt = folder.path().join("text.srt");
    std::fs::write(&srt, SRT).unwrap();
    for (name, codec) in [
        ("text.mp4", "mov_text"),
        ("text.mov", "mov_text"),
        ("srt.mkv", "srt"),
        ("ass.mkv", "ass"),
        ("vtt.mkv", "webvtt"),
    ] {
        let clip = with_text(folder.path(), name, &srt, codec);
        let out = folder.path().join(format!("{name}.out"));
        let result = package(&clip, &out, RUNGS);
        let made = tracks(&out);
        assert_eq!(made.len(), 2, "{name}: {made:?}");
        let theirs = cues(&clip, "0:s:0");
        assert_eq!(theirs.len(), 3, "{name}");
        for (_, playlist) in &made {
            let shift = first_picture(&clip);
            assert_alike(&cues_of(&read_whole(playlist)), &theirs, shift);
            assert_alike(&cues(playlist, "0:s:0"), &theirs, shift);
        }
        let (code, report) = verify(out.to_str().unwrap());
        assert_eq!(code, Some(0), "{name}: {report}");
        assert_eq!(result["warnings"].to_string().matches("text").count(), 0);
    }
}

#[test]
fn marks_of_the_container_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let srt = folder.path().join("text.srt");
    std::fs::write(&srt, SRT).unwrap();
    let clip = with_text(folder.path(), "marks.mkv", &srt, "srt");
    let out = folder.path().join("out");
    package(&clip, &out, &[RUNGS, &["--passthrough", "only"]].concat());
    let playlist = std::fs::read_to_string(out.join("index.m3u8")).unwrap();
    let line = |language: &str| {
        let mut lines = playlist
            .lines()
            .filter(|line| line.contains("TYPE=SUBTITLES"));
        lines
            .find(|line| line.contains(&format!("LANGUAGE=\"{language}\"")))
            .unwrap()
    };
    assert!(line("en").contains("DEFAULT=YES") && line("en").contains("FORCED=NO"));
    assert!(line("de").contains("DEFAULT=NO") && line("de").contains("FORCED=YES"));
    let mpd = std::fs::read_to_string(out.join("manifest.mpd")).unwrap();
    assert!(mpd.contains("value=\"forced-subtitle\""));
}

#[test]
fn the_edit_list_moves_text_as_it_moves_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let srt = folder.path().join("text.srt");
    std::fs::write(&srt, SRT).unwrap();
    let clip = with_text(folder.path(), "whole.mp4", &srt, "mov_text");
    let cut = folder.path().join("cut.mp4");
    // From the second IDR picture on; FFmpeg writes edit lists for it.
    let (from, to) = (clip.to_str().unwrap(), cut.to_str().unwrap());
    ffmpeg(["-ss", "2", "-i", from, "-map", "0", "-c", "copy", to]);
    let out = folder.path().join("out");
    package(&cut, &out, RUNGS);
    let theirs = cues(&cut, "0:s:0");
    assert!(!theirs.is_empty());
    let shift = first_picture(&cut);
    assert_alike(&cues_of(&read_whole(&tracks(&out)[0].1)), &theirs, shift);
}

#[test]
fn equal_sources_give_equal_text_and_a_second_run_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let srt = folder.path().join("text.srt");
    let mut text = String::new();
    for second in 0..7 {
        writeln!(
            text,
            "{second}\n00:00:0{second},000 --> 00:00:0{second},900\ncue {second}\n"
        )
        .unwrap();
    }
    std::fs::write(&srt, text).unwrap();
    let clip = with_text(folder.path(), "clip.mkv", &srt, "srt");
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let first = package(&clip, &one, RUNGS);
    assert_eq!(package(&clip, &two, RUNGS)["revision"], first["revision"]);
    let again = package(&clip, &one, RUNGS);
    assert_eq!(again["segments_made"], 0);
    for (a, b) in tracks(&one).iter().zip(tracks(&two)) {
        assert_eq!(read_whole(&a.1), read_whole(&b.1));
        assert_eq!(
            a.1.strip_prefix(&one).unwrap(),
            b.1.strip_prefix(&two).unwrap()
        );
    }
}

#[test]
fn real_clips_give_their_text() {
    let Some(media) = shared_media() else {
        eprintln!("skipped: no shared media");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (clip, count, says) in [
        ("derived_multiaudio_subs.mkv", 2, "Bonjour, première ligne."),
        ("mkv_srt.mkv", 1, "This is the first subtitle."),
        ("mkv_ass.mkv", 1, "<b>This is the first subtitle.</b>"),
        (
            "nasa_2video_2audio_2subs.mp4",
            2,
            "at NASA’s Goddard Space Flight Center",
        ),
    ] {
        let out = folder.path().join(clip);
        package(&media.join(clip), &out, RUNGS);
        let made = tracks(&out);
        assert_eq!(made.len(), count, "{clip}");
        let all: String = made
            .iter()
            .map(|(_, playlist)| read_whole(playlist))
            .collect();
        assert!(all.contains(says), "{clip}: {all}");
    }
    let out = folder.path().join("pgs");
    let result = package(&media.join("mkv_pgs.mkv"), &out, RUNGS);
    assert!(tracks(&out).is_empty());
    let warnings = result["warnings"].to_string();
    assert!(
        warnings.contains("track 2 (hdmv_pgs_subtitle) is left out: its subtitles are pictures")
    );
}
