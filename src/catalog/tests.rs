//! What the catalog promises of assets and events.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::media::{Asset, AssetId, AssetState, Failure, Policy, RenditionSummary};

/// Runs a test on both kinds of database; on a server, where one is installed.
macro_rules! on_both {
    (async fn $name:ident($value:ident: $kind:ty) $body:block) => {
        mod $name {
            #[allow(clippy::wildcard_imports, reason = "the test belongs to the module above")]
            use super::*;

            async fn holds($value: $kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_a_file() {
                let fixture = $crate::catalog::tests::Fixture::new().await;
                holds(<$kind>::on(fixture).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_a_server() {
                if let Some(fixture) = $crate::catalog::tests::Fixture::on_server().await {
                    holds(<$kind>::on(fixture).await).await;
                }
            }
        }
    };
}
pub(crate) use on_both;

/// A catalog of its own, with a clock that stands still.
pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) clock: Clock,
    place: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    /// In a file.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::at(folder.path().join("catalog.sqlite"), Some(folder)).await
    }

    /// In a database of a server; `None` where none is installed.
    pub(crate) async fn on_server() -> Option<Self> {
        #[cfg(not(feature = "postgres"))]
        return None;
        #[cfg(feature = "postgres")]
        {
            let place = server::new_database().await?;
            Some(Self::at(place, None).await)
        }
    }

    async fn at(place: PathBuf, folder: Option<tempfile::TempDir>) -> Self {
        let clock = Clock::held_at(1_000_000);
        let catalog = open(&place, &clock).await;
        Self {
            catalog,
            clock,
            place,
            _folder: folder,
        }
    }

    /// Itself: what the tests of others make of it.
    pub(crate) async fn on(self) -> Self {
        self
    }

    /// The same catalog opened by another process.
    pub(crate) async fn again(&self) -> Catalog {
        open(&self.place, &self.clock).await
    }

    pub(crate) async fn asset(&self, name: &str) -> Asset {
        let new = new_asset(name);
        let asset = self.catalog.create_asset(&new).await.expect("created");
        // Who subscribes afterwards doesn't hear of it.
        self.catalog.caught_up().await;
        asset
    }
}

