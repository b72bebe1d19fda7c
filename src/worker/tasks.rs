//! What each kind of task does.

use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::progress::Teller;
use super::titles::Title;
use super::{PART, Workshop};
use crate::catalog::Planned;
use crate::error::{Error, ErrorKind, Result};
use crate::hls;
use crate::layout::{Key, THUMBNAILS_FOLDER};
use crate::media::{
    Asset, AssetId, AssetState, ChunkSpan, Failure, Job, Joining, Presentation, Priority,
    TextTrack, Work,
};
use crate::package::{self, Attempt};
use crate::queue::demand::Wanted;
use crate::queue::{Claim, NewTask};
use crate::telemetry::tell_operator;

/// Niceness of the media children of each priority.
fn nice(priority: Priority) -> i32 {
    match priority {
        Priority::Demand => 0,
        Priority::First => 10,
        Priority::Fill => 15,
        Priority::Batch => 19,
    }
}

/// Objects linked or copied at a time when one asset takes over from another.
const TAKEN_AT_ONCE: usize = 16;

/// How encoded segments meet their neighbours: what somebody waits for is made by itself, with
/// all cores.
fn joining(priority: Priority) -> Joining {
    match priority {
        Priority::Demand | Priority::First => Joining::Alone {
            threads: std::thread::available_parallelism()
                .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1)),
        },
        Priority::Fill | Priority::Batch => Joining::Seamless,
    }
}

