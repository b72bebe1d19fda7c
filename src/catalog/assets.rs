//! Rows of assets. Each step of an asset's way is one statement that says from which states it is
//! possible; where it isn't, or the asset is gone, the answer is `false` and nothing changes.

use super::connection::Connection;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sqlx::any::AnyRow;

use super::Catalog;
use super::change::Change;
use super::row::{Columns, damaged, failed, signed, to_json};
use super::tasks::forgive_crashes;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Asset, AssetId, AssetState, Failure, Policy, RenditionSummary};

/// The most assets on one page of a listing.
const PAGE_LIMIT: u32 = 100;

/// What is known of an asset when it is created.
#[derive(Debug, Clone)]
pub struct NewAsset {
    /// Its name.
    pub id: AssetId,
    /// What people call it; may be empty.
    pub title: String,
    /// The policy it will be made by.
    pub policy: Policy,
    /// Where it starts on its way.
    pub state: AssetState,
    /// Where the source is pulled from; `None` for an upload.
    pub source_url: Option<String>,
    /// Length of the source in bytes, where it is known.
    pub source_bytes: Option<u64>,
}

/// What is known of an asset once it is planned.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The revision that is served.
    pub revision: String,
    /// Length of the presentation in seconds.
    pub duration_s: f64,
    /// The renditions, with the bandwidths that are expected.
    pub renditions: Vec<RenditionSummary>,
    /// How many segments there will be.
    pub segments_total: u64,
    /// Whether there is a `poster.jpg`.
    pub has_poster: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page {
    /// The assets, the newest first.
    pub assets: Vec<Asset>,
    /// Cursor of the next page; `None` on the last.
    pub next: Option<String>,
}

