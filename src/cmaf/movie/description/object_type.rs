//! Codecs by the `objectTypeIndication` of an `esds` box (ISO/IEC 14496-1 section 7.2.6.6).

use crate::codec::aac::EsDescriptor;
use crate::media::Codec;

/// Codec and decoder configuration by an `esds` box; `default` without a sound one.
pub(super) fn elementary(default: &str, esds: Option<&[u8]>) -> (Codec, Vec<u8>) {
    match esds.map(EsDescriptor::parse) {
        Some(Ok(stream)) => (codec(stream.object_type), stream.specific),
        _ => (Codec::from_name(default), Vec::new()),
    }
}

/// The codec of an object type (registered at mp4ra.org).
fn codec(object_type: u8) -> Codec {
    let name = match object_type {
        0x20 => "mpeg4",
        0x21 => "h264",
        0x23 => "hevc",
        0x40 | 0x66..=0x68 => "aac",
        0x60..=0x65 => "mpeg2video",
        0x69 | 0x6b => "mp3",
        0x6a => "mpeg1video",
        0x6c => "mjpeg",
        0x6d => "png",
        0xa3 => "vc1",
        0xa5 => "ac3",
        0xa6 => "eac3",
        0xa9 => "dts",
        0xad => "opus",
        0xdd => "vorbis",
        n => return Codec::Other(format!("mp4 object type {n:#04x}")),
    };
    Codec::from_name(name)
}
