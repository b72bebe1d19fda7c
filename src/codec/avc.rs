//! H.264 / AVC: NAL units, the sequence parameter set (ITU-T H.264 section 7.3.2.1) and the
//! decoder configuration record `avcC` (ISO/IEC 14496-15 section 5.3.3).
//!
//! Nothing here decodes pictures. Slices are looked at only as far as their NAL unit header.

use super::BitReader;
use crate::error::{Error, Result};
use crate::media::{Colour, PixelAspect};
use crate::time::FrameRate;

/// `nal_unit_type` of a coded slice of a picture that is not IDR.
pub const NAL_SLICE: u8 = 1;
/// `nal_unit_type` of a coded slice of an IDR picture.
pub const NAL_IDR: u8 = 5;
/// `nal_unit_type` of supplemental enhancement information.
pub const NAL_SEI: u8 = 6;
/// `nal_unit_type` of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub const NAL_PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub const NAL_DELIMITER: u8 = 9;
/// `nal_unit_type` of the end of a coded video sequence.
pub const NAL_END_OF_SEQUENCE: u8 = 10;
/// `nal_unit_type` of the end of the stream.
pub const NAL_END_OF_STREAM: u8 = 11;
/// `nal_unit_type` of filler data.
pub const NAL_FILLER: u8 = 12;
/// `nal_unit_type` of a sequence parameter set extension.
pub const NAL_SPS_EXTENSION: u8 = 13;

/// `nal_unit_type` of a NAL unit; 0 (unspecified) for an empty one.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}

/// Whether the NAL unit is a parameter set, which a track named `avc1` keeps in `avcC` only.
pub fn is_parameter_set(nal: &[u8]) -> bool {
    matches!(nal_type(nal), NAL_SPS | NAL_PPS | NAL_SPS_EXTENSION)
}

/// Iterator over the NAL units of a length-prefixed sample (ISO/IEC 14496-15 section 5.3.2).
///
/// A NAL unit that is cut off gives the part that is there, so that headers can be read from the
/// start of a sample; [`check_sample`] finds such faults.
#[derive(Debug, Clone)]
pub struct LengthPrefixed<'a> {
    rest: &'a [u8],
    length_size: usize,
}

/// Walks a sample whose NAL units have lengths of `length_size` bytes (1, 2 or 4) in front.
pub fn nal_units(sample: &[u8], length_size: usize) -> LengthPrefixed<'_> {
    LengthPrefixed {
        rest: sample,
        length_size: length_size.clamp(1, 4),
    }
}

fn big_endian(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}

impl<'a> Iterator for LengthPrefixed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.rest.split_at_checked(self.length_size)?;
        let (nal, rest) = rest.split_at(big_endian(prefix).min(rest.len()));
        self.rest = rest;
        Some(nal)
    }
}

/// Checks that the lengths in a sample add up to the sample exactly.
///
/// # Errors
/// Invalid, with the offset of the first length that does not fit.
pub fn check_sample(sample: &[u8], length_size: usize) -> Result<()> {
    let mut at = 0;
    while at < sample.len() {
        let prefix = sample.get(at..at + length_size);
        let end = prefix.and_then(|prefix| (at + length_size).checked_add(big_endian(prefix)));
        match end {
            Some(end) if end <= sample.len() => at = end,
            _ => {
                return Err(Error::invalid(format!(
                    "the NAL unit at byte {at} does not fit its sample of {} bytes",
                    sample.len()
                )));
            }
        }
    }
    Ok(())
}

/// Iterator over the NAL units of an Annex B byte stream (ITU-T H.264 section B.1), without start
/// codes and trailing zeros.
#[derive(Debug, Clone)]
pub struct AnnexB<'a> {
    /// What follows the last start code found; `None` at the end.
    rest: Option<&'a [u8]>,
}

/// Walks a byte stream with start codes. Bytes in front of the first start code are left out.
pub fn annex_b_units(stream: &[u8]) -> AnnexB<'_> {
    AnnexB {
        rest: find_start_code(stream).and_then(|at| stream.get(at + 3..)),
    }
}

