//! A copy of the catalog in one file.

use std::path::Path;

use super::Catalog;
use super::place::create_private;
use super::row::failed;
use crate::error::{Error, Result};

impl Catalog {
    /// Writes a copy to a file, which must not be there: all that was committed by now, and no half of
    /// a change. Others may go on reading and writing. Only its owner can read it.
    ///
    /// # Errors
    /// `Unsupported` for a catalog on a database server, `Conflict` for a file that is there, and what
    /// the file system says; a file that was begun is removed again.
    pub async fn back_up(&self, file: &Path) -> Result<()> {
        if self.is_shared() {
            return Err(Error::unsupported(
                "the catalog is on a database server; copy it by that server's means, such as pg_dump",
            ));
        }
        let name = file.to_str().ok_or_else(|| {
            Error::invalid(format!("{} is no name that SQLite takes", file.display()))
        })?;
        create_private(file)?;
        let mut connection = self.read().await?;
        let copied = sqlx::query("VACUUM INTO $1")
            .bind(name)
            .execute(&mut *connection)
            .await;
        if copied.is_err() {
            // The error says more than this one could.
            let _ = std::fs::remove_file(file);
        }
        copied.map(|_| ()).map_err(failed("copying"))
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::catalog::tests::{Fixture, id};
    use crate::clock::Clock;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_copy_has_what_the_catalog_had_then() {
        let fixture = Fixture::new().await;
        fixture.asset("a").await;
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.sqlite");
        let backed_up = fixture.catalog.back_up(&copy).await;
        if fixture.catalog.is_shared() {
            let refused = backed_up.expect_err("a server's");
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            return;
        }
        backed_up.expect("copied");
        fixture.asset("b").await;
        let mode = std::os::unix::fs::MetadataExt::mode(&copy.metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let again = fixture.catalog.back_up(&copy).await;
        assert_eq!(again.expect_err("is there").kind(), ErrorKind::Conflict);
        let catalog = Catalog::open(&copy, Clock::system()).await.expect("opened");
        assert!(catalog.asset(&id("a")).await.expect("ran").is_some());
        assert!(catalog.asset(&id("b")).await.expect("ran").is_none());
    }
}
