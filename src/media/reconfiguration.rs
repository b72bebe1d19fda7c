//! Decoder configurations that a track changes to on its way.

use serde::{Deserialize, Serialize};

/// A change of the decoder's configuration before a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconfiguration {
    /// Number of the first sample that needs it, from 0: in a task, of its samples.
    pub sample: u32,
    /// What the decoder is opened with from there on.
    pub config: Vec<u8>,
}

/// All changes of a track, in order of their samples. Samples before the first have the track's own
/// configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reconfigurations {
    /// Configurations beside the track's own.
    others: Vec<Vec<u8>>,
    /// Number of a sample, and of the configuration from there on: 0 for the track's own, else from 1
    /// in `others`.
    changes: Vec<(u32, u32)>,
}

impl Reconfigurations {
    /// Of a track with `others` beside its own configuration. Of `changes` (number of a sample,
    /// ascending, and of a configuration: 0 for the track's own, else from 1) those count that change
    /// anything.
    pub fn new(others: Vec<Vec<u8>>, changes: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut kept: Vec<(u32, u32)> = Vec::new();
        for (sample, config) in changes {
            let before = kept.last().map_or(0, |(_, config)| *config);
            if config != before && config as usize <= others.len() {
                kept.push((sample, config));
            }
        }
        match kept.is_empty() {
            true => Self::default(),
            false => Self {
                others,
                changes: kept,
            },
        }
    }

    /// Whether one configuration is right for all samples.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How often it changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The configuration of sample `number`; `own` is the track's.
    pub fn at<'a>(&'a self, number: u32, own: &'a [u8]) -> &'a [u8] {
        let after = self
            .changes
            .partition_point(|(sample, _)| *sample <= number);
        let change = after.checked_sub(1).map(|at| self.changes[at].1);
        self.config(change.unwrap_or(0), own)
    }

    /// The changes after sample `first` among the `count` samples from there on, their samples counted
    /// from `first`.
    pub fn within(&self, first: u32, count: u32, own: &[u8]) -> Vec<Reconfiguration> {
        let inside =
            |(sample, _): &&(u32, u32)| *sample > first && *sample < first.saturating_add(count);
        let change = |(sample, config): &(u32, u32)| Reconfiguration {
            sample: sample - first,
            config: self.config(*config, own).to_vec(),
        };
        self.changes.iter().filter(inside).map(change).collect()
    }

    fn config<'a>(&'a self, number: u32, own: &'a [u8]) -> &'a [u8] {
        let other = (number as usize).checked_sub(1);
        other
            .and_then(|at| self.others.get(at))
            .map_or(own, Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_has_the_configuration_of_the_last_change() {
        let own: &[u8] = b"own";
        let changes = [(0, 0), (10, 1), (12, 1), (20, 0), (30, 2), (40, 3)];
        let all = Reconfigurations::new(vec![b"one".to_vec(), b"two".to_vec()], changes);
        assert_eq!(
            all.len(),
            3,
            "what changes nothing, or to nothing, is left out"
        );
        for (number, config) in [
            (0, "own"),
            (9, "own"),
            (10, "one"),
            (19, "one"),
            (20, "own"),
            (99, "two"),
        ] {
            assert_eq!(all.at(number, own), config.as_bytes(), "{number}");
        }
        let within = all.within(10, 15, own);
        let row = |change: &Reconfiguration| (change.sample, change.config.clone());
        assert_eq!(
            within.iter().map(row).collect::<Vec<_>>(),
            [(10, b"own".to_vec())]
        );
        assert!(Reconfigurations::new(vec![Vec::new()], [(5, 0)]).is_empty());
    }
}
