//! What the queue promises, over a catalog with a clock that stands still.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::catalog::tests::{Fixture, id, on_both, planned};
use crate::error::ErrorKind;

/// A little longer than a lease.
const PAST_LEASE: i64 = 15_001;
/// Longer than any delay between attempts.
const PAST_DELAYS: i64 = 10 * 60 * 1000;
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    fixture: Fixture,
    queue: Queue,
}

impl Bench {
    /// A queue with one asset, `a`.
    async fn on(fixture: Fixture) -> Self {
        fixture.asset("a").await;
        let queue = another(&fixture.catalog, &fixture.clock);
        Self { fixture, queue }
    }

    async fn enqueue(&self, tasks: &[NewTask]) {
        self.queue.enqueue(&id("a"), tasks).await.expect("enqueued");
    }

    async fn claim(&self) -> Option<Claim> {
        let claiming = self.queue.claim("worker", Priority::Batch);
        claiming.await.expect("asked")
    }

    async fn claimed(&self) -> Claim {
        self.claim().await.expect("a task")
    }

    async fn done(&self, claim: &Claim) -> Fate {
        self.queue.finish(claim, Ok(Vec::new())).await.expect("ran")
    }

    async fn failed(&self, claim: &Claim, kind: ErrorKind) -> Fate {
        let error = Error::new(kind, "the store is away");
        self.queue.finish(claim, Err(&error)).await.expect("ran")
    }

    fn advance(&self, millis: i64) {
        self.fixture.clock.advance(millis);
    }
}

on_both! {
async fn a_source_that_one_machine_has_is_worked_on_by_it_until_all_have_it(bench: Bench) {
    let catalog = &bench.fixture.catalog;
    let here = Options { node: Some("here".to_owned()), ..Options::default() };
    let here = Queue::new(catalog.clone(), bench.fixture.clock.clone(), here);
    let uploaded = catalog.uploaded(&id("a"), "feed", 1, Some("here")).await;
    assert!(uploaded.expect("ran"));
    bench.enqueue(&[task(1), task(2)]).await;

    assert!(bench.claim().await.is_none(), "another machine has no source");
    let claim = here.claim("worker", Priority::Batch).await.expect("asked").expect("a task");
    let done = here.finish(&claim, Ok(vec![task(3)])).await;
    assert_eq!(done.expect("ran"), Fate::Done);
    assert!(bench.claim().await.is_none(), "nor for what follows");

    assert_eq!(catalog.sources_at("here").await.expect("ran").len(), 1);
    assert!(catalog.source_stored(&id("a")).await.expect("ran"));
    assert_eq!(catalog.sources_at("here").await.expect("ran").len(), 0);
    assert!(bench.claim().await.is_some() && bench.claim().await.is_some());
    assert!(!catalog.source_stored(&id("b")).await.expect("ran"), "there is no such asset");
}
}

/// The queue as another process sees it.
fn another(catalog: &Catalog, clock: &Clock) -> Queue {
    let options = Options {
        crash_limit: 5,
        ..Options::default()
    };
    Queue::new(catalog.clone(), clock.clone(), options)
}

fn task(number: u32) -> NewTask {
    NewTask {
        work: segment(number),
        priority: Priority::Fill,
        key: None,
        last: false,
    }
}

fn segment(number: u32) -> Work {
    let track = "v720".to_owned();
    Work::Segment { track, number }
}

fn last() -> NewTask {
    NewTask {
        work: Work::Finish,
        last: true,
        ..task(0)
    }
}

fn keyed(key: &str, priority: Priority) -> NewTask {
    NewTask {
        key: Some(key.to_owned()),
        priority,
        ..task(0)
    }
}

on_both! {
async fn two_claimers_never_get_the_same_task(bench: Bench) {
    let tasks: Vec<NewTask> = (0..40).map(task).collect();
    bench.enqueue(&tasks).await;
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..6 {
        // Half of them come through connections of their own, as another process would.
        let catalog = match number % 2 {
            0 => bench.fixture.catalog.clone(),
            _ => bench.fixture.again().await,
        };
        let queue = another(&catalog, &bench.fixture.clock);
        workers.spawn(async move {
            let mut ids = Vec::new();
            while let Some(claim) = queue.claim("worker", Priority::Batch).await.expect("ran") {
                ids.push(claim.id);
            }
            ids
        });
    }
    let claimed = workers.join_all().await.concat();
    let distinct: HashSet<i64> = claimed.iter().copied().collect();
    assert_eq!((claimed.len(), distinct.len()), (40, 40));
}
}

