//! Pictures of MP4 and MOV files whose tables give them in the order of decoding (no `ctts` box)
//! although the bitstream holds some back: what muxers write that were given a bare stream. Their
//! order is learnt by decoding them.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::codec::{avc, hevc};
use crate::error::{ErrorKind, Result};
use crate::media::{OrderTask, Ranks, SourceIndex, SourceTrack, TrackKind};
use crate::plan;
use crate::sandbox::{self, Launcher};
use crate::source::Source;

/// Pictures looked at where the bitstream doesn't say whether it holds pictures back.
const TASTE: usize = 250;

/// What the bitstream's own parameters say of the order of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reordering {
    /// Pictures are shown as they are decoded.
    Never,
    /// Some may be held back.
    Allowed,
    /// Nothing is said.
    Unsaid,
}

/// Decodes what it takes, and where.
pub(super) struct Order<'a> {
    pub(super) source: &'a Source,
    pub(super) sandbox: &'a sandbox::Options,
    pub(super) scratch: Option<&'a Path>,
    pub(super) stop: &'a AtomicBool,
}

impl Order<'_> {
    /// Puts the presentation times of the video track of an MP4 or MOV file right, where its table
    /// has them in the order of decoding and the pictures are in another one.
    ///
    /// # Errors
    /// When the order matters and can't be learnt because this build or system doesn't decode;
    /// what reading fails with.
    pub(super) fn settle(&self, index: &mut SourceIndex) -> Result<()> {
        let Some(at) = plan::video_track(index) else {
            return Ok(());
        };
        let track = &index.tracks[at];
        if track.samples.len() < 2 || !track.samples.is_presented_as_decoded() {
            return Ok(());
        }
        let known = match reordering(track) {
            Reordering::Never => return Ok(()),
            Reordering::Allowed => true,
            Reordering::Unsaid => false,
        };
        if !known && !self.tastes_of_reordering(track)? {
            return Ok(());
        }
        let line = match self.ranks(track, usize::MAX) {
            Ok(Ranks(ranks)) => match track.samples.with_ranks(&ranks) {
                Some(samples) if samples == track.samples => return Ok(()),
                Some(samples) => {
                    index.tracks[at].samples = samples;
                    "its table has the pictures in the order of decoding (no ctts box); their order \
                     was learnt by decoding them"
                }
                None => "the order of its pictures could not be learnt",
            },
            // Whether any of it can be used comes out later.
            Err(e) if e.kind() == ErrorKind::Invalid => "the order of its pictures is not known",
            Err(e) => {
                return Err(e.context(
                    "learning the order of pictures, which the file's table doesn't give (no ctts \
                     box)",
                ));
            }
        };
        let number = index.tracks[at].number;
        index.warnings.push(format!("track {number}: {line}"));
        Ok(())
    }

    /// Whether the first pictures come out in another order than they went in. Where decoding
    /// them fails, the table is believed.
    fn tastes_of_reordering(&self, track: &SourceTrack) -> Result<bool> {
        match self.ranks(track, TASTE) {
            Ok(Ranks(ranks)) => Ok(!ranks.is_sorted()),
            Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The ranks of the first `most` pictures.
    fn ranks(&self, track: &SourceTrack, most: usize) -> Result<Ranks> {
        let (width, height) = match &track.kind {
            TrackKind::Video(info) => (info.width, info.height),
            _ => (0, 0),
        };
        let samples = track.samples.iter().take(most);
        let task = OrderTask {
            codec: track.codec.clone(),
            config: track.config.clone(),
            width,
            height,
            samples: samples.map(|sample| (sample.place, sample.sync)).collect(),
        };
        let places = task.samples.iter().map(|(place, _)| *place);
        let file = self.source.lend(places, self.scratch, self.stop)?;
        Launcher::new(self.sandbox.clone()).order(task, file.file(), None, self.stop)
    }
}

/// What `track` says of itself: H.264 in its VUI or by a profile without B pictures, HEVC in its
/// sequence parameter set. Of the other codecs those are asked that have B pictures.
fn reordering(track: &SourceTrack) -> Reordering {
    let said = match track.codec.name() {
        "h264" => avc_reordering(track),
        "hevc" => {
            let config = hevc::HevcConfig::parse(&track.config);
            let sps = config.and_then(|config| config.sps()).ok();
            sps.map(|sps| sps.max_num_reorder)
        }
        "mpeg1video" | "mpeg2video" | "mpeg4" | "vc1" | "wmv3" => None,
        _ => Some(0),
    };
    match said {
        Some(0) => Reordering::Never,
        Some(_) => Reordering::Allowed,
        None => Reordering::Unsaid,
    }
}

/// The most pictures that an H.264 track holds back, where it says.
fn avc_reordering(track: &SourceTrack) -> Option<u32> {
    let config = avc::AvcConfig::parse(&track.config).ok()?;
    let each = config.sets.sps.iter().map(|nal| {
        let sps = avc::Sps::parse(nal).ok()?;
        match sps.profile {
            // Baseline has no B pictures.
            66 => Some(0),
            _ => sps.vui?.max_num_reorder_frames,
        }
    });
    each.collect::<Option<Vec<u32>>>()?.into_iter().max()
}
