//! Captions for a presentation that is there already: a text file becomes a track and its objects.
//!
//! Pure: nothing is read or stored here. Media isn't touched; who stores the objects then renders
//! the manifests anew from the presentation with the track in it. The objects' folder carries a
//! digest of the text, so that replaced captions have other URLs, and what caches hold stays true.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::hls;
use crate::layout::Key;
use crate::media::{LanguageTag, Presentation, SegmentInfo, TextKind, TextTrack, TrackCommon};
use crate::text::{self, Cues, Parsed};
use crate::time::{Ticks, Timescale};

/// Changes whenever equal text would be written as other bytes: it goes into the digest.
const FORMAT_VERSION: &[u8] = b"headwater text 1\n";

/// Longest name to show, in characters.
const MAX_NAME_CHARS: usize = 100;

/// What is known of a text file besides its bytes.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    /// BCP 47 tag.
    pub language: &'a str,
    /// Name shown to people; empty for the language's own name of itself, with a word for the kind
    /// unless that is subtitles.
    pub name: &'a str,
    /// What it is for.
    pub kind: TextKind,
    /// Shown when the user chose nothing.
    pub default: bool,
}

/// A text track with everything to store for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Captions {
    /// The track, for the presentation: [`put`].
    pub track: TextTrack,
    /// Its objects: segments, the whole text, the media playlist last.
    pub objects: Vec<(Key, Bytes)>,
    /// What was left out or guessed, in words.
    pub warnings: Vec<String>,
}

/// Makes a text track of the WebVTT or SubRip file `body`, cut on the presentation's grid.
///
/// # Errors
/// As [`text::parse`], and `Invalid` for a language that is none, a name that can't be shown, or
/// text without a cue within the presentation.
pub fn objects(presentation: &Presentation, labels: &Labels<'_>, body: &[u8]) -> Result<Captions> {
    let language = LanguageTag::parse(labels.language)?;
    let labelled = Labelled {
        id: &TextTrack::id_of(&language, labels.kind),
        name: &shown_name(labels.name, &language, labels.kind)?,
        language: &language,
        kind: labels.kind,
        default: labels.default,
    };
    let parsed = text::parse(body)?;
    track(presentation, &labelled, parsed, body)
}

/// A text track that is all called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labelled<'a> {
    /// Name in manifests.
    pub(super) id: &'a str,
    /// Language of the text.
    pub(super) language: &'a LanguageTag,
    /// Name shown to people.
    pub(super) name: &'a str,
    /// What it is for.
    pub(super) kind: TextKind,
    /// Shown when the user chose nothing.
    pub(super) default: bool,
}

/// Makes a text track of what was read from the source itself.
///
/// # Errors
/// As [`objects`].
pub(super) fn embedded(
    presentation: &Presentation,
    labelled: &Labelled<'_>,
    parsed: Parsed,
) -> Result<Captions> {
    let whole = text::write(&parsed.cues);
    track(presentation, labelled, parsed, whole.as_bytes())
}

/// Makes a text track; `body` is what its digest stands for.
fn track(
    presentation: &Presentation,
    labelled: &Labelled<'_>,
    parsed: Parsed,
    body: &[u8],
) -> Result<Captions> {
    let (mut cues, mut warnings) = (parsed.cues, parsed.warnings);
    warnings.extend(cut_at_end(&mut cues, presentation.duration)?);
    let (timescale, durations) = grid(presentation)?;
    let segments = text::segments(&cues, &ends(&durations, timescale))?;
    let whole = text::write(&cues);
    let sizes = durations.iter().zip(&segments);
    let track = TextTrack {
        digest: digest(labelled, body),
        id: labelled.id.to_owned(),
        language: labelled.language.clone(),
        name: labelled.name.to_owned(),
        kind: labelled.kind,
        default: labelled.default,
        bytes: whole.len() as u64,
        timescale,
        segments: sizes
            .map(|(duration, segment)| SegmentInfo {
                duration: *duration,
                bytes: segment.len() as u64,
            })
            .collect(),
    };
    let objects = keyed(&presentation.revision, &track, segments, whole)?;
    Ok(Captions {
        track,
        objects,
        warnings,
    })
}

