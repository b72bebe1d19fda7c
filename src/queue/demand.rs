//! Segments that somebody waits for: who waits for which, and which are being made right now.
//!
//! However many ask for a segment, it is made once. Whoever asks while a task is about to make it
//! waits for that task; else a task of its own is queued. Nothing here is durable: who waits is
//! here, and who went away asks again.
//!
//! Where many machines share a catalog, a segment that another machine makes is told of through its
//! database ([`Queue::stored`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::{NewTask, Queue};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{AssetId, ChunkSpan, Failure, Priority, Work};

/// How often a waiting request looks into the store itself, should the news be lost: who made the
/// segment was killed between storing it and telling.
const GLANCE: Duration = Duration::from_secs(2);

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Its asset.
    pub asset: AssetId,
    /// Its rendition's id.
    pub track: String,
    /// Its number, from 1.
    pub number: u32,
}

/// What those who wait are told.
#[derive(Debug, Clone)]
enum News {
    /// It is in the store.
    Stored,
    /// Nobody is making it any more.
    Dropped,
    /// It can't be made.
    Failed(ErrorKind, String),
}

/// A run of segments of one rendition that a task is making.
#[derive(Debug)]
struct Run {
    task: u64,
    /// The number that comes next.
    next: u32,
    /// The number after the last.
    end: u32,
    /// Whether it is short and made with precedence: all of it is worth waiting for.
    urgent: bool,
}

impl Run {
    fn covers_soon(&self, number: u32) -> bool {
        number == self.next || (self.urgent && (self.next..self.end).contains(&number))
    }
}

#[derive(Debug, Default)]
struct Board {
    waiting: HashMap<Wanted, broadcast::Sender<News>>,
    making: HashMap<(AssetId, String), Vec<Run>>,
    tasks: u64,
}

impl Board {
    fn tell(&mut self, wanted: &Wanted, news: News) {
        if let Some(sender) = self.waiting.remove(wanted) {
            // Whoever has gone needs no news.
            let _ = sender.send(news);
        }
    }

    fn is_being_made(&self, wanted: &Wanted) -> bool {
        let runs = self
            .making
            .get(&(wanted.asset.clone(), wanted.track.clone()));
        runs.is_some_and(|runs| runs.iter().any(|run| run.covers_soon(wanted.number)))
    }
}

/// Who waits for what, shared by requests and workers of this process.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// Guarded by a plain mutex: held for a few map operations, never across an await.
    board: Arc<Mutex<Board>>,
}

/// A place among those who wait for one segment.
#[derive(Debug)]
struct Waiting {
    demands: Demands,
    wanted: Wanted,
    news: broadcast::Receiver<News>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut board = self.demands.board();
        // The last one out takes the place away; its own receiver still counts.
        let alone = board
            .waiting
            .get(&self.wanted)
            .is_some_and(|sender| sender.receiver_count() <= 1);
        if alone {
            board.waiting.remove(&self.wanted);
        }
    }
}

/// Says, while it lives, that a task is making a run of segments.
#[derive(Debug)]
pub struct Making {
    demands: Demands,
    asset: AssetId,
    tracks: Vec<String>,
    task: u64,
}

impl Drop for Making {
    fn drop(&mut self) {
        let mut board = self.demands.board();
        for track in std::mem::take(&mut self.tracks) {
            board.end(&self.asset, track, self.task);
        }
    }
}

impl Board {
    /// Takes a task's run away and tells those who relied on it.
    fn end(&mut self, asset: &AssetId, track: String, task: u64) {
        let place = (asset.clone(), track);
        let Some(runs) = self.making.get_mut(&place) else {
            return;
        };
        let left: Vec<(u32, u32)> = runs
            .iter()
            .filter(|run| run.task == task)
            .map(|run| (run.next, run.end))
            .collect();
        runs.retain(|run| run.task != task);
        if runs.is_empty() {
            self.making.remove(&place);
        }
        let (asset, track) = place;
        let relied = |wanted: &&Wanted| {
            wanted.asset == asset
                && wanted.track == track
                && left
                    .iter()
                    .any(|(next, end)| (*next..*end).contains(&wanted.number))
        };
        let relied: Vec<Wanted> = self.waiting.keys().filter(relied).cloned().collect();
        for wanted in relied {
            self.tell(&wanted, News::Dropped);
        }
    }
}

