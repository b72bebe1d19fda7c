//! What is counted in the catalog: what there is to do, and assets by state. An autoscaler goes by
//! it.

use crate::catalog::Catalog;
use crate::error::Result;
use crate::media::{AssetState, Priority};
use crate::queue::{Depth, Queue};
use crate::telemetry::Sample;

/// All of it, as of now.
///
/// # Errors
/// When the catalog is away.
pub(super) async fn samples(catalog: &Catalog, queue: &Queue) -> Result<Vec<Sample>> {
    let mut samples = tasks(&queue.depth().await?);
    let counts = catalog.count_by_state().await?;
    for state in AssetState::ALL {
        let found = counts.iter().find(|(of, _)| *of == state);
        let count = found.map_or(0, |(_, count)| *count);
        let sample = gauge("headwater_assets", "Assets by state.", count);
        samples.push(sample.label("state", state.name()));
    }
    Ok(samples)
}

fn tasks(depth: &Depth) -> Vec<Sample> {
    let mut samples = vec![
        gauge("headwater_tasks_queued", "Tasks that wait.", depth.queued),
        gauge(
            "headwater_tasks_running",
            "Tasks being done.",
            depth.running,
        ),
        gauge("headwater_tasks_dead", "Tasks given up.", depth.dead),
        Sample::gauge(
            "headwater_tasks_oldest_seconds",
            "Age of the task that waits longest.",
            depth.oldest_queued_millis / 1000,
        ),
    ];
    let each = || Priority::ALL.iter().zip(&depth.by_priority);
    samples.extend(each().map(|(priority, waiting)| {
        let help = "Tasks that wait, by priority.";
        let sample = gauge("headwater_tasks_waiting", help, waiting.queued);
        sample.label("priority", priority.name())
    }));
    samples.extend(each().map(|(priority, waiting)| {
        let (name, help) = (
            "headwater_tasks_waiting_oldest_seconds",
            "Age of the task that waits longest, by priority.",
        );
        let sample = Sample::gauge(name, help, waiting.oldest_millis / 1000);
        sample.label("priority", priority.name())
    }));
    samples
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Sample {
    Sample::gauge(name, help, i64::try_from(value).unwrap_or(i64::MAX))
}