impl Catalog {
    /// Waits until this process has heard of all events there are.
    pub(crate) async fn caught_up(&self) {
        let all = bus::last_event(&self.readers).await.expect("asked");
        for _ in 0..2000 {
            if self.bus.told() >= all {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not told of event {all}");
    }
}

async fn open(place: &Path, clock: &Clock) -> Catalog {
    Catalog::open(place, clock.clone()).await.expect("opened")
}

pub(crate) fn id(name: &str) -> AssetId {
    AssetId::parse(name).expect("sound")
}

fn new_asset(name: &str) -> NewAsset {
    NewAsset {
        id: id(name),
        title: format!("title of {name}"),
        policy: Policy::default(),
        state: AssetState::Uploading,
        source_url: None,
        source_bytes: None,
    }
}

pub(crate) fn planned(segments_total: u64) -> Planned {
    Planned {
        revision: "0123456789abcdef0123456789abcdef".into(),
        duration_s: 12.5,
        renditions: vec![rendition()],
        segments_total,
        has_poster: true,
        warnings: vec!["slow start".into()],
    }
}

fn rendition() -> RenditionSummary {
    RenditionSummary {
        id: "v720".into(),
        codecs: "avc1.64001f".into(),
        width: Some(1280),
        height: Some(720),
        language: None,
        bandwidth: 2_000_000,
        average_bandwidth: 1_500_000,
        source: "encode".into(),
        segments: 3,
    }
}

pub(crate) fn failure() -> Failure {
    Failure {
        kind: ErrorKind::Invalid,
        message: "no moov box".into(),
    }
}

async fn told(catalog: &Catalog, receiver: &mut broadcast::Receiver<Event>) -> Vec<Event> {
    catalog.caught_up().await;
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push(event);
    }
    events
}

on_both! {
async fn an_asset_goes_its_way_and_every_step_is_told(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let mut receiver = catalog.subscribe();
    let asset = fixture.asset("a").await;
    assert_eq!(asset.created_at_millis, 1_000_000);
    assert!(catalog.uploaded(&asset.id, "feed", 77, None).await.expect("ran"));
    assert!(catalog.planned(&asset.id, &planned(9)).await.expect("ran"));
    catalog.progressed(&asset.id, 4).await.expect("ran");
    catalog.progressed(&asset.id, 3).await.expect("ran");
    catalog.progressed(&asset.id, 12).await.expect("ran");
    let done = catalog.completed(&asset.id, &[rendition()], &[]).await;
    assert!(done.expect("ran"));

    let kept = catalog.asset(&asset.id).await.expect("ran").expect("there");
    assert_eq!(kept.state, AssetState::Complete);
    assert_eq!((kept.source_bytes, kept.segments_done), (Some(77), 9));
    assert_eq!(kept.renditions, [rendition()]);
    assert_eq!(kept.duration_s, Some(12.5));
    assert!(kept.has_poster && kept.warnings.is_empty());

    let events = told(catalog, &mut receiver).await;
    let mut told: Vec<&str> = Vec::new();
    let texts: Vec<String> = events.iter().map(|event| event.data.to_string()).collect();
    told.extend(texts.iter().map(String::as_str));
    let mut all = vec![
        r#"{"state":"uploading"}"#,
        r#"{"state":"indexing"}"#,
        r#"{"state":"ready"}"#,
        r#"{"segments_done":4,"segments_total":9}"#,
        r#"{"segments_done":9,"segments_total":9}"#,
        r#"{"segments_done":9,"segments_total":9}"#,
        r#"{"state":"complete"}"#,
    ];
    if catalog.is_shared() {
        // Progress that newer progress has replaced meanwhile is not heard of.
        let last_progress = all[5];
        assert_eq!(told.get(told.len() - 2), Some(&last_progress));
        let is_state = |text: &&str| text.contains("state");
        told.retain(is_state);
        all.retain(is_state);
    }
    assert_eq!(told, all);
    let stored = catalog.events_after(&asset.id, 0, 100).await.expect("ran");
    assert_eq!(stored.len(), 5, "of the progress one is kept: {stored:?}");
    assert_eq!(stored.last(), events.last());
    let last = stored[3].sequence;
    let rest = catalog.events_after(&asset.id, last, 100).await;
    assert_eq!(rest.expect("ran").len(), 1);
}
}

on_both! {
async fn a_step_from_the_wrong_state_changes_nothing(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let asset = fixture.asset("a").await;
    let mut receiver = catalog.subscribe();
    assert!(!catalog.planned(&asset.id, &planned(1)).await.expect("ran"));
    assert!(!catalog.completed(&asset.id, &[], &[]).await.expect("ran"));
    assert!(!catalog.reopened(&asset.id).await.expect("ran"));
    assert!(!catalog.uploaded(&id("other"), "x", 1, None).await.expect("ran"));
    assert!(!catalog.failed(&id("other"), &failure()).await.expect("ran"));
    catalog.progressed(&asset.id, 4).await.expect("ran");
    assert_eq!(catalog.asset(&asset.id).await.expect("ran"), Some(asset));
    assert!(told(catalog, &mut receiver).await.is_empty());
}
}

on_both! {
async fn the_first_failure_stays_until_it_is_tried_again(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let asset = fixture.asset("a").await;
    let other = Failure {
        message: "something else".into(),
        ..failure()
    };
    assert!(catalog.failed(&asset.id, &failure()).await.expect("ran"));
    assert!(!catalog.failed(&asset.id, &other).await.expect("ran"));
    let kept = catalog.asset(&asset.id).await.expect("ran").expect("there");
    assert_eq!(kept.failure, Some(failure()));
    assert!(catalog.reopened(&asset.id).await.expect("ran"));
    let kept = catalog.asset(&asset.id).await.expect("ran").expect("there");
    assert_eq!((kept.state, kept.failure), (AssetState::Indexing, None));
}
}

on_both! {
async fn a_taken_id_is_a_conflict(fixture: Fixture) {
    fixture.asset("a").await;
    let again = fixture.catalog.create_asset(&new_asset("a")).await;
    assert_eq!(again.expect_err("taken").kind(), ErrorKind::Conflict);
    // The change that failed left nothing open.
    fixture.asset("b").await;
}
}

on_both! {
async fn a_removed_asset_leaves_nothing_but_a_word(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let asset = fixture.asset("a").await;
    let mut receiver = catalog.subscribe();
    assert!(catalog.remove_asset(&asset.id).await.expect("ran"));
    assert!(!catalog.remove_asset(&asset.id).await.expect("ran"));
    assert_eq!(catalog.asset(&asset.id).await.expect("ran"), None);
    let events = catalog.events_after(&asset.id, 0, 10).await.expect("ran");
    assert!(events.is_empty());
    let told = told(catalog, &mut receiver).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].name, "removed");
    // Its number is not given out again.
    let mut receiver = catalog.subscribe();
    fixture.asset("b").await;
    assert!(receiver.recv().await.expect("told").sequence > told[0].sequence);
}
}

