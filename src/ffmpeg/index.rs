//! stub
use crate::error::Result;
use crate::media::{IndexTask, SourceIndex, TaskFiles, TaskOutput};
pub(super) fn run(_: &IndexTask, _: &TaskFiles, _: &dyn TaskOutput) -> Result<SourceIndex> {
    Err(crate::error::Error::internal("x"))
}
