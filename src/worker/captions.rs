//! The entry points of an asset, with the captions that people added to it.
//!
//! Captions are the asset's, not the revision's: the entry points name them, the manifests that
//! stay for ever don't. Their text as it was uploaded lies beside the source.

use std::sync::PoisonError;

use bytes::Bytes;

use super::Workshop;
use super::card::Card;
use crate::catalog::{Caption, NewCaption};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{self, Key};
use crate::media::{Asset, AssetId, AssetState, Presentation, TextKind};
use crate::package;
use crate::package::captions::{self, Captions, Labels};

/// Captions as somebody uploads them.
#[derive(Debug, Clone)]
pub struct CaptionUpload {
    /// BCP 47 tag.
    pub language: String,
    /// Name shown to people; empty for the language's own name of itself.
    pub name: String,
    /// What they are for.
    pub kind: TextKind,
    /// WebVTT or SubRip.
    pub body: Vec<u8>,
}

/// What entry points name.
struct Named {
    asset: Asset,
    presentation: Presentation,
    captions: Vec<Caption>,
}

impl Named {
    /// Whether entry points would be the same.
    fn is_as(&self, other: &Self) -> bool {
        self.presentation == other.presentation && self.captions == other.captions
    }
}

impl Workshop {
    /// Adds captions to a playable asset and names them in its manifests; gives them with what was
    /// odd about them. Blocks: to be called from a thread that may.
    ///
    /// # Errors
    /// `NotFound` without such an asset, `Conflict` while it is not playable, `Invalid` for what
    /// can't be read as captions.
    pub fn add_caption(
        &self,
        asset: &AssetId,
        upload: &CaptionUpload,
    ) -> Result<(Caption, Vec<String>)> {
        let shared = &self.shared;
        let (asset, revision) = self.playable(asset)?;
        let store = shared.store.asset(&asset.id);
        let presentation = package::published(&store, &revision)?;
        let made = objects(&presentation, upload)?;
        for (key, bytes) in made.objects {
            store.create(&key, vec![bytes])?;
        }
        let digest = made.track.digest.clone();
        self.keep_text(&asset.id, &digest, &upload.body)?;
        let new = NewCaption {
            asset: asset.id.clone(),
            language: made.track.language.clone(),
            name: made.track.name.clone(),
            kind: upload.kind,
            digest: digest.clone(),
        };
        let replaced = self.block_on(shared.catalog.put_caption(&new))?;
        if let Some(old) = replaced.filter(|old| old.digest != digest) {
            self.drop_text(&old)?;
        }
        self.write_entries(&asset.id, &revision)?;
        let added = self.block_on(shared.catalog.captions(&asset.id))?;
        let added = added
            .into_iter()
            .find(|caption| caption.id == made.track.id);
        added
            .map(|caption| (caption, made.warnings))
            .ok_or_else(|| gone(&asset.id))
    }

    /// Takes captions out of an asset's manifests; `false` when it has none of that id. What
    /// caches and players hold of them still resolves.
    ///
    /// # Errors
    /// When catalog or store are away.
    pub fn remove_caption(&self, asset: &AssetId, id: &str) -> Result<bool> {
        let removed = self.block_on(self.shared.catalog.remove_caption(asset, id))?;
        let Some(caption) = removed else {
            return Ok(false);
        };
        self.drop_text(&caption)?;
        let (asset, revision) = self.playable(asset)?;
        self.write_entries(&asset.id, &revision)?;
        Ok(true)
    }

