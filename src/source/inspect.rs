//! What planning a passthrough needs to know of H.264 beyond the index: which sync samples really
//! are IDR pictures, and whether parameter sets hide in the samples (ISO/IEC 14496-15 section 5,
//! ITU-T H.264 section 7.4.1).
//!
//! Only the first bytes of each sync sample are read.

use crate::codec::avc::{AvcConfig, NAL_IDR, NAL_PPS, NAL_SPS};
use crate::error::{Error, Result};
use crate::media::{Codec, Place, SourceTrack};
use crate::read_at::ReadAt;

/// Bytes read at the start of a sync sample: enough for the delimiter, the parameter sets, the
/// usual SEI and the first byte of the first slice.
const HEAD: usize = 4096;

/// NAL units looked at before a sample is given up.
const MAX_UNITS: u32 = 256;

/// What was seen in the sync samples of an H.264 track.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VideoInspection {
    /// Numbers (from 0) of the sync samples that are IDR pictures, in order.
    pub idr_samples: Vec<u32>,
    /// Numbers (from 0) of the sync samples that begin with another picture: recovery points,
    /// from which a decoder may show errors or nothing for a while.
    pub other_samples: Vec<u32>,
    /// Numbers (from 0) of the sync samples whose NAL units make no sense.
    pub broken_samples: Vec<u32>,
    /// Bytes of the length in front of each NAL unit: 1, 2 or 4.
    pub length_size: usize,
    /// Sequence or picture parameter sets are repeated within samples.
    pub has_in_band_parameter_sets: bool,
    /// A sequence parameter set within a sample is none of those in the configuration: the
    /// picture format may change on the way.
    pub parameter_sets_differ: bool,
}

impl VideoInspection {
    /// Whether every sync sample is an IDR picture, and there is one.
    pub fn all_idr(&self) -> bool {
        !self.idr_samples.is_empty()
            && self.other_samples.is_empty()
            && self.broken_samples.is_empty()
    }
}

/// The first bytes of the sync samples of `track`: what [`inspect_h264`] reads of most of them.
pub fn heads(track: &SourceTrack) -> impl Iterator<Item = Place> {
    let head = u32::try_from(HEAD).unwrap_or(u32::MAX);
    let sync = track.samples.iter().filter(|sample| sample.sync);
    sync.map(move |sample| Place {
        size: sample.place.size.min(head),
        ..sample.place
    })
}

/// Inspects the sync samples of an H.264 track.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`] when the track is not H.264,
/// [`crate::error::ErrorKind::Invalid`] without a sound `avcC` configuration, and what reading
/// fails with.
pub fn inspect_h264(reader: &dyn ReadAt, track: &SourceTrack) -> Result<VideoInspection> {
    let place = format!("track {}", track.number);
    if track.codec != Codec::H264 {
        return Err(Error::unsupported(format!(
            "{place} is {}, not H.264",
            track.codec
        )));
    }
    let config = AvcConfig::parse(&track.config).map_err(|e| e.context(&place))?;
    let mut seen = VideoInspection {
        length_size: config.length_size,
        ..VideoInspection::default()
    };
    let mut head = Head::new(reader);
    for (number, sample) in (0..).zip(track.samples.iter()) {
        if !sample.sync {
            continue;
        }
        let numbers = match first_slice(&mut head, sample.place, &config, &mut seen)? {
            Some(NAL_IDR) => &mut seen.idr_samples,
            Some(_) => &mut seen.other_samples,
            None => &mut seen.broken_samples,
        };
        numbers.push(number);
    }
    Ok(seen)
}

/// The type of the first slice of a sample; `None` when there is none.
fn first_slice(
    head: &mut Head<'_>,
    place: Place,
    config: &AvcConfig,
    seen: &mut VideoInspection,
) -> Result<Option<u8>> {
    head.place = place;
    let mut at = 0_u32;
    for _ in 0..MAX_UNITS {
        let Some(unit) = Unit::read(head, at, config.length_size)? else {
            return Ok(None);
        };
        match unit.kind {
            1..=5 => return Ok(Some(unit.kind)),
            NAL_SPS => {
                seen.has_in_band_parameter_sets = true;
                if !seen.parameter_sets_differ {
                    let bytes = head.bytes(unit.start, unit.len)?;
                    seen.parameter_sets_differ = !config.sets.sps.iter().any(|set| set == bytes);
                }
            }
            NAL_PPS => seen.has_in_band_parameter_sets = true,
            _ => {}
        }
        at = unit.start.saturating_add(unit.len);
    }
    Ok(None)
}

