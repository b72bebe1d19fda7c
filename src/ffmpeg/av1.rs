//! AV1 encoding by SVT-AV1 under the promises of [`super::encoder`].
//!
//! Each group of pictures has an encoder of its own: SVT-AV1 (1.4, of Debian 12) takes no orders
//! about where key frames are. A group's bytes then depend on its pictures alone, whatever is made
//! before, after or beside it, on however many threads.

use ffmpeg_next as ffmpeg;

use super::encoder::{EncodedPicture, Opened, Start, Take, Unopened, number_of};
use super::sys;
use crate::codec::av1::{self, Av1Config};
use crate::error::{Error, Result};
use crate::media::{Preset, VideoEncode};
use crate::time::FrameRate;

/// More pictures than any group has: no key frames but the first.
const NO_KEY_FRAMES: u32 = 1_000_000;

/// Pictures of at most so many pixels are kept until their group is known to be within its peak.
const MOST_KEPT_PIXELS: u32 = 640 * 360;
/// Steps of the rate factor by which a group is made smaller, and its end.
const COARSER: u32 = 4;
const COARSEST: u32 = 63;

/// Encoders, one after the other.
///
/// SVT-AV1's cap of the rate needs longer than a group to take hold. Small pictures, whose peaks are
/// promised to slow networks, are encoded again, coarser, where their group came out above it.
pub(super) struct Av1Encoder {
    encode: VideoEncode,
    frame_rate: FrameRate,
    threads: u32,
    config: Vec<u8>,
    /// The encoder of the group that is coming in; one that has had no picture yet at first.
    current: Opened,
    started: bool,
    /// The group's pictures with their numbers, and what became of them; of small pictures only.
    kept: Option<Kept>,
}

#[derive(Default)]
struct Kept {
    pictures: Vec<(ffmpeg::Frame, i64)>,
    encoded: Vec<EncodedPicture>,
}

impl Av1Encoder {
    /// Opens an encoder for this rung.
    pub(super) fn open(encode: &VideoEncode, frame_rate: FrameRate, start: Start) -> Result<Self> {
        let threads = start.threads.max(1);
        let current = open_one(encode, frame_rate, threads, encode.recipe.crf)?;
        let config = Av1Config::from_obus(&current.extradata())?.to_bytes();
        let is_small = encode.width.saturating_mul(encode.height) <= MOST_KEPT_PIXELS;
        Ok(Self {
            encode: encode.clone(),
            frame_rate,
            threads,
            config,
            current,
            started: false,
            kept: is_small.then(Kept::default),
        })
    }

    /// Encodes a picture; its number orders the output and names it there.
    pub(super) fn push(
        &mut self,
        picture: &ffmpeg::Frame,
        number: i64,
        idr: bool,
        take: &mut Take<'_>,
    ) -> Result<()> {
        if idr && self.started {
            self.finish(take)?;
            self.current = self.reopened(self.encode.recipe.crf)?;
        }
        self.started = true;
        let Some(kept) = &mut self.kept else {
            let mut encoded = |packet: &ffmpeg::Packet| take(encoded(packet)?);
            return self.current.push(picture, number, false, &mut encoded);
        };
        kept.pictures.push((sys::share(picture)?, number));
        let mut keep = into(&mut kept.encoded);
        self.current.push(picture, number, false, &mut keep)
    }

    /// Encodes what is still held back.
    pub(super) fn finish(&mut self, take: &mut Take<'_>) -> Result<()> {
        let Some(mut kept) = self.kept.take() else {
            return self.current.finish(&mut |packet| take(encoded(packet)?));
        };
        self.current.finish(&mut into(&mut kept.encoded))?;
        let mut crf = self.encode.recipe.crf;
        while self.is_above_peak(&kept) && crf < COARSEST {
            crf = (crf + COARSER).min(COARSEST);
            kept.encoded.clear();
            let mut encoder = self.reopened(crf)?;
            for (picture, number) in &kept.pictures {
                encoder.push(picture, *number, false, &mut into(&mut kept.encoded))?;
            }
            encoder.finish(&mut into(&mut kept.encoded))?;
        }
        kept.pictures.clear();
        for picture in kept.encoded.drain(..) {
            take(picture)?;
        }
        self.kept = Some(kept);
        Ok(())
    }

    /// Whether a group's bits come faster than the recipe allows.
    fn is_above_peak(&self, kept: &Kept) -> bool {
        let bytes: u64 = kept.encoded.iter().map(|one| one.data.len() as u64).sum();
        let frames = kept.pictures.len() as u64;
        let (rate, peak) = (self.frame_rate, u64::from(self.encode.recipe.maxrate));
        // Bits of the group against what the peak lets through meanwhile, both times the rate.
        let bits = u128::from(bytes * 8) * u128::from(rate.numerator());
        bits > u128::from(peak * frames) * u128::from(rate.denominator())
    }

    /// One more encoder, whose sequence header must be that of the first.
    fn reopened(&self, crf: u32) -> Result<Opened> {
        let encoder = open_one(&self.encode, self.frame_rate, self.threads, crf)?;
        let config = Av1Config::from_obus(&encoder.extradata())?.to_bytes();
        match config == self.config {
            true => Ok(encoder),
            false => Err(Error::internal(
                "the AV1 encoder's sequence header differs from group to group",
            )),
        }
    }

    /// The `av1C` record.
    pub(super) fn config(&self) -> Result<Vec<u8>> {
        Ok(self.config.clone())
    }
}

/// Keeps encoded pictures.
fn into(pictures: &mut Vec<EncodedPicture>) -> impl FnMut(&ffmpeg::Packet) -> Result<()> {
    |packet| {
        pictures.push(encoded(packet)?);
        Ok(())
    }
}

fn open_one(encode: &VideoEncode, frame_rate: FrameRate, threads: u32, crf: u32) -> Result<Opened> {
    // SVT-AV1 has threads of its own, which its parameters name.
    let own = ffmpeg::codec::threading::Config {
        count: 1,
        ..ffmpeg::codec::threading::Config::default()
    };
    let mut unopened = Unopened::new("libsvtav1", encode, frame_rate, own)?;
    unopened.context.set_gop(NO_KEY_FRAMES);
    let recipe = &encode.recipe;
    let mut options = ffmpeg::Dictionary::new();
    options.set("preset", &speed(recipe.preset).to_string());
    options.set("crf", &crf.to_string());
    let (major, minor) = (2 + recipe.level / 4, recipe.level % 4);
    options.set(
        "svtav1-params",
        &format!("lp={threads}:scd=0:level={major}{minor}:fast-decode=0"),
    );
    unopened.open(options)
}

/// SVT-AV1's preset for an effort in x264's words: about as much slower than x264 at veryfast as
/// HEVC is.
fn speed(preset: Preset) -> u32 {
    match preset {
        Preset::Ultrafast => 12,
        Preset::Superfast => 11,
        Preset::Veryfast => 10,
        Preset::Faster => 9,
        Preset::Fast => 8,
        Preset::Medium => 7,
        Preset::Slow => 6,
        Preset::Slower => 5,
        Preset::Veryslow => 4,
    }
}

fn encoded(packet: &ffmpeg::Packet) -> Result<EncodedPicture> {
    let data = av1::to_sample(packet.data().unwrap_or_default());
    let idr = av1::is_key(&data)
        .ok_or_else(|| Error::internal("an encoded picture without frame header"))?;
    Ok(EncodedPicture {
        number: number_of(packet)?,
        idr,
        data: data.into(),
    })
}
