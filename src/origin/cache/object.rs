//! An object as delivery sees it: its validators, and its bytes in whatever form is cheapest.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::block::Blocks;
use super::local::Identity;
use super::pieces::Pieces;
use crate::layout::{self, Key, Kind};

/// Texts up to this many bytes are held whole, so that they can be compressed and answered with
/// one write.
pub(super) const TEXT_LIMIT: u64 = 1 << 20;
/// Entry points and other manifests up to this many bytes are held whole: manifests may be written
/// anew for one client, to carry its signature on.
pub(super) const ENTRY_LIMIT: u64 = 8 << 20;
/// Shorter texts are not worth compressing.
const ENCODED_FROM: u64 = 256;

/// One version of an object.
#[derive(Debug)]
pub struct Object {
    /// What it is: decides media type and cache rule.
    pub key: Key,
    /// Its length in bytes.
    pub length: u64,
    /// Its ETag, strong and quoted.
    pub etag: String,
    /// When it was written, in seconds since 1970.
    pub modified: u64,
    /// Where it lies in the store.
    pub(super) location: String,
    /// The backend's ETag, for conditions.
    pub(super) version: Option<String>,
    pub(super) content: Content,
    /// When the store last confirmed it, in milliseconds since 1970.
    pub(super) verified: AtomicI64,
    /// Until when it is trusted without asking, in milliseconds since 1970.
    pub(super) trusted_until: AtomicI64,
    /// Whether it was sent from its file since that was last asked.
    was_used: AtomicBool,
    head: OnceLock<Bytes>,
    gzip: OnceLock<Option<Encoded>>,
    brotli: OnceLock<Option<Encoded>>,
}

#[derive(Debug)]
pub(super) enum Content {
    /// All of it, in memory, and the file it was read from, if any.
    Held(Bytes, Option<Identity>),
    /// A file of the store's directory.
    File(Arc<File>, Identity),
    /// Blocks in memory, or in the store; in a file too once the disk tier has it.
    Blocks {
        id: u128,
        blocks: Arc<Blocks>,
        file: OnceLock<Arc<File>>,
    },
}

/// The bytes of an answer.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// All of them.
    Bytes(Bytes),
    /// To be sent from a file, which stays open as long as this is held.
    File {
        /// The file.
        file: Arc<File>,
        /// The bytes to send.
        range: Range<u64>,
    },
    /// Piece by piece.
    Pieces(Pieces),
}

/// A content coding of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
}

/// A text in a content coding.
#[derive(Debug)]
pub struct Encoded {
    /// The encoded bytes.
    pub bytes: Bytes,
    /// The ETag of this representation: the object's with a suffix inside the quotes.
    pub etag: String,
    /// A slot for the header lines rendered for it.
    pub head: OnceLock<Bytes>,
}

/// What an object is made from.
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) length: u64,
    pub(super) etag: String,
    pub(super) modified: u64,
    pub(super) location: String,
    pub(super) version: Option<String>,
    pub(super) content: Content,
}

impl Object {
    /// Where it lies in the store.
    pub fn location(&self) -> &str {
        &self.location
    }

    pub(super) fn new(found: Found) -> Arc<Self> {
        Arc::new(Self {
            key: found.key,
            length: found.length,
            etag: found.etag,
            modified: found.modified,
            location: found.location,
            version: found.version,
            content: found.content,
            verified: AtomicI64::new(0),
            trusted_until: AtomicI64::new(0),
            was_used: AtomicBool::new(false),
            head: OnceLock::new(),
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
        })
    }

    /// A slot for the header lines rendered for the object.
    pub fn head(&self) -> &OnceLock<Bytes> {
        &self.head
    }

    /// The bytes `range`, clipped to the object's length.
    pub fn body(self: &Arc<Self>, range: Range<u64>) -> Body {
        let range = range.start..range.end.min(self.length);
        if range.is_empty() {
            return Body::Empty;
        }
        match &self.content {
            Content::Held(bytes, _) => Body::Bytes(part(bytes, &range)),
            Content::File(file, _) => Body::File {
                file: Arc::clone(file),
                range,
            },
            Content::Blocks { file, .. } => match file.get() {
                Some(file) => {
                    self.note_use();
                    Body::File {
                        file: Arc::clone(file),
                        range,
                    }
                }
                None => Body::Pieces(Pieces::new(Arc::clone(self), range)),
            },
        }
    }

