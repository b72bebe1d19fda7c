//! One title of a library: its file packaged, and the captions beside it added.

use std::sync::atomic::AtomicBool;

use super::catalogue::{Entry, Playback, State};
use super::name::asset_id;
use super::sources::{Found, Sidecar};
use crate::error::{Error, Result};
use crate::layout::{HLS_NAME, Key, MPD_NAME};
use crate::media::{Failure, Presentation};
use crate::package::captions::{self, Labels};
use crate::package::{self, Outcome, Progress};
use crate::store::{BlockingStore, asset_folder};

/// Largest file of captions, in bytes.
const CAPTIONS_MAX: u64 = 16 << 20;

/// A title, and where its library goes.
pub(super) struct Title<'a> {
    pub(super) found: &'a Found,
    pub(super) store: &'a BlockingStore,
    /// Digest of the policy.
    pub(super) policy: &'a str,
}

impl Title<'_> {
    /// Whether the store has its record: what is written last.
    pub(super) fn is_stored(&self) -> Result<bool> {
        let record = format!("{}/{}", self.folder()?, Key::Record);
        Ok(self.store.size(&record)?.is_some())
    }

    fn folder(&self) -> Result<String> {
        Ok(asset_folder(&asset_id(&self.found.relative)?))
    }

    /// Makes what is missing of it.
    pub(super) fn make(
        &self,
        options: &package::Options,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Entry> {
        let folder = self.folder()?;
        let store = self.store.within(&folder)?;
        let source = self.found.location.open();
        let made =
            source.and_then(|source| package::package(source, &store, options, progress, stop));
        let mut outcome = made.inspect_err(|_| remove_if_empty(&store))?;
        self.add_captions(&store, &mut outcome)?;
        self.complete(&folder, outcome)
    }

    /// Adds the captions beside the file to the entry points and the record.
    fn add_captions(&self, store: &BlockingStore, outcome: &mut Outcome) -> Result<()> {
        if self.found.captions.is_empty() {
            return Ok(());
        }
        let presentation = &mut outcome.presentation;
        for sidecar in &self.found.captions {
            let added = add(store, presentation, sidecar);
            let warnings = added.unwrap_or_else(|e| vec![format!("left out: {e}")]);
            let name = &sidecar.location;
            let warnings = warnings.into_iter().map(|w| format!("{name}: {w}"));
            presentation.warnings.extend(warnings);
        }
        package::write_entries(store, presentation)?;
        package::write_record(store, presentation)
    }

    fn complete(&self, folder: &str, outcome: Outcome) -> Result<Entry> {
        let has_dash = outcome.presentation.has_dash();
        let Presentation {
            revision,
            duration,
            warnings,
            ..
        } = outcome.presentation;
        Ok(Entry {
            state: State::Complete,
            playback: Some(Playback {
                hls: format!("{folder}/{HLS_NAME}"),
                dash: has_dash.then(|| format!("{folder}/{MPD_NAME}")),
            }),
            revision: Some(revision),
            duration_s: Some(duration.seconds()),
            bytes: Some(outcome.bytes),
            warnings,
            ..self.failed(None)?
        })
    }

    /// The entry of a title that failed.
    pub(super) fn failed(&self, error: Option<&Error>) -> Result<Entry> {
        Ok(Entry {
            source: self.found.relative.clone(),
            asset: asset_id(&self.found.relative)?,
            state: State::Failed,
            playback: None,
            error: error.map(Failure::from),
            revision: None,
            duration_s: None,
            bytes: None,
            warnings: Vec::new(),
            source_bytes: self.found.size_bytes,
            source_modified: self.found.modified.clone(),
            captions: self.found.captions_state(),
            policy: self.policy.to_owned(),
        })
    }
}

/// Puts a sidecar's text into the presentation; says what was odd about it.
fn add(
    store: &BlockingStore,
    presentation: &mut Presentation,
    sidecar: &Sidecar,
) -> Result<Vec<String>> {
    let body = sidecar.location.read(CAPTIONS_MAX)?;
    let labels = Labels {
        language: &sidecar.language,
        name: "",
        kind: sidecar.kind,
        default: false,
    };
    let made = captions::objects(presentation, &labels, &body)?;
    for (key, bytes) in made.objects {
        store.create(&key, vec![bytes])?;
    }
    captions::put(&mut presentation.text, made.track);
    Ok(made.warnings)
}

/// What can't be made at all leaves no folder behind; what was stored is the next run's start.
fn remove_if_empty(store: &BlockingStore) {
    if let Some(directory) = store.store().directory() {
        // It stays if there is anything in it.
        let _ = std::fs::remove_dir(directory);
    }
}
