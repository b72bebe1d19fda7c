//! Publishing early: as soon as a title is planned its manifests name every segment, whether one is
//! stored or not.
//!
//! What a manifest says before anything was made is planned (times), asked of the encoders
//! (codecs) or expected (bandwidths). Only the last are replaced when all is measured.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::damage;
use super::init::{audio_init, composition_delay, copied_config, copied_init, encoded_init};
use super::maker::Maker;
use super::publish::{self, record_json};
use super::record::{self, Sizes};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::media::{
    AudioMethod, ConfigureTask, Configured, Presentation, TaskSummary, VideoMethod,
};
use crate::plan;
use crate::sandbox::Launcher;
use crate::time::Timescale;

/// Name of the private object that holds the presentation as expected.
const EXPECTED_NAME: &str = "expected.json";

/// What was published early.
#[derive(Debug, Clone, PartialEq)]
pub struct Announced {
    /// The presentation with expected rates.
    pub presentation: Presentation,
    /// Whether there is a poster.
    pub has_poster: bool,
}

impl Maker {
    /// Stores the plan, every init segment, the media playlists, the poster and, last, the entry
    /// points, unless `visible` is false.
    ///
    /// # Errors
    /// When nothing in the source can be decoded where that is needed, or the store is away.
    pub fn announce(&self, stop: &AtomicBool) -> Result<Announced> {
        publish::store_plan(&self.store, &self.prepared)?;
        let has_poster = self.put_inits_and_poster(stop)?;
        let mut presentation = self.expected_presentation()?;
        self.put_text(&mut presentation, stop)?;
        publish::write_playlists(&self.store, &presentation)?;
        let expected = Key::Private {
            revision: self.prepared.revision.clone(),
            name: EXPECTED_NAME.to_owned(),
        };
        let json = Bytes::from(record_json(&presentation)?);
        self.store.replace(&expected, json)?;
        Ok(Announced {
            presentation,
            has_poster,
        })
    }

    /// Stores the init segments of all renditions.
    pub(super) fn put_inits(&self, stop: &AtomicBool) -> Result<()> {
        let task = ConfigureTask {
            poster: None,
            sound_poster: None,
            ..self.lowering.configure_task()?
        };
        self.configure(&task, stop).map(drop)
    }

    fn configure(&self, task: &ConfigureTask, stop: &AtomicBool) -> Result<Configured> {
        let poster = task.poster.iter().flat_map(|poster| &poster.samples);
        let sound = task.sound_poster.iter();
        let cover = sound.clone().filter_map(|poster| poster.cover.as_ref());
        let sound = sound.flat_map(|poster| &poster.sound.samples);
        let places = poster.chain(sound).map(|sample| sample.place);
        let places = places.chain(cover.map(|cover| cover.place));
        let (source, spool) = self.files(places, stop)?;
        let launcher = Launcher::new(self.sandbox.clone());
        let configured = launcher.configure(task, source.file(), spool, stop)?;
        self.put_video_inits(&configured.video)?;
        self.put_audio_inits(&configured.audio)?;
        Ok(configured)
    }

    /// Stores the init segments of all renditions, and the poster; whether there is one.
    fn put_inits_and_poster(&self, stop: &AtomicBool) -> Result<bool> {
        let configured = self.configure(&self.lowering.configure_task()?, stop)?;
        self.keep_poster_damage(&configured)?;
        if let Some(poster) = configured.poster {
            self.store.replace(&Key::EntryPoster, poster)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Cover art that can't be used is told of in the record.
    fn keep_poster_damage(&self, configured: &Configured) -> Result<()> {
        if self.prepared.plan.video.is_some() {
            return Ok(());
        }
        let summary = TaskSummary {
            damage: configured.damage.clone(),
            ..TaskSummary::default()
        };
        let (store, revision) = (&self.store, &self.prepared.revision);
        damage::keep(store, revision, "poster", 0, &summary, Timescale::MILLIS)
    }

    /// `configs` are those of the encoded renditions, in the plan's order.
    fn put_video_inits(&self, configs: &[Vec<u8>]) -> Result<()> {
        let Some(video) = &self.prepared.plan.video else {
            return Ok(());
        };
        let mut configs = configs.iter();
        for spec in &video.renditions {
            let init = match &spec.method {
                VideoMethod::Copy => {
                    let track = self.track(video.source_track);
                    let delay = self.lowering.copied_video_delay()?;
                    copied_init(video, spec, track, delay)?
                }
                VideoMethod::Encode(recipe) => {
                    let config = configs.next().ok_or_else(left_out)?;
                    encoded_init(
                        video,
                        spec,
                        recipe,
                        composition_delay(video, recipe),
                        config,
                    )?
                }
            };
            self.put_init(&spec.id, &init)?;
        }
        Ok(())
    }

    fn put_audio_inits(&self, configs: &[Vec<u8>]) -> Result<()> {
        let mut configs = configs.iter();
        for spec in &self.prepared.plan.audio {
            let config = match spec.method {
                AudioMethod::Copy { .. } => copied_config(spec, self.track(spec.source_track)),
                AudioMethod::Encode { .. } => configs.next().ok_or_else(left_out)?.clone(),
            };
            self.put_init(&spec.id, &audio_init(spec, config)?)?;
        }
        Ok(())
    }

    fn expected_presentation(&self) -> Result<Presentation> {
        let plan = &self.prepared.plan;
        let expected = plan::expected(plan, &self.prepared.index);
        let video = plan.video.iter().flat_map(|video| &video.renditions);
        let video = video.map(|rendition| rendition.id.clone());
        let audio = plan.audio.iter().map(|rendition| rendition.id.clone());
        let rates: BTreeMap<_, _> = video
            .zip(expected.video)
            .chain(audio.zip(expected.audio))
            .collect();
        record::presentation(&self.store, &self.prepared, &Sizes::Expected(rates))
    }
}

fn left_out() -> Error {
    Error::internal("the media child left out a decoder configuration")
}

/// The presentation of a revision as it was last published: measured when it is complete,
/// expected before.
///
/// # Errors
/// [`ErrorKind::NotFound`] when nothing was published, [`ErrorKind::DataLoss`] when what is
/// stored can't be read.
pub fn published(store: &crate::store::BlockingStore, revision: &str) -> Result<Presentation> {
    let expected = Key::Private {
        revision: revision.to_owned(),
        name: EXPECTED_NAME.to_owned(),
    };
    for key in [store.store().record_key(revision), expected] {
        if let Some(json) = store.read(&key)? {
            return serde_json::from_slice(&json).map_err(|e| {
                Error::new(ErrorKind::DataLoss, format!("{key} can't be read")).with_source(e)
            });
        }
    }
    let message = format!("nothing of revision {revision} is published");
    Err(Error::new(ErrorKind::NotFound, message))
}
