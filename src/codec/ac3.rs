//! AC-3 and Enhanced AC-3 (ETSI TS 102 366): what the head of a syncframe says, and the `dac3` and
//! `dec3` records that MP4 wants of it.

use super::BitReader;
use crate::error::{Error, Result};

/// PCM samples in a frame of six blocks, which is what a sample of a file holds.
pub const FRAME: u32 = 1536;
/// Bytes at the start of a syncframe that are enough for all that is read here: the longest head is
/// E-AC-3's with its mixing data and 64 bytes of additional information.
pub const HEAD: usize = 192;

const SYNCWORD: u32 = 0x0b77;
/// By `fscod` (table 4.1).
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// By `acmod` (table 4.3), without the LFE.
const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
/// Kilobits a second by `frmsizecod / 2` (table 4.13).
const AC3_KBPS: [u32; 19] = [
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
];

/// The head of a syncframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syncframe {
    /// Enhanced AC-3.
    pub enhanced: bool,
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// Channels, the LFE included.
    pub channels: u16,
    /// PCM samples it holds.
    pub samples: u32,
    /// Its length in bytes.
    pub size: u32,
    /// It needs no other substream; all of AC-3 is so.
    pub independent: bool,
    /// Complexity index of the Atmos objects it carries beside the channels (joint object coding,
    /// ETSI TS 103 420 section 8.3).
    pub objects: Option<u8>,
    rate_code: u32,
    bsid: u32,
    bsmod: u32,
    acmod: u32,
    lfe: bool,
    /// `frmsizecod / 2` of AC-3.
    bit_rate_code: u32,
}

impl Syncframe {
    /// Reads the head of a syncframe; [`HEAD`] bytes are enough.
    ///
    /// # Errors
    /// When it is none, or cut off.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        // `bsid` stands at the same place in both.
        let bsid = bytes.get(5).map_or(0, |byte| byte >> 3);
        let mut bits = BitReader::new(bytes);
        let frame = match bsid {
            0..=8 => parse_ac3(&mut bits),
            11..=16 => parse_enhanced(&mut bits),
            _ => None,
        };
        frame.ok_or_else(|| Error::invalid("it is no syncframe of AC-3 or E-AC-3"))
    }

    /// Whether samples of both can be in one track.
    pub fn is_like(&self, other: &Self) -> bool {
        let plain = |frame: &Self| Self { size: 0, ..*frame };
        plain(self) == plain(other)
    }

    /// The payload of `dac3` (annex F.4) or `dec3` (F.6), for a track of such frames with that many
    /// bits a second.
    pub fn record(&self, bits_per_second: u64) -> Vec<u8> {
        if !self.enhanced {
            let word = self.rate_code << 22
                | self.bsid << 17
                | self.bsmod << 14
                | self.acmod << 11
                | u32::from(self.lfe) << 10
                | self.bit_rate_code << 5;
            return word.to_be_bytes()[1..].to_vec();
        }
        let kbps = u16::try_from(bits_per_second.div_ceil(1000)).unwrap_or(u16::MAX);
        // One independent substream, so num_ind_sub, which is one less, is 0.
        let mut record = (kbps.min(0x1fff) << 3).to_be_bytes().to_vec();
        let word = self.rate_code << 22
            | self.bsid << 17
            | self.bsmod << 12
            | self.acmod << 9
            | u32::from(self.lfe) << 8;
        record.extend(&word.to_be_bytes()[1..]);
        if let Some(complexity) = self.objects {
            record.extend([1, complexity]);
        }
        record
    }
}

/// `syncinfo` and `bsi` of AC-3 (sections 4.3.1, 4.3.2).
fn parse_ac3(bits: &mut BitReader<'_>) -> Option<Syncframe> {
    (bits.bits(16)? == SYNCWORD).then_some(())?;
    bits.skip(16)?; // crc1
    let rate_code = bits.bits(2)?;
    let sample_rate = *RATES.get(usize::try_from(rate_code).ok()?)?;
    let size_code = bits.bits(6)?;
    let kbps = *AC3_KBPS.get(usize::try_from(size_code / 2).ok()?)?;
    let (bsid, bsmod, acmod) = (bits.bits(5)?, bits.bits(3)?, bits.bits(3)?);
    if acmod & 1 != 0 && acmod != 1 {
        bits.skip(2)?; // cmixlev
    }
    if acmod & 4 != 0 {
        bits.skip(2)?; // surmixlev
    }
    if acmod == 2 {
        bits.skip(2)?; // dsurmod
    }
    let lfe = bits.flag()?;
    let words = match rate_code {
        0 => kbps * 2,
        1 => kbps * 320 / 147 + size_code % 2,
        _ => kbps * 3,
    };
    Some(Syncframe {
        enhanced: false,
        sample_rate,
        channels: CHANNELS.get(usize::try_from(acmod).ok()?)? + u16::from(lfe),
        samples: FRAME,
        size: words * 2,
        independent: true,
        objects: None,
        rate_code,
        bsid,
        bsmod,
        acmod,
        lfe,
        bit_rate_code: size_code / 2,
    })
}

