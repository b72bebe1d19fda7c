//! Closed captions in video: the `cc_data` of ATSC A/53 part 4 (CTA-708, section 4.4) in
//! supplemental enhancement information of H.264 and HEVC, and in user data of MPEG-2.
//!
//! Pictures aren't touched. Captions stand in front of the picture they come with, so that the first
//! bytes of a sample tell whether there are any.

use super::avc::{NAL_SEI, nal_type};

/// `payloadType` of user data registered by ITU-T T.35 (H.264 section D.1.6).
const REGISTERED_USER_DATA: u32 = 4;
/// What registered user data of ATSC begins with: country, provider, identifier, type `cc_data`.
const ATSC_CAPTIONS: &[u8] = &[0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03];
/// The same in MPEG-2, where nobody registers.
const MPEG2_CAPTIONS: &[u8] = b"GA94\x03";
/// NAL unit types of HEVC: the first that is no picture, and SEI before and after one.
const HEVC_FIRST_NON_PICTURE: u8 = 32;
const HEVC_SEI: [u8; 2] = [39, 40];
/// Start code of MPEG-2 user data, and the first and last of slices.
const MPEG2_USER_DATA: u8 = 0xb2;
const MPEG2_SLICES: std::ops::RangeInclusive<u8> = 0x01..=0xaf;

/// One construct of `cc_data`: what kind it is, and two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptionPair {
    /// 0 and 1: CTA-608 of field 1 and 2. 2 and 3: a CTA-708 packet goes on, or starts.
    pub kind: u8,
    /// The bytes, with their parity bits where it is CTA-608.
    pub bytes: [u8; 2],
}

/// How the samples of a video track are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// H.264 with lengths of so many bytes in front of NAL units.
    AvcLengths(usize),
    /// H.264 with start codes.
    AvcStartCodes,
    /// HEVC, likewise.
    HevcLengths(usize),
    /// HEVC with start codes.
    HevcStartCodes,
    /// MPEG-1 and MPEG-2.
    Mpeg2,
}

impl Framing {
    /// Of a track of that codec (FFmpeg's name) and configuration; `None` for codecs in which no
    /// captions are looked for.
    pub fn of(codec: &str, config: &[u8]) -> Option<Self> {
        let lengths = |at: usize| {
            let is_record = config.first() == Some(&1);
            let size = config.get(at).filter(|_| is_record)?;
            Some(usize::from(size & 3) + 1)
        };
        match codec {
            "h264" => Some(lengths(4).map_or(Self::AvcStartCodes, Self::AvcLengths)),
            "hevc" => Some(lengths(21).map_or(Self::HevcStartCodes, Self::HevcLengths)),
            "mpeg1video" | "mpeg2video" => Some(Self::Mpeg2),
            _ => None,
        }
    }

    fn is_hevc(self) -> bool {
        matches!(self, Self::HevcLengths(_) | Self::HevcStartCodes)
    }

    fn units(self, sample: &[u8]) -> Vec<Unit<'_>> {
        match self {
            Self::AvcLengths(size) | Self::HevcLengths(size) => by_lengths(sample, size),
            Self::AvcStartCodes | Self::HevcStartCodes | Self::Mpeg2 => by_start_codes(sample),
        }
    }

    fn role(self, unit: &[u8]) -> Role {
        let Some(first) = unit.first() else {
            return Role::Other;
        };
        match self {
            Self::Mpeg2 if *first == MPEG2_USER_DATA => Role::Captions,
            Self::Mpeg2 if MPEG2_SLICES.contains(first) => Role::Picture,
            Self::Mpeg2 => Role::Other,
            _ if self.is_hevc() => match (first >> 1) & 0x3f {
                kind if HEVC_SEI.contains(&kind) => Role::Captions,
                kind if kind < HEVC_FIRST_NON_PICTURE => Role::Picture,
                _ => Role::Other,
            },
            _ => match nal_type(unit) {
                NAL_SEI => Role::Captions,
                1..=5 => Role::Picture,
                _ => Role::Other,
            },
        }
    }
}

