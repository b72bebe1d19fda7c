//! How long the slice headers of H.264 are (ITU-T H.264 section 7.3.3): what stays clear of a slice
//! when the rest is encrypted, so that readers and hardware can look at it.

use super::avc::{
    AvcConfig, HIGH_PROFILES, NAL_IDR, nal_type, parse_high_format, without_emulation_prevention,
};
use super::bits::BitReader;
use crate::error::{Error, Result};

/// What the slice headers' syntax depends on, of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpsSyntax {
    id: u32,
    separate_planes: bool,
    /// `ChromaArrayType`.
    chroma_array: u8,
    frame_num_bits: u32,
    picture_order_type: u32,
    picture_order_bits: u32,
    delta_order_always_zero: bool,
    frame_mbs_only: bool,
    /// `PicSizeInMapUnits`.
    map_units: u32,
}

/// The same of a picture parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PpsSyntax {
    id: u32,
    sps: u32,
    is_cabac: bool,
    order_in_frame: bool,
    /// For `slice_group_change_cycle`, where there is one: its bits.
    group_change_bits: Option<u32>,
    default_references: [u32; 2],
    weighted_prediction: bool,
    weighted_bipred: u32,
    has_deblocking_control: bool,
    has_redundant_count: bool,
}

/// Measures the slice headers of one decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcSliceHeaders {
    sps: Vec<SpsSyntax>,
    pps: Vec<PpsSyntax>,
}

/// More bytes than any slice header has; bounds the work for a damaged one.
const LONGEST_HEADER: usize = 4096;

impl AvcSliceHeaders {
    /// For streams of the configuration `avc`. A parameter set that can't be read is left out.
    pub fn new(avc: &AvcConfig) -> Self {
        let sps: Vec<_> = avc
            .sets
            .sps
            .iter()
            .filter_map(|nal| parse_sps(nal))
            .collect();
        let pps = avc.sets.pps.iter().filter_map(|nal| parse_pps(nal, &sps));
        Self {
            pps: pps.collect(),
            sps,
        }
    }

    /// Bytes of the slice `nal` (of type 1 or 5) up to and with the last one that holds a bit of its
    /// header: NAL unit header and emulation prevention bytes counted.
    ///
    /// # Errors
    /// `Unsupported`, for a header that is cut off or names a parameter set that isn't there.
    pub fn bytes(&self, nal: &[u8]) -> Result<usize> {
        let unreadable = || {
            Error::unsupported(
                "a slice header can't be read, so that it can't be told what to encrypt; encode \
                 anew with passthrough = \"never\"",
            )
        };
        let head = &nal[..nal.len().min(LONGEST_HEADER)];
        let unescaped = without_emulation_prevention(head.get(1..).unwrap_or_default());
        let mut bits = BitReader::new(&unescaped);
        self.read(nal, &mut bits).ok_or_else(unreadable)?;
        let used_bits = unescaped.len() * 8 - bits.left();
        Ok(1 + escaped_length(&head[1..], used_bits.div_ceil(8)))
    }

