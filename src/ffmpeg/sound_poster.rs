//! The poster of a title of sound alone: its cover art, or a drawing of its loudness.
//!
//! Cover art is as hostile as any other input: what can't be decoded, or is larger than any picture
//! that is, is told of and replaced by the drawing.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;

use super::audio::{Voice, decode};
use super::decode::{Decoder, Kind};
use super::jpeg;
use super::picture::Graph;
use super::poster::Poster;
use super::sys;
use crate::error::{Error, Result};
use crate::media::{
    Cover, Damage, SILENT_TENTH, SoundPosterTask, TaskFiles, TaskOutput, TaskSample,
};
use crate::time::Timescale;

/// Longest side of a poster in pixels.
const SIDE: u64 = 1280;
/// Size of a drawing.
const DRAWN: (usize, usize) = (1280, 720);
/// Bars of a drawing, and of how many columns each has its own.
const BARS: usize = 80;
const BAR_COLUMNS: usize = 10;
/// Blank columns on either side.
const MARGIN: usize = 80;
/// Half the height of the lowest and of the highest bar.
const BAR_ROWS: (usize, usize) = (4, 260);
/// Loudness of the lowest and of the highest bar, in hundredths of LUFS.
const SHOWN: (i16, i16) = (-5000, -800);
/// Luma of ground and bars, and the two chroma values of both: blue-grey.
const GROUND: u8 = 32;
const BAR: u8 = 176;
const CHROMA: [u8; 2] = [138, 122];

/// Makes the poster.
pub(super) fn make(task: &SoundPosterTask, files: &TaskFiles, output: &dyn TaskOutput) -> Poster {
    let mut damage = Vec::new();
    let mut tell = |message: String| damage.push(Damage { time: 0, message });
    let mut jpeg = None;
    if let Some(cover) = &task.cover {
        match of_cover(cover, files) {
            Ok(made) => jpeg = Some(made),
            Err(error) => tell(format!(
                "the cover art can't be used, a poster is drawn: {error}"
            )),
        }
    }
    if jpeg.is_none() {
        match drawn(task, files, output) {
            Ok(made) => jpeg = Some(made),
            Err(error) => tell(format!("no poster: {error}")),
        }
    }
    Poster { jpeg, damage }
}

/// The cover art, as large as it is or as a poster may be.
fn of_cover(cover: &Cover, files: &TaskFiles) -> Result<Bytes> {
    let sample = TaskSample {
        place: cover.place,
        time: 0,
        decode_time: 0,
        duration: 1,
        sync: true,
    };
    let kind = Kind::Video {
        size: (0, 0),
        reorder_depth: 0,
    };
    let (codec, config) = (&cover.codec, &cover.config);
    let mut decoder = Decoder::open(codec, config, Timescale::MILLIS, kind, 1)?;
    let mut picture = None;
    let mut take = |frame: ffmpeg::Frame| {
        if picture.is_none() {
            picture = Some(sys::share(&frame)?);
        }
        Ok(())
    };
    decoder.push(files, &sample, &mut take)?;
    decoder.finish(&mut take)?;
    let (damage, _) = decoder.report()?;
    if let Some(damage) = damage.into_iter().next() {
        return Err(Error::invalid(damage.message));
    }
    let picture = picture.ok_or_else(|| Error::invalid("there is no picture in it"))?;
    let shape = sys::shape(&picture);
    let (width, height) = size((shape.width, shape.height));
    let chain = format!(
        "scale=w={width}:h={height}:flags=lanczos:out_color_matrix=bt601:out_range=full,\
         format=yuvj420p"
    );
    let picture = Graph::new(shape, &chain)?.one(&picture)?;
    jpeg::encode(&picture, jpeg::POSTER_QUANTISER)
}

