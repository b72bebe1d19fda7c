//! A store that is no directory, and one that fails.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;

#[tokio::test]
async fn a_thousand_who_ask_at_once_cost_one_read() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), long(3_000_000)).await;
    let (cache, _) = cache(&store, Options::default());
    faults.delay_millis.store(20, SeqCst);
    let ask = || async { whole(&cache, &segment(1)).await.len() };
    let asked = futures_util::future::join_all((0..1000).map(|_| ask())).await;
    assert!(asked.iter().all(|length| *length == 3_000_000));
    assert_eq!(faults.reads(), 1);
    assert_eq!(count(&cache.counters().coalesced), 999);
}

#[tokio::test]
async fn who_asked_first_may_go_away() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), "segment").await;
    let (cache, _) = cache(&store, Options::default());
    faults.delay_millis.store(20, SeqCst);
    let key = segment(1);
    let first = tokio::time::timeout(Duration::from_millis(1), get(&cache, &key));
    assert!(first.await.is_err());
    assert_eq!(whole(&cache, &segment(1)).await, b"segment");
    assert_eq!(faults.reads(), 1);
}

#[tokio::test]
async fn scattered_ranges_of_a_long_object_are_read_in_blocks() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let bytes = long(64 << 20);
    create(&store, &segment(1), bytes.clone()).await;
    let (cache, _) = cache(&store, Options::default());
    let object = get(&cache, &segment(1)).await.unwrap();
    for number in 0..100_usize {
        let start = number * 7919 * 83 % bytes.len();
        let end = bytes.len().min(start + 1000);
        let part = read(&object, start as u64..end as u64).await;
        assert!(part == bytes[start..end]);
    }
    assert!(faults.reads() <= 64, "{}", faults.reads());
}

#[tokio::test]
async fn without_its_store_what_is_held_is_served_and_the_rest_unavailable() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), "segment").await;
    create(&store, &Key::EntryHls, "#EXTM3U").await;
    let (cache, clock) = cache(&store, Options::default());
    for key in [segment(1), Key::EntryHls] {
        get(&cache, &key).await.unwrap();
    }
    faults.is_down.store(true, SeqCst);
    clock.advance(3_600_000);
    assert_eq!(whole(&cache, &segment(1)).await, b"segment");
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"#EXTM3U");
    let missing = cache.object(&path(&segment(2)), &segment(2)).await;
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(cache.is_ready().await.is_err());
    clock.advance(86_400_000);
    let old = cache.object(&path(&Key::EntryHls), &Key::EntryHls).await;
    assert_eq!(old.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let options = Options {
        store_timeout: Duration::from_millis(20),
        ..Options::default()
    };
    let (cache, _) = cache(&store, options);
    faults.hangs.store(true, SeqCst);
    let hung = cache.object(&path(&segment(1)), &segment(1)).await;
    assert_eq!(hung.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(cache.is_ready().await.is_err());
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_second() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), "segment").await;
    let (cache, clock) = cache(&store, Options::default());
    faults.is_down.store(true, SeqCst);
    for _ in 0..100 {
        assert!(cache.object(&path(&segment(1)), &segment(1)).await.is_err());
    }
    assert_eq!(faults.reads(), 1);
    faults.is_down.store(false, SeqCst);
    clock.advance(1300);
    assert_eq!(whole(&cache, &segment(1)).await, b"segment");
}

#[tokio::test]
async fn what_this_process_changes_is_seen_at_once() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let (cache, _) = cache(&store, Options::default());
    assert!(get(&cache, &segment(1)).await.is_none());
    assert!(get(&cache, &segment(1)).await.is_none());
    // Once at each place where it might lie.
    assert_eq!(faults.reads(), 2);
    create(&store, &segment(1), "segment").await;
    create(&store, &Key::EntryHls, "one").await;
    assert_eq!(whole(&cache, &segment(1)).await, b"segment");
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"one");
    replace(&store, &Key::EntryHls, "two").await;
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"two");
    store.remove_folder("v/cats").await.unwrap();
    for key in [segment(1), Key::EntryHls] {
        assert!(get(&cache, &key).await.is_none());
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error_and_never_an_end() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), long(3_000_000)).await;
    let (cache, _) = cache(&store, Options::default());
    faults.short_after.store(1_500_000, SeqCst);
    let object = get(&cache, &segment(1)).await.unwrap();
    let Body::Pieces(mut pieces) = object.body(0..object.length) else {
        panic!("it is in blocks")
    };
    let mut taken = 0;
    let failed = loop {
        match pieces.next().await {
            Ok(Some(piece)) => taken += piece.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(failed && taken < 3_000_000, "{taken}");
}

#[tokio::test]
async fn a_slow_reader_keeps_nothing_and_reads_lost_blocks_again() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    let bytes = long(4 << 20);
    create(&store, &segment(1), bytes.clone()).await;
    let options = Options {
        // For texts an eighth; less than two blocks.
        memory_bytes: 2 << 20,
        ..Options::default()
    };
    let (cache, _) = cache(&store, options);
    assert!(whole(&cache, &segment(1)).await == bytes);
    assert!(whole(&cache, &segment(1)).await == bytes);
    assert!(faults.reads() > 2, "{}", faults.reads());
}

