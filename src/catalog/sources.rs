//! Which machine alone has the source of an asset. Its tasks are that machine's until the source
//! is stored for all.

use super::row::failed;
use super::{Catalog, Signal};
use crate::error::Result;
use crate::media::{Asset, AssetId};

impl Catalog {
    /// The assets whose sources nobody but the machine `node` has, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sources_at(&self, node: &str) -> Result<Vec<Asset>> {
        let select = "SELECT * FROM asset WHERE source_node = $1 ORDER BY created_at, id";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(node)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing sources"))?;
        super::assets::from_rows(&rows)
    }

    /// The source of an asset is stored for all: its tasks are anybody's. `false` when the asset is
    /// gone.
    ///
    /// # Errors
    /// What the database says.
    pub async fn source_stored(&self, asset: &AssetId) -> Result<bool> {
        let statements = [
            "UPDATE task SET node = NULL WHERE asset = $1",
            "UPDATE asset SET source_node = NULL WHERE id = $1",
        ];
        let mut change = self.change().await?;
        let mut changed = 0;
        for statement in statements {
            let done = sqlx::query(statement)
                .bind(asset.as_str())
                .execute(change.sql())
                .await
                .map_err(failed("sharing a source"))?;
            changed = done.rows_affected();
        }
        change.tell(Signal::Tasks);
        change.commit().await?;
        Ok(changed > 0)
    }
}