on_both! {
async fn pages_follow_each_other_while_assets_come_and_go(fixture: Fixture) {
    let catalog = &fixture.catalog;
    for name in ["a", "b", "c", "d", "e"] {
        fixture.asset(name).await;
        fixture.clock.advance(i64::from(name != "b"));
    }
    let first = catalog.assets(None, 2).await.expect("ran");
    let names = |page: &Page| -> Vec<String> {
        let ids = page.assets.iter().map(|asset| asset.id.to_string());
        ids.collect()
    };
    assert_eq!(names(&first), ["e", "d"]);
    fixture.asset("f").await;
    catalog.remove_asset(&id("d")).await.expect("ran");
    let second = catalog.assets(first.next.as_deref(), 2).await.expect("ran");
    assert_eq!(names(&second), ["c", "b"]);
    let third = catalog.assets(second.next.as_deref(), 2).await;
    let third = third.expect("ran");
    assert_eq!((names(&third), third.next), (vec!["a".into()], None));
}
}

on_both! {
async fn assets_are_counted_by_state(fixture: Fixture) {
    let counted = || async { fixture.catalog.count_by_state().await.expect("counted") };
    assert_eq!(counted().await, []);
    for name in ["one", "two", "three"] {
        fixture.asset(name).await;
    }
    let uploaded = fixture.catalog.uploaded(&id("two"), "digest", 9, None).await;
    assert!(uploaded.expect("noted"));
    let mut counts = counted().await;
    counts.sort_by_key(|(_, count)| *count);
    let expected = [(AssetState::Indexing, 1), (AssetState::Uploading, 2)];
    assert_eq!(counts, expected);
}
}

on_both! {
async fn a_cursor_that_no_page_gave_is_refused(fixture: Fixture) {
    for cursor in ["", "x", "!!", "AAAA", "MSAuLi8"] {
        let error = fixture.catalog.assets(Some(cursor), 2).await;
        assert_eq!(error.expect_err(cursor).kind(), ErrorKind::Invalid);
    }
}
}

on_both! {
async fn twins_have_the_same_source_and_policy(fixture: Fixture) {
    let catalog = &fixture.catalog;
    for name in ["a", "b", "c"] {
        let asset = fixture.asset(name).await;
        catalog.uploaded(&asset.id, "feed", 1, None).await.expect("ran");
    }
    let policy = Policy::default();
    assert_eq!(catalog.twin("feed", &policy).await.expect("ran"), None);
    catalog.planned(&id("a"), &planned(1)).await.expect("ran");
    catalog.planned(&id("b"), &planned(1)).await.expect("ran");
    let done = catalog.completed(&id("b"), &[], &[]).await;
    done.expect("ran");
    let twin = catalog.twin("feed", &policy).await.expect("ran");
    assert_eq!(twin.expect("there").id, id("b"));
    let shared = catalog.sharing_revision(&planned(1).revision).await;
    assert_eq!(shared.expect("ran"), [id("a"), id("b")]);
    let other = Policy {
        crf: 30,
        ..Policy::default()
    };
    assert_eq!(catalog.twin("feed", &other).await.expect("ran"), None);
    assert_eq!(catalog.twin("beef", &policy).await.expect("ran"), None);
}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_a_new_catalog_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..8 {
        let file = folder.path().join("catalog.sqlite");
        opening.spawn(async move {
            let catalog = Catalog::open(file, Clock::held_at(0)).await?;
            let new = new_asset(&format!("a{number}"));
            catalog.create_asset(&new).await?;
            catalog.ping().await
        });
    }
    for opened in opening.join_all().await {
        opened.expect("opened and written to");
    }
    let file = folder.path().join("catalog.sqlite");
    let catalog = open(&file, &Clock::held_at(0)).await;
    let page = catalog.assets(None, 100).await.expect("ran");
    assert_eq!(page.assets.len(), 8);
}

