//! The configuration record of Dolby Vision (Dolby Vision Streams Within the ISO Base Media File
//! Format, section 3.2): `dvcC`, `dvvC`, `dvwC`.

/// The boxes that hold the record.
pub const DOLBY_VISION_BOXES: [&[u8; 4]; 3] = [b"dvcC", b"dvvC", b"dvwC"];

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DolbyVision {
    /// `dv_profile`.
    pub profile: u8,
    /// `dv_level`.
    pub level: u8,
}

impl DolbyVision {
    /// Reads the payload of its box; `None` where it is cut off.
    pub fn parse(record: &[u8]) -> Option<Self> {
        // Two version bytes; 7 bits of profile, 6 of level.
        let bits = u16::from_be_bytes([*record.get(2)?, *record.get(3)?]);
        Some(Self {
            profile: (bits >> 9).to_le_bytes()[0],
            level: (bits >> 3 & 0x3f).to_le_bytes()[0],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_and_level_are_read() {
        let read = DolbyVision::parse(&[1, 0, 0x10, 0x25, 0x40]);
        let (profile, level) = (8, 4);
        assert_eq!(read, Some(DolbyVision { profile, level }));
        assert_eq!(DolbyVision::parse(&[1, 0, 0x10]), None);
    }
}