/// One NAL unit of a sample.
#[derive(Debug, Clone, Copy)]
struct Unit {
    kind: u8,
    /// Where its header byte is, from the start of the sample.
    start: u32,
    len: u32,
}

impl Unit {
    /// The unit whose length field starts at `at`; `None` when it does not fit into the sample.
    fn read(head: &mut Head<'_>, at: u32, length_size: usize) -> Result<Option<Self>> {
        let prefix = u32::try_from(length_size).unwrap_or(4);
        let sample_size = head.place.size;
        let bytes = head.bytes(at, prefix + 1)?;
        let Some((kind, length)) = bytes.split_last() else {
            return Ok(None);
        };
        if bytes.len() <= length_size {
            return Ok(None);
        }
        let len = length.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        let start = at.saturating_add(prefix);
        let fits = len > 0 && len <= sample_size.saturating_sub(start);
        Ok(fits.then_some(Self {
            kind: kind & 0x1f,
            start,
            len,
        }))
    }
}

/// The bytes of a sample around the place last looked at.
struct Head<'r> {
    reader: &'r dyn ReadAt,
    place: Place,
    /// First byte, in the file, of what `bytes` holds.
    start: u64,
    bytes: Vec<u8>,
}

impl<'r> Head<'r> {
    fn new(reader: &'r dyn ReadAt) -> Self {
        Self {
            reader,
            place: Place {
                home: crate::media::Home::Source,
                offset: 0,
                size: 0,
            },
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Up to `count` bytes from `at` (within the sample) on: fewer at its end, and never more
    /// than [`HEAD`].
    fn bytes(&mut self, at: u32, count: u32) -> Result<&[u8]> {
        let left = self.place.size.saturating_sub(at);
        let count = usize::try_from(count.min(left)).map_or(HEAD, |n| n.min(HEAD));
        let offset = self.place.offset.saturating_add(u64::from(at));
        let from = offset.checked_sub(self.start);
        let from = from.and_then(|from| usize::try_from(from).ok());
        let there = from.and_then(|from| self.bytes.get(from..));
        if there.is_none_or(|there| there.len() < count) {
            self.fill(offset, left)?;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }

    fn fill(&mut self, offset: u64, left: u32) -> Result<()> {
        let wanted = usize::try_from(left).map_or(HEAD, |left| left.min(HEAD));
        self.bytes.resize(wanted, 0);
        let got = self.reader.read_at(offset, &mut self.bytes)?;
        self.bytes.truncate(got);
        self.start = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;
    use crate::cmaf::movie::read_movie;
    use crate::media::{Disposition, Edit, Home, SampleTable, TrackKind};
    use crate::time::Timescale;

    const SPS: &[u8] = &[0x67, 66, 0, 30, 1];
    const OTHER_SPS: &[u8] = &[0x67, 66, 0, 31, 1];

    /// A track whose sync samples are `samples`, one after the other, and its bytes.
    fn track(samples: &[Vec<u8>]) -> (SourceTrack, Vec<u8>) {
        let mut table = SampleTable::default();
        let mut bytes = Vec::new();
        for sample in samples {
            let place = Place {
                home: Home::Source,
                offset: bytes.len() as u64,
                size: u32::try_from(sample.len()).expect("small"),
            };
            table.push(1, 0, true, place);
            bytes.extend(sample);
        }
        let config = [&[1, 66, 0, 30, 0xff, 0xe1, 0, 5], SPS, &[1, 0, 2, 0x68, 1]].concat();
        let track = SourceTrack {
            number: 1,
            kind: TrackKind::Other,
            codec: Codec::H264,
            config,
            timescale: Timescale::MILLIS,
            language: "und".to_owned(),
            name: None,
            disposition: Disposition::default(),
            edit: Edit::default(),
            samples: table,
            shown: Vec::new(),
        };
        (track, bytes)
    }

    fn units(units: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for unit in units {
            bytes.extend(u32::try_from(unit.len()).expect("small").to_be_bytes());
            bytes.extend(*unit);
        }
        bytes
    }

    fn inspect(samples: &[Vec<u8>]) -> VideoInspection {
        let (track, bytes) = track(samples);
        inspect_h264(&bytes.as_slice(), &track).expect("H.264")
    }

    #[test]
    fn the_first_slice_decides_behind_whatever_comes_before_it() {
        let long_sei = [[6].as_slice(), &[0; 9000]].concat();
        let seen = inspect(&[
            units(&[&[9, 0xf0], SPS, &[0x68, 1], &long_sei, &[0x65, 1, 2]]),
            units(&[&[0x41, 1, 2], &[0x65, 1]]),
            units(&[&[0x65, 1, 2]]),
        ]);
        assert_eq!(
            (seen.idr_samples, seen.other_samples),
            (vec![0, 2], vec![1])
        );
        assert!(seen.has_in_band_parameter_sets && !seen.parameter_sets_differ);
        assert_eq!(seen.length_size, 4);
    }

    #[test]
    fn another_parameter_set_in_band_is_noticed() {
        let seen = inspect(&[units(&[OTHER_SPS, &[0x65, 1]])]);
        assert!(seen.has_in_band_parameter_sets && seen.parameter_sets_differ);
    }

    #[test]
    fn samples_without_sense_are_broken() {
        let seen = inspect(&[
            Vec::new(),
            vec![0, 0, 0],
            vec![0, 0, 0, 0, 0x65],
            vec![0xff, 0xff, 0xff, 0xff, 0x65],
            units(&[&[9, 0xf0]]),
            [9_u8, 0xf0].repeat(3000),
            units(&vec![&[6_u8][..]; 1000]),
        ]);
        assert_eq!(seen.broken_samples, [0, 1, 2, 3, 4, 5, 6]);
        assert!(!seen.all_idr());
    }

    #[test]
    fn a_track_without_configuration_is_refused() {
        let (mut track, bytes) = track(&[]);
        track.config = vec![1, 2, 3];
        assert!(inspect_h264(&bytes.as_slice(), &track).is_err());
        track.codec = Codec::HEVC;
        assert!(inspect_h264(&bytes.as_slice(), &track).is_err());
    }

    /// The number of packets of the first video stream with an IDR slice, by ffmpeg's own reading.
    fn idr_packets(path: &Path) -> usize {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-ignore_editlist", "1", "-i"])
            .arg(path)
            .args(["-map", "0:v:0", "-c", "copy"])
            .args(["-bsf:v", "filter_units=pass_types=5", "-f", "framecrc", "-"])
            .output()
            .expect("ffmpeg is installed");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().filter(|line| line.starts_with("0,")).count()
    }

    #[test]
    fn idr_pictures_of_real_clips_are_those_that_ffmpeg_finds() {
        let folder = std::env::var_os("HEADWATER_MEDIA").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"),
            PathBuf::from,
        );
        for clip in [
            "bbb_480p24_aac51_30s.mp4",
            "crystal_480p30.mp4",
            "h264_518x488.mp4",
            "long_1080p_lowbitrate_363s.mp4",
            "talk_540p2997.mp4",
            "rot90.mov",
        ] {
            let path = folder.join(clip);
            let Ok(source) = std::fs::File::open(&path) else {
                eprintln!("skipped: no {}", path.display());
                continue;
            };
            let index = read_movie(&source).expect("sound").expect("MP4");
            let track = index.tracks.iter().find(|track| track.codec == Codec::H264);
            let seen = inspect_h264(&source, track.expect("video")).expect("H.264");
            assert_eq!(seen.idr_samples.len(), idr_packets(&path), "{clip}");
            assert!(seen.broken_samples.is_empty(), "{clip}");
        }
    }
}
