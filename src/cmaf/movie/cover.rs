//! Cover art in MP4: `covr` in `ilst` (QuickTime File Format, "Metadata"; as iTunes writes it).

use crate::cmaf::boxes::{BoxRef, children};
use crate::media::{Codec, Disposition, Edit, Home, Place, SampleTable, SourceTrack, TrackKind};
use crate::time::Timescale;

/// Bytes before the picture in `data`: its type and a locale.
const HEAD: usize = 8;
/// `data` types: JPEG and PNG.
const JPEG: u32 = 13;
const PNG: u32 = 14;

/// The first cover within the payload of `moov`, which begins at byte `start` of the file: its codec
/// and where its bytes are.
pub(super) fn find(moov: &[u8], start: u64) -> Option<(Codec, Place)> {
    let udta = child(moov, 0, b"udta")?;
    let meta = child(udta.payload, inner(&udta), b"meta")?;
    // A full box in MP4, a plain one in QuickTime.
    let full = meta.payload.get(4..8) != Some(b"hdlr".as_slice());
    let skipped = if full { 4 } else { 0 };
    let list = child(
        meta.payload.get(skipped..)?,
        inner(&meta) + skipped,
        b"ilst",
    )?;
    let cover = child(list.payload, inner(&list), b"covr")?;
    let data = child(cover.payload, inner(&cover), b"data")?;
    let kind = u32::from_be_bytes(data.payload.get(..4)?.try_into().ok()?);
    let codec = match kind & 0x00ff_ffff {
        JPEG => "mjpeg",
        PNG => "png",
        _ => return None,
    };
    let size = data
        .payload
        .len()
        .checked_sub(HEAD)
        .filter(|size| *size > 0)?;
    let offset = start.checked_add(u64::try_from(inner(&data) + HEAD).ok()?)?;
    let place = Place {
        home: Home::Source,
        offset,
        size: u32::try_from(size).ok()?,
    };
    Some((Codec::from_name(codec), place))
}

/// A cover as a track of one picture, as FFmpeg has it for other containers.
pub(super) fn track((codec, place): (Codec, Place), number: u32) -> SourceTrack {
    let mut samples = SampleTable::new(0);
    samples.push(1, 0, true, place);
    SourceTrack {
        number,
        kind: TrackKind::Other,
        codec,
        config: Vec::new(),
        timescale: Timescale::MILLIS,
        language: "und".into(),
        name: None,
        disposition: Disposition::default(),
        edit: Edit::default(),
        samples,
        shown: Vec::new(),
    }
}

fn child<'a>(bytes: &'a [u8], base: usize, kind: &[u8; 4]) -> Option<BoxRef<'a>> {
    children(bytes, base)
        .map_while(Result::ok)
        .find(|found| found.kind.0 == *kind)
}

/// Where the payload of a box begins.
fn inner(found: &BoxRef<'_>) -> usize {
    found.offset + found.header_len
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 8).unwrap();
        [&length.to_be_bytes()[..], kind, payload].concat()
    }

    fn moov(kind: u32, picture: &[u8], full: bool) -> Vec<u8> {
        let data = [&kind.to_be_bytes()[..], &[0; 4], picture].concat();
        let list = boxed(b"ilst", &boxed(b"covr", &boxed(b"data", &data)));
        let handler = boxed(b"hdlr", &[0; 25]);
        let version: &[u8] = if full { &[0; 4] } else { &[] };
        let meta = [version, &handler, &list].concat();
        let udta = boxed(b"udta", &boxed(b"meta", &meta));
        [boxed(b"mvhd", &[0; 100]), udta].concat()
    }

    #[test]
    fn a_cover_is_found_where_it_lies() {
        for (kind, name, full) in [(JPEG, "mjpeg", true), (PNG, "png", false)] {
            let moov = moov(kind, b"picture", full);
            let (codec, place) = find(&moov, 1000).expect("found");
            assert_eq!((codec.name(), place.size), (name, 7));
            let at = usize::try_from(place.offset - 1000).unwrap();
            assert_eq!(&moov[at..at + 7], b"picture");
        }
        assert_eq!(find(&moov(1, b"text", true), 0), None);
        assert_eq!(find(&moov(JPEG, b"", true), 0), None);
    }

    proptest! {
        /// Whatever the bytes, what is found lies within them.
        #[test]
        fn no_cover_lies_outside(at in 0_usize..220, byte in any::<u8>()) {
            let mut moov = moov(JPEG, b"picture", true);
            let at = at % moov.len();
            moov[at] = byte;
            if let Some((_, place)) = find(&moov, 0) {
                prop_assert!(place.offset + u64::from(place.size) <= moov.len() as u64);
            }
        }
    }
}