/// What a unit of a sample is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Where captions may be.
    Captions,
    Picture,
    Other,
}

/// A unit, and whether all of it is there.
struct Unit<'a> {
    bytes: &'a [u8],
    whole: bool,
}

fn by_lengths(mut rest: &[u8], size: usize) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    while let Some((prefix, after)) = rest.split_at_checked(size) {
        let length = prefix.iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (bytes, next) = after.split_at(length.min(after.len()));
        let whole = bytes.len() == length;
        units.push(Unit { bytes, whole });
        rest = next;
    }
    units
}

/// The last unit counts as cut off, because only a start code ends one.
fn by_start_codes(sample: &[u8]) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut rest = after_start_code(sample);
    while let Some(start) = rest {
        let next = after_start_code(start);
        let end = next.map_or(start.len(), |next| start.len() - next.len() - 3);
        units.push(Unit {
            bytes: start.get(..end).unwrap_or_default(),
            whole: next.is_some(),
        });
        rest = next;
    }
    units
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(3).position(|three| three == [0, 0, 1])?;
    bytes.get(at + 3..)
}

/// What the first bytes of a sample tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Captions begin in front of the picture.
    Captions,
    /// The picture begins, and no captions came before.
    Nothing,
    /// More bytes are needed to tell.
    CutOff,
}

/// Whether captions stand in front of the picture, by the first bytes of a sample.
pub fn look(framing: Framing, head: &[u8]) -> Head {
    for unit in framing.units(head) {
        match framing.role(unit.bytes) {
            Role::Picture => return Head::Nothing,
            Role::Captions if !captions_of(framing, unit.bytes).is_empty() => {
                return Head::Captions;
            }
            _ if !unit.whole => return Head::CutOff,
            _ => {}
        }
    }
    Head::CutOff
}

/// All captions of a whole sample, in order.
pub fn captions(framing: Framing, sample: &[u8]) -> Vec<CaptionPair> {
    let units = framing.units(sample);
    let with = units
        .iter()
        .filter(|unit| framing.role(unit.bytes) == Role::Captions);
    with.flat_map(|unit| captions_of(framing, unit.bytes))
        .collect()
}

fn captions_of(framing: Framing, unit: &[u8]) -> Vec<CaptionPair> {
    if framing == Framing::Mpeg2 {
        let data = unit
            .get(1..)
            .and_then(|data| data.strip_prefix(MPEG2_CAPTIONS));
        return data.map(cc_data).unwrap_or_default();
    }
    let header = if framing.is_hevc() { 2 } else { 1 };
    let payload = unescaped(unit.get(header..).unwrap_or_default());
    let messages = messages(&payload);
    messages
        .iter()
        .filter_map(|message| message.captions(&payload))
        .flat_map(cc_data)
        .collect()
}

/// `cc_data` (CTA-708 section 4.4): a count, a byte that is reserved, and three bytes for each pair.
fn cc_data(data: &[u8]) -> Vec<CaptionPair> {
    let Some((flags, rest)) = data.split_first() else {
        return Vec::new();
    };
    // process_cc_data_flag
    if flags & 0x40 == 0 {
        return Vec::new();
    }
    let count = usize::from(flags & 0x1f);
    let pairs = rest
        .get(1..)
        .unwrap_or_default()
        .chunks_exact(3)
        .take(count);
    let valid = pairs.filter(|pair| pair.first().is_some_and(|flags| flags & 4 != 0));
    let pair = |pair: &[u8]| match pair {
        [flags, first, second] => Some(CaptionPair {
            kind: flags & 3,
            bytes: [*first, *second],
        }),
        _ => None,
    };
    valid.filter_map(pair).collect()
}