    /// Section 7.3.3, up to its end.
    fn read(&self, nal: &[u8], bits: &mut BitReader<'_>) -> Option<()> {
        let (is_idr, is_reference) = (nal_type(nal) == NAL_IDR, nal.first()? & 0x60 != 0);
        bits.ue()?; // first_mb_in_slice
        let slice_type = bits.ue().filter(|kind| *kind < 10)? % 5;
        let pps_id = bits.ue()?;
        // The last of an id counts: it is the one that a decoder has.
        let pps = self.pps.iter().rfind(|pps| pps.id == pps_id)?;
        let sps = self.sps.iter().rfind(|sps| sps.id == pps.sps)?;
        if sps.separate_planes {
            bits.skip(2)?;
        }
        bits.bits(sps.frame_num_bits)?;
        let mut is_field = false;
        if !sps.frame_mbs_only {
            is_field = bits.flag()?;
            if is_field {
                bits.flag()?;
            }
        }
        if is_idr {
            bits.ue()?; // idr_pic_id
        }
        read_picture_order(bits, sps, pps, is_field)?;
        if pps.has_redundant_count {
            bits.ue()?;
        }
        let slice = Slice::of(slice_type);
        if slice == Slice::B {
            bits.flag()?; // direct_spatial_mv_pred_flag
        }
        let references = read_reference_counts(bits, slice, pps)?;
        read_modifications(bits, slice)?;
        let is_weighted = match slice {
            Slice::P => pps.weighted_prediction,
            Slice::B => pps.weighted_bipred == 1,
            Slice::I => false,
        };
        if is_weighted {
            read_weights(bits, slice, sps.chroma_array, references)?;
        }
        if is_reference {
            read_marking(bits, is_idr)?;
        }
        if pps.is_cabac && slice != Slice::I {
            bits.ue()?; // cabac_init_idc
        }
        bits.se()?; // slice_qp_delta
        // sp_for_switch_flag and slice_qs_delta of SP and SI slices.
        if slice_type == 3 {
            bits.flag()?;
        }
        if matches!(slice_type, 3 | 4) {
            bits.se()?;
        }
        if pps.has_deblocking_control && bits.ue()? != 1 {
            bits.se()?;
            bits.se()?;
        }
        if let Some(count) = pps.group_change_bits {
            bits.bits(count)?;
        }
        Some(())
    }
}

/// Slice types as far as the syntax cares: SP is as P, SI as I.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slice {
    P,
    B,
    I,
}

impl Slice {
    fn of(slice_type: u32) -> Self {
        match slice_type {
            0 | 3 => Self::P,
            1 => Self::B,
            _ => Self::I,
        }
    }
}

