//! One track of the movie (`trak`, ISO/IEC 14496-12 section 8.3) on its way into the index.

use super::chapters;
use super::collector::{Budget, Collector};
use super::description::{self, Context, Description};
use super::header::{self, EditList, MovieHeader, TrackHeader};
use super::language;
use super::tables::{Tables, Walk};
use super::warnings::Warnings;
use crate::cmaf::boxes::children;
use crate::cmaf::read::{Handler, MediaHeader, TrackDefaults};
use crate::error::{Error, Result};
use crate::media::{Disposition, SourceTrack, TrackKind};
use crate::time::Timescale;

/// A track with the samples found so far.
#[derive(Debug)]
pub(super) struct TrackReader {
    pub(super) number: u32,
    pub(super) timescale: Timescale,
    pub(super) samples: Collector,
    /// Sample defaults for fragments, where the movie gives any.
    pub(super) defaults: Option<TrackDefaults>,
    /// Whether samples were left out, so that no later one may follow.
    pub(super) cut: bool,
    /// Numbers of the tracks that it names as its chapters.
    pub(super) chapters: Vec<u32>,
    description: Description,
    language: String,
    name: Option<String>,
    disposition: Disposition,
    edit: EditList,
}

/// What reading a track needs from the movie around it.
#[derive(Debug)]
pub(super) struct Surroundings<'s> {
    pub(super) movie: Option<MovieHeader>,
    pub(super) quicktime: bool,
    /// Position of the track in the movie, from 1, for reports on one without a number.
    pub(super) position: usize,
    pub(super) budget: &'s mut Budget,
    pub(super) warnings: &'s mut Warnings,
}

/// The payloads of the boxes of a track that matter.
#[derive(Debug, Default)]
struct Boxes<'a> {
    tkhd: Option<&'a [u8]>,
    mdhd: Option<&'a [u8]>,
    elng: Option<&'a [u8]>,
    hdlr: Option<&'a [u8]>,
    elst: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
    stsd: Option<&'a [u8]>,
    stbl: Option<&'a [u8]>,
    tref: Option<&'a [u8]>,
    /// Marks by `kind` and `tagc` boxes, of which there may be several.
    marks: Disposition,
}

impl<'a> Boxes<'a> {
    /// Finds them at their known depth; the first of each kind counts.
    fn find(trak: &'a [u8], place: &str, warnings: &mut Warnings) -> Self {
        let mut boxes = Self::default();
        boxes.descend(trak, 0, place, warnings);
        boxes
    }

    fn descend(&mut self, bytes: &'a [u8], depth: u8, place: &str, warnings: &mut Warnings) {
        for found in children(bytes, 0) {
            let Ok(found) = found.map_err(|e| warnings.push(format!("{place}: {e}"))) else {
                return;
            };
            let slot = match &found.kind.0 {
                b"mdia" | b"minf" | b"edts" | b"udta" if depth < 3 => {
                    self.descend(found.payload, depth + 1, place, warnings);
                    continue;
                }
                b"stbl" if self.stbl.is_none() => {
                    self.stbl = Some(found.payload);
                    self.stsd = children(found.payload, 0)
                        .map_while(Result::ok)
                        .find(|inner| inner.kind.0 == *b"stsd")
                        .map(|inner| inner.payload);
                    continue;
                }
                b"kind" if depth == 1 => {
                    self.marks = self.marks.or(header::role(found.payload));
                    continue;
                }
                b"tagc" if depth == 1 => {
                    self.marks = self.marks.or(header::characteristic(found.payload));
                    continue;
                }
                b"tref" if depth == 0 => &mut self.tref,
                b"tkhd" => &mut self.tkhd,
                b"mdhd" => &mut self.mdhd,
                b"elng" => &mut self.elng,
                // QuickTime has a second handler, of the data, within `minf`.
                b"hdlr" if depth == 1 => &mut self.hdlr,
                b"elst" => &mut self.elst,
                b"name" if depth == 1 => &mut self.name,
                _ => continue,
            };
            slot.get_or_insert(found.payload);
        }
    }

    /// What the track is marked as, by boxes made for that, its name and its handler's name.
    fn marks(&self) -> Disposition {
        let name = self.name.and_then(header::track_name);
        let handler = self.hdlr.and_then(header::handler_name);
        [name, handler]
            .into_iter()
            .flatten()
            .fold(self.marks, |marks, name| {
                marks.or(Disposition::of_name(&name))
            })
    }
}

