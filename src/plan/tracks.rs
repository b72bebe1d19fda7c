//! Which tracks of the source are used, and how the audio tracks are called.

use std::collections::BTreeMap;

use super::{Notes, limits};
use crate::error::{Error, Result};
use crate::media::{CHAPTERS_CODEC, Disposition, SourceIndex, SourceTrack, TrackKind, VideoInfo};

/// The tracks to make a presentation of, as indices into the source's tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The video track.
    pub(crate) video: Option<usize>,
    /// The audio tracks in the source's order.
    pub(crate) audio: Vec<usize>,
}

/// Takes the video track with the largest picture and every audio track that can be decoded;
/// what is left out is told.
pub(crate) fn choose(index: &SourceIndex, notes: &mut Notes) -> Result<Chosen> {
    let audio = choose_audio(index, notes);
    let video = choose_video(index, !audio.is_empty());
    for (at, track) in index.tracks.iter().enumerate() {
        // Sound and text are told of where they are chosen; chapters are no media.
        let elsewhere = matches!(track.kind, TrackKind::Audio(_) | TrackKind::Text)
            || track.codec.name() == CHAPTERS_CODEC;
        // Of sound alone it becomes the poster.
        let is_poster = video.is_none() && is_cover_picture(track);
        if Some(at) != video && !elsewhere && !is_poster {
            notes.warn(format!(
                "{} is left out: {}",
                title(track),
                why_not(track, video.is_some())
            ));
        }
    }
    if video.is_none() && audio.is_empty() {
        return Err(nothing_usable(index));
    }
    Ok(Chosen { video, audio })
}

/// The video track to use, if any.
pub(crate) fn choose_video(index: &SourceIndex, has_audio: bool) -> Option<usize> {
    let usable = index.tracks.iter().enumerate().filter_map(|(at, track)| {
        let info = video_info(track)?;
        let fits = is_usable(track) && !(has_audio && is_cover_picture(track));
        let area = u64::from(info.width) * u64::from(info.height);
        (fits && area > 0).then_some((at, area, track.disposition.default))
    });
    // Of equals the first: `max_by_key` gives the last, so the list is walked backwards.
    let usable: Vec<_> = usable.collect();
    let best = usable
        .iter()
        .rev()
        .max_by_key(|(_, area, default)| (*area, *default));
    best.map(|(at, _, _)| *at)
}

/// The audio tracks to use.
fn choose_audio(index: &SourceIndex, notes: &mut Notes) -> Vec<usize> {
    let mut chosen = Vec::new();
    for (at, track) in index.tracks.iter().enumerate() {
        if !matches!(track.kind, TrackKind::Audio(_)) {
            continue;
        }
        if !is_usable(track) {
            notes.warn(format!(
                "{} is left out: {}",
                title(track),
                why_not(track, false)
            ));
        } else if chosen.len() == limits::MAX_AUDIO_TRACKS {
            let most = limits::MAX_AUDIO_TRACKS;
            notes.warn(format!(
                "{} is left out: the limit is {most} audio tracks",
                title(track)
            ));
        } else {
            chosen.push(at);
        }
    }
    chosen
}

/// Whether there is an audio track that can be used.
pub(crate) fn has_audio(index: &SourceIndex) -> bool {
    let mut tracks = index.tracks.iter();
    tracks.any(|track| matches!(track.kind, TrackKind::Audio(_)) && is_usable(track))
}

/// What a video track says about its picture.
pub(crate) fn video_info(track: &SourceTrack) -> Option<&VideoInfo> {
    match &track.kind {
        TrackKind::Video(info) => Some(info),
        _ => None,
    }
}

fn is_usable(track: &SourceTrack) -> bool {
    track.codec.is_allowed() && !track.samples.is_empty() && has_sane_times(track)
}

/// Whether all times stay within what DASH can write (conformance D09): real titles stay far
/// below, and arithmetic on them can't overflow.
fn has_sane_times(track: &SourceTrack) -> bool {
    let (edit, samples) = (&track.edit, &track.samples);
    let ends = [samples.first_decode_time(), samples.end_decode_time()];
    let edits = [edit.delay, edit.media_start, edit.length.unwrap_or(0)];
    let mut times = ends.iter().chain(&edits);
    times.all(|time| time.unsigned_abs() < 1 << 53)
}

/// One still in a picture codec: what music files carry as their cover.
pub(super) fn is_cover_picture(track: &SourceTrack) -> bool {
    track.samples.len() == 1 && matches!(track.codec.name(), "mjpeg" | "png")
}

