//! Writes the CMAF header of a track (ISO/IEC 23000-19 section 7.3.1): `ftyp` and `moov`, from
//! which every fragment of the track can be decoded.
//!
//! The bytes depend on the values given and nothing else: all creation and modification times are
//! zero, all durations are zero because the samples are in fragments.

use super::boxes::BoxWriter;
use super::protection::{InitProtection, Pattern, write_sinf};
use super::video_config::{VideoConfig, write_light};
use crate::codec::aac::{AudioSpecificConfig, EsDescriptor, OBJECT_TYPE_MPEG4_AUDIO};
use crate::codec::avc::AvcConfig;
use crate::codec::hevc::HevcConfig;
use crate::media::{Colour, Light, PixelAspect};
use crate::time::{FrameRate, Timescale};

/// The id of the only track of every file of ours.
pub const TRACK_ID: u32 = 1;

/// What the header of a track says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackInit {
    /// Ticks a second of all times of the track.
    pub timescale: Timescale,
    /// Three-letter ISO 639-2/T code (`und` when not known), or else a BCP 47 tag.
    pub language: String,
    /// What only video or audio has.
    pub kind: TrackInitKind,
}

/// The part that depends on the kind of track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackInitKind {
    /// Video under the sample entry of its codec: `avc1`, `hvc1`, `av01`.
    Video(VideoInit),
    /// Audio under the sample entry of its coding.
    Audio(AudioInit),
}

/// What a video header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoInit {
    /// Width of the cropped picture in pixels.
    pub width: u16,
    /// Height of the cropped picture in pixels.
    pub height: u16,
    /// Shape of a pixel.
    pub pixel_aspect: PixelAspect,
    /// Colour, written to `colr` as it is.
    pub colour: Colour,
    /// Ticks added to every composition offset of the track's fragments so that none is negative:
    /// the edit list takes them off again. Zero leaves out the edit list.
    pub composition_delay: u32,
    /// Frames a second, where known; decides about the media profile brand only.
    pub frame_rate: Option<FrameRate>,
    /// The decoder configuration; samples of H.264 and HEVC have lengths of its `length_size`.
    pub config: VideoConfig,
    /// What is known of the light in HDR pictures.
    pub light: Light,
}

/// What an audio header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioInit {
    /// `AudioSpecificConfig` of AAC, as the encoder or the source gave it; the payload of `dac3` or
    /// `dec3` else.
    pub config: Vec<u8>,
    /// Channels that come out of the decoder.
    pub channels: u16,
    /// Samples a second that come out of the decoder.
    pub sample_rate: u32,
    /// Decoded samples at the start that are not to be heard, in ticks of the track. Zero leaves
    /// out the edit list.
    pub priming: u32,
    /// Bits a second on average, 0 when not known.
    pub bitrate_bps: u32,
    /// What is coded, and so the sample entry.
    pub coding: AudioCoding,
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioCoding {
    /// AAC, `mp4a` (ISO/IEC 14496-14).
    #[default]
    Aac,
    /// AC-3, `ac-3` (ETSI TS 102 366 annex F.3).
    Ac3,
    /// E-AC-3, `ec-3` (annex F.5).
    Eac3,
}

/// The bytes of the header of a clear track.
pub fn init_segment(init: &TrackInit) -> Vec<u8> {
    protected_init_segment(init, None)
}

/// The bytes of the header of a track whose samples are encrypted as `protection` says, if at all.
pub fn protected_init_segment(init: &TrackInit, protection: Option<&InitProtection>) -> Vec<u8> {
    let mut w = BoxWriter::with_capacity(1024);
    write_ftyp(&mut w, init);
    w.nest(b"moov", |w| {
        write_mvhd(w, init);
        w.nest(b"trak", |w| write_trak(w, init, protection));
        w.nest(b"mvex", write_trex);
        for pssh in protection.iter().flat_map(|protection| &protection.pssh) {
            w.raw(pssh);
        }
    });
    w.into_bytes()
}

fn write_ftyp(w: &mut BoxWriter, init: &TrackInit) {
    w.nest(b"ftyp", |w| {
        w.raw(b"iso6").u32(0).raw(b"iso6").raw(b"cmfc");
        if let Some(brand) = media_profile_brand(&init.kind) {
            w.raw(&brand);
        }
    });
}

/// The brand of the smallest CMAF media profile that the track conforms to (ISO/IEC 23000-19
/// tables A.1 and A.2); `None` beyond them.
pub fn media_profile_brand(kind: &TrackInitKind) -> Option<[u8; 4]> {
    match kind {
        TrackInitKind::Video(video) => video_profile_brand(video),
        TrackInitKind::Audio(audio) => audio_profile_brand(audio),
    }
}