impl TrackReader {
    /// Reads a `trak` box with its sample tables. `None`, with a warning, when it cannot be used.
    pub(super) fn read(trak: &[u8], around: &mut Surroundings<'_>) -> Option<Self> {
        let position = format!("track at position {}", around.position);
        let boxes = Boxes::find(trak, &position, around.warnings);
        let Some(header) = boxes.tkhd.and_then(TrackHeader::read) else {
            around
                .warnings
                .push(format!("{position}: has no sound tkhd box; left out"));
            return None;
        };
        let place = place_of(header.number);
        let Some(media) = boxes.mdhd.and_then(MediaHeader::parse) else {
            around
                .warnings
                .push(format!("{place}: has no sound mdhd box; left out"));
            return None;
        };
        let description = describe(&boxes, &header, &place, around)?;
        let timescale = timescale(&media, &place, around);
        let mut track = Self {
            number: header.number,
            timescale,
            samples: Collector::default(),
            defaults: None,
            cut: false,
            chapters: boxes.tref.map(chapters::references).unwrap_or_default(),
            language: boxes
                .elng
                .and_then(|elng| language::from_extended(elng.get(4..)?))
                .unwrap_or_else(|| {
                    language::from_media_header(media.packed_language, around.quicktime)
                }),
            name: boxes.name.and_then(header::track_name),
            disposition: Disposition {
                default: header.enabled,
                ..boxes.marks()
            },
            edit: boxes
                .elst
                .map(|elst| EditList::read(elst, &place, around.warnings))
                .unwrap_or_default(),
            description,
        };
        if let Some(stbl) = boxes.stbl {
            track.read_tables(stbl, &place, around);
        }
        Some(track)
    }

    fn read_tables(&mut self, stbl: &[u8], place: &str, around: &mut Surroundings<'_>) {
        let tables = Tables::find(stbl, place, around.warnings);
        let mut walk = Walk {
            place,
            timescale: self.timescale,
            packing: self.description.packing,
            budget: around.budget,
            warnings: around.warnings,
        };
        self.cut = tables.collect(&mut self.samples, &mut walk).is_err();
    }

    /// Only pictures depend on each other; flags that say otherwise are careless defaults.
    pub(super) fn is_video(&self) -> bool {
        matches!(self.description.kind, TrackKind::Video(_))
    }

    /// How warnings call the track.
    pub(super) fn place(&self) -> String {
        place_of(self.number)
    }

    /// The finished track. `movie` is the timescale of edit lengths.
    ///
    /// # Errors
    /// `Unsupported` when its edit list shows more of its pictures or sound than one stretch.
    pub(super) fn finish(
        self,
        movie: Option<Timescale>,
        warnings: &mut Warnings,
    ) -> Result<SourceTrack> {
        let (place, changes) = (self.place(), self.samples.descriptions());
        let changes = self.description.reconfigurations(changes, &place, warnings);
        let (mut samples, end) = self.samples.finish();
        samples.set_reconfigurations(changes);
        let edit = match self.edit.resolve(movie, self.timescale, end) {
            Ok(edit) => edit,
            Err(entry) => {
                let media = matches!(
                    self.description.kind,
                    TrackKind::Video(_) | TrackKind::Audio(_)
                );
                if media && !samples.is_empty() {
                    return Err(several_edits(self.number, entry));
                }
                warnings.push(format!(
                    "{place}: edit list shows several stretches; only the first is taken"
                ));
                self.edit
                    .only_first()
                    .resolve(movie, self.timescale, end)
                    .unwrap_or_default()
            }
        };
        let mut disposition = self.disposition;
        disposition.forced |= self.description.is_forced();
        Ok(SourceTrack {
            number: self.number,
            kind: self.description.kind,
            codec: self.description.codec,
            config: self.description.config,
            timescale: self.timescale,
            language: self.language,
            name: self.name,
            disposition,
            edit,
            samples,
            shown: Vec::new(),
        })
    }
}

/// The refusal of a track whose edit list goes on elsewhere at `entry` (from 1, after the empty ones
/// in front).
fn several_edits(number: u32, entry: usize) -> Error {
    Error::unsupported(format!(
        "{}: its edit list puts several stretches together (entry {entry} doesn't go on where the \
         one before it ends), and one is all that can be presented; make them one by encoding the \
         file anew, for example with `ffmpeg -i in.mov out.mp4`",
        place_of(number)
    ))
}

fn place_of(number: u32) -> String {
    format!("track {number}")
}

fn describe(
    boxes: &Boxes<'_>,
    header: &TrackHeader,
    place: &str,
    around: &mut Surroundings<'_>,
) -> Option<Description> {
    let movie = around.movie.map_or(header::Matrix::IDENTITY, |m| m.matrix);
    let context = Context {
        handler: boxes
            .hdlr
            .and_then(Handler::type_of)
            .map_or([0; 4], |kind| kind.0),
        header,
        orientation: header.matrix.then(movie).orientation(),
        place,
    };
    let description = boxes
        .stsd
        .and_then(|stsd| description::read(stsd, context, around.warnings));
    if description.is_none() {
        around.warnings.push(format!(
            "{place}: its sample description (stsd) is missing or too short; left out"
        ));
    }
    description
}

/// The track's timescale; the movie's, or one tick a second, where it says 0.
fn timescale(media: &MediaHeader, place: &str, around: &mut Surroundings<'_>) -> Timescale {
    if let Some(timescale) = Timescale::new(media.timescale) {
        return timescale;
    }
    let of_movie = around.movie.and_then(|movie| movie.timescale);
    let taken = of_movie.unwrap_or(Timescale::MILLIS);
    around.warnings.push(format!(
        "{place}: has timescale 0; {} ticks a second are taken",
        taken.get()
    ));
    taken
}
