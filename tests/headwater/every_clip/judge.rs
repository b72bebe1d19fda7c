//! Measures a presentation against its source, both as FFmpeg decodes them.
//!
//! Pictures are compared at 16x9 pixels of red, green and blue, 100 times a second; sound as mono at 2 kHz. Small
//! pictures forgive coding and show a turn, a mirror, a wrong shape or a wrong colour at once.

use std::path::{Path, PathBuf};
use std::process::Command;

const WIDTH: usize = 16;
const HEIGHT: usize = 9;
/// Bytes of a picture.
const SIZE: usize = WIDTH * HEIGHT * 3;
/// Pictures looked at in a second.
const PICTURES: usize = 100;
/// Samples of sound in a second.
const RATE: usize = 2000;
/// How far apart source and presentation are looked for, in hundredths of a second.
const REACH: usize = 30;
/// Hundredths of a second that are compared at each end.
const SPAN: usize = 100;

/// Whether a file is an original, whose clock starts anywhere, or one of ours, which says 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Original,
    Ours,
}

/// A stretch of decoded pictures and sound, on one clock that starts at `from` seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stretch {
    pictures: Vec<Vec<u8>>,
    sound: Vec<i16>,
}

impl Stretch {
    /// The same pictures with the sound of another file.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            sound: other.sound,
            ..self
        }
    }
}

/// Where decoding starts and for how long, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) from: f64,
    pub(crate) length: f64,
}

fn ffmpeg(file: &Path, clock: Clock, window: Window, map: &str, filter: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "quiet"]);
    if clock == Clock::Ours {
        command.arg("-copyts");
    }
    if window.from > 0.0 {
        command.args(["-ss", &window.from.to_string(), "-copyts"]);
    }
    let (option, format) = match map {
        "0:a:0" => ("-af", "s16le"),
        _ => ("-vf", "rawvideo"),
    };
    let output = command
        .arg("-i")
        .arg(file)
        .args(["-map", map, option, filter])
        .args(["-t", &window.length.to_string(), "-f", format, "-"])
        .output();
    output.unwrap().stdout
}

/// Where nobody says what the colours are, FFmpeg takes BT.601; players take BT.709 for large
/// pictures.
fn matrix(file: &Path, track: &str) -> &'static str {
    let told = probed(file, track.trim_start_matches("0:"), "height,color_space");
    let parts: Vec<&str> = told.split(',').collect();
    match parts.as_slice() {
        [height] | [height, "unknown"] if height.parse::<u32>().unwrap_or(0) > 576 => {
            ":in_color_matrix=bt709"
        }
        _ => "",
    }
}

/// What a file shows in `window`.
pub(crate) fn pictures(file: &Path, track: &str, clock: Clock, window: Window) -> Stretch {
    let filter = format!(
        "fps={PICTURES}:start_time={}:round=near,\
         scale={WIDTH}:{HEIGHT}:flags=area+full_chroma_int+full_chroma_inp+accurate_rnd{},\
         format=rgb24",
        window.from,
        matrix(file, track)
    );
    let bytes = ffmpeg(file, clock, window, track, &filter);
    let pictures = bytes.chunks_exact(SIZE).map(<[u8]>::to_vec);
    Stretch {
        pictures: pictures.collect(),
        sound: Vec::new(),
    }
}

/// What the first picture and sound of a file are in `window`.
pub(crate) fn stretch(file: &Path, track: &str, clock: Clock, window: Window) -> Stretch {
    Stretch {
        sound: sound(file, clock, window).sound,
        ..pictures(file, track, clock, window)
    }
}

/// What a file lets be heard in `window`.
pub(crate) fn sound(file: &Path, clock: Clock, window: Window) -> Stretch {
    let first = (window.from * RATE as f64) as u64;
    let filter = format!(
        "aresample={RATE}:async=1:min_hard_comp=0.02:first_pts={first},aformat=s16:channel_layouts=mono"
    );
    let bytes = ffmpeg(file, clock, window, "0:a:0", &filter);
    let samples = bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    Stretch {
        pictures: Vec::new(),
        sound: samples.collect(),
    }
}

/// How `made` lies against `source`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fit {
    /// Seconds by which `made` comes late; `None` where the content doesn't tell.
    pub(crate) late: Option<f64>,
    /// Likeness at that place in decibels, where it is one of pictures.
    pub(crate) decibels: f64,
}

