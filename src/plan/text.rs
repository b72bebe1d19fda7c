//! Which text of the source becomes tracks, and how they are called.

use std::collections::BTreeMap;

use super::tracks::{clean_name, numbered, title};
use super::{Inspection, Notes, limits};
use crate::media::{
    CaptionChannel, LanguageTag, SourceIndex, SourceTrack, TextFound, TextKind, TextRendition,
    TextSource, TrackKind,
};
use crate::time::{Rounding, Ticks};

/// What becomes of the text that was found. `origin` is the movie time of the presentation's
/// start, `main_language` that of its main sound.
pub(crate) fn plan(
    index: &SourceIndex,
    inspection: &Inspection,
    origin: Ticks,
    main_language: Option<&str>,
    notes: &mut Notes,
) -> Vec<TextRendition> {
    let taken = choose(index, inspection, notes);
    let default = default_of(index, &taken);
    let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
    let mut renditions = Vec::with_capacity(taken.len());
    for source in taken {
        let Some(track) = index.tracks.get(source.track()) else {
            continue;
        };
        let label = Label::of(track, source, main_language);
        let shown = label
            .name
            .unwrap_or_else(|| own_name(&label.language, label.kind));
        renditions.push(TextRendition {
            id: numbered(&mut ids, id_of(&label.language, label.kind), "-"),
            source,
            name: numbered(&mut names, shown, " "),
            language: label.language,
            kind: label.kind,
            default: default == Some(source),
            source_start: origin.to(track.timescale, Rounding::Nearest).count,
        });
    }
    renditions
}

/// The text to take: tracks in the source's order, then captions of the pictures.
fn choose(index: &SourceIndex, inspection: &Inspection, notes: &mut Notes) -> Vec<TextSource> {
    let mut taken = Vec::new();
    let has_cues = |found: &&TextFound| found.cues > 0;
    let is_unread = |found: &&TextFound| {
        let service = CaptionChannel::Service(1);
        let captions =
            matches!(found.source, TextSource::Captions { channel, .. } if channel == service);
        captions && !has_cues(found)
    };
    if inspection.text.iter().any(|found| is_unread(&found)) {
        notes.warn(
            "captions in the pictures are left out: CTA-708 without CTA-608 beside it is not read; \
             add them as WebVTT or SubRip",
        );
    }
    for (at, track) in index.tracks.iter().enumerate() {
        let of_track = |found: &&TextFound| found.source.track() == at;
        let found = inspection.text.iter().filter(of_track).filter(has_cues);
        let found: Vec<TextSource> = found.map(|found| found.source).collect();
        if found.is_empty() && track.kind == TrackKind::Text {
            notes.warn(format!("{} is left out: {}", title(track), why_not(track)));
        }
        taken.extend(found);
    }
    let captions = |source: &TextSource| matches!(source, TextSource::Captions { .. });
    taken.sort_by_key(captions);
    let most = limits::MAX_TEXT_TRACKS;
    for source in taken.iter().skip(most) {
        if let Some(track) = index.tracks.get(source.track()) {
            let left = title(track);
            notes.warn(format!(
                "{left} is left out: the limit is {most} text tracks"
            ));
        }
    }
    taken.truncate(most);
    taken
}

/// Why a text track is not taken, and what to do about it.
fn why_not(track: &SourceTrack) -> String {
    let name = track.codec.name();
    match name {
        "hdmv_pgs_subtitle" | "dvd_subtitle" | "dvb_subtitle" | "xsub" => {
            "its subtitles are pictures; have them read into WebVTT or SubRip (OCR) and add that \
             as captions"
                .to_owned()
        }
        "dvb_teletext" => "teletext is not read; export its subtitles as WebVTT or SubRip and add \
                           that as captions"
            .to_owned(),
        _ if track.samples.is_empty() => "it has no samples".to_owned(),
        _ if super::is_readable_text(track) => "it has no text that can be shown".to_owned(),
        _ => format!(
            "text as {name} is not read; export it as WebVTT or SubRip and add that as captions"
        ),
    }
}

/// The track that is shown when nobody chose: one that the container marks, where the mark tells
/// tracks apart. Many writers mark all.
fn default_of(index: &SourceIndex, taken: &[TextSource]) -> Option<TextSource> {
    let mut tracks = index.tracks.iter();
    let text = |track: &&SourceTrack| track.kind == TrackKind::Text;
    if tracks
        .by_ref()
        .filter(text)
        .all(|track| track.disposition.default)
    {
        return None;
    }
    let marked = |source: &&TextSource| {
        let track = index.tracks.get(source.track());
        matches!(source, TextSource::Track { .. })
            && track.is_some_and(|track| track.disposition.default)
    };
    taken.iter().find(marked).copied()
}

/// The name of the first text track of that language and kind.
fn id_of(language: &LanguageTag, kind: TextKind) -> String {
    crate::media::TextTrack::id_of(language, kind)
}

/// How a text track is called, before names and ids are made distinct.
struct Label {
    language: LanguageTag,
    name: Option<String>,
    kind: TextKind,
}

impl Label {
    fn of(track: &SourceTrack, source: TextSource, main_language: Option<&str>) -> Self {
        match source {
            TextSource::Track { .. } => Self::of_track(track),
            TextSource::Captions { channel, .. } => Self::of_channel(track, channel, main_language),
        }
    }

    fn of_track(track: &SourceTrack) -> Self {
        let name = track.name.as_deref().map(clean_name);
        let name = name.filter(|name| !name.is_empty());
        Self {
            language: tag(&track.language),
            kind: kind_of(track, name.as_deref()),
            name,
        }
    }

