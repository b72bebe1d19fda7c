//! The sequence header of AV1 (AV1 Bitstream and Decoding Process Specification, section 5.5).

use crate::codec::BitReader;
use crate::error::{Error, Result};
use crate::media::Colour;

/// A sequence header, as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceHeader {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx[0]`.
    pub level: u8,
    /// `seq_tier[0]`: High tier.
    pub high_tier: bool,
    /// Most width of a picture.
    pub max_width: u32,
    /// Most height of a picture.
    pub max_height: u32,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `mono_chrome`.
    pub monochrome: bool,
    /// `subsampling_x` and `subsampling_y`.
    pub subsampling: [bool; 2],
    /// `chroma_sample_position`: 0 unknown, 1 vertical, 2 with the luma sample.
    pub chroma_position: u8,
    /// Colour description; the parts that are not given are 2 (unspecified).
    pub colour: Colour,
}

impl SequenceHeader {
    /// Reads the payload of a sequence header OBU.
    ///
    /// # Errors
    /// When it is cut off or says what the specification rules out.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        parse(payload).ok_or_else(|| Error::invalid("the AV1 sequence header is broken"))
    }
}

fn parse(payload: &[u8]) -> Option<SequenceHeader> {
    let mut bits = BitReader::new(payload);
    let profile = bits.byte(3).filter(|profile| *profile <= 2)?;
    bits.skip(1)?; // still_picture
    let reduced = bits.flag()?;
    let (level, high_tier) = match reduced {
        true => (bits.byte(5)?, false),
        false => operating_points(&mut bits)?,
    };
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let (max_width, max_height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
    skip_tools(&mut bits, reduced)?;
    let header = SequenceHeader {
        profile,
        level,
        high_tier,
        max_width,
        max_height,
        bit_depth: 8,
        monochrome: false,
        subsampling: [true; 2],
        chroma_position: 0,
        colour: Colour::UNSPECIFIED,
    };
    colour_config(&mut bits, header)
}

/// From `timing_info_present_flag` to the last operating point: level and tier of the first.
fn operating_points(bits: &mut BitReader<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?; // num_units_in_display_tick, time_scale
        if bits.flag()? {
            bits.ue()?; // num_ticks_per_picture_minus_1: uvlc() is ue(v)
        }
        if bits.flag()? {
            delay_bits = Some(usize::from(bits.byte(5)?) + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let with_display_delay = bits.flag()?;
    let count = bits.byte(5)? + 1;
    let mut first = None;
    for _ in 0..count {
        bits.skip(12)?; // operating_point_idc
        let level = bits.byte(5)?;
        let high_tier = level > 7 && bits.flag()?;
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(delay_bits * 2 + 1)?;
        }
        if with_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
        first.get_or_insert((level, high_tier));
    }
    first
}

/// From `frame_id_numbers_present_flag` to `enable_restoration`.
fn skip_tools(bits: &mut BitReader<'_>, reduced: bool) -> Option<()> {
    if !reduced && bits.flag()? {
        bits.skip(4 + 3)?;
    }
    bits.skip(3)?; // superblocks of 128, filter_intra, intra_edge_filter
    if !reduced {
        bits.skip(4)?; // interintra, masked, warped motion, dual filter
        let order_hint = bits.flag()?;
        if order_hint {
            bits.skip(2)?; // jnt_comp, ref_frame_mvs
        }
        // Each frame may choose, or the sequence says; where they may be used, the same for whole
        // motion vectors.
        let screen_content = bits.flag()? || bits.flag()?;
        if screen_content && !bits.flag()? {
            bits.skip(1)?;
        }
        if order_hint {
            bits.skip(3)?;
        }
    }
    bits.skip(3)?; // superres, cdef, restoration
    Some(())
}

/// `color_config()` (5.5.2).
fn colour_config(bits: &mut BitReader<'_>, header: SequenceHeader) -> Option<SequenceHeader> {
    let deep = bits.flag()?;
    let bit_depth = match (deep, header.profile) {
        (true, 2) => {
            if bits.flag()? {
                12
            } else {
                10
            }
        }
        (true, _) => 10,
        (false, _) => 8,
    };
    let monochrome = header.profile != 1 && bits.flag()?;
    let mut colour = Colour::UNSPECIFIED;
    if bits.flag()? {
        colour.primaries = bits.byte(8)?;
        colour.transfer = bits.byte(8)?;
        colour.matrix = bits.byte(8)?;
    }
    let is_srgb = (colour.primaries, colour.transfer, colour.matrix) == (1, 13, 0);
    let mut subsampling = [false; 2];
    let mut chroma_position = 0;
    if !monochrome && is_srgb {
        colour.full_range = true;
    } else {
        colour.full_range = bits.flag()?;
        subsampling = match (header.profile, bit_depth) {
            _ if monochrome => [true; 2],
            (0, _) => [true; 2],
            (1, _) => [false; 2],
            (_, 12) => {
                let x = bits.flag()?;
                [x, x && bits.flag()?]
            }
            _ => [true, false],
        };
        if !monochrome && subsampling == [true; 2] {
            chroma_position = bits.byte(2)?;
        }
    }
    Some(SequenceHeader {
        bit_depth,
        monochrome,
        subsampling,
        chroma_position,
        colour,
        ..header
    })
}
