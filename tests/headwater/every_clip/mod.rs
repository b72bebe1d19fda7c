//! A table of what becomes of every shared clip, measured by FFmpeg and kept beside this file: a
//! change of behaviour shows as a change of a line. `HEADWATER_WRITE_TABLE=1` writes it anew.

mod judge;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Mutex;

use serde_json::Value;

use self::judge::{Clock, Stretch, Window};
use crate::support::{decode_cleanly, joined, shared_media, tracks, try_package, verify};

/// Least likeness of a rung and its source at 16x9 pixels: a turned, mirrored, squeezed or wrongly
/// coloured picture is far below. Pictures of high dynamic range are mapped to another look.
const LIKENESS: f64 = 27.0;
const HIGH_DYNAMIC_RANGE: &[&str] = &[
    "av1_hdr10.mp4",
    "hevc10_hlg.mp4",
    "phone_hevc_editlist_datatracks.mp4",
];
/// Its pictures lie 2 ms apart, against its own sound: nothing to compare with.
const SENSELESS_TIMES: &[&str] = &["mkv_pgs.mkv"];
/// Broken on purpose: what they hold and when isn't certain.
const UNCERTAIN: &str = "bad_";
/// Sources longer than this are looked at near both ends only, and get small rungs.
const LONG_SECONDS: f64 = 60.0;

/// The clips in both ways of packaging: name, flags.
fn ways(name: &str) -> [(&'static str, Vec<&'static str>); 2] {
    let mut flags = vec!["--preset", "ultrafast"];
    if name.contains("363s") || HIGH_DYNAMIC_RANGE.contains(&name) {
        flags.extend(["--rungs", "180,90"]);
    }
    ["auto", "never"].map(|way| {
        let passthrough = ["--passthrough", way];
        (way, flags.iter().copied().chain(passthrough).collect())
    })
}

#[test]
fn every_shared_clip_comes_out_as_the_table_says() {
    let Some(folder) = shared_media() else {
        eprintln!("skipped: no shared clips here");
        return;
    };
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut clips: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    clips.retain(|path| path.extension().is_some_and(|extension| extension != "md"));
    clips.sort();
    let rows = all_rows(&clips);
    let table = table(&rows);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/headwater/every_clip/table.md");
    if std::env::var_os("HEADWATER_WRITE_TABLE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let faults: Vec<&str> = rows.iter().flat_map(Row::faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<String> = differences(&kept, &table);
    assert!(
        changed.is_empty(),
        "not as {} says (read the difference, then HEADWATER_WRITE_TABLE=1 writes it anew):\n{}",
        path.display(),
        changed.join("\n")
    );
}

/// The rows of all clips, in order; two are made at a time.
fn all_rows(clips: &[PathBuf]) -> Vec<Row> {
    let next = Mutex::new(0..clips.len());
    let made = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let taken = || next.lock().unwrap().next();
                while let Some(at) = taken() {
                    let rows = rows_of(&clips[at]);
                    made.lock().unwrap().extend(rows);
                }
            });
        }
    });
    let mut rows = made.into_inner().unwrap();
    rows.sort_by(|a, b| (&a.clip, a.way).cmp(&(&b.clip, b.way)));
    rows
}

/// A clip as FFmpeg decodes it, once for all that is compared with it.
struct Original {
    path: PathBuf,
    decoded: RefCell<Vec<(Window, Rc<Stretch>)>>,
}

impl Original {
    fn stretch(&self, window: Window) -> Rc<Stretch> {
        let mut decoded = self.decoded.borrow_mut();
        if let Some((_, stretch)) = decoded.iter().find(|(of, _)| *of == window) {
            return Rc::clone(stretch);
        }
        // The larger one of two pictures is shown.
        let second = self.path.ends_with("nasa_2video_2audio_2subs.mp4");
        let track = if second { "0:v:1" } else { "0:v:0" };
        let stretch = Rc::new(judge::stretch(&self.path, track, Clock::Original, window));
        decoded.push((window, Rc::clone(&stretch)));
        stretch
    }
}

