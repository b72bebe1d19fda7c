//! One picture as JPEG, by FFmpeg's own encoder.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;

use super::{from_av, sys};
use crate::error::{Error, Result};

/// Quantiser of a poster, from 2 (best) to 31.
pub(super) const POSTER_QUANTISER: i32 = 4;
/// Quantiser of a thumbnail.
pub(super) const THUMBNAIL_QUANTISER: i32 = 5;

/// Filters from what an H.264 encoder takes to what JFIF means: full range, the coefficients of
/// BT.601, chroma between the pixels. Scaled on the way, if a size is given.
pub(super) fn chain(size: Option<(u32, u32)>) -> String {
    let size = size.map(|(width, height)| format!("w={width}:h={height}:filter=lanczos:"));
    format!(
        "zscale={}matrixin=709:rangein=limited:matrix=470bg:range=full:chromal=center,\
         format=yuvj420p",
        size.unwrap_or_default()
    )
}

/// A JPEG of a picture in `yuvj420p`.
pub(super) fn encode(picture: &ffmpeg::Frame, quantiser: i32) -> Result<Bytes> {
    let codec = ffmpeg::encoder::find_by_name("mjpeg")
        .ok_or_else(|| Error::unsupported("this build of FFmpeg has no JPEG encoder"))?;
    let shape = sys::shape(picture);
    let mut context = ffmpeg::codec::Context::new_with_codec(codec);
    context.set_time_base((1, 25));
    context.set_flags(ffmpeg::codec::Flags::QSCALE | ffmpeg::codec::Flags::BITEXACT);
    let mut context = context
        .encoder()
        .video()
        .map_err(|e| from_av("making a JPEG encoder", e))?;
    context.set_width(shape.width);
    context.set_height(shape.height);
    context.set_format(ffmpeg::format::Pixel::YUVJ420P);
    context.set_color_range(ffmpeg::color::Range::JPEG);
    context.set_aspect_ratio((1, 1));
    let mut encoder = context
        .open_as(codec)
        .map_err(|e| from_av("opening the JPEG encoder", e))?;
    let mut frame = sys::share(picture)?;
    frame.set_pts(Some(0));
    sys::set_intra(&mut frame, true);
    sys::set_quantiser(&mut frame, quantiser);
    encoder
        .send_frame(&frame)
        .and_then(|()| encoder.send_eof())
        .map_err(|e| from_av("encoding a JPEG", e))?;
    let mut packet = ffmpeg::Packet::empty();
    encoder
        .receive_packet(&mut packet)
        .map_err(|e| from_av("encoding a JPEG", e))?;
    Ok(Bytes::copy_from_slice(packet.data().unwrap_or_default()))
}
