//! Reads MP4 and QuickTime files (ISO/IEC 14496-12; QuickTime File Format): boxes in, a
//! [`SourceIndex`] out, plain and fragmented alike. The samples themselves are never read.
//!
//! Untrusted bytes all the way: every count is held against the bytes there are, and what is
//! damaged is left out with a warning that names it.

mod chapters;
mod collector;
mod cover;
mod description;
mod fragments;
mod header;
mod language;
mod tables;
#[cfg(test)]
mod tests;
mod track;
mod warnings;
mod window;

use collector::Budget;
use fragments::FragmentReader;
use header::MovieHeader;
use track::{Surroundings, TrackReader};
use warnings::Warnings;
use window::Window;

use super::boxes::{BoxHeader, FourCc, children};
use super::read::TrackDefaults;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{Chapter, Codec, Place, SourceIndex};
use crate::read_at::ReadAt;

/// The largest `moov` read: ten hours of video and sound need about 25 MB.
const MAX_MOOV: u64 = 256 << 20;

/// The largest `moof` read.
const MAX_MOOF: u64 = 16 << 20;

/// Boxes looked at on the top level: a day in fragments of one frame.
const MAX_BOXES: u32 = 1 << 24;

/// Reads the index of an MP4 or QuickTime file. `None` when the file is neither.
///
/// # Errors
/// [`ErrorKind::Invalid`] when it is one that cannot be used: cut off before its header, without
/// a track; [`ErrorKind::Unsupported`] for a compressed header and for an edit list of several
/// stretches; what reading fails with.
pub fn read_movie(source: &dyn ReadAt) -> Result<Option<SourceIndex>> {
    let mut window = Window::new(source)?;
    match window.header(0)? {
        Some(first) if is_plausible_start(first.kind) => {}
        _ => return Ok(None),
    }
    let mut reader = MovieReader::new(window);
    reader.walk()?;
    reader.finish().map(Some)
}

/// Box types that MP4 and QuickTime files begin with.
fn is_plausible_start(kind: FourCc) -> bool {
    matches!(
        &kind.0,
        b"ftyp"
            | b"moov"
            | b"mdat"
            | b"free"
            | b"skip"
            | b"wide"
            | b"pnot"
            | b"styp"
            | b"sidx"
            | b"moof"
            | b"uuid"
            | b"junk"
            | b"pdin"
            | b"PICT"
            | b"emsg"
            | b"prft"
            | b"udta"
    )
}

/// The movie as far as it is read.
struct MovieReader<'s> {
    window: Window<'s>,
    budget: Budget,
    warnings: Warnings,
    quicktime: bool,
    header: Option<MovieHeader>,
    /// `None` before the `moov` box.
    tracks: Option<Vec<TrackReader>>,
    /// Nero's list of chapters.
    nero: Vec<Chapter>,
    /// Cover art.
    cover: Option<(Codec, Place)>,
    /// Fragments that came before the `moov` box.
    early_fragments: u32,
    /// The box that the end of the file cuts off, and where it starts.
    cut: Option<(BoxHeader, u64)>,
    /// Reused for each `moof`.
    buffer: Vec<u8>,
}

impl<'s> MovieReader<'s> {
    fn new(window: Window<'s>) -> Self {
        Self {
            budget: Budget::new(window.size()),
            window,
            warnings: Warnings::default(),
            quicktime: true,
            header: None,
            tracks: None,
            nero: Vec::new(),
            cover: None,
            early_fragments: 0,
            cut: None,
            buffer: Vec::new(),
        }
    }

