//! A sample's bytes, from the source or the spool, as a packet.

use ffmpeg_next as ffmpeg;

use super::sys;
use crate::error::{Error, Result};
use crate::media::{Home, Place, TaskFiles};
use crate::read_at::ReadAt;

/// The largest sample that is ever read: 64 MiB, above any real picture at any real quality.
pub(super) const MAX_SAMPLE_BYTES: u32 = 64 << 20;

/// Reads the bytes at `place` into a packet with FFmpeg's padding behind them.
pub(super) fn packet_at(files: &TaskFiles, place: Place) -> Result<ffmpeg::Packet> {
    let file = match (place.home, &files.spool) {
        (Home::Source, _) => &files.source,
        (Home::Spool, Some(spool)) => spool,
        (Home::Spool, None) => {
            return Err(Error::internal(
                "the task names the spool, but there is none",
            ));
        }
    };
    if place.size > MAX_SAMPLE_BYTES {
        return Err(Error::invalid(format!(
            "the sample at byte {} claims {} bytes; at most {MAX_SAMPLE_BYTES} are read",
            place.offset, place.size
        )));
    }
    let mut packet = ffmpeg::Packet::new(usize::try_from(place.size).unwrap_or(0));
    let Some(data) = packet.data_mut() else {
        return Err(sys::no_memory());
    };
    file.read_exact_at(place.offset, data)?;
    Ok(packet)
}
