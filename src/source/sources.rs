//! Where a server keeps the sources of its assets.
//!
//! On one machine they lie in its data folder. Where machines share a catalog they are in the store
//! too, for everybody; they are stored beside the first tasks, which the machine does that has the
//! file. No key of theirs is under `v/`, so none is ever delivered.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Location;
use crate::error::{Error, Result};
use crate::layout::{SOURCES_FOLDER, source_folder, source_key};
use crate::media::AssetId;
use crate::store::{BlockingStore, Store};

/// The sources of a server, as one machine sees them.
#[derive(Debug, Clone)]
pub struct Sources {
    /// This machine's data folder.
    data: PathBuf,
    /// The store that all machines share; `None` on one machine.
    shared: Option<BlockingStore>,
}

impl Sources {
    /// Those in `data` alone.
    pub fn on_one_machine(data: &Path) -> Self {
        Self {
            data: data.to_path_buf(),
            shared: None,
        }
    }

    /// Those in `data`, and those in `store`, which other machines read too.
    pub fn shared(data: &Path, store: BlockingStore) -> Self {
        Self {
            data: data.to_path_buf(),
            shared: Some(store),
        }
    }

    /// Whether a source that was received here has to be stored for others.
    pub fn are_copied(&self) -> bool {
        let directory = self.shared.as_ref().map(|store| store.store().directory());
        directory.is_some_and(|directory| directory != Some(&self.data))
    }

    /// The folder of this machine's sources.
    pub fn folder(&self) -> PathBuf {
        self.data.join(SOURCES_FOLDER)
    }

    /// The file of an asset's source on this machine, whether or not it is there.
    pub fn file(&self, asset: &AssetId) -> PathBuf {
        self.data.join(source_key(asset))
    }

    /// Where to read the source of an asset: here, if it is, else in the store.
    pub fn locate(&self, asset: &AssetId) -> Location {
        let file = self.file(asset);
        match &self.shared {
            Some(store) if !file.is_file() => {
                let key = source_key(asset);
                Location::object(store.clone(), key, format!("the source of {asset}"))
            }
            _ => Location::File(file),
        }
    }

    /// Stores the source that was received here for all machines, if its bytes have that digest.
    ///
    /// # Errors
    /// As [`crate::store::Store::put_file`]; what the file system says.
    pub async fn copy(&self, asset: &AssetId, digest: &str) -> Result<()> {
        let Some(store) = self.shared.as_ref().filter(|_| self.are_copied()) else {
            return Ok(());
        };
        let path = self.file(asset);
        let file = File::open(&path).map_err(|e| Error::io("opening a source to store it", e))?;
        store
            .store()
            .put_file(&source_key(asset), file, digest)
            .await
    }

    /// Whether the store that machines share has an asset's source.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn is_stored(&self, asset: &AssetId) -> Result<bool> {
        match &self.shared {
            None => Ok(false),
            Some(store) => {
                let size = store.store().size(&source_key(asset)).await?;
                Ok(size.is_some())
            }
        }
    }

    /// Removes what lies beside the streams of an asset: here, and in the server's `store`.
    ///
    /// # Errors
    /// What the file system or the store says.
    pub async fn remove(&self, asset: &AssetId, store: &Store) -> Result<()> {
        let folder = source_folder(asset);
        store.remove_folder(&folder).await?;
        match tokio::fs::remove_dir_all(self.data.join(&folder)).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("removing the source", e))
            }
            _ => Ok(()),
        }
    }

    /// Removes a source that was stored for all, of an asset that is gone.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub async fn take_back(&self, asset: &AssetId) -> Result<()> {
        match &self.shared {
            Some(store) => self.remove(asset, store.store()).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cats() -> AssetId {
        AssetId::parse("cats").unwrap()
    }

    fn receive(data: &Path, body: &[u8]) -> String {
        let file = data.join(source_key(&cats()));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, body).unwrap();
        blake3::hash(body).to_hex().to_string()
    }

    #[tokio::test]
    async fn another_machine_reads_what_was_copied_and_nothing_is_left_of_what_was_removed() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bucket = tempfile::tempdir().unwrap();
        let store = Store::open(bucket.path().to_str().unwrap()).unwrap();
        let store = BlockingStore::new(store).unwrap();
        let (mine, theirs) = (
            Sources::shared(here.path(), store.clone()),
            Sources::shared(there.path(), store.clone()),
        );
        let digest = receive(here.path(), b"moving pictures");
        assert!(!theirs.is_stored(&cats()).await.unwrap());
        mine.copy(&cats(), &digest).await.unwrap();
        assert!(theirs.is_stored(&cats()).await.unwrap());
        assert!(
            matches!(mine.locate(&cats()), Location::File(file) if file.starts_with(here.path()))
        );
        assert_eq!(
            theirs.locate(&cats()).read(100).unwrap(),
            &b"moving pictures"[..]
        );
        mine.take_back(&cats()).await.unwrap();
        assert!(mine.file(&cats()).metadata().is_err());
        assert_eq!(store.list("").unwrap(), []);
    }

    #[test]
    fn a_store_that_is_the_data_folder_needs_no_copy() {
        let data = tempfile::tempdir().unwrap();
        let data = data.path().canonicalize().unwrap();
        let store = BlockingStore::open(data.to_str().unwrap()).unwrap();
        assert!(!Sources::shared(&data, store.clone()).are_copied());
        assert!(!Sources::on_one_machine(&data).are_copied());
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(Sources::shared(elsewhere.path(), store).are_copied());
    }
}
