//! After a start: everything that was on its way goes on.

use crate::catalog::Catalog;
use crate::error::Result;
use crate::ingest::Ingest;
use crate::media::{AssetState, Priority, Work};
use crate::queue::{NewTask, Queue};

/// Queues again what was running when the last server stopped, and asks anew for what assets still
/// need: a task that is queued already is not queued twice, and one that finds everything stored
/// ends at once.
pub(super) async fn resume(catalog: &Catalog, queue: &Queue, ingest: &Ingest) -> Result<()> {
    if !catalog.is_shared() {
        // Where others share the catalog, what this one was doing lapses with its leases.
        queue.recover().await?;
    }
    ingest.recover().await?;
    if catalog.is_shared() {
        // Their tasks are in the catalog, and other machines are at them.
        return Ok(());
    }
    for asset in catalog.assets_in(AssetState::Ready).await? {
        let task = NewTask::of(Work::Index, Priority::First);
        queue.enqueue(&asset.id, &[task]).await?;
    }
    Ok(())
}
