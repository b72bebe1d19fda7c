//! What packaging AC-3 and E-AC-3 needs to know beyond the index: whether every sample is one frame
//! of the same kind, and what its record is.
//!
//! Only the heads of the samples are read.

use super::Files;
use crate::codec::ac3::{FRAME, HEAD, Syncframe};
use crate::error::Result;
use crate::media::{DolbyTrack, SourceTrack};

/// Inspects a track, number `at` of its source. `None` where its samples are not all one independent
/// frame of 1536 PCM samples and alike: programmes that change between stereo and 5.1, frames of
/// fewer blocks, and channels in further substreams are left to the decoder.
///
/// # Errors
/// What reading fails with.
pub fn inspect_dolby(
    files: Files<'_>,
    at: usize,
    track: &SourceTrack,
) -> Result<Option<DolbyTrack>> {
    let mut first: Option<Syncframe> = None;
    let mut head = [0; HEAD];
    for sample in track.samples.iter() {
        let place = sample.place;
        let wanted = usize::try_from(place.size).unwrap_or(HEAD).min(HEAD);
        let Some(head) = head.get_mut(..wanted) else {
            return Ok(None);
        };
        let Some(file) = files.home(place.home) else {
            return Ok(None);
        };
        let got = file.read_at(place.offset, head)?;
        let Ok(frame) = Syncframe::parse(head.get(..got).unwrap_or_default()) else {
            return Ok(None);
        };
        let whole = frame.independent && frame.samples == FRAME && frame.size == place.size;
        if !whole || !first.get_or_insert(frame).is_like(&frame) {
            return Ok(None);
        }
    }
    let enhanced = track.codec.name() == "eac3";
    let Some(frame) = first.filter(|frame| frame.enhanced == enhanced) else {
        return Ok(None);
    };
    Ok(Some(DolbyTrack {
        track: at,
        enhanced,
        sample_rate: frame.sample_rate,
        channels: frame.channels,
        frame_length: FRAME,
        record: frame.record(bits_per_second(track, frame)),
        objects: frame.objects,
    }))
}

fn bits_per_second(track: &SourceTrack, frame: Syncframe) -> u64 {
    let samples = (track.samples.len() as u64 * u64::from(FRAME)).max(1);
    let bits = track.samples.total_bytes() * 8;
    bits.saturating_mul(u64::from(frame.sample_rate)) / samples
}