/// Offset of the next `00 00 01`.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    // The third byte decides how far to go on: most bytes of a slice are neither 0 nor 1.
    while let Some(third) = bytes.get(at) {
        match third {
            0 => at += 1,
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some(at - 2),
            _ => at += 3,
        }
    }
    None
}

fn without_trailing_zeros(mut nal: &[u8]) -> &[u8] {
    while let Some((0, rest)) = nal.split_last() {
        nal = rest;
    }
    nal
}

impl<'a> Iterator for AnnexB<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(rest) = self.rest {
            let end = find_start_code(rest);
            self.rest = end.and_then(|at| rest.get(at + 3..));
            let nal = without_trailing_zeros(&rest[..end.unwrap_or(rest.len())]);
            if !nal.is_empty() {
                return Some(nal);
            }
        }
        None
    }
}

/// Rewrites an Annex B access unit with 4-byte lengths, leaving out the NAL units for which
/// `drop` is true (parameter sets and delimiters, usually: see [`is_redundant`]).
pub fn annex_b_to_length_prefixed(stream: &[u8], drop: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut sample = Vec::with_capacity(stream.len() + 16);
    for nal in annex_b_units(stream).filter(|nal| !drop(nal)) {
        let len = u32::try_from(nal.len()).expect("a NAL unit in memory is under 4 GiB");
        sample.extend_from_slice(&len.to_be_bytes());
        sample.extend_from_slice(nal);
    }
    sample
}

/// Whether a NAL unit says nothing that an `avc1` track needs in its samples: parameter sets
/// (they are in `avcC`), delimiters, ends of sequence or stream, filler.
pub fn is_redundant(nal: &[u8]) -> bool {
    is_parameter_set(nal)
        || matches!(
            nal_type(nal),
            NAL_DELIMITER | NAL_END_OF_SEQUENCE | NAL_END_OF_STREAM | NAL_FILLER
        )
}

/// `nal_unit_type` of the first slice (types 1 to 5) of a sample.
pub fn first_slice_type(sample: &[u8], length_size: usize) -> Option<u8> {
    nal_units(sample, length_size)
        .map(nal_type)
        .find(|kind| (NAL_SLICE..=NAL_IDR).contains(kind))
}

/// Whether the sample is an IDR picture: its first slice is one.
pub fn is_idr(sample: &[u8], length_size: usize) -> bool {
    first_slice_type(sample, length_size) == Some(NAL_IDR)
}

/// Sequence and picture parameter sets in the order met, each distinct one once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterSets {
    /// Sequence parameter sets, with their NAL unit header.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets, with their NAL unit header.
    pub pps: Vec<Vec<u8>>,
    /// Sequence parameter set extensions, with their NAL unit header.
    pub sps_extensions: Vec<Vec<u8>>,
}

impl ParameterSets {
    /// Collects the parameter sets among `nals`.
    pub fn collect<'a>(nals: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut sets = Self::default();
        for nal in nals {
            let list = match nal_type(nal) {
                NAL_SPS => &mut sets.sps,
                NAL_PPS => &mut sets.pps,
                NAL_SPS_EXTENSION => &mut sets.sps_extensions,
                _ => continue,
            };
            if !list.iter().any(|known| known == nal) {
                list.push(nal.to_vec());
            }
        }
        sets
    }

    /// Collects the parameter sets of an Annex B byte stream.
    pub fn from_annex_b(stream: &[u8]) -> Self {
        Self::collect(annex_b_units(stream))
    }
}

/// The last fields of `avcC`, there for profiles other than Baseline, Main and Extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleFormat {
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample.
    pub bit_depth_chroma: u8,
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 5.3.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    /// `AVCProfileIndication`.
    pub profile: u8,
    /// `profile_compatibility`: the constraint flags.
    pub compatibility: u8,
    /// `AVCLevelIndication`: ten times the level.
    pub level: u8,
    /// Bytes of a NAL unit's length in the samples: 1, 2 or 4.
    pub length_size: usize,
    /// The parameter sets.
    pub sets: ParameterSets,
    /// Chroma format and bit depths, where the record has them.
    pub format: Option<SampleFormat>,
}

