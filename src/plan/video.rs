//! The video's part of the plan.

use super::cuts::{self, CutPoint, SegmentRule};
use super::frames::{self, FrameGrid};
use super::ladder::{self, Make, RecipeRule, Rung};
use super::passthrough::{self, Refusal};
use super::pictures::{Pictures, Shown};
use super::rate::{self, Cadence};
use super::sound::SoundSpan;
use super::{Inspection, Notes, limits, scan, stills, tracks};
use crate::error::{Error, Result};
use crate::media::{
    Colour, FrameMap, Hdr, Passthrough, PicturePlan, PixelAspect, Policy, Scan, SourceIndex,
    SourceTrack, VideoCodec, VideoInfo, VideoMethod, VideoPlan, VideoRange, VideoRendition,
    VideoSpan,
};
use crate::time::{FrameRate, Rounding, Ticks, Timescale};

/// A copied rung's timescale is kept from this many ticks a second: coarser ones make manifests
/// round.
const LEAST_COPIED_TIMESCALE: u32 = 1000;

/// The profile of Dolby Vision whose base layer is in colours that only its decoders know.
const ITS_OWN_COLOURS: u8 = 5;

/// The video plan, and where it lies on the movie's time line.
#[derive(Debug, Clone)]
pub(crate) struct PlannedVideo {
    /// The plan.
    pub(crate) plan: VideoPlan,
    /// Movie time of the presentation's start.
    pub(crate) origin: Ticks,
    /// Length of the presentation.
    pub(crate) duration: Ticks,
}

/// What is known of the track before anything is decided.
struct Source<'a> {
    index: usize,
    track: &'a SourceTrack,
    info: &'a VideoInfo,
    pictures: Pictures,
    policy: &'a Policy,
    inspection: &'a Inspection,
    scan: Scan,
}

/// Plans the video of track `index`, held for the sound that goes beyond it.
pub(crate) fn plan(
    source: &SourceIndex,
    index: usize,
    policy: &Policy,
    inspection: &Inspection,
    sounds: &[SoundSpan],
    notes: &mut Notes,
) -> Result<PlannedVideo> {
    let track = &source.tracks[index];
    let info = tracks::video_info(track).ok_or_else(|| Error::internal("not a video track"))?;
    limits::check_picture(info)?;
    limits::check_pictures(track.samples.len())?;
    let scan = scan::decide(track, inspection.scan.as_ref(), notes);
    let pictures = scan::pictures(track, scan);
    let source = Source {
        index,
        track,
        info,
        pictures,
        policy,
        inspection,
        scan,
    };
    if policy.passthrough == Passthrough::Only {
        return source.plan_copied(notes);
    }
    let grid = source.grid(sounds, notes)?;
    let copied = match policy.passthrough {
        Passthrough::Auto => source.copied_points(&grid).ok(),
        _ => None,
    };
    source.plan_ladder(&grid, copied, notes)
}

