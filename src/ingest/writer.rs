//! Bytes into `src/{asset}/source`, whichever way they come: written as they come, digested on the
//! way, within the limits, and under their final name only once all are there and on the disk.
//!
//! Hashing and writing happen in blocks on threads of their own, while the next block arrives. At
//! most two blocks of an upload are in memory.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::flush::Flush;
use super::refusal::Refusal;
use super::room::Reservation;
use super::tus_headers::Sum;
use crate::error::{Error, Result};
use crate::media::AssetId;

/// How many bytes are written at once.
const BLOCK_BYTES: usize = 1 << 20;

/// The folder of one asset's source.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: PathBuf,
}

impl Place {
    /// The place of `asset` below `sources`.
    pub(super) fn new(sources: &Path, asset: &AssetId) -> Self {
        Self {
            folder: sources.join(asset.as_str()),
        }
    }

    /// The bytes once all are there.
    pub(super) fn whole(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// The bytes that came so far.
    pub(super) fn part(&self) -> PathBuf {
        self.folder.join("source.part")
    }

    /// Names the length up to which the part was verified, while more is being written that
    /// must be verified before it counts.
    fn unverified(&self) -> PathBuf {
        self.folder.join("source.unverified")
    }

    /// Length of the source if all bytes are there.
    pub(super) async fn whole_bytes(&self) -> Result<Option<u64>> {
        length(self.whole()).await
    }

    /// Length of the part, without what wasn't verified.
    pub(super) async fn part_bytes(&self) -> Result<Option<u64>> {
        let place = self.clone();
        blocking(move || {
            let Some(written) = length_now(&place.part())? else {
                return Ok(None);
            };
            let verified = place.verified()?.unwrap_or(written);
            Ok(Some(written.min(verified)))
        })
        .await
    }

    fn verified(&self) -> Result<Option<u64>> {
        match std::fs::read_to_string(self.unverified()) {
            // A note that was cut off by a crash was written before any unverified byte.
            Ok(text) => Ok(text.strip_suffix('\n').and_then(|text| text.parse().ok())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("reading up to where an upload is verified", e)),
        }
    }

    /// What a client said of the upload, which it may ask for again.
    fn metadata_note(&self) -> PathBuf {
        self.folder.join("source.metadata")
    }

    /// The validator of what is being pulled.
    fn validator_note(&self) -> PathBuf {
        self.folder.join("source.validator")
    }

    /// Keeps what a client said of the upload.
    pub(super) async fn note_metadata(&self, said: &str) -> Result<()> {
        note(
            self.metadata_note(),
            Some(said).filter(|said| !said.is_empty()),
        )
        .await
    }

    /// What a client said of the upload.
    pub(super) async fn metadata(&self) -> Result<Option<String>> {
        noted(self.metadata_note()).await
    }

    /// Keeps the validator of what is being pulled.
    pub(super) async fn note_validator(&self, validator: Option<&str>) -> Result<()> {
        note(self.validator_note(), validator).await
    }

    /// The validator of what is being pulled.
    pub(super) async fn validator(&self) -> Result<Option<String>> {
        noted(self.validator_note()).await
    }

    /// Removes everything of it.
    pub(super) async fn clear(&self) -> Result<()> {
        let folder = self.folder.clone();
        blocking(move || match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("removing an upload", e))
            }
            _ => Ok(()),
        })
        .await
    }

    /// Digest and length of the whole source.
    pub(super) async fn digest(&self) -> Result<Received> {
        let path = self.whole();
        blocking(move || {
            let failed = |e| Error::io("reading a source again", e);
            let file = File::open(&path).map_err(failed)?;
            let mut digest = blake3::Hasher::new();
            let bytes = digest_file(&file, &mut digest)?;
            Ok(Received {
                bytes,
                digest: digest.finalize().to_hex().to_string(),
            })
        })
        .await
    }
}

/// A source that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    /// Its length.
    pub(super) bytes: u64,
    /// Its BLAKE3 digest in hexadecimal.
    pub(super) digest: String,
}

/// How many bytes may come, and which limit says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ceiling {
    /// The limit's name.
    pub(super) limit: &'static str,
    /// Bytes of the whole source.
    pub(super) bytes: u64,
}

/// Takes the bytes of one source.
#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    pen: Pen,
    held: Vec<Bytes>,
    held_bytes: usize,
    /// Bytes of the source so far, held ones included.
    received: u64,
    ceiling: Ceiling,
    reservation: Reservation,
    /// Where the bytes that must be verified begin, and the digest up to there.
    mark: Option<(u64, Box<blake3::Hasher>)>,
}