impl Catalog {
    /// Creates an asset.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn create_asset(&self, new: &NewAsset) -> Result<Asset> {
        let mut change = self.change().await?;
        let insert = "INSERT INTO asset (id, title, state, policy, source_url, source_bytes, \
            renditions, segments_done, segments_total, has_poster, warnings, created_at) \
            VALUES ($1, $2, $3, $4, $5, $6, '[]', 0, 0, 0, '[]', $7) \
            ON CONFLICT (id) DO NOTHING RETURNING *";
        let now = change.now_millis();
        let row = sqlx::query(insert)
            .bind(new.id.as_str())
            .bind(new.title.as_str())
            .bind(new.state.name())
            .bind(to_json(&new.policy)?)
            .bind(new.source_url.as_deref())
            .bind(new.source_bytes.map(signed))
            .bind(now)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("creating an asset"))?;
        let Some(row) = row else {
            let message = format!("asset {} is there already; choose another id", new.id);
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        let asset = from_row(&row)?;
        tell_state(&mut change, &new.id, new.state).await?;
        change.commit().await?;
        Ok(asset)
    }

    /// The asset of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn asset(&self, id: &AssetId) -> Result<Option<Asset>> {
        let mut connection = self.read().await?;
        read_asset(&mut connection, id).await
    }

    /// A page of all assets, the newest first; at most `limit` (1 to 100) after `cursor`, which
    /// the page before gave. Assets that come or go between two pages shift nothing.
    ///
    /// # Errors
    /// `Invalid` for a cursor that no page gave.
    pub async fn assets(&self, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_LIMIT);
        let (created_at, id) = match cursor {
            Some(cursor) => parse_cursor(cursor)?,
            None => (i64::MAX, String::new()),
        };
        let select = "SELECT * FROM asset WHERE (created_at, id) < ($1, $2) \
            ORDER BY created_at DESC, id DESC LIMIT $3";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(created_at)
            .bind(id)
            .bind(i64::from(limit) + 1)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing assets"))?;
        let mut assets = from_rows(&rows)?;
        let limit = usize::try_from(limit).expect("a limit of at most 100");
        let more = assets.len() > limit;
        assets.truncate(limit);
        let next = assets.last().filter(|_| more).map(cursor_after);
        Ok(Page { assets, next })
    }

    /// All assets in a state, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn assets_in(&self, state: AssetState) -> Result<Vec<Asset>> {
        let select = "SELECT * FROM asset WHERE state = $1 ORDER BY created_at, id";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(state.name())
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing assets"))?;
        from_rows(&rows)
    }

    /// How many assets there are in each state; states that none is in are left out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count_by_state(&self) -> Result<Vec<(AssetState, u64)>> {
        let select = "SELECT state, COUNT(*) AS assets FROM asset GROUP BY state";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("counting assets"))?;
        let mut counts = Vec::new();
        for row in &rows {
            let columns = Columns(row);
            let state = AssetState::parse(&columns.text("state")?);
            let state = state.ok_or_else(|| damaged("state"))?;
            counts.push((state, columns.count("assets")?));
        }
        Ok(counts)
    }

    /// All bytes of the source are there: `uploading` becomes `indexing`. Where nobody but the machine
    /// `node` can read them, its tasks are that machine's.
    ///
    /// # Errors
    /// What the database says.
    pub async fn uploaded(
        &self,
        id: &AssetId,
        digest: &str,
        bytes: u64,
        node: Option<&str>,
    ) -> Result<bool> {
        let mut change = self.change().await?;
        let update = "UPDATE asset SET state = 'indexing', source_digest = $2, source_bytes = $3, \
            source_node = $4 \
            WHERE id = $1 AND state = 'uploading'";
        let done = sqlx::query(update)
            .bind(id.as_str())
            .bind(digest)
            .bind(signed(bytes))
            .bind(node)
            .execute(change.sql())
            .await
            .map_err(failed("updating an asset"))?;
        step(change, id, done.rows_affected(), AssetState::Indexing).await
    }

    /// The asset is planned and its manifests are published: `indexing` becomes `ready`; again
    /// while it is `ready`. With another revision than before, its progress starts anew.
    ///
    /// # Errors
    /// What the database says.
    pub async fn planned(&self, id: &AssetId, planned: &Planned) -> Result<bool> {
        let mut change = self.change().await?;
        let update = "UPDATE asset SET state = 'ready', duration_s = $3, renditions = $4, \
            segments_done = CASE WHEN revision = $2 THEN segments_done ELSE 0 END, \
            segments_total = $5, has_poster = $6, warnings = $7, revision = $2 \
            WHERE id = $1 AND state IN ('indexing', 'ready')";
        let done = sqlx::query(update)
            .bind(id.as_str())
            .bind(planned.revision.as_str())
            .bind(planned.duration_s)
            .bind(to_json(&planned.renditions)?)
            .bind(signed(planned.segments_total))
            .bind(i64::from(planned.has_poster))
            .bind(to_json(&planned.warnings)?)
            .execute(change.sql())
            .await
            .map_err(failed("updating an asset"))?;
        step(change, id, done.rows_affected(), AssetState::Ready).await
    }

    /// Segments are stored, so many of those planned. A lower number than before, as from a report
    /// that was overtaken, changes nothing. Stops of the program up to now are no longer held against
    /// the asset's tasks.
    ///
    /// # Errors
    /// What the database says.
    pub async fn progressed(&self, id: &AssetId, segments_done: u64) -> Result<()> {
        let mut change = self.change().await?;
        let update = "UPDATE asset SET segments_done = \
            CASE WHEN $2 < segments_total THEN $2 ELSE segments_total END \
            WHERE id = $1 AND state = 'ready' \
            AND segments_done < $2 AND segments_done < segments_total RETURNING *";
        let row = sqlx::query(update)
            .bind(id.as_str())
            .bind(signed(segments_done))
            .fetch_optional(change.sql())
            .await
            .map_err(failed("updating an asset"))?;
        let Some(row) = row else {
            return Ok(());
        };
        let asset = from_row(&row)?;
        tell_progress(&mut change, &asset).await?;
        forgive_crashes(&mut change, id).await?;
        change.commit().await
    }

    /// Everything is stored and verified: `ready` becomes `complete`, with the bandwidths that were
    /// measured.
    ///
    /// # Errors
    /// What the database says.
    pub async fn completed(
        &self,
        id: &AssetId,
        renditions: &[RenditionSummary],
        warnings: &[String],
    ) -> Result<bool> {
        let mut change = self.change().await?;
        let update = "UPDATE asset SET state = 'complete', renditions = $2, warnings = $3, \
            segments_done = segments_total WHERE id = $1 AND state = 'ready' RETURNING *";
        let row = sqlx::query(update)
            .bind(id.as_str())
            .bind(to_json(&renditions)?)
            .bind(to_json(&warnings)?)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("updating an asset"))?;
        let Some(row) = row else {
            return Ok(false);
        };
        tell_progress(&mut change, &from_row(&row)?).await?;
        step(change, id, 1, AssetState::Complete).await
    }

    /// Nothing more will become of it, and why. Possible until it is `complete`; of two failures
    /// the first stays.
    ///
    /// # Errors
    /// What the database says.
    pub async fn failed(&self, id: &AssetId, failure: &Failure) -> Result<bool> {
        let mut change = self.change().await?;
        let update = "UPDATE asset SET state = 'failed', failure = $2 \
            WHERE id = $1 AND state NOT IN ('complete', 'failed')";
        let done = sqlx::query(update)
            .bind(id.as_str())
            .bind(to_json(failure)?)
            .execute(change.sql())
            .await
            .map_err(failed("updating an asset"))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let data = json!({ "state": AssetState::Failed.name(), "error": failure });
        change.event(id, "state", data).await?;
        change.commit().await?;
        Ok(true)
    }

    /// It is tried again: `failed` becomes `indexing`, and the reason is forgotten.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reopened(&self, id: &AssetId) -> Result<bool> {
        let mut change = self.change().await?;
        let update = "UPDATE asset SET state = 'indexing', failure = NULL \
            WHERE id = $1 AND state = 'failed'";
        let done = sqlx::query(update)
            .bind(id.as_str())
            .execute(change.sql())
            .await
            .map_err(failed("updating an asset"))?;
        step(change, id, done.rows_affected(), AssetState::Indexing).await
    }

    /// Removes an asset with its events, tasks, captions and upload. Subscribers hear `removed`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_asset(&self, id: &AssetId) -> Result<bool> {
        let mut change = self.change().await?;
        let done = sqlx::query("DELETE FROM asset WHERE id = $1")
            .bind(id.as_str())
            .execute(change.sql())
            .await
            .map_err(failed("removing an asset"))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        change.removed(id).await?;
        change.commit().await?;
        Ok(true)
    }

    /// The assets that are served from a revision.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sharing_revision(&self, revision: &str) -> Result<Vec<AssetId>> {
        let select = "SELECT id FROM asset WHERE revision = $1 ORDER BY created_at, id";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(revision)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing assets"))?;
        rows.iter().map(|row| Columns(row).asset_id("id")).collect()
    }

    /// An asset of the same source and policy that is `complete`, or else `ready`; of several the
    /// oldest.
    ///
    /// # Errors
    /// What the database says.
    pub async fn twin(&self, digest: &str, policy: &Policy) -> Result<Option<Asset>> {
        let select = "SELECT * FROM asset \
            WHERE source_digest = $1 AND state IN ('complete', 'ready') \
            ORDER BY CASE state WHEN 'complete' THEN 0 ELSE 1 END, created_at, id";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(digest)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("looking for a twin"))?;
        let assets = from_rows(&rows)?;
        Ok(assets.into_iter().find(|asset| asset.policy == *policy))
    }
}

