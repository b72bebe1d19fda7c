//! Measures sound on its way to the encoder, by the tenth of a second (ITU-R BS.1770-5).

use std::ops::Range;

use ebur128::{EbuR128, Mode};

use crate::error::{Error, Result};
use crate::media::{AudioTask, LoudnessPart, SILENT_TENTH};

/// The meter of one task. What was encoded only to warm up warms up its filters too.
pub(super) struct Meter {
    meter: EbuR128,
    channels: u32,
    /// PCM samples in a tenth of a second.
    tenth: i64,
    /// Position of the next sample in the presentation.
    position: i64,
    /// What the task keeps: tenths that end in it are its own.
    own: Range<i64>,
    part: LoudnessPart,
    peak: f64,
}

impl Meter {
    /// For a task whose first sample pushed will lie at `position`.
    pub(super) fn open(task: &AudioTask, position: i64) -> Result<Self> {
        let channels = u32::from(task.channels);
        let meter = EbuR128::new(channels, task.sample_rate, Mode::M | Mode::TRUE_PEAK)
            .map_err(|e| Error::internal(format!("opening the loudness meter: {e}")))?;
        let at = |frame: u32| {
            let position = i64::from(frame) * 1024 - i64::from(task.priming);
            position.clamp(0, i64::try_from(task.total_samples).unwrap_or(i64::MAX))
        };
        Ok(Self {
            meter,
            channels,
            tenth: i64::from(task.sample_rate / 10).max(1),
            position,
            own: at(task.first_frame)..at(task.first_frame.saturating_add(task.frames)),
            part: LoudnessPart::default(),
            peak: 0.0,
        })
    }

    /// Takes the samples that follow, a plane a channel.
    pub(super) fn push(&mut self, planes: &[&[f32]]) -> Result<()> {
        let count = planes.first().map_or(0, |plane| plane.len());
        let mut from = 0;
        while from < count {
            let left = i64::try_from(count - from).unwrap_or(i64::MAX);
            let taken = self.until_edge().min(left);
            let to = from + usize::try_from(taken).unwrap_or(1).max(1);
            let piece: Vec<&[f32]> = planes
                .iter()
                .filter_map(|plane| plane.get(from..to))
                .collect();
            self.measure(&piece, taken)?;
            from = to;
        }
        Ok(())
    }

    /// Samples up to where a tenth ends or the task's own part begins or ends.
    fn until_edge(&self) -> i64 {
        let tenth = (self.position.div_euclid(self.tenth) + 1) * self.tenth;
        let edges = [self.own.start, self.own.end];
        let edges = edges.into_iter().filter(|edge| *edge > self.position);
        edges.fold(tenth, i64::min) - self.position
    }

    fn measure(&mut self, piece: &[&[f32]], samples: i64) -> Result<()> {
        let failed = |e| Error::internal(format!("measuring loudness: {e}"));
        self.meter.add_frames_planar_f32(piece).map_err(failed)?;
        self.position = self.position.saturating_add(samples);
        if self.position <= self.own.start || self.position > self.own.end {
            return Ok(());
        }
        for channel in 0..self.channels {
            let peak = self.meter.prev_true_peak(channel).map_err(failed)?;
            self.peak = self.peak.max(peak);
        }
        if self.position % self.tenth == 0 {
            let loudness = self.meter.loudness_window(100).map_err(failed)?;
            if self.part.tenths.is_empty() {
                let first = self.position / self.tenth - 1;
                self.part.first_tenth = u32::try_from(first).unwrap_or(0);
            }
            self.part.tenths.push(centi(loudness));
        }
        Ok(())
    }

    /// What was measured.
    pub(super) fn finish(mut self) -> LoudnessPart {
        self.part.peak_centi_dbtp = i32::from(centi(20.0 * self.peak.log10()));
        self.part
    }
}

/// Hundredths of a decibel; silence has its own number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn centi(decibels: f64) -> i16 {
    let hundredths = (decibels * 100.0).round();
    if (-20_000.0..20_000.0).contains(&hundredths) {
        hundredths as i16
    } else {
        SILENT_TENTH
    }
}
