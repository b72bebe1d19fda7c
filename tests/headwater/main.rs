//! The program from outside: commands a user would run, on real clips, judged by other readers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "a test says what went wrong by panicking"
)]

mod bad_input;
mod bucket;
mod clips;
mod crash;
mod packaging;
mod serving;
mod sources;
mod splits;
mod support;
mod usage;