impl Source<'_> {
    /// The pictures that are shown, and their beat.
    fn shown(&self) -> Result<(Shown, Cadence)> {
        let (track, pictures) = (self.track, &self.pictures);
        let all = Shown {
            first: 0,
            end: pictures.len(),
        };
        let own = pictures.last_duration(track, all);
        let usual = Cadence::of(pictures.times(), track.timescale, own).source;
        let frame = usual.frame_start(1, track.timescale, Rounding::Nearest);
        let shown = pictures.shown(track, frame);
        if shown.len() == 0 {
            let text = format!("the edit list of {} shows no picture", tracks::title(track));
            return Err(Error::invalid(text));
        }
        let last = pictures.last_duration(track, shown);
        Ok((
            shown,
            Cadence::of(pictures.times_of(shown), track.timescale, last),
        ))
    }

    /// The output frames: the pictures shown, held where sound goes beyond them.
    fn grid(&self, sounds: &[SoundSpan], notes: &mut Notes) -> Result<FrameGrid> {
        let (shown, cadence) = self.shown()?;
        let body_frames = self.body_frames(shown, cadence, notes)?;
        let mut grid = FrameGrid {
            shown,
            cadence,
            lead_frames: 0,
            body_frames,
            tail_frames: 0,
        };
        self.hold_for_sound(&mut grid, sounds, notes);
        let frames = i64::from(grid.frames());
        let second = Timescale::new(1).expect("1 is not zero");
        limits::check_duration(cadence.output.frame_start(frames, second, Rounding::Floor))?;
        Ok(grid)
    }

    /// Frames from the first picture to the end of the last.
    fn body_frames(&self, shown: Shown, cadence: Cadence, notes: &mut Notes) -> Result<u32> {
        let timescale = self.track.timescale;
        let second = i64::from(timescale.get());
        let times = self.pictures.times_of(shown);
        let first = times.first().copied().unwrap_or(0);
        let span = times.last().map_or(0, |last| last.saturating_sub(first));
        limits::check_duration(span / second)?;
        let frame = cadence
            .source
            .frame_start(1, timescale, Rounding::Nearest)
            .max(1);
        let mut last = self.pictures.last_duration(self.track, shown);
        if last > (10 * second).max(span.saturating_mul(10)) {
            let seconds = Ticks::new(last, timescale);
            notes.warn(format!(
                "the last picture lasts {seconds} s by its timestamps; it is shown for one frame"
            ));
            last = frame;
        }
        let held = last - frame > second / 2;
        let ticks = match (cadence.constant, held) {
            (true, false) => None,
            (_, true) => Some(span + last),
            (false, false) => Some(span + last.max(frame / 2)),
        };
        let frames = match ticks {
            Some(ticks) => frames::frames_of(ticks, timescale, cadence.output),
            None => constant_frames(shown.len(), cadence),
        };
        Ok(u32::try_from(frames.max(1)).unwrap_or(u32::MAX))
    }

    /// Holds the first and the last picture so that no sound is lost.
    fn hold_for_sound(&self, grid: &mut FrameGrid, sounds: &[SoundSpan], notes: &mut Notes) {
        let timescale = self.track.timescale;
        let rate = grid.cadence.output;
        let to_ticks = |time: Ticks| time.to(timescale, Rounding::Nearest).count;
        let first = self.pictures.time(grid.shown.first).unwrap_or(0);
        let body = rate.frame_start(i64::from(grid.body_frames), timescale, Rounding::Nearest);
        let end = first.saturating_add(body);
        let second = i64::from(timescale.get());
        let earliest = sounds
            .iter()
            .map(|sound| to_ticks(sound.start))
            .min()
            .unwrap_or(first);
        let latest = sounds
            .iter()
            .map(|sound| to_ticks(sound.end))
            .max()
            .unwrap_or(end);
        let (before, after) = (first.saturating_sub(earliest), latest.saturating_sub(end));
        let held = |ticks: i64| {
            u32::try_from(frames::frames_of(ticks, timescale, rate)).unwrap_or(u32::MAX)
        };
        if before > second / 10 {
            grid.lead_frames = held(before);
            let seconds = Ticks::new(before, timescale);
            notes.warn(format!(
                "sound begins {seconds} s before the picture: the first picture is held"
            ));
        }
        if after > second / 2 {
            grid.tail_frames = held(after);
            let seconds = Ticks::new(after, timescale);
            notes.warn(format!(
                "sound goes on {seconds} s after the picture: the last picture is held"
            ));
        }
    }

    /// Frames at which segments of a copied top rung may begin, or why there is none.
    fn copied_points(&self, grid: &FrameGrid) -> Result<Vec<u32>, Refusal> {
        let (track, policy) = (self.track, self.policy);
        if self.scan.is_fields() {
            return Err("its pictures are interlaced".to_owned());
        }
        let starts = passthrough::check_auto(track, &self.pictures, grid, policy, self.inspection)?;
        let (timescale, frame) = self.timescale(grid.cadence.output, true);
        let spans = copied_spans(&starts, grid.frames(), timescale, frame, policy);
        let nominal = i64::from(policy.segment_seconds) * i64::from(timescale.get());
        let limit = SegmentRule::new(nominal, policy, timescale).limit;
        let inner = spans.len().saturating_sub(1);
        let short = match policy.quick_start {
            true => cuts::OPENINGS,
            false => 0,
        };
        if spans.iter().any(|span| span.duration >= limit) {
            return Err("its IDR pictures allow no segments of the asked length".to_owned());
        }
        if spans
            .iter()
            .take(inner)
            .skip(short)
            .any(|span| span.duration * 2 < nominal)
        {
            return Err("its IDR pictures allow only short segments".to_owned());
        }
        Ok(starts)
    }

    /// Ticks a second of all renditions, and the ticks of a frame.
    fn timescale(&self, rate: FrameRate, copied: bool) -> (Timescale, u32) {
        let own = self.track.timescale;
        if copied
            && own.get() >= LEAST_COPIED_TIMESCALE
            && let Some(frame) = rate.frame_duration(own).filter(|frame| *frame > 0)
        {
            return (own, frame);
        }
        let natural = rate.natural_timescale();
        let frame = rate.frame_duration(natural).filter(|frame| *frame > 0);
        (
            natural,
            frame.expect("the natural timescale has whole frames"),
        )
    }

    /// The plan where at least the lower rungs are encoded.
    fn plan_ladder(
        &self,
        grid: &FrameGrid,
        copied: Option<Vec<u32>>,
        notes: &mut Notes,
    ) -> Result<PlannedVideo> {
        let rate = grid.cadence.output;
        let (timescale, frame) = self.timescale(rate, copied.is_some());
        let gop_frames = rate::frames_in_seconds(rate, self.policy.gop_seconds);
        let segments = match &copied {
            Some(starts) => copied_spans(starts, grid.frames(), timescale, frame, self.policy),
            None => encoded_spans(grid.frames(), gop_frames, timescale, frame, self.policy),
        };
        let rule = RecipeRule {
            policy: self.policy,
            rate,
            gop_frames,
        };
        let renditions = self.renditions(rule, copied.is_some(), notes)?;
        waive_ladder(&renditions, self.policy, notes);
        let times = self.pictures.times_of(grid.shown);
        let map = grid.map(times, self.track.timescale);
        let first = self.pictures.time(grid.shown.first).unwrap_or(0);
        let lead = rate.frame_start(
            i64::from(grid.lead_frames),
            self.track.timescale,
            Rounding::Nearest,
        );
        let origin = Ticks::new(first.saturating_sub(lead), self.track.timescale);
        let duration = Ticks::new(i64::from(grid.frames()) * i64::from(frame), timescale);
        let mut plan = VideoPlan {
            frame_duration: Some(frame),
            frames: grid.frames(),
            frame_map: map,
            gop_frames,
            renditions,
            ..self.empty_plan(timescale, rate, segments)
        };
        plan.picture.toned = toned(&plan);
        plan.stills = stills::plan(&plan, self.policy, notes);
        Ok(PlannedVideo {
            plan,
            origin,
            duration,
        })
    }

    /// What both kinds of plan share.
    fn empty_plan(
        &self,
        timescale: Timescale,
        frame_rate: FrameRate,
        segments: Vec<VideoSpan>,
    ) -> VideoPlan {
        let target = i64::from(self.policy.chunk_seconds) * i64::from(timescale.get());
        VideoPlan {
            source_track: self.index,
            timescale,
            frame_rate,
            frame_duration: None,
            frames: 0,
            frame_map: FrameMap::default(),
            gop_frames: 1,
            chunks: cuts::chunks(
                segments.iter().map(|span| span.duration),
                target,
                self.policy,
            ),
            segments,
            picture: PicturePlan {
                width: self.info.width,
                height: self.info.height,
                pixel_aspect: self.info.pixel_aspect,
                orientation: self.info.orientation,
                colour: self.info.colour,
                light: self.info.light,
                scan: self.scan,
                toned: None,
            },
            renditions: Vec::new(),
            stills: None,
        }
    }

    /// The ladders with their recipes: of each codec, H.264 first, and of HDR where it is kept.
    fn renditions(
        &self,
        rule: RecipeRule<'_>,
        copied: bool,
        notes: &mut Notes,
    ) -> Result<Vec<VideoRendition>> {
        if self.info.dolby_vision == Some(ITS_OWN_COLOURS) {
            notes.warn(
                "the source is Dolby Vision of profile 5, which has no base layer for other decoders: \
                 its colours will be wrong",
            );
        }
        let mut codecs = self.policy.codecs.clone();
        codecs.sort_unstable();
        let mut makes: Vec<Make> = codecs.into_iter().map(Make::sdr).collect();
        makes.extend(self.kept_range(notes).map(|range| Make {
            codec: VideoCodec::Hevc,
            range,
        }));
        let mut renditions = Vec::new();
        for make in makes {
            let copied = copied && make == Make::sdr(VideoCodec::H264);
            renditions.extend(self.ladder(rule, make, copied, notes));
        }
        if renditions.is_empty() {
            let (width, height) = self.info.upright_size();
            let text =
                format!("no level of the codecs asked for allows a picture of {width}x{height}");
            return Err(Error::unsupported(text));
        }
        Ok(renditions)
    }

    /// The range of light to keep beside the standard one, if any.
    fn kept_range(&self, notes: &mut Notes) -> Option<VideoRange> {
        if self.policy.hdr != Hdr::Keep {
            return None;
        }
        if self.info.dolby_vision == Some(ITS_OWN_COLOURS) {
            return None;
        }
        if let Some(profile) = self.info.dolby_vision {
            notes.warn(format!(
                "Dolby Vision's own metadata (profile {profile}) are left out: its base layer is kept"
            ));
        }
        match self.info.colour.transfer {
            Colour::PQ => Some(VideoRange::Pq(self.info.light)),
            Colour::HLG => Some(VideoRange::Hlg),
            _ => {
                notes.warn("the policy keeps HDR, but the source says nothing of PQ or HLG");
                None
            }
        }
    }

    /// One ladder.
    fn ladder(
        &self,
        rule: RecipeRule<'_>,
        make: Make,
        copied: bool,
        notes: &mut Notes,
    ) -> Vec<VideoRendition> {
        let (width, height) = self.info.upright_size();
        let mut told = Vec::new();
        let rungs = ladder::rungs(width, height, &self.policy.rungs, copied, &mut told);
        told.retain(|text| !notes.warnings.contains(text));
        notes.warnings.append(&mut told);
        let mut renditions = Vec::new();
        let mut top = true;
        for (at, rung) in rungs.iter().enumerate() {
            let method = if copied && at == 0 {
                VideoMethod::Copy
            } else if let Some(recipe) = rule.recipe(*rung, make, top, at + 1 == rungs.len()) {
                top = false;
                VideoMethod::Encode(recipe)
            } else {
                let (width, height) = (rung.width, rung.height);
                notes.warn(format!(
                    "rung {width}x{height} is left out: no {} allows it",
                    make.levels()
                ));
                continue;
            };
            renditions.push(rendition(*rung, method));
        }
        renditions
    }

    /// The plan where nothing is decoded: one rung, the source's own.
    fn plan_copied(&self, notes: &mut Notes) -> Result<PlannedVideo> {
        let track = self.track;
        let refuse = |reason: Refusal| {
            let text = format!("{} can't be repackaged: {reason}", tracks::title(track));
            Error::unsupported(text)
        };
        passthrough::check_track(track, self.policy).map_err(refuse)?;
        let (shown, _) = self.shown()?;
        let idrs = passthrough::closed_idrs(&self.pictures, self.inspection).map_err(refuse)?;
        let shown = self.closed_range(shown, &idrs, notes).map_err(refuse)?;
        let cadence = Cadence::of(self.pictures.times_of(shown), track.timescale, 0);
        let inside = idrs
            .iter()
            .filter(|rank| (shown.first..shown.end).contains(*rank));
        let starts: Vec<u32> = inside.map(|rank| rank - shown.first).collect();
        let planned = if cadence.constant {
            self.copied_steady(shown, cadence.source, &starts)
        } else {
            self.copied_as_is(shown, cadence.source, &starts)
        };
        limits::check_duration(
            planned.duration.count / i64::from(planned.duration.timescale.get()),
        )?;
        self.waive_copied(&planned, shown, notes);
        Ok(planned)
    }

    /// The shown pictures, widened to where nothing crosses: from an IDR to a closed end.
    fn closed_range(
        &self,
        shown: Shown,
        idrs: &[u32],
        notes: &mut Notes,
    ) -> Result<Shown, Refusal> {
        let before = idrs.partition_point(|rank| *rank <= shown.first);
        let first = match before.checked_sub(1) {
            Some(at) => idrs.get(at),
            None => idrs.first().filter(|rank| **rank < shown.end),
        };
        let first = *first.ok_or("it has no IDR picture that a segment can start with")?;
        let closed_end = self
            .pictures
            .closed_points()
            .find(|rank| *rank >= shown.end);
        let end = closed_end.unwrap_or(self.pictures.len());
        let widened = Shown { first, end };
        if widened != shown {
            let more = i64::from(widened.len()) - i64::from(shown.len());
            notes.warn(format!(
                "repackaging starts at an IDR picture and ends with a whole group: {more:+} pictures against the edit list"
            ));
        }
        Ok(widened)
    }

    /// Constant rate: times are set to the grid.
    fn copied_steady(&self, shown: Shown, rate: FrameRate, starts: &[u32]) -> PlannedVideo {
        let (timescale, frame) = self.timescale(rate, true);
        let frames = shown.len();
        let segments = copied_spans(starts, frames, timescale, frame, self.policy);
        let duration = i64::from(frames) * i64::from(frame);
        let mut plan = self.copied_plan(shown, rate, timescale, segments);
        plan.frame_duration = Some(frame);
        self.planned(plan, shown, duration)
    }

    /// Variable rate: times are the source's, counted from the first picture.
    fn copied_as_is(&self, shown: Shown, rate: FrameRate, starts: &[u32]) -> PlannedVideo {
        let samples = &self.track.samples;
        let time_of = |rank: u32| {
            samples
                .iter_from(rank)
                .next()
                .map(|sample| sample.decode_time)
        };
        let zero = time_of(shown.first).unwrap_or(0);
        let mut wanted = starts.iter().copied().peekable();
        let mut points = Vec::new();
        let shown_samples = samples.iter_from(shown.first).take(shown.len() as usize);
        for (frame, sample) in (0_u32..).zip(shown_samples) {
            if wanted.next_if_eq(&frame).is_some() {
                points.push(CutPoint {
                    frame,
                    time: sample.decode_time.saturating_sub(zero),
                });
            }
        }
        let end = time_of(shown.end)
            .unwrap_or(samples.end_decode_time())
            .saturating_sub(zero);
        let timescale = self.track.timescale;
        let nominal = i64::from(self.policy.segment_seconds) * i64::from(timescale.get());
        let rule = SegmentRule::new(nominal, self.policy, timescale);
        let segments = cuts::segments(
            &points,
            CutPoint {
                frame: shown.len(),
                time: end,
            },
            rule,
        );
        let plan = self.copied_plan(shown, rate, timescale, segments);
        self.planned(plan, shown, end)
    }

    fn copied_plan(
        &self,
        shown: Shown,
        rate: FrameRate,
        timescale: Timescale,
        segments: Vec<VideoSpan>,
    ) -> VideoPlan {
        let mut frame_map = FrameMap::default();
        for picture in shown.first..shown.end {
            frame_map.push(picture);
        }
        let own = Rung {
            width: self.info.width,
            height: self.info.height,
        };
        VideoPlan {
            frames: shown.len(),
            frame_map,
            gop_frames: rate::frames_in_seconds(rate, self.policy.gop_seconds),
            renditions: vec![rendition(own, VideoMethod::Copy)],
            ..self.empty_plan(timescale, rate, segments)
        }
    }

    fn planned(&self, plan: VideoPlan, shown: Shown, duration: i64) -> PlannedVideo {
        let first = self.pictures.time(shown.first).unwrap_or(0);
        PlannedVideo {
            origin: Ticks::new(first, self.track.timescale),
            duration: Ticks::new(duration, plan.timescale),
            plan,
        }
    }

    /// What a repackaged source may fail of the standard's rules.
    fn waive_copied(&self, planned: &PlannedVideo, shown: Shown, notes: &mut Notes) {
        let plan = &planned.plan;
        notes.waive("H30", "passthrough only: the source is the one rendition");
        notes.waive("H43", "passthrough only: nothing is decoded");
        if passthrough::average_rate(self.track, shown).is_none_or(|rate| rate > 100_000) {
            notes.waive(
                "H31",
                "passthrough only: the source's bit rate is what it is",
            );
        }
        let nominal = i64::from(self.policy.segment_seconds) * i64::from(plan.timescale.get());
        let limit = SegmentRule::new(nominal, self.policy, plan.timescale).limit;
        if let Some(longest) = plan.segments.iter().map(|span| span.duration).max()
            && longest >= limit
        {
            let longest = Ticks::new(longest, plan.timescale);
            notes.warn(format!(
                "the source's IDR pictures make segments of up to {longest} s"
            ));
            notes.waive(
                "H06",
                "passthrough only: segments follow the source's IDR pictures",
            );
        }
        if rate::compare(plan.frame_rate, max_rate()).is_gt() {
            notes.waive(
                "A03",
                format!(
                    "passthrough only: the source has {} frames a second",
                    plan.frame_rate
                ),
            );
        }
        let info = self.info;
        if info.orientation.quarter_turns != 0
            || info.orientation.mirrored
            || info.pixel_aspect != PixelAspect::SQUARE
        {
            notes.warn(
                "the source's picture is turned or has oblong pixels; repackaging can't mend that",
            );
            notes.waive(
                "A05",
                "passthrough only: the picture is as the source has it",
            );
        }
    }
}

