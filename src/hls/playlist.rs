//! Playlists as they were read: what each tag says, typed, beside the raw lines.

use super::attributes::AttributeList;
use super::read::{Document, Tag};
use crate::time::Ticks;

/// A playlist of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playlist {
    /// Names variants and renditions.
    Multivariant(MultivariantPlaylist),
    /// Names segments.
    Media(MediaPlaylist),
}

impl Playlist {
    /// All its lines.
    pub fn document(&self) -> &Document {
        match self {
            Self::Multivariant(playlist) => &playlist.document,
            Self::Media(playlist) => &playlist.document,
        }
    }
}

/// A multivariant playlist (R 4.4.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultivariantPlaylist {
    /// All its lines.
    pub document: Document,
    /// `EXT-X-VERSION`, the first.
    pub version: Option<u64>,
    /// `EXT-X-INDEPENDENT-SEGMENTS` is there.
    pub independent_segments: bool,
    /// `EXT-X-STREAM-INF` with its URI line, in order.
    pub variants: Vec<Variant>,
    /// `EXT-X-I-FRAME-STREAM-INF`, in order.
    pub i_frame_variants: Vec<Variant>,
    /// `EXT-X-IMAGE-STREAM-INF` (Roku), in order.
    pub image_variants: Vec<Variant>,
    /// `EXT-X-MEDIA`, in order.
    pub renditions: Vec<Rendition>,
    /// `EXT-X-SESSION-KEY`, in order.
    pub session_keys: Vec<Key>,
    /// `EXT-X-SESSION-DATA`, in order.
    pub session_data: Vec<Tag>,
    /// `EXT-X-CONTENT-STEERING`, the first.
    pub content_steering: Option<Tag>,
}

impl MultivariantPlaylist {
    /// Renditions of that type (`AUDIO`, `SUBTITLES`, ...) and group.
    pub fn group<'a>(
        &'a self,
        media_type: &'a str,
        group_id: &'a str,
    ) -> impl Iterator<Item = &'a Rendition> + 'a {
        self.renditions
            .iter()
            .filter(move |r| r.media_type() == Some(media_type) && r.group_id() == Some(group_id))
    }
}

/// A variant stream: `EXT-X-STREAM-INF`, `EXT-X-I-FRAME-STREAM-INF` or `EXT-X-IMAGE-STREAM-INF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Line of the tag, from 1.
    pub line: usize,
    /// The URI: of the next line, or for the latter two of the `URI` attribute. Empty if missing.
    pub uri: String,
    /// All attributes.
    pub attributes: AttributeList,
}

impl Variant {
    /// `BANDWIDTH`, bits a second.
    pub fn bandwidth_bps(&self) -> Option<u64> {
        self.attributes.integer("BANDWIDTH")
    }

    /// `AVERAGE-BANDWIDTH`, bits a second.
    pub fn average_bandwidth_bps(&self) -> Option<u64> {
        self.attributes.integer("AVERAGE-BANDWIDTH")
    }

    /// `CODECS` as written.
    pub fn codecs(&self) -> Option<&str> {
        self.attributes.text("CODECS")
    }

    /// The formats that `CODECS` lists.
    pub fn codec_list(&self) -> impl Iterator<Item = &str> {
        self.codecs()
            .into_iter()
            .flat_map(|codecs| codecs.split(','))
            .map(str::trim)
            .filter(|codec| !codec.is_empty())
    }

    /// `RESOLUTION`, width and height in pixels.
    pub fn resolution(&self) -> Option<(u32, u32)> {
        self.attributes.resolution("RESOLUTION")
    }

    /// `FRAME-RATE`, thousandths of a frame a second.
    pub fn frame_rate_thousandths(&self) -> Option<u64> {
        self.attributes.thousandths("FRAME-RATE")
    }

    /// `FRAME-RATE` as written.
    pub fn frame_rate_text(&self) -> Option<&str> {
        self.attributes.text("FRAME-RATE")
    }

