//! The program from outside: commands a user would run, on real clips, judged by other readers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test says what went wrong by panicking, and compares times as other readers print them"
)]

mod bad_input;
mod bucket;
#[cfg(feature = "transcode")]
mod captions;
#[cfg(feature = "transcode")]
mod changes;
#[cfg(feature = "transcode")]
mod chapters;
#[cfg(feature = "origin")]
mod cloudfront;
#[cfg(feature = "transcode")]
mod codecs;
#[cfg(feature = "transcode")]
mod colours;
mod crash;
#[cfg(feature = "transcode")]
mod descriptions;
mod encryption;
#[cfg(feature = "transcode")]
mod every_clip;
#[cfg(feature = "transcode")]
mod interlace;
#[cfg(feature = "transcode")]
mod joins;
#[cfg(all(feature = "origin", feature = "transcode"))]
mod keys;
#[cfg(all(feature = "origin", feature = "transcode"))]
mod kill;
#[cfg(feature = "transcode")]
mod library;
mod media;
mod moto;
#[cfg(feature = "transcode")]
mod order;
#[cfg(all(feature = "origin", feature = "transcode", feature = "aws"))]
mod origin;
mod packaging;
#[cfg(all(feature = "origin", feature = "transcode"))]
mod publishing;
#[cfg(all(feature = "origin", feature = "transcode", feature = "aws"))]
mod ranged;
#[cfg(all(feature = "origin", feature = "transcode"))]
mod rebuild;
#[cfg(feature = "origin")]
mod server;
#[cfg(feature = "origin")]
mod serving;
#[cfg(all(feature = "origin", feature = "transcode"))]
mod signing;
#[cfg(feature = "transcode")]
mod sound;
mod sources;
mod splits;
#[cfg(feature = "transcode")]
mod stills;
mod support;
#[cfg(feature = "transcode")]
mod sync;
#[cfg(feature = "transcode")]
mod text;
#[cfg(all(feature = "origin", feature = "transcode"))]
mod uploads;
#[cfg(feature = "transcode")]
mod upright;
mod usage;
#[cfg(all(feature = "origin", feature = "transcode", feature = "postgres"))]
mod workers;