/// Puts a track into a presentation, in the place of the one of the same language and kind if there
/// is one. A new default takes that from the old.
pub fn put(tracks: &mut Vec<TextTrack>, track: TextTrack) {
    if track.default {
        for other in tracks.iter_mut() {
            other.default = false;
        }
    }
    match tracks.iter_mut().find(|other| other.id == track.id) {
        Some(place) => *place = track,
        None => tracks.push(track),
    }
}

fn shown_name(name: &str, language: &LanguageTag, kind: TextKind) -> Result<String> {
    let name = name.trim();
    if name.chars().count() > MAX_NAME_CHARS || name.contains(char::is_control) {
        let message = format!(
            "a name to show has at most {MAX_NAME_CHARS} characters and no control characters"
        );
        return Err(Error::invalid(message));
    }
    let own_name = language.own_name().unwrap_or(language.as_str());
    Ok(match (name, kind) {
        ("", TextKind::Subtitles) => own_name.to_owned(),
        ("", TextKind::Captions) => format!("{own_name} (CC)"),
        ("", TextKind::Forced) => format!("{own_name} (forced)"),
        (name, _) => name.to_owned(),
    })
}

fn cut_at_end(cues: &mut Cues, end: Ticks) -> Result<Option<String>> {
    let dropped = cues.cut_at(end);
    if cues.cues().is_empty() {
        return Err(Error::invalid(match dropped {
            0 => "the file has no cues".to_owned(),
            _ => format!(
                "all {dropped} cues start after the title ends, at {end} s; \
                 these are the captions of another title"
            ),
        }));
    }
    let are = match dropped {
        0 => return Ok(None),
        1 => "1 cue that starts after the title ends is",
        _ => &format!("{dropped} cues that start after the title ends are"),
    };
    Ok(Some(format!("{are} left out; it ends at {end} s")))
}

/// The segments of text in ticks: on the grid of the video, or without video that of the first
/// sound.
fn grid(presentation: &Presentation) -> Result<(Timescale, Vec<u64>)> {
    let video = presentation.video.iter().map(|track| &track.common);
    let audio = presentation.audio.iter().map(|track| &track.common);
    let track: &TrackCommon = video
        .chain(audio)
        .next()
        .ok_or_else(|| Error::internal("captions for a presentation without tracks"))?;
    let durations: Vec<u64> = track.segments.iter().map(|s| s.duration).collect();
    let merged = text::merge(&durations, track.timescale);
    if merged.is_empty() {
        return Err(Error::internal(
            "captions for a presentation without segments",
        ));
    }
    Ok((track.timescale, merged))
}

fn ends(durations: &[u64], timescale: Timescale) -> Vec<Ticks> {
    let mut end = 0_i64;
    let mut ends = Vec::with_capacity(durations.len());
    for duration in durations {
        end = end.saturating_add(i64::try_from(*duration).unwrap_or(i64::MAX));
        ends.push(Ticks::new(end, timescale));
    }
    ends
}

/// 16 hexadecimal digits for the file as that track: one file in two tracks is two folders, so that
/// either can be taken away.
fn digest(labelled: &Labelled<'_>, body: &[u8]) -> String {
    let (language, kind) = (labelled.language, labelled.kind);
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORMAT_VERSION);
    hasher.update(format!("{language} {}\n", kind.name()).as_bytes());
    if labelled.id != TextTrack::id_of(language, kind) {
        hasher.update(format!("{}\n", labelled.id).as_bytes());
    }
    hasher.update(body);
    let mut digits = hasher.finalize().to_hex().to_string();
    digits.truncate(16);
    digits
}