on_both! {
async fn what_was_written_is_there_after_opening_again(fixture: Fixture) {
    let asset = fixture.asset("a").await;
    let again = fixture.again().await;
    assert_eq!(again.asset(&asset.id).await.expect("ran"), Some(asset));
}
}

on_both! {
async fn a_change_whose_caller_went_away_is_undone(fixture: Fixture) {
    let mut change = fixture.catalog.change().await.expect("begun");
    change.next("event").await.expect("counted");
    drop(change);
    let mut change = fixture.catalog.change().await.expect("begun");
    assert_eq!(change.next("event").await.expect("counted"), 1);
}
}

#[tokio::test]
async fn a_file_that_is_no_catalog_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "shopping list, ".repeat(200)).expect("written");
    let error = Catalog::open(&file, Clock::held_at(0)).await;
    assert_eq!(error.expect_err("no catalog").kind(), ErrorKind::DataLoss);
    for place in ["postgres://[nowhere/db", "sqlite::memory:", "sqlite:"] {
        let error = Catalog::open(place, Clock::held_at(0)).await;
        let kind = error.expect_err(place).kind();
        assert!(matches!(kind, ErrorKind::Unsupported | ErrorKind::Invalid));
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closed_all_connections_is_used_again() {
    let Some(fixture) = Fixture::on_server().await else {
        return;
    };
    let catalog = &fixture.catalog;
    fixture.asset("a").await;
    let mut receiver = catalog.subscribe();
    server::close_connections(&fixture.place).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(catalog.asset(&id("a")).await.expect("read").is_some());
    let new = new_asset("b");
    catalog.create_asset(&new).await.expect("written");
    // Also who listens is told, whether it was there again in time or not.
    let told = told(catalog, &mut receiver).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].asset, id("b"));
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_amid_a_change_holds_the_others_up_for_seconds_only() {
    let Some(fixture) = Fixture::on_server().await else {
        return;
    };
    let stopped = fixture.again().await;
    let mut change = stopped.change().await.expect("begun");
    change.next("event").await.expect("counted");
    let began = std::time::Instant::now();
    fixture.asset("a").await;
    assert!(began.elapsed() < Duration::from_secs(8));
    // What it had begun is undone, and it is told so when it goes on.
    let error = change.commit().await.expect_err("rolled back");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

on_both! {
async fn one_machine_at_a_time_posts_to_a_webhook(fixture: Fixture) {
    let (catalog, clock) = (&fixture.catalog, &fixture.clock);
    let new = NewWebhook { url: "https://example.com/".to_owned(), topics: Vec::new() };
    catalog.create_webhook(&new).await.expect("created");
    fixture.asset("a").await;
    let mut events = catalog.untold_events(1).await.expect("ran");
    let event = events.remove(0);
    let message = Some((Topic::Ready, "{}"));
    catalog.tell_webhooks(&event, message).await.expect("written");
    let other = fixture.again().await;
    let due = async |catalog: &Catalog| catalog.due_deliveries().await.expect("ran").pop();
    let (delivery, _) = due(&other).await.expect("due");
    let until = clock.now_millis() + 30_000;
    assert!(catalog.begin_delivery(&delivery, until).await.expect("ran"));
    let is_turn = other.begin_delivery(&delivery, until).await.expect("ran");
    assert_eq!(is_turn, !catalog.is_shared(), "on one machine nobody else posts");
    assert_eq!(due(&other).await.is_none(), catalog.is_shared());

    let miss = Miss { status: Some(500), error: "away".to_owned() };
    let again = Sent::Again(miss, clock.now_millis());
    catalog.end_delivery(&delivery, &again).await.expect("noted");
    let (second, _) = due(&other).await.expect("due again");
    let is_turn = other.begin_delivery(&delivery, until).await.expect("ran");
    assert_eq!(is_turn, !catalog.is_shared(), "that attempt was made");
    assert!(other.begin_delivery(&second, until).await.expect("ran"));
    // Whoever had the turn has stopped.
    clock.advance(30_001);
    assert!(due(catalog).await.is_some());
}
}
