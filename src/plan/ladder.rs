//! The ladder: which picture sizes are made, at which rates.
//!
//! Rungs are named by the short side of the upright picture, so portrait video gets portrait
//! rungs. Nothing is scaled up. Rates are peaks: the encoder aims at constant quality below them.

use super::{av1_level, hevc_level, level};
use crate::media::{Policy, Preset, VideoCodec, VideoRange, VideoRecipe};
use crate::time::FrameRate;

/// Short sides of the standard rungs.
const STANDARD: &[u32] = &[2160, 1440, 1080, 720, 540, 360, 240];
/// A rung of the source's own size is worth making from this much above the next one.
const WORTH_PERCENT: u32 = 115;
/// Shortest side of a picture that is made beside another, in pixels.
const SHORTEST_SIDE: u32 = 64;
/// Peak of the lowest rung in bits a second: with 64 kb/s of sound and the container's overhead
/// it stays at or under the 192 kb/s of conformance H31.
pub(crate) const LOWEST_MAXRATE: u32 = 88_000;
/// Least peak of any rung above the lowest.
const LEAST_MAXRATE: u32 = 144_000;

/// Peak in bits a second at 24 to 30 frames a second by the area of a 16:9 picture, ascending.
/// Between rows it is interpolated; other shapes follow their area.
const PEAKS: &[(u64, u64)] = &[
    (0, 0),
    (426 * 240, 400_000),
    (640 * 360, 800_000),
    (854 * 480, 1_400_000),
    (960 * 540, 1_800_000),
    (1280 * 720, 3_200_000),
    (1920 * 1080, 6_000_000),
    (2560 * 1440, 9_500_000),
    (3840 * 2160, 16_000_000),
    (7680 * 4320, 45_000_000),
];

/// The size of one rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rung {
    /// Width, even.
    pub(crate) width: u32,
    /// Height, even.
    pub(crate) height: u32,
}

impl Rung {
    /// The shorter side.
    pub(crate) fn short(self) -> u32 {
        self.width.min(self.height)
    }
}

/// The rungs for an upright picture of `width` by `height`, largest first: the named ones, or
/// the standard ladder. `copied` makes the first rung the source's own picture. Requests that
/// don't fit are told in `warnings`.
pub(crate) fn rungs(
    width: u32,
    height: u32,
    named: &[u32],
    copied: bool,
    warnings: &mut Vec<String>,
) -> Vec<Rung> {
    let own = Rung {
        width: even_floor(width),
        height: even_floor(height),
    };
    let short = width.min(height);
    let mut rungs = if named.is_empty() {
        standard(width, height, own, copied)
    } else {
        let fits = |side: &u32| *side <= short || even_floor(*side) == own.short();
        for side in named.iter().filter(|side| !fits(side)) {
            warnings.push(format!(
                "rung {side} is left out: the source's short side is {short}"
            ));
        }
        named
            .iter()
            .filter(|side| fits(side))
            .map(|side| scaled(width, height, *side))
            .collect()
    };
    if rungs.is_empty() {
        rungs.push(own);
    }
    rungs.sort_by_key(|rung| std::cmp::Reverse(rung.short()));
    rungs.dedup_by_key(|rung| rung.short());
    if named.is_empty() && rungs.len() == 1 {
        rungs.extend(half(width, height));
    }
    rungs
}

fn standard(width: u32, height: u32, own: Rung, copied: bool) -> Vec<Rung> {
    let short = width.min(height);
    let worth = |side: u32| u64::from(short) * 100 >= u64::from(side) * u64::from(WORTH_PERCENT);
    let fitting: Vec<u32> = STANDARD
        .iter()
        .copied()
        .filter(|side| *side <= short)
        .collect();
    let own_is_worth_it = match fitting.first() {
        None => true,
        Some(top) => copied || worth(*top),
    };
    let mut rungs: Vec<Rung> = own_is_worth_it.then_some(own).into_iter().collect();
    let below = fitting.into_iter().filter(|side| !copied || worth(*side));
    rungs.extend(below.map(|side| scaled(width, height, side)));
    rungs
}