on_both! {
async fn a_lost_lease_is_claimed_again_and_the_old_claim_changes_nothing(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    let old = bench.claimed().await;
    assert!(bench.claim().await.is_none());
    bench.advance(PAST_LEASE);
    let new = bench.claimed().await;
    assert_eq!((new.id, new.attempt), (old.id, old.attempt));
    assert!(old.stop.load(Ordering::Relaxed));

    let follow_up = Ok(vec![task(2)]);
    let fate = bench.queue.finish(&old, follow_up).await.expect("ran");
    assert_eq!(fate, Fate::Lost);
    assert_eq!(bench.failed(&old, ErrorKind::Invalid).await, Fate::Lost);
    assert!(!bench.queue.extend(&old).await.expect("ran"));
    let depth = bench.queue.depth().await.expect("ran");
    assert_eq!((depth.queued, depth.running, depth.dead), (0, 1, 0));

    assert!(bench.queue.extend(&new).await.expect("ran"));
    assert!(!new.stop.load(Ordering::Relaxed));
    assert_eq!(bench.done(&new).await, Fate::Done);
    assert_eq!(bench.done(&new).await, Fate::Lost);
}
}

on_both! {
async fn an_extended_lease_holds(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    let claim = bench.claimed().await;
    for _ in 0..4 {
        bench.advance(PAST_LEASE / 2);
        assert!(bench.queue.extend(&claim).await.expect("ran"));
        assert!(bench.claim().await.is_none());
    }
    assert_eq!(bench.done(&claim).await, Fate::Done);
}
}

on_both! {
async fn the_last_task_waits_for_all_others_of_its_asset(bench: Bench) {
    bench.fixture.asset("b").await;
    let other = bench.queue.enqueue(&id("b"), &[task(9)]).await;
    other.expect("enqueued");
    bench.enqueue(&[last(), last(), task(1)]).await;
    let elsewhere = bench.claimed().await;
    assert_eq!(elsewhere.asset, id("b"));
    let first = bench.claimed().await;
    assert_eq!(first.work, segment(1));
    assert!(bench.claim().await.is_none());

    let again = bench.failed(&first, ErrorKind::Unavailable).await;
    assert!(matches!(again, Fate::RetryAt(_)));
    assert!(bench.claim().await.is_none(), "one of its asset is queued");
    bench.advance(1000);
    let first = bench.claimed().await;
    assert_eq!((&first.work, first.attempt), (&segment(1), 2));
    assert_eq!(bench.done(&first).await, Fate::Done);
    // Of two that are last, one goes first.
    let finish = bench.claimed().await;
    assert_eq!(finish.work, Work::Finish);
    assert!(bench.claim().await.is_none());
    assert_eq!(bench.done(&finish).await, Fate::Done);
    assert_eq!(bench.claimed().await.work, Work::Finish);
}
}

on_both! {
async fn a_duplicate_key_only_raises_the_priority(bench: Bench) {
    bench.enqueue(&[task(1), keyed("k", Priority::Fill)]).await;
    bench.enqueue(&[keyed("k", Priority::Batch)]).await;
    bench.enqueue(&[keyed("k", Priority::Demand)]).await;
    let first = bench.claimed().await;
    assert_eq!(first.priority, Priority::Demand);
    bench.enqueue(&[keyed("k", Priority::Demand)]).await;
    let second = bench.claimed().await;
    assert_eq!(second.priority, Priority::Fill);
    assert!(bench.claim().await.is_none());
    // Done, it may be asked for again.
    assert_eq!(bench.done(&first).await, Fate::Done);
    bench.enqueue(&[keyed("k", Priority::Fill)]).await;
    assert!(bench.claim().await.is_some());
}
}

on_both! {
async fn the_most_urgent_goes_first_and_equals_in_their_order(bench: Bench) {
    let urgencies = [
        Priority::Batch,
        Priority::Fill,
        Priority::Demand,
        Priority::First,
        Priority::Demand,
    ];
    for (number, priority) in (1..).zip(urgencies) {
        let task = NewTask {
            priority,
            ..task(number)
        };
        bench.enqueue(&[task]).await;
    }
    let mut order = Vec::new();
    while let Some(claim) = bench.queue.claim("w", Priority::First).await.expect("ran") {
        order.push(claim.work);
    }
    assert_eq!(order, [segment(3), segment(5), segment(4)]);
    assert_eq!(bench.claimed().await.work, segment(2));
    assert_eq!(bench.claimed().await.work, segment(1));
}
}