/// Where the file is: here, or with the thread that writes to it.
#[derive(Debug)]
enum Pen {
    Here(Box<Sheet>),
    Away(JoinHandle<(Box<Sheet>, Result<()>)>),
    /// Writing failed or was abandoned.
    Lost,
}

#[derive(Debug)]
struct Sheet {
    file: File,
    digest: blake3::Hasher,
    /// The sum of what must be verified.
    sum: Option<Sum>,
    flush: Flush,
}

impl Writer {
    /// Goes on where the part at `place` ends; begins where there is none.
    pub(super) async fn open(
        place: Place,
        ceiling: Ceiling,
        reservation: Reservation,
    ) -> Result<Self> {
        let at = place.clone();
        let (sheet, received) = blocking(move || open_part(&at)).await?;
        Ok(Self {
            place,
            pen: Pen::Here(Box::new(sheet)),
            held: Vec::new(),
            held_bytes: 0,
            received,
            ceiling,
            reservation,
            mark: None,
        })
    }

    /// Bytes of the source so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Takes bytes.
    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        let more = bytes.len() as u64;
        if more > self.ceiling.bytes.saturating_sub(self.received) {
            return Err(Refusal::TooLarge {
                limit: self.ceiling.limit,
                value: self.ceiling.bytes,
            });
        }
        self.reservation.need(more + self.held_bytes as u64)?;
        self.received += more;
        self.held_bytes += bytes.len();
        self.held.push(bytes);
        if self.held_bytes >= BLOCK_BYTES {
            self.write_held().await?;
        }
        Ok(())
    }

    /// Hands what is held to a thread, once the block before is written.
    async fn write_held(&mut self) -> Result<()> {
        let mut sheet = self.sheet().await?;
        let block = std::mem::take(&mut self.held);
        self.reservation.used(self.held_bytes as u64);
        self.held_bytes = 0;
        self.pen = Pen::Away(tokio::task::spawn_blocking(move || {
            let written = sheet.write(&block);
            (sheet, written)
        }));
        Ok(())
    }

    /// The file, once nobody writes to it.
    async fn sheet(&mut self) -> Result<Box<Sheet>> {
        match std::mem::replace(&mut self.pen, Pen::Lost) {
            Pen::Here(sheet) => Ok(sheet),
            Pen::Away(thread) => {
                let ended = thread.await;
                let (sheet, written) =
                    ended.map_err(|e| Error::internal("writing an upload").with_source(e))?;
                written.map(|()| sheet)
            }
            Pen::Lost => Err(Error::internal("an upload went on after it had failed")),
        }
    }

    /// Writes what is held and waits until all of it is on the disk.
    pub(super) async fn sync(&mut self) -> Result<()> {
        self.write_held().await?;
        let sheet = self.sheet().await?;
        let (sheet, synced) = blocking(move || {
            // Waits for one that is going on, too.
            let flushed = sheet.file.sync_data();
            let synced = sheet.flush.check().and(flushed);
            Ok((sheet, synced))
        })
        .await?;
        self.pen = Pen::Here(sheet);
        synced.map_err(|e| Error::io("writing an upload to the disk", e))
    }

    /// What comes from here on is added up, and counts only once [`Writer::verify`] found it
    /// sound, also after a crash.
    pub(super) async fn begin_unverified(&mut self, sum: Sum) -> Result<()> {
        self.sync().await?;
        let mut sheet = self.sheet().await?;
        self.mark = Some((self.received, Box::new(sheet.digest.clone())));
        sheet.sum = Some(sum);
        self.pen = Pen::Here(sheet);
        let (path, note) = (self.place.unverified(), format!("{}\n", self.received));
        blocking(move || write_through(&path, note.as_bytes())).await
    }

    /// Whether what came since [`Writer::begin_unverified`] is sound; if not, it never came.
    pub(super) async fn verify(&mut self, sound: impl FnOnce(Sum) -> bool) -> Result<bool> {
        self.sync().await?;
        let mut sheet = self.sheet().await?;
        let sum = sheet.sum.take();
        self.pen = Pen::Here(sheet);
        if !sum.is_some_and(sound) {
            self.take_back().await?;
            return Ok(false);
        }
        self.mark = None;
        self.forget_mark().await?;
        Ok(true)
    }

    /// What came since [`Writer::begin_unverified`] isn't sound: it never came.
    pub(super) async fn take_back(&mut self) -> Result<()> {
        let Some((received, digest)) = self.mark.take() else {
            return Ok(());
        };
        let written = self.received - received - self.held_bytes as u64;
        self.held.clear();
        self.held_bytes = 0;
        let mut sheet = self.sheet().await?;
        self.reservation.unused(written);
        self.received = received;
        sheet.digest = *digest;
        sheet.sum = None;
        let sheet = blocking(move || {
            sheet.cut(received)?;
            Ok(sheet)
        })
        .await?;
        self.pen = Pen::Here(sheet);
        self.forget_mark().await
    }

    async fn forget_mark(&self) -> Result<()> {
        let path = self.place.unverified();
        blocking(move || remove(&path)).await
    }

    /// Everything is there: digest and length. The bytes get their final name by [`publish`].
    pub(super) async fn finish(&mut self) -> Result<Received> {
        self.sync().await?;
        let sheet = self.sheet().await?;
        let digest = sheet.digest.finalize().to_hex().to_string();
        self.pen = Pen::Here(sheet);
        Ok(Received {
            bytes: self.received,
            digest,
        })
    }

    /// Whether it can go on: nothing failed while it wrote.
    pub(super) fn is_sound(&self) -> bool {
        !matches!(self.pen, Pen::Lost)
    }

    /// Where it writes.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

