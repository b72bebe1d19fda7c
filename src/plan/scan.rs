//! Whether the pictures of the source are interlaced: where it is worth a look, and what follows
//! from what was seen.
//!
//! Flags alone don't tell. Broadcasters send whole pictures marked as interlaced (progressive
//! segmented frames), and capture cards write combed ones into streams that can't be marked. So
//! where size and rate make fields possible, a few stretches are decoded and looked at; the plan
//! holds the verdict.

use super::pictures::Pictures;
use super::{Notes, limits, lowering, tracks};
use crate::codec::avc::AvcConfig;
use crate::media::{
    Codec, Passthrough, Policy, Scan, ScanCount, ScanTask, SourceIndex, SourceTrack, VideoInfo,
};

/// Places of the title that are looked at, in hundredths of its samples.
const PLACES: [usize; 4] = [5, 35, 60, 85];
/// Samples decoded at each place.
const SAMPLES: usize = 14;
/// A large picture whose codec says that it has no fields is only looked at in titles of at least
/// this many seconds: there the look costs nothing beside the encoding.
const LONG_SECONDS: i64 = 60;
/// One picture in so many that shares a field with its neighbour makes a title film: of 3:2 pulldown
/// two in five do, of fields that were all taken one by one none.
const REPEATED_PART: u32 = 5;
/// Combed pictures that make a title interlaced, at least.
const LEAST_COMBED: u32 = 3;

/// One tooth of a comb in so many pixels, at least, where pictures aren't marked. Measured on moving
/// drawings: whole ones have one in ten thousand, interlaced ones one in a hundred and fifty.
const LEAST_TEETH: u64 = 2000;

/// The look that planning needs, if any: `None` where fields are ruled out, and where nothing is
/// decoded.
pub fn scan_task(index: &SourceIndex, policy: &Policy) -> Option<ScanTask> {
    if policy.passthrough == Passthrough::Only {
        return None;
    }
    let at = tracks::choose_video(index, tracks::has_audio(index))?;
    let track = index.tracks.get(at)?;
    let info = tracks::video_info(track)?;
    limits::check_picture(info).ok()?;
    is_worth_a_look(track, info).then(|| ScanTask {
        codec: track.codec.clone(),
        config: track.config.clone(),
        timescale: track.timescale,
        width: info.width,
        height: info.height,
        stretches: stretches(track),
    })
}

fn stretches(track: &SourceTrack) -> Vec<Vec<crate::media::TaskSample>> {
    let count = track.samples.len();
    let mut starts: Vec<u32> = PLACES
        .iter()
        .filter_map(|percent| u32::try_from(count * percent / 100).ok())
        .map(|number| track.samples.sync_at_or_before(number).unwrap_or(0))
        // All stretches are decoded by the track's own configuration.
        .filter(|start| track.samples.reconfigurations().at(*start, &track.config) == track.config)
        .collect();
    starts.dedup();
    let stretch = |start: u32| {
        let entries = track.samples.iter_from(start).take(SAMPLES);
        entries
            .map(|entry| lowering::task_sample(track, &entry))
            .collect()
    };
    starts.into_iter().map(stretch).collect()
}

/// Line counts and rates of interlaced systems; of rates also twice, where each sample is a field.
fn is_worth_a_look(track: &SourceTrack, info: &VideoInfo) -> bool {
    let small = matches!(info.height, 480 | 486 | 512 | 576 | 608) && info.width >= 352;
    let large = matches!(info.height, 1080 | 1088) && info.width >= 1280;
    let rate = micro_rate(track);
    let of_fields = |rate: i64| {
        [25_000, 29_970, 30_000]
            .iter()
            .any(|r| (rate - r).abs() < 60)
    };
    let fits = of_fields(rate) || of_fields(rate / 2);
    match (small || large, can_have_fields(track)) {
        (false, _) => false,
        // Film on tape, too: its rate is its own.
        (true, Some(true)) if track.codec.name() == "mpeg2video" => true,
        (true, Some(true)) => fits,
        (true, None) => fits && (small || track_seconds(track) >= LONG_SECONDS),
        (true, Some(false)) if small => fits,
        (true, Some(false)) => fits && track_seconds(track) >= LONG_SECONDS,
    }
}

/// Whether the codec, as it is configured, can mark pictures as interlaced; `None` where that isn't
/// known.
fn can_have_fields(track: &SourceTrack) -> Option<bool> {
    if track.codec == Codec::H264 {
        let config = AvcConfig::parse(&track.config).ok();
        return match config.and_then(|config| config.sps().ok().map(|sps| sps.frame_mbs_only)) {
            Some(frames_only) => Some(!frames_only),
            None => Some(true),
        };
    }
    match track.codec.name() {
        "mpeg2video" | "mpeg4" | "vc1" | "wmv3" | "prores" | "dnxhd" | "mjpeg" | "ffv1"
        | "rawvideo" | "dvvideo" => Some(true),
        "hevc" => None,
        _ => Some(false),
    }
}

/// Samples in a thousand seconds.
fn micro_rate(track: &SourceTrack) -> i64 {
    let samples = &track.samples;
    let ticks = samples.end_decode_time() - samples.first_decode_time();
    let count = i128::try_from(samples.len()).unwrap_or(0);
    let scaled = count * 1000 * i128::from(track.timescale.get());
    i64::try_from(scaled / i128::from(ticks.max(1))).unwrap_or(0)
}

