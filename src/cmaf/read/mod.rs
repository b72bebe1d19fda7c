//! A lenient reader of init segments and media segments, our own and foreign: it reports what the
//! boxes say and leaves the judgement to its caller.
//!
//! It is not a demultiplexer: it works on bytes in memory and never returns media data, only
//! where it is. Section numbers are those of ISO/IEC 14496-12:2022 unless another standard is
//! named.

mod headers;
mod init;
mod segment;

pub use headers::*;
pub use init::*;
pub use segment::*;

pub use super::tree::{BoxNode, BoxTree, box_tree};