/// `bsi` of E-AC-3 (section E.1.2.2).
fn parse_enhanced(bits: &mut BitReader<'_>) -> Option<Syncframe> {
    (bits.bits(16)? == SYNCWORD).then_some(())?;
    let kind = bits.bits(2)?;
    let substream = bits.bits(3)?;
    let size = (bits.bits(11)? + 1) * 2;
    let rate_code = bits.bits(2)?;
    let (sample_rate, block_code) = match rate_code {
        3 => (RATES.get(usize::try_from(bits.bits(2)?).ok()?)? / 2, 3),
        code => (*RATES.get(usize::try_from(code).ok()?)?, bits.bits(2)?),
    };
    let blocks = [1, 2, 3, 6].get(usize::try_from(block_code).ok()?)?;
    let acmod = bits.bits(3)?;
    let lfe = bits.flag()?;
    let bsid = bits.bits(5)?;
    let mut frame = Syncframe {
        enhanced: true,
        sample_rate,
        channels: CHANNELS.get(usize::try_from(acmod).ok()?)? + u16::from(lfe),
        samples: blocks * 256,
        size,
        independent: kind == 0 && substream == 0,
        objects: None,
        rate_code,
        bsid,
        bsmod: 0,
        acmod,
        lfe,
        bit_rate_code: 0,
    };
    // What follows is of use, but not needed.
    let _ = parse_enhanced_rest(bits, &mut frame, kind, block_code);
    Some(frame)
}

/// Leaves out `count` bits if the flag before them is set.
fn skip_if(bits: &mut BitReader<'_>, count: usize) -> Option<()> {
    if bits.flag()? {
        bits.skip(count)?;
    }
    Some(())
}

fn parse_enhanced_rest(
    bits: &mut BitReader<'_>,
    frame: &mut Syncframe,
    kind: u32,
    block_code: u32,
) -> Option<()> {
    for _ in 0..if frame.acmod == 0 { 2 } else { 1 } {
        bits.skip(5)?; // dialnorm
        skip_if(bits, 8)?; // compr
    }
    if kind == 1 {
        skip_if(bits, 16)?; // chanmap
    }
    if bits.flag()? {
        skip_mixing(bits, frame, kind, block_code)?;
    }
    if bits.flag()? {
        parse_information(bits, frame)?;
    }
    if kind == 0 && block_code != 3 {
        bits.skip(1)?; // convsync
    }
    if kind == 2 && (block_code == 3 || bits.flag()?) {
        bits.skip(6)?; // frmsizecod
    }
    if bits.flag()? {
        let bytes = bits.bits(6)? + 1;
        // flag_ec3_extension_type_a behind seven reserved bits (ETSI TS 103 420 section 8.3).
        if bytes >= 2 && bits.bits(7)? == 0 && bits.flag()? {
            frame.objects = Some(bits.byte(8)?);
        }
    }
    Some(())
}

/// The mixing metadata behind `mixmdate`.
fn skip_mixing(
    bits: &mut BitReader<'_>,
    frame: &Syncframe,
    kind: u32,
    block_code: u32,
) -> Option<()> {
    let acmod = frame.acmod;
    if acmod > 2 {
        bits.skip(2)?; // dmixmod
    }
    if acmod & 1 != 0 && acmod > 2 {
        bits.skip(6)?; // ltrtcmixlev, lorocmixlev
    }
    if acmod & 4 != 0 {
        bits.skip(6)?; // ltrtsurmixlev, lorosurmixlev
    }
    if frame.lfe {
        skip_if(bits, 5)?; // lfemixlevcod
    }
    if kind != 0 {
        return Some(());
    }
    skip_if(bits, 6)?; // pgmscl
    if acmod == 0 {
        skip_if(bits, 6)?;
    }
    skip_if(bits, 6)?; // extpgmscl
    match bits.bits(2)? {
        1 => bits.skip(5)?,
        2 => bits.skip(12)?,
        3 => {
            let length = usize::try_from(bits.bits(5)?).ok()?;
            bits.skip((length + 2) * 8)?;
        }
        _ => {}
    }
    if acmod < 2 {
        skip_if(bits, 14)?; // panmean, paninfo
        if acmod == 0 {
            skip_if(bits, 14)?;
        }
    }
    if bits.flag()? {
        match block_code {
            0 => bits.skip(5)?,
            code => {
                for _ in 0..[1, 2, 3, 6].get(usize::try_from(code).ok()?).copied()? {
                    skip_if(bits, 5)?; // blkmixcfginfo
                }
            }
        }
    }
    Some(())
}

