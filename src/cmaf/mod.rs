//! CMAF (ISO/IEC 23000-19) on the ISO base media file format (ISO/IEC 14496-12): samples to bytes
//! and bytes to samples.

pub mod boxes;
pub mod dump;
mod fields;
pub mod fragment;
pub mod init_segment;
pub mod read;
mod tree;

#[cfg(test)]
mod tests;
