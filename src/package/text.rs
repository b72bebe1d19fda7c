//! Text that the source holds, as text tracks of the presentation.
//!
//! Read anew whenever it is needed: it is a few hundred kilobytes at places that the index knows,
//! and equal sources give equal tracks.

use bytes::Bytes;

use super::captions::{self, Labelled};
use super::maker::Maker;
use super::prepare::Prepared;
use crate::error::{Error, ErrorKind, Result};
use crate::hls;
use crate::layout::Key;
use crate::media::{Presentation, SourceIndex, TextFound, TextRendition, TextSource};
use crate::plan;
use crate::read_at::ReadAt;
use crate::source::{self, Files};
use crate::text::{self, Parsed};

/// What a plan must know of the text in a source.
///
/// # Errors
/// When the source can't be read.
pub(super) fn find(index: &SourceIndex, files: Files<'_>) -> Result<Vec<TextFound>> {
    let mut found = Vec::new();
    for (track, source_track) in index.tracks.iter().enumerate() {
        if !plan::is_readable_text(source_track) {
            continue;
        }
        let source = TextSource::Track { track };
        let cues = match usable(source::read_text(files, source_track, 0))? {
            Ok(parsed) => parsed.cues.cues().len(),
            Err(_) => 0,
        };
        found.push(TextFound { source, cues });
    }
    Ok(found)
}

/// Sets apart what is wrong with a text, which costs that text, from what is wrong with the file.
fn usable(read: Result<Parsed>) -> Result<std::result::Result<Parsed, Error>> {
    match read {
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Internal) => Err(e),
        read => Ok(read),
    }
}

impl Prepared {
    /// The files that samples lie in.
    fn text_files(&self) -> Files<'_> {
        Files {
            source: self.source.file(),
            spool: self.spool.as_ref().map(|spool| spool as &dyn ReadAt),
        }
    }

    fn read_text(&self, rendition: &TextRendition) -> Result<Parsed> {
        let lost = || Error::internal("the plan names a text track that the source doesn't have");
        let index = rendition.source.track();
        let track = self.index.tracks.get(index).ok_or_else(lost)?;
        source::read_text(self.text_files(), track, rendition.source_start)
    }
}

impl Maker {
    /// Stores the chapters of the presentation, if it has any, as both kinds of players read them.
    fn put_chapters(&self, presentation: &Presentation) -> Result<()> {
        let chapters = &presentation.chapters;
        if chapters.is_empty() {
            return Ok(());
        }
        let revision = || presentation.revision.clone();
        let (json, text) = (
            Key::Chapters {
                revision: revision(),
            },
            Key::ChaptersText {
                revision: revision(),
            },
        );
        let cues = text::chapter_cues(chapters);
        self.put_objects(vec![
            (json, Bytes::from(hls::chapters_json(chapters)?)),
            (text, Bytes::from(text::write(&cues))),
        ])
    }

    /// Stores the chapters and the text tracks of the source and puts the tracks into the presentation. What of them
    /// can't be used becomes a warning.
    ///
    /// # Errors
    /// When the source can't be read, or the store is away.
    pub(super) fn put_text(&self, presentation: &mut Presentation) -> Result<()> {
        self.put_chapters(presentation)?;
        let mut tracks = Vec::new();
        for rendition in &self.prepared.plan.text {
            let made = match usable(self.prepared.read_text(rendition))? {
                Ok(parsed) => captions::embedded(presentation, &labelled(rendition), parsed),
                Err(e) => Err(e),
            };
            match made {
                Ok(made) => {
                    self.put_objects(made.objects)?;
                    let place = |warning| format!("text {}: {warning}", rendition.id);
                    presentation
                        .warnings
                        .extend(made.warnings.into_iter().map(place));
                    tracks.push(made.track);
                }
                Err(e) => {
                    let warning = format!("text {} is left out: {e}", rendition.id);
                    presentation.warnings.push(warning);
                }
            }
        }
        presentation.text = tracks;
        Ok(())
    }

    fn put_objects(&self, objects: Vec<(Key, Bytes)>) -> Result<()> {
        for (key, bytes) in objects {
            self.store.create(&key, vec![bytes])?;
        }
        Ok(())
    }
}

fn labelled(rendition: &TextRendition) -> Labelled<'_> {
    Labelled {
        id: &rendition.id,
        language: &rendition.language,
        name: &rendition.name,
        kind: rendition.kind,
        default: rendition.default,
    }
}