fn video_profile_brand(video: &VideoInit) -> Option<[u8; 4]> {
    let too_fast = video
        .frame_rate
        .is_some_and(|rate| rate.numerator() > 60 * rate.denominator());
    let fits = !video.colour.full_range && !too_fast;
    match &video.config {
        VideoConfig::Avc(avc) if fits => avc_profile_brand(video, avc),
        VideoConfig::Hevc(hevc) if fits => hevc_profile_brand(video, hevc),
        VideoConfig::Avc(_) | VideoConfig::Hevc(_) => None,
        // No media profile: every AV1 file has it (AV1 Codec ISO Media File Format Binding 2.1).
        VideoConfig::Av1(_) => Some(*b"av01"),
    }
}

/// Whether all of the colour is BT.709's or isn't said.
fn is_hd_colour(colour: Colour) -> bool {
    let points = [colour.primaries, colour.transfer, colour.matrix];
    points.iter().all(|point| matches!(point, 1 | 2))
}

fn avc_profile_brand(video: &VideoInit, avc: &AvcConfig) -> Option<[u8; 4]> {
    let sps = avc.sps().ok()?;
    let profile_fits = matches!(sps.profile, 66 | 77 | 100);
    let colour = video.colour;
    let sd_colour = matches!(colour.primaries, 1 | 2 | 5 | 6)
        && matches!(colour.transfer, 1 | 2 | 6)
        && matches!(colour.matrix, 1 | 2 | 5 | 6);
    if !profile_fits || !sps.frame_mbs_only {
        return None;
    }
    let within = |width: u16, height: u16, level: u8| {
        video.width <= width && video.height <= height && avc.level <= level
    };
    if sd_colour && within(864, 576, 31) {
        Some(*b"cfsd")
    } else if is_hd_colour(colour) && within(1920, 1080, 40) {
        Some(*b"cfhd")
    } else if is_hd_colour(colour) && within(1920, 1080, 42) {
        Some(*b"chdf")
    } else {
        None
    }
}

/// ISO/IEC 23000-19 table B.1: HHD8 and HHD10 to level 4.1, UHD8 to 5.0, UHD10, HDR10 and HLG10 to
/// 5.1, all of Main tier.
fn hevc_profile_brand(video: &VideoInit, hevc: &HevcConfig) -> Option<[u8; 4]> {
    let colour = video.colour;
    let within = |width: u16, height: u16, level: u8| {
        video.width <= width && video.height <= height && hevc.level <= level
    };
    let hd = within(1920, 1080, 123);
    let uhd = within(3840, 2160, 153);
    if hevc.high_tier || !uhd {
        return None;
    }
    let wide = (colour.primaries, colour.matrix) == (9, 9);
    let wide_sdr = wide && matches!(colour.transfer, 1 | 14 | 15);
    match (hevc.profile, colour.transfer) {
        (1, _) if is_hd_colour(colour) && hd => Some(*b"chhd"),
        (1, _) if is_hd_colour(colour) && hevc.level <= 150 => Some(*b"cud8"),
        (2, Colour::PQ) if wide => Some(*b"chd1"),
        (2, Colour::HLG) if wide => Some(*b"clg1"),
        (2, _) if is_hd_colour(colour) && hd => Some(*b"chh1"),
        (2, _) if is_hd_colour(colour) || wide_sdr => Some(*b"cud1"),
        _ => None,
    }
}

fn audio_profile_brand(audio: &AudioInit) -> Option<[u8; 4]> {
    if audio.coding != AudioCoding::Aac {
        return None;
    }
    let config = AudioSpecificConfig::parse(&audio.config).ok()?;
    if config.object_type != crate::codec::aac::AAC_LC || audio.sample_rate > 48_000 {
        return None;
    }
    match audio.channels {
        1 | 2 => Some(*b"caac"),
        3..=8 => Some(*b"camc"),
        _ => None,
    }
}

/// The matrix that changes nothing (ISO/IEC 14496-12 section 8.2.2.2).
const IDENTITY: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

fn write_matrix(w: &mut BoxWriter) {
    for value in IDENTITY {
        w.u32(value);
    }
}

fn write_mvhd(w: &mut BoxWriter, init: &TrackInit) {
    w.full(b"mvhd", 0, 0, |w| {
        w.u32(0).u32(0).u32(init.timescale.get()).u32(0);
        w.u32(0x0001_0000).u16(0x0100).raw(&[0; 10]); // rate 1, volume 1
        write_matrix(w);
        w.raw(&[0; 24]).u32(TRACK_ID + 1);
    });
}

