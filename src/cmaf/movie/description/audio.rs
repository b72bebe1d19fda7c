//! Sound sample descriptions (ISO/IEC 14496-12 section 12.2.3; QuickTime File Format, "Sound
//! sample descriptions" versions 0, 1 and 2).

use super::object_type::elementary;
use super::{Description, Entry, child, other};
use crate::cmaf::boxes::FourCc;
use crate::cmaf::fields::Fields;
use crate::codec::BitReader;
use crate::codec::aac::AudioSpecificConfig;
use crate::media::{AudioInfo, Codec, TrackKind};

/// Sound stored as a row of equal packets without a size for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Packing {
    /// PCM frames in a packet: 1 for uncompressed sound.
    pub(in super::super) frames: u32,
    /// Bytes of a packet, all channels together.
    pub(in super::super) bytes: u32,
}

/// The fields of a sound description, whatever their version.
#[derive(Debug, Clone, Copy)]
struct Sound<'a> {
    format: FourCc,
    channels: u16,
    bits: u32,
    sample_rate: u32,
    /// `formatSpecificFlags` of version 2: 1 float, 2 big-endian, 4 signed.
    flags: Option<u32>,
    /// What version 1 or 2 says about packets.
    packing: Option<Packing>,
    boxes: &'a [u8],
}

pub(super) fn read(entry: Entry<'_>) -> Option<Description> {
    let sound = Sound::read(entry)?;
    let (codec, config) = sound.codec();
    let mut info = AudioInfo {
        sample_rate: sound.sample_rate,
        channels: sound.channels,
        block_align: sound.packing.map_or(0, |packing| packing.bytes),
        bitrate: 0,
    };
    if codec == Codec::AAC
        && let Ok(aac) = AudioSpecificConfig::parse(&config)
    {
        // The entry's own fields hold 16 bits, and the rate before band replication.
        info.sample_rate = aac.output_sample_rate();
        if aac.output_channels() > 0 {
            info.channels = aac.output_channels();
        }
    }
    if codec.name() == "opus" {
        info.sample_rate = 48_000;
    }
    if let Some(channels) = sound.dolby_channels() {
        info.channels = channels;
    }
    Some(Description {
        packing: sound.packing_of(&codec),
        kind: TrackKind::Audio(info),
        codec,
        config,
        others: Vec::new(),
    })
}

impl<'a> Sound<'a> {
    fn read(entry: Entry<'a>) -> Option<Self> {
        let mut fields = Fields::new(entry.payload);
        fields.skip(8)?;
        let version = fields.u16()?;
        fields.skip(6)?;
        let (channels, bits) = (fields.u16()?, fields.u16()?);
        fields.skip(4)?;
        let mut sound = Self {
            format: entry.format,
            channels,
            bits: u32::from(bits),
            sample_rate: fields.u32()? >> 16,
            flags: None,
            packing: None,
            boxes: &[],
        };
        // Version 1 of the table means ISO's own AudioSampleEntryV1, which adds no fields.
        match (entry.table_version, version) {
            (0, 1) => sound.read_version_1(&mut fields)?,
            (0, 2) => sound.read_version_2(&mut fields)?,
            _ => {}
        }
        sound.boxes = fields.rest();
        sound.read_sampling_rate_box();
        Some(sound)
    }

    fn read_version_1(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let frames = fields.u32()?;
        fields.skip(4)?;
        let bytes = fields.u32()?;
        fields.skip(4)?;
        self.packing = (frames > 0 && bytes > 0).then_some(Packing { frames, bytes });
        Some(())
    }

    fn read_version_2(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        fields.skip(4)?;
        self.sample_rate = whole_hertz(f64::from_bits(fields.u64()?));
        self.channels = u16::try_from(fields.u32()?).ok()?;
        fields.skip(4)?;
        self.bits = fields.u32()?;
        self.flags = Some(fields.u32()?);
        let (bytes, frames) = (fields.u32()?, fields.u32()?);
        self.packing = (frames > 0 && bytes > 0).then_some(Packing { frames, bytes });
        Some(())
    }

