//! The one door to object storage.