/// What became of a clip.
#[derive(Debug, Default)]
struct Row {
    clip: String,
    way: &'static str,
    cells: Vec<String>,
    /// Warnings, or why there is nothing.
    words: Vec<String>,
    faults: Vec<String>,
}

impl Row {
    fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(String::as_str)
    }
}

fn rows_of(clip: &Path) -> Vec<Row> {
    let name = clip.file_name().unwrap().to_str().unwrap().to_owned();
    let source = Original {
        path: clip.to_owned(),
        decoded: RefCell::default(),
    };
    let mut rows: Vec<Row> = Vec::new();
    for (way, flags) in ways(&name) {
        // What is encoded anyway needs no second look.
        let is_copied = |row: &Row| row.cells.iter().any(|cell| cell.contains("copied"));
        if way == "never" && !rows.iter().any(is_copied) {
            break;
        }
        let mut row = Row {
            clip: name.clone(),
            way,
            ..Row::default()
        };
        row.fill(&source, &flags);
        rows.push(row);
    }
    rows
}

impl Row {
    fn fault(&mut self, what: &str) {
        self.faults
            .push(format!("{} {}: {what}", self.clip, self.way));
    }

    fn fill(&mut self, source: &Original, flags: &[&str]) {
        let clip = source.path.as_path();
        let out = tempfile::tempdir().unwrap();
        let ran = try_package(clip, out.path(), flags);
        match ran.code {
            Some(0) => {
                let result = serde_json::from_str(&ran.stdout).unwrap();
                self.judge(source, out.path(), &result);
            }
            Some(1) => {
                let line = ran.stderr.lines().last().unwrap_or_default();
                let folder = clip.parent().unwrap().display().to_string();
                self.words.push(line.replace(&format!("{folder}/"), ""));
                self.cells.push("refused".to_owned());
                if !self.clip.starts_with(UNCERTAIN) {
                    self.fault(line);
                }
            }
            code => self.fault(&format!("exit {code:?}: {}", ran.stderr)),
        }
    }

    fn judge(&mut self, source: &Original, out: &Path, result: &Value) {
        let warnings = result["warnings"].as_array().unwrap().iter();
        let warnings = warnings.filter_map(|warning| warning.as_str().map(str::to_owned));
        self.words.extend(warnings);
        let (code, report) = verify(out.to_str().unwrap());
        if code != Some(0) {
            self.fault(&format!("verify: {report}"));
        }
        let scratch = tempfile::tempdir().unwrap();
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        let mut frames = Vec::new();
        for (track, _) in tracks(result) {
            let bytes = joined(out, result, &track);
            let counted = std::panic::catch_unwind(|| decode_cleanly(&bytes));
            let counted = counted.unwrap_or(0);
            let clean = counted > 0;
            if track.starts_with('v') && clean {
                frames.push(counted);
            }
            // A damaged sample of a source that is repackaged stays what it is.
            let stays = self.clip.starts_with(UNCERTAIN) && self.way == "auto";
            if !clean && !stays {
                self.fault(&format!("{track} isn't decoded cleanly"));
            }
            let path = judge::written(scratch.path(), &track, &bytes);
            files.push((track, path));
        }
        let of = |kind: char| {
            files
                .iter()
                .filter(move |(track, _)| track.starts_with(kind))
        };
        let video: Vec<&PathBuf> = of('v').map(|(_, path)| path).collect();
        let audio: Vec<&(String, PathBuf)> = of('a').collect();
        self.video_cells(&video, &frames, result);
        self.audio_cells(&audio);
        self.fit_cells(source, &video, audio.first().map(|(_, path)| path));
    }