fn max_rate() -> FrameRate {
    FrameRate::new(rate::MAX_RATE, 1).expect("60 is not zero")
}

fn rendition(rung: Rung, method: VideoMethod) -> VideoRendition {
    let kind = match &method {
        VideoMethod::Copy => String::new(),
        VideoMethod::Encode(recipe) => ladder::id_suffix(recipe),
    };
    VideoRendition {
        id: format!("v{}{kind}", rung.short()),
        width: rung.width,
        height: rung.height,
        method,
    }
}

/// Output frames of as many pictures at a constant rate.
fn constant_frames(pictures: u32, cadence: Cadence) -> i64 {
    let (source, output) = (cadence.source, cadence.output);
    if source == output {
        return i64::from(pictures);
    }
    let numerator =
        i128::from(pictures) * i128::from(output.numerator()) * i128::from(source.denominator());
    let denominator = i128::from(output.denominator()) * i128::from(source.numerator());
    i64::try_from((numerator * 2 + denominator) / (denominator * 2)).unwrap_or(i64::MAX)
}

/// Cuts every whole number of GOPs.
fn encoded_spans(
    frames: u32,
    gop_frames: u32,
    timescale: Timescale,
    frame: u32,
    policy: &Policy,
) -> Vec<VideoSpan> {
    let point = |at: u32| CutPoint {
        frame: at,
        time: i64::from(at) * i64::from(frame),
    };
    let points: Vec<CutPoint> = (0..frames)
        .step_by(gop_frames as usize)
        .map(point)
        .collect();
    let gops = (policy.segment_seconds / policy.gop_seconds).max(1);
    let nominal = i64::from(gops) * i64::from(gop_frames) * i64::from(frame);
    let rule = SegmentRule::new(nominal, policy, timescale);
    cuts::segments(&points, point(frames), rule)
}

