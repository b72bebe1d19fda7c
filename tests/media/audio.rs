//! Audio tasks.
