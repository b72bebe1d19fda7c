//! The chapters of the source on the presentation's time line.

use crate::media::{Chapter, MAX_CHAPTERS};
use crate::time::{Rounding, Ticks, Timescale};

/// The chapters of a source whose movie time `origin` is the presentation's start: cut to the
/// presentation, without overlaps. Those without a language have that of the main sound.
pub(crate) fn plan(
    chapters: &[Chapter],
    origin: Ticks,
    duration: Ticks,
    main_language: Option<&str>,
) -> Vec<Chapter> {
    let millis = |time: Ticks| time.to(Timescale::MILLIS, Rounding::Nearest).count;
    let (zero, end) = (millis(origin), millis(duration));
    let shift = |time: u64| {
        let time = i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(zero);
        time.clamp(0, end).unsigned_abs()
    };
    let shifted = chapters.iter().map(|chapter| Chapter {
        start_millis: shift(chapter.start_millis),
        end_millis: shift(chapter.end_millis),
        title: chapter.title.clone(),
        language: match (chapter.language.as_str(), main_language) {
            ("und", Some(main)) => main.to_owned(),
            (own, _) => own.to_owned(),
        },
    });
    let mut kept: Vec<Chapter> = shifted.take(MAX_CHAPTERS).collect();
    kept.sort_by_key(|chapter| chapter.start_millis);
    let starts: Vec<u64> = kept.iter().map(|chapter| chapter.start_millis).collect();
    for (chapter, next) in kept.iter_mut().zip(starts.iter().skip(1)) {
        chapter.end_millis = chapter.end_millis.min(*next);
    }
    kept.retain(|chapter| chapter.start_millis < chapter.end_millis);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter(start_millis: u64, end_millis: u64, title: &str) -> Chapter {
        Chapter {
            start_millis,
            end_millis,
            title: title.to_owned(),
            language: "und".to_owned(),
        }
    }

    #[test]
    fn chapters_are_cut_to_the_presentation_and_do_not_overlap() {
        let source = [
            chapter(6000, 9000, "late"),
            chapter(0, 500, "before"),
            chapter(500, 4000, "first"),
            chapter(3000, 6000, "second"),
            chapter(20_000, 30_000, "after"),
        ];
        let millis = |count| Ticks::new(count, Timescale::MILLIS);
        let got = plan(&source, millis(1000), millis(7000), Some("en"));
        let rows: Vec<_> = got
            .iter()
            .map(|c| (c.start_millis, c.end_millis, c.title.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                (0, 2000, "first"),
                (2000, 5000, "second"),
                (5000, 7000, "late")
            ]
        );
        assert!(got.iter().all(|chapter| chapter.language == "en"));
    }
}
