//! Work that is asked for: what the queue carries and a worker does. Small values; the plan they
//! speak of is in the store.

use serde::{Deserialize, Serialize};

use super::ChunkSpan;

/// A run of segments to make for some renditions. Renditions are indices into the plan's lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Decode once, encode for each rendition.
    EncodeVideo {
        /// Indices into `plan.video.renditions`.
        renditions: Vec<usize>,
        /// Which segments.
        run: ChunkSpan,
        /// Make the stills of those segments, too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stills: bool,
    },
    /// Repackage the source's own video samples.
    CopyVideo {
        /// Index into `plan.video.renditions`.
        rendition: usize,
        /// Which segments.
        run: ChunkSpan,
    },
    /// Decode once, encode for each rendition. All share one source track.
    EncodeAudio {
        /// Indices into `plan.audio`.
        renditions: Vec<usize>,
        /// Which segments.
        run: ChunkSpan,
    },
    /// Repackage the source's own audio samples.
    CopyAudio {
        /// Index into `plan.audio`.
        rendition: usize,
        /// Which segments.
        run: ChunkSpan,
    },
}

impl Job {
    /// The segments it makes.
    pub fn run(&self) -> ChunkSpan {
        match self {
            Self::EncodeVideo { run, .. }
            | Self::CopyVideo { run, .. }
            | Self::EncodeAudio { run, .. }
            | Self::CopyAudio { run, .. } => *run,
        }
    }
}

/// What a task of the queue asks for, of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Fetch the source from its URL.
    Pull,
    /// Index, plan, publish the manifests.
    Index,
    /// Make one segment that somebody waits for.
    Segment {
        /// The rendition's id.
        track: String,
        /// Segment number, from 1.
        number: u32,
    },
    /// Make a run of segments, as far as they are not stored.
    Make(Job),
    /// Verify, measure, publish the final manifests.
    Finish,
}

impl Work {
    /// How far into its title it reaches: of equally urgent work what is nearer to the start goes
    /// first, so that many titles come forward side by side and a long one keeps no short one
    /// waiting.
    pub fn position(&self) -> u32 {
        match self {
            Self::Make(job) => job.run().first_segment,
            Self::Pull | Self::Index | Self::Segment { .. } | Self::Finish => 0,
        }
    }
}

/// How urgent a task is; the first is the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits for it.
    Demand,
    /// What players ask for first.
    First,
    /// The rest of an upload.
    Fill,
    /// A library run.
    Batch,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Demand, Self::First, Self::Fill, Self::Batch];

    /// Its name, as in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Demand => "demand",
            Self::First => "first",
            Self::Fill => "fill",
            Self::Batch => "batch",
        }
    }

    /// Its rank, from 0 for the most urgent.
    pub fn rank(self) -> u8 {
        match self {
            Self::Demand => 0,
            Self::First => 1,
            Self::Fill => 2,
            Self::Batch => 3,
        }
    }
}
