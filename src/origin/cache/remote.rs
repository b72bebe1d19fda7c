//! Objects of a store that is no directory: one read brings metadata and, for nearly all, every
//! byte.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::block::{Assembler, BLOCK, BlockLanding, Blocks, block_range};
use super::counters::add;
use super::disk::Writing;
use super::flight::Failure;
use super::look_up::{Fill, Inner, places};
use super::object::{Content, Found, Object, is_held};
use super::shelved;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Key;
use crate::store::{Ask, Digest, Fetched, Opened};

/// The first read asks for that many bytes; what is no longer comes whole.
pub(super) const FIRST_READ: u64 = 8 << 20;
/// How long an object whose check failed is not checked again, in milliseconds.
const CHECK_PAUSE: i64 = 30_000;

/// What the store says of an object.
enum Answer<'a> {
    Absent,
    /// The stale one is still the one.
    Confirmed(Arc<Object>),
    /// A new one, all of it.
    Whole(Arc<Object>),
    /// A new one whose bytes are still to come.
    Begun(Arc<Object>, Fetched, SemaphorePermit<'a>),
}

/// Fetches the object `fill` is about, for all who wait for it.
pub(super) async fn fill(inner: Arc<Inner>, fill: Fill, stale: Option<Arc<Object>>) {
    let blocks = Arc::clone(&inner.blocks);
    let fill = match shelved::answer(&inner, fill).await {
        Ok(()) => return,
        Err(fill) => fill,
    };
    let removals = inner.disk.as_ref().map_or(0, |disk| disk.removals());
    let answer = ask(&blocks, &fill, stale.as_ref());
    let answer = blocks.in_time(&fill.path, answer).await;
    let path = Arc::clone(&fill.path);
    match answer {
        Err(e) => inner.settle(fill, Err(Failure::of(&e))),
        Ok(Answer::Absent) => inner.settle(fill, Ok(None)),
        Ok(Answer::Confirmed(object)) => inner.settle(fill, Ok(Some(object))),
        Ok(Answer::Whole(object)) => {
            inner.settle(fill, Ok(Some(Arc::clone(&object))));
            let writing = shelved::writing(&inner, &path, &object);
            if let (Some(mut writing), Content::Held(bytes, _)) = (writing, &object.content) {
                writing.add(std::slice::from_ref(bytes));
                shelved::shelve(&inner, &object, writing, removals).await;
            }
        }
        Ok(Answer::Begun(object, fetched, leave)) => {
            // Before the object is known: who knows it finds its blocks coming.
            let promised = promises(&blocks, &object, &fetched);
            inner.settle(fill, Ok(Some(Arc::clone(&object))));
            let mut writing = shelved::writing(&inner, &path, &object);
            stream(&blocks, &object, fetched, promised, writing.as_mut()).await;
            // Others may read the store while this one is written.
            drop(leave);
            if let Some(writing) = writing {
                shelved::shelve(&inner, &object, writing, removals).await;
            }
        }
    }
}

async fn ask<'a>(
    blocks: &'a Arc<Blocks>,
    fill: &Fill,
    stale: Option<&Arc<Object>>,
) -> Result<Answer<'a>> {
    let leave = blocks.leave().await?;
    for location in places(&fill.path) {
        let known = stale.filter(|stale| stale.location == location);
        let ask = Ask {
            range: Some(0..FIRST_READ),
            if_match: None,
            if_none_match: known.and_then(|known| known.version.as_deref()),
        };
        match (blocks.open(location, ask).await?, known) {
            (Opened::Absent, _) => {}
            (Opened::NotModified, Some(known)) => {
                return Ok(Answer::Confirmed(Arc::clone(known)));
            }
            (Opened::NotModified, None) => {
                let message = format!("{location}: the store answers what was not asked");
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            (Opened::Found(fetched), _) => {
                return found(blocks, &fill.key, location, fetched, leave).await;
            }
        }
    }
    Ok(Answer::Absent)
}

async fn found<'a>(
    blocks: &'a Arc<Blocks>,
    key: &Key,
    location: &str,
    mut fetched: Fetched,
    leave: SemaphorePermit<'a>,
) -> Result<Answer<'a>> {
    let held = match is_held(key, fetched.length) {
        true => Some(read_whole(blocks, &mut fetched).await?),
        false => None,
    };
    let etag = match (fetched.etag.take(), &held) {
        (Some(etag), _) => etag,
        (None, Some(bytes)) => {
            let mut digest = Digest::default();
            digest.update(bytes);
            digest.etag()
        }
        (None, None) => blocks.store.digest(location).await?,
    };
    let is_whole = held.is_some();
    let content = match held {
        Some(bytes) => Content::Held(bytes, None),
        None => Content::Blocks {
            id: number_of(location, &etag, fetched.length),
            blocks: Arc::clone(blocks),
            file: OnceLock::new(),
        },
    };
    let object = Object::new(Found {
        key: key.clone(),
        length: fetched.length,
        etag,
        modified: fetched.modified,
        location: location.to_owned(),
        version: fetched.version.clone(),
        content,
    });
    Ok(match is_whole {
        true => Answer::Whole(object),
        false => Answer::Begun(object, fetched, leave),
    })
}

