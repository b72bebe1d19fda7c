//! A catalog made anew of what the store holds: what `headwater catalog rebuild` does.
//!
//! The store has a card of every asset that was ever playable. Together with records and segments it
//! says all that the catalog said of an asset. What it can't say is lost with the catalog: API keys,
//! webhooks, uploads that were under way.

use std::path::Path;

use serde::Serialize;

use super::{data_folder, lock, options, runtime};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{CARD_NAME, Key, SOURCES_FOLDER, source_folder, source_key};
use crate::media::{Asset, AssetId, AssetState, Presentation, Priority, Work};
use crate::package;
use crate::queue::{self, NewTask, Queue};
use crate::store::{BlockingStore, Store};
use crate::worker::Card;

/// What became of the assets that a store knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rebuilt {
    /// Listed again, complete.
    pub complete: Vec<AssetId>,
    /// Listed again; what they lack is made by the next server.
    pub unfinished: Vec<AssetId>,
    /// Listed already, and left as they are.
    pub known: Vec<AssetId>,
    /// Not listed, and why.
    pub left_out: Vec<LeftOut>,
}

/// An asset that isn't listed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its folder in the store.
    pub folder: String,
    /// What it lacks.
    pub reason: String,
}

/// Lists all assets of the store that the catalog doesn't know; only says which if `change` is
/// `false`.
///
/// # Errors
/// `Unavailable` when a server has the folder (it may be looked at then, but nothing be changed), or
/// when store or catalog are away.
pub fn rebuild(config: &Config, change: bool) -> Result<Rebuilt> {
    let data = data_folder(config)?;
    let _lock = change.then(|| lock(&data)).transpose()?;
    let runtime = runtime()?;
    let place = options::catalog_place(config, &data)?;
    let clock = Clock::system();
    let catalog = runtime.block_on(Catalog::open(&place, clock.clone()))?;
    let queue = Queue::new(catalog.clone(), clock, queue::Options::default());
    let store = BlockingStore::new(Store::open(&options::store_place(config, &data))?)?;
    let mut rebuilt = Rebuilt::default();
    for asset in carded(&store)? {
        if runtime.block_on(catalog.asset(&asset))?.is_some() {
            rebuilt.known.push(asset);
            continue;
        }
        match find(&store, &data, &asset) {
            Ok((row, card)) => {
                if change {
                    runtime.block_on(list(&catalog, &queue, &row, &card))?;
                }
                let place = match row.state {
                    AssetState::Complete => &mut rebuilt.complete,
                    _ => &mut rebuilt.unfinished,
                };
                place.push(asset);
            }
            Err(e) if matches!(e.kind(), ErrorKind::DataLoss | ErrorKind::NotFound) => {
                let (folder, reason) = (source_folder(&asset), e.to_string());
                rebuilt.left_out.push(LeftOut { folder, reason });
            }
            Err(e) => return Err(e),
        }
    }
    Ok(rebuilt)
}

/// Writes a copy of the catalog to `file`; a server may be running.
///
/// # Errors
/// As [`Catalog::back_up`], and `NotFound` where the data folder has no catalog.
pub fn back_up(config: &Config, file: &Path) -> Result<()> {
    let data = data_folder(config)?;
    let place = options::catalog_place(config, &data)?;
    // Opening it would make one.
    if config.database.is_none() && !is_there(&place)? {
        let shown = place.display();
        let message = format!("there is no {shown}; name the server's data folder");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let runtime = runtime()?;
    runtime.block_on(async {
        let catalog = Catalog::open(&place, Clock::system()).await?;
        catalog.back_up(file).await
    })
}

/// The assets of which the store has a card.
fn carded(store: &BlockingStore) -> Result<Vec<AssetId>> {
    let listed = store.list(SOURCES_FOLDER)?;
    let asset = |key: &str| {
        let (_, rest) = key.split_once('/')?;
        let (asset, name) = rest.split_once('/')?;
        AssetId::parse(asset).ok().filter(|_| name == CARD_NAME)
    };
    Ok(listed.iter().filter_map(|o| asset(&o.key)).collect())
}

/// The row that the catalog had of an asset, from the card and the streams.
fn find(store: &BlockingStore, data: &Path, asset: &AssetId) -> Result<(Asset, Card)> {
    let lost = |words: &str| Error::new(ErrorKind::DataLoss, words.to_owned());
    let card = Card::read(store, asset)?.ok_or_else(|| lost("its card is gone"))?;
    let whole = complete(&store.asset(asset), &card.revision)?;
    if whole.is_none() && !has_source(store, data, asset)? {
        return Err(lost(
            "segments are missing, and its source isn't there to make them from; put the source \
             back, or remove the folder",
        ));
    }
    let has_poster = store.asset(asset).length(&Key::EntryPoster)?.is_some();
    Ok((row(&card, whole.as_ref(), has_poster), card))
}

fn row(card: &Card, whole: Option<&Presentation>, has_poster: bool) -> Asset {
    let segments = whole.map_or(0, segments);
    Asset {
        id: card.id.clone(),
        title: card.title.clone(),
        state: match whole {
            Some(_) => AssetState::Complete,
            None => AssetState::Indexing,
        },
        failure: None,
        policy: card.policy.clone(),
        source_url: card.source_url.clone(),
        source_bytes: card.source_bytes,
        source_digest: card.source_digest.clone(),
        revision: whole.map(|whole| whole.revision.clone()),
        duration_s: whole.map(|whole| whole.duration.seconds()),
        renditions: whole.map(package::summaries).unwrap_or_default(),
        segments_done: segments,
        segments_total: segments,
        has_poster: has_poster && whole.is_some(),
        warnings: whole
            .map(|whole| whole.warnings.clone())
            .unwrap_or_default(),
        created_at_millis: card.created_at_millis,
    }
}

/// The presentation of a revision, if everything of it is stored.
///
/// The record alone doesn't say so: assets of one revision share it.
fn complete(store: &BlockingStore, revision: &str) -> Result<Option<Presentation>> {
    let record = store.store().record_key(revision);
    if store.length(&record)?.is_none() || store.length(&Key::EntryHls)?.is_none() {
        return Ok(None);
    }
    let presentation = package::published(store, revision)?;
    let listed = store.list_revision(revision)?;
    let is_segment = |key: &str| matches!(Key::parse(key), Some(Key::Segment { .. }));
    let stored = listed.iter().filter(|o| is_segment(&o.key)).count() as u64;
    Ok((stored == segments(&presentation)).then_some(presentation))
}

fn segments(presentation: &Presentation) -> u64 {
    let tracks = presentation.tracks();
    tracks.map(|track| track.segments.len() as u64).sum()
}

fn has_source(store: &BlockingStore, data: &Path, asset: &AssetId) -> Result<bool> {
    let key = source_key(asset);
    // Where machines share a catalog, the store has it.
    Ok(is_there(&data.join(&key))? || store.size(&key)?.is_some())
}

fn is_there(file: &Path) -> Result<bool> {
    let there = file.try_exists();
    there.map_err(|e| Error::io(format!("looking for {}", file.display()), e))
}

async fn list(catalog: &Catalog, queue: &Queue, row: &Asset, card: &Card) -> Result<()> {
    let listed = catalog.restore(row, &card.captions).await?;
    if !listed || row.state == AssetState::Complete {
        return Ok(());
    }
    let index = NewTask::of(Work::Index, Priority::First);
    queue.enqueue(&row.id, &[index]).await
}