    fn playable(&self, id: &AssetId) -> Result<(Asset, String)> {
        let asset = self.block_on(self.shared.catalog.asset(id))?;
        let asset = asset.ok_or_else(|| gone(id))?;
        let playable = matches!(asset.state, AssetState::Ready | AssetState::Complete);
        match asset.revision.clone().filter(|_| playable) {
            Some(revision) => Ok((asset, revision)),
            None => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the asset is {}; captions are added once it is ready",
                    asset.state.name()
                ),
            )),
        }
    }

    /// Renders and writes the entry points from what was last published of `revision`, with the
    /// captions that the asset has now.
    ///
    /// # Errors
    /// `Conflict` when the asset is being removed, was removed or has failed.
    pub(super) fn write_entries(&self, id: &AssetId, revision: &str) -> Result<()> {
        let shared = &self.shared;
        let removing = shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut named = self.named_by_entries(id, revision, removing.contains(id))?;
        loop {
            self.write_entries_of(&named)?;
            if !shared.catalog.is_shared() {
                return Ok(());
            }
            // Another machine may have changed what they name meanwhile, and written before us.
            match self.named_by_entries(id, revision, false) {
                Ok(now) if now.is_as(&named) => return Ok(()),
                Ok(now) => named = now,
                Err(gone) if gone.kind() == ErrorKind::Conflict => {
                    self.remove_both_entries(id)?;
                    self.clear_if_removed(id);
                    return Err(gone);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the entry points of an asset name now, if it may have any.
    fn named_by_entries(&self, id: &AssetId, revision: &str, is_removing: bool) -> Result<Named> {
        let shared = &self.shared;
        let asset = self.block_on(shared.catalog.asset(id))?;
        let alive = asset.filter(|asset| asset.state != AssetState::Failed);
        let Some(asset) = alive.filter(|_| !is_removing) else {
            let message = format!("the asset {id} was removed or has failed");
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        Ok(Named {
            presentation: package::published(&shared.store.asset(id), revision)?,
            captions: self.block_on(shared.catalog.captions(id))?,
            asset,
        })
    }

    fn write_entries_of(&self, named: &Named) -> Result<()> {
        let store = &self.shared.store;
        let mut presentation = named.presentation.clone();
        for caption in &named.captions {
            // One that is just being removed has no text any more.
            if let Some(upload) = self.read_text(caption)? {
                let made = objects(&presentation, &upload)?;
                captions::put(&mut presentation.text, made.track);
            }
        }
        let (asset, captions) = (named.asset.clone(), named.captions.clone());
        Card::new(asset, &presentation.revision, captions).write(store)?;
        package::write_entries(&store.asset(&named.asset.id), &presentation)
    }

    fn remove_both_entries(&self, id: &AssetId) -> Result<()> {
        let store = self.shared.store.asset(id);
        for key in [Key::EntryHls, Key::EntryDash] {
            store.remove(&key)?;
        }
        Ok(())
    }

    /// Takes the entry points of a failed asset away, unless it was reopened meanwhile.
    pub(super) fn remove_entries(&self, id: &AssetId) -> Result<()> {
        let shared = &self.shared;
        let _writing = shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let asset = self.block_on(shared.catalog.asset(id))?;
        if asset.is_none_or(|asset| asset.state != AssetState::Failed) {
            return Ok(());
        }
        self.remove_both_entries(id)
    }

    fn keep_text(&self, asset: &AssetId, digest: &str, body: &[u8]) -> Result<()> {
        let name = layout::kept_text(asset, digest);
        let body = Bytes::copy_from_slice(body);
        self.shared.store.write_document(&name, body)
    }

    fn read_text(&self, caption: &Caption) -> Result<Option<CaptionUpload>> {
        let name = layout::kept_text(&caption.asset, &caption.digest);
        let body = self.shared.store.document(&name)?;
        Ok(body.map(|body| CaptionUpload {
            language: caption.language.as_str().to_owned(),
            name: caption.name.clone(),
            kind: caption.kind,
            body: body.into(),
        }))
    }

    fn drop_text(&self, caption: &Caption) -> Result<()> {
        let name = layout::kept_text(&caption.asset, &caption.digest);
        self.shared.store.remove_document(&name)
    }
}

fn objects(presentation: &Presentation, upload: &CaptionUpload) -> Result<Captions> {
    let labels = Labels {
        language: &upload.language,
        name: &upload.name,
        kind: upload.kind,
        // Forced text is what everybody needs; other text is shown to who asks for it.
        default: false,
    };
    captions::objects(presentation, &labels, &upload.body)
}

fn gone(asset: &AssetId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no asset {asset}"))
}