    /// `VIDEO-RANGE`: `SDR`, `HLG`, `PQ`.
    pub fn video_range(&self) -> Option<&str> {
        self.attributes.text("VIDEO-RANGE")
    }

    /// `AUDIO`, a group id.
    pub fn audio(&self) -> Option<&str> {
        self.attributes.text("AUDIO")
    }

    /// `VIDEO`, a group id.
    pub fn video(&self) -> Option<&str> {
        self.attributes.text("VIDEO")
    }

    /// `SUBTITLES`, a group id.
    pub fn subtitles(&self) -> Option<&str> {
        self.attributes.text("SUBTITLES")
    }

    /// `CLOSED-CAPTIONS`: a group id (quoted) or `NONE`.
    pub fn closed_captions(&self) -> Option<&str> {
        self.attributes.text("CLOSED-CAPTIONS")
    }
}

/// A rendition: `EXT-X-MEDIA` (R 4.4.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Line of the tag, from 1.
    pub line: usize,
    /// All attributes.
    pub attributes: AttributeList,
}

impl Rendition {
    /// `TYPE`: `AUDIO`, `VIDEO`, `SUBTITLES`, `CLOSED-CAPTIONS`.
    pub fn media_type(&self) -> Option<&str> {
        self.attributes.text("TYPE")
    }

    /// `GROUP-ID`.
    pub fn group_id(&self) -> Option<&str> {
        self.attributes.text("GROUP-ID")
    }

    /// `NAME`.
    pub fn name(&self) -> Option<&str> {
        self.attributes.text("NAME")
    }

    /// `LANGUAGE`.
    pub fn language(&self) -> Option<&str> {
        self.attributes.text("LANGUAGE")
    }

    /// `URI`.
    pub fn uri(&self) -> Option<&str> {
        self.attributes.text("URI")
    }

    /// `DEFAULT`, absent means no.
    pub fn is_default(&self) -> bool {
        self.attributes.yes_no("DEFAULT") == Some(true)
    }

    /// `AUTOSELECT`, absent means no.
    pub fn is_autoselect(&self) -> bool {
        self.attributes.yes_no("AUTOSELECT") == Some(true)
    }

    /// `FORCED`, absent means no.
    pub fn is_forced(&self) -> bool {
        self.attributes.yes_no("FORCED") == Some(true)
    }

    /// `CHANNELS` as written.
    pub fn channels(&self) -> Option<&str> {
        self.attributes.text("CHANNELS")
    }

    /// The first parameter of `CHANNELS`: the number of channels.
    pub fn channel_count(&self) -> Option<u32> {
        self.channels()?.split('/').next()?.parse().ok()
    }

    /// `CHARACTERISTICS` as written.
    pub fn characteristics(&self) -> Option<&str> {
        self.attributes.text("CHARACTERISTICS")
    }
}

/// A key: `EXT-X-KEY` or `EXT-X-SESSION-KEY` (R 4.4.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Line of the tag, from 1.
    pub line: usize,
    /// All attributes.
    pub attributes: AttributeList,
}

impl Key {
    /// `METHOD`: `NONE`, `AES-128`, `SAMPLE-AES`, `SAMPLE-AES-CTR`.
    pub fn method(&self) -> Option<&str> {
        self.attributes.text("METHOD")
    }

    /// `KEYFORMAT`; `identity` when absent.
    pub fn key_format(&self) -> &str {
        self.attributes.text("KEYFORMAT").unwrap_or("identity")
    }

    /// `URI`.
    pub fn uri(&self) -> Option<&str> {
        self.attributes.text("URI")
    }
}

/// `EXT-X-PLAYLIST-TYPE` (R 4.4.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaylistType {
    /// Never changes.
    Vod,
    /// Only grows.
    Event,
    /// Something the specification doesn't know.
    Other(String),
}

