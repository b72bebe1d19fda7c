//! Text tracks of an asset: one of each language and kind. Their text is in the store.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::Catalog;
use super::change::Change;
use super::row::{Columns, damaged, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{AssetId, LanguageTag, TextKind, TextTrack};

const KINDS: [TextKind; 3] = [TextKind::Subtitles, TextKind::Captions, TextKind::Forced];

/// A text track to add.
#[derive(Debug, Clone)]
pub struct NewCaption {
    /// Of which asset.
    pub asset: AssetId,
    /// Its language.
    pub language: LanguageTag,
    /// Name shown to people.
    pub name: String,
    /// What it is for.
    pub kind: TextKind,
    /// Stands for the text, and names it in the store.
    pub digest: String,
}

/// A text track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caption {
    /// Of which asset.
    pub asset: AssetId,
    /// Its name in manifests and URLs, by language and kind; see [`TextTrack::id_of`].
    pub id: String,
    /// Its language.
    pub language: LanguageTag,
    /// Name shown to people.
    pub name: String,
    /// What it is for.
    pub kind: TextKind,
    /// Stands for the text, and names it in the store.
    pub digest: String,
    /// When it was added, in milliseconds since 1970.
    pub created_at_millis: i64,
}

impl Catalog {
    /// Adds a text track in the place of the one of the same language and kind, and returns the
    /// latter.
    ///
    /// # Errors
    /// `NotFound` if the asset is gone.
    pub async fn put_caption(&self, new: &NewCaption) -> Result<Option<Caption>> {
        let id = TextTrack::id_of(&new.language, new.kind);
        let mut change = self.change().await?;
        let replaced = delete(&mut change, &new.asset, &id).await?;
        let caption = Caption {
            asset: new.asset.clone(),
            id,
            language: new.language.clone(),
            name: new.name.clone(),
            kind: new.kind,
            digest: new.digest.clone(),
            created_at_millis: change.now_millis(),
        };
        if !insert(&mut change, &caption).await? {
            let message = format!("there is no asset {}; it may have been removed", new.asset);
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        tell(&mut change, &new.asset).await?;
        change.commit().await?;
        Ok(replaced)
    }

    /// The text tracks of an asset, by id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn captions(&self, asset: &AssetId) -> Result<Vec<Caption>> {
        let mut connection = self.read().await?;
        let rows = sqlx::query("SELECT * FROM caption WHERE asset = $1 ORDER BY id")
            .bind(asset.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing captions"))?;
        rows.iter().map(from_row).collect()
    }

    /// Removes a text track and returns it; `None` if there is none of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_caption(&self, asset: &AssetId, id: &str) -> Result<Option<Caption>> {
        let mut change = self.change().await?;
        let removed = delete(&mut change, asset, id).await?;
        if removed.is_some() {
            tell(&mut change, asset).await?;
            change.commit().await?;
        }
        Ok(removed)
    }
}

/// Adds a row; `false` where the asset is gone.
pub(super) async fn insert(change: &mut Change, caption: &Caption) -> Result<bool> {
    let insert = "INSERT INTO caption (asset, id, language, kind, name, digest, created_at) \
        SELECT id, $2, $3, $4, $5, $6, $7 FROM asset WHERE id = $1";
    let done = sqlx::query(insert)
        .bind(caption.asset.as_str())
        .bind(caption.id.as_str())
        .bind(caption.language.as_str())
        .bind(caption.kind.name())
        .bind(caption.name.as_str())
        .bind(caption.digest.as_str())
        .bind(caption.created_at_millis)
        .execute(change.sql())
        .await
        .map_err(failed("adding captions"))?;
    Ok(done.rows_affected() > 0)
}

