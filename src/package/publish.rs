//! Publishing: manifests from what is stored, checked, then made visible, the record last.

use std::fs::File;

use bytes::Bytes;

use super::kept_index;
use super::prepare::Prepared;
use super::record::MeasuredStills;
use super::stored::Stored;
use super::stored_fetch::StoredFetch;
use crate::dash;
use crate::error::{Error, ErrorKind, Result};
use crate::hls;
use crate::layout::{Key, ThumbnailList};
use crate::media::Presentation;
use crate::store::BlockingStore;
use crate::text;
use crate::verify::{self, Report, RuleReport, Status};

/// Keeps other runs off the same directory while this one works. A bucket has no such lock; its
/// runs are kept apart by conditional creates alone.
///
/// # Errors
/// `Unavailable` while another run has it.
pub fn lock(store: &BlockingStore) -> Result<Option<File>> {
    let Some(directory) = store.store().directory() else {
        return Ok(None);
    };
    let path = directory.join(".lock");
    let file =
        File::create(&path).map_err(|e| Error::io(format!("making {}", path.display()), e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "another run is writing to {}; wait for its end",
                directory.display()
            ),
        )),
    }
}

/// Stores the plan under its revision: what every worker of this revision goes by. With it the index,
/// where it is dear.
pub(super) fn store_plan(store: &BlockingStore, prepared: &Prepared) -> Result<()> {
    let json = serde_json::to_vec_pretty(prepared.plan.as_ref())
        .map_err(|e| Error::internal("writing the plan as JSON").with_source(e))?;
    let key = Key::Private {
        revision: prepared.revision.clone(),
        name: "plan.json".into(),
    };
    store.create(&key, vec![Bytes::from(json)])?;
    kept_index::keep(store, prepared)
}

/// Writes the manifests, checks everything, makes it visible.
///
/// # Errors
/// When a must of the rules fails: nothing becomes visible then.
pub(super) fn publish(
    store: &BlockingStore,
    presentation: &Presentation,
    stored: &Stored,
) -> Result<Report> {
    write_revision(store, presentation)?;
    let report = check(store, presentation, stored)?;
    let failed: Vec<String> = failures(&report);
    if !failed.is_empty() {
        let message = format!(
            "the presentation breaks {} rules: {}",
            failed.len(),
            failed.join("; ")
        );
        return Err(Error::invalid(message));
    }
    write_entries(store, presentation)?;
    write_record(store, presentation)?;
    Ok(report)
}

/// Writes the record: what says that a presentation is complete.
///
/// # Errors
/// When the store is away or full.
pub fn write_record(store: &BlockingStore, presentation: &Presentation) -> Result<()> {
    let record = store.store().record_key(&presentation.revision);
    store.replace(&record, Bytes::from(record_json(presentation)?))
}

/// Writes the stable entry points: what makes a presentation visible.
///
/// # Errors
/// When the store is away or full.
pub fn write_entries(store: &BlockingStore, presentation: &Presentation) -> Result<()> {
    let base = format!("{}/", presentation.revision);
    // Both are rendered before either is written.
    let playlist = hls::multivariant(presentation, &base)?;
    let mpd = match presentation.has_dash() {
        true => Some(dash::mpd(presentation, &base)?),
        false => None,
    };
    store.replace(&Key::EntryHls, Bytes::from(playlist))?;
    match mpd {
        Some(mpd) => store.replace(&Key::EntryDash, Bytes::from(mpd)),
        // That of another revision would be found in its place.
        None => store.remove(&Key::EntryDash),
    }
}

pub(super) fn record_json(presentation: &Presentation) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(presentation)
        .map_err(|e| Error::internal("writing the record as JSON").with_source(e))
}

/// Each broken must, in one line.
fn failures(report: &Report) -> Vec<String> {
    let failed = report
        .rules
        .iter()
        .filter(|rule| rule.status == Status::Failed);
    let line = |rule: &RuleReport| match rule.findings.first() {
        Some(finding) => format!("{} at {}: {}", rule.id, finding.place, finding.message),
        None => rule.id.to_owned(),
    };
    failed.map(line).collect()
}

/// Writes the media playlists: all that they say is planned.
pub(super) fn write_playlists(store: &BlockingStore, presentation: &Presentation) -> Result<()> {
    let revision = &presentation.revision;
    let target = hls::target_duration(presentation);
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    for track in video.chain(audio) {
        let playlist = hls::media_playlist(track, target)?;
        let key = Key::MediaPlaylist {
            revision: revision.clone(),
            track: track.id.clone(),
        };
        store.create(&key, vec![Bytes::from(playlist)])?;
    }
    Ok(())
}

/// Writes the I-frame playlists and the lists of thumbnails. Replaced, not created: a run that mends
/// a damaged folder measures other sizes.
pub(super) fn write_still_lists(
    store: &BlockingStore,
    presentation: &Presentation,
    measured: &MeasuredStills,
) -> Result<()> {
    let revision = || presentation.revision.clone();
    let MeasuredStills { stills, fragments } = measured;
    for (track, fragments) in stills.tracks.iter().zip(fragments) {
        let key = Key::MediaPlaylist {
            revision: revision(),
            track: track.common.id.clone(),
        };
        store.replace(
            &key,
            hls::i_frame_playlist(&track.common, fragments)?.into(),
        )?;
    }
    let (thumbnails, duration) = (&stills.thumbnails, presentation.duration);
    for list in ThumbnailList::ALL {
        let text = match list {
            ThumbnailList::IFrames => hls::thumbnail_playlist(thumbnails, duration)?,
            ThumbnailList::Images => hls::image_playlist(thumbnails, duration)?,
            ThumbnailList::WebVtt => text::thumbnails(thumbnails, duration),
        };
        let key = Key::ThumbnailList {
            revision: revision(),
            list,
        };
        store.replace(&key, text.into())?;
    }
    Ok(())
}

/// Media playlists, then the manifests that name them.
fn write_revision(store: &BlockingStore, presentation: &Presentation) -> Result<()> {
    let revision = &presentation.revision;
    write_playlists(store, presentation)?;
    let playlist = hls::multivariant(presentation, "")?;
    // Replaced, not created: a run that mends a damaged folder measures other sizes.
    let revision = revision.clone();
    store.replace(
        &Key::Multivariant {
            revision: revision.clone(),
        },
        Bytes::from(playlist),
    )?;
    if presentation.has_dash() {
        store.replace(
            &Key::Mpd { revision },
            Bytes::from(dash::mpd(presentation, "")?),
        )?;
    }
    Ok(())
}

/// Runs every rule over the revision as it lies in the store, and stores the report.
fn check(store: &BlockingStore, presentation: &Presentation, stored: &Stored) -> Result<Report> {
    let revision = &presentation.revision;
    let record = record_json(presentation)?;
    let fetch = StoredFetch::new(store, presentation, stored, record)?;
    let report = verify::verify(&fetch, None)?;
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|e| Error::internal("writing the report as JSON").with_source(e))?;
    let key = Key::Private {
        revision: revision.clone(),
        name: "conformance.json".into(),
    };
    store.replace(&key, Bytes::from(json))?;
    Ok(report)
}