/// A media playlist (R 4.4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPlaylist {
    /// All its lines.
    pub document: Document,
    /// `EXT-X-VERSION`, the first.
    pub version: Option<u64>,
    /// `EXT-X-TARGETDURATION`, the first, whole seconds.
    pub target_duration: Option<u64>,
    /// `EXT-X-MEDIA-SEQUENCE`, 0 when absent.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`, 0 when absent.
    pub discontinuity_sequence: u64,
    /// `EXT-X-PLAYLIST-TYPE`, the first.
    pub playlist_type: Option<PlaylistType>,
    /// `EXT-X-ENDLIST` is there.
    pub end_list: bool,
    /// `EXT-X-INDEPENDENT-SEGMENTS` is there.
    pub independent_segments: bool,
    /// `EXT-X-I-FRAMES-ONLY` is there.
    pub i_frames_only: bool,
    /// `EXT-X-IMAGES-ONLY` (Roku) is there.
    pub images_only: bool,
    /// Every `EXT-X-MAP`, in order.
    pub maps: Vec<Map>,
    /// Every `EXT-X-KEY`, in order.
    pub keys: Vec<Key>,
    /// Every `EXT-X-DATERANGE`, in order.
    pub date_ranges: Vec<Tag>,
    /// The segments, in order.
    pub segments: Vec<Segment>,
}

impl MediaPlaylist {
    /// The map that applies to a segment of this playlist.
    pub fn map_of(&self, segment: &Segment) -> Option<&Map> {
        self.maps.get(segment.map?)
    }

    /// Sum of all segment durations, nanoseconds.
    pub fn duration_nanos(&self) -> u128 {
        let nanos = |s: &Segment| u128::from(s.duration.count.unsigned_abs());
        self.segments.iter().map(nanos).sum()
    }
}

/// An init segment: `EXT-X-MAP` (R 4.4.4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Line of the tag, from 1.
    pub line: usize,
    /// `URI`; empty if missing.
    pub uri: String,
    /// `BYTERANGE`.
    pub byte_range: Option<ByteRange>,
    /// All attributes.
    pub attributes: AttributeList,
}

/// A range of bytes in an object (R 4.4.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Length in bytes.
    pub length: u64,
    /// Offset of its first byte: as written, or else where the sub-range before it in the same
    /// object ended. `None` when it is neither written nor implied, which R 4.4.4.2 forbids.
    pub offset: Option<u64>,
    /// Whether the offset was written.
    pub offset_written: bool,
}

/// A media segment (R 4.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Line of the URI, from 1.
    pub line: usize,
    /// Media sequence number.
    pub sequence_number: u64,
    /// The URI as written.
    pub uri: String,
    /// `EXTINF` in nanoseconds (more than nine decimals are rounded). Zero when it is missing or
    /// no number, which the document's problems tell.
    pub duration: Ticks,
    /// `EXTINF`'s number as written; empty when missing. With a `.` in it, it is a float (H02).
    pub duration_text: String,
    /// `EXTINF`'s title.
    pub title: String,
    /// `EXT-X-BYTERANGE`.
    pub byte_range: Option<ByteRange>,
    /// `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// `EXT-X-GAP` stands before it.
    pub gap: bool,
    /// `EXT-X-PROGRAM-DATE-TIME` as written.
    pub program_date_time: Option<String>,
    /// Index into [`MediaPlaylist::maps`].
    pub map: Option<usize>,
    /// Indices into [`MediaPlaylist::keys`] of those that apply: one per key format.
    pub keys: Vec<usize>,
    /// `EXT-X-BITRATE` that applies, kilobits a second.
    pub bitrate_kbps: Option<u64>,
}

impl Segment {
    /// Whether `EXTINF` was written with a decimal point (needs version 3, rule H02).
    pub fn duration_is_float(&self) -> bool {
        self.duration_text.contains('.')
    }
}
