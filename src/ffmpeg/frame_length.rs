//! How much sound a packet holds, as its own header says.

use crate::codec::ac3::Syncframe;

/// A length of sound: PCM samples at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    pub samples: u32,
    /// Samples a second; not 0.
    pub rate: u32,
}

/// What the header of a packet says, for codecs that have one. Streams may change their rate from
/// one packet to the next.
pub(super) fn of_packet(codec: &str, data: &[u8]) -> Option<Length> {
    match codec {
        "aac" => adts(data),
        "mp2" | "mp3" => mpeg(data),
        "ac3" => {
            let frame = Syncframe::parse(data).ok()?;
            Some(Length {
                samples: frame.samples,
                rate: frame.sample_rate,
            })
        }
        _ => None,
    }
}

/// `adts_frame` (ISO/IEC 14496-3 section 1.A.3.2). Raw AAC has no header; that nothing in it is
/// taken for one, the length must fit, too.
fn adts(data: &[u8]) -> Option<Length> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    let head: [u8; 7] = data.get(..7)?.try_into().ok()?;
    let length =
        usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5]) >> 5;
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 || length != data.len() {
        return None;
    }
    let blocks = u32::from(head[6] & 3) + 1;
    Some(Length {
        samples: 1024 * blocks,
        rate: *RATES.get(usize::from(head[2] >> 2 & 15))?,
    })
}

/// The header of MPEG audio (ISO/IEC 11172-3 section 2.4.1.3, ISO/IEC 13818-3 section 2.4.2.3, and
/// the common extension to lower rates).
fn mpeg(data: &[u8]) -> Option<Length> {
    let head: [u8; 3] = data.get(..3)?.try_into().ok()?;
    let (version, layer) = (head[1] >> 3 & 3, head[1] >> 1 & 3);
    let halved = match (head[0], head[1] >> 5, version) {
        (0xff, 7, 3) => 0,
        (0xff, 7, 2) => 1,
        (0xff, 7, 0) => 2,
        _ => return None,
    };
    let samples = match layer {
        3 => 384,
        2 => 1152,
        1 if version == 3 => 1152,
        1 => 576,
        _ => return None,
    };
    let rate = [44_100, 48_000, 32_000].get(usize::from(head[2] >> 2 & 3))?;
    Some(Length {
        samples,
        rate: rate >> halved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(codec: &str, data: &[u8]) -> Option<(u32, u32)> {
        of_packet(codec, data).map(|length| (length.samples, length.rate))
    }

    #[test]
    fn headers_tell_length_and_rate() {
        // ADTS of 9 bytes, AAC-LC, index 4, two channels.
        let adts = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x3f, 0xfc, 0, 0];
        assert_eq!(length("aac", &adts), Some((1024, 44_100)));
        assert_eq!(length("mp2", &[0xff, 0xfd, 0x84, 0]), Some((1152, 48_000)));
        assert_eq!(length("mp3", &[0xff, 0xf3, 0x84, 0]), Some((576, 24_000)));
    }

    #[test]
    fn what_is_no_header_tells_nothing() {
        // Raw AAC, a frame that is longer than it says, nothing at all.
        assert_eq!(length("aac", &[0x21, 0x10, 5, 0, 0, 0, 0, 0]), None);
        let longer = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x3f, 0xfc, 0, 0, 0];
        assert_eq!(length("aac", &longer), None);
        assert_eq!(length("aac", &[]), None);
        assert_eq!(length("ac3", &[0x0b, 0x77]), None);
        assert_eq!(length("opus", &[0xff, 0xfd, 0x84, 0]), None);
    }
}
