//! The memory tier: aligned blocks of objects of a store that is no directory.
//!
//! A block is kept as pieces that are allocations of their own, so that whoever sends one slowly
//! holds that piece and not its block.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Memory;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::counters::{Counters, add};
use super::flight::{Arrival, Failure, Flights, Joined, Landing, Outcome};
use super::object::Object;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Ask, Fetched, Opened, Store, is_strong_tag};

/// Bytes of a block, the unit of what is read and kept.
pub(super) const BLOCK: u64 = 1 << 20;
/// Most bytes of a piece, the unit of what is sent.
pub(super) const PIECE: u64 = 128 << 10;
/// How long a block that can't be had is not asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// Which block: the object's number, and the block's within it.
pub(super) type BlockKey = (u128, u64);
pub(super) type BlockLanding = Landing<BlockKey, Arc<Block>>;

/// A block's bytes.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) pieces: Vec<Bytes>,
}

impl Block {
    /// The piece that has byte `at` of the block, from there on.
    pub(super) fn from(&self, at: u64) -> Option<Bytes> {
        let piece = self.pieces.get(usize::try_from(at / PIECE).ok()?)?;
        let at = usize::try_from(at % PIECE).ok()?;
        (at < piece.len()).then(|| piece.slice(at..))
    }

    fn length(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

/// The store's blocks, and the rules by which the store is read.
pub(super) struct Blocks {
    pub(super) store: Store,
    pub(super) background: Handle,
    pub(super) counters: Counters,
    /// How long the store may take for an answer, and between two portions of a body.
    pub(super) patience: Duration,
    reads: Semaphore,
    memory: Memory<BlockKey, Arc<Block>>,
    flights: Arc<Flights<BlockKey, Arc<Block>>>,
    failed: Memory<BlockKey, Failure>,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blocks")
    }
}

impl Blocks {
    /// Blocks of `store`, of which up to `bytes` bytes are kept, read by tasks on `background`, at
    /// most `reads` at a time.
    pub(super) fn new(
        store: Store,
        background: Handle,
        bytes: u64,
        reads: usize,
        patience: Duration,
    ) -> Arc<Self> {
        // The newest must stay whatever the others' merits: its readers come for it piece by piece.
        let memory = Memory::builder()
            .max_capacity(bytes)
            .weigher(|_: &BlockKey, block: &Arc<Block>| {
                u32::try_from(block.length() + 256).unwrap_or(u32::MAX)
            })
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let failed = Memory::builder()
            .max_capacity(4096)
            .time_to_live(PAUSE)
            .build();
        Arc::new(Self {
            store,
            background,
            counters: Counters::default(),
            patience,
            reads: Semaphore::new(reads.clamp(1, Semaphore::MAX_PERMITS)),
            memory,
            flights: Flights::new(),
            failed,
        })
    }

    /// Leave to read the store; given back when it is dropped.
    pub(super) async fn leave(&self) -> Result<SemaphorePermit<'_>> {
        let leave = self.reads.acquire().await;
        leave.map_err(|_| Error::internal("no more reads of the store are allowed"))
    }

    /// What `work` brings, if that is within the store's time.
    pub(super) async fn in_time<T>(
        &self,
        path: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let outcome = match tokio::time::timeout(self.patience, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(too_slow(path)),
        };
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.store_time.observe(micros);
        if outcome.is_err() {
            add(&self.counters.store_errors, 1);
        }
        outcome
    }

    /// One read of the store, counted; the caller has leave.
    pub(super) async fn open(&self, path: &str, ask: Ask<'_>) -> Result<Opened> {
        add(&self.counters.store_reads, 1);
        self.store.open_object(path, ask).await
    }

    /// Takes on the block `key` for someone who has its bytes coming. `None` if it is here, or
    /// somebody else has it coming.
    pub(super) fn promise(&self, key: BlockKey) -> Option<BlockLanding> {
        match self.flights.join(&key, || self.memory.get(&key)) {
            Joined::Leading(landing, _) => Some(landing),
            _ => None,
        }
    }

    /// Keeps a promise.
    pub(super) fn deliver(
        &self,
        key: BlockKey,
        landing: BlockLanding,
        outcome: Outcome<Arc<Block>>,
    ) {
        landing.complete(outcome, |outcome| match outcome {
            Ok(block) => {
                self.memory.insert(key, Arc::clone(block));
                // By itself it makes room only after many of them.
                self.memory.run_pending_tasks();
            }
            Err(failure) => self.failed.insert(key, failure.clone()),
        });
    }

    /// The block `number` of `object`, from memory or from the store.
    pub(super) async fn block(
        self: &Arc<Self>,
        object: &Arc<Object>,
        key: BlockKey,
    ) -> Result<Arc<Block>> {
        if let Some(block) = self.memory.get(&key) {
            return Ok(block);
        }
        match self.begin(object, key) {
            Ok(Passage::Here(block)) => Ok(block),
            Ok(Passage::Coming(arrival)) => {
                arrival.outcome().await.map_err(|failure| failure.error())
            }
            Err(failure) => Err(failure.error()),
        }
    }

    /// Sees to it that the block comes, for someone who will need it soon.
    pub(super) fn expect(self: &Arc<Self>, object: &Arc<Object>, key: BlockKey) {
        if !self.memory.contains_key(&key) {
            let _ = self.begin(object, key);
        }
    }