    /// `srat` (section 12.2.3) overrides a rate that 16 bits cannot hold.
    fn read_sampling_rate_box(&mut self) {
        let rate = child(self.boxes, b"srat")
            .and_then(Fields::full)
            .and_then(|(_, _, mut fields)| fields.u32());
        if let Some(rate) = rate.filter(|rate| *rate > 0) {
            self.sample_rate = rate;
        }
    }

    /// A box of the description, also inside QuickTime's `wave`.
    fn find(&self, kind: &[u8; 4]) -> Option<&'a [u8]> {
        child(self.boxes, kind)
            .or_else(|| child(self.boxes, b"wave").and_then(|wave| child(wave, kind)))
    }

    fn codec(&self) -> (Codec, Vec<u8>) {
        let plain = |name| (Codec::from_name(name), Vec::new());
        match &self.format.0 {
            b"mp4a" => elementary("aac", self.find(b"esds")),
            b"ac-3" | b"sac3" => plain("ac3"),
            b"ec-3" => plain("eac3"),
            b"Opus" => self.configured("opus", b"dOps", opus_head),
            b"fLaC" => self.configured("flac", b"dfLa", stream_info),
            b"alac" => self.configured("alac", b"alac", alac_atom),
            b".mp3" | b"mp3 " | b"ms\0U" => plain("mp3"),
            b"mp2 " | b".mp2" => plain("mp2"),
            b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => plain("dts"),
            b"mlpa" => plain("truehd"),
            b"samr" => plain("amr_nb"),
            b"sawb" => plain("amr_wb"),
            b"ima4" => plain("adpcm_ima_qt"),
            b"ms\0\x02" => plain("adpcm_ms"),
            b"ms\0\x11" => plain("adpcm_ima_wav"),
            _ => match self.pcm_name() {
                Some(name) => plain(name),
                None => (other(self.format), Vec::new()),
            },
        }
    }

    fn configured(
        &self,
        name: &str,
        kind: &[u8; 4],
        extradata: fn(&[u8]) -> Option<Vec<u8>>,
    ) -> (Codec, Vec<u8>) {
        let config = self.find(kind).and_then(extradata);
        (Codec::from_name(name), config.unwrap_or_default())
    }

    /// Channels by `dac3` or `dec3` (ETSI TS 102 366 annex F): the entry's own field is always 2.
    /// Dependent substreams, which add channels, are not counted.
    fn dolby_channels(&self) -> Option<u16> {
        const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
        let (bytes, before) = match self.find(b"dec3") {
            // Data rate and number of substreams, then fscod, bsid, two flags and bsmod.
            Some(dec3) => (dec3, 13 + 3 + 2 + 5 + 1 + 1 + 3),
            // fscod, bsid and bsmod.
            None => (self.find(b"dac3")?, 2 + 5 + 3),
        };
        let mut bits = BitReader::new(bytes);
        bits.skip(before)?;
        let mode = usize::from(bits.byte(3)?);
        let low_frequency = u16::from(bits.flag()?);
        Some(CHANNELS.get(mode)? + low_frequency)
    }

    /// FFmpeg's name of an uncompressed format.
    fn pcm_name(&self) -> Option<&'static str> {
        let little_in_wave = self.find(b"enda").is_some_and(|enda| enda.ends_with(&[1]));
        let integer = |bits, big| pcm_name(bits, false, big);
        match &self.format.0 {
            b"sowt" => integer(self.bits, false),
            b"twos" => integer(self.bits, true),
            b"raw " | b"NONE" | b"\0\0\0\0" => match self.bits {
                0..=8 => Some("pcm_u8"),
                bits => integer(bits, true),
            },
            b"in24" => integer(24, !little_in_wave),
            b"in32" => integer(32, !little_in_wave),
            b"fl32" => pcm_name(32, true, !little_in_wave),
            b"fl64" => pcm_name(64, true, !little_in_wave),
            b"alaw" => Some("pcm_alaw"),
            b"ulaw" => Some("pcm_mulaw"),
            b"lpcm" => match self.flags {
                Some(flags) if self.bits == 8 && flags & 5 == 0 => Some("pcm_u8"),
                Some(flags) => pcm_name(self.bits, flags & 1 != 0, flags & 2 != 0),
                None => integer(self.bits, true),
            },
            b"ipcm" => self.pcm_from_box(false),
            b"fpcm" => self.pcm_from_box(true),
            _ => None,
        }
    }

    /// `pcmC` (ISO/IEC 23003-5): one bit for the byte order, and the sample size.
    fn pcm_from_box(&self, float: bool) -> Option<&'static str> {
        let (_, _, mut fields) = Fields::full(self.find(b"pcmC")?)?;
        let (flags, bits) = (fields.u8()?, fields.u8()?);
        pcm_name(u32::from(bits), float, flags & 1 == 0)
    }

    /// How `codec` is packed, when each stored sample is one PCM frame.
    fn packing_of(&self, codec: &Codec) -> Option<Packing> {
        let channels = u32::from(self.channels);
        let bytes = match codec.name() {
            "pcm_u8" | "pcm_s8" | "pcm_alaw" | "pcm_mulaw" => 1,
            "pcm_s16le" | "pcm_s16be" => 2,
            "pcm_s24le" | "pcm_s24be" => 3,
            "pcm_s32le" | "pcm_s32be" | "pcm_f32le" | "pcm_f32be" => 4,
            "pcm_f64le" | "pcm_f64be" => 8,
            "adpcm_ima_qt" => {
                let bytes = 34 * channels;
                return (bytes > 0).then_some(Packing { frames: 64, bytes });
            }
            _ => return self.packing,
        };
        let bytes = channels * bytes;
        (bytes > 0).then_some(Packing { frames: 1, bytes })
    }
}

