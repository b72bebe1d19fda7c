//! Closed captions of a source: in front of the pictures of a video track, or in a track of their own
//! (QuickTime `c608`). Read from the samples, so that repackaged video has its captions, too.

use super::text::Files;
use crate::codec::captions::{self, CaptionPair, Framing, Head};
use crate::error::Result;
use crate::media::{CaptionChannel, Place, SampleEntry, SourceTrack};
use crate::read_at::ReadAt;
use crate::text::{Line21, Parsed};
use crate::time::{Rounding, Ticks, Timescale};

/// Bytes read at the start of a sample, and how many more where that is too few to tell: 4,096 are
/// what the messages in front of a first picture take.
const HEAD: [usize; 3] = [256, 4 << 10, 64 << 10];
/// Largest sample of video whose captions are read, in bytes.
const MAX_SAMPLE: u32 = 32 << 20;
/// Pairs of one track, at most: a day of both fields.
const MAX_PAIRS: usize = 24 * 3600 * 120;

/// What was found in a track.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captions {
    /// The channels that say anything, with what they say.
    pub channels: Vec<(CaptionChannel, Parsed)>,
    /// There are captions of CTA-708.
    pub has_services: bool,
}

/// Whether captions are looked for in a track of that codec.
pub fn may_hold_captions(track: &SourceTrack) -> bool {
    is_caption_track(track) || Framing::of(track.codec.name(), &track.config).is_some()
}

fn is_caption_track(track: &SourceTrack) -> bool {
    track.codec.name() == "eia_608"
}

/// Reads the captions of a track. `start` is the presentation's start on the track's movie time
/// line, in its ticks.
///
/// Of a video without captions only the first bytes of each sample are read.
///
/// # Errors
/// What reading fails with.
pub fn read_captions(files: Files<'_>, track: &SourceTrack, start: i64) -> Result<Captions> {
    let mut timed = if is_caption_track(track) {
        of_caption_track(files, track)?
    } else {
        match Framing::of(track.codec.name(), &track.config) {
            Some(framing) => of_video(files, track, framing)?,
            None => Vec::new(),
        }
    };
    // Captions come with pictures, whose order in the file is not that on the screen.
    timed.sort_by_key(|(time, _)| *time);
    let millis = |time: i64| {
        let time = Ticks::new(time.saturating_sub(start), track.timescale);
        time.to(Timescale::MILLIS, Rounding::Nearest).count
    };
    let mut line21 = Line21::default();
    let mut has_services = false;
    for (time, pair) in &timed {
        match pair.kind {
            0 | 1 => line21.push(millis(*time), usize::from(pair.kind), pair.bytes),
            _ => has_services = true,
        }
    }
    Ok(Captions {
        channels: line21.finish(millis(end(track))),
        has_services,
    })
}

/// When the track's last sample ends.
fn end(track: &SourceTrack) -> i64 {
    let ends = track.samples.iter().map(|sample| {
        let start = track.movie_time(sample.presentation_time());
        start.saturating_add(i64::from(sample.duration))
    });
    ends.max().unwrap_or(0)
}

/// Pictures looked at one after the other in a taste, and how often in a track.
const SIP: usize = 4;
const SIPS: usize = 32;

/// The samples that a taste is made of: some pictures here and there. Captions are sent with most
/// pictures, if with any.
fn tasted(track: &SourceTrack) -> impl Iterator<Item = SampleEntry> {
    let step = (track.samples.len() / SIPS).max(SIP);
    let samples = track.samples.iter().enumerate();
    samples
        .filter(move |(number, _)| number % step < SIP)
        .map(|(_, sample)| sample)
}

/// Where [`tastes_of_captions`] looks.
pub fn taste(track: &SourceTrack) -> impl Iterator<Item = Place> {
    let most = u32::try_from(HEAD[1]).unwrap_or(u32::MAX);
    tasted(track).map(move |sample| Place {
        size: sample.place.size.min(most),
        ..sample.place
    })
}

