//! Headwater turns video files into HLS and DASH streams and is the origin that a CDN pulls them
//! from.
//!
//! Read the modules in this order, which is also the order of the floors: a module imports only
//! from floors above it in this list, and modules on one floor don't know each other.
//! `tests/floors.rs` checks that.

// floor 0
pub mod clock;
pub mod error;
pub mod read_at;
pub mod time;

// floor 1
pub mod media;

// floor 2
pub mod bandwidth;
pub mod cipher;
pub mod codec;
pub mod layout;
pub mod loudness;
pub mod pssh;
#[cfg(feature = "origin")]
pub mod telemetry;

// floor 3
pub mod cmaf;
pub mod dash;
pub mod hls;
pub mod plan;
pub mod segmenter;
#[cfg(feature = "origin")]
pub mod signing;
pub mod text;
#[cfg(feature = "origin")]
pub mod tls;

// floor 4
#[cfg(feature = "origin")]
pub mod catalog;
#[cfg(feature = "transcode")]
pub mod ffmpeg;
pub mod keys;
pub mod store;
pub mod verify;

// floor 5
#[cfg(feature = "origin")]
pub mod asset_view;
#[cfg(feature = "origin")]
pub mod outbound;
#[cfg(feature = "origin")]
pub mod problem;
#[cfg(feature = "origin")]
pub mod queue;
pub mod sandbox;
pub mod source;

// floor 6
#[cfg(feature = "origin")]
pub mod access;
#[cfg(feature = "origin")]
pub mod cloudfront;
pub mod package;

// floor 7
#[cfg(feature = "origin")]
pub mod ingest;
pub mod library;
#[cfg(feature = "origin")]
pub mod origin;
#[cfg(feature = "origin")]
pub mod ui;
#[cfg(feature = "origin")]
pub mod worker;

// floor 8
#[cfg(feature = "origin")]
pub mod api;
#[cfg(feature = "origin")]
pub mod config;
#[cfg(feature = "origin")]
pub mod wire;

// floor 9
#[cfg(feature = "origin")]
pub mod server;

// floor 10
pub mod cli;