pub(super) async fn read_asset(connection: &mut Connection, id: &AssetId) -> Result<Option<Asset>> {
    let row = sqlx::query("SELECT * FROM asset WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(failed("reading an asset"))?;
    row.as_ref().map(from_row).transpose()
}

/// Ends a step that changed so many rows: tells the state and commits, if it changed one.
async fn step(mut change: Change, id: &AssetId, changed: u64, state: AssetState) -> Result<bool> {
    if changed == 0 {
        return Ok(false);
    }
    tell_state(&mut change, id, state).await?;
    change.commit().await?;
    Ok(true)
}

pub(super) async fn tell_state(change: &mut Change, id: &AssetId, state: AssetState) -> Result<()> {
    let data = json!({ "state": state.name() });
    change.event(id, "state", data).await?;
    Ok(())
}

/// Tells the progress, and forgets what was told of it before.
async fn tell_progress(change: &mut Change, asset: &Asset) -> Result<()> {
    let data = json!({
        "segments_done": asset.segments_done,
        "segments_total": asset.segments_total,
    });
    let sequence = change.event(&asset.id, "progress", data).await?;
    sqlx::query("DELETE FROM event WHERE asset = $1 AND name = 'progress' AND sequence < $2")
        .bind(asset.id.as_str())
        .bind(sequence)
        .execute(change.sql())
        .await
        .map_err(failed("pruning events"))?;
    Ok(())
}

pub(super) fn from_rows(rows: &[AnyRow]) -> Result<Vec<Asset>> {
    rows.iter().map(from_row).collect()
}

fn from_row(row: &AnyRow) -> Result<Asset> {
    let columns = Columns(row);
    let state = AssetState::parse(&columns.text("state")?).ok_or_else(|| damaged("state"))?;
    let bytes = columns.integer_or_none("source_bytes")?;
    Ok(Asset {
        id: columns.asset_id("id")?,
        title: columns.text("title")?,
        state,
        failure: columns.json_or_none("failure")?,
        policy: columns.json("policy")?,
        source_url: columns.text_or_none("source_url")?,
        source_bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        source_digest: columns.text_or_none("source_digest")?,
        revision: columns.text_or_none("revision")?,
        duration_s: columns.float_or_none("duration_s")?,
        renditions: columns.json("renditions")?,
        segments_done: columns.count("segments_done")?,
        segments_total: columns.count("segments_total")?,
        has_poster: columns.flag("has_poster")?,
        warnings: columns.json("warnings")?,
        created_at_millis: columns.integer("created_at")?,
    })
}

/// The place behind an asset in a listing. Opaque: callers only hand it back.
fn cursor_after(asset: &Asset) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", asset.created_at_millis, asset.id))
}

fn parse_cursor(cursor: &str) -> Result<(i64, String)> {
    let broken = || Error::invalid("the cursor is none that a listing gave; start without one");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| broken())?;
    let text = String::from_utf8(bytes).map_err(|_| broken())?;
    let (created_at, id) = text.split_once(' ').ok_or_else(broken)?;
    let created_at = created_at.parse().map_err(|_| broken())?;
    let id = AssetId::parse(id).map_err(|_| broken())?;
    Ok((created_at, id.to_string()))
}
