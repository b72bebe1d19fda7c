//! A video encoder of any codec: opened by a recipe, fed pictures, giving samples.
//!
//! What all have in common is here: pieces encoded apart join into one stream. Groups are closed,
//! pictures are IDR (or key frames) only where asked, and parameter sets depend on the recipe
//! alone.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;

use super::av1::Av1Encoder;
use super::h264::H264Encoder;
use super::hevc::HevcEncoder;
use super::{from_av, sys, wants_more};
use crate::error::{Error, Result};
use crate::media::{VideoCodec, VideoEncode, VideoRange};
use crate::time::FrameRate;

/// An encoded picture.
#[derive(Debug)]
pub(super) struct EncodedPicture {
    /// The number it was pushed with.
    pub number: i64,
    /// Whether decoding can start at it.
    pub idr: bool,
    /// The sample as a container keeps it, without parameter sets that are in the record.
    pub data: Bytes,
}

/// What an encoder is opened with beside its recipe. The parameter sets don't depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Threads.
    pub threads: u32,
    /// What each of them does.
    pub threading: Threading,
    /// How full the decoder's buffer is when decoding starts, in percent; `None` for the encoder's
    /// own idea (90).
    pub fullness_percent: Option<u32>,
    /// Which pictures lean on others.
    pub gop: Gop,
}

/// Which pictures lean on others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gop {
    /// All but the IDR pictures, which are where they are asked for.
    Long,
    /// None: each is an IDR picture, and none is held back. Of x264 only.
    IntraOnly,
}

/// What an encoder's threads do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threading {
    /// Whatever gives equal bytes from run to run. x264: each encodes a slice of every picture;
    /// bytes repeat with one thread, and with more where the peak rate doesn't bind; where it
    /// does, a slice's rate control looks at how far the others have come.
    Slices,
    /// x264 and x265: each encodes a picture, as far as the one it leans on has come. A sixth
    /// faster on two cores than slices, and smaller; but with a bounded buffer (VBV) the rate
    /// control looks at how far the neighbours have come, and the bytes differ from run to run.
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

/// Takes an encoder's pictures.
pub(super) type Take<'a> = dyn FnMut(EncodedPicture) -> Result<()> + 'a;

/// An encoder.
pub(super) enum VideoEncoder {
    H264(H264Encoder),
    Hevc(HevcEncoder),
    Av1(Box<Av1Encoder>),
}

impl VideoEncoder {
    /// Opens an encoder for a rung.
    pub(super) fn open(encode: &VideoEncode, frame_rate: FrameRate, start: Start) -> Result<Self> {
        Ok(match encode.recipe.codec {
            VideoCodec::H264 => Self::H264(H264Encoder::open(encode, frame_rate, start)?),
            VideoCodec::Hevc => Self::Hevc(HevcEncoder::open(encode, frame_rate, start)?),
            VideoCodec::Av1 => Self::Av1(Box::new(Av1Encoder::open(encode, frame_rate, start)?)),
        })
    }

    /// Encodes a picture; its number orders the output and names it there.
    pub(super) fn push(
        &mut self,
        picture: &ffmpeg::Frame,
        number: i64,
        idr: bool,
        take: &mut Take<'_>,
    ) -> Result<()> {
        match self {
            Self::H264(encoder) => encoder.push(picture, number, idr, take),
            Self::Hevc(encoder) => encoder.push(picture, number, idr, take),
            Self::Av1(encoder) => encoder.push(picture, number, idr, take),
        }
    }

    /// Encodes what is still held back.
    pub(super) fn finish(&mut self, take: &mut Take<'_>) -> Result<()> {
        match self {
            Self::H264(encoder) => encoder.finish(take),
            Self::Hevc(encoder) => encoder.finish(take),
            Self::Av1(encoder) => encoder.finish(take),
        }
    }

    /// The decoder configuration record: the payload of `avcC`, `hvcC` or `av1C`.
    pub(super) fn config(&self) -> Result<Vec<u8>> {
        match self {
            Self::H264(encoder) => encoder.config(),
            Self::Hevc(encoder) => encoder.config(),
            Self::Av1(encoder) => encoder.config(),
        }
    }
}

/// An encoder of FFmpeg's that isn't open yet.
pub(super) struct Unopened {
    codec: ffmpeg::Codec,
    title: &'static str,
    pub(super) context: ffmpeg::encoder::video::Video,
}

