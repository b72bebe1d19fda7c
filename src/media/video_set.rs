//! Switching sets of video: renditions that a player may switch between, which have one codec, one
//! range of light, and one key.

use super::{Colour, VideoCodec, VideoTrack};

/// The sets, in the order of their first track; the tracks of each in their order.
pub fn video_sets(tracks: &[VideoTrack]) -> Vec<Vec<&VideoTrack>> {
    let key_id = |track: &VideoTrack| track.common.protection.as_ref().map(|it| it.key_id);
    let mut sets: Vec<Vec<&VideoTrack>> = Vec::new();
    for track in tracks {
        let alike =
            |other: &&VideoTrack| same_video_coding(other, track) && key_id(other) == key_id(track);
        match sets.iter_mut().find(|set| set.first().is_some_and(alike)) {
            Some(set) => set.push(track),
            None => sets.push(vec![track]),
        }
    }
    sets
}

/// Whether two tracks have one codec and one range: a decoder of the one takes the other.
pub fn same_video_coding(a: &VideoTrack, b: &VideoTrack) -> bool {
    coding(a) == coding(b)
}

/// Codec, and transfer characteristics where they are of high dynamic range.
fn coding(track: &VideoTrack) -> (Option<VideoCodec>, Option<u8>) {
    let transfer = track.colour.transfer;
    let hdr = matches!(transfer, Colour::PQ | Colour::HLG).then_some(transfer);
    (VideoCodec::of_codecs(&track.common.codecs), hdr)
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn codec_and_range_part_the_sets() {
        let mut tracks = example::presentation().video;
        let mut hevc = tracks.clone();
        for track in &mut hevc {
            track.common.codecs = "hvc1.2.4.L120.B0".into();
        }
        hevc[2].colour.transfer = Colour::HLG;
        tracks.extend(hevc);
        let sizes: Vec<usize> = video_sets(&tracks).iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 2, 1]);
    }
}
