//! The objects that a manifest names: one playlist, one init segment and one segment are enough to
//! know how all of their sort are delivered.

use url::Url;

use super::evidence::Role;
use crate::hls::Playlist;
use crate::{dash, hls};

/// Objects that a manifest names.
pub(super) type Named = Vec<(Role, Url)>;

/// What the manifest at `base` names first of each sort. For a multivariant playlist that is a
/// media playlist, which must be read in turn.
pub(super) fn named_in(base: &Url, body: &[u8]) -> Result<Named, String> {
    let text = std::str::from_utf8(body).map_err(|_| format!("{base}: not UTF-8"))?;
    if text.trim_start_matches('\u{feff}').starts_with("#EXTM3U") {
        return in_playlist(base, text);
    }
    in_mpd(base, text)
}

fn in_playlist(base: &Url, text: &str) -> Result<Named, String> {
    let playlist = hls::read(text).map_err(|e| format!("{base}: {e}"))?;
    let mut named = Named::new();
    match playlist {
        Playlist::Multivariant(playlist) => {
            let variant = playlist.variants.first();
            let variant = variant.ok_or_else(|| format!("{base}: names no variant"))?;
            push(&mut named, Role::Playlist, base, &variant.uri)?;
        }
        Playlist::Media(playlist) => {
            let segment = playlist.segments.iter().find(|segment| !segment.gap);
            let segment = segment.ok_or_else(|| format!("{base}: names no segment"))?;
            if let Some(map) = playlist.map_of(segment) {
                push(&mut named, Role::Init, base, &map.uri)?;
            }
            push(&mut named, Role::Segment, base, &segment.uri)?;
        }
    }
    Ok(named)
}

fn in_mpd(base: &Url, text: &str) -> Result<Named, String> {
    let mpd =
        dash::read(text).map_err(|e| format!("{base}: neither a playlist nor an MPD: {e}"))?;
    let first = mpd.representations().next();
    let (_, _, representation) = first.ok_or_else(|| format!("{base}: has no Representation"))?;
    let mut named = Named::new();
    let at = |e| format!("{base}: {e}");
    if let Some(init) = representation.initialization() {
        let init = representation.locate(&init.map_err(at)?.url);
        push(&mut named, Role::Init, base, &init)?;
    }
    match representation.segments().next() {
        Some(segment) => {
            let segment = representation.locate(&segment.map_err(at)?.url);
            push(&mut named, Role::Segment, base, &segment)?;
        }
        // One file is all: its base URL.
        None => push(&mut named, Role::Segment, base, &representation.locate(""))?,
    }
    Ok(named)
}

fn push(named: &mut Named, role: Role, base: &Url, reference: &str) -> Result<(), String> {
    let url = base.join(reference);
    let url = url.map_err(|e| format!("{base}: {reference} is no URL: {e}"))?;
    named.push((role, url));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Result<Vec<(Role, String)>, String> {
        let base = Url::parse("https://h/v/a/i.m3u8").expect("a URL");
        let named = named_in(&base, body.as_bytes())?;
        Ok(named
            .into_iter()
            .map(|(role, url)| (role, url.path().to_owned()))
            .collect())
    }

    #[test]
    fn each_manifest_names_what_is_next() {
        let multivariant = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nr/v/index.m3u8\n";
        assert_eq!(
            found(multivariant).expect("reads"),
            [(Role::Playlist, "/v/a/r/v/index.m3u8".into())]
        );
        let media = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2,\n/1.m4s\n#EXTINF:2,\n2.m4s\n";
        assert_eq!(
            found(media).expect("reads"),
            [
                (Role::Init, "/v/a/init.mp4".into()),
                (Role::Segment, "/1.m4s".into())
            ]
        );
        let mpd = "<MPD mediaPresentationDuration='PT4S'><Period><AdaptationSet><SegmentTemplate duration='2' \
                   initialization='$RepresentationID$/i.mp4' media='$RepresentationID$/$Number$.m4s'/>\
                   <Representation id='v'/></AdaptationSet></Period></MPD>";
        assert_eq!(
            found(mpd).expect("reads"),
            [
                (Role::Init, "/v/a/v/i.mp4".into()),
                (Role::Segment, "/v/a/v/1.m4s".into())
            ]
        );
    }

    #[test]
    fn what_names_nothing_says_so() {
        for body in [
            "",
            "<html/>",
            "#EXTM3U\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n",
            "<MPD/>",
        ] {
            assert!(found(body).is_err(), "{body}");
        }
    }
}