impl Demands {
    fn board(&self) -> MutexGuard<'_, Board> {
        // No holder leaves it half changed.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, wanted: &Wanted) -> Waiting {
        let mut board = self.board();
        let sender = board
            .waiting
            .entry(wanted.clone())
            .or_insert_with(|| broadcast::channel(1).0);
        Waiting {
            news: sender.subscribe(),
            demands: self.clone(),
            wanted: wanted.clone(),
        }
    }

    /// Notes that a task is making the segments `run` of `tracks`, until the value is dropped.
    pub fn making(&self, asset: &AssetId, tracks: &[&str], run: ChunkSpan, urgent: bool) -> Making {
        let mut board = self.board();
        board.tasks += 1;
        let task = board.tasks;
        for track in tracks {
            let place = (asset.clone(), (*track).to_owned());
            board.making.entry(place).or_default().push(Run {
                task,
                next: run.first_segment + 1,
                end: run.first_segment + run.segments + 1,
                urgent,
            });
        }
        Making {
            demands: self.clone(),
            asset: asset.clone(),
            tracks: tracks.iter().map(|track| (*track).to_owned()).collect(),
            task,
        }
    }

    /// Tells those who wait that a segment is stored.
    pub fn stored(&self, wanted: &Wanted) {
        let mut board = self.board();
        let place = (wanted.asset.clone(), wanted.track.clone());
        for run in board.making.get_mut(&place).into_iter().flatten() {
            if run.next == wanted.number {
                run.next += 1;
            }
        }
        board.tell(wanted, News::Stored);
    }

    /// Tells those who wait that a segment can't be made.
    pub fn failed(&self, wanted: &Wanted, error: &Error) {
        let news = News::Failed(error.kind(), error.to_string());
        self.board().tell(wanted, news);
    }

    /// What another process tells of a segment.
    pub(super) fn hear(&self, wanted: &Wanted, failure: Option<&Failure>) {
        let news = match failure {
            None => News::Stored,
            Some(failure) => News::Failed(failure.kind, failure.message.clone()),
        };
        self.board().tell(wanted, news);
    }

    /// Has all who wait look for themselves: what was told of may have been missed.
    pub(super) fn look_again(&self) {
        let mut board = self.board();
        let all: Vec<Wanted> = board.waiting.keys().cloned().collect();
        for wanted in all {
            board.tell(&wanted, News::Dropped);
        }
    }

    /// Whether anybody still waits for a segment.
    pub fn is_wanted(&self, wanted: &Wanted) -> bool {
        self.board().waiting.contains_key(wanted)
    }

    /// Whether a task is about to make it.
    fn is_being_made(&self, wanted: &Wanted) -> bool {
        self.board().is_being_made(wanted)
    }
}

impl Queue {
    /// Waits until the segment `wanted` is in the store, which `is_stored` looks into, and has it
    /// made with precedence over everything else if nobody is about to. `false` when the time was
    /// up before.
    ///
    /// # Errors
    /// What making it failed with; what the catalog fails with.
    pub async fn demand<F, S>(
        &self,
        wanted: &Wanted,
        patience: Duration,
        mut is_stored: S,
    ) -> Result<bool>
    where
        S: FnMut() -> F,
        F: Future<Output = Result<bool>>,
    {
        let deadline = Instant::now() + patience;
        let mut ordered = false;
        loop {
            let mut waiting = self.demands().wait(wanted);
            // It may have been stored before we stood in line.
            if is_stored().await? {
                return Ok(true);
            }
            if !ordered && !self.demands().is_being_made(wanted) {
                self.order(wanted).await?;
                ordered = true;
            }
            let glance = deadline.min(Instant::now() + GLANCE);
            match tokio::time::timeout_at(glance, waiting.news.recv()).await {
                Ok(Ok(News::Stored)) => return Ok(true),
                Ok(Ok(News::Failed(kind, message))) => return Err(Error::new(kind, message)),
                Ok(Ok(News::Dropped) | Err(_)) => ordered = false,
                Err(_) if Instant::now() >= deadline => return Ok(false),
                Err(_) => {}
            }
        }
    }

    async fn order(&self, wanted: &Wanted) -> Result<()> {
        let task = NewTask {
            work: Work::Segment {
                track: wanted.track.clone(),
                number: wanted.number,
            },
            priority: Priority::Demand,
            key: Some(format!("segment/{}/{}", wanted.track, wanted.number)),
            last: false,
        };
        self.enqueue(&wanted.asset, &[task]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(number: u32) -> Wanted {
        Wanted {
            asset: AssetId::parse("cats").unwrap(),
            track: "v540".to_owned(),
            number,
        }
    }

    fn run(first_segment: u32, segments: u32) -> ChunkSpan {
        ChunkSpan {
            first_segment,
            segments,
        }
    }

    #[test]
    fn only_the_next_segment_of_a_background_task_is_worth_waiting_for() {
        let demands = Demands::default();
        let making = demands.making(&wanted(1).asset, &["v540"], run(0, 3), false);
        assert!(demands.is_being_made(&wanted(1)));
        assert!(!demands.is_being_made(&wanted(2)));
        demands.stored(&wanted(1));
        assert!(demands.is_being_made(&wanted(2)));
        let urgent = demands.making(&wanted(1).asset, &["v540"], run(10, 2), true);
        assert!(demands.is_being_made(&wanted(12)) && !demands.is_being_made(&wanted(13)));
        drop((making, urgent));
        assert!(!demands.is_being_made(&wanted(2)) && !demands.is_being_made(&wanted(12)));
        assert!(demands.board().making.is_empty());
    }

    #[test]
    fn all_who_wait_are_told_once() {
        let demands = Demands::default();
        let (mut first, mut second) = (demands.wait(&wanted(1)), demands.wait(&wanted(1)));
        demands.stored(&wanted(1));
        assert!(matches!(first.news.try_recv(), Ok(News::Stored)));
        assert!(matches!(second.news.try_recv(), Ok(News::Stored)));
        drop((first, second));
        assert!(demands.board().waiting.is_empty());
    }

    #[test]
    fn those_who_relied_on_a_task_learn_that_it_ended() {
        let demands = Demands::default();
        let making = demands.making(&wanted(1).asset, &["v540"], run(0, 2), true);
        let (mut relies, mut other) = (demands.wait(&wanted(2)), demands.wait(&wanted(9)));
        drop(making);
        assert!(matches!(relies.news.try_recv(), Ok(News::Dropped)));
        assert!(other.news.try_recv().is_err());
    }

    #[test]
    fn whoever_goes_leaves_nothing_behind() {
        let demands = Demands::default();
        let (first, second) = (demands.wait(&wanted(1)), demands.wait(&wanted(1)));
        drop(first);
        assert!(demands.is_wanted(&wanted(1)));
        drop(second);
        assert!(!demands.is_wanted(&wanted(1)));
    }
}
