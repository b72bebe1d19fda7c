//! Which track is worth looking at before planning.

use super::{passthrough, tracks};
use crate::media::{Passthrough, Policy, SourceIndex};

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
