//! Text that the source holds, as text tracks of the presentation.
//!
//! Read anew whenever it is needed: it is a few hundred kilobytes at places that the index knows,
//! and equal sources give equal tracks.

use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::captions::{self, Labelled};
use super::maker::Maker;
use super::prepare::Prepared;
use crate::codec::avc::AvcConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::hls;
use crate::layout::Key;
use crate::media::{
    CaptionChannel, Place, Presentation, SourceIndex, SourceTrack, TextFound, TextRendition,
    TextSource, TrackKind,
};
use crate::plan;
use crate::read_at::ReadAt;
use crate::source::{self, Files};
use crate::text::{self, MAX_SAMPLE_BYTES, Parsed};

/// Where all text of a source lies that has tracks of its own.
pub(super) fn places(index: &SourceIndex) -> impl Iterator<Item = Place> {
    index.tracks.iter().flat_map(text_of)
}

/// Where the text of a track lies, if it is one of text.
fn text_of(track: &SourceTrack) -> impl Iterator<Item = Place> {
    let is_text = plan::is_readable_text(track)
        || track.kind == TrackKind::Text && source::may_hold_captions(track);
    let samples = is_text.then(|| track.samples.iter());
    let places = samples.into_iter().flatten().map(|sample| sample.place);
    places.filter(|place| place.size <= MAX_SAMPLE_BYTES)
}

/// What a plan must know of the text in a source; of that in the pictures only if `in_pictures`.
///
/// # Errors
/// When the source can't be read.
pub(super) fn find(
    index: &SourceIndex,
    files: Files<'_>,
    in_pictures: bool,
) -> Result<Vec<TextFound>> {
    let mut found = Vec::new();
    let video = plan::video_track(index).filter(|_| in_pictures);
    for (track, source_track) in index.tracks.iter().enumerate() {
        let holds_captions = source_track.kind == TrackKind::Text || Some(track) == video;
        if plan::is_readable_text(source_track) {
            let source = TextSource::Track { track };
            let cues = match usable(source::read_text(files, source_track, 0))? {
                Ok(parsed) => parsed.cues.cues().len(),
                Err(_) => 0,
            };
            found.push(TextFound { source, cues });
        } else if holds_captions && source::may_hold_captions(source_track) {
            found.extend(find_captions(track, source_track, files)?);
        }
    }
    Ok(found)
}

fn find_captions(
    track: usize,
    source_track: &SourceTrack,
    files: Files<'_>,
) -> Result<Vec<TextFound>> {
    let Ok(captions) = usable(source::read_captions(files, source_track, 0))? else {
        return Ok(Vec::new());
    };
    let in_channel = |channel, cues| TextFound {
        source: TextSource::Captions { track, channel },
        cues,
    };
    if captions.channels.is_empty() && captions.has_services {
        return Ok(vec![in_channel(CaptionChannel::Service(1), 0)]);
    }
    let channels = captions.channels.into_iter();
    let found = channels.map(|(channel, parsed)| in_channel(channel, parsed.cues.cues().len()));
    Ok(found.collect())
}

/// Sets apart what is wrong with a text, which costs that text, from what is wrong with the file.
fn usable<T>(read: Result<T>) -> Result<std::result::Result<T, Error>> {
    match read {
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Internal) => Err(e),
        read => Ok(read),
    }
}

impl Prepared {
    /// Where the pictures hold captions that are text tracks: how many bytes the lengths of their
    /// NAL units have.
    pub(super) fn length_size_of_captioned(&self) -> Result<Option<usize>> {
        let Some(video) = &self.plan.video else {
            return Ok(None);
        };
        let of_pictures = |rendition: &TextRendition| matches!(rendition.source, TextSource::Captions { track, .. } if track == video.source_track);
        if !self.plan.text.iter().any(of_pictures) {
            return Ok(None);
        }
        let track = self.index.tracks.get(video.source_track);
        let config = track.map_or(&[][..], |track| &track.config);
        Ok(Some(AvcConfig::parse(config)?.length_size))
    }

    /// What the source says in a text track of the plan. `captions` are those of the track that
    /// was read last.
    fn read_text(
        &self,
        rendition: &TextRendition,
        read: &mut ReadCaptions,
        stop: &AtomicBool,
    ) -> Result<Parsed> {
        let lost = || Error::internal("the plan names a text track that the source doesn't have");
        let start = rendition.source_start;
        let number = rendition.source.track();
        let track = self.index.tracks.get(number).ok_or_else(lost)?;
        let scratch = self.scratch.as_deref();
        if matches!(track.kind, TrackKind::Video(_)) {
            // Captions are in every picture.
            self.source.whole(scratch, stop, &mut |_| Ok(()))?;
        }
        let reader = self.source.ahead(text_of(track), scratch, stop)?;
        let files = Files {
            source: &reader,
            spool: self.spool.as_ref().map(|spool| spool as &dyn ReadAt),
        };
        let TextSource::Captions { channel, .. } = rendition.source else {
            return source::read_text(files, track, start);
        };
        let captions = match read {
            Some((of, captions)) if *of == number => captions,
            _ => {
                &mut read
                    .insert((number, source::read_captions(files, track, start)?))
                    .1
            }
        };
        let mut channels = captions.channels.iter();
        let found = channels.find(|(found, _)| *found == channel);
        found.map(|(_, parsed)| parsed.clone()).ok_or_else(lost)
    }
}

/// The captions of a track, which come all together.
type ReadCaptions = Option<(usize, source::Captions)>;

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
    pub(super) fn put_text(
        &self,
        presentation: &mut Presentation,
        stop: &AtomicBool,
    ) -> Result<()> {
        self.put_chapters(presentation)?;
        let mut tracks = Vec::new();
        let mut read = None;
        for rendition in &self.prepared.plan.text {
            let made = match usable(self.prepared.read_text(rendition, &mut read, stop))? {
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
