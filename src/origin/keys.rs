//! Keys of encrypted titles, for those who may have the media: `GET keys/{id}` in an asset's folder
//! gives the 16 bytes of a key, `POST keys/clearkey` a licence with several. They are derived when
//! they are asked for; no cache and no store ever holds one.
//!
//! Not here: who may have them. That is asked first, as for media.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache as Memory;

use super::making::asset_id;
use super::path::{decoded, deliverable};
use super::reply::Reply;
use super::request::{Method, Refusal, Request};
use super::{Making, Origin, Shared, clear_key, not_found};
use crate::error::{ErrorKind, Result};
use crate::keys::KeySource;
use crate::layout::{HLS_NAME, Key};
use crate::media::{
    Asset, AssetState, ContentKey, Encryption, KEY_FOLDER, KeyId, LICENSE_NAME, Plan, Presentation,
};

/// The longest request for a licence, in bytes.
pub const LICENSE_BYTES_MAX: usize = 8 << 10;

/// How long caches may keep that a key isn't there.
const NO_KEY: &str = "no-store";

/// What a path in a folder of keys names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A key.
    Key(KeyId),
    /// Licences.
    License,
}

/// What a decoded URL path (without its first slash) names among keys: its folder, and what in it.
/// A key has one path, so that rules for paths mean it.
pub(super) fn named(path: &str) -> Option<(&str, Name)> {
    let (rest, name) = path.rsplit_once('/')?;
    let folder = rest.strip_suffix(KEY_FOLDER)?;
    if !folder.is_empty() && !folder.ends_with('/') {
        return None;
    }
    let name = match name {
        LICENSE_NAME => Name::License,
        digits => {
            let id = KeyId::parse(digits)?;
            Name::Key((id.to_string() == digits).then_some(id)?)
        }
    };
    Some((folder, name))
}

/// What is known of the keys of one title: what its policy says, and what they are derived from. No
/// key.
#[derive(Debug)]
pub(super) struct Owned {
    encryption: Encryption,
    source_digest: String,
}

/// What was found out of titles that no catalog has, by their folders: reading their plans takes longer
/// than anybody should be able to ask for again and again.
pub(super) type Packaged = Memory<String, Option<Arc<Owned>>>;

/// How many of these are remembered, and for how long.
const PACKAGED: u64 = 4096;
const PACKAGED_FOR: Duration = Duration::from_secs(60);

pub(super) fn packaged() -> Packaged {
    let builder = Memory::builder().max_capacity(PACKAGED);
    builder.time_to_live(PACKAGED_FOR).build()
}

impl Origin {
    /// Whether a request is one for a licence, whose body is to be read.
    pub fn takes_license_request(&self, method: Method, path: &str) -> bool {
        let path = decoded(path);
        let name = path.as_deref().and_then(named);
        method == Method::Post && matches!(name, Some((_, Name::License)))
    }

    /// The answer to a request for a licence. `body` reads what was sent with it, at most
    /// [`LICENSE_BYTES_MAX`] bytes, and is waited for only where the sender may have a licence.
    pub async fn license(
        &self,
        request: &Request<'_>,
        body: impl Future<Output = Result<Vec<u8>, Refusal>>,
    ) -> Reply {
        let reply = self.0.license(request, body).await;
        reply.for_page(self.0.page(request))
    }
}

impl Shared {
    /// The answer to any other request about keys, from who was let in.
    pub(super) async fn key(&self, method: Method, folder: &str, name: Name) -> Reply {
        match (method, name) {
            (Method::Options, Name::License) => Reply::license_preflight(),
            (_, Name::License) => Reply::only_post(),
            (Method::Options, Name::Key(_)) => Reply::preflight(),
            (Method::Get | Method::Head, Name::Key(id)) => {
                told(self.key_bytes(folder, id).await, "there is no such key")
            }
            _ => Reply::method_not_allowed(),
        }
    }

    async fn key_bytes(&self, folder: &str, id: KeyId) -> Result<Option<Reply>> {
        let Some(owned) = self.owned(folder).await? else {
            return Ok(None);
        };
        if !owned.encryption.has_own_keys() {
            return Ok(None);
        }
        let key = self.content_key(&owned, id)?;
        let bytes = key.map(|key| key.secret_bytes().to_vec());
        Ok(bytes.map(|bytes| Reply::secret("application/octet-stream", bytes)))
    }

