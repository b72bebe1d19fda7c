//! API keys. A key's secret is told once, when it is made; kept is only its SHA-256. The secret has
//! 256 random bits, so a plain hash of it is as good as any.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;

use super::Catalog;
use super::row::{Columns, failed, to_json};
use crate::error::{Error, Result};
use crate::media::AssetId;

/// What every secret begins with, so that people and scanners know it for one.
const SECRET_PREFIX: &str = "hw_";
/// How long a use of a key is not written down again.
const LAST_USED_MILLIS: i64 = 60_000;

/// What a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at assets.
    Read,
    /// Create, change and remove assets.
    Write,
    /// Keys, webhooks, the queue.
    Admin,
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// Until when, in milliseconds since 1970; `None` for ever.
    pub expires_at_millis: Option<i64>,
}

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name in URLs.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it was made, in milliseconds since 1970.
    pub created_at_millis: i64,
    /// Until when it is good, likewise; `None` for ever.
    pub expires_at_millis: Option<i64>,
    /// When it was used last, likewise, to the minute; `None` if never.
    pub last_used_at_millis: Option<i64>,
}

/// A key just made, with the secret that nobody will see again.
#[derive(Clone)]
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret.
    pub secret: String,
}

impl fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CreatedKey");
        shown.field("key", &self.key).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Makes a key.
    ///
    /// # Errors
    /// What the database says.
    pub async fn create_key(&self, new: &NewKey) -> Result<CreatedKey> {
        let secret = format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
        let insert = "INSERT INTO api_key (id, name, secret_hash, scopes, created_at, expires_at) \
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING *";
        let mut change = self.change().await?;
        let now = change.now_millis();
        let row = sqlx::query(insert)
            .bind(AssetId::from_random(random()?).to_string())
            .bind(new.name.as_str())
            .bind(hash(&secret))
            .bind(to_json(&new.scopes)?)
            .bind(now)
            .bind(new.expires_at_millis)
            .fetch_one(change.sql())
            .await
            .map_err(failed("making a key"))?;
        let key = from_row(&row)?;
        change.commit().await?;
        Ok(CreatedKey { key, secret })
    }

    /// The key of that secret, unless it has expired; notes its use.
    ///
    /// # Errors
    /// What the database says.
    pub async fn key_by_secret(&self, secret: &str) -> Result<Option<ApiKey>> {
        if !secret.starts_with(SECRET_PREFIX) {
            return Ok(None);
        }
        let now = self.clock.now_millis();
        let select = "SELECT * FROM api_key WHERE secret_hash = $1 \
            AND (expires_at IS NULL OR expires_at > $2)";
        let mut connection = self.read().await?;
        let row = sqlx::query(select)
            .bind(hash(secret))
            .bind(now)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("looking up a key"))?;
        drop(connection);
        let Some(row) = row else {
            return Ok(None);
        };
        let mut key = from_row(&row)?;
        let noted = key.last_used_at_millis;
        if noted.is_none_or(|noted| now >= noted.saturating_add(LAST_USED_MILLIS)) {
            // A key is good even where its use can't be noted, as on a full disk.
            if self.note_use(&key.id).await.is_ok() {
                key.last_used_at_millis = Some(now);
            }
        }
        Ok(Some(key))
    }

    async fn note_use(&self, id: &str) -> Result<()> {
        let mut change = self.change().await?;
        let now = change.now_millis();
        sqlx::query("UPDATE api_key SET last_used_at = $2 WHERE id = $1")
            .bind(id)
            .bind(now)
            .execute(change.sql())
            .await
            .map_err(failed("noting the use of a key"))?;
        change.commit().await
    }

    /// All keys, also expired ones, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keys(&self) -> Result<Vec<ApiKey>> {
        let mut connection = self.read().await?;
        let rows = sqlx::query("SELECT * FROM api_key ORDER BY created_at, id")
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("listing keys"))?;
        rows.iter().map(from_row).collect()
    }

    /// Removes a key; `false` if there is none of that id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn remove_key(&self, id: &str) -> Result<bool> {
        let mut change = self.change().await?;
        let done = sqlx::query("DELETE FROM api_key WHERE id = $1")
            .bind(id)
            .execute(change.sql())
            .await
            .map_err(failed("removing a key"))?;
        change.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Whether any key was made and not removed. An expired one counts: that it expires must not
    /// open the door.
    ///
    /// # Errors
    /// What the database says.
    pub async fn has_keys(&self) -> Result<bool> {
        let mut connection = self.read().await?;
        let row = sqlx::query("SELECT 1 FROM api_key LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("looking for keys"))?;
        Ok(row.is_some())
    }
}

