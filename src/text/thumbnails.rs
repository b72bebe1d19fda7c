//! Thumbnails as WebVTT: the text of each cue is the name of the picture for its time. Web players
//! have read such files since JW Player brought them; no standard does.

use super::timing::write_time;
use crate::layout::thumbnail_name;
use crate::media::Thumbnails;
use crate::time::{Rounding, Ticks, Timescale};

/// The thumbnails of a title that lasts `duration`. Names are relative to their folder.
pub fn thumbnails(thumbnails: &Thumbnails, duration: Ticks) -> String {
    let end = duration.to(Timescale::MILLIS, Rounding::Nearest).count;
    let millis = |number: u32| {
        let ticks = u64::from(number).saturating_mul(thumbnails.duration);
        let time = Ticks::new(
            i64::try_from(ticks).unwrap_or(i64::MAX),
            thumbnails.timescale,
        );
        let time = time.to(Timescale::MILLIS, Rounding::Nearest).count;
        u64::try_from(time.min(end)).unwrap_or(0)
    };
    let mut text = "WEBVTT\n".to_owned();
    for number in 1..=thumbnails.count {
        text.push('\n');
        write_time(&mut text, millis(number - 1));
        text.push_str(" --> ");
        write_time(&mut text, millis(number));
        text.push('\n');
        text.push_str(&thumbnail_name(number));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::example;

    #[test]
    fn cues_name_the_pictures_until_the_end() {
        let presentation = example::with_stills();
        let stills = presentation.stills.expect("has");
        let text = thumbnails(&stills.thumbnails, presentation.duration);
        let read = super::super::read_webvtt(text.as_bytes()).expect("reads");
        assert_eq!(read.warnings, Vec::<String>::new());
        let rows: Vec<_> = read.cues.cues().iter().collect();
        assert_eq!(rows.len(), 5);
        assert_eq!((rows[0].start_millis, rows[0].end_millis), (0, 2002));
        assert_eq!((rows[4].start_millis, rows[4].end_millis), (8008, 10_010));
        assert_eq!(rows[4].text, "5.jpg");
    }
}
