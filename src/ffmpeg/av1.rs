//! AV1 encoding by SVT-AV1 under the promises of [`super::encoder`].
//!
//! Each group of pictures has an encoder of its own: SVT-AV1 (1.4, of Debian 12) takes no orders
//! about where key frames are. A group's bytes then depend on its pictures alone, whatever is made
//! before, after or beside it, on however many threads.

use ffmpeg_next as ffmpeg;

use super::encoder::{EncodedPicture, Opened, Start, Take, Unopened, number_of};
use crate::codec::av1::{self, Av1Config};
use crate::error::{Error, Result};
use crate::media::{Preset, VideoEncode};
use crate::time::FrameRate;

/// More pictures than any group has: no key frames but the first.
const NO_KEY_FRAMES: u32 = 1_000_000;

/// Encoders, one after the other.
pub(super) struct Av1Encoder {
    encode: VideoEncode,
    frame_rate: FrameRate,
    threads: u32,
    config: Vec<u8>,
    /// The encoder of the group that is coming in; one that has had no picture yet at first.
    current: Opened,
    started: bool,
}

impl Av1Encoder {
    /// Opens an encoder for this rung.
    pub(super) fn open(encode: &VideoEncode, frame_rate: FrameRate, start: Start) -> Result<Self> {
        let threads = start.threads.max(1);
        let current = open_one(encode, frame_rate, threads)?;
        let config = Av1Config::from_obus(&current.extradata())?.to_bytes();
        Ok(Self {
            encode: encode.clone(),
            frame_rate,
            threads,
            config,
            current,
            started: false,
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
            self.current = open_one(&self.encode, self.frame_rate, self.threads)?;
            let config = Av1Config::from_obus(&self.current.extradata())?.to_bytes();
            if config != self.config {
                return Err(Error::internal(
                    "the AV1 encoder's sequence header differs from group to group",
                ));
            }
        }
        self.started = true;
        let mut encoded = |packet: &ffmpeg::Packet| take(encoded(packet)?);
        self.current.push(picture, number, false, &mut encoded)
    }

    /// Encodes what is still held back.
    pub(super) fn finish(&mut self, take: &mut Take<'_>) -> Result<()> {
        self.current.finish(&mut |packet| take(encoded(packet)?))
    }

    /// The `av1C` record.
    pub(super) fn config(&self) -> Result<Vec<u8>> {
        Ok(self.config.clone())
    }
}

fn open_one(encode: &VideoEncode, frame_rate: FrameRate, threads: u32) -> Result<Opened> {
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
    options.set("crf", &recipe.crf.to_string());
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
