//! The work that is left: which segments to make, and together with which.

use super::stored::Stored;
use crate::media::{AudioMethod, ChunkSpan, Job, Plan, VideoMethod};

/// Everything that `stored` lacks, in the order it is to be made: the start of the title first,
/// and of equal starts what is quickly made (sound, copies) before what is not.
pub(super) fn jobs(plan: &Plan, stored: &Stored) -> Vec<Job> {
    let mut jobs = audio_jobs(plan, stored);
    jobs.extend(video_jobs(plan, stored));
    jobs.sort_by_key(|job| {
        let slow = matches!(job, Job::EncodeVideo { .. });
        (job.run().first_segment, slow)
    });
    jobs
}

fn video_jobs(plan: &Plan, stored: &Stored) -> Vec<Job> {
    let mut jobs = Vec::new();
    let Some(video) = &plan.video else {
        return jobs;
    };
    for chunk in &video.chunks {
        let mut encodes = Together::default();
        for (rendition, spec) in video.renditions.iter().enumerate() {
            for run in stored.missing(&spec.id, *chunk) {
                match spec.method {
                    VideoMethod::Copy => jobs.push(Job::CopyVideo { rendition, run }),
                    VideoMethod::Encode(_) => encodes.add(rendition, run),
                }
            }
        }
        let encode = |(run, renditions)| Job::EncodeVideo { renditions, run };
        jobs.extend(encodes.0.into_iter().map(encode));
    }
    jobs
}

fn audio_jobs(plan: &Plan, stored: &Stored) -> Vec<Job> {
    let mut jobs = Vec::new();
    let encoded =
        |rendition: usize| matches!(plan.audio[rendition].method, AudioMethod::Encode { .. });
    for (rendition, spec) in plan.audio.iter().enumerate() {
        if !encoded(rendition) {
            let runs = spec
                .chunks
                .iter()
                .flat_map(|chunk| stored.missing(&spec.id, *chunk));
            jobs.extend(runs.map(|run| Job::CopyAudio { rendition, run }));
            continue;
        }
        let same_decode = |other: &usize| {
            let other_spec = &plan.audio[*other];
            encoded(*other)
                && other_spec.source_track == spec.source_track
                && other_spec.segments == spec.segments
                && other_spec.channels == spec.channels
        };
        let family: Vec<usize> = (0..plan.audio.len()).filter(same_decode).collect();
        if family.first() != Some(&rendition) {
            continue;
        }
        for chunk in &spec.chunks {
            let mut encodes = Together::default();
            for member in &family {
                for run in stored.missing(&plan.audio[*member].id, *chunk) {
                    encodes.add(*member, run);
                }
            }
            let encode = |(run, renditions)| Job::EncodeAudio { renditions, run };
            jobs.extend(encodes.0.into_iter().map(encode));
        }
    }
    jobs
}

/// What of `job` is not in `stored`, which need know of nothing else.
pub(super) fn lacking(plan: &Plan, job: &Job, stored: &Stored) -> Vec<Job> {
    let mut together = Together::default();
    for (rendition, id) in members(plan, job) {
        for run in stored.missing(id, job.run()) {
            together.add(rendition, run);
        }
    }
    let narrowed = |(run, renditions): (ChunkSpan, Vec<usize>)| match job {
        Job::EncodeVideo { .. } => Job::EncodeVideo { renditions, run },
        Job::EncodeAudio { .. } => Job::EncodeAudio { renditions, run },
        Job::CopyVideo { rendition, .. } => Job::CopyVideo {
            rendition: *rendition,
            run,
        },
        Job::CopyAudio { rendition, .. } => Job::CopyAudio {
            rendition: *rendition,
            run,
        },
    };
    together.0.into_iter().map(narrowed).collect()
}

/// The renditions that a job makes: their indices and ids.
pub(super) fn members<'a>(plan: &'a Plan, job: &Job) -> Vec<(usize, &'a str)> {
    let video = |at: &usize| {
        let rendition = plan.video.as_ref()?.renditions.get(*at)?;
        Some((*at, rendition.id.as_str()))
    };
    let audio = |at: &usize| Some((*at, plan.audio.get(*at)?.id.as_str()));
    match job {
        Job::EncodeVideo { renditions, .. } => renditions.iter().filter_map(video).collect(),
        Job::EncodeAudio { renditions, .. } => renditions.iter().filter_map(audio).collect(),
        Job::CopyVideo { rendition, .. } => video(rendition).into_iter().collect(),
        Job::CopyAudio { rendition, .. } => audio(rendition).into_iter().collect(),
    }
}

/// The job that makes segment `number` (from 1) of the rendition `track` and nothing else.
pub(super) fn single(plan: &Plan, track: &str, number: u32) -> Option<Job> {
    let run = ChunkSpan {
        first_segment: number.checked_sub(1)?,
        segments: 1,
    };
    let within = |count: usize| (number as usize) <= count;
    if let Some(video) = &plan.video
        && let Some(rendition) = video.renditions.iter().position(|r| r.id == track)
    {
        return within(video.segments.len()).then(|| match video.renditions[rendition].method {
            VideoMethod::Copy => Job::CopyVideo { rendition, run },
            VideoMethod::Encode(_) => Job::EncodeVideo {
                renditions: vec![rendition],
                run,
            },
        });
    }
    let rendition = plan.audio.iter().position(|r| r.id == track)?;
    let spec = &plan.audio[rendition];
    within(spec.segments.len()).then(|| match spec.method {
        AudioMethod::Copy { .. } => Job::CopyAudio { rendition, run },
        AudioMethod::Encode { .. } => Job::EncodeAudio {
            renditions: vec![rendition],
            run,
        },
    })
}

/// Renditions grouped by the run they lack, so that each picture is decoded once for all.
#[derive(Default)]
struct Together(Vec<(ChunkSpan, Vec<usize>)>);

impl Together {
    fn add(&mut self, rendition: usize, run: ChunkSpan) {
        match self.0.iter_mut().find(|(other, _)| *other == run) {
            Some((_, renditions)) => renditions.push(rendition),
            None => self.0.push((run, vec![rendition])),
        }
    }
}
