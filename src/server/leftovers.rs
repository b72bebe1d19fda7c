//! What lies in store and data folder without an asset that it belongs to: what `headwater gc` shows
//! and removes.
//!
//! Whatever is stored for a listed asset under its own revision is explained by it. A folder that
//! no asset has but that has a record was packaged by hand, and is somebody's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::{data_folder, lock, options, runtime};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::layout::{CARD_NAME, RECORD_NAME, SOURCES_FOLDER, is_revision};
use crate::media::{Asset, AssetState};
use crate::store::{Listed, Store};

/// Folders that nothing needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Leftovers {
    /// Folders of the store that no asset explains, with their size in bytes.
    pub objects: BTreeMap<String, u64>,
    /// Folders of sources without an asset.
    pub sources: Vec<String>,
    /// Assets that the store knows and the catalog doesn't. Nothing of theirs is left over: more likely
    /// the catalog is lost than they are.
    pub unlisted: Vec<String>,
    /// Objects of the store that an asset, or a presentation packaged by hand, explains.
    pub explained: u64,
}

/// Finds what is left over, and removes it if `remove` says so.
///
/// # Errors
/// `Unavailable` when a server has the folder (it may be looked at then, but nothing be removed),
/// or when store or catalog are away.
pub fn leftovers(config: &Config, remove: bool) -> Result<Leftovers> {
    let data = data_folder(config)?;
    let _lock = remove.then(|| lock(&data)).transpose()?;
    let runtime = runtime()?;
    let place = options::catalog_place(config, &data)?;
    let store = Store::open(&options::store_place(config, &data))?;
    runtime.block_on(async {
        let catalog = Catalog::open(&place, Clock::system()).await?;
        // In this order: what other machines store later isn't listed, and what is listed has its
        // asset in the catalog already.
        let objects = store.list("").await?;
        let known = Known::read(&catalog).await?;
        let found = find(&known, &objects, &data)?;
        if remove {
            clear(&found, &store, &data).await?;
        }
        Ok(found)
    })
}

/// The assets and their revisions.
#[derive(Debug, Default)]
struct Known {
    /// The revision of each asset, once it is planned.
    assets: BTreeMap<String, Option<String>>,
    revisions: BTreeSet<String>,
    /// Whether another machine may be planning an asset now, whose revision isn't known yet.
    are_planned_elsewhere: bool,
}

impl Known {
    async fn read(catalog: &Catalog) -> Result<Self> {
        let mut known = Self::default();
        let indexing = catalog.assets_in(AssetState::Indexing).await?;
        known.are_planned_elsewhere = catalog.is_shared() && !indexing.is_empty();
        for state in AssetState::ALL {
            for asset in catalog.assets_in(state).await? {
                known.add(asset);
            }
        }
        Ok(known)
    }

    fn add(&mut self, asset: Asset) {
        self.revisions.extend(asset.revision.clone());
        self.assets.insert(asset.id.into(), asset.revision);
    }
}

/// Which folder an object of a server's store belongs to, if that is one of an asset.
fn folder_of(key: &str) -> Option<(&str, &str, String)> {
    let mut parts = key.split('/');
    match (parts.next()?, parts.next()?) {
        ("r", revision) if is_revision(revision) => Some(("r", revision, format!("r/{revision}"))),
        ("v", asset) => {
            let mut rest = parts.filter(|part| *part != ".meta");
            let revision = rest.next().filter(|part| is_revision(part));
            Some(match revision {
                Some(revision) => ("v", asset, format!("v/{asset}/{revision}")),
                None => ("v", asset, format!("v/{asset}")),
            })
        }
        (SOURCES_FOLDER, asset) => {
            Some((SOURCES_FOLDER, asset, format!("{SOURCES_FOLDER}/{asset}")))
        }
        _ => None,
    }
}

fn find(known: &Known, objects: &[Listed], data: &Path) -> Result<Leftovers> {
    let by_hand: BTreeSet<&str> = objects
        .iter()
        .filter_map(|object| object.key.strip_prefix("v/"))
        .filter_map(|key| key.split_once('/'))
        .filter(|(_, name)| *name == RECORD_NAME)
        .map(|(asset, _)| asset)
        .filter(|asset| !known.assets.contains_key(*asset))
        .collect();
    let unlisted = unlisted(known, objects);
    let mut found = Leftovers {
        unlisted: unlisted
            .assets
            .iter()
            .map(|&asset| asset.to_owned())
            .collect(),
        ..Leftovers::default()
    };
    for object in objects {
        let Some((room, name, folder)) = folder_of(&object.key) else {
            continue;
        };
        let explained = match (room, known.assets.get(name)) {
            ("r", _) if known.are_planned_elsewhere => true,
            ("r", _) => known.revisions.contains(name) || unlisted.revisions.contains(name),
            (_, None) if unlisted.assets.contains(name) => true,
            (SOURCES_FOLDER, asset) => asset.is_some(),
            (_, Some(Some(revision))) => {
                folder == format!("v/{name}") || folder.ends_with(&format!("/{revision}"))
            }
            // Not planned yet: nothing but its entry points could be there, unless somebody is at it.
            (_, Some(None)) => known.are_planned_elsewhere,
            (_, None) => by_hand.contains(name),
        };
        if explained {
            found.explained += 1;
        } else {
            *found.objects.entry(folder).or_default() += object.size;
        }
    }
    found.sources = sources(data)?;
    found.sources.retain(|asset| {
        // Of a store in the data folder it is listed above.
        let listed = found
            .objects
            .contains_key(&format!("{SOURCES_FOLDER}/{asset}"));
        !listed && !known.assets.contains_key(asset) && !unlisted.assets.contains(asset.as_str())
    });
    Ok(found)
}