/// Whether a record of this profile ends in a [`SampleFormat`].
fn has_sample_format(profile: u8) -> bool {
    !matches!(profile, 66 | 77 | 88)
}

/// Takes `count` NAL units with 16-bit lengths off the front of `bytes`.
fn take_sets(bytes: &mut &[u8], count: u8) -> Option<Vec<Vec<u8>>> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let (prefix, rest) = bytes.split_at_checked(2)?;
        let (nal, rest) = rest.split_at_checked(big_endian(prefix))?;
        *bytes = rest;
        sets.push(nal.to_vec());
    }
    Some(sets)
}

fn put_sets(out: &mut Vec<u8>, sets: &[Vec<u8>]) {
    for nal in sets {
        let len = u16::try_from(nal.len()).expect("checked when the record was made");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(nal);
    }
}

impl AvcConfig {
    /// Reads the payload of an `avcC` box.
    ///
    /// # Errors
    /// When the record is cut off, of another version, or its length size is 3.
    pub fn parse(record: &[u8]) -> Result<Self> {
        let config = Self::parse_fields(record)
            .ok_or_else(|| Error::invalid("the avcC record is cut off or broken"))?;
        match (record.first(), config.length_size) {
            (Some(1), 1 | 2 | 4) => Ok(config),
            (Some(1), size) => Err(Error::invalid(format!(
                "the avcC record asks for {size}-byte lengths, which the standard rules out"
            ))),
            (version, _) => Err(Error::unsupported(format!(
                "avcC record of version {}",
                version.copied().unwrap_or(0)
            ))),
        }
    }

    fn parse_fields(record: &[u8]) -> Option<Self> {
        let &[_, profile, compatibility, level, lengths, sps_count] = record.first_chunk::<6>()?;
        let mut rest = record.get(6..)?;
        let sps = take_sets(&mut rest, sps_count & 0x1f)?;
        let (pps_count, mut rest) = rest.split_first()?;
        let pps = take_sets(&mut rest, *pps_count)?;
        let mut sets = ParameterSets {
            sps,
            pps,
            sps_extensions: Vec::new(),
        };
        // Many writers leave the last fields out; section 5.3.3.1.2 asks readers to bear that.
        let mut format = None;
        if has_sample_format(profile)
            && let Some((&[chroma, luma_depth, chroma_depth, count], mut tail)) =
                rest.split_first_chunk::<4>()
        {
            format = Some(SampleFormat {
                chroma_format: chroma & 3,
                bit_depth_luma: 8 + (luma_depth & 7),
                bit_depth_chroma: 8 + (chroma_depth & 7),
            });
            sets.sps_extensions = take_sets(&mut tail, count).unwrap_or_default();
        }
        Some(Self {
            profile,
            compatibility,
            level,
            length_size: usize::from(lengths & 3) + 1,
            sets,
            format,
        })
    }

    /// The record for these parameter sets, with 4-byte lengths.
    ///
    /// # Errors
    /// When there is no SPS or no PPS, or a set does not fit a record, or the SPS is broken.
    pub fn from_sets(sets: ParameterSets) -> Result<Self> {
        let too_many = sets.sps.len() > 31 || sets.pps.len() > 255;
        let all = [&sets.sps, &sets.pps, &sets.sps_extensions];
        let too_long = all.iter().any(|list| {
            list.len() > 255 || list.iter().any(|nal| nal.len() > usize::from(u16::MAX))
        });
        if too_many || too_long {
            return Err(Error::invalid(
                "the parameter sets do not fit an avcC record",
            ));
        }
        let (Some(first), false) = (sets.sps.first(), sets.pps.is_empty()) else {
            return Err(Error::invalid(format!(
                "an H.264 stream needs a sequence and a picture parameter set, it has {} and {}",
                sets.sps.len(),
                sets.pps.len()
            )));
        };
        let sps = Sps::parse(first)?;
        Ok(Self {
            profile: sps.profile,
            compatibility: sps.constraint_flags,
            level: sps.level,
            length_size: 4,
            format: has_sample_format(sps.profile).then_some(sps.format),
            sets,
        })
    }