/// Half of the picture, for sources that are a single rung themselves (conformance H30).
fn half(width: u32, height: u32) -> Option<Rung> {
    let short = width.min(height);
    let side = even_floor(short / 2).max(SHORTEST_SIDE);
    (u64::from(side) * u64::from(WORTH_PERCENT) <= u64::from(short) * 100)
        .then(|| scaled(width, height, side))
}

/// The picture scaled to a short side, in even numbers, no larger than the source.
pub(crate) fn scaled(width: u32, height: u32, side: u32) -> Rung {
    let short = width.min(height).max(1);
    let side = side.min(short);
    let scale = |length: u32| {
        let half =
            (u64::from(length) * u64::from(side) + u64::from(short) - 1) / (2 * u64::from(short));
        u32::try_from(half * 2)
            .unwrap_or(u32::MAX)
            .clamp(2, even_floor(length))
    };
    Rung {
        width: scale(width),
        height: scale(height),
    }
}

fn even_floor(length: u32) -> u32 {
    (length / 2 * 2).max(2)
}

/// Peak rate of a rung in bits a second.
pub(crate) fn maxrate(rung: Rung, rate: FrameRate, lowest: bool, named: bool) -> u32 {
    if lowest && (!named || rung.short() <= 240) {
        return LOWEST_MAXRATE;
    }
    let area = u64::from(rung.width) * u64::from(rung.height);
    let peak = interpolate(area) * rate_percent(rate) / 100;
    let rounded = (peak + 500) / 1000 * 1000;
    u32::try_from(rounded)
        .unwrap_or(u32::MAX)
        .clamp(LEAST_MAXRATE, 100_000_000)
}

fn interpolate(area: u64) -> u64 {
    let segment = PEAKS.windows(2).find(|pair| area <= pair[1].0);
    match segment {
        Some([(a0, p0), (a1, p1)]) => p0 + (p1 - p0) * (area - a0) / (a1 - a0),
        _ => PEAKS.last().map_or(0, |(_, peak)| *peak),
    }
}

/// 100 up to 30 frames a second, 140 at 60: neighbours look more alike, so bits grow slower
/// than frames.
fn rate_percent(rate: FrameRate) -> u64 {
    let above = u64::from(rate.numerator())
        .saturating_sub(30 * u64::from(rate.denominator()))
        .min(90 * u64::from(rate.denominator()));
    100 + above * 40 / (30 * u64::from(rate.denominator()))
}

/// Frames that x264's preset looks ahead, and three B-frames: what must follow a task's last
/// frame so that it is coded as in one piece.
fn tail_frames(preset: Preset) -> u32 {
    match preset {
        Preset::Ultrafast | Preset::Superfast => 10,
        Preset::Veryfast => 13,
        Preset::Faster => 23,
        Preset::Fast => 33,
        Preset::Medium => 43,
        Preset::Slow => 53,
        Preset::Slower | Preset::Veryslow => 63,
    }
}

/// The same for x265, whose B-frames are up to eight.
fn hevc_tail_frames(preset: Preset) -> u32 {
    match preset {
        Preset::Ultrafast | Preset::Superfast => 15,
        Preset::Veryfast | Preset::Faster | Preset::Fast => 20,
        Preset::Medium => 25,
        Preset::Slow => 34,
        Preset::Slower | Preset::Veryslow => 49,
    }
}

/// What all rungs of a ladder are made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Make {
    /// The codec.
    pub(crate) codec: VideoCodec,
    /// The range of light.
    pub(crate) range: VideoRange,
}

impl Make {
    /// Of standard dynamic range.
    pub(crate) fn sdr(codec: VideoCodec) -> Self {
        Self {
            codec,
            range: VideoRange::Sdr,
        }
    }

