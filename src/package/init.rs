//! Init segments of planned renditions, from the decoder configuration that an encoder or the source
//! gives.

use crate::cmaf::init_segment::{AudioCoding, AudioInit, TrackInit, TrackInitKind, VideoInit};
use crate::codec::avc::AvcConfig;
use crate::error::{Error, Result};
use crate::media::{
    AudioForm, AudioMethod, AudioRendition, Colour, PixelAspect, SourceTrack, TrackKind, VideoPlan,
    VideoRendition,
};
use crate::time::Timescale;

pub(super) fn video_init(
    plan: &VideoPlan,
    spec: &VideoRendition,
    colour: Colour,
    config: &[u8],
    composition_delay: u32,
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
            colour,
            composition_delay,
            frame_rate: Some(plan.frame_rate),
            avc: AvcConfig::parse(config)?,
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

pub(super) fn track_colour(track: &SourceTrack) -> Colour {
    match &track.kind {
        TrackKind::Video(video) => video.colour,
        _ => Colour::UNSPECIFIED,
    }
}