    /// The payload of the `avcC` box.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = |list: &[Vec<u8>]| u8::try_from(list.len()).expect("at most 255 sets");
        let length_code = u8::try_from(self.length_size.clamp(1, 4) - 1).expect("at most 3");
        let mut out = vec![
            1,
            self.profile,
            self.compatibility,
            self.level,
            0xfc | length_code,
            0xe0 | count(&self.sets.sps),
        ];
        put_sets(&mut out, &self.sets.sps);
        out.push(count(&self.sets.pps));
        put_sets(&mut out, &self.sets.pps);
        if let Some(format) = self.format {
            out.extend_from_slice(&[
                0xfc | format.chroma_format & 3,
                0xf8 | format.bit_depth_luma.saturating_sub(8) & 7,
                0xf8 | format.bit_depth_chroma.saturating_sub(8) & 7,
                count(&self.sets.sps_extensions),
            ]);
            put_sets(&mut out, &self.sets.sps_extensions);
        }
        out
    }

    /// The first sequence parameter set, parsed.
    ///
    /// # Errors
    /// When there is none or it is broken.
    pub fn sps(&self) -> Result<Sps> {
        let nal = self.sets.sps.first();
        Sps::parse(nal.ok_or_else(|| Error::invalid("the avcC record has no SPS"))?)
    }

    /// The RFC 6381 name, for example `avc1.640028`.
    pub fn codecs(&self) -> String {
        self.codecs_as("avc1")
    }

    /// The RFC 6381 name under another sample entry type, for example `avc3.640028`.
    pub fn codecs_as(&self, sample_entry: &str) -> String {
        let Self {
            profile,
            compatibility,
            level,
            ..
        } = self;
        format!("{sample_entry}.{profile:02X}{compatibility:02X}{level:02X}")
    }
}

/// `num_units_in_tick` and `time_scale` of the VUI: two ticks are one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// `num_units_in_tick`.
    pub units_in_tick: u32,
    /// `time_scale`.
    pub time_scale: u32,
    /// `fixed_frame_rate_flag`.
    pub fixed: bool,
}

/// Video usability information (ITU-T H.264 section E.1.1), as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vui {
    /// `sar_width` to `sar_height`; `None` when unspecified.
    pub pixel_aspect: Option<PixelAspect>,
    /// Colour description; the parts that are not given are 2 (unspecified).
    pub colour: Option<Colour>,
    /// Timing, where given.
    pub timing: Option<Timing>,
    /// `max_num_reorder_frames`, where the bitstream restrictions are given.
    pub max_num_reorder_frames: Option<u32>,
    /// `max_dec_frame_buffering`, where the bitstream restrictions are given.
    pub max_dec_frame_buffering: Option<u32>,
}

/// A sequence parameter set (ITU-T H.264 section 7.3.2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `seq_parameter_set_id`.
    pub id: u32,
    /// `profile_idc`.
    pub profile: u8,
    /// The byte of `constraint_set0_flag` (most significant bit) to `constraint_set5_flag`.
    pub constraint_flags: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// Chroma format and bit depths.
    pub format: SampleFormat,
    /// Width of the cropped picture in luma samples.
    pub width: u32,
    /// Height of the cropped picture (frame, not field) in luma samples.
    pub height: u32,
    /// `max_num_ref_frames`.
    pub max_num_ref_frames: u32,
    /// `frame_mbs_only_flag`: the stream has no fields and no field macroblocks.
    pub frame_mbs_only: bool,
    /// Video usability information, where present and readable.
    pub vui: Option<Vui>,
}