    /// The levels that are allowed, in words.
    pub(crate) fn levels(self) -> &'static str {
        match self.codec {
            VideoCodec::H264 => "H.264 level up to 5.2",
            VideoCodec::Hevc => "HEVC level up to 5.1",
            VideoCodec::Av1 => "AV1 level up to 6.2",
        }
    }

    /// Peak against that of H.264, in percent: what it takes to look alike. Ten bits and the colours
    /// of BT.2020 take a fifth more.
    fn rate_percent(self) -> u64 {
        match (self.codec, self.range) {
            (VideoCodec::H264, _) => 100,
            (VideoCodec::Hevc, VideoRange::Sdr) => 65,
            (VideoCodec::Hevc, VideoRange::Pq(_) | VideoRange::Hlg) => 78,
            (VideoCodec::Av1, _) => 55,
        }
    }

    /// The constant rate factor on the codec's own scale that looks about as x264's does.
    fn crf(self, x264: u32) -> u32 {
        match self.codec {
            VideoCodec::H264 => x264,
            VideoCodec::Hevc => (x264 + 3).min(51),
            VideoCodec::Av1 => (x264 * 35 / 23).min(63),
        }
    }
}

/// What is added to a track's id for what it is made as.
pub(crate) fn id_suffix(recipe: &VideoRecipe) -> String {
    let range = match recipe.range {
        VideoRange::Sdr => "",
        VideoRange::Pq(_) => "-pq",
        VideoRange::Hlg => "-hlg",
    };
    match recipe.codec {
        VideoCodec::H264 => range.to_owned(),
        codec => format!("-{}{range}", codec.name()),
    }
}

/// What is the same for all rungs of a title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecipeRule<'a> {
    /// The policy.
    pub(crate) policy: &'a Policy,
    /// Output frame rate.
    pub(crate) rate: FrameRate,
    /// Frames between IDR pictures.
    pub(crate) gop_frames: u32,
}

