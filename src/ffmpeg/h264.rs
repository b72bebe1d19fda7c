//! H.264 encoding by x264 under the promises of [`super::encoder`].

use ffmpeg_next as ffmpeg;

use super::encoder::{EncodedPicture, Gop, Opened, Start, Take, Threading, Unopened, number_of};
use super::sys;
use crate::codec::avc::{self, AvcConfig, ParameterSets};
use crate::error::{Error, Result};
use crate::media::{Preset, VideoEncode};
use crate::time::FrameRate;

/// One x264 encoder.
pub(super) struct H264Encoder(Opened);

impl H264Encoder {
    /// Opens an encoder for this rung.
    pub(super) fn open(encode: &VideoEncode, frame_rate: FrameRate, start: Start) -> Result<Self> {
        let threads = ffmpeg::codec::threading::Config {
            kind: match start.threading {
                Threading::Slices => ffmpeg::codec::threading::Type::Slice,
                Threading::Pictures => ffmpeg::codec::threading::Type::Frame,
            },
            count: usize::try_from(start.threads.max(1)).unwrap_or(1),
            ..ffmpeg::codec::threading::Config::default()
        };
        let mut unopened = Unopened::new("libx264", encode, frame_rate, threads)?;
        sys::set_level(&mut unopened.context, encode.recipe.level);
        unopened.open(options(encode, start)).map(Self)
    }

    /// Encodes a picture; its number orders the output and names it there.
    pub(super) fn push(
        &mut self,
        picture: &ffmpeg::Frame,
        number: i64,
        idr: bool,
        take: &mut Take<'_>,
    ) -> Result<()> {
        let mut encoded = |packet: &ffmpeg::Packet| take(encoded(packet)?);
        self.0.push(picture, number, idr, &mut encoded)
    }

    /// Encodes what is still held back.
    pub(super) fn finish(&mut self, take: &mut Take<'_>) -> Result<()> {
        self.0.finish(&mut |packet| take(encoded(packet)?))
    }

    /// The `avcC` record.
    pub(super) fn config(&self) -> Result<Vec<u8>> {
        let sets = ParameterSets::from_annex_b(&self.0.extradata());
        Ok(AvcConfig::from_sets(sets)?.to_bytes())
    }
}

/// SEI carries nothing but x264's own settings here, and parameter sets go into the record.
fn is_left_out(nal: &[u8]) -> bool {
    avc::is_redundant(nal) || avc::nal_type(nal) == avc::NAL_SEI
}

fn encoded(packet: &ffmpeg::Packet) -> Result<EncodedPicture> {
    let stream = packet.data().unwrap_or_default();
    let data = avc::annex_b_to_length_prefixed(stream, is_left_out);
    if data.is_empty() {
        return Err(Error::internal("an encoded picture without slices"));
    }
    Ok(EncodedPicture {
        number: number_of(packet)?,
        idr: avc::is_idr(&data, 4),
        data: data.into(),
    })
}

fn options(encode: &VideoEncode, start: Start) -> ffmpeg::Dictionary<'static> {
    let recipe = &encode.recipe;
    let references = match start.gop {
        Gop::Long => references(recipe.preset, recipe.level, encode.width, encode.height),
        Gop::IntraOnly => 1,
    };
    let mut options = ffmpeg::Dictionary::new();
    options.set("preset", recipe.preset.name());
    options.set("profile", "high");
    options.set("crf", &recipe.crf.to_string());
    options.set("forced-idr", "1");
    options.set("a53cc", "0");
    // `stitchable` keeps x264 from tuning headers to the content, `force-cfr` from timing by the
    // frames' stamps; keyint, scenecut: pictures are intra only where asked.
    let mut settings = format!(
        "keyint=infinite:min-keyint=1:scenecut=0:open-gop=0:stitchable=1:force-cfr=1:ref={references}"
    );
    if start.gop == Gop::IntraOnly {
        // Not keyint=1, which x264 tells with a flag that makes it another profile (High 10 Intra).
        settings.push_str(":bframes=0:mbtree=0:rc-lookahead=0:sync-lookahead=0");
    }
    if let Some(percent) = start.fullness_percent {
        settings.push_str(&format!(":vbv-init=0.{:02}", percent.clamp(1, 99)));
    }
    options.set("x264-params", &settings);
    options
}

/// Reference frames: as the preset has it, but no more than the level's decoded picture buffer
/// holds (ISO/IEC 14496-10 table A-1, `MaxDpbMbs`). x264's library, unlike its program, does not
/// see to that itself.
fn references(preset: Preset, level: u32, width: u32, height: u32) -> u32 {
    let wanted = match preset {
        Preset::Ultrafast | Preset::Superfast | Preset::Veryfast => 1,
        Preset::Faster | Preset::Fast => 2,
        Preset::Medium => 3,
        Preset::Slow => 5,
        Preset::Slower => 8,
        Preset::Veryslow => 16,
    };
    let max_dpb_macroblocks = match level {
        ..=10 => 396,
        11 => 900,
        12..=20 => 2_376,
        21 => 4_752,
        22..=30 => 8_100,
        31 => 18_000,
        32 => 20_480,
        33..=41 => 32_768,
        42 => 34_816,
        43..=50 => 110_400,
        51..=52 => 184_320,
        _ => 696_320,
    };
    let macroblocks = (width.div_ceil(16) * height.div_ceil(16)).max(1);
    (max_dpb_macroblocks / macroblocks).min(wanted).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stay_within_the_level() {
        assert_eq!(references(Preset::Veryslow, 40, 1920, 1080), 4);
        assert_eq!(references(Preset::Slow, 31, 1280, 720), 5);
        assert_eq!(references(Preset::Veryfast, 40, 1920, 1080), 1);
        assert_eq!(references(Preset::Veryslow, 30, 640, 360), 8);
    }
}