    /// The object in `coding`; `None` for what is no text, and where it would be no smaller. Made
    /// at most once, by the first call, which takes some milliseconds for a long text.
    pub fn encoded(&self, coding: Coding) -> Option<&Encoded> {
        if !is_text(&self.key) || self.length < ENCODED_FROM {
            return None;
        }
        let Content::Held(bytes, _) = &self.content else {
            return None;
        };
        let slot = match coding {
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
        };
        slot.get_or_init(|| encode(bytes, &self.etag, coding))
            .as_ref()
    }

    fn note_use(&self) {
        // Most often it is noted already; reading that disturbs no other processor.
        if !self.was_used.load(Ordering::Relaxed) {
            self.was_used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was sent from its file since this was last asked.
    pub(super) fn take_use(&self) -> bool {
        self.was_used.swap(false, Ordering::Relaxed)
    }

    /// Marks it as confirmed at `now` and trusted for `trust` milliseconds.
    pub(super) fn confirm(&self, now: i64, trust: i64) {
        self.verified.store(now, Ordering::Relaxed);
        self.trusted_until.store(now + trust, Ordering::Relaxed);
    }

    /// Whether it may be served at `now` without asking. A clock that was set back ends trust.
    pub(super) fn is_trusted(&self, now: i64) -> bool {
        now < self.trusted_until.load(Ordering::Relaxed) && now >= self.verified()
    }

    pub(super) fn verified(&self) -> i64 {
        self.verified.load(Ordering::Relaxed)
    }

    /// Bytes it occupies in memory, its encodings among them.
    pub(super) fn weight(&self) -> u32 {
        let held = match &self.content {
            Content::Held(bytes, _) => bytes.len(),
            _ => 0,
        };
        let strings = self.location.len() + self.etag.len();
        u32::try_from(2 * held + strings + 512).unwrap_or(u32::MAX)
    }
}

/// Whether it is one of the texts that are compressed.
pub(super) fn is_text(key: &Key) -> bool {
    matches!(key.kind(), Kind::Playlist | Kind::Mpd | Kind::Text)
}

/// Whether it may be replaced under its name.
pub(super) fn is_entry(key: &Key) -> bool {
    key.cache_control() == layout::ENTRY
}

/// Whether what has its name never changes, and anyone may have it.
pub(super) fn is_immutable(key: &Key) -> bool {
    key.cache_control() == layout::IMMUTABLE
}

/// Whether an object of that kind and length is held whole in memory.
pub(super) fn is_held(key: &Key, length: u64) -> bool {
    let limit = match key.kind() {
        _ if is_entry(key) => ENTRY_LIMIT,
        Kind::Playlist | Kind::Mpd => ENTRY_LIMIT,
        _ if is_text(key) => TEXT_LIMIT,
        _ => return false,
    };
    length <= limit
}

fn part(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |place: u64| usize::try_from(place).map_or(bytes.len(), |at| at.min(bytes.len()));
    bytes.slice(at(range.start)..at(range.end))
}

fn encode(bytes: &Bytes, etag: &str, coding: Coding) -> Option<Encoded> {
    let (encoded, suffix) = match coding {
        Coding::Gzip => (gzip(bytes)?, "gz"),
        Coding::Brotli => (brotli(bytes)?, "br"),
    };
    if encoded.len() >= bytes.len() {
        return None;
    }
    let etag = format!("{}-{suffix}\"", etag.strip_suffix('"')?);
    Some(Encoded {
        bytes: encoded.into(),
        etag,
        head: OnceLock::new(),
    })
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let room = Vec::with_capacity(bytes.len() / 2);
    let mut encoder = flate2::write::GzEncoder::new(room, flate2::Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Quality 5: near the best for texts of this size, at a tenth of its time.
fn brotli(bytes: &[u8]) -> Option<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 5,
        lgwin: 22,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut encoded = Vec::with_capacity(bytes.len() / 2);
    let mut bytes = bytes;
    brotli::BrotliCompress(&mut bytes, &mut encoded, &parameters).ok()?;
    Some(encoded)
}