/// The informational metadata behind `infomdate`.
fn parse_information(bits: &mut BitReader<'_>, frame: &mut Syncframe) -> Option<()> {
    frame.bsmod = bits.bits(3)?;
    bits.skip(2)?; // copyrightb, origbs
    if frame.acmod == 2 {
        bits.skip(4)?; // dsurmod, dheadphonmod
    }
    if frame.acmod >= 6 {
        bits.skip(2)?; // dsurexmod
    }
    for _ in 0..if frame.acmod == 0 { 2 } else { 1 } {
        skip_if(bits, 8)?; // mixlevel, roomtyp, adconvtyp
    }
    if frame.rate_code < 3 {
        bits.skip(1)?; // sourcefscod
    }
    Some(())
}

/// What a `dac3` or `dec3` payload says: (channels, samples a second, whether Atmos objects are
/// carried); 0 samples a second where the rate is coded as half of another.
pub fn read_record(payload: &[u8], enhanced: bool) -> Option<(u16, u32, bool)> {
    let mut bits = BitReader::new(payload);
    if enhanced {
        bits.skip(13 + 3)?;
    }
    let rate_code = bits.bits(2)?;
    bits.skip(if enhanced { 5 + 1 + 1 + 3 } else { 5 + 3 })?;
    let acmod = usize::try_from(bits.bits(3)?).ok()?;
    let channels = CHANNELS.get(acmod)? + u16::from(bits.flag()?);
    let rate = RATES.get(usize::try_from(rate_code).ok()?).copied();
    let mut objects = false;
    if enhanced {
        bits.skip(3)?;
        let dependent = bits.bits(4)?;
        bits.skip(if dependent > 0 { 9 } else { 1 })?;
        objects = bits.left() >= 16 && bits.bits(8)? & 1 == 1;
    }
    Some((channels, rate.unwrap_or(0), objects))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::{flipped, hex};

    /// The head of FFmpeg's AC-3 at 48 kHz, 5.1, 448 kb/s.
    const AC3: &str = "0b77 9e5d 1e 40 e1 df c4 00";
    /// The head of FFmpeg's E-AC-3 at 48 kHz, 5.1, 384 kb/s.
    const EAC3: &str = "0b77 02ff 3f 87 ff 00 00 00";

    #[test]
    fn heads_tell_rate_channels_and_length() {
        let frame = Syncframe::parse(&hex(AC3)).expect("AC-3");
        assert_eq!(
            (frame.sample_rate, frame.channels, frame.size, frame.samples),
            (48_000, 6, 1792, FRAME)
        );
        assert_eq!(frame.record(0), hex("10 3d e0"));
        assert_eq!(
            read_record(&frame.record(0), false),
            Some((6, 48_000, false))
        );
        let frame = Syncframe::parse(&hex(EAC3)).expect("E-AC-3");
        assert_eq!(
            (frame.sample_rate, frame.channels, frame.size, frame.samples),
            (48_000, 6, 1536, FRAME)
        );
        assert!(frame.enhanced && frame.independent && frame.objects.is_none());
        assert_eq!(frame.record(384_000), hex("0c00 20 0f 00"));
        let with_objects = Syncframe {
            objects: Some(16),
            ..frame
        };
        let record = with_objects.record(448_000);
        assert_eq!(record, hex("0e00 20 0f 00 01 10"));
        assert_eq!(read_record(&record, true), Some((6, 48_000, true)));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Syncframe::parse(&[]).is_err());
        assert!(Syncframe::parse(&hex("0b78 9e5d 1e 40 e1 df c4")).is_err());
        assert!(Syncframe::parse(&hex("fff1 5080 2e7f fc21 0049")).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), bit in 0_usize..80, enhanced in any::<bool>()) {
            let _ = Syncframe::parse(&bytes).map(|frame| frame.record(u64::MAX));
            let _ = Syncframe::parse(&flipped(hex(AC3), bit)).map(|frame| frame.record(0));
            let _ = Syncframe::parse(&flipped(hex(EAC3), bit)).map(|frame| frame.record(0));
            let _ = read_record(&bytes, enhanced);
        }
    }
}
