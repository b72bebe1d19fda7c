//! What happened to an asset, in order.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;

use super::Catalog;
use super::row::{Columns, failed};
use crate::error::Result;
use crate::media::AssetId;

/// Something that happened to an asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number; rises over all assets, with gaps.
    pub sequence: i64,
    /// Which asset.
    pub asset: AssetId,
    /// `state`, `progress`, `captions` or `removed`.
    pub name: String,
    /// What there is to say: `{"state", "error"?}`, `{"segments_done", "segments_total"}`,
    /// `{"captions"}` or `{}`.
    pub data: Value,
    /// When, in milliseconds since 1970.
    pub at_millis: i64,
}

/// The name of the event that is told but not stored: the last one of an asset.
pub(super) const REMOVED: &str = "removed";

impl Event {
    /// Whether it is in the table.
    pub(super) fn is_stored(&self) -> bool {
        self.name != REMOVED
    }

    pub(super) fn from_row(row: &AnyRow) -> Result<Self> {
        let columns = Columns(row);
        Ok(Self {
            sequence: columns.integer("sequence")?,
            asset: columns.asset_id("asset")?,
            name: columns.text("name")?,
            data: columns.json("data")?,
            at_millis: columns.integer("at")?,
        })
    }
}

impl Catalog {
    /// The stored events of an asset after number `sequence`, oldest first, at most `limit`. Of its
    /// progress only the last is kept; of a removed asset, nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn events_after(
        &self,
        asset: &AssetId,
        sequence: i64,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let select = "SELECT sequence, asset, name, data, at FROM event \
            WHERE asset = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(asset.as_str())
            .bind(sequence)
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("reading events"))?;
        rows.iter().map(Event::from_row).collect()
    }
}
