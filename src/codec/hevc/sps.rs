//! The sequence parameter set of HEVC (Rec. ITU-T H.265, section 7.3.2.2), as far as it is used.

use super::nal::{self, nal_type};
use crate::codec::BitReader;
use crate::codec::avc::without_emulation_prevention;
use crate::error::{Error, Result};
use crate::media::{Colour, PixelAspect};

/// What a decoder must be able to do: the 96 bits of `profile_tier_level()` that a record repeats.
pub(super) const GENERAL_LEN: usize = 12;

/// A sequence parameter set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `general_profile_space` to `general_level_idc`, as they stand there.
    pub general: [u8; GENERAL_LEN],
    /// `sps_max_sub_layers_minus1` plus one.
    pub temporal_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_nested: bool,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample.
    pub bit_depth_chroma: u8,
    /// Width of the cropped picture in luma samples.
    pub width: u32,
    /// Height of the cropped picture in luma samples.
    pub height: u32,
    /// `sps_max_num_reorder_pics` of all layers together.
    pub max_num_reorder: u32,
    /// `general_progressive_source_flag` without `general_interlaced_source_flag`, or neither.
    pub progressive: bool,
    /// Video usability information, where present and readable.
    pub vui: Option<Vui>,
}

/// Video usability information (section E.2.1), as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vui {
    /// `sar_width` to `sar_height`; `None` when unspecified.
    pub pixel_aspect: Option<PixelAspect>,
    /// Colour description; the parts that are not given are 2 (unspecified).
    pub colour: Option<Colour>,
    /// `field_seq_flag`: pictures are fields.
    pub fields: bool,
}

impl Sps {
    /// Reads a sequence parameter set NAL unit, header included.
    ///
    /// # Errors
    /// When it is no SPS, is cut off, or gives an impossible picture size. Damage in the VUI only
    /// loses the VUI.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        if nal_type(nal) != nal::SPS {
            return Err(Error::invalid("not a sequence parameter set of HEVC"));
        }
        let payload = without_emulation_prevention(nal.get(2..).unwrap_or_default());
        parse(&payload)
            .ok_or_else(|| Error::invalid("the sequence parameter set of HEVC is broken"))
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

fn parse(payload: &[u8]) -> Option<Sps> {
    let mut bits = BitReader::new(payload);
    bits.skip(4)?; // sps_video_parameter_set_id
    let layers = bits.byte(3)?;
    let temporal_nested = bits.flag()?;
    let general: [u8; GENERAL_LEN] = payload.get(1..)?.first_chunk().copied()?;
    skip_profile_tier_level(&mut bits, layers)?;
    bits.ue()?; // sps_seq_parameter_set_id
    let chroma_format = u8::try_from(bits.ue()?).ok().filter(|idc| *idc <= 3)?;
    let separate_planes = chroma_format == 3 && bits.flag()?;
    let (width, height) = size(&mut bits, if separate_planes { 0 } else { chroma_format })?;
    let depth = |bits: &mut BitReader<'_>| {
        let more = bits.ue().filter(|more| *more <= 8)?;
        u8::try_from(8 + more).ok()
    };
    let (bit_depth_luma, bit_depth_chroma) = (depth(&mut bits)?, depth(&mut bits)?);
    let log2_max_order = bits.ue().filter(|log2| *log2 <= 12)? + 4;
    let max_num_reorder = reordering(&mut bits, layers)?;
    let vui = vui(&mut bits, log2_max_order);
    let source_flags = general.get(5).map_or(0, |flags| flags >> 6);
    Some(Sps {
        general,
        temporal_layers: layers + 1,
        temporal_nested,
        chroma_format,
        bit_depth_luma,
        bit_depth_chroma,
        width,
        height,
        max_num_reorder,
        progressive: source_flags != 1 && !vui.is_some_and(|vui| vui.fields),
        vui,
    })
}