/// Whether captions stand in front of some of a few pictures: for sources of which not all pictures
/// can be looked at.
///
/// # Errors
/// What reading fails with.
pub fn tastes_of_captions(files: Files<'_>, track: &SourceTrack) -> Result<bool> {
    let Some(framing) = Framing::of(track.codec.name(), &track.config) else {
        return Ok(false);
    };
    let mut buffer = Vec::new();
    for sample in tasted(track) {
        if let Some(file) = files.home(sample.place.home)
            && has_captions(file, sample.place, framing, &mut buffer)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

type Timed = Vec<(i64, CaptionPair)>;

fn of_video(files: Files<'_>, track: &SourceTrack, framing: Framing) -> Result<Timed> {
    let mut timed = Vec::new();
    let mut buffer = Vec::new();
    for sample in track.samples.iter() {
        let Some(file) = files.home(sample.place.home) else {
            continue;
        };
        if !has_captions(file, sample.place, framing, &mut buffer)? {
            continue;
        }
        if sample.place.size > MAX_SAMPLE || timed.len() >= MAX_PAIRS {
            continue;
        }
        // All of it: the second field of a picture has captions of its own behind the first.
        buffer.resize(sample.place.size as usize, 0);
        file.read_exact_at(sample.place.offset, &mut buffer)?;
        let time = track.movie_time(sample.presentation_time());
        let pairs = captions::captions(framing, &buffer);
        timed.extend(pairs.into_iter().map(|pair| (time, pair)));
    }
    Ok(timed)
}

/// Whether captions stand in front of the picture of a sample.
fn has_captions(
    file: &dyn ReadAt,
    place: Place,
    framing: Framing,
    buffer: &mut Vec<u8>,
) -> Result<bool> {
    for most in HEAD {
        let size = usize::try_from(place.size).map_or(most, |size| size.min(most));
        buffer.resize(size, 0);
        file.read_exact_at(place.offset, buffer)?;
        match captions::look(framing, buffer) {
            Head::Captions => return Ok(true),
            Head::Nothing => return Ok(false),
            Head::CutOff if size < most => return Ok(false),
            Head::CutOff => {}
        }
    }
    Ok(false)
}

/// QuickTime's closed captions: samples of `cdat` (field 1) and `cdt2` (field 2) with pairs for
/// pictures one after the other (QuickTime File Format, "Closed Captioning Sample Data").
fn of_caption_track(files: Files<'_>, track: &SourceTrack) -> Result<Timed> {
    let mut timed = Vec::new();
    for sample in track.samples.iter() {
        let Some(file) = files.home(sample.place.home) else {
            continue;
        };
        if sample.place.size > crate::text::MAX_SAMPLE_BYTES || timed.len() >= MAX_PAIRS {
            continue;
        }
        let mut bytes = vec![0; sample.place.size as usize];
        file.read_exact_at(sample.place.offset, &mut bytes)?;
        timed.extend(pairs_of_boxes(track, &sample, &bytes));
    }
    Ok(timed)
}

fn pairs_of_boxes(track: &SourceTrack, sample: &SampleEntry, bytes: &[u8]) -> Timed {
    let start = track.movie_time(sample.presentation_time());
    let mut timed = Vec::new();
    for found in crate::cmaf::boxes::children(bytes, 0).map_while(Result::ok) {
        let kind = match &found.kind.0 {
            b"cdat" => 0,
            b"cdt2" => 1,
            _ => continue,
        };
        let pairs = found.payload.chunks_exact(2);
        let count = i64::try_from(pairs.len()).unwrap_or(i64::MAX).max(1);
        for (number, pair) in (0_i64..).zip(pairs) {
            let [first, second] = pair else { continue };
            let time = start.saturating_add(i64::from(sample.duration) * number / count);
            let bytes = [*first, *second];
            timed.push((time, CaptionPair { kind, bytes }));
        }
    }
    timed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Codec, Disposition, Edit, Home, SampleTable, TrackKind};

    fn odd(byte: u8) -> u8 {
        byte | if byte.count_ones().is_multiple_of(2) {
            0x80
        } else {
            0
        }
    }

    fn track(codec: &str, samples: SampleTable) -> SourceTrack {
        SourceTrack {
            number: 1,
            kind: TrackKind::Other,
            codec: Codec::from_name(codec),
            config: vec![1, 66, 0, 30, 0xff],
            timescale: Timescale::MILLIS,
            language: "und".to_owned(),
            name: None,
            disposition: Disposition::default(),
            edit: Edit::default(),
            samples,
            shown: Vec::new(),
        }
    }

    fn place(bytes: &mut Vec<u8>, sample: &[u8]) -> Place {
        let offset = bytes.len() as u64;
        bytes.extend(sample);
        Place {
            home: Home::Source,
            offset,
            size: u32::try_from(sample.len()).expect("small"),
        }
    }

    #[test]
    fn captions_are_put_into_the_order_of_the_screen() {
        let words: [&[u8; 2]; 4] = [b"\x14\x29", b"\x14\x70", b"AB", b"CD"];
        let mut bytes = Vec::new();
        let mut table = SampleTable::new(0);
        // Decode order 0 2 1 3: presentation times 0, 66, 33, 99.
        for (number, offset) in [(0, 0), (2, 33), (1, -33), (3, 0)] {
            let pair = CaptionPair {
                kind: 0,
                bytes: words[number].map(odd),
            };
            let sei = captions::tests::sei(&[pair]);
            let mut sample = u32::try_from(sei.len())
                .expect("small")
                .to_be_bytes()
                .to_vec();
            sample.extend(&sei);
            sample.extend([0, 0, 0, 2, 0x65, 1]);
            table.push(33, offset, number == 0, place(&mut bytes, &sample));
        }
        let source: &[u8] = &bytes;
        let files = Files {
            source: &source,
            spool: None,
        };
        let found = read_captions(files, &track("h264", table), 0).expect("reads");
        let (channel, parsed) = &found.channels[0];
        assert_eq!(*channel, CaptionChannel::Line21(1));
        let cue = &parsed.cues.cues()[0];
        assert_eq!((cue.start_millis, cue.end_millis), (66, 132));
        assert_eq!(cue.text, "ABCD");
    }

    #[test]
    fn a_track_of_captions_spreads_its_pairs_over_its_samples() {
        let pairs: Vec<u8> = [0x14, 0x29, 0x14, 0x70, b'H', b'I', 0, 0].map(odd).to_vec();
        let size = u32::try_from(pairs.len() + 8).expect("small");
        let sample = [&size.to_be_bytes(), &b"cdt2"[..], &pairs].concat();
        let mut bytes = Vec::new();
        let mut table = SampleTable::new(0);
        table.push(4000, 0, true, place(&mut bytes, &sample));
        let source: &[u8] = &bytes;
        let files = Files {
            source: &source,
            spool: None,
        };
        let found = read_captions(files, &track("eia_608", table), 500).expect("reads");
        let (channel, parsed) = &found.channels[0];
        assert_eq!(*channel, CaptionChannel::Line21(3));
        let cue = &parsed.cues.cues()[0];
        assert_eq!((cue.start_millis, cue.end_millis), (1500, 3500));
    }
}