fn write_trak(w: &mut BoxWriter, init: &TrackInit, protection: Option<&InitProtection>) {
    write_tkhd(w, init);
    let skipped = match &init.kind {
        TrackInitKind::Video(video) => video.composition_delay,
        TrackInitKind::Audio(audio) => audio.priming,
    };
    if skipped > 0 {
        w.nest(b"edts", |w| write_elst(w, skipped));
    }
    w.nest(b"mdia", |w| {
        write_mdhd(w, init);
        write_hdlr(w, init);
        write_elng(w, init);
        w.nest(b"minf", |w| write_minf(w, init, protection));
    });
}

/// `track_enabled`, `track_in_movie`, `track_in_preview`: the default for media tracks by
/// ISO/IEC 14496-12 section 8.3.2.1.
const TRACK_FLAGS: u32 = 7;

fn write_tkhd(w: &mut BoxWriter, init: &TrackInit) {
    w.full(b"tkhd", 0, TRACK_FLAGS, |w| {
        w.u32(0).u32(0).u32(TRACK_ID).u32(0).u32(0);
        w.raw(&[0; 8]).u16(0).u16(0); // layer, alternate_group
        match &init.kind {
            TrackInitKind::Video(video) => {
                w.u16(0).u16(0);
                write_matrix(w);
                w.u32(display_width(video))
                    .u32(u32::from(video.height) << 16);
            }
            TrackInitKind::Audio(_) => {
                w.u16(0x0100).u16(0);
                write_matrix(w);
                w.u32(0).u32(0);
            }
        }
    });
}

/// Width with square pixels as 16.16 fixed point.
fn display_width(video: &VideoInit) -> u32 {
    let PixelAspect {
        horizontal,
        vertical,
    } = video.pixel_aspect;
    let fixed = u64::from(video.width) << 16;
    let stretched = fixed.saturating_mul(u64::from(horizontal)) / u64::from(vertical.max(1));
    u32::try_from(stretched).unwrap_or(u32::MAX)
}

/// The edit list that leaves out what lies before the presentation's start (ISO/IEC 14496-12
/// section 8.6.6). Duration 0 stands for the whole of a fragmented track.
fn write_elst(w: &mut BoxWriter, skipped: u32) {
    match i32::try_from(skipped) {
        Ok(media_time) => w.full(b"elst", 0, 0, |w| {
            w.u32(1).u32(0).i32(media_time).u32(0x0001_0000);
        }),
        Err(_) => w.full(b"elst", 1, 0, |w| {
            w.u32(1).u64(0).u64(u64::from(skipped)).u32(0x0001_0000);
        }),
    };
}

/// Language of `mdhd`: three letters of five bits, each less 0x60. `None` for anything but three
/// small letters.
pub fn packed_language(language: &str) -> Option<u16> {
    let letters: [u8; 3] = language.as_bytes().try_into().ok()?;
    letters.iter().try_fold(0, |packed, letter| {
        letter
            .is_ascii_lowercase()
            .then(|| packed << 5 | u16::from(letter - 0x60))
    })
}

/// `und`.
const UNDETERMINED: u16 = 0x55c4;

fn write_mdhd(w: &mut BoxWriter, init: &TrackInit) {
    let language = packed_language(&init.language).unwrap_or(UNDETERMINED);
    w.full(b"mdhd", 0, 0, |w| {
        w.u32(0).u32(0).u32(init.timescale.get()).u32(0);
        w.u16(language).u16(0);
    });
}

/// The extended language tag (ISO/IEC 14496-12 section 8.4.6), where `mdhd` cannot say it.
fn write_elng(w: &mut BoxWriter, init: &TrackInit) {
    let tag = init.language.as_bytes();
    if packed_language(&init.language).is_none() && !tag.is_empty() && !tag.contains(&0) {
        w.full(b"elng", 0, 0, |w| {
            w.raw(tag).u8(0);
        });
    }
}

fn write_hdlr(w: &mut BoxWriter, init: &TrackInit) {
    let (handler, name) = match init.kind {
        TrackInitKind::Video(_) => (b"vide", "VideoHandler"),
        TrackInitKind::Audio(_) => (b"soun", "SoundHandler"),
    };
    w.full(b"hdlr", 0, 0, |w| {
        w.u32(0).raw(handler).raw(&[0; 12]);
        w.raw(name.as_bytes()).u8(0);
    });
}

fn write_minf(w: &mut BoxWriter, init: &TrackInit, protection: Option<&InitProtection>) {
    match init.kind {
        TrackInitKind::Video(_) => w.full(b"vmhd", 0, 1, |w| {
            w.raw(&[0; 8]);
        }),
        TrackInitKind::Audio(_) => w.full(b"smhd", 0, 0, |w| {
            w.raw(&[0; 4]);
        }),
    };
    w.nest(b"dinf", |w| {
        w.full(b"dref", 0, 0, |w| {
            w.u32(1).full(b"url ", 0, 1, |_| {}); // the media is in this file
        });
    });
    w.nest(b"stbl", |w| write_stbl(w, init, protection));
}