fn why_not(track: &SourceTrack, has_video: bool) -> String {
    match &track.kind {
        TrackKind::Text => "it is text alone".to_owned(),
        TrackKind::Other if is_cover_picture(track) => "it is a cover picture".to_owned(),
        TrackKind::Other => "it is neither picture nor sound".to_owned(),
        _ if track.samples.is_empty() => "it has no samples".to_owned(),
        _ if !track.codec.is_allowed() => format!("codec {} is not supported", track.codec),
        _ if !has_sane_times(track) => "its timestamps are beyond any title".to_owned(),
        _ if has_video => "another video track is larger or comes first".to_owned(),
        _ if is_cover_picture(track) => "it is a cover picture".to_owned(),
        _ => "its picture has no size".to_owned(),
    }
}

fn nothing_usable(index: &SourceIndex) -> Error {
    if index.tracks.is_empty() {
        return Error::invalid("the source has no tracks");
    }
    let reasons = index
        .tracks
        .iter()
        .map(|track| format!("{}: {}", title(track), why_not(track, false)));
    let reasons: Vec<String> = reasons.collect();
    let text = format!("no track can be used ({})", reasons.join("; "));
    let empty = index.tracks.iter().all(|track| track.samples.is_empty());
    if empty {
        Error::invalid(text)
    } else {
        Error::unsupported(text)
    }
}

/// How messages call a track.
pub(crate) fn title(track: &SourceTrack) -> String {
    format!(
        "{} track {} ({})",
        track.kind.word(),
        track.number,
        track.codec
    )
}

/// How an audio track appears in manifests and URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// `a-en`, or `a-en-2` for the second of a language.
    pub(crate) id: String,
    /// BCP 47 tag.
    pub(crate) language: String,
    /// Distinct among all labels.
    pub(crate) name: String,
    /// Exactly one label is.
    pub(crate) default: bool,
    /// What the track is marked as, but for `default`.
    pub(crate) disposition: Disposition,
}

/// Names the audio tracks: ids and names are distinct, one is the default.
pub(crate) fn labels(index: &SourceIndex, audio: &[usize]) -> Vec<Label> {
    let default = default_of(index, audio);
    let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
    let label = |(position, at): (usize, &usize)| {
        let track = &index.tracks[*at];
        let language = language_tag(&track.language);
        let own_name = track
            .name
            .as_deref()
            .map(clean_name)
            .filter(|name| !name.is_empty());
        let disposition = Disposition {
            default: false,
            ..track.disposition
        };
        let name = own_name.unwrap_or_else(|| plain_name(&language, disposition));
        Label {
            id: numbered(
                &mut ids,
                format!("a-{}", language.to_ascii_lowercase()),
                "-",
            ),
            name: numbered(&mut names, name, " "),
            language,
            default: position == default,
            disposition,
        }
    };
    audio.iter().enumerate().map(label).collect()
}

/// Which of the audio tracks plays when nobody chose: the first that the source marks, but none
/// that is described or commented as long as there is another.
fn default_of(index: &SourceIndex, audio: &[usize]) -> usize {
    let marks = |at: &usize| index.tracks[*at].disposition;
    let plain = |at: &usize| !marks(at).is_special();
    let marked = audio.iter().position(|at| plain(at) && marks(at).default);
    let marked = marked.or_else(|| audio.iter().position(plain));
    marked
        .or_else(|| audio.iter().position(|at| marks(at).default))
        .unwrap_or(0)
}

/// The name of a track that has none of its own.
fn plain_name(language: &str, marks: Disposition) -> String {
    let language = language_name(language);
    match (marks.visual_impaired, marks.commentary) {
        (true, _) => format!("{language} (audio description)"),
        (false, true) => format!("{language} (commentary)"),
        (false, false) => language.to_owned(),
    }
}

/// `base`, or `base-2` when it was given out before.
pub(crate) fn numbered(seen: &mut BTreeMap<String, u32>, base: String, separator: &str) -> String {
    let mut candidate = base.clone();
    let mut count = *seen.get(&base).unwrap_or(&0);
    while count > 0 || seen.contains_key(&candidate) {
        count += 1;
        candidate = format!("{base}{separator}{count}");
        if !seen.contains_key(&candidate) {
            break;
        }
    }
    seen.insert(base, count.max(1));
    seen.insert(candidate.clone(), 1);
    candidate
}

