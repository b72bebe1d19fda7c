//! Headwater turns video files into HLS and DASH streams and is the origin that a CDN pulls them
//! from.
//!
//! Read the modules in this order, which is also the order of the floors: a module imports only
//! from floors above it in this list, and modules on one floor don't know each other.
//! `tests/floors.rs` checks that.

// floor 0
pub mod error;
pub mod read_at;
pub mod time;

// floor 1
pub mod media;

// floor 2
pub mod bandwidth;
pub mod codec;
pub mod layout;

// floor 3
pub mod cmaf;
pub mod dash;
pub mod hls;
pub mod plan;
pub mod segmenter;

// floor 4
#[cfg(feature = "transcode")]
pub mod ffmpeg;
pub mod store;
pub mod verify;

// floor 5
pub mod sandbox;
pub mod source;

// floor 6
pub mod package;

// floor 7
#[cfg(feature = "origin")]
pub mod origin;

// floor 9
pub mod cli;
