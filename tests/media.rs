//! The media child end to end, on real clips, judged by FFmpeg's own programs; and what it must
//! never do.
//!
//! Clips are read from `HEADWATER_MEDIA`, else from `../shared/media`; tests whose clip is not
//! there say so and pass.

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
