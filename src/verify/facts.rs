//! What the rules look at: plain values, read from an init segment and from the heads of segments.
//!
//! Facts are what is written there, right or wrong; nothing here judges. A box that is missing is
//! `None`, one that is there too often is there too often.

use super::configuration::ConfigurationFacts;
use crate::cmaf::boxes::FourCc;
use crate::time::Timescale;

/// An init segment, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct InitFacts {
    /// Types of the top-level boxes in order.
    pub(super) top_level: Vec<FourCc>,
    /// Major and compatible brands of `ftyp`.
    pub(super) brands: Vec<FourCc>,
    /// Types of the boxes in `moov` in order.
    pub(super) moov: Vec<FourCc>,
    /// `mvhd`.
    pub(super) movie: Option<MovieHeader>,
    /// Each `trak`.
    pub(super) tracks: Vec<TrackFacts>,
    /// Track id and default sample values of each `trex`.
    pub(super) trex: Vec<TrackExtends>,
    /// System of each `pssh`.
    pub(super) systems: Vec<[u8; 16]>,
    /// Boxes that could not be read.
    pub(super) trouble: Vec<String>,
}

/// `mvhd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MovieHeader {
    pub(super) times: [u64; 2],
    pub(super) duration: u64,
    pub(super) rate: u32,
    pub(super) volume: u16,
    pub(super) matrix: [i32; 9],
}

/// `trex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TrackExtends {
    pub(super) track_id: u32,
    /// Sample values for fragments that don't have their own.
    pub(super) defaults: Option<crate::cmaf::read::TrackDefaults>,
}

/// One `trak`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TrackFacts {
    pub(super) id: u32,
    /// Creation and modification times of `tkhd` and `mdhd`.
    pub(super) times: Vec<u64>,
    pub(super) matrix: [i32; 9],
    pub(super) volume: u16,
    pub(super) timescale: Option<Timescale>,
    pub(super) media_duration: u64,
    pub(super) handler: Option<FourCc>,
    /// Entries of `elst`; `None` without one.
    pub(super) edits: Option<Vec<EditEntry>>,
    /// Entries in `stts`, `stsc`, `stsz`, `stco` together.
    pub(super) table_entries: u64,
    /// Sample tables that CMAF wants and that are not there.
    pub(super) missing_tables: Vec<FourCc>,
    pub(super) entries: Vec<EntryFacts>,
}

/// One edit of `elst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EditEntry {
    pub(super) segment_duration: u64,
    pub(super) media_time: i64,
    pub(super) rate: u32,
}

/// One sample entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryFacts {
    /// Its type: `avc1`, `mp4a`, `encv`, ...
    pub(super) kind: FourCc,
    /// RFC 6381 string; an error says why there is none.
    pub(super) codecs: Result<String, String>,
    /// `sinf`, when encrypted.
    pub(super) protection: Option<crate::cmaf::read::Protection>,
    pub(super) picture: Option<PictureFacts>,
    pub(super) sound: Option<SoundFacts>,
}

/// What a visual sample entry says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PictureFacts {
    pub(super) width: u32,
    pub(super) height: u32,
    /// `pasp`.
    pub(super) pixel_aspect: Option<(u32, u32)>,
    /// `colr` of type `nclx`: primaries, transfer, matrix.
    pub(super) colour: Option<[u8; 3]>,
    /// `full_range_flag` of the same.
    pub(super) full_range: bool,
    /// Parameter sets, for H.264.
    pub(super) avc: Option<AvcFacts>,
    /// The same for HEVC and AV1.
    pub(super) configuration: Option<ConfigurationFacts>,
    /// `mdcv` and `clli` are there.
    pub(super) light: bool,
}

/// `avcC` and the sequence parameter set in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AvcFacts {
    /// `AVCProfileIndication`, compatibility flags, level: as the record's own header has them.
    pub(super) record: [u8; 3],
    /// The same of the first SPS.
    pub(super) sps: Option<[u8; 3]>,
    pub(super) sps_count: usize,
    pub(super) pps_count: usize,
    pub(super) nal_length: usize,
    /// `frame_mbs_only_flag`.
    pub(super) progressive: Option<bool>,
    /// Cropped size.
    pub(super) size: Option<(u32, u32)>,
    /// Sample aspect ratio of the VUI.
    pub(super) pixel_aspect: Option<(u32, u32)>,
    /// Primaries, transfer, matrix of the VUI.
    pub(super) colour: Option<[u8; 3]>,
}

/// What an audio sample entry says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SoundFacts {
    /// Channels, from the decoder's own configuration where it has one.
    pub(super) channels: u32,
    /// Samples a second, likewise.
    pub(super) sample_rate: u32,
    /// Whether Atmos objects are carried beside the channels.
    pub(super) objects: bool,
}

