//! HEVC encoding by x265 under the promises of [`super::encoder`].
//!
//! One thread to a picture, and no wavefronts: x265's pools hand every row of blocks from thread
//! to thread, which on a machine that is busy with other rungs costs many times what it saves, and
//! bytes repeat. The picture parameter set says whether there are wavefronts, so segments made
//! alone have none either; they are encoded several pictures at a time.

use ffmpeg_next as ffmpeg;

use super::encoder::{EncodedPicture, Opened, Start, Take, Threading, Unopened, number_of};
use crate::codec::avc::annex_b_to_length_prefixed;
use crate::codec::hevc::{self, HevcConfig};
use crate::error::{Error, Result};
use crate::media::{Light, MasteringDisplay, VideoEncode, VideoRange};
use crate::time::FrameRate;

/// One x265 encoder.
pub(super) struct HevcEncoder(Opened);

impl HevcEncoder {
    /// Opens an encoder for this rung.
    pub(super) fn open(encode: &VideoEncode, frame_rate: FrameRate, start: Start) -> Result<Self> {
        // x265 has threads of its own, which its parameters name.
        let threads = ffmpeg::codec::threading::Config {
            count: 1,
            ..ffmpeg::codec::threading::Config::default()
        };
        let unopened = Unopened::new("libx265", encode, frame_rate, threads)?;
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

    /// The `hvcC` record.
    pub(super) fn config(&self) -> Result<Vec<u8>> {
        Ok(HevcConfig::from_annex_b(&self.0.extradata())?.to_bytes())
    }
}

fn encoded(packet: &ffmpeg::Packet) -> Result<EncodedPicture> {
    let stream = packet.data().unwrap_or_default();
    let is_left_out = |nal: &[u8]| {
        hevc::is_redundant(nal)
            || matches!(hevc::nal_type(nal), hevc::PREFIX_SEI | hevc::SUFFIX_SEI)
    };
    let data = annex_b_to_length_prefixed(stream, is_left_out);
    if data.is_empty() {
        return Err(Error::internal("an encoded picture without slices"));
    }
    Ok(EncodedPicture {
        number: number_of(packet)?,
        idr: hevc::is_idr(&data, 4),
        data: data.into(),
    })
}

fn options(encode: &VideoEncode, start: Start) -> ffmpeg::Dictionary<'static> {
    let recipe = &encode.recipe;
    let mut options = ffmpeg::Dictionary::new();
    options.set("preset", recipe.preset.name());
    options.set("crf", &recipe.crf.to_string());
    options.set("forced-idr", "1");
    options.set("x265-params", &parameters(encode, start));
    options
}

/// Pictures are intra only where asked; nothing in the parameter sets follows the content, nothing
/// is repeated in samples.
fn parameters(encode: &VideoEncode, start: Start) -> String {
    let recipe = &encode.recipe;
    let (pools, frames) = match start.threading {
        Threading::Slices => ("none".to_owned(), 1),
        Threading::Pictures => (start.threads.to_string(), start.threads),
    };
    let mut settings = format!(
        "keyint=-1:min-keyint=1:scenecut=0:open-gop=0:repeat-headers=0:info=0:log-level=none:\
         level-idc={}.{}:high-tier=0:wpp=0:pools={pools}:frame-threads={frames}:const-vbv=1:\
         hrd=0:aud=0:opt-qp-pps=0:opt-ref-list-length-pps=0:multi-pass-opt-rps=0",
        recipe.level / 30,
        recipe.level % 30 / 3,
    );
    if let Some(percent) = start.fullness_percent {
        settings.push_str(&format!(":vbv-init=0.{:02}", percent.clamp(1, 99)));
    }
    if let VideoRange::Pq(light) = recipe.range {
        settings.push_str(&light_parameters(light));
    }
    settings
}

/// Messages about the light; `hdr10` only says that they are to be written.
fn light_parameters(light: Light) -> String {
    let mut settings = ":hdr10-opt=0:repeat-headers=0".to_owned();
    if let Some(display) = light.mastering {
        let MasteringDisplay {
            primaries: [[gx, gy], [bx, by], [rx, ry]],
            white: [wx, wy],
            max_luminance,
            min_luminance,
        } = display;
        settings.push_str(&format!(
            ":master-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})\
             L({max_luminance},{min_luminance})"
        ));
    }
    if let Some(content) = light.content {
        let (most, mean) = (content.max_content, content.max_frame_average);
        settings.push_str(&format!(":max-cll={most},{mean}"));
    }
    settings
}