#[tokio::test]
async fn who_sends_a_piece_slowly_holds_that_piece_only() {
    let (store, _) = Store::with_faults(&Store::in_memory());
    for number in 1..=2 {
        create(&store, &segment(number), long(2 << 20)).await;
    }
    let options = Options {
        memory_bytes: 2 << 20,
        ..Options::default()
    };
    let (cache, _) = cache(&store, options);
    let object = get(&cache, &segment(1)).await.unwrap();
    let Body::Pieces(mut pieces) = object.body(5..object.length) else {
        panic!("it is in blocks")
    };
    let piece = pieces.next().await.unwrap().unwrap();
    whole(&cache, &segment(2)).await;
    assert_eq!(piece.len(), (128 << 10) - 5);
    assert!(piece.is_unique(), "its block is still held");
    assert_eq!(pieces.remaining(), (2 << 20) - (128 << 10));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    create(&store, &segment(1), long(3_000_000)).await;
    let options = Options {
        store_timeout: Duration::from_millis(20),
        ..Options::default()
    };
    let (cache, _) = cache(&store, options);
    faults.body_hangs.store(true, SeqCst);
    let object = get(&cache, &segment(1)).await.unwrap();
    let Body::Pieces(mut pieces) = object.body(0..object.length) else {
        panic!("it is in blocks")
    };
    let error = pieces.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(pieces.next().await.is_err());
    assert_eq!(faults.reads(), 1);
}

#[tokio::test]
async fn an_entry_point_is_asked_for_each_second_and_read_only_when_it_is_another() {
    let inner = Store::in_memory();
    let (store, faults) = Store::with_faults(&inner);
    replace(&store, &Key::EntryHls, "one").await;
    let (cache, clock) = cache(&store, Options::default());
    let one = get(&cache, &Key::EntryHls).await.unwrap();
    clock.advance(999);
    get(&cache, &Key::EntryHls).await.unwrap();
    assert_eq!(faults.reads(), 1);
    clock.advance(1);
    let (key, name) = (Key::EntryHls, path(&Key::EntryHls));
    let all = (0..100).map(|_| cache.object(&name, &key));
    for same in futures_util::future::join_all(all).await {
        assert!(Arc::ptr_eq(&same.unwrap().unwrap(), &one));
    }
    assert_eq!((faults.reads(), count(&faults.bytes)), (2, 3));
    // As if by another process.
    replace(&inner, &Key::EntryHls, "two").await;
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"one");
    clock.advance(1000);
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"two");
}

#[tokio::test]
async fn what_another_process_removed_is_noticed_when_it_is_no_longer_trusted() {
    let inner = Store::in_memory();
    let (store, faults) = Store::with_faults(&inner);
    for number in 1..=2 {
        create(&store, &segment(number), "segment").await;
    }
    let (cache, clock) = cache(&store, Options::default());
    for number in 1..=2 {
        get(&cache, &segment(number)).await.unwrap();
    }
    cats(&inner).remove(&segment(1)).await.unwrap();
    clock.advance(600_000);
    // Who comes first is not kept waiting.
    for number in 1..=2 {
        assert!(get(&cache, &segment(number)).await.is_some());
    }
    until(|| cache.ready(&path(&segment(1))).is_none()).await;
    assert!(get(&cache, &segment(1)).await.is_none());
    assert!(get(&cache, &segment(2)).await.is_some());
    assert_eq!(count(&faults.heads), 2);
}

#[tokio::test]
async fn what_is_fetched_while_it_is_replaced_is_not_kept() {
    let (store, faults) = Store::with_faults(&Store::in_memory());
    replace(&store, &Key::EntryHls, "one").await;
    let (cache, _) = cache(&store, Options::default());
    faults.delay_millis.store(20, SeqCst);
    let (key, name) = (Key::EntryHls, path(&Key::EntryHls));
    let early = cache.object(&name, &key);
    let change = async {
        until(|| faults.reads() == 1).await;
        replace(&store, &Key::EntryHls, "two").await;
        whole(&cache, &Key::EntryHls).await
    };
    let (early, late) = futures_util::future::join(early, change).await;
    assert!(early.unwrap().is_some());
    assert_eq!(late, b"two");
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"two");
    assert_eq!(faults.reads(), 2);
}
