//! AAC: `AudioSpecificConfig` (ISO/IEC 14496-3 section 1.6.2.1) and the `esds` descriptors that
//! carry it (ISO/IEC 14496-1 section 7.2.6, ISO/IEC 14496-14 section 5.6).

use super::BitReader;
use crate::error::{Error, Result};

/// Audio object type of AAC Low Complexity.
pub const AAC_LC: u8 = 2;
/// Audio object type of spectral band replication (HE-AAC).
pub const SBR: u8 = 5;
/// Audio object type of parametric stereo (HE-AAC v2).
pub const PARAMETRIC_STEREO: u8 = 29;

/// Sampling rates by `samplingFrequencyIndex` (table 1.18).
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// `samplingFrequencyIndex` that says that the rate follows in 24 bits.
const RATE_ESCAPE: u8 = 15;

/// How spectral band replication is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Samples a second after band replication.
    pub sample_rate: u32,
    /// Parametric stereo too: one coded channel gives two.
    pub parametric_stereo: bool,
    /// Announced in front, as the object type (explicit hierarchical signalling); else behind the
    /// core's configuration (backward compatible).
    pub hierarchical: bool,
}

/// `AudioSpecificConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Audio object type of the core coder, for example [`AAC_LC`].
    pub object_type: u8,
    /// Samples a second of the core coder.
    pub sample_rate: u32,
    /// `channelConfiguration`; 0 when a program config element says it.
    pub channel_config: u8,
    /// Coded channels; 0 when not known.
    pub channels: u16,
    /// Samples of a frame of the core coder: 1024 or 960.
    pub frame_length: u32,
    /// Band replication, where announced.
    pub extension: Option<Extension>,
}

/// Channels by `channelConfiguration` (table 1.19).
pub fn channels_of(channel_config: u8) -> Option<u16> {
    match channel_config {
        1..=6 => Some(u16::from(channel_config)),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        13 => Some(24),
        _ => None,
    }
}

/// `channelConfiguration` for a number of channels in the usual layouts.
pub fn channel_config_of(channels: u16) -> Option<u8> {
    match channels {
        1..=6 => u8::try_from(channels).ok(),
        7 => Some(11),
        8 => Some(7),
        _ => None,
    }
}

impl AudioSpecificConfig {
    /// AAC-LC at `sample_rate` samples a second.
    ///
    /// # Errors
    /// When no channel configuration stands for that many channels, or the rate is too high.
    pub fn low_complexity(sample_rate: u32, channels: u16) -> Result<Self> {
        let channel_config = channel_config_of(channels).ok_or_else(|| {
            Error::unsupported(format!("AAC has no standard layout of {channels} channels"))
        })?;
        if sample_rate == 0 || sample_rate > 96_000 {
            return Err(Error::unsupported(format!("AAC at {sample_rate} Hz")));
        }
        Ok(Self {
            object_type: AAC_LC,
            sample_rate,
            channel_config,
            channels,
            frame_length: 1024,
            extension: None,
        })
    }

    /// Reads the decoder-specific information of `esds`, or an encoder's extra data.
    ///
    /// # Errors
    /// When it is cut off or gives no sampling rate.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        parse_config(&mut BitReader::new(bytes))
            .ok_or_else(|| Error::invalid("the AudioSpecificConfig is cut off or broken"))
    }

    /// The bytes of this configuration. A program config element is not kept: a configuration
    /// read with `channel_config` 0 is to be passed on as its original bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        let hierarchical = self.extension.filter(|extension| extension.hierarchical);
        put_object_type(&mut bits, self.signalled_object_type());
        put_rate(&mut bits, self.sample_rate);
        bits.put(u32::from(self.channel_config), 4);
        if let Some(extension) = hierarchical {
            put_rate(&mut bits, extension.sample_rate);
            put_object_type(&mut bits, self.object_type);
        }
        bits.put(u32::from(self.frame_length == 960), 1);
        bits.put(0, 2); // dependsOnCoreCoder, extensionFlag
        if let Some(extension) = self.extension.filter(|extension| !extension.hierarchical) {
            bits.put(SYNC_EXTENSION, 11);
            put_object_type(&mut bits, SBR);
            bits.put(1, 1);
            put_rate(&mut bits, extension.sample_rate);
            if extension.parametric_stereo {
                bits.put(SYNC_EXTENSION_PS, 11);
                bits.put(1, 1);
            }
        }
        bits.into_bytes()
    }

    /// The object type that stands first in the bytes: 5 or 29 with hierarchical signalling.
    pub fn signalled_object_type(&self) -> u8 {
        match self.extension {
            Some(e) if e.hierarchical && e.parametric_stereo => PARAMETRIC_STEREO,
            Some(e) if e.hierarchical => SBR,
            _ => self.object_type,
        }
    }

    /// Samples a second that come out of the decoder.
    pub fn output_sample_rate(&self) -> u32 {
        self.extension
            .map_or(self.sample_rate, |extension| extension.sample_rate)
    }

    /// Channels that come out of the decoder; 0 when not known.
    pub fn output_channels(&self) -> u16 {
        match self.extension {
            Some(e) if e.parametric_stereo && self.channels == 1 => 2,
            _ => self.channels,
        }
    }

    /// The RFC 6381 name, for example `mp4a.40.2`.
    pub fn codecs(&self) -> String {
        format!("mp4a.40.{}", self.signalled_object_type())
    }
}