fn write_stbl(w: &mut BoxWriter, init: &TrackInit, protection: Option<&InitProtection>) {
    w.full(b"stsd", 0, 0, |w| {
        w.u32(1);
        match &init.kind {
            TrackInitKind::Video(video) => write_video_entry(w, video, protection),
            TrackInitKind::Audio(audio) => match audio.coding {
                AudioCoding::Aac => write_mp4a(w, audio, protection),
                AudioCoding::Ac3 => write_dolby(w, audio, (b"ac-3", b"dac3"), protection),
                AudioCoding::Eac3 => write_dolby(w, audio, (b"ec-3", b"dec3"), protection),
            },
        }
    });
    for table in [b"stts", b"stsc"] {
        w.full(table, 0, 0, |w| {
            w.u32(0);
        });
    }
    w.full(b"stsz", 0, 0, |w| {
        w.u32(0).u32(0);
    });
    w.full(b"stco", 0, 0, |w| {
        w.u32(0);
    });
}

/// Reserved bytes and `data_reference_index` of every sample entry.
const SAMPLE_ENTRY: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

fn write_video_entry(w: &mut BoxWriter, video: &VideoInit, protection: Option<&InitProtection>) {
    let original = video.config.sample_entry();
    let kind = if protection.is_some() {
        b"encv"
    } else {
        original
    };
    w.nest(kind, |w| {
        w.raw(&SAMPLE_ENTRY).raw(&[0; 16]);
        w.u16(video.width).u16(video.height);
        w.u32(0x0048_0000).u32(0x0048_0000).u32(0).u16(1); // 72 dpi, one frame a sample
        w.raw(&[0; 32]).u16(0x0018).u16(0xffff); // no compressor name, depth, pre_defined -1
        video.config.write(w);
        w.nest(b"colr", |w| write_nclx(w, video.colour));
        w.nest(b"pasp", |w| {
            w.u32(video.pixel_aspect.horizontal)
                .u32(video.pixel_aspect.vertical);
        });
        write_light(w, &video.light);
        if let Some(protection) = protection {
            write_sinf(w, original, Pattern::Video, protection);
        }
    });
}

fn write_nclx(w: &mut BoxWriter, colour: Colour) {
    w.raw(b"nclx");
    w.u16(u16::from(colour.primaries));
    w.u16(u16::from(colour.transfer));
    w.u16(u16::from(colour.matrix));
    w.u8(if colour.full_range { 0x80 } else { 0 });
}

fn write_mp4a(w: &mut BoxWriter, audio: &AudioInit, protection: Option<&InitProtection>) {
    let esds = EsDescriptor {
        object_type: OBJECT_TYPE_MPEG4_AUDIO,
        buffer_size: 0,
        max_bitrate_bps: audio.bitrate_bps,
        average_bitrate_bps: audio.bitrate_bps,
        specific: audio.config.clone(),
    };
    let kind = if protection.is_some() {
        b"enca"
    } else {
        b"mp4a"
    };
    w.nest(kind, |w| {
        write_sound_fields(w, audio);
        w.nest(b"esds", |w| {
            w.raw(&esds.to_bytes());
        });
        if let Some(protection) = protection {
            write_sinf(w, b"mp4a", Pattern::Audio, protection);
        }
    });
}

/// The fields of `AudioSampleEntry` (ISO/IEC 14496-12 section 12.2.3).
fn write_sound_fields(w: &mut BoxWriter, audio: &AudioInit) {
    // 16.16 fixed point: a rate of 65,536 or more does not fit and is left to the configuration.
    let sample_rate = u16::try_from(audio.sample_rate).unwrap_or(0);
    w.raw(&SAMPLE_ENTRY).raw(&[0; 8]);
    w.u16(audio.channels).u16(16).u32(0);
    w.u32(u32::from(sample_rate) << 16);
}

/// `AC3SampleEntry` and `EC3SampleEntry` with their record.
fn write_dolby(
    w: &mut BoxWriter,
    audio: &AudioInit,
    (entry, record): (&[u8; 4], &[u8; 4]),
    protection: Option<&InitProtection>,
) {
    let kind = if protection.is_some() { b"enca" } else { entry };
    w.nest(kind, |w| {
        write_sound_fields(w, audio);
        w.nest(record, |w| {
            w.raw(&audio.config);
        });
        if let Some(protection) = protection {
            write_sinf(w, entry, Pattern::Audio, protection);
        }
    });
}

fn write_trex(w: &mut BoxWriter) {
    // Every fragment repeats its defaults; these are never used.
    w.full(b"trex", 0, 0, |w| {
        w.u32(TRACK_ID).u32(1).u32(0).u32(0).u32(0);
    });
}
