//! What a run over a library would make, and what that would cost. Makes nothing.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::catalogue::{Catalogue, policy_digest};
use super::run::{Options, missing};
use super::sources::Found;
use crate::error::{Error, Result};
use crate::media::{Failure, Plan};
use crate::package;
use crate::plan;
use crate::store::BlockingStore;

/// What one title would cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TitleForecast {
    /// Path below the library's folder.
    pub source: String,
    /// Its length in seconds.
    pub duration_s: f64,
    /// CPU time in milliseconds.
    pub cpu_millis: u64,
    /// Bytes to be stored.
    pub bytes: u64,
    /// Objects to be stored.
    pub objects: u64,
    /// Why it would fail, where that is seen without decoding it; nothing is stored of it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// The titles that would be made, in the order of `titles`.
    pub titles: Vec<TitleForecast>,
    /// Titles that are done.
    pub skipped: u64,
}

impl Forecast {
    /// A sum over the titles.
    pub fn total(&self, of: fn(&TitleForecast) -> u64) -> u64 {
        self.titles.iter().map(of).sum()
    }
}

/// Plans every title that is missing in `store`.
///
/// # Errors
/// When the store is away. What is wrong with a title is told in its forecast.
pub fn forecast(titles: &[Found], store: &BlockingStore, options: &Options) -> Result<Forecast> {
    let catalogue = Catalogue::read(store)?;
    let policy = policy_digest(&options.policy, options.keys.as_ref())?;
    let missing = missing(titles, store, &catalogue, &policy, options.retry_failed)?;
    let queue = Mutex::new(missing.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let work = || loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((rank, found)) = next else { return };
        let forecast = of_title(found, options);
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push((rank, forecast));
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.get().min(missing.len()) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(rank, _)| *rank);
    Ok(Forecast {
        skipped: (titles.len() - missing.len()) as u64,
        titles: done.into_iter().map(|(_, forecast)| forecast).collect(),
    })
}

fn of_title(found: &Found, options: &Options) -> TitleForecast {
    planned(found, options).unwrap_or_else(|e| TitleForecast {
        source: found.relative.clone(),
        duration_s: 0.0,
        cpu_millis: 0,
        bytes: 0,
        objects: 0,
        error: Some(Failure::from(&e)),
    })
}

fn planned(found: &Found, options: &Options) -> Result<TitleForecast, Error> {
    // The digest says which revision it will be, and nothing of what it costs.
    let digest = "0".repeat(64);
    let (policy, keys, sandbox) = (&options.policy, options.keys.as_ref(), &options.sandbox);
    let (source, stop) = (found.location.open()?, AtomicBool::new(false));
    let prepared = package::prepare_digested(source, &digest, policy, keys, sandbox, None, &stop)?;
    let prediction = plan::predict(&prepared.plan, &prepared.index);
    Ok(TitleForecast {
        source: found.relative.clone(),
        duration_s: prepared.plan.duration.seconds(),
        cpu_millis: prediction.total_cpu_millis(),
        bytes: prediction.total_bytes(),
        objects: objects(&prepared.plan),
        error: None,
    })
}

/// Segments, an init segment and a playlist each, and what there is once: manifests, entry points,
/// plan, report, record.
fn objects(plan: &Plan) -> u64 {
    let video = plan.video.iter().flat_map(|video| {
        let segments = video.segments.len() as u64;
        video.renditions.iter().map(move |_| segments)
    });
    let audio = plan.audio.iter().map(|track| track.segments.len() as u64);
    let tracks = video.chain(audio).map(|segments| segments + 2);
    tracks.sum::<u64>() + 7
}
