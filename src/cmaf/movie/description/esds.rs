//! The elementary stream descriptor (ISO/IEC 14496-1 section 7.2.6) of an `esds` box.

use super::super::fields::Fields;
use crate::media::Codec;

/// The decoder configuration descriptor's two facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream<'a> {
    /// `objectTypeIndication`.
    pub(super) object_type: u8,
    /// `DecoderSpecificInfo`, empty when absent.
    pub(super) config: &'a [u8],
}

const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;

/// Reads the payload of an `esds` box.
pub(super) fn read(payload: &[u8]) -> Option<Stream<'_>> {
    let (_, _, fields) = Fields::full(payload)?;
    let mut stream = descriptor(fields.rest(), ES_DESCRIPTOR)?;
    stream.skip(2)?;
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let url = stream.u8()?;
        stream.skip(usize::from(url))?;
    }
    if flags & 0x20 != 0 {
        stream.skip(2)?;
    }
    let mut decoder = descriptor(stream.rest(), DECODER_CONFIG)?;
    let object_type = decoder.u8()?;
    decoder.skip(12)?;
    let config = descriptor(decoder.rest(), DECODER_SPECIFIC).map_or(&[][..], Fields::rest);
    Some(Stream {
        object_type,
        config,
    })
}

/// The body of the descriptor at the start of `bytes`, if it has that tag. A length beyond the
/// end is cut: writers are known that count wrongly here.
fn descriptor(bytes: &[u8], tag: u8) -> Option<Fields<'_>> {
    let mut fields = Fields::new(bytes);
    if fields.u8()? != tag {
        return None;
    }
    let mut length = 0_usize;
    for _ in 0..4 {
        let byte = fields.u8()?;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = fields.rest();
    body.get(..length.min(body.len())).map(Fields::new)
}

/// The codec of an object type (registered at mp4ra.org).
pub(super) fn codec(object_type: u8) -> Codec {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_form_lengths_are_read() {
        let bytes = [
            0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 31, 0, 1, 0, 4, 0x80, 0x80, 0x80, 20, 0x40, 0x15, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0x80, 0x80, 2, 0x12, 0x10, 6, 1, 2,
        ];
        let stream = read(&bytes).expect("sound");
        assert_eq!(stream.object_type, 0x40);
        assert_eq!(stream.config, [0x12, 0x10]);
        assert_eq!(read(&bytes[..12]), None);
    }
}
