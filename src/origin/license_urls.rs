//! Where players ask for licences, in an MPD: whole URLs (`dashif:Laurl`, DASH-IF IOP part 6 section
//! 4.3.2). Players take what stands there relative to the page that they run in rather than to the MPD,
//! and what is stored can't know which host it is played from.

use std::ops::Range;

use quick_xml::events::Event;
use quick_xml::reader::Reader;
use url::Url;

use super::carry::is_relative;

/// The element's name without its prefix.
const ELEMENT: &str = "Laurl";

/// `mpd` with its relative licence URLs resolved against `url`, its own; `None` where it has none.
pub(super) fn made_whole(mpd: &[u8], url: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(mpd).ok()?;
    // Most have none, and needn't be read.
    text.contains(ELEMENT).then_some(())?;
    let base = Url::parse(url).ok()?;
    let mut whole = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for place in places(text)? {
        let Some((path, rest)) = relative(&text[place.clone()]) else {
            continue;
        };
        let resolved = base.join(path).ok()?;
        whole.push_str(&text[done..place.start]);
        whole.push_str(&quick_xml::escape::escape(resolved.as_str()));
        whole.push_str(rest);
        done = place.end;
    }
    whole.push_str(&text[done..]);
    (done > 0).then(|| whole.into_bytes())
}

/// The path of a relative URL, and what follows it; `None` for any other, and for a path that would
/// have to be unescaped.
fn relative(text: &str) -> Option<(&str, &str)> {
    let url = text.trim();
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (path, rest) = url.split_at(end);
    (is_relative(path) && !path.contains(['&', '<'])).then_some((path, rest))
}

/// Where the texts of the elements are; `None` for what is no XML.
fn places(text: &str) -> Option<Vec<Range<usize>>> {
    let mut reader = Reader::from_str(text);
    let (mut places, mut begins) = (Vec::new(), None);
    loop {
        let at = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Eof => return Some(places),
            Event::Start(start) => {
                let name = start.local_name();
                let end = usize::try_from(reader.buffer_position()).ok()?;
                begins = (AsRef::<str>::as_ref(&name) == ELEMENT).then_some(end);
            }
            Event::End(_) => places.extend(begins.take().map(|begins| begins..at)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://media.example.org/a/v/cats/0123/manifest.mpd";

    fn whole(mpd: &str) -> Option<String> {
        made_whole(mpd.as_bytes(), URL).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn relative_urls_are_resolved_where_the_mpd_is_and_keep_their_query() {
        let mpd = "<MPD><a><dashif:Laurl Lic_type=\"EME-1.0\">../keys/clearkey?a=b&amp;c=/d</dashif:Laurl></a>\
            <Laurl> keys/clearkey </Laurl><Laurl>https://l.example/x</Laurl><b/></MPD>";
        let wanted = "<MPD><a><dashif:Laurl Lic_type=\"EME-1.0\">\
            https://media.example.org/a/v/cats/keys/clearkey?a=b&amp;c=/d</dashif:Laurl></a>\
            <Laurl>https://media.example.org/a/v/cats/0123/keys/clearkey</Laurl>\
            <Laurl>https://l.example/x</Laurl><b/></MPD>";
        assert_eq!(whole(mpd).as_deref(), Some(wanted));
    }

    #[test]
    fn what_has_none_stays_as_it_is() {
        for mpd in [
            "<MPD/>",
            "<MPD><Laurl>https://l.example/x</Laurl></MPD>",
            "<MPD><Laurl>//l.example/x</Laurl></MPD>",
            "<MPD><Laurl/><Laurl></Laurl></MPD>",
            "<MPD><Laurl>keys",
            "<MPD><!-- <Laurl>keys</Laurl> --></MPD>",
        ] {
            assert_eq!(whole(mpd), None, "{mpd}");
        }
        assert_eq!(made_whole(b"\xff Laurl", URL), None);
        assert_eq!(made_whole(b"<Laurl>x</Laurl>", "nowhere"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(<Laurl>|</Laurl>|[a-z<>/?&;#.\"' é]){0,30}") {
            whole(&text);
        }
    }
}
