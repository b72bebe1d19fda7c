//! Keys that the user has from elsewhere, for example from a DRM service: a TOML file.
//!
//! ```toml
//! [[key]]
//! use = "video"                                # all, audio, video, sd, hd or uhd
//! key_id = "32 hexadecimal digits"
//! key = "32 hexadecimal digits"
//! iv = "32 hexadecimal digits"                 # may be left out
//! ```

use std::fmt;

use serde::Deserialize;

use super::derive;
use crate::error::{Error, Result};
use crate::media::{ContentKey, Iv, KeyId, KeyPlan, KeyUse};

/// The keys of a list, each for another use.
#[derive(Clone)]
pub struct KeyList(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    plan: KeyPlan,
    key: ContentKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    key: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "use")]
    usage: KeyUse,
    key_id: KeyId,
    key: String,
    iv: Option<Iv>,
}

impl KeyList {
    /// Reads a list. No error repeats what is in it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        // What the reader says of a text may quote it.
        let file: File = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            Error::invalid(format!(
                "line {line}: neither a secret (64 hexadecimal digits, as `openssl rand -hex 32` \
                 makes them) nor a list of keys: tables [[key]] with use, key_id, key and iv"
            ))
        })?;
        let mut entries: Vec<Entry> = Vec::new();
        for row in file.key {
            let usage = row.usage;
            let wrong =
                |what: &str| Error::invalid(format!("the key for {}: {what}", usage.name()));
            if entries.iter().any(|known| known.plan.usage == usage) {
                return Err(wrong("is there twice"));
            }
            if entries.iter().any(|known| known.plan.key_id == row.key_id) {
                return Err(wrong("its key_id is that of another key"));
            }
            let key = ContentKey::parse(&row.key)
                .ok_or_else(|| wrong("key must have 32 hexadecimal digits"))?;
            let iv = match row.iv {
                Some(iv) => iv,
                None => derive::iv_of(&key)?,
            };
            let plan = KeyPlan {
                usage,
                key_id: row.key_id,
                iv,
                check: Some(derive::check_of(&key)?),
            };
            entries.push(Entry { plan, key });
        }
        Ok(Self(entries))
    }

    pub(super) fn plans(&self) -> Result<Vec<KeyPlan>> {
        match self.0.is_empty() {
            true => Err(Error::invalid("the key file has no key in it")),
            false => Ok(self.0.iter().map(|entry| entry.plan).collect()),
        }
    }

    pub(super) fn plan(&self, usage: KeyUse) -> Result<KeyPlan> {
        self.entry(usage).map(|entry| entry.plan)
    }

    pub(super) fn content_key(&self, usage: KeyUse) -> Result<ContentKey> {
        self.entry(usage).map(|entry| entry.key.clone())
    }

    fn entry(&self, usage: KeyUse) -> Result<&Entry> {
        let found = self.0.iter().find(|entry| entry.plan.usage == usage);
        let missing = || Error::invalid(format!("the key file has no key for {}", usage.name()));
        found.ok_or_else(missing)
    }
}

impl fmt::Debug for KeyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plans = self.0.iter().map(|entry| entry.plan);
        f.debug_list().entries(plans).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(usage: &str, id: &str, key: &str) -> String {
        let (id, key) = (id.repeat(16), key.repeat(16));
        format!("[[key]]\nuse = \"{usage}\"\nkey_id = \"{id}\"\nkey = \"{key}\"\n")
    }

    #[test]
    fn a_vector_that_is_left_out_is_always_the_same() {
        let list = KeyList::parse(&row("all", "01", "02")).unwrap();
        let again = KeyList::parse(&row("all", "01", "02")).unwrap();
        assert_eq!(list.plans().unwrap(), again.plans().unwrap());
        let given = format!("{}iv = \"{}\"\n", row("all", "01", "02"), "03".repeat(16));
        let given = KeyList::parse(&given).unwrap();
        assert_eq!(given.plans().unwrap()[0].iv, Iv([3; 16]));
    }

    #[test]
    fn wrong_lists_are_refused_and_not_repeated() {
        let twice = row("sd", "01", "77") + &row("sd", "03", "77");
        let same = row("sd", "01", "77") + &row("hd", "01", "77");
        for (text, word) in [
            (twice.as_str(), "twice"),
            (same.as_str(), "another key"),
            (&row("sd", "01", "7g"), "32 hexadecimal"),
            (&row("sd", "0g", "77"), "line 3"),
            (&row("4k", "01", "77"), "line 2"),
            ("77777777", "64 hexadecimal"),
            ("", "64 hexadecimal"),
        ] {
            let words = KeyList::parse(text).unwrap_err().to_string();
            assert!(words.contains(word), "{text}: {words}");
            assert!(!words.contains("777"), "{words}");
        }
    }
}