/// One segment, as far as its heads tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SegmentFacts {
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// Types of the top-level boxes in order.
    pub(super) top_level: Vec<FourCc>,
    /// Each `sidx`.
    pub(super) indexes: Vec<IndexFacts>,
    pub(super) fragments: Vec<FragmentFacts>,
    /// Boxes that could not be read.
    pub(super) trouble: Vec<String>,
}

/// `sidx`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct IndexFacts {
    pub(super) timescale: u32,
    pub(super) earliest_presentation_time: u64,
    /// Offset, in the object, of the byte the first reference starts at.
    pub(super) anchor: u64,
    pub(super) references: Vec<crate::cmaf::read::IndexReference>,
}

/// A WebVTT file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TextFacts {
    /// The value of `X-TIMESTAMP-MAP`.
    pub(super) timestamp_map: Option<String>,
    /// Start and end of each cue in milliseconds, as written.
    pub(super) cues: Vec<(u64, u64)>,
    /// Why it could not be read.
    pub(super) trouble: Option<String>,
    /// What players will leave out.
    pub(super) warnings: Vec<String>,
}

/// One `moof` with its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FragmentFacts {
    /// `mfhd` sequence number.
    pub(super) sequence: Option<u32>,
    /// Where `moof` starts in the segment.
    pub(super) moof_at: u64,
    /// Payload of the `mdat` that follows: first byte and the one after the last, in the segment.
    pub(super) mdat: Option<(u64, u64)>,
    pub(super) trafs: Vec<TrafFacts>,
    /// What the head shows of the first samples' bytes, one row a sample, until it ends: NAL unit
    /// types, or for AV1 whether it is a key frame (1) or not (0).
    pub(super) units: Vec<Vec<u8>>,
    /// Closed captions stand in front of one of the first pictures.
    pub(super) has_captions: bool,
}

/// One `traf`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TrafFacts {
    pub(super) track_id: u32,
    pub(super) default_base_is_moof: bool,
    pub(super) base_data_offset: bool,
    pub(super) decode_time: Option<u64>,
    pub(super) runs: Vec<RunFacts>,
    /// Samples that `senc` covers; `None` without one.
    pub(super) encrypted_samples: Option<u64>,
    /// There is a `saiz`, and a `saio`.
    pub(super) auxiliary: (bool, bool),
}

/// One `trun`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RunFacts {
    pub(super) version: u8,
    /// From the start of `moof` (or of the data base).
    pub(super) data_offset: Option<i64>,
    pub(super) samples: Vec<SampleFacts>,
}

/// One sample of a `trun`, defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SampleFacts {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
    pub(super) composition_offset: i64,
}

impl SampleFacts {
    /// `sample_is_non_sync_sample` is not set.
    pub(super) fn is_sync(self) -> bool {
        self.flags & 0x0001_0000 == 0
    }
}

impl InitFacts {
    /// The only track, or the first.
    pub(super) fn track(&self) -> Option<&TrackFacts> {
        self.tracks.first()
    }
}

impl TrackFacts {
    pub(super) fn entry(&self) -> Option<&EntryFacts> {
        self.entries.first()
    }

    pub(super) fn picture(&self) -> Option<&PictureFacts> {
        self.entry()?.picture.as_ref()
    }

    pub(super) fn sound(&self) -> Option<&SoundFacts> {
        self.entry()?.sound.as_ref()
    }

    /// What the edit list cuts off the media's start, in ticks of the media.
    pub(super) fn edit_start(&self) -> i64 {
        let edits = self.edits.as_deref().unwrap_or_default();
        let first = edits.iter().find(|edit| edit.media_time >= 0);
        first.map_or(0, |edit| edit.media_time)
    }
}

impl SegmentFacts {
    /// The first decode time.
    pub(super) fn decode_time(&self) -> Option<u64> {
        self.fragments.first()?.traf()?.decode_time
    }

    /// Sum of the durations of the first track's samples.
    pub(super) fn duration(&self) -> u64 {
        self.fragments.iter().map(FragmentFacts::duration).sum()
    }

    /// Earliest composition time in the first track, before edits.
    pub(super) fn first_presentation(&self) -> Option<i64> {
        self.fragments.first()?.first_presentation()
    }
}

impl FragmentFacts {
    pub(super) fn traf(&self) -> Option<&TrafFacts> {
        self.trafs.first()
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = &SampleFacts> {
        let runs = self.traf().map_or(&[][..], |traf| &traf.runs);
        runs.iter().flat_map(|run| &run.samples)
    }

    pub(super) fn duration(&self) -> u64 {
        self.samples()
            .map(|sample| u64::from(sample.duration))
            .sum()
    }

    fn first_presentation(&self) -> Option<i64> {
        let mut at = i64::try_from(self.traf()?.decode_time?).ok()?;
        let mut earliest = None;
        for sample in self.samples() {
            let shown = at.saturating_add(sample.composition_offset);
            earliest = Some(earliest.map_or(shown, |first: i64| first.min(shown)));
            at = at.saturating_add(i64::from(sample.duration));
        }
        earliest
    }
}
