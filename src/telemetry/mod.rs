//! What the server tells of itself: metrics, the access log, what players report (CMCD), and lines
//! for the operator.
//!
//! Nothing here decides anything, and nothing here waits: what can't be told at once is counted as
//! lost. The one door to `prometheus_client`, which only writes the text; counting is done with
//! plain atomic numbers, because it is done for each request.

mod access;
mod cmcd;
mod cmsd;
mod histogram;
mod labels;
mod metrics;
mod operator;
mod reports;
mod sample;
mod shards;

pub use access::{AccessLog, Entry, Source};
pub use cmcd::{Cmcd, Found as CmcdFound, ObjectType, StreamType, StreamingFormat};
pub use cmsd::{Facts as CmsdFacts, cmsd_static};
pub use histogram::{Counted, Histogram};
pub use labels::{Class, DemandOutcome, Refused, Tls, Version};
pub use metrics::{Answered, Connection, InFlight, Metrics};
pub use operator::tell_operator;
pub use sample::{Format, Sample, Value};
