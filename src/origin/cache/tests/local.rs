//! A store that is a directory.

use super::*;
use crate::origin::cache::Coding;
use crate::store::Sidecar;

fn directory() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().to_str().unwrap()).unwrap();
    (directory, store)
}

#[tokio::test]
async fn a_segment_is_an_open_file_with_the_noted_tag_and_is_opened_once() {
    let (_directory, store) = directory();
    create(&store, &segment(1), "moofmdat").await;
    let (cache, _) = cache(&store, Options::default());
    for _ in 0..3 {
        let object = get(&cache, &segment(1)).await.unwrap();
        assert_eq!(object.length, 8);
        let noted = Sidecar::of(&segment(1), &[Bytes::from_static(b"moofmdat")]);
        assert_eq!(object.etag, noted.etag);
        assert!(matches!(object.body(0..8), Body::File { .. }));
        assert_eq!(read(&object, 4..100).await, b"mdat");
        assert!(matches!(object.body(8..9), Body::Empty));
        assert!(object.encoded(Coding::Gzip).is_none());
    }
    assert_eq!(count(&cache.counters().store_reads), 1);
    assert_eq!(count(&cache.counters().hits), 2);
    assert!(cache.is_ready().await.is_ok());
}

#[tokio::test]
async fn a_lost_sidecar_changes_no_tag() {
    let (directory, store) = directory();
    create(&store, &segment(1), "moofmdat").await;
    let (first, _) = cache(&store, Options::default());
    let noted = get(&first, &segment(1)).await.unwrap();
    std::fs::remove_dir_all(directory.path().join("v/cats/.meta")).unwrap();
    let (second, _) = cache(&store, Options::default());
    let hashed = get(&second, &segment(1)).await.unwrap();
    assert_eq!(hashed.etag, noted.etag);
    assert!(noted.modified > 0);
}

#[tokio::test]
async fn an_asset_may_lie_at_the_top_until_one_lies_where_it_is_named() {
    let (directory, store) = directory();
    std::fs::create_dir(directory.path().join("cats")).unwrap();
    std::fs::write(directory.path().join("cats/index.m3u8"), "top").unwrap();
    let (cache, _) = cache(&store, Options::default());
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"top");
    create(&store, &Key::EntryHls, "named").await;
    assert_eq!(whole(&cache, &Key::EntryHls).await, b"named");
}

#[tokio::test]
async fn a_replaced_entry_point_is_seen_at_once_whoever_replaced_it() {
    let (directory, store) = directory();
    replace(&store, &Key::EntryHls, "one").await;
    let (cache, _) = cache(&store, Options::default());
    let one = get(&cache, &Key::EntryHls).await.unwrap();
    replace(&store, &Key::EntryHls, "two").await;
    let two = get(&cache, &Key::EntryHls).await.unwrap();
    assert_eq!(read(&two, 0..3).await, b"two");
    assert_ne!(one.etag, two.etag);
    let entry = directory.path().join("v/cats/index.m3u8");
    std::fs::write(entry.with_extension("new"), "three").unwrap();
    std::fs::rename(entry.with_extension("new"), &entry).unwrap();
    let three = get(&cache, &Key::EntryHls).await.unwrap();
    assert_eq!(read(&three, 0..5).await, b"three");
    let digest = Sidecar::of(&Key::EntryHls, &[Bytes::from_static(b"three")]);
    assert_eq!(three.etag, digest.etag);
    let again = get(&cache, &Key::EntryHls).await.unwrap();
    assert!(Arc::ptr_eq(&again, &three));
}

#[tokio::test]
async fn what_this_process_removes_is_gone_at_once_and_what_another_does_within_a_minute() {
    let (directory, store) = directory();
    for number in 1..=3 {
        create(&store, &segment(number), "x").await;
    }
    let (cache, clock) = cache(&store, Options::default());
    for number in 1..=3 {
        get(&cache, &segment(number)).await.unwrap();
    }
    cats(&store).remove(&segment(1)).await.unwrap();
    assert!(get(&cache, &segment(1)).await.is_none());
    std::fs::remove_file(directory.path().join(path(&segment(2)))).unwrap();
    assert!(get(&cache, &segment(2)).await.is_some());
    clock.advance(60_000);
    assert!(get(&cache, &segment(2)).await.is_none());
    assert!(get(&cache, &segment(3)).await.is_some());
    store.remove_folder("v/cats").await.unwrap();
    assert!(get(&cache, &segment(3)).await.is_none());
}