/// A tag of letters, digits and hyphens (RFC 5646, 2.1), or `und`.
fn language_tag(text: &str) -> String {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let first = text.split('-').next().unwrap_or_default();
    let letters = (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    if plain && letters && text.len() <= 35 {
        text.to_owned()
    } else {
        "und".to_owned()
    }
}

/// Without what an HLS quoted string may not hold (RFC 8216bis, 4.2), at most 60 characters.
pub(crate) fn clean_name(name: &str) -> String {
    let allowed = name.chars().filter(|c| !c.is_control() && *c != '"');
    allowed.take(60).collect::<String>().trim().to_owned()
}

/// The language's name for itself, where it is a common one; else its tag.
fn language_name(tag: &str) -> &str {
    let primary = tag.split('-').next().unwrap_or(tag);
    match primary {
        "ar" => "العربية",
        "cs" => "Čeština",
        "da" => "Dansk",
        "de" => "Deutsch",
        "el" => "Ελληνικά",
        "en" => "English",
        "es" => "Español",
        "fi" => "Suomi",
        "fr" => "Français",
        "he" => "עברית",
        "hi" => "हिन्दी",
        "hu" => "Magyar",
        "id" => "Bahasa Indonesia",
        "it" => "Italiano",
        "ja" => "日本語",
        "ko" => "한국어",
        "nl" => "Nederlands",
        "no" | "nb" => "Norsk",
        "pl" => "Polski",
        "pt" => "Português",
        "ro" => "Română",
        "ru" => "Русский",
        "sv" => "Svenska",
        "th" => "ไทย",
        "tr" => "Türkçe",
        "uk" => "Українська",
        "vi" => "Tiếng Việt",
        "zh" => "中文",
        "und" => "Audio",
        _ => tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;
    use crate::plan::fixture;

    fn index(tracks: Vec<SourceTrack>) -> SourceIndex {
        fixture::index(tracks)
    }

    #[test]
    fn the_largest_picture_is_taken_and_the_rest_is_told() {
        let small = fixture::video(
            &fixture::Shape {
                size: (320, 180),
                ..Default::default()
            },
            10,
        );
        let large = fixture::video(&fixture::Shape::default(), 10);
        let text = SourceTrack {
            kind: TrackKind::Text,
            ..small.clone()
        };
        let source = index(vec![small, text, large, fixture::aac(10)]);
        let mut notes = Notes::default();
        let chosen = choose(&source, &mut notes).expect("usable");
        assert_eq!(
            chosen,
            Chosen {
                video: Some(2),
                audio: vec![3]
            }
        );
        assert_eq!(notes.warnings.len(), 1);
    }

    #[test]
    fn a_cover_picture_is_no_video() {
        let mut cover = fixture::video(&fixture::Shape::default(), 1);
        cover.codec = Codec::Known("mjpeg");
        let source = index(vec![fixture::aac(100), cover.clone()]);
        let chosen = choose(&source, &mut Notes::default()).expect("usable");
        assert_eq!(chosen.video, None);
        let alone = choose(&index(vec![cover]), &mut Notes::default()).expect("usable");
        assert_eq!(alone.video, Some(0));
    }

    #[test]
    fn nothing_usable_names_each_track_and_why() {
        let mut odd = fixture::video(&fixture::Shape::default(), 3);
        odd.codec = Codec::Other("xyz1".into());
        let error = choose(&index(vec![odd]), &mut Notes::default()).expect_err("unusable");
        assert_eq!(
            error.to_string(),
            "no track can be used (video track 1 (xyz1): codec xyz1 is not supported)"
        );
        let error = choose(&index(vec![]), &mut Notes::default()).expect_err("empty");
        assert_eq!(error.to_string(), "the source has no tracks");
    }

    #[test]
    fn ids_and_names_are_distinct() {
        let mut tracks: Vec<_> = ["en", "en", "fr", "en-2", "x\"y"]
            .iter()
            .map(|language| {
                let mut track = fixture::aac(10);
                track.language = (*language).to_owned();
                track
            })
            .collect();
        tracks[2].disposition.default = true;
        let source = index(tracks);
        let labels = labels(&source, &[0, 1, 2, 3, 4]);
        let ids: Vec<_> = labels.iter().map(|label| label.id.as_str()).collect();
        assert_eq!(ids, ["a-en", "a-en-2", "a-fr", "a-en-2-2", "a-und"]);
        let names: Vec<_> = labels.iter().map(|label| label.name.as_str()).collect();
        assert_eq!(
            names,
            ["English", "English 2", "Français", "English 3", "Audio"]
        );
        assert_eq!(labels.iter().filter(|label| label.default).count(), 1);
        assert!(labels[2].default);
    }

    #[test]
    fn described_and_commented_sound_is_named_and_never_the_default() {
        let marked = |visual_impaired, commentary| {
            let mut track = fixture::aac(10);
            track.disposition = Disposition {
                default: true,
                visual_impaired,
                commentary,
                ..Disposition::default()
            };
            track
        };
        let source = index(vec![
            marked(true, false),
            marked(false, true),
            fixture::aac(10),
        ]);
        let made = labels(&source, &[0, 1, 2]);
        let names: Vec<_> = made.iter().map(|label| label.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "English (audio description)",
                "English (commentary)",
                "English"
            ]
        );
        assert!(made[2].default && !made[0].default);
        assert!(labels(&source, &[0])[0].default, "an only track is it");
    }
}
