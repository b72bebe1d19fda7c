//! What goes on beside requests and tasks.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::ingest::Ingest;
use crate::media::Asset;
use crate::telemetry::tell_operator;
use crate::worker::Pull;

/// How often leftovers of uploads are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Clears away uploads that expired, for as long as it is polled.
pub(super) async fn sweep(ingest: Ingest) {
    let mut beat = tokio::time::interval(SWEEP);
    // What a stop left was swept at the start.
    beat.tick().await;
    loop {
        beat.tick().await;
        if let Err(e) = ingest.sweep().await {
            tell_operator("server", &format!("sweeping uploads failed: {e}"));
        }
    }
}

/// How workers fetch sources from their URLs.
pub(super) fn pull(ingest: &Ingest) -> Pull {
    let ingest = ingest.clone();
    Arc::new(move |asset: Asset, stop: Arc<AtomicBool>| {
        let ingest = ingest.clone();
        Box::pin(async move { ingest.pull(&asset.id, &stop, &|_| {}).await })
    })
}