/// Bytes of a NAL unit without `emulation_prevention_three_byte` (ITU-T H.264 section 7.4.1.1).
pub fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Profiles whose SPS carries chroma format and bit depths (section 7.3.2.1.1).
pub(super) const HIGH_PROFILES: [u8; 13] =
    [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Pixel aspect ratios by `aspect_ratio_idc` (table E-1), from 1 on.
const ASPECT_RATIOS: [(u32, u32); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// Width and height of a pixel by `aspect_ratio_idc`, which HEVC has too; zeros for what is not
/// known.
pub(super) fn aspect_ratio(idc: u8) -> (u32, u32) {
    let row = usize::from(idc).checked_sub(1);
    row.and_then(|row| ASPECT_RATIOS.get(row))
        .copied()
        .unwrap_or((0, 0))
}

impl Sps {
    /// Reads a sequence parameter set NAL unit, header included.
    ///
    /// # Errors
    /// When it is no SPS, is cut off, or gives an impossible picture size. Damage in the VUI only
    /// loses the VUI.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        if nal_type(nal) != NAL_SPS {
            return Err(Error::invalid("not a sequence parameter set"));
        }
        let payload = without_emulation_prevention(&nal[1..]);
        parse_sps(&payload).ok_or_else(|| Error::invalid("the sequence parameter set is broken"))
    }

    /// Frames a second by the VUI, when it says that the rate is there at all.
    pub fn frame_rate(&self) -> Option<FrameRate> {
        let timing = self.vui?.timing?;
        FrameRate::new(timing.time_scale, timing.units_in_tick.checked_mul(2)?)
    }

    /// Colour of the VUI, unspecified where it says nothing.
    pub fn colour(&self) -> Colour {
        self.vui.and_then(|vui| vui.colour).unwrap_or_default()
    }

    /// Shape of a pixel by the VUI, square where it says nothing.
    pub fn pixel_aspect(&self) -> PixelAspect {
        let aspect = self.vui.and_then(|vui| vui.pixel_aspect);
        aspect.unwrap_or(PixelAspect::SQUARE)
    }
}

fn parse_sps(payload: &[u8]) -> Option<Sps> {
    let mut bits = BitReader::new(payload);
    let (profile, constraint_flags, level) = (bits.byte(8)?, bits.byte(8)?, bits.byte(8)?);
    let id = bits.ue().filter(|id| *id < 32)?;
    let (format, separate_planes) = if HIGH_PROFILES.contains(&profile) {
        parse_high_format(&mut bits)?
    } else {
        (EIGHT_BIT_420, false)
    };
    bits.ue()?; // log2_max_frame_num_minus4
    skip_picture_order(&mut bits)?;
    let max_num_ref_frames = bits.ue()?;
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let chroma_array = if separate_planes {
        0
    } else {
        format.chroma_format
    };
    let (width, height, frame_mbs_only) = parse_size(&mut bits, chroma_array)?;
    let vui = if bits.flag()? {
        parse_vui(&mut bits)
    } else {
        None
    };
    Some(Sps {
        id,
        profile,
        constraint_flags,
        level,
        format,
        width,
        height,
        max_num_ref_frames,
        frame_mbs_only,
        vui,
    })
}

const EIGHT_BIT_420: SampleFormat = SampleFormat {
    chroma_format: 1,
    bit_depth_luma: 8,
    bit_depth_chroma: 8,
};

/// Format fields of the High profiles, and whether the colour planes are coded apart.
pub(super) fn parse_high_format(bits: &mut BitReader<'_>) -> Option<(SampleFormat, bool)> {
    let chroma_format = u8::try_from(bits.ue()?).ok().filter(|idc| *idc <= 3)?;
    let separate_planes = chroma_format == 3 && bits.flag()?;
    let mut depth = || Some(8 + u8::try_from(bits.ue()?).ok().filter(|more| *more <= 6)?);
    let format = SampleFormat {
        chroma_format,
        bit_depth_luma: depth()?,
        bit_depth_chroma: depth()?,
    };
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        let lists = if chroma_format == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some((format, separate_planes))
}