impl Sheet {
    fn write(&mut self, block: &[Bytes]) -> Result<()> {
        for bytes in block {
            self.digest.update(bytes);
            if let Some(sum) = &mut self.sum {
                sum.update(bytes);
            }
            let written = self.file.write_all(bytes);
            written.map_err(|e| Error::io("writing an upload", e))?;
            self.flush.wrote(&self.file, bytes.len() as u64);
        }
        Ok(())
    }

    fn cut(&mut self, length: u64) -> Result<()> {
        let failed = |e| Error::io("taking back bytes of an upload", e);
        self.file.set_len(length).map_err(failed)?;
        self.file.seek(SeekFrom::Start(length)).map_err(failed)?;
        self.file.sync_data().map_err(failed)
    }
}

/// Gives a part its final name, durably.
pub(super) async fn publish(place: &Place) -> Result<()> {
    let place = place.clone();
    blocking(move || {
        let failed = |e| Error::io("giving an upload its name", e);
        std::fs::rename(place.part(), place.whole()).map_err(failed)?;
        let folder = File::open(&place.folder).map_err(failed)?;
        folder.sync_all().map_err(failed)
    })
    .await
}

/// Opens the part for appending, without what wasn't verified; the digest of what is there is
/// computed anew.
fn open_part(place: &Place) -> Result<(Sheet, u64)> {
    let failed = |e| Error::io("opening an upload", e);
    std::fs::create_dir_all(&place.folder).map_err(failed)?;
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false);
    let file = opened.open(place.part()).map_err(failed)?;
    let mut sheet = Sheet {
        file,
        digest: blake3::Hasher::new(),
        sum: None,
        flush: Flush::default(),
    };
    if let Some(verified) = place.verified()? {
        let written = sheet.file.metadata().map_err(failed)?.len();
        sheet.cut(verified.min(written))?;
        std::fs::remove_file(place.unverified()).map_err(failed)?;
        sheet.file.rewind().map_err(failed)?;
    }
    let length = digest_file(&sheet.file, &mut sheet.digest)?;
    sheet.file.seek(SeekFrom::Start(length)).map_err(failed)?;
    Ok((sheet, length))
}

fn digest_file(file: &File, digest: &mut blake3::Hasher) -> Result<u64> {
    let mut reader = file;
    let mut block = vec![0; BLOCK_BYTES];
    let mut length = 0;
    loop {
        let got = reader.read(&mut block);
        let got = got.map_err(|e| Error::io("reading an upload again", e))?;
        if got == 0 {
            return Ok(length);
        }
        digest.update(&block[..got]);
        length += got as u64;
    }
}

fn write_through(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e| Error::io("writing a note beside an upload", e);
    let mut file = File::create(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)
}

async fn note(path: PathBuf, text: Option<&str>) -> Result<()> {
    let text = text.map(str::to_owned);
    blocking(move || {
        let Some(text) = text else {
            return remove(&path);
        };
        if let Some(folder) = path.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|e| Error::io("making an upload's folder", e))?;
        }
        write_through(&path, text.as_bytes())
    })
    .await
}

async fn noted(path: PathBuf) -> Result<Option<String>> {
    blocking(move || match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("reading a note beside an upload", e)),
    })
    .await
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("removing a note beside an upload", e))
        }
        _ => Ok(()),
    }
}

async fn length(path: PathBuf) -> Result<Option<u64>> {
    blocking(move || length_now(&path)).await
}

fn length_now(path: &Path) -> Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("asking how much of an upload is there", e)),
    }
}