impl Workshop {
    /// Does a claimed task; gives those that follow from it.
    pub(super) fn perform(&self, claim: &Claim) -> Result<Vec<NewTask>> {
        let asset = self.block_on(self.shared.catalog.asset(&claim.asset))?;
        // Removed meanwhile: nothing is left to do.
        let Some(asset) = asset else {
            return Ok(Vec::new());
        };
        if asset.state == AssetState::Failed {
            return Ok(Vec::new());
        }
        match &claim.work {
            Work::Pull => self.pull(asset, claim),
            Work::Index => self.index(&asset, claim),
            Work::Segment { track, number } => self.segment(&asset, track, *number, claim),
            Work::Make(job) => self.make(&asset, job, claim),
            Work::Finish => self.finish(&asset, claim),
        }
    }

    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.shared.runtime.block_on(work)
    }

    fn pull(&self, asset: Asset, claim: &Claim) -> Result<Vec<NewTask>> {
        let pulled = (self.shared.pull)(asset, std::sync::Arc::clone(&claim.stop));
        self.block_on(pulled)?;
        Ok(vec![NewTask::of(Work::Index, Priority::First)])
    }

    /// Indexes, plans, publishes the manifests; or finds that all of it was done before.
    fn index(&self, asset: &Asset, claim: &Claim) -> Result<Vec<NewTask>> {
        if self.adopt(asset)? {
            return Ok(Vec::new());
        }
        let title = self.shared.titles.open(asset)?;
        let announced = title.maker.announce(&claim.stop)?;
        self.write_entries(&asset.id, &announced.presentation.revision)?;
        let planned = planned(&title, &announced);
        self.block_on(self.shared.catalog.planned(&asset.id, &planned))?;
        tasks(&title, &announced.presentation)
    }

    /// Takes over everything from a complete asset of the same source and policy, if there is
    /// one.
    fn adopt(&self, asset: &Asset) -> Result<bool> {
        let Some(digest) = &asset.source_digest else {
            return Ok(false);
        };
        let twin = self.block_on(self.shared.catalog.twin(digest, &asset.policy))?;
        let Some((twin, revision)) = twin
            .filter(|twin| twin.id != asset.id && twin.state == AssetState::Complete)
            .and_then(|twin| twin.revision.clone().map(|revision| (twin, revision)))
        else {
            return Ok(false);
        };
        let (from, to) = (
            self.shared.store.asset(&twin.id),
            self.shared.store.asset(&asset.id),
        );
        // The other's captions that people added are its own; what the source holds is both's.
        let embedded = package::published(&from, &revision)?.text;
        let shared = |key: &Key| {
            let of = |track: &TextTrack| key.text_digest() == Some(track.digest.as_str());
            !key.is_text() || embedded.iter().any(of)
        };
        let mut keys: Vec<Key> = from
            .list_revision(&revision)?
            .iter()
            .filter_map(|object| Key::parse(&object.key))
            .filter(shared)
            .collect();
        keys.push(Key::EntryPoster);
        let (from_store, to_store) = (from.store(), to.store());
        let segments = keys.iter().filter(|key| matches!(key, Key::Segment { .. }));
        if segments.count() as u64 != twin.segments_total {
            // The other is being removed under our hands: make it ourselves.
            return Ok(false);
        }
        let taken = stream::iter(&keys)
            .map(|key| async move { to_store.take_over(from_store, key).await })
            .buffer_unordered(TAKEN_AT_ONCE)
            .try_fold(
                0,
                |count, taken| async move { Ok(count + usize::from(taken)) },
            );
        let expected = keys.len() - usize::from(!twin.has_poster);
        let whole = self.block_on(taken)? >= expected;
        let still = self.block_on(self.shared.catalog.asset(&twin.id))?;
        if !whole || still.is_none_or(|still| still.state != AssetState::Complete) {
            return Ok(false);
        }
        let presentation = package::published(&to, &revision)?;
        self.write_entries(&asset.id, &revision)?;
        let planned = Planned {
            revision,
            duration_s: presentation.duration.seconds(),
            renditions: package::summaries(&presentation),
            segments_total: twin.segments_total,
            has_poster: twin.has_poster,
            warnings: presentation.warnings.clone(),
        };
        let catalog = &self.shared.catalog;
        self.block_on(async {
            catalog.planned(&asset.id, &planned).await?;
            catalog.progressed(&asset.id, twin.segments_total).await?;
            catalog
                .completed(&asset.id, &planned.renditions, &planned.warnings)
                .await
        })?;
        Ok(true)
    }

    /// Makes one segment that somebody waits for, and has the next one made too: whoever watches
    /// will ask for it.
    fn segment(
        &self,
        asset: &Asset,
        track: &str,
        number: u32,
        claim: &Claim,
    ) -> Result<Vec<NewTask>> {
        let wanted = Wanted {
            asset: asset.id.clone(),
            track: track.to_owned(),
            number,
        };
        let is_asked_here = !self.shared.catalog.is_shared();
        if is_asked_here && !self.shared.queue.demands().is_wanted(&wanted) {
            // Whoever asked has gone. Where it was another machine, nobody here can tell.
            return Ok(Vec::new());
        }
        let title = self.shared.titles.open(asset)?;
        let Some(job) = title.maker.single(track, number) else {
            let why = format!("{track} has no number {number} by the plan");
            self.give_up(
                &asset.id,
                &claim.work,
                &Error::new(ErrorKind::NotFound, why),
            );
            return Ok(Vec::new());
        };
        self.make_lacking(&title, &job, claim)?;
        let next = title.maker.single(track, number + 1);
        let ahead = next.filter(|job| matches!(job, Job::EncodeVideo { .. }));
        let ahead = ahead.map(|job| NewTask::of(Work::Make(job), Priority::First));
        Ok(ahead.into_iter().collect())
    }

    fn make(&self, asset: &Asset, job: &Job, claim: &Claim) -> Result<Vec<NewTask>> {
        let title = self.shared.titles.open(asset)?;
        match self.make_lacking(&title, job, claim) {
            // A short stretch may hold nothing but damage where a longer one around it can be
            // decoded: the background task that covers it decides.
            Err(e) if claim.priority <= Priority::First && e.kind() == ErrorKind::Invalid => {
                let run = around(&title, job);
                if run == job.run() {
                    return Err(e);
                }
                Ok(vec![NewTask::of(
                    Work::Make(with_run(job, run)),
                    Priority::Fill,
                )])
            }
            done => done.map(|()| Vec::new()),
        }
    }

    /// Makes what the store lacks of a job, or takes it from an asset that has it already.
    fn make_lacking(&self, title: &Title, job: &Job, claim: &Claim) -> Result<()> {
        let urgent = claim.priority <= Priority::First;
        let teller = Teller {
            workshop: self,
            title,
            is_urgent: urgent,
        };
        let mut lacking = title.maker.lacking(job)?;
        if !lacking.is_empty() && self.take_from_siblings(title, job)? {
            lacking = title.maker.lacking(job)?;
            let stored = title.maker.stored()?;
            let done = stored.count_planned(&title.maker.prepared().plan);
            title.done.store(done, Ordering::Relaxed);
        }
        let attempt = Attempt {
            joining: joining(claim.priority),
            nice: nice(claim.priority),
            progress: &teller,
            stop: &claim.stop,
        };
        for job in &lacking {
            let demands = self.shared.queue.demands();
            let tracks = title.maker.tracks(job);
            let _making = demands.making(&title.asset, &tracks, job.run(), urgent);
            title.maker.make(job, &attempt)?;
        }
        // Also of those that were there already: somebody may wait for the news.
        let run = job.run();
        for track in title.maker.tracks(job) {
            for number in run.first_segment + 1..=run.first_segment + run.segments {
                teller.stored(track, number);
            }
        }
        for number in title.maker.thumbnails(job) {
            teller.stored(THUMBNAILS_FOLDER, number);
        }
        teller.report_now();
        Ok(())
    }

    /// Whether assets with the same revision gave anything.
    fn take_from_siblings(&self, title: &Title, job: &Job) -> Result<bool> {
        let revision = &title.maker.prepared().revision;
        let sharing = self.block_on(self.shared.catalog.sharing_revision(revision))?;
        let mut any = false;
        for sibling in sharing.iter().filter(|sibling| **sibling != title.asset) {
            title
                .maker
                .take_over(&self.shared.store.asset(sibling), job)?;
            any = true;
        }
        Ok(any)
    }

    /// Verifies, measures, publishes for good.
    fn finish(&self, asset: &Asset, claim: &Claim) -> Result<Vec<NewTask>> {
        let title = self.shared.titles.open(asset)?;
        let stored = title.maker.stored()?;
        let missing = title.maker.jobs(&stored);
        if !missing.is_empty() {
            // Something was lost from the store since: make it, and come back.
            let mut again: Vec<NewTask> = missing
                .into_iter()
                .map(|job| NewTask::of(Work::Make(job), Priority::Fill))
                .collect();
            again.push(NewTask::of(Work::Finish, Priority::Fill));
            return Ok(again);
        }
        let (presentation, _report) = title.maker.publish(&claim.stop)?;
        self.write_entries(&asset.id, &presentation.revision)?;
        let renditions = package::summaries(&presentation);
        let total = title.maker.planned_segments();
        let catalog = &self.shared.catalog;
        self.block_on(async {
            catalog.progressed(&asset.id, total).await?;
            catalog
                .completed(&asset.id, &renditions, &presentation.warnings)
                .await
        })?;
        self.shared.titles.forget(&asset.id);
        Ok(Vec::new())
    }

    /// What becomes of an asset whose task can't be done.
    pub(super) fn give_up(&self, asset: &AssetId, work: &Work, error: &Error) {
        if let Work::Segment { track, number } = work {
            let wanted = Wanted {
                asset: asset.clone(),
                track: track.clone(),
                number: *number,
            };
            let telling = self.shared.queue.cannot_make(&wanted, error);
            if let Err(e) = self.block_on(telling) {
                tell_operator(PART, &format!("{asset}: telling of a failure failed: {e}"));
            }
            return;
        }
        if let Err(e) = self.fail(asset, error) {
            tell_operator(PART, &format!("{asset}: noting its failure failed: {e}"));
        }
    }

    /// Gives up what was given up because nobody ever finished it.
    pub(super) fn bury_the_dead(&self) {
        for task in self.shared.queue.take_died() {
            let error = Error::new(task.failure.kind, task.failure.message.clone());
            let work = task.work.unwrap_or(Work::Finish);
            self.give_up(&task.asset, &work, &error);
        }
    }

    /// Its tasks are stopped first: once it has failed it may be tried again, by new ones.
    fn fail(&self, asset: &AssetId, error: &Error) -> Result<()> {
        let shared = &self.shared;
        let failure = Failure::from(error);
        self.block_on(async {
            shared.queue.stop(asset).await?;
            shared.catalog.failed(asset, &failure).await
        })?;
        shared.titles.forget(asset);
        self.remove_entries(asset)
    }

    /// Takes away what failed assets still have visible: their server stopped in the middle.
    ///
    /// # Errors
    /// When catalog or store are away.
    pub fn hide_failed(&self) -> Result<()> {
        for asset in self.block_on(self.shared.catalog.assets_in(AssetState::Failed))? {
            self.remove_entries(&asset.id)?;
        }
        Ok(())
    }
}