/// Section 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()?.checked_rem(256)? + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// `pic_order_cnt_type` and what belongs to it.
fn skip_picture_order(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.flag()?;
            bits.se()?;
            bits.se()?;
            let count = bits.ue().filter(|count| *count < 256)?;
            for _ in 0..count {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(())
}

/// Cropped width and height, and `frame_mbs_only_flag`. Sides over 65,535 are taken as damage.
fn parse_size(bits: &mut BitReader<'_>, chroma_array: u8) -> Option<(u32, u32, bool)> {
    let mut macroblocks = || bits.ue()?.checked_add(1).filter(|count| *count < 4096);
    let (across, down) = (macroblocks()?, macroblocks()?);
    let frame_mbs_only = bits.flag()?;
    if !frame_mbs_only {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    let map_units = if frame_mbs_only { 1 } else { 2 };
    let (unit_x, unit_y) = match chroma_array {
        1 => (2, 2 * map_units),
        2 => (2, map_units),
        _ => (1, map_units),
    };
    let (mut width, mut height) = (across * 16, down * 16 * map_units);
    if bits.flag()? {
        let mut crop = |unit: u32| bits.ue()?.checked_add(bits.ue()?)?.checked_mul(unit);
        width = width.checked_sub(crop(unit_x)?).filter(|w| *w > 0)?;
        height = height.checked_sub(crop(unit_y)?).filter(|h| *h > 0)?;
    }
    Some((width, height, frame_mbs_only))
}

/// Section E.1.1. `None` when it is cut off.
fn parse_vui(bits: &mut BitReader<'_>) -> Option<Vui> {
    let mut vui = Vui::default();
    if bits.flag()? {
        vui.pixel_aspect = parse_aspect(bits)?;
    }
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        vui.colour = Some(parse_colour(bits)?);
    }
    if bits.flag()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?;
    }
    if bits.flag()? {
        vui.timing = Some(Timing {
            units_in_tick: bits.bits(32)?,
            time_scale: bits.bits(32)?,
            fixed: bits.flag()?,
        });
    }
    // What follows is lost, not the rest, when the set ends early.
    if let Some(restriction) = parse_restriction(bits) {
        (vui.max_num_reorder_frames, vui.max_dec_frame_buffering) = restriction;
    }
    Some(vui)
}

fn parse_aspect(bits: &mut BitReader<'_>) -> Option<Option<PixelAspect>> {
    let (horizontal, vertical) = match bits.bits(8)? {
        255 => (bits.bits(16)?, bits.bits(16)?),
        idc => aspect_ratio(u8::try_from(idc).unwrap_or(0)),
    };
    let divisor = crate::time::gcd(horizontal, vertical).max(1);
    let known = horizontal > 0 && vertical > 0;
    Some(known.then_some(PixelAspect {
        horizontal: horizontal / divisor,
        vertical: vertical / divisor,
    }))
}

fn parse_colour(bits: &mut BitReader<'_>) -> Option<Colour> {
    bits.bits(3)?; // video_format
    let mut colour = Colour {
        full_range: bits.flag()?,
        ..Colour::UNSPECIFIED
    };
    if bits.flag()? {
        colour.primaries = bits.byte(8)?;
        colour.transfer = bits.byte(8)?;
        colour.matrix = bits.byte(8)?;
    }
    Some(colour)
}

/// Skips the HRD parameters and reads the two buffer bounds of the bitstream restrictions.
fn parse_restriction(bits: &mut BitReader<'_>) -> Option<(Option<u32>, Option<u32>)> {
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        skip_hrd(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        skip_hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.flag()?; // low_delay_hrd_flag
    }
    bits.flag()?; // pic_struct_present_flag
    if !bits.flag()? {
        return Some((None, None));
    }
    bits.flag()?; // motion_vectors_over_pic_boundaries_flag
    for _ in 0..4 {
        bits.ue()?; // bytes and bits a picture or macroblock, vector lengths
    }
    let mut bound = || Some(bits.ue().filter(|frames| *frames <= 16));
    Some((bound()?, bound()?))
}