/// A rate that came as a float; 0 when it is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn whole_hertz(rate: f64) -> u32 {
    if (1.0..1e7).contains(&rate) {
        rate.round() as u32
    } else {
        0
    }
}

fn pcm_name(bits: u32, float: bool, big_endian: bool) -> Option<&'static str> {
    Some(match (float, bits, big_endian) {
        (false, 1..=8, _) => "pcm_s8",
        (false, 0 | 9..=16, true) => "pcm_s16be",
        (false, 0 | 9..=16, false) => "pcm_s16le",
        (false, 17..=24, true) => "pcm_s24be",
        (false, 17..=24, false) => "pcm_s24le",
        (false, 25..=32, true) => "pcm_s32be",
        (false, 25..=32, false) => "pcm_s32le",
        (true, 32, true) => "pcm_f32be",
        (true, 32, false) => "pcm_f32le",
        (true, 64, true) => "pcm_f64be",
        (true, 64, false) => "pcm_f64le",
        _ => return None,
    })
}

/// `dOps` (big-endian) as the `OpusHead` (RFC 7845 section 5.1, little-endian) FFmpeg wants.
fn opus_head(dops: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields::new(dops);
    if fields.u8()? != 0 {
        return None;
    }
    let mut head = b"OpusHead\x01".to_vec();
    head.push(fields.u8()?);
    head.extend(fields.u16()?.to_le_bytes());
    head.extend(fields.u32()?.to_le_bytes());
    head.extend(fields.u16()?.to_le_bytes());
    head.extend(fields.rest());
    Some(head)
}

/// The STREAMINFO block, which is the first of `dfLa` (RFC 9639 section 8.2), without its header.
fn stream_info(dfla: &[u8]) -> Option<Vec<u8>> {
    let (_, _, mut fields) = Fields::full(dfla)?;
    let block_header = fields.u32()?;
    (block_header >> 24 & 0x7f == 0).then(|| fields.array::<34>().map(Vec::from))?
}

/// The `alac` box with its header: FFmpeg reads the configuration from byte 12 on.
fn alac_atom(payload: &[u8]) -> Option<Vec<u8>> {
    let mut atom = u32::try_from(payload.len() + 8)
        .ok()?
        .to_be_bytes()
        .to_vec();
    atom.extend(b"alac");
    atom.extend(payload);
    Some(atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_head_is_little_endian() {
        let head = opus_head(&[0, 2, 0x01, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]).expect("sound");
        assert_eq!(head, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
    }

    #[test]
    fn flac_config_is_the_stream_info_alone() {
        let mut dfla = vec![0, 0, 0, 0, 0x80, 0, 0, 34];
        dfla.extend(0..34);
        assert_eq!(stream_info(&dfla), Some((0..34).collect()));
        assert_eq!(stream_info(&dfla[..40]), None);
    }
}