/// `profile_tier_level( 1, sps_max_sub_layers_minus1 )` (7.3.3).
fn skip_profile_tier_level(bits: &mut BitReader<'_>, layers: u8) -> Option<()> {
    bits.skip(GENERAL_LEN * 8)?;
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if layers > 0 {
        bits.skip(usize::from(8 - layers) * 2)?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Some(())
}

/// Size of the picture less its conformance window.
fn size(bits: &mut BitReader<'_>, chroma_format: u8) -> Option<(u32, u32)> {
    let (coded_width, coded_height) = (bits.ue()?, bits.ue()?);
    let (step_x, step_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let mut crop = [0_u32; 4];
    if bits.flag()? {
        for side in &mut crop {
            *side = bits.ue()?;
        }
    }
    let [left, right, top, bottom] = crop;
    let less = |length: u32, a: u32, b: u32, step: u32| {
        let cut = a.checked_add(b)?.checked_mul(step)?;
        length
            .checked_sub(cut)
            .filter(|left| (1..=65_535).contains(left))
    };
    Some((
        less(coded_width, left, right, step_x)?,
        less(coded_height, top, bottom, step_y)?,
    ))
}

/// `sps_max_num_reorder_pics` of the highest layer.
fn reordering(bits: &mut BitReader<'_>, layers: u8) -> Option<u32> {
    let each = bits.flag()?;
    let rows = if each { layers + 1 } else { 1 };
    let mut reorder = 0;
    for _ in 0..rows {
        bits.ue()?; // sps_max_dec_pic_buffering_minus1
        reorder = bits.ue()?;
        bits.ue()?; // sps_max_latency_increase_plus1
    }
    Some(reorder)
}

/// What is between the picture buffers and the VUI, and the VUI.
fn vui(bits: &mut BitReader<'_>, log2_max_order: u32) -> Option<Vui> {
    for _ in 0..6 {
        bits.ue()?; // sizes of blocks and depths of their trees
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // depths of PCM samples
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    skip_reference_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.ue().filter(|count| *count <= 32)? {
            bits.skip(usize::try_from(log2_max_order).ok()? + 1)?;
        }
    }
    bits.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    bits.flag()?.then(|| read_vui(bits))?
}

/// `scaling_list_data()` (7.3.4).
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4_u32 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !bits.flag()? {
                bits.ue()?;
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            for _ in 0..64.min(1_u32 << (4 + (size << 1))) {
                bits.se()?;
            }
        }
    }
    Some(())
}

/// `st_ref_pic_set( i )` for each (7.3.7): each may be told as a difference to the one before.
fn skip_reference_sets(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue().filter(|count| *count <= 64)?;
    let mut pictures = 0_u32;
    for set in 0..count {
        let predicted = set > 0 && bits.flag()?;
        pictures = if predicted {
            predicted_set(bits, pictures)?
        } else {
            plain_set(bits)?
        };
    }
    Some(())
}

fn predicted_set(bits: &mut BitReader<'_>, before: u32) -> Option<u32> {
    bits.skip(1)?; // delta_rps_sign
    bits.ue()?; // abs_delta_rps_minus1
    let mut kept = 0;
    for _ in 0..=before {
        let used = bits.flag()?;
        if used || bits.flag()? {
            kept += 1;
        }
    }
    Some(kept)
}

fn plain_set(bits: &mut BitReader<'_>) -> Option<u32> {
    let negative = bits.ue().filter(|count| *count <= 16)?;
    let positive = bits.ue().filter(|count| *count <= 16)?;
    for _ in 0..negative + positive {
        bits.ue()?;
        bits.skip(1)?;
    }
    Some(negative + positive)
}

/// The first fields of `vui_parameters()` (E.2.1).
fn read_vui(bits: &mut BitReader<'_>) -> Option<Vui> {
    let mut vui = Vui::default();
    if bits.flag()? {
        vui.pixel_aspect = pixel_aspect(bits)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(3)?; // video_format
        let mut colour = Colour {
            full_range: bits.flag()?,
            ..Colour::UNSPECIFIED
        };
        if bits.flag()? {
            colour.primaries = bits.byte(8)?;
            colour.transfer = bits.byte(8)?;
            colour.matrix = bits.byte(8)?;
        }
        vui.colour = Some(colour);
    }
    if bits.flag()? {
        bits.ue()?; // where chroma samples lie
        bits.ue()?;
    }
    bits.skip(1)?; // neutral_chroma_indication_flag
    vui.fields = bits.flag()?;
    Some(vui)
}

fn pixel_aspect(bits: &mut BitReader<'_>) -> Option<Option<PixelAspect>> {
    let pair = match bits.byte(8)? {
        255 => (bits.bits(16)?, bits.bits(16)?),
        index => crate::codec::avc::aspect_ratio(index),
    };
    let (horizontal, vertical) = pair;
    Some((horizontal > 0 && vertical > 0).then_some(PixelAspect {
        horizontal,
        vertical,
    }))
}