fn keyed(
    revision: &str,
    track: &TextTrack,
    segments: Vec<String>,
    whole: String,
) -> Result<Vec<(Key, Bytes)>> {
    let revision = || revision.to_owned();
    let (language, digest) = (|| track.language.clone(), || track.digest.clone());
    let mut objects = Vec::with_capacity(segments.len() + 2);
    for (number, segment) in (1..).zip(segments) {
        let key = Key::TextSegment {
            revision: revision(),
            language: language(),
            digest: digest(),
            number,
        };
        objects.push((key, segment.into()));
    }
    let key = Key::WholeText {
        revision: revision(),
        language: language(),
        digest: digest(),
    };
    objects.push((key, whole.into()));
    let key = Key::TextPlaylist {
        revision: revision(),
        language: language(),
        digest: digest(),
    };
    objects.push((key, hls::text_playlist(track)?.into()));
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::media::example;

    const BODY: &[u8] = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n\
                          2\n00:00:09,000 --> 00:00:30,000\nlong\n\n\
                          3\n00:00:11,000 --> 00:00:12,000\ntoo late\n";

    fn labels() -> Labels<'static> {
        Labels {
            language: "pt-br",
            name: "",
            kind: TextKind::Captions,
            default: true,
        }
    }

    #[test]
    fn a_file_becomes_a_track_with_objects_under_its_digest() {
        let presentation = example::presentation();
        let captions = objects(&presentation, &labels(), BODY).expect("captions");
        let track = &captions.track;
        assert_eq!(track.id, "t-pt-BR-captions");
        assert_eq!(track.name, "Português (Brasil) (CC)");
        let lasting: u64 = track.segments.iter().map(|segment| segment.duration).sum();
        assert_eq!(lasting, 300_300);
        let keys: Vec<String> = captions
            .objects
            .iter()
            .map(|(k, _)| k.to_string())
            .collect();
        let folder = format!("{}/text/pt-BR/{}", presentation.revision, track.digest);
        let names = ["1.vtt", "whole.vtt", "index.m3u8"];
        assert_eq!(keys, names.map(|name| format!("{folder}/{name}")));
        for (key, _) in &captions.objects {
            assert_eq!(Key::parse(&key.to_string()).as_ref(), Some(key));
        }
        assert_eq!(captions.warnings.len(), 1, "{:?}", captions.warnings);
        assert!(captions.warnings[0].starts_with("1 cue that starts after"));
    }

    #[test]
    fn equal_text_is_equal_objects_and_other_text_has_other_urls() {
        let presentation = example::presentation();
        let captions = |body| objects(&presentation, &labels(), body).expect("captions");
        assert_eq!(captions(BODY), captions(BODY));
        let other = captions(b"00:00:01,000 --> 00:00:02,000\nother");
        assert_ne!(other.track.digest, captions(BODY).track.digest);
        let forced = Labels {
            kind: TextKind::Forced,
            ..labels()
        };
        let forced = objects(&presentation, &forced, BODY).expect("captions");
        assert_ne!(forced.track.digest, captions(BODY).track.digest);
    }

    #[test]
    fn what_could_never_be_shown_is_refused() {
        let presentation = example::presentation();
        let late = b"01:00:00,000 --> 01:00:02,000\nx";
        for body in [&b"WEBVTT\n"[..], late] {
            let error = objects(&presentation, &labels(), body).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
        let named = |language, name| Labels {
            language,
            name,
            ..labels()
        };
        assert!(objects(&presentation, &named("english!", ""), BODY).is_err());
        assert!(objects(&presentation, &named("en", "a\nb"), BODY).is_err());
    }

    #[test]
    fn a_track_takes_the_place_of_its_like_and_one_is_the_default() {
        let mut tracks = example::with_text().text;
        let new = TextTrack {
            digest: "f".repeat(16),
            ..example::text("en", "English", TextKind::Captions, true)
        };
        put(&mut tracks, new.clone());
        put(
            &mut tracks,
            example::text("de", "Deutsch", TextKind::Subtitles, false),
        );
        let defaults: Vec<bool> = tracks.iter().map(|track| track.default).collect();
        assert_eq!(defaults, [false, true, false, false]);
        assert_eq!(tracks[1], new);
    }

    #[test]
    fn manifests_render_with_the_track() {
        let mut presentation = example::presentation();
        let captions = objects(&presentation, &labels(), BODY).expect("captions");
        put(&mut presentation.text, captions.track);
        let playlist = hls::multivariant(&presentation, "x/").expect("renders");
        assert!(playlist.contains("URI=\"x/text/pt-BR/"));
        assert!(crate::dash::mpd(&presentation, "x/").is_ok());
    }
}
