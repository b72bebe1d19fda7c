//! Time as whole ticks of a named timescale, and the only place that divides timestamps.
//!
//! Seconds as a float appear only where text is written. Every conversion names its rounding.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Ticks a second (ISO/IEC 14496-12 `timescale`). Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// One tick a millisecond.
    pub const MILLIS: Self = Self(NonZeroU32::new(1000).expect("1000 is not zero"));
    /// One tick a microsecond.
    pub const MICROS: Self = Self(NonZeroU32::new(1_000_000).expect("a million is not zero"));
    /// One tick a nanosecond.
    pub const NANOS: Self = Self(NonZeroU32::new(1_000_000_000).expect("a billion is not zero"));

    /// `None` when `ticks_per_second` is zero.
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(ticks_per_second) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// Ticks a second.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// What to do with the part of a tick that a conversion leaves over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Towards minus infinity.
    Floor,
    /// To the nearest tick, halves away from zero.
    Nearest,
    /// Towards plus infinity.
    Ceil,
}

/// `value * numerator / denominator` in 128 bits, rounded as asked, clamped to `i64`.
pub fn scale(value: i64, numerator: u64, denominator: NonZeroU64, rounding: Rounding) -> i64 {
    let product = i128::from(value) * i128::from(numerator);
    let denominator = i128::from(denominator.get());
    let quotient = match rounding {
        Rounding::Floor => product.div_euclid(denominator),
        Rounding::Ceil => -(-product).div_euclid(denominator),
        Rounding::Nearest => {
            let magnitude = (product.abs() * 2 + denominator) / (denominator * 2);
            if product < 0 { -magnitude } else { magnitude }
        }
    };
    i64::try_from(quotient).unwrap_or(if quotient < 0 { i64::MIN } else { i64::MAX })
}
pub use std::num::NonZeroU64;

/// Converts a count of ticks between timescales.
pub fn rescale(ticks: i64, from: Timescale, to: Timescale, rounding: Rounding) -> i64 {
    if from == to {
        return ticks;
    }
    scale(
        ticks,
        u64::from(to.get()),
        NonZeroU64::from(from.0),
        rounding,
    )
}

/// A point or length of time: ticks together with their timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticks {
    /// How many ticks.
    pub count: i64,
    /// Of which length.
    pub timescale: Timescale,
}

impl Ticks {
    /// `count` ticks of `timescale`.
    pub const fn new(count: i64, timescale: Timescale) -> Self {
        Self { count, timescale }
    }

    /// The same time in another timescale.
    #[must_use]
    pub fn to(self, timescale: Timescale, rounding: Rounding) -> Self {
        Self::new(
            rescale(self.count, self.timescale, timescale, rounding),
            timescale,
        )
    }

    /// Seconds, for text and for estimates only; never for arithmetic that reaches a stream.
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    pub fn seconds(self) -> f64 {
        self.count as f64 / f64::from(self.timescale.get())
    }
}

impl fmt::Display for Ticks {
    /// Seconds with six decimals, exactly rounded from the ticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = rescale(
            self.count,
            self.timescale,
            Timescale::MICROS,
            Rounding::Nearest,
        );
        let sign = if micros < 0 { "-" } else { "" };
        let micros = micros.unsigned_abs();
        write!(f, "{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// Frames a second as a fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    numerator: NonZeroU32,
    denominator: NonZeroU32,
}

impl FrameRate {
    /// `numerator / denominator` frames a second, reduced; `None` when either is zero.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        let divisor = gcd(numerator, denominator).max(1);
        Some(Self {
            numerator: NonZeroU32::new(numerator / divisor)?,
            denominator: NonZeroU32::new(denominator / divisor)?,
        })
    }

    /// Frames in `denominator` seconds.
    pub const fn numerator(self) -> u32 {
        self.numerator.get()
    }

    /// Seconds that `numerator` frames take.
    pub const fn denominator(self) -> u32 {
        self.denominator.get()
    }

    /// The length of one frame in ticks, when it is a whole number of them.
    pub fn frame_duration(self, timescale: Timescale) -> Option<u32> {
        let product = u64::from(timescale.get()) * u64::from(self.denominator());
        (product % u64::from(self.numerator()) == 0)
            .then(|| u32::try_from(product / u64::from(self.numerator())).ok())?
    }

    /// The smallest timescale of at least 12,000 ticks a second in which a frame is a whole
    /// number of ticks (30000/1001 gives 30000; 25 gives 12000).
    pub fn natural_timescale(self) -> Timescale {
        let n = self.numerator();
        let multiple = 12_000_u32.div_ceil(n).max(1);
        Timescale(
            self.numerator
                .saturating_mul(NonZeroU32::new(multiple).expect("max(1) keeps it above zero")),
        )
    }

    /// When frame `frame` starts, in ticks.
    pub fn frame_start(self, frame: i64, timescale: Timescale, rounding: Rounding) -> i64 {
        let numerator = u64::from(self.denominator()) * u64::from(timescale.get());
        scale(frame, numerator, NonZeroU64::from(self.numerator), rounding)
    }

    /// How many frames fit into `time`, rounded as asked.
    pub fn frames_in(self, time: Ticks, rounding: Rounding) -> i64 {
        let denominator = u64::from(self.denominator()) * u64::from(time.timescale.get());
        let denominator = NonZeroU64::new(denominator).expect("both factors are non-zero");
        scale(
            time.count,
            u64::from(self.numerator()),
            denominator,
            rounding,
        )
    }
}

