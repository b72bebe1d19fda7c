//! The nouns of the program: what a source holds, what was planned, what was made.
//!
//! Values only. Nothing here reads a file, knows a container or draws a conclusion; every later
//! floor speaks in these types.

mod asset;
mod chapter;
mod disposition;
mod language;
mod level;
mod light;
mod order;
mod plan;
mod policy;
mod presentation;
mod protection;
mod reconfiguration;
mod reordered;
mod sample;
mod scan;
mod sound_poster;
mod source_index;
mod stills;
mod task;
mod text;
mod track;
mod video_codec;
mod video_set;
mod work;

pub use asset::*;
pub use chapter::*;
pub use disposition::*;
pub use language::*;
pub use level::*;
pub use light::*;
pub use order::*;
pub use plan::*;
pub use policy::*;
pub use presentation::*;
pub use protection::*;
pub use reconfiguration::*;
pub use sample::*;
pub use scan::*;
pub use sound_poster::*;
pub use source_index::*;
pub use stills::*;
pub use task::*;
pub use text::*;
pub use track::*;
pub use video_codec::*;
pub use video_set::*;
pub use work::*;