on_both! {
async fn follow_ups_come_with_the_end_or_not_at_all(bench: Bench) {
    bench.enqueue(&[keyed("index", Priority::First)]).await;
    let claim = bench.claimed().await;
    let follow_ups = vec![keyed("index", Priority::Fill), task(7)];
    let fate = bench.queue.finish(&claim, Ok(follow_ups)).await;
    assert_eq!(fate.expect("ran"), Fate::Done);
    let depth = bench.queue.depth().await.expect("ran");
    assert_eq!((depth.queued, depth.running), (2, 0));
}
}

on_both! {
async fn cancel_stops_what_runs_and_waits_for_it(bench: Bench) {
    bench.enqueue(&[task(1), task(2), task(3)]).await;
    let (first, second) = (bench.claimed().await, bench.claimed().await);
    let canceller = bench.queue.clone();
    let cancelling = tokio::spawn(async move { canceller.cancel(&id("a")).await });
    while !(first.stop.load(Ordering::Relaxed) && second.stop.load(Ordering::Relaxed)) {
        tokio::task::yield_now().await;
    }
    assert!(!bench.queue.extend(&first).await.expect("ran"));
    assert_eq!(bench.done(&first).await, Fate::Lost);
    assert!(!cancelling.is_finished());
    assert_eq!(bench.failed(&second, ErrorKind::Invalid).await, Fate::Lost);
    cancelling.await.expect("joined").expect("cancelled");
    assert_eq!(bench.queue.depth().await.expect("ran"), Depth::default());
}
}

on_both! {
async fn cancel_does_not_wait_for_the_dead(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    let claim = bench.claimed().await;
    bench.advance(PAST_LEASE);
    bench.queue.cancel(&id("a")).await.expect("cancelled");
    assert_eq!(bench.done(&claim).await, Fate::Lost);
    assert_eq!(bench.queue.depth().await.expect("ran"), Depth::default());
}
}

on_both! {
async fn what_is_asked_for_while_it_stops_is_queued_anew(bench: Bench) {
    bench.enqueue(&[keyed("index", Priority::First)]).await;
    let old = bench.claimed().await;
    bench.queue.stop(&id("a")).await.expect("told");
    bench.enqueue(&[keyed("index", Priority::First)]).await;
    let new = bench.claimed().await;
    assert_ne!(old.id, new.id);
    assert_eq!(bench.done(&old).await, Fate::Lost);
    assert_eq!(bench.done(&new).await, Fate::Done);
}
}

on_both! {
async fn removing_an_asset_takes_its_tasks(bench: Bench) {
    bench.enqueue(&[task(1), task(2)]).await;
    let claim = bench.claimed().await;
    let removed = bench.fixture.catalog.remove_asset(&id("a")).await;
    assert!(removed.expect("ran"));
    assert!(!bench.queue.extend(&claim).await.expect("ran"));
    assert_eq!(bench.done(&claim).await, Fate::Lost);
    assert_eq!(bench.queue.depth().await.expect("ran"), Depth::default());
    let late = bench.queue.enqueue(&id("a"), &[task(3)]).await;
    assert_eq!(late.expect_err("gone").kind(), ErrorKind::NotFound);
}
}

on_both! {
async fn bad_input_is_given_up_at_once_and_can_be_retried(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    let claim = bench.claimed().await;
    assert_eq!(bench.failed(&claim, ErrorKind::Invalid).await, Fate::Dead);
    assert!(bench.claim().await.is_none());
    let dead = bench.queue.dead().await.expect("ran");
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id, dead[0].attempts), (claim.id, 1));
    assert_eq!(dead[0].work, Some(segment(1)));
    assert_eq!(dead[0].failure.message, "the store is away");
    assert!(bench.queue.retry(claim.id).await.expect("ran"));
    assert!(!bench.queue.retry(claim.id).await.expect("ran"));
    assert_eq!(bench.claimed().await.attempt, 1);
    assert!(bench.queue.dead().await.expect("ran").is_empty());
}
}

