//! Which track is worth looking at before planning.

use super::{passthrough, tracks};
use crate::media::{Passthrough, Policy, SourceIndex, TrackKind};

/// The video track whose samples are to be inspected because it may be repackaged: see
/// [`super::Inspection`]. `None` where that is ruled out by what the index says.
pub fn candidate_for_copy(index: &SourceIndex, policy: &Policy) -> Option<usize> {
    if policy.passthrough == Passthrough::Never {
        return None;
    }
    let at = tracks::choose_video(index, tracks::has_audio(index))?;
    let track = index.tracks.get(at)?;
    passthrough::check_track(track, policy)
        .is_ok()
        .then_some(at)
}

/// The audio tracks whose samples are to be inspected because they may be repackaged beside AAC:
/// AC-3 and E-AC-3 of more than two channels.
pub fn dolby_candidates(index: &SourceIndex, policy: &Policy) -> Vec<usize> {
    if policy.passthrough == Passthrough::Never {
        return Vec::new();
    }
    let wanted = |at: &usize| {
        let track = &index.tracks[*at];
        let many = matches!(&track.kind, TrackKind::Audio(info) if info.channels > 2);
        many && matches!(track.codec.name(), "ac3" | "eac3")
    };
    (0..index.tracks.len()).filter(wanted).collect()
}
