//! A plan in words, for people.

use std::fmt::Write as _;

use super::predict::RenditionPrediction;
use super::{Prediction, revision};
use crate::layout::THUMBNAILS_FOLDER;
use crate::media::{
    AudioForm, AudioMethod, CENTI, Level, Plan, VideoCodec, VideoMethod, VideoPlan, VideoRange,
    VideoRecipe,
};
use crate::time::Ticks;

/// Writes a plan as text: title, rungs, sound, grid, warnings. With a forecast, sizes and CPU
/// time too.
pub fn describe(plan: &Plan, prediction: Option<&Prediction>) -> String {
    let mut text = String::new();
    title(&mut text, plan);
    let mut forecasts = prediction
        .map(|p| p.renditions.as_slice())
        .unwrap_or_default()
        .iter();
    if let Some(video) = &plan.video {
        grid(&mut text, video);
        for rendition in &video.renditions {
            let how = video_words(&rendition.method);
            let size = format!("{}x{}", rendition.width, rendition.height);
            line(&mut text, &rendition.id, &size, &how, forecasts.next());
        }
    }
    if let Some(stills) = plan.video.as_ref().and_then(|video| video.stills.as_ref()) {
        let all = prediction.map(|p| p.stills.as_slice()).unwrap_or_default();
        let mut forecasts = all.iter();
        for track in &stills.tracks {
            let size = format!("{}x{}", track.width, track.height);
            line(
                &mut text,
                &track.id,
                &size,
                "H.264, an I-frame a second",
                forecasts.next(),
            );
        }
        let size = format!("{}x{}", stills.thumbnails.width, stills.thumbnails.height);
        line(
            &mut text,
            THUMBNAILS_FOLDER,
            &size,
            "JPEG, one each two seconds",
            forecasts.next(),
        );
    }
    for rendition in &plan.audio {
        let how = match rendition.method {
            AudioMethod::Copy { .. } => format!("{}, copied", form_name(rendition.form)),
            AudioMethod::Encode { bitrate, .. } => {
                format!("AAC {} kb/s{}", bitrate / 1000, gain_words(rendition.level))
            }
        };
        let what = format!("{} ch {} Hz", rendition.channels, rendition.sample_rate);
        line(&mut text, &rendition.id, &what, &how, forecasts.next());
    }
    ending(&mut text, plan, prediction);
    text
}

fn title(text: &mut String, plan: &Plan) {
    let revision = revision(plan);
    let _ = writeln!(text, "plan {revision}: {} s", plan.duration);
}

fn grid(text: &mut String, video: &VideoPlan) {
    let rate = video.frame_rate;
    let longest = video
        .segments
        .iter()
        .map(|span| span.duration)
        .max()
        .unwrap_or(0);
    let longest = Ticks::new(longest, video.timescale);
    let kind = if video.frame_duration.is_some() {
        ""
    } else {
        " (the source's own times)"
    };
    let _ = writeln!(
        text,
        "  {} frames at {rate} a second{kind}, {} segments of up to {longest} s, {} chunks",
        video.frames,
        video.segments.len(),
        video.chunks.len(),
    );
}

fn video_words(method: &VideoMethod) -> String {
    let recipe = match method {
        VideoMethod::Copy => return "H.264, copied".to_owned(),
        VideoMethod::Encode(recipe) => recipe,
    };
    let range = match recipe.range {
        VideoRange::Sdr => String::new(),
        range => format!(" {}", range.name()),
    };
    format!(
        "{}{range} level {}, crf {} up to {} kb/s, {}",
        recipe.codec.title(),
        level_words(recipe),
        recipe.crf,
        recipe.maxrate / 1000,
        recipe.preset.name(),
    )
}

/// A level as the standards write it.
fn level_words(recipe: &VideoRecipe) -> String {
    let (major, minor) = match recipe.codec {
        VideoCodec::H264 => (recipe.level / 10, recipe.level % 10),
        VideoCodec::Hevc => (recipe.level / 30, recipe.level % 30 / 3),
        VideoCodec::Av1 => (2 + recipe.level / 4, recipe.level % 4),
    };
    format!("{major}.{minor}")
}

fn gain_words(level: Option<Level>) -> String {
    let Some(level) = level else {
        return String::new();
    };
    let decibels = |centi: i32| f64::from(centi) / CENTI;
    let mut words = match level.gain_centi_db {
        0 => String::new(),
        gain => format!(", {:+.1} dB", decibels(gain)),
    };
    if let Some(ceiling) = level.ceiling_centi_dbtp {
        let _ = write!(words, ", up to {:.1} dBTP", decibels(ceiling));
    }
    words
}

fn form_name(form: AudioForm) -> &'static str {
    match form {
        AudioForm::Stereo | AudioForm::Surround => "AAC",
        AudioForm::Ac3 => "AC-3",
        AudioForm::Eac3 => "E-AC-3",
    }
}

fn line(
    text: &mut String,
    id: &str,
    what: &str,
    how: &str,
    forecast: Option<&RenditionPrediction>,
) {
    let _ = write!(text, "  {id:<10} {what:<14} {how:<48}");
    if let Some(forecast) = forecast {
        let _ = write!(
            text,
            " about {} kB, {} CPU s",
            forecast.bytes / 1000,
            seconds(forecast.cpu_millis)
        );
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

fn seconds(millis: u64) -> String {
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}

fn ending(text: &mut String, plan: &Plan, prediction: Option<&Prediction>) {
    if let Some(prediction) = prediction {
        let (bytes, millis) = (prediction.total_bytes(), prediction.total_cpu_millis());
        let _ = writeln!(
            text,
            "  together   about {} kB, {} CPU s (decoding {})",
            bytes / 1000,
            seconds(millis),
            seconds(prediction.decode_cpu_millis),
        );
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
    for waiver in &plan.waivers {
        let _ = writeln!(text, "  not met: {} ({})", waiver.rule, waiver.reason);
    }
}