    fn video_cells(&mut self, files: &[&PathBuf], frames: &[u64], result: &Value) {
        let Some(top) = files.first() else {
            self.cells.extend(["none", "", "", ""].map(str::to_owned));
            return;
        };
        let mut rungs = Vec::new();
        let mut shape = None;
        for file in files {
            let size = judge::probed(file, "v:0", "width,height,sample_aspect_ratio");
            let parts: Vec<&str> = size.split(',').collect();
            let [width, height, rest @ ..] = parts.as_slice() else {
                return self.fault(&format!("ffprobe says {size}"));
            };
            if rest
                .first()
                .is_some_and(|aspect| !matches!(*aspect, "1:1" | "N/A"))
            {
                self.fault(&format!("{file:?} has oblong pixels: {size}"));
            }
            let aspect = width.parse::<f64>().unwrap() / height.parse::<f64>().unwrap();
            let first = *shape.get_or_insert(aspect);
            if (aspect / first - 1.0).abs() > 0.04 {
                self.fault(&format!("{file:?} has another shape than the top rung"));
            }
            rungs.push(format!("{width}x{height}"));
        }
        let copied = result["renditions"][0]["source"] == "copy";
        if copied {
            rungs[0].push_str(" copied");
        }
        if frames.iter().any(|count| *count != frames[0]) {
            self.fault(&format!("rungs of {frames:?} frames"));
        }
        let rate = judge::probed(top, "v:0", "r_frame_rate");
        let per_second = fraction(&rate);
        let frames = frames.first().copied().unwrap_or(0);
        let seconds = frames as f64 / per_second;
        let said = result["duration_s"].as_f64().unwrap();
        if (seconds - said).abs() > 0.002 {
            self.fault(&format!("{seconds} s of pictures where {said} s are said"));
        }
        self.cells.extend([
            rungs.join(" "),
            rate.trim_end_matches("/1").to_owned(),
            frames.to_string(),
            format!("{seconds:.3}"),
        ]);
    }

    fn audio_cells(&mut self, files: &[&(String, PathBuf)]) {
        let mut told = Vec::new();
        let mut lengths = Vec::new();
        for (track, file) in files {
            let what = judge::probed(file, "a:0", "codec_name,profile,sample_rate,channels");
            told.push(format!("{track} {}", what.replace(',', " ")));
            lengths.push(judge::seconds_of_sound(file));
        }
        let length = lengths.first().copied();
        if lengths
            .iter()
            .any(|other| (other - length.unwrap_or(0.0)).abs() > 0.15)
        {
            self.fault(&format!("sound of {lengths:?} s"));
        }
        let seconds: Option<f64> = self.cells.last().and_then(|cell| cell.parse().ok());
        if let (Some(picture), Some(sound)) = (seconds, length)
            && (picture - sound).abs() > 0.1
        {
            self.fault(&format!("{picture} s of pictures, {sound} s of sound"));
        }
        self.cells.push(told.join("; "));
        self.cells
            .push(length.map_or_else(String::new, |length| format!("{length:.3}")));
    }

    /// Offsets of sound against picture, at both ends, and the likeness of every rung.
    fn fit_cells(&mut self, source: &Original, video: &[&PathBuf], audio: Option<&PathBuf>) {
        let Some(top) = video.first() else {
            self.cells.push(String::new());
            return;
        };
        let seconds: f64 = self.cells[3].parse().unwrap_or(0.0);
        let end = ((seconds * 100.0) as usize).saturating_sub(130);
        let last = (seconds - 4.0).floor();
        let windows = match seconds > LONG_SECONDS {
            true => vec![(0.0, 4.0, vec![0]), (last, 4.0, vec![0])],
            false => vec![(0.0, LONG_SECONDS, vec![0, end])],
        };
        let mut offsets = Vec::new();
        for (from, length, places) in windows {
            let window = Window { from, length };
            let original = source.stretch(window);
            let mut ours = judge::pictures(top, "0:v:0", Clock::Ours, window);
            if let Some(audio) = audio {
                ours = ours.with(judge::sound(audio, Clock::Ours, window));
            }
            for at in places {
                let picture = judge::picture_fit(&original, &ours, at);
                let sound = judge::sound_fit(&original, &ours, at);
                if offsets.is_empty() {
                    self.likeness(&original, video, picture);
                }
                let late = |fit: Option<judge::Fit>| fit.and_then(|fit| fit.late);
                offsets.push(match (late(picture), late(sound)) {
                    (Some(picture), Some(sound)) => {
                        let hundredths = ((sound - picture) * 100.0).round();
                        format!("{:+}", hundredths as i64)
                    }
                    _ => "?".to_owned(),
                });
            }
        }
        let frame = 1.0 / fraction(&self.cells[1].clone());
        for offset in &offsets {
            let hundredths: f64 = offset.parse().unwrap_or(0.0);
            if hundredths.abs() / 100.0 > frame + 0.01 && !self.clip.starts_with(UNCERTAIN) {
                self.faults.push(format!(
                    "{} {}: sound is {offset} hundredths of a second late",
                    self.clip, self.way
                ));
            }
        }
        self.cells.push(offsets.join(" / "));
    }

