//! Init segments of planned renditions, from the decoder configuration that an encoder or the source
//! gives.

use crate::cmaf::init_segment::{AudioCoding, AudioInit, TrackInit, TrackInitKind, VideoInit};
use crate::cmaf::video_config::VideoConfig;
use crate::error::{Error, Result};
use crate::media::{
    AudioForm, AudioMethod, AudioRendition, Colour, Light, PixelAspect, SourceTrack, TrackKind,
    VideoCodec, VideoPlan, VideoRecipe, VideoRendition,
};
use crate::time::Timescale;

/// The init segment of an encoded rendition whose decoder configuration is `config`.
pub(super) fn encoded_init(
    plan: &VideoPlan,
    spec: &VideoRendition,
    recipe: &VideoRecipe,
    composition_delay: u32,
    config: &[u8],
) -> Result<TrackInit> {
    let picture = Picture {
        codec: recipe.codec,
        colour: recipe.range.colour(),
        light: recipe.range.light(),
        composition_delay,
    };
    video_init(plan, spec, picture, config)
}

/// The init segment of a repackaged rendition.
pub(super) fn copied_init(
    plan: &VideoPlan,
    spec: &VideoRendition,
    track: &SourceTrack,
    composition_delay: u32,
) -> Result<TrackInit> {
    let (colour, light) = match &track.kind {
        TrackKind::Video(video) => (video.colour, video.light),
        _ => (Colour::UNSPECIFIED, Light::UNKNOWN),
    };
    let picture = Picture {
        codec: spec.codec(&track.codec),
        colour,
        light,
        composition_delay,
    };
    video_init(plan, spec, picture, &track.config)
}

/// Ticks by which encoded pictures are decoded before they are shown, at most.
pub(super) fn composition_delay(plan: &VideoPlan, recipe: &VideoRecipe) -> u32 {
    recipe.codec.reorder_frames() * plan.frame_duration.unwrap_or(0)
}

/// What an init segment says of the pictures beside their size.
struct Picture {
    codec: VideoCodec,
    colour: Colour,
    light: Light,
    composition_delay: u32,
}

fn video_init(
    plan: &VideoPlan,
    spec: &VideoRendition,
    picture: Picture,
    config: &[u8],
) -> Result<TrackInit> {
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| Error::unsupported(format!("{}: too large", spec.id)))
    };
    Ok(TrackInit {
        timescale: plan.timescale,
        language: "und".to_owned(),
        kind: TrackInitKind::Video(VideoInit {
            width: side(spec.width)?,
            height: side(spec.height)?,
            pixel_aspect: PixelAspect::SQUARE,
            colour: picture.colour,
            composition_delay: picture.composition_delay,
            frame_rate: Some(plan.frame_rate),
            config: VideoConfig::parse(picture.codec, config)?,
            light: picture.light,
        }),
    })
}

pub(super) fn audio_init(spec: &AudioRendition, config: Vec<u8>) -> Result<TrackInit> {
    let timescale = Timescale::new(spec.sample_rate)
        .ok_or_else(|| Error::internal("a sample rate of zero in the plan"))?;
    let bitrate_bps = match spec.method {
        AudioMethod::Encode { bitrate, .. } => bitrate,
        AudioMethod::Copy { .. } => 0,
    };
    Ok(TrackInit {
        timescale,
        language: spec.language.clone(),
        kind: TrackInitKind::Audio(AudioInit {
            config,
            channels: spec.channels,
            sample_rate: spec.sample_rate,
            priming: spec.priming,
            bitrate_bps,
            coding: match spec.form {
                AudioForm::Stereo | AudioForm::Surround => AudioCoding::Aac,
                AudioForm::Ac3 => AudioCoding::Ac3,
                AudioForm::Eac3 => AudioCoding::Eac3,
            },
        }),
    })
}

/// The decoder configuration of a repackaged rendition.
pub(super) fn copied_config(spec: &AudioRendition, track: &SourceTrack) -> Vec<u8> {
    match spec.form {
        AudioForm::Stereo | AudioForm::Surround => track.config.clone(),
        AudioForm::Ac3 | AudioForm::Eac3 => spec.dolby.clone(),
    }
}
