//! What was written, read by someone else: m3u8-rs must see in a playlist what our reader sees.

use m3u8_rs::Playlist as Theirs;

use super::playlist::{MediaPlaylist, MultivariantPlaylist, Playlist as Ours, Variant};
use super::read::read;
use crate::error::{Error, Result};

/// Fails unless m3u8-rs reads `text` and agrees with our reader on what players act on, and our
/// reader has no complaint.
///
/// For playlists that we wrote. m3u8-rs sees durations as `f32` and no attribute that it doesn't
/// know, so it can't vouch for those.
pub fn check(text: &str) -> Result<()> {
    let ours = read(text)?;
    if let Some(problem) = ours.document().problems.first() {
        let message = format!(
            "written playlist, line {}: {}",
            problem.line, problem.message
        );
        return Err(Error::internal(message));
    }
    let theirs = m3u8_rs::parse_playlist_res(text.as_bytes())
        .map_err(|e| Error::internal(format!("m3u8-rs can't read the written playlist: {e}")))?;
    let agreed = match (&ours, &theirs) {
        (Ours::Multivariant(ours), Theirs::MasterPlaylist(theirs)) => {
            compare_multivariant(ours, theirs)
        }
        (Ours::Media(ours), Theirs::MediaPlaylist(theirs)) => compare_media(ours, theirs),
        _ => Err("the kind of playlist"),
    };
    agreed.map_err(|what| {
        Error::internal(format!(
            "m3u8-rs reads {what} of the written playlist differently"
        ))
    })
}

/// `Err` names what differs.
type Agreement = Result<(), &'static str>;

fn same<T: PartialEq>(ours: T, theirs: T, what: &'static str) -> Agreement {
    if ours == theirs { Ok(()) } else { Err(what) }
}

fn compare_multivariant(
    ours: &MultivariantPlaylist,
    theirs: &m3u8_rs::MasterPlaylist,
) -> Agreement {
    let independent = (ours.independent_segments, theirs.independent_segments);
    same(independent.0, independent.1, "EXT-X-INDEPENDENT-SEGMENTS")?;
    // They list both kinds of variant together.
    let (i_frames, variants): (Vec<_>, Vec<_>) = theirs.variants.iter().partition(|v| v.is_i_frame);
    let pairs = [
        (&ours.variants, variants),
        (&ours.i_frame_variants, i_frames),
    ];
    for (ours, theirs) in pairs {
        compare_variants(ours, &theirs)?;
    }
    same(
        ours.renditions.len(),
        theirs.alternatives.len(),
        "the number of renditions",
    )?;
    for (ours, theirs) in ours.renditions.iter().zip(&theirs.alternatives) {
        same(ours.uri(), theirs.uri.as_deref(), "a rendition's URI")?;
        same(ours.group_id(), Some(theirs.group_id.as_str()), "GROUP-ID")?;
        same(ours.name(), Some(theirs.name.as_str()), "NAME")?;
        same(ours.language(), theirs.language.as_deref(), "LANGUAGE")?;
        same(ours.is_default(), theirs.default, "DEFAULT")?;
        same(ours.is_autoselect(), theirs.autoselect, "AUTOSELECT")?;
        same(ours.channels(), theirs.channels.as_deref(), "CHANNELS")?;
        same(ours.is_forced(), theirs.forced, "FORCED")?;
        same(
            ours.characteristics(),
            theirs.characteristics.as_deref(),
            "CHARACTERISTICS",
        )?;
    }
    Ok(())
}

fn compare_variants(ours: &[Variant], theirs: &[&m3u8_rs::VariantStream]) -> Agreement {
    same(ours.len(), theirs.len(), "the number of variants")?;
    for (ours, theirs) in ours.iter().zip(theirs) {
        let average = theirs.average_bandwidth;
        let resolution = theirs.resolution.map(|r| (r.width, r.height));
        let ours_resolution = ours.resolution().map(|(w, h)| (u64::from(w), u64::from(h)));
        same(ours.uri.as_str(), &theirs.uri, "a variant's URI")?;
        same(ours.bandwidth_bps(), Some(theirs.bandwidth), "BANDWIDTH")?;
        same(ours.average_bandwidth_bps(), average, "AVERAGE-BANDWIDTH")?;
        same(ours.codecs(), theirs.codecs.as_deref(), "CODECS")?;
        same(ours_resolution, resolution, "RESOLUTION")?;
        same(ours.audio(), theirs.audio.as_deref(), "AUDIO")?;
        same(ours.subtitles(), theirs.subtitles.as_deref(), "SUBTITLES")?;
    }
    Ok(())
}

fn compare_media(ours: &MediaPlaylist, theirs: &m3u8_rs::MediaPlaylist) -> Agreement {
    let target = Some(theirs.target_duration);
    same(ours.target_duration, target, "EXT-X-TARGETDURATION")?;
    same(
        ours.media_sequence,
        theirs.media_sequence,
        "EXT-X-MEDIA-SEQUENCE",
    )?;
    same(ours.end_list, theirs.end_list, "EXT-X-ENDLIST")?;
    same(
        ours.segments.len(),
        theirs.segments.len(),
        "the number of segments",
    )?;
    let mut map = None;
    for (segment, theirs) in ours.segments.iter().zip(&theirs.segments) {
        same(segment.uri.as_str(), &theirs.uri, "a segment's URI")?;
        let seconds = segment.duration.seconds();
        // An f32 has 24 bits: a ten-millionth of the value, and then some.
        let tolerance = 1e-6 + seconds * 1e-6;
        let close = (seconds - f64::from(theirs.duration)).abs() <= tolerance;
        same(close, true, "EXTINF")?;
        // m3u8-rs gives a map to the segment that it stands before, and no other.
        map = theirs.map.as_ref().or(map);
        let ours_map = ours.map_of(segment).map(|map| map.uri.as_str());
        same(ours_map, map.map(|map| map.uri.as_str()), "EXT-X-MAP")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_playlists_pass() {
        let media = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i\"\n\
                     #EXTINF:4.004000,\n1.m4s\n#EXTINF:3600.123456,\n2.m4s\n#EXT-X-ENDLIST\n";
        check(media).expect("passes");
    }

    #[test]
    fn what_our_reader_minds_fails() {
        let error = check("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:x,\n1.m4s\n");
        assert!(error.expect_err("fails").to_string().contains("line 3"));
    }

    #[test]
    fn what_the_readers_see_differently_fails() {
        // m3u8-rs reads a number too large for 64 bits as something else, or not at all.
        let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=99999999999999999999\nv\n";
        assert!(check(text).is_err());
    }
}