    fn likeness(&mut self, original: &Stretch, video: &[&PathBuf], top: Option<judge::Fit>) {
        let least = LIKENESS;
        let clip = self.clip.as_str();
        let exempt = HIGH_DYNAMIC_RANGE.contains(&clip) || SENSELESS_TIMES.contains(&clip);
        for (at, file) in video.iter().enumerate() {
            let fit = if at == 0 {
                top
            } else {
                let window = Window {
                    from: 0.0,
                    length: 1.5,
                };
                let ours = judge::pictures(file, "0:v:0", Clock::Ours, window);
                judge::picture_fit(original, &ours, 0)
            };
            let decibels = fit.map_or(0.0, |fit| fit.decibels);
            if std::env::var_os("HEADWATER_TELL").is_some() {
                eprintln!("{} {} rung {at}: {fit:?}", self.clip, self.way);
            }
            if decibels < least && !exempt && !self.clip.starts_with(UNCERTAIN) {
                self.fault(&format!("{file:?} is {decibels:.1} dB like the source"));
            }
        }
    }
}

fn fraction(text: &str) -> f64 {
    let mut parts = text
        .split('/')
        .map(|part| part.parse::<f64>().unwrap_or(1.0));
    let (numerator, denominator) = (parts.next(), parts.next());
    numerator.unwrap_or(1.0) / denominator.unwrap_or(1.0)
}

const HEAD: &str = "\
# What becomes of every shared clip

Written by `every_clip` (`HEADWATER_WRITE_TABLE=1 cargo test --test headwater every_shared_clip`), which
measures with ffprobe and FFmpeg. `auto` and `never` are policies of passthrough (`never` where `auto`
copies pictures), with the preset ultrafast. Sync is how late the sound is against the picture, in hundredths of a second, at the start
and at the end; `?` where a still picture or silence doesn't tell.

| clip | way | picture | frames/s | frames | picture s | sound | sound s | sync |
|---|---|---|---|---|---|---|---|---|
";

fn table(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let cells = row.cells.join(" | ");
        writeln!(text, "| {} | {} | {cells} |", row.clip, row.way).unwrap();
    }
    text.push_str("\n## What was said\n");
    for row in rows.iter().filter(|row| !row.words.is_empty()) {
        writeln!(text, "\n{} {}:", row.clip, row.way).unwrap();
        for word in &row.words {
            writeln!(text, "- {word}").unwrap();
        }
    }
    text
}

/// Lines that only one of both has.
fn differences(kept: &str, made: &str) -> Vec<String> {
    let only = |of: &str, not: &str, mark: &str| -> Vec<String> {
        let others: Vec<&str> = not.lines().collect();
        let lines = of.lines().filter(|line| !others.contains(line));
        lines.map(|line| format!("{mark} {line}")).collect()
    };
    [only(kept, made, "-"), only(made, kept, "+")].concat()
}
