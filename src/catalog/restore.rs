//! Rows of assets that a lost catalog had, put back as they were.

use super::assets::tell_state;
use super::captions::Caption;
use super::row::{failed, signed, to_json};
use super::{Catalog, captions};
use crate::error::Result;
use crate::media::Asset;

impl Catalog {
    /// Lists an asset and its captions again, as given; `false`, and nothing changed, if its id is
    /// listed already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn restore(&self, asset: &Asset, texts: &[Caption]) -> Result<bool> {
        let mut change = self.change().await?;
        let insert = "INSERT INTO asset (id, title, state, failure, policy, source_url, \
            source_bytes, source_digest, revision, duration_s, renditions, segments_done, \
            segments_total, has_poster, warnings, created_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
            ON CONFLICT (id) DO NOTHING";
        let failure = asset.failure.as_ref().map(to_json).transpose()?;
        let done = sqlx::query(insert)
            .bind(asset.id.as_str())
            .bind(asset.title.as_str())
            .bind(asset.state.name())
            .bind(failure)
            .bind(to_json(&asset.policy)?)
            .bind(asset.source_url.as_deref())
            .bind(asset.source_bytes.map(signed))
            .bind(asset.source_digest.as_deref())
            .bind(asset.revision.as_deref())
            .bind(asset.duration_s)
            .bind(to_json(&asset.renditions)?)
            .bind(signed(asset.segments_done))
            .bind(signed(asset.segments_total))
            .bind(i64::from(asset.has_poster))
            .bind(to_json(&asset.warnings)?)
            .bind(asset.created_at_millis)
            .execute(change.sql())
            .await
            .map_err(failed("restoring an asset"))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        for text in texts {
            captions::insert(&mut change, text).await?;
        }
        tell_state(&mut change, &asset.id, asset.state).await?;
        change.commit().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::NewCaption;
    use crate::catalog::tests::{Fixture, id};
    use crate::media::{LanguageTag, TextKind};

    #[tokio::test]
    async fn what_one_catalog_has_another_has_again() {
        let first = Fixture::new().await;
        first.asset("a").await;
        let new = NewCaption {
            asset: id("a"),
            language: LanguageTag::parse("en").expect("a tag"),
            name: "English".into(),
            kind: TextKind::Captions,
            digest: "1".into(),
        };
        first.catalog.put_caption(&new).await.expect("put");
        let asset = first.catalog.asset(&id("a")).await.expect("ran");
        let asset = asset.expect("there");
        let captions = first.catalog.captions(&id("a")).await.expect("ran");

        let second = Fixture::new().await;
        let restored = second.catalog.restore(&asset, &captions).await;
        assert!(restored.expect("ran"));
        let found = second.catalog.asset(&id("a")).await.expect("ran");
        assert_eq!(found, Some(asset.clone()));
        let texts = second.catalog.captions(&id("a")).await.expect("ran");
        assert_eq!(texts, captions);
        let again = second.catalog.restore(&asset, &captions).await;
        assert!(!again.expect("ran"), "what is listed stays");
    }
}
