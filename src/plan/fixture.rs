//! Sources made of nothing, for tests.

use crate::media::{
    AudioInfo, Codec, Colour, Disposition, Edit, Home, Light, Orientation, PixelAspect, Place,
    SampleTable, SourceIndex, SourceTrack, TrackKind, VideoInfo,
};
use crate::time::Timescale;

/// How pictures hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gop {
    /// I P P P: decode order is presentation order.
    Flat(u32),
    /// I P B B ...: pictures swap places, never across a sync sample.
    Closed(u32),
    /// Like closed, but each sync sample but the first has two leading pictures.
    Open(u32),
}

/// A synthetic video track.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) size: (u32, u32),
    pub(crate) timescale: u32,
    pub(crate) frame: u32,
    pub(crate) gop: Gop,
    pub(crate) bytes: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            size: (1280, 720),
            timescale: 30_000,
            frame: 1001,
            gop: Gop::Closed(60),
            bytes: 1000,
        }
    }
}

/// Presentation ranks in decode order.
fn ranks(gop: Gop, frames: u32) -> Vec<(u32, bool)> {
    let mut out: Vec<(u32, bool)> = Vec::new();
    let (Gop::Flat(length) | Gop::Closed(length) | Gop::Open(length)) = gop;
    let mut start = 0;
    while start < frames {
        let end = (start + length).min(frames);
        match gop {
            Gop::Flat(_) => out.extend((start..end).map(|rank| (rank, rank == start))),
            Gop::Closed(_) => {
                out.push((start, true));
                push_groups(&mut out, start + 1, end);
            }
            Gop::Open(_) => {
                let lead = if start == 0 {
                    0
                } else {
                    2.min(end - start - 1)
                };
                out.push((start + lead, true));
                out.extend((start..start + lead).map(|rank| (rank, false)));
                push_groups(&mut out, start + lead + 1, end);
            }
        }
        start = end;
    }
    out
}

/// P B B groups.
fn push_groups(out: &mut Vec<(u32, bool)>, from: u32, end: u32) {
    let mut at = from;
    while at < end {
        let last = (at + 2).min(end - 1);
        out.push((last, false));
        out.extend((at..last).map(|rank| (rank, false)));
        at = last + 1;
    }
}

pub(crate) fn video(shape: &Shape, frames: u32) -> SourceTrack {
    let mut samples = SampleTable::new(0);
    let frame = i64::from(shape.frame);
    for (number, (rank, sync)) in (0_i64..).zip(ranks(shape.gop, frames)) {
        let offset = i32::try_from((i64::from(rank) - number) * frame).expect("small");
        let place = place(u64::try_from(number).expect("positive"), shape.bytes);
        samples.push(shape.frame, offset, sync, place);
    }
    video_track(shape, samples)
}

/// A flat video track of which each picture lasts as given.
pub(crate) fn with_durations(shape: &Shape, durations: &[u32]) -> SourceTrack {
    let (Gop::Flat(length) | Gop::Closed(length) | Gop::Open(length)) = shape.gop;
    let mut samples = SampleTable::new(0);
    for (number, duration) in (0_u32..).zip(durations) {
        samples.push(
            *duration,
            0,
            number % length == 0,
            place(u64::from(number), shape.bytes),
        );
    }
    video_track(shape, samples)
}

/// A track with arbitrary presentation times.
pub(crate) fn from_offsets(offsets: &[i32], scale: i32) -> SourceTrack {
    let mut samples = SampleTable::new(0);
    for (number, offset) in (0_u64..).zip(offsets) {
        samples.push(10, offset * scale, number == 0, place(number, 10));
    }
    video_track(&Shape::default(), samples)
}

fn place(number: u64, size: u32) -> Place {
    Place {
        home: Home::Source,
        offset: number * 3000,
        size,
    }
}

/// `avcC` contents with a real High profile SPS and PPS: 1280x720, progressive, 8 bit 4:2:0.
pub(crate) fn avc_config() -> Vec<u8> {
    let sps = [
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
        0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    ];
    let pps = [0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
    let mut config = vec![1, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0, 26];
    config.extend(sps);
    config.extend([1, 0, 6]);
    config.extend(pps);
    config.extend([0xfd, 0xf8, 0xf8, 0]);
    config
}

fn video_track(shape: &Shape, samples: SampleTable) -> SourceTrack {
    SourceTrack {
        number: 1,
        kind: TrackKind::Video(VideoInfo {
            width: shape.size.0,
            height: shape.size.1,
            pixel_aspect: PixelAspect::SQUARE,
            orientation: Orientation::default(),
            colour: Colour::UNSPECIFIED,
            light: Light::UNKNOWN,
            dolby_vision: None,
        }),
        codec: Codec::H264,
        config: avc_config(),
        timescale: Timescale::new(shape.timescale).expect("non-zero"),
        language: "und".into(),
        name: None,
        disposition: Disposition::default(),
        edit: Edit::default(),
        samples,
        shown: Vec::new(),
    }
}

/// AAC-LC stereo at 48 kHz with 1024 samples of priming signalled by the edit list.
pub(crate) fn aac(frames: u32) -> SourceTrack {
    let mut samples = SampleTable::new(0);
    for number in 0..frames {
        let place = Place {
            home: Home::Source,
            offset: (1 << 40) + u64::from(number) * 900,
            size: 340,
        };
        samples.push(1024, 0, true, place);
    }
    SourceTrack {
        number: 2,
        kind: TrackKind::Audio(AudioInfo {
            sample_rate: 48_000,
            channels: 2,
            ..AudioInfo::default()
        }),
        codec: Codec::AAC,
        config: vec![0x11, 0x90],
        timescale: Timescale::new(48_000).expect("non-zero"),
        language: "en".into(),
        name: None,
        disposition: Disposition::default(),
        edit: Edit {
            delay: 0,
            media_start: 1024,
            length: None,
        },
        samples,
        shown: Vec::new(),
    }
}

pub(crate) fn index(tracks: Vec<SourceTrack>) -> SourceIndex {
    SourceIndex {
        container: "mp4".into(),
        size_bytes: 1 << 30,
        tracks,
        warnings: vec![],
        chapters: vec![],
    }
}