on_both! {
async fn what_may_pass_is_tried_again_later_and_in_the_end_given_up(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    for attempt in 1..retry::ATTEMPTS {
        let claim = bench.claimed().await;
        assert_eq!(claim.attempt, attempt);
        let fate = bench.failed(&claim, ErrorKind::Exhausted).await;
        let now = bench.fixture.clock.now_millis();
        assert!(matches!(fate, Fate::RetryAt(at) if at > now));
        assert!(bench.claim().await.is_none());
        bench.advance(PAST_DELAYS);
    }
    let claim = bench.claimed().await;
    assert_eq!(bench.failed(&claim, ErrorKind::Exhausted).await, Fate::Dead);
}
}

on_both! {
async fn a_new_key_takes_the_place_of_a_dead_one(bench: Bench) {
    bench.enqueue(&[keyed("k", Priority::Fill)]).await;
    let claim = bench.claimed().await;
    bench.failed(&claim, ErrorKind::Invalid).await;
    bench.enqueue(&[keyed("k", Priority::Fill)]).await;
    assert!(bench.queue.dead().await.expect("ran").is_empty());
    assert_eq!(bench.claimed().await.attempt, 1);
}
}

on_both! {
async fn a_stop_of_the_program_costs_no_attempt(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    let claim = bench.claimed().await;
    bench.failed(&claim, ErrorKind::Unavailable).await;
    bench.advance(PAST_DELAYS);
    for _ in 0..4 {
        assert_eq!(bench.claimed().await.attempt, 2);
        bench.queue.recover().await.expect("recovered");
    }
    assert!(bench.queue.take_died().is_empty());
}
}

on_both! {
async fn a_task_that_the_program_always_stops_in_is_given_up(bench: Bench) {
    bench.enqueue(&[task(1), last()]).await;
    for _ in 0..4 {
        bench.claimed().await;
        bench.queue.recover().await.expect("recovered");
    }
    bench.claimed().await;
    bench.advance(PAST_LEASE);
    // Counted alike: stops of the program, and leases that ran out.
    assert_eq!(bench.claimed().await.work, Work::Finish);
    let died = bench.queue.take_died();
    assert_eq!(died, bench.queue.dead().await.expect("ran"));
    assert_eq!((died.len(), died[0].attempts), (1, 5));
    assert!(died[0].failure.message.contains("5 times in a row"));
    assert!(bench.queue.take_died().is_empty());
}
}

on_both! {
async fn stops_do_not_count_while_the_asset_comes_forward(bench: Bench) {
    let catalog = &bench.fixture.catalog;
    catalog.uploaded(&id("a"), "feed", 1, None).await.expect("ran");
    catalog.planned(&id("a"), &planned(100)).await.expect("ran");
    bench.enqueue(&[task(1)]).await;
    for segments in 1..12 {
        bench.claimed().await;
        catalog.progressed(&id("a"), segments).await.expect("ran");
        bench.queue.recover().await.expect("recovered");
    }
    assert_eq!(bench.claimed().await.attempt, 1);
    // From here on it stands still.
    for _ in 0..4 {
        bench.queue.recover().await.expect("recovered");
        bench.claim().await;
    }
    assert_eq!(bench.queue.take_died().len(), 1);
}
}

on_both! {
async fn an_orderly_stop_counts_for_nothing(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    for _ in 0..12 {
        let claim = bench.claimed().await;
        assert_eq!(claim.attempt, 1);
        assert!(bench.queue.give_back(&claim).await.expect("ran"));
        assert!(!bench.queue.give_back(&claim).await.expect("ran"));
        bench.queue.recover().await.expect("recovered");
    }
    let claim = bench.claimed().await;
    bench.queue.stop(&id("a")).await.expect("told");
    assert!(!bench.queue.give_back(&claim).await.expect("ran"));
    assert_eq!(bench.queue.depth().await.expect("ran"), Depth::default());
}
}

on_both! {
async fn depth_tells_how_long_the_oldest_waits(bench: Bench) {
    bench.enqueue(&[task(1)]).await;
    bench.advance(700);
    bench.enqueue(&[task(2)]).await;
    bench.advance(300);
    let depth = bench.queue.depth().await.expect("ran");
    assert_eq!((depth.queued, depth.oldest_queued_millis), (2, 1000));
    bench.enqueue(&[keyed("k", Priority::Demand)]).await;
    bench.advance(1);
    let depth = bench.queue.depth().await.expect("ran");
    let waiting = depth.by_priority.map(|of| (of.queued, of.oldest_millis));
    assert_eq!(waiting, [(1, 1), (0, 0), (2, 1001), (0, 0)]);
    assert_eq!((depth.queued, depth.oldest_queued_millis), (3, 1001));
}
}