/// `syncExtensionType` in front of an announcement of band replication (section 1.6.6.1).
const SYNC_EXTENSION: u32 = 0x2b7;
/// `syncExtensionType` in front of an announcement of parametric stereo.
const SYNC_EXTENSION_PS: u32 = 0x548;

fn object_type(bits: &mut BitReader<'_>) -> Option<u8> {
    match bits.byte(5)? {
        31 => Some(32 + bits.byte(6)?),
        kind => Some(kind),
    }
}

fn sample_rate(bits: &mut BitReader<'_>) -> Option<u32> {
    let rate = match bits.byte(4)? {
        RATE_ESCAPE => bits.bits(24)?,
        index => *SAMPLE_RATES.get(usize::from(index))?,
    };
    (rate > 0).then_some(rate)
}

fn parse_config(bits: &mut BitReader<'_>) -> Option<AudioSpecificConfig> {
    let signalled = object_type(bits)?;
    let mut config = AudioSpecificConfig {
        object_type: signalled,
        sample_rate: sample_rate(bits)?,
        channel_config: bits.byte(4)?,
        channels: 0,
        frame_length: 1024,
        extension: None,
    };
    config.channels = channels_of(config.channel_config).unwrap_or(0);
    if matches!(signalled, SBR | PARAMETRIC_STEREO) {
        config.extension = Some(Extension {
            sample_rate: sample_rate(bits)?,
            parametric_stereo: signalled == PARAMETRIC_STEREO,
            hierarchical: true,
        });
        config.object_type = object_type(bits)?;
    }
    // What follows is of use, but a decoder can start without it.
    if has_general_audio_config(config.object_type) && parse_general(bits, &mut config).is_some() {
        parse_backward_compatible(bits, &mut config);
    }
    Some(config)
}

