//! HLS playlists (draft-pantos-hls-rfc8216bis, "R" below): written from a presentation, and read.
//!
//! The writers are pure functions of a [`crate::media::Presentation`] and byte-deterministic: every
//! attribute list is ordered. The reader is lenient and keeps everything with its line number, so
//! that rules such as "no attribute twice" can be judged by whoever reads, for playlists that we
//! did not write too.

mod attributes;
mod chapters;
mod check;
mod keys;
mod media_playlist;
mod multivariant;
mod playlist;
mod read;
mod stills;

pub use attributes::{Attribute, AttributeList};
pub use chapters::{CHAPTERS_DATA_ID, chapters_json};
pub use check::check;
pub use media_playlist::{media_playlist, target_duration, text_playlist};
pub use multivariant::{first_variant, multivariant};
pub use playlist::{
    ByteRange, Key, Map, MediaPlaylist, MultivariantPlaylist, Playlist, PlaylistType, Rendition,
    Segment, Variant,
};
pub use read::{
    Document, Line, LineContent, MAX_PLAYLIST_BYTES, MAX_PLAYLIST_LINES, Problem, Tag, read,
};
pub use stills::{i_frame_playlist, image_playlist, still_target_duration, thumbnail_playlist};

/// The names of the tags (R 4.4).
mod tag {
    pub(super) const M3U: &str = "EXTM3U";
    pub(super) const VERSION: &str = "EXT-X-VERSION";
    pub(super) const INDEPENDENT_SEGMENTS: &str = "EXT-X-INDEPENDENT-SEGMENTS";
    pub(super) const EXTINF: &str = "EXTINF";
    pub(super) const BYTERANGE: &str = "EXT-X-BYTERANGE";
    pub(super) const DISCONTINUITY: &str = "EXT-X-DISCONTINUITY";
    pub(super) const KEY: &str = "EXT-X-KEY";
    pub(super) const MAP: &str = "EXT-X-MAP";
    pub(super) const PROGRAM_DATE_TIME: &str = "EXT-X-PROGRAM-DATE-TIME";
    pub(super) const GAP: &str = "EXT-X-GAP";
    pub(super) const DATERANGE: &str = "EXT-X-DATERANGE";
    pub(super) const TARGET_DURATION: &str = "EXT-X-TARGETDURATION";
    pub(super) const MEDIA_SEQUENCE: &str = "EXT-X-MEDIA-SEQUENCE";
    pub(super) const DISCONTINUITY_SEQUENCE: &str = "EXT-X-DISCONTINUITY-SEQUENCE";
    pub(super) const ENDLIST: &str = "EXT-X-ENDLIST";
    pub(super) const PLAYLIST_TYPE: &str = "EXT-X-PLAYLIST-TYPE";
    pub(super) const I_FRAMES_ONLY: &str = "EXT-X-I-FRAMES-ONLY";
    pub(super) const IMAGES_ONLY: &str = "EXT-X-IMAGES-ONLY";
    pub(super) const TILES: &str = "EXT-X-TILES";
    pub(super) const MEDIA: &str = "EXT-X-MEDIA";
    pub(super) const STREAM_INF: &str = "EXT-X-STREAM-INF";
    pub(super) const I_FRAME_STREAM_INF: &str = "EXT-X-I-FRAME-STREAM-INF";
    pub(super) const IMAGE_STREAM_INF: &str = "EXT-X-IMAGE-STREAM-INF";
    pub(super) const SESSION_DATA: &str = "EXT-X-SESSION-DATA";
    pub(super) const SESSION_KEY: &str = "EXT-X-SESSION-KEY";
    pub(super) const CONTENT_STEERING: &str = "EXT-X-CONTENT-STEERING";
    pub(super) const BITRATE: &str = "EXT-X-BITRATE";

    /// Tags whose value is an attribute list (R 4.2), theirs and those of Roku's image playlists.
    pub(super) const WITH_ATTRIBUTES: &[&str] = &[
        KEY,
        MAP,
        DATERANGE,
        MEDIA,
        STREAM_INF,
        I_FRAME_STREAM_INF,
        IMAGE_STREAM_INF,
        SESSION_DATA,
        SESSION_KEY,
        CONTENT_STEERING,
        "EXT-X-START",
        "EXT-X-DEFINE",
        "EXT-X-SERVER-CONTROL",
        "EXT-X-PART",
        "EXT-X-PART-INF",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-RENDITION-REPORT",
        "EXT-X-SKIP",
        TILES,
    ];
}