    /// Goes over the boxes on the top level.
    fn walk(&mut self) -> Result<()> {
        let size = self.window.size();
        let mut at = 0;
        for _ in 0..MAX_BOXES {
            if size - at < 8 {
                return Ok(());
            }
            let Some(header) = self.window.header(at)? else {
                self.warnings.push(format!(
                    "the bytes from {at} on are no box; they are ignored"
                ));
                return Ok(());
            };
            let len = header.len.unwrap_or(size - at);
            if len > size - at {
                self.cut = Some((header, at));
            }
            let len = len.min(size - at);
            if header.kind.0 == [0; 4] {
                return Ok(());
            }
            self.read_box(header, at, len)?;
            at += len;
        }
        self.warnings.push(format!(
            "more than {MAX_BOXES} boxes; those from byte {at} on are ignored"
        ));
        Ok(())
    }

    fn read_box(&mut self, header: BoxHeader, at: u64, len: u64) -> Result<()> {
        match &header.kind.0 {
            b"ftyp" => self.read_file_type(header, at, len),
            b"moov" if self.tracks.is_none() => self.read_moov(header, at, len),
            b"moof" if self.tracks.is_none() => {
                self.early_fragments += 1;
                Ok(())
            }
            b"moof" => self.read_moof(header, at, len),
            _ => Ok(()),
        }
    }

    /// `ftyp`, section 4.3: the major brand tells QuickTime from the rest.
    fn read_file_type(&mut self, header: BoxHeader, at: u64, len: u64) -> Result<()> {
        if len >= header.header_len + 4 {
            let mut brand = [0; 4];
            self.window.read(at + header.header_len, &mut brand)?;
            self.quicktime = brand == *b"qt  ";
        }
        Ok(())
    }

    fn read_moov(&mut self, header: BoxHeader, at: u64, len: u64) -> Result<()> {
        if self.cut.is_some() {
            return Err(Error::invalid(format!(
                "the moov box at byte {at} is cut off: it has {} bytes, the file ends after {len}; \
                 copy or upload the file again",
                header.len.unwrap_or(len)
            )));
        }
        if len > MAX_MOOV {
            return Err(Error::new(
                ErrorKind::Exhausted,
                format!(
                    "the moov box at byte {at} has {len} bytes, and {MAX_MOOV} are the limit; \
                     split the file"
                ),
            ));
        }
        let moov = self.payload(header, at, len, Vec::new())?;
        let tracks = self.read_tracks(&moov)?;
        self.nero = chapters::of_nero(&moov);
        self.cover = cover::find(&moov, at + header.header_len);
        self.tracks = Some(tracks);
        Ok(())
    }

    /// Reads what follows the header of a box into `buffer`.
    fn payload(
        &mut self,
        header: BoxHeader,
        at: u64,
        len: u64,
        mut buffer: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let count = usize::try_from(len.saturating_sub(header.header_len))
            .map_err(|_| Error::unsupported("a box larger than the address space"))?;
        buffer.clear();
        buffer.resize(count, 0);
        self.window.read(at + header.header_len, &mut buffer)?;
        Ok(buffer)
    }

    fn read_tracks(&mut self, moov: &[u8]) -> Result<Vec<TrackReader>> {
        let mut tracks: Vec<TrackReader> = Vec::new();
        let boxes = || children(moov, 0).map_while(Result::ok);
        if let Some(Err(overrun)) = children(moov, 0).find(Result::is_err) {
            self.warnings.push(format!("in moov: {overrun}"));
        }
        self.header = boxes()
            .find(|found| found.kind.0 == *b"mvhd")
            .and_then(|found| MovieHeader::read(found.payload));
        for (position, found) in (1..).zip(boxes().filter(|found| found.kind.0 == *b"trak")) {
            let mut around = Surroundings {
                movie: self.header,
                quicktime: self.quicktime,
                position,
                budget: &mut self.budget,
                warnings: &mut self.warnings,
            };
            tracks.extend(TrackReader::read(found.payload, &mut around));
        }
        for found in boxes() {
            match &found.kind.0 {
                b"cmov" => {
                    return Err(Error::unsupported(
                        "the moov box is compressed (cmov); save the file anew, for example with \
                         `ffmpeg -i in.mov -c copy out.mov`",
                    ));
                }
                b"mvex" => read_defaults(found.payload, &mut tracks),
                _ => {}
            }
        }
        Ok(tracks)
    }