fn has_general_audio_config(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

/// `GASpecificConfig` (section 4.4.1), as far as the types allow without their own extensions.
fn parse_general(bits: &mut BitReader<'_>, config: &mut AudioSpecificConfig) -> Option<()> {
    config.frame_length = if bits.flag()? { 960 } else { 1024 };
    if bits.flag()? {
        bits.skip(14)?; // coreCoderDelay
    }
    let extended = bits.flag()?;
    if config.channel_config == 0 {
        config.channels = parse_program_config(bits)?;
    }
    // With the extension flag, fields of scalable and error-resilient types follow.
    (!extended && !matches!(config.object_type, 6 | 20)).then_some(())
}

/// `program_config_element` (section 4.4.1.1): the number of channels.
fn parse_program_config(bits: &mut BitReader<'_>) -> Option<u16> {
    bits.skip(4 + 2 + 4)?; // instance tag, object type, rate index
    let elements = bits.bits(4)? + bits.bits(4)? + bits.bits(4)?; // front, side, back
    let low_frequency = bits.bits(2)?;
    let associated = bits.bits(3)?;
    let coupled = bits.bits(4)?;
    for width in [4, 4, 3] {
        // Mono, stereo and matrix mixdown.
        if bits.flag()? {
            bits.skip(width)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements {
        channels += 1 + u32::from(bits.flag()?);
        bits.skip(4)?;
    }
    let rest = 4 * low_frequency + 4 * associated + 5 * coupled;
    bits.skip(usize::try_from(rest).ok()?)?;
    bits.align();
    let comment = bits.bits(8)?;
    bits.skip(usize::try_from(comment).ok()? * 8)?;
    u16::try_from(channels).ok()
}

/// The announcement behind the core's configuration (section 1.6.6.1).
fn parse_backward_compatible(
    bits: &mut BitReader<'_>,
    config: &mut AudioSpecificConfig,
) -> Option<()> {
    if config.extension.is_some() || bits.left() < 16 || bits.bits(11)? != SYNC_EXTENSION {
        return None;
    }
    if object_type(bits)? != SBR || !bits.flag()? {
        return None;
    }
    let sample_rate = sample_rate(bits)?;
    let parametric_stereo =
        bits.left() >= 12 && bits.bits(11)? == SYNC_EXTENSION_PS && bits.flag()?;
    config.extension = Some(Extension {
        sample_rate,
        parametric_stereo,
        hierarchical: false,
    });
    Some(())
}

/// Collects bits, most significant first.
#[derive(Debug, Default)]
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte in use, 0 when it is full.
    used: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("just pushed");
            if value >> bit & 1 == 1 {
                *last |= 0x80 >> self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn put_object_type(bits: &mut BitWriter, kind: u8) {
    match kind.checked_sub(32) {
        Some(more) => {
            bits.put(31, 5);
            bits.put(u32::from(more), 6);
        }
        None => bits.put(u32::from(kind), 5),
    }
}

fn put_rate(bits: &mut BitWriter, rate: u32) {
    match (0_u32..)
        .zip(SAMPLE_RATES)
        .find(|(_, known)| *known == rate)
    {
        Some((index, _)) => bits.put(index, 4),
        None => {
            bits.put(u32::from(RATE_ESCAPE), 4);
            bits.put(rate, 24);
        }
    }
}

/// `objectTypeIndication` of ISO/IEC 14496-3 audio.
pub const OBJECT_TYPE_MPEG4_AUDIO: u8 = 0x40;

/// What an `esds` box says: the decoder configuration descriptor (ISO/IEC 14496-1, 7.2.6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EsDescriptor {
    /// `objectTypeIndication`; [`OBJECT_TYPE_MPEG4_AUDIO`] for AAC.
    pub object_type: u8,
    /// `bufferSizeDB`: bytes of the decoding buffer.
    pub buffer_size: u32,
    /// Bits in any one second at most; 0 when not known.
    pub max_bitrate_bps: u32,
    /// Bits a second on average; 0 when variable.
    pub average_bitrate_bps: u32,
    /// Decoder-specific information: the [`AudioSpecificConfig`] for AAC.
    pub specific: Vec<u8>,
}

const TAG_ES: u8 = 3;
const TAG_DECODER_CONFIG: u8 = 4;
const TAG_DECODER_SPECIFIC: u8 = 5;
const TAG_SL_CONFIG: u8 = 6;

/// Takes one descriptor off the front: its tag and its body, cut to what is there.
fn take_descriptor<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, mut rest) = bytes.split_first()?;
    let mut len = 0_usize;
    // Expandable length (ISO/IEC 14496-1 section 8.3.3): seven bits a byte, at most four bytes.
    for _ in 0..4 {
        let (byte, after) = rest.split_first()?;
        rest = after;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // QuickTime writers are known for lengths that are too long; the bytes there are count.
    let (body, rest) = rest.split_at(len.min(rest.len()));
    *bytes = rest;
    Some((*tag, body))
}

/// Finds a descriptor among siblings.
fn find_descriptor(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((tag, body)) = take_descriptor(&mut bytes) {
        if tag == wanted {
            return Some(body);
        }
    }
    None
}

fn descriptor(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a descriptor of ours is short");
    let mut out = vec![tag];
    for group in (1..4).rev().filter(|group| len >> (7 * group) != 0) {
        out.push(0x80 | u8::try_from(len >> (7 * group) & 0x7f).expect("seven bits"));
    }
    out.push(u8::try_from(len & 0x7f).expect("seven bits"));
    out.extend_from_slice(body);
    out
}

impl EsDescriptor {
    /// Reads the payload of an `esds` box, its version and flags included.
    ///
    /// # Errors
    /// When a descriptor is missing or cut off.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        Self::parse_fields(payload)
            .ok_or_else(|| Error::invalid("the esds box is cut off or broken"))
    }

    fn parse_fields(payload: &[u8]) -> Option<Self> {
        let es = find_descriptor(payload.get(4..)?, TAG_ES)?;
        let flags = *es.get(2)?;
        let mut at = 3;
        if flags & 0x80 != 0 {
            at += 2; // dependsOn_ES_ID
        }
        if flags & 0x40 != 0 {
            at += 1 + usize::from(*es.get(at)?); // URL
        }
        if flags & 0x20 != 0 {
            at += 2; // OCR_ES_Id
        }
        let config = find_descriptor(es.get(at..)?, TAG_DECODER_CONFIG)?;
        let (&[object_type, _, b0, b1, b2], rest) = config.split_first_chunk::<5>()?;
        let (max, rest) = rest.split_first_chunk::<4>()?;
        let (average, rest) = rest.split_first_chunk::<4>()?;
        let specific = find_descriptor(rest, TAG_DECODER_SPECIFIC).unwrap_or_default();
        Some(Self {
            object_type,
            buffer_size: u32::from_be_bytes([0, b0, b1, b2]),
            max_bitrate_bps: u32::from_be_bytes(*max),
            average_bitrate_bps: u32::from_be_bytes(*average),
            specific: specific.to_vec(),
        })
    }

    /// The payload of the `esds` box, version and flags included.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut config = vec![self.object_type, AUDIO_STREAM];
        config.extend_from_slice(&self.buffer_size.to_be_bytes()[1..]);
        config.extend_from_slice(&self.max_bitrate_bps.to_be_bytes());
        config.extend_from_slice(&self.average_bitrate_bps.to_be_bytes());
        config.extend(descriptor(TAG_DECODER_SPECIFIC, &self.specific));
        // ES_ID 0 and no flags: ISO/IEC 14496-14 section 3.1.2 for files.
        let mut es = vec![0, 0, 0];
        es.extend(descriptor(TAG_DECODER_CONFIG, &config));
        es.extend(descriptor(TAG_SL_CONFIG, &[2])); // predefined for MP4 files
        let mut out = vec![0; 4];
        out.extend(descriptor(TAG_ES, &es));
        out
    }

    /// The RFC 6381 name: `mp4a.40.2`, or `mp4a.6B` for MP3.
    pub fn codecs(&self) -> String {
        if self.object_type != OBJECT_TYPE_MPEG4_AUDIO {
            return format!("mp4a.{:02X}", self.object_type);
        }
        match AudioSpecificConfig::parse(&self.specific) {
            Ok(config) => config.codecs(),
            Err(_) => "mp4a.40".to_owned(),
        }
    }
}