/// Section E.1.2.
fn skip_hrd(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue().filter(|count| *count < 32)?;
    bits.skip(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..=count {
        bits.ue()?;
        bits.ue()?;
        bits.flag()?;
    }
    bits.skip(20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::{flipped, hex};

    struct Known {
        sps: &'static str,
        pps: &'static str,
        codecs: &'static str,
        size: (u32, u32),
        depth: u8,
        reorder: Option<u32>,
        rate: Option<(u32, u32)>,
        colour: Colour,
    }

    /// Parameter sets of real encoders; the facts are what ffprobe says of the same
    /// streams, save the frame rate, which is what the VUI claims (the container often differs).
    fn known() -> Vec<Known> {
        let full_709 = Colour {
            full_range: true,
            ..Colour::BT709
        };
        let full = Colour {
            full_range: true,
            ..Colour::UNSPECIFIED
        };
        vec![
            Known {
                sps: "6742c0298d6805005ba420202020f08846a0",
                pps: "68ce01a835c8",
                codecs: "avc1.42C029",
                size: (1280, 720),
                depth: 8,
                reorder: Some(0),
                rate: None,
                colour: Colour::BT709,
            },
            Known {
                sps: "676e000ca6cd94346f965c0440000003004000000f03c50a6580",
                pps: "68eae3cb22c0",
                codecs: "avc1.6E000C",
                size: (200, 200),
                depth: 10,
                reorder: Some(2),
                rate: Some((30, 1)),
                colour: Colour::UNSPECIFIED,
            },
            Known {
                sps: "6764001eacd940843fe6966e020202800000030080015f90078b16cb",
                pps: "68ebe3cb22c0",
                codecs: "avc1.64001E",
                size: (518, 488),
                depth: 8,
                reorder: Some(2),
                rate: Some((90_000, 1)),
                colour: full_709,
            },
            Known {
                sps: "2764001fac1316c0f0117ef016a020202800013880003d0907030005dc00017705ef7c14",
                pps: "28ee1f2c",
                codecs: "avc1.64001F",
                size: (960, 540),
                depth: 8,
                reorder: None,
                rate: Some((25, 1)),
                colour: Colour::BT709,
            },
            Known {
                sps: "67640028acd940780227e59b20000003002000000641e30632c0",
                pps: "68ebe3cb22c0",
                codecs: "avc1.640028",
                size: (1920, 1080),
                depth: 8,
                reorder: Some(2),
                rate: Some((25, 1)),
                colour: full,
            },
            Known {
                sps: "67f4000d919b28283f6022000003000200000300781e28532c",
                pps: "68ebe3c44844",
                codecs: "avc1.F4000D",
                size: (320, 240),
                depth: 8,
                reorder: Some(2),
                rate: Some((30, 1)),
                colour: Colour::UNSPECIFIED,
            },
        ]
    }

    fn sets_of(known: &Known) -> ParameterSets {
        ParameterSets::collect([&hex(known.sps)[..], &hex(known.pps)[..]])
    }

    #[test]
    fn parameter_sets_of_real_encoders_say_what_ffprobe_says() {
        for known in known() {
            let sps = Sps::parse(&hex(known.sps)).expect("a real SPS");
            assert_eq!((sps.width, sps.height), known.size, "{}", known.codecs);
            assert_eq!(sps.format.bit_depth_luma, known.depth, "{}", known.codecs);
            assert_eq!(sps.colour(), known.colour, "{}", known.codecs);
            let reorder = sps.vui.and_then(|vui| vui.max_num_reorder_frames);
            assert_eq!(reorder, known.reorder, "{}", known.codecs);
            let rate = known.rate.and_then(|(n, d)| FrameRate::new(n, d));
            assert_eq!(sps.frame_rate(), rate, "{}", known.codecs);
            assert!(sps.frame_mbs_only);
            assert_eq!(sps.pixel_aspect(), PixelAspect::SQUARE);
        }
    }

    #[test]
    fn a_record_built_from_parameter_sets_reads_back_equal() {
        for known in known() {
            let config = AvcConfig::from_sets(sets_of(&known)).expect("both sets");
            assert_eq!(config.codecs(), known.codecs);
            let high = !known.codecs.starts_with("avc1.42");
            assert_eq!(config.format.is_some(), high);
            let bytes = config.to_bytes();
            assert_eq!(AvcConfig::parse(&bytes).expect("our own"), config);
        }
    }

    #[test]
    fn a_high_profile_record_without_its_last_fields_is_accepted() {
        let config = AvcConfig::from_sets(sets_of(&known()[4])).expect("both sets");
        let bytes = config.to_bytes();
        let short = AvcConfig::parse(&bytes[..bytes.len() - 4]).expect("a common shortcut");
        assert_eq!((short.format, &short.sets), (None, &config.sets));
        assert_eq!(short.to_bytes(), bytes[..bytes.len() - 4]);
    }

    #[test]
    fn length_size_three_is_refused() {
        let config = AvcConfig::from_sets(sets_of(&known()[0])).expect("both sets");
        let mut bytes = config.to_bytes();
        bytes[4] = 0xfe;
        let error = AvcConfig::parse(&bytes).expect_err("3 is not allowed");
        assert!(error.to_string().contains("3-byte lengths"));
    }

    #[test]
    fn annex_b_with_both_start_codes_becomes_lengths() {
        let stream = hex("0000000109f000000167aabb000001 68cc 00000001 6588000003008000 00");
        let units: Vec<_> = annex_b_units(&stream).map(nal_type).collect();
        assert_eq!(units, [NAL_DELIMITER, NAL_SPS, NAL_PPS, NAL_IDR]);
        let sample = annex_b_to_length_prefixed(&stream, is_redundant);
        assert_eq!(sample, hex("00000007 65880000030080"));
        assert!(is_idr(&sample, 4));
        check_sample(&sample, 4).expect("ours");
    }

    #[test]
    fn the_first_slice_is_found_in_a_sample_cut_off() {
        let sample = hex("00000002 09f0 00000004 06010203 00010000 4188");
        assert_eq!(first_slice_type(&sample, 4), Some(NAL_SLICE));
        assert!(!is_idr(&sample, 4));
        assert!(check_sample(&sample, 4).is_err());
    }

    #[test]
    fn field_coded_height_counts_both_fields() {
        // Main profile, 720x576, frame_mbs_only_flag 0, as broadcast encoders write it:
        // ue: sps 0, log2_frame_num 0, poc 0, log2_poc 0, refs 1, gaps 0, 44, 17, fields, mbaff 0.
        let bits = "1 1 1 1 010 0 00000101101 000010010 0 0 1 0 0 1";
        let mut payload = vec![0x67, 77, 0, 30];
        let bits: Vec<u8> = bits
            .bytes()
            .filter(|b| *b != b' ')
            .map(|b| b - b'0')
            .collect();
        for byte in bits.chunks(8) {
            payload.push(
                byte.iter()
                    .enumerate()
                    .fold(0, |v, (i, bit)| v | bit << (7 - i)),
            );
        }
        let sps = Sps::parse(&payload).expect("built by hand");
        assert_eq!(
            (sps.width, sps.height, sps.frame_mbs_only),
            (720, 576, false)
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1_usize..5) {
            let _ = AvcConfig::parse(&bytes);
            let _ = Sps::parse(&bytes);
            let _ = check_sample(&bytes, size);
            let _ = nal_units(&bytes, size).count();
            let _ = is_idr(&bytes, size);
            let sample = annex_b_to_length_prefixed(&bytes, |_| false);
            prop_assert!(check_sample(&sample, 4).is_ok());
        }

        #[test]
        fn a_flipped_bit_in_parameter_sets_never_panics(which in 0_usize..6, bit in 0_usize..300) {
            let known = &known()[which];
            let _ = Sps::parse(&flipped(hex(known.sps), bit));
            let config = AvcConfig::from_sets(sets_of(known)).expect("both sets");
            let _ = AvcConfig::parse(&flipped(config.to_bytes(), bit)).map(|c| (c.sps(), c.to_bytes()));
        }

        #[test]
        fn nal_units_survive_annex_b(nals in proptest::collection::vec(proptest::collection::vec(1_u8..=255, 1..40), 1..6)) {
            let mut stream = Vec::new();
            for nal in &nals {
                // No zero bytes in them, so no start code can arise by chance.
                stream.extend_from_slice(&[0, 0, 0, 1]);
                stream.extend_from_slice(nal);
            }
            let sample = annex_b_to_length_prefixed(&stream, |_| false);
            let back: Vec<_> = nal_units(&sample, 4).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(back, nals);
        }
    }
}