async fn delete(change: &mut Change, asset: &AssetId, id: &str) -> Result<Option<Caption>> {
    let row = sqlx::query("DELETE FROM caption WHERE asset = $1 AND id = $2 RETURNING *")
        .bind(asset.as_str())
        .bind(id)
        .fetch_optional(change.sql())
        .await
        .map_err(failed("removing captions"))?;
    row.as_ref().map(from_row).transpose()
}

/// Tells which text tracks there are now.
async fn tell(change: &mut Change, asset: &AssetId) -> Result<()> {
    let rows = sqlx::query("SELECT * FROM caption WHERE asset = $1 ORDER BY id")
        .bind(asset.as_str())
        .fetch_all(change.sql())
        .await
        .map_err(failed("listing captions"))?;
    let mut shown = Vec::new();
    for row in &rows {
        let caption = from_row(row)?;
        shown.push(json!({
            "id": caption.id,
            "language": caption.language,
            "name": caption.name,
            "kind": caption.kind,
        }));
    }
    let data = json!({ "captions": shown });
    change.event(asset, "captions", data).await?;
    Ok(())
}

fn from_row(row: &AnyRow) -> Result<Caption> {
    let columns = Columns(row);
    let language = LanguageTag::parse(&columns.text("language")?);
    let kind = columns.text("kind")?;
    let kind = KINDS.into_iter().find(|known| known.name() == kind);
    Ok(Caption {
        asset: columns.asset_id("asset")?,
        id: columns.text("id")?,
        language: language.map_err(|_| damaged("language"))?,
        name: columns.text("name")?,
        kind: kind.ok_or_else(|| damaged("kind"))?,
        digest: columns.text("digest")?,
        created_at_millis: columns.integer("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{Fixture, id, on_both};

    fn caption(language: &str, kind: TextKind, digest: &str) -> NewCaption {
        NewCaption {
            asset: id("a"),
            language: LanguageTag::parse(language).expect("a tag"),
            name: "Name".into(),
            kind,
            digest: digest.into(),
        }
    }

    on_both! {
    async fn there_is_one_text_of_each_language_and_kind(fixture: Fixture) {
        let catalog = &fixture.catalog;
        let early = catalog
            .put_caption(&caption("en", TextKind::Forced, "0"))
            .await;
        assert_eq!(early.expect_err("no asset").kind(), ErrorKind::NotFound);
        fixture.asset("a").await;
        let mut receiver = catalog.subscribe();
        let put = async |language, kind, digest| {
            let put = catalog.put_caption(&caption(language, kind, digest)).await;
            put.expect("put").map(|replaced| replaced.digest)
        };
        assert_eq!(put("en", TextKind::Subtitles, "1").await, None);
        assert_eq!(put("en", TextKind::Captions, "2").await, None);
        assert_eq!(put("de", TextKind::Subtitles, "3").await, None);
        let replaced = put("EN", TextKind::Subtitles, "4").await;
        assert_eq!(replaced.as_deref(), Some("1"));
        let listed = catalog.captions(&id("a")).await.expect("ran");
        let shown: Vec<(&str, &str)> = listed
            .iter()
            .map(|caption| (caption.id.as_str(), caption.digest.as_str()))
            .collect();
        assert_eq!(
            shown,
            [("t-de", "3"), ("t-en", "4"), ("t-en-captions", "2")]
        );

        let removed = catalog.remove_caption(&id("a"), "t-en").await.expect("ran");
        assert_eq!(removed.as_ref(), Some(&listed[1]));
        let removed = catalog.remove_caption(&id("a"), "t-en").await.expect("ran");
        assert_eq!(removed, None);
        let mut counts = Vec::new();
        catalog.caught_up().await;
        while let Ok(event) = receiver.try_recv() {
            counts.push(event.data["captions"].as_array().map(Vec::len));
        }
        assert_eq!(counts, [Some(1), Some(2), Some(3), Some(3), Some(2)]);
        catalog.remove_asset(&id("a")).await.expect("ran");
        assert!(catalog.captions(&id("a")).await.expect("ran").is_empty());
    }
    }
}