/// A message of SEI: where it lies in the payload of its NAL unit, header included.
#[derive(Debug, Clone, Copy)]
struct Message {
    kind: u32,
    start: usize,
    body: usize,
    end: usize,
}

impl Message {
    /// The `cc_data` in it.
    fn captions(self, payload: &[u8]) -> Option<&[u8]> {
        let body = payload.get(self.body..self.end)?;
        let captions = body.strip_prefix(ATSC_CAPTIONS);
        captions.filter(|_| self.kind == REGISTERED_USER_DATA)
    }
}

/// The messages of an SEI payload (H.264 section 7.3.2.3.1), as far as they are whole.
fn messages(payload: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut at = 0;
    // What is left at the end is the stop bit.
    while payload.len().saturating_sub(at) > 2 {
        let start = at;
        let (Some(kind), Some(size)) = (number(payload, &mut at), number(payload, &mut at)) else {
            break;
        };
        let end = at.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        if end > payload.len() {
            break;
        }
        messages.push(Message {
            kind,
            start,
            body: at,
            end,
        });
        at = end;
    }
    messages
}

/// A number in bytes of 255 and one that is less.
fn number(payload: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = 0_u32;
    loop {
        let byte = *payload.get(*at)?;
        *at += 1;
        value = value.checked_add(u32::from(byte))?;
        if byte < 255 {
            return Some(value);
        }
    }
}