impl fmt::Display for FrameRate {
    /// `25` or `30000/1001`, as DASH writes `@frameRate`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator() == 1 {
            write!(f, "{}", self.numerator())
        } else {
            write!(f, "{}/{}", self.numerator(), self.denominator())
        }
    }
}

/// `text`, a decimal number of at least zero without exponent, times `10^decimals`, rounded to the
/// nearest whole (halves up). `None` when it is no such number or too large.
pub fn parse_decimal(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let kept = fraction.bytes().chain(std::iter::repeat(b'0'));
    let mut value: u64 = 0;
    for digit in whole.bytes().chain(kept.take(decimals)) {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    let round_up = fraction
        .as_bytes()
        .get(decimals)
        .is_some_and(|d| *d >= b'5');
    value.checked_add(u64::from(round_up))
}

/// Greatest common divisor; `gcd(0, n) == n`.
pub fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timescale(n: u32) -> Timescale {
        Timescale::new(n).expect("non-zero")
    }

    #[test]
    fn frame_rate_picks_a_timescale_with_whole_frames() {
        for (num, den, ts, duration) in [
            (30_000, 1001, 30_000, 1001),
            (25, 1, 12_000, 480),
            (24_000, 1001, 24_000, 1001),
            (60, 1, 12_000, 200),
        ] {
            let rate = FrameRate::new(num, den).expect("valid");
            assert_eq!(rate.natural_timescale().get(), ts);
            assert_eq!(
                rate.frame_duration(rate.natural_timescale()),
                Some(duration)
            );
        }
    }

    #[test]
    fn ticks_display_as_seconds() {
        assert_eq!(
            Ticks::new(-1024, timescale(48_000)).to_string(),
            "-0.021333"
        );
        assert_eq!(Ticks::new(6006, timescale(1000)).to_string(), "6.006000");
    }

    #[test]
    fn decimals_scale_exactly() {
        for (text, decimals, value) in [
            ("6.006", 9, Some(6_006_000_000)),
            ("6", 3, Some(6000)),
            ("29.9704", 3, Some(29_970)),
            ("29.9705", 3, Some(29_971)),
            (".5", 1, Some(5)),
            ("5.", 1, Some(50)),
            ("", 3, None),
            (".", 3, None),
            ("-1", 3, None),
            ("1e3", 3, None),
            ("99999999999999999999", 0, None),
        ] {
            assert_eq!(parse_decimal(text, decimals), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn roundings_bracket_the_exact_value(v in any::<i32>(), n in 1_u32..1_000_000, d in 1_u32..1_000_000) {
            let (from, to) = (timescale(d), timescale(n));
            let v = i64::from(v);
            let floor = rescale(v, from, to, Rounding::Floor);
            let ceil = rescale(v, from, to, Rounding::Ceil);
            let nearest = rescale(v, from, to, Rounding::Nearest);
            prop_assert!(floor <= nearest && nearest <= ceil && ceil - floor <= 1);
            if n >= d {
                prop_assert_eq!(rescale(nearest, to, from, Rounding::Nearest), v);
            }
        }

        #[test]
        fn frame_starts_never_drift(k in 0_i64..10_000_000) {
            let rate = FrameRate::new(30_000, 1001).expect("valid");
            let ts = timescale(90_000);
            prop_assert_eq!(rate.frame_start(k, ts, Rounding::Nearest), k * 3003);
            prop_assert_eq!(rate.frames_in(Ticks::new(k * 3003, ts), Rounding::Nearest), k);
        }
    }
}