    /// Captions of the pictures say no language. The first channel has the programme's own; what
    /// others have, nobody knows.
    fn of_channel(
        track: &SourceTrack,
        channel: CaptionChannel,
        main_language: Option<&str>,
    ) -> Self {
        let is_first = matches!(
            channel,
            CaptionChannel::Line21(1) | CaptionChannel::Service(1)
        );
        let said = Some(track.language.as_str()).filter(|language| *language != "und");
        let language = said.or(main_language.filter(|_| is_first));
        let language = tag(language.unwrap_or("und"));
        let plain = own_name(&language, TextKind::Captions);
        Self {
            name: (!is_first).then(|| format!("{plain} {channel}")),
            language,
            kind: TextKind::Captions,
        }
    }
}

fn tag(language: &str) -> LanguageTag {
    LanguageTag::parse(language).unwrap_or_else(|_| LanguageTag::undetermined())
}

/// What the track is for, by its marks. `CC` in its name is none, because other tracks have that in
/// theirs, too.
fn kind_of(track: &SourceTrack, name: Option<&str>) -> TextKind {
    let name = name.unwrap_or_default().to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    if track.disposition.forced {
        TextKind::Forced
    } else if track.disposition.hearing_impaired || words.any(|word| word == "cc") {
        TextKind::Captions
    } else {
        TextKind::Subtitles
    }
}

/// The language's name for itself, with a word for the kind unless that is subtitles.
fn own_name(language: &LanguageTag, kind: TextKind) -> String {
    let name = match language.as_str() {
        "und" => "Subtitles",
        tag => language.own_name().unwrap_or(tag),
    };
    match kind {
        TextKind::Subtitles => name.to_owned(),
        TextKind::Captions if language.as_str() == "und" => "Captions".to_owned(),
        TextKind::Captions => format!("{name} (CC)"),
        TextKind::Forced => format!("{name} (forced)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Codec, Disposition};
    use crate::plan::fixture;
    use crate::time::Timescale;

    fn text(language: &str, codec: &str, marks: Disposition) -> SourceTrack {
        SourceTrack {
            kind: TrackKind::Text,
            codec: Codec::from_name(codec),
            language: language.to_owned(),
            timescale: Timescale::MILLIS,
            disposition: marks,
            ..fixture::aac(3)
        }
    }

    fn planned(tracks: Vec<SourceTrack>, found: &[TextFound]) -> (Vec<TextRendition>, Notes) {
        let inspection = Inspection {
            text: found.to_vec(),
            ..Inspection::default()
        };
        let mut notes = Notes::default();
        let origin = Ticks::new(1, Timescale::new(2).expect("non-zero"));
        let index = fixture::index(tracks);
        let text = plan(&index, &inspection, origin, Some("fr"), &mut notes);
        (text, notes)
    }

    fn found(track: usize) -> TextFound {
        TextFound {
            source: TextSource::Track { track },
            cues: 3,
        }
    }

    #[test]
    fn tracks_of_one_language_and_kind_have_names_of_their_own() {
        let none = Disposition::default();
        let marked = |forced, hearing_impaired, default| Disposition {
            forced,
            hearing_impaired,
            default,
            ..none
        };
        let tracks = vec![
            text("en", "subrip", none),
            text("en", "ass", marked(false, false, true)),
            text("en", "subrip", marked(false, true, false)),
            text("fr", "subrip", marked(true, false, false)),
            text("not a tag", "mov_text", none),
        ];
        let all: Vec<TextFound> = (0..5).map(found).collect();
        let (text, notes) = planned(tracks, &all);
        let rows: Vec<_> = text
            .iter()
            .map(|t| (t.id.as_str(), t.name.as_str(), t.default, t.source_start))
            .collect();
        assert_eq!(
            rows,
            [
                ("t-en", "English", false, 500),
                ("t-en-2", "English 2", true, 500),
                ("t-en-captions", "English (CC)", false, 500),
                ("t-fr-forced", "Français (forced)", false, 500),
                ("t-und", "Subtitles", false, 500),
            ]
        );
        assert!(notes.warnings.is_empty());
    }

    #[test]
    fn what_is_left_out_is_told_with_what_to_do() {
        let none = Disposition::default();
        let tracks = vec![
            text("en", "hdmv_pgs_subtitle", none),
            text("en", "dvb_teletext", none),
            text("en", "ttml", none),
            text("en", "subrip", none),
        ];
        let (text, notes) = planned(tracks, &[]);
        assert!(text.is_empty());
        for (warning, says) in notes.warnings.iter().zip([
            "are pictures",
            "teletext",
            "text as ttml is not read",
            "has no text that can be shown",
        ]) {
            assert!(warning.contains(says), "{warning}");
        }
        assert_eq!(notes.warnings.len(), 4);
    }

    #[test]
    fn captions_of_the_pictures_come_last_and_the_first_speaks_the_main_language() {
        let captions = |number| TextFound {
            source: TextSource::Captions {
                track: 0,
                channel: CaptionChannel::Line21(number),
            },
            cues: 1,
        };
        let tracks = vec![
            fixture::video(&fixture::Shape::default(), 9),
            text("en", "subrip", Disposition::default()),
        ];
        let (text, _) = planned(tracks, &[captions(1), captions(3), found(1)]);
        let rows: Vec<_> = text
            .iter()
            .map(|t| (t.id.as_str(), t.name.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("t-en", "English"),
                ("t-fr-captions", "Français (CC)"),
                ("t-und-captions", "Captions CC3"),
            ]
        );
    }
}