/// `streamType` audio (5), not upstream, reserved bit set.
const AUDIO_STREAM: u8 = 5 << 2 | 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::test_support::{flipped, hex};

    #[test]
    fn the_usual_configurations_have_their_well_known_bytes() {
        for (rate, channels, bytes) in [
            (48_000, 2, "1190"),
            (44_100, 2, "1210"),
            (44_100, 1, "1208"),
            (48_000, 6, "11b0"),
            (8_000, 2, "1590"),
        ] {
            let config = AudioSpecificConfig::low_complexity(rate, channels).expect("usual");
            assert_eq!(config.to_bytes(), hex(bytes));
            assert_eq!(
                AudioSpecificConfig::parse(&hex(bytes)).expect("usual"),
                config
            );
            assert_eq!(config.codecs(), "mp4a.40.2");
        }
    }

    #[test]
    fn band_replication_is_seen_in_front_and_behind() {
        // HE-AAC v1 as fdk-aac signals it: hierarchical, 22.05 kHz core.
        let front = AudioSpecificConfig::parse(&hex("2b920800")).expect("explicit");
        assert_eq!(front.codecs(), "mp4a.40.5");
        assert_eq!(
            (front.sample_rate, front.output_sample_rate()),
            (22_050, 44_100)
        );
        // The same, backward compatible (as QuickTime and FFmpeg write it).
        let behind = AudioSpecificConfig::parse(&hex("139056e5a0")).expect("compatible");
        assert_eq!(behind.codecs(), "mp4a.40.2");
        assert_eq!(behind.output_sample_rate(), 44_100);
        assert_eq!(
            behind.to_bytes(),
            hex("139056e5a0")[..behind.to_bytes().len()]
        );
        let stereo = AudioSpecificConfig::parse(&hex("eb8a0800")).expect("explicit v2");
        assert_eq!(
            (stereo.codecs().as_str(), stereo.output_channels()),
            ("mp4a.40.29", 2)
        );
    }

    #[test]
    fn a_program_config_element_gives_the_channels() {
        // AAC-LC, 48 kHz, channel configuration 0: front centre, front pair, back pair, LFE.
        let bits = "00010 0011 0000 0 0 0 \
            0000 01 0011 0010 0000 0001 01 000 0000 0 0 0 0 0000 1 0000 1 0001 0000";
        let mut writer = BitWriter::default();
        for bit in bits.bytes().filter(|bit| *bit != b' ') {
            writer.put(u32::from(bit == b'1'), 1);
        }
        let mut bytes = writer.into_bytes();
        bytes.push(0);
        let config = AudioSpecificConfig::parse(&bytes).expect("built by hand");
        assert_eq!((config.channel_config, config.channels), (0, 6));
    }

    #[test]
    fn esds_of_other_writers_reads_the_same() {
        // FFmpeg pads lengths to four bytes.
        let padded = hex(
            "00000000 03808080220001 00 04808080144015000000 0001f4000001f400 \
             05808080021190 06808080010 2",
        );
        let esds = EsDescriptor::parse(&padded).expect("FFmpeg's");
        assert_eq!(
            (esds.codecs().as_str(), esds.average_bitrate_bps),
            ("mp4a.40.2", 128_000)
        );
        assert_eq!(EsDescriptor::parse(&esds.to_bytes()).expect("ours"), esds);
        let mp3 = EsDescriptor {
            object_type: 0x6b,
            specific: Vec::new(),
            ..esds
        };
        assert_eq!(mp3.codecs(), "mp4a.6B");
    }

    proptest! {
        #[test]
        fn configurations_read_back_equal(
            object_type in prop_oneof![Just(1_u8), Just(2), Just(4)],
            sample_rate in prop_oneof![Just(48_000_u32), Just(11_025), 1_u32..200_000],
            channel_config in 1_u8..=7,
            short in any::<bool>(),
            extension in proptest::option::of((1_u32..200_000, any::<bool>(), any::<bool>())),
        ) {
            let config = AudioSpecificConfig {
                object_type,
                sample_rate,
                channel_config,
                channels: channels_of(channel_config).expect("1 to 7"),
                frame_length: if short { 960 } else { 1024 },
                extension: extension.map(|(sample_rate, parametric_stereo, hierarchical)| Extension {
                    sample_rate,
                    parametric_stereo,
                    hierarchical,
                }),
            };
            prop_assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()).expect("ours"), config);
        }

        #[test]
        fn descriptors_read_back_equal(specific in proptest::collection::vec(any::<u8>(), 0..400), rate in any::<u32>()) {
            let esds = EsDescriptor {
                object_type: OBJECT_TYPE_MPEG4_AUDIO,
                buffer_size: 6144,
                max_bitrate_bps: rate,
                average_bitrate_bps: rate / 2,
                specific,
            };
            prop_assert_eq!(EsDescriptor::parse(&esds.to_bytes()).expect("ours"), esds);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), bit in 0_usize..400) {
            let _ = AudioSpecificConfig::parse(&bytes).map(|c| (c.to_bytes(), c.codecs()));
            let _ = EsDescriptor::parse(&bytes).map(|e| e.codecs());
            let esds = EsDescriptor {
                object_type: OBJECT_TYPE_MPEG4_AUDIO,
                buffer_size: 0,
                max_bitrate_bps: 0,
                average_bitrate_bps: 0,
                specific: hex("1190"),
            };
            let _ = EsDescriptor::parse(&flipped(esds.to_bytes(), bit));
        }
    }
}
