//! The media child end to end, on real clips, judged by FFmpeg's own programs; and what it must
//! never do.
//!
//! Clips are read from `HEADWATER_MEDIA`, else from `../shared/media`; tests whose clip is not
//! there say so and pass.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::wildcard_imports,
    reason = "helpers of tests, which may panic and print"
)]

#[path = "media/support.rs"]
mod support;

#[path = "media/audio.rs"]
mod audio;
#[path = "media/index.rs"]
mod index;
#[path = "media/security.rs"]
mod security;
#[path = "media/video.rs"]
mod video;
