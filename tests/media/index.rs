//! Index tasks.