impl Unopened {
    /// With size, rate, colour and peak as the recipe has them, and these threads.
    pub(super) fn new(
        library: &'static str,
        encode: &VideoEncode,
        frame_rate: FrameRate,
        threads: ffmpeg::codec::threading::Config,
    ) -> Result<Self> {
        let title = encode.recipe.codec.title();
        let codec = ffmpeg::encoder::find_by_name(library).ok_or_else(|| {
            Error::unsupported(format!("this build of FFmpeg has no {library} encoder"))
        })?;
        let mut context = ffmpeg::codec::Context::new_with_codec(codec);
        sys::set_encoder_fields(&mut context, encode.recipe.bufsize);
        context.set_threading(threads);
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
        context.set_aspect_ratio((1, 1));
        set_colour(&mut context, encode.recipe.range);
        context.set_max_bit_rate(usize::try_from(encode.recipe.maxrate).unwrap_or(0));
        Ok(Self {
            codec,
            title,
            context,
        })
    }

    /// Opens it with the library's own options.
    pub(super) fn open(self, options: ffmpeg::Dictionary<'_>) -> Result<Opened> {
        let title = self.title;
        let encoder = self
            .context
            .open_as_with(self.codec, options)
            .map_err(|e| from_av(&format!("opening the {title} encoder"), e))?;
        Ok(Opened(encoder))
    }
}

fn set_colour(context: &mut ffmpeg::encoder::video::Video, range: VideoRange) {
    use ffmpeg::color::{Primaries, Range, Space, TransferCharacteristic as Transfer};
    use ffmpeg::format::Pixel;
    let (format, space, primaries, transfer) = match range {
        VideoRange::Sdr => (
            Pixel::YUV420P,
            Space::BT709,
            Primaries::BT709,
            Transfer::BT709,
        ),
        VideoRange::Pq(_) => (
            Pixel::YUV420P10LE,
            Space::BT2020NCL,
            Primaries::BT2020,
            Transfer::SMPTE2084,
        ),
        VideoRange::Hlg => (
            Pixel::YUV420P10LE,
            Space::BT2020NCL,
            Primaries::BT2020,
            Transfer::ARIB_STD_B67,
        ),
    };
    context.set_format(format);
    context.set_colorspace(space);
    context.set_color_primaries(primaries);
    context.set_color_transfer_characteristic(transfer);
    context.set_color_range(Range::MPEG);
}

/// An encoder of FFmpeg's at work.
pub(super) struct Opened(ffmpeg::encoder::video::Encoder);

impl Opened {
    /// Puts a picture in and takes out what is ready, as the packets they are.
    pub(super) fn push(
        &mut self,
        picture: &ffmpeg::Frame,
        number: i64,
        idr: bool,
        take: &mut dyn FnMut(&ffmpeg::Packet) -> Result<()>,
    ) -> Result<()> {
        let mut frame = sys::share(picture)?;
        frame.set_pts(Some(number));
        sys::set_intra(&mut frame, idr);
        self.0
            .send_frame(&frame)
            .map_err(|e| from_av("encoding a picture", e))?;
        self.receive(take)
    }

    /// Takes out what is held back.
    pub(super) fn finish(
        &mut self,
        take: &mut dyn FnMut(&ffmpeg::Packet) -> Result<()>,
    ) -> Result<()> {
        self.0
            .send_eof()
            .map_err(|e| from_av("ending the encoder", e))?;
        self.receive(take)
    }

    /// Its parameter sets.
    pub(super) fn extradata(&self) -> Vec<u8> {
        sys::extradata(&self.0)
    }

    fn receive(&mut self, take: &mut dyn FnMut(&ffmpeg::Packet) -> Result<()>) -> Result<()> {
        loop {
            let mut packet = ffmpeg::Packet::empty();
            match self.0.receive_packet(&mut packet) {
                Ok(()) => take(&packet)?,
                Err(error) if wants_more(error) => return Ok(()),
                Err(error) => return Err(from_av("encoding a picture", error)),
            }
        }
    }
}

/// The number a packet's picture was pushed with.
pub(super) fn number_of(packet: &ffmpeg::Packet) -> Result<i64> {
    packet
        .pts()
        .ok_or_else(|| Error::internal("an encoded picture without number"))
}