fn read_picture_order(
    bits: &mut BitReader<'_>,
    sps: &SpsSyntax,
    pps: &PpsSyntax,
    is_field: bool,
) -> Option<()> {
    let has_bottom = pps.order_in_frame && !is_field;
    match sps.picture_order_type {
        0 => {
            bits.bits(sps.picture_order_bits)?;
            if has_bottom {
                bits.se()?;
            }
        }
        1 if !sps.delta_order_always_zero => {
            bits.se()?;
            if has_bottom {
                bits.se()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// Active reference pictures of both lists, at most 32 each.
fn read_reference_counts(
    bits: &mut BitReader<'_>,
    slice: Slice,
    pps: &PpsSyntax,
) -> Option<[u32; 2]> {
    let mut counts = pps.default_references;
    if slice == Slice::I {
        return Some([0, 0]);
    }
    if bits.flag()? {
        counts[0] = bits.ue()?.checked_add(1)?;
        if slice == Slice::B {
            counts[1] = bits.ue()?.checked_add(1)?;
        }
    }
    if slice == Slice::P {
        counts[1] = 0;
    }
    counts.iter().all(|count| *count <= 32).then_some(counts)
}

/// Section 7.3.3.1: `ref_pic_list_modification`.
fn read_modifications(bits: &mut BitReader<'_>, slice: Slice) -> Option<()> {
    let lists = match slice {
        Slice::I => 0,
        Slice::P => 1,
        Slice::B => 2,
    };
    for _ in 0..lists {
        if bits.flag()? {
            loop {
                match bits.ue()? {
                    3 => break,
                    0..=2 => bits.ue()?,
                    _ => return None,
                };
            }
        }
    }
    Some(())
}

/// Section 7.3.3.2: `pred_weight_table`.
fn read_weights(
    bits: &mut BitReader<'_>,
    slice: Slice,
    chroma_array: u8,
    references: [u32; 2],
) -> Option<()> {
    bits.ue()?;
    if chroma_array != 0 {
        bits.ue()?;
    }
    let lists = if slice == Slice::B { 2 } else { 1 };
    for count in &references[..lists] {
        for _ in 0..*count {
            if bits.flag()? {
                bits.se()?;
                bits.se()?;
            }
            if chroma_array != 0 && bits.flag()? {
                for _ in 0..4 {
                    bits.se()?;
                }
            }
        }
    }
    Some(())
}

/// Section 7.3.3.3: `dec_ref_pic_marking`.
fn read_marking(bits: &mut BitReader<'_>, is_idr: bool) -> Option<()> {
    if is_idr {
        return bits.skip(2);
    }
    if !bits.flag()? {
        return Some(());
    }
    loop {
        match bits.ue()? {
            0 => return Some(()),
            3 => {
                bits.ue()?;
                bits.ue()?;
            }
            1 | 2 | 4 | 6 => {
                bits.ue()?;
            }
            5 => {}
            _ => return None,
        }
    }
}

/// Bytes of `escaped` that `count` bytes without emulation prevention take.
fn escaped_length(escaped: &[u8], count: usize) -> usize {
    let (mut zeros, mut left) = (0, count);
    for (at, &byte) in escaped.iter().enumerate() {
        if left == 0 {
            return at;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        left -= 1;
    }
    escaped.len()
}

/// Section 7.3.2.1.1, up to the picture's size.
fn parse_sps(nal: &[u8]) -> Option<SpsSyntax> {
    let payload = without_emulation_prevention(nal.get(1..)?);
    let mut bits = BitReader::new(&payload);
    let profile = bits.byte(8)?;
    bits.skip(16)?;
    let id = bits.ue()?;
    let (chroma_format, separate_planes) = match HIGH_PROFILES.contains(&profile) {
        true => {
            let (format, separate) = parse_high_format(&mut bits)?;
            (format.chroma_format, separate)
        }
        false => (1, false),
    };
    let frame_num_bits = 4 + bits.ue().filter(|more| *more <= 12)?;
    let picture_order_type = bits.ue()?;
    let (mut picture_order_bits, mut delta_order_always_zero) = (0, false);
    match picture_order_type {
        0 => picture_order_bits = 4 + bits.ue().filter(|more| *more <= 12)?,
        1 => {
            delta_order_always_zero = bits.flag()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue().filter(|count| *count < 256)? {
                bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    bits.ue()?; // max_num_ref_frames
    bits.flag()?;
    let mut side = || bits.ue()?.checked_add(1).filter(|units| *units <= 4096);
    let map_units = side()? * side()?;
    Some(SpsSyntax {
        id,
        separate_planes,
        chroma_array: if separate_planes { 0 } else { chroma_format },
        frame_num_bits,
        picture_order_type,
        picture_order_bits,
        delta_order_always_zero,
        frame_mbs_only: bits.flag()?,
        map_units,
    })
}

/// Section 7.3.2.2, as far as slice headers need it.
fn parse_pps(nal: &[u8], all_sps: &[SpsSyntax]) -> Option<PpsSyntax> {
    let payload = without_emulation_prevention(nal.get(1..)?);
    let mut bits = BitReader::new(&payload);
    let (id, sps) = (bits.ue()?, bits.ue()?);
    let (is_cabac, order_in_frame) = (bits.flag()?, bits.flag()?);
    let groups = bits.ue()?.checked_add(1).filter(|groups| *groups <= 8)?;
    let map_units = all_sps.iter().rfind(|known| known.id == sps)?.map_units;
    let group_change_bits = match groups {
        1 => None,
        _ => skip_slice_groups(&mut bits, groups, map_units)?,
    };
    let mut references = || bits.ue()?.checked_add(1).filter(|count| *count <= 32);
    let default_references = [references()?, references()?];
    let weighted_prediction = bits.flag()?;
    let weighted_bipred = bits.bits(2)?;
    for _ in 0..3 {
        bits.se()?;
    }
    let has_deblocking_control = bits.flag()?;
    bits.flag()?;
    Some(PpsSyntax {
        id,
        sps,
        is_cabac,
        order_in_frame,
        group_change_bits,
        default_references,
        weighted_prediction,
        weighted_bipred,
        has_deblocking_control,
        has_redundant_count: bits.flag()?,
    })
}

/// The slice groups of the Baseline and Extended profiles; gives the length of
/// `slice_group_change_cycle` (section 7.4.3), where slice headers have one.
fn skip_slice_groups(bits: &mut BitReader<'_>, groups: u32, map_units: u32) -> Option<Option<u32>> {
    match bits.ue()? {
        0 => {
            for _ in 0..groups {
                bits.ue()?;
            }
            Some(None)
        }
        1 => Some(None),
        2 => {
            for _ in 1..groups {
                bits.ue()?;
                bits.ue()?;
            }
            Some(None)
        }
        3..=5 => {
            bits.flag()?;
            let rate = bits.ue()?.checked_add(1)?;
            let cycles = map_units.div_ceil(rate).checked_add(1)?;
            Some(Some(u32::BITS - (cycles - 1).leading_zeros()))
        }
        6 => {
            let count = bits.ue()?.checked_add(1)?;
            let each = u32::BITS - (groups - 1).leading_zeros();
            bits.skip(usize::try_from(count.checked_mul(each)?).ok()?)?;
            Some(None)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::avc::ParameterSets;
    use crate::codec::test_support::{flipped, hex};

    /// Parameter sets of x264, the starts of slices, and where their headers end as FFmpeg's
    /// `trace_headers` has it.
    struct Known {
        sps: &'static str,
        pps: &'static str,
        slices: &'static [(&'static str, usize)],
    }

    const KNOWN: &[Known] = &[
        // the High profile with weights, B pictures and four slices a picture
        Known {
            sps: "6764000cacd9c1419f9f011000000300100000030320f14299e0",
            pps: "68e9b8f2c8b0",
            slices: &[
                ("658884002bfffef6737c0a6b6db0", 6),
                ("6507a221000afffef6737c0a6b6db0", 7),
                ("419a216e1201fe433f8b130ea0f22cfab3", 9),
                ("4107a6885b84807f90bf8d0c4e49b6a410b6", 10),
                ("4103c9a216e1201fe42fff8d0c4e49b6a410b6", 11),
                (
                    "419a4449e1084321701040659007f90020301040670213ff7b290722de424aa8",
                    24,
                ),
                (
                    "4107a69112784210c85c0410196401fe40080c041019c0857f8e21b0f7dd5d0d3f",
                    25,
                ),
                (
                    "41016a69112784210c85c0410196401fe40080c041019c0857ff8e21b0f7dd5d0d3f",
                    26,
                ),
                ("419e626a3f3811357d69994115", 5),
            ],
        },
        // CAVLC with temporal direct prediction
        Known {
            sps: "6764000cacd941419f9f011000000300100000030320f1429960",
            pps: "68cbe3cb22c0",
            slices: &[
                ("6588840033c98a0002c2f2727272", 6),
                ("650288884002bc98a00029ef272727", 7),
                ("419a226e1201fe05ff8d4387b4cd384dde", 9),
                ("410289a226e1201fe057f8531403e2807c500f", 11),
                ("019e4139e2282a8ef5477aa3b2", 5),
                ("010289e413815e22a8ef54770ff3a6", 7),
                ("0101427904e05788aa3bd51dea8ec255", 8),
                (
                    "419a4449e1084321cd01e41d81d806c81d806cc07907c009ff8dc2f5f6d4a75667",
                    25,
                ),
                (
                    "410289a4449e1084321cd01e41d81d806c81d806cc07907c00bf7bd09c500e27f342",
                    26,
                ),
            ],
        },
        // fields
        Known {
            sps: "67640015acd941433f260220000003002000000643e28532c0",
            pps: "68fba3cb22c0",
            slices: &[
                ("6588820b033ff6f6ecbe053614ab", 6),
                ("419a215e433f74a8662097ade639", 6),
                ("019e40df97ff33a01903919a5fb8", 6),
                ("419e82dc5113c9ff6bccbf9902601d06", 8),
                ("419ae65b4b64a262ff50f8ea60e6a5160f", 9),
                ("419b69dbd2913f4524ca5645c1937a", 7),
                ("019fa95ea421ffbd8ef8017df1a221", 7),
                ("419a21de570659b092b1378509", 5),
            ],
        },
        // one picture order type after the other
        Known {
            sps: "67640015acb202863e4c0440000003004000000c83c58b92",
            pps: "68ebc3cb22c0",
            slices: &[
                ("658882057ffef6737c0a6b6db0", 5),
                ("419a2dc2403fc8ff75cc80d3b1c7a0d0", 8),
                (
                    "419a493c21086431a022813c0fc03e4040004060228148108f74de4343589751cb",
                    25,
                ),
                (
                    "419a697c2108790a782e1b0164065016006182e1e011ff6d4149fb944d79a0",
                    23,
                ),
                (
                    "419a897c2108790e780a6170154055015405580a61a011bf67ad5f463c60f974",
                    24,
                ),
                (
                    "419ac97c2108790a68263c09c0e40980c609848045ff677fdb9d35408ea2",
                    22,
                ),
                (
                    "419b297c210879084848b0902109021848e0113f5f0f5cb4d5282734",
                    20,
                ),
                (
                    "419b897c2108790c68119c08c1902306604628044f694bf0ff7f7d3e0c",
                    21,
                ),
                ("419b293c21e4ca607f0e471980a8ea2e14", 9),
            ],
        },
    ];

    fn headers(known: &Known) -> AvcSliceHeaders {
        let sets = ParameterSets {
            sps: vec![hex(known.sps)],
            pps: vec![hex(known.pps)],
            sps_extensions: Vec::new(),
        };
        AvcSliceHeaders::new(&AvcConfig::from_sets(sets).unwrap())
    }

    #[test]
    fn headers_end_where_another_reader_sees_their_end() {
        for known in KNOWN {
            let headers = headers(known);
            for (slice, end) in known.slices {
                assert_eq!(headers.bytes(&hex(slice)).unwrap(), *end, "{slice}");
            }
        }
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        for known in KNOWN {
            let headers = headers(known);
            for (slice, end) in known.slices {
                for cut in 0..end - 1 {
                    assert!(headers.bytes(&hex(slice)[..cut]).is_err(), "{slice} {cut}");
                }
            }
        }
    }

    #[test]
    fn bytes_that_hide_start_codes_are_counted() {
        let escaped = [1, 0, 0, 3, 0, 0, 3, 0, 9];
        let lengths = [(0, 0), (3, 3), (4, 5), (5, 6), (6, 8), (7, 9)];
        for (count, length) in lengths {
            assert_eq!(escaped_length(&escaped, count), length, "{count}");
        }
    }

    proptest! {
        #[test]
        fn damage_is_survived(
            which in 0..KNOWN.len(),
            parameter_set in any::<bool>(),
            bits in prop::collection::vec(0_usize..400, 1..4),
        ) {
            let known = &KNOWN[which];
            let damaged = |bytes: Vec<u8>| bits.iter().fold(bytes, |bytes, bit| flipped(bytes, *bit));
            let sets = |sps: Vec<u8>, pps: Vec<u8>| {
                let sps: Vec<_> = parse_sps(&sps).into_iter().collect();
                let pps = parse_pps(&pps, &sps).into_iter().collect();
                AvcSliceHeaders { sps, pps }
            };
            let (sps, pps) = (hex(known.sps), hex(known.pps));
            let headers = match parameter_set {
                true => sets(damaged(sps), damaged(pps)),
                false => sets(sps, pps),
            };
            for (slice, _) in known.slices {
                let slice = damaged(hex(slice));
                if let Ok(bytes) = headers.bytes(&slice) {
                    prop_assert!(bytes <= slice.len());
                }
            }
        }
    }
}
