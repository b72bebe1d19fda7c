//! What is known of the light in high dynamic range pictures: the display they were graded on and
//! how bright they get.

use serde::{Deserialize, Serialize};

/// Static metadata of HDR10 (SMPTE ST 2086, CTA-861.3), as far as the source has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Light {
    /// The display that the pictures were graded on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mastering: Option<MasteringDisplay>,
    /// How bright the pictures get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentLight>,
}

/// A mastering display colour volume (SMPTE ST 2086).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasteringDisplay {
    /// Chromaticity (x, y) of green, blue and red, in fifty-thousandths.
    pub primaries: [[u16; 2]; 3],
    /// Chromaticity (x, y) of white, in fifty-thousandths.
    pub white: [u16; 2],
    /// Luminance of its white in ten-thousandths of a cd/m2.
    pub max_luminance: u32,
    /// Luminance of its black in ten-thousandths of a cd/m2.
    pub min_luminance: u32,
}

/// Content light level (CTA-861.3), in cd/m2; 0 where it isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentLight {
    /// `MaxCLL`: the brightest pixel.
    pub max_content: u16,
    /// `MaxFALL`: the highest mean of a picture.
    pub max_frame_average: u16,
}

impl Light {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        mastering: None,
        content: None,
    };

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::UNKNOWN
    }

    /// What is known here, and else there.
    pub fn or(self, other: Self) -> Self {
        Self {
            mastering: self.mastering.or(other.mastering),
            content: self.content.or(other.content),
        }
    }

    /// The brightest that the pictures get in cd/m2, as far as anything says so: what was measured
    /// before what the display could have shown.
    pub fn peak_nits(&self) -> Option<u32> {
        let measured = self.content.map(|content| u32::from(content.max_content));
        let shown = self.mastering.map(|display| display.max_luminance / 10_000);
        let known = |nits: &u32| (1..=10_000).contains(nits);
        measured.filter(known).or(shown.filter(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_peak_goes_before_the_displays() {
        let mastering = MasteringDisplay {
            primaries: [[8500, 39_850], [6550, 2300], [35_400, 14_600]],
            white: [15_635, 16_450],
            max_luminance: 40_000_000,
            min_luminance: 50,
        };
        let content = |max_content| {
            Some(ContentLight {
                max_content,
                max_frame_average: 0,
            })
        };
        let peak = |mastering, content| Light { mastering, content }.peak_nits();
        assert_eq!(peak(Some(mastering), content(1100)), Some(1100));
        assert_eq!(peak(Some(mastering), content(0)), Some(4000));
        assert_eq!(peak(None, content(60_000)), None);
        assert_eq!(Light::UNKNOWN.peak_nits(), None);
    }
}
