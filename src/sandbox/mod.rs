//! The media child: a process without files, network or privileges, in which all decoding and
//! encoding happens. How it is started, confined, talked to and ended.
//!
//! A child gets the source as an open descriptor and a task in words; it gives encoded samples
//! over a pipe. If it crashes, hangs or eats its memory, its task fails and nothing else does.

pub mod child;
mod launcher;
mod lockdown;
mod protocol;

use std::path::PathBuf;
use std::time::Duration;

pub use launcher::Launcher;
pub use lockdown::self_test;
pub use protocol::Layers;

/// File name of the child's program.
pub const PROGRAM: &str = "headwater-media";

/// How children are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The child's program; `None` for the one beside this program.
    pub program: Option<PathBuf>,
    /// Refuse to run where a layer of confinement is missing.
    pub strict: bool,
    /// Address space a child may have, in bytes.
    pub memory_limit_bytes: u64,
    /// Processor seconds a child may use; `None` for no limit.
    pub cpu_seconds: Option<u64>,
    /// How long a child may be silent before it is ended.
    pub stall: Duration,
    /// How far a child steps back for others, as `nice` has it: 0 (not at all) to 19.
    pub nice: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: None,
            strict: false,
            memory_limit_bytes: 6 << 30,
            cpu_seconds: None,
            stall: Duration::from_secs(60),
            nice: 0,
        }
    }
}