on_both! {
async fn who_waits_hears_of_new_work(bench: Bench) {
    let queue = bench.queue.clone();
    let waiting = tokio::spawn(async move { queue.next("w", Priority::Batch, PATIENCE).await });
    tokio::task::yield_now().await;
    bench.enqueue(&[task(1), last()]).await;
    let claim = waiting
        .await
        .expect("joined")
        .expect("ran")
        .expect("a task");
    let queue = bench.queue.clone();
    let waiting = tokio::spawn(async move { queue.next("w", Priority::Batch, PATIENCE).await });
    tokio::task::yield_now().await;
    bench.done(&claim).await;
    let claim = waiting
        .await
        .expect("joined")
        .expect("ran")
        .expect("a task");
    assert_eq!(claim.work, Work::Finish);
    let none = bench.queue.next("w", Priority::Batch, Duration::ZERO).await;
    assert!(none.expect("ran").is_none());
}
}

// ---- any sequence of events

#[derive(Debug, Clone)]
enum Step {
    Enqueue(Priority),
    Claim { least: Priority },
    Extend { claim: usize },
    Done { claim: usize },
    Fail { claim: usize, kind: ErrorKind },
    Wait { millis: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = || prop::sample::select(Priority::ALL.to_vec());
    let kind = prop::sample::select(vec![ErrorKind::Unavailable, ErrorKind::Exhausted]);
    let claim = || 0_usize..16;
    let step = prop_oneof![
        3 => priority().prop_map(Step::Enqueue),
        4 => priority().prop_map(|least| Step::Claim { least }),
        1 => claim().prop_map(|claim| Step::Extend { claim }),
        2 => claim().prop_map(|claim| Step::Done { claim }),
        1 => (claim(), kind).prop_map(|(claim, kind)| Step::Fail { claim, kind }),
        2 => (0..PAST_LEASE).prop_map(|millis| Step::Wait { millis }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What must be true, by a model of it.
struct Model {
    bench: Bench,
    enqueued: u32,
    /// Every claim ever made, with the time up to which its lease holds.
    claims: Vec<(Claim, i64)>,
    /// The claim that counts, for each task that is running.
    running: HashMap<i64, i64>,
    finished: HashSet<i64>,
}

impl Model {
    async fn on(fixture: Fixture) -> Self {
        fixture.asset("a").await;
        let options = Options {
            crash_limit: u32::MAX,
            ..Options::default()
        };
        let queue = Queue::new(fixture.catalog.clone(), fixture.clock.clone(), options);
        Self {
            bench: Bench { fixture, queue },
            enqueued: 0,
            claims: Vec::new(),
            running: HashMap::new(),
            finished: HashSet::new(),
        }
    }

    fn now(&self) -> i64 {
        self.bench.fixture.clock.now_millis()
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Enqueue(priority) => {
                self.enqueued += 1;
                let task = NewTask {
                    priority: *priority,
                    ..task(self.enqueued)
                };
                self.bench.enqueue(&[task]).await;
            }
            Step::Claim { least } => self.claim(*least).await,
            Step::Wait { millis } => self.bench.advance(*millis),
            Step::Extend { claim } | Step::Done { claim } | Step::Fail { claim, .. } => {
                if !self.claims.is_empty() {
                    self.touch(claim % self.claims.len(), step).await;
                }
            }
        }
    }

    async fn claim(&mut self, least: Priority) {
        let claiming = self.bench.queue.claim("worker", least);
        let Some(claim) = claiming.await.expect("ran") else {
            return;
        };
        assert!(claim.priority <= least);
        assert!(!self.finished.contains(&claim.id), "done once already");
        let now = self.now();
        let twice = self
            .claims
            .iter()
            .any(|(other, until)| other.id == claim.id && *until >= now);
        assert!(!twice, "two claims of task {} at once", claim.id);
        self.running.insert(claim.id, claim.fence);
        self.claims.push((claim, now + 15_000));
    }

    async fn touch(&mut self, at: usize, step: &Step) {
        let now = self.now();
        let (claim, until) = &mut self.claims[at];
        let newest = self.running.get(&claim.id) == Some(&claim.fence);
        let holds = newest && *until >= now;
        let kept = match step {
            Step::Extend { .. } => {
                let kept = self.bench.queue.extend(claim).await.expect("ran");
                *until = if kept { now + 15_000 } else { i64::MIN };
                kept
            }
            Step::Fail { kind, .. } => {
                *until = i64::MIN;
                let fate = self.bench.failed(claim, *kind).await;
                // So many failures that it was given up: as good as done here.
                if fate == Fate::Dead {
                    self.finished.insert(claim.id);
                }
                fate != Fate::Lost
            }
            _ => {
                *until = i64::MIN;
                let done = self.bench.done(claim).await == Fate::Done;
                if done {
                    assert!(self.finished.insert(claim.id), "finished twice");
                }
                done
            }
        };
        assert!(kept || !holds, "a claim that holds was refused");
        assert!(newest || !kept, "a claim that was overtaken was accepted");
        if kept && !matches!(step, Step::Extend { .. }) {
            self.running.remove(&claim.id);
        }
    }

    /// In the end every task can be done, and each is once.
    async fn drain(mut self) {
        self.bench.advance(PAST_DELAYS);
        while let Some(claim) = self.bench.claim().await {
            assert_eq!(self.bench.done(&claim).await, Fate::Done);
            assert!(self.finished.insert(claim.id), "finished twice");
        }
        let finished = u32::try_from(self.finished.len()).expect("few");
        assert_eq!(finished, self.enqueued);
    }
}

async fn nothing_is_lost(fixture: Fixture, steps: &[Step]) {
    let mut model = Model::on(fixture).await;
    for step in steps {
        model.take(step).await;
    }
    model.drain().await;
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_task_is_lost_or_run_twice_at_once(steps in steps()) {
        block_on(async { nothing_is_lost(Fixture::new().await, &steps).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn no_task_is_lost_or_run_twice_at_once_on_a_server(steps in steps()) {
        block_on(async {
            if let Some(fixture) = Fixture::on_server().await {
                nothing_is_lost(fixture, &steps).await;
            }
        });
    }
}

on_both! {
async fn one_process_makes_what_another_waits_for(bench: Bench) {
    if !bench.fixture.catalog.is_shared() {
        return;
    }
    let other = another(&bench.fixture.again().await, &bench.fixture.clock);
    let wanted = Wanted {
        asset: id("a"),
        track: "v720".to_owned(),
        number: 7,
    };
    let stored = Arc::new(AtomicBool::new(false));
    let is_stored = Arc::clone(&stored);
    let (asking, asked) = (bench.queue.clone(), wanted.clone());
    let waiting = tokio::spawn(async move {
        let look = || async { Ok(is_stored.load(Ordering::Relaxed)) };
        asking.demand(&asked, PATIENCE, look).await
    });
    let claim = other.next("other", Priority::Demand, PATIENCE).await;
    let claim = claim.expect("asked").expect("a task");
    assert_eq!(claim.priority, Priority::Demand);
    stored.store(true, Ordering::Relaxed);
    let began = std::time::Instant::now();
    other.stored(&wanted, true).await.expect("told");
    assert!(waiting.await.expect("ended").expect("made"));
    // By the news, not by looking.
    assert!(began.elapsed() < Duration::from_secs(1));
}
}

on_both! {
async fn who_waits_elsewhere_hears_why_it_cannot_be_made(bench: Bench) {
    if !bench.fixture.catalog.is_shared() {
        return;
    }
    let other = another(&bench.fixture.again().await, &bench.fixture.clock);
    let wanted = Wanted {
        asset: id("a"),
        track: "v720".to_owned(),
        number: 7,
    };
    let (asking, asked) = (bench.queue.clone(), wanted.clone());
    let waiting = tokio::spawn(async move {
        asking.demand(&asked, PATIENCE, || async { Ok(false) }).await
    });
    let claim = other.next("other", Priority::Demand, PATIENCE).await;
    claim.expect("asked").expect("a task");
    let error = Error::invalid("no sample of it can be decoded. ".repeat(1000));
    other.cannot_make(&wanted, &error).await.expect("told");
    let told = waiting.await.expect("ended").expect_err("failed");
    assert_eq!(told.kind(), ErrorKind::Invalid);
    assert!(told.to_string().starts_with("no sample of it"));
}
}