    async fn license(
        &self,
        request: &Request<'_>,
        body: impl Future<Output = Result<Vec<u8>, Refusal>>,
    ) -> Reply {
        let path = decoded(request.path).unwrap_or_default();
        if let Err(refusal) = self.admit(request, &path) {
            return Reply::refused(&refusal);
        }
        let Some((folder, Name::License)) = named(&path) else {
            return Reply::method_not_allowed();
        };
        let body = match body.await {
            Ok(body) => body,
            Err(refusal) => return Reply::refused(&refusal),
        };
        let Some(ids) = clear_key::requested(&body) else {
            return Reply::refused(&Refusal::LICENSE);
        };
        told(
            self.licensed(folder, &ids).await,
            "none of these keys are there",
        )
    }

    async fn licensed(&self, folder: &str, ids: &[KeyId]) -> Result<Option<Reply>> {
        let Some(owned) = self.owned(folder).await? else {
            return Ok(None);
        };
        if !owned.encryption.has_own_licenses() {
            return Ok(None);
        }
        let mut keys = Vec::new();
        for id in ids {
            keys.extend(self.content_key(&owned, *id)?.map(|key| (*id, key)));
        }
        let license = (!keys.is_empty()).then(|| clear_key::license(&keys));
        Ok(license.map(|json| Reply::secret("application/json", json)))
    }

    /// Whose keys are asked for in a folder.
    async fn owned(&self, folder: &str) -> Result<Option<Arc<Owned>>> {
        if let Some((Making { catalog, .. }, id)) = self.making.as_ref().zip(asset_id(folder))
            && let Some(asset) = catalog.asset(&id).await?
        {
            return Ok(owned_by(asset).map(Arc::new));
        }
        if let Some(known) = self.packaged.get(folder) {
            return Ok(known);
        }
        // Only where media could lie.
        if deliverable(&format!("{folder}{HLS_NAME}")).is_none() {
            return Ok(None);
        }
        let owned = self.owned_by_plan(folder).await?.map(Arc::new);
        self.packaged.insert(folder.to_owned(), owned.clone());
        Ok(owned)
    }

    /// What a title's own plan says, which `headwater package` wrote beside it.
    async fn owned_by_plan(&self, folder: &str) -> Result<Option<Owned>> {
        let store = self.cache.store();
        let read = async |key: Key| store.get(&format!("{folder}{key}")).await;
        let Some(record) = read(Key::Record).await? else {
            return Ok(None);
        };
        let Ok(record) = serde_json::from_slice::<Presentation>(&record) else {
            return Ok(None);
        };
        let plan = Key::Private {
            revision: record.revision,
            name: "plan.json".to_owned(),
        };
        let Some(plan) = read(plan).await? else {
            return Ok(None);
        };
        Ok(serde_json::from_slice::<Plan>(&plan).ok().and_then(|plan| {
            Some(Owned {
                encryption: plan.encryption?.policy,
                source_digest: plan.source_digest,
            })
        }))
    }

    fn content_key(&self, owned: &Owned, id: KeyId) -> Result<Option<ContentKey>> {
        let find = |keys: &KeySource| keys.find(&owned.encryption, &owned.source_digest, id);
        match self.keys.as_ref().map(find) {
            // A list of keys that has none for this title.
            Some(Err(e)) if e.kind() == ErrorKind::Invalid => Ok(None),
            Some(found) => found,
            None => Ok(None),
        }
    }
}

/// What is known of an asset's keys, once it can be played.
fn owned_by(asset: Asset) -> Option<Owned> {
    let is_playable = matches!(asset.state, AssetState::Ready | AssetState::Complete);
    let encryption = asset.policy.encryption.filter(|_| is_playable)?;
    Some(Owned {
        encryption,
        source_digest: asset.source_digest?,
    })
}

fn told(found: Result<Option<Reply>>, missing: &str) -> Reply {
    match found {
        Ok(Some(reply)) => reply,
        Ok(None) => Reply::problem(404, NO_KEY, missing),
        Err(e) if e.kind() == ErrorKind::NotFound => not_found(NO_KEY),
        Err(_) => super::unavailable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_path() {
        let digits = "2f05477fc24bb4faefd86517156daffc";
        let id = KeyId::parse(digits).unwrap();
        let path = format!("v/cats/keys/{digits}");
        assert_eq!(named(&path), Some(("v/cats/", Name::Key(id))));
        assert_eq!(
            named("v/cats/keys/clearkey"),
            Some(("v/cats/", Name::License))
        );
        for other in [
            format!("v/cats/keys/{}", digits.to_uppercase()),
            format!("v/cats/keys/{digits}/"),
            format!("v/cats/keys/{}", &digits[1..]),
            format!("v/cats/monkeys/{digits}"),
            format!("v/cats/{digits}"),
            "v/cats/keys/".to_owned(),
            "v/cats/keys".to_owned(),
            "clearkey".to_owned(),
        ] {
            assert_eq!(named(&other), None, "{other}");
        }
    }
}