/// Compares pictures from `at` hundredths of a second on.
pub(crate) fn picture_fit(source: &Stretch, made: &Stretch, at: usize) -> Option<Fit> {
    let made = made.pictures.get(at..)?;
    let made = &made[..made.len().min(SPAN)];
    let cost = |shift: isize| -> Option<f64> {
        let mut sum = 0_u64;
        let mut count = 0_usize;
        for (number, picture) in made.iter().enumerate() {
            let place = usize::try_from((at + number).cast_signed() - shift).ok()?;
            let Some(other) = source.pictures.get(place) else {
                continue;
            };
            sum += picture
                .iter()
                .zip(other)
                .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
                .sum::<u64>();
            count += picture.len();
        }
        (count > made.len() / 2 * SIZE).then(|| sum as f64 / count as f64)
    };
    best(&shifts(), 8, cost).map(|(late, least)| Fit {
        late: late.map(|shift| shift as f64 / PICTURES as f64),
        decibels: 10.0 * (255.0 * 255.0 / least.max(0.01)).log10(),
    })
}

/// Compares sound from `at` hundredths of a second on.
pub(crate) fn sound_fit(source: &Stretch, made: &Stretch, at: usize) -> Option<Fit> {
    let at = at * RATE / 100;
    let made = made.sound.get(at..)?;
    let made = &made[..made.len().min(SPAN * RATE / 100)];
    // Cutting a presentation to its own length leaves one quiet end more or less.
    let cost = |shift: isize| -> Option<f64> {
        let start = usize::try_from(at.cast_signed() - shift).ok()?;
        let other = source.sound.get(start..)?;
        let pairs = made.iter().zip(other);
        let count = pairs.len();
        let sum: f64 = pairs
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        (count > made.len() / 2).then(|| sum / count as f64)
    };
    let reach = (REACH * RATE / 100 / 3).cast_signed();
    let mut fine: Vec<isize> = (-reach..=reach).collect();
    fine.sort_by_key(|shift| shift.abs());
    best(&fine, (RATE / 50).cast_signed(), cost).map(|(late, least)| Fit {
        late: late.map(|shift| shift as f64 / RATE as f64),
        decibels: 10.0 * (f64::from(i16::MAX).powi(2) / least.max(1.0)).log10(),
    })
}

fn shifts() -> Vec<isize> {
    let reach = REACH.cast_signed();
    let mut shifts: Vec<isize> = (-reach..=reach).collect();
    shifts.sort_by_key(|shift| shift.abs());
    shifts
}

/// The shift of the least cost, and that cost. No shift where others, more than `near` away, are nearly
/// as good: a still picture, silence, a steady tone.
fn best(
    shifts: &[isize],
    near: isize,
    cost: impl Fn(isize) -> Option<f64>,
) -> Option<(Option<isize>, f64)> {
    let costs: Vec<(isize, f64)> = shifts
        .iter()
        .filter_map(|shift| Some((*shift, cost(*shift)?)))
        .collect();
    let (shift, least) = costs.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let far = costs
        .iter()
        .filter(|(other, _)| (other - shift).abs() > near);
    let tells = far.clone().count() > 0 && far.clone().all(|(_, cost)| *cost > least * 1.1 + 4.0);
    Some((tells.then_some(shift), least))
}

/// Seconds of sound that are presented, edit list applied.
pub(crate) fn seconds_of_sound(file: &Path) -> f64 {
    let window = Window {
        from: 0.0,
        length: 1e6,
    };
    let filter = "aresample=48000:async=1:first_pts=0,aformat=s16:channel_layouts=mono";
    ffmpeg(file, Clock::Ours, window, "0:a:0", filter).len() as f64 / 96_000.0
}

/// Fields of the first stream of a kind as ffprobe gives them, joined by commas.
pub(crate) fn probed(file: &Path, kind: &str, fields: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-select_streams", kind])
        .args([
            "-show_entries",
            &format!("stream={fields}"),
            "-of",
            "csv=p=0",
        ])
        .arg(file)
        .output();
    String::from_utf8_lossy(&output.unwrap().stdout)
        .trim()
        .trim_end_matches(',')
        .to_owned()
}

/// Writes bytes to a file that goes with its folder.
pub(crate) fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{name}.mp4"));
    std::fs::write(&path, bytes).unwrap();
    path
}
