//! Measures the sounds of a source before it is planned, where the policy asks for a loudness.
//!
//! Stretches of all tracks are decoded at the same time by several media children; each hears its
//! stretch in every way that it will be offered.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::check_stop;
use super::loudness::Parts;
use super::prepare::Indexed;
use crate::error::{Error, ErrorKind, Result};
use crate::media::{
    AudioRendition, ChunkSpan, Level, LoudnessPart, MeasureTask, Plan, Policy, SoundLevel,
};
use crate::plan::{self, Levelling, Lowering};
use crate::sandbox::{self, Launcher};

/// The sounds of one track that are still to be measured, and one run of segments.
struct Stretch {
    sounds: Vec<(usize, Level)>,
    run: ChunkSpan,
}

/// What every thread needs.
struct Measuring<'a> {
    indexed: &'a Indexed,
    lowering: Lowering,
    launcher: Launcher,
    stop: &'a AtomicBool,
    /// What was heard so far, by the place of the sound in the plan.
    heard: Mutex<BTreeMap<usize, Parts>>,
}

impl Indexed {
    /// How loud each sound is, and the level that brings it to what the policy asks for. A track that
    /// can't be decoded tells nothing; what is wrong with it comes out later.
    pub(super) fn levels(
        &self,
        policy: &Policy,
        inspection: &plan::Inspection,
        sandbox: &sandbox::Options,
        stop: &AtomicBool,
    ) -> Result<Vec<SoundLevel>> {
        let Some(target) = policy.loudness else {
            return Ok(Vec::new());
        };
        let Some(draft) = plan::measuring_plan(&self.index, policy, inspection)? else {
            return Ok(Vec::new());
        };
        let draft = Arc::new(draft);
        let mut sounds: Vec<(usize, Levelling)> = different_sounds(&draft)
            .into_iter()
            .map(|at| (at, Levelling::new(&target, &self.index, &draft.audio[at])))
            .collect();
        let mut measuring = Measuring {
            indexed: self,
            lowering: Lowering::new(Arc::clone(&draft), Arc::clone(&self.index))?,
            launcher: Launcher::new(sandbox.clone()),
            stop,
            heard: Mutex::default(),
        };
        loop {
            let wanted = sounds.iter();
            let wanted: Vec<(usize, Level)> = wanted
                .filter_map(|(at, levelling)| Some((*at, levelling.next()?)))
                .collect();
            if wanted.is_empty() {
                break;
            }
            let heard = measuring.measure(stretches(&draft, &wanted))?;
            for (at, levelling) in &mut sounds {
                if wanted.iter().any(|(wanted, _)| wanted == at) {
                    let parts = heard.get(at);
                    levelling.heard(parts.and_then(|parts| parts.loudness(&draft.audio[*at])));
                }
            }
        }
        Ok(sounds.into_iter().map(|(_, sound)| sound.found()).collect())
    }
}

/// One rendition of each track and number of channels: bitrates sound alike.
fn different_sounds(draft: &Plan) -> Vec<usize> {
    let alike = |a: &AudioRendition, b: &AudioRendition| {
        (a.source_track, a.channels) == (b.source_track, b.channels)
    };
    let is_first = |at: &usize| {
        let same = |other: &AudioRendition| alike(other, &draft.audio[*at]);
        draft.audio.iter().position(same) == Some(*at)
    };
    (0..draft.audio.len()).filter(is_first).collect()
}

/// The work, cut into runs of segments; sounds of one track together.
fn stretches(draft: &Plan, wanted: &[(usize, Level)]) -> Vec<Stretch> {
    let track = |at: usize| draft.audio[at].source_track;
    let mut stretches = Vec::new();
    for sounds in wanted.chunk_by(|a, b| track(a.0) == track(b.0)) {
        let chunks = sounds.first().map(|(at, _)| &draft.audio[*at].chunks);
        for run in chunks.into_iter().flatten() {
            stretches.push(Stretch {
                sounds: sounds.to_vec(),
                run: *run,
            });
        }
    }
    stretches
}

impl Measuring<'_> {
    /// Does all of `stretches`, as many at a time as there are cores.
    fn measure(&mut self, stretches: Vec<Stretch>) -> Result<BTreeMap<usize, Parts>> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(stretches.len());
        let queue = Mutex::new(stretches.into_iter());
        let this = &*self;
        // A child dies with the thread that started it; these threads wait for their children.
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| this.work(&queue)))
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                let panicked = |_| Err(Error::internal("a measuring thread panicked"));
                thread.join().unwrap_or_else(panicked)
            };
            threads.into_iter().map(join).collect()
        });
        results.into_iter().collect::<Result<Vec<()>>>()?;
        let heard = self.heard.get_mut();
        heard.map(std::mem::take).map_err(|_| poisoned())
    }

    fn work(&self, queue: &Mutex<std::vec::IntoIter<Stretch>>) -> Result<()> {
        loop {
            check_stop(self.stop)?;
            let stretch = queue.lock().map_err(|_| poisoned())?.next();
            let Some(stretch) = stretch else {
                return Ok(());
            };
            let parts = self.stretch(&stretch)?;
            let mut heard = self.heard.lock().map_err(|_| poisoned())?;
            for ((at, _), part) in stretch.sounds.iter().zip(&parts) {
                heard.entry(*at).or_default().add(part);
            }
        }
    }

    fn stretch(&self, stretch: &Stretch) -> Result<Vec<LoudnessPart>> {
        let task = self.lowering.measure_task(&stretch.sounds, stretch.run)?;
        match self.ask(&task) {
            Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => {
                Ok(Vec::new())
            }
            done => done,
        }
    }

    fn ask(&self, task: &MeasureTask) -> Result<Vec<LoudnessPart>> {
        let places = task.samples.iter().map(|sample| sample.place);
        let indexed = self.indexed;
        let scratch = indexed.scratch.as_deref();
        let source = indexed.source.lend(places, scratch, self.stop)?;
        let spool = indexed.spool.as_ref();
        self.launcher.measure(task, source.file(), spool, self.stop)
    }
}

fn poisoned() -> Error {
    Error::internal("another measuring thread panicked")
}