fn planned(title: &Title, announced: &package::Announced) -> Planned {
    let presentation = &announced.presentation;
    Planned {
        revision: presentation.revision.clone(),
        duration_s: presentation.duration.seconds(),
        renditions: package::summaries(presentation),
        segments_total: title.maker.planned_segments(),
        has_poster: announced.has_poster,
        warnings: presentation.warnings.clone(),
    }
}

/// Everything that is left to make of a title: the first segment of each rendition with
/// precedence, that of the rung which players start with before all others.
fn tasks(title: &Title, presentation: &Presentation) -> Result<Vec<NewTask>> {
    let stored = title.maker.stored()?;
    let start = hls::first_variant(presentation)?.map(|track| track.common.id.clone());
    let mut first = Vec::new();
    let mut rest = Vec::new();
    for job in title.maker.jobs(&stored) {
        let run = job.run();
        if run.first_segment > 0 {
            rest.push(NewTask::of(Work::Make(job), Priority::Fill));
            continue;
        }
        let head = ChunkSpan { segments: 1, ..run };
        let tail = ChunkSpan {
            first_segment: 1,
            segments: run.segments - 1,
        };
        first.extend(first_jobs(title, with_run(&job, head), start.as_deref()));
        if tail.segments > 0 {
            rest.push(NewTask::of(
                Work::Make(with_run(&job, tail)),
                Priority::Fill,
            ));
        }
    }
    // Stable: what is quickly made stays in front of what is not.
    first.sort_by_key(|(is_start, _)| !is_start);
    let first = first.into_iter().map(|(is_start, job)| {
        // Whoever uploaded it is about to press play.
        let priority = if is_start {
            Priority::Demand
        } else {
            Priority::First
        };
        NewTask::of(Work::Make(job), priority)
    });
    let mut tasks: Vec<NewTask> = first.chain(rest).collect();
    tasks.push(NewTask::of(Work::Finish, Priority::Fill));
    Ok(tasks)
}

