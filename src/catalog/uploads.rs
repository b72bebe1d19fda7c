//! Uploads that may be resumed: what was announced, and until when it may go on. How many bytes
//! have come is not kept here; the file knows.

use sqlx::any::AnyRow;

use super::Catalog;
use super::row::{Columns, failed, signed};
use crate::error::{Error, ErrorKind, Result};
use crate::media::AssetId;

/// An upload to begin.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The asset whose source it brings.
    pub asset: AssetId,
    /// Its whole length in bytes.
    pub length: u64,
    /// Until when it may go on, in milliseconds since 1970.
    pub expires_at_millis: i64,
}

/// An upload that may be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The asset whose source it brings.
    pub asset: AssetId,
    /// Its whole length in bytes.
    pub length: u64,
    /// When it began, in milliseconds since 1970.
    pub created_at_millis: i64,
    /// Until when it may go on, likewise.
    pub expires_at_millis: i64,
}

impl Catalog {
    /// Begins an upload to an asset.
    ///
    /// # Errors
    /// `NotFound` if the asset is gone, `Conflict` if it has an upload.
    pub async fn create_upload(&self, new: &NewUpload) -> Result<Upload> {
        let insert = "INSERT INTO upload (asset, length, created_at, expires_at) \
            SELECT id, $2, $3, $4 FROM asset WHERE id = $1 \
            ON CONFLICT (asset) DO NOTHING RETURNING *";
        let mut change = self.change().await?;
        let now = change.now_millis();
        let row = sqlx::query(insert)
            .bind(new.asset.as_str())
            .bind(signed(new.length))
            .bind(now)
            .bind(new.expires_at_millis)
            .fetch_optional(change.sql())
            .await
            .map_err(failed("beginning an upload"))?;
        let Some(row) = row else {
            drop(change);
            return Err(self.why_no_upload(&new.asset).await);
        };
        let upload = from_row(&row)?;
        change.commit().await?;
        Ok(upload)
    }

    async fn why_no_upload(&self, asset: &AssetId) -> Error {
        match self.upload(asset).await {
            Err(error) => error,
            Ok(Some(_)) => {
                let message = format!("asset {asset} has an upload already; resume that one");
                Error::new(ErrorKind::Conflict, message)
            }
            Ok(None) => {
                let message = format!("there is no asset {asset}; it may have been removed");
                Error::new(ErrorKind::NotFound, message)
            }
        }
    }

    /// The upload to an asset.
    ///
    /// # Errors
    /// What the database says.
    pub async fn upload(&self, asset: &AssetId) -> Result<Option<Upload>> {
        let mut connection = self.read().await?;
        let row = sqlx::query("SELECT * FROM upload WHERE asset = $1")
            .bind(asset.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("reading an upload"))?;
        row.as_ref().map(from_row).transpose()
    }

    /// Lets an upload go on until `expires_at_millis`; `false` if there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn extend_upload(&self, asset: &AssetId, expires_at_millis: i64) -> Result<bool> {
        let mut change = self.change().await?;
        let done = sqlx::query("UPDATE upload SET expires_at = $2 WHERE asset = $1")
            .bind(asset.as_str())
            .bind(expires_at_millis)
            .execute(change.sql())
            .await
            .map_err(failed("extending an upload"))?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends an upload, whether all bytes came or it was given up; `false` if there is none. The
    /// asset stays.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_upload(&self, asset: &AssetId) -> Result<bool> {
        let mut change = self.change().await?;
        let done = sqlx::query("DELETE FROM upload WHERE asset = $1")
            .bind(asset.as_str())
            .execute(change.sql())
            .await
            .map_err(failed("ending an upload"))?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// The uploads whose time was over at `now_millis`, the longest over first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn expired_uploads(&self, now_millis: i64) -> Result<Vec<Upload>> {
        let select = "SELECT * FROM upload WHERE expires_at <= $1 ORDER BY expires_at, asset";
        let mut connection = self.read().await?;
        let rows = sqlx::query(select)
            .bind(now_millis)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing uploads"))?;
        rows.iter().map(from_row).collect()
    }
}

fn from_row(row: &AnyRow) -> Result<Upload> {
    let columns = Columns(row);
    Ok(Upload {
        asset: columns.asset_id("asset")?,
        length: columns.count("length")?,
        created_at_millis: columns.integer("created_at")?,
        expires_at_millis: columns.integer("expires_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{Fixture, id, on_both};

    fn new_upload(asset: &str, expires_at_millis: i64) -> NewUpload {
        NewUpload {
            asset: id(asset),
            length: 5_000_000_000,
            expires_at_millis,
        }
    }

    on_both! {
    async fn an_upload_lasts_until_it_expires(fixture: Fixture) {
        let catalog = &fixture.catalog;
        for (asset, until) in [("a", 50), ("b", 60), ("c", 70)] {
            fixture.asset(asset).await;
            let upload = catalog.create_upload(&new_upload(asset, until)).await;
            assert_eq!(upload.expect("begun").length, 5_000_000_000);
        }
        assert!(catalog.extend_upload(&id("a"), 65).await.expect("ran"));
        assert!(catalog.remove_upload(&id("c")).await.expect("ran"));
        assert!(!catalog.remove_upload(&id("c")).await.expect("ran"));
        assert!(!catalog.extend_upload(&id("c"), 1).await.expect("ran"));
        let expired = async |now| {
            let uploads = catalog.expired_uploads(now).await.expect("ran");
            let names = uploads.iter().map(|upload| upload.asset.to_string());
            names.collect::<Vec<_>>()
        };
        assert!(expired(59).await.is_empty());
        assert_eq!(expired(60).await, ["b"]);
        assert_eq!(expired(99).await, ["b", "a"]);
        catalog.remove_asset(&id("a")).await.expect("ran");
        assert_eq!(catalog.upload(&id("a")).await.expect("ran"), None);
    }
    }

    on_both! {
    async fn an_asset_has_one_upload(fixture: Fixture) {
        let catalog = &fixture.catalog;
        let none = catalog.create_upload(&new_upload("a", 5)).await;
        assert_eq!(none.expect_err("gone").kind(), ErrorKind::NotFound);
        fixture.asset("a").await;
        let first = catalog.create_upload(&new_upload("a", 5)).await;
        let first = first.expect("begun");
        let second = catalog.create_upload(&new_upload("a", 9)).await;
        assert_eq!(second.expect_err("two").kind(), ErrorKind::Conflict);
        assert_eq!(catalog.upload(&id("a")).await.expect("ran"), Some(first));
    }
    }
}
