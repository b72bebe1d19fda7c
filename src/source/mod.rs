//! A source: a local file that was opened once, its ranged reads, and what is learned from its
//! bytes beyond the index.

mod captions;
mod file;
mod gather;
mod inspect;
mod text;

pub use captions::{Captions, may_hold_captions, read_captions};
pub use file::Source;
pub use gather::gather;
pub use inspect::{VideoInspection, inspect_h264};
pub use text::{Files, read_text};