/// Without the bytes that keep start codes out (H.264 section 7.4.1).
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for byte in bytes {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let mut zeros = 0;
    for byte in bytes {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// A sample of H.264 without its captions; `None` where it has none. Other messages stay.
pub fn without_captions(sample: &[u8], length_size: usize) -> Option<Vec<u8>> {
    let framing = Framing::AvcLengths(length_size);
    let units = framing.units(sample);
    let has_captions = |unit: &Unit<'_>| {
        framing.role(unit.bytes) == Role::Captions && !captions_of(framing, unit.bytes).is_empty()
    };
    if units.iter().any(|unit| !unit.whole) || !units.iter().any(has_captions) {
        return None;
    }
    let mut out = Vec::with_capacity(sample.len());
    for unit in &units {
        if !has_captions(unit) {
            push_unit(&mut out, unit.bytes, length_size);
        } else if let Some(rest) = unit_without_captions(unit.bytes) {
            push_unit(&mut out, &rest, length_size);
        }
    }
    Some(out)
}

fn push_unit(out: &mut Vec<u8>, unit: &[u8], length_size: usize) {
    let length = unit.len().to_be_bytes();
    let from = length.len().saturating_sub(length_size);
    out.extend_from_slice(length.get(from..).unwrap_or_default());
    out.extend_from_slice(unit);
}

/// An SEI unit without its messages of captions; `None` when it had no others.
fn unit_without_captions(unit: &[u8]) -> Option<Vec<u8>> {
    let (header, body) = unit.split_first()?;
    let payload = unescaped(body);
    let messages = messages(&payload);
    let kept: Vec<&Message> = messages
        .iter()
        .filter(|message| message.captions(&payload).is_none())
        .collect();
    if kept.is_empty() {
        return None;
    }
    let mut rest = Vec::with_capacity(payload.len());
    for message in kept {
        rest.extend_from_slice(payload.get(message.start..message.end)?);
    }
    // rbsp_trailing_bits
    rest.push(0x80);
    let mut unit = vec![*header];
    unit.extend(escaped(&rest));
    Some(unit)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An SEI unit of H.264 with captions.
    pub(crate) fn sei(pairs: &[CaptionPair]) -> Vec<u8> {
        let mut body = ATSC_CAPTIONS.to_vec();
        body.push(0x40 | u8::try_from(pairs.len()).expect("few"));
        body.push(0xff);
        for pair in pairs {
            body.extend([0xfc | pair.kind, pair.bytes[0], pair.bytes[1]]);
        }
        body.push(0xff);
        let mut payload = vec![4, u8::try_from(body.len()).expect("short")];
        payload.extend(body);
        payload.push(0x80);
        [vec![NAL_SEI], escaped(&payload)].concat()
    }

    fn lengths(units: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        units.iter().for_each(|unit| push_unit(&mut out, unit, 4));
        out
    }

    fn start_codes(units: &[&[u8]]) -> Vec<u8> {
        let each = units.iter().map(|unit| [&[0, 0, 0, 1], *unit].concat());
        each.collect::<Vec<_>>().concat()
    }

    const PAIRS: [CaptionPair; 2] = [
        CaptionPair {
            kind: 0,
            bytes: [0x94, 0x20],
        },
        CaptionPair {
            kind: 1,
            bytes: [0x80, 0x80],
        },
    ];
    const SLICE: &[u8] = &[0x65, 1, 2, 3, 0, 0, 3, 1];
    const OTHER: &[u8] = &[6, 1, 2, 0, 0, 3, 0, 0x80];

    #[test]
    fn captions_are_found_in_front_of_the_picture_and_only_there() {
        let sei = sei(&PAIRS);
        let sample = lengths(&[&[9, 0xf0], &sei, SLICE]);
        let framing = Framing::AvcLengths(4);
        assert_eq!(look(framing, &sample), Head::Captions);
        assert_eq!(captions(framing, &sample), PAIRS);
        assert_eq!(look(framing, &sample[..20]), Head::CutOff);
        assert_eq!(look(framing, &lengths(&[OTHER, SLICE])), Head::Nothing);
        let stream = start_codes(&[&[9, 0xf0], &sei, SLICE]);
        assert_eq!(look(Framing::AvcStartCodes, &stream), Head::Captions);
        assert_eq!(captions(Framing::AvcStartCodes, &stream), PAIRS);
    }

    #[test]
    fn user_data_of_mpeg2_and_sei_of_hevc_are_read() {
        let mut user = vec![MPEG2_USER_DATA];
        user.extend(b"GA94\x03\x42\xff\xfc\x94\x20\xfd\x80\x80\xff");
        let stream = start_codes(&[&[0, 1, 2], &user, &[1, 9, 9]]);
        assert_eq!(captions(Framing::Mpeg2, &stream), PAIRS);
        assert_eq!(look(Framing::Mpeg2, &stream), Head::Captions);
        let hevc = [&[39 << 1, 1], &sei(&PAIRS)[1..]].concat();
        let sample = lengths(&[&hevc, &[19 << 1, 1, 7]]);
        assert_eq!(captions(Framing::HevcLengths(4), &sample), PAIRS);
    }

    #[test]
    fn taking_captions_away_leaves_everything_else() {
        let sei = sei(&PAIRS);
        let sample = lengths(&[&[9, 0xf0], OTHER, &sei, SLICE]);
        let stripped = without_captions(&sample, 4).expect("had captions");
        assert_eq!(stripped, lengths(&[&[9, 0xf0], OTHER, SLICE]));
        assert_eq!(without_captions(&stripped, 4), None);
        // Two messages in one unit.
        let mut both = vec![6, 1, 1, 7];
        both.extend(&sei[1..]);
        let stripped = without_captions(&lengths(&[&both, SLICE]), 4).expect("had captions");
        assert_eq!(stripped, lengths(&[&[6, 1, 1, 7, 0x80], SLICE]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80), size in 1_usize..5) {
            for framing in [Framing::AvcLengths(size), Framing::AvcStartCodes, Framing::HevcLengths(size), Framing::Mpeg2] {
                let _ = look(framing, &bytes);
                let _ = captions(framing, &bytes);
            }
            let _ = without_captions(&bytes, size);
        }

        #[test]
        fn escaping_is_undone(bytes in prop::collection::vec(0_u8..5, 0..40)) {
            prop_assert_eq!(unescaped(&escaped(&bytes)), bytes);
        }
    }
}
