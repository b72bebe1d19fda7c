//! H.264 encoding by x264, so that pieces encoded apart join into one stream: closed GOPs, IDR
//! pictures only where asked, parameter sets that depend on the recipe alone.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;

use super::{from_av, sys, wants_more};
use crate::codec::avc::{self, AvcConfig, ParameterSets};
use crate::error::{Error, Result};
use crate::media::{Preset, VideoEncode};
use crate::time::FrameRate;

/// An encoded picture.
#[derive(Debug)]
pub(super) struct EncodedPicture {
    /// The number it was pushed with.
    pub number: i64,
    /// Whether it is an IDR picture.
    pub idr: bool,
    /// Length-prefixed NAL units, without parameter sets and SEI.
    pub data: Bytes,
}

/// What an encoder is opened with beside its recipe. The parameter sets don't depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Threads.
    pub threads: u32,
    /// What each of them does.
    pub threading: Threading,
    /// How full the decoder's buffer is when decoding starts, in percent; `None` for x264's own
    /// idea (90).
    pub fullness_percent: Option<u32>,
    /// Which pictures lean on others.
    pub gop: Gop,
}

/// Which pictures lean on others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gop {
    /// All but the IDR pictures, which are where they are asked for.
    Long,
    /// None: each is an IDR picture, and none is held back.
    IntraOnly,
}

/// What x264's threads do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threading {
    /// Each encodes a slice of every picture. Bytes repeat from run to run with one thread, and
    /// with more where the peak rate doesn't bind; where it does, a slice's rate control looks at
    /// how far the others have come.
    Slices,
    /// Each encodes a picture, as far as the one it leans on has come. A sixth faster on two cores
    /// than slices, and smaller; but with a bounded buffer (VBV) the rate control looks at how far
    /// the neighbours have come, and the bytes differ from run to run.
    Pictures,
}

impl Start {
    /// As the recipe says.
    pub(super) fn of(encode: &VideoEncode) -> Self {
        Self {
            threads: encode.recipe.threads,
            threading: Threading::Slices,
            fullness_percent: None,
            gop: Gop::Long,
        }
    }
}

/// One x264 encoder.
pub(super) struct H264Encoder {
    encoder: ffmpeg::encoder::video::Encoder,
}

impl H264Encoder {
    /// Opens an encoder for this rung.
    pub(super) fn open(encode: &VideoEncode, frame_rate: FrameRate, start: Start) -> Result<Self> {
        let codec = ffmpeg::encoder::find_by_name("libx264")
            .ok_or_else(|| Error::unsupported("this build of FFmpeg has no libx264 encoder"))?;
        let mut context = ffmpeg::codec::Context::new_with_codec(codec);
        let recipe = &encode.recipe;
        sys::set_h264_fields(&mut context, recipe.bufsize, recipe.level);
        context.set_threading(ffmpeg::codec::threading::Config {
            kind: match start.threading {
                Threading::Slices => ffmpeg::codec::threading::Type::Slice,
                Threading::Pictures => ffmpeg::codec::threading::Type::Frame,
            },
            count: usize::try_from(start.threads.max(1)).unwrap_or(1),
            ..ffmpeg::codec::threading::Config::default()
        });
        let flags = ffmpeg::codec::Flags::GLOBAL_HEADER | ffmpeg::codec::Flags::CLOSED_GOP;
        context.set_flags(flags);
        let rate =
            |value| i32::try_from(value).map_err(|_| Error::invalid("the frame rate is too large"));
        let (num, den) = (
            rate(frame_rate.numerator())?,
            rate(frame_rate.denominator())?,
        );
        context.set_time_base((den, num));
        context.set_frame_rate(Some((num, den)));
        let mut context = context
            .encoder()
            .video()
            .map_err(|e| from_av("making an encoder", e))?;
        context.set_width(encode.width);
        context.set_height(encode.height);
        context.set_format(ffmpeg::format::Pixel::YUV420P);
        context.set_aspect_ratio((1, 1));
        context.set_colorspace(ffmpeg::color::Space::BT709);
        context.set_color_primaries(ffmpeg::color::Primaries::BT709);
        context.set_color_transfer_characteristic(ffmpeg::color::TransferCharacteristic::BT709);
        context.set_color_range(ffmpeg::color::Range::MPEG);
        context.set_max_bit_rate(usize::try_from(recipe.maxrate).unwrap_or(0));
        let encoder = context
            .open_as_with(codec, options(encode, start))
            .map_err(|e| from_av("opening the H.264 encoder", e))?;
        Ok(Self { encoder })
    }

    /// Encodes a picture; its number orders the output and names it there.
    pub(super) fn push(
        &mut self,
        picture: &ffmpeg::Frame,
        number: i64,
        idr: bool,
        take: &mut dyn FnMut(EncodedPicture) -> Result<()>,
    ) -> Result<()> {
        let mut frame = sys::share(picture)?;
        frame.set_pts(Some(number));
        sys::set_intra(&mut frame, idr);
        self.encoder
            .send_frame(&frame)
            .map_err(|e| from_av("encoding a picture", e))?;
        self.receive(take)
    }

