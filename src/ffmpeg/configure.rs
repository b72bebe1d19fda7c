//! A configure task: what encoders say of themselves before they have encoded anything, so that
//! init segments and codec strings are there at once. Beside it, a poster.

use std::thread;

use super::aac::AacEncoder;
use super::encoder::{Start, VideoEncoder};
use super::{poster, sound_poster};
use crate::error::{Error, Result};
use crate::media::{
    AudioSetting, ConfigureTask, Configured, Damage, TaskFiles, TaskOutput, VideoEncode,
};
use crate::time::FrameRate;

/// Does a configure task.
pub(super) fn run(
    task: &ConfigureTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<Configured> {
    thread::scope(|scope| {
        let wanted = task.wants_poster();
        let poster = wanted.then(|| scope.spawn(move || make_poster(task, files, output)));
        let video = task.video.iter();
        let video: Result<Vec<_>> = video
            .map(|encode| configure_video(encode, task.frame_rate))
            .collect();
        let audio: Result<Vec<_>> = task.audio.iter().map(configure_audio).collect();
        let damage = match poster.map(thread::ScopedJoinHandle::join) {
            None => Vec::new(),
            Some(Ok(damage)) => damage?,
            Some(Err(_)) => return Err(Error::internal("the poster's thread panicked")),
        };
        Ok(Configured {
            video: video?,
            audio: audio?,
            poster: None,
            damage,
        })
    })
}

/// The configuration record of an encoder. It doesn't depend on the number of threads, and opening several
/// takes longer than one.
fn configure_video(encode: &VideoEncode, frame_rate: FrameRate) -> Result<Vec<u8>> {
    let start = Start {
        threads: 1,
        ..Start::of(encode)
    };
    VideoEncoder::open(encode, frame_rate, start)?.config()
}

/// The AudioSpecificConfig of an encoder.
fn configure_audio(setting: &AudioSetting) -> Result<Vec<u8>> {
    let AudioSetting {
        bitrate,
        sample_rate,
        channels,
    } = *setting;
    Ok(AacEncoder::open(bitrate, sample_rate, channels)?.config())
}

/// Makes the poster and hands it over. Only a parent that has gone fails.
fn make_poster(
    task: &ConfigureTask,
    files: &TaskFiles,
    output: &dyn TaskOutput,
) -> Result<Vec<Damage>> {
    let poster::Poster { jpeg, damage } = match (&task.poster, &task.sound_poster) {
        (Some(task), _) => poster::make(task, files, output),
        (None, Some(task)) => sound_poster::make(task, files, output),
        (None, None) => poster::Poster::default(),
    };
    if let Some(jpeg) = jpeg {
        output.poster(jpeg)?;
    }
    Ok(damage)
}
