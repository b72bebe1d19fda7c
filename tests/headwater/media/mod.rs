//! The media child end to end, on real clips, judged by FFmpeg's own programs; and what it must
//! never do. Tests whose clip is not there say so and pass.

#![allow(
    clippy::float_cmp,
    reason = "times that FFmpeg printed are compared as it printed them"
)]

mod audio;
mod configure;
mod expected;
mod index;
mod security;
mod sound_poster;
mod support;
mod video;
