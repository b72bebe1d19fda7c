//! Clips, tasks, and FFmpeg's programs as judges.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use headwater::codec::avc::{self, AvcConfig};
use headwater::error::Result;
use headwater::media::{
    AudioEncode, AudioTask, EncodedSample, Joining, PicturePlan, Preset, SourceIndex, SourceTrack,
    TaskFrame, TaskSample, TaskSummary, TrackKind, VideoCodec, VideoEncode, VideoInfo, VideoRange,
    VideoRecipe, VideoTask,
};
use headwater::sandbox::{Launcher, Options};
use headwater::time::{FrameRate, Rounding, Timescale, rescale};

use crate::support::shared_media;

pub(crate) fn clip(name: &str) -> Option<PathBuf> {
    let path = shared_media().map(|folder| folder.join(name));
    let found = path.filter(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: the clip {name} is not there");
    }
    found
}

pub(crate) fn options() -> Options {
    Options {
        program: Some(env!("CARGO_BIN_EXE_headwater-media").into()),
        ..Options::default()
    }
}

pub(crate) fn launcher() -> Launcher {
    Launcher::new(options())
}

/// A source, indexed.
pub(crate) struct Source {
    pub(crate) file: File,
    pub(crate) spool: File,
    pub(crate) index: SourceIndex,
}

pub(crate) fn index(path: &Path) -> Result<Source> {
    let file = File::open(path).unwrap();
    let mut spool = tempfile::tempfile().unwrap();
    let size = file.metadata().unwrap().len();
    let index = launcher().index(&file, size, &mut spool)?;
    Ok(Source { file, spool, index })
}

pub(crate) fn open(name: &str) -> Option<Source> {
    Some(index(&clip(name)?).unwrap())
}

impl Source {
    pub(crate) fn video(&self) -> &SourceTrack {
        let is_video = |track: &&SourceTrack| matches!(track.kind, TrackKind::Video(_));
        self.index.tracks.iter().find(is_video).unwrap()
    }

    pub(crate) fn audio(&self) -> &SourceTrack {
        let is_audio = |track: &&SourceTrack| matches!(track.kind, TrackKind::Audio(_));
        self.index.tracks.iter().find(is_audio).unwrap()
    }

    pub(crate) fn info(&self) -> &VideoInfo {
        match &self.video().kind {
            TrackKind::Video(info) => info,
            _ => unreachable!(),
        }
    }

    pub(crate) fn run_video(&self, task: &VideoTask) -> Result<Made> {
        run_video(&launcher(), task, &self.file, &self.spool)
    }

    pub(crate) fn run_audio(&self, task: &AudioTask) -> Result<Made> {
        let mut samples = Vec::new();
        let never = AtomicBool::new(false);
        let summary =
            launcher().audio(task, &self.file, Some(&self.spool), &never, &mut |sample| {
                samples.push(sample);
                Ok(())
            })?;
        Ok(Made { samples, summary })
    }
}

pub(crate) fn run_video(
    launcher: &Launcher,
    task: &VideoTask,
    file: &File,
    spool: &File,
) -> Result<Made> {
    let mut samples = Vec::new();
    let never = AtomicBool::new(false);
    let summary = launcher.video(task, file, Some(spool), &never, &mut |sample| {
        samples.push(sample);
        Ok(())
    })?;
    Ok(Made { samples, summary })
}

/// What a task made.
#[derive(Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) samples: Vec<EncodedSample>,
    pub(crate) summary: TaskSummary,
}

pub(crate) fn task_samples(track: &SourceTrack) -> Vec<TaskSample> {
    track
        .samples
        .iter()
        .map(|sample| TaskSample {
            place: sample.place,
            time: track.movie_time(sample.presentation_time()),
            decode_time: track.movie_time(sample.decode_time),
            duration: sample.duration,
            sync: sample.sync,
        })
        .collect()
}

pub(crate) fn recipe(threads: u32) -> VideoRecipe {
    VideoRecipe {
        preset: Preset::Ultrafast,
        crf: 28,
        maxrate: 2_000_000,
        bufsize: 3_000_000,
        level: 40,
        threads,
        head_frames: 0,
        tail_frames: 0,
        codec: VideoCodec::H264,
        range: VideoRange::Sdr,
    }
}

/// A task that shows every picture once, an IDR picture every `gop`.
pub(crate) fn whole(
    source: &Source,
    rate: (u32, u32),
    gop: usize,
    sizes: &[(u32, u32)],
) -> VideoTask {
    let track = source.video();
    let samples = task_samples(track);
    let mut times: Vec<i64> = samples.iter().map(|sample| sample.time).collect();
    times.sort_unstable();
    times.dedup();
    let frames: Vec<TaskFrame> = times
        .iter()
        .enumerate()
        .map(|(number, time)| TaskFrame {
            source_time: *time,
            idr: number % gop == 0,
            second_field: false,
        })
        .collect();
    let info = source.info();
    VideoTask {
        codec: track.codec.clone(),
        config: track.config.clone(),
        timescale: track.timescale,
        samples,
        first_frame: 0,
        head: 0,
        keep: u32::try_from(frames.len()).unwrap(),
        frames,
        frame_rate: FrameRate::new(rate.0, rate.1).unwrap(),
        picture: PicturePlan {
            width: info.width,
            height: info.height,
            pixel_aspect: info.pixel_aspect,
            orientation: info.orientation,
            colour: info.colour,
            light: info.light,
            scan: headwater::media::Scan::AsMarked,
            toned: None,
        },
        joining: Joining::Seamless,
        renditions: sizes
            .iter()
            .map(|(width, height)| VideoEncode {
                width: *width,
                height: *height,
                recipe: recipe(1),
            })
            .collect(),
        stills: None,
        reconfigurations: Vec::new(),
    }
}

