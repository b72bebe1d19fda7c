//! More than stereo: what of a track's sound is offered in 5.1, beside the stereo that everything
//! plays.

use super::Notes;
use super::sound::{Maker, info};
use super::tracks;
use crate::media::{AudioForm, AudioRendition, Passthrough};

/// Channels of 5.1.
const CHANNELS: u16 = 6;
/// Fewest channels that are worth 5.1: two more in front or behind alone are mixed to stereo.
const CHANNELS_MIN: u16 = 5;

impl Maker<'_> {
    /// The track in 5.1 AAC: its own samples where they are that, else encoded. `None` where the
    /// source has too few channels or the policy wants none, or where `main` is it already.
    pub(super) fn surround(
        &self,
        main: &AudioRendition,
        notes: &mut Notes,
    ) -> Option<AudioRendition> {
        let channels = info(self.track).channels;
        let bitrate = self.policy.audio_bitrate_surround;
        if channels <= 2 || main.channels > 2 {
            return None;
        }
        let title = tracks::title(self.track);
        if channels < CHANNELS_MIN || bitrate == 0 {
            notes.warn(format!(
                "{title}: its {channels} channels are mixed down to stereo"
            ));
            return None;
        }
        if channels > CHANNELS {
            notes.warn(format!(
                "{title}: its {channels} channels are mixed down to 5.1 and to stereo"
            ));
        }
        let copied = match self.policy.passthrough {
            Passthrough::Never => None,
            _ => self.copyable(CHANNELS, false).ok(),
        };
        let rendition = match copied {
            Some(copied) => self.copied(copied),
            None => self.encoded(bitrate),
        };
        Some(AudioRendition {
            id: format!("{}-51", main.id),
            channels: CHANNELS,
            form: AudioForm::Surround,
            ..rendition
        })
    }
}