    /// Encodes what is still held back.
    pub(super) fn finish(
        &mut self,
        take: &mut dyn FnMut(EncodedPicture) -> Result<()>,
    ) -> Result<()> {
        self.encoder
            .send_eof()
            .map_err(|e| from_av("ending the encoder", e))?;
        self.receive(take)
    }

    /// The decoder configuration record.
    pub(super) fn config(&self) -> Result<Vec<u8>> {
        let sets = ParameterSets::from_annex_b(&sys::extradata(&self.encoder));
        Ok(AvcConfig::from_sets(sets)?.to_bytes())
    }

    fn receive(&mut self, take: &mut dyn FnMut(EncodedPicture) -> Result<()>) -> Result<()> {
        loop {
            let mut packet = ffmpeg::Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => take(encoded(&packet)?)?,
                Err(error) if wants_more(error) => return Ok(()),
                Err(error) => return Err(from_av("encoding a picture", error)),
            }
        }
    }
}

/// SEI carries nothing but x264's own settings here, and parameter sets go into the record.
fn is_left_out(nal: &[u8]) -> bool {
    avc::is_redundant(nal) || avc::nal_type(nal) == avc::NAL_SEI
}

fn encoded(packet: &ffmpeg::Packet) -> Result<EncodedPicture> {
    let number = packet
        .pts()
        .ok_or_else(|| Error::internal("an encoded picture without number"))?;
    let stream = packet.data().unwrap_or_default();
    let data = avc::annex_b_to_length_prefixed(stream, is_left_out);
    if data.is_empty() {
        return Err(Error::internal("an encoded picture without slices"));
    }
    Ok(EncodedPicture {
        number,
        idr: avc::is_idr(&data, 4),
        data: data.into(),
    })
}

fn options(encode: &VideoEncode, start: Start) -> ffmpeg::Dictionary<'static> {
    let recipe = &encode.recipe;
    let references = match start.gop {
        Gop::Long => references(recipe.preset, recipe.level, encode.width, encode.height),
        Gop::IntraOnly => 1,
    };
    let mut options = ffmpeg::Dictionary::new();
    options.set("preset", recipe.preset.name());
    options.set("profile", "high");
    options.set("crf", &recipe.crf.to_string());
    options.set("forced-idr", "1");
    options.set("a53cc", "0");
    // `stitchable` keeps x264 from tuning headers to the content, `force-cfr` from timing by the
    // frames' stamps; keyint, scenecut: pictures are intra only where asked.
    let mut settings = format!(
        "keyint=infinite:min-keyint=1:scenecut=0:open-gop=0:stitchable=1:force-cfr=1:ref={references}"
    );
    if start.gop == Gop::IntraOnly {
        // Not keyint=1, which x264 tells with a flag that makes it another profile (High 10 Intra).
        settings.push_str(":bframes=0:mbtree=0:rc-lookahead=0:sync-lookahead=0");
    }
    if let Some(percent) = start.fullness_percent {
        settings.push_str(&format!(":vbv-init=0.{:02}", percent.clamp(1, 99)));
    }
    options.set("x264-params", &settings);
    options
}

/// Reference frames: as the preset has it, but no more than the level's decoded picture buffer
/// holds (ISO/IEC 14496-10 table A-1, `MaxDpbMbs`). x264's library, unlike its program, does not
/// see to that itself.
fn references(preset: Preset, level: u32, width: u32, height: u32) -> u32 {
    let wanted = match preset {
        Preset::Ultrafast | Preset::Superfast | Preset::Veryfast => 1,
        Preset::Faster | Preset::Fast => 2,
        Preset::Medium => 3,
        Preset::Slow => 5,
        Preset::Slower => 8,
        Preset::Veryslow => 16,
    };
    let max_dpb_macroblocks = match level {
        ..=10 => 396,
        11 => 900,
        12..=20 => 2_376,
        21 => 4_752,
        22..=30 => 8_100,
        31 => 18_000,
        32 => 20_480,
        33..=41 => 32_768,
        42 => 34_816,
        43..=50 => 110_400,
        51..=52 => 184_320,
        _ => 696_320,
    };
    let macroblocks = (width.div_ceil(16) * height.div_ceil(16)).max(1);
    (max_dpb_macroblocks / macroblocks).min(wanted).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stay_within_the_level() {
        assert_eq!(references(Preset::Veryslow, 40, 1920, 1080), 4);
        assert_eq!(references(Preset::Slow, 31, 1280, 720), 5);
        assert_eq!(references(Preset::Veryfast, 40, 1920, 1080), 1);
        assert_eq!(references(Preset::Veryslow, 30, 640, 360), 8);
    }
}