/// What only the store knows.
#[derive(Debug, Default)]
struct Unlisted<'a> {
    assets: BTreeSet<&'a str>,
    revisions: BTreeSet<&'a str>,
}

fn unlisted<'a>(known: &Known, objects: &'a [Listed]) -> Unlisted<'a> {
    let mut unlisted = Unlisted::default();
    let parts = |object: &'a Listed| {
        let (room, rest) = object.key.split_once('/')?;
        let (asset, rest) = rest.split_once('/')?;
        Some((room, asset, rest))
    };
    for (room, asset, rest) in objects.iter().filter_map(parts) {
        if (room, rest) == (SOURCES_FOLDER, CARD_NAME) && !known.assets.contains_key(asset) {
            unlisted.assets.insert(asset);
        }
    }
    for (room, asset, rest) in objects.iter().filter_map(parts) {
        if room == "v" && unlisted.assets.contains(asset) {
            let first = rest.split('/').next();
            unlisted
                .revisions
                .extend(first.filter(|part| is_revision(part)));
        }
    }
    unlisted
}

fn sources(data: &Path) -> Result<Vec<String>> {
    let folder = data.join("src");
    let entries = std::fs::read_dir(&folder)
        .map_err(|e| Error::io(format!("listing {}", folder.display()), e))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

async fn clear(found: &Leftovers, store: &Store, data: &Path) -> Result<()> {
    for folder in found.objects.keys() {
        store.remove_folder(folder).await?;
        // The headers that a directory keeps for a revision.
        if let Some((asset, revision)) = folder.rsplit_once('/')
            && asset.starts_with("v/")
        {
            store
                .remove_folder(&format!("{asset}/.meta/{revision}"))
                .await?;
        }
    }
    for asset in &found.sources {
        let folder = data.join("src").join(asset);
        tokio::fs::remove_dir_all(&folder)
            .await
            .map_err(|e| Error::io(format!("removing {}", folder.display()), e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "0123456789abcdef0123456789abcdef";
    const OLD: &str = "fedcba9876543210fedcba9876543210";
    const LOST: &str = "00000000000000000000000000000000";

    fn object(key: String) -> Listed {
        Listed { key, size: 10 }
    }

    #[test]
    fn what_no_asset_explains_is_left_over() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(data.path().join("src/cats")).unwrap();
        std::fs::create_dir_all(data.path().join("src/gone")).unwrap();
        let mut known = Known::default();
        known.assets.insert("cats".to_owned(), Some(NEW.to_owned()));
        known.revisions.insert(NEW.to_owned());
        let objects: Vec<Listed> = [
            "v/cats/index.m3u8".to_owned(),
            format!("v/cats/{NEW}/v720/1.m4s"),
            format!("v/cats/.meta/{NEW}/v720/1.m4s.json"),
            format!("v/cats/{OLD}/v720/1.m4s"),
            format!("v/gone/{NEW}/v720/1.m4s"),
            "v/mine/presentation.json".to_owned(),
            format!("v/mine/{OLD}/v720/1.m4s"),
            format!("r/{NEW}/plan.json"),
            format!("r/{OLD}/plan.json"),
            "src/cats/asset.json".to_owned(),
            "src/broken/text/0".to_owned(),
            "src/lost/asset.json".to_owned(),
            "src/lost/source".to_owned(),
            format!("v/lost/{LOST}/v720/1.m4s"),
            format!("r/{LOST}/plan.json"),
            "catalog.sqlite".to_owned(),
        ]
        .map(object)
        .into();
        let found = find(&known, &objects, data.path()).unwrap();
        let folders: Vec<&str> = found.objects.keys().map(String::as_str).collect();
        let old = [
            format!("r/{OLD}"),
            "src/broken".to_owned(),
            format!("v/cats/{OLD}"),
            format!("v/gone/{NEW}"),
        ];
        assert_eq!(folders, old);
        assert_eq!(found.sources, ["gone"]);
        assert_eq!(found.unlisted, ["lost"]);
        assert_eq!(found.explained, 11);
    }
}
