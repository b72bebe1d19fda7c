//! Content keys: where they come from. They are derived from one secret and what they are for, so
//! that nothing has to be stored beside the secret; or they come from a list that the user has from
//! elsewhere.
//!
//! A plan names key ids and initialization vectors, which are public. The keys themselves are asked
//! for here by whoever encrypts or hands them out, and by nobody else.

mod derive;
mod list;
mod secret;

use std::path::Path;

pub use secret::MasterSecret;

use crate::error::{Error, ErrorKind, Result};
use crate::media::{ContentKey, Encryption, EncryptionPlan, KeyId, KeyPlan, KeyUse};
use list::KeyList;

/// Where content keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A secret that all of them are derived from.
    Derived(MasterSecret),
    /// The user's own.
    Listed(KeyList),
}

impl KeySource {
    /// What a key file holds: a secret of 64 hexadecimal digits, or a list of keys in TOML.
    ///
    /// # Errors
    /// When it can't be read or is neither; no error says what is in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io(format!("reading the key file {}", path.display()), e))?;
        let named = |e: Error| e.context(format!("key file {}", path.display()));
        if let Some(secret) = MasterSecret::parse(text.trim()) {
            return Ok(Self::Derived(secret));
        }
        KeyList::parse(&text).map(Self::Listed).map_err(named)
    }

    /// The plan of what `policy` asks for, of a source with that digest.
    ///
    /// # Errors
    /// When a list lacks a key that the policy needs.
    pub fn plan(&self, policy: &Encryption, source_digest: &str) -> Result<EncryptionPlan> {
        let key = |usage: &KeyUse| self.key_plan(*usage, source_digest);
        let keys = match self {
            Self::Derived(_) => policy.keys.uses().iter().map(key).collect::<Result<_>>()?,
            // A list says by itself what each key is for.
            Self::Listed(list) => list.plans()?,
        };
        Ok(EncryptionPlan {
            policy: policy.clone(),
            keys,
        })
    }

    fn key_plan(&self, usage: KeyUse, source_digest: &str) -> Result<KeyPlan> {
        match self {
            Self::Derived(secret) => derive::key_plan(secret, source_digest, usage),
            Self::Listed(list) => list.plan(usage),
        }
    }

    /// The key itself, of which a plan for a source with that digest holds `planned`.
    ///
    /// # Errors
    /// `Conflict`, when these keys are others than those that the plan was made with.
    pub fn content_key(&self, source_digest: &str, planned: &KeyPlan) -> Result<ContentKey> {
        let ours = self.key_plan(planned.usage, source_digest)?;
        if (ours.key_id, ours.check) != (planned.key_id, planned.check) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the key for {} is not the {} that this was planned with; give the key file of \
                     then",
                    planned.usage.name(),
                    planned.key_id
                ),
            ));
        }
        match self {
            Self::Derived(secret) => derive::content_key(secret, source_digest, planned.usage),
            Self::Listed(list) => list.content_key(planned.usage),
        }
    }

    /// The key of that id among those of a source with that digest under `policy`; `None` when it
    /// has no such key.
    ///
    /// # Errors
    /// `Internal`, when keys can't be derived.
    pub fn find(
        &self,
        policy: &Encryption,
        source_digest: &str,
        key_id: KeyId,
    ) -> Result<Option<ContentKey>> {
        let plan = self.plan(policy, source_digest)?;
        let planned = plan.keys.iter().find(|key| key.key_id == key_id);
        planned
            .map(|planned| self.content_key(source_digest, planned))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::media::{KeyDivision, ProtectedKind, Scheme};

    const DIGEST: &str = "00aa";

    fn derived() -> KeySource {
        KeySource::Derived(MasterSecret::parse(&"5a".repeat(32)).unwrap())
    }

    fn policy(keys: KeyDivision) -> Encryption {
        Encryption {
            keys,
            ..Encryption::new(Scheme::Cbcs)
        }
    }

    #[test]
    fn keys_are_the_same_each_time_and_differ_in_all_they_are_for() {
        let source = derived();
        let plan = |digest| source.plan(&policy(KeyDivision::BySize), digest).unwrap();
        assert_eq!(plan(DIGEST), plan(DIGEST));
        let mut seen = Vec::new();
        for digest in [DIGEST, "00ab"] {
            for planned in plan(digest).keys {
                let key = source.content_key(digest, &planned).unwrap();
                seen.extend([planned.key_id.0, planned.iv.0, *key.secret_bytes()]);
            }
        }
        let mut distinct = seen.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((distinct.len(), seen.len()), (24, 24));
    }

    #[test]
    fn a_key_is_found_by_its_id_with_its_own_source_alone() {
        let (source, policy) = (derived(), policy(KeyDivision::AudioVideo));
        let plan = source.plan(&policy, DIGEST).unwrap();
        let id = plan.key_for(ProtectedKind::Audio).unwrap().key_id;
        let found = source.find(&policy, DIGEST, id).unwrap();
        assert_eq!(
            found,
            Some(source.content_key(DIGEST, &plan.keys[1]).unwrap())
        );
        assert_eq!(source.find(&policy, "00ab", id).unwrap(), None);
        assert_eq!(source.find(&policy, DIGEST, KeyId([0; 16])).unwrap(), None);
    }

    #[test]
    fn another_secret_than_the_plans_is_told() {
        let plan = derived().plan(&policy(KeyDivision::One), DIGEST).unwrap();
        let other = KeySource::Derived(MasterSecret::parse(&"5b".repeat(32)).unwrap());
        let error = other.content_key(DIGEST, &plan.keys[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn another_key_of_the_same_id_and_vector_is_told() {
        let row = |key: &str| {
            let (id, iv) = ("01".repeat(16), "02".repeat(16));
            let key = key.repeat(16);
            format!("[[key]]\nuse = \"all\"\nkey_id = \"{id}\"\nkey = \"{key}\"\niv = \"{iv}\"\n")
        };
        let source = |key: &str| KeySource::Listed(KeyList::parse(&row(key)).unwrap());
        let policy = policy(KeyDivision::One);
        let plan = source("aa").plan(&policy, DIGEST).unwrap();
        assert!(source("aa").content_key(DIGEST, &plan.keys[0]).is_ok());
        let error = source("bb").content_key(DIGEST, &plan.keys[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_ne!(source("bb").plan(&policy, DIGEST).unwrap(), plan);
    }

    #[test]
    fn a_key_file_is_a_secret_or_a_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, format!("{}\n", "5a".repeat(32))).unwrap();
        assert!(matches!(KeySource::read(&path), Ok(KeySource::Derived(_))));
        let list = format!(
            "[[key]]\nuse = \"all\"\nkey_id = \"{}\"\nkey = \"{}\"\n",
            "01".repeat(16),
            "02".repeat(16)
        );
        fs::write(&path, list).unwrap();
        let source = KeySource::read(&path).unwrap();
        let plan = source.plan(&policy(KeyDivision::One), DIGEST).unwrap();
        assert_eq!(plan.keys[0].key_id, KeyId([1; 16]));
        let key = source.content_key(DIGEST, &plan.keys[0]).unwrap();
        assert_eq!(key, ContentKey::new([2; 16]));
        assert_eq!(format!("{source:?}").matches("02").count(), 0);
        assert!(KeySource::read(&folder.path().join("none")).is_err());
    }
}