    fn read_moof(&mut self, header: BoxHeader, at: u64, len: u64) -> Result<()> {
        if self.cut.is_some() || len > MAX_MOOF {
            self.warnings.push(format!(
                "the fragment at byte {at} is cut off or too large ({} bytes); it is left out",
                header.len.unwrap_or(len)
            ));
            return Ok(());
        }
        let buffer = std::mem::take(&mut self.buffer);
        let moof = self.payload(header, at, len, buffer)?;
        FragmentReader {
            tracks: self.tracks.as_deref_mut().unwrap_or_default(),
            budget: &mut self.budget,
            warnings: &mut self.warnings,
            moof_offset: at,
        }
        .read(&moof);
        self.buffer = moof;
        Ok(())
    }

    fn finish(mut self) -> Result<SourceIndex> {
        let Some(tracks) = self.tracks.take() else {
            return Err(self.no_moov());
        };
        if tracks.is_empty() {
            let why = self.warnings.into_lines().join("; ");
            return Err(Error::invalid(format!(
                "the moov box describes no usable track{}{why}",
                if why.is_empty() { "" } else { ": " }
            )));
        }
        if let Some((header, at)) = self.cut {
            self.warnings.push(format!(
                "the file ends at byte {}, within the {} box at byte {at} that claims {} bytes",
                self.window.size(),
                header.kind,
                header.len.unwrap_or(0)
            ));
        }
        if self.early_fragments > 0 {
            self.warnings.push(format!(
                "{} fragments before the moov box are ignored",
                self.early_fragments
            ));
        }
        let movie = self.header.and_then(|header| header.timescale);
        let named = tracks.iter().flat_map(|track| &track.chapters);
        let named: Vec<u32> = named.copied().collect();
        let finished = tracks
            .into_iter()
            .map(|track| track.finish(movie, &mut self.warnings));
        let mut tracks = finished.collect::<Result<Vec<_>>>()?;
        let mut chapters = chapters::take(self.window.source(), &mut tracks, &named);
        if chapters.is_empty() {
            chapters = self.nero;
        }
        if let Some(cover) = self.cover {
            let last = tracks.iter().map(|track| track.number).max().unwrap_or(0);
            tracks.push(cover::track(cover, last.saturating_add(1)));
        }
        Ok(SourceIndex {
            container: if self.quicktime { "mov" } else { "mp4" }.to_owned(),
            size_bytes: self.window.size(),
            tracks,
            warnings: self.warnings.into_lines(),
            chapters,
        })
    }

    /// Why there is no header, as far as it can be told.
    fn no_moov(&self) -> Error {
        let size = self.window.size();
        Error::invalid(match self.cut {
            Some((header, at)) => format!(
                "no moov box: the file is cut off at byte {size}, within the {} box at byte {at} \
                 that claims {} bytes; its header would have followed, copy or upload it again",
                header.kind,
                header.len.unwrap_or(0)
            ),
            None if self.early_fragments > 0 => format!(
                "no moov box: the file holds {} fragments without their init segment; put the \
                 init segment in front",
                self.early_fragments
            ),
            None => format!(
                "no moov box in {size} bytes: the file is cut off or its header is missing; a \
                 recording that was interrupted needs repair by the program that made it"
            ),
        })
    }
}

/// Gives each track its defaults for fragments out of `mvex`.
fn read_defaults(mvex: &[u8], tracks: &mut [TrackReader]) {
    for found in children(mvex, 0).map_while(Result::ok) {
        if found.kind.0 == *b"trex"
            && let Some(defaults) = TrackDefaults::parse(found.payload)
        {
            let same = |track: &&mut TrackReader| track.number == defaults.track_id;
            for track in tracks.iter_mut().filter(same) {
                track.defaults = Some(defaults);
            }
        }
    }
}
