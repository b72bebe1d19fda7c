//! The one door to FFmpeg. Out go our own types, never one of FFmpeg's.
