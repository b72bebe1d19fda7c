//! The list of thumbnails that web players read (`thumbnails.vtt`, beside the image playlist): no
//! manifest names it, so it is held against what is named.

use url::Url;

use super::hls_multivariant::MediaView;
use super::load::Loader;
use super::report::Sheet;
use super::stream::nanos;
use crate::error::{Error, Result};
use crate::layout::ThumbnailList;

/// Times are written in milliseconds, those of playlists in microseconds.
const ROUNDING_MILLIS: u64 = 2;

/// H49, where the record says that we wrote the pictures: each has a cue with its name and its
/// time.
pub(super) fn judge(loader: &Loader<'_>, sheet: &mut Sheet, playlist: &str, images: &MediaView) {
    let faults = match read(loader, playlist) {
        Ok((place, rows)) => differences(&place, &rows, &expected(images)),
        Err(error) => vec![error.to_string()],
    };
    sheet.judge("H49", &images.place, faults);
}

/// A cue: from when to when, in milliseconds, and the name in its text.
type Row = (u64, u64, String);

fn read(loader: &Loader<'_>, playlist: &str) -> Result<(String, Vec<Row>)> {
    let base = Url::parse(playlist).map_err(|e| Error::invalid("no URL").with_source(e))?;
    let url = Loader::resolve(&base, ThumbnailList::WebVtt.name())?;
    let place = loader.shown(url.as_str());
    let bytes = loader.fetch.all(url.as_str())?;
    let document = crate::text::read_webvtt(&bytes).map_err(|e| e.context(&place))?;
    let cues = document.cues.cues().iter();
    let rows = cues.map(|cue| {
        let name = name_in(&cue.text).to_owned();
        (cue.start_millis, cue.end_millis, name)
    });
    Ok((place, rows.collect()))
}

/// The name of a picture, without folders and without what proves that one may have it.
fn name_in(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// What the image playlist lists.
fn expected(images: &MediaView) -> Vec<Row> {
    let (mut rows, mut at) = (Vec::new(), 0_i64);
    for segment in &images.stream.segments {
        let start = at;
        at = at.saturating_add(nanos(segment.declared));
        let millis = |nanos: i64| u64::try_from(nanos / 1_000_000).unwrap_or(0);
        rows.push((
            millis(start),
            millis(at),
            name_in(&segment.place).to_owned(),
        ));
    }
    rows
}

fn differences(place: &str, rows: &[Row], expected: &[Row]) -> Vec<String> {
    let mut faults = Vec::new();
    if rows.len() != expected.len() {
        faults.push(format!(
            "{place} has {} cues, there are {} pictures",
            rows.len(),
            expected.len()
        ));
    }
    let near = |a: u64, b: u64| a.abs_diff(b) <= ROUNDING_MILLIS;
    let unlike = |(row, right): &(&Row, &Row)| {
        !near(row.0, right.0) || !near(row.1, right.1) || row.2 != right.2
    };
    if let Some((row, right)) = rows.iter().zip(expected).find(unlike) {
        faults.push(format!(
            "{place} has {:?} from {} to {} ms, it should be {:?} from {} to {} ms",
            row.2, row.0, row.1, right.2, right.0, right.1
        ));
    }
    faults
}