/// Random bytes for a secret or an id.
///
/// # Errors
/// `Unavailable` if the system has none.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| {
        let message = "the system gives no random bytes";
        Error::new(crate::error::ErrorKind::Unavailable, message).with_source(e)
    })?;
    Ok(bytes)
}

fn hash(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

fn from_row(row: &AnyRow) -> Result<ApiKey> {
    let columns = Columns(row);
    Ok(ApiKey {
        id: columns.text("id")?,
        name: columns.text("name")?,
        scopes: columns.json("scopes")?,
        created_at_millis: columns.integer("created_at")?,
        expires_at_millis: columns.integer_or_none("expires_at")?,
        last_used_at_millis: columns.integer_or_none("last_used_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{Fixture, on_both};

    fn new_key(expires_at_millis: Option<i64>) -> NewKey {
        NewKey {
            name: "ci".into(),
            scopes: vec![Scope::Read, Scope::Write],
            expires_at_millis,
        }
    }

    on_both! {
    async fn a_key_is_known_by_its_secret_alone(fixture: Fixture) {
        let catalog = &fixture.catalog;
        assert!(!catalog.has_keys().await.expect("ran"));
        let made = catalog.create_key(&new_key(None)).await.expect("made");
        let other = catalog.create_key(&new_key(None)).await.expect("made");
        assert_eq!(made.secret.len(), 3 + 43);
        let found = catalog.key_by_secret(&made.secret).await.expect("ran");
        assert_eq!(found.expect("known").id, made.key.id);
        assert!(!format!("{made:?}").contains(&made.secret));
        for wrong in ["", "hw_", &made.key.id, &hash(&made.secret)] {
            let found = catalog.key_by_secret(wrong).await.expect("ran");
            assert_eq!(found, None, "{wrong}");
        }
        assert!(catalog.remove_key(&made.key.id).await.expect("ran"));
        assert!(!catalog.remove_key(&made.key.id).await.expect("ran"));
        let found = catalog.key_by_secret(&made.secret).await.expect("ran");
        assert_eq!(found, None);
        let left = catalog.keys().await.expect("ran");
        assert_eq!(left, [other.key]);
    }
    }

    on_both! {
    async fn an_expired_key_opens_nothing_but_counts(fixture: Fixture) {
        let catalog = &fixture.catalog;
        let until = fixture.clock.now_millis() + 1000;
        let made = catalog.create_key(&new_key(Some(until))).await;
        let secret = made.expect("made").secret;
        fixture.clock.advance(999);
        assert!(catalog.key_by_secret(&secret).await.expect("ran").is_some());
        fixture.clock.advance(1);
        assert!(catalog.key_by_secret(&secret).await.expect("ran").is_none());
        assert!(catalog.has_keys().await.expect("ran"));
    }
    }

    on_both! {
    async fn a_use_is_noted_once_a_minute(fixture: Fixture) {
        let catalog = &fixture.catalog;
        let made = catalog.create_key(&new_key(None)).await.expect("made");
        let start = fixture.clock.now_millis();
        let mut noted = Vec::new();
        for _ in 0..3 {
            let key = catalog.key_by_secret(&made.secret).await.expect("ran");
            noted.extend(key.and_then(|key| key.last_used_at_millis));
            fixture.clock.advance(30_000);
        }
        assert_eq!(noted, [start, start, start + 60_000]);
    }
    }
}