/// A job for first segments: the rung that players start with apart from the others. With each
/// whether players start with it; sound is among what they start with.
fn first_jobs(title: &Title, job: Job, start: Option<&str>) -> Vec<(bool, Job)> {
    let Job::EncodeVideo {
        renditions,
        run,
        stills,
    } = &job
    else {
        let is_start = !matches!(job, Job::CopyVideo { .. })
            || title.maker.tracks(&job).first().copied() == start;
        return vec![(is_start, job)];
    };
    let tracks = title.maker.tracks(&job);
    let at_start = |at: &usize| tracks.get(*at).copied() == start;
    let (starting, others): (Vec<usize>, Vec<usize>) = (0..renditions.len()).partition(at_start);
    let part = |places: Vec<usize>, stills| Job::EncodeVideo {
        renditions: places.into_iter().map(|at| renditions[at]).collect(),
        run: *run,
        stills,
    };
    // Nobody waits for stills: they go with what is not started with.
    let mut parts = Vec::new();
    if !starting.is_empty() {
        parts.push((true, part(starting, false)));
    }
    if !others.is_empty() || *stills {
        parts.push((false, part(others, *stills)));
    }
    parts
}

/// The same job for other segments.
fn with_run(job: &Job, run: ChunkSpan) -> Job {
    let mut job = job.clone();
    match &mut job {
        Job::EncodeVideo { run: old, .. }
        | Job::CopyVideo { run: old, .. }
        | Job::EncodeAudio { run: old, .. }
        | Job::CopyAudio { run: old, .. } => *old = run,
    }
    job
}

/// The planned chunk that a job's first segment belongs to.
fn around(title: &Title, job: &Job) -> ChunkSpan {
    let plan = &title.maker.prepared().plan;
    let run = job.run();
    let chunks = match job {
        Job::EncodeVideo { .. } | Job::CopyVideo { .. } => {
            plan.video.as_ref().map(|video| video.chunks.as_slice())
        }
        Job::EncodeAudio { renditions, .. } => renditions
            .first()
            .and_then(|at| plan.audio.get(*at))
            .map(|audio| audio.chunks.as_slice()),
        Job::CopyAudio { rendition, .. } => plan
            .audio
            .get(*rendition)
            .map(|audio| audio.chunks.as_slice()),
    };
    let covers = |chunk: &&ChunkSpan| {
        (chunk.first_segment..chunk.first_segment + chunk.segments).contains(&run.first_segment)
    };
    let chunk = chunks.unwrap_or_default().iter().find(covers);
    chunk.copied().unwrap_or(run)
}
