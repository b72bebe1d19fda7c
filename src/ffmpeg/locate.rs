//! Where a demuxed packet's bytes lie in the source, if they lie there in one piece.

use std::fs::File;

use crate::error::Result;
use crate::read_at::ReadAt;

/// How far behind the position that the demuxer names a packet may start: block and tag headers.
const HEADER: u64 = 64;

/// The place of `data` in `source`: at `after` (the end of the packet before it, for blocks that
/// hold several), or at most [`HEADER`] bytes behind `position`.
pub(super) fn find(
    source: &File,
    data: &[u8],
    position: Option<u64>,
    after: u64,
) -> Result<Option<u64>> {
    for (start, reach) in [(position, HEADER), (Some(after), 0)] {
        let Some(start) = start else { continue };
        let mut window = vec![0; data.len() + usize::try_from(reach).unwrap_or(0)];
        let got = source.read_at(start, &mut window)?;
        window.truncate(got);
        let at = window
            .windows(data.len().max(1))
            .position(|piece| piece == data);
        if let Some(at) = at {
            return Ok(Some(start + at as u64));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn packet_is_found_behind_its_header() {
        let source = file(b"....headerPACKETrest");
        assert_eq!(find(&source, b"PACKET", Some(4), 0).unwrap(), Some(10));
    }

    #[test]
    fn second_packet_of_a_block_is_found_behind_the_first() {
        let mut bytes = vec![0; 200];
        bytes.extend_from_slice(b"SECOND");
        assert_eq!(
            find(&file(&bytes), b"SECOND", Some(0), 200).unwrap(),
            Some(200)
        );
    }

    #[test]
    fn packet_in_pieces_is_not_found() {
        assert_eq!(
            find(&file(b"PAC|KET"), b"PACKET", Some(0), 0).unwrap(),
            None
        );
        assert_eq!(find(&file(b"PAC"), b"PACKET", None, 900).unwrap(), None);
    }
}
