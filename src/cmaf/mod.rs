//! CMAF (ISO/IEC 23000-19) on the ISO base media file format (ISO/IEC 14496-12): samples to bytes
//! and bytes to samples.

pub mod boxes;
pub mod dump;
pub mod encrypt;
mod fields;
pub mod fragment;
pub mod init_segment;
pub mod movie;
pub mod protection;
pub mod read;
mod tree;
pub mod video_config;

#[cfg(test)]
mod tests;