impl RecipeRule<'_> {
    /// How a rung is encoded; `None` where no level that is allowed is enough.
    pub(crate) fn recipe(
        self,
        rung: Rung,
        make: Make,
        top: bool,
        lowest: bool,
    ) -> Option<VideoRecipe> {
        let maxrate = self.maxrate(rung, make, lowest);
        let bufsize = if maxrate <= LOWEST_MAXRATE {
            maxrate / 3 * 2
        } else {
            maxrate / 2 * 3
        };
        let Rung { width, height } = rung;
        let rate = self.rate;
        let two = top && rung.short() >= 720;
        let preset = self.policy.preset;
        let (level, threads, head_frames, tail_frames) = match make.codec {
            VideoCodec::H264 => (
                level::smallest(width, height, rate, maxrate, bufsize)?,
                if two { 2 } else { 1 },
                self.gop_frames,
                tail_frames(preset),
            ),
            VideoCodec::Hevc => (
                hevc_level::smallest(width, height, rate, maxrate, bufsize)?,
                1,
                self.gop_frames,
                hevc_tail_frames(preset),
            ),
            // Each group is encoded by itself.
            VideoCodec::Av1 => (
                av1_level::smallest(width, height, rate, maxrate)?,
                if two { 2 } else { 1 },
                0,
                0,
            ),
        };
        Some(VideoRecipe {
            preset,
            crf: make.crf(self.policy.crf),
            maxrate,
            bufsize,
            level,
            threads,
            head_frames,
            tail_frames,
            codec: make.codec,
            range: make.range,
        })
    }

    /// Peak of a rung; the lowest one has the same in every codec.
    fn maxrate(self, rung: Rung, make: Make, lowest: bool) -> u32 {
        let named = !self.policy.rungs.is_empty();
        let h264 = maxrate(rung, self.rate, lowest, named);
        let scaled = u64::from(h264) * make.rate_percent() / 100 / 1000 * 1000;
        let scaled = u32::try_from(scaled).unwrap_or(u32::MAX);
        scaled.max(h264.min(LEAST_MAXRATE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(width: u32, height: u32, named: &[u32], copied: bool) -> Vec<(u32, u32)> {
        let rungs = rungs(width, height, named, copied, &mut Vec::new());
        rungs.iter().map(|rung| (rung.width, rung.height)).collect()
    }

    #[test]
    fn standard_ladders() {
        for (source, expected) in [
            (
                (1920, 1080),
                vec![
                    (1920, 1080),
                    (1280, 720),
                    (960, 540),
                    (640, 360),
                    (426, 240),
                ],
            ),
            (
                (1080, 1920),
                vec![
                    (1080, 1920),
                    (720, 1280),
                    (540, 960),
                    (360, 640),
                    (240, 426),
                ],
            ),
            ((854, 480), vec![(854, 480), (640, 360), (426, 240)]),
            ((720, 480), vec![(720, 480), (540, 360), (360, 240)]),
            ((1024, 576), vec![(960, 540), (640, 360), (426, 240)]),
            ((960, 400), vec![(864, 360), (576, 240)]),
            (
                (642, 642),
                vec![(642, 642), (540, 540), (360, 360), (240, 240)],
            ),
            ((518, 488), vec![(518, 488), (382, 360), (254, 240)]),
            ((320, 240), vec![(320, 240), (160, 120)]),
            ((161, 121), vec![(160, 120), (86, 64)]),
            ((200, 200), vec![(200, 200), (100, 100)]),
            ((64, 64), vec![(64, 64)]),
            ((853, 480), vec![(852, 480), (640, 360), (426, 240)]),
            (
                (1920, 1088),
                vec![
                    (1906, 1080),
                    (1270, 720),
                    (952, 540),
                    (636, 360),
                    (424, 240),
                ],
            ),
        ] {
            assert_eq!(
                sizes(source.0, source.1, &[], false),
                expected,
                "{source:?}"
            );
        }
    }

    #[test]
    fn a_copied_top_rung_keeps_its_size_and_replaces_a_near_one() {
        assert_eq!(sizes(960, 400, &[], true), [(960, 400), (576, 240)]);
        assert_eq!(
            sizes(1920, 1080, &[], true)[..2],
            [(1920, 1080), (1280, 720)]
        );
        assert_eq!(sizes(320, 240, &[], true), [(320, 240), (160, 120)]);
    }

    #[test]
    fn named_rungs_are_taken_as_they_are_where_they_fit() {
        assert_eq!(
            sizes(1280, 720, &[480, 1080, 720], false),
            [(1280, 720), (854, 480)]
        );
        assert_eq!(sizes(320, 180, &[480], false), [(320, 180)]);
        let mut warnings = Vec::new();
        rungs(1280, 720, &[1080], false, &mut warnings);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn peaks_follow_area_and_rate() {
        let fps = |n| FrameRate::new(n, 1).expect("valid");
        let peak = |w, h, n| {
            maxrate(
                Rung {
                    width: w,
                    height: h,
                },
                fps(n),
                false,
                false,
            )
        };
        assert_eq!(peak(1920, 1080, 30), 6_000_000);
        assert_eq!(peak(1920, 1080, 60), 8_400_000);
        assert_eq!(peak(854, 480, 24), 1_400_000);
        assert!(peak(640, 480, 25) < peak(854, 480, 25));
        assert_eq!(peak(86, 64, 25), LEAST_MAXRATE);
        assert_eq!(
            maxrate(
                Rung {
                    width: 426,
                    height: 240
                },
                fps(30),
                true,
                false
            ),
            88_000
        );
        assert!(
            maxrate(
                Rung {
                    width: 1280,
                    height: 720
                },
                fps(30),
                true,
                true
            ) > 3_000_000
        );
    }

    proptest! {
        #[test]
        fn ladders_never_scale_up_and_descend(width in 16_u32..9000, height in 16_u32..9000, copied in any::<bool>()) {
            let ladder = rungs(width, height, &[], copied, &mut Vec::new());
            prop_assert!(!ladder.is_empty());
            for rung in &ladder {
                prop_assert!(rung.width <= width && rung.height <= height);
                prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0 && rung.width > 0 && rung.height > 0);
                let skew = (u64::from(rung.width) * u64::from(height)).abs_diff(u64::from(rung.height) * u64::from(width));
                prop_assert!(skew <= 2 * u64::from(width.max(height)) + 4);
            }
            let rate = FrameRate::new(30, 1).expect("valid");
            let peaks: Vec<u32> = ladder.iter().enumerate().map(|(at, rung)| maxrate(*rung, rate, at + 1 == ladder.len(), false)).collect();
            for pair in ladder.windows(2) {
                prop_assert!(pair[0].short() > pair[1].short());
            }
            prop_assert!(peaks.windows(2).all(|pair| pair[0] >= pair[1]));
            prop_assert!(ladder.len() == 1 || peaks[peaks.len() - 1] < peaks[peaks.len() - 2]);
        }
    }
}