    fn begin(self: &Arc<Self>, object: &Arc<Object>, key: BlockKey) -> Outcome<Passage> {
        if let Some(failure) = self.failed.get(&key) {
            return Err(failure);
        }
        Ok(match self.flights.join(&key, || self.memory.get(&key)) {
            Joined::Found(block) => Passage::Here(block),
            Joined::Waiting(arrival) => Passage::Coming(arrival),
            Joined::Leading(landing, arrival) => {
                let (blocks, object) = (Arc::clone(self), Arc::clone(object));
                self.background.spawn(async move {
                    let read = blocks.read(&object, key.1).await;
                    let outcome = read.map(Arc::new).map_err(|e| Failure::of(&e));
                    blocks.deliver(key, landing, outcome);
                });
                Passage::Coming(arrival)
            }
        })
    }

    /// Reads one block from the store.
    async fn read(&self, object: &Object, number: u64) -> Result<Block> {
        let range = block_range(number, object.length);
        let path = object.location.as_str();
        let (_leave, mut fetched) = self
            .in_time(path, async {
                let leave = self.leave().await?;
                let ask = Ask {
                    range: Some(range.clone()),
                    if_match: object.version.as_deref().filter(|tag| is_strong_tag(tag)),
                    if_none_match: None,
                };
                match self.open(path, ask).await? {
                    Opened::Found(fetched) if is_same(object, &fetched) => Ok((leave, fetched)),
                    _ => Err(replaced(path)),
                }
            })
            .await?;
        let mut assembler = Assembler::new(&range);
        while let Some(mut bytes) = self.portion(&mut fetched).await? {
            if let Some(block) = assembler.take(&mut bytes) {
                return Ok(block);
            }
        }
        Err(Error::new(
            ErrorKind::DataLoss,
            format!("{path}: the store's answer ends early"),
        ))
    }

    /// The next portion of a body, in the store's time.
    pub(super) async fn portion(&self, fetched: &mut Fetched) -> Result<Option<Bytes>> {
        let portion = match tokio::time::timeout(self.patience, fetched.next()).await {
            Ok(portion) => portion,
            Err(_) => Err(too_slow("an object's body")),
        };
        match &portion {
            Ok(Some(bytes)) => add(&self.counters.store_bytes, bytes.len() as u64),
            Ok(None) => {}
            Err(_) => add(&self.counters.store_errors, 1),
        }
        portion
    }
}

/// Where a block that was asked for is.
enum Passage {
    Here(Arc<Block>),
    Coming(Arrival<Arc<Block>>),
}

fn too_slow(path: &str) -> Error {
    let message = format!("{path}: the store does not answer in time");
    Error::new(ErrorKind::Unavailable, message)
}

fn replaced(path: &str) -> Error {
    let message = format!("{path} was replaced or removed while it was read");
    Error::new(ErrorKind::Conflict, message)
}

fn is_same(object: &Object, fetched: &Fetched) -> bool {
    fetched.length == object.length && fetched.version == object.version
}

/// The bytes of block `number` of an object of `length` bytes.
pub(super) fn block_range(number: u64, length: u64) -> Range<u64> {
    let start = number.saturating_mul(BLOCK).min(length);
    start..start.saturating_add(BLOCK).min(length)
}

/// Makes a block out of portions as they come.
pub(super) struct Assembler {
    pieces: Vec<Bytes>,
    piece: Vec<u8>,
    /// Bytes of the block that have not come yet.
    left: u64,
}

impl Assembler {
    /// For the block that is bytes `range` of its object.
    pub(super) fn new(range: &Range<u64>) -> Self {
        let left = range.end - range.start;
        Self {
            pieces: Vec::with_capacity(usize::try_from(left.div_ceil(PIECE)).unwrap_or(0)),
            piece: room(left),
            left,
        }
    }

    /// Takes what the block needs from the front of `bytes`; the block, once it is whole.
    pub(super) fn take(&mut self, bytes: &mut Bytes) -> Option<Block> {
        while self.left > 0 && !bytes.is_empty() {
            let space = self.piece.capacity() - self.piece.len();
            let wanted = usize::try_from(self.left).map_or(space, |left| left.min(space));
            let count = wanted.min(bytes.len());
            self.piece.extend_from_slice(&bytes[..count]);
            bytes.advance(count);
            self.left -= count as u64;
            if self.piece.len() == self.piece.capacity() || self.left == 0 {
                let full = std::mem::replace(&mut self.piece, room(self.left));
                self.pieces.push(full.into());
            }
        }
        (self.left == 0).then(|| Block {
            pieces: std::mem::take(&mut self.pieces),
        })
    }
}

fn room(left: u64) -> Vec<u8> {
    Vec::with_capacity(usize::try_from(left.min(PIECE)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_made_of_pieces_whatever_the_portions() {
        let whole: Bytes = (0..=u8::MAX).cycle().take(300 * 1024).collect();
        for size in [1000, 16 * 1024, 128 * 1024, 300 * 1024] {
            let mut assembler = Assembler::new(&(0..whole.len() as u64));
            let mut made = None;
            for start in (0..whole.len()).step_by(size) {
                let end = whole.len().min(start + size);
                let mut portion = whole.slice(start..end);
                assert!(made.is_none());
                made = assembler.take(&mut portion);
            }
            let block = made.unwrap();
            let lengths: Vec<usize> = block.pieces.iter().map(Bytes::len).collect();
            assert_eq!(lengths, [128 * 1024, 128 * 1024, 44 * 1024]);
            assert_eq!(block.pieces.concat(), whole);
            assert_eq!(
                block.from(128 * 1024 + 5).unwrap(),
                whole[128 * 1024 + 5..256 * 1024]
            );
            assert_eq!(block.from(300 * 1024), None);
        }
    }

    #[test]
    fn the_last_block_is_short_and_beyond_it_there_is_none() {
        assert_eq!(block_range(0, 10), 0..10);
        assert_eq!(block_range(1, BLOCK + 1), BLOCK..BLOCK + 1);
        assert!(block_range(2, BLOCK + 1).is_empty());
    }
}