async fn read_whole(blocks: &Blocks, fetched: &mut Fetched) -> Result<Bytes> {
    let room = usize::try_from(fetched.length).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    while let Some(portion) = blocks.portion(fetched).await? {
        bytes.extend_from_slice(&portion);
    }
    Ok(bytes.into())
}

/// The same version of an object has the same number, now and after a restart.
pub(super) fn number_of(location: &str, etag: &str, length: u64) -> u128 {
    let mut hash = blake3::Hasher::new();
    for part in [location.as_bytes(), b"\0", etag.as_bytes()] {
        hash.update(part);
    }
    hash.update(&length.to_le_bytes());
    let mut number = [0; 16];
    hash.finalize_xof().fill(&mut number);
    u128::from_le_bytes(number)
}

/// The blocks that the first read brings, and who waits for each.
fn promises(
    blocks: &Blocks,
    object: &Object,
    fetched: &Fetched,
) -> Vec<(u64, Option<BlockLanding>)> {
    let Content::Blocks { id, .. } = &object.content else {
        return Vec::new();
    };
    let mut promised = Vec::new();
    for number in 0..fetched.range.end.div_ceil(BLOCK) {
        // A block cut by the end of the read isn't one.
        if block_range(number, object.length).end <= fetched.range.end {
            promised.push((number, blocks.promise((*id, number))));
        }
    }
    promised
}

/// Keeps the promises, in order, with what comes, which is given to `writing` too.
async fn stream(
    blocks: &Blocks,
    object: &Object,
    mut fetched: Fetched,
    promised: Vec<(u64, Option<BlockLanding>)>,
    mut writing: Option<&mut Writing>,
) {
    let Content::Blocks { id, .. } = &object.content else {
        return;
    };
    let mut promised = promised.into_iter();
    let mut portion = Bytes::new();
    let failure = loop {
        let Some((number, landing)) = promised.next() else {
            return;
        };
        let mut assembler = Assembler::new(&block_range(number, object.length));
        let assembled = assemble(blocks, &mut assembler, &mut fetched, &mut portion).await;
        let outcome = assembled.map(Arc::new).map_err(|e| Failure::of(&e));
        if let (Ok(block), Some(writing)) = (&outcome, writing.as_deref_mut()) {
            writing.add(&block.pieces);
        }
        let failure = outcome.as_ref().err().cloned();
        if let Some(landing) = landing {
            blocks.deliver((*id, number), landing, outcome);
        }
        if let Some(failure) = failure {
            break failure;
        }
    };
    for (number, landing) in promised {
        if let Some(landing) = landing {
            blocks.deliver((*id, number), landing, Err(failure.clone()));
        }
    }
}

async fn assemble(
    blocks: &Blocks,
    assembler: &mut Assembler,
    fetched: &mut Fetched,
    portion: &mut Bytes,
) -> Result<super::block::Block> {
    loop {
        if let Some(block) = assembler.take(portion) {
            return Ok(block);
        }
        *portion = blocks.portion(fetched).await?.ok_or_else(|| {
            let message = "the store's answer is shorter than the object";
            Error::new(ErrorKind::DataLoss, message)
        })?;
    }
}

/// Sees, behind the back of those who are served it, whether an object is still there. At most one
/// check at a time, and none for a while after one that failed.
pub(super) fn recheck(inner: &Arc<Inner>, path: &str, object: &Arc<Object>, now: i64) {
    let until = object.trusted_until.load(Ordering::Relaxed);
    let pause = now + CHECK_PAUSE;
    let is_ours = object
        .trusted_until
        .compare_exchange(until, pause, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok();
    if !is_ours {
        return;
    }
    let (inner, object, path) = (
        Arc::clone(inner),
        Arc::clone(object),
        Arc::<str>::from(path),
    );
    let blocks = Arc::clone(&inner.blocks);
    blocks.background.clone().spawn(async move {
        let check = async {
            let _leave = blocks.leave().await?;
            let version = object.version.as_deref();
            blocks.store.is_current(&object.location, version).await
        };
        match blocks.in_time(&path, check).await {
            Ok(true) => {
                inner.confirm(&object);
                shelved::confirm(&inner, object);
            }
            Ok(false) => {
                inner.drop_object(&path, &object);
                shelved::forget(&inner, object);
            }
            Err(_) => add(&blocks.counters.stale, 1),
        }
    });
}
