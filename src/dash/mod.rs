//! DASH manifests (ISO/IEC 23009-1, "MPD"): written from a presentation, and read.
//!
//! The writer is a pure function of a [`crate::media::Presentation`] and byte-deterministic. The
//! reader resolves what DASH inherits from level to level and keeps the whole element tree, so
//! that rules about where something is written can be judged, for MPDs that we did not write too.

mod addressing;
mod duration;
mod element;
mod mpd;
mod protection;
mod read;
mod timeline;
mod write;

pub use addressing::{
    Addressing, ObjectRange, SegmentBase, SegmentList, SegmentRef, SegmentTemplate, TemplateValues,
    expand_template,
};
pub use duration::{format_duration, parse_duration};
pub use element::{Element, MAX_MPD_BYTES};
pub use mpd::{AdaptationSet, Common, Descriptor, Mpd, Period, Problem, Representation};
pub use read::read;
pub use timeline::{Timeline, TimelineEntry, TimelineSegment};
pub use write::mpd;
