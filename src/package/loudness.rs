//! What was measured of the sound while it was encoded, kept beside the plan: pieces by the run of
//! segments that they were made with, put together when all are there.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::layout::Key;
use crate::loudness;
use crate::media::{AudioRendition, ChunkSpan, Loudness, LoudnessPart};
use crate::store::BlockingStore;

/// How the pieces are named in the revision's private folder.
const PREFIX: &str = "loudness-";

/// What sounds alike whatever its bitrate: a source track in so many channels.
type Sound = (usize, u16);

/// Keeps what a task measured while it made `run` of `rendition`.
///
/// # Errors
/// When the store is away or full.
pub(super) fn keep(
    store: &BlockingStore,
    revision: &str,
    rendition: &AudioRendition,
    run: ChunkSpan,
    part: &LoudnessPart,
) -> Result<()> {
    let json = serde_json::to_vec(part)
        .map_err(|e| Error::internal("writing loudness as JSON").with_source(e))?;
    let name = format!(
        "{PREFIX}{}-{}-{}-{}.json",
        rendition.source_track, rendition.channels, run.first_segment, run.segments
    );
    let key = Key::Private {
        revision: revision.to_owned(),
        name,
    };
    store.replace(&key, Bytes::from(json))
}

/// The loudness of each sound of which every part was measured.
#[derive(Debug, Default)]
pub(super) struct Measured(BTreeMap<Sound, Parts>);

/// What was measured of one sound, part by part.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Loudness of each tenth of a second by its number.
    tenths: BTreeMap<u32, i16>,
    peak_centi_dbtp: Option<i32>,
}

impl Measured {
    /// Reads all that was kept for a revision.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) fn read(store: &BlockingStore, revision: &str) -> Result<Self> {
        let mut measured = Self::default();
        for object in store.list(&format!("r/{revision}"))? {
            let name = object.key.rsplit('/').next().unwrap_or_default();
            let Some(sound) = sound_of(name) else {
                continue;
            };
            if let Some(key) = Key::parse(&object.key)
                && let Some(json) = store.read(&key)?
                && let Ok(part) = serde_json::from_slice::<LoudnessPart>(&json)
            {
                measured.0.entry(sound).or_default().add(&part);
            }
        }
        Ok(measured)
    }

    /// The loudness of a rendition; `None` where a part of it wasn't measured.
    pub(super) fn of(&self, rendition: &AudioRendition) -> Option<Loudness> {
        let sound = (rendition.source_track, rendition.channels);
        let parts = self.0.get(&sound).filter(|_| rendition.form.is_aac())?;
        parts.loudness(rendition)
    }
}

impl Parts {
    /// The loudness of all of a rendition; `None` where a part of it is missing, and for silence.
    pub(super) fn loudness(&self, rendition: &AudioRendition) -> Option<Loudness> {
        let tenth = u64::from(rendition.sample_rate / 10).max(1);
        let count = u32::try_from(rendition.samples / tenth).ok()?;
        let tenths: Option<Vec<i16>> = (0..count)
            .map(|number| self.tenths.get(&number).copied())
            .collect();
        loudness::of_tenths(&tenths?, self.peak_centi_dbtp?)
    }

    pub(super) fn add(&mut self, part: &LoudnessPart) {
        // A number past the last one that can be is nobody's: the list ends there.
        let numbers = part.first_tenth..u32::MAX;
        self.tenths.extend(numbers.zip(part.tenths.iter().copied()));
        let peak = self.peak_centi_dbtp.unwrap_or(part.peak_centi_dbtp);
        self.peak_centi_dbtp = Some(peak.max(part.peak_centi_dbtp));
    }
}

/// The sound that the name of a kept part speaks of.
fn sound_of(name: &str) -> Option<Sound> {
    let mut fields = name.strip_prefix(PREFIX)?.split('-');
    let track = fields.next()?.parse().ok()?;
    let channels = fields.next()?.parse().ok()?;
    Some((track, channels))
}
