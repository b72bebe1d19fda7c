//! The work that is left: which segments to make, and together with which.

use super::stored::Stored;
use crate::layout::{Key, THUMBNAILS_FOLDER};
use crate::media::{
    AudioMethod, ChunkSpan, Job, Plan, StillsPlan, VideoCodec, VideoMethod, VideoRange,
    VideoRecipe, VideoSpan,
};

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
        // Each ladder has tasks of its own: encoders of several codecs in one child would add up to
        // more memory than a child may have.
        let mut encodes: Vec<(Ladder, Together)> = Vec::new();
        for (rendition, spec) in video.renditions.iter().enumerate() {
            for run in stored.missing(&spec.id, *chunk) {
                match &spec.method {
                    VideoMethod::Copy => jobs.push(Job::CopyVideo { rendition, run }),
                    VideoMethod::Encode(recipe) => {
                        ladder(&mut encodes, recipe).add(rendition, run);
                    }
                }
            }
        }
        let stills = stored.missing_stills(video, *chunk);
        if encodes.is_empty() {
            encodes.push(((VideoCodec::H264, VideoRange::Sdr), Together::default()));
        }
        if let Some((_, first)) = encodes.first_mut() {
            first.add_stills(&stills);
        }
        let encode = |shared: Shared| Job::EncodeVideo {
            renditions: shared.renditions,
            run: shared.run,
            stills: shared.stills,
        };
        let all = encodes.into_iter().flat_map(|(_, together)| together.0);
        jobs.extend(all.map(encode));
    }
    jobs
}

type Ladder = (VideoCodec, VideoRange);

/// What is to be made together for the ladder of `recipe`.
fn ladder<'a>(encodes: &'a mut Vec<(Ladder, Together)>, recipe: &VideoRecipe) -> &'a mut Together {
    let key = (recipe.codec, recipe.range);
    let at = match encodes.iter().position(|(known, _)| *known == key) {
        Some(at) => at,
        None => {
            encodes.push((key, Together::default()));
            encodes.len() - 1
        }
    };
    &mut encodes[at].1
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
            let encode = |shared: Shared| Job::EncodeAudio {
                renditions: shared.renditions,
                run: shared.run,
            };
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
    if let (Job::EncodeVideo { stills: true, .. }, Some(video)) = (job, &plan.video) {
        together.add_stills(&stored.missing_stills(video, job.run()));
    }
    let narrowed = |shared: Shared| {
        let Shared {
            run,
            renditions,
            stills,
        } = shared;
        match job {
            Job::EncodeVideo { .. } => Job::EncodeVideo {
                renditions,
                run,
                stills,
            },
            Job::EncodeAudio { .. } => Job::EncodeAudio { renditions, run },
            Job::CopyVideo { rendition, .. } => Job::CopyVideo {
                rendition: *rendition,
                run,
            },
            Job::CopyAudio { rendition, .. } => Job::CopyAudio {
                rendition: *rendition,
                run,
            },
        }
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

/// The ids of the tracks that a job makes segments of: its renditions and, with stills, the I-frame
/// tracks.
pub(super) fn tracks<'a>(plan: &'a Plan, job: &Job) -> Vec<&'a str> {
    let members = members(plan, job).into_iter().map(|(_, id)| id);
    members
        .chain(stills_of(plan, job).iter().flat_map(|stills| {
            let tracks = stills.tracks.iter();
            tracks.map(|track| track.id.as_str())
        }))
        .collect()
}

/// The stills that a job makes, too.
pub(super) fn stills_of<'a>(plan: &'a Plan, job: &Job) -> Option<&'a StillsPlan> {
    match job {
        Job::EncodeVideo { stills: true, .. } => plan.video.as_ref()?.stills.as_ref(),
        _ => None,
    }
}

/// The numbers of the thumbnails that a job makes.
pub(super) fn thumbnail_numbers(plan: &Plan, job: &Job) -> Vec<u32> {
    let (Some(stills), Some(video)) = (stills_of(plan, job), &plan.video) else {
        return Vec::new();
    };
    let run = job.run();
    let segments = video.segments.iter().skip(run.first_segment as usize);
    let numbers = segments
        .take(run.segments as usize)
        .flat_map(|segment| stills.thumbnails.numbers(segment));
    numbers.collect()
}