/// Even, no side longer than [`SIDE`], of the same shape.
fn size((width, height): (u32, u32)) -> (u64, u64) {
    let longest = u64::from(width.max(height)).max(1);
    let most = longest.min(SIDE);
    let scaled = |side: u32| (u64::from(side) * most / (2 * longest) * 2).max(2);
    (scaled(width), scaled(height))
}

/// Bars for the loudness of the beginning.
fn drawn(task: &SoundPosterTask, files: &TaskFiles, output: &dyn TaskOutput) -> Result<Bytes> {
    let sound = &task.sound;
    let mut voices = vec![Voice::open(sound, output)?];
    if !sound.samples.is_empty() {
        decode(sound, &sound.samples, files, output, &mut voices)?;
    }
    let mut tenths = Vec::new();
    for voice in voices {
        tenths = voice.finish()?.1.tenths;
    }
    jpeg::encode(&drawing(&bars(&tenths)), jpeg::POSTER_QUANTISER)
}

/// Half the height of each bar in rows.
fn bars(tenths: &[i16]) -> Vec<usize> {
    let (lowest, highest) = BAR_ROWS;
    let (quiet, loud) = SHOWN;
    let rows = |tenth: i16| {
        if tenth == SILENT_TENTH {
            return lowest;
        }
        let over = i32::from(tenth.clamp(quiet, loud)) - i32::from(quiet);
        let range = i32::from(loud) - i32::from(quiet);
        let over = usize::try_from(over).unwrap_or(0);
        let range = usize::try_from(range).unwrap_or(1).max(1);
        lowest + over * (highest - lowest) / range
    };
    let bar = |at: usize| {
        let (from, to) = (at * tenths.len() / BARS, (at + 1) * tenths.len() / BARS);
        let own = tenths.get(from..to.max(from + 1)).unwrap_or_default();
        own.iter().map(|tenth| rows(*tenth)).max().unwrap_or(lowest)
    };
    (0..BARS).map(bar).collect()
}

fn drawing(bars: &[usize]) -> ffmpeg::frame::Video {
    let (width, height) = DRAWN;
    let mut picture = ffmpeg::frame::Video::new(ffmpeg::format::Pixel::YUVJ420P, 1280, 720);
    for (plane, value) in CHROMA.into_iter().enumerate() {
        picture.data_mut(plane + 1).fill(value);
    }
    let stride = picture.stride(0);
    let rows = picture.data_mut(0).chunks_mut(stride.max(1)).take(height);
    for (number, row) in rows.enumerate() {
        let away = number.abs_diff(height / 2);
        row.fill(GROUND);
        let columns = width.min(row.len());
        for (at, pixel) in row.iter_mut().enumerate().take(columns).skip(MARGIN) {
            let (bar, within) = (
                (at - MARGIN) * BARS / (width - 2 * MARGIN),
                (at - MARGIN) % 14,
            );
            if within < BAR_COLUMNS && bars.get(bar).is_some_and(|half| away < *half) {
                *pixel = BAR;
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn louder_is_higher_and_silence_is_a_line() {
        let mut tenths = vec![SILENT_TENTH; 80];
        tenths.extend([-2000; 80]);
        tenths.extend([-800; 80]);
        let bars = bars(&tenths);
        assert_eq!(
            (bars.len(), bars[0], bars[79]),
            (BARS, BAR_ROWS.0, BAR_ROWS.1)
        );
        assert!(bars[0] < bars[40] && bars[40] < bars[79]);
        // Less than a tenth for each, and none.
        assert!(super::bars(&[-800]).contains(&BAR_ROWS.1));
        assert_eq!(super::bars(&[]), vec![BAR_ROWS.0; BARS]);
    }

    #[test]
    fn covers_keep_their_shape() {
        assert_eq!(size((600, 600)), (600, 600));
        assert_eq!(size((4000, 2000)), (1280, 640));
        assert_eq!(size((8192, 1)), (1280, 2));
        assert_eq!(size((0, 0)), (2, 2));
    }
}
