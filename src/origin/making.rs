//! What is planned and not stored yet: it is demanded from the queue, and the request waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::cache::Object;
use super::path::Deliverable;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::layout::{Key, THUMBNAILS_FOLDER, is_of_stills};
use crate::media::{Asset, AssetId, AssetState, RenditionSummary};
use crate::queue::Queue;
use crate::queue::demand::Wanted;
use crate::telemetry::DemandOutcome;

/// Makes what is planned and not there yet.
#[derive(Debug)]
pub struct Making {
    /// What is planned.
    pub catalog: Catalog,
    /// Who makes it.
    pub queue: Queue,
    /// How long a request waits for it.
    pub patience: Duration,
}

/// What came of looking for an object.
pub(super) enum Found {
    Object(Arc<Object>),
    Nothing,
    /// It is planned, and isn't there within the time.
    BeingMade,
}

pub(super) fn asset_id(folder: &str) -> Option<AssetId> {
    let id = folder.strip_prefix("v/")?.strip_suffix('/')?;
    AssetId::parse(id).ok()
}

impl Making {
    /// What `wanted` is to the queue, if some asset has it planned.
    async fn planned(&self, wanted: &Deliverable) -> Result<Option<Wanted>> {
        let Some((revision, track, number)) = piece(&wanted.key) else {
            return Ok(None);
        };
        let Some(id) = asset_id(&wanted.folder) else {
            return Ok(None);
        };
        let Some(asset) = self.catalog.asset(&id).await? else {
            return Ok(None);
        };
        let planned = asset.revision.as_deref() == Some(revision) && has(&asset, track, number);
        Ok(planned.then(|| Wanted {
            asset: id,
            track: track.to_owned(),
            number,
        }))
    }
}

/// What can be made by itself: its revision, its track or folder, its number.
fn piece(key: &Key) -> Option<(&str, &str, u32)> {
    match key {
        Key::Segment {
            revision,
            track,
            number,
        } => Some((revision, track, *number)),
        Key::Thumbnail { revision, number } => Some((revision, THUMBNAILS_FOLDER, *number)),
        _ => None,
    }
}

/// Whether an asset has, or may have, such a piece. What it has of stills only the plan knows: who
/// makes it looks there. No list names them before the asset is complete.
fn has(asset: &Asset, track: &str, number: u32) -> bool {
    let listed = |rendition: &RenditionSummary| {
        rendition.id == track && (1..=rendition.segments).contains(&number)
    };
    match asset.state {
        AssetState::Complete if is_of_stills(track) => number <= most_stills(asset),
        AssetState::Ready | AssetState::Complete => asset.renditions.iter().any(listed),
        _ => false,
    }
}

/// No still stands for less than about a second, and no segment is without one.
fn most_stills(asset: &Asset) -> u32 {
    let segments = asset.renditions.iter().map(|rendition| rendition.segments);
    let seconds = asset.duration_s.unwrap_or(0.0).clamp(0.0, 1e9);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what fits"
    )]
    let seconds = seconds as u32;
    segments.max().unwrap_or(0).max(seconds.saturating_mul(2))
}

impl Shared {
    /// The object, made if it is planned.
    pub(super) async fn find_or_make(&self, wanted: &Deliverable) -> Result<Found> {
        if let Some(object) = self.find(wanted).await? {
            return Ok(Found::Object(object));
        }
        let Some(making) = &self.making else {
            return Ok(Found::Nothing);
        };
        let Some(segment) = making.planned(wanted).await? else {
            return Ok(Found::Nothing);
        };
        let object = format!("{}{}", wanted.folder, wanted.key);
        let store = self.cache.store();
        let is_stored = || async { Ok(store.size(&object).await?.is_some()) };
        let since = Instant::now();
        let made = making
            .queue
            .demand(&segment, making.patience, is_stored)
            .await;
        let outcome = match made {
            Ok(true) => DemandOutcome::Made,
            Ok(false) => DemandOutcome::Late,
            Err(_) => DemandOutcome::Failed,
        };
        let waited = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.metrics.demand_waited(outcome, waited);
        if !made? {
            return Ok(Found::BeingMade);
        }
        self.cache.forget_absence(&object);
        Ok(match self.find(wanted).await? {
            Some(object) => Found::Object(object),
            // Removed again meanwhile.
            None => Found::Nothing,
        })
    }
}