/// Cuts at the IDR pictures nearest to the nominal length.
fn copied_spans(
    starts: &[u32],
    frames: u32,
    timescale: Timescale,
    frame: u32,
    policy: &Policy,
) -> Vec<VideoSpan> {
    let point = |at: u32| CutPoint {
        frame: at,
        time: i64::from(at) * i64::from(frame),
    };
    let points: Vec<CutPoint> = starts.iter().copied().map(point).collect();
    let nominal = i64::from(policy.segment_seconds) * i64::from(timescale.get());
    let rule = SegmentRule::new(nominal, policy, timescale);
    cuts::segments(&points, point(frames), rule)
}

/// The rung with the lowest peak.
fn lowest(renditions: &[VideoRendition]) -> Option<&VideoRendition> {
    let peak = |rendition: &&VideoRendition| match &rendition.method {
        VideoMethod::Encode(recipe) => recipe.maxrate,
        VideoMethod::Copy => u32::MAX,
    };
    renditions.iter().min_by_key(peak)
}

/// Rules that the ladder can't meet, because of the policy or the source's size.
fn waive_ladder(renditions: &[VideoRendition], policy: &Policy, notes: &mut Notes) {
    let why = if policy.rungs.is_empty() {
        "the source is too small for a second rung"
    } else {
        "the policy names the rungs"
    };
    if renditions.len() < 2 {
        notes.waive("H30", why);
    }
    let low = lowest(renditions).is_some_and(|rendition| match &rendition.method {
        VideoMethod::Encode(recipe) => recipe.maxrate <= ladder::LOWEST_MAXRATE,
        VideoMethod::Copy => false,
    });
    // An only rung goes with the main sound, which may take it over the limit.
    if !low || renditions.len() < 2 {
        notes.waive("H31", why);
    }
}

/// The size that pictures of high dynamic range are tone mapped at: that of the largest SDR rendition.
fn toned(plan: &VideoPlan) -> Option<(u32, u32)> {
    let is_sdr = |method: &VideoMethod| match method {
        VideoMethod::Encode(recipe) => recipe.range == VideoRange::Sdr,
        VideoMethod::Copy => false,
    };
    let is_high = matches!(plan.picture.colour.transfer, Colour::PQ | Colour::HLG);
    let sdr = plan.renditions.iter().filter(|r| is_sdr(&r.method));
    let sizes = sdr.map(|rendition| (rendition.width, rendition.height));
    sizes
        .max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
        .filter(|_| is_high)
}
