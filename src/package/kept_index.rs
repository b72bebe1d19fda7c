//! The index of a source in a bucket that only a read of all its bytes gives, or a chain of reads as
//! in a fragmented MP4, kept beside the plan: who opens the title later, wherever, reads the samples
//! it needs and nothing else.
//!
//! An index that points into a spool isn't kept: it is worth nothing without the spool, which is
//! about as long as the source.

use bytes::Bytes;

use super::prepare::Prepared;
use crate::error::{Error, Result};
use crate::layout::Key;
use crate::media::SourceIndex;
use crate::store::BlockingStore;

/// Its name among a revision's private objects.
const NAME: &str = "index.json";

fn key(revision: &str) -> Key {
    Key::Private {
        revision: revision.to_owned(),
        name: NAME.to_owned(),
    }
}

/// Keeps the index of `prepared` if the next reader would have to read everything, or long, for it.
///
/// # Errors
/// When the store is away or full.
pub(super) fn keep(store: &BlockingStore, prepared: &Prepared) -> Result<()> {
    if !is_worth_keeping(prepared)? {
        return Ok(());
    }
    let json = serde_json::to_vec(prepared.index.as_ref())
        .map_err(|e| Error::internal("writing an index as JSON").with_source(e))?;
    store.create(&key(&prepared.revision), vec![Bytes::from(json)])?;
    Ok(())
}

fn is_worth_keeping(prepared: &Prepared) -> Result<bool> {
    let Some(spool) = prepared.spool.as_ref().filter(|_| prepared.index_was_dear) else {
        return Ok(prepared.index_was_dear);
    };
    let spool = spool
        .metadata()
        .map_err(|e| Error::io("reading the length of the spool", e))?;
    Ok(spool.len() == 0)
}

/// The index that was kept of a source of `size_bytes`; `None` where none was, or where it isn't one
/// of such a source.
///
/// # Errors
/// When the store is away.
pub(super) fn read(
    store: &BlockingStore,
    revision: &str,
    size_bytes: u64,
) -> Result<Option<SourceIndex>> {
    let Some(json) = store.read(&key(revision))? else {
        return Ok(None);
    };
    let index = serde_json::from_slice::<SourceIndex>(&json).ok();
    Ok(index.filter(|index| index.size_bytes == size_bytes))
}
