//! After a start: everything that was on its way goes on.

use crate::catalog::Catalog;
use crate::error::Result;
use crate::media::{AssetState, Priority, Work};
use crate::queue::{NewTask, Queue};

/// Queues again what was running when the last server stopped, and asks anew for what its assets
/// still need: a task that is queued already is not queued twice, and one that finds everything
/// stored ends at once.
pub(super) async fn resume(catalog: &Catalog, queue: &Queue) -> Result<()> {
    queue.recover().await?;
    let needs = [
        (AssetState::Uploading, Work::Pull, "pull"),
        (AssetState::Indexing, Work::Index, "index"),
        (AssetState::Ready, Work::Index, "index"),
    ];
    for (state, work, key) in needs {
        for asset in catalog.assets_in(state).await? {
            if work == Work::Pull && asset.source_url.is_none() {
                // An upload: its client sends the rest, or it expires.
                continue;
            }
            let task = NewTask {
                work: work.clone(),
                priority: Priority::First,
                key: Some(key.to_owned()),
                last: false,
            };
            queue.enqueue(&asset.id, &[task]).await?;
        }
    }
    Ok(())
}
