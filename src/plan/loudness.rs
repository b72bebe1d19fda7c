//! What is done to the level of each sound so that it reaches the loudness that a policy asks for.
//!
//! Sounds are measured as they will be heard, mixed and all, before anything is encoded; what follows
//! from it is in the plan. Where plain gain would bring true peaks over the limit, a limiter takes them
//! down, which costs loudness: the sound is then measured once more behind it, and the gain corrected.

use super::{Inspection, plan};
use crate::error::Result;
use crate::media::{
    AudioRendition, CENTI, Heard, Level, Loudness, LoudnessTarget, Passthrough, Plan, Policy,
    SoundLevel, SourceIndex,
};

/// How far from the target a sound may be that is repackaged, in hundredths of LU.
const TOLERANCE: i32 = 50;
/// By how much a sound may miss its target behind a limiter, in hundredths of LU.
const CLOSE_ENOUGH: i32 = 10;
/// Most times that a sound is measured behind a limiter.
const CORRECTIONS: u32 = 3;
/// The largest gain: what is quieter than that is mostly noise.
const MAX_GAIN: i32 = 3000;
/// Room that AAC gets between what goes in and what comes out, in hundredths of a decibel.
const CODING_HEADROOM: i32 = 50;
/// The ceiling of mixes that nobody asked another level of, in hundredths of dBTP.
const MIX_CEILING: i32 = -100;

/// The plan of all sounds that may have to be measured: everything encoded, pictures left out. `None`
/// where the policy asks for no loudness.
///
/// # Errors
/// As [`plan`].
pub fn measuring_plan(
    index: &SourceIndex,
    policy: &Policy,
    inspection: &Inspection,
) -> Result<Option<Plan>> {
    if policy.loudness.is_none() {
        return Ok(None);
    }
    let encoding = Policy {
        passthrough: Passthrough::Never,
        loudness: None,
        ..policy.clone()
    };
    let plan = plan(index, "", &encoding, inspection)?;
    Ok(Some(Plan {
        video: None,
        ..plan
    }))
}

/// One sound on its way to its level: measured, and measured again while that tells more.
#[derive(Debug, Clone)]
pub struct Levelling {
    target: i32,
    ceiling: i32,
    /// Whether there are more channels than its output has.
    is_mix: bool,
    found: SoundLevel,
    /// How often it was measured behind a limiter.
    corrections: u32,
    settled: bool,
}

impl Levelling {
    /// Of a rendition of [`measuring_plan`].
    pub fn new(target: &LoudnessTarget, index: &SourceIndex, sound: &AudioRendition) -> Self {
        let track = index.tracks.get(sound.source_track);
        let channels = track.map_or(0, |track| super::sound::info(track).channels);
        Self {
            target: centi(target.target_lufs),
            ceiling: centi(target.peak_dbtp) - CODING_HEADROOM,
            is_mix: channels > sound.channels,
            found: SoundLevel {
                track: sound.source_track,
                channels: sound.channels,
                heard: None,
                level: Level::default(),
            },
            corrections: 0,
            settled: false,
        }
    }

    /// The level that it is to be measured at next; `None` when there is nothing more to learn.
    pub fn next(&self) -> Option<Level> {
        (!self.settled).then_some(self.found.level)
    }

    /// Takes what was measured at that level.
    pub fn heard(&mut self, loudness: Option<Loudness>) {
        let heard = loudness.map(|loudness| Heard {
            centi_lufs: centi(loudness.integrated_lufs),
            peak_centi_dbtp: centi(loudness.true_peak_dbtp),
        });
        let Some(heard) = heard else {
            self.settled = true;
            return;
        };
        let missing = self.target - heard.centi_lufs;
        let level = &mut self.found.level;
        if self.found.heard.is_none() {
            self.found.heard = Some(heard);
            level.gain_centi_db = missing.min(MAX_GAIN);
            self.settled = heard.peak_centi_dbtp + level.gain_centi_db <= self.ceiling;
            if !self.settled {
                level.ceiling_centi_dbtp = Some(self.ceiling);
            }
            return;
        }
        self.corrections += 1;
        self.settled = missing.abs() <= CLOSE_ENOUGH || self.corrections == CORRECTIONS;
        if missing.abs() > CLOSE_ENOUGH {
            level.gain_centi_db = (level.gain_centi_db + missing).min(MAX_GAIN);
        }
    }

    /// What came of it.
    pub fn found(mut self) -> SoundLevel {
        if self.is_mix {
            self.found.level.ceiling_centi_dbtp = Some(self.ceiling);
        }
        self.found
    }
}