#[tokio::test]
async fn absence_is_remembered_until_it_is_created_here_or_for_a_second() {
    let (directory, store) = directory();
    let (cache, clock) = cache(&store, Options::default());
    for _ in 0..3 {
        assert!(get(&cache, &segment(1)).await.is_none());
    }
    assert_eq!(count(&cache.counters().store_reads), 1);
    create(&store, &segment(1), "x").await;
    assert!(get(&cache, &segment(1)).await.is_some());
    assert!(get(&cache, &segment(2)).await.is_none());
    let other = directory.path().join(path(&segment(2)));
    std::fs::write(&other, "y").unwrap();
    assert!(get(&cache, &segment(2)).await.is_none());
    clock.advance(1000);
    assert!(get(&cache, &segment(2)).await.is_some());
    assert!(get(&cache, &segment(3)).await.is_none());
    std::fs::write(other.with_file_name("3.m4s"), "z").unwrap();
    cache.forget_absence(&path(&segment(3)));
    assert!(get(&cache, &segment(3)).await.is_some());
}

#[tokio::test]
async fn creating_one_object_leaves_the_others_held() {
    let (_directory, store) = directory();
    create(&store, &segment(1), "x").await;
    let (cache, _) = cache(&store, Options::default());
    let before = get(&cache, &segment(1)).await.unwrap();
    create(&store, &segment(2), "y").await;
    let after = get(&cache, &segment(1)).await.unwrap();
    assert!(Arc::ptr_eq(&before, &after));
}

#[tokio::test]
async fn a_thousand_at_once_open_a_file_once() {
    let (_directory, store) = directory();
    create(&store, &segment(1), "x").await;
    let (cache, _) = cache(&store, Options::default());
    let key = segment(1);
    let name = path(&key);
    let all = (0..1000).map(|_| cache.object(&name, &key));
    for object in futures_util::future::join_all(all).await {
        assert!(object.unwrap().is_some());
    }
    assert_eq!(count(&cache.counters().store_reads), 1);
}

#[tokio::test]
async fn a_text_is_encoded_once_and_only_if_that_is_smaller() {
    let (_directory, store) = directory();
    let long: String = (1..200)
        .map(|n| format!("#EXTINF:4.000,\n{n}.m4s\n"))
        .collect();
    create(&store, &playlist(), long.clone()).await;
    create(&store, &Key::EntryHls, "#EXTM3U\n").await;
    let (cache, _) = cache(&store, Options::default());
    let text = get(&cache, &playlist()).await.unwrap();
    assert!(matches!(text.body(0..text.length), Body::Bytes(_)));
    let inner = text.etag.trim_matches('"').to_owned();
    let gzip = text.encoded(Coding::Gzip).unwrap();
    assert_eq!(gzip.etag, format!("\"{inner}-gz\""));
    let mut plain = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&gzip.bytes[..]);
    std::io::Read::read_to_string(&mut decoder, &mut plain).unwrap();
    assert_eq!(plain, long);
    let brotli = text.encoded(Coding::Brotli).unwrap();
    assert_eq!(brotli.etag, format!("\"{inner}-br\""));
    let mut plain = Vec::new();
    brotli::BrotliDecompress(&mut &brotli.bytes[..], &mut plain).unwrap();
    assert_eq!(plain, long.as_bytes());
    assert!(std::ptr::eq(brotli, text.encoded(Coding::Brotli).unwrap()));
    let short = get(&cache, &Key::EntryHls).await.unwrap();
    assert!(short.encoded(Coding::Gzip).is_none());
}

#[tokio::test]
async fn an_empty_object_has_no_body_and_no_name_leads_out_of_the_store() {
    let (directory, store) = directory();
    create(&store, &segment(1), "").await;
    let (cache, _) = cache(&store, Options::default());
    let empty = get(&cache, &segment(1)).await.unwrap();
    assert_eq!(empty.length, 0);
    assert!(matches!(empty.body(0..0), Body::Empty));
    let outside = directory.path().file_name().unwrap().to_str().unwrap();
    for name in ["../", "v/../", "/", "v//", "", "\0"] {
        let name = format!("{name}{outside}/{}", path(&segment(1)));
        let found = cache.object(&name, &segment(1)).await.unwrap();
        assert!(found.is_none(), "{name:?}");
    }
}

#[tokio::test]
async fn files_beyond_the_bound_are_closed_and_opened_again() {
    let (_directory, store) = directory();
    let options = Options {
        open_files: 2,
        ..Options::default()
    };
    let (cache, _) = cache(&store, options);
    for number in 1..=20 {
        create(&store, &segment(number), number.to_string()).await;
        assert_eq!(
            whole(&cache, &segment(number)).await,
            number.to_string().as_bytes()
        );
    }
    cache.inner.objects.run_pending_tasks();
    assert!(cache.inner.objects.entry_count() <= 2);
    assert_eq!(whole(&cache, &segment(1)).await, b"1");
}