/// Only these frames of a task, with the samples that they need.
pub(crate) fn part(
    task: &VideoTask,
    first: usize,
    head: usize,
    keep: usize,
    tail: usize,
) -> VideoTask {
    let end = (first + keep + tail).min(task.frames.len());
    let frames = task.frames[first - head..end].to_vec();
    let (from, to) = (frames[0].source_time, frames.last().unwrap().source_time);
    let start = task
        .samples
        .iter()
        .rposition(|s| s.sync && s.time <= from)
        .unwrap_or(0);
    let stop = task.samples.iter().rposition(|s| s.time <= to).unwrap() + 1;
    // What is needed to present the last picture has been decoded when as many more have gone in
    // as may be held back.
    let stop = (stop + 17).min(task.samples.len());
    VideoTask {
        samples: task.samples[start..stop].to_vec(),
        first_frame: u32::try_from(first - head).unwrap(),
        head: u32::try_from(head).unwrap(),
        keep: u32::try_from(keep).unwrap(),
        frames,
        ..task.clone()
    }
}

/// Presentation's length in samples at `rate`, from the audio track.
pub(crate) fn audio_task(source: &Source, rate: u32, channels: u16, bitrates: &[u32]) -> AudioTask {
    let track = source.audio();
    let TrackKind::Audio(info) = &track.kind else {
        unreachable!()
    };
    let samples = task_samples(track);
    let end = samples.last().map_or(0, |s| s.time + i64::from(s.duration));
    let to = Timescale::new(rate).unwrap();
    let total = rescale(end, track.timescale, to, Rounding::Nearest);
    let total = u64::try_from(total).unwrap();
    AudioTask {
        codec: track.codec.clone(),
        config: track.config.clone(),
        timescale: track.timescale,
        samples,
        source_channels: info.channels,
        source_sample_rate: info.sample_rate,
        source_start: 0,
        first_frame: 0,
        frames: u32::try_from((total + 1024).div_ceil(1024)).unwrap(),
        head: 0,
        priming: 1024,
        total_samples: total,
        renditions: bitrates
            .iter()
            .map(|bitrate| AudioEncode { bitrate: *bitrate })
            .collect(),
        sample_rate: rate,
        channels,
        source_block_align: info.block_align,
        source_bitrate: info.bitrate,
        level: None,
    }
}

impl Made {
    /// One rendition as an Annex B stream.
    pub(crate) fn annex_b(&self, rendition: u32) -> Vec<u8> {
        let config = AvcConfig::parse(&self.summary.configs[rendition as usize]).unwrap();
        let samples: Vec<&EncodedSample> = self
            .samples
            .iter()
            .filter(|s| s.rendition == rendition)
            .collect();
        annex_b(&config, &samples)
    }

    pub(crate) fn frames(&self, rendition: u32) -> Vec<u32> {
        self.samples
            .iter()
            .filter(|s| s.rendition == rendition)
            .map(|s| s.frame)
            .collect()
    }

    /// One rendition as an ADTS stream (ISO/IEC 13818-7 section 6.2).
    pub(crate) fn adts(&self, rendition: u32) -> Vec<u8> {
        let config = &self.summary.configs[rendition as usize];
        let index = (config[0] & 7) << 1 | config[1] >> 7;
        let channels = (config[1] >> 3) & 15;
        let mut stream = Vec::new();
        for sample in self.samples.iter().filter(|s| s.rendition == rendition) {
            let len = sample.data.len() + 7;
            stream.extend_from_slice(&[
                0xff,
                0xf1,
                0x40 | index << 2 | channels >> 2,
                (channels & 3) << 6 | u8::try_from(len >> 11).unwrap(),
                u8::try_from(len >> 3 & 0xff).unwrap(),
                u8::try_from(len & 7).unwrap() << 5 | 0x1f,
                0xfc,
            ]);
            stream.extend_from_slice(&sample.data);
        }
        stream
    }
}

pub(crate) fn annex_b(config: &AvcConfig, samples: &[&EncodedSample]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut put = |nal: &[u8]| {
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(nal);
    };
    for set in config.sets.sps.iter().chain(&config.sets.pps) {
        put(set);
    }
    for sample in samples {
        avc::nal_units(&sample.data, 4).for_each(&mut put);
    }
    stream
}

pub(crate) fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// What ffprobe finds in an H.264 stream.
pub(crate) fn probe(stream: &[u8]) -> Probed {
    let file = written(stream);
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-f", "h264", "-show_entries"])
        .args(["stream=width,height,pix_fmt,color_space,color_range,color_transfer,profile,sample_aspect_ratio:frame=key_frame"])
        .args(["-of", "json"])
        .arg(file.path())
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = json["frames"].as_array().unwrap().iter();
    Probed {
        keys: keys.map(|frame| frame["key_frame"] == 1).collect(),
        stream: json["streams"][0].clone(),
        warnings: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) keys: Vec<bool>,
    pub(crate) stream: serde_json::Value,
    pub(crate) warnings: String,
}

/// Peak signal-to-noise ratio of two raw pictures, in dB.
pub(crate) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let error: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    10.0 * (255.0 * 255.0 / (error / a.len() as f64).max(1e-9)).log10()
}
