//! The renditions of a presentation in a few words each, as the API shows them.

use crate::bandwidth;
use crate::hls;
use crate::media::{Presentation, RenditionSummary, TrackCommon};

/// One summary a rendition: video, then audio, as the presentation lists them.
pub fn summaries(presentation: &Presentation) -> Vec<RenditionSummary> {
    let target_seconds = hls::target_duration(presentation);
    let video = presentation.video.iter().map(|track| RenditionSummary {
        width: Some(track.width),
        height: Some(track.height),
        ..summary(&track.common, track.copied, target_seconds)
    });
    let audio = presentation.audio.iter().map(|track| RenditionSummary {
        language: Some(track.language.clone()),
        ..summary(&track.common, track.copied, target_seconds)
    });
    video.chain(audio).collect()
}

fn summary(track: &TrackCommon, copied: bool, target_seconds: u32) -> RenditionSummary {
    RenditionSummary {
        id: track.id.clone(),
        codecs: track.codecs.clone(),
        width: None,
        height: None,
        language: None,
        bandwidth: bandwidth::track_peak_bps(track, target_seconds),
        average_bandwidth: bandwidth::track_average_bps(track),
        source: if copied { "copy" } else { "encode" }.to_owned(),
        segments: u32::try_from(track.segments.len()).unwrap_or(u32::MAX),
    }
}
