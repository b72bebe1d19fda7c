//! Loudness of a programme from the loudness of its tenths of a second: ITU-R BS.1770-5, EBU R 128,
//! EBU Tech 3342.
//!
//! Sound is measured where it is made, in pieces. A piece tells the loudness of each tenth that ends
//! in it; gates and windows are laid over all of them here, so that a border between pieces is
//! nowhere to be heard of.

use crate::media::{Loudness, SILENT_TENTH};

/// Tenths in a gating block of 400 ms; one begins with each tenth.
const BLOCK: usize = 4;
/// Tenths in a short-term window of 3 s.
const SHORT_TERM: usize = 30;
/// Blocks at or under this many LUFS count for nothing.
const ABSOLUTE_GATE: f64 = -70.0;

/// The loudness of a programme of these tenths, in hundredths of LUFS, whose highest true peak is
/// `peak_centi_dbtp`. `None` for silence and for less than 400 ms.
pub fn of_tenths(tenths: &[i16], peak_centi_dbtp: i32) -> Option<Loudness> {
    let energies: Vec<f64> = tenths.iter().map(|tenth| energy(*tenth)).collect();
    let integrated = integrated(&energies)?;
    Some(Loudness {
        integrated_lufs: hundredths(integrated),
        range_lu: hundredths(range(&energies)),
        true_peak_dbtp: f64::from(peak_centi_dbtp) / 100.0,
    })
}

fn energy(centi_lufs: i16) -> f64 {
    match centi_lufs {
        SILENT_TENTH => 0.0,
        loud => 10_f64.powf(f64::from(loud) / 1000.0),
    }
}

fn loudness(energy: f64) -> f64 {
    10.0 * energy.log10()
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Mean energies of all windows of so many tenths.
fn windows(energies: &[f64], length: usize) -> Vec<f64> {
    energies.windows(length).filter_map(mean).collect()
}

fn mean(energies: &[f64]) -> Option<f64> {
    let sum: f64 = energies.iter().sum();
    let count = u32::try_from(energies.len()).ok().filter(|n| *n > 0)?;
    Some(sum / f64::from(count))
}

/// What lies over a gate of so many LUFS.
fn above(energies: &[f64], gate: f64) -> Vec<f64> {
    let least = 10_f64.powf(gate / 10.0);
    energies.iter().copied().filter(|e| *e > least).collect()
}

/// BS.1770: the mean of the blocks over -70 LUFS and over 10 LU less than the mean of those.
fn integrated(energies: &[f64]) -> Option<f64> {
    let audible = above(&windows(energies, BLOCK), ABSOLUTE_GATE);
    let gate = loudness(mean(&audible)?) - 10.0;
    Some(loudness(mean(&above(&audible, gate))?))
}

/// Tech 3342: from the 10th to the 95th percentile of short-term loudness, over -70 LUFS and over 20
/// LU less than the mean; 0 for less than 3 s.
fn range(energies: &[f64]) -> f64 {
    let audible = above(&windows(energies, SHORT_TERM), ABSOLUTE_GATE);
    let Some(middle) = mean(&audible) else {
        return 0.0;
    };
    let mut loud = above(&audible, loudness(middle) - 20.0);
    loud.sort_by(f64::total_cmp);
    let last = loud.len().saturating_sub(1);
    let at = |percent: usize| loud.get((last * percent + 50) / 100).copied();
    match (at(10), at(95)) {
        (Some(low), Some(high)) => loudness(high) - loudness(low),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(parts: &[(usize, i16)]) -> Option<Loudness> {
        let tenths: Vec<i16> = parts
            .iter()
            .flat_map(|(seconds, level)| vec![*level; seconds * 10])
            .collect();
        of_tenths(&tenths, -100)
    }

    /// The cases of EBU Tech 3341 that are made of steady tones.
    #[test]
    fn steady_tones_read_as_tech_3341_says() {
        let integrated = |parts: &[(usize, i16)]| measured(parts).expect("heard").integrated_lufs;
        for (parts, expected) in [
            (&[(20, -2300)][..], -23.0),
            (&[(20, -3300)], -33.0),
            (&[(10, -3600), (60, -2300), (10, -3600)], -23.0),
            (
                &[
                    (10, -7200),
                    (10, -3600),
                    (60, -2300),
                    (10, -3600),
                    (10, -7200),
                ],
                -23.0,
            ),
            (&[(20, -2600), (20, -2000), (20, -2600)], -23.0),
        ] {
            let got = integrated(parts);
            assert!((got - expected).abs() <= 0.1, "{parts:?}: {got}");
        }
    }

    /// The cases 1 to 3 of EBU Tech 3342.
    #[test]
    fn ranges_read_as_tech_3342_says() {
        for (parts, expected) in [
            (&[(20, -2000), (20, -3000)][..], 10.0),
            (&[(20, -2000), (20, -1500)], 5.0),
            (&[(20, -4000), (20, -2000)], 20.0),
        ] {
            let got = measured(parts).expect("heard").range_lu;
            assert!((got - expected).abs() <= 1.0, "{parts:?}: {got}");
        }
    }

    #[test]
    fn silence_and_a_click_have_no_loudness() {
        assert_eq!(measured(&[(10, SILENT_TENTH)]), None);
        assert_eq!(measured(&[(10, -7500)]), None);
        assert_eq!(of_tenths(&[-2000; 3], 0), None);
        assert_eq!(of_tenths(&[], 0), None);
    }
}