/// The keys of the thumbnails that a job makes.
pub(super) fn thumbnails(plan: &Plan, revision: &str, job: &Job) -> Vec<Key> {
    let key = |number| Key::Thumbnail {
        revision: revision.to_owned(),
        number,
    };
    let numbers = thumbnail_numbers(plan, job).into_iter();
    numbers.map(key).collect()
}

/// The job that makes the stills of a segment: of the one that a segment of an I-frame track has the
/// number of, or that thumbnail `number` is of.
fn single_still(plan: &Plan, track: &str, number: u32) -> Option<Job> {
    let video = plan.video.as_ref()?;
    let stills = video.stills.as_ref()?;
    let segment = if track == THUMBNAILS_FOLDER {
        let holds = |segment: &VideoSpan| stills.thumbnails.numbers(segment).contains(&number);
        video.segments.iter().position(holds)
    } else {
        let is_track = stills.tracks.iter().any(|still| still.id == track);
        let at = number.checked_sub(1)? as usize;
        (is_track && at < video.segments.len()).then_some(at)
    };
    Some(Job::EncodeVideo {
        renditions: Vec::new(),
        run: ChunkSpan {
            first_segment: u32::try_from(segment?).ok()?,
            segments: 1,
        },
        stills: true,
    })
}

/// The job that makes segment `number` (from 1) of the rendition `track` and nothing else. I-frames
/// and thumbnails of a segment are made together.
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
                stills: false,
            },
        });
    }
    let Some(rendition) = plan.audio.iter().position(|r| r.id == track) else {
        return single_still(plan, track, number);
    };
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
struct Together(Vec<Shared>);

/// What is made with one decode.
struct Shared {
    run: ChunkSpan,
    renditions: Vec<usize>,
    stills: bool,
}

impl Together {
    fn add(&mut self, rendition: usize, run: ChunkSpan) {
        match self.0.iter_mut().find(|shared| shared.run == run) {
            Some(shared) => shared.renditions.push(rendition),
            None => self.0.push(Shared {
                run,
                renditions: vec![rendition],
                stills: false,
            }),
        }
    }

    /// The stills of those segments (from 0, ascending): with renditions, where some are made of
    /// those segments, else by themselves.
    fn add_stills(&mut self, segments: &[u32]) {
        let mut alone: Vec<ChunkSpan> = Vec::new();
        for segment in segments {
            let covers = |run: &ChunkSpan| {
                (run.first_segment..run.first_segment + run.segments).contains(segment)
            };
            if let Some(shared) = self.0.iter_mut().find(|shared| covers(&shared.run)) {
                shared.stills = true;
                continue;
            }
            match alone.last_mut() {
                Some(run) if run.first_segment + run.segments == *segment => run.segments += 1,
                _ => alone.push(ChunkSpan {
                    first_segment: *segment,
                    segments: 1,
                }),
            }
        }
        self.0.extend(alone.into_iter().map(|run| Shared {
            run,
            renditions: Vec::new(),
            stills: true,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first_segment: u32, segments: u32) -> ChunkSpan {
        ChunkSpan {
            first_segment,
            segments,
        }
    }

    fn rows(together: Together) -> Vec<(ChunkSpan, Vec<usize>, bool)> {
        let row = |shared: Shared| (shared.run, shared.renditions, shared.stills);
        together.0.into_iter().map(row).collect()
    }

    #[test]
    fn stills_ride_along_where_something_is_made_and_go_alone_where_not() {
        let mut together = Together::default();
        together.add(0, run(1, 5));
        together.add(2, run(1, 5));
        together.add_stills(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(
            rows(together),
            [(run(1, 5), vec![0, 2], true), (run(0, 1), Vec::new(), true)]
        );
    }

    #[test]
    fn stills_alone_are_made_in_runs() {
        let mut together = Together::default();
        together.add_stills(&[2, 3, 6]);
        assert_eq!(
            rows(together),
            [(run(2, 2), Vec::new(), true), (run(6, 1), Vec::new(), true)]
        );
    }
}
