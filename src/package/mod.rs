//! The verb: from a source to a published presentation.