fn track_seconds(track: &SourceTrack) -> i64 {
    let samples = &track.samples;
    let ticks = samples.end_decode_time() - samples.first_decode_time();
    ticks / i64::from(track.timescale.get())
}

/// What the counts say.
pub(crate) fn decide(track: &SourceTrack, count: Option<&ScanCount>, notes: &mut Notes) -> Scan {
    let Some(count) = count else {
        return Scan::AsMarked;
    };
    let combed = count.top_first + count.bottom_first;
    let decided = combed + count.whole;
    let is_marked = count.marked * 2 >= count.pictures;
    if track
        .samples
        .iter()
        .take(SAMPLES)
        .all(|sample| sample.duration < 2)
    {
        // There is no time between the fields.
        return Scan::AsMarked;
    }
    let is_combed = is_marked || count.combs.saturating_mul(LEAST_TEETH) > count.pixels;
    if combed < LEAST_COMBED || combed * 5 < decided || !is_combed {
        return whole(track, count, notes);
    }
    let top_first = match count.top_first.cmp(&count.bottom_first) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => count.marked_top_first * 2 >= count.marked,
    };
    let title = tracks::title(track);
    let order = if top_first { "top" } else { "bottom" };
    let marked = match is_marked {
        true => "",
        false => ", though it isn't marked so",
    };
    notes.warn(format!(
        "{title} is interlaced, {order} field first{marked}: each field becomes a picture"
    ));
    if count.repeats * REPEATED_PART >= count.pictures {
        notes.warn(format!(
            "{title} looks like film in 3:2 pulldown: its pictures are shown for two fields and \
             three in turn"
        ));
    }
    Scan::Fields { top_first }
}

/// Few or no combed pictures.
fn whole(track: &SourceTrack, count: &ScanCount, notes: &mut Notes) -> Scan {
    let undecided = count.whole < LEAST_COMBED;
    if undecided {
        return Scan::AsMarked;
    }
    if count.marked * 2 >= count.pictures {
        notes.warn(format!(
            "{} is marked as interlaced, but its pictures are whole: they stay as they are",
            tracks::title(track)
        ));
    }
    Scan::Progressive
}

/// The pictures that the track gives.
pub(crate) fn pictures(track: &SourceTrack, scan: Scan) -> Pictures {
    match scan {
        Scan::Fields { .. } => Pictures::fields_of(track),
        Scan::AsMarked | Scan::Progressive => Pictures::of(track),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture;

    fn decided(count: ScanCount) -> (Scan, String) {
        let mut notes = Notes::default();
        let track = fixture::video(&fixture::Shape::default(), 10);
        let scan = decide(&track, Some(&count), &mut notes);
        (scan, notes.warnings.join("; "))
    }

    #[test]
    fn combs_count_more_than_marks() {
        let combed = ScanCount {
            pictures: 56,
            top_first: 40,
            bottom_first: 1,
            whole: 3,
            pixels: 4_000_000,
            combs: 25_000,
            ..ScanCount::default()
        };
        let drawn = ScanCount {
            combs: 400,
            ..combed
        };
        assert_eq!(decided(drawn), (Scan::Progressive, String::new()));
        let (scan, said) = decided(combed);
        assert_eq!(scan, Scan::Fields { top_first: true });
        assert!(said.contains("though it isn't marked so"), "{said}");
        let marked = ScanCount {
            pictures: 56,
            marked: 56,
            marked_top_first: 56,
            whole: 50,
            top_first: 2,
            ..ScanCount::default()
        };
        let (scan, said) = decided(marked);
        assert_eq!(scan, Scan::Progressive);
        assert!(said.contains("are whole"), "{said}");
    }

    #[test]
    fn pictures_that_do_not_tell_leave_it_to_the_marks() {
        let still = ScanCount {
            pictures: 56,
            marked: 56,
            ..ScanCount::default()
        };
        assert_eq!(decided(still), (Scan::AsMarked, String::new()));
        let track = fixture::video(&fixture::Shape::default(), 10);
        assert_eq!(decide(&track, None, &mut Notes::default()), Scan::AsMarked);
    }

    #[test]
    fn pulled_down_film_is_told() {
        let film = ScanCount {
            pictures: 56,
            marked: 56,
            marked_top_first: 56,
            top_first: 22,
            whole: 33,
            repeats: 20,
            ..ScanCount::default()
        };
        let (scan, said) = decided(film);
        assert_eq!(scan, Scan::Fields { top_first: true });
        assert!(said.contains("3:2"), "{said}");
    }

    #[test]
    fn phones_and_screens_are_not_looked_at() {
        for (size, ticks, seconds) in [
            ((1920, 1080), 1001, 10),
            ((1280, 720), 1001, 600),
            ((1080, 1920), 1000, 600),
        ] {
            let shape = fixture::Shape {
                size,
                ..fixture::Shape::default()
            };
            let mut track = fixture::video(&shape, seconds * 30);
            track.timescale = crate::time::Timescale::new(30 * ticks).expect("not zero");
            let info = tracks::video_info(&track).expect("video");
            let look = is_worth_a_look(&track, info);
            assert!(!look, "{size:?} of {seconds} s");
        }
    }
}
