//! Requests that a client may send again because it heard no answer: what became of the first.
//! (The IETF draft "The Idempotency-Key HTTP Header Field".)

use super::Catalog;
use super::change::Change;
use super::row::{Columns, failed};
use crate::error::Result;
use crate::media::AssetId;

/// How long the answer to a key is kept.
const KEPT_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// After how long a request that never ended counts as abandoned.
const ABANDONED_MILLIS: i64 = 60 * 60 * 1000;

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: the request may run, and says [`Catalog::done`] or [`Catalog::abandon`].
    Fresh,
    /// The same request created this asset, which may have been removed since.
    Same(AssetId),
    /// Another request had this key.
    Different,
    /// The same request is running.
    Running,
}

impl Catalog {
    /// Begins a request under a key. `fingerprint` is what makes two requests the same.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self, key: &str, fingerprint: &str) -> Result<Begun> {
        let mut change = self.change().await?;
        prune(&mut change).await?;
        let now = change.now_millis();
        let insert = "INSERT INTO idempotency (key, fingerprint, begun_at) VALUES ($1, $2, $3) \
            ON CONFLICT (key) DO NOTHING RETURNING key";
        let fresh = sqlx::query(insert)
            .bind(key)
            .bind(fingerprint)
            .bind(now)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("beginning a request"))?;
        let begun = match fresh {
            Some(_) => Begun::Fresh,
            None => known(&mut change, key, fingerprint).await?,
        };
        change.commit().await?;
        Ok(begun)
    }

    /// The request of that key has created an asset.
    ///
    /// # Errors
    /// What the database says.
    pub async fn done(&self, key: &str, asset: &AssetId) -> Result<()> {
        let mut change = self.change().await?;
        sqlx::query("UPDATE idempotency SET asset = $2 WHERE key = $1 AND asset IS NULL")
            .bind(key)
            .bind(asset.as_str())
            .execute(change.sql())
            .await
            .map_err(failed("ending a request"))?;
        change.commit().await
    }

    /// The request of that key came to nothing; it may run again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn abandon(&self, key: &str) -> Result<()> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM idempotency WHERE key = $1 AND asset IS NULL")
            .bind(key)
            .execute(change.sql())
            .await
            .map_err(failed("abandoning a request"))?;
        change.commit().await
    }

    /// No request is running: for the start of a single node, whose clients may send theirs again
    /// at once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn abandon_all(&self) -> Result<()> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM idempotency WHERE asset IS NULL")
            .execute(change.sql())
            .await
            .map_err(failed("abandoning requests"))?;
        change.commit().await
    }
}

/// Forgets what is too old to matter.
async fn prune(change: &mut Change) -> Result<()> {
    let now = change.now_millis();
    let delete = "DELETE FROM idempotency \
        WHERE begun_at < $1 OR (begun_at < $2 AND asset IS NULL)";
    sqlx::query(delete)
        .bind(now - KEPT_MILLIS)
        .bind(now - ABANDONED_MILLIS)
        .execute(change.sql())
        .await
        .map_err(failed("pruning requests"))?;
    Ok(())
}

async fn known(change: &mut Change, key: &str, fingerprint: &str) -> Result<Begun> {
    let row = sqlx::query("SELECT fingerprint, asset FROM idempotency WHERE key = $1")
        .bind(key)
        .fetch_one(change.sql())
        .await
        .map_err(failed("looking up a request"))?;
    let columns = Columns(&row);
    if columns.text("fingerprint")? != fingerprint {
        return Ok(Begun::Different);
    }
    match columns.text_or_none("asset")? {
        Some(_) => Ok(Begun::Same(columns.asset_id("asset")?)),
        None => Ok(Begun::Running),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{Fixture, id, on_both};

    on_both! {
    async fn a_request_sent_again_gets_the_asset_of_the_first(fixture: Fixture) {
        let catalog = &fixture.catalog;
        let begin = async |print: &str| catalog.begin("k", print).await.expect("ran");
        assert_eq!(begin("x").await, Begun::Fresh);
        assert_eq!(begin("x").await, Begun::Running);
        assert_eq!(begin("y").await, Begun::Different);
        catalog.done("k", &id("a")).await.expect("ran");
        assert_eq!(begin("x").await, Begun::Same(id("a")));
        assert_eq!(begin("y").await, Begun::Different);
        catalog.abandon("k").await.expect("ran");
        catalog.abandon_all().await.expect("ran");
        fixture.clock.advance(KEPT_MILLIS);
        assert_eq!(begin("x").await, Begun::Same(id("a")));
        fixture.clock.advance(1);
        assert_eq!(begin("y").await, Begun::Fresh);
    }
    }

    on_both! {
    async fn an_abandoned_request_may_run_again(fixture: Fixture) {
        let catalog = &fixture.catalog;
        let begin = async |print: &str| catalog.begin("k", print).await.expect("ran");
        assert_eq!(begin("x").await, Begun::Fresh);
        catalog.abandon("k").await.expect("ran");
        assert_eq!(begin("x").await, Begun::Fresh);
        catalog.abandon_all().await.expect("ran");
        assert_eq!(begin("y").await, Begun::Fresh);
        fixture.clock.advance(ABANDONED_MILLIS + 1);
        assert_eq!(begin("z").await, Begun::Fresh);
    }
    }
}