/// Runs file work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|e| Error::internal("file work ended early").with_source(e))?
}

#[cfg(test)]
mod tests {
    use super::super::room::Room;
    use super::super::tus_headers::Checksum;
    use super::*;

    struct Fixture {
        _folder: tempfile::TempDir,
        place: Place,
        room: std::sync::Arc<Room>,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let asset = AssetId::parse("clip").expect("sound");
        Fixture {
            place: Place::new(folder.path(), &asset),
            room: Room::new(folder.path().to_owned(), 0),
            _folder: folder,
        }
    }

    const CEILING: Ceiling = Ceiling {
        limit: "max_upload_bytes",
        bytes: 10 << 20,
    };

    async fn writer(fixture: &Fixture) -> Writer {
        let reservation = fixture.room.reserve(0).expect("room");
        let opened = Writer::open(fixture.place.clone(), CEILING, reservation);
        opened.await.expect("opens")
    }

    /// Bytes that differ everywhere.
    fn pattern(length: usize) -> Vec<u8> {
        let digit = |n: usize| u8::try_from(n * n % 251).expect("small");
        (0..length).map(digit).collect()
    }

    #[tokio::test]
    async fn bytes_in_any_pieces_have_the_digest_of_the_whole() {
        let fixture = fixture();
        let bytes = pattern(3 << 20);
        let mut writer = writer(&fixture).await;
        for piece in bytes.chunks(70_001) {
            writer
                .push(Bytes::copy_from_slice(piece))
                .await
                .expect("taken");
        }
        let received = writer.finish().await.expect("finished");
        publish(writer.place()).await.expect("named");
        assert_eq!(received.bytes, 3 << 20);
        assert_eq!(received.digest, blake3::hash(&bytes).to_hex().to_string());
        assert_eq!(std::fs::read(fixture.place.whole()).expect("there"), bytes);
        assert_eq!(fixture.place.digest().await.expect("read"), received);
        assert_eq!(fixture.place.part_bytes().await.expect("asked"), None);
    }

    #[tokio::test]
    async fn a_part_is_gone_on_with_after_a_restart() {
        let fixture = fixture();
        let bytes = pattern(100_000);
        let mut before = writer(&fixture).await;
        before
            .push(Bytes::copy_from_slice(&bytes[..60_000]))
            .await
            .expect("taken");
        before.sync().await.expect("synced");
        drop(before);
        let mut after = writer(&fixture).await;
        assert_eq!(after.received(), 60_000);
        after
            .push(Bytes::copy_from_slice(&bytes[60_000..]))
            .await
            .expect("taken");
        let received = after.finish().await.expect("finished");
        assert_eq!(received.digest, blake3::hash(&bytes).to_hex().to_string());
    }

    fn sum() -> Sum {
        let checksum = Checksum::parse("sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
        checksum.expect("sound").begin()
    }

    async fn push(writer: &mut Writer, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        writer.push(bytes).await.expect("taken");
    }

    #[tokio::test]
    async fn unverified_bytes_never_count_even_after_a_crash() {
        let fixture = fixture();
        let mut crashed = writer(&fixture).await;
        push(&mut crashed, "sound").await;
        crashed.begin_unverified(sum()).await.expect("noted");
        push(&mut crashed, "broken").await;
        crashed.sync().await.expect("synced");
        assert_eq!(fixture.place.part_bytes().await.expect("asked"), Some(5));
        drop(crashed);
        let mut writer = writer(&fixture).await;
        assert_eq!(writer.received(), 5);

        writer.begin_unverified(sum()).await.expect("noted");
        push(&mut writer, "wrong").await;
        assert!(!writer.verify(|_| false).await.expect("taken back"));
        writer.begin_unverified(sum()).await.expect("noted");
        push(&mut writer, ", whole").await;
        assert!(writer.verify(|_| true).await.expect("verified"));
        let received = writer.finish().await.expect("finished");
        let whole = blake3::hash(b"sound, whole").to_hex().to_string();
        assert_eq!(received.digest, whole);
        assert_eq!(fixture.place.part_bytes().await.expect("asked"), Some(12));
    }

    #[tokio::test]
    async fn a_byte_too_many_is_refused_with_the_name_of_the_limit() {
        let fixture = fixture();
        let mut writer = writer(&fixture).await;
        writer
            .push(Bytes::from(vec![0; 10 << 20]))
            .await
            .expect("just fits");
        let refused = writer.push(Bytes::from_static(b"x")).await;
        let Err(Refusal::TooLarge { limit, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(limit, "max_upload_bytes");
    }
}
