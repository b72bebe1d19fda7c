//! More than stereo: what of a track's sound is offered in 5.1, beside the stereo that everything
//! plays.

use super::Notes;
use super::passthrough::{self, SoundFrame};
use super::sound::{Maker, info};
use super::tracks;
use crate::media::{AudioForm, AudioRendition, DolbyTrack, Passthrough};
use crate::time::Timescale;

/// Channels of 5.1.
const CHANNELS: u16 = 6;
/// Fewest channels that are worth 5.1: two more in front or behind alone are mixed to stereo.
const CHANNELS_MIN: u16 = 5;
/// How much shorter than the presentation AC-3 may be, which no silence can be added to: less than
/// what counts as a fault (rule H09).
const SHORT_BY_MILLIS: u64 = 450;

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
            None => self.encoded(bitrate, CHANNELS),
        };
        Some(AudioRendition {
            id: format!("{}-51", main.id),
            channels: CHANNELS,
            form: AudioForm::Surround,
            ..rendition
        })
    }

    /// The track's own AC-3 or E-AC-3 beside the AAC, for players that have a decoder: what many
    /// receivers and televisions want, and the only form that keeps Atmos. `None` where it has gaps
    /// or doesn't reach over the presentation: nothing can be put into it.
    pub(super) fn dolby(
        &self,
        main: &AudioRendition,
        seen: &DolbyTrack,
        notes: &mut Notes,
    ) -> Option<AudioRendition> {
        let rate = Timescale::new(seen.sample_rate)?;
        if !passthrough::is_gapless(self.track, rate, seen.frame_length) {
            return None;
        }
        let frame = SoundFrame {
            rate,
            origin: self.origin(),
            samples: self.samples(rate),
            length: seen.frame_length,
            short_by: u64::from(rate.get()) * SHORT_BY_MILLIS / 1000,
            only: false,
        };
        let copied = passthrough::lay_sound(self.track, frame).ok()?;
        let (form, name) = match seen.enhanced {
            true => (AudioForm::Eac3, "ec3"),
            false => (AudioForm::Ac3, "ac3"),
        };
        if let Some(reason) = self.off_target(seen.channels) {
            let (title, form) = (tracks::title(self.track), self.track.codec.name());
            notes.warn(format!(
                "{title} is offered as its own {form}, too, though {reason}"
            ));
        }
        Some(AudioRendition {
            id: format!("{}-{name}", main.id),
            channels: seen.channels,
            form,
            dolby: seen.record.clone(),
            objects: seen.objects,
            ..self.copied_frames(copied, seen.frame_length)
        })
    }
}