fn levels_of(inspection: &Inspection, track: usize, channels: u16) -> Option<&SoundLevel> {
    let mut levels = inspection.levels.iter();
    levels.find(|level| (level.track, level.channels) == (track, channels))
}

/// The level of a sound that is encoded: what was found, or a limiter for what is mixed down.
pub(super) fn level(
    inspection: &Inspection,
    track: usize,
    source_channels: u16,
    channels: u16,
) -> Option<Level> {
    let limited = Level {
        gain_centi_db: 0,
        ceiling_centi_dbtp: Some(MIX_CEILING),
    };
    let is_mix = source_channels > channels;
    let found = levels_of(inspection, track, channels).map(|found| found.level);
    found
        .filter(|level| *level != Level::default())
        .or_else(|| is_mix.then_some(limited))
}

/// Why a sound can't stay as it is, if the policy asks for a loudness that it hasn't got.
pub(super) fn off_target(
    policy: &Policy,
    inspection: &Inspection,
    track: usize,
    channels: u16,
) -> Option<String> {
    let target = policy.loudness?;
    let heard = levels_of(inspection, track, channels)?.heard?;
    let off = heard.centi_lufs - centi(target.target_lufs);
    if off.abs() > TOLERANCE {
        let (by, where_to) = (
            f64::from(off.abs()) / CENTI,
            if off > 0 { "over" } else { "under" },
        );
        return Some(format!(
            "its loudness is {by:.1} LU {where_to} the policy's"
        ));
    }
    if heard.peak_centi_dbtp > centi(target.peak_dbtp) {
        let peak = f64::from(heard.peak_centi_dbtp) / CENTI;
        return Some(format!(
            "its true peak is {peak:.1} dBTP, over the policy's"
        ));
    }
    None
}

#[expect(clippy::cast_possible_truncation, reason = "clamped first")]
fn centi(value: f64) -> i32 {
    (value * CENTI).round().clamp(-100_000.0, 100_000.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture;

    fn loudness(integrated_lufs: f64, true_peak_dbtp: f64) -> Option<Loudness> {
        Some(Loudness {
            integrated_lufs,
            range_lu: 5.0,
            true_peak_dbtp,
        })
    }

    /// Measures with a limiter that costs `loss` LU; gives what was found and how often it was heard.
    fn levelled(first: Option<Loudness>, loss: f64) -> (SoundLevel, u32) {
        let index = fixture::index(vec![fixture::aac(500)]);
        let policy = Policy {
            loudness: Some(LoudnessTarget::default()),
            ..Policy::default()
        };
        let plan = measuring_plan(&index, &policy, &Inspection::default());
        let plan = plan.expect("plannable").expect("wanted");
        let target = LoudnessTarget::default();
        let mut levelling = Levelling::new(&target, &index, &plan.audio[0]);
        let mut times = 0;
        while let Some(level) = levelling.next() {
            times += 1;
            let heard = first.map(|first| Loudness {
                integrated_lufs: first.integrated_lufs + f64::from(level.gain_centi_db) / CENTI
                    - level.ceiling_centi_dbtp.map_or(0.0, |_| loss),
                ..first
            });
            levelling.heard(heard);
        }
        (levelling.found(), times)
    }

    #[test]
    fn gain_alone_does_where_peaks_allow_it() {
        let (found, times) = levelled(loudness(-20.0, -6.0), 9.0);
        let level = Level {
            gain_centi_db: 400,
            ceiling_centi_dbtp: None,
        };
        assert_eq!((found.level, times), (level, 1));
        let (found, _) = levelled(loudness(-10.0, 0.5), 9.0);
        assert_eq!(found.level.gain_centi_db, -600);
        assert_eq!(found.level.ceiling_centi_dbtp, None);
    }

    #[test]
    fn what_a_limiter_costs_is_given_back() {
        let (found, times) = levelled(loudness(-27.0, -3.0), 1.2);
        assert_eq!(found.level.gain_centi_db, 1100 + 120);
        assert_eq!(found.level.ceiling_centi_dbtp, Some(-150));
        assert_eq!((found.heard.expect("heard").centi_lufs, times), (-2700, 3));
    }

    #[test]
    fn silence_stays_and_whispers_are_not_blown_up_without_bound() {
        assert_eq!(levelled(None, 0.0).0.level, Level::default());
        let (found, times) = levelled(loudness(-69.0, -50.0), 0.0);
        assert_eq!((found.level.gain_centi_db, times), (MAX_GAIN, 1));
        // What can't get there ends.
        assert_eq!(levelled(loudness(-60.0, -1.0), 20.0).1, 1 + CORRECTIONS);
    }
}
