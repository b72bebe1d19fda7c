//! Where a picture goes in a frame that was planned for another shape.

use std::fmt::Write as _;

use crate::media::{PicturePlan, PixelAspect};

/// Shapes that differ by less than this, in thousandths, are taken as the same: sizes are rounded.
const SAME_PERMILLE: u64 = 20;

/// The part of a frame that a picture fills; the rest is black.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    /// Width of the picture in the frame.
    pub(super) width: u32,
    /// Height of the picture in the frame.
    pub(super) height: u32,
    /// Width and height of the frame.
    frame: (u32, u32),
}

impl Fit {
    /// For a decoded picture of `size` whose pixels the bitstream says to be `aspect` (0 for what it
    /// doesn't say), in a frame of `width` by `height` square pixels, not turned yet.
    ///
    /// A picture of the planned size fills the frame: of its shape the container knew better.
    pub(super) fn of(
        plan: &PicturePlan,
        size: (u32, u32),
        aspect: (u32, u32),
        (width, height): (u32, u32),
    ) -> Self {
        let whole = Self {
            width,
            height,
            frame: (width, height),
        };
        if size == (plan.width, plan.height) {
            return whole;
        }
        let PixelAspect {
            horizontal,
            vertical,
        } = plan.pixel_aspect;
        let (across, down) = match aspect {
            (0, _) | (_, 0) => (horizontal, vertical),
            known => known,
        };
        // The shape of the picture is `wide` to `high`; at most 32 bits each.
        let wide = u64::from(size.0).saturating_mul(u64::from(across));
        let high = u64::from(size.1).saturating_mul(u64::from(down));
        let (left, right) = (
            u128::from(wide) * u128::from(height),
            u128::from(high) * u128::from(width),
        );
        if wide == 0
            || high == 0
            || left.abs_diff(right) * 1000 <= right * u128::from(SAME_PERMILLE)
        {
            return whole;
        }
        let scaled = |length: u128, by: u64, over: u64| {
            let half = (length * u128::from(by) / u128::from(over)).div_ceil(2);
            u32::try_from(half * 2).unwrap_or(u32::MAX)
        };
        if left > right {
            let fitted = scaled(u128::from(width), high, wide);
            Self {
                height: fitted.clamp(2, height),
                ..whole
            }
        } else {
            let fitted = scaled(u128::from(height), wide, high);
            Self {
                width: fitted.clamp(2, width),
                ..whole
            }
        }
    }

    /// Whether nothing stays black.
    pub(super) fn is_whole(self) -> bool {
        (self.width, self.height) == self.frame
    }

    /// What to append to a chain of filters that gives pictures of the fitted size.
    pub(super) fn bars(self) -> String {
        let mut chain = String::new();
        if !self.is_whole() {
            let (width, height) = self.frame;
            let side = |frame: u32, picture: u32| (frame - picture) / 4 * 2;
            let (left, top) = (side(width, self.width), side(height, self.height));
            let _ = write!(
                chain,
                ",pad=w={width}:h={height}:x={left}:y={top}:color=black"
            );
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{Colour, Orientation, Scan};

    fn plan(width: u32, height: u32) -> PicturePlan {
        PicturePlan {
            width,
            height,
            pixel_aspect: PixelAspect::SQUARE,
            orientation: Orientation::default(),
            colour: Colour::UNSPECIFIED,
            light: crate::media::Light::default(),
            scan: Scan::AsMarked,
            toned: None,
        }
    }

    fn fitted(size: (u32, u32), aspect: (u32, u32)) -> (u32, u32) {
        let fit = Fit::of(&plan(1280, 720), size, aspect, (640, 360));
        (fit.width, fit.height)
    }

    #[test]
    fn other_shapes_get_bars_and_other_sizes_do_not() {
        assert_eq!(fitted((1280, 720), (4, 3)), (640, 360));
        assert_eq!(fitted((854, 480), (1, 1)), (640, 360));
        assert_eq!(fitted((1920, 1088), (0, 1)), (640, 360));
        assert_eq!(fitted((640, 480), (1, 1)), (480, 360));
        assert_eq!(fitted((720, 576), (64, 45)), (640, 360));
        assert_eq!(fitted((720, 1280), (1, 1)), (202, 360));
        assert_eq!(fitted((1280, 544), (1, 1)), (640, 272));
        let bars = Fit::of(&plan(1280, 720), (640, 480), (1, 1), (640, 360)).bars();
        assert_eq!(bars, ",pad=w=640:h=360:x=80:y=0:color=black");
    }

    proptest! {
        #[test]
        fn a_fit_is_even_and_inside(w in 1_u32..9000, h in 1_u32..9000, a in 0_u32..300, b in 0_u32..300, fw in 1_u32..2000, fh in 1_u32..2000) {
            let frame = (fw * 2, fh * 2);
            let fit = Fit::of(&plan(1920, 1080), (w, h), (a, b), frame);
            prop_assert!(fit.width <= frame.0 && fit.height <= frame.1);
            prop_assert!(fit.width >= 2 && fit.height >= 2);
            prop_assert!(fit.width.is_multiple_of(2) && fit.height.is_multiple_of(2));
        }
    }
}
